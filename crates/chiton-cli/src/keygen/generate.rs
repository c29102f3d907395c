//! New keys.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use chiton::{
    Secret,
    keys::{Fingerprint, Identity, KeyType, PrivateKey, private::Protection},
};
use ssh_crypto::rng::SystemRng;

use super::{Options, files};
use crate::{
    failure::{Failure, Result, show_path},
    log::print,
};

/// A type of key, and the name of its file.
pub(super) struct Kind {
    pub(super) key_type: KeyType,
    bits: Option<usize>,
    /// As `-t` calls it.
    name: &'static str,
}

impl Kind {
    fn new(name: &str, bits: Option<usize>) -> Result<Self> {
        let kind = |key_type, name| Ok(Self { key_type, bits, name });
        match name.to_ascii_lowercase().as_str() {
            "ed25519" | "ssh-ed25519" => kind(KeyType::Ed25519, "ed25519"),
            "rsa" | "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512" => match bits.unwrap_or(3072) {
                2048..=16384 => kind(KeyType::Rsa, "rsa"),
                bits => Err(Failure::new(format_args!(
                    "Invalid RSA key length: {bits} bits; there are 2048 to 16384"
                ))),
            },
            "ecdsa" => match bits.unwrap_or(256) {
                256 => kind(KeyType::EcdsaP256, "ecdsa"),
                384 => kind(KeyType::EcdsaP384, "ecdsa"),
                521 => kind(KeyType::EcdsaP521, "ecdsa"),
                _ => Err(Failure::new(
                    "Invalid ECDSA key length: valid lengths are 256, 384 or 521 bits",
                )),
            },
            "ecdsa-sha2-nistp256" => kind(KeyType::EcdsaP256, "ecdsa"),
            "ecdsa-sha2-nistp384" => kind(KeyType::EcdsaP384, "ecdsa"),
            "ecdsa-sha2-nistp521" => kind(KeyType::EcdsaP521, "ecdsa"),
            "mldsa44-ed25519" | "ssh-mldsa44-ed25519" => {
                kind(KeyType::MlDsa44Ed25519, "mldsa44-ed25519")
            }
            "ed25519-sk" | "ecdsa-sk" => Err(Failure::new(
                "keys in tokens cannot be made here; make it with ssh-keygen, and use it through an agent",
            )),
            other => Err(Failure::new(format_args!(
                "unknown key type {}; there are ed25519, ecdsa, rsa and mldsa44-ed25519",
                other.escape_debug()
            ))),
        }
    }

    fn file_name(&self) -> String {
        format!("id_{}", self.name.replace('-', "_"))
    }

    fn generate(&self) -> Result<PrivateKey> {
        let key = match (self.key_type, self.bits) {
            (KeyType::Rsa, Some(bits)) => PrivateKey::generate_rsa(bits, &mut SystemRng),
            (key_type, _) => PrivateKey::generate(key_type, &mut SystemRng),
        };
        key.map_err(Failure::new)
    }
}

/// The text of a key file in the format of `-m`.
pub(super) fn private_text(
    key: &PrivateKey,
    passphrase: &str,
    options: &Options,
) -> Result<Secret<String>> {
    let text = match (options.format.as_deref(), passphrase) {
        (Some("PKCS8"), "") => key.to_pkcs8(),
        (Some("PKCS8"), passphrase) => {
            key.to_pkcs8_encrypted(passphrase.as_bytes(), &mut SystemRng)
        }
        (Some("PEM"), "") => key.to_pem(),
        (Some("PEM"), _) => {
            return Err(Failure::new(
                "PEM is not encrypted here, since its encryption is weak: use -m PKCS8",
            ));
        }
        (None | Some("RFC4716" | "OPENSSH"), "") => return Ok(key.to_openssh(&mut SystemRng)),
        (None | Some("RFC4716" | "OPENSSH"), passphrase) => {
            let mut protection = Protection::new(passphrase.as_bytes());
            if let Some(cipher) = options.cipher {
                protection = protection.with_cipher(cipher);
            }
            if let Some(rounds) = options.rounds {
                protection = protection.with_rounds(rounds);
            }
            key.to_openssh_encrypted(&protection, &mut SystemRng)
        }
        (Some(format), _) => return Err(unknown_format(format)),
    };
    text.map_err(Failure::new)
}

pub(super) fn unknown_format(format: &str) -> Failure {
    Failure::new(format_args!("Unsupported conversion format \"{}\"", format.escape_debug()))
}

/// `FILE.pub`
pub(super) fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Who makes the key, and where: the comment unless said otherwise.
fn usual_comment() -> String {
    let user = whoami::username().unwrap_or_default();
    let host = whoami::hostname().unwrap_or_default();
    format!("{user}@{host}")
}

pub(super) fn key(options: &Options) -> Result<u8> {
    let kind = Kind::new(options.key_type.as_deref().unwrap_or("ed25519"), options.bits)?;
    let tell = |line: &str| {
        if !options.quiet {
            print(line);
        }
    };
    tell(&format!("Generating public/private {} key pair.", kind.name));
    let path = match &options.file {
        Some(path) => path.clone(),
        None => {
            let usual = files::in_home(&kind.file_name())?;
            let question = format!("Enter file in which to save the key ({}): ", usual.display());
            let answer = files::ask_text(&question)?;
            if answer.is_empty() { usual } else { answer.into() }
        }
    };
    if !files::may_overwrite(&path)? {
        return Ok(1);
    }
    let passphrase = match &options.new_passphrase {
        Some(passphrase) => passphrase.clone(),
        None => files::new_passphrase(&format!(
            "Enter passphrase for \"{}\" (empty for no passphrase): ",
            path.display()
        ))?,
    };
    let comment = options.comment.clone().unwrap_or_else(usual_comment);
    let key = kind.generate()?.with_comment(&comment);
    if options.file.is_none()
        && let Some(folder) = path.parent().filter(|folder| !folder.exists())
    {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| Failure::local("make the directory", folder, &error))?;
    }
    save(&key, &path, &passphrase, options)?;
    tell(&format!("Your identification has been saved in {}", show_path(&path)));
    tell(&format!("Your public key has been saved in {}", show_path(&public_path(&path))));
    let identity = Identity::Key(key.public().clone());
    tell("The key fingerprint is:");
    tell(&format!("{} {}", key.public().fingerprint(), ssh_wire::escape(&comment)));
    tell("The key's randomart image is:");
    tell(&Fingerprint::randomart(&identity));
    Ok(0)
}

/// Writes both halves.
pub(super) fn save(
    key: &PrivateKey,
    path: &Path,
    passphrase: &str,
    options: &Options,
) -> Result<()> {
    let text = private_text(key, passphrase, options)?;
    files::write(path, text.expose().as_bytes(), Some(0o600))?;
    let public = format!("{}\n", key.public().to_openssh(key.comment()));
    files::write(&public_path(path), public.as_bytes(), Some(0o644))
}

/// `-A`: the keys of a host that are missing, in `PREFIX/etc/ssh`.
pub(super) fn host_keys(options: &Options) -> Result<u8> {
    let prefix = options.file.clone().unwrap_or_else(|| "/".into());
    let folder = prefix.join("etc/ssh");
    let mut made = Vec::new();
    for name in ["rsa", "ecdsa", "ed25519"] {
        let kind = Kind::new(name, None)?;
        let path = folder.join(format!("ssh_host_{name}_key"));
        if path.exists() {
            continue;
        }
        let comment = options.comment.clone().unwrap_or_else(usual_comment);
        save(&kind.generate()?.with_comment(&comment), &path, "", options)?;
        made.push(name.to_ascii_uppercase());
    }
    if !options.quiet && !made.is_empty() {
        print(format_args!("ssh-keygen: generating new host keys: {}", made.join(" ")));
    }
    Ok(0)
}
