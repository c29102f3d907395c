//! Private key files that the user names: of the client and of the server.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
};

use chiton::keys::{Certificate, PrivateKey, PrivateKeyError, PublicKey};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result, show_path};

/// The largest key file that is read: an RSA key of 16384 bits takes 13 KiB.
pub(crate) const MAX_KEY_FILE: u64 = 1024 * 1024;

/// The permission bits of others than the owner.
const OTHERS: u32 = 0o077;

/// What is in a key file.
#[derive(Debug)]
pub(crate) enum KeyFile {
    Plain(PrivateKey),
    /// It needs a passphrase.
    Encrypted,
}

/// Reads a key file. One of the user's own that others may read is refused, as OpenSSH does.
pub(crate) fn load(path: &Path) -> Result<KeyFile> {
    let (text, metadata) = read(path)?;
    let key = match PrivateKey::parse(&text, None) {
        Ok(key) => KeyFile::Plain(key),
        Err(PrivateKeyError::Encrypted) => KeyFile::Encrypted,
        Err(error) => {
            let shown = show_path(path);
            return Err(Failure::new(format_args!("cannot use the key file {shown}: {error}")));
        }
    };
    check_permissions(path, &metadata)?;
    Ok(key)
}

/// The text of a key file that is closed to others.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let (text, metadata) = read(path)?;
    check_permissions(path, &metadata)?;
    Ok(text)
}

fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, fs::Metadata)> {
    let cannot = |error| Failure::local("read the key file", path, &error);
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    let mut text = Zeroizing::new(Vec::new());
    let read = file.take(MAX_KEY_FILE.saturating_add(1)).read_to_end(&mut text).map_err(cannot)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_KEY_FILE) {
        let shown = show_path(path);
        return Err(Failure::new(format_args!("{shown} is too large for a key file")));
    }
    Ok((text, metadata))
}

/// The public half of the key in a file, and its comment where that can be read: of the file itself,
/// which may hold nothing else, or of the one beside it with `.pub`.
pub(crate) fn public(path: &Path) -> Option<(PublicKey, String)> {
    let text = read(path).map(|(text, _)| text).unwrap_or_default();
    if let Ok(public) = PrivateKey::parse_public(&text) {
        return Some((public, String::new()));
    }
    let line = |text: &[u8]| PublicKey::from_openssh(core::str::from_utf8(text).ok()?).ok();
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    line(&text).or_else(|| line(&read(Path::new(&beside)).ok()?.0))
}

/// The certificate that stands beside a key file, if one does and it is one.
pub(crate) fn certificate(path: &Path) -> Option<Certificate> {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-cert.pub");
    let (text, _) = read(Path::new(&beside)).ok()?;
    Certificate::from_openssh(core::str::from_utf8(&text).ok()?).ok().map(|(cert, _)| cert)
}

/// What somebody else owns, that is for somebody else to protect.
fn check_permissions(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if !own || !metadata.is_file() || metadata.mode() & OTHERS == 0 {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "the private key in {} is open to others (mode {:04o}); close it: chmod 600 '{}'",
        show_path(path),
        metadata.mode() & 0o7777,
        show_path(path),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiton::keys::KeyType;
    use ssh_crypto::rng::SystemRng;
    use std::os::unix::fs::PermissionsExt;

    fn failure(path: &Path) -> String {
        load(path).unwrap_err().to_string()
    }

    #[test]
    fn a_key_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        assert!(failure(&path).ends_with("id: no such file or directory"));
        let public =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAE9xnEa/6JqzdMhN6G5zeU2RD2dSUX1at1li5bjm4iV";
        fs::write(&path, public).unwrap();
        assert!(failure(&path).contains("public key"));
        assert!(failure(folder.path()).contains("directory"));
        assert!(failure(Path::new("/dev/zero")).contains("too large"));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        let key = PrivateKey::generate(KeyType::Ed25519, &mut SystemRng).unwrap();
        fs::write(&path, key.to_openssh(&mut SystemRng).expose()).unwrap();
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o644, 0o640, 0o601] {
            set(mode);
            assert!(failure(&path).contains("chmod 600"), "{mode:o}");
        }
        for mode in [0o600, 0o400, 0o700] {
            set(mode);
            assert!(matches!(load(&path), Ok(KeyFile::Plain(_))), "{mode:o}");
        }
    }
}
