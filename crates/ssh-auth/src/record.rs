//! What was tried and how it went: the answer to "why can I not log in?".

use alloc::{string::String, vec::Vec};
use core::fmt;

use ssh_keys::{Fingerprint, algorithm::SignatureAlgorithm};

use crate::{
    limits::MAX_REQUESTS,
    method::{Method, Methods},
};

/// All attempts of one authentication in order, without secrets. Printed, it has one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthRecord {
    /// The attempts, oldest first; twice [`MAX_REQUESTS`] at most.
    pub attempts: Vec<Attempt>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The method.
    pub method: Method,
    /// The key, for `publickey`.
    pub key: Option<KeyAttempt>,
    /// How it went.
    pub outcome: Outcome,
    /// The methods that the server named in its answer.
    pub server_offers: Vec<String>,
}

/// The key of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyAttempt {
    /// Which key.
    pub fingerprint: Fingerprint,
    /// The algorithm of the signature; none if no algorithm suits both the key and the server.
    pub algorithm: Option<SignatureAlgorithm>,
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Not answered yet.
    Pending,
    /// The server refused it.
    Failed,
    /// It succeeded, and the server wants more.
    PartialSuccess,
    /// The server would accept a signature of the key.
    KeyAcceptable,
    /// The server wants a new password.
    PasswordExpired,
    /// It was the last one needed.
    Success,
    /// Nothing was sent: the server names the signature algorithms it takes (RFC 8308 §3.1), and
    /// none of them suits the key.
    NoAlgorithm,
}

impl AuthRecord {
    pub(crate) fn begin(&mut self, method: Method, key: Option<KeyAttempt>, outcome: Outcome) {
        // Attempts that are sent are bounded already; those that are not, only here.
        if self.attempts.len() < MAX_REQUESTS.saturating_mul(2) {
            self.attempts.push(Attempt { method, key, outcome, server_offers: Vec::new() });
        }
    }

    pub(crate) fn end(&mut self, outcome: Outcome, offers: Option<&Methods>) {
        let pending = self.attempts.iter_mut().rfind(|a| a.outcome == Outcome::Pending);
        if let Some(attempt) = pending {
            attempt.outcome = outcome;
            attempt.server_offers = offers.map(Methods::to_strings).unwrap_or_default();
        }
    }
}

impl fmt::Display for AuthRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attempt) in self.attempts.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            attempt.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.method.fmt(f)?;
        if let Some(key) = &self.key {
            write!(f, " {}", key.fingerprint)?;
            if let Some(algorithm) = key.algorithm {
                write!(f, " ({})", algorithm.name())?;
            }
        }
        write!(f, ": {}", self.outcome)?;
        if !self.server_offers.is_empty() {
            f.write_str("; the server offers ")?;
            for (i, name) in self.server_offers.iter().enumerate() {
                write!(f, "{}{name}", if i > 0 { ", " } else { "" })?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "not answered",
            Self::Failed => "refused",
            Self::PartialSuccess => "accepted, more is needed",
            Self::KeyAcceptable => "the key would be accepted",
            Self::PasswordExpired => "the password has to be changed",
            Self::Success => "accepted",
            Self::NoAlgorithm => {
                "not tried, the server takes no signature algorithm of this key's type"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use ssh_wire::NameList;

    #[test]
    fn a_record_reads_as_one_line_for_each_attempt() {
        let offers =
            Methods::from_list(NameList::from_text("publickey,password").unwrap()).unwrap();
        let mut record = AuthRecord::default();
        record.begin(Method::None, None, Outcome::Pending);
        record.end(Outcome::Failed, Some(&offers));
        record.begin(Method::Password, None, Outcome::Pending);
        assert_eq!(
            record.to_string(),
            "none: refused; the server offers publickey, password\npassword: not answered"
        );
    }

    #[test]
    fn a_record_does_not_grow_without_bound() {
        let mut record = AuthRecord::default();
        for _ in 0..10 * MAX_REQUESTS {
            record.begin(Method::PublicKey, None, Outcome::NoAlgorithm);
        }
        assert_eq!(record.attempts.len(), 2 * MAX_REQUESTS);
    }
}
