//! `docs/algorithms.md`: the algorithms of the code, and what shows that each is right.
//!
//! After a change, `CHITON_WRITE_DOCS=1 cargo test -p chiton-tests --test algorithms` writes it anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chiton_tests::evidence::{self, Evidence};
use ssh_transport::{
    Algorithm, CipherAlgorithm, CompressionAlgorithm, HostKeyAlgorithm, KexAlgorithm, MacAlgorithm,
    Standing,
};

const HEAD: &str = "\
# Algorithms

Made from the tables in the code by a test (`tests/tests/algorithms.rs`), which fails when this is
stale. *Recorded* means that a session or key exchange with OpenSSH 10.6 is replayed byte by byte.
The peers negotiate what is marked in the interop tests (`tests/tests/interop_openssh_client`,
`interop_openssh_server`, `interop_others`), which go by the same tables: *yes* in both directions,
*client* where only their client does with our server. That what AsyncSSH, Dropbear, ssh2 and PuTTY
offer is all marked is tested, too. All algorithms are negotiated between our two sides as well, and
their primitives have known answers (`crates/ssh-crypto`).

*Usual* is offered by default, *on request* by those who name it. *Legacy* is weak: it needs the cargo
feature `legacy` and to be named, and is reported as weak by the connection.

`curve448-sha512` is left out, since no released and reviewed crate in Rust has X448 (`x448` and
`ed448-goldilocks` are pre-releases); so is `ssh-dss`, which OpenSSH has removed.
";

fn standing<T: Algorithm>(name: &str) -> &'static str {
    match T::from_name(name).map(Algorithm::standing) {
        Some(Standing::Usual) => "usual",
        Some(Standing::OnRequest) => "on request",
        // Not in this build.
        Some(Standing::Legacy) | None => "legacy",
    }
}

fn section<T: Algorithm>(out: &mut String, title: &str, table: &[Evidence]) {
    writeln!(out, "\n## {title}\n").unwrap();
    let titles = evidence::COLUMNS.iter().map(|column| format!(" {} |", column.title));
    writeln!(out, "| name | | recorded |{}", titles.collect::<String>()).unwrap();
    writeln!(out, "|---|---|---|{}", "---|".repeat(evidence::COLUMNS.len())).unwrap();
    for row in table {
        let peers = evidence::COLUMNS.iter().map(|column| match () {
            () if row.has(column.both) => " yes |",
            () if row.has(column.client) => " client |",
            () => "  |",
        });
        let (name, peers) = (row.name, peers.collect::<String>());
        let (standing, recorded) = (standing::<T>(name), if row.recorded { " yes" } else { " " });
        writeln!(out, "| `{name}` | {standing} |{recorded} |{peers}").unwrap();
    }
}

fn page() -> String {
    let mut out = HEAD.to_owned();
    section::<KexAlgorithm>(&mut out, "Key exchange", evidence::KEX);
    section::<HostKeyAlgorithm>(&mut out, "Host keys", evidence::HOST_KEYS);
    section::<HostKeyAlgorithm>(&mut out, "Host certificates", evidence::HOST_CERTIFICATES);
    section::<CipherAlgorithm>(&mut out, "Ciphers", evidence::CIPHERS);
    section::<MacAlgorithm>(&mut out, "MACs", evidence::MACS);
    section::<CompressionAlgorithm>(&mut out, "Compression", evidence::COMPRESSION);
    out
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/algorithms.md");
    if std::env::var_os("CHITON_WRITE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/algorithms.md is stale; CHITON_WRITE_DOCS=1 writes it anew");
}

/// Every algorithm has a row, and every row an algorithm.
#[test]
fn no_algorithm_is_without_evidence() {
    fn check<T: Algorithm>(table: &[Evidence]) {
        for algorithm in T::all() {
            let row = table.iter().find(|row| row.name == algorithm.name());
            assert!(row.is_some_and(|row| !row.peers.is_empty()), "{algorithm:?}");
        }
        if cfg!(feature = "legacy") {
            assert!(table.iter().all(|row| T::from_name(row.name).is_some()));
        }
    }
    check::<KexAlgorithm>(evidence::KEX);
    check::<CipherAlgorithm>(evidence::CIPHERS);
    check::<MacAlgorithm>(evidence::MACS);
    check::<CompressionAlgorithm>(evidence::COMPRESSION);
    for row in evidence::HOST_KEYS {
        assert!(HostKeyAlgorithm::from_name(row.name).is_some() || row.name == "ssh-rsa");
    }
}
