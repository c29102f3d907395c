//! The files under `testdata/`, for the tests of this crate.

use alloc::{string::String, vec::Vec};
use std::path::PathBuf;

use crate::{PrivateKey, PublicKey};

/// What the files `*_pw` of OpenSSH's test data are encrypted with.
pub(crate) const OPENSSH_PASSPHRASE: &[u8] = b"mekmitasdigoat";
/// What the files `*_enc_*` are encrypted with.
pub(crate) const PASSPHRASE: &[u8] = b"correct horse";

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap()
}

pub(crate) fn public(name: &str) -> PublicKey {
    PublicKey::from_openssh(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}")).0
}

pub(crate) fn private(name: &str) -> PrivateKey {
    PrivateKey::parse(&bytes(name), None).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// A line of a key that is nobody's: the Ed25519 blob with the point bytes all `byte`.
pub(crate) fn some_key(byte: u8) -> (PublicKey, String) {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend([byte; 32]);
    let key = PublicKey::from_blob(&blob).unwrap();
    let line = key.to_openssh("");
    (key, line)
}
