//! From options to an authenticated connection: which host keys to trust, what to log in with,
//! and the questions to the user on the way.

use alloc::sync::Arc;
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chiton::{
    Auth, Client, HostKeyAnswer, HostKeys, Preferences, Secret, UnknownHost,
    client::Remembered,
    keys::{PublicKey, SignatureAlgorithm},
};

use crate::{
    advice::{self, Unasked},
    askpass::{AskError, Asker},
    destination::Destination,
    failure::{Failure, Result},
    identities::{self, Asking},
    log::say,
    options::{Options, StrictHostKeyChecking, files},
    values::Tokens,
};

const DEFAULT_PORT: u16 = 22;

/// How often a password or passphrase is asked for, unless said otherwise.
const DEFAULT_PROMPTS: u32 = 3;

/// Where known host keys are, unless said otherwise: the user's files and the system's.
const USER_KNOWN_HOSTS: [&str; 2] = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"];
const GLOBAL_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// Whom to connect to, with everything filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) user: String,
    /// The name or address to connect to.
    pub(crate) host: String,
    pub(crate) port: u16,
    local_user: String,
    pub(crate) home: Option<String>,
}

impl Target {
    /// The command line's destination, with what the options say and the defaults.
    pub(crate) fn new(destination: &Destination, options: &Options) -> Result<Self> {
        let local_user = whoami::username().unwrap_or_default();
        let user = options.user.clone().or_else(|| destination.user.clone());
        let user = user.unwrap_or_else(|| local_user.clone());
        if user.is_empty() {
            return Err(Failure::new("cannot tell who runs this program; name a user with -l"));
        }
        let home = std::env::home_dir().and_then(|home| home.into_os_string().into_string().ok());
        Ok(Self {
            user,
            host: options.host_name.clone().unwrap_or_else(|| destination.host.clone()),
            port: options.port.or(destination.port).unwrap_or(DEFAULT_PORT),
            local_user,
            home,
        })
    }

    pub(crate) fn tokens(&self) -> Tokens<'_> {
        Tokens {
            home: self.home.as_deref(),
            host: &self.host,
            port: self.port,
            remote_user: &self.user,
            local_user: &self.local_user,
        }
    }
}

/// Why somebody could not be asked, noted by the questions and told at the end: in one line with
/// what came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<Unasked>>);

impl Notes {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Unasked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects and logs in.
pub(crate) async fn connect(target: &Target, options: &Options) -> Result<Client> {
    let notes = Notes::default();
    let builder = Client::builder(target.host.clone(), target.port)
        .user(target.user.clone())
        .host_keys(host_keys(target, options, &notes)?)
        .auth(auth(target, options, &notes).await?)
        .algorithms(preferences(options)?)
        // As OpenSSH without ServerAliveInterval.
        .no_keepalive()
        .on_banner(|text| say!(Info, "{}", text.to_string().trim_end_matches(['\n', '\r'])));
    let builder = match options.connect_timeout {
        Some(timeout) => builder.connect_timeout(timeout.unwrap_or(Duration::MAX)),
        None => builder,
    };
    let builder = match options.required_rsa_size {
        Some(bits) => builder.required_rsa_size(bits),
        None => builder,
    };
    let limit = options.rekey_limit.unwrap_or_default();
    let builder = match limit.bytes {
        Some(bytes) => builder.rekey_after(bytes),
        None => builder,
    };
    let builder = match limit.time {
        Some(time) => builder.rekey_every(time),
        None => builder,
    };
    say!(Debug1, "Connecting to {} port {} as {}.", target.host, target.port, target.user);
    let client = builder.connect().await.map_err(|error| {
        advice::log_attempts(&error);
        Failure::new(advice::explain_connecting(&error, target, &notes.lock()))
    })?;
    if let Some(identification) = client.server_identification() {
        say!(Debug1, "The server is {identification}.");
    }
    if let Some(negotiated) = client.negotiated() {
        say!(Debug1, "Negotiated: {negotiated}.");
    }
    say!(Verbose, "Authenticated to {} as {}.", target.host, target.user);
    Ok(client)
}

fn preferences(options: &Options) -> Result<Preferences> {
    let mut preferences = Preferences::modern();
    if let Some(names) = &options.ciphers {
        for_option("Ciphers", preferences.set_ciphers(names))?;
    }
    if options.compression == Some(true) {
        for_option("Compression", preferences.set_compression("zlib@openssh.com,none"))?;
    }
    if let Some(names) = &options.macs {
        for_option("MACs", preferences.set_macs(names))?;
    }
    if let Some(names) = &options.kex_algorithms {
        for_option("KexAlgorithms", preferences.set_kex(names))?;
    }
    if let Some(names) = &options.host_key_algorithms {
        for_option("HostKeyAlgorithms", preferences.set_host_keys(names))?;
    }
    if let Some(names) = &options.pubkey_algorithms {
        for_option("PubkeyAcceptedAlgorithms", preferences.set_user_keys(names))?;
    }
    Ok(preferences)
}

/// What authorities may sign with.
fn ca_algorithms(names: &str) -> Result<Vec<SignatureAlgorithm>> {
    // The names are those that users sign with.
    let mut preferences = Preferences::modern();
    for_option("CASignatureAlgorithms", preferences.set_user_keys(names))?;
    let algorithms = preferences.user_keys().as_slice().iter();
    Ok(algorithms.filter(|it| !it.is_certificate()).map(|it| it.signature()).collect())
}

fn for_option<E: core::fmt::Display>(
    option: &str,
    result: core::result::Result<(), E>,
) -> Result<()> {
    result.map_err(|error| Failure::new(format_args!("option {option}: {error}")))
}

fn host_keys(target: &Target, options: &Options, notes: &Notes) -> Result<HostKeys> {
    let expand = |named: &Option<Vec<String>>, default: [&str; 2]| {
        let names = named.clone().unwrap_or_else(|| default.map(str::to_owned).to_vec());
        let needs_home = named.is_none() && target.home.is_none();
        let names: Vec<String> =
            names.into_iter().filter(|name| !(needs_home && name.starts_with('~'))).collect();
        files(&names, &target.tokens()).map_err(Failure::new)
    };
    let user = expand(&options.user_known_hosts, USER_KNOWN_HOSTS)?;
    let global = expand(&options.global_known_hosts, GLOBAL_KNOWN_HOSTS)?;
    let host_keys = HostKeys::files(&user, &global)
        .map_err(|error| Failure::new(advice::explain(&error, Some(target))))?;
    let host_keys = match &options.ca_algorithms {
        Some(names) => host_keys.ca_signature_algorithms(&ca_algorithms(names)?),
        None => host_keys,
    };
    for skipped in host_keys.skipped_lines() {
        say!(Info, "Warning: {skipped}; this line counts for nothing.");
    }
    let checking = options.strict_host_key_checking.unwrap_or(StrictHostKeyChecking::Ask);
    let host_keys = host_keys.on_remember(tell_remembered);
    // As OpenSSH: unless somebody chose other files, which may not be the program's to change.
    let host_keys = if options.update_host_keys.unwrap_or(options.user_known_hosts.is_none()) {
        host_keys.learn_keys(tell_learned)
    } else {
        host_keys
    };
    let notes = notes.clone();
    Ok(match checking {
        // In batch mode there is nobody to ask: an unknown host is refused.
        StrictHostKeyChecking::Ask if !options.is_batch() => {
            host_keys.ask(move |unknown| ask_about_host(unknown, &notes))
        }
        StrictHostKeyChecking::Ask | StrictHostKeyChecking::Yes => host_keys.strict(),
        StrictHostKeyChecking::No | StrictHostKeyChecking::AcceptNew => host_keys.accept_new(),
    })
}

/// Keys that a host proves to hold are learned without a question.
fn tell_learned(host: &str, keys: &[PublicKey]) -> bool {
    for key in keys {
        say!(Verbose, "Learned new hostkey of {host}: {} {}", key.key_type(), key.fingerprint());
    }
    true
}

fn tell_remembered(unknown: &UnknownHost, remembered: Remembered<'_>) {
    let key = format!("the {} key of {}", unknown.key.key_type().name(), unknown.host);
    match remembered {
        Remembered::InFile(path) => say!(Info, "Warning: {key} is added to {}.", path.display()),
        Remembered::NotWritten(error) => {
            let why = advice::explain(error, None);
            say!(Error, "Warning: {key} is accepted for this time only: {why}.");
        }
        _ => say!(Info, "Warning: {key} is accepted for this time only."),
    }
}

/// The question about a host no file knows. Blocks.
fn ask_about_host(unknown: &UnknownHost, notes: &Notes) -> HostKeyAnswer {
    let fingerprint = unknown.fingerprint.to_string();
    let mut question = format!(
        "The authenticity of host '{}' can't be established.\n{} key fingerprint is {fingerprint}.\n",
        unknown.host,
        unknown.key.key_type().name(),
    );
    if let Some(known) = unknown.known_types.first() {
        let known = known.name();
        question.push_str(&format!("(For this host another key, of type {known}, is known.)\n"));
    }
    question.push_str("Are you sure you want to continue connecting (yes/no/[fingerprint])? ");
    loop {
        let answer = match (Asker { batch: false }).question(&question) {
            Ok(answer) => answer,
            Err(AskError::Cancelled) => return HostKeyAnswer::Refuse,
            Err(error) => {
                notes.lock().host_key = Some(format!("Nobody can be asked about it: {error}"));
                return HostKeyAnswer::Refuse;
            }
        };
        let answer = answer.trim();
        if answer.eq_ignore_ascii_case("yes") || answer == fingerprint {
            return HostKeyAnswer::AcceptAndRemember;
        }
        if answer.is_empty() || answer.eq_ignore_ascii_case("no") {
            return HostKeyAnswer::Refuse;
        }
        question = "Please type 'yes', 'no' or the fingerprint: ".to_owned();
    }
}

/// What to log in with, in order: keys before passwords unless `PreferredAuthentications` has it
/// the other way round.
async fn auth(target: &Target, options: &Options, notes: &Notes) -> Result<Auth> {
    let asker = Asker { batch: options.is_batch() };
    let prompts = options.password_prompts.unwrap_or(DEFAULT_PROMPTS);
    let mut methods = vec!["publickey", "password"];
    if let Some(preferred) = &options.preferred_authentications {
        let place = |method: &&str| preferred.iter().position(|name| name == method);
        methods.sort_by_key(|method| place(method).unwrap_or(usize::MAX));
    }
    methods.retain(|method| options.allows_method(method));
    let mut all: Option<Auth> = None;
    let mut add = |auth: Auth| {
        all = Some(match all.take() {
            Some(before) => before.or(auth),
            None => auth,
        });
    };
    for method in methods {
        if method == "publickey" {
            let asking = Asking { asker, prompts, notes: notes.clone() };
            for key in identities::offered(target, options, &asking).await? {
                add(key);
            }
        } else if !asker.batch && prompts > 0 {
            add(ask_password(asker, prompts, notes.clone()));
        }
    }
    // With nothing at hand, asking for nothing at least tells what the server would accept.
    Ok(all.unwrap_or_else(Auth::none))
}

fn ask_password(asker: Asker, prompts: u32, notes: Notes) -> Auth {
    let asked_before = AtomicBool::new(false);
    Auth::ask_password(prompts, move |question| {
        if asked_before.swap(true, Ordering::Relaxed) {
            say!(Error, "Permission denied, please try again.");
        }
        let answer = answer(asker.secret(question), "password");
        answer.map_err(|why| notes.lock().password = Some(why)).ok()
    })
}

/// The answer, or the sentence that says why there is none.
pub(crate) fn answer(
    asked: core::result::Result<zeroize::Zeroizing<String>, AskError>,
    what: &str,
) -> core::result::Result<Secret<String>, String> {
    match asked {
        Ok(secret) => Ok(Secret::new(secret.to_string())),
        Err(AskError::Cancelled) => Err(format!("No {what} was given")),
        Err(error) => Err(format!("Its {what} cannot be asked for: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination;

    fn target(text: &str, options: &[&str]) -> Target {
        let mut all = Options::default();
        for option in options {
            all.set(option).unwrap();
        }
        Target::new(&destination::parse_ssh(text).unwrap(), &all).unwrap()
    }

    #[test]
    fn options_come_before_the_destination() {
        let target = target("ssh://bob@h:2222", &["User=alice", "HostName=10.0.0.1"]);
        assert_eq!((target.user.as_str(), target.port), ("alice", 2222));
        assert_eq!(target.host, "10.0.0.1");
    }

    #[test]
    fn the_port_is_22_unless_said() {
        assert_eq!(target("a@h", &[]).port, 22);
        assert_eq!(target("a@h", &["Port=23"]).port, 23);
    }

    #[test]
    fn an_algorithm_nobody_knows_is_named_with_its_option() {
        let mut options = Options::default();
        options.set("Ciphers=rot13").unwrap();
        let failure = preferences(&options).unwrap_err().to_string();
        assert!(failure.starts_with("option Ciphers: ") && failure.contains("rot13"), "{failure}");
    }
}
