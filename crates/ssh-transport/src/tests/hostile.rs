//! Peers that break the rules, one by one.

use alloc::{sync::Arc, vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey, public::MIN_RSA_BITS};
use ssh_wire::{DisconnectReason, Encode, Message, NameList, Outbox, Rest, Time};

use crate::{
    CONTROL_HIGH_WATER, Config, Error, KexAlgorithm, MAX_EARLY_KEY_EXCHANGES, MAX_PINGS, Payload,
    PeerMisbehaved, Received, Role,
    kex::{client::AwaitReply, hash::Transcript, negotiate::negotiate},
    message::{
        ExtInfo, Ignore, KexEcdhInit, KexEcdhReply, KexInit, Ping, TransportMessage, Unimplemented,
    },
    testing::{Pair, Side, host_keys},
};

fn second(n: u64) -> Time {
    Time::from_epoch(Duration::from_secs(n))
}

fn established() -> Pair {
    let mut pair = Pair::with(|_| ());
    pair.run();
    assert!(pair.client.events.contains(&"Established"));
    pair
}

/// A message that `side`'s peer sends although it should not.
fn inject(side: &mut Side, message: &dyn Encode) {
    side.transport.outbound().send_now(message).unwrap();
}

/// What `role` made of it all, and what its peer was told.
fn verdict(pair: &mut Pair, role: Role) -> (Error, Option<DisconnectReason>) {
    pair.run();
    let error = pair.side(role).error.clone().unwrap();
    (error, pair.side(role.other()).goodbye.clone().map(|goodbye| goodbye.reason))
}

fn payload_of(message: &dyn Encode) -> Vec<u8> {
    ssh_wire::testing::payload(message)
}

fn received(message: &dyn Encode, sequence: u32) -> Received {
    let bytes = payload_of(message);
    let number = bytes[0];
    Received::Packet(Payload::new(bytes.into(), number, sequence))
}

#[test]
fn strict_a_packet_before_kexinit_ends_the_connection() {
    for role in [Role::Client, Role::Server] {
        for strict in [true, false] {
            let mut pair = Pair::with(|config| config.strict_kex = strict);
            let now = pair.now;
            pair.carry(role);
            let side = pair.side(role);
            assert!(side.step(now));
            side.handle(received(&Ignore { data: b"" }, 0), now);
            assert_eq!(side.error, None);
            let Ok(Some(Received::Packet(kexinit))) = side.inbound.next() else { panic!() };
            let late = Payload::new(kexinit.into_bytes(), 20, 1);
            side.handle(Received::Packet(late), now);
            let expected = PeerMisbehaved::StrictKexInitNotFirst { sequence: 1 };
            assert_eq!(side.error.clone(), strict.then_some(expected.into()));
        }
    }
}

/// A client made by hand, which guesses.
struct Guesser {
    kexinit: Vec<u8>,
    first_kex: &'static str,
}

impl Guesser {
    fn new(first_kex: &'static str, first_host_key: &'static str, strict: bool) -> Self {
        let marker = if strict { ",kex-strict-c" } else { "" };
        let kex = std::format!("{first_kex},curve25519-sha256{marker}");
        let host_keys = std::format!("{first_host_key},ssh-ed25519");
        let list = |text| NameList::from_text(text).unwrap();
        let message = KexInit {
            cookie: [1; 16],
            kex_algorithms: list(&kex),
            server_host_key_algorithms: list(&host_keys),
            encryption_client_to_server: list("aes128-ctr"),
            encryption_server_to_client: list("aes256-gcm@openssh.com"),
            mac_client_to_server: list("hmac-sha2-512"),
            mac_server_to_client: list(""),
            compression_client_to_server: list("none"),
            compression_server_to_client: list("none"),
            languages_client_to_server: list(""),
            languages_server_to_client: list(""),
            first_kex_packet_follows: true,
            reserved: 0,
        };
        Self { kexinit: payload_of(&message), first_kex }
    }

    /// The method that will be negotiated.
    fn method(&self) -> KexAlgorithm {
        KexAlgorithm::from_name(self.first_kex).unwrap_or(KexAlgorithm::Curve25519Sha256)
    }

    /// Sends `KEXINIT` and `packets` to a server, and checks the answer to the real share.
    fn talk(&self, guesses: usize) -> Result<(), Error> {
        let mut pair = Pair::with(|_| ());
        let now = pair.now;
        pair.carry(Role::Server);
        let server = &mut pair.server;
        assert!(server.step(now));
        let their_output = server.output();
        let their_kexinit = packets(&their_output[1 + position(&their_output, b'\n')..]).remove(0);
        let theirs = KexInit::parse(&their_kexinit).unwrap();
        let transcript = Transcript {
            client_identification: Bytes::copy_from_slice(
                Config::default().identification.as_str().as_bytes(),
            ),
            server_identification: Bytes::copy_from_slice(
                Config::default().identification.as_str().as_bytes(),
            ),
            client_init: self.kexinit.clone().into(),
            server_init: their_kexinit.clone().into(),
        };
        let config = Config::default();
        let mut negotiated = negotiate(&config.preferences.offer(), &theirs, Role::Client).unwrap();
        negotiated.kex = self.method();
        let mut rng = SeededRng::new(4);
        let state = AwaitReply::new(negotiated, transcript, &mut rng).unwrap();

        server.handle(received(&Rest(&self.kexinit), 0), now);
        for sequence in 0..guesses {
            let wrong = KexEcdhInit { client_public: b"a guess" };
            server.handle(received(&wrong, 1 + u32::try_from(sequence).unwrap()), now);
        }
        if let Some(error) = &server.error {
            return Err(error.clone());
        }
        server.handle(received(&KexEcdhInit { client_public: &state.public }, 2), now);
        if let Some(error) = &server.error {
            return Err(error.clone());
        }
        let reply = packets(&server.output()).remove(0);
        state.finish(&reply, MIN_RSA_BITS).map(|_| ())
    }
}

fn position(bytes: &[u8], wanted: u8) -> usize {
    bytes.iter().position(|byte| *byte == wanted).unwrap()
}

/// The payloads of packets without protection.
fn packets(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        let Some((packet, tail)) = rest.split_at_checked(length) else { break };
        let end = length - usize::from(packet[0]);
        all.push(packet[1..end].to_vec());
        if all.last().unwrap()[0] == 21 {
            break;
        }
        bytes = tail;
    }
    all
}

#[test]
fn a_wrong_guess_drops_exactly_one_packet_strict_or_not() {
    let bad_share = Err(Error::PeerMisbehaved(PeerMisbehaved::BadKexShare));
    for strict in [true, false] {
        for (kex, host_key) in
            [("unknown", "ssh-ed25519"), ("mlkem768x25519-sha256", "unknown"), ("a", "b")]
        {
            let guesser = Guesser::new(kex, host_key, strict);
            assert_eq!(guesser.talk(1), Ok(()), "{kex} {host_key}");
            assert_eq!(guesser.talk(2), bad_share, "{kex} {host_key}");
        }
        let right = Guesser::new("mlkem768x25519-sha256", "ssh-ed25519", strict);
        assert_eq!(right.talk(0), Ok(()));
        assert_eq!(right.talk(1), bad_share);
    }
}

#[test]
fn a_signature_by_the_wrong_key_or_over_other_bytes_is_refused_with_reason_3() {
    for tamper in [0, 1] {
        let mut pair = Pair::with(|_| ());
        let now = pair.now;
        pair.deliver(Role::Server);
        pair.deliver(Role::Client);
        pair.deliver(Role::Server);
        let output = pair.server.output();
        let bytes = packets(&output).remove(0);
        let reply = KexEcdhReply::parse(&bytes).unwrap();
        let other = PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(77)).unwrap();
        let mut signature = reply.signature.to_vec();
        let last = signature.len() - 1;
        signature[last] ^= 1;
        let changed = match tamper {
            0 => KexEcdhReply { signature: &signature, ..reply },
            _ => KexEcdhReply { host_key: other.public().blob(), ..reply },
        };
        pair.client.handle(received(&changed, 1), now);
        let error = Error::from(PeerMisbehaved::BadHostKeySignature);
        assert_eq!(pair.client.error, Some(error.clone()));
        assert_eq!(error.disconnect(), Some(DisconnectReason::KEY_EXCHANGE_FAILED));
        assert!(!pair.client.trusted);
    }
}

#[test]
fn host_keys_that_are_none_are_refused() {
    let mut pair = Pair::with(|_| ());
    let now = pair.now;
    pair.deliver(Role::Server);
    pair.deliver(Role::Client);
    let nonsense = KexEcdhReply { host_key: b"x", server_public: &[1; 1120], signature: b"" };
    pair.client.handle(received(&nonsense, 1), now);
    assert_eq!(pair.client.error, Some(PeerMisbehaved::BadHostKey.into()));
}

#[test]
fn bad_public_values_end_with_reason_3() {
    let mut pair = Pair::with(|_| ());
    let now = pair.now;
    pair.deliver(Role::Server);
    pair.deliver(Role::Client);
    let host_keys = host_keys();
    let zeros = KexEcdhReply {
        host_key: host_keys[0].public().blob(),
        server_public: &[0; 1120],
        signature: b"",
    };
    pair.client.handle(received(&zeros, 1), now);
    assert_eq!(pair.client.error, Some(PeerMisbehaved::BadKexShare.into()));
    pair.server.handle(received(&KexEcdhInit { client_public: &[0; 1216] }, 1), now);
    let (error, told) = verdict(&mut pair, Role::Server);
    assert_eq!(error, PeerMisbehaved::BadKexShare.into());
    // The client is gone already; what it would have been told:
    assert_eq!((told, error.disconnect()), (None, Some(DisconnectReason::KEY_EXCHANGE_FAILED)));
}

#[test]
fn another_host_key_in_a_later_exchange_is_refused_with_reason_9() {
    for begins in [Role::Client, Role::Server] {
        let mut pair = established();
        let other = PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(77)).unwrap();
        let config = Config { host_keys: vec![other], ..Config::default() };
        pair.server.transport.set_config(Arc::new(config));
        let now = pair.now;
        pair.side(begins).transport.rekey(now);
        let (error, told) = verdict(&mut pair, Role::Client);
        assert_eq!(error, PeerMisbehaved::HostKeyChanged.into());
        assert_eq!(told, Some(DisconnectReason::HOST_KEY_NOT_VERIFIABLE));
    }
}

#[test]
fn an_answer_for_another_connection_trusts_nobody() {
    let offers = [1_u64, 2].map(|seed| {
        let mut pair = Pair::with(|_| ());
        pair.client = Side::new(Role::Client, Config::default(), 100 + seed, pair.now);
        pair.client.trusts = false;
        pair.run();
        pair
    });
    let [mut one, mut two] = offers;
    let offer = two.client.offer.take().unwrap();
    one.client.trust(offer);
    assert_eq!(one.client.error, Some(Error::WrongHostKeyAnswer));
    one.run();
    assert!(!one.server.events.contains(&"Established"));
    assert_eq!(one.server.goodbye.unwrap().reason, DisconnectReason::HOST_KEY_NOT_VERIFIABLE);
}

#[test]
fn a_wrong_tag_ends_with_reason_5_for_every_protection() {
    for (cipher, mac) in [
        ("aes128-gcm@openssh.com", "hmac-sha2-256"),
        ("chacha20-poly1305@openssh.com", "hmac-sha2-256"),
        ("aes128-ctr", "hmac-sha2-256"),
        ("aes256-ctr", "hmac-sha2-512-etm@openssh.com"),
    ] {
        for role in [Role::Client, Role::Server] {
            let mut pair = Pair::with(|config| {
                config.preferences.set_ciphers(cipher).unwrap();
                config.preferences.set_macs(mac).unwrap();
            });
            pair.run();
            pair.side(role.other()).send(&[94; 40]);
            let mut bytes = pair.side(role.other()).output();
            *bytes.last_mut().unwrap() ^= 1;
            let now = pair.now;
            pair.side(role).feed(&bytes, usize::MAX, now);
            assert!(pair.side(role).payloads.is_empty());
            let (error, told) = verdict(&mut pair, role);
            assert_eq!(error, PeerMisbehaved::BadMac.into());
            assert_eq!(told, Some(DisconnectReason::MAC_ERROR));
        }
    }
}

#[test]
fn impossible_lengths_end_the_connection_as_soon_as_they_can_be_read() {
    for length in [0_u32, 4, 11, 262_148, 262_145, 0x0005_0000, u32::MAX] {
        for role in [Role::Client, Role::Server] {
            let mut pair = Pair::with(|_| ());
            let now = pair.now;
            let side = pair.side(role);
            side.feed(b"SSH-2.0-x\r\n", usize::MAX, now);
            side.feed(&length.to_be_bytes(), 1, now);
            let expected = Error::from(PeerMisbehaved::BadPacketLength { length });
            assert_eq!(side.error, Some(expected.clone()));
            assert_eq!(side.transport.error(), Some(&expected));
        }
    }
}

#[test]
fn padding_and_payload_have_to_fit() {
    let misbehaved = |packet: &[u8]| {
        let mut pair = Pair::with(|_| ());
        let now = pair.now;
        pair.server.feed(b"SSH-2.0-x\r\n", usize::MAX, now);
        pair.server.feed(packet, usize::MAX, now);
        pair.server.error
    };
    let packet = |padding: u8| [0, 0, 0, 12, padding, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for padding in [0, 3, 12, 255] {
        let expected = PeerMisbehaved::BadPadding { length: padding };
        assert_eq!(misbehaved(&packet(padding)), Some(expected.into()));
    }
    assert_eq!(misbehaved(&packet(11)), Some(PeerMisbehaved::EmptyPacket.into()));
    assert_eq!(misbehaved(&packet(6)), None);
}

#[test]
fn sequence_numbers_never_repeat_under_one_key() {
    let mut pair = established();
    pair.client.inbound.pretend_usage(1 << 32);
    pair.server.send(&[94, 1]);
    let (error, told) = verdict(&mut pair, Role::Client);
    assert_eq!(error, PeerMisbehaved::SequenceNumbersExhausted.into());
    assert_eq!(told, Some(DisconnectReason::PROTOCOL_ERROR));

    let mut pair = established();
    pair.client.transport.outbound().pretend_usage(1 << 32);
    pair.client.send(&[94, 1]);
    assert_eq!(pair.client.transport.error(), Some(&Error::SequenceNumbersExhausted));
    assert_eq!(pair.client.transport.pending_output(), 0);
}

#[test]
fn sequence_numbers_wrap_between_keys_where_they_are_not_reset() {
    let mut pair = Pair::with(|config| {
        config.strict_kex = false;
        config.preferences.set_ciphers("chacha20-poly1305@openssh.com").unwrap();
    });
    pair.run();
    pair.client.inbound.skip_to(u32::MAX);
    pair.server.transport.outbound().skip_to(u32::MAX);
    pair.server.send(&[94, 1]);
    pair.server.send(&[94, 2]);
    pair.run();
    assert_eq!(pair.client.payloads, [[94, 1], [94, 2]]);
}

#[test]
fn old_keys_are_renewed_after_2_to_the_31_packets_at_the_latest() {
    for role in [Role::Client, Role::Server] {
        let mut pair = Pair::with(|config| config.limits.rekey_packets = u64::MAX);
        pair.run();
        pair.client.send(&[94]);
        pair.server.send(&[94]);
        pair.run();
        pair.side(role).transport.outbound().pretend_usage((1 << 31) - 1);
        pair.side(role).send(&[94]);
        assert!(pair.side(role).transport.is_rekeying());
        pair.run();
        assert!(pair.client.events.ends_with(&["Rekeyed"]));
        let mut pair = Pair::with(|_| ());
        pair.run();
        pair.side(role.other()).send(&[94]);
        pair.run();
        pair.side(role).inbound.pretend_usage((1 << 31) - 1);
        pair.side(role.other()).send(&[94]);
        pair.run();
        assert!(pair.client.events.ends_with(&["Rekeyed"]));
    }
}

#[test]
fn keys_are_renewed_by_time_and_only_with_the_connection_protocol_running() {
    let mut pair = established();
    assert_eq!(pair.client.transport.deadline(), None);
    pair.client.send(&[50]);
    assert_eq!(pair.client.transport.deadline(), None);
    pair.client.send(&[94]);
    assert_eq!(pair.client.transport.deadline(), Some(second(3600)));
    pair.client.transport.tick(second(3599)).unwrap();
    assert!(!pair.client.transport.is_rekeying());
    pair.client.transport.tick(second(3600)).unwrap();
    assert!(pair.client.transport.is_rekeying());
    pair.run();
    assert!(pair.client.events.ends_with(&["Rekeyed"]));
    assert_eq!(pair.client.transport.deadline(), Some(second(7200)));
    // Authentication may take as long as its own deadline allows.
    let mut pair = established();
    pair.client.transport.tick(second(100_000)).unwrap();
    assert!(!pair.client.transport.is_rekeying());
}

#[test]
fn a_peer_that_does_not_complete_an_exchange_is_left() {
    let mut pair = established();
    pair.client.transport.rekey(second(10));
    assert_eq!(pair.client.transport.deadline(), Some(second(310)));
    pair.client.transport.tick(second(309)).unwrap();
    assert_eq!(pair.client.transport.tick(second(310)), Err(Error::RekeyTimedOut));
    assert_eq!(pair.client.transport.deadline(), None);
    pair.run();
    let told = pair.server.goodbye.unwrap().reason;
    assert_eq!(told, DisconnectReason::KEY_EXCHANGE_FAILED);
}

#[test]
fn what_waits_for_new_keys_is_bounded() {
    let mut pair = Pair::with(|config| config.limits.held_output = 10_000);
    pair.run();
    let now = pair.now;
    pair.client.transport.rekey(now);
    assert_eq!(pair.client.transport.data_room(), 0);
    for _ in 0..9 {
        pair.client.send(&[98; 1000]);
    }
    assert_eq!(pair.client.transport.error(), None);
    pair.client.send(&[98; 1000]);
    assert_eq!(pair.client.transport.error(), Some(&Error::TooMuchHeldOutput));
    pair.run();
    assert_eq!(pair.server.goodbye.unwrap().reason, DisconnectReason::PROTOCOL_ERROR);
}

#[test]
fn pings_get_their_pongs_in_order_but_only_so_many_wait() {
    let mut pair = established();
    for n in 0..3 {
        inject(&mut pair.client, &Ping { data: &[n] });
    }
    pair.deliver(Role::Server);
    pair.carry(Role::Client);
    for n in 0..3 {
        let Ok(Some(Received::Packet(pong))) = pair.client.inbound.next() else { panic!() };
        assert_eq!(pong.bytes(), [193, 0, 0, 0, 1, n]);
        pair.client.handle(Received::Packet(pong), Time::ZERO);
    }
    // Nobody asked for them.
    assert!(!pair.client.events.contains(&"Pong"));
    // A peer that sends pings and does not read the answers.
    let data = vec![0; 10_000];
    for _ in 0..1000 {
        inject(&mut pair.client, &Ping { data: &data });
        let bytes = pair.client.output();
        pair.server.feed(&bytes, usize::MAX, Time::ZERO);
    }
    assert!(pair.server.transport.control_backlog() >= CONTROL_HIGH_WATER);
    assert!(pair.server.transport.pending_output() < CONTROL_HIGH_WATER + 11_000);
    // The same during a key exchange that it does not take part in.
    let mut pair = established();
    pair.server.transport.rekey(Time::ZERO);
    for _ in 0..1000 {
        inject(&mut pair.client, &Ping { data: &data });
        let bytes = pair.client.output();
        pair.server.feed(&bytes, usize::MAX, Time::ZERO);
    }
    assert!(pair.server.transport.outbound().held() < CONTROL_HIGH_WATER + 11_000);
    assert_eq!(pair.server.error, None);
}

#[test]
fn unanswered_pings_of_ours_are_bounded() {
    let mut pair = established();
    for _ in 0..MAX_PINGS {
        assert!(pair.client.transport.ping(b"1"));
    }
    assert!(!pair.client.transport.ping(b"1"));
    pair.run();
    assert!(pair.client.transport.ping(b"1"));
}

#[test]
fn unknown_messages_are_answered_with_their_sequence_number() {
    let mut pair = established();
    // The server's own packets under these keys: EXT_INFO was 0.
    inject(&mut pair.server, &Ignore { data: b"" });
    inject(&mut pair.server, &Rest(&[199, 1, 2]));
    pair.deliver(Role::Client);
    pair.carry(Role::Server);
    let Ok(Some(Received::Packet(answer))) = pair.server.inbound.next() else { panic!() };
    assert_eq!(Unimplemented::parse(answer.bytes()), Ok(Unimplemented { sequence: 2 }));
    let unknown = Payload::new(vec![120].into(), 120, 55);
    pair.client.transport.unimplemented(&unknown);
    pair.carry(Role::Server);
    let Ok(Some(Received::Packet(answer))) = pair.server.inbound.next() else { panic!() };
    assert_eq!(answer.bytes(), [3, 0, 0, 0, 55]);
}

#[test]
fn extensions_come_where_they_may_and_not_too_often() {
    let mut pair = established();
    let again = ExtInfo::new(&[(b"server-sig-algs", b"ssh-ed25519")]);
    inject(&mut pair.server, &again);
    pair.run();
    assert_eq!(pair.client.transport.server_sig_algs().unwrap().len(), 1);
    inject(&mut pair.server, &again);
    let (error, told) = verdict(&mut pair, Role::Client);
    assert_eq!(error, PeerMisbehaved::MisplacedExtInfo.into());
    assert_eq!(told, Some(DisconnectReason::PROTOCOL_ERROR));

    let mut pair = established();
    inject(&mut pair.client, &again);
    let (error, _) = verdict(&mut pair, Role::Server);
    assert_eq!(error, PeerMisbehaved::MisplacedExtInfo.into());
}

#[test]
fn during_a_later_exchange_messages_without_meaning_are_allowed_even_if_strict() {
    let mut pair = established();
    let now = pair.now;
    pair.client.transport.rekey(now);
    for side in [&mut pair.client, &mut pair.server] {
        inject(side, &Ignore { data: b"" });
    }
    pair.deliver(Role::Server);
    inject(&mut pair.server, &Rest(&[12]));
    inject(&mut pair.client, &Ignore { data: b"" });
    pair.run();
    assert_eq!((pair.client.error, pair.server.error), (None, None));
    assert!(pair.client.events.ends_with(&["Rekeyed"]));
}

#[test]
fn data_in_a_later_exchange_is_taken_before_their_kexinit_and_not_after() {
    let mut server = Config { host_keys: host_keys(), ..Config::default() };
    // Another order than the client's: the exchange takes two round trips.
    server.preferences.set_kex("^ecdh-sha2-nistp256").unwrap();
    let mut pair = Pair::new(Config::default(), server);
    pair.run();
    let now = pair.now;
    pair.client.transport.rekey(now);
    pair.server.send(&[94, 7]);
    pair.deliver(Role::Client);
    assert_eq!(pair.client.payloads, [[94, 7]]);
    pair.deliver(Role::Server);
    inject(&mut pair.server, &Rest(&[94, 8]));
    let (error, told) = verdict(&mut pair, Role::Client);
    assert!(matches!(
        error,
        Error::PeerMisbehaved(PeerMisbehaved::UnexpectedMessage { number: 94, .. })
    ));
    assert_eq!(told, Some(DisconnectReason::PROTOCOL_ERROR));
    assert_eq!(pair.client.payloads.len(), 1);
}

#[test]
fn our_own_goodbye_is_said_once_and_ends_everything() {
    let mut pair = established();
    pair.client.transport.disconnect(DisconnectReason::BY_APPLICATION, "that was it");
    pair.client.transport.disconnect(DisconnectReason::PROTOCOL_ERROR, "again");
    pair.client.send(&[94]);
    pair.run();
    assert_eq!(std::format!("{}", pair.server.goodbye.unwrap()), "by application: that was it");
    assert!(pair.server.payloads.is_empty());
    assert_eq!(pair.client.transport.tick(second(1)), Err(Error::Closed));
    assert!(matches!(pair.server.transport.tick(second(1)), Err(Error::Disconnected(_))));
    assert_eq!(pair.server.transport.pending_output(), 0, "a goodbye is not answered");
}

#[test]
fn a_goodbye_without_language_is_understood() {
    let mut pair = established();
    inject(&mut pair.server, &Rest(&[1, 0, 0, 0, 11, 0, 0, 0, 1, b'x']));
    pair.run();
    assert_eq!(std::format!("{}", pair.client.goodbye.unwrap()), "by application: x");
}

#[test]
fn a_message_that_fits_no_packet_is_not_sent_in_part() {
    let mut pair = established();
    pair.client.send(&vec![94; 300_000]);
    assert_eq!(pair.client.transport.error(), Some(&Error::MessageTooLong));
    pair.run();
    assert!(pair.server.goodbye.is_some() && pair.server.error.is_none());
}

#[test]
fn every_flipped_bit_of_a_handshake_is_noticed_or_without_effect() {
    // Payloads before NEWKEYS are hashed, what comes after is authenticated; padding is neither.
    for role in [Role::Client, Role::Server] {
        let mut at: usize = 0;
        loop {
            let mut pair = Pair::with(|config| {
                config.preferences.set_kex("curve25519-sha256").unwrap();
            });
            let now = pair.now;
            let mut seen = 0;
            let mut flipped = false;
            loop {
                let mut any = false;
                for to in [Role::Server, Role::Client] {
                    let mut bytes = pair.side(to.other()).output();
                    any |= !bytes.is_empty();
                    if to == role {
                        let here = at.checked_sub(seen).and_then(|index| bytes.get_mut(index));
                        if let Some(byte) = here {
                            *byte ^= 1 << (at % 8);
                            flipped = true;
                        }
                        seen += bytes.len();
                    }
                    pair.side(to).feed(&bytes, usize::MAX, now);
                }
                if !any {
                    break;
                }
            }
            if !flipped {
                break;
            }
            if pair.client.session.is_some() && pair.server.session.is_some() {
                assert_eq!(pair.client.session, pair.server.session, "byte {at}");
            }
            at += 11;
        }
        assert!(at > 500, "{at}");
    }
}

#[test]
fn names_of_messages_are_in_the_table() {
    let numbers: Vec<u8> = TransportMessage::TABLE.iter().map(|entry| entry.0).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 7, 20, 21, 192, 193]);
}

#[test]
fn whoever_has_not_logged_in_cannot_exchange_keys_for_ever() {
    for role in [Role::Client, Role::Server] {
        let rekey = |pair: &mut Pair| {
            let now = pair.now;
            pair.side(role.other()).transport.rekey(now);
            pair.run();
        };
        let mut pair = established();
        for _ in 0..MAX_EARLY_KEY_EXCHANGES {
            rekey(&mut pair);
            assert_eq!(pair.side(role).error, None);
        }
        rekey(&mut pair);
        let (error, reason) = verdict(&mut pair, role);
        assert_eq!(error, PeerMisbehaved::TooManyKeyExchanges.into());
        assert_eq!(reason, Some(DisconnectReason::PROTOCOL_ERROR));
        // Who is known may do it as often as it likes.
        let mut pair = established();
        pair.side(role.other()).send(&[80, 0, 0, 0, 0, 0]);
        for _ in 0..50 {
            rekey(&mut pair);
        }
        assert_eq!(pair.side(role).error, None);
    }
}
