//! Bodies of the fuzz targets: any bytes may come, and nothing may panic or hang.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::time::Duration;

use bytes::BytesMut;
use ssh_crypto::rng::SeededRng;
use ssh_wire::{NameList, Rest, Time};

use crate::{
    Algorithm, CipherAlgorithm, CompressionAlgorithm, Error, HostKeyAlgorithm, Inbound,
    KexAlgorithm, MacAlgorithm, Offer, Payload, Protection, Received, Role,
    compression::{Deflater, Inflater},
    crypto::{KeyMaterial, Open, Seal, null::Null, opening_key, sealing_key},
    ident::{IdentificationReader, PeerIdentification},
    message::{EcdhMessage, GroupExchangeMessage, KexInit, TransportMessage},
    outbound::Outbound,
    testing::Pair,
};

/// Name and body of a target.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: &[Target] = &[
    ("identification", identification),
    ("packets", packets),
    ("compression", compression),
    ("transport_messages", transport_messages),
    ("negotiate", negotiate),
    ("kex_client", kex_client),
    ("kex_server", kex_server),
];

/// A role, a size of pieces, and what a peer sends first: how it arrives makes no difference.
///
/// # Panics
/// If it does.
pub fn identification(data: &[u8]) {
    let [role, piece, bytes @ ..] = data else { return };
    let role = if *role & 1 == 0 { Role::Client } else { Role::Server };
    let read = |piece: usize| -> Result<Option<PeerIdentification>, Error> {
        let mut reader = IdentificationReader::new(role);
        let mut buf = BytesMut::new();
        for part in bytes.chunks(piece) {
            buf.extend_from_slice(part);
            if let Some(found) = reader.next(&mut buf)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(whole, read(usize::from(*piece).max(1)), "pieces of {piece}");
    if let Ok(Some(line)) = whole {
        assert!(line.as_bytes().starts_with(b"SSH-") && line.as_bytes().len() < 255);
    }
}

/// Both halves of a protection with fixed keys: null, or the one that `choice` picks.
fn protection(choice: u8) -> Option<(Box<dyn Seal>, Box<dyn Open>)> {
    let choice = usize::from(choice);
    let Some(cipher) = CipherAlgorithm::ALL.get(choice & 15) else {
        return Some((Box::new(Null), Box::new(Null)));
    };
    let mac = MacAlgorithm::ALL.get((choice >> 4) & 15)?;
    let protection = Protection::of(*cipher, *mac);
    let material = || KeyMaterial { iv: [1; 16].into(), key: [2; 64].into(), mac: [3; 64].into() };
    let sealing = sealing_key(protection, &material()).ok()?;
    Some((sealing, opening_key(protection, &material()).ok()?))
}

fn identified() -> Inbound {
    let mut inbound = Inbound::new(Role::Client);
    inbound.buffer().extend_from_slice(b"SSH-2.0-x\n");
    assert!(matches!(inbound.next(), Ok(Some(Received::Identification(_)))));
    inbound
}

/// What comes out of an `Inbound` until it wants more or fails.
fn drain(inbound: &mut Inbound) -> Result<Vec<Payload>, Error> {
    let mut payloads = Vec::new();
    while let Some(received) = inbound.next()? {
        if let Received::Packet(payload) = received {
            assert_eq!(payload.bytes().first(), Some(&payload.number()));
            payloads.push(payload);
        }
    }
    Ok(payloads)
}

/// A protection, a size of pieces and bytes. As bytes from the wire, it makes no difference how
/// they arrive. As a payload, they open to what was sealed, and not with any bit changed.
///
/// # Panics
/// If one of these does not hold.
pub fn packets(data: &[u8]) {
    let [choice, piece, bytes @ ..] = data else { return };
    let arrive = |piece: usize| -> Option<Result<Vec<Payload>, Error>> {
        let mut inbound = identified();
        inbound.install(protection(*choice)?.1, true);
        let mut all = Vec::new();
        for part in bytes.chunks(piece) {
            inbound.buffer().extend_from_slice(part);
            match drain(&mut inbound) {
                Ok(payloads) => all.extend(payloads),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(all))
    };
    assert_eq!(arrive(bytes.len().max(1)), arrive(usize::from(*piece).max(1)));

    let Some((sealing, opening)) = protection(*choice) else { return };
    let mut outbound = Outbound::new(Box::new(SeededRng::new(1)), 0);
    outbound.install(sealing, true);
    if !matches!(outbound.send_now(&Rest(bytes)), Ok(1..)) {
        return;
    }
    let mut sealed = Vec::new();
    outbound.take(&mut sealed);
    let mut inbound = identified();
    inbound.install(opening, true);
    inbound.buffer().extend_from_slice(&sealed);
    let opened = drain(&mut inbound);
    assert!(matches!(opened.as_deref(), Ok([payload]) if payload.bytes() == bytes));

    // Any bit changed: not with null protection, which protects nothing.
    if CipherAlgorithm::ALL.get(usize::from(choice & 15)).is_none() {
        return;
    }
    let Some((_, opening)) = protection(*choice) else { return };
    let at = usize::from(*piece).checked_rem(sealed.len()).unwrap_or(0);
    if let Some(byte) = sealed.get_mut(at) {
        *byte ^= 1 << (piece >> 5);
    }
    let mut inbound = identified();
    inbound.install(opening, true);
    inbound.buffer().extend_from_slice(&sealed);
    assert!(!matches!(drain(&mut inbound).as_deref(), Ok([_, ..])));
}

/// Lengths of packets, and packets of a stream that somebody compressed: none inflates to more than
/// a packet may hold, and what does inflate is what a stream of ours is made of, too.
///
/// # Panics
/// If it does not hold.
pub fn compression(data: &[u8]) {
    let streams = || {
        let algorithm = CompressionAlgorithm::from_name("zlib@openssh.com")?;
        Some((Deflater::new(algorithm)?, Inflater::new(algorithm)?))
    };
    let (Some((_, mut theirs)), Some((mut deflater, mut ours))) = (streams(), streams()) else {
        return;
    };
    let mut rest = data;
    while let [len, tail @ ..] = rest {
        let (packet, tail) = tail.split_at_checked(usize::from(*len)).unwrap_or((tail, &[]));
        rest = tail;
        let Ok(payload) = theirs.inflate(packet) else { return };
        assert!(payload.len() <= 256 * 1024);
        let again = deflater.deflate(&payload).and_then(|packet| ours.inflate(&packet));
        assert_eq!(again, Ok(payload));
    }
}

/// Both tables read the bytes; what one reads, it writes so that it reads the same again.
///
/// # Panics
/// If it does not.
pub fn transport_messages(data: &[u8]) {
    macro_rules! check {
        ($($table:ident),*) => {$(
            if let Ok(message) = $table::parse(data) {
                let mut written = Vec::new();
                ssh_wire::Encode::encode(&message, &mut written);
                assert_eq!($table::parse(&written), Ok(message));
            }
        )*};
    }
    check!(TransportMessage, EcdhMessage, GroupExchangeMessage);
}

/// Picks algorithms of ours by the bits of two bytes, rotated.
fn pick<T: Algorithm>(bits: u8, turn: u8) -> Vec<T> {
    let mut list: Vec<T> = T::all().to_vec();
    let turn = usize::from(turn).checked_rem(list.len()).unwrap_or(0);
    list.rotate_left(turn);
    let mut index = 0_u32;
    list.retain(|_| {
        index = index.wrapping_add(1);
        bits & 1_u8.wrapping_shl(index) == 0
    });
    list
}

/// Roles, lists of ours, and four lists of the peer: the client's first that the server has.
///
/// # Panics
/// If negotiation says something else.
pub fn negotiate(data: &[u8]) {
    let [role, a, b, c, d, turn, text @ ..] = data else { return };
    let role = if *role & 1 == 0 { Role::Client } else { Role::Server };
    let (kex, host_keys) = (pick::<KexAlgorithm>(*a, *turn), pick::<HostKeyAlgorithm>(*b, *turn));
    let (ciphers, macs) = (pick::<CipherAlgorithm>(*c, *turn), pick::<MacAlgorithm>(*d, *turn));
    let ours = Offer {
        kex: &kex,
        host_keys: &host_keys,
        ciphers: &ciphers,
        macs: &macs,
        compression: &[CompressionAlgorithm::None],
    };
    let text = String::from_utf8_lossy(text);
    let mut lists = text.split('\n').map(|text| NameList::from_text(text).unwrap_or_default());
    let mut next = || lists.next().unwrap_or_default();
    let none = NameList::from_text("none").unwrap_or_default();
    let theirs = KexInit {
        cookie: [0; 16],
        kex_algorithms: next(),
        server_host_key_algorithms: next(),
        encryption_client_to_server: next(),
        encryption_server_to_client: next(),
        mac_client_to_server: next(),
        mac_server_to_client: next(),
        compression_client_to_server: none,
        compression_server_to_client: none,
        languages_client_to_server: NameList::default(),
        languages_server_to_client: NameList::default(),
        first_kex_packet_follows: false,
        reserved: 0,
    };
    let found = crate::negotiate(&ours, &theirs, role).ok().map(|found| {
        let names = |protection: Protection| {
            (protection.cipher().name(), protection.mac().map(MacAlgorithm::name))
        };
        let to_server = names(found.client_to_server);
        (found.kex.name(), found.host_key.name(), to_server, names(found.server_to_client))
    });
    assert_eq!(found, oracle(role, &ours, &theirs));
}

/// Names of a choice: method, host key algorithm, and cipher and MAC of each direction.
type Choice = (
    &'static str,
    &'static str,
    (&'static str, Option<&'static str>),
    (&'static str, Option<&'static str>),
);

fn oracle(role: Role, ours: &Offer<'_>, theirs: &KexInit<'_>) -> Option<Choice> {
    fn first<T: Algorithm>(role: Role, ours: &[T], theirs: NameList<'_>) -> Option<&'static str> {
        let ours: Vec<&str> = ours.iter().map(|algorithm| algorithm.name()).collect();
        let theirs: Vec<&str> = theirs.iter().collect();
        let (client, server) = if role == Role::Client { (ours, theirs) } else { (theirs, ours) };
        let name = client.into_iter().find(|name| server.contains(name))?;
        T::all().iter().map(|algorithm| algorithm.name()).find(|known| *known == name)
    }
    let direction = |ciphers, macs| {
        let cipher = first(role, ours.ciphers, ciphers)?;
        let mac = if cipher.ends_with("ctr") { Some(first(role, ours.macs, macs)?) } else { None };
        Some((cipher, mac))
    };
    Some((
        first(role, ours.kex, theirs.kex_algorithms)?,
        first(role, ours.host_keys, theirs.server_host_key_algorithms)?,
        direction(theirs.encryption_client_to_server, theirs.mac_client_to_server)?,
        direction(theirs.encryption_server_to_client, theirs.mac_server_to_client)?,
    ))
}

/// A script for a client and an honest server between which everything can happen.
///
/// # Panics
/// See [`kex_server`].
pub fn kex_client(data: &[u8]) {
    connection(Role::Client, data);
}

/// A script for a server and an honest client between which everything can happen. Packets are
/// not protected after `NEWKEYS`, so that forged ones get on.
///
/// # Panics
/// If a client is established with a host that nobody trusted, if something is handed up before
/// that, or if an error does not stay.
pub fn kex_server(data: &[u8]) {
    connection(Role::Server, data);
}

fn connection(victim: Role, data: &[u8]) {
    let [settings, method, script @ ..] = data else { return };
    let mut pair = Pair::with(|config| {
        config.strict_kex = settings & 1 == 0;
        if settings & 2 != 0 {
            config.limits.rekey_packets = 3;
        }
        let kex = KexAlgorithm::ALL.get(usize::from(*method));
        let kex = kex.unwrap_or(&KexAlgorithm::Curve25519Sha256);
        assert_eq!(config.preferences.set_kex(kex.name()), Ok(()));
    });
    pair.client.trusts = settings & 16 == 0;
    pair.piece = if settings & 32 == 0 { usize::MAX } else { 1 };
    for role in [Role::Client, Role::Server] {
        pair.side(role).transport.use_null_protection();
    }
    let mut script = Script(script);
    let mut link = Vec::new();
    while let Some(choice) = script.byte() {
        step(&mut pair, victim, &mut link, choice, &mut script);
        let client = &pair.client;
        assert!(client.trusted || client.session.is_none(), "established without trust");
        let side = pair.side(victim);
        assert!(side.session.is_some() || side.payloads.is_empty(), "a payload too early");
        assert_eq!(side.session.is_some(), side.transport.is_established());
        if let Some(error) = &side.error {
            assert_eq!(side.transport.error(), Some(error));
            return;
        }
    }
}

/// One operation of a script; `link` is on its way to the victim.
fn step(pair: &mut Pair, victim: Role, link: &mut Vec<u8>, choice: u8, script: &mut Script<'_>) {
    let (now, piece) = (pair.now, pair.piece);
    link.extend(pair.side(victim.other()).output());
    match choice & 15 {
        // Everything, or some bytes, of what the peer sent.
        0 | 1 => {
            pair.side(victim).feed(&core::mem::take(link), piece, now);
        }
        2 => {
            let some = usize::from(script.byte().unwrap_or(1)).min(link.len());
            let rest = link.split_off(some);
            pair.side(victim).feed(&core::mem::replace(link, rest), piece, now);
        }
        // Lost or changed on the way.
        3 => link.clear(),
        4 => {
            let at = usize::from(script.byte().unwrap_or(0));
            let mask = script.byte().unwrap_or(1);
            if let Some(byte) = link.get_mut(at) {
                *byte ^= mask;
            }
        }
        // A packet, or bytes, that the peer did not send.
        5 | 6 => {
            let bytes = script.payload();
            if let Some(number) = bytes.first() {
                let payload = Payload::new(bytes.to_vec().into(), *number, choice.into());
                pair.side(victim).handle(Received::Packet(payload), now);
            }
        }
        7 => pair.side(victim).feed(script.payload(), piece, now),
        // Local wishes.
        8 => pair.side(victim).transport.rekey(now),
        9 => pair.side(victim.other()).transport.rekey(now),
        10 => pair.side(victim).send(script.payload()),
        11 => pair.side(victim.other()).send(script.payload()),
        12 => {
            if let Some(offer) = pair.client.offer.take() {
                pair.client.trust(offer);
            }
        }
        13 => {
            #[expect(clippy::arithmetic_side_effects, reason = "the addition of `Time` saturates")]
            let later = now + Duration::from_secs(u64::from(script.byte().unwrap_or(0)) << 5);
            pair.now = later;
            let side = pair.side(victim);
            if let Err(error) = side.transport.tick(later) {
                side.error = Some(error);
            }
        }
        // What the victim sent reaches the peer.
        _ => {
            let bytes = pair.side(victim).output();
            pair.side(victim.other()).feed(&bytes, usize::MAX, Time::ZERO);
        }
    }
}

/// A script: a byte that chooses, and, where the operation needs bytes, a length and those.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn payload(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte().unwrap_or_default());
        let (taken, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_crypto::rng::Rng;

    #[test]
    fn random_scripts_break_nothing() {
        let mut rng = SeededRng::new(7);
        for _ in 0..400 {
            let mut data = [0; 96];
            rng.fill(&mut data);
            for (_, body) in TARGETS {
                body(&data);
            }
        }
    }

    #[test]
    fn a_script_without_interference_establishes_a_connection() {
        // Carry to the peer, then to the victim, often enough.
        let script: Vec<u8> = [0, 0].into_iter().chain([15, 0].repeat(8)).collect();
        kex_client(&script);
        kex_server(&script);
    }
}
