//! The key exchange methods behind one face: a public value of each side, and a shared secret.
//!
//! All methods here have the shape of RFC 5656 §4: the client sends a value, the server answers
//! with one, and both compute the secret.

use alloc::{boxed::Box, vec::Vec};

use ssh_crypto::{Secret, rng::Rng};
use ssh_wire::{Encode, MpInt};

use super::{curve25519, ecdh, mlkem};
use crate::algorithm::KexAlgorithm;

/// A public value that the method does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadShare;

/// The shared secret K in the form that is hashed, its length included.
#[derive(Debug)]
pub(crate) struct SharedSecret(Secret<Vec<u8>>);

impl SharedSecret {
    /// K as an `mpint`: the older methods.
    pub(crate) fn mpint(bytes: &[u8]) -> Self {
        // With capacity, so that no copy stays behind in memory that was grown out of.
        let mut out = Vec::with_capacity(bytes.len().saturating_add(8));
        MpInt::from_bytes(bytes).encode(&mut out);
        Self(Secret::new(out))
    }

    /// K as a `string` of fixed length: the hybrids.
    pub(crate) fn string(bytes: &[u8]) -> Self {
        let mut out = Vec::with_capacity(bytes.len().saturating_add(8));
        bytes.encode(&mut out);
        Self(Secret::new(out))
    }

    /// The bytes to be hashed.
    pub(crate) const fn encoded(&self) -> &[u8] {
        self.0.expose().as_slice()
    }
}

/// The client's private half of an exchange; used once.
pub(crate) enum ClientShare {
    Curve25519(curve25519::ClientShare),
    Ecdh(ecdh::ClientShare),
    MlKem(Box<mlkem::ClientShare>),
}

impl ClientShare {
    pub(crate) fn generate(algorithm: KexAlgorithm, rng: &mut dyn Rng) -> Self {
        match algorithm {
            KexAlgorithm::MlKem768X25519Sha256 => {
                Self::MlKem(Box::new(mlkem::ClientShare::generate(rng)))
            }
            KexAlgorithm::Curve25519Sha256 | KexAlgorithm::Curve25519Sha256LibSsh => {
                Self::Curve25519(curve25519::ClientShare::generate(rng))
            }
            KexAlgorithm::EcdhSha2Nistp256 => Self::Ecdh(ecdh::ClientShare::generate(rng)),
        }
    }

    /// What is sent to the server.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::Curve25519(share) => share.public(),
            Self::Ecdh(share) => share.public(),
            Self::MlKem(share) => share.public(),
        }
    }

    /// The secret, from the server's value.
    pub(crate) fn agree(self, server_public: &[u8]) -> Result<SharedSecret, BadShare> {
        match self {
            Self::Curve25519(share) => share.agree(server_public),
            Self::Ecdh(share) => share.agree(server_public),
            Self::MlKem(share) => share.agree(server_public),
        }
    }
}

/// The server's half: from the client's value to the server's and the secret.
pub(crate) fn respond(
    algorithm: KexAlgorithm,
    client_public: &[u8],
    rng: &mut dyn Rng,
) -> Result<(Vec<u8>, SharedSecret), BadShare> {
    match algorithm {
        KexAlgorithm::MlKem768X25519Sha256 => mlkem::respond(client_public, rng),
        KexAlgorithm::Curve25519Sha256 | KexAlgorithm::Curve25519Sha256LibSsh => {
            curve25519::respond(client_public, rng)
        }
        KexAlgorithm::EcdhSha2Nistp256 => ecdh::respond(client_public, rng),
    }
}

#[cfg(test)]
impl SharedSecret {
    /// A recorded secret.
    pub(crate) fn recorded(encoded: &[u8]) -> Self {
        Self(Secret::new(encoded.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_crypto::rng::SeededRng;

    #[test]
    fn both_sides_of_every_method_get_the_same_secret() {
        let mut rng = SeededRng::new(1);
        for algorithm in KexAlgorithm::ALL {
            let share = ClientShare::generate(*algorithm, &mut rng);
            let (public, secret) = respond(*algorithm, &share.public(), &mut rng).unwrap();
            let other = share.agree(&public).unwrap();
            assert_eq!(secret.encoded(), other.encoded(), "{algorithm}");
        }
    }

    #[test]
    fn public_values_of_every_other_length_are_refused() {
        let mut rng = SeededRng::new(2);
        for algorithm in KexAlgorithm::ALL {
            let good = ClientShare::generate(*algorithm, &mut rng).public();
            for len in [0, 1, 31, 32, 33, 64, 65, 66, 1183, 1184, 1215, 1216, 1217, 1120, 1121] {
                let mut bytes = good.clone();
                bytes.resize(len, 1);
                if len == good.len() {
                    continue;
                }
                assert!(respond(*algorithm, &bytes, &mut rng).is_err(), "{algorithm} {len}");
            }
            let (public, _) = respond(*algorithm, &good, &mut rng).unwrap();
            for len in [0, 31, 33, 64, 66, 1088, 1119, 1121, 2000] {
                let mut bytes = public.clone();
                bytes.resize(len, 1);
                let share = ClientShare::generate(*algorithm, &mut rng);
                assert!(share.agree(&bytes).is_err(), "{algorithm} {len}");
            }
        }
    }

    #[test]
    fn values_that_lead_to_no_secret_are_refused() {
        let mut rng = SeededRng::new(3);
        let zero_point = [0; 32];
        let curve = KexAlgorithm::Curve25519Sha256;
        assert!(respond(curve, &zero_point, &mut rng).is_err());
        assert!(ClientShare::generate(curve, &mut rng).agree(&zero_point).is_err());
        let hybrid = KexAlgorithm::MlKem768X25519Sha256;
        let mut public = ClientShare::generate(hybrid, &mut rng).public();
        public[1184..].fill(0);
        assert!(respond(hybrid, &public, &mut rng).is_err());
        // Coefficients that are not below the modulus (FIPS 203 §7.2).
        let mut public = ClientShare::generate(hybrid, &mut rng).public();
        public[..3].fill(0xff);
        assert!(respond(hybrid, &public, &mut rng).is_err());
        // A point that is not on the curve, and one that is compressed.
        let ecdh = KexAlgorithm::EcdhSha2Nistp256;
        let mut public = ClientShare::generate(ecdh, &mut rng).public();
        public[64] ^= 1;
        assert!(respond(ecdh, &public, &mut rng).is_err());
        public[64] ^= 1;
        public[0] = 2;
        assert!(respond(ecdh, &public[..33], &mut rng).is_err());
    }
}
