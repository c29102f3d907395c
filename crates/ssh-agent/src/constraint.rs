//! RFC 9987 §5.2.7: limits to the use of a key, which come with it.

use alloc::{string::String, vec::Vec};

use ssh_wire::{Encode as _, Reader};

use crate::{
    ConstraintError,
    destination::{self, Destination},
};

const LIFETIME: u8 = 1;
const CONFIRM: u8 = 2;
const EXTENSION: u8 = 255;

const RESTRICT_DESTINATION: &str = "restrict-destination-v00@openssh.com";
const SK_PROVIDER: &str = "sk-provider@openssh.com";

/// Limits to the use of a key. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Constraints {
    /// After so many seconds the agent forgets the key.
    pub lifetime: Option<u32>,
    /// Somebody is asked before each signature.
    pub confirm: bool,
    /// Where the key may be used; empty for everywhere. See [`destination`].
    pub destinations: Vec<Destination>,
    /// The library through which the token of a FIDO key is reached: OpenSSH's
    /// `sk-provider@openssh.com`.
    pub sk_provider: Option<String>,
}

impl Constraints {
    /// True if there are none: the key is then added without.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lifetime.is_none()
            && !self.confirm
            && self.destinations.is_empty()
            && self.sk_provider.is_none()
    }

    /// Reads constraints up to the end of a message.
    ///
    /// # Errors
    /// [`ConstraintError`], also for every constraint that is not known here: who cannot keep a
    /// constraint must not take the key (RFC 9987 §5.2.7).
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, ConstraintError> {
        let mut constraints = Self::default();
        while reader.left() > 0 {
            match reader.field("constraint").byte()? {
                LIFETIME => {
                    let seconds = reader.field("lifetime").uint32()?;
                    set_once(&mut constraints.lifetime, seconds)?;
                }
                CONFIRM if constraints.confirm => return Err(ConstraintError::Repeated),
                CONFIRM => constraints.confirm = true,
                EXTENSION => constraints.decode_extension(reader)?,
                number => return Err(ConstraintError::Unknown { number }),
            }
        }
        Ok(constraints)
    }

    fn decode_extension(&mut self, reader: &mut Reader<'_>) -> Result<(), ConstraintError> {
        match reader.field("constraint extension").utf8()? {
            RESTRICT_DESTINATION if !self.destinations.is_empty() => Err(ConstraintError::Repeated),
            RESTRICT_DESTINATION => {
                self.destinations = destination::decode(reader.field("destinations").string()?)?;
                Ok(())
            }
            SK_PROVIDER => {
                let provider = reader.field("sk provider").utf8()?;
                set_once(&mut self.sk_provider, provider.into())
            }
            _ => Err(ConstraintError::UnknownExtension),
        }
    }

    /// Writes what [`Self::decode`] reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(seconds) = self.lifetime {
            LIFETIME.encode(out);
            seconds.encode(out);
        }
        if self.confirm {
            CONFIRM.encode(out);
        }
        if let Some(provider) = &self.sk_provider {
            EXTENSION.encode(out);
            SK_PROVIDER.encode(out);
            provider.as_str().encode(out);
        }
        if !self.destinations.is_empty() {
            EXTENSION.encode(out);
            RESTRICT_DESTINATION.encode(out);
            destination::encode(&self.destinations, out);
        }
    }
}

fn set_once<T>(place: &mut Option<T>, value: T) -> Result<(), ConstraintError> {
    if place.is_some() {
        return Err(ConstraintError::Repeated);
    }
    *place = Some(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::destination::tests::some_destination;

    fn decode(bytes: &[u8]) -> Result<Constraints, ConstraintError> {
        Constraints::decode(&mut Reader::new("constraints", bytes))
    }

    fn everything() -> Constraints {
        Constraints {
            lifetime: Some(77),
            confirm: true,
            destinations: vec![some_destination()],
            sk_provider: Some("/lib/sk.so".into()),
        }
    }

    #[test]
    fn constraints_are_read_as_they_are_written() {
        let all = everything();
        for constraints in [
            Constraints::default(),
            Constraints { destinations: vec![], ..all.clone() },
            Constraints { sk_provider: None, ..all.clone() },
            all,
        ] {
            let mut bytes = vec![];
            constraints.encode(&mut bytes);
            assert_eq!(bytes.is_empty(), constraints.is_empty());
            assert_eq!(decode(&bytes), Ok(constraints));
        }
    }

    #[test]
    fn a_key_with_a_constraint_that_is_not_known_is_refused() {
        assert_eq!(decode(&[3]), Err(ConstraintError::Unknown { number: 3 }));
        assert_eq!(decode(&[2, 0]), Err(ConstraintError::Unknown { number: 0 }));
        assert_eq!(decode(b"\xff\0\0\0\x03a@b"), Err(ConstraintError::UnknownExtension));
    }

    #[test]
    fn a_constraint_that_comes_twice_is_refused() {
        let mut bytes = vec![];
        everything().encode(&mut bytes);
        for twice in [&[2][..], &[1, 0, 0, 0, 1], b"\xff\0\0\0\x17sk-provider@openssh.com\0\0\0\0"]
        {
            let both = [&bytes[..], twice].concat();
            assert_eq!(decode(&both), Err(ConstraintError::Repeated), "{twice:?}");
        }
        let destinations =
            Constraints { destinations: vec![some_destination()], ..Constraints::default() };
        destinations.encode(&mut bytes);
        assert_eq!(decode(&bytes), Err(ConstraintError::Repeated));
    }

    #[test]
    fn a_cut_is_no_constraint() {
        let mut bytes = vec![];
        everything().encode(&mut bytes);
        let whole = (0..bytes.len()).filter(|end| decode(&bytes[..*end]).is_ok()).count();
        // Between two constraints a cut cannot be seen.
        assert_eq!(whole, 4);
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(constraints) = decode(&bytes) {
                let mut again = vec![];
                constraints.encode(&mut again);
                prop_assert_eq!(decode(&again), Ok(constraints));
            }
        }
    }
}
