//! RFC 4252 §5 to §8: the messages of the authentication protocol, numbers 50 to 79, and the two
//! of RFC 4253 §10 that start it.
//!
//! What a client says and what a server says are different tables, and so are the numbers from 60
//! on for each method: they are "reused by different authentication methods" (RFC 4252 §6), so
//! only the method in flight knows how to read them.

use alloc::vec::Vec;
use core::fmt;

use ssh_wire::{Decode, DecodeError, Encode, Message, NameList, Reader, Rest, messages};

use crate::method::Method;

/// The service of this protocol (RFC 4252 §4).
pub const USERAUTH_SERVICE: &str = "ssh-userauth";

/// The service that authentication leads to (RFC 4254 §1); there is no other.
pub const CONNECTION_SERVICE: &str = "ssh-connection";

messages! {
    /// What a server says, whatever the method.
    pub enum ServerMessage<'a>;

    /// The service starts.
    ["RFC 4253 §10"] 6 ServiceAccept<'a> {
        /// The service that was asked for.
        service: &'a str,
    }

    /// A request failed, or it succeeded and more is needed.
    ["RFC 4252 §5.1"] 51 UserauthFailure<'a> {
        /// Methods that can continue.
        methods: NameList<'a>,
        /// True if the request succeeded.
        partial_success: bool,
    }

    /// The user is who they say; the service starts.
    ["RFC 4252 §5.1"] 52 UserauthSuccess {}

    /// Text to be shown to the user.
    ["RFC 4252 §5.4"] 53 UserauthBanner<'a> {
        /// The text, which should be UTF-8.
        message: &'a [u8],
        /// Its language (RFC 3066), mostly empty.
        language: &'a [u8],
    }
}

messages! {
    /// What a client says.
    pub enum ClientMessage<'a>;

    /// Asks for a service.
    ["RFC 4253 §10"] 5 ServiceRequest<'a> {
        /// The name of the service.
        service: &'a str,
    }

    /// Asks to be let in.
    ["RFC 4252 §5"] 50 UserauthRequest<'a>;
}

messages! {
    /// What a server says to a request of the method `publickey`.
    pub enum PublicKeyMessage<'a>;

    /// A signature of this key would be accepted.
    ["RFC 4252 §7"] 60 PublicKeyOk<'a> {
        /// The algorithm of the request.
        algorithm: &'a str,
        /// The key of the request.
        key: &'a [u8],
    }
}

messages! {
    /// What a server says to a request of the method `password`.
    pub enum PasswordMessage<'a>;

    /// The password has expired, or the new one is not good enough.
    ["RFC 4252 §8"] 60 PasswordChangeRequest<'a> {
        /// What to say to the user, which should be UTF-8.
        prompt: &'a [u8],
        /// Its language (RFC 3066), mostly empty.
        language: &'a [u8],
    }
}

/// Asks to be let in.
///
/// Message number 50, RFC 4252 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct UserauthRequest<'a> {
    /// Who asks.
    pub user: &'a str,
    /// What to start on success.
    pub service: &'a str,
    /// The method and its fields.
    pub method: MethodRequest<'a>,
}

/// The fields of a [`UserauthRequest`] that depend on the method.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodRequest<'a> {
    /// RFC 4252 §5.2.
    None,
    /// RFC 4252 §7.
    PublicKey {
        /// The signature algorithm, such as `rsa-sha2-512` (RFC 8332 §3).
        algorithm: &'a str,
        /// The key's blob.
        key: &'a [u8],
        /// The signature; without one this asks whether a signature would be accepted.
        signature: Option<&'a [u8]>,
    },
    /// RFC 4252 §8.
    Password {
        /// The password, which should be UTF-8.
        password: &'a [u8],
    },
    /// RFC 4252 §8, with a new password.
    PasswordChange {
        /// The present password, which should be UTF-8.
        old: &'a [u8],
        /// The one to have from now on, which should be UTF-8.
        new: &'a [u8],
    },
    /// A method that nobody here speaks.
    Other {
        /// Its name.
        name: &'a str,
        /// Its fields.
        fields: Rest<'a>,
    },
}

impl<'a> MethodRequest<'a> {
    /// The method's name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        match self {
            Self::None => Method::None.name(),
            Self::PublicKey { .. } => Method::PublicKey.name(),
            Self::Password { .. } | Self::PasswordChange { .. } => Method::Password.name(),
            Self::Other { name, .. } => name,
        }
    }
}

/// Passwords, and what may be one, are not shown.
impl fmt::Debug for MethodRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::PublicKey { algorithm, key, signature } => f
                .debug_struct("PublicKey")
                .field("algorithm", algorithm)
                .field("key", key)
                .field("signature", signature)
                .finish(),
            Self::Password { .. } => f.write_str("Password(..)"),
            Self::PasswordChange { .. } => f.write_str("PasswordChange(..)"),
            Self::Other { name, .. } => {
                f.debug_struct("Other").field("name", name).finish_non_exhaustive()
            }
        }
    }
}

impl<'a> Decode<'a> for UserauthRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.field("").number(Self::NUMBER)?;
        let user = reader.field("user").utf8()?;
        let service = reader.field("service").utf8()?;
        let name = reader.field("method").utf8()?;
        let method = match Method::from_name(name) {
            Some(Method::None) => MethodRequest::None,
            Some(Method::PublicKey) => {
                let signed = reader.field("has_signature").boolean()?;
                let algorithm = reader.field("algorithm").utf8()?;
                let key = reader.field("key").string()?;
                let signature =
                    if signed { Some(reader.field("signature").string()?) } else { None };
                MethodRequest::PublicKey { algorithm, key, signature }
            }
            Some(Method::Password) => {
                let change = reader.field("change").boolean()?;
                let password = reader.field("password").string()?;
                if change {
                    let new = reader.field("new_password").string()?;
                    MethodRequest::PasswordChange { old: password, new }
                } else {
                    MethodRequest::Password { password }
                }
            }
            None => MethodRequest::Other { name, fields: Rest(reader.field("fields").rest()) },
        };
        Ok(Self { user, service, method })
    }
}

impl Encode for UserauthRequest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::NUMBER);
        self.user.encode(out);
        self.service.encode(out);
        self.method.name().encode(out);
        match self.method {
            MethodRequest::None => {}
            MethodRequest::PublicKey { algorithm, key, signature } => {
                signature.is_some().encode(out);
                algorithm.encode(out);
                key.encode(out);
                if let Some(signature) = signature {
                    signature.encode(out);
                }
            }
            MethodRequest::Password { password } => {
                false.encode(out);
                password.encode(out);
            }
            MethodRequest::PasswordChange { old, new } => {
                true.encode(out);
                old.encode(out);
                new.encode(out);
            }
            MethodRequest::Other { fields, .. } => fields.encode(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;
    use ssh_wire::{
        DecodeErrorKind,
        testing::{check_message, payload, payload_and_one_more},
    };

    fn request(method: MethodRequest<'_>) -> UserauthRequest<'_> {
        UserauthRequest { user: "alice", service: CONNECTION_SERVICE, method }
    }

    #[test]
    fn messages_survive_a_round_trip_and_no_cut_or_addition_does() {
        macro_rules! check {
            ($($message:expr),* $(,)?) => {$({
                let message = $message;
                check_message(&message, &payload_and_one_more(&message));
            })*};
        }
        let methods = NameList::from_text("publickey,password").unwrap();
        check!(
            ServiceRequest { service: USERAUTH_SERVICE },
            ServiceAccept { service: USERAUTH_SERVICE },
            UserauthFailure { methods, partial_success: true },
            UserauthSuccess {},
            UserauthBanner { message: b"Hello\r\n", language: b"en" },
            PublicKeyOk { algorithm: "ssh-ed25519", key: b"key" },
            PasswordChangeRequest { prompt: b"Expired.", language: b"" },
            request(MethodRequest::None),
            request(MethodRequest::Password { password: b"secret" }),
            request(MethodRequest::PasswordChange { old: b"old", new: b"new" }),
            request(MethodRequest::PublicKey { algorithm: "a", key: b"k", signature: None }),
            request(MethodRequest::PublicKey { algorithm: "a", key: b"k", signature: Some(b"s") }),
        );
    }

    #[test]
    fn an_unknown_method_is_read_with_whatever_follows_it() {
        let method =
            MethodRequest::Other { name: "keyboard-interactive", fields: Rest(&[1, 2, 3]) };
        let bytes = payload(&request(method));
        assert_eq!(UserauthRequest::parse(&bytes), Ok(request(method)));
    }

    #[test]
    fn passwords_do_not_show_in_debug_output() {
        let text = format!(
            "{:?}{:?}",
            ClientMessage::UserauthRequest(request(MethodRequest::Password {
                password: b"hunter2"
            })),
            request(MethodRequest::PasswordChange { old: b"hunter2", new: b"hunter3" })
        );
        // Neither as text nor as the numbers of its bytes.
        assert!(!text.contains("hunter") && !text.contains("104, 117"), "{text}");
    }

    #[test]
    fn a_name_that_is_not_utf8_is_an_error_that_says_so() {
        let error = UserauthRequest::parse(&[50, 0, 0, 0, 1, 0xff]).unwrap_err();
        assert_eq!((error.field, error.kind), ("user", DecodeErrorKind::NotUtf8));
    }

    #[test]
    fn server_messages_are_not_client_messages() {
        for (number, name, _) in ServerMessage::TABLE {
            assert!(ClientMessage::parse(&[*number]).is_err(), "{name}");
        }
        for (number, name, _) in ClientMessage::TABLE {
            assert!(ServerMessage::parse(&[*number]).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_tables_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = ClientMessage::parse(&bytes);
            let _ = ServerMessage::parse(&bytes);
            let _ = PublicKeyMessage::parse(&bytes);
            let _ = PasswordMessage::parse(&bytes);
        }

        #[test]
        fn any_request_survives_a_round_trip(
            user in ".{0,12}",
            key in proptest::collection::vec(any::<u8>(), 0..12),
            signature in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12)),
        ) {
            let method = MethodRequest::PublicKey {
                algorithm: "ssh-ed25519", key: &key, signature: signature.as_deref(),
            };
            let request = UserauthRequest { user: &user, service: "s", method };
            let bytes = payload(&request);
            prop_assert_eq!(UserauthRequest::parse(&bytes), Ok(request));
        }
    }
}
