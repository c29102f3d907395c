//! Every disagreement with `ssh-keygen` that is meant: what we refuse and it takes, under which
//! exact condition, and why. The other way round there is only [`unread_option`].

use chiton_tests::peer::{Generation, Peer};
use ssh_keys::{
    Certificate, KeyError, LineError,
    certificate::{CertificateError, MAX_OPTIONS},
};
use ssh_wire::{DecodeError, DecodeErrorKind, Reader};

/// What we refuse.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal<'a> {
    /// A key, or a certificate.
    Identity(&'a CertificateError),
    /// A line of an allowed signers file, which begins with this field.
    Signer(&'a LineError, &'a [u8]),
}

/// A disagreement that is meant.
pub(crate) struct Allowed {
    /// What [`reason_for`] answers.
    pub(crate) reason: &'static str,
    /// The last generation that takes it; later ones have to refuse it as we do.
    until: Generation,
    /// Whether this is it.
    is_it: fn(Refusal<'_>) -> bool,
}

/// The list.
pub(crate) const ALLOWED: &[Allowed] = &[
    Allowed {
        reason: "an RSA key of less than 2048 bits can be factored; OpenSSH takes 1024",
        until: Generation::V10_6,
        is_it: |refusal| {
            matches!(key(refusal), Some(KeyError::RsaModulusSize { bits: 1024..2048 }))
        },
    },
    Allowed {
        reason: "an even RSA modulus is no product of large primes; OpenSSH does not look",
        until: Generation::V10_6,
        is_it: |refusal| matches!(key(refusal), Some(KeyError::RsaModulusEven)),
    },
    Allowed {
        reason: "an RSA exponent that is even, 1 or above 2^33 - 1 is never generated; OpenSSH \
                 does not look",
        until: Generation::V10_6,
        is_it: |refusal| matches!(key(refusal), Some(KeyError::RsaExponent)),
    },
    Allowed {
        reason: "a signature with SHA-1 proves nothing any more; ssh-keygen shows such \
                 certificates, and sshd trusts none",
        until: Generation::V10_6,
        is_it: |refusal| match refusal {
            Refusal::Identity(CertificateError::UnacceptableAlgorithm { name }) => {
                name.raw() == "ssh-rsa"
            }
            _ => false,
        },
    },
    Allowed {
        reason: "the names of people, hosts and options are UTF-8 (RFC 4251 §5); OpenSSH takes \
                 any bytes",
        until: Generation::V10_6,
        is_it: |refusal| match malformed(refusal) {
            Some(DecodeError { message, field, kind: DecodeErrorKind::NotUtf8, .. }) => matches!(
                (*message, *field),
                ("certificate principals", "principal")
                    | ("certificate options", "name")
                    | ("certificate" | "public key", "application")
            ),
            _ => false,
        },
    },
    Allowed {
        reason: "a zero byte is no part of a name; OpenSSH takes one at the end, and leaves it out",
        until: Generation::V10_6,
        is_it: |refusal| match malformed(refusal) {
            Some(error) => {
                error.kind == DecodeErrorKind::Invalid("a zero byte at the end of a text")
            }
            None => false,
        },
    },
    Allowed {
        reason: "more options than anybody knows; OpenSSH has no limit",
        until: Generation::V10_6,
        is_it: |refusal| match malformed(refusal) {
            Some(error) => {
                error.message == "certificate options"
                    && error.kind
                        == DecodeErrorKind::Invalid("more options than a certificate may have")
            }
            None => false,
        },
    },
    Allowed {
        reason: "a quote in the middle of the names is an accident; OpenSSH takes it out, and \
                 reads on to the next",
        until: Generation::V10_6,
        is_it: |refusal| match refusal {
            Refusal::Signer(LineError::Options, [_, names @ ..]) => names.contains(&b'"'),
            _ => false,
        },
    },
];

/// More options than we read.
pub(crate) const TOO_MANY_OPTIONS: usize = MAX_OPTIONS + 1;

/// Why `peer` may take what we refuse, if it may.
pub(crate) fn reason_for(peer: &Peer, refusal: Refusal<'_>) -> Option<&'static str> {
    let mut allowed = ALLOWED.iter();
    allowed
        .find(|allowed| peer.generation() <= allowed.until && (allowed.is_it)(refusal))
        .map(|allowed| allowed.reason)
}

/// Whether `ssh-keygen -L` ends before it shows a certificate that we read: an option has a name with
/// a zero byte inside, or no text where it has to have one. We look into options when the
/// certificate is used: what is critical is refused then, and extensions that nobody knows are not
/// looked at.
pub(crate) fn unread_option(certificate: &Certificate) -> bool {
    let is_text = |text: &[u8]| text.split_last().is_none_or(|(_, text)| !text.contains(&0));
    let critical = certificate.critical_options();
    let mut names = critical.iter().chain(certificate.extensions()).map(|option| &option.name);
    let mut texts = critical
        .iter()
        .filter(|option| matches!(option.name.raw(), "force-command" | "source-address"))
        .map(|option| Reader::new("option", &option.data).string());
    names.any(|name| !is_text(name.raw().as_bytes())) || texts.any(|text| !text.is_ok_and(is_text))
}

fn key(refusal: Refusal<'_>) -> Option<&KeyError> {
    match refusal {
        Refusal::Identity(CertificateError::Key(error) | CertificateError::Authority(error)) => {
            Some(error)
        }
        _ => None,
    }
}

/// Where the bytes of a key or a certificate do not parse.
fn malformed(refusal: Refusal<'_>) -> Option<&DecodeError> {
    match (refusal, key(refusal)) {
        (Refusal::Identity(CertificateError::Malformed(error)), _)
        | (_, Some(KeyError::Malformed(error))) => Some(error),
        _ => None,
    }
}
