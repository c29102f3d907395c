//! What each library needs for the same work: packets of three sizes sealed and opened, and every
//! public-key operation.
//!
//! ```console
//! $ cargo bench -p chiton-crypto --features benchmark,ring             # everything
//! $ cargo bench -p chiton-crypto --features benchmark,ring -- gcm rsa  # what has this in its name
//! ```
//!
//! Each figure is the best of several rounds: what disturbs a measurement only ever makes it
//! longer. The output is the tables of `docs/benchmark/backends.md`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use poly1305::universal_hash::KeyInit;
use ssh_crypto::aead::AesGcm;
use ssh_crypto::agree::{Dh, DhGroup, FixedGroup, P256, P384, P521, X25519};
use ssh_crypto::chachapoly::ChaChaPoly;
use ssh_crypto::hash::HashAlgorithm;
use ssh_crypto::kem::{self, MlKem768, MlKem1024, Sntrup761};
use ssh_crypto::mac::{Hmac, HmacAlgorithm, Umac, UmacTag};
use ssh_crypto::rng::SystemRng;
use ssh_crypto::sign::{
    EcdsaCurve, EcdsaKey, Ed25519Key, MlDsa44Ed25519Key, RsaKey, ecdsa_verify, ed25519_verify,
    mldsa44_ed25519_verify, rsa_verify,
};
use ssh_crypto::stream::{AesCtr, ChaCha20Key};
use ssh_crypto::{Backend, use_only};

/// Bytes of a packet, without its tag.
const SIZES: [usize; 3] = [64, 1024, 32 * 1024];
/// The longest tag.
const TAG: usize = 64;
const ROUNDS: usize = 7;
/// How long a round takes at least.
const ROUND: Duration = Duration::from_millis(8);

const ALL: &[Backend] = &[Backend::Pure, Backend::Graviola, Backend::Ring];
const PURE: &[Backend] = &[Backend::Pure];
const PURE_AND_RING: &[Backend] = &[Backend::Pure, Backend::Ring];
const PURE_AND_GRAVIOLA: &[Backend] = &[Backend::Pure, Backend::Graviola];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let bench = Bench {
        // `cargo bench` says so; under `cargo test --benches` once is enough.
        in_earnest: arguments.iter().any(|word| word == "--bench"),
        wanted: arguments.into_iter().filter(|word| !word.starts_with("--")).collect(),
    };
    bench.packets();
    bench.public_keys();
}

struct Bench {
    in_earnest: bool,
    wanted: Vec<String>,
}

/// A cipher with what authenticates it.
trait Packets {
    /// `packet` is length, body and room for the tag.
    fn seal(&mut self, sequence: u32, packet: &mut [u8]);
    /// Whether it is authentic.
    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> bool;
}

type Make = fn() -> Box<dyn Packets>;

impl Bench {
    fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|word| name.contains(word.as_str()))
    }

    fn packets(&self) {
        println!("| packets, seal / open | | 64 B, ns | 1 KiB, ns | 32 KiB, ns | 32 KiB, GB/s |");
        println!("|---|---|---|---|---|---|");
        let rows: [(&str, &[Backend], Make); 12] = [
            ("aes128-gcm", ALL, || gcm(16)),
            ("aes256-gcm", ALL, || gcm(32)),
            ("chacha20-poly1305", PURE_AND_RING, || Box::new(Chacha(ChaChaPoly::new(&[7; 64])))),
            ("the same with `poly1305` at every length, a call per key stream", PURE, || {
                Box::new(Poly1305Crate(ChaCha20Key::new(&[7; 32]), ChaCha20Key::new(&[8; 32])))
            }),
            ("aes128-ctr, hmac-sha2-256-etm", PURE_AND_RING, || ctr(16, HmacAlgorithm::Sha256)),
            ("aes192-ctr, hmac-sha2-256-etm", PURE_AND_RING, || ctr(24, HmacAlgorithm::Sha256)),
            ("aes256-ctr, hmac-sha2-256-etm", PURE_AND_RING, || ctr(32, HmacAlgorithm::Sha256)),
            ("aes128-ctr, hmac-sha2-512-etm", PURE_AND_RING, || ctr(16, HmacAlgorithm::Sha512)),
            ("aes256-ctr, hmac-sha2-512-etm", PURE_AND_RING, || ctr(32, HmacAlgorithm::Sha512)),
            ("aes128-ctr, hmac-sha1-etm", PURE, || ctr(16, HmacAlgorithm::Sha1)),
            ("aes128-ctr, umac-64-etm", PURE, || umac(UmacTag::Bits64)),
            ("aes128-ctr, umac-128-etm", PURE, || umac(UmacTag::Bits128)),
        ];
        for (name, backends, make) in rows {
            for backend in available(backends).filter(|_| self.wants(name)) {
                use_only(backend);
                let times = SIZES.map(|size| self.sealed_and_opened(&mut *make(), size));
                let cells = times.map(|(seal, open)| format!("{seal:.0} / {open:.0}"));
                let [.., (seal, open)] = times;
                let size = 32.0 * 1024.0;
                let rate = format!("{:.2} / {:.2}", size / seal, size / open);
                println!("| {name} | {} | {} | {rate} |", title(backend), cells.join(" | "));
            }
        }
        println!();
    }

    /// Nanoseconds of each packet.
    fn sealed_and_opened(&self, packets: &mut dyn Packets, size: usize) -> (f64, f64) {
        // A few at a time, as they come in one read from a socket; so many that the clock, which is
        // read around them, does not count.
        let batch = (64 * 1024 / size).clamp(4, 64);
        let mut buffers = vec![vec![7_u8; size + TAG]; batch];
        let mut sequence = 0_u32;
        let (mut best_seal, mut best_open) = (f64::MAX, f64::MAX);
        for _ in 0..if self.in_earnest { ROUNDS } else { 1 } {
            let (mut seal, mut open, mut count) = (Duration::ZERO, Duration::ZERO, 0.0);
            loop {
                let first = sequence;
                let start = Instant::now();
                for buffer in &mut buffers {
                    packets.seal(sequence, black_box(buffer));
                    sequence = sequence.wrapping_add(1);
                }
                seal += start.elapsed();
                let start = Instant::now();
                for (number, buffer) in (first..).zip(&mut buffers) {
                    assert!(packets.open(number, black_box(buffer)), "packet {number}");
                    count += 1.0;
                }
                open += start.elapsed();
                if !self.in_earnest || seal + open >= ROUND {
                    break;
                }
            }
            best_seal = best_seal.min(seal.as_secs_f64() * 1e9 / count);
            best_open = best_open.min(open.as_secs_f64() * 1e9 / count);
        }
        (best_seal, best_open)
    }

    fn public_keys(&self) {
        println!("| µs | pure | graviola | ring |");
        println!("|---|---|---|---|");
        self.agreements();
        self.kems();
        self.signatures();
    }

    /// A row: what `make` makes for each library is run again and again.
    fn row<F: FnMut()>(&self, name: &str, backends: &[Backend], mut make: impl FnMut() -> F) {
        if !self.wants(name) {
            return;
        }
        let cells = ALL.iter().map(|backend| {
            if !available(backends).any(|served| served == *backend) {
                return "–".to_owned();
            }
            use_only(*backend);
            let time = self.best(make());
            if time < 100.0 { format!("{time:.1}") } else { format!("{time:.0}") }
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }

    /// Microseconds of each call.
    fn best(&self, mut work: impl FnMut()) -> f64 {
        let mut best = f64::MAX;
        for _ in 0..if self.in_earnest { ROUNDS } else { 1 } {
            let (start, mut count) = (Instant::now(), 0.0);
            let spent = loop {
                work();
                count += 1.0;
                let spent = start.elapsed();
                if !self.in_earnest || spent >= ROUND {
                    break spent;
                }
            };
            best = best.min(spent.as_secs_f64() * 1e6 / count);
        }
        best
    }

    fn agreements(&self) {
        macro_rules! curve {
            ($name:literal, $backends:expr, $generate:expr) => {
                let peer = $generate.public();
                self.row(concat!($name, ", key and agreement"), $backends, || {
                    || drop(black_box(right($generate.agree(black_box(&peer)))))
                });
            };
        }
        curve!("x25519", ALL, X25519::generate(&mut SystemRng));
        curve!("ecdh nistp256", ALL, P256::generate(&mut SystemRng));
        curve!("ecdh nistp384", ALL, right(P384::generate(&mut SystemRng)));
        curve!("ecdh nistp521", PURE, right(P521::generate(&mut SystemRng)));
        for (name, group) in [
            ("diffie-hellman group14, key and agreement", FixedGroup::Group14),
            ("diffie-hellman group16, key and agreement", FixedGroup::Group16),
        ] {
            let generate = || Dh::generate(DhGroup::fixed(group), &mut SystemRng);
            let peer = generate().public().to_vec();
            self.row(name, PURE, || || drop(black_box(right(generate().agree(black_box(&peer))))));
        }
    }

    fn kems(&self) {
        macro_rules! kem {
            ($name:literal, $backends:expr, $type:ident, $encapsulate:path) => {
                let key = $type::generate(&mut SystemRng).encapsulation_key();
                self.row(concat!($name, ", key"), $backends, || {
                    || drop(black_box($type::generate(&mut SystemRng)))
                });
                self.row(concat!($name, ", encapsulate"), $backends, || {
                    || drop(black_box(right($encapsulate(black_box(&key), &mut SystemRng))))
                });
                self.row(concat!($name, ", key and decapsulate"), $backends, || {
                    let sealed = right($encapsulate(&key, &mut SystemRng)).0;
                    move || {
                        let ours = $type::generate(&mut SystemRng);
                        drop(black_box(ours.decapsulate(black_box(&sealed))));
                    }
                });
            };
        }
        kem!("ML-KEM-768", PURE_AND_GRAVIOLA, MlKem768, kem::encapsulate);
        kem!("ML-KEM-1024", PURE, MlKem1024, kem::mlkem1024_encapsulate);
        let key = Sntrup761::generate(&mut SystemRng).public();
        let sealed = kem::sntrup761_encapsulate(&key, &mut SystemRng).0;
        self.row("sntrup761, key", PURE, || {
            || drop(black_box(Sntrup761::generate(&mut SystemRng)))
        });
        self.row("sntrup761, encapsulate", PURE, || {
            || drop(black_box(kem::sntrup761_encapsulate(black_box(&key), &mut SystemRng)))
        });
        self.row("sntrup761, key and decapsulate", PURE, || {
            || drop(black_box(Sntrup761::generate(&mut SystemRng).decapsulate(black_box(&sealed))))
        });
    }

    fn signatures(&self) {
        let msg = &[7; 200];
        let ed25519 = || Ed25519Key::from_seed(&[7; 32]);
        let (public, sig) = (ed25519().public(), ed25519().sign(msg));
        self.row("ed25519, sign", ALL, || {
            let key = ed25519();
            move || {
                black_box(key.sign(black_box(msg)));
            }
        });
        self.row("ed25519, verify", PURE, || {
            || right(black_box(ed25519_verify(black_box(&public), msg, &sig)))
        });
        for (curve, name, verifying) in [
            (EcdsaCurve::P256, "nistp256", ALL),
            (EcdsaCurve::P384, "nistp384", ALL),
            (EcdsaCurve::P521, "nistp521", PURE),
        ] {
            let key = right(EcdsaKey::generate(curve, &mut SystemRng));
            let (public, (r, s)) = (key.public(), key.sign(msg));
            self.row(&format!("ecdsa {name}, sign"), PURE, || {
                || drop(black_box(key.sign(black_box(msg))))
            });
            self.row(&format!("ecdsa {name}, verify"), verifying, || {
                || right(black_box(ecdsa_verify(curve, black_box(&public), msg, &r, &s)))
            });
        }
        if self.wants("rsa-3072") {
            self.rsa(msg);
        }
        let key = MlDsa44Ed25519Key::from_seeds(&[7; 64]);
        let public = key.public();
        let sig: Box<[u8; ssh_crypto::sign::MLDSA44_ED25519_SIGNATURE_LEN]> =
            right(key.sign(msg).into_boxed_slice().try_into());
        self.row("mldsa44-ed25519, sign", PURE, || || drop(black_box(key.sign(black_box(msg)))));
        self.row("mldsa44-ed25519, verify", PURE, || {
            || right(black_box(mldsa44_ed25519_verify(black_box(&public), msg, &sig)))
        });
    }

    fn rsa(&self, msg: &[u8]) {
        use_only(Backend::Pure);
        let key = right(RsaKey::generate(3072, &mut SystemRng));
        let (n, e, d, p, q) = (key.n(), key.e(), key.d(), key.p(), key.q());
        let hash = HashAlgorithm::Sha256;
        let sig = right(key.sign(hash, msg));
        self.row("rsa-3072, sign", PURE_AND_RING, || {
            let key = right(RsaKey::from_parts(&n, &e, d.expose(), p.expose(), q.expose()));
            move || drop(black_box(right(key.sign(hash, black_box(msg)))))
        });
        self.row("rsa-3072, verify", PURE_AND_RING, || {
            || right(black_box(rsa_verify(black_box(&n), &e, hash, msg, &sig)))
        });
    }
}

fn available(backends: &[Backend]) -> impl Iterator<Item = Backend> {
    backends.iter().copied().filter(|backend| backend.is_available())
}

fn title(backend: Backend) -> &'static str {
    match backend {
        Backend::Graviola => "graviola",
        Backend::Ring => "ring",
        _ => "pure",
    }
}

/// What has to work, or there is nothing to measure.
#[expect(clippy::panic, reason = "a benchmark that fails must not go on")]
fn right<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error:?}"))
}

/// Length and body, and the first bytes of the room for the tag.
fn parts<const N: usize>(packet: &mut [u8]) -> (&mut [u8], &mut [u8; N]) {
    let (packet, tag) = packet.split_at_mut(packet.len() - TAG);
    (packet, right(tag.first_chunk_mut().ok_or("no room")))
}

struct Gcm(AesGcm);

fn gcm(key_len: usize) -> Box<dyn Packets> {
    Box::new(Gcm(right(AesGcm::new(&vec![7; key_len]))))
}

fn nonce(sequence: u32) -> [u8; 12] {
    let mut nonce = [9; 12];
    nonce[8..].copy_from_slice(&sequence.to_be_bytes());
    nonce
}

impl Packets for Gcm {
    fn seal(&mut self, sequence: u32, packet: &mut [u8]) {
        let (packet, tag) = parts(packet);
        let (length, body) = packet.split_at_mut(4);
        *tag = self.0.seal(&nonce(sequence), length, body);
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> bool {
        let (packet, tag) = parts(packet);
        let (length, body) = packet.split_at_mut(4);
        self.0.open(&nonce(sequence), length, body, tag).is_ok()
    }
}

struct Chacha(ChaChaPoly);

impl Packets for Chacha {
    fn seal(&mut self, sequence: u32, packet: &mut [u8]) {
        let (packet, tag) = parts(packet);
        *tag = self.0.seal(sequence, packet);
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> bool {
        let (packet, tag) = parts(packet);
        let length = right(packet.first_chunk().copied().ok_or("no length"));
        black_box(self.0.length(sequence, length));
        let opened = self.0.open(sequence, packet, tag).is_ok();
        // As it was, to be sealed again.
        packet[..4].fill(7);
        opened
    }
}

/// The construction with the vector code of the crate `poly1305`, however short the packet.
struct Poly1305Crate(ChaCha20Key, ChaCha20Key);

impl Poly1305Crate {
    fn tag(&self, sequence: u32, packet: &[u8]) -> [u8; 16] {
        let mut key = [0; 32];
        self.0.apply(sequence.into(), 0, &mut key);
        poly1305::Poly1305::new(&key.into()).compute_unpadded(packet).into()
    }
}

impl Packets for Poly1305Crate {
    fn seal(&mut self, sequence: u32, packet: &mut [u8]) {
        let (packet, tag) = parts(packet);
        self.1.apply(sequence.into(), 0, &mut packet[..4]);
        self.0.apply(sequence.into(), 1, &mut packet[4..]);
        *tag = self.tag(sequence, packet);
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> bool {
        let (packet, tag) = parts(packet);
        if self.tag(sequence, packet) != *tag {
            return false;
        }
        self.1.apply(sequence.into(), 0, &mut packet[..4]);
        self.0.apply(sequence.into(), 1, &mut packet[4..]);
        true
    }
}

/// AES-CTR, then a MAC over the ciphertext; one counter for each direction.
struct Ctr {
    sealing: AesCtr,
    opening: AesCtr,
    mac: Mac,
}

enum Mac {
    Hmac(Hmac),
    Umac(UmacTag, Umac),
}

fn ctr(key_len: usize, algorithm: HmacAlgorithm) -> Box<dyn Packets> {
    with_ctr(key_len, Mac::Hmac(Hmac::new(algorithm, &vec![5; algorithm.tag_len()])))
}

fn umac(tag: UmacTag) -> Box<dyn Packets> {
    with_ctr(16, Mac::Umac(tag, Umac::new(tag, &[5; 16])))
}

fn with_ctr(key_len: usize, mac: Mac) -> Box<dyn Packets> {
    let cipher = || right(AesCtr::new(&vec![7; key_len], &[9; 16]));
    Box::new(Ctr { sealing: cipher(), opening: cipher(), mac })
}

impl Packets for Ctr {
    fn seal(&mut self, sequence: u32, packet: &mut [u8]) {
        let (packet, tag) = parts::<TAG>(packet);
        self.sealing.apply(&mut packet[4..]);
        match &self.mac {
            Mac::Hmac(hmac) => hmac.sign(&[&sequence.to_be_bytes(), packet], tag),
            Mac::Umac(_, umac) => umac.sign(sequence.into(), packet, tag),
        }
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> bool {
        let (packet, tag) = parts::<TAG>(packet);
        let verdict = match &self.mac {
            Mac::Hmac(hmac) => {
                hmac.verify(&[&sequence.to_be_bytes(), packet], &tag[..hmac.tag_len()])
            }
            Mac::Umac(kind, umac) => umac.verify(sequence.into(), packet, &tag[..kind.len()]),
        };
        self.opening.apply(&mut packet[4..]);
        verdict.is_ok()
    }
}
