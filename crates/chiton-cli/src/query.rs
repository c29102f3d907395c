//! What this build has: `chiton algorithms`, and `-Q` of `chiton ssh`.

use chiton::{
    algorithms::{
        Algorithm, CipherAlgorithm, CompressionAlgorithm, HostKeyAlgorithm, KexAlgorithm,
        MacAlgorithm, Standing,
    },
    keys::KeyType,
};

/// A list and what its name is for `-Q`, and for the option that sets it.
type Query = (&'static [&'static str], fn() -> Vec<&'static str>);

/// Everything that `-Q` knows, with OpenSSH's names for it.
const QUERIES: &[Query] = &[
    (&["cipher", "Ciphers"], names::<CipherAlgorithm>),
    (&["cipher-auth"], || {
        let ciphers = CipherAlgorithm::ALL.iter().filter(|cipher| cipher.is_aead());
        ciphers.map(|cipher| cipher.name()).collect()
    }),
    (&["mac", "MACs"], names::<MacAlgorithm>),
    (&["kex", "KexAlgorithms"], names::<KexAlgorithm>),
    (&["compression", "Compression"], names::<CompressionAlgorithm>),
    (&["key"], || [plain_types(), certificate_types()].concat()),
    (&["key-plain"], plain_types),
    (&["key-cert"], certificate_types),
    (&["key-sig", "HostKeyAlgorithms", "PubkeyAcceptedAlgorithms"], names::<HostKeyAlgorithm>),
    (&["sig", "CASignatureAlgorithms"], || {
        let keys = HostKeyAlgorithm::ALL.iter().filter(|key| !key.is_certificate());
        keys.map(|key| key.name()).collect()
    }),
    (&["protocol-version"], || vec!["2"]),
    (&["help"], || QUERIES.iter().filter_map(|(names, _)| names.first().copied()).collect()),
];

fn names<T: Algorithm>() -> Vec<&'static str> {
    T::all().iter().map(|algorithm| algorithm.name()).collect()
}

fn plain_types() -> Vec<&'static str> {
    KeyType::ALL.iter().map(|key_type| key_type.name()).collect()
}

fn certificate_types() -> Vec<&'static str> {
    KeyType::ALL.iter().map(|key_type| key_type.certificate_name()).collect()
}

/// The lines for `-Q what`, or what it could have been.
pub(crate) fn answer(what: &str) -> Result<String, String> {
    let known =
        QUERIES.iter().find(|(names, _)| names.iter().any(|name| name.eq_ignore_ascii_case(what)));
    let Some((_, list)) = known else {
        let known: Vec<&str> =
            QUERIES.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        let what = what.escape_debug();
        return Err(format!("-Q {what}: unknown; there are {}", known.join(", ")));
    };
    Ok(list().join("\n"))
}

/// Runs `algorithms`; gives the exit code.
pub(crate) fn main() -> u8 {
    crate::log::print(table());
    0
}

/// All algorithms, by what they are for, and who offers them.
fn table() -> String {
    let mut text = String::new();
    section::<KexAlgorithm>(&mut text, "Key exchange");
    section::<HostKeyAlgorithm>(&mut text, "Host keys, and signatures of users and authorities");
    section::<CipherAlgorithm>(&mut text, "Ciphers");
    section::<MacAlgorithm>(&mut text, "MACs");
    section::<CompressionAlgorithm>(&mut text, "Compression");
    text.push_str(
        "What is offered on request, or is weak, is added with -o: for one connection, and by name.\n",
    );
    if !KexAlgorithm::ALL.iter().any(|method| method.is_legacy()) {
        text.push_str(
            "This build has nothing weak; the cargo feature `legacy` adds what there is.\n",
        );
    }
    text
}

fn section<T: Algorithm>(text: &mut String, title: &str) {
    text.push_str(&format!("{title} ({}):\n", T::KIND.option()));
    for algorithm in T::all() {
        let standing = match algorithm.standing() {
            Standing::Usual => "offered",
            Standing::OnRequest => "on request",
            Standing::Legacy => "weak, on request",
        };
        text.push_str(&format!("  {:<50}{standing}\n", algorithm.name()));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_has_an_answer() {
        for (names, _) in QUERIES {
            for name in *names {
                assert!(!answer(name).unwrap().is_empty(), "{name}");
            }
        }
        assert!(answer("KEX").unwrap().starts_with("mlkem768x25519-sha256\n"));
        assert!(answer("cipher-auth").unwrap().lines().all(|name| !name.ends_with("-ctr")));
        assert!(answer("ciphers2").unwrap_err().contains("there are cipher, Ciphers, cipher-auth"));
    }

    #[test]
    fn the_table_says_how_each_stands() {
        let table = table();
        let line = |name: &str| table.lines().find(|line| line.contains(name)).unwrap();
        assert!(line("  curve25519-sha256 ").ends_with("offered"));
        assert!(line("mlkem1024nistp384-sha384").ends_with("on request"));
        assert_eq!(table.contains("weak, on request"), cfg!(feature = "legacy"));
        assert_eq!(table.contains("feature `legacy`"), !cfg!(feature = "legacy"));
    }
}
