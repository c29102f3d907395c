//! ECDH on P-384 and P-521 (RFC 5656 §4).

use core::fmt;

use super::Private;
use crate::backend::{self, Curve, Ephemeral};
use crate::rng::Rng;
use crate::sign::scalar_from_magnitude;
use crate::{InvalidKey, InvalidPoint, Secret};

/// How many draws of a scalar are tried: with P-521 every other one is in range, with P-384 all
/// but one in 2^190.
const DRAWS: usize = 256;

macro_rules! curve {
    ($(#[$doc:meta])* $type:ident, $len:literal, $point:literal, $top:literal, $public:ident, $agree:ident) => {
        $(#[$doc])*
        pub struct $type {
            secret: Private<$len>,
            public: [u8; $point],
        }

        impl $type {
            /// A fresh private value.
            ///
            /// # Errors
            /// None for any working source of randomness.
            pub fn generate(rng: &mut dyn Rng) -> Result<Self, InvalidKey> {
                if let Some((held, public)) = Ephemeral::generate(Curve::$type, rng) {
                    return Ok(Self { secret: Private::Held(held), public });
                }
                let mut draw = Secret::new([0; $len]);
                for _ in 0..DRAWS {
                    rng.fill(draw.expose_mut());
                    if let Some(first) = draw.expose_mut().first_mut() {
                        *first &= $top;
                    }
                    if let Ok(ours) = Self::from_secret(draw.expose()) {
                        return Ok(ours);
                    }
                }
                // Once in 2^256, or with a source that is stuck: do not loop for ever.
                Err(InvalidKey::ScalarOutOfRange)
            }

            /// The exchange with a known private value, big-endian: for tests and replay.
            ///
            /// # Errors
            /// [`InvalidKey::ScalarOutOfRange`] unless 0 < secret < the order of the curve.
            pub fn from_secret(secret: &[u8]) -> Result<Self, InvalidKey> {
                let secret =
                    scalar_from_magnitude::<$len>(secret).ok_or(InvalidKey::ScalarOutOfRange)?;
                let public =
                    backend::$public(secret.expose()).ok_or(InvalidKey::ScalarOutOfRange)?;
                Ok(Self { secret: Private::Known(secret), public })
            }

            /// The public value to send: an uncompressed point (SEC 1 §2.3.3).
            #[must_use]
            pub const fn public(&self) -> [u8; $point] {
                self.public
            }

            /// The secret shared with the holder of `peer`: the X coordinate, big-endian.
            ///
            /// # Errors
            /// [`InvalidPoint`] unless `peer` is an uncompressed point on the curve
            /// (RFC 5656 §4: public keys "MUST" be validated).
            pub fn agree(self, peer: &[u8]) -> Result<Secret<[u8; $len]>, InvalidPoint> {
                let peer: &[u8; $point] = peer.try_into().map_err(|_| InvalidPoint)?;
                self.secret
                    .agree(peer, |secret| backend::$agree(secret, peer))
                    .ok_or(InvalidPoint)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }
    };
}

curve! {
    /// Our half of an ECDH exchange on P-384.
    P384, 48, 97, 0xff, p384_public, p384_agree
}

curve! {
    /// Our half of an ECDH exchange on P-521.
    P521, 66, 133, 0x01, p521_public, p521_agree
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::rng::SeededRng;
    use crate::testing::Vectors;

    macro_rules! curve_tests {
        ($module:ident, $type:ident, $name:literal) => {
            mod $module {
                use super::*;

                #[test]
                fn a_real_exchange() {
                    let vectors = Vectors::load(include_str!("../../testdata/ecdh.json"));
                    let kex = vectors.object($name);
                    let ours = $type::from_secret(&kex.hex("client_private_scalar")).unwrap();
                    assert_eq!(ours.public()[..], kex.hex("client_public"));
                    let shared = ours.agree(&kex.hex("server_public")).unwrap();
                    assert_eq!(shared.expose()[..], kex.hex("shared_ecdh_x"));
                }

                #[test]
                fn both_sides_get_the_same_secret() {
                    for seed in 0..8 {
                        let mut rng = SeededRng::new(seed);
                        let a = $type::generate(&mut rng).unwrap();
                        let b = $type::generate(&mut rng).unwrap();
                        let (to_a, to_b) = (b.public(), a.public());
                        assert_ne!(to_a, to_b);
                        let (a, b) = (a.agree(&to_a).unwrap(), b.agree(&to_b).unwrap());
                        assert_eq!(a.expose(), b.expose());
                    }
                }

                #[test]
                fn points_off_the_curve_compressed_cut_or_infinite_are_refused() {
                    let good = $type::from_secret(&[9]).unwrap().public();
                    let ours = || $type::from_secret(&[7]).unwrap();
                    for index in 0..good.len() {
                        let mut bad = good;
                        bad[index] ^= 1;
                        assert_eq!(ours().agree(&bad).unwrap_err(), InvalidPoint, "{index}");
                    }
                    let half = good.len() / 2 + 1;
                    let mut compressed = good[..half].to_vec();
                    compressed[0] = 0x02 | (good[good.len() - 1] & 1);
                    let mut zero = [0; 133];
                    zero[0] = 0x04;
                    let zero = &zero[..good.len()];
                    for bad in [&compressed[..], zero, &good[1..], &[0], &[]] {
                        assert_eq!(ours().agree(bad).unwrap_err(), InvalidPoint);
                    }
                    assert!(ours().agree(&good).is_ok());
                }

                #[test]
                fn a_stuck_source_of_randomness_does_not_hang() {
                    struct Stuck;
                    impl Rng for Stuck {
                        fn fill(&mut self, dest: &mut [u8]) {
                            dest.fill(0);
                        }
                    }
                    let refused = $type::generate(&mut Stuck).unwrap_err();
                    assert_eq!(refused, InvalidKey::ScalarOutOfRange);
                }

                #[test]
                fn debug_shows_no_secret() {
                    let ours = $type::from_secret(&[7]).unwrap();
                    assert_eq!(format!("{ours:?}"), concat!(stringify!($type), " { .. }"));
                }
            }
        };
    }

    curve_tests!(p384, P384, "nistp384");
    curve_tests!(p521, P521, "nistp521");
}
