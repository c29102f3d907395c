//! Randomness as an argument.
//!
//! Whoever composes the protocol decides where random bytes come from: the
//! operating system, or a seed when a session must be repeatable to the byte.

use alloc::boxed::Box;
use core::convert::Infallible;
use core::fmt;

use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit, StreamCipher};

/// A source of random bytes.
///
/// A source for real use must be unpredictable: keys, cookies and padding are
/// taken from it as they come.
pub trait Rng: Send {
    /// Overwrites all of `dest` with random bytes.
    fn fill(&mut self, dest: &mut [u8]);

    /// Whether this is the operating system's generator, as `SystemRng` is.
    ///
    /// Then nobody could repeat what is drawn, and a library that insists on drawing from there
    /// itself may. Every other source says no, which is the default: its bytes are used.
    fn is_the_systems(&self) -> bool {
        false
    }
}

impl<R: Rng + ?Sized> Rng for Box<R> {
    fn fill(&mut self, dest: &mut [u8]) {
        (**self).fill(dest);
    }

    fn is_the_systems(&self) -> bool {
        (**self).is_the_systems()
    }
}

impl<R: Rng + ?Sized> Rng for &mut R {
    fn fill(&mut self, dest: &mut [u8]) {
        (**self).fill(dest);
    }

    fn is_the_systems(&self) -> bool {
        (**self).is_the_systems()
    }
}

/// The operating system's generator.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

#[cfg(feature = "std")]
impl Rng for SystemRng {
    /// # Panics
    /// When the operating system gives no randomness. There is nothing safe to
    /// return: with predictable bytes every key made from them is public.
    #[expect(clippy::panic, reason = "going on without randomness would publish the keys")]
    fn fill(&mut self, dest: &mut [u8]) {
        if let Err(error) = getrandom::fill(dest) {
            panic!("the operating system gives no randomness: {error}");
        }
    }

    fn is_the_systems(&self) -> bool {
        true
    }
}

/// A repeatable stream of bytes from a 64-bit seed: for tests, simulation and replay.
///
/// **Never for real keys**: who knows or guesses the seed knows everything made
/// from it. The stream is `ChaCha20` with the seed as its key, the same on every
/// platform and in every release.
pub struct SeededRng {
    stream: ChaCha20Legacy,
}

impl SeededRng {
    /// The stream that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut key = [0_u8; 32];
        for (byte, seed) in key.iter_mut().zip(seed.to_le_bytes()) {
            *byte = seed;
        }
        Self { stream: ChaCha20Legacy::new(&key.into(), &[0_u8; 8].into()) }
    }
}

impl Rng for SeededRng {
    fn fill(&mut self, dest: &mut [u8]) {
        dest.fill(0);
        // Ends after 2^70 bytes, which no test reaches.
        self.stream.apply_keystream(dest);
    }
}

impl fmt::Debug for SeededRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeededRng").finish_non_exhaustive()
    }
}

/// Our [`Rng`] as the traits that cryptography libraries ask for.
pub(crate) struct Adapter<'a>(pub(crate) &'a mut dyn Rng);

impl rand_core::TryRng for Adapter<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(dest);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Adapter<'_> {}

#[cfg(test)]
mod tests {
    use alloc::format;

    use rand_core::Rng as _;

    use super::*;
    use crate::testing::unhex;

    #[test]
    fn a_seed_gives_the_same_bytes_for_ever() {
        // With the seed 0 this is the first ChaCha20 block of the all-zero key
        // and nonce: RFC 8439 appendix A.1, test vector 1.
        let mut bytes = [0; 32];
        SeededRng::new(0).fill(&mut bytes);
        assert_eq!(
            bytes[..],
            unhex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7")
        );
    }

    #[test]
    fn the_seeded_stream_does_not_depend_on_how_it_is_drawn() {
        let (mut whole, mut pieces) = ([0; 200], [0; 200]);
        SeededRng::new(7).fill(&mut whole);
        let mut rng: Box<dyn Rng> = Box::new(SeededRng::new(7));
        for piece in pieces.chunks_mut(13) {
            rng.fill(piece);
        }
        assert_eq!(whole, pieces);
        let mut other = [0; 200];
        SeededRng::new(8).fill(&mut other);
        assert_ne!(whole, other);
    }

    #[test]
    fn the_adapter_passes_the_bytes_on() {
        let mut bytes = [0; 12];
        SeededRng::new(1).fill(&mut bytes);
        let mut rng = SeededRng::new(1);
        let mut adapter = Adapter(&mut rng);
        assert_eq!(adapter.next_u32().to_le_bytes(), bytes[..4]);
        assert_eq!(adapter.next_u64().to_le_bytes(), bytes[4..]);
    }

    #[test]
    fn debug_does_not_show_the_stream() {
        assert_eq!(format!("{:?}", SeededRng::new(1)), "SeededRng { .. }");
    }

    #[cfg(feature = "std")]
    #[test]
    fn only_the_systems_own_generator_calls_itself_that() {
        let boxed: Box<dyn Rng> = Box::new(SystemRng);
        assert!(boxed.is_the_systems());
        let boxed: Box<dyn Rng> = Box::new(SeededRng::new(1));
        assert!(!boxed.is_the_systems());
        fn passed_on(rng: impl Rng) -> bool {
            rng.is_the_systems()
        }
        assert!(passed_on(&mut SystemRng) && !passed_on(&mut SeededRng::new(1)));
    }

    #[cfg(feature = "std")]
    #[test]
    fn the_system_gives_different_bytes_each_time() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        SystemRng.fill(&mut a);
        SystemRng.fill(&mut b);
        assert_ne!(a, b);
    }
}
