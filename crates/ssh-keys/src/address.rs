//! Lists of addresses, networks and names: `from=` of `authorized_keys` and `source-address` of
//! certificates (sshd(8), ssh_config(5) PATTERNS).

use alloc::{string::String, vec::Vec};
use core::net::IpAddr;

use crate::pattern;

/// A network: an address of which the first `bits` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotANetwork {
    /// It has another form: it may be a pattern.
    Form,
    /// It has the form of one and contradicts itself.
    Inconsistent,
}

impl Network {
    /// Reads `address` or `address/bits`. Behind the first `bits` there are only zeros.
    fn parse(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork::Form)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => {
                bits.parse().map_err(|_| NotANetwork::Form)?
            }
            Some(_) => return Err(NotANetwork::Form),
        };
        let network = Self { address, bits };
        if bits > width || network.prefix_of(address) != number(address) {
            return Err(NotANetwork::Inconsistent);
        }
        Ok(network)
    }

    /// The bits of `address` that count, and zeros.
    fn prefix_of(self, address: IpAddr) -> u128 {
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let rest = width.saturating_sub(self.bits);
        number(address).checked_shr(rest).and_then(|n| n.checked_shl(rest)).unwrap_or(0)
    }

    fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && self.prefix_of(address) == number(self.address)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The networks that a certificate may be used from: `address` and `address/bits`, with commas
/// between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Reads a list; `None` if one of its entries is no network, so that the list says nothing
    /// about where the certificate may be used.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.split(',').map(|text| Network::parse(text).ok()).collect::<Option<_>>().map(Self)
    }

    /// Whether the list has `address`.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

/// What `from=` says: networks, and patterns of addresses and names, each with or without `!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromList {
    entries: Vec<(bool, FromEntry)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum FromEntry {
    Network(Network),
    /// In lower case.
    Pattern(String),
}

impl FromList {
    /// Reads a list; `None` if an entry contradicts itself, such as `10.0.0.1/8`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let entry = |text: &str| {
            let (negated, text) = match text.strip_prefix('!') {
                Some(text) => (true, text),
                None => (false, text),
            };
            match Network::parse(text) {
                Ok(network) => Some((negated, FromEntry::Network(network))),
                Err(NotANetwork::Form) => {
                    Some((negated, FromEntry::Pattern(text.to_ascii_lowercase())))
                }
                Err(NotANetwork::Inconsistent) => None,
            }
        };
        text.split(',').map(entry).collect::<Option<_>>().map(|entries| Self { entries })
    }

    /// Whether a client at `address`, called `host` if its name was looked up, is one of those
    /// named. An entry with `!` that matches wins over all others.
    #[must_use]
    pub fn include(&self, address: IpAddr, host: Option<&str>) -> bool {
        let address = address.to_canonical();
        let text = alloc::format!("{address}");
        let host = host.map(str::to_ascii_lowercase);
        let matches = |entry: &FromEntry| match entry {
            FromEntry::Network(network) => network.contains(address),
            FromEntry::Pattern(pattern) => [Some(text.as_str()), host.as_deref()]
                .into_iter()
                .flatten()
                .any(|name| pattern::matches(pattern.as_bytes(), name.as_bytes())),
        };
        let mut included = false;
        for (negated, entry) in &self.entries {
            match (negated, matches(entry)) {
                (true, true) => return false,
                (false, true) => included = true,
                (_, false) => {}
            }
        }
        included
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_contain_what_begins_with_their_bits() {
        let list = Networks::parse("10.0.0.0/8,192.0.2.1,2001:db8::/32,::1").unwrap();
        for (address, expected) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8:1::5", true),
            ("2001:db9::", false),
            ("::1", true),
            ("::ffff:10.1.2.3", true),
        ] {
            assert_eq!(list.contain(ip(address)), expected, "{address}");
        }
        assert!(Networks::parse("0.0.0.0/0").unwrap().contain(ip("1.2.3.4")));
        assert!(!Networks::parse("0.0.0.0/0").unwrap().contain(ip("2001:db8::1")));
        assert!(Networks::parse("::/0").unwrap().contain(ip("2001:db8::1")));
    }

    #[test]
    fn a_list_with_something_else_in_it_is_none() {
        for text in [
            "",
            ",",
            "10.0.0.0/8,",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::/129",
            "!10.0.0.0/8",
            "10.*",
            "example.org",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
        ] {
            assert_eq!(Networks::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn from_takes_networks_patterns_and_names_and_exclusions_win() {
        for (list, address, host, expected) in [
            ("10.0.0.0/8", "10.1.1.1", None, true),
            ("10.0.0.0/8,!10.1.1.1", "10.1.1.1", None, false),
            ("!10.1.1.1,10.0.0.0/8", "10.1.1.1", None, false),
            ("10.1.*", "10.1.9.9", None, true),
            ("10.1.*", "10.2.9.9", None, false),
            ("*.example.org", "10.2.9.9", Some("A.Example.ORG"), true),
            ("*.example.org", "10.2.9.9", None, false),
            ("*,!*.example.org", "10.2.9.9", Some("a.example.org"), false),
            ("!10.0.0.0/8", "11.1.1.1", None, false),
            ("2001:db8::/32", "2001:db8::7", None, true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", None, true),
        ] {
            let list = FromList::parse(list).unwrap();
            assert_eq!(list.include(ip(address), host), expected, "{list:?} {address} {host:?}");
        }
        assert_eq!(FromList::parse("10.0.0.1/8"), None);
        assert_eq!(FromList::parse("a,10.0.0.0/40"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_or_none(text in "[0-9a-f.:/!*,]{0,30}", a in any::<u32>(), b in any::<u128>()) {
            for address in [IpAddr::V4(a.into()), IpAddr::V6(b.into())] {
                if let Some(list) = Networks::parse(&text) {
                    let all = FromList::parse(&text).unwrap();
                    prop_assert_eq!(list.contain(address), all.include(address, None));
                }
                if let Some(list) = FromList::parse(&text) {
                    let _ = list.include(address, Some("a"));
                }
            }
        }
    }
}
