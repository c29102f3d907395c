//! RFC 4252 §7: what a user's key signs.
//!
//! This is the only place that writes it, for the client that signs and for the server that
//! verifies. Each builds it from its own session identifier, never from what the other sent, so a
//! signature made for one session says nothing in another.

use alloc::vec::Vec;

use ssh_keys::{Identity, algorithm::SignatureAlgorithm};
use ssh_wire::{Encode, Message, proof::SessionId};

use crate::{
    message::{CONNECTION_SERVICE, UserauthRequest},
    method::Method,
};

/// The bytes that are signed to log in as `user` with the key `key_blob`, for the service
/// `ssh-connection`.
#[must_use]
pub fn signed_data(
    session: &SessionId,
    user: &str,
    algorithm: SignatureAlgorithm,
    key_blob: &[u8],
) -> Vec<u8> {
    signed_data_of(session, user, algorithm.name(), key_blob)
}

/// The name of `algorithm` in requests for `identity`: another one for certificates. Where a type
/// of keys had a name before it was registered, the request says what the blob says.
pub(crate) fn wire_name(identity: &Identity, algorithm: SignatureAlgorithm) -> &'static str {
    match identity {
        _ if algorithm.earlier_name().is_some() => identity.name(),
        Identity::Key(_) => algorithm.name(),
        Identity::Certificate(_) => algorithm.certificate_name(),
    }
}

/// As [`signed_data`], with the name that the request has.
pub(crate) fn signed_data_of(
    session: &SessionId,
    user: &str,
    algorithm: &str,
    key_blob: &[u8],
) -> Vec<u8> {
    let mut data = Vec::new();
    session.as_bytes().encode(&mut data);
    UserauthRequest::NUMBER.encode(&mut data);
    user.encode(&mut data);
    CONNECTION_SERVICE.encode(&mut data);
    Method::PublicKey.name().encode(&mut data);
    true.encode(&mut data);
    algorithm.encode(&mut data);
    key_blob.encode(&mut data);
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MethodRequest;
    use ssh_wire::{put_string, testing::payload};

    /// RFC 4252 §7: the signed data is the session identifier and the request up to the signature.
    #[test]
    fn what_is_signed_is_the_session_and_the_request_without_its_signature() {
        let session = SessionId::of_trusted_exchange(&[7; 32]);
        let request = UserauthRequest {
            user: "alice",
            service: CONNECTION_SERVICE,
            method: MethodRequest::PublicKey {
                algorithm: "ssh-ed25519",
                key: b"blob",
                signature: Some(b""),
            },
        };
        let mut expected = Vec::new();
        put_string(&mut expected, &[7; 32]);
        expected.extend_from_slice(&payload(&request));
        expected.truncate(expected.len() - 4);
        assert_eq!(signed_data(&session, "alice", SignatureAlgorithm::Ed25519, b"blob"), expected);
    }
}
