//! Comparing a copy with its source: by SHA-256 where the server runs `sha256sum` for us, else by
//! reading blocks of it.

use core::time::Duration;
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

use sftp::{
    Attrs, OpenFlags, StatusCode,
    client::{Client as Codec, Response},
};
use ssh_crypto::hash::{HashAlgorithm, Hasher};
use tokio::time::timeout;

use super::{Resume, Verify, local::local_error};
use crate::{
    command::Stdio,
    error::{Error, SftpErrorKind},
    sftp::{
        RemotePath, Sftp,
        engine::{Opened, Ticket},
        expect_handle, unexpected,
    },
};

/// What is compared of the end of what is there, if the server runs nothing for us.
const TAIL: u64 = 256 * 1024;

/// What is compared of the rest: so many blocks, spread evenly, of this many bytes.
const BLOCKS: u64 = 15;
const BLOCK: u64 = 32 * 1024;

/// A server may take this long to hash, and this long more for each [`HASH_RATE`] bytes.
const PATIENCE: Duration = Duration::from_secs(10);
const HASH_RATE: u64 = 20_000_000;

/// The answer of `sha256sum` is a line; a server that says more does something else.
const MAX_ANSWER: usize = 64 * 1024;

/// Bytes of a digest, and how it is written.
const DIGEST: usize = 32;

/// What came of a comparison.
#[derive(Debug)]
pub(super) enum Checked {
    /// Whether so many bytes that are there are the beginning of the source.
    Beginning(Result<bool, SftpErrorKind>, u64),
    /// Whether a copy is the source; `None` if the server runs nothing for us.
    Whole(Result<Option<bool>, SftpErrorKind>),
}

/// What follows from a comparison.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The file is moved from here on.
    From(u64),
    /// The file is not moved.
    Refused(SftpErrorKind),
    /// The copy is whole, and may have been verified.
    Whole { verified: bool },
    /// The copy is not what it should be, or that cannot be said.
    Bad(SftpErrorKind),
}

impl Checked {
    /// What follows from it for a transfer with these settings.
    pub(super) fn verdict(self, resume: Resume, verify: Verify) -> Verdict {
        match self {
            Self::Beginning(Ok(true), there) => Verdict::From(there),
            Self::Beginning(Ok(false), _) if resume == Resume::Restart => Verdict::From(0),
            Self::Beginning(Ok(false), there) => {
                Verdict::Refused(SftpErrorKind::ResumeMismatch { there })
            }
            Self::Beginning(Err(kind), _) => Verdict::Refused(kind),
            Self::Whole(Ok(Some(true))) => Verdict::Whole { verified: true },
            Self::Whole(Ok(Some(false))) => Verdict::Bad(SftpErrorKind::ContentDiffers),
            Self::Whole(Ok(None)) if verify == Verify::Always => {
                Verdict::Bad(SftpErrorKind::CannotVerify)
            }
            Self::Whole(Ok(None)) => Verdict::Whole { verified: false },
            Self::Whole(Err(kind)) => Verdict::Bad(kind),
        }
    }
}

/// True if the first `len` bytes of a local and a remote file are the same, as far as can be seen:
/// see [`Resume::Verify`](super::Resume::Verify).
pub(super) async fn same(
    sftp: &Sftp,
    remote: &RemotePath,
    local: File,
    len: u64,
) -> Result<bool, SftpErrorKind> {
    let local = Arc::new(local);
    if let Some(theirs) = remote_hash(sftp, remote, Some(len)).await {
        let file = Arc::clone(&local);
        return Ok(blocking(move || hash(&file, Some(len))).await? == theirs);
    }
    let ticket = sftp.engine.ticket();
    let path = remote.as_bytes();
    let open =
        |client: &mut Codec, out: &mut _| client.open(path, OpenFlags::READ, &Attrs::NONE, out);
    ticket.send_in_turn(open).await?;
    let handle = expect_handle(ticket.reply().await?.1)?;
    let open = Opened::new(Arc::clone(&sftp.engine), handle);
    for (offset, len) in samples(len) {
        let theirs = read(&ticket, &open, offset, len).await?;
        let file = Arc::clone(&local);
        let ours = blocking(move || {
            let mut ours = vec![0; usize::try_from(len).unwrap_or(0)];
            file.read_exact_at(&mut ours, offset)?;
            Ok(ours)
        });
        if ours.await? != theirs {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True if a local and a remote file have the same hash; `None` if the server does not run
/// `sha256sum` for us.
pub(super) async fn whole(
    sftp: &Sftp,
    remote: &RemotePath,
    local: PathBuf,
) -> Result<Option<bool>, SftpErrorKind> {
    let Some(theirs) = remote_hash(sftp, remote, None).await else { return Ok(None) };
    let ours = tokio::task::spawn_blocking(move || {
        File::open(&local)
            .and_then(|file| hash(&file, None))
            .map_err(|source| SftpErrorKind::from(local_error("read", &local, source)))
    });
    let ours = ours.await.unwrap_or(Err(SftpErrorKind::Connection(Error::Closed)))?;
    Ok(Some(ours == theirs))
}

/// What of the first `len` bytes is compared: the offsets and lengths.
fn samples(len: u64) -> Vec<(u64, u64)> {
    let tail = len.saturating_sub(TAIL);
    let mut samples = Vec::new();
    if tail <= BLOCKS.saturating_mul(BLOCK) {
        samples.extend((tail > 0).then_some((0, tail)));
    } else {
        let step = tail.checked_div(BLOCKS).unwrap_or(tail);
        samples.extend((0..BLOCKS).map(|n| (n.saturating_mul(step), BLOCK)));
    }
    samples.push((tail, len.saturating_sub(tail)));
    samples
}

/// Reads a part of a remote file; what is behind its end is missing.
async fn read(
    ticket: &Ticket,
    open: &Opened,
    mut offset: u64,
    len: u64,
) -> Result<Vec<u8>, SftpErrorKind> {
    let mut content = Vec::new();
    let end = offset.saturating_add(len);
    while offset < end {
        let handle = open.handle()?;
        let left = u32::try_from(end.saturating_sub(offset)).unwrap_or(u32::MAX);
        let most = left.min(sftp::limits::DEFAULT_DATA);
        ticket.send_in_turn(|client, out| client.read(handle, offset, most, out)).await?;
        match ticket.reply().await?.1 {
            Response::Data(chunks) => {
                offset = offset.saturating_add(u64::try_from(chunks.len()).unwrap_or(u64::MAX));
                content.extend(chunks.into_vec());
            }
            Response::Status(status) if status.code == StatusCode::Eof => break,
            other => return Err(unexpected(other)),
        }
    }
    Ok(content)
}

/// The SHA-256 of a remote file or of its first `len` bytes, if the server says it.
///
/// A command may see other files than the session does, which may be shut up in a directory: only
/// a file of the same size counts.
async fn remote_hash(sftp: &Sftp, path: &RemotePath, len: Option<u64>) -> Option<[u8; DIGEST]> {
    // A command may begin elsewhere than the session did.
    let path = sftp.canonicalize(path.clone()).await.ok()?;
    let size = sftp.metadata(path.clone()).await.ok()?.size?;
    let command = command(path.as_bytes(), len);
    let extra = len.unwrap_or(size).checked_div(HASH_RATE).unwrap_or(0);
    let patience = PATIENCE.saturating_add(Duration::from_secs(extra));
    let (told, digest) = timeout(patience, run(sftp, command)).await.ok()??;
    (told == size).then_some(digest)
}

/// A command that tells the size of a file, and a line of `sha256sum`; every shell takes it.
fn command(path: &[u8], len: Option<u64>) -> Vec<u8> {
    let file = quote(path);
    let hash = match len {
        Some(len) => [format!("head -c {len} < ").as_bytes(), &file, b" | sha256sum"].concat(),
        None => [b"sha256sum < ".as_slice(), &file].concat(),
    };
    [b"test -r ".as_slice(), &file, b" && wc -c < ", &file, b" && ", &hash].concat()
}

async fn run(sftp: &Sftp, command: Vec<u8>) -> Option<(u64, [u8; DIGEST])> {
    let command = sftp.client.as_ref()?.command(command).stdin(Stdio::Null).stderr(Stdio::Null);
    let mut child = command.spawn().await.ok()?;
    let mut answer = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        while let Some(piece) = stdout.read_chunk().await.ok()? {
            answer.extend_from_slice(&piece);
            if answer.len() > MAX_ANSWER {
                return None;
            }
        }
    }
    child.wait().await.ok()?.success().then_some(())?;
    parse(&answer)
}

/// Reads a line with a size, and one of `sha256sum`: 64 digits, a space, and a name.
fn parse(answer: &[u8]) -> Option<(u64, [u8; DIGEST])> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let (size, line) = answer.split_at_checked(end)?;
    let size = str::from_utf8(size).ok()?.trim().parse().ok()?;
    let (digits, rest) = line.trim_ascii_start().split_at_checked(DIGEST.saturating_mul(2))?;
    rest.first().filter(|byte| byte.is_ascii_whitespace())?;
    let mut digest = [0; DIGEST];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((size, digest))
}

/// A word that no shell reads anything into.
fn quote(word: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

fn hash(file: &File, len: Option<u64>) -> io::Result<[u8; DIGEST]> {
    let mut rest = file.take(len.unwrap_or(u64::MAX));
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match rest.read(&mut buffer)? {
            0 => break,
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
    let mut digest = [0; DIGEST];
    digest.iter_mut().zip(hasher.finish().as_ref()).for_each(|(to, from)| *to = *from);
    Ok(digest)
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, SftpErrorKind> {
    let done = tokio::task::spawn_blocking(act).await;
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(local_error("read", &PathBuf::new(), source).into()),
        // A task that does not end well was cancelled with its runtime.
        Err(_) => Err(SftpErrorKind::Connection(Error::Closed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_cover_all_of_a_small_file_and_the_end_of_each() {
        for len in [1, 1000, TAIL, TAIL + 1, TAIL + BLOCKS * BLOCK] {
            let covered: u64 = samples(len).iter().map(|(_, len)| len).sum();
            assert_eq!(covered, len);
        }
        let large = samples(1 << 40);
        assert_eq!(large.len(), 16);
        assert_eq!(large[0], (0, BLOCK));
        assert_eq!(large[15], ((1 << 40) - TAIL, TAIL));
        assert!(large.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }

    #[test]
    fn only_a_line_of_sha256sum_is_a_digest() {
        let lines = format!("  17\n{}  -\n", "ab".repeat(32));
        assert_eq!(parse(lines.as_bytes()), Some((17, [0xab; 32])));
        assert_eq!(parse(b"This account is for sftp only.\n"), None);
        assert_eq!(parse(&lines.as_bytes()[..65]), None);
        assert_eq!(parse(format!("1\n{} -\n", "xy".repeat(32)).as_bytes()), None);
    }

    #[test]
    fn a_name_cannot_become_a_command() {
        assert_eq!(quote(b"a b"), b"'a b'");
        assert_eq!(quote(b"'; rm -rf /'"), br"''\''; rm -rf /'\'''");
        let told = command(b"/f", Some(5));
        assert_eq!(told, b"test -r '/f' && wc -c < '/f' && head -c 5 < '/f' | sha256sum");
    }

    #[test]
    fn the_hash_is_of_as_much_as_was_asked_for() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        std::fs::write(&path, "abcdef").unwrap();
        let of = |len| hash(&File::open(&path).unwrap(), len).unwrap();
        std::fs::write(temp.path().join("g"), "abc").unwrap();
        let short = hash(&File::open(temp.path().join("g")).unwrap(), None).unwrap();
        assert_eq!(of(Some(3)), short);
        assert_ne!(of(None), short);
        // FIPS 180-4, "abc".
        assert_eq!(short[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
