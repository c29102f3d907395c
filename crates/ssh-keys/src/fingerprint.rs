//! Fingerprints: `SHA256:` and base64 without padding, as OpenSSH has shown them since 6.8; `MD5:`
//! and pairs of digits, as it did before; and a picture.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use ssh_crypto::hash::{HashAlgorithm, digest};

use crate::{PublicKey, base64, certificate::Identity};

/// The SHA-256 of a public key blob: short enough to be read by a person.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of the key with this blob. The blob need not be of a known type.
    #[must_use]
    pub fn of_blob(blob: &[u8]) -> Self {
        Self(hash(HashAlgorithm::Sha256, blob))
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The picture that `ssh-keygen -lv` shows of the fingerprint of `identity`.
    #[must_use]
    pub fn randomart(identity: &Identity) -> String {
        randomart(&title(identity), "[SHA256]", &identity.key().fingerprint().0)
    }
}

/// `SHA256:` and 43 characters, as `ssh-keygen -l` shows it.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256:")?;
        f.write_str(&base64::encode_unpadded(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The MD5 of a public key blob, to compare with what was written down long ago. It says less than
/// it should: others can be made that have the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Md5Fingerprint([u8; 16]);

impl Md5Fingerprint {
    /// The fingerprint of the key with this blob. The blob need not be of a known type.
    #[must_use]
    pub fn of_blob(blob: &[u8]) -> Self {
        Self(hash(HashAlgorithm::Md5, blob))
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The picture that `ssh-keygen -lv -E md5` shows of the fingerprint of `identity`.
    #[must_use]
    pub fn randomart(identity: &Identity) -> String {
        let fingerprint = Self::of_blob(identity.key().blob());
        randomart(&title(identity), "[MD5]", &fingerprint.0)
    }
}

/// `MD5:` and sixteen pairs of digits, as `ssh-keygen -l -E md5` shows it.
impl fmt::Display for Md5Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MD5")?;
        self.0.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

impl fmt::Debug for Md5Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(crate) fn hash<const N: usize>(algorithm: HashAlgorithm, bytes: &[u8]) -> [u8; N] {
    let digest = digest(algorithm, bytes);
    let mut hash = [0; N];
    for (to, from) in hash.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    hash
}

const WIDTH: usize = 17;
const HEIGHT: usize = 9;
/// How a place is drawn that was visited so many times; then the start, and the end.
const VISITS: &[u8] = b" .o+=*BOX@%&#/^";

/// What stands above the picture: type and size, or the type alone if that is too much.
fn title(identity: &Identity) -> String {
    let key: &PublicKey = identity.key();
    let certified = if identity.certificate().is_some() { "-CERT" } else { "" };
    let kind = format!("{}{certified}", key.key_type().short_name());
    let mut title = format!("[{kind} {}]", key.bits());
    if title.len() > WIDTH {
        title = format!("[{kind}]");
    }
    // As OpenSSH cuts it.
    title.truncate(WIDTH.saturating_sub(1));
    title
}

/// A drunken bishop, who takes a step in one of four directions for each two bits and cannot leave
/// the room (key.c of OpenSSH; "The drunken bishop", Loss, Limmer, von Gernler, 2009).
fn randomart(title: &str, hash: &str, bytes: &[u8]) -> String {
    let (mut x, mut y) = (WIDTH / 2, HEIGHT / 2);
    let start = (x, y);
    let mut visits = Vec::new();
    let step = |at: usize, forward: bool, end: usize| {
        if forward { at.saturating_add(1).min(end.saturating_sub(1)) } else { at.saturating_sub(1) }
    };
    for byte in bytes {
        for shift in [0, 2, 4, 6] {
            x = step(x, byte >> shift & 1 != 0, WIDTH);
            y = step(y, byte >> shift & 2 != 0, HEIGHT);
            visits.push((x, y));
        }
    }
    let mut picture = border(title);
    for row in 0..HEIGHT {
        picture.push_str("\n|");
        for column in 0..WIDTH {
            let at = (column, row);
            let count = visits.iter().filter(|visit| **visit == at).count();
            picture.push(match VISITS.get(count).or(VISITS.last()) {
                _ if at == (x, y) => 'E',
                _ if at == start => 'S',
                Some(byte) => char::from(*byte),
                None => ' ',
            });
        }
        picture.push('|');
    }
    picture.push('\n');
    picture.push_str(&border(hash));
    picture
}

fn border(text: &str) -> String {
    let space = WIDTH.saturating_sub(text.len());
    let left = space / 2;
    format!("+{}{text}{}+", "-".repeat(left), "-".repeat(space.saturating_sub(left)))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::testing;

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        for name in [
            "ed25519_1",
            "ed25519_2",
            "ecdsa_1",
            "ecdsa_2",
            "rsa_2",
            "ed25519_sk1",
            "ed25519_sk2",
            "ecdsa_sk1",
            "ecdsa_sk2",
            "mldsa44_ed25519_1",
            "mldsa44_ed25519_2",
        ] {
            let key = testing::public(&std::format!("openssh/{name}.pub"));
            let expected = testing::text(&std::format!("openssh/{name}.fp"));
            assert_eq!(key.fingerprint().to_string(), expected.trim_end(), "{name}");
        }
    }

    #[test]
    fn a_certificate_has_the_fingerprint_of_its_key() {
        for name in ["ed25519_1", "ecdsa_1", "ed25519_sk1", "ecdsa_sk1", "mldsa44_ed25519_1"] {
            let text = testing::text(&std::format!("openssh/{name}-cert.pub"));
            let (identity, _) = Identity::from_openssh(&text).unwrap();
            let expected = testing::text(&std::format!("openssh/{name}-cert.fp"));
            assert_eq!(identity.key().fingerprint().to_string(), expected.trim_end(), "{name}");
        }
    }

    /// As `ssh-keygen -lv` and `ssh-keygen -lv -E md5` of OpenSSH 9.2 show them.
    #[test]
    fn md5_and_pictures_are_those_of_ssh_keygen() {
        let identity = Identity::Key(testing::public("openssh/ed25519_1.pub"));
        assert_eq!(
            Fingerprint::randomart(&identity),
            testing::text("randomart/ed25519_1.sha256").trim_end()
        );
        assert_eq!(
            Md5Fingerprint::randomart(&identity),
            testing::text("randomart/ed25519_1.md5").trim_end()
        );
        let (certified, _) =
            Identity::from_openssh(&testing::text("openssh/ecdsa_1-cert.pub")).unwrap();
        assert_eq!(
            Fingerprint::randomart(&certified),
            testing::text("randomart/ecdsa_1-cert.sha256").trim_end()
        );
        let md5 = Md5Fingerprint::of_blob(identity.key().blob()).to_string();
        assert_eq!(md5, testing::text("randomart/ed25519_1.md5.fp").trim_end());
    }
}
