//! ssh-keygen(1), ALLOWED SIGNERS: whose keys may sign what, and when.
//!
//! A line is `principals [options] type base64 [comment]`, where principals are patterns with
//! commas between, and what stands in base64 is a key or a certificate.

use alloc::{borrow::ToOwned, string::String, sync::Arc, vec::Vec};
use core::fmt;

use ssh_wire::PeerText;

use crate::{
    KeyError, LineError, SkippedLine,
    calendar::Date,
    certificate::{Certificate, CertificateError, Identity},
    line::{MAX_LINE_LEN, lines, read_key_text},
    options, pattern,
};

/// The lines of an allowed signers file.
#[derive(Clone, Debug, Default)]
pub struct AllowedSigners {
    signers: Vec<AllowedSigner>,
    skipped: Vec<SkippedLine>,
}

/// A line of the file: a key, and what its signatures count for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllowedSigner {
    /// The number of the line, from 1.
    pub line: usize,
    /// Patterns for the names of those who sign with the key.
    pub principals: String,
    /// The key signs certificates, and those who have one sign.
    pub cert_authority: bool,
    /// Patterns for what the signatures may be for; `None` for anything.
    pub namespaces: Option<String>,
    /// From when on signatures count.
    pub valid_after: Option<Date>,
    /// Until when signatures count.
    pub valid_before: Option<Date>,
    /// The key, or the one certificate over it that signs.
    pub identity: Identity,
}

/// Why a signature counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAllowed {
    /// No line has the key, or an authority of it, for the one who is to have signed.
    UnknownSigner,
    /// The key may not sign for this.
    Namespace {
        /// The line.
        line: usize,
        /// What the signature is for.
        namespace: PeerText,
    },
    /// The key may not sign yet.
    NotYetValid {
        /// The line.
        line: usize,
    },
    /// The key may not sign any more.
    Expired {
        /// The line.
        line: usize,
    },
    /// The certificate is not good for it.
    Certificate {
        /// The line.
        line: usize,
        /// Why not.
        error: CertificateError,
    },
}

impl AllowedSigners {
    /// Reads the text of a file; `source` is its name, for messages. Lines that are not in order
    /// are skipped.
    #[must_use]
    pub fn parse(text: &[u8], source: &str) -> Self {
        let source: Arc<str> = source.into();
        let mut signers = Self::default();
        for (line, text) in lines(text) {
            match parse_line(line, text) {
                Ok(signer) => signers.signers.push(signer),
                Err(reason) => {
                    let source = Arc::clone(&source);
                    signers.skipped.push(SkippedLine { source, line, reason });
                }
            }
        }
        signers
    }

    /// The lines.
    #[must_use]
    pub fn signers(&self) -> &[AllowedSigner] {
        &self.signers
    }

    /// The lines that are not in order, and count for nothing.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedLine] {
        &self.skipped
    }

    /// Whether a signature by `identity` for `namespace`, made at `time`, counts as one of
    /// `principal`. Times are seconds since 1970; local time is `utc_offset` seconds ahead of UTC.
    ///
    /// # Errors
    /// [`NotAllowed`], by the last line that is about the key.
    pub fn check(
        &self,
        identity: &Identity,
        principal: &str,
        namespace: &str,
        time: u64,
        utc_offset: i32,
    ) -> Result<&AllowedSigner, NotAllowed> {
        let mut refusal = NotAllowed::UnknownSigner;
        for signer in &self.signers {
            if !matches_list(&signer.principals, principal) {
                continue;
            }
            let verdict = match signer.certificate_of(identity) {
                Err(()) => continue,
                Ok(None) => Ok(()),
                Ok(Some(certificate)) => signer.check_certificate(certificate, principal, time),
            };
            match verdict.and_then(|()| signer.check_limits(namespace, time, utc_offset)) {
                Ok(()) => return Ok(signer),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// The names under which `identity` may sign at `time`: those on the first line that is about
    /// it, or, for a certificate, those of its own that this line has. Patterns are given as they
    /// stand there. None if it may not sign.
    #[must_use]
    pub fn find_principals(&self, identity: &Identity, time: u64, utc_offset: i32) -> Vec<String> {
        for signer in &self.signers {
            let names = match signer.certificate_of(identity) {
                Err(()) => continue,
                Ok(None) => signer.principals.split(',').map(str::to_owned).collect(),
                Ok(Some(certificate)) => signer.names_of(certificate, time),
            };
            if !names.is_empty() && signer.check_times(time, utc_offset).is_ok() {
                return names;
            }
        }
        Vec::new()
    }

    /// The principals of every line that is about `principal`, as they stand there.
    pub fn match_principals(&self, principal: &str) -> impl Iterator<Item = &str> {
        self.signers
            .iter()
            .map(|signer| signer.principals.as_str())
            .filter(move |principals| matches_list(principals, principal))
    }
}

impl AllowedSigner {
    /// The certificate that makes `identity` one of this line, or nothing if the line names it;
    /// an error if the line is not about it.
    fn certificate_of<'a>(&self, identity: &'a Identity) -> Result<Option<&'a Certificate>, ()> {
        match identity {
            // As for OpenSSH: a certificate that the file has is not asked until when it is valid.
            _ if !self.cert_authority && *identity == self.identity => Ok(None),
            Identity::Certificate(certificate)
                if self.cert_authority && certificate.authority() == self.identity.key() =>
            {
                Ok(Some(certificate))
            }
            _ => Err(()),
        }
    }

    fn check_certificate(
        &self,
        certificate: &Certificate,
        principal: &str,
        time: u64,
    ) -> Result<(), NotAllowed> {
        let verdict = certificate
            .verify(|authority| authority == self.identity.key())
            .and_then(|trusted| trusted.for_user(&[principal], time));
        match verdict {
            Ok(_) => Ok(()),
            Err(error) => Err(NotAllowed::Certificate { line: self.line, error }),
        }
    }

    /// The names of a certificate that the line has.
    fn names_of(&self, certificate: &Certificate, time: u64) -> Vec<String> {
        let names = certificate.principals().iter();
        let names = names.filter(|name| matches_list(&self.principals, name));
        names
            .filter(|name| self.check_certificate(certificate, name, time).is_ok())
            .cloned()
            .collect()
    }

    fn check_limits(&self, namespace: &str, time: u64, utc_offset: i32) -> Result<(), NotAllowed> {
        let line = self.line;
        match &self.namespaces {
            Some(namespaces) if !matches_list(namespaces, namespace) => {
                Err(NotAllowed::Namespace { line, namespace: namespace.into() })
            }
            _ => self.check_times(time, utc_offset),
        }
    }

    fn check_times(&self, time: u64, utc_offset: i32) -> Result<(), NotAllowed> {
        let line = self.line;
        if self.valid_after.is_some_and(|after| time < after.unix(utc_offset)) {
            Err(NotAllowed::NotYetValid { line })
        } else if self.valid_before.is_some_and(|before| time > before.unix(utc_offset)) {
            Err(NotAllowed::Expired { line })
        } else {
            Ok(())
        }
    }
}

fn matches_list(patterns: &str, name: &str) -> bool {
    pattern::list_includes(patterns.as_bytes(), name.as_bytes())
}

fn parse_line(line: usize, text: &[u8]) -> Result<AllowedSigner, LineError> {
    if text.len() > MAX_LINE_LEN {
        return Err(LineError::TooLong);
    }
    let (principals, rest) = principals(text).ok_or(LineError::Options)?;
    let principals = core::str::from_utf8(principals).map_err(|_| LineError::NotText)?;
    if principals.is_empty() {
        return Err(KeyError::MissingField("principals").into());
    }
    let (options, identity) = match read_identity(rest) {
        Ok(identity) => (None, identity),
        Err(error) => match options::split(rest) {
            Some((options, rest)) => match read_identity(rest) {
                Ok(identity) => (Some(options), identity),
                // The options may have been the type of a key that is not supported.
                Err(_) => return Err(error),
            },
            None => return Err(error),
        },
    };
    let mut signer = AllowedSigner {
        line,
        principals: principals.into(),
        cert_authority: false,
        namespaces: None,
        valid_after: None,
        valid_before: None,
        identity,
    };
    if let Some(options) = options {
        signer.read_options(options)?;
    }
    Ok(signer)
}

/// The key or the certificate at the start.
fn read_identity(text: &[u8]) -> Result<Identity, LineError> {
    let text = read_key_text(text)?;
    Identity::from_blob(&text.blob).map_err(|error| match error {
        CertificateError::Key(error) => error.into(),
        error => LineError::Certificate(error),
    })
}

/// The first field, which may stand in quotes, and what follows.
fn principals(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match text.strip_prefix(b"\"") {
        // A quote in the middle of a word is an accident.
        None => Some(crate::line::field(text)).filter(|(word, _)| !word.contains(&b'"')),
        Some(quoted) => {
            let end = quoted.iter().position(|byte| *byte == b'"')?;
            let (principals, rest) = quoted.split_at_checked(end)?;
            Some((principals, crate::line::trimmed(rest.strip_prefix(b"\"")?)))
        }
    }
}

impl AllowedSigner {
    fn read_options(&mut self, text: &[u8]) -> Result<(), LineError> {
        let text = core::str::from_utf8(text).map_err(|_| LineError::NotText)?;
        for option in options::parse(text).ok_or(LineError::Options)? {
            let name = option.name.as_str();
            let twice = match (name, option.value.as_deref()) {
                ("cert-authority", None) => {
                    self.cert_authority = true;
                    false
                }
                ("namespaces", Some(value)) => self.namespaces.replace(value.into()).is_some(),
                ("valid-after", Some(value)) => {
                    self.valid_after.replace(date(name, value)?).is_some()
                }
                ("valid-before", Some(value)) => {
                    self.valid_before.replace(date(name, value)?).is_some()
                }
                _ => return Err(LineError::UnknownOption { name: name.into() }),
            };
            if twice {
                return Err(LineError::DuplicateOption { name: name.into() });
            }
        }
        match (self.valid_after, self.valid_before) {
            (Some(after), Some(before)) if before.unix(0) <= after.unix(0) => {
                Err(LineError::BadOption { name: "valid-before".into() })
            }
            _ => Ok(()),
        }
    }
}

fn date(name: &str, value: &str) -> Result<Date, LineError> {
    Date::parse(value).ok_or_else(|| LineError::BadOption { name: name.into() })
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSigner => f.write_str("no line has this key for this signer"),
            Self::Namespace { line, namespace } => {
                write!(f, "line {line}: the key does not sign for \"{namespace}\"")
            }
            Self::NotYetValid { line } => write!(f, "line {line}: the key does not sign yet"),
            Self::Expired { line } => write!(f, "line {line}: the key does not sign any more"),
            Self::Certificate { line, error } => write!(f, "line {line}: {error}"),
        }
    }
}

impl core::error::Error for NotAllowed {}
