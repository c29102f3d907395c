//! Strict key exchange (draft-ietf-sshm-strict-kex, OpenSSH PROTOCOL §1.10): the answer to
//! CVE-2023-48795, where an attacker removed the first packets under the new keys.
//!
//! If both sides put their marker into their first `KEXINIT`:
//! 1. that `KEXINIT` must be the first packet,
//! 2. during the first exchange nothing may come that is not the next message of the exchange
//!    (`DISCONNECT` excepted),
//! 3. after each `NEWKEYS`, of every exchange, the sequence numbers of its direction begin at 0.
//!
//! The markers exist in two generations; strictness is on where both sides have the same one. We
//! offer both, so any of the peer's is enough.

use crate::{Role, message::KexInit};

const CLIENT: [&str; 2] = ["kex-strict-c", "kex-strict-c-v00@openssh.com"];
const SERVER: [&str; 2] = ["kex-strict-s", "kex-strict-s-v00@openssh.com"];

/// The markers that `role` sends.
pub(crate) const fn markers(role: Role) -> &'static [&'static str] {
    match role {
        Role::Client => &CLIENT,
        Role::Server => &SERVER,
    }
}

/// Whether `peer` asked for strictness in its first `KEXINIT`.
pub(crate) fn is_offered(peer: Role, theirs: &KexInit<'_>) -> bool {
    markers(peer).iter().any(|marker| theirs.kex_algorithms.contains(marker))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use ssh_wire::{Encode, Message, NameList};

    fn kexinit(kex: &str) -> Vec<u8> {
        let names = NameList::from_text(kex).unwrap();
        let none = NameList::default();
        let message = KexInit {
            cookie: [0; 16],
            kex_algorithms: names,
            server_host_key_algorithms: none,
            encryption_client_to_server: none,
            encryption_server_to_client: none,
            mac_client_to_server: none,
            mac_server_to_client: none,
            compression_client_to_server: none,
            compression_server_to_client: none,
            languages_client_to_server: none,
            languages_server_to_client: none,
            first_kex_packet_follows: false,
            reserved: 0,
        };
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn a_marker_of_either_generation_and_of_the_right_role_counts() {
        for (peer, list, offered) in [
            (Role::Client, "x,kex-strict-c", true),
            (Role::Client, "kex-strict-c-v00@openssh.com,x", true),
            (Role::Client, "x,kex-strict-s,kex-strict-s-v00@openssh.com", false),
            (Role::Server, "x,kex-strict-s", true),
            (Role::Server, "x,kex-strict-s-v00@openssh.com", true),
            (Role::Server, "x,kex-strict-c,kex-strict", false),
        ] {
            let payload = kexinit(list);
            assert_eq!(is_offered(peer, &KexInit::parse(&payload).unwrap()), offered, "{list}");
        }
    }
}
