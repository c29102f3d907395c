//! A server that answers at once: what takes time is the link alone.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use chiton::{
    server::fs::Root,
    session::{Session, SessionEvent},
};
use sftp::server::{Config as SftpConfig, Server as SftpServer};
use ssh_auth::{method::Method, server::MethodSet};
use ssh_connection::{ChannelId, MuxEvent, Read, Request, Stream};
use ssh_crypto::rng::SeededRng;
use ssh_keys::PrivateKey;
use ssh_transport::{Config, Inbound};
use ssh_wire::Time;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::Instant,
};

/// Who knocks with this password is let in; keys are all let in.
pub const PASSWORD: &str = "open sesame";

/// What a command still has to write, or `None` for one that reads.
type Commands = HashMap<ChannelId, Option<usize>>;

struct Server {
    session: Session,
    inbound: Inbound,
    began: Instant,
    commands: Commands,
    /// What SFTP serves.
    folder: PathBuf,
    sftp: HashMap<ChannelId, SftpServer<Root>>,
    rekeys: usize,
}

/// Serves one client to its end. Says how often keys were exchanged after the first time.
///
/// As OpenSSH's server, it says nothing before the client has identified itself.
pub async fn serve(
    mut stream: DuplexStream,
    mut config: Config,
    host_key: PrivateKey,
    folder: PathBuf,
) -> usize {
    config.host_keys = vec![host_key];
    let (session, inbound) = Session::server(
        Arc::new(config),
        MethodSet::EMPTY.with(Method::PublicKey).with(Method::Password),
        ssh_auth::server::Limits::default(),
        ssh_connection::Limits::default(),
        Box::new(SeededRng::new(7)),
        Time::ZERO,
    );
    let began = Instant::now();
    let (commands, sftp) = (HashMap::new(), HashMap::new());
    let mut server = Server { session, inbound, began, commands, folder, sftp, rekeys: 0 };
    while let Ok(1..) = stream.read_buf(server.inbound.buffer()).await {
        server.receive();
        loop {
            server.run_commands();
            server.run_sftp();
            let mut out = Vec::new();
            server.session.take_output(&mut out);
            if out.is_empty() {
                break;
            }
            if let Some((mux, _)) = server.session.connection() {
                mux.data_room_returned();
            }
            if stream.write_all(&out).await.is_err() {
                return server.rekeys;
            }
        }
    }
    server.rekeys
}

impl Server {
    fn now(&self) -> Time {
        Time::from_epoch(self.began.elapsed())
    }

    fn receive(&mut self) {
        while let Some(received) = self.inbound.next().unwrap() {
            let now = self.now();
            let Ok(event) = self.session.handle(received, &mut self.inbound, now) else { return };
            match event {
                Some(SessionEvent::AuthQuestion(question)) => {
                    self.session.accept(question).unwrap();
                }
                Some(SessionEvent::Rekeyed) => self.rekeys += 1,
                _ => {}
            }
            self.poll();
        }
    }

    fn poll(&mut self) {
        let now = self.now();
        let Some((mux, out)) = self.session.connection() else { return };
        while let Some(event) = mux.poll() {
            match event {
                MuxEvent::Incoming(incoming) => {
                    mux.accept(incoming, now, out).unwrap();
                }
                MuxEvent::Request(id, Request::Exec(command), token) => {
                    let command = str::from_utf8(&command).unwrap();
                    let writes = match command.split_once(' ') {
                        Some(("source", bytes)) => Some(bytes.parse().unwrap()),
                        _ => None,
                    };
                    self.commands.insert(id, writes);
                    mux.reply(token.unwrap(), true, out);
                }
                MuxEvent::Request(id, Request::Subsystem(_), token) => {
                    let root = Root::open(&self.folder).unwrap();
                    self.sftp.insert(id, SftpServer::new(root, &SftpConfig::default()));
                    mux.reply(token.unwrap(), true, out);
                }
                MuxEvent::Closed(id) => {
                    self.sftp.remove(&id);
                    mux.release(id, out);
                }
                _ => {}
            }
        }
    }

    /// `source N` writes so many bytes; `sink` reads to the end and then says `.`
    fn run_commands(&mut self) {
        let now = self.now();
        let Some((mux, out)) = self.session.connection() else { return };
        let mut buffer = vec![0; 256 * 1024];
        self.commands.retain(|id, left| {
            let ended = match left {
                Some(left) => loop {
                    let piece = &buffer[..buffer.len().min(*left)];
                    let n = mux.write(*id, Stream::Data, &[piece], out).unwrap_or(0);
                    *left -= n;
                    if n == 0 {
                        break *left == 0;
                    }
                },
                None => loop {
                    match mux.read(*id, Stream::Data, &mut buffer, now, out) {
                        Read::Data(_) => {}
                        Read::Empty => break false,
                        Read::Eof => {
                            mux.write(*id, Stream::Data, &[b"."], out).unwrap();
                            break true;
                        }
                    }
                },
            };
            if ended {
                mux.request(*id, &Request::ExitStatus(0), false, out).unwrap();
                mux.eof(*id, out);
                mux.close(*id, out);
            }
            !ended
        });
    }

    /// Answers what has come; a window holds every answer that is asked for here.
    fn run_sftp(&mut self) {
        let now = self.now();
        let Some((mux, out)) = self.session.connection() else { return };
        let mut buffer = vec![0; 64 * 1024];
        for (id, server) in &mut self.sftp {
            let mut answers = Vec::new();
            while let Read::Data(n) = mux.read(*id, Stream::Data, &mut buffer, now, out) {
                let mut rest = &buffer[..n];
                while !rest.is_empty() {
                    let taken = server.feed(rest, &mut answers).unwrap();
                    rest = &rest[taken..];
                }
            }
            let mut left = &answers[..];
            while !left.is_empty() {
                let n = mux.write(*id, Stream::Data, &[left], out).unwrap();
                assert!(n > 0, "the window is full");
                left = &left[n..];
            }
        }
    }
}
