//! The hybrids: a post-quantum key encapsulation and a curve, secure as long as one of them is.
//!
//! ```text
//! client: encapsulation key │ public value on the curve
//! server: ciphertext        │ public value on the curve
//! K = string(HASH(encapsulated secret │ secret of the curve))
//! ```
//!
//! | method | encapsulation | curve | hash |
//! |---|---|---|---|
//! | `mlkem768x25519-sha256` (RFC 10042) | ML-KEM-768 | X25519 | SHA-256 |
//! | `mlkem768nistp256-sha256` (RFC 10042) | ML-KEM-768 | P-256 | SHA-256 |
//! | `mlkem1024nistp384-sha384` (RFC 10042) | ML-KEM-1024 | P-384 | SHA-384 |
//! | `sntrup761x25519-sha512` | Streamlined NTRU Prime | X25519 | SHA-512 |

use alloc::{boxed::Box, vec::Vec};

use ssh_crypto::{
    Secret,
    agree::{P256, P384, X25519},
    hash::{HashAlgorithm, Hasher},
    kem::{self, MlKem768, MlKem1024},
    rng::Rng,
};

#[cfg(feature = "std")]
use kem::Sntrup761;

use super::method::{BadShare, ClientShare, Method, Response, SharedSecret};

/// A key encapsulation.
pub(crate) trait Kem: Send + Sized + 'static {
    /// Bytes of an encapsulation key.
    const PUBLIC: usize;
    /// Bytes of a ciphertext.
    const CIPHERTEXT: usize;
    /// The hash that combines the secrets, where it does not follow from the curve.
    const HASH: Option<HashAlgorithm>;
    fn generate(rng: &mut dyn Rng) -> Self;
    fn public(&self) -> Vec<u8>;
    fn decapsulate(self, ciphertext: &[u8]) -> Result<Secret<[u8; 32]>, BadShare>;
    fn encapsulate(
        public: &[u8],
        rng: &mut dyn Rng,
    ) -> Result<(Vec<u8>, Secret<[u8; 32]>), BadShare>;
}

macro_rules! kem {
    ($type:ident, $public:expr, $ciphertext:expr, $hash:expr, $key:ident, $encapsulate:expr) => {
        impl Kem for $type {
            const PUBLIC: usize = $public;
            const CIPHERTEXT: usize = $ciphertext;
            const HASH: Option<HashAlgorithm> = $hash;

            fn generate(rng: &mut dyn Rng) -> Self {
                Self::generate(rng)
            }

            fn public(&self) -> Vec<u8> {
                self.$key().to_vec()
            }

            fn decapsulate(self, ciphertext: &[u8]) -> Result<Secret<[u8; 32]>, BadShare> {
                Ok(self.decapsulate(ciphertext.try_into().map_err(|_| BadShare)?))
            }

            fn encapsulate(
                public: &[u8],
                rng: &mut dyn Rng,
            ) -> Result<(Vec<u8>, Secret<[u8; 32]>), BadShare> {
                let public = public.try_into().map_err(|_| BadShare)?;
                let (ciphertext, secret) = $encapsulate(public, rng)?;
                Ok((ciphertext.to_vec(), secret))
            }
        }
    };
}

kem!(
    MlKem768,
    kem::ENCAPSULATION_KEY_LEN,
    kem::CIPHERTEXT_LEN,
    None,
    encapsulation_key,
    |key, rng| { kem::encapsulate(key, rng).map_err(|_| BadShare) }
);
kem!(MlKem1024, kem::MLKEM1024_LEN, kem::MLKEM1024_LEN, None, encapsulation_key, |key, rng| {
    kem::mlkem1024_encapsulate(key, rng).map_err(|_| BadShare)
});
#[cfg(feature = "std")]
kem!(
    Sntrup761,
    kem::SNTRUP761_PUBLIC_LEN,
    kem::SNTRUP761_CIPHERTEXT_LEN,
    Some(HashAlgorithm::Sha512),
    public,
    |key, rng| Ok(kem::sntrup761_encapsulate(key, rng))
);

/// A curve as a half of a hybrid.
pub(crate) trait Curve: Method {
    /// The hash that combines the secrets, unless the encapsulation has its own.
    const HASH: HashAlgorithm;
    /// The secret as it is hashed: bytes of fixed length.
    fn secret(self, theirs: &[u8]) -> Result<Secret<Vec<u8>>, BadShare>;
}

impl Curve for X25519 {
    const HASH: HashAlgorithm = HashAlgorithm::Sha256;

    fn secret(self, theirs: &[u8]) -> Result<Secret<Vec<u8>>, BadShare> {
        let secret = self.agree(theirs.try_into().map_err(|_| BadShare)?).map_err(|_| BadShare)?;
        Ok(Secret::new(secret.expose().to_vec()))
    }
}

impl Curve for P256 {
    const HASH: HashAlgorithm = HashAlgorithm::Sha256;

    fn secret(self, theirs: &[u8]) -> Result<Secret<Vec<u8>>, BadShare> {
        let secret = self.agree(theirs).map_err(|_| BadShare)?;
        Ok(Secret::new(secret.expose().to_vec()))
    }
}

impl Curve for P384 {
    const HASH: HashAlgorithm = HashAlgorithm::Sha384;

    fn secret(self, theirs: &[u8]) -> Result<Secret<Vec<u8>>, BadShare> {
        let secret = self.agree(theirs).map_err(|_| BadShare)?;
        Ok(Secret::new(secret.expose().to_vec()))
    }
}

/// The client's private half. Boxed: keys of lattices have kilobytes.
pub(crate) struct Hybrid<K, C> {
    pub(crate) kem: Box<K>,
    pub(crate) curve: C,
}

impl<K: Kem, C: Curve> ClientShare for Hybrid<K, C> {
    fn public(&self) -> Vec<u8> {
        let mut public = self.kem.public();
        public.extend_from_slice(&self.curve.public());
        public
    }

    fn agree(self: Box<Self>, server_public: &[u8]) -> Result<SharedSecret, BadShare> {
        let (ciphertext, point) = server_public.split_at_checked(K::CIPHERTEXT).ok_or(BadShare)?;
        let classical = self.curve.secret(point)?;
        let kem = *self.kem;
        Ok(combine::<K, C>(&kem.decapsulate(ciphertext)?, &classical))
    }
}

impl<K: Kem, C: Curve> Method for Hybrid<K, C> {
    fn generate(rng: &mut dyn Rng) -> Result<Self, BadShare> {
        Ok(Self { kem: Box::new(K::generate(rng)), curve: C::generate(rng)? })
    }

    fn respond(client_public: &[u8], rng: &mut dyn Rng) -> Result<Response, BadShare> {
        let (key, point) = client_public.split_at_checked(K::PUBLIC).ok_or(BadShare)?;
        let (mut public, post_quantum) = K::encapsulate(key, rng)?;
        let curve = C::generate(rng)?;
        public.extend_from_slice(&curve.public());
        let classical = curve.secret(point)?;
        Ok((public, combine::<K, C>(&post_quantum, &classical)))
    }
}

fn combine<K: Kem, C: Curve>(
    post_quantum: &Secret<[u8; 32]>,
    classical: &Secret<Vec<u8>>,
) -> SharedSecret {
    let mut hasher = Hasher::new(K::HASH.unwrap_or(C::HASH));
    hasher.update(post_quantum.expose());
    hasher.update(classical.expose());
    SharedSecret::string(hasher.finish().as_bytes())
}
