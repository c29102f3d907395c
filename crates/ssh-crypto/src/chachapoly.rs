//! The packets of `chacha20-poly1305@openssh.com` (draft-ietf-sshm-chacha20-poly1305).
//!
//! Two keys: the first half of the key material encrypts the body and makes the Poly1305 key, the
//! second half encrypts the length. The nonce is the packet's sequence number. Poly1305 runs over
//! the plain concatenation of both ciphertexts, without the padding of RFC 8439.

use core::fmt;

use crate::poly1305::poly1305;
use crate::stream::ChaCha20Key;
use crate::{Forged, Secret, backend, constant_time_eq};

/// The length of a packet's length, in bytes: what no packet here is shorter than.
const LENGTH_LEN: usize = 4;

/// A key of the cipher, for either direction.
pub struct ChaChaPoly(State);

enum State {
    Pure { main: ChaCha20Key, header: ChaCha20Key },
    Other(backend::ChaChaPoly),
}

impl ChaChaPoly {
    /// The length of a tag, in bytes.
    pub const TAG_LEN: usize = 16;

    /// Takes the key material over.
    #[must_use]
    pub fn new(key: &[u8; 64]) -> Self {
        backend::ChaChaPoly::new(key).map_or_else(|| Self::pure(key), |key| Self(State::Other(key)))
    }

    pub(crate) fn pure(key: &[u8; 64]) -> Self {
        let (main, header) = key.split_at(32);
        let half = |bytes: &[u8]| {
            ChaCha20Key::new(
                Secret::new(bytes.first_chunk::<32>().copied().unwrap_or_default()).expose(),
            )
        };
        Self(State::Pure { main: half(main), header: half(header) })
    }

    /// The length of the packet number `sequence`, from its first four bytes as they arrive.
    ///
    /// It is not authentic before [`open`](Self::open) has said so.
    #[must_use]
    pub fn length(&self, sequence: u32, sealed: [u8; LENGTH_LEN]) -> u32 {
        let mut length = sealed;
        match &self.0 {
            State::Pure { header, .. } => header.apply(sequence.into(), 0, &mut length),
            State::Other(key) => length = key.length(sequence, sealed),
        }
        u32::from_be_bytes(length)
    }

    /// Encrypts `packet`, its length and its body, in place and returns the tag over both.
    ///
    /// A sequence number must never be used twice with one key. What is shorter than a length, and
    /// so no packet, is overwritten with zeros and gets a tag that does not verify.
    #[must_use]
    pub fn seal(&self, sequence: u32, packet: &mut [u8]) -> [u8; Self::TAG_LEN] {
        let (main, header) = match &self.0 {
            State::Pure { main, header } => (main, header),
            State::Other(key) if packet.len() >= LENGTH_LEN => return key.seal(sequence, packet),
            State::Other(_) => {
                packet.fill(0);
                return [0; Self::TAG_LEN];
            }
        };
        let len = packet.len().saturating_sub(LENGTH_LEN);
        main.with_packet(sequence.into(), len, |stream| {
            let Some((length, body)) = packet.split_first_chunk_mut::<LENGTH_LEN>() else {
                packet.fill(0);
                return [0; Self::TAG_LEN];
            };
            header.apply(sequence.into(), 0, length);
            stream.apply(body);
            poly1305(stream.one_time_key(), &[packet])
        })
    }

    /// Checks `tag` over `packet`, its length and its body as they arrived, then decrypts the body
    /// in place. The length stays as it is.
    ///
    /// # Errors
    /// [`Forged`] if the tag does not match. What `packet` holds then is unspecified and must not
    /// be used.
    pub fn open(
        &self,
        sequence: u32,
        packet: &mut [u8],
        tag: &[u8; Self::TAG_LEN],
    ) -> Result<(), Forged> {
        let main = match &self.0 {
            State::Pure { main, .. } => main,
            State::Other(key) => return key.open(sequence, packet, tag),
        };
        let len = packet.len().saturating_sub(LENGTH_LEN);
        main.with_packet(sequence.into(), len, |stream| {
            if !constant_time_eq(&poly1305(stream.one_time_key(), &[packet]), tag) {
                return Err(Forged);
            }
            let (_, body) = packet.split_first_chunk_mut::<LENGTH_LEN>().ok_or(Forged)?;
            stream.apply(body);
            Ok(())
        })
    }
}

impl fmt::Debug for ChaChaPoly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChaChaPoly(..)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use alloc::{format, vec};

    use proptest::prelude::*;

    use super::*;
    use crate::testing::Vectors;

    /// Whoever serves it here, and the portable one.
    fn both(key: &[u8; 64]) -> [ChaChaPoly; 2] {
        [ChaChaPoly::new(key), ChaChaPoly::pure(key)]
    }

    #[test]
    fn a_known_packet_seals_and_opens() {
        let vectors = Vectors::load(include_str!("../testdata/chacha20poly1305.json"));
        let case = vectors.object("openssh_packet");
        let sequence = u32::try_from(case.number("seq")).unwrap();
        let (payload, padding) = (case.hex("payload"), case.hex("padding"));
        let body = [&[padding.len() as u8], &payload[..], &padding].concat();
        let packet = [&(body.len() as u32).to_be_bytes(), &body[..]].concat();
        let sealed = [case.hex("enc_length"), case.hex("ciphertext")].concat();
        for key in both(&case.array("key64")) {
            let mut buf = packet.clone();
            assert_eq!(key.seal(sequence, &mut buf), case.array("tag"));
            assert_eq!(buf, sealed);
            let length = *buf.first_chunk().unwrap();
            assert_eq!(key.length(sequence, length) as usize, body.len());
            assert_eq!(key.open(sequence, &mut buf, &case.array("tag")), Ok(()));
            assert_eq!((&buf[..4], &buf[4..]), (&length[..], &body[..]));
        }
    }

    #[test]
    fn any_flipped_bit_is_a_forgery() {
        for key in both(&[7; 64]) {
            let mut sealed: Vec<u8> = vec![3; 44];
            let tag = key.seal(5, &mut sealed);
            for bit in 0..44 * 8 {
                let mut forged = sealed.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.open(5, &mut forged, &tag), Err(Forged));
                let mut forged = tag;
                forged[bit / 8 % 16] ^= 1 << (bit % 8);
                assert_eq!(key.open(5, &mut sealed.clone(), &forged), Err(Forged));
            }
            assert_eq!(key.open(6, &mut sealed.clone(), &tag), Err(Forged));
            assert_eq!(key.open(5, &mut sealed[1..].to_vec(), &tag), Err(Forged));
            assert_eq!(key.open(5, &mut sealed, &tag), Ok(()));
        }
    }

    #[test]
    fn what_is_no_packet_is_neither_sealed_nor_opened() {
        for key in both(&[7; 64]) {
            for len in 0..4 {
                let mut buf = vec![9; len];
                assert_eq!(key.seal(0, &mut buf), [0; 16]);
                assert_eq!(buf, vec![0; len]);
                assert_eq!(key.open(0, &mut buf, &[0; 16]), Err(Forged));
            }
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", ChaChaPoly::new(&[7; 64])), "ChaChaPoly(..)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn everybody_gives_the_same_bytes(
            key: [u8; 32],
            header: [u8; 32],
            sequence: u32,
            packet in packets(),
        ) {
            let [a, b] = both(&[key, header].concat().try_into().unwrap());
            let (mut of_a, mut of_b) = (packet.clone(), packet.clone());
            let tag = a.seal(sequence, &mut of_a);
            prop_assert_eq!(tag, b.seal(sequence, &mut of_b));
            prop_assert_eq!(&of_a, &of_b);
            prop_assert_eq!(a.open(sequence, &mut of_b, &tag), Ok(()));
            prop_assert_eq!(b.open(sequence, &mut of_a, &tag), Ok(()));
            prop_assert_eq!(&of_a, &of_b);
            prop_assert_eq!(&of_a[4..], &packet[4..]);
        }

        #[test]
        fn a_packet_is_what_the_draft_says_however_many_calls_it_takes(
            key: [u8; 32],
            header: [u8; 32],
            sequence: u32,
            packet in packets(),
        ) {
            let (main, lengths) = (ChaCha20Key::new(&key), ChaCha20Key::new(&header));
            let mut expected = packet.clone();
            let (length, body) = expected.split_at_mut(4);
            lengths.apply(sequence.into(), 0, length);
            for (block, counter) in body.chunks_mut(64).zip(1..) {
                main.apply(sequence.into(), counter, block);
            }
            let mut one_time = [0; 32];
            main.apply(sequence.into(), 0, &mut one_time);
            let expected_tag = poly1305(&one_time, &[&expected]);

            let cipher = ChaChaPoly::pure(&[key, header].concat().try_into().unwrap());
            let mut sealed = packet.clone();
            let tag = cipher.seal(sequence, &mut sealed);
            prop_assert_eq!(tag, expected_tag);
            prop_assert_eq!(&sealed, &expected);
            let mut forged = sealed.clone();
            let last = forged.len() - 1;
            forged[last] ^= 1;
            prop_assert_eq!(cipher.open(sequence, &mut forged, &tag), Err(Forged));
            prop_assert_eq!(cipher.open(sequence, &mut sealed, &tag), Ok(()));
            prop_assert_eq!(&sealed[4..], &packet[4..]);
        }
    }

    /// Keystrokes, what one call of the key stream is just enough for or just not, and long ones.
    fn packets() -> impl Strategy<Value = Vec<u8>> {
        let len = prop_oneof![
            4_usize..300,
            900_usize..1100,
            1900_usize..2200,
            4_usize..9000,
            32_000_usize..33_000
        ];
        len.prop_flat_map(|len| proptest::collection::vec(any::<u8>(), len))
    }
}
