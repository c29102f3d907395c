//! Signatures of FIDO security keys (OpenSSH PROTOCOL.u2f), to be verified: the keys themselves
//! sign in hardware.
//!
//! What a token signs is not the message but
//! `SHA-256(application) | flags | counter | extensions | SHA-256(message)`.

use alloc::vec::Vec;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::ecdsa::{EcdsaCurve, ecdsa_verify};
use super::ed25519::ed25519_verify;
use crate::Forged;
use crate::hash::{HashAlgorithm, digest};

/// Flag of a signature: somebody touched the token.
pub const SK_USER_PRESENT: u8 = 0x01;
/// Flag of a signature: the token knows who touched it, by a PIN or a finger.
pub const SK_USER_VERIFIED: u8 = 0x04;
/// Flag of a signature: attestation follows, which no signature of SSH has.
const ATTESTED: u8 = 0x40;
/// Flag of a signature: extensions are signed as well.
const EXTENDED: u8 = 0x80;

/// What a token adds to a signature. Whether the flags are enough is for the caller to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "PROTOCOL.u2f has these fields")]
pub struct SkContext<'a> {
    /// The application that the key is for, usually `ssh:`; part of the key.
    pub application: &'a [u8],
    /// [`SK_USER_PRESENT`], [`SK_USER_VERIFIED`] and others.
    pub flags: u8,
    /// How often the token has signed.
    pub counter: u32,
}

impl SkContext<'_> {
    /// What a token signs, for software tokens and tests.
    #[must_use]
    pub fn signed_data(&self, msg: &[u8]) -> Vec<u8> {
        self.assertion(&[], msg)
    }

    fn assertion(&self, extensions: &[u8], msg: &[u8]) -> Vec<u8> {
        let application = digest(HashAlgorithm::Sha256, self.application);
        let message = digest(HashAlgorithm::Sha256, msg);
        let counter = self.counter.to_be_bytes();
        [application.as_bytes(), &[self.flags], &counter, extensions, message.as_bytes()].concat()
    }
}

/// Checks a signature of `sk-ssh-ed25519@openssh.com`.
///
/// # Errors
/// [`Forged`] if it is not `public`'s signature of `msg` with this application, flags and counter.
pub fn sk_ed25519_verify(
    public: &[u8; 32],
    context: SkContext<'_>,
    msg: &[u8],
    sig: &[u8; 64],
) -> Result<(), Forged> {
    ed25519_verify(public, &context.signed_data(msg), sig)
}

/// Checks a signature (r, s) of `sk-ecdsa-sha2-nistp256@openssh.com`; the numbers are big-endian.
///
/// # Errors
/// [`Forged`] if it is not `public`'s signature of `msg` with this application, flags and counter.
pub fn sk_ecdsa_verify(
    public: &[u8],
    context: SkContext<'_>,
    msg: &[u8],
    r: &[u8],
    s: &[u8],
) -> Result<(), Forged> {
    ecdsa_verify(EcdsaCurve::P256, public, &context.signed_data(msg), r, s)
}

/// What a browser adds to a signature
/// (`webauthn-sk-ecdsa-sha2-nistp256@openssh.com`, PROTOCOL.u2f).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "PROTOCOL.u2f has these fields")]
pub struct Webauthn<'a> {
    /// The page that asked, as in `https://example.org`.
    pub origin: &'a [u8],
    /// The JSON that the browser had signed; the message is its challenge.
    pub client_data: &'a [u8],
    /// Extensions of the token, in CBOR.
    pub extensions: &'a [u8],
}

/// Checks a signature (r, s) that a browser asked a token for.
///
/// # Errors
/// [`Forged`] if the client data are not about this message and origin, if the flags contradict
/// the extensions, or if it is not `public`'s signature.
pub fn webauthn_ecdsa_verify(
    public: &[u8],
    context: SkContext<'_>,
    webauthn: Webauthn<'_>,
    msg: &[u8],
    r: &[u8],
    s: &[u8],
) -> Result<(), Forged> {
    let Webauthn { origin, client_data, extensions } = webauthn;
    let extended = context.flags & EXTENDED != 0;
    if context.flags & ATTESTED != 0 || extended == extensions.is_empty() || origin.contains(&b'"')
    {
        return Err(Forged);
    }
    let challenge = Base64UrlUnpadded::encode_string(msg);
    let expected = [
        &br#"{"type":"webauthn.get","challenge":""#[..],
        challenge.as_bytes(),
        br#"","origin":""#,
        origin,
        br#"""#,
    ]
    .concat();
    if !client_data.starts_with(&expected) {
        return Err(Forged);
    }
    ecdsa_verify(EcdsaCurve::P256, public, &context.assertion(extensions, client_data), r, s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SeededRng;
    use crate::sign::{EcdsaKey, Ed25519Key};
    use crate::testing::unhex;

    const CONTEXT: SkContext<'_> =
        SkContext { application: b"ssh:", flags: SK_USER_PRESENT, counter: 7 };

    #[test]
    fn the_signed_data_are_those_of_protocol_u2f() {
        let data = CONTEXT.signed_data(b"message");
        let application = "e30610e8a162115960fe1ec223e6529c9f4b6e80200dcb5e5c321c8af1e2b1bf";
        let message = "ab530a13e45914982b79f9b7e3fba994cfd1f3fb22f71cea1afbf02b460c6d1d";
        assert_eq!(data, unhex(&alloc::format!("{application}0100000007{message}")));
    }

    fn contexts() -> [SkContext<'static>; 3] {
        [
            SkContext { application: b"ssh:other", ..CONTEXT },
            SkContext { flags: SK_USER_PRESENT | SK_USER_VERIFIED, ..CONTEXT },
            SkContext { counter: 8, ..CONTEXT },
        ]
    }

    #[test]
    fn everything_that_a_token_adds_is_signed() {
        let mut rng = SeededRng::new(1);
        let ed25519 = Ed25519Key::generate(&mut rng);
        let ecdsa = EcdsaKey::generate(EcdsaCurve::P256, &mut rng).unwrap();
        let data = CONTEXT.signed_data(b"m");
        let (sig, (r, s)) = (ed25519.sign(&data), ecdsa.sign(&data));
        assert_eq!(sk_ed25519_verify(&ed25519.public(), CONTEXT, b"m", &sig), Ok(()));
        assert_eq!(sk_ecdsa_verify(&ecdsa.public(), CONTEXT, b"m", &r, &s), Ok(()));
        for other in contexts() {
            let verdict = sk_ed25519_verify(&ed25519.public(), other, b"m", &sig);
            assert_eq!(verdict, Err(Forged), "{other:?}");
            let verdict = sk_ecdsa_verify(&ecdsa.public(), other, b"m", &r, &s);
            assert_eq!(verdict, Err(Forged), "{other:?}");
        }
        // A plain signature of the message is none of the token.
        let plain = ed25519.sign(b"m");
        assert!(sk_ed25519_verify(&ed25519.public(), CONTEXT, b"m", &plain).is_err());
    }

    #[test]
    fn a_browser_must_have_signed_this_message_for_this_origin() {
        let key = EcdsaKey::generate(EcdsaCurve::P256, &mut SeededRng::new(2)).unwrap();
        let data = br#"{"type":"webauthn.get","challenge":"bQ","origin":"https://a.test","x":1}"#;
        let good = Webauthn { origin: b"https://a.test", client_data: data, extensions: b"" };
        let check = |context: SkContext<'_>, webauthn: Webauthn<'_>, msg: &[u8]| {
            let data = context.assertion(webauthn.extensions, webauthn.client_data);
            let (r, s) = key.sign(&data);
            webauthn_ecdsa_verify(&key.public(), context, webauthn, msg, &r, &s)
        };
        assert_eq!(check(CONTEXT, good, b"m"), Ok(()));
        assert_eq!(check(CONTEXT, good, b"n"), Err(Forged));
        for origin in [&b"https://b.test"[..], b"https://a.tes", br#"https://a.test","y":""#, b""] {
            assert_eq!(check(CONTEXT, Webauthn { origin, ..good }, b"m"), Err(Forged));
        }
        let create = br#"{"type":"webauthn.create","challenge":"bQ","origin":"https://a.test"}"#;
        let other = Webauthn { client_data: create, ..good };
        assert_eq!(check(CONTEXT, other, b"m"), Err(Forged));
        // Flags and extensions belong together, and attestation has no place here.
        let extended = SkContext { flags: SK_USER_PRESENT | EXTENDED, ..CONTEXT };
        let with = Webauthn { extensions: b"\xa0", ..good };
        assert_eq!(check(extended, with, b"m"), Ok(()));
        assert_eq!(check(extended, good, b"m"), Err(Forged));
        assert_eq!(check(CONTEXT, with, b"m"), Err(Forged));
        let attested = SkContext { flags: SK_USER_PRESENT | ATTESTED, ..CONTEXT };
        assert_eq!(check(attested, good, b"m"), Err(Forged));
    }
}
