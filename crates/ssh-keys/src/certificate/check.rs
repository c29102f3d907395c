//! Whether a certificate proves what it was shown for.

use super::{Certificate, CertificateError, Grant, Role, options};
use crate::{PublicKey, SignatureAlgorithm, pattern};

/// A certificate that an authority signed which is trusted here: the only kind that says anything.
#[derive(Clone, Copy, Debug)]
pub struct Trusted<'a>(&'a Certificate);

impl Certificate {
    /// Checks who has signed: an authority that `is_trusted`, and with an algorithm that is no
    /// worse than those of this crate (RSA with SHA-1 is not among them).
    ///
    /// # Errors
    /// [`CertificateError::UntrustedAuthority`] before anything is computed, then
    /// [`CertificateError::UnacceptableAlgorithm`] and [`CertificateError::Signature`].
    pub fn verify(
        &self,
        is_trusted: impl FnOnce(&PublicKey) -> bool,
    ) -> Result<Trusted<'_>, CertificateError> {
        self.verify_with(is_trusted, |_| true)
    }

    /// As [`Self::verify`], with fewer algorithms to rely on.
    ///
    /// # Errors
    /// As there.
    pub fn verify_with(
        &self,
        is_trusted: impl FnOnce(&PublicKey) -> bool,
        is_acceptable: impl FnOnce(SignatureAlgorithm) -> bool,
    ) -> Result<Trusted<'_>, CertificateError> {
        if !is_trusted(self.authority()) {
            let authority = self.authority().fingerprint();
            return Err(CertificateError::UntrustedAuthority { authority });
        }
        let unacceptable =
            || CertificateError::UnacceptableAlgorithm { name: self.signature_name() };
        let algorithm = self.signature_algorithm().ok_or_else(unacceptable)?;
        if !is_acceptable(algorithm) {
            return Err(unacceptable());
        }
        self.authority()
            .verify_proof(algorithm, self.signed(), self.signature())
            .map_err(CertificateError::Signature)?;
        Ok(Trusted(self))
    }

    fn check_role_and_time(&self, expected: Role, now: u64) -> Result<(), CertificateError> {
        let (valid_after, valid_before) = (self.valid_after(), self.valid_before());
        if self.role() != expected {
            Err(CertificateError::WrongRole { expected })
        } else if now < valid_after {
            Err(CertificateError::NotYetValid { valid_after })
        } else if now >= valid_before {
            Err(CertificateError::Expired { valid_before })
        } else if self.principals().is_empty() {
            Err(CertificateError::NoPrincipals)
        } else {
            Ok(())
        }
    }
}

impl<'a> Trusted<'a> {
    /// The certificate.
    #[must_use]
    pub const fn certificate(self) -> &'a Certificate {
        self.0
    }

    /// Whether it proves, at `now` (seconds since 1970), that its key is that of the host called
    /// `host`: the name that was asked for, without a port. The principals are patterns.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn for_host(self, host: &str, now: u64) -> Result<(), CertificateError> {
        let certificate = self.0;
        certificate.check_role_and_time(Role::Host, now)?;
        let name = host.to_ascii_lowercase();
        let matches = |principal: &str| {
            let principal = principal.to_ascii_lowercase();
            pattern::matches(principal.as_bytes(), name.as_bytes())
        };
        if !certificate.principals().iter().any(|principal| matches(principal)) {
            return Err(CertificateError::WrongPrincipal { expected: name });
        }
        options::check_host(certificate)
    }

    /// Whether it proves, at `now` (seconds since 1970), that its key is that of a user who is one
    /// of `names`: the login name, or the names that `principals=` or an `AuthorizedPrincipalsFile`
    /// accept for it. Tells what that user may do.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn for_user(self, names: &[&str], now: u64) -> Result<Grant, CertificateError> {
        let certificate = self.0;
        certificate.check_role_and_time(Role::User, now)?;
        if !certificate.principals().iter().any(|principal| names.contains(&principal.as_str())) {
            return Err(CertificateError::WrongPrincipal { expected: names.join("\", \"") });
        }
        Grant::of(certificate)
    }
}
