//! Private key files that the user names: of the client and of the server.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
};

use chiton::keys::{PrivateKey, PrivateKeyError, PublicKey};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result, show_path};

/// The largest key file that is read: an RSA key of 16384 bits takes 13 KiB.
const MAX_KEY_FILE: u64 = 1024 * 1024;

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
    let shown = show_path(path);
    let cannot = |error| Failure::local("read the key file", path, &error);
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    let mut text = Zeroizing::new(Vec::new());
    let read = file.take(MAX_KEY_FILE.saturating_add(1)).read_to_end(&mut text).map_err(cannot)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_KEY_FILE) {
        return Err(Failure::new(format_args!("{shown} is too large for a key file")));
    }
    let key = match PrivateKey::from_openssh(&text, None) {
        Ok(key) => KeyFile::Plain(key),
        Err(PrivateKeyError::Encrypted) => KeyFile::Encrypted,
        Err(error) => {
            return Err(Failure::new(format_args!("cannot use the key file {shown}: {error}")));
        }
    };
    check_permissions(path, &metadata)?;
    Ok(key)
}

/// The public half of the key in a file, whatever can be read of it: of the file itself, which may
/// hold nothing else, or of the one beside it with `.pub`.
pub(crate) fn public(path: &Path) -> Option<PublicKey> {
    let read = |path: &Path| {
        let mut text = Zeroizing::new(Vec::new());
        File::open(path).ok()?.take(MAX_KEY_FILE).read_to_end(&mut text).ok()?;
        Some(text)
    };
    let text = read(path)?;
    if let Ok(public) = PrivateKey::public_from_openssh(&text) {
        return Some(public);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    [Some(text), read(Path::new(&beside))].into_iter().flatten().find_map(|text| {
        let text = core::str::from_utf8(&text).ok()?;
        PublicKey::from_openssh(text).ok().map(|(key, _)| key)
    })
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
