//! sshd(8), AUTHORIZED_KEYS FILE FORMAT: which keys may log in, and what they may do then.
//!
//! A line is `[options] type base64 [comment]`. A line that is not understood in full gives no
//! access at all.

mod options;
mod permissions;

use alloc::{sync::Arc, vec::Vec};

pub use self::{
    options::{HostPort, KeyOptions, Tunnel},
    permissions::{Permissions, Refusal, Visitor},
};
use crate::{
    LineError, PublicKey, SkippedLine,
    certificate::{Certificate, Identity},
    line::{MAX_LINE_LEN, lines, read_key},
    options as lexer,
};

/// The name that [`SkippedLine`]s of this file have.
const SOURCE: &str = "authorized_keys";

/// The keys of an `authorized_keys` file.
#[derive(Clone, Debug, Default)]
pub struct AuthorizedKeys {
    entries: Vec<AuthorizedKey>,
    skipped: Vec<SkippedLine>,
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizedKey {
    /// The number of the line, from 1; 0 for a key that stands in no file.
    pub line: usize,
    /// The key.
    pub key: PublicKey,
    /// What stands before it.
    pub options: KeyOptions,
}

impl AuthorizedKeys {
    /// Reads the text of a file. Lines that are not in order are skipped.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let source: Arc<str> = SOURCE.into();
        let mut keys = Self::default();
        for (line, text) in lines(text) {
            match parse_line(text) {
                Ok((key, options)) => keys.entries.push(AuthorizedKey { line, key, options }),
                Err(reason) => {
                    let source = Arc::clone(&source);
                    keys.skipped.push(SkippedLine { source, line, reason });
                }
            }
        }
        keys
    }

    /// Lets in who has proven to hold the key of `identity`, or says why not: the first line counts
    /// that is about the key and lets it in.
    ///
    /// # Errors
    /// [`Refusal`], by the last line that is about the key.
    pub fn admit(
        &self,
        identity: &Identity,
        visitor: &Visitor<'_>,
    ) -> Result<Permissions, Refusal> {
        let mut refusal = Refusal::UnknownKey;
        for entry in self.entries.iter().filter(|entry| entry.is_about(identity)) {
            match entry.admit(identity.certificate(), visitor) {
                Ok(permissions) => return Ok(permissions),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// Whether a line is about the key, or the authority of the certificate: if not, no
    /// [`Self::admit`] will ever let it in.
    #[must_use]
    pub fn know(&self, identity: &Identity) -> bool {
        self.entries.iter().any(|entry| entry.is_about(identity))
    }

    /// The lines that may let somebody in.
    #[must_use]
    pub fn entries(&self) -> &[AuthorizedKey] {
        &self.entries
    }

    /// The lines that give no access, and why.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedLine] {
        &self.skipped
    }
}

impl FromIterator<PublicKey> for AuthorizedKeys {
    fn from_iter<T: IntoIterator<Item = PublicKey>>(keys: T) -> Self {
        let entry = |key| AuthorizedKey { line: 0, key, options: KeyOptions::default() };
        Self { entries: keys.into_iter().map(entry).collect(), skipped: Vec::new() }
    }
}

impl AuthorizedKey {
    fn is_about(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Key(key) => !self.options.cert_authority && self.key == *key,
            Identity::Certificate(certificate) => {
                self.options.cert_authority && self.key == *certificate.authority()
            }
        }
    }

    fn admit(
        &self,
        certificate: Option<&Certificate>,
        visitor: &Visitor<'_>,
    ) -> Result<Permissions, Refusal> {
        let (line, options) = (self.line, &self.options);
        if let Some(from) = &options.from
            && !visitor.address.is_some_and(|address| from.include(address, visitor.host))
        {
            return Err(Refusal::From { line });
        }
        if options.expiry.is_some_and(|end| visitor.now >= end.unix(visitor.utc_offset)) {
            return Err(Refusal::Expired { line });
        }
        let permissions = Permissions::of_options(options);
        let Some(certificate) = certificate else { return Ok(permissions) };
        let names: Vec<&str> = match &options.principals {
            Some(names) => names.iter().map(alloc::string::String::as_str).collect(),
            None => [visitor.user].into(),
        };
        let grant = certificate
            .verify(|authority| *authority == self.key)
            .and_then(|trusted| trusted.for_user(&names, visitor.now))
            .map_err(|error| Refusal::Certificate { line, error })?;
        permissions.and_grant(&grant, visitor, line)
    }
}

fn parse_line(text: &[u8]) -> Result<(PublicKey, KeyOptions), LineError> {
    if text.len() > MAX_LINE_LEN {
        return Err(LineError::TooLong);
    }
    let error = match read_key(text) {
        Ok((key, _)) => return Ok((key, KeyOptions::default())),
        Err(error) => error,
    };
    // A key first, or else options and then a key.
    let Some((options, rest)) = lexer::split(text) else { return Err(error.into()) };
    let key = match read_key(rest) {
        Ok((key, _)) => key,
        Err(behind) => {
            let options_came_first =
                lexer::parse(core::str::from_utf8(options).unwrap_or_default());
            let is_key =
                !matches!(behind, crate::KeyError::MissingField(_) | crate::KeyError::NotBase64);
            let behind_counts = is_key && options_came_first.is_some();
            return Err(if behind_counts { behind } else { error }.into());
        }
    };
    let options = core::str::from_utf8(options).map_err(|_| LineError::NotText)?;
    Ok((key, KeyOptions::parse(options)?))
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use proptest::prelude::*;
    use ssh_crypto::rng::SeededRng;

    use super::*;
    use crate::{
        KeyType, PrivateKey, SignatureAlgorithm, TokenProof,
        certificate::{CertificateError, CertificateOption, CertificateRequest, Role},
        testing::{self, some_key},
    };

    const VISITOR: Visitor<'_> =
        Visitor { user: "alice", address: None, host: None, now: 1_700_000_000, utc_offset: 0 };

    fn admit(keys: &AuthorizedKeys, key: &PublicKey) -> Result<Permissions, Refusal> {
        keys.admit(&Identity::Key(key.clone()), &VISITOR)
    }

    #[test]
    fn keys_on_lines_may_log_in_and_others_not() {
        let (first, first_line) = some_key(1);
        let (second, _) = some_key(2);
        let rsa = testing::text("keys/host_rsa.pub");
        let text = format!("# keys\n\n\t{first_line} me@home\r\n{rsa}");
        let keys = AuthorizedKeys::parse(text.as_bytes());
        assert_eq!(admit(&keys, &first), Ok(Permissions::default()));
        assert!(admit(&keys, &testing::public("keys/host_rsa.pub")).is_ok());
        assert_eq!(admit(&keys, &second), Err(Refusal::UnknownKey));
        assert_eq!(keys.skipped(), []);
        assert_eq!(keys.entries().len(), 2);
    }

    #[test]
    fn options_of_a_line_are_obeyed() {
        let (key, line) = some_key(1);
        let keys = AuthorizedKeys::parse(
            format!("restrict,command=\"echo ssh-ed25519 AAAA\",environment=\"A=b c\" {line}")
                .as_bytes(),
        );
        let permissions = admit(&keys, &key).unwrap();
        assert_eq!(permissions.command.as_deref(), Some("echo ssh-ed25519 AAAA"));
        assert_eq!(permissions.environment, [("A".into(), "b c".into())]);
        assert!(!permissions.pty && !permissions.port_forwarding);
    }

    #[test]
    fn from_and_expiry_close_a_line_and_the_next_one_counts() {
        let (key, line) = some_key(1);
        let text = format!(
            "from=\"192.0.2.0/24,*.example.org\",no-pty {line}\nexpiry-time=\"20200101Z\" {line}\n\
             expiry-time=\"20300101Z\",no-user-rc {line}\n"
        );
        let keys = AuthorizedKeys::parse(text.as_bytes());
        let identity = Identity::Key(key);
        let visitor = |address: &str, now| Visitor {
            address: Some(address.parse().unwrap()),
            now,
            ..VISITOR
        };
        let inside = keys.admit(&identity, &visitor("192.0.2.9", 2_000_000_000)).unwrap();
        assert!(!inside.pty && inside.user_rc);
        let outside = keys.admit(&identity, &visitor("198.51.100.1", 1_700_000_000)).unwrap();
        assert!(outside.pty && !outside.user_rc);
        let late = keys.admit(&identity, &visitor("198.51.100.1", 1_893_456_000));
        assert_eq!(late, Err(Refusal::Expired { line: 3 }));
        let named =
            Visitor { host: Some("a.example.org"), ..visitor("198.51.100.1", 2_000_000_000) };
        assert!(keys.admit(&identity, &named).is_ok());
        // Who comes from nowhere is in no network.
        let only = AuthorizedKeys::parse(format!("from=\"*\" {line}").as_bytes());
        assert_eq!(only.admit(&identity, &VISITOR), Err(Refusal::From { line: 1 }));
    }

    #[test]
    fn a_line_that_is_not_understood_gives_no_access() {
        let (key, line) = some_key(1);
        for (options, expected) in [
            ("anything-unknown", LineError::UnknownOption { name: "anything-unknown".into() }),
            ("no-pty,", LineError::Options),
            ("command=\"a\"b", LineError::Options),
            ("from=\"10.0.0.1/8\"", LineError::BadOption { name: "from".into() }),
        ] {
            let keys = AuthorizedKeys::parse(format!("{options} {line}").as_bytes());
            assert_eq!(admit(&keys, &key), Err(Refusal::UnknownKey), "{options}");
            assert_eq!(keys.skipped()[0].reason, expected, "{options}");
        }
    }

    #[test]
    fn a_key_inside_of_quotes_gives_no_access() {
        let (key, line) = some_key(1);
        let (other, other_line) = some_key(2);
        let text = format!("command=\"x\n{other_line}\ncommand=\"{line}\" {other_line}");
        let keys = AuthorizedKeys::parse(text.as_bytes());
        assert!(admit(&keys, &key).is_err());
        // Quotes do not reach over the end of a line.
        assert!(admit(&keys, &other).is_ok());
        assert_eq!(keys.skipped().len(), 1);
    }

    fn authority() -> PrivateKey {
        PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(10)).unwrap()
    }

    fn certified(change: impl FnOnce(&mut CertificateRequest)) -> Identity {
        let mut request = CertificateRequest::new(some_key(1).0, Role::User, "id", "alice");
        change(&mut request);
        let algorithm = SignatureAlgorithm::Ed25519;
        let certificate = request.issue(&authority(), algorithm, &mut SeededRng::new(1)).unwrap();
        Identity::Certificate(certificate)
    }

    #[test]
    fn who_has_a_certificate_of_an_authority_is_let_in_by_the_stricter_of_both() {
        let line = authority().public().to_openssh("");
        let keys = |options: &str| {
            AuthorizedKeys::parse(format!("cert-authority{options} {line}").as_bytes())
        };
        let usual = certified(|_| ());
        let permissions = keys("").admit(&usual, &VISITOR).unwrap();
        assert!(permissions.pty && permissions.touch_required);
        assert!(!keys(",no-pty").admit(&usual, &VISITOR).unwrap().pty);
        let bare = certified(|request| request.extensions.clear());
        assert!(!keys("").admit(&bare, &VISITOR).unwrap().pty);

        // The authority itself is not let in, nor is the key without its certificate.
        for key in [authority().public(), usual.key()] {
            assert_eq!(admit(&keys(""), key), Err(Refusal::UnknownKey));
        }
        let bob = Visitor { user: "bob", ..VISITOR };
        let refused = keys("").admit(&usual, &bob);
        assert!(matches!(
            refused,
            Err(Refusal::Certificate { line: 1, error: CertificateError::WrongPrincipal { .. } })
        ));
        // Unless the line says which names count for this account.
        assert!(keys(",principals=\"x,alice\"").admit(&usual, &bob).is_ok());
        assert!(keys(",principals=\"x\"").admit(&usual, &VISITOR).is_err());
    }

    #[test]
    fn commands_and_networks_of_certificates_are_obeyed() {
        let line = authority().public().to_openssh("");
        let keys = |options: &str| {
            AuthorizedKeys::parse(format!("cert-authority{options} {line}").as_bytes())
        };
        let forced = certified(|request| {
            request.critical_options.push(CertificateOption::text("force-command", "a"));
            request.critical_options.push(CertificateOption::text("source-address", "10.0.0.0/8"));
        });
        let inside = Visitor { address: Some("10.1.1.1".parse().unwrap()), ..VISITOR };
        let command = |options| keys(options).admit(&forced, &inside).map(|p| p.command);
        assert_eq!(command(""), Ok(Some("a".into())));
        assert_eq!(command(",command=\"a\""), Ok(Some("a".into())));
        assert_eq!(command(",command=\"b\""), Err(Refusal::TwoCommands { line: 1 }));
        assert_eq!(keys("").admit(&forced, &VISITOR), Err(Refusal::SourceAddress));
    }

    #[test]
    fn tokens_have_to_be_used_as_line_and_certificate_say() {
        let proof = |user_present, user_verified| {
            Some(TokenProof { user_present, user_verified, counter: 1 })
        };
        let mut permissions = Permissions::default();
        assert!(permissions.accept(None) && permissions.accept(proof(true, false)));
        assert!(!permissions.accept(proof(false, false)));
        permissions.touch_required = false;
        assert!(permissions.accept(proof(false, false)));
        permissions.verify_required = true;
        assert!(!permissions.accept(proof(true, false)) && permissions.accept(proof(false, true)));
    }

    #[test]
    fn lines_that_are_not_in_order_are_listed_with_the_reason() {
        let (_, line) = some_key(1);
        let blob = line.split(' ').nth(1).unwrap();
        let rsa1 = testing::text("openssh/rsa_1.pub");
        let text = format!(
            "ssh-rsa {blob}\nssh-ed25519\nssh-dss AAAAB3NzaC1kc3M=\n{rsa1}garbage\n\
             no-pty {rsa1}{}\n",
            "x".repeat(20_000)
        );
        let keys = AuthorizedKeys::parse(text.as_bytes());
        assert!(keys.entries().is_empty());
        let reasons: Vec<_> = keys.skipped().iter().map(ToString::to_string).collect();
        let rsa1 = "the RSA key has 1024 bits, allowed are 2048 to 16384";
        assert_eq!(reasons.len(), 7);
        for (reason, expected) in reasons.iter().zip([
            "authorized_keys:1: the key is called \"ssh-rsa\", but its blob holds \"ssh-ed25519\"",
            "authorized_keys:2: the line has no key",
            "authorized_keys:3: keys of type \"ssh-dss\" are not supported",
            &format!("authorized_keys:4: {rsa1}"),
            "authorized_keys:5: the line has no key",
            &format!("authorized_keys:6: {rsa1}"),
            "authorized_keys:7: the line is longer than 16384 bytes",
        ]) {
            assert!(reason.starts_with(expected), "{reason}");
        }
    }

    proptest! {
        #[test]
        fn only_lines_that_begin_with_the_key_give_access(prefix in "[ -~]{0,12}") {
            let (key, line) = some_key(1);
            let keys = AuthorizedKeys::parse(format!("{prefix}{line}").as_bytes());
            let options = prefix.trim_end();
            let known = options.trim().is_empty()
                || (options != prefix && KeyOptions::parse(options.trim_start()).is_ok());
            prop_assert_eq!(keys.know(&Identity::Key(key)), known);
        }
    }
}
