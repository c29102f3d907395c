//! `chiton add`, also called by the name `ssh-add`: keys into an agent and out of it, with the
//! command line, the messages and the exit codes of OpenSSH's.

use std::{
    env,
    ffi::OsString,
    io::Read,
    path::{Path, PathBuf},
};

use chiton::{
    agent::{self, Agent, AgentError, Constraints, Destination, Hop, HopKey},
    keys::{
        Certificate, Fingerprint, Identity, PrivateKey, PrivateKeyError,
        known_hosts::{Document, HostName, LineMarker},
    },
};
use ssh_wire::escape;
use zeroize::Zeroizing;

use crate::{
    args::{self, ArgsError, Getopt, Grammar, Item},
    askpass::Asker,
    failure::{Failure, Result, show_path},
    key_file, keygen,
    log::{self, print, say},
    values::parse_time,
};

const USAGE: &str = "\
usage: ssh-add [-cDdkLlqvXx] [-E fingerprint_hash] [-H hostkey_file]
               [-h destination_constraint] [-t life] [file ...]
       ssh-add -T pubkey ...";

const GRAMMAR: Grammar = Grammar { flags: "cDdkLlqTvXx", values: "EHht", unsupported: "CKSes" };

/// Where the keys of destinations are looked up, unless said otherwise.
const KNOWN_HOSTS: [&str; 4] = [
    "~/.ssh/known_hosts",
    "~/.ssh/known_hosts2",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
];

/// The files that are added when none is named, in `~/.ssh`; OpenSSH's order.
const DEFAULT_KEYS: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

/// There is no agent.
const NO_AGENT: u8 = 2;

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Action {
    #[default]
    Add,
    /// `-d`
    Remove,
    /// `-D`
    RemoveAll,
    /// `-l`
    List,
    /// `-L`
    ListKeys,
    /// `-x`
    Lock,
    /// `-X`
    Unlock,
    /// `-T`
    Test,
}

/// What the command line says.
#[derive(Debug, Default)]
struct Options {
    action: Action,
    quiet: bool,
    md5: bool,
    /// `-k`: no certificates.
    keys_only: bool,
    /// `-h`, and `-H` for where their keys are.
    destinations: Vec<String>,
    host_key_files: Vec<PathBuf>,
    constraints: Constraints,
    files: Vec<PathBuf>,
}

/// Runs `add`; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let options = match parse(args) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(USAGE);
            return 0;
        }
        Err(failure) => {
            say!(Fatal, "ssh-add: {failure}");
            return 1;
        }
    };
    crate::run_async(run(options)).unwrap_or_else(|failure| {
        say!(Fatal, "{failure}");
        1
    })
}

fn parse(args: &[OsString]) -> Result<Option<Options>> {
    let mut options = Options::default();
    let mut getopt = Getopt::new(GRAMMAR, args);
    while let Some(item) = getopt.next().map_err(Failure::new)? {
        match item {
            Item::Help => return Ok(None),
            Item::Flag('c') => options.constraints.confirm = true,
            Item::Flag('d') => options.action = Action::Remove,
            Item::Flag('D') => options.action = Action::RemoveAll,
            Item::Flag('l') => options.action = Action::List,
            Item::Flag('L') => options.action = Action::ListKeys,
            Item::Flag('x') => options.action = Action::Lock,
            Item::Flag('X') => options.action = Action::Unlock,
            Item::Flag('T') => options.action = Action::Test,
            Item::Flag('q') => options.quiet = true,
            Item::Flag('v') => log::set_level(log::level().louder()),
            Item::Flag('k') => options.keys_only = true,
            Item::Flag(other) => return Err(Failure::new(ArgsError::Unknown(other))),
            Item::Value('t', life) => {
                let life = args::text('t', life).map_err(Failure::new)?;
                let seconds = parse_time(&life).and_then(|time| u32::try_from(time.as_secs()).ok());
                let seconds = seconds.filter(|seconds| *seconds > 0);
                options.constraints.lifetime =
                    Some(seconds.ok_or_else(|| Failure::new("Invalid lifetime"))?);
            }
            Item::Value('H', file) => options.host_key_files.push(file.into()),
            Item::Value('h', way) => {
                options.destinations.push(args::text('h', way).map_err(Failure::new)?);
            }
            Item::Value(_, hash) => {
                let hash = args::text('E', hash).map_err(Failure::new)?;
                options.md5 = match hash.to_ascii_lowercase().as_str() {
                    "md5" => true,
                    "sha256" => false,
                    _ => {
                        return Err(Failure::new(format_args!(
                            "Invalid hash algorithm \"{hash}\""
                        )));
                    }
                };
            }
        }
    }
    options.files = getopt.rest().iter().map(PathBuf::from).collect();
    for way in &options.destinations {
        options.constraints.destinations.push(destination(way, &options.host_key_files)?);
    }
    Ok(Some(options))
}

/// `[user@]host`, or `host>[user@]host` for what follows a first step.
fn destination(way: &str, files: &[PathBuf]) -> Result<Destination> {
    let (from, to) = match way.split_once('>') {
        Some((from, to)) => (hop(from, files)?, to),
        None => (Hop::default(), way),
    };
    if !from.user.is_empty() {
        return Err(Failure::new(format_args!(
            "Invalid key destination constraint \"{}\": there is no user where it begins",
            escape(way)
        )));
    }
    Ok(Destination { from, to: hop(to, files)? })
}

/// A host, with the keys that it is known by.
fn hop(text: &str, files: &[PathBuf]) -> Result<Hop> {
    let (user, host) = text.rsplit_once('@').unwrap_or(("", text));
    let bad = || Failure::new(format_args!("not the name of a host: {}", escape(host)));
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((name, port)) => (name, port.parse().map_err(|_| bad())?),
        None => (host, 22),
    };
    let name = HostName::new(name, port).map_err(|_| bad())?;
    let home = env::home_dir().unwrap_or_default();
    let usual = || {
        let path = |path: &&str| match path.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => PathBuf::from(path),
        };
        KNOWN_HOSTS.iter().map(path).collect::<Vec<_>>()
    };
    let files = if files.is_empty() { usual() } else { files.to_vec() };
    let mut keys = Vec::new();
    for file in files {
        let Ok(text) = keygen::read_file(&file) else { continue };
        for line in Document::parse(&text).find(&name) {
            if let (Some(key), LineMarker::HostKey | LineMarker::CertAuthority) =
                (line.key(), line.marker)
            {
                let is_ca = line.marker == LineMarker::CertAuthority;
                keys.push(HopKey { blob: key.to_blob(), is_ca });
            }
        }
    }
    if keys.is_empty() {
        return Err(Failure::new(format_args!(
            "No host keys found for destination \"{}\"",
            escape(host)
        )));
    }
    Ok(Hop { user: user.to_owned(), host: host.to_owned(), keys })
}

async fn run(options: Options) -> Result<u8> {
    let agent = match Agent::from_env().await {
        Ok(agent) => agent,
        Err(chiton::Error::Agent(error)) => {
            match &*error {
                AgentError::NotNamed => {
                    say!(Error, "Could not open a connection to your authentication agent.");
                }
                error => say!(Error, "Error connecting to agent: {error}"),
            }
            return Ok(NO_AGENT);
        }
        Err(error) => return Err(Failure::new(error)),
    };
    match options.action {
        Action::Add => for_each_file(&agent, &options).await,
        Action::Remove => for_each_file(&agent, &options).await,
        Action::RemoveAll => {
            agent.remove_all().await.map_err(|error| refused("remove all identities", &error))?;
            tell(&options, "All identities removed.");
            Ok(0)
        }
        Action::List | Action::ListKeys => list(&agent, &options).await,
        Action::Lock | Action::Unlock => lock(&agent, &options).await,
        Action::Test => test(&agent, &options).await,
    }
}

fn refused(what: &str, error: &chiton::Error) -> Failure {
    Failure::new(format_args!("Failed to {what}: {error}"))
}

fn tell(options: &Options, text: impl core::fmt::Display) {
    if !options.quiet {
        say!(Info, "{text}");
    }
}

/// The files that are named, or the default ones that there are.
fn files(options: &Options) -> Result<Vec<PathBuf>> {
    if !options.files.is_empty() {
        return Ok(options.files.clone());
    }
    let home = env::home_dir().ok_or_else(|| Failure::new("No user found: name the files"))?;
    let all = DEFAULT_KEYS.iter().map(|name| home.join(".ssh").join(name));
    Ok(all.filter(|path| path.exists()).collect())
}

/// Adds or removes the keys of the files. The exit code tells of any that could not be.
async fn for_each_file(agent: &Agent, options: &Options) -> Result<u8> {
    let files = files(options)?;
    // What opened one file may open the next.
    let mut passphrase = None;
    let mut done = 0_usize;
    for path in &files {
        let result = if options.action == Action::Remove {
            remove(agent, path, options).await
        } else {
            add(agent, path, options, &mut passphrase).await
        };
        match result {
            Ok(()) => done = done.saturating_add(1),
            Err(failure) => say!(Error, "{failure}"),
        }
    }
    Ok(u8::from(done < files.len() || done == 0))
}

type Passphrase = Option<Zeroizing<String>>;

async fn add(
    agent: &Agent,
    path: &Path,
    options: &Options,
    passphrase: &mut Passphrase,
) -> Result<()> {
    let shown = show_path(path);
    let text = if path == Path::new("-") {
        let mut text = Zeroizing::new(Vec::new());
        let read = std::io::stdin().lock().take(key_file::MAX_KEY_FILE).read_to_end(&mut text);
        read.map_err(|error| Failure::local("read the key from", Path::new("stdin"), &error))?;
        text
    } else {
        key_file::read_private(path)?
    };
    let key = open(&text, &shown, options, passphrase)?;
    let comment = if key.comment().is_empty() { shown.as_str() } else { key.comment() };
    let added = agent.add(&key, comment, &options.constraints).await;
    added.map_err(|error| {
        Failure::new(format_args!("Could not add identity \"{shown}\": {error}"))
    })?;
    tell(options, format_args!("Identity added: {shown} ({})", escape(comment)));
    if let Some(seconds) = options.constraints.lifetime {
        tell(options, format_args!("Lifetime set to {seconds} seconds"));
    }
    if options.constraints.confirm {
        tell(options, "The user must confirm each use of the key");
    }
    match key_file::certificate(path) {
        Some(certificate) if !options.keys_only => {
            add_certificate(agent, path, &key, &certificate, comment, options).await
        }
        _ => Ok(()),
    }
}

async fn add_certificate(
    agent: &Agent,
    path: &Path,
    key: &PrivateKey,
    certificate: &Certificate,
    comment: &str,
    options: &Options,
) -> Result<()> {
    let shown = format!("{}-cert.pub", show_path(path));
    if certificate.key() != key.public() {
        return Err(Failure::new(format_args!(
            "Certificate {shown} does not match private key {}",
            show_path(path)
        )));
    }
    let added = agent.add_certificate(key, certificate, comment, &options.constraints).await;
    added.map_err(|error| {
        Failure::new(format_args!("Unable to add certificate {shown}: {error}"))
    })?;
    tell(options, format_args!("Certificate added: {shown} ({})", certificate.key_id()));
    if let Some(seconds) = options.constraints.lifetime {
        tell(options, format_args!("Lifetime set to {seconds} seconds"));
    }
    Ok(())
}

/// Opens a key file, and asks for the passphrase until it fits or none is given.
fn open(
    text: &[u8],
    shown: &str,
    options: &Options,
    passphrase: &mut Passphrase,
) -> Result<PrivateKey> {
    let failed = |error| Failure::new(format_args!("Error loading key \"{shown}\": {error}"));
    let with = |given: Option<&str>| PrivateKey::parse(text, given.map(str::as_bytes));
    match with(None) {
        Ok(key) => return Ok(key),
        Err(PrivateKeyError::Encrypted) => {}
        Err(error) => return Err(failed(error)),
    }
    if let Some(given) = passphrase
        && let Ok(key) = with(Some(given))
    {
        return Ok(key);
    }
    let confirm = if options.constraints.confirm { " (will confirm each use)" } else { "" };
    let mut question = format!("Enter passphrase for {shown}{confirm}: ");
    loop {
        let given = Asker { batch: false }.secret(&question);
        let given = given.map_err(|error| Failure::new(format_args!("{shown}: {error}")))?;
        if given.is_empty() {
            return Err(Failure::new(format_args!("{shown}: no passphrase was given")));
        }
        match with(Some(&given)) {
            Ok(key) => {
                *passphrase = Some(given);
                return Ok(key);
            }
            Err(PrivateKeyError::WrongPassphrase) => {}
            Err(error) => return Err(failed(error)),
        }
        question = format!("Bad passphrase, try again for {shown}{confirm}: ");
    }
}

/// Removes the public keys and certificates that stand on standard input.
async fn remove_read(agent: &Agent, options: &Options) -> Result<()> {
    let text = keygen::read_file(Path::new("-"))?;
    let text = String::from_utf8_lossy(&text);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (identity, comment) = Identity::from_openssh(line)
            .map_err(|error| Failure::new(format_args!("(stdin): invalid key: {error}")))?;
        let removed = agent.remove(identity.blob()).await;
        removed.map_err(|error| {
            Failure::new(format_args!("Could not remove identity \"(stdin)\": {error}"))
        })?;
        let comment = escape(&comment);
        tell(options, format_args!("Identity removed: (stdin) {} ({comment})", identity.name()));
    }
    Ok(())
}

async fn remove(agent: &Agent, path: &Path, options: &Options) -> Result<()> {
    if path == Path::new("-") {
        return remove_read(agent, options).await;
    }
    let shown = show_path(path);
    let (key, comment) = key_file::public(path)
        .ok_or_else(|| Failure::new(format_args!("Bad key file {shown}: no public key in it")))?;
    agent.remove(key.blob()).await.map_err(|error| {
        Failure::new(format_args!("Could not remove identity \"{shown}\": {error}"))
    })?;
    let comment = if comment.is_empty() { shown.as_str() } else { &comment };
    let comment = escape(comment);
    let name = key.key_type().short_name();
    tell(options, format_args!("Identity removed: {shown} {name} ({comment})"));
    if let Some(certificate) = key_file::certificate(path).filter(|_| !options.keys_only)
        && agent.remove(certificate.blob()).await.is_ok()
    {
        tell(options, format_args!("Identity removed: {shown}-cert.pub {name}-CERT ({comment})"));
    }
    Ok(())
}

async fn list(agent: &Agent, options: &Options) -> Result<u8> {
    let keys = agent.list().await;
    let keys =
        keys.map_err(|error| Failure::new(format_args!("error fetching identities: {error}")))?;
    if keys.is_empty() {
        print("The agent has no identities.");
        return Ok(1);
    }
    for identity in &keys {
        print(line(identity, options));
    }
    Ok(0)
}

/// A line of `-l` or `-L`. Keys of kinds that are not known here are shown by their fingerprint.
fn line(held: &agent::Identity, options: &Options) -> String {
    let comment = held.comment.raw();
    match Identity::from_blob(&held.blob) {
        Ok(identity) if options.action == Action::ListKeys => identity.to_openssh(comment),
        Ok(identity) => keygen::describe(&identity, comment, options.md5),
        Err(_) => format!("0 {} {} (UNKNOWN)", Fingerprint::of_blob(&held.blob), held.comment),
    }
}

async fn lock(agent: &Agent, options: &Options) -> Result<u8> {
    let asker = Asker { batch: false };
    let ask = |question| asker.secret(question).map_err(Failure::new);
    let first = ask("Enter lock password: ")?;
    if options.action == Action::Unlock {
        agent.unlock(first.as_bytes()).await.map_err(|error| refused("unlock agent", &error))?;
        tell(options, "Agent unlocked.");
        return Ok(0);
    }
    if *ask("Again: ")? != *first {
        return Err(Failure::new("Passwords do not match."));
    }
    agent.lock(first.as_bytes()).await.map_err(|error| refused("lock agent", &error))?;
    tell(options, "Agent locked.");
    Ok(0)
}

/// `-T`: has the agent sign something with each key, and checks the signature.
async fn test(agent: &Agent, options: &Options) -> Result<u8> {
    if options.files.is_empty() {
        return Err(Failure::new("no keys to test"));
    }
    let mut code = 0;
    for path in &options.files {
        if let Err(failure) = test_one(agent, path).await {
            say!(Error, "{failure}");
            code = 1;
        }
    }
    Ok(code)
}

async fn test_one(agent: &Agent, path: &Path) -> Result<()> {
    let shown = show_path(path);
    let (identity, _) = keygen::load_public(path)?;
    let key = identity.key();
    let mut data = [0; 1024];
    ssh_crypto::rng::Rng::fill(&mut ssh_crypto::rng::SystemRng, &mut data);
    for algorithm in key.key_type().signature_algorithms() {
        let signature = agent.sign(identity.blob(), *algorithm, &data).await.map_err(|error| {
            Failure::new(format_args!("Agent signature failed for {shown}: {error}"))
        })?;
        key.verify(*algorithm, &data, &signature).map_err(|error| {
            Failure::new(format_args!("Signature verification failed for {shown}: {error}"))
        })?;
    }
    Ok(())
}
