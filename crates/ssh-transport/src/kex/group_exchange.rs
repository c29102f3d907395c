//! Group exchange (RFC 4419, RFC 8270): the server chooses the group, within the client's bounds.
//!
//! ```text
//! client                                server
//!   34 GROUP_REQUEST min, wanted, max ──►
//!                                      ◄── 31 GROUP p, g
//!   32 INIT e ──►
//!                                      ◄── 33 REPLY K_S, f, signature
//! ```
//!
//! The bounds and the group are hashed between the host key and the values.

use alloc::vec::Vec;

use ssh_crypto::{
    agree::{DH_MAX_BITS, DH_MIN_BITS, DhGroup, FixedGroup},
    rng::Rng,
};
use ssh_wire::{Encode, Message, MpInt};

use super::{
    client::AwaitReply, hash::Transcript, method, negotiate::Negotiated, server::AwaitMethodInit,
};
use crate::{
    algorithm::KexAlgorithm,
    error::{Error, PeerMisbehaved},
    message::{KexDhGexGroup, KexDhGexRequest},
};

/// Bits of the group that a client asks for: as strong as AES-128.
const WANTED_BITS: u32 = 3072;

const MIN_BITS: u32 = 2048;
const MAX_BITS: u32 = 8192;
const _: () = assert!(MIN_BITS as usize == DH_MIN_BITS && MAX_BITS as usize == DH_MAX_BITS);

/// A group that was agreed on, and how it is hashed.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(crate) group: DhGroup,
    /// `min │ wanted │ max │ p │ g` (RFC 4419 §3).
    pub(crate) hashed: Vec<u8>,
}

impl Agreed {
    pub(crate) fn new(bounds: KexDhGexRequest, group: DhGroup) -> Self {
        let mut hashed = Vec::new();
        for bits in [bounds.min, bounds.wanted, bounds.max] {
            bits.encode(&mut hashed);
        }
        MpInt::from_bytes(&group.p()).encode(&mut hashed);
        MpInt::from_bytes(&group.g()).encode(&mut hashed);
        Self { group, hashed }
    }
}

/// Client: our bounds are out, the server's group has not come.
pub(crate) struct AwaitGroup {
    negotiated: Negotiated,
    transcript: Transcript,
    pub(crate) bounds: KexDhGexRequest,
}

impl AwaitGroup {
    pub(crate) fn new(negotiated: Negotiated, transcript: Transcript) -> Self {
        let bounds = bounds(negotiated.kex);
        Self { negotiated, transcript, bounds }
    }

    /// Takes the server's group, and makes the public value.
    pub(crate) fn group(self, payload: &[u8], rng: &mut dyn Rng) -> Result<AwaitReply, Error> {
        let message = KexDhGexGroup::parse(payload)?;
        let bits = |bits| usize::try_from(bits).unwrap_or(usize::MAX);
        let (min, max) = (bits(self.bounds.min), bits(self.bounds.max));
        let group = DhGroup::from_peer(message.p.as_bytes(), message.g.as_bytes(), min, max)
            .map_err(|_| PeerMisbehaved::BadKexGroup)?;
        let share = method::generate(self.negotiated.kex, Some(group.clone()), rng)
            .map_err(|_| Error::UnusableKeys)?;
        let agreed = Agreed::new(self.bounds, group);
        Ok(AwaitReply::with_share(self.negotiated, self.transcript, share, Some(agreed)))
    }
}

/// What a client asks for. Where only SHA-1 is left, so are small groups.
const fn bounds(kex: KexAlgorithm) -> KexDhGexRequest {
    match kex {
        #[cfg(feature = "legacy")]
        KexAlgorithm::GroupExchangeSha1 => {
            KexDhGexRequest { min: 1024, wanted: 2048, max: MAX_BITS }
        }
        _ => KexDhGexRequest { min: MIN_BITS, wanted: WANTED_BITS, max: MAX_BITS },
    }
}

/// Server: both `KEXINIT` are known, the client's bounds have not come.
pub(crate) struct AwaitGroupRequest {
    pub(crate) negotiated: Negotiated,
    pub(crate) transcript: Transcript,
}

impl AwaitGroupRequest {
    /// Chooses a group, of `known` or of RFC 3526.
    pub(crate) fn choose(
        self,
        payload: &[u8],
        known: &[DhGroup],
        rng: &mut dyn Rng,
    ) -> Result<AwaitMethodInit, Error> {
        let request = KexDhGexRequest::parse(payload)?;
        if request.min > request.wanted || request.wanted > request.max {
            return Err(PeerMisbehaved::BadGroupBounds.into());
        }
        let group = if known.is_empty() {
            choose(&request, &standard(), rng)
        } else {
            choose(&request, known, rng)
        };
        let group = group.ok_or(PeerMisbehaved::BadGroupBounds)?;
        let agreed = Some(Agreed::new(request, group));
        let Self { negotiated, transcript } = self;
        Ok(AwaitMethodInit { negotiated, transcript, agreed })
    }
}

fn standard() -> [DhGroup; 5] {
    [
        FixedGroup::Group14,
        FixedGroup::Group15,
        FixedGroup::Group16,
        FixedGroup::Group17,
        FixedGroup::Group18,
    ]
    .map(DhGroup::fixed)
}

/// The smallest group that is at least as large as wanted, else the largest within the bounds
/// (RFC 4419 §3); one of several by chance.
fn choose(request: &KexDhGexRequest, known: &[DhGroup], rng: &mut dyn Rng) -> Option<DhGroup> {
    let bits = |bits: u32| usize::try_from(bits).unwrap_or(usize::MAX);
    let (min, max) = (bits(request.min).max(DH_MIN_BITS), bits(request.max).min(DH_MAX_BITS));
    let fitting = || known.iter().map(DhGroup::bits).filter(|bits| (min..=max).contains(bits));
    let enough = fitting().filter(|found| *found >= bits(request.wanted)).min();
    let size = enough.or_else(|| fitting().max())?;
    let of_size: Vec<_> = known.iter().filter(|group| group.bits() == size).collect();
    let mut draw = [0; 4];
    rng.fill(&mut draw);
    let count = u32::try_from(of_size.len()).unwrap_or(u32::MAX);
    let index = u32::from_le_bytes(draw).checked_rem(count).unwrap_or(0);
    of_size.get(usize::try_from(index).ok()?).map(|group| (*group).clone())
}

/// The groups of a file in the format of OpenSSH's `moduli` (moduli(5)), for a server: those that
/// are safe primes and have been tested. Lines that say anything else are left out.
///
/// ```text
/// # time type tests tries size generator modulus
/// 20230101000000 2 6 100 2047 2 F5A…
/// ```
#[must_use]
pub fn parse_moduli(text: &str) -> Vec<DhGroup> {
    text.lines().filter_map(modulus).collect()
}

fn modulus(line: &str) -> Option<DhGroup> {
    const SAFE_PRIME: u32 = 2;
    const COMPOSITE: u32 = 1;

    let mut fields = line.split_ascii_whitespace();
    let _time = fields.next().filter(|time| time.bytes().all(|byte| byte.is_ascii_digit()))?;
    let mut number = || fields.next()?.parse::<u32>().ok();
    let (kind, tests, tries, size) = (number()?, number()?, number()?, number()?);
    if kind != SAFE_PRIME || tests == 0 || tests & COMPOSITE != 0 || tries == 0 {
        return None;
    }
    let generator = hex(fields.next()?)?;
    let modulus = hex(fields.next()?)?;
    // The file says the place of the highest bit.
    let bits = usize::try_from(size).ok()?.checked_add(1)?;
    DhGroup::from_peer(&modulus, &generator, bits, bits).ok().filter(|_| fields.next().is_none())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = || text.chars().map(|digit| digit.to_digit(16));
    let odd = (!text.len().is_multiple_of(2)).then_some(Some(0));
    let all: Option<Vec<u32>> = odd.into_iter().chain(digits()).collect();
    let byte = |pair: &[u32; 2]| {
        let [high, low] = pair;
        u8::try_from((high << 4) | low).ok()
    };
    all?.as_chunks::<2>().0.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};
    use proptest::prelude::*;
    use ssh_crypto::rng::SeededRng;

    fn request(min: u32, wanted: u32, max: u32) -> KexDhGexRequest {
        KexDhGexRequest { min, wanted, max }
    }

    fn chosen(request: KexDhGexRequest) -> Option<usize> {
        choose(&request, &standard(), &mut SeededRng::new(1)).map(|group| group.bits())
    }

    #[test]
    fn a_server_takes_the_smallest_group_that_is_enough_else_the_largest() {
        assert_eq!(chosen(request(2048, 3072, 8192)), Some(3072));
        assert_eq!(chosen(request(2048, 3073, 8192)), Some(4096));
        assert_eq!(chosen(request(1024, 1024, 8192)), Some(2048));
        assert_eq!(chosen(request(2048, 8192, 8192)), Some(8192));
        assert_eq!(chosen(request(2048, 7000, 7500)), Some(6144));
        assert_eq!(chosen(request(2048, u32::MAX, u32::MAX)), Some(8192));
        assert_eq!(chosen(request(1024, 1024, 1536)), None);
        assert_eq!(chosen(request(9000, 9000, 9000)), None);
        assert_eq!(chosen(request(2049, 2049, 3071)), None);
    }

    fn line(group: &DhGroup) -> String {
        let digits: String = group.p().iter().map(|byte| format!("{byte:02X}")).collect();
        format!("20230101000000 2 6 100 {} {} {digits}", group.bits() - 1, group.g()[0])
    }

    #[test]
    fn a_file_of_moduli_gives_its_safe_primes() {
        let groups = standard();
        let good = line(&groups[0]);
        let text = format!(
            "# a comment\n\n{good}\n{}\n{}\n{}\n{}\n{}\n{}\nx\n{}\n",
            good.replace(" 2 6 ", " 4 6 "),
            good.replace(" 6 100 ", " 7 100 "),
            good.replace(" 6 100 ", " 6 0 "),
            good.replace(" 2047 ", " 2048 "),
            good.replace("FFFF", "FFFG"),
            good.clone() + " more",
            line(&groups[2]),
        );
        let found: Vec<_> = parse_moduli(&text).iter().map(DhGroup::bits).collect();
        assert_eq!(found, [2048, 4096]);
        assert_eq!(parse_moduli(&good)[0], groups[0]);
    }

    #[test]
    fn of_several_groups_of_a_size_one_is_chosen_by_chance() {
        let p = standard()[0].p();
        let known: Vec<_> =
            [2, 3, 5].iter().map(|g| DhGroup::from_peer(&p, &[*g], 2048, 2048).unwrap()).collect();
        let mut found: Vec<_> = (0..40)
            .map(|seed| {
                choose(&request(2048, 2048, 8192), &known, &mut SeededRng::new(seed)).unwrap().g()
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, [[2], [3], [5]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_makes_reading_moduli_panic(text in "([0-9]{1,3} ){0,5}[0-9A-Fa-f ]{0,40}\n?") {
            for group in parse_moduli(&text) {
                prop_assert!(group.bits() <= DH_MAX_BITS);
            }
        }
    }
}
