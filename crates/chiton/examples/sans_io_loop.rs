//! A whole session without tokio: one thread, a blocking socket, and the state machine.
//!
//! ```console
//! $ PASSWORD=… cargo run --example sans_io_loop -- alice 127.0.0.1:22 SHA256:… uname -a
//! ```
//!
//! The fingerprint of the host key has to be given: there is no known_hosts file here, and
//! connecting to whoever answers would be no example to follow.

use std::{
    env,
    error::Error,
    io::{Read, Write},
    net::TcpStream,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use chiton::{
    Secret,
    session::{Session, SessionEvent},
};
use ssh_auth::client::AuthEvent;
use ssh_connection::{ExitStatus, MuxEvent, ReadChunk, Request, Stream};
use ssh_crypto::rng::SystemRng;
use ssh_transport::{Config, Inbound, Received};
use ssh_wire::Time;

/// How long to wait for the server at most.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    match run() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("sans_io_loop: {error}");
            ExitCode::from(255)
        }
    }
}

/// The socket, the state machine and the clock: everything that a driver is.
struct Loop {
    socket: TcpStream,
    session: Session,
    inbound: Inbound,
    start: Instant,
    out: Vec<u8>,
}

impl Loop {
    fn now(&self) -> Time {
        Time::from_epoch(self.start.elapsed())
    }

    /// Writes what the session has to say.
    fn write(&mut self) -> Result<(), Box<dyn Error>> {
        self.session.take_output(&mut self.out);
        self.socket.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// The next complete packet. If there cannot be one, the server is told why.
    fn received(&mut self) -> Result<Option<Received>, Box<dyn Error>> {
        let error = match self.inbound.next() {
            Ok(received) => return Ok(received),
            Err(error) => error,
        };
        self.session.transport_mut().fail(error.clone());
        self.write()?;
        Err(error.into())
    }

    /// Reads until something happens that wants attention; `None` for news of channels.
    fn next(&mut self) -> Result<Option<SessionEvent>, Box<dyn Error>> {
        loop {
            while let Some(received) = self.received()? {
                let now = self.now();
                let handled = self.session.handle(received, &mut self.inbound, now);
                self.write()?;
                if let Some(event) = handled? {
                    return Ok(Some(event));
                }
                if self.session.connection().is_some() {
                    return Ok(None);
                }
            }
            // Keys are renewed by time as well; a program that waits longer sets a timer for
            // `Session::deadline`.
            let now = self.now();
            self.session.tick(now)?;
            self.write()?;
            let mut bytes = [0; 16 * 1024];
            let n = self.socket.read(&mut bytes)?;
            if n == 0 {
                return Err("the server closed the connection".into());
            }
            self.inbound.buffer().extend_from_slice(bytes.get(..n).unwrap_or_default());
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [user, address, fingerprint, command @ ..] = args.as_slice() else {
        return Err("usage: sans_io_loop user address:port SHA256:… command…".into());
    };
    let password = Secret::new(env::var("PASSWORD")?);
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (session, inbound) = Session::client(
        Arc::new(Config::default()),
        user,
        ssh_connection::Limits::default(),
        Box::new(SystemRng),
        Time::ZERO,
    );
    let mut io = Loop { socket, session, inbound, start: Instant::now(), out: Vec::new() };
    io.write()?;

    loop {
        match io.next()? {
            Some(SessionEvent::HostKey(offer)) => {
                let shown = offer.key().fingerprint().to_string();
                if shown != *fingerprint {
                    io.session.refuse_host_key(offer);
                    io.write()?;
                    return Err(format!("the host shows another key: {shown}").into());
                }
                let now = io.now();
                io.session.answer_host_key(offer.trust(), now)?;
            }
            Some(SessionEvent::AuthReady) => {
                let (auth, out) = io.session.authenticator().ok_or("not the client's turn")?;
                auth.try_password(password.clone(), out)?;
            }
            Some(SessionEvent::Auth(AuthEvent::Failed { .. })) => {
                return Err("the server does not accept the password".into());
            }
            Some(SessionEvent::Authenticated) => break,
            Some(SessionEvent::Disconnected(goodbye)) => {
                return Err(format!("disconnected: {}", goodbye.reason).into());
            }
            _ => {}
        }
        io.write()?;
    }
    exec(&mut io, &command.join(" "))
}

/// Runs one command and passes its output on.
fn exec(io: &mut Loop, command: &str) -> Result<ExitCode, Box<dyn Error>> {
    let now = io.now();
    let (mux, out) = io.session.connection().ok_or("not connected")?;
    let id = mux.open_session(now, out)?;
    io.write()?;
    loop {
        let now = io.now();
        let (mux, out) = io.session.connection().ok_or("not connected")?;
        while let Some(event) = mux.poll() {
            match event {
                MuxEvent::Opened(_) => {
                    let request = Request::Exec(command.as_bytes().into());
                    mux.request(id, &request, true, out)?;
                    mux.eof(id, out);
                }
                MuxEvent::OpenFailed(_, failure) => {
                    return Err(format!("no session: {}", failure.text).into());
                }
                MuxEvent::RequestAnswered(_, _, false) => {
                    return Err("the server does not run commands".into());
                }
                MuxEvent::Readable(..) => {
                    while let ReadChunk::Data(bytes) = mux.read_chunk(id, Stream::Data, now, out) {
                        std::io::stdout().write_all(&bytes)?;
                    }
                    while let ReadChunk::Data(bytes) = mux.read_chunk(id, Stream::Stderr, now, out)
                    {
                        std::io::stderr().write_all(&bytes)?;
                    }
                }
                MuxEvent::Closed(_) => {
                    let status = match mux.exit_status(id) {
                        Some(ExitStatus::Code(code)) => u8::try_from(*code).unwrap_or(u8::MAX),
                        _ => u8::MAX,
                    };
                    return Ok(ExitCode::from(status));
                }
                _ => {}
            }
        }
        io.write()?;
        io.next()?;
    }
}
