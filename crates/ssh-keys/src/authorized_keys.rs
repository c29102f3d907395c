//! sshd(8), AUTHORIZED_KEYS FILE FORMAT: which keys may log in.
//!
//! A line is `[options] type base64 [comment]`. Options restrict what a key may do; as they are
//! not implemented, a line with options gives no access at all.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    KeyError, LineError, PublicKey, SkippedLine,
    line::{MAX_LINE_LEN, field, lines, read_key},
};

/// The name that [`SkippedLine`]s of this file have.
const SOURCE: &str = "authorized_keys";

/// The keys of an `authorized_keys` file.
#[derive(Clone, Debug, Default)]
pub struct AuthorizedKeys {
    keys: Vec<PublicKey>,
    skipped: Vec<SkippedLine>,
}

impl AuthorizedKeys {
    /// Reads the text of a file. Lines that are not in order are skipped.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let source: Arc<str> = SOURCE.into();
        let mut keys = Self::default();
        for (line, text) in lines(text) {
            match parse_line(text) {
                Ok(key) => keys.keys.push(key),
                Err(reason) => {
                    let source = Arc::clone(&source);
                    keys.skipped.push(SkippedLine { source, line, reason });
                }
            }
        }
        keys
    }

    /// May the holder of `key` log in?
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }

    /// The keys that may log in.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The lines that give no access, and why.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedLine] {
        &self.skipped
    }
}

impl FromIterator<PublicKey> for AuthorizedKeys {
    fn from_iter<T: IntoIterator<Item = PublicKey>>(keys: T) -> Self {
        Self { keys: keys.into_iter().collect(), skipped: Vec::new() }
    }
}

fn parse_line(text: &[u8]) -> Result<PublicKey, LineError> {
    if text.len() > MAX_LINE_LEN {
        return Err(LineError::TooLong);
    }
    match read_key(text) {
        Ok((key, _)) => Ok(key),
        Err(_) if begins_with_options(text) => Err(LineError::Options),
        Err(error) => Err(error.into()),
    }
}

/// Is the first field options, and a key behind it? They end at the first space or tab that is not
/// between double quotes; a quote after a backslash is not one.
fn begins_with_options(text: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    let end = text.iter().position(|byte| {
        let ends = !quoted && matches!(byte, b' ' | b'\t');
        if *byte == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = *byte == b'\\';
        ends
    });
    let Some((_, rest)) = end.and_then(|end| text.split_at_checked(end)) else { return false };
    let (_, key) = field(rest);
    matches!(
        read_key(key),
        Ok(_) | Err(KeyError::UnsupportedType { .. } | KeyError::RsaModulusSize { .. })
    )
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, some_key};

    #[test]
    fn keys_on_lines_may_log_in_and_others_not() {
        let (first, first_line) = some_key(1);
        let (second, _) = some_key(2);
        let rsa = testing::text("keys/host_rsa.pub");
        let text = format!("# keys\n\n\t{first_line} me@home\r\n{rsa}");
        let keys = AuthorizedKeys::parse(text.as_bytes());
        assert!(keys.contains(&first));
        assert!(keys.contains(&testing::public("keys/host_rsa.pub")));
        assert!(!keys.contains(&second));
        assert_eq!(keys.skipped(), []);
        assert_eq!(keys.keys().len(), 2);
    }

    #[test]
    fn a_line_with_options_gives_no_access() {
        let (key, line) = some_key(1);
        for options in [
            "restrict",
            "cert-authority",
            "no-pty,no-X11-forwarding",
            "command=\"echo ssh-ed25519 AAAA\"",
            "from=\"10.0.0.0/8\",command=\"a \\\"b c\\\" d\"",
            "anything-unknown",
            "environment=\"A=ssh-rsa\"\t",
        ] {
            let keys = AuthorizedKeys::parse(format!("{options} {line}").as_bytes());
            assert!(!keys.contains(&key), "{options}");
            assert_eq!(keys.skipped()[0].reason, LineError::Options, "{options}");
        }
    }

    #[test]
    fn a_key_inside_of_quotes_gives_no_access() {
        let (key, line) = some_key(1);
        let (other, other_line) = some_key(2);
        let text = format!("command=\"x\n{other_line}\ncommand=\"{line}\" {other_line}");
        let keys = AuthorizedKeys::parse(text.as_bytes());
        assert!(!keys.contains(&key));
        // Quotes do not reach over the end of a line.
        assert!(keys.contains(&other));
        assert_eq!(keys.skipped().len(), 2);
    }

    #[test]
    fn lines_that_are_not_in_order_are_listed_with_the_reason() {
        let (_, line) = some_key(1);
        let blob = line.split(' ').nth(1).unwrap();
        let mldsa = testing::text("keys/host_mldsa.pub");
        let rsa1 = testing::text("openssh/rsa_1.pub");
        let text =
            format!("ssh-rsa {blob}\nssh-ed25519\n{mldsa}{rsa1}garbage\n{}\n", "x".repeat(20_000));
        let keys = AuthorizedKeys::parse(text.as_bytes());
        assert!(keys.keys().is_empty());
        let reasons: Vec<_> = keys.skipped().iter().map(ToString::to_string).collect();
        assert_eq!(
            reasons,
            [
                "authorized_keys:1: the key is called \"ssh-rsa\", but its blob holds \"ssh-ed25519\"",
                "authorized_keys:2: the line has no key",
                "authorized_keys:3: keys of type \"ssh-mldsa44-ed25519\" are not supported; \
                 these are: ssh-ed25519, ecdsa-sha2-nistp256, ssh-rsa",
                "authorized_keys:4: the RSA key has 1024 bits, allowed are 2048 to 16384",
                "authorized_keys:5: the line has no key",
                "authorized_keys:6: the line is longer than 16384 bytes",
            ]
        );
    }

    proptest! {
        #[test]
        fn only_lines_that_begin_with_the_key_give_access(prefix in "[ -~]{0,12}") {
            let (key, line) = some_key(1);
            let keys = AuthorizedKeys::parse(format!("{prefix}{line}").as_bytes());
            prop_assert_eq!(keys.contains(&key), prefix.trim().is_empty());
        }
    }
}
