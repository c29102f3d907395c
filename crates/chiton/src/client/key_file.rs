//! Private key files: read when their turn comes, unlocked only when the server wants the key.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use ssh_crypto::Secret;
use ssh_keys::{Certificate, PrivateKey, PrivateKeyError, PublicKey, ReadLimits};

use crate::error::{Error, KeyFileError};

/// The largest key file that is read: an RSA key of 16384 bits takes 13 KiB.
const MAX_KEY_FILE: u64 = 1024 * 1024;

/// Asks a person for a secret; `None` means that they gave none. Runs where it may block.
pub(super) type Ask = Arc<dyn Fn(&str) -> Option<Secret<String>> + Send + Sync>;

/// Who to ask for a passphrase, and how often.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) ask: Ask,
    pub(super) times: u32,
}

/// What is in a key file.
pub(super) enum KeyFile {
    Plain(PrivateKey),
    Encrypted(EncryptedKey),
}

/// A key that has to be unlocked before it can sign.
pub(super) struct EncryptedKey {
    path: PathBuf,
    text: Secret<Vec<u8>>,
    public: PublicKey,
    limits: ReadLimits,
}

fn unusable(path: &Path, kind: PrivateKeyError) -> Error {
    Error::KeyFile(Arc::new(KeyFileError { path: path.to_owned(), kind }))
}

/// Reads a key file. May block on the disk.
pub(super) fn read(path: &Path, limits: &ReadLimits) -> Result<KeyFile, Error> {
    let text = read_bounded(path, MAX_KEY_FILE);
    let text = Secret::new(text.map_err(|error| Error::local("read the key file", path, error))?);
    match PrivateKey::parse_with(text.expose(), None, limits) {
        Ok(key) => Ok(KeyFile::Plain(key)),
        Err(PrivateKeyError::Encrypted) => {
            let public = match PrivateKey::parse_public(text.expose()) {
                Err(PrivateKeyError::Encrypted) => public_beside(path),
                public => public,
            };
            let public = public.map_err(|kind| unusable(path, kind))?;
            let (path, limits) = (path.to_owned(), *limits);
            Ok(KeyFile::Encrypted(EncryptedKey { path, text, public, limits }))
        }
        Err(kind) => Err(unusable(path, kind)),
    }
}

impl KeyFile {
    /// The public half.
    pub(super) fn public(&self) -> &PublicKey {
        match self {
            Self::Plain(key) => key.public(),
            Self::Encrypted(locked) => locked.public(),
        }
    }
}

/// The certificate that stands beside a key file, if one does and it is one. May block on the disk.
pub(super) fn certificate(path: &Path) -> Option<Certificate> {
    let mut name = path.as_os_str().to_owned();
    name.push("-cert.pub");
    let text = read_bounded(Path::new(&name), MAX_KEY_FILE).ok()?;
    Certificate::from_openssh(core::str::from_utf8(&text).ok()?).ok().map(|(cert, _)| cert)
}

/// The public half of a key whose own file is encrypted as a whole, as old formats are: from the
/// file with `.pub` behind its name.
fn public_beside(path: &Path) -> Result<PublicKey, PrivateKeyError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let text = read_bounded(Path::new(&beside), MAX_KEY_FILE);
    let text = text.ok().and_then(|text| String::from_utf8(text).ok());
    let (public, _) = PublicKey::parse(&text.ok_or(PrivateKeyError::Encrypted)?)?;
    Ok(public)
}

impl EncryptedKey {
    /// The half that needs no passphrase.
    pub(super) const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The error of a key that cannot be unlocked because nobody is there to ask.
    pub(super) fn locked(&self) -> Error {
        unusable(&self.path, PrivateKeyError::Encrypted)
    }

    /// Asks for the passphrase until it fits. May block on a person, and on each passphrase as
    /// long as the file demands.
    pub(super) fn unlock(&self, asking: &Asking) -> Result<PrivateKey, Error> {
        let mut question = format!("Enter passphrase for key '{}': ", self.path.display());
        let mut kind = PrivateKeyError::Encrypted;
        for _ in 0..asking.times {
            let Some(secret) = (asking.ask)(&question) else { break };
            let passphrase = secret.expose().as_bytes();
            match PrivateKey::parse_with(self.text.expose(), Some(passphrase), &self.limits) {
                Ok(key) if *key.public() != self.public => {
                    return Err(unusable(&self.path, PrivateKeyError::Mismatch));
                }
                Ok(key) => return Ok(key),
                Err(PrivateKeyError::WrongPassphrase) => kind = PrivateKeyError::WrongPassphrase,
                Err(other) => return Err(unusable(&self.path, other)),
            }
            question = format!("Bad passphrase, try again for {}: ", self.path.display());
        }
        Err(unusable(&self.path, kind))
    }
}

/// Reads a file, or a device or pipe in its place, of at most `limit` bytes.
pub(super) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > limit) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Made with `ssh-keygen -t ed25519 -a 1`; the passphrase is "open sesame".
    const ENCRYPTED: &str = include_str!("testdata/encrypted_ed25519");

    fn encrypted() -> EncryptedKey {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        std::fs::write(&path, ENCRYPTED).unwrap();
        match read(&path, &ReadLimits::USUAL).unwrap() {
            KeyFile::Encrypted(key) => key,
            KeyFile::Plain(_) => panic!("it has no passphrase"),
        }
    }

    /// Answers one after the other, and the questions they were given to.
    fn asking(times: u32, answers: &'static [&'static str]) -> (Asking, Arc<Mutex<Vec<String>>>) {
        let questions = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&questions);
        let ask = move |question: &str| {
            let mut asked = asked.lock().unwrap();
            let answer = answers.get(asked.len());
            asked.push(question.to_owned());
            answer.map(|answer| Secret::new((*answer).to_owned()))
        };
        (Asking { ask: Arc::new(ask), times }, questions)
    }

    fn kind(result: Result<PrivateKey, Error>) -> PrivateKeyError {
        match result {
            Err(Error::KeyFile(error)) => error.kind.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_passphrase_is_asked_for_until_it_fits() {
        let key = encrypted();
        let (asking, questions) = asking(3, &["wrong", "open sesame"]);
        let unlocked = key.unlock(&asking).unwrap();
        assert_eq!(unlocked.public(), key.public());
        let questions = questions.lock().unwrap();
        assert_eq!(questions.len(), 2);
        assert!(questions[0].starts_with("Enter passphrase for key '"), "{questions:?}");
        assert!(questions[1].starts_with("Bad passphrase, try again for "), "{questions:?}");
    }

    #[test]
    fn nobody_is_asked_more_often_than_allowed_nor_after_declining() {
        let key = encrypted();
        let (two, questions) = asking(2, &["a", "b", "open sesame"]);
        assert_eq!(kind(key.unlock(&two)), PrivateKeyError::WrongPassphrase);
        assert_eq!(questions.lock().unwrap().len(), 2);
        let (declining, questions) = asking(5, &[]);
        assert_eq!(kind(key.unlock(&declining)), PrivateKeyError::Encrypted);
        assert_eq!(questions.lock().unwrap().len(), 1);
        let (never, questions) = asking(0, &["open sesame"]);
        assert_eq!(kind(key.unlock(&never)), PrivateKeyError::Encrypted);
        assert!(questions.lock().unwrap().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = read_bounded(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(read_bounded(Path::new("/dev/null"), 0).unwrap().is_empty());
    }
}
