//! `chiton keygen`, also called by the name `ssh-keygen`: keys, certificates, known hosts,
//! revocation lists and signatures of files, with the command line, the files, the output and the
//! exit codes of OpenSSH's.

mod certify;
mod change;
mod convert;
mod files;
mod generate;
mod hosts;
mod krl;
mod show;
mod sign;

pub(crate) use self::{files::read as read_file, show::describe};

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use chiton::keys::{
    Identity, PrivateKey, PrivateKeyError, private::FileCipher, public::MIN_RSA_BITS,
};
use zeroize::Zeroizing;

use crate::{
    args::{self, Getopt, Grammar, Item},
    askpass::Asker,
    failure::{Failure, Result, show_path},
    log::{self, print, say},
};

const USAGE: &str = "\
usage: ssh-keygen [-q] [-a rounds] [-b bits] [-C comment] [-f output_keyfile]
                  [-m format] [-N new_passphrase] [-t ecdsa | ed25519 | rsa |
                  mldsa44-ed25519] [-Z cipher]
       ssh-keygen -p [-a rounds] [-f keyfile] [-m format] [-N new_passphrase]
                  [-P old_passphrase] [-Z cipher]
       ssh-keygen -i [-f input_keyfile] [-m key_format]
       ssh-keygen -e [-f input_keyfile] [-m key_format]
       ssh-keygen -y [-f input_keyfile] [-P passphrase]
       ssh-keygen -c [-a rounds] [-C comment] [-f keyfile] [-P passphrase]
       ssh-keygen -l [-v] [-E fingerprint_hash] [-f input_keyfile]
       ssh-keygen -F hostname [-lv] [-f known_hosts_file]
       ssh-keygen -H [-f known_hosts_file]
       ssh-keygen -R hostname [-f known_hosts_file]
       ssh-keygen -r hostname [-f input_keyfile]
       ssh-keygen -A [-a rounds] [-f prefix_path]
       ssh-keygen -s ca_key -I certificate_identity [-hU] [-n principals]
                  [-O option] [-V validity_interval] [-z serial_number] file ...
       ssh-keygen -L [-f input_keyfile]
       ssh-keygen -k -f krl_file [-u] [-s ca_public] [-z version_number] file ...
       ssh-keygen -Q [-l] -f krl_file file ...
       ssh-keygen -Y find-principals -s signature_file -f allowed_signers_file
       ssh-keygen -Y match-principals -I signer_identity -f allowed_signers_file
       ssh-keygen -Y check-novalidate -n namespace -s signature_file
       ssh-keygen -Y sign -f key_file -n namespace file [-O option] ...
       ssh-keygen -Y verify -f allowed_signers_file -I signer_identity
                  -n namespace -s signature_file [-r krl_file] [-O option]";

const GRAMMAR: Grammar =
    Grammar { flags: "AHLQUceghiklpquvy", values: "CEFINOPRVYZabfmnrstz", unsupported: "BDKMTXow" };

/// The smallest RSA keys that are shown, in bits: OpenSSH shows them, and so they can be found.
const SHOWN_RSA_BITS: usize = 1024;

/// What a failure exits with, as OpenSSH's.
const FAILED: u8 = 255;

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Action {
    #[default]
    Generate,
    /// `-A`
    GenerateHostKeys,
    /// `-p`
    ChangePassphrase,
    /// `-c`
    ChangeComment,
    /// `-y`
    ShowPublic,
    /// `-l`
    Fingerprint,
    /// `-e`
    Export,
    /// `-i`
    Import,
    /// `-F`
    Find,
    /// `-R`
    Remove,
    /// `-H`
    Hash,
    /// `-r`, unless with `-Y`
    DnsRecords,
    /// `-s`
    Certify,
    /// `-L`
    ShowCertificate,
    /// `-k`
    MakeKrl,
    /// `-Q`
    QueryKrl,
    /// `-Y`
    Sign,
}

/// What the command line says; text where it is given.
#[derive(Debug, Default)]
struct Options {
    /// The actions that were named, `-s` and `-r` not among them, which have two meanings.
    actions: Vec<Action>,
    quiet: bool,
    verbose: bool,
    /// `-l` beside `-F` or `-Q`.
    list: bool,
    md5: bool,
    /// `-h`
    host: bool,
    /// `-u`
    update: bool,
    /// `-U`
    agent: bool,
    comment: Option<String>,
    file: Option<PathBuf>,
    identity: Option<String>,
    new_passphrase: Option<Zeroizing<String>>,
    passphrase: Option<Zeroizing<String>>,
    options: Vec<String>,
    /// `-F`, `-R`, or `-r`, which with `-Y` names a list of revoked keys.
    host_name: Option<OsString>,
    validity: Option<String>,
    verb: Option<String>,
    cipher: Option<FileCipher>,
    rounds: Option<u32>,
    bits: Option<usize>,
    format: Option<String>,
    principals: Option<String>,
    /// `-s`: the authority, or the signature.
    signer: Option<PathBuf>,
    key_type: Option<String>,
    serial: Option<String>,
    files: Vec<PathBuf>,
}

/// Runs `keygen`; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let result = match parse(args) {
        Ok(Some(options)) => run(&options),
        Ok(None) => {
            print(USAGE);
            return 0;
        }
        Err(failure) => {
            say!(Fatal, "ssh-keygen: {failure}");
            return 1;
        }
    };
    result.unwrap_or_else(|failure| {
        say!(Fatal, "{failure}");
        FAILED
    })
}

fn run(options: &Options) -> Result<u8> {
    match options.action()? {
        Action::Generate => generate::key(options),
        Action::GenerateHostKeys => generate::host_keys(options),
        Action::ChangePassphrase => change::passphrase(options),
        Action::ChangeComment => change::comment(options),
        Action::ShowPublic => show::public(options),
        Action::Fingerprint => show::fingerprints(options),
        Action::ShowCertificate => show::certificates(options),
        Action::DnsRecords => show::dns_records(options),
        Action::Export => convert::export(options),
        Action::Import => convert::import(options),
        Action::Find => hosts::find(options),
        Action::Remove => hosts::remove(options),
        Action::Hash => hosts::hash(options),
        Action::Certify => certify::certify(options),
        Action::MakeKrl => krl::make(options),
        Action::QueryKrl => krl::query(options),
        Action::Sign => sign::run(options),
    }
}

fn parse(args: &[OsString]) -> Result<Option<Options>> {
    let mut options = Options::default();
    let mut getopt = Getopt::new(GRAMMAR, args);
    loop {
        while let Some(item) = getopt.next().map_err(Failure::new)? {
            match item {
                Item::Help => return Ok(None),
                Item::Flag(flag) => options.set_flag(flag),
                Item::Value(option, value) => options.set(option, value)?,
            }
        }
        // Options may follow the files.
        match getopt.operand() {
            Some(file) => options.files.push(file.into()),
            None => return Ok(Some(options)),
        }
    }
}

impl Options {
    fn set_flag(&mut self, flag: char) {
        match flag {
            'A' => self.actions.push(Action::GenerateHostKeys),
            'H' => self.actions.push(Action::Hash),
            'L' => self.actions.push(Action::ShowCertificate),
            'Q' => self.actions.push(Action::QueryKrl),
            'U' => self.agent = true,
            'c' => self.actions.push(Action::ChangeComment),
            'e' => self.actions.push(Action::Export),
            'h' => self.host = true,
            'i' => self.actions.push(Action::Import),
            'k' => self.actions.push(Action::MakeKrl),
            'l' => self.list = true,
            'p' => self.actions.push(Action::ChangePassphrase),
            'q' => self.quiet = true,
            'u' => self.update = true,
            'v' => {
                self.verbose = true;
                log::set_level(log::level().louder());
            }
            'y' => self.actions.push(Action::ShowPublic),
            // -g: DNS records in a form for old servers, which are the same ones.
            _ => {}
        }
    }

    fn set(&mut self, option: char, value: OsString) -> Result<()> {
        match option {
            'f' => self.file = Some(value.into()),
            's' => self.signer = Some(value.into()),
            'F' => {
                self.actions.push(Action::Find);
                self.host_name = Some(value);
            }
            'R' => {
                self.actions.push(Action::Remove);
                self.host_name = Some(value);
            }
            'r' => self.host_name = Some(value),
            _ => {
                let value = args::text(option, value).map_err(Failure::new)?;
                self.set_text(option, value)?;
            }
        }
        Ok(())
    }

    fn set_text(&mut self, option: char, value: String) -> Result<()> {
        let bad = |what: &str| Failure::new(format_args!("{what}: {}", value.escape_debug()));
        match option {
            'C' => self.comment = Some(value),
            'E' => {
                self.md5 = match value.to_ascii_lowercase().as_str() {
                    "md5" => true,
                    "sha256" => false,
                    _ => return Err(bad("Invalid hash algorithm")),
                }
            }
            'I' => self.identity = Some(value),
            'N' => self.new_passphrase = Some(value.into()),
            'O' => self.options.push(value),
            'P' => self.passphrase = Some(value.into()),
            'V' => self.validity = Some(value),
            'Y' => {
                self.actions.push(Action::Sign);
                self.verb = Some(value);
            }
            'Z' => {
                let cipher = FileCipher::from_name(&value);
                self.cipher = Some(cipher.ok_or_else(|| bad("Invalid cipher"))?);
            }
            'a' => {
                let rounds = value.parse().ok().filter(|rounds| *rounds > 0);
                self.rounds = Some(rounds.ok_or_else(|| bad("Invalid number"))?);
            }
            'b' => self.bits = Some(value.parse().map_err(|_| bad("Bits has bad value"))?),
            'm' => self.format = Some(value.to_ascii_uppercase()),
            'n' => self.principals = Some(value),
            't' => self.key_type = Some(value),
            _ => self.serial = Some(value),
        }
        Ok(())
    }

    /// The one thing that is to be done.
    fn action(&self) -> Result<Action> {
        match self.actions.as_slice() {
            [action] => Ok(*action),
            // Finds, and hashes what it prints.
            [Action::Find, Action::Hash] | [Action::Hash, Action::Find] => Ok(Action::Find),
            [] if self.signer.is_some() => Ok(Action::Certify),
            [] if self.host_name.is_some() => Ok(Action::DnsRecords),
            [] if self.list => Ok(Action::Fingerprint),
            [] => Ok(Action::Generate),
            _ => Err(Failure::new("these options want several things at once; --help lists them")),
        }
    }

    /// The file of `-f`, or the one that somebody names.
    fn file(&self, question: &str) -> Result<PathBuf> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => files::ask(question),
        }
    }

    /// The file of `-f`, which there has to be.
    fn needed_file(&self, what: &str) -> Result<PathBuf> {
        self.file.clone().ok_or_else(|| Failure::new(format_args!("{what}: name it with -f")))
    }
}

/// Reads a private key file, and asks for its passphrase if it has one that `-P` does not give.
fn load_private(path: &Path, options: &Options, question: &str) -> Result<PrivateKey> {
    open_private(&crate::key_file::read_private(path)?, path, options, question).map(|(key, _)| key)
}

/// The key, and the passphrase that opened it.
fn open_private(
    text: &[u8],
    path: &Path,
    options: &Options,
    question: &str,
) -> Result<(PrivateKey, Option<Zeroizing<String>>)> {
    let failed = |error: &dyn core::fmt::Display| {
        Failure::new(format_args!("Load key \"{}\": {error}", show_path(path)))
    };
    match PrivateKey::parse(text, None) {
        Ok(key) => return Ok((key, None)),
        Err(PrivateKeyError::Encrypted) => {}
        Err(error) => return Err(failed(&error)),
    }
    let given = match &options.passphrase {
        Some(given) => given.clone(),
        None => Asker { batch: false }.secret(question).map_err(|error| failed(&error))?,
    };
    match PrivateKey::parse(text, Some(given.as_bytes())) {
        Ok(key) => Ok((key, Some(given))),
        Err(error) => Err(failed(&error)),
    }
}

/// Reads a public key or certificate from a file of either kind, or the public half of a private
/// key; with its comment.
pub(crate) fn load_public(path: &Path) -> Result<(Identity, String)> {
    load_public_of_bits(path, MIN_RSA_BITS)
}

/// As [`load_public`], to show what is there: RSA keys that nobody should use any more, too.
fn load_shown(path: &Path) -> Result<(Identity, String)> {
    load_public_of_bits(path, SHOWN_RSA_BITS)
}

fn load_public_of_bits(path: &Path, min_rsa_bits: usize) -> Result<(Identity, String)> {
    let failed = |error: &dyn core::fmt::Display| {
        Failure::new(format_args!("Couldn't read public key {}: {error}", show_path(path)))
    };
    let bytes = files::read(path)?;
    if let Ok(public) = PrivateKey::parse_public(&bytes) {
        return Ok((Identity::Key(public), String::new()));
    }
    let text = core::str::from_utf8(&bytes).map_err(|error| failed(&error))?;
    Identity::from_openssh_of_bits(text, min_rsa_bits).map_err(|error| failed(&error))
}

/// How `ssh-keygen` calls the type of a key in its output.
fn type_name(identity: &Identity) -> String {
    let name = identity.key().key_type().short_name();
    if identity.certificate().is_some() { format!("{name}-CERT") } else { name.to_owned() }
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// By how many seconds local time is ahead of UTC.
fn utc_offset() -> i32 {
    files::utc_offset()
}
