//! Lists of OpenSSH, and lists of our own.

use alloc::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::testing;

const IDENTITIES: &[&str] =
    &["u_default-cert", "u_force-cert", "u_expired-cert", "h_host-cert", "user", "host", "ruser"];

fn identity(name: &str) -> Identity {
    let text = testing::text(&format!("certs/{name}.pub"));
    Identity::from_openssh(&text).unwrap_or_else(|error| panic!("{name}: {error}")).0
}

fn krl(name: &str) -> Krl {
    Krl::from_bytes(&testing::bytes(&format!("certs/{name}"))).unwrap()
}

/// What `ssh-keygen -Q` says, by list.
#[test]
fn lists_of_openssh_revoke_what_ssh_keygen_says() {
    let decoded = testing::text("certs/krl-decoded.txt");
    let mut list = None;
    let mut checked = 0;
    for line in decoded.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            list = Some(krl(name));
        } else if let Some((file, verdict)) = line
            .split_once(".pub (")
            .and_then(|(file, rest)| Some((file, rest.split_once("): ")?.1)))
        {
            let revoked = list.as_ref().unwrap().reason(&identity(file)).is_some();
            assert_eq!(revoked, verdict == "REVOKED", "{line}");
            checked += 1;
        }
    }
    assert_eq!(checked, 4 * IDENTITIES.len());
}

#[test]
fn lists_of_openssh_hold_what_they_were_made_from() {
    let ca = krl("krl_ca");
    assert_eq!(ca.version(), 7);
    let [revoked] = ca.certificates() else { panic!("{ca:?}") };
    assert_eq!(revoked.authority(), Some(&testing::public("certs/ca.pub")));
    let serials: Vec<_> = revoked.serials().collect();
    assert_eq!(
        serials,
        [(1, 1), (3, 3), (5, 5), (1000, 2000), (9_007_199_254_740_993, 9_007_199_254_740_993)]
    );
    assert_eq!(revoked.key_ids().collect::<Vec<_>>(), ["default ext"]);
    let bitmap = krl("krl_bitmap");
    let serials: Vec<_> = bitmap.certificates()[0].serials().collect();
    assert_eq!(serials, (1..=399).step_by(2).map(|n| (n, n)).collect::<Vec<_>>());
    let hashes = krl("krl_hashes");
    assert_eq!(hashes.keys().count(), 1);
    assert_eq!(hashes.sha1_fingerprints().count(), 1);
    assert_eq!(hashes.sha256_fingerprints().count(), 1);
}

#[test]
fn lists_are_written_so_that_they_revoke_the_same() {
    for name in ["krl_ca", "krl_explicit", "krl_hashes", "krl_bitmap"] {
        let list = krl(name);
        let again = Krl::from_bytes(&list.to_bytes()).unwrap();
        for name in IDENTITIES {
            let identity = identity(name);
            assert_eq!(again.reason(&identity), list.reason(&identity), "{name}");
        }
        assert_eq!((again.version(), again.generated()), (list.version(), list.generated()));
        // What was written once is written the same again.
        assert_eq!(Krl::from_bytes(&again.to_bytes()), Ok(again));
    }
}

/// But for the places between sections: a list does not say how many there are.
#[test]
fn every_cut_of_a_list_is_an_error() {
    for (name, sections) in
        [("krl_ca", 1), ("krl_explicit", 1), ("krl_hashes", 3), ("krl_bitmap", 1)]
    {
        let bytes = testing::bytes(&format!("certs/{name}"));
        let whole = (0..bytes.len()).filter(|end| Krl::from_bytes(&bytes[..*end]).is_ok());
        assert_eq!(whole.count(), sections, "{name}");
        let more = [&bytes[..], b"\0"].concat();
        assert!(Krl::from_bytes(&more).is_err(), "{name}");
    }
}

/// A list with one section.
fn with_section(number: u8, body: &[u8]) -> Result<Krl, KrlError> {
    let mut bytes = Krl::new(1, 2, "").to_bytes();
    bytes.push(number);
    ssh_wire::put_string(&mut bytes, body);
    Krl::from_bytes(&bytes)
}

/// A list with one part of a section of certificates.
fn with_part(number: u8, body: &[u8]) -> Result<Krl, KrlError> {
    let mut section = vec![0; 8];
    section.push(number);
    ssh_wire::put_string(&mut section, body);
    with_section(number::CERTIFICATES, &section)
}

#[test]
fn what_is_not_understood_is_not_ignored() {
    for number in [0, 4, 6, 254] {
        assert_eq!(with_section(number, b""), Err(KrlError::UnknownSection { number }));
        assert_eq!(with_part(number, b""), Err(KrlError::UnknownSection { number }));
    }
    let extension = |critical: u8| [&b"\0\0\0\x01x"[..], &[critical], &[0; 4]].concat();
    for (read, number) in [
        (with_section as fn(u8, &[u8]) -> _, number::EXTENSION),
        (with_part, number::PART_EXTENSION),
    ] {
        assert!(read(number, &extension(0)).is_ok());
        let critical = KrlError::CriticalExtension { name: "x".into() };
        assert_eq!(read(number, &extension(1)), Err(critical));
    }
    let mut other_format = Krl::new(1, 2, "").to_bytes();
    other_format[11] = 2;
    assert_eq!(Krl::from_bytes(&other_format), Err(KrlError::UnknownFormat { version: 2 }));
    assert_eq!(Krl::from_bytes(b"SSHKRL"), Err(KrlError::NotAKrl));
}

#[test]
fn serial_numbers_out_of_order_are_errors() {
    let numbers = |numbers: &[u64]| -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    };
    assert!(with_part(number::SERIALS, &numbers(&[1, u64::MAX])).is_ok());
    assert!(with_part(number::SERIALS, &numbers(&[1, 0])).is_err());
    assert!(with_part(number::SERIAL_RANGE, &numbers(&[1, 1])).is_ok());
    for bad in [&[2, 1][..], &[0, 1], &[1], &[1, 2, 3]] {
        assert!(with_part(number::SERIAL_RANGE, &numbers(bad)).is_err(), "{bad:?}");
    }
    let bitmap = |offset: u64, bits: &[u8]| {
        let mut body = numbers(&[offset]);
        ssh_wire::put_string(&mut body, bits);
        with_part(number::SERIAL_BITMAP, &body)
    };
    assert!(bitmap(u64::MAX - 7, &[0x80]).is_ok());
    assert!(bitmap(u64::MAX - 6, &[0x80]).is_err());
    assert!(bitmap(0, &[2]).is_ok());
    assert!(bitmap(0, &[1]).is_err());
    let most = usize::try_from(MAX_BITMAP_BITS / 8).unwrap();
    assert!(bitmap(1, &vec![0xff; most]).is_ok());
    assert!(bitmap(1, &vec![0xff; most + 1]).is_err());
}

#[test]
fn a_list_beyond_the_limit_is_not_read() {
    let bytes = vec![0; MAX_LEN + 1];
    assert_eq!(Krl::from_bytes(&bytes), Err(KrlError::TooLong { len: MAX_LEN + 1 }));
    assert_eq!(Krl::from_file(&bytes), Err(KrlError::TooLong { len: MAX_LEN + 1 }));
}

#[test]
fn a_list_may_be_text_and_every_line_has_to_be_a_key() {
    let user = testing::text("certs/user.pub");
    let list = Krl::from_file(format!("# gone\n{user}\n").as_bytes()).unwrap();
    assert_eq!(list.reason(&identity("user")), Some(Revocation::Key));
    // A certificate over it is revoked with it.
    assert_eq!(list.reason(&identity("u_default-cert")), Some(Revocation::Key));
    assert_eq!(list.reason(&identity("host")), None);
    let bad = Krl::from_file(format!("{user}ssh-ed25519\n").as_bytes());
    assert!(matches!(bad, Err(KrlError::Line(SkippedLine { line: 2, .. }))), "{bad:?}");
}

#[test]
fn an_authority_that_is_revoked_takes_its_certificates_along() {
    let mut list = Krl::new(1, 0, "");
    list.revoke_key(&testing::public("certs/ca.pub"));
    assert_eq!(list.reason(&identity("u_default-cert")), Some(Revocation::Authority));
    assert_eq!(list.reason(&identity("user")), None);
}

#[test]
fn certificates_without_a_number_are_revoked_by_their_id() {
    let Identity::Certificate(certificate) = identity("u_default-cert") else { panic!() };
    let mut list = Krl::new(1, 0, "");
    list.revoke_certificate(&certificate);
    assert_eq!(list.reason(&identity("u_default-cert")), Some(Revocation::Serial(1)));
    assert_eq!(list.reason(&identity("u_force-cert")), None);
    let mut other = Krl::new(1, 0, "");
    other.revoke_serials(Some(&testing::public("certs/ca_rsa.pub")), 1, 10);
    assert_eq!(other.reason(&identity("u_default-cert")), None);
    other.revoke_key_id(None, "default ext");
    let reason = other.reason(&identity("u_default-cert"));
    assert_eq!(reason, Some(Revocation::KeyId("default ext".into())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn serial_numbers_survive_a_round_trip(
        runs in proptest::collection::vec((1..600_u64, 0..40_u64), 0..40),
        far in proptest::collection::vec(any::<u64>(), 0..4),
    ) {
        let mut list = Krl::new(1, 2, "c");
        for (first, len) in &runs {
            list.revoke_serials(None, *first, first + len);
        }
        for serial in &far {
            list.revoke_serials(None, *serial, *serial);
        }
        let again = Krl::from_bytes(&list.to_bytes()).unwrap();
        let contains = |list: &Krl, serial| {
            list.certificates.iter().any(|own| own.serials.iter().any(|s| s.contain(serial)))
        };
        for serial in (1..700).chain(far.iter().copied()).chain(far.iter().map(|n| n.wrapping_add(1))) {
            prop_assert_eq!(contains(&again, serial), contains(&list, serial), "{}", serial);
        }
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), number in 0..6_u8) {
        drop(Krl::from_bytes(&bytes));
        drop(with_section(number, &bytes));
        drop(with_part(number + 0x20, &bytes));
    }
}
