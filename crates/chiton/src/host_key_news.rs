//! OpenSSH's `PROTOCOL` §2.5: a server tells all of its host keys once a client has logged in, and
//! proves on demand that it holds them; so a client learns of new ones before the old ones go.
//!
//! ```text
//! server: hostkeys-00@openssh.com        blob, blob, …           (no reply)
//! client: hostkeys-prove-00@openssh.com  blob, blob, …           those it does not know
//! server: success                        signature, signature, … in the same order
//! ```

#[cfg(any(test, feature = "tokio"))]
use ssh_keys::SignatureAlgorithm;
use ssh_keys::{PrivateKey, PublicKey};
use ssh_wire::{Encode as _, Reader, proof::SessionId, put_string};

/// The request in which a server tells its keys.
pub(crate) const ANNOUNCE: &str = "hostkeys-00@openssh.com";
/// The request in which a client wants them proved.
pub(crate) const PROVE: &str = "hostkeys-prove-00@openssh.com";

/// Keys in one request. A host has one of each type, and another set while it changes them.
const MAX_KEYS: usize = 32;

/// How often a client may have keys proved: each costs the server signatures. Once is enough.
pub(crate) const MAX_PROOFS: u32 = 4;

/// The keys in a request; those of unknown types and certificates are passed over. `None` if it is
/// not well-formed, has more keys than a host can have, or one twice.
pub(crate) fn parse(data: &[u8]) -> Option<Vec<PublicKey>> {
    let mut keys = Vec::new();
    for blob in strings(data)? {
        let Ok(key) = PublicKey::from_blob(blob) else { continue };
        if keys.contains(&key) {
            return None;
        }
        keys.push(key);
    }
    Some(keys)
}

fn strings(data: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = Reader::new(ANNOUNCE, data);
    let mut strings = Vec::new();
    while reader.left() > 0 {
        if strings.len() >= MAX_KEYS {
            return None;
        }
        strings.push(reader.string().ok()?);
    }
    Some(strings)
}

/// What [`parse`] reads.
pub(crate) fn blobs<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> Vec<u8> {
    let mut data = Vec::new();
    for key in keys {
        put_string(&mut data, key.blob());
    }
    data
}

/// What a host key signs to prove that it is there.
fn signed(session: &SessionId, blob: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    PROVE.encode(&mut data);
    session.as_bytes().encode(&mut data);
    blob.encode(&mut data);
    data
}

/// The server's answer: a signature of each key that is asked for. `None` if one of them is not its
/// own.
pub(crate) fn prove(keys: &[PrivateKey], session: &SessionId, data: &[u8]) -> Option<Vec<u8>> {
    let mut proofs = Vec::new();
    for blob in strings(data)? {
        let key = keys.iter().find(|key| key.public().blob() == blob)?;
        let algorithm = *key.algorithms().first()?;
        put_string(&mut proofs, &key.sign(algorithm, &signed(session, blob)).ok()?);
    }
    Some(proofs)
}

/// Whether `proofs` has a good signature of each of `keys`, in order, and nothing else. RSA keys
/// sign with SHA-2.
#[cfg(any(test, feature = "tokio"))]
pub(crate) fn is_proved(keys: &[PublicKey], session: &SessionId, proofs: &[u8]) -> bool {
    let Some(proofs) = strings(proofs) else { return false };
    proofs.len() == keys.len()
        && keys.iter().zip(proofs).all(|(key, proof)| {
            let name = Reader::new(PROVE, proof).utf8().ok();
            name.and_then(SignatureAlgorithm::from_name).is_some_and(|algorithm| {
                key.verify(algorithm, &signed(session, key.blob()), proof).is_ok()
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_crypto::rng::SeededRng;
    use ssh_keys::KeyType;

    fn keys() -> Vec<PrivateKey> {
        [KeyType::Ed25519, KeyType::EcdsaP256]
            .map(|key_type| PrivateKey::generate(key_type, &mut SeededRng::new(1)).unwrap())
            .into()
    }

    fn session() -> SessionId {
        SessionId::of_trusted_exchange(&[7; 32])
    }

    #[test]
    fn keys_are_proved_for_one_session_and_in_order() {
        let keys = keys();
        let public: Vec<PublicKey> = keys.iter().map(|key| key.public().clone()).collect();
        let data = blobs(&public);
        assert_eq!(parse(&data).unwrap(), public);
        let proofs = prove(&keys, &session(), &data).unwrap();
        assert!(is_proved(&public, &session(), &proofs));
        let other = SessionId::of_trusted_exchange(&[8; 32]);
        assert!(!is_proved(&public, &other, &proofs));
        let turned: Vec<PublicKey> = public.iter().rev().cloned().collect();
        assert!(!is_proved(&turned, &session(), &proofs));
        assert!(!is_proved(&public[..1], &session(), &proofs));
        for end in 0..proofs.len() {
            assert!(!is_proved(&public, &session(), &proofs[..end]));
        }
    }

    #[test]
    fn a_server_signs_nothing_but_its_own_keys() {
        let keys = keys();
        let stranger = PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(2)).unwrap();
        let data = blobs([keys[0].public(), stranger.public()]);
        assert_eq!(prove(&keys, &session(), &data), None);
    }

    #[test]
    fn keys_that_come_twice_or_without_end_are_refused_and_unknown_ones_passed_over() {
        let keys = keys();
        assert_eq!(parse(&blobs([keys[0].public(), keys[0].public()])), None);
        let mut data = Vec::new();
        for _ in 0..=MAX_KEYS {
            put_string(&mut data, b"\0\0\0\x01x");
        }
        assert_eq!(parse(&data), None);
        assert_eq!(parse(&data[9..]), Some(vec![]));
        assert_eq!(parse(&[0, 0, 0, 9]), None);
    }
}
