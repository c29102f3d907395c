//! RFC 9987 §5 and §8.1: the messages.
//!
//! What clients ask and what agents answer are different tables. Private keys, passphrases and
//! PINs are not shown by `Debug`.

use alloc::vec::Vec;
use core::fmt;

use ssh_wire::{Decode, DecodeError, DecodeErrorKind, Encode, Reader, Rest, messages, put_string};

use crate::limits::MAX_IDENTITIES;

/// `SSH_AGENT_RSA_SHA2_256`: an RSA key signs with `rsa-sha2-256` (RFC 9987 §5.6.1).
pub const RSA_SHA2_256: u32 = 2;
/// `SSH_AGENT_RSA_SHA2_512`: an RSA key signs with `rsa-sha2-512` (RFC 9987 §5.6.1).
pub const RSA_SHA2_512: u32 = 4;

/// The extension that lists extensions (RFC 9987 §5.8.1).
pub const QUERY: &str = "query";
/// The extension that binds a connection to an SSH session (OpenSSH's `PROTOCOL.agent`).
pub const SESSION_BIND: &str = "session-bind@openssh.com";

messages! {
    /// What a client asks.
    pub enum Request<'a>;

    /// Which keys are there?
    ["RFC 9987 §5.5"] 11 RequestIdentities {}

    /// Sign with a key.
    ["RFC 9987 §5.6"] 13 SignRequest<'a> {
        /// The public key, or a certificate of it.
        key: &'a [u8],
        /// What to sign.
        data: &'a [u8],
        /// See [`RSA_SHA2_256`].
        flags: u32,
    }

    /// Take a key.
    ["RFC 9987 §5.2"] 17 AddIdentity<'a> {
        /// The fields of the key, which depend on its type, and its comment.
        key: HiddenRest<'a>,
    }

    /// Forget a key.
    ["RFC 9987 §5.4"] 18 RemoveIdentity<'a> {
        /// The public key, or a certificate of it.
        key: &'a [u8],
    }

    /// Forget all keys.
    ["RFC 9987 §5.4"] 19 RemoveAllIdentities {}

    /// Take the keys of a token.
    ["RFC 9987 §5.2.6"] 20 AddSmartcardKey<'a> {
        /// Which token.
        token: &'a [u8],
        /// What unlocks it.
        pin: Hidden<'a>,
    }

    /// Forget the keys of a token.
    ["RFC 9987 §5.4"] 21 RemoveSmartcardKey<'a> {
        /// Which token.
        token: &'a [u8],
        /// What unlocks it.
        pin: Hidden<'a>,
    }

    /// Do nothing until the passphrase comes again.
    ["RFC 9987 §5.7"] 22 Lock<'a> {
        /// The passphrase.
        passphrase: Hidden<'a>,
    }

    /// Here it is.
    ["RFC 9987 §5.7"] 23 Unlock<'a> {
        /// The passphrase.
        passphrase: Hidden<'a>,
    }

    /// Take a key, with limits to its use.
    ["RFC 9987 §5.2"] 25 AddIdConstrained<'a> {
        /// The fields of the key, its comment, and its constraints.
        key: HiddenRest<'a>,
    }

    /// Take the keys of a token, with limits to their use.
    ["RFC 9987 §5.2.6"] 26 AddSmartcardKeyConstrained<'a> {
        /// Which token.
        token: &'a [u8],
        /// What unlocks it.
        pin: Hidden<'a>,
        /// The constraints.
        constraints: Rest<'a>,
    }

    /// Something else.
    ["RFC 9987 §5.8"] 27 Extension<'a> {
        /// Its name.
        name: &'a str,
        /// Its fields.
        contents: Rest<'a>,
    }
}

messages! {
    /// What an agent answers.
    pub enum Reply<'a>;

    /// No.
    ["RFC 9987 §5.1"] 5 Failure {}

    /// Done.
    ["RFC 9987 §5.1"] 6 Success {}

    /// The keys.
    ["RFC 9987 §5.5"] 12 IdentitiesAnswer<'a> {
        /// How many, and each with its comment.
        identities: Identities<'a>,
    }

    /// The signature.
    ["RFC 9987 §5.6"] 14 SignResponse<'a> {
        /// A blob of name and signature.
        signature: &'a [u8],
    }

    /// The extension is known, and it failed.
    ["RFC 9987 §5.8"] 28 ExtensionFailure {}

    /// What an extension answers.
    ["RFC 9987 §5.8"] 29 ExtensionResponse<'a> {
        /// The name in the request.
        name: &'a str,
        /// Its fields.
        contents: Rest<'a>,
    }
}

/// A `string` that nobody is to see.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is the field")]
pub struct Hidden<'a>(pub &'a [u8]);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

impl<'a> Decode<'a> for Hidden<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.string().map(Self)
    }
}

impl Encode for Hidden<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_string(out, self.0);
    }
}

/// The rest of a message, which nobody is to see.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is the field")]
pub struct HiddenRest<'a>(pub &'a [u8]);

impl fmt::Debug for HiddenRest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenRest(..)")
    }
}

impl<'a> Decode<'a> for HiddenRest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self(reader.rest()))
    }
}

impl Encode for HiddenRest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// A list of public keys with their comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identities<'a> {
    count: u32,
    /// `count` times two strings, which was checked.
    list: &'a [u8],
}

impl<'a> Identities<'a> {
    /// Each key blob with its comment.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut reader = Reader::new("identities", self.list);
        core::iter::from_fn(move || Some((reader.string().ok()?, reader.string().ok()?)))
    }
}

impl<'a> Decode<'a> for Identities<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = reader.clone();
        let count = reader.uint32()?;
        if count > MAX_IDENTITIES {
            let (count, limit) = (count.into(), MAX_IDENTITIES.into());
            return Err(at.error(DecodeErrorKind::TooMany { count, limit }));
        }
        let mut list = reader.clone();
        let start = reader.offset();
        for _ in 0..count {
            reader.string()?;
            reader.string()?;
        }
        let list = list.take(reader.offset().saturating_sub(start))?;
        Ok(Self { count, list })
    }
}

impl Encode for Identities<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        out.extend_from_slice(self.list);
    }
}

/// Keys and comments, to be sent as [`Identities`].
#[derive(Debug, Default)]
pub(crate) struct IdentityList {
    count: u32,
    list: Vec<u8>,
}

impl IdentityList {
    pub(crate) fn push(&mut self, blob: &[u8], comment: &str) {
        self.count = self.count.saturating_add(1);
        put_string(&mut self.list, blob);
        put_string(&mut self.list, comment.as_bytes());
    }

    pub(crate) fn answer(&self) -> IdentitiesAnswer<'_> {
        IdentitiesAnswer { identities: Identities { count: self.count, list: &self.list } }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;
    use ssh_wire::{
        Message as _,
        testing::{check_message, payload, payload_and_one_more},
    };

    use super::*;

    #[test]
    fn messages_survive_a_round_trip_and_no_cut_or_addition_does() {
        macro_rules! check {
            ($($message:expr),* $(,)?) => {$({
                let message = $message;
                check_message(&message, &payload_and_one_more(&message));
            })*};
        }
        let mut list = IdentityList::default();
        list.push(b"blob", "comment");
        list.push(b"", "");
        check!(
            RequestIdentities {},
            SignRequest { key: b"key", data: b"data", flags: RSA_SHA2_512 },
            RemoveIdentity { key: b"key" },
            RemoveAllIdentities {},
            AddSmartcardKey { token: b"t", pin: Hidden(b"p") },
            RemoveSmartcardKey { token: b"t", pin: Hidden(b"p") },
            Lock { passphrase: Hidden(b"p") },
            Unlock { passphrase: Hidden(b"p") },
            Failure {},
            Success {},
            list.answer(),
            SignResponse { signature: b"s" },
            ExtensionFailure {},
        );
    }

    #[test]
    fn what_takes_the_rest_of_a_message_survives_a_round_trip() {
        for request in [
            Request::AddIdentity(AddIdentity { key: HiddenRest(b"key") }),
            Request::AddIdConstrained(AddIdConstrained { key: HiddenRest(b"key") }),
            Request::AddSmartcardKeyConstrained(AddSmartcardKeyConstrained {
                token: b"t",
                pin: Hidden(b"p"),
                constraints: Rest(b"c"),
            }),
            Request::Extension(Extension { name: QUERY, contents: Rest(b"x") }),
        ] {
            assert_eq!(Request::parse(&payload(&request)), Ok(request));
        }
        let reply = ExtensionResponse { name: QUERY, contents: Rest(b"x") };
        assert_eq!(ExtensionResponse::parse(&payload(&reply)), Ok(reply));
    }

    #[test]
    fn a_list_gives_its_keys_and_comments() {
        let mut list = IdentityList::default();
        list.push(b"one", "first");
        list.push(b"two", "");
        let bytes = payload(&list.answer());
        let Ok(Reply::IdentitiesAnswer(answer)) = Reply::parse(&bytes) else { panic!() };
        let read: Vec<_> = answer.identities.iter().collect();
        assert_eq!(read, [(&b"one"[..], &b"first"[..]), (b"two", b"")]);
    }

    #[test]
    fn a_list_with_too_many_keys_is_refused_before_it_is_read() {
        let mut bytes = alloc::vec![12];
        (MAX_IDENTITIES + 1).encode(&mut bytes);
        assert!(matches!(
            IdentitiesAnswer::parse(&bytes).unwrap_err().kind,
            DecodeErrorKind::TooMany { count: 2049, limit: 2048 }
        ));
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let text = format!(
            "{:?} {:?} {:?}",
            Lock { passphrase: Hidden(b"hunter2") },
            AddIdentity { key: HiddenRest(b"hunter2") },
            AddSmartcardKey { token: b"", pin: Hidden(b"hunter2") },
        );
        assert!(!text.contains("hunter") && !text.contains("104, 117"), "{text}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_tables_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Request::parse(&bytes);
            if let Ok(Reply::IdentitiesAnswer(answer)) = Reply::parse(&bytes) {
                prop_assert!(answer.identities.iter().count() <= bytes.len());
            }
        }

        #[test]
        fn any_list_survives_a_round_trip(
            keys in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..9), ".{0,9}"), 0..9)
        ) {
            let mut list = IdentityList::default();
            for (blob, comment) in &keys {
                list.push(blob, comment);
            }
            let bytes = payload(&list.answer());
            let answer = IdentitiesAnswer::parse(&bytes).unwrap();
            let read: Vec<_> = answer.identities.iter().map(|(b, c)| (b.to_vec(), c.to_vec())).collect();
            let keys: Vec<_> = keys.into_iter().map(|(b, c)| (b, c.into_bytes())).collect();
            prop_assert_eq!(read, keys);
        }
    }
}
