//! Standard input and output as streams of large chunks.
//!
//! Each descriptor has a thread of its own that blocks in the system call. So the descriptors
//! stay as the parent process gave them: making them non-blocking would make them so for every
//! program that shares the terminal. Chunks go round: a buffer that was used comes back.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::mpsc as std_mpsc,
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use tokio::sync::mpsc;

/// The size of a chunk: enough that a thousand of them a second keep a fast link full.
pub(crate) const CHUNK: usize = 256 * 1024;

/// How many chunks are on the way at once: one being filled, one being used, one between.
const IN_FLIGHT: usize = 2;

/// What pipes are made to hold where the system lets us: fewer and larger reads and writes.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PIPE_SIZE: usize = 1024 * 1024;

/// A buffer, and how much of it is filled.
#[derive(Debug)]
pub(crate) struct Chunk {
    buffer: Box<[u8]>,
    filled: usize,
}

impl Chunk {
    fn new() -> Self {
        Self { buffer: vec![0; CHUNK].into_boxed_slice(), filled: 0 }
    }

    /// The bytes in it.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    /// All of its room, to be filled from the start.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Says how much was put in.
    pub(crate) fn set_filled(&mut self, filled: usize) {
        self.filled = filled.min(self.buffer.len());
    }
}

fn enlarge_pipe(fd: BorrowedFd<'_>) {
    // It may be no pipe, or beyond the user's limit: then it stays as it is.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        _ = rustix::pipe::fcntl_setpipe_size(fd, PIPE_SIZE);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        _ = fd;
    }
}

/// Waits until a descriptor that somebody made non-blocking is ready.
fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags) -> Result<(), Errno> {
    match poll(&mut [PollFd::new(&fd, flags)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

fn read_some(fd: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(fd, &mut *room) {
            Ok(count) => return Ok(count),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::IN)?,
            Err(error) => return Err(error.into()),
        }
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::OUT)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A descriptor being read by a thread.
#[derive(Debug)]
pub(crate) struct Input {
    chunks: mpsc::Receiver<io::Result<Chunk>>,
    used: std_mpsc::Sender<Chunk>,
}

impl Input {
    /// Begins to read a descriptor. The thread ends with the data or with the program; one that
    /// waits for a key to be pressed cannot be stopped.
    pub(crate) fn new(fd: OwnedFd, name: &'static str) -> io::Result<Self> {
        use std::os::fd::AsFd;
        let (to_user, chunks) = mpsc::channel(IN_FLIGHT);
        let (used, from_user) = std_mpsc::channel::<Chunk>();
        enlarge_pipe(fd.as_fd());
        let work = move || {
            loop {
                let mut chunk = from_user.try_recv().unwrap_or_else(|_| Chunk::new());
                let item = match read_some(fd.as_fd(), chunk.room()) {
                    Ok(0) => return,
                    Ok(count) => {
                        chunk.set_filled(count);
                        Ok(chunk)
                    }
                    Err(error) => Err(error),
                };
                let failed = item.is_err();
                if to_user.blocking_send(item).is_err() || failed {
                    return;
                }
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self { chunks, used })
    }

    /// Begins to read standard input.
    pub(crate) fn stdin() -> io::Result<Self> {
        Self::new(rustix::io::dup(rustix::stdio::stdin())?, "stdin")
    }

    /// The next bytes; `None` at the end. Safe to cancel: nothing is lost.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Chunk>> {
        self.chunks.recv().await.transpose()
    }

    /// Gives a chunk back, to be filled again.
    pub(crate) fn give_back(&self, chunk: Chunk) {
        // After the end of the data there is nobody to take it.
        drop(self.used.send(chunk));
    }
}

/// A descriptor being written by a thread.
#[derive(Debug)]
pub(crate) struct Output {
    chunks: mpsc::Sender<Chunk>,
    used: mpsc::Receiver<Chunk>,
    spare: Vec<Chunk>,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Output {
    /// Begins to write to a descriptor.
    pub(crate) fn new(fd: OwnedFd, name: &'static str) -> io::Result<Self> {
        use std::os::fd::AsFd;
        let (chunks, mut from_user) = mpsc::channel::<Chunk>(IN_FLIGHT);
        let (to_user, used) = mpsc::channel(IN_FLIGHT.saturating_add(2));
        enlarge_pipe(fd.as_fd());
        let work = move || {
            while let Some(chunk) = from_user.blocking_recv() {
                write_all(fd.as_fd(), chunk.bytes())?;
                // The user may be gone already; the rest is written all the same.
                drop(to_user.try_send(chunk));
            }
            Ok(())
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self { chunks, used, spare: Vec::new(), thread })
    }

    /// Begins to write to standard output.
    pub(crate) fn stdout() -> io::Result<Self> {
        Self::new(rustix::io::dup(rustix::stdio::stdout())?, "stdout")
    }

    /// Begins to write to standard error.
    pub(crate) fn stderr() -> io::Result<Self> {
        Self::new(rustix::io::dup(rustix::stdio::stderr())?, "stderr")
    }

    /// An empty chunk.
    pub(crate) fn chunk(&mut self) -> Chunk {
        while let Ok(chunk) = self.used.try_recv() {
            self.spare.push(chunk);
        }
        self.spare.pop().unwrap_or_else(Chunk::new)
    }

    /// Hands a chunk to be written, when there is room. False if nothing can be written any
    /// more; [`Output::finish`] says why.
    pub(crate) async fn write(&self, chunk: Chunk) -> bool {
        self.chunks.send(chunk).await.is_ok()
    }

    /// Waits until everything is written.
    pub(crate) async fn finish(self) -> io::Result<()> {
        drop(self.chunks);
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(result)) => result,
            _ => Err(io::Error::other("the thread that writes has panicked")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    /// Bytes that differ from their neighbours for a long way.
    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
    }

    /// Puts as much of `bytes` into `chunk` as fits.
    fn fill(chunk: &mut Chunk, bytes: &[u8]) -> usize {
        let count = bytes.len().min(CHUNK);
        chunk.room()[..count].copy_from_slice(&bytes[..count]);
        chunk.set_filled(count);
        count
    }

    async fn through(flags: PipeFlags) -> (Vec<u8>, Vec<u8>) {
        let (reader, writer) = pipe_with(flags).unwrap();
        let sent = sample(3 * CHUNK + 17);
        let mut output = Output::new(writer, "out").unwrap();
        let mut input = Input::new(reader, "in").unwrap();
        let send = async {
            let mut rest = sent.as_slice();
            while !rest.is_empty() {
                let mut chunk = output.chunk();
                let count = fill(&mut chunk, rest);
                rest = &rest[count..];
                assert!(output.write(chunk).await);
            }
            output.finish().await.unwrap();
        };
        let receive = async {
            let mut got = Vec::new();
            while let Some(chunk) = input.next().await.unwrap() {
                got.extend_from_slice(chunk.bytes());
                input.give_back(chunk);
            }
            got
        };
        let ((), got) = tokio::join!(send, receive);
        (sent, got)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_lost_on_the_way_and_the_end_is_seen() {
        let (sent, got) = through(PipeFlags::empty()).await;
        assert_eq!(sent, got);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn descriptors_that_do_not_block_are_waited_for() {
        let (sent, got) = through(PipeFlags::NONBLOCK).await;
        assert_eq!(sent, got);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_that_is_gone_is_told() {
        let (reader, writer) = pipe_with(PipeFlags::empty()).unwrap();
        let mut output = Output::new(writer, "out").unwrap();
        drop(reader);
        loop {
            let mut chunk = output.chunk();
            fill(&mut chunk, b"x");
            if !output.write(chunk).await {
                break;
            }
        }
        let error = output.finish().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
