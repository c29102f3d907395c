//! RFC 9987 §5: a message behind its length.

use alloc::vec::Vec;

use ssh_crypto::Secret;
use ssh_wire::{Encode, put_string};

use crate::{AgentError, limits::MAX_MESSAGE};

/// The bytes in front of a message.
pub const HEADER_LEN: usize = 4;

/// How many bytes of message follow this header.
///
/// # Errors
/// [`AgentError::Length`] for none and for more than [`MAX_MESSAGE`]: nothing that follows on the
/// connection can be understood.
pub fn len(header: [u8; HEADER_LEN]) -> Result<usize, AgentError> {
    let len = u32::from_be_bytes(header);
    match usize::try_from(len) {
        Ok(len @ 1..=MAX_MESSAGE) => Ok(len),
        _ => Err(AgentError::Length { len }),
    }
}

/// A message with its length before it, to be written to the other side. No copy of what may hold
/// a private key stays behind.
///
/// # Errors
/// [`AgentError::Length`]: no agent would take it.
pub fn framed(message: &[u8]) -> Result<Secret<Vec<u8>>, AgentError> {
    let announced = u32::try_from(message.len()).unwrap_or(u32::MAX);
    len(announced.to_be_bytes())?;
    let mut bytes = Secret::new(Vec::with_capacity(message.len().saturating_add(HEADER_LEN)));
    put_string(bytes.expose_mut(), message);
    Ok(bytes)
}

/// A message of the agent protocol in a buffer that is wiped, with room for `len` bytes.
pub(crate) fn secret_payload(len: usize, message: &dyn Encode) -> Secret<Vec<u8>> {
    let mut bytes = Secret::new(Vec::with_capacity(len));
    message.encode(bytes.expose_mut());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_message_follows_its_length() {
        assert_eq!(framed(&[11]).unwrap().expose(), &[0, 0, 0, 1, 11]);
        assert_eq!(len([0, 0, 0, 1]), Ok(1));
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_on_both_sides() {
        for announced in [0, u32::try_from(MAX_MESSAGE).unwrap() + 1, u32::MAX] {
            assert_eq!(len(announced.to_be_bytes()), Err(AgentError::Length { len: announced }));
        }
        assert!(framed(&vec![0; MAX_MESSAGE]).is_ok());
        assert!(framed(&vec![0; MAX_MESSAGE + 1]).is_err());
        assert!(framed(&[]).is_err());
    }
}
