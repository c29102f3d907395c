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
        let Some((length, body)) = packet.split_first_chunk_mut::<LENGTH_LEN>() else {
            packet.fill(0);
            return [0; Self::TAG_LEN];
        };
        header.apply(sequence.into(), 0, length);
        main.apply(sequence.into(), 1, body);
        tag(main, sequence, packet)
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
        if !constant_time_eq(&self::tag(main, sequence, packet), tag) {
            return Err(Forged);
        }
        let (_, body) = packet.split_first_chunk_mut::<LENGTH_LEN>().ok_or(Forged)?;
        main.apply(sequence.into(), 1, body);
        Ok(())
    }
}

impl fmt::Debug for ChaChaPoly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChaChaPoly(..)")
    }
}

/// The tag over an encrypted packet; the key is used for this packet alone.
fn tag(main: &ChaCha20Key, sequence: u32, sealed: &[u8]) -> [u8; ChaChaPoly::TAG_LEN] {
    let mut key = Secret::new([0; 32]);
    main.apply(sequence.into(), 0, key.expose_mut());
    poly1305(key.expose(), &[sealed])
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
            packet in proptest::collection::vec(any::<u8>(), 4..9000),
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
    }
}
