//! Replays of recorded key exchanges and connections with OpenSSH; see `testdata/README.md`.

use alloc::{boxed::Box, string::String, vec, vec::Vec};
use std::{fs, path::PathBuf};

use bytes::Bytes;
use serde_json::Value;
use ssh_crypto::{
    agree::{Dh, DhGroup, P256, P384, P521, X25519},
    hash::digest,
    kem::{MlKem768, Sntrup761},
};
use ssh_keys::public::MIN_RSA_BITS;
use ssh_wire::{Encode, Message, MpInt};

use crate::{
    CipherAlgorithm, CompressionAlgorithm, HostKeyAlgorithm, Inbound, KexAlgorithm, MacAlgorithm,
    Negotiated, PeerMisbehaved, Preferences, Protection, Received, Role,
    compression::Authenticated,
    crypto::{Open, Seal, null::Null},
    error::Error,
    kex::{
        client::AwaitReply,
        derive::KeyDerivation,
        finite_field::FiniteField,
        group_exchange::Agreed,
        hash::Transcript,
        hybrid::Hybrid,
        method::{ClientShare, SharedSecret},
        strict,
    },
    message::{KexDhGexReply, KexDhGexRequest, KexEcdhReply, KexInit},
    negotiate,
};

#[test]
fn what_programs_offer_by_default_reads_and_leads_to_something_modern() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/kexinit-defaults.json");
    let recorded: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let preferences = Preferences::modern();
    for (name, peer) in recorded.as_object().unwrap() {
        let payload = bytes(&peer["payload"]);
        let message = KexInit::parse(&payload).unwrap();
        let role = if name.ends_with("server") { Role::Client } else { Role::Server };
        let negotiated = negotiate(&preferences.offer(), &message, role).unwrap();
        let expected = match name.split_once('-').unwrap() {
            ("openssh", "9.2-client") => KexAlgorithm::Sntrup761X25519Sha512,
            ("openssh", _) => KexAlgorithm::MlKem768X25519Sha256,
            ("plink", _) => KexAlgorithm::Sntrup761X25519Sha512OpenSsh,
            _ => KexAlgorithm::Curve25519Sha256,
        };
        assert_eq!(negotiated.kex, expected, "{name}");
        assert!(strict::is_offered(role.other(), &message), "{name}");
    }
}

fn files(folder: &str) -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let recording: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        if is_known(if recording["kex"].is_array() { &recording["kex"][0] } else { &recording }) {
            files.push((name, recording));
        }
    }
    files
}

/// Whether this build has all that was negotiated.
fn is_known(kex: &Value) -> bool {
    let is = |name: &str, known: fn(&str) -> bool| kex[name].as_str().is_none_or(known);
    is("kex_algorithm", |name| KexAlgorithm::from_name(name).is_some())
        && is("host_key_algorithm", |name| HostKeyAlgorithm::from_name(name).is_some())
        && is("cipher", |name| CipherAlgorithm::from_name(name).is_some())
        && is("mac", |name| MacAlgorithm::from_name(name).is_some())
        && is("compression", |name| CompressionAlgorithm::from_name(name).is_some())
}

#[test]
fn every_recording_is_replayed() {
    // Those that are left out are of weak algorithms.
    let legacy = cfg!(feature = "legacy");
    assert_eq!(files("kex").len(), if legacy { 20 } else { 17 });
    assert_eq!(files("transport").len(), if legacy { 19 } else { 15 });
}

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn text(value: &Value) -> Bytes {
    Bytes::copy_from_slice(value.as_str().unwrap().as_bytes())
}

fn transcript(versions: &Value, kex: &Value) -> Transcript {
    Transcript {
        client_identification: text(&versions["V_C"]),
        server_identification: text(&versions["V_S"]),
        client_init: bytes(&kex["I_C"]).into(),
        server_init: bytes(&kex["I_S"]).into(),
    }
}

fn compression(kex: &Value) -> CompressionAlgorithm {
    let name = kex["compression"].as_str().unwrap_or("none");
    CompressionAlgorithm::from_name(name).unwrap()
}

fn negotiated(kex: &Value) -> Negotiated {
    let cipher = CipherAlgorithm::from_name(kex["cipher"].as_str().unwrap()).unwrap();
    let mac = kex["mac"]
        .as_str()
        .map_or(MacAlgorithm::HmacSha256, |name| MacAlgorithm::from_name(name).unwrap());
    let protection = Protection::of(cipher, mac);
    Negotiated {
        kex: KexAlgorithm::from_name(kex["kex_algorithm"].as_str().unwrap()).unwrap(),
        host_key: HostKeyAlgorithm::from_name(kex["host_key_algorithm"].as_str().unwrap()).unwrap(),
        client_to_server: protection,
        server_to_client: protection,
        compression_to_server: compression(kex),
        compression_to_client: compression(kex),
        strict: kex["strict_kex"].as_bool().unwrap(),
    }
}

fn x25519(kex: &Value) -> X25519 {
    X25519::from_secret(array(&kex["client_private_x25519"]))
}

fn scalar(kex: &Value) -> Vec<u8> {
    let hex = kex["client_private_scalar"].as_str().unwrap();
    // Numbers are recorded without leading zeros.
    let even = if hex.len().is_multiple_of(2) { "" } else { "0" };
    bytes(&Value::String(std::format!("{even}{hex}")))
}

fn mlkem768(kex: &Value) -> Box<MlKem768> {
    Box::new(MlKem768::from_seed(&array(&kex["client_mlkem768_seed_d_z"])))
}

fn agreed(kex: &Value) -> Option<Agreed> {
    let bits = |name: &str| u32::try_from(kex[name].as_u64()?).ok();
    let bounds =
        KexDhGexRequest { min: bits("gex_min")?, wanted: bits("gex_n")?, max: bits("gex_max")? };
    let g = kex["gex_g"].as_str().unwrap().parse().unwrap();
    let group = DhGroup::from_peer(&number(&kex["gex_p"]), &[g], 2048, 8192).unwrap();
    Some(Agreed::new(bounds, group))
}

fn number(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    let even = if hex.len().is_multiple_of(2) { "" } else { "0" };
    bytes(&Value::String(std::format!("{even}{hex}")))
}

fn share(kex: &Value, method: KexAlgorithm) -> Box<dyn ClientShare> {
    let group = match method.fixed_group() {
        Some(fixed) => Some(DhGroup::fixed(fixed)),
        None => agreed(kex).map(|agreed| agreed.group),
    };
    if let Some(group) = group {
        let exponent = array(&kex["client_private_x"]);
        return Box::new(FiniteField(Dh::from_exponent(group, &exponent)));
    }
    match method {
        KexAlgorithm::MlKem768X25519Sha256 => {
            Box::new(Hybrid { kem: mlkem768(kex), curve: x25519(kex) })
        }
        KexAlgorithm::MlKem768Nistp256Sha256 => {
            let curve = P256::from_secret(&scalar(kex)).unwrap();
            Box::new(Hybrid { kem: mlkem768(kex), curve })
        }
        KexAlgorithm::Sntrup761X25519Sha512 => {
            let secret = bytes(&kex["client_sntrup761_private"]);
            let kem = Box::new(Sntrup761::from_secret(&secret).unwrap());
            Box::new(Hybrid { kem, curve: x25519(kex) })
        }
        KexAlgorithm::Curve25519Sha256 | KexAlgorithm::Curve25519Sha256LibSsh => {
            Box::new(x25519(kex))
        }
        KexAlgorithm::EcdhSha2Nistp256 => Box::new(P256::from_secret(&scalar(kex)).unwrap()),
        KexAlgorithm::EcdhSha2Nistp384 => Box::new(P384::from_secret(&scalar(kex)).unwrap()),
        KexAlgorithm::EcdhSha2Nistp521 => Box::new(P521::from_secret(&scalar(kex)).unwrap()),
        other => panic!("no recording of {other}"),
    }
}

/// What the sides sent, in the form of a string: numbers are recorded without a sign.
fn public_values(kex: &Value) -> [Vec<u8>; 2] {
    if kex["client_public"].is_string() {
        return [bytes(&kex["client_public"]), bytes(&kex["server_public"])];
    }
    ["client_e", "server_f"].map(|name| {
        let mut out = Vec::new();
        MpInt::from_bytes(&number(&kex[name])).encode(&mut out);
        out.split_off(4)
    })
}

fn reply(kex: &Value) -> Vec<u8> {
    let (host_key, signature) = (&bytes(&kex["K_S"]), &bytes(&kex["signature"]));
    let [_, server_public] = &public_values(kex);
    let mut payload = Vec::new();
    match agreed(kex) {
        None => KexEcdhReply { host_key, server_public, signature }.encode(&mut payload),
        Some(_) => KexDhGexReply { host_key, server_public, signature }.encode(&mut payload),
    }
    payload
}

fn exchange(kex: &Value) -> AwaitReply {
    let negotiated = negotiated(kex);
    let share = share(kex, negotiated.kex);
    AwaitReply::with_share(negotiated, transcript(kex, kex), share, agreed(kex))
}

#[test]
fn recorded_exchanges_lead_to_the_recorded_hash_and_signature() {
    for (name, kex) in files("kex") {
        let state = exchange(&kex);
        assert_eq!(state.public, public_values(&kex)[0], "{name}");
        let algorithm = state.negotiated.kex.hash();
        let whole = bytes(&kex["exchange_hash_input"]);
        assert_eq!(digest(algorithm, &whole).as_bytes(), bytes(&kex["H"]), "{name}");
        let payload = reply(&kex);
        let proven = state.finish(&payload, MIN_RSA_BITS).unwrap();
        assert_eq!(proven.secret.encoded(), bytes(&kex["K_encoded"]), "{name}");
        assert_eq!(proven.exchange_hash.as_bytes(), bytes(&kex["H"]), "{name}");
        assert_eq!(proven.host_key.blob(), bytes(&kex["K_S"]), "{name}");
    }
}

#[test]
fn recorded_exchanges_lead_to_the_recorded_keys() {
    for (name, kex) in files("kex") {
        let negotiated = negotiated(&kex);
        let secret = SharedSecret::recorded(&bytes(&kex["K_encoded"]));
        let hash = digest(negotiated.kex.hash(), &bytes(&kex["exchange_hash_input"]));
        let session = bytes(&kex["session_id"]);
        let keys = KeyDerivation::new(negotiated.kex.hash(), &secret, &hash, &session);
        for (letter, found) in kex["derived_64_bytes_each"].as_object().unwrap() {
            for len in [64, 33, 16, 1] {
                let mut key = vec![0; len];
                keys.fill(letter.as_bytes()[0], &mut key);
                assert_eq!(key, bytes(found)[..len], "{name} {letter}");
            }
        }
    }
}

#[test]
fn a_reply_with_any_bit_changed_is_refused() {
    let (_, kex) =
        files("kex").into_iter().find(|(name, _)| name == "curve25519-sha256.json").unwrap();
    let good = reply(&kex);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(exchange(&kex).finish(&bad, MIN_RSA_BITS).is_err(), "byte {at}");
    }
    for end in 0..good.len() {
        assert!(exchange(&kex).finish(&good[..end], MIN_RSA_BITS).is_err(), "cut to {end}");
    }
}

#[test]
fn a_host_key_of_another_type_than_negotiated_is_refused_before_it_is_used() {
    let (_, kex) =
        files("kex").into_iter().find(|(name, _)| name == "curve25519-sha256.json").unwrap();
    let payload = reply(&kex);
    let mut negotiated = negotiated(&kex);
    negotiated.host_key = HostKeyAlgorithm::RsaSha512;
    let share = share(&kex, negotiated.kex);
    let state = AwaitReply::with_share(negotiated, transcript(&kex, &kex), share, None);
    let error = state.finish(&payload, MIN_RSA_BITS).err().unwrap();
    assert_eq!(error, Error::PeerMisbehaved(PeerMisbehaved::WrongHostKeyType));
}

/// One direction of a recorded connection.
struct Direction<'a> {
    session: &'a Value,
    name: &'static str,
    /// Who reads it.
    reader: Role,
}

impl<'a> Direction<'a> {
    fn both(session: &'a Value) -> [Self; 2] {
        [
            Direction { session, name: "c2s", reader: Role::Server },
            Direction { session, name: "s2c", reader: Role::Client },
        ]
    }

    fn packets(&self) -> impl Iterator<Item = &'a Value> {
        let name = self.name;
        self.session["packets"].as_array().unwrap().iter().filter(move |p| p["dir"] == name)
    }

    /// The keys of an exchange: of the writer and of the reader.
    fn keys(&self, index: usize) -> (Box<dyn Seal>, Box<dyn Open>) {
        let kex = &self.session["kex"][index];
        let negotiated = negotiated(kex);
        let secret = SharedSecret::recorded(&bytes(&kex["K_encoded"]));
        let hash = transcript(self.session, kex).exchange_hash(
            negotiated.kex.hash(),
            &bytes(&kex["K_S"]),
            &[],
            [&bytes(&kex["client_public"]), &bytes(&kex["server_public"])],
            &secret,
        );
        assert_eq!(hash.as_bytes(), bytes(&kex["H"]));
        let session = bytes(&kex["session_id"]);
        let keys = KeyDerivation::new(negotiated.kex.hash(), &secret, &hash, &session);
        let writer = keys.keys(self.reader.other(), &negotiated).unwrap();
        (writer.sealing, keys.keys(self.reader, &negotiated).unwrap().opening)
    }

    fn strict(&self) -> bool {
        self.session["kex"][0]["strict_kex"].as_bool().unwrap()
    }
}

fn identified(reader: Role) -> Inbound {
    let mut inbound = Inbound::new(reader);
    inbound.buffer().extend_from_slice(b"SSH-2.0-x\r\n");
    assert!(matches!(inbound.next(), Ok(Some(Received::Identification(_)))));
    inbound
}

/// Whether the packet behind this one, in its direction, is the first that is compressed.
fn next_is_compressed(direction: &Direction<'_>, packet: &Value) -> bool {
    let next = direction.packets().skip_while(|other| *other != packet).nth(1);
    direction.reader == Role::Server && next.is_some_and(|next| next["compressed"].is_string())
}

#[test]
fn every_packet_of_recorded_connections_opens() {
    for (file, session) in files("transport") {
        for direction in Direction::both(&session) {
            for piece in [usize::MAX, 1, 7] {
                let mut inbound = identified(direction.reader);
                let authenticated = Authenticated::default();
                let mut exchanges = 0;
                for packet in direction.packets() {
                    let wire = bytes(&packet["wire"]);
                    let mut opened = None;
                    for part in wire.chunks(piece.min(wire.len())) {
                        assert_eq!(opened, None);
                        inbound.buffer().extend_from_slice(part);
                        opened = inbound.next().unwrap();
                    }
                    let Some(Received::Packet(payload)) = opened else { panic!("{file}") };
                    assert_eq!(payload.bytes(), bytes(&packet["payload"]), "{file}");
                    let sequence = packet["seq"].as_u64().unwrap();
                    assert_eq!(u64::from(payload.sequence()), sequence, "{file}");
                    // What a server learns from what it has sent.
                    if packet["compressed"].is_string() {
                        assert!(authenticated.is_set() || direction.reader == Role::Server);
                    }
                    if next_is_compressed(&direction, packet) {
                        authenticated.set();
                    }
                    if payload.number() == 21 {
                        assert_eq!(inbound.next(), Ok(None));
                        inbound.install(direction.keys(exchanges).1, direction.strict());
                        let kex = &session["kex"][exchanges];
                        inbound.set_compression(compression(kex), &authenticated);
                        exchanges += 1;
                    }
                }
                assert!(inbound.buffer().is_empty() && exchanges > 0, "{file}");
            }
        }
    }
}

#[test]
fn every_packet_of_recorded_connections_is_sealed_to_the_same_bytes() {
    for (file, session) in files("transport") {
        for direction in Direction::both(&session) {
            let mut key: Box<dyn Seal> = Box::new(Null);
            let mut exchanges = 0;
            for packet in direction.packets() {
                // What was compressed, by another zlib than ours, is sealed as it was.
                let content =
                    if packet["compressed"].is_string() { "compressed" } else { "payload" };
                let (payload, padding) = (bytes(&packet[content]), bytes(&packet["padding"]));
                let length = u32::try_from(1 + payload.len() + padding.len()).unwrap();
                assert!(key.shape().allows(length), "{file}");
                let mut sealed = length.to_be_bytes().to_vec();
                sealed.push(padding.len().try_into().unwrap());
                sealed.extend_from_slice(&payload);
                sealed.extend_from_slice(&padding);
                sealed.resize(sealed.len() + key.shape().tag, 0);
                let sequence = packet["seq"].as_u64().unwrap().try_into().unwrap();
                key.seal(sequence, &mut sealed);
                assert_eq!(sealed, bytes(&packet["wire"]), "{file} {sequence}");
                if packet["type"] == 21 {
                    key = direction.keys(exchanges).0;
                    exchanges += 1;
                }
            }
        }
    }
}

#[test]
fn a_recorded_packet_with_any_byte_changed_does_not_open() {
    for (file, session) in files("transport") {
        for direction in Direction::both(&session) {
            let first = direction.packets().find(|p| p["keyset"] == 0).unwrap();
            let wire = bytes(&first["wire"]);
            let sequence = u32::try_from(first["seq"].as_u64().unwrap()).unwrap();
            for at in (0..wire.len()).step_by(3) {
                let mut bad = wire.clone();
                bad[at] ^= 0x10;
                let mut inbound = identified(direction.reader);
                inbound.install(direction.keys(0).1, true);
                inbound.skip_to(sequence);
                // A length that claims more than came would wait for more: let it come.
                bad.resize(300_000, 0);
                inbound.buffer().extend_from_slice(&bad);
                let how = match inbound.next() {
                    Err(Error::PeerMisbehaved(how)) => how,
                    other => panic!("{file} byte {at}: {other:?}"),
                };
                let fitting = how == PeerMisbehaved::BadMac
                    || matches!(how, PeerMisbehaved::BadPacketLength { .. });
                assert!(fitting, "{file} byte {at}: {how:?}");
                assert_eq!(inbound.next(), Err(how.into()), "{file} goes on");
            }
        }
    }
}
