//! RFC 4648 §4: base64 with padding, in constant time, as key files and key lines have it.

use alloc::{string::String, vec, vec::Vec};

use base64ct::{Base64, Base64Unpadded, Encoding};
use ssh_crypto::Secret;

/// The text for `bytes`, with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// The text for `bytes`, without padding.
pub(crate) fn encode_unpadded(bytes: &[u8]) -> String {
    Base64Unpadded::encode_string(bytes)
}

/// The bytes of `text`; `None` if it is not base64 in its only form.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len()];
    let len = Base64::decode(text, &mut bytes).ok()?.len();
    bytes.truncate(len);
    Some(bytes)
}

/// The bytes of `text`, in which white space does not count. No copy stays behind.
pub(crate) fn decode_secret(text: &[u8]) -> Option<Secret<Vec<u8>>> {
    let mut compact = Secret::new(Vec::with_capacity(text.len()));
    compact.expose_mut().extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let mut bytes = Secret::new(vec![0; compact.expose().len()]);
    let len = Base64::decode(compact.expose(), bytes.expose_mut()).ok()?.len();
    bytes.expose_mut().truncate(len);
    Some(bytes)
}

/// The text for secret `bytes`. No copy stays behind.
pub(crate) fn encode_secret(bytes: &[u8]) -> Secret<Vec<u8>> {
    let mut text = Secret::new(vec![0; Base64::encoded_len(bytes)]);
    // The buffer has the length that is needed, so there is no error to tell of.
    let len = Base64::encode(bytes, text.expose_mut()).map_or(0, str::len);
    text.expose_mut().truncate(len);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_that_is_not_the_only_form_is_refused() {
        for text in ["A", "AA", "AB==", "AA=", "AA==AA==", "A A=", "AAA-", "AA==\n"] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(decode(b""), Some(Vec::new()));
        assert_eq!(decode(b"AA==").unwrap(), [0]);
    }

    proptest! {
        #[test]
        fn bytes_survive_a_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()).unwrap(), &bytes[..]);
            let text = encode_secret(&bytes);
            let again = decode_secret(text.expose()).unwrap();
            prop_assert_eq!(again.expose(), &bytes);
        }
    }
}
