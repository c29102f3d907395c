//! What a peer offers is what the tables say of it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use chiton_tests::evidence::{self, Evidence, Peer};
use ssh_transport::message::KexInit;
use ssh_wire::Message as _;

/// A peer that has not said what it offers by then never will.
const LIMIT: Duration = Duration::from_secs(30);

/// Reads what the other side of `socket` offers (RFC 4253 §4.2, §6, §7.1), and checks it against
/// the tables.
pub(crate) fn check(mut socket: TcpStream, peers: &[Peer]) {
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(b"SSH-2.0-asking\r\n").unwrap();
    let mut reader = BufReader::new(socket);
    let mut line = Vec::new();
    while !line.starts_with(b"SSH-2.0-") {
        line.clear();
        assert!(reader.read_until(b'\n', &mut line).unwrap() > 0, "{peers:?} hangs up");
    }
    let mut len = [0; 4];
    reader.read_exact(&mut len).unwrap();
    let mut packet = vec![0; usize::try_from(u32::from_be_bytes(len)).unwrap()];
    reader.read_exact(&mut packet).unwrap();
    let payload = &packet[1..packet.len() - usize::from(packet[0])];
    let offer = KexInit::parse(payload).unwrap();

    let lists = [
        (evidence::KEX, offer.kex_algorithms),
        (evidence::HOST_KEYS, offer.server_host_key_algorithms),
        (evidence::CIPHERS, offer.encryption_client_to_server),
        (evidence::MACS, offer.mac_client_to_server),
        (evidence::COMPRESSION, offer.compression_client_to_server),
    ];
    for (table, offered) in lists {
        assert_eq!(claimed(table, peers), known(table, offered.as_str()), "of {peers:?}");
    }
}

/// What a table says of `peers`.
fn claimed(table: &'static [Evidence], peers: &[Peer]) -> BTreeSet<&'static str> {
    evidence::with(table, peers).collect()
}

/// What of `offered` is in a table.
fn known(table: &'static [Evidence], offered: &str) -> BTreeSet<&'static str> {
    let names = table.iter().map(|row| row.name);
    names.filter(|name| offered.split(',').any(|offer| offer == *name)).collect()
}
