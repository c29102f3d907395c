//! Standard input and output as streams of large chunks.
//!
//! Each descriptor has a thread of its own that blocks in the system call. So the descriptors
//! stay as the parent process gave them: making them non-blocking would make them so for every
//! program that shares the terminal. Chunks go round: a buffer that was used comes back.
//!
//! Output that can be written without waiting is not handed to the thread: that costs more than
//! the writing.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, mpsc as std_mpsc},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{FileType, fstat},
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

/// A buffer, how much of it is filled, and how much of that was written.
#[derive(Debug)]
pub(crate) struct Chunk {
    buffer: Box<[u8]>,
    filled: usize,
    written: usize,
}

impl Chunk {
    fn new() -> Self {
        Self { buffer: vec![0; CHUNK].into_boxed_slice(), filled: 0, written: 0 }
    }

    /// The bytes in it that are left.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.written..self.filled).unwrap_or_default()
    }

    /// All of its room, to be filled from the start.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Says how much was put in.
    pub(crate) fn set_filled(&mut self, filled: usize) {
        self.filled = filled.min(self.buffer.len());
        self.written = 0;
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

/// When a descriptor can be written without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// Files wait for nobody, nor does `/dev/null`.
    Never,
    /// Pipes and sockets wait when they are full; the system can be asked to say so instead.
    WhenFull,
    /// Nobody knows: terminals.
    Perhaps,
}

impl Waits {
    fn of(fd: BorrowedFd<'_>) -> Self {
        let Ok(stat) = fstat(fd) else { return Self::Perhaps };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Self::Never,
            FileType::CharacterDevice if is_null(stat.st_rdev) => Self::Never,
            FileType::Fifo | FileType::Socket => Self::WhenFull,
            _ => Self::Perhaps,
        }
    }
}

/// True for the number of `/dev/null`.
fn is_null(device: rustix::fs::Dev) -> bool {
    rustix::fs::stat("/dev/null").is_ok_and(|null| null.st_rdev == device)
}

/// Writes what there is room for.
#[cfg(target_os = "linux")]
fn write_if_room(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    use rustix::io::{ReadWriteFlags, pwritev2};
    // The offset -1 stands for none.
    pwritev2(fd, &[io::IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT)
}

/// Other systems cannot be asked for that.
#[cfg(not(target_os = "linux"))]
fn write_if_room(_: BorrowedFd<'_>, _: &[u8]) -> Result<usize, Errno> {
    Err(Errno::OPNOTSUPP)
}

/// A descriptor being written, by a thread where that has to wait.
#[derive(Debug)]
pub(crate) struct Output {
    fd: Arc<OwnedFd>,
    waits: Waits,
    chunks: mpsc::Sender<Chunk>,
    used: mpsc::Receiver<Chunk>,
    spare: Vec<Chunk>,
    /// Chunks that the thread has and did not give back.
    handed: usize,
    /// Why nothing can be written any more, if the thread does not know it.
    failed: Option<io::Error>,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Output {
    /// Begins to write to a descriptor.
    pub(crate) fn new(fd: OwnedFd, name: &'static str) -> io::Result<Self> {
        let (chunks, mut from_user) = mpsc::channel::<Chunk>(IN_FLIGHT);
        let (to_user, used) = mpsc::channel(IN_FLIGHT.saturating_add(2));
        enlarge_pipe(fd.as_fd());
        let fd = Arc::new(fd);
        let shared = Arc::clone(&fd);
        let work = move || {
            while let Some(chunk) = from_user.blocking_recv() {
                write_all(shared.as_fd(), chunk.bytes())?;
                // The user may be gone already; the rest is written all the same.
                drop(to_user.try_send(chunk));
            }
            Ok(())
        };
        let waits = Waits::of(fd.as_fd());
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self { fd, waits, chunks, used, spare: Vec::new(), handed: 0, failed: None, thread })
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
        self.collect();
        self.spare.pop().unwrap_or_else(Chunk::new)
    }

    /// Takes back what the thread has written.
    fn collect(&mut self) {
        while let Ok(chunk) = self.used.try_recv() {
            self.handed = self.handed.saturating_sub(1);
            self.spare.push(chunk);
        }
    }

    /// Writes a chunk, or hands it to be written, when there is room. False if nothing can be
    /// written any more; [`Output::finish`] says why.
    pub(crate) async fn write(&mut self, mut chunk: Chunk) -> bool {
        self.collect();
        // Behind what the thread has, nothing overtakes it.
        if self.handed == 0
            && let Err(error) = self.write_now(&mut chunk)
        {
            self.failed = Some(error);
            return false;
        }
        if chunk.bytes().is_empty() {
            self.spare.push(chunk);
            // Others have their turn, even if there is always more to write.
            tokio::task::coop::consume_budget().await;
            return true;
        }
        self.handed = self.handed.saturating_add(1);
        self.chunks.send(chunk).await.is_ok()
    }

    /// Writes what can be written without waiting.
    fn write_now(&mut self, chunk: &mut Chunk) -> io::Result<()> {
        while !chunk.bytes().is_empty() {
            let written = match self.waits {
                Waits::Never => rustix::io::write(&self.fd, chunk.bytes()),
                Waits::WhenFull => write_if_room(self.fd.as_fd(), chunk.bytes()),
                Waits::Perhaps => return Ok(()),
            };
            match written {
                Ok(count) => chunk.written = chunk.written.saturating_add(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                // An older system, or something that cannot tell.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::SPIPE)
                    if self.waits == Waits::WhenFull =>
                {
                    self.waits = Waits::Perhaps;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until everything is written.
    pub(crate) async fn finish(self) -> io::Result<()> {
        drop(self.chunks);
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        let written = match joined {
            Ok(Ok(result)) => result,
            _ => Err(io::Error::other("the thread that writes has panicked")),
        };
        match self.failed {
            Some(error) => Err(error),
            None => written,
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

    async fn write_all_of(output: &mut Output, mut rest: &[u8]) {
        while !rest.is_empty() {
            let mut chunk = output.chunk();
            let count = fill(&mut chunk, rest);
            rest = &rest[count..];
            assert!(output.write(chunk).await);
        }
    }

    /// All on one thread: were it to wait for the reader, nothing would go on.
    #[tokio::test]
    async fn a_full_pipe_holds_up_nothing_else_and_keeps_the_order() {
        let (reader, writer) = pipe_with(PipeFlags::empty()).unwrap();
        let sent = sample(12 * CHUNK + 17);
        let (go, wait) = std_mpsc::channel();
        let read = thread::spawn(move || {
            wait.recv().unwrap();
            let mut all = vec![0; 20 * CHUNK];
            let mut filled = 0;
            loop {
                // Small pieces, so that there is room now and then.
                let end = all.len().min(filled + 10_000);
                match read_some(reader.as_fd(), &mut all[filled..end]).unwrap() {
                    0 => break,
                    count => filled += count,
                }
            }
            all.truncate(filled);
            all
        });
        let mut output = Output::new(writer, "out").unwrap();
        let expected = sent.clone();
        let write = tokio::spawn(async move {
            write_all_of(&mut output, &sent).await;
            output.finish().await.unwrap();
        });
        tokio::time::sleep(core::time::Duration::from_millis(20)).await;
        assert!(!write.is_finished(), "it holds no more than a pipe does");
        go.send(()).unwrap();
        write.await.unwrap();
        assert!(read.join().unwrap() == expected);
    }

    #[tokio::test]
    async fn a_file_is_written_at_once_and_in_order() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut output = Output::new(file.reopen().unwrap().into(), "out").unwrap();
        let sent = sample(3 * CHUNK + 17);
        write_all_of(&mut output, &sent).await;
        assert_eq!((output.waits, output.handed), (Waits::Never, 0));
        assert!(std::fs::read(file.path()).unwrap() == sent);
        output.finish().await.unwrap();
    }

    #[tokio::test]
    async fn a_pipe_with_room_and_the_null_device_need_no_thread() {
        let (reader, writer) = pipe_with(PipeFlags::empty()).unwrap();
        let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
        for fd in [writer, null.into()] {
            let mut output = Output::new(fd, "out").unwrap();
            write_all_of(&mut output, b"little").await;
            assert_eq!(output.handed, usize::from(output.waits == Waits::Perhaps));
            assert!(cfg!(not(target_os = "linux")) || output.waits != Waits::Perhaps);
            output.finish().await.unwrap();
        }
        assert_eq!(read_some(reader.as_fd(), &mut [0; 10]).unwrap(), 6);
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
