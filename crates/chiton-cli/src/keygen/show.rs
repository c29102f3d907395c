//! `-y`, `-l`, `-L`, `-r`: what is in files.

use std::path::Path;

use chiton::keys::{
    Certificate, Fingerprint, Identity, Md5Fingerprint, PrivateKey, PublicKey,
    calendar::civil,
    certificate::{CertificateOption, FOREVER},
    sshfp::{SshfpHash, SshfpRecord},
};

use super::{
    Options, SHOWN_RSA_BITS, files, load_private, load_public, load_shown, type_name, utc_offset,
};
use crate::{
    failure::{Failure, Result, show_path},
    log::print,
};

const WHICH: &str = "Enter file in which the key is";

pub(super) fn public(options: &Options) -> Result<u8> {
    let path = options.file(WHICH)?;
    let key = load_private(&path, options, "Enter passphrase: ")?;
    print(key.public().to_openssh(key.comment()));
    Ok(0)
}

/// A fingerprint in the hash of `-E`.
pub(super) fn fingerprint(key: &PublicKey, md5: bool) -> String {
    if md5 {
        Md5Fingerprint::of_blob(key.blob()).to_string()
    } else {
        key.fingerprint().to_string()
    }
}

/// The line that `-l` prints for a key.
pub(crate) fn describe(identity: &Identity, comment: &str, md5: bool) -> String {
    let key = identity.key();
    format!(
        "{} {} {} ({})",
        key.bits(),
        fingerprint(key, md5),
        ssh_wire::escape(comment),
        type_name(identity)
    )
}

fn print_fingerprint(identity: &Identity, comment: &str, options: &Options) {
    let comment = if comment.is_empty() { "no comment" } else { comment };
    print(describe(identity, comment, options.md5));
    if options.verbose {
        print(if options.md5 {
            Md5Fingerprint::randomart(identity)
        } else {
            Fingerprint::randomart(identity)
        });
    }
}

pub(super) fn fingerprints(options: &Options) -> Result<u8> {
    let path = options.file(WHICH)?;
    let bytes = files::read(&path)?;
    if let Ok(public) = PrivateKey::parse_public(&bytes) {
        // The file beside it may have a comment.
        let beside = load_public(&super::generate::public_path(&path)).ok();
        let comment = beside.filter(|(beside, _)| *beside.key() == public);
        let comment = comment.map_or_else(|| private_comment(&bytes), |(_, comment)| comment);
        print_fingerprint(&Identity::Key(public), &comment, options);
        return Ok(0);
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut found = false;
    for (identity, comment) in text.lines().filter_map(key_in_line) {
        print_fingerprint(&identity, &comment, options);
        found = true;
    }
    if found {
        Ok(0)
    } else {
        Err(Failure::new(format_args!("{} is not a public key file.", show_path(&path))))
    }
}

fn private_comment(text: &[u8]) -> String {
    PrivateKey::parse(text, None).map(|key| key.comment().to_owned()).unwrap_or_default()
}

/// The key in a line, with its comment: behind options as in `authorized_keys`, or behind the names
/// of hosts as in `known_hosts`.
fn key_in_line(line: &str) -> Option<(Identity, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    if let Ok(found) = Identity::from_openssh_of_bits(line, SHOWN_RSA_BITS) {
        return Some(found);
    }
    let mut rest = line;
    // Options, a marker and names of hosts are at most two words before the key.
    for _ in 0..2 {
        rest = after_word(rest)?;
        if let Ok(found) = Identity::from_openssh_of_bits(rest, SHOWN_RSA_BITS) {
            return Some(found);
        }
    }
    None
}

/// What follows the first word, in which quotes hold blanks together.
fn after_word(text: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let end = text.find(|c: char| {
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        c.is_whitespace() && !quoted
    })?;
    text.get(end..).map(str::trim_start)
}

pub(super) fn certificates(options: &Options) -> Result<u8> {
    let path = options.file(WHICH)?;
    let bytes = files::read(&path)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_only = lines.len() == 1;
    let mut code = 1;
    for (number, line) in (1..).zip(&lines) {
        match Certificate::from_openssh(line) {
            Ok((certificate, _)) => {
                if is_only {
                    print(format_args!("{}:", show_path(&path)));
                } else {
                    print(format_args!("{}:{number}:", show_path(&path)));
                }
                print_certificate(&certificate);
                code = 0;
            }
            Err(error) if is_only => {
                return Err(Failure::new(format_args!(
                    "{} is not a certificate: {error}",
                    show_path(&path)
                )));
            }
            Err(_) => {}
        }
    }
    Ok(code)
}

fn print_certificate(certificate: &Certificate) {
    let name = certificate.key().key_type().short_name();
    let authority = certificate.authority();
    print(format_args!("        Type: {} {} certificate", certificate.name(), certificate.role()));
    print(format_args!("        Public key: {name}-CERT {}", certificate.fingerprint()));
    print(format_args!(
        "        Signing CA: {} {} (using {})",
        authority.key_type().short_name(),
        authority.fingerprint(),
        certificate.signature_name()
    ));
    print(format_args!("        Key ID: \"{}\"", certificate.key_id()));
    print(format_args!("        Serial: {}", certificate.serial()));
    print(format_args!("        Valid: {}", validity(certificate)));
    print_list(
        "Principals",
        certificate.principals().iter().map(|name| ssh_wire::escape(name).to_string()),
    );
    print_options("Critical Options", certificate.critical_options());
    print_options("Extensions", certificate.extensions());
}

fn print_list(title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        print(format_args!("        {title}: (none)"));
        return;
    }
    print(format_args!("        {title}: "));
    for item in items {
        print(format_args!("                {item}"));
    }
}

fn print_options(title: &str, options: &[CertificateOption]) {
    print_list(
        title,
        options.iter().map(|option| {
            let name = option.name.to_string();
            match (option.data.is_empty(), option.as_text()) {
                (true, _) => name,
                (false, Some(text)) => format!("{name} {}", ssh_wire::escape(text)),
                (false, None) => format!("{name} UNKNOWN OPTION (len {})", option.data.len()),
            }
        }),
    );
}

/// As `ssh-keygen -L` and `-s` say it, in local time.
pub(super) fn validity(certificate: &Certificate) -> String {
    let offset = utc_offset();
    let date = |seconds: u64| {
        let local = seconds.saturating_add_signed(offset.into());
        match civil(local) {
            Some([year, month, day, hour, minute, second]) => {
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
            }
            None => seconds.to_string(),
        }
    };
    match (certificate.valid_after(), certificate.valid_before()) {
        (0, FOREVER) => "forever".to_owned(),
        (0, before) => format!("before {}", date(before)),
        (after, FOREVER) => format!("after {}", date(after)),
        (after, before) => format!("from {} to {}", date(after), date(before)),
    }
}

/// `-r`: lines for the zone of a domain, for the key of `-f` or those of this host.
pub(super) fn dns_records(options: &Options) -> Result<u8> {
    let host = options.host_name.clone().unwrap_or_default();
    let host = ssh_wire::escape(&host.to_string_lossy()).to_string();
    if let Some(path) = &options.file {
        let (identity, _) = load_shown(path)?;
        return if print_records(&host, identity.key()) { Ok(0) } else { Ok(1) };
    }
    let mut found = false;
    for name in ["rsa", "ecdsa", "ed25519"] {
        let path = format!("/etc/ssh/ssh_host_{name}_key.pub");
        if let Ok((identity, _)) = load_shown(Path::new(&path)) {
            found |= print_records(&host, identity.key());
        }
    }
    if found { Ok(0) } else { Err(Failure::new("no keys found.")) }
}

fn print_records(host: &str, key: &PublicKey) -> bool {
    let mut found = false;
    for hash in [SshfpHash::Sha1, SshfpHash::Sha256] {
        if let Some(record) = SshfpRecord::of(key, hash) {
            print(format_args!("{host} IN SSHFP {record}"));
            found = true;
        }
    }
    found
}
