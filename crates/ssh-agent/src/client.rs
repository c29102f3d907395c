//! RFC 9987 §5, the client: what is asked that is more than a message, and how the answers are
//! read.
//!
//! An agent answers requests in order, one answer for each. So a client is no state machine: it
//! sends a request, waits, and reads the answer with the function that fits.

use alloc::{string::String, vec::Vec};

use ssh_crypto::Secret;
use ssh_keys::{Certificate, PrivateKey, SignatureAlgorithm};
use ssh_wire::{Encode, Message as _, PeerText, Reader, Rest, put_string};

pub use crate::binding::SessionBind;
use crate::{
    AgentError, Constraints,
    frame::secret_payload,
    message::{
        AddIdConstrained, AddIdentity, Extension, ExtensionFailure, ExtensionResponse, Failure,
        Hidden, HiddenRest, IdentitiesAnswer, Lock, QUERY, RSA_SHA2_256, RSA_SHA2_512,
        SESSION_BIND, SignRequest, SignResponse, Success, Unlock,
    },
};

/// A key that an agent holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The public key or certificate: the name of the key in requests.
    pub blob: Vec<u8>,
    /// What the one who added it called it.
    pub comment: PeerText,
}

/// The bytes of a message that holds no secret, such as
/// [`RequestIdentities`](crate::message::RequestIdentities).
#[must_use]
pub fn payload(message: &dyn Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

/// Asks for a signature. An RSA key signs with the algorithm that is named; all others have one.
#[must_use]
pub fn sign(blob: &[u8], data: &[u8], algorithm: SignatureAlgorithm) -> Vec<u8> {
    let flags = match algorithm {
        SignatureAlgorithm::RsaSha512 => RSA_SHA2_512,
        SignatureAlgorithm::RsaSha256 => RSA_SHA2_256,
        _ => 0,
    };
    payload(&SignRequest { key: blob, data, flags })
}

/// Hands a key to the agent. A key that is there already gets the new constraints.
#[must_use]
pub fn add_identity(key: &PrivateKey, comment: &str, constraints: &Constraints) -> Secret<Vec<u8>> {
    add_fields(&key.encode_fields(), comment, constraints)
}

/// Hands a key to the agent together with a certificate over it, which names it there. A key and
/// its certificates are different things to an agent.
#[must_use]
pub fn add_certificate(
    key: &PrivateKey,
    certificate: &Certificate,
    comment: &str,
    constraints: &Constraints,
) -> Secret<Vec<u8>> {
    add_fields(&key.encode_certified_fields(certificate), comment, constraints)
}

fn add_fields(
    fields: &Secret<Vec<u8>>,
    comment: &str,
    constraints: &Constraints,
) -> Secret<Vec<u8>> {
    let mut limits = Vec::new();
    constraints.encode(&mut limits);
    let len = fields.expose().len().saturating_add(comment.len()).saturating_add(limits.len());
    let mut body = Secret::new(Vec::with_capacity(len.saturating_add(4)));
    body.expose_mut().extend_from_slice(fields.expose());
    put_string(body.expose_mut(), comment.as_bytes());
    body.expose_mut().extend_from_slice(&limits);
    let (key, len) = (HiddenRest(body.expose()), body.expose().len().saturating_add(1));
    if constraints.is_empty() {
        secret_payload(len, &AddIdentity { key })
    } else {
        secret_payload(len, &AddIdConstrained { key })
    }
}

/// Locks the agent.
#[must_use]
pub fn lock(passphrase: &[u8]) -> Secret<Vec<u8>> {
    let len = passphrase.len().saturating_add(5);
    secret_payload(len, &Lock { passphrase: Hidden(passphrase) })
}

/// Unlocks the agent.
#[must_use]
pub fn unlock(passphrase: &[u8]) -> Secret<Vec<u8>> {
    let len = passphrase.len().saturating_add(5);
    secret_payload(len, &Unlock { passphrase: Hidden(passphrase) })
}

/// Tells the agent which session the connection serves.
#[must_use]
pub fn session_bind(bind: &SessionBind<'_>) -> Vec<u8> {
    let contents = payload(bind);
    payload(&Extension { name: SESSION_BIND, contents: Rest(&contents) })
}

/// Asks which extensions the agent knows.
#[must_use]
pub fn query() -> Vec<u8> {
    payload(&Extension { name: QUERY, contents: Rest(&[]) })
}

/// Reads the answer to a request that is done or not.
///
/// # Errors
/// [`AgentError::Refused`], or no such answer.
pub fn done(reply: &[u8]) -> Result<(), AgentError> {
    match reply.first() {
        Some(&Success::NUMBER) => Ok(Success::parse(reply).map(|_| ())?),
        _ => Err(no(reply)),
    }
}

/// Reads the answer to [`RequestIdentities`](crate::message::RequestIdentities).
///
/// # Errors
/// [`AgentError`]
pub fn identities(reply: &[u8]) -> Result<Vec<Identity>, AgentError> {
    if reply.first() != Some(&IdentitiesAnswer::NUMBER) {
        return Err(no(reply));
    }
    let answer = IdentitiesAnswer::parse(reply)?;
    let identity = |(blob, comment): (&[u8], &[u8])| Identity {
        blob: blob.to_vec(),
        comment: PeerText::from_bytes(comment),
    };
    Ok(answer.identities.iter().map(identity).collect())
}

/// Reads the answer to [`sign`]: a blob of name and signature. It is not checked here: who sends
/// it on has to.
///
/// # Errors
/// [`AgentError`]
pub fn signature(reply: &[u8]) -> Result<Vec<u8>, AgentError> {
    match reply.first() {
        Some(&SignResponse::NUMBER) => Ok(SignResponse::parse(reply)?.signature.to_vec()),
        _ => Err(no(reply)),
    }
}

/// Reads the answer to [`query`]. Older agents refuse the question.
///
/// # Errors
/// [`AgentError`]
pub fn extensions(reply: &[u8]) -> Result<Vec<String>, AgentError> {
    if reply.first() != Some(&ExtensionResponse::NUMBER) {
        return Err(no(reply));
    }
    let answer = ExtensionResponse::parse(reply)?;
    if answer.name != QUERY {
        return Err(AgentError::UnexpectedReply { number: ExtensionResponse::NUMBER });
    }
    let mut reader = Reader::new("query", answer.contents.0);
    let mut names = Vec::new();
    while reader.left() > 0 {
        names.push(reader.field("extension").utf8()?.into());
    }
    Ok(names)
}

/// What an answer means that is not the one hoped for.
fn no(reply: &[u8]) -> AgentError {
    match reply.first() {
        Some(&Failure::NUMBER) => AgentError::Refused,
        Some(&ExtensionFailure::NUMBER) => AgentError::ExtensionFailed,
        Some(number) => AgentError::UnexpectedReply { number: *number },
        None => AgentError::Length { len: 0 },
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_is_told_from_an_answer_that_does_not_fit() {
        assert_eq!(done(&[6]), Ok(()));
        assert_eq!(done(&[5]), Err(AgentError::Refused));
        assert_eq!(done(&[28]), Err(AgentError::ExtensionFailed));
        assert_eq!(done(&[12, 0, 0, 0, 0]), Err(AgentError::UnexpectedReply { number: 12 }));
        assert_eq!(done(&[]), Err(AgentError::Length { len: 0 }));
        assert!(matches!(done(&[6, 0]), Err(AgentError::InvalidMessage(_))));
        assert_eq!(identities(&[6]), Err(AgentError::UnexpectedReply { number: 6 }));
        assert_eq!(signature(&[5]), Err(AgentError::Refused));
    }

    #[test]
    fn extensions_are_read_from_the_answer_to_query_only() {
        let reply = b"\x1d\0\0\0\x05query\0\0\0\x01a\0\0\0\x01b";
        assert_eq!(extensions(reply), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(
            extensions(b"\x1d\0\0\0\x05other\0\0\0\x01a"),
            Err(AgentError::UnexpectedReply { number: 29 })
        );
        assert_eq!(extensions(&[5]), Err(AgentError::Refused));
    }

    proptest! {
        #[test]
        fn no_answer_makes_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            drop((done(&bytes), identities(&bytes), signature(&bytes), extensions(&bytes)));
        }
    }
}
