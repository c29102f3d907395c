//! Issuing certificates.

use alloc::{string::String, vec::Vec};

use ssh_crypto::rng::Rng;
use ssh_wire::{Encode as _, put_string, put_with_length};

use super::{Certificate, CertificateError, CertificateOption, FOREVER, Role, options};
use crate::{PrivateKey, PublicKey, SignError, SignatureAlgorithm};

/// What `ssh-keygen` permits users unless told otherwise, in the order of the names.
const USUAL_EXTENSIONS: &[&str] = &[
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
];

/// The length of the nonce, in bytes: nobody shall know what will be signed.
const NONCE_LEN: usize = 32;

/// What an authority is asked to certify.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CertificateRequest {
    /// The key to certify.
    pub key: PublicKey,
    /// Whom it is for.
    pub role: Role,
    /// The number of the certificate; 0 for none.
    pub serial: u64,
    /// What the authority calls it, for logs.
    pub key_id: String,
    /// The users or hosts that it is for. Without any it is good for nothing.
    pub principals: Vec<String>,
    /// The first second of its validity, since 1970.
    pub valid_after: u64,
    /// The first second after its validity, since 1970.
    pub valid_before: u64,
    /// What who accepts it has to obey.
    pub critical_options: Vec<CertificateOption>,
    /// What it permits.
    pub extensions: Vec<CertificateOption>,
}

impl CertificateRequest {
    /// A certificate for the user or host called `principal`, valid for ever. Users may do what
    /// `ssh-keygen` permits unless told otherwise.
    #[must_use]
    pub fn new(key: PublicKey, role: Role, key_id: &str, principal: &str) -> Self {
        let extensions = match role {
            Role::User => {
                USUAL_EXTENSIONS.iter().map(|name| CertificateOption::flag(name)).collect()
            }
            Role::Host => Vec::new(),
        };
        Self {
            key,
            role,
            serial: 0,
            key_id: key_id.into(),
            principals: [principal.into()].into(),
            valid_after: 0,
            valid_before: FOREVER,
            critical_options: Vec::new(),
            extensions,
        }
    }

    /// Signs with the key of the authority.
    ///
    /// # Errors
    /// What [`PrivateKey::sign`] says.
    pub fn issue(
        &self,
        authority: &PrivateKey,
        algorithm: SignatureAlgorithm,
        rng: &mut dyn Rng,
    ) -> Result<Certificate, IssueError> {
        let unsigned = self.unsigned(authority.public(), rng);
        let signature = authority.sign(algorithm, unsigned.as_bytes()).map_err(IssueError::Sign)?;
        unsigned.signed_with(&signature).map_err(IssueError::Certificate)
    }

    /// Everything but the signature, for an authority whose key is elsewhere: in an agent.
    #[must_use]
    pub fn unsigned(&self, authority: &PublicKey, rng: &mut dyn Rng) -> Unsigned {
        let mut nonce = [0; NONCE_LEN];
        rng.fill(&mut nonce);
        let name = self.key.key_type().certificate_spelling(self.key.name());
        let mut out = Vec::new();
        put_string(&mut out, name.as_bytes());
        put_string(&mut out, &nonce);
        out.extend_from_slice(self.key.fields());
        self.serial.encode(&mut out);
        self.role.number().encode(&mut out);
        put_string(&mut out, self.key_id.as_bytes());
        put_with_length(&mut out, |out| {
            for principal in &self.principals {
                put_string(out, principal.as_bytes());
            }
        });
        self.valid_after.encode(&mut out);
        self.valid_before.encode(&mut out);
        options::write(&self.critical_options, &mut out);
        options::write(&self.extensions, &mut out);
        put_string(&mut out, b"");
        put_string(&mut out, authority.blob());
        Unsigned(out)
    }
}

/// A certificate that lacks its signature.
#[derive(Clone, Debug)]
pub struct Unsigned(Vec<u8>);

impl Unsigned {
    /// What the authority has to sign.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The certificate with the signature blob that the authority gave.
    ///
    /// # Errors
    /// [`CertificateError`] if what was asked for makes no certificate, or the signature is not
    /// one of the authority over it.
    pub fn signed_with(self, signature: &[u8]) -> Result<Certificate, CertificateError> {
        let mut blob = self.0;
        put_string(&mut blob, signature);
        let certificate = Certificate::from_blob(&blob)?;
        certificate.verify(|_| true)?;
        Ok(certificate)
    }
}

/// Why no certificate was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssueError {
    /// The key of the authority does not sign.
    Sign(SignError),
    /// What was asked for makes no certificate.
    Certificate(CertificateError),
}

impl core::fmt::Display for IssueError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Sign(error) => error.fmt(f),
            Self::Certificate(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for IssueError {}
