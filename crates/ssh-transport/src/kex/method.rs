//! The key exchange methods behind one face: a public value of each side, and a shared secret.
//!
//! All methods have the shape of RFC 5656 §4: the client sends a value, the server answers with
//! one, and both compute the secret. (With a group exchange, RFC 4419, they agree on a group before.)

use alloc::{boxed::Box, vec::Vec};

use ssh_crypto::{
    Secret,
    agree::{DhGroup, P256, P384, P521, X25519},
    kem::{MlKem768, MlKem1024},
    rng::Rng,
};
use ssh_wire::{Encode, MpInt};

use super::{finite_field::FiniteField, hybrid::Hybrid};
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
pub(crate) trait ClientShare: Send {
    /// What is sent to the server.
    fn public(&self) -> Vec<u8>;

    /// The secret, from the server's value.
    fn agree(self: Box<Self>, server_public: &[u8]) -> Result<SharedSecret, BadShare>;
}

/// A method without parameters.
pub(crate) trait Method: ClientShare + Sized + 'static {
    /// A fresh private half.
    fn generate(rng: &mut dyn Rng) -> Result<Self, BadShare>;

    /// The server's half: from the client's value to the server's and the secret. Where both sides
    /// do the same, this is it.
    fn respond(client_public: &[u8], rng: &mut dyn Rng) -> Result<Response, BadShare> {
        let ours = Box::new(Self::generate(rng)?);
        let public = ours.public();
        Ok((public, ours.agree(client_public)?))
    }
}

/// The server's public value, and the secret.
pub(crate) type Response = (Vec<u8>, SharedSecret);

type Generate = fn(&mut dyn Rng) -> Result<Box<dyn ClientShare>, BadShare>;
type Respond = fn(&[u8], &mut dyn Rng) -> Result<Response, BadShare>;

/// What a method without parameters is able to do.
#[derive(Clone, Copy)]
struct Functions {
    generate: Generate,
    respond: Respond,
}

impl Functions {
    fn of<M: Method>() -> Self {
        Self { generate: |rng| Ok(Box::new(M::generate(rng)?)), respond: M::respond }
    }
}

/// How a method computes.
enum Shape {
    Functions(Functions),
    FiniteField(DhGroup),
}

/// The method behind a name. `group` is the one that a group exchange has led to.
fn shape(algorithm: KexAlgorithm, group: Option<DhGroup>) -> Result<Shape, BadShare> {
    if let Some(fixed) = algorithm.fixed_group() {
        return Ok(Shape::FiniteField(DhGroup::fixed(fixed)));
    }
    Ok(Shape::Functions(match algorithm {
        KexAlgorithm::MlKem768X25519Sha256 => Functions::of::<Hybrid<MlKem768, X25519>>(),
        KexAlgorithm::MlKem768Nistp256Sha256 => Functions::of::<Hybrid<MlKem768, P256>>(),
        KexAlgorithm::MlKem1024Nistp384Sha384 => Functions::of::<Hybrid<MlKem1024, P384>>(),
        #[cfg(feature = "std")]
        KexAlgorithm::Sntrup761X25519Sha512 | KexAlgorithm::Sntrup761X25519Sha512OpenSsh => {
            Functions::of::<Hybrid<ssh_crypto::kem::Sntrup761, X25519>>()
        }
        KexAlgorithm::Curve25519Sha256 | KexAlgorithm::Curve25519Sha256LibSsh => {
            Functions::of::<X25519>()
        }
        KexAlgorithm::EcdhSha2Nistp256 => Functions::of::<P256>(),
        KexAlgorithm::EcdhSha2Nistp384 => Functions::of::<P384>(),
        KexAlgorithm::EcdhSha2Nistp521 => Functions::of::<P521>(),
        // What is left exchanges groups, and has a fixed one nowhere.
        _ => return group.map(Shape::FiniteField).ok_or(BadShare),
    }))
}

/// The client's private half for a method.
pub(crate) fn generate(
    algorithm: KexAlgorithm,
    group: Option<DhGroup>,
    rng: &mut dyn Rng,
) -> Result<Box<dyn ClientShare>, BadShare> {
    match shape(algorithm, group)? {
        Shape::Functions(functions) => (functions.generate)(rng),
        Shape::FiniteField(group) => Ok(Box::new(FiniteField::generate(group, rng))),
    }
}

/// The server's half: from the client's value to the server's and the secret.
pub(crate) fn respond(
    algorithm: KexAlgorithm,
    group: Option<DhGroup>,
    client_public: &[u8],
    rng: &mut dyn Rng,
) -> Result<Response, BadShare> {
    match shape(algorithm, group)? {
        Shape::Functions(functions) => (functions.respond)(client_public, rng),
        Shape::FiniteField(group) => {
            let ours = Box::new(FiniteField::generate(group, rng));
            let public = ours.public();
            Ok((public, ours.agree(client_public)?))
        }
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

    fn group(algorithm: KexAlgorithm) -> Option<DhGroup> {
        let group = DhGroup::fixed(ssh_crypto::agree::FixedGroup::Group14);
        algorithm.is_group_exchange().then_some(group)
    }

    fn ask(algorithm: KexAlgorithm, rng: &mut SeededRng) -> Box<dyn ClientShare> {
        generate(algorithm, group(algorithm), rng).unwrap()
    }

    fn answer(
        algorithm: KexAlgorithm,
        public: &[u8],
        rng: &mut SeededRng,
    ) -> Result<Response, BadShare> {
        respond(algorithm, group(algorithm), public, rng)
    }

    /// The lengths of RFC 10042, RFC 8731 and RFC 5656: client, server.
    fn lengths(algorithm: KexAlgorithm) -> Option<(usize, usize)> {
        Some(match algorithm {
            KexAlgorithm::MlKem768X25519Sha256 => (1216, 1120),
            KexAlgorithm::MlKem768Nistp256Sha256 => (1249, 1153),
            KexAlgorithm::MlKem1024Nistp384Sha384 => (1665, 1665),
            #[cfg(feature = "std")]
            KexAlgorithm::Sntrup761X25519Sha512 | KexAlgorithm::Sntrup761X25519Sha512OpenSsh => {
                (1190, 1071)
            }
            KexAlgorithm::Curve25519Sha256 | KexAlgorithm::Curve25519Sha256LibSsh => (32, 32),
            KexAlgorithm::EcdhSha2Nistp256 => (65, 65),
            KexAlgorithm::EcdhSha2Nistp384 => (97, 97),
            KexAlgorithm::EcdhSha2Nistp521 => (133, 133),
            _ => return None,
        })
    }

    #[test]
    fn both_sides_of_every_method_get_the_same_secret() {
        let mut rng = SeededRng::new(1);
        for algorithm in KexAlgorithm::ALL {
            let share = ask(*algorithm, &mut rng);
            let (public, secret) = answer(*algorithm, &share.public(), &mut rng).unwrap();
            let found = (share.public().len(), public.len());
            assert!(lengths(*algorithm).is_none_or(|lengths| lengths == found), "{algorithm}");
            let other = share.agree(&public).unwrap();
            assert_eq!(secret.encoded(), other.encoded(), "{algorithm}");
        }
    }

    #[test]
    fn public_values_of_every_other_length_are_refused() {
        let mut rng = SeededRng::new(2);
        for algorithm in KexAlgorithm::ALL {
            let Some((client, server)) = lengths(*algorithm) else { continue };
            let good = ask(*algorithm, &mut rng).public();
            let around = |len: usize| [0, 1, 31, 33, 64, 66, len - 33, len - 32, len - 1, len + 1];
            for len in around(client.max(33)).into_iter().filter(|len| *len != client) {
                let mut bytes = good.clone();
                bytes.resize(len, 1);
                assert!(answer(*algorithm, &bytes, &mut rng).is_err(), "{algorithm} {len}");
            }
            let (public, _) = answer(*algorithm, &good, &mut rng).unwrap();
            for len in around(server.max(33)).into_iter().filter(|len| *len != server) {
                let mut bytes = public.clone();
                bytes.resize(len, 1);
                let share = ask(*algorithm, &mut rng);
                assert!(share.agree(&bytes).is_err(), "{algorithm} {len}");
            }
        }
    }

    #[test]
    fn numbers_out_of_range_and_not_in_their_shortest_form_are_refused() {
        let mut rng = SeededRng::new(4);
        let method = KexAlgorithm::Group14Sha256;
        let good = ask(method, &mut rng).public();
        let p = DhGroup::fixed(ssh_crypto::agree::FixedGroup::Group14).p();
        let p = [&[0], &p[..]].concat();
        let mut one_less = p.clone();
        *one_less.last_mut().unwrap() -= 1;
        let negative = p[1..].to_vec();
        let padded = [&[0, 0], &good[..]].concat();
        for bad in [&[][..], &[0], &[1], &p, &one_less, &negative, &padded, &[0xff]] {
            assert!(answer(method, bad, &mut rng).is_err());
            assert!(ask(method, &mut rng).agree(bad).is_err());
        }
        assert!(answer(method, &[2], &mut rng).is_ok());
    }

    #[test]
    fn values_that_lead_to_no_secret_are_refused() {
        let mut rng = SeededRng::new(3);
        let zero_point = [0; 32];
        let curve = KexAlgorithm::Curve25519Sha256;
        assert!(answer(curve, &zero_point, &mut rng).is_err());
        assert!(ask(curve, &mut rng).agree(&zero_point).is_err());
        let hybrid = KexAlgorithm::MlKem768X25519Sha256;
        let mut public = ask(hybrid, &mut rng).public();
        public[1184..].fill(0);
        assert!(answer(hybrid, &public, &mut rng).is_err());
        // Coefficients that are not below the modulus (FIPS 203 §7.2).
        for hybrid in [hybrid, KexAlgorithm::MlKem1024Nistp384Sha384] {
            let mut public = ask(hybrid, &mut rng).public();
            public[..3].fill(0xff);
            assert!(answer(hybrid, &public, &mut rng).is_err());
        }
        // A point that is not on the curve, and one that is compressed.
        for ecdh in [KexAlgorithm::EcdhSha2Nistp256, KexAlgorithm::MlKem768Nistp256Sha256] {
            let mut public = ask(ecdh, &mut rng).public();
            let last = public.len() - 1;
            public[last] ^= 1;
            assert!(answer(ecdh, &public, &mut rng).is_err());
            public[last] ^= 1;
            public[last - 64] = 2;
            assert!(answer(ecdh, &public[..last - 31], &mut rng).is_err());
        }
    }
}
