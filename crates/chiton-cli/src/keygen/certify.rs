//! `-s`: certificates for users and hosts.

use std::path::{Path, PathBuf};

use chiton::{
    agent::Agent,
    keys::{
        Certificate, Identity, PrivateKey, PublicKey,
        calendar::Date,
        certificate::{CertificateOption, CertificateRequest, FOREVER, Role},
    },
};
use ssh_crypto::rng::SystemRng;

use super::{Options, files, load_private, load_public, now, show, utc_offset};
use crate::{
    failure::{Failure, Result, show_path},
    log::say,
    values::parse_time,
};

/// The key of the authority.
enum Authority {
    Key(PrivateKey),
    /// `-U`: the agent has it.
    Agent(PublicKey),
}

pub(super) fn certify(options: &Options) -> Result<u8> {
    let Some(id) = &options.identity else {
        return Err(Failure::new("Must specify key id (-I) when certifying"));
    };
    if options.files.is_empty() {
        return Err(Failure::new("name the public keys that are to be certified"));
    }
    let path = options.signer.clone().unwrap_or_default();
    let authority = if options.agent {
        Authority::Agent(load_public(&path)?.0.key().clone())
    } else {
        Authority::Key(load_private(&path, options, "Enter passphrase: ")?)
    };
    let (mut serial, counts) = serial(options)?;
    for file in &options.files {
        let request = request(options, id, serial, file)?;
        let certificate = sign(&request, &authority, options)?;
        let to = certificate_path(file);
        let (_, comment) = load_public(file)?;
        let line = format!("{}\n", certificate.to_openssh(&comment));
        files::write(&to, line.as_bytes(), Some(0o644))?;
        if !options.quiet {
            tell(&certificate, &to, id);
        }
        if counts {
            serial = serial.saturating_add(1);
        }
    }
    Ok(0)
}

fn tell(certificate: &Certificate, to: &Path, id: &str) {
    let principals = certificate.principals().join(",");
    let names = if principals.is_empty() { String::new() } else { format!(" for {principals}") };
    say!(
        Info,
        "Signed {} key {}: id \"{}\" serial {}{} valid {}",
        certificate.role(),
        show_path(to),
        ssh_wire::escape(id),
        certificate.serial(),
        ssh_wire::escape(&names),
        show::validity(certificate)
    );
}

/// `-z`: a number, with `+` before it one that counts up from file to file.
fn serial(options: &Options) -> Result<(u64, bool)> {
    let Some(text) = &options.serial else { return Ok((0, false)) };
    let digits = text.strip_prefix('+');
    let number = digits.unwrap_or(text).parse();
    let number = number.map_err(|_| {
        Failure::new(format_args!("Invalid serial number \"{}\"", text.escape_debug()))
    })?;
    Ok((number, digits.is_some()))
}

/// `NAME-cert.pub` for `NAME.pub`.
fn certificate_path(file: &Path) -> PathBuf {
    let name = file.as_os_str().as_encoded_bytes();
    let name = name.strip_suffix(b".pub").unwrap_or(name);
    format!("{}-cert.pub", String::from_utf8_lossy(name)).into()
}

fn request(options: &Options, id: &str, serial: u64, file: &Path) -> Result<CertificateRequest> {
    let (identity, _) = load_public(file)?;
    let Identity::Key(key) = identity else {
        return Err(Failure::new(format_args!("{} is a certificate already", show_path(file))));
    };
    let role = if options.host { Role::Host } else { Role::User };
    let mut request = CertificateRequest::new(key, role, id, "");
    request.serial = serial;
    request.principals = match &options.principals {
        Some(names) => names.split(',').map(str::to_owned).collect(),
        None => Vec::new(),
    };
    if request.principals.iter().any(String::is_empty) {
        return Err(Failure::new("Invalid principal name: it is empty"));
    }
    (request.valid_after, request.valid_before) = match &options.validity {
        Some(text) => interval(text, now(), utc_offset()).ok_or_else(|| {
            Failure::new(format_args!("Invalid certificate time {}", text.escape_debug()))
        })?,
        None => (0, FOREVER),
    };
    for option in &options.options {
        apply(&mut request, option)?;
    }
    Ok(request)
}

/// `-O`
fn apply(request: &mut CertificateRequest, option: &str) -> Result<()> {
    let bad = || {
        Failure::new(format_args!("Unsupported certificate option \"{}\"", option.escape_debug()))
    };
    const PERMITS: [(&str, &str); 5] = [
        ("x11-forwarding", "permit-X11-forwarding"),
        ("agent-forwarding", "permit-agent-forwarding"),
        ("port-forwarding", "permit-port-forwarding"),
        ("pty", "permit-pty"),
        ("user-rc", "permit-user-rc"),
    ];
    let lower = option.to_ascii_lowercase();
    let permit =
        |name: &str| PERMITS.iter().find(|(short, _)| *short == name).map(|(_, long)| *long);
    let set = |list: &mut Vec<CertificateOption>, option: CertificateOption| {
        list.retain(|other| other.name != option.name);
        list.push(option);
    };
    if lower == "clear" {
        request.extensions.clear();
    } else if let Some(name) = lower.strip_prefix("no-").and_then(permit) {
        request.extensions.retain(|other| other.name.raw() != name);
    } else if let Some(name) = lower.strip_prefix("permit-").and_then(permit) {
        set(&mut request.extensions, CertificateOption::flag(name));
    } else if lower == "touch-required" {
        request.extensions.retain(|other| other.name.raw() != "no-touch-required");
    } else if lower == "no-touch-required" {
        set(&mut request.extensions, CertificateOption::flag("no-touch-required"));
    } else if lower == "verify-required" {
        set(&mut request.critical_options, CertificateOption::flag("verify-required"));
    } else if lower == "no-verify-required" {
        request.critical_options.retain(|other| other.name.raw() != "verify-required");
    } else {
        let (name, value) = option.split_once('=').ok_or_else(bad)?;
        match name.to_ascii_lowercase().as_str() {
            "force-command" | "source-address" if value.is_empty() => return Err(bad()),
            name @ ("force-command" | "source-address") => {
                set(&mut request.critical_options, CertificateOption::text(name, value));
            }
            "critical" => set(&mut request.critical_options, custom(value)),
            "extension" => set(&mut request.extensions, custom(value)),
            _ => return Err(bad()),
        }
    }
    Ok(())
}

/// `name` or `name=text`.
fn custom(text: &str) -> CertificateOption {
    match text.split_once('=') {
        Some((name, value)) => CertificateOption::text(name, value),
        None => CertificateOption::flag(text),
    }
}

fn sign(
    request: &CertificateRequest,
    authority: &Authority,
    options: &Options,
) -> Result<Certificate> {
    let public = match authority {
        Authority::Key(key) => key.public(),
        Authority::Agent(key) => key,
    };
    let wanted = options.key_type.as_deref();
    let algorithms = public.key_type().signature_algorithms();
    let algorithm = match wanted {
        None => algorithms.first(),
        Some(name) => algorithms.iter().find(|algorithm| algorithm.name() == name),
    };
    let algorithm = *algorithm.ok_or_else(|| {
        Failure::new(format_args!("the key of the authority does not sign with {wanted:?}"))
    })?;
    let failed = |error: &dyn core::fmt::Display| {
        Failure::new(format_args!("Couldn't certify key: {error}"))
    };
    match authority {
        Authority::Key(key) => {
            request.issue(key, algorithm, &mut SystemRng).map_err(|error| failed(&error))
        }
        Authority::Agent(key) => {
            let unsigned = request.unsigned(key, &mut SystemRng);
            let signature = crate::run_async(async {
                let agent = Agent::from_env().await.map_err(|error| failed(&error))?;
                let signed = agent.sign(key.blob(), algorithm, unsigned.as_bytes()).await;
                signed.map_err(|error| failed(&error))
            })?;
            unsigned.signed_with(&signature).map_err(|error| failed(&error))
        }
    }
}

/// `-V`: from and to, or to alone, which is then from now on.
fn interval(text: &str, now: u64, offset: i32) -> Option<(u64, u64)> {
    let (from, to) = match text.split_once(':') {
        Some((from, to)) => (instant(from, now, offset)?, instant(to, now, offset)?),
        // A minute of grace for clocks that are slow, as OpenSSH gives it.
        None if text.starts_with('+') => {
            let from = now.saturating_sub(59);
            (from.saturating_sub(from % 60), instant(text, now, offset)?)
        }
        None => return None,
    };
    (from < to).then_some((from, to))
}

/// `always`, `forever`, `+1w`, `-1d`, `0x…`, or a date.
fn instant(text: &str, now: u64, offset: i32) -> Option<u64> {
    match text {
        "always" => return Some(0),
        "forever" => return Some(FOREVER),
        _ => {}
    }
    if let Some(time) = text.strip_prefix('+') {
        return now.checked_add(parse_time(time)?.as_secs());
    }
    if let Some(time) = text.strip_prefix('-') {
        return now.checked_sub(parse_time(time)?.as_secs());
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    Date::parse(text).map(|date| date.unix(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_ssh_keygen_reads_them() {
        let now = 1_000_000_020;
        let read = |text| interval(text, now, 0);
        assert_eq!(read("always:forever"), Some((0, FOREVER)));
        assert_eq!(read("+1h"), Some((999_999_960, now + 3600)));
        assert_eq!(read("-1m:+1m"), Some((now - 60, now + 60)));
        assert_eq!(read("19700102Z:0x15180f"), Some((86_400, 0x15180f)));
        for bad in ["", "1h", "+1h:-1h", "x:y", "20200101"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_certificate_stands_beside_its_key() {
        assert_eq!(certificate_path(Path::new("a/id.pub")), Path::new("a/id-cert.pub"));
        assert_eq!(certificate_path(Path::new("id")), Path::new("id-cert.pub"));
    }
}
