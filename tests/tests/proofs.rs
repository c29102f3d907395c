//! Properties of the source that no compiler checks: where the values that prove something are
//! made, and what must not be in it at all.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every Rust file beneath `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Whether a file is part of what users get: not a module of unit tests or fuzz targets, by its
/// name or by the condition in front of it in `lib.rs`.
fn is_product(path: &Path) -> bool {
    let src = path.ancestors().find(|folder| folder.ends_with("src")).unwrap();
    let lib = fs::read_to_string(src.join("lib.rs")).unwrap_or_default();
    let module = path.strip_prefix(src).unwrap().iter().next().unwrap().to_str().unwrap();
    let module = module.trim_end_matches(".rs");
    let mut condition = "";
    for line in lib.lines() {
        let declared = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        if declared == format!("mod {module};") {
            return !(condition.contains("test") || condition.contains("fuzzing"));
        }
        condition = if line.starts_with("#[cfg(") { line } else { "" };
    }
    !["tests", "testing", "fuzzing"].contains(&module)
}

/// The source files of the product, without benches, examples and integration tests.
fn product() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        found.extend(sources(&entry.unwrap().path().join("src")));
    }
    found.retain(|path| is_product(path));
    assert!(found.len() > 50, "only {} source files found", found.len());
    found
}

/// The code of a file: no comments, and no unit tests, which are the last thing in a file. Text in
/// quotes is emptied.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut code = String::new();
    for line in text.lines() {
        let mut quoted = false;
        let mut before = '\0';
        for (at, char) in line.char_indices() {
            if !quoted && line[at..].starts_with("//") {
                break;
            }
            if char == '"' && before != '\\' && before != '\'' {
                quoted = !quoted;
            } else if !quoted {
                code.push(char);
            }
            before = if before == '\\' { '\0' } else { char };
        }
        code.push('\n');
    }
    code
}

/// How often `word` stands in `code` by itself.
fn count(code: &str, word: &str) -> usize {
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    code.match_indices(word)
        .filter(|&(at, _)| {
            !code[..at].ends_with(is_name) && !code[at + word.len()..].starts_with(is_name)
        })
        .count()
}

/// The product's files that use `word`, each as often as it does, without its definition.
fn uses(word: &str) -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    for path in product() {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        if name == "crates/ssh-wire/src/proof.rs" {
            continue;
        }
        found.extend(std::iter::repeat_n(name, count(&code(&path), word)));
    }
    found
}

/// A session id exists only after a key exchange whose host key was trusted: one place, in the
/// transport, for both roles.
#[test]
fn a_session_id_is_made_at_one_place() {
    let uses = uses("of_trusted_exchange");
    assert_eq!(uses.len(), 1, "{uses:?}");
    assert!(uses[0].starts_with("crates/ssh-transport/src/"), "{uses:?}");
}

/// `Authenticated` exists only after a success: one place for the client that receives it, one for
/// the server that sends it.
#[test]
fn authenticated_is_made_at_one_place_in_each_role() {
    let mut uses = uses("by_userauth_success");
    uses.sort();
    assert_eq!(uses.len(), 2, "{uses:?}");
    assert!(uses[0].starts_with("crates/ssh-auth/src/client"), "{uses:?}");
    assert!(uses[1].starts_with("crates/ssh-auth/src/server"), "{uses:?}");
}

/// The only keys to the connection protocol cannot be made by a default or a copy.
#[test]
fn the_proofs_cannot_be_made_another_way() {
    let proof = code(&root().join("crates/ssh-wire/src/proof.rs"));
    assert_eq!(count(&proof, "Default"), 0);
    assert_eq!(count(&proof, "From"), 0);
    let authenticated = proof.split("pub struct Authenticated").next().unwrap();
    let derive = authenticated.rsplit("#[derive(").next().unwrap();
    assert!(!derive.contains("Clone"), "Authenticated can be copied: {derive}");
}

#[test]
fn there_is_no_unsafe_code_and_no_ignored_test() {
    let folders = ["crates", "tests", "fuzz", "xtask"].map(|folder| root().join(folder));
    for path in folders.iter().flat_map(|folder| sources(folder)) {
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(count(&code(&path), "unsafe"), 0, "unsafe in {}", path.display());
        let ignored = text.lines().any(|line| line.trim_start().starts_with("#[ignore"));
        assert!(!ignored, "an ignored test in {}", path.display());
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

/// Every crate obeys the lints of the workspace.
#[test]
fn every_crate_inherits_the_lints() {
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{}", manifest.display());
    }
}

/// The protocol can be used where there is no operating system.
#[test]
fn the_protocol_crates_are_no_std() {
    let crates = ["ssh-wire", "ssh-crypto", "ssh-keys", "ssh-transport", "ssh-auth"];
    for name in crates.into_iter().chain(["ssh-connection", "sftp"]) {
        let lib = code(&root().join("crates").join(name).join("src/lib.rs"));
        assert!(lib.contains("no_std"), "{name} is not no_std");
    }
}

/// `crates/ssh-crypto` is the one door to cryptography libraries.
#[test]
fn one_crate_names_cryptography_libraries() {
    let root_manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = root_manifest.split("# Cryptography").nth(1).unwrap();
    let section = section.split("\n\n").next().unwrap();
    let libraries: Vec<&str> = section
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        // Wiping memory and comparing it are not cryptography.
        .filter(|name| !["zeroize", "subtle"].contains(name))
        .collect();
    assert!(libraries.contains(&"aes") && libraries.len() > 10, "{libraries:?}");
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.file_name().is_some_and(|name| name == "ssh-crypto") {
            continue;
        }
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for library in &libraries {
            let sections = manifest.split("\n[").filter(|part| {
                part.split(']').next().is_some_and(|header| header.contains("dependencies"))
            });
            let named = sections.flat_map(str::lines).any(|line| {
                line.strip_prefix(library).is_some_and(|rest| rest.starts_with([' ', '.', '=']))
            });
            assert!(!named, "{} names {library}", folder.display());
        }
    }
}
