//! RFC 8017 §A.1.2: RSA keys as OpenSSL has always written them.

use der::{Decode as _, asn1::UintRef};
use ssh_crypto::{Secret, sign::RsaKey};

use super::asn1::{self, Writer, tag};
use crate::{PrivateKey, PrivateKeyError, private, private::ReadLimits};

/// Reads `RSAPrivateKey`: version, n, e, d, p, q, d mod p-1, d mod q-1, q^-1 mod p. The last three
/// are computed anew, so that wrong ones cannot make faulty signatures.
pub(super) fn read(bytes: &[u8], limits: &ReadLimits) -> Result<PrivateKey, PrivateKeyError> {
    let [n, e, d, p, q] = asn1::sequence("RSAPrivateKey", bytes, |reader| {
        // 1 would mean more than two primes.
        if u8::decode(reader)? != 0 {
            return Err(reader.error(der::ErrorKind::Failed));
        }
        let mut numbers = [&[][..]; 8];
        for number in &mut numbers {
            *number = UintRef::decode(reader)?.as_bytes();
        }
        let [n, e, d, p, q, _, _, _] = numbers;
        Ok([n, e, d, p, q])
    })?;
    let secret = private::rsa(n, e, d, p, q, limits.min_rsa_bits)?;
    PrivateKey::of_numbers(secret, "", limits.min_rsa_bits)
}

/// Writes `RSAPrivateKey`.
pub(super) fn write(key: &RsaKey) -> Secret<alloc::vec::Vec<u8>> {
    let mut out = Writer::new();
    out.nest(tag::SEQUENCE, |out| {
        out.integer(&[0]).integer(&key.n()).integer(&key.e());
        for number in [key.d(), key.p(), key.q(), key.dp(), key.dq(), key.iqmp()] {
            out.integer(number.expose());
        }
    });
    out.finish()
}
