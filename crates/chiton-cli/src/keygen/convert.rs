//! `-e` and `-i`: to other forms of public keys, and from them.

use chiton::keys::{Identity, PrivateKey, PublicKey};

use super::{Options, files, generate::unknown_format, load_shown};
use crate::{
    failure::{Failure, Result, show_path},
    log::print,
};

const WHICH: &str = "Enter file in which the key is";

/// What a public key is converted to, or from.
enum Form {
    /// RFC 4716.
    Ssh2,
    /// `SubjectPublicKeyInfo` in PEM.
    Pkcs8,
    /// What OpenSSL wrote before that.
    Pem,
}

fn form(options: &Options) -> Result<Form> {
    match options.format.as_deref() {
        None | Some("RFC4716") => Ok(Form::Ssh2),
        Some("PKCS8") => Ok(Form::Pkcs8),
        Some("PEM") => Ok(Form::Pem),
        Some(format) => Err(unknown_format(format)),
    }
}

pub(super) fn export(options: &Options) -> Result<u8> {
    let form = form(options)?;
    let path = options.file(WHICH)?;
    let (identity, _) = load_shown(&path)?;
    let key = match &identity {
        Identity::Key(key) => key,
        Identity::Certificate(_) => {
            return Err(Failure::new(format_args!("{} is a certificate", show_path(&path))));
        }
    };
    let text = match form {
        Form::Ssh2 => Some(key.to_rfc4716(&usual_comment(key))),
        Form::Pkcs8 => key.to_pkcs8(),
        Form::Pem => key.to_pem(),
    };
    let text = text.ok_or_else(|| {
        let name = key.key_type().short_name();
        Failure::new(format_args!("keys of type {name} have no such form; RFC4716 has all"))
    })?;
    print(text.trim_end());
    Ok(0)
}

/// `3072-bit RSA, converted by …`: what the key is, whatever it is called elsewhere.
fn usual_comment(key: &PublicKey) -> String {
    let user = whoami::username().unwrap_or_default();
    let host = whoami::hostname().unwrap_or_default();
    let name = key.key_type().short_name();
    format!("{}-bit {name}, converted by {user}@{host} from OpenSSH", key.bits())
}

/// Also private keys of other programs are read: their public half is printed, as for a public key.
pub(super) fn import(options: &Options) -> Result<u8> {
    // The file says itself which of the forms it has.
    form(options)?;
    let path = options.file(WHICH)?;
    let bytes = files::read(&path)?;
    if let Ok(key) = PrivateKey::parse_public(&bytes) {
        print(key.to_openssh(""));
        return Ok(0);
    }
    let text = String::from_utf8_lossy(&bytes);
    let (key, _) = PublicKey::parse(&text)
        .map_err(|error| Failure::new(format_args!("{}: {error}", show_path(&path))))?;
    print(key.to_openssh(""));
    Ok(0)
}
