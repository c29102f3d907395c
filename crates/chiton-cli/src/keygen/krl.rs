//! `-k` and `-Q`: lists of revoked keys.

use std::path::Path;

use chiton::keys::{Fingerprint, Identity, Krl, PublicKey};
use ssh_crypto::hash::{HashAlgorithm, digest};

use super::{Options, files, load_public, now};
use crate::{
    failure::{Failure, Result, show_path},
    log::print,
};

const WHICH: &str = "KRL checking and making need a KRL file";

fn load(path: &Path) -> Result<Krl> {
    let failed = |error: &dyn core::fmt::Display| {
        Failure::new(format_args!("Invalid KRL file {}: {error}", show_path(path)))
    };
    Krl::from_file(&files::read(path)?).map_err(|error| failed(&error))
}

pub(super) fn make(options: &Options) -> Result<u8> {
    let path = options.needed_file(WHICH)?;
    let mut krl = if options.update { load(&path)? } else { Krl::default() };
    let version = match &options.serial {
        Some(text) => text.parse().map_err(|_| Failure::new("Invalid serial number"))?,
        None => krl.version(),
    };
    krl.set_edition(version, now());
    // Serial numbers and key ids are those of an authority; with none, of all.
    let authority = match options.signer.as_deref() {
        Some(path) if path.as_os_str().eq_ignore_ascii_case("none") => None,
        Some(path) => Some(load_public(path)?.0.key().clone()),
        None => None,
    };
    for file in &options.files {
        revoke(&mut krl, file, authority.as_ref(), options.signer.is_some())?;
    }
    files::write(&path, &krl.to_bytes(), None)?;
    Ok(0)
}

/// A file of keys, or of lines that say what to revoke.
fn revoke(
    krl: &mut Krl,
    path: &Path,
    authority: Option<&PublicKey>,
    has_authority: bool,
) -> Result<()> {
    let bytes = files::read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    for (number, line) in (1..).zip(text.lines()) {
        // A mark begins what is no longer said.
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let bad = |why: &dyn core::fmt::Display| {
            Failure::new(format_args!("{}:{number}: {why}", show_path(path)))
        };
        let (word, value) = line.split_once(':').unwrap_or(("", line));
        let value = value.trim();
        match word.trim().to_ascii_lowercase().as_str() {
            "serial" | "id" if !has_authority => {
                return Err(bad(&"revoking certificates by serial number or key id needs -s"));
            }
            "serial" => {
                let (first, last) = serials(value).ok_or_else(|| bad(&"no such serial numbers"))?;
                krl.revoke_serials(authority, first, last);
            }
            "id" => krl.revoke_key_id(authority, value),
            "sha1" => {
                let (key, _) = Identity::from_openssh(value).map_err(|error| bad(&error))?;
                let hash = digest(HashAlgorithm::Sha1, key.key().blob());
                let hash = hash.as_bytes().try_into().map_err(|error| bad(&error))?;
                krl.revoke_sha1(hash);
            }
            "sha256" => {
                let (key, _) = Identity::from_openssh(value).map_err(|error| bad(&error))?;
                krl.revoke_sha256(*Fingerprint::of_blob(key.key().blob()).as_bytes());
            }
            "hash" => {
                let hash = fingerprint(value).ok_or_else(|| bad(&"not a SHA256 fingerprint"))?;
                krl.revoke_sha256(hash);
            }
            "key" | "" => match Identity::from_openssh(value).map_err(|error| bad(&error))?.0 {
                Identity::Key(key) => krl.revoke_key(&key),
                Identity::Certificate(certificate) => krl.revoke_certificate(&certificate),
            },
            other => {
                return Err(bad(&format_args!("nothing is revoked by {}", other.escape_debug())));
            }
        }
    }
    Ok(())
}

/// `5` or `5-9`, in any base that C knows.
fn serials(text: &str) -> Option<(u64, u64)> {
    let number = |text: &str| match text.trim().strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.trim().parse::<u64>().ok(),
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    (first > 0 && first <= last).then_some((first, last))
}

/// `SHA256:` and base64.
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    use base64ct::{Base64Unpadded, Encoding};
    let mut hash = [0; 32];
    let text = text.strip_prefix("SHA256:")?.trim_end_matches('=');
    let len = Base64Unpadded::decode(text, &mut hash).ok()?.len();
    (len == hash.len()).then_some(hash)
}

pub(super) fn query(options: &Options) -> Result<u8> {
    let path = options.needed_file(WHICH)?;
    let krl = load(&path)?;
    if options.list {
        list(&krl);
    }
    let mut code = 0;
    for file in &options.files {
        let (identity, comment) = load_public(file)?;
        let comment = if comment.is_empty() { comment } else { format!(" ({comment})") };
        let verdict = match krl.reason(&identity) {
            Some(_) => {
                code = 1;
                "REVOKED"
            }
            None => "ok",
        };
        print(format_args!("{}{}: {verdict}", show_path(file), ssh_wire::escape(&comment)));
    }
    Ok(code)
}

/// What is on the list, in the form of the lines that it can be made of.
fn list(krl: &Krl) {
    print(format_args!("# KRL version {}", krl.version()));
    print(format_args!("# Generated at {}", krl.generated()));
    if !krl.comment().is_empty() {
        print(format_args!("# KRL comment: {}", ssh_wire::escape(krl.comment())));
    }
    print("");
    for blob in krl.keys() {
        if let Ok(key) = PublicKey::from_blob(blob) {
            print(format_args!("key: {}", key.to_openssh("")));
        }
    }
    for section in krl.certificates() {
        match section.authority() {
            Some(key) => {
                print(format_args!(
                    "# CA key {} {}",
                    key.key_type().short_name(),
                    key.fingerprint()
                ));
            }
            None => print("# Wildcard CA"),
        }
        for (first, last) in section.serials() {
            if first == last {
                print(format_args!("serial: {first}"));
            } else {
                print(format_args!("serial: {first}-{last}"));
            }
        }
        for id in section.key_ids() {
            print(format_args!("id: {}", ssh_wire::escape(id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_one_or_a_range() {
        assert_eq!(serials("5"), Some((5, 5)));
        assert_eq!(serials("5-0x10"), Some((5, 16)));
        for bad in ["", "0", "9-5", "x", "1-"] {
            assert_eq!(serials(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_shown() {
        let shown = Fingerprint::of_blob(b"blob");
        assert_eq!(fingerprint(&shown.to_string()), Some(*shown.as_bytes()));
        assert_eq!(fingerprint("SHA256:AAAA"), None);
        assert_eq!(fingerprint("MD5:00"), None);
    }
}
