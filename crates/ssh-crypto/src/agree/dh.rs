//! Diffie-Hellman in the multiplicative group of a prime field (RFC 4253 §8, RFC 4419, RFC 8268).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, One};
use zeroize::Zeroize;

use super::groups;
use crate::rng::Rng;
use crate::{InvalidGroup, InvalidShare, Secret};

/// The smallest modulus that is taken from a peer, in bits (RFC 8270 §2).
pub const DH_MIN_BITS: usize = 2048;

/// The largest modulus, in bits: the cost grows with the square, and the peer chooses. RFC 4419 §3
/// recommends this bound, and OpenSSH has it.
pub const DH_MAX_BITS: usize = 8192;

/// Bits of a private exponent: twice the strength of the strongest keys that are derived, which
/// RFC 4419 §6.2 demands at least. All of its time depends on this number and on the modulus only.
const EXPONENT_BITS: u32 = 512;

const EXPONENT_LEN: usize = 64;

/// A group that has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FixedGroup {
    /// 1024 bits (RFC 2409 §6.2), within reach of those who have the money. Also called Oakley 2.
    Group1,
    /// 2048 bits (RFC 3526 §3).
    Group14,
    /// 3072 bits (RFC 3526 §4).
    Group15,
    /// 4096 bits (RFC 3526 §5).
    Group16,
    /// 6144 bits (RFC 3526 §6).
    Group17,
    /// 8192 bits (RFC 3526 §7).
    Group18,
}

/// A prime p and a generator g. Cloning shares it.
#[derive(Clone)]
pub struct DhGroup(Arc<Inner>);

struct Inner {
    p: BoxedUint,
    g: BoxedUint,
    params: BoxedMontyParams,
}

impl DhGroup {
    /// The group with this number.
    #[must_use]
    pub fn fixed(group: FixedGroup) -> Self {
        let p = match group {
            FixedGroup::Group1 => groups::GROUP1,
            FixedGroup::Group14 => groups::GROUP14,
            FixedGroup::Group15 => groups::GROUP15,
            FixedGroup::Group16 => groups::GROUP16,
            FixedGroup::Group17 => groups::GROUP17,
            FixedGroup::Group18 => groups::GROUP18,
        };
        // The constants are odd hexadecimal numbers; a test reads all of them.
        let p = BoxedUint::from_str_radix_vartime(p, 16).unwrap_or_else(|_| BoxedUint::one());
        Self::new(p, &[2]).unwrap_or_else(Self::trivial)
    }

    /// The group of numbers from a peer, big-endian, that should have `min` to `max` bits.
    ///
    /// Whether p is prime is not looked at: who sends the group could give the secret away
    /// anyhow, and signs the exchange with the host key.
    ///
    /// # Errors
    /// [`InvalidGroup`] if p is even or out of bounds (those of the caller, and at most
    /// [`DH_MAX_BITS`]), or unless 1 < g < p - 1.
    pub fn from_peer(p: &[u8], g: &[u8], min: usize, max: usize) -> Result<Self, InvalidGroup> {
        let (p, g) = (trimmed(p), trimmed(g));
        let max = max.min(DH_MAX_BITS);
        let unused = p.first().map_or(0, |byte| byte.leading_zeros());
        let bits = p.len().saturating_mul(8).saturating_sub(usize::try_from(unused).unwrap_or(0));
        let odd = p.last().is_some_and(|byte| byte & 1 == 1);
        // Three is the least that leaves room for a generator.
        if !odd || !(min.max(3)..=max).contains(&bits) {
            return Err(InvalidGroup::Modulus { bits, min, max });
        }
        Self::new(BoxedUint::from_be_slice_vartime(p), g).ok_or(InvalidGroup::Generator)
    }

    /// `None` unless p is odd and 1 < g < p - 1.
    fn new(p: BoxedUint, g: &[u8]) -> Option<Self> {
        let odd: Odd<BoxedUint> = p.to_odd().into_option()?;
        let params = BoxedMontyParams::new_vartime(odd);
        let mut inner = Inner { p, g: BoxedUint::one(), params };
        inner.g = inner.element(g)?;
        Some(Self(Arc::new(inner)))
    }

    /// A group in which every share is refused.
    fn trivial() -> Self {
        let params = BoxedMontyParams::new_vartime(<Odd<BoxedUint> as One>::one());
        Self(Arc::new(Inner { p: BoxedUint::one(), g: BoxedUint::one(), params }))
    }

    /// The modulus, big-endian.
    #[must_use]
    pub fn p(&self) -> Vec<u8> {
        self.0.p.to_be_bytes_trimmed_vartime().into_vec()
    }

    /// The generator, big-endian.
    #[must_use]
    pub fn g(&self) -> Vec<u8> {
        self.0.g.to_be_bytes_trimmed_vartime().into_vec()
    }

    /// The size of the modulus, in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        usize::try_from(self.0.p.bits_vartime()).unwrap_or(usize::MAX)
    }
}

impl Inner {
    /// A public number if it is above 1 and below p - 1.
    fn element(&self, bytes: &[u8]) -> Option<BoxedUint> {
        let bytes = trimmed(bytes);
        let value = BoxedUint::from_be_slice(bytes, self.p.bits_precision()).ok()?;
        let next = value.wrapping_add(BoxedUint::one());
        let above = value.cmp_vartime(BoxedUint::one()) == Ordering::Greater;
        let below = next.cmp_vartime(&self.p) == Ordering::Less;
        // The successor of the largest number of this width is zero.
        (above && below && next.cmp_vartime(&value) == Ordering::Greater).then_some(value)
    }

    /// `base` to the power of `exponent`, in a time that does not depend on their values.
    fn power(&self, base: &BoxedUint, exponent: &BoxedUint) -> Secret<Vec<u8>> {
        let base = BoxedMontyForm::new(base.clone(), &self.params);
        let mut power = base.pow_bounded_exp(exponent, EXPONENT_BITS);
        let mut number = power.retrieve();
        let mut bytes = number.to_be_bytes();
        let result = Secret::new(bytes.to_vec());
        bytes.zeroize();
        number.zeroize();
        power.zeroize();
        result
    }
}

impl fmt::Debug for DhGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DhGroup({} bits)", self.bits())
    }
}

impl PartialEq for DhGroup {
    fn eq(&self, other: &Self) -> bool {
        self.0.p == other.0.p && self.0.g == other.0.g
    }
}

impl Eq for DhGroup {}

/// Our half of an exchange: a private exponent, and g to its power.
pub struct Dh {
    group: DhGroup,
    exponent: Secret<BoxedUint>,
    public: Vec<u8>,
}

impl Dh {
    /// A fresh exponent of 512 bits.
    #[must_use]
    pub fn generate(group: DhGroup, rng: &mut dyn Rng) -> Self {
        let mut exponent = Secret::new([0; EXPONENT_LEN]);
        rng.fill(exponent.expose_mut());
        // All 512 bits, and never zero.
        if let Some(first) = exponent.expose_mut().first_mut() {
            *first |= 0x80;
        }
        Self::from_exponent(group, exponent.expose())
    }

    /// The exchange with a known exponent, big-endian: for tests and replay.
    #[must_use]
    pub fn from_exponent(group: DhGroup, exponent: &[u8; EXPONENT_LEN]) -> Self {
        let exponent = BoxedUint::from_be_slice_truncated(exponent, EXPONENT_BITS);
        let public = group.0.power(&group.0.g, &exponent);
        let public = trimmed(public.expose()).to_vec();
        Self { group, exponent: Secret::new(exponent), public }
    }

    /// The public value to send, `e` or `f`: big-endian without leading zeros.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The secret shared with the holder of `peer` (big-endian, leading zeros or not), big-endian,
    /// as long as the modulus in whole words.
    ///
    /// # Errors
    /// [`InvalidShare`] unless 1 < `peer` < p - 1 (RFC 8268 §4).
    pub fn agree(self, peer: &[u8]) -> Result<Secret<Vec<u8>>, InvalidShare> {
        let peer = self.group.0.element(peer).ok_or(InvalidShare)?;
        Ok(self.group.0.power(&peer, self.exponent.expose()))
    }
}

impl fmt::Debug for Dh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dh").field("group", &self.group).finish_non_exhaustive()
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::rng::SeededRng;
    use crate::testing::Vectors;

    const ALL: [(FixedGroup, usize); 6] = [
        (FixedGroup::Group1, 1024),
        (FixedGroup::Group14, 2048),
        (FixedGroup::Group15, 3072),
        (FixedGroup::Group16, 4096),
        (FixedGroup::Group17, 6144),
        (FixedGroup::Group18, 8192),
    ];

    #[test]
    fn the_fixed_groups_are_generated_by_two_in_half_of_the_field() {
        for (group, bits) in ALL {
            let group = DhGroup::fixed(group);
            assert_eq!((group.bits(), group.g()), (bits, vec![2]));
            // 2 has the order (p - 1) / 2: with one digit wrong that does not happen.
            let mut half = group.0.p.clone();
            half = half.shr(1);
            let two = BoxedMontyForm::new(group.0.g.clone(), &group.0.params);
            assert!(bool::from(two.pow(&half).retrieve().is_one()), "{bits}");
        }
    }

    #[test]
    fn exchanges_with_openssh() {
        let vectors = Vectors::load(include_str!("../../testdata/dh.json"));
        for (name, group) in [
            ("dh-group1-sha1", Some(FixedGroup::Group1)),
            ("dh-group14-sha256", Some(FixedGroup::Group14)),
            ("dh-group16-sha512", Some(FixedGroup::Group16)),
            ("dh-group18-sha512", Some(FixedGroup::Group18)),
            ("dh-gex-sha256", None),
            ("dh-gex-sha1", None),
        ] {
            let case = vectors.object(name);
            let group = group.map_or_else(
                || DhGroup::from_peer(&case.hex("gex_p"), &case.hex("gex_g"), 2048, 8192).unwrap(),
                DhGroup::fixed,
            );
            let dh = Dh::from_exponent(group, &case.array("client_private_x"));
            assert_eq!(dh.public(), trimmed(&case.hex("client_e")), "{name}");
            let shared = dh.agree(&case.hex("server_f")).unwrap();
            // An mpint: length, perhaps a zero for the sign, the number.
            assert_eq!(trimmed(shared.expose()), trimmed(&case.hex("K_encoded")[4..]), "{name}");
        }
    }

    #[test]
    fn shares_of_small_order_or_out_of_range_are_refused() {
        let group = DhGroup::fixed(FixedGroup::Group14);
        let p = group.p();
        let (mut one_less, mut two_less, mut one_more) = (p.clone(), p.clone(), p.clone());
        *one_less.last_mut().unwrap() -= 1;
        *two_less.last_mut().unwrap() -= 2;
        one_more[0] = 0xff;
        one_more.push(1);
        let all_ones = vec![0xff; p.len()];
        let agree = |share: &[u8]| {
            Dh::generate(group.clone(), &mut SeededRng::new(1)).agree(share).map(|_| ())
        };
        for bad in [&[][..], &[0], &[1], &[0, 1], &p, &one_less, &one_more, &all_ones] {
            assert_eq!(agree(bad), Err(InvalidShare));
        }
        for good in [&[2][..], &[0, 0, 2], &two_less] {
            assert_eq!(agree(good), Ok(()));
        }
    }

    #[test]
    fn groups_out_of_bounds_are_refused_before_anything_is_computed() {
        let p = DhGroup::fixed(FixedGroup::Group14).p();
        let refused = |p: &[u8], g: &[u8], min, max| {
            DhGroup::from_peer(p, g, min, max).map(|group| group.bits()).unwrap_err()
        };
        let size = |bits, min, max| InvalidGroup::Modulus { bits, min, max };
        assert_eq!(refused(&p, &[2], 2049, 8192), size(2048, 2049, 8192));
        assert_eq!(refused(&p, &[2], 1024, 2047), size(2048, 1024, 2047));
        let mut even = p.clone();
        *even.last_mut().unwrap() ^= 1;
        assert_eq!(refused(&even, &[2], 2048, 8192), size(2048, 2048, 8192));
        let huge = vec![0xff; 1025];
        assert_eq!(refused(&huge, &[2], 2048, 100_000), size(8200, 2048, 8192));
        assert_eq!(refused(&[], &[2], 0, 8192), size(0, 0, 8192));
        assert_eq!(refused(&[1], &[2], 0, 8192), size(1, 0, 8192));
        let mut one_less = p.clone();
        *one_less.last_mut().unwrap() -= 1;
        for g in [&[][..], &[0], &[1], &one_less, &p, &huge] {
            assert_eq!(refused(&p, g, 2048, 8192), InvalidGroup::Generator);
        }
        assert_eq!(DhGroup::from_peer(&p, &[5], 2048, 8192).unwrap().g(), [5]);
    }

    #[test]
    fn debug_shows_no_secret() {
        let dh = Dh::generate(DhGroup::fixed(FixedGroup::Group1), &mut SeededRng::new(1));
        assert_eq!(format!("{dh:?}"), "Dh { group: DhGroup(1024 bits), .. }");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn both_sides_get_the_same_secret(seed: u64) {
            let group = DhGroup::fixed(FixedGroup::Group1);
            let mut rng = SeededRng::new(seed);
            let a = Dh::generate(group.clone(), &mut rng);
            let b = Dh::generate(group, &mut rng);
            let (to_a, to_b) = (b.public().to_vec(), a.public().to_vec());
            prop_assert_ne!(&to_a, &to_b);
            let (a, b) = (a.agree(&to_a).unwrap(), b.agree(&to_b).unwrap());
            prop_assert_eq!(a.expose(), b.expose());
        }

        #[test]
        fn no_numbers_of_a_peer_make_it_panic(
            p in proptest::collection::vec(any::<u8>(), 0..40),
            g in proptest::collection::vec(any::<u8>(), 0..40),
            share in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            if let Ok(group) = DhGroup::from_peer(&p, &g, 0, 8192) {
                drop(Dh::generate(group, &mut SeededRng::new(1)).agree(&share));
            }
        }
    }
}
