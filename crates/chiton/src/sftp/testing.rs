//! A real server in this process, over a stream with or without a delay.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sftp::{
    StatusCode,
    message::{FromClient, put_packet},
    server::{Config, Policy, Server},
};
use ssh_wire::Rest;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split},
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::Sftp;
use crate::server::fs::Root;

/// A directory that a server serves, and a session with it.
pub(super) struct World {
    pub(super) sftp: Sftp,
    folder: TempDir,
    open: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Policy::default(), 0).await
    }

    /// Everything takes `delay` milliseconds each way.
    pub(super) async fn with(policy: Policy, delay: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.policy = policy;
        let mut server = Server::new(Root::open(folder.path()).unwrap(), &config);
        let (open, writes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (opened, written) = (Arc::clone(&open), Arc::clone(&writes));
        server.observe(Box::new(move |request, code| match (request, code) {
            (FromClient::Open(_) | FromClient::Opendir(_), StatusCode::Ok) => {
                opened.fetch_add(1, Ordering::SeqCst);
            }
            (FromClient::Close(_), StatusCode::Ok) => {
                opened.fetch_sub(1, Ordering::SeqCst);
            }
            (FromClient::Write(_), _) => {
                written.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }));
        let (ours, theirs) = duplex(1 << 20);
        let (far, near) = if delay == 0 {
            (theirs, None)
        } else {
            let (far, near) = duplex(1 << 20);
            (far, Some((theirs, near)))
        };
        if let Some((one, other)) = near {
            let (one_read, one_write) = split(one);
            let (other_read, other_write) = split(other);
            tokio::spawn(carry(one_read, other_write, delay));
            tokio::spawn(carry(other_read, one_write, delay));
        }
        tokio::spawn(serve(server, far));
        let sftp = Sftp::over(ours).await.unwrap();
        Self { sftp, folder, open, writes }
    }

    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Files and directories that are open on the server.
    pub(super) fn open_handles(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// WRITEs that came.
    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// Waits until the server has looked at everything that was sent: it answers in order.
    pub(super) async fn settled(&self) {
        self.sftp.canonicalize(".").await.unwrap();
    }
}

/// A session with a server that answers as `answer` says; it gets each request and appends replies.
pub(super) async fn scripted(
    mut answer: impl FnMut(FromClient<'_>, &mut Vec<u8>) + Send + 'static,
) -> Sftp {
    let (ours, mut theirs) = duplex(1 << 20);
    tokio::spawn(async move {
        while let Ok(len) = theirs.read_u32().await {
            let mut packet = vec![0; usize::try_from(len).unwrap()];
            if theirs.read_exact(&mut packet).await.is_err() {
                return;
            }
            let mut out = Vec::new();
            match FromClient::parse(&packet).unwrap() {
                FromClient::Init(_) => put_packet(&mut out, &Rest(&[2, 0, 0, 0, 3])),
                request => answer(request, &mut out),
            }
            if theirs.write_all(&out).await.is_err() {
                return;
            }
        }
    });
    Sftp::over(ours).await.unwrap()
}

/// Milliseconds since `start`.
pub(super) fn millis(start: Instant) -> u128 {
    start.elapsed().as_millis()
}

async fn serve(mut server: Server<Root>, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut input, mut output) = (vec![0; 1 << 18], Vec::new());
    while let Ok(n @ 1..) = stream.read(&mut input).await {
        let mut rest = &input[..n];
        while !rest.is_empty() {
            let taken = server.feed(rest, &mut output).unwrap();
            rest = &rest[taken..];
            if stream.write_all(&output).await.is_err() {
                return;
            }
            output.clear();
        }
    }
}

/// Moves bytes, each after the delay.
async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    delay: u64,
) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buf = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buf).await {
        let due = Instant::now() + Duration::from_millis(delay);
        if sender.send((due, buf[..n].to_vec())).is_err() {
            return;
        }
    }
}
