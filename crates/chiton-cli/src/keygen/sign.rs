//! `-Y`: signatures of files, and whose they are.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use chiton::{
    agent::Agent,
    keys::{
        Identity, Krl, PrivateKey,
        calendar::Date,
        sshsig::{AllowedSigners, HashAlgorithm, SshSignature, UnsignedSsh},
    },
};
use ssh_crypto::hash::{Digest, Hasher};

use super::{FAILED, Options, files, load_public, now, open_private, show, type_name, utc_offset};
use crate::{
    failure::{Failure, Result, show_path},
    key_file,
    log::{print, say},
};

/// How much of a file is hashed at a time.
const CHUNK: usize = 64 * 1024;

pub(super) fn run(options: &Options) -> Result<u8> {
    match options.verb.as_deref().unwrap_or_default() {
        "sign" => sign(options),
        "verify" => verify(options),
        "check-novalidate" => check(options),
        "find-principals" => find_principals(options),
        "match-principals" => match_principals(options),
        other => Err(Failure::new(format_args!(
            "Unsupported operation for -Y: \"{}\"",
            other.escape_debug()
        ))),
    }
}

fn namespace(options: &Options) -> Result<&str> {
    let namespace = options.principals.as_deref();
    namespace
        .ok_or_else(|| Failure::new("Too few arguments for sign/verify: missing namespace (-n)"))
}

fn signature(options: &Options) -> Result<(SshSignature, PathBuf)> {
    let path = options.signer.clone();
    let path =
        path.ok_or_else(|| Failure::new("Too few arguments: missing signature file (-s)"))?;
    let signature = SshSignature::from_armored(&files::read(&path)?)
        .map_err(|error| Failure::new(format_args!("{}: {error}", show_path(&path))))?;
    Ok((signature, path))
}

fn allowed(options: &Options) -> Result<AllowedSigners> {
    let path = options.needed_file("Too few arguments: missing allowed signers file")?;
    let text = files::read(&path)?;
    let allowed = AllowedSigners::parse(&text, &path.display().to_string());
    for line in allowed.skipped() {
        say!(Error, "{line}");
    }
    Ok(allowed)
}

fn identity(options: &Options) -> Result<&str> {
    let identity = options.identity.as_deref();
    identity.ok_or_else(|| Failure::new("Too few arguments: missing signer identity (-I)"))
}

/// `-O hashalg=…`, `-O verify-time=…`, `-O print-pubkey`.
#[derive(Debug)]
struct Settings {
    hash: HashAlgorithm,
    time: u64,
    print_key: bool,
}

fn settings(options: &Options) -> Result<Settings> {
    let mut settings = Settings { hash: HashAlgorithm::Sha512, time: now(), print_key: false };
    for option in &options.options {
        let bad = || Failure::new(format_args!("Invalid option \"{}\"", option.escape_debug()));
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name.to_ascii_lowercase().as_str() {
            "hashalg" => {
                settings.hash = match value {
                    "sha256" => HashAlgorithm::Sha256,
                    "sha512" => HashAlgorithm::Sha512,
                    _ => return Err(bad()),
                };
            }
            "verify-time" => {
                let date = Date::parse(value).ok_or_else(bad)?;
                settings.time = date.unix(utc_offset());
            }
            "print-pubkey" => settings.print_key = true,
            _ => return Err(bad()),
        }
    }
    Ok(settings)
}

/// Hashes a file or standard input as it comes.
fn hash(path: Option<&Path>, algorithm: HashAlgorithm) -> Result<Digest> {
    let shown = path.unwrap_or(Path::new("standard input"));
    let failed = |error| Failure::local("read", shown, &error);
    let mut input: Box<dyn Read> = match path {
        Some(path) => Box::new(std::fs::File::open(path).map_err(failed)?),
        None => Box::new(std::io::stdin().lock()),
    };
    let mut hasher = Hasher::new(algorithm);
    let mut chunk = vec![0; CHUNK];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The key that signs: from a file, or, where the file has the public half only, in an agent.
enum Signer {
    Key(PrivateKey),
    Agent(Identity),
}

fn signer(options: &Options) -> Result<(Signer, Identity)> {
    let path = options.needed_file("Too few arguments for sign: missing key")?;
    let public = load_public(&path);
    let in_agent = |identity: Identity| Ok((Signer::Agent(identity.clone()), identity));
    if options.agent {
        return in_agent(public?.0);
    }
    let text = files::read(&path)?;
    if PrivateKey::is_encrypted(&text).is_err() {
        // No private key: a certificate or a public key. The private half may lie beside it.
        let (identity, _) = public?;
        let name = path.as_os_str().as_encoded_bytes();
        let name = name.strip_suffix(b".pub").unwrap_or(name);
        let beside = name.strip_suffix(b"-cert").unwrap_or(name);
        let beside = PathBuf::from(String::from_utf8_lossy(beside).into_owned());
        if beside == path || !beside.exists() {
            return in_agent(identity);
        }
        let text = key_file::read_private(&beside)?;
        let (key, _) = open_private(&text, &beside, options, &question(&beside))?;
        return Ok((Signer::Key(key), identity));
    }
    let text = key_file::read_private(&path)?;
    let (key, _) = open_private(&text, &path, options, &question(&path))?;
    let identity = Identity::Key(key.public().clone());
    Ok((Signer::Key(key), identity))
}

fn question(path: &Path) -> String {
    format!("Enter passphrase for {}: ", path.display())
}

fn sign(options: &Options) -> Result<u8> {
    let namespace = namespace(options)?;
    let settings = settings(options)?;
    let (signer, identity) = signer(options)?;
    if options.files.is_empty() {
        say!(Info, "Signing data on standard input");
        let signature = sign_one(None, namespace, &settings, &signer, &identity)?;
        print(signature.trim_end());
        return Ok(0);
    }
    for file in &options.files {
        let mut to = file.as_os_str().to_owned();
        to.push(".sig");
        let to = PathBuf::from(to);
        say!(Info, "Signing file {}", show_path(file));
        let signature = sign_one(Some(file), namespace, &settings, &signer, &identity)?;
        if !files::may_overwrite(&to)? {
            return Ok(FAILED);
        }
        files::write(&to, signature.as_bytes(), Some(0o644))?;
        say!(Info, "Write signature to {}", show_path(&to));
    }
    Ok(0)
}

fn sign_one(
    file: Option<&Path>,
    namespace: &str,
    settings: &Settings,
    signer: &Signer,
    identity: &Identity,
) -> Result<String> {
    let failed = |error: &dyn core::fmt::Display| {
        Failure::new(format_args!(
            "Signing {} failed: {error}",
            show_path(file.unwrap_or(Path::new("-")))
        ))
    };
    let digest = hash(file, settings.hash)?;
    let unsigned = UnsignedSsh::of_digest(namespace, settings.hash, digest);
    let unsigned = unsigned.map_err(|error| failed(&error))?;
    let data = unsigned.to_bytes();
    let algorithms = identity.key().key_type().signature_algorithms();
    let algorithm = *algorithms.first().ok_or_else(|| failed(&"the key does not sign"))?;
    let signature = match signer {
        Signer::Key(key) => key.sign(algorithm, &data).map_err(|error| failed(&error))?,
        Signer::Agent(identity) => crate::run_async(async {
            let agent = Agent::from_env().await.map_err(|error| failed(&error))?;
            agent.sign(identity.blob(), algorithm, &data).await.map_err(|error| failed(&error))
        })?,
    };
    let signature = unsigned.signed_with(identity.clone(), &signature);
    Ok(signature.map_err(|error| failed(&error))?.to_armored())
}

/// Checks the signature itself; prints and gives nothing where it is bad.
fn verified(options: &Options) -> Result<Option<(SshSignature, &str)>> {
    let namespace = namespace(options)?;
    let (signature, path) = signature(options)?;
    let digest = hash(None, signature.hash())?;
    match signature.verify_digest(namespace, &digest) {
        Ok(_) => Ok(Some((signature, namespace))),
        Err(error) => {
            say!(Error, "{}: {error}", show_path(&path));
            Ok(None)
        }
    }
}

fn good(signature: &SshSignature, namespace: &str, of: &str, options: &Options, with: &Settings) {
    let identity = signature.identity();
    if !options.quiet {
        let name = type_name(identity);
        let fingerprint = show::fingerprint(identity.key(), options.md5);
        let namespace = ssh_wire::escape(namespace);
        print(format_args!("Good \"{namespace}\" signature{of} with {name} key {fingerprint}"));
    }
    if with.print_key {
        print(identity.to_openssh(""));
    }
}

fn verify(options: &Options) -> Result<u8> {
    let (allowed, principal) = (allowed(options)?, identity(options)?);
    let settings = settings(options)?;
    let could_not = || {
        if !options.quiet {
            print("Could not verify signature.");
        }
        Ok(FAILED)
    };
    let Some((signature, namespace)) = verified(options)? else { return could_not() };
    if let Some(path) = &options.host_name {
        let krl = Krl::from_file(&files::read(Path::new(path))?);
        let krl = krl.map_err(|error| {
            Failure::new(format_args!("Invalid KRL file {}: {error}", show_path(Path::new(path))))
        })?;
        if krl.reason(signature.identity()).is_some() {
            say!(Error, "Signature key has been revoked");
            return could_not();
        }
    }
    let check =
        allowed.check(signature.identity(), principal, namespace, settings.time, utc_offset());
    if let Err(error) = check {
        say!(Error, "{error}");
        return could_not();
    }
    let of = format!(" for {}", ssh_wire::escape(principal));
    good(&signature, namespace, &of, options, &settings);
    Ok(0)
}

fn check(options: &Options) -> Result<u8> {
    let settings = settings(options)?;
    let Some((signature, namespace)) = verified(options)? else {
        if !options.quiet {
            print("Could not verify signature.");
        }
        return Ok(FAILED);
    };
    good(&signature, namespace, "", options, &settings);
    Ok(0)
}

fn find_principals(options: &Options) -> Result<u8> {
    let allowed = allowed(options)?;
    let (signature, _) = signature(options)?;
    let settings = settings(options)?;
    let names = allowed.find_principals(signature.identity(), settings.time, utc_offset());
    if names.is_empty() {
        say!(Error, "No principal matched.");
        return Ok(FAILED);
    }
    for name in names {
        print(ssh_wire::escape(&name));
    }
    Ok(0)
}

fn match_principals(options: &Options) -> Result<u8> {
    let (allowed, principal) = (allowed(options)?, identity(options)?);
    let mut code = FAILED;
    for principals in allowed.match_principals(principal) {
        for name in principals.split(',') {
            print(ssh_wire::escape(name));
        }
        code = 0;
    }
    if code == FAILED {
        say!(Error, "No principal matched.");
    }
    Ok(code)
}
