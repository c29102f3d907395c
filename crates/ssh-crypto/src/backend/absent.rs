//! What only another library serves, where it is not there: types without values.

use super::Encapsulated;
use crate::Secret;
use crate::rng::Rng;

/// Decapsulation keys of ML-KEM that nobody holds.
pub(crate) enum MlKem<const KEY: usize, const CIPHERTEXT: usize> {}

impl<const KEY: usize, const CIPHERTEXT: usize> MlKem<KEY, CIPHERTEXT> {
    pub(crate) const fn generate(_: &dyn Rng) -> Option<Self> {
        None
    }

    pub(crate) const fn encapsulation_key(&self) -> [u8; KEY] {
        match *self {}
    }

    pub(crate) const fn decapsulate(self, _: &[u8; CIPHERTEXT]) -> Secret<[u8; 32]> {
        match self {}
    }

    pub(crate) const fn encapsulate(
        _: &[u8; KEY],
        _: &dyn Rng,
    ) -> Option<Encapsulated<CIPHERTEXT>> {
        None
    }
}

#[cfg(not(feature = "ring"))]
pub(super) use without_ring::{ChaChaPoly, Ephemeral, Hmac, RsaKey, rsa_verify};

#[cfg(not(feature = "ring"))]
mod without_ring {
    use alloc::vec::Vec;

    use super::super::{Curve, RsaNumbers};
    use crate::hash::HashAlgorithm;
    use crate::mac::HmacAlgorithm;
    use crate::rng::Rng;
    use crate::{Forged, Secret};

    pub(crate) enum Ephemeral {}

    impl Ephemeral {
        pub(crate) const fn generate<const N: usize>(
            _: Curve,
            _: &dyn Rng,
        ) -> Option<(Self, [u8; N])> {
            None
        }

        pub(crate) const fn agree<const N: usize>(self, _: &[u8]) -> Option<Secret<[u8; N]>> {
            match self {}
        }
    }

    #[derive(Clone)]
    pub(crate) enum Hmac {}

    impl Hmac {
        pub(crate) const fn new(_: HmacAlgorithm, _: &[u8]) -> Option<Self> {
            None
        }

        pub(crate) const fn compute(&self, _: &[&[u8]], _: &mut [u8; 64]) {
            match *self {}
        }
    }

    pub(crate) enum ChaChaPoly {}

    impl ChaChaPoly {
        pub(crate) const fn new(_: &[u8; 64]) -> Option<Self> {
            None
        }

        pub(crate) const fn length(&self, _: u32, _: [u8; 4]) -> [u8; 4] {
            match *self {}
        }

        pub(crate) const fn seal(&self, _: u32, _: &mut [u8]) -> [u8; 16] {
            match *self {}
        }

        pub(crate) const fn open(&self, _: u32, _: &mut [u8], _: &[u8; 16]) -> Result<(), Forged> {
            match *self {}
        }
    }

    pub(crate) enum RsaKey {}

    impl RsaKey {
        pub(crate) const fn new(_: &RsaNumbers<'_>) -> Option<Self> {
            None
        }

        pub(crate) const fn sign(
            &self,
            _: HashAlgorithm,
            _: &[u8],
        ) -> Option<Result<Vec<u8>, Forged>> {
            match *self {}
        }
    }

    pub(crate) const fn rsa_verify(
        _: &[u8],
        _: &[u8],
        _: HashAlgorithm,
        _: &[u8],
        _: &[u8],
    ) -> Option<Result<(), Forged>> {
        None
    }
}
