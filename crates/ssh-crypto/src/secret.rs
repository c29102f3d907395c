//! Secret values: wiped when dropped, never printed, compared in constant time.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A value that is overwritten when dropped and never shown by `Debug`.
///
/// Reading it is spelled out ([`expose`](Self::expose)) so that each place where
/// a secret leaves its box can be found by name. It has no `==`: compare with
/// [`constant_time_eq`].
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes `value` over. Copies the caller made before are the caller's.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The secret itself, to be filled or changed in place.
    pub const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> ZeroizeOnDrop for Secret<T> {}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec, vec::Vec};

    use super::*;

    #[test]
    fn debug_never_shows_the_content() {
        assert_eq!(format!("{:?}", Secret::new(String::from("hunter2"))), "Secret(..)");
        assert_eq!(format!("{:#?}", Secret::new([7_u8; 4])), "Secret(..)");
    }

    #[test]
    fn dropping_overwrites_the_content() {
        struct Witness<'a>(&'a mut Vec<u8>);
        impl Zeroize for Witness<'_> {
            fn zeroize(&mut self) {
                self.0.iter_mut().for_each(|byte| *byte = 0);
            }
        }
        let mut memory = vec![1, 2, 3];
        drop(Secret::new(Witness(&mut memory)));
        assert_eq!(memory, [0, 0, 0]);
    }

    #[test]
    fn comparing_sees_every_byte_and_the_length() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"abc", b"abc"));
        assert!(!constant_time_eq(b"abc", b"abd"));
        assert!(!constant_time_eq(b"abc", b"bbc"));
        assert!(!constant_time_eq(b"abc", b"ab"));
    }

    #[test]
    fn content_can_be_read_and_changed() {
        let mut secret = Secret::from([0_u8; 2]);
        secret.expose_mut()[1] = 9;
        assert_eq!(secret.clone().expose(), &[0, 9]);
    }
}
