//! Which keys are offered to a server, in which order: OpenSSH's.
//!
//! First the files that are named and whose key the agent holds, then the other keys of the agent,
//! then the files whose key it does not hold. With `IdentitiesOnly` only keys of files.

use std::{
    env,
    path::{Path, PathBuf},
};

use chiton::{
    Auth,
    agent::Agent,
    keys::{Identity, PrivateKey},
};

use crate::{
    advice,
    askpass::Asker,
    connect::{Notes, Target, answer},
    failure::{Failure, Result},
    key_file::{self, KeyFile},
    log::say,
    options::Options,
    values::expand_path,
};

/// The key files tried when none is named, in this order.
const DEFAULT_KEYS: [&str; 3] = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"];

/// How passphrases are asked for.
pub(crate) struct Asking {
    pub(crate) asker: Asker,
    pub(crate) prompts: u32,
    pub(crate) notes: Notes,
}

impl Asking {
    const fn is_possible(&self) -> bool {
        !self.asker.batch && self.prompts > 0
    }
}

/// The keys of an agent that is there.
struct Held {
    agent: Agent,
    /// Those of kinds that are known here and that have not been taken, with their comments.
    keys: Vec<(Identity, String)>,
}

/// The keys to be offered. A file that was named has to be usable; the default ones are passed
/// over if they are not.
pub(crate) async fn offered(
    target: &Target,
    options: &Options,
    asking: &Asking,
) -> Result<Vec<Auth>> {
    let mut held = held(target, options).await?;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut locked = None;
    for (path, is_named) in files(target, options)? {
        let taken = held.as_mut().map(|held| held.take(&path)).unwrap_or_default();
        if !taken.is_empty() {
            first.extend(taken);
            continue;
        }
        match key_file::load(&path) {
            Ok(KeyFile::Plain(key)) => last.push(plain(&path, key)),
            Ok(KeyFile::Encrypted) if asking.is_possible() => {
                last.push(encrypted(&path, asking));
            }
            Ok(KeyFile::Encrypted) if is_named => {
                locked.get_or_insert(path);
            }
            Ok(KeyFile::Encrypted) => {
                say!(Verbose, "The key in {} is encrypted: not tried.", path.display());
            }
            Err(failure) if is_named => return Err(failure),
            Err(failure) => say!(Info, "Not tried: {failure}."),
        }
    }
    if let Some(held) = held
        && !options.identities_only.unwrap_or(false)
    {
        let Held { agent, keys } = held;
        first.extend(keys.into_iter().map(|(key, _)| Auth::agent_key(agent.clone(), key)));
    }
    if let (Some(path), true) = (locked, first.is_empty() && last.is_empty()) {
        return Err(Failure::new(format_args!(
            "the key in {} is encrypted and its passphrase may not be asked for; use a key \
             without one, add it to an agent, or leave BatchMode",
            path.display()
        )));
    }
    first.append(&mut last);
    Ok(first)
}

/// The files, and whether somebody named them. A file named "none" means no file at all, not the
/// default ones.
fn files(target: &Target, options: &Options) -> Result<Vec<(PathBuf, bool)>> {
    let expand = |name: &str| expand_path(name, &target.tokens()).map_err(Failure::new);
    if !options.identity_files.is_empty() {
        return options.identities().map(|name| Ok((expand(name)?, true))).collect();
    }
    if target.home.is_none() {
        return Ok(Vec::new());
    }
    let all = DEFAULT_KEYS.iter().map(|name| Ok((expand(name)?, false)));
    all.filter(|file| !matches!(file, Ok((path, _)) if !path.exists())).collect()
}

/// The agent and what it holds; none if there is none, or it does not answer.
async fn held(target: &Target, options: &Options) -> Result<Option<Held>> {
    let Some(path) = agent_path(target, options)? else { return Ok(None) };
    let open = async {
        let agent = Agent::connect(&path).await?;
        let keys = agent.list().await?;
        Ok::<_, chiton::Error>((agent, keys))
    };
    match open.await {
        Ok((agent, keys)) => {
            let known = keys.into_iter().filter_map(|held| {
                Some((Identity::from_blob(&held.blob).ok()?, held.comment.to_string()))
            });
            let keys: Vec<_> = known.collect();
            for (identity, comment) in &keys {
                let fingerprint = identity.key().fingerprint();
                say!(Debug1, "The agent has {} {fingerprint} {comment}.", identity.name());
            }
            Ok(Some(Held { agent, keys }))
        }
        Err(error) => {
            say!(Verbose, "No agent: {}.", advice::explain(&error, None));
            Ok(None)
        }
    }
}

/// `IdentityAgent`: a path, `none`, `SSH_AUTH_SOCK`, or the name of a variable behind `$`; without
/// it `SSH_AUTH_SOCK`.
fn agent_path(target: &Target, options: &Options) -> Result<Option<PathBuf>> {
    let variable = |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(Into::into);
    match options.identity_agent.as_deref() {
        None | Some("SSH_AUTH_SOCK") => Ok(Agent::path_from_env()),
        Some(none) if none.eq_ignore_ascii_case("none") => Ok(None),
        Some(path) => match path.strip_prefix('$') {
            Some(name) if !name.starts_with('{') => Ok(variable(name)),
            _ => expand_path(path, &target.tokens()).map(Some).map_err(Failure::new),
        },
    }
}

impl Held {
    /// The key of a file and the certificates over it, as far as the agent holds them. The file may
    /// hold the public half alone.
    fn take(&mut self, path: &Path) -> Vec<Auth> {
        let Some((public, _)) = key_file::public(path) else { return Vec::new() };
        let keys = self.keys.extract_if(.., |(identity, _)| *identity.key() == public);
        keys.map(|(identity, _)| Auth::agent_key(self.agent.clone(), identity)).collect()
    }
}

/// A key that is open, and before it the certificate that stands beside it.
fn plain(path: &Path, key: PrivateKey) -> Auth {
    match key_file::certificate(path).filter(|certificate| certificate.key() == key.public()) {
        Some(certificate) => Auth::certified_key(key.clone(), certificate).or(Auth::key(key)),
        None => Auth::key(key),
    }
}

/// A key whose passphrase is asked for when the server wants the key; again if it was wrong.
fn encrypted(path: &Path, asking: &Asking) -> Auth {
    let (asker, notes) = (asking.asker, asking.notes.clone());
    let name = path.display().to_string();
    Auth::key_file_asking(path, asking.prompts, move |question| {
        let given = answer(asker.secret(question), "passphrase");
        let secret = given.map_err(|why| notes.lock().passphrase = Some(why)).ok()?;
        if secret.expose().is_empty() {
            say!(Verbose, "No passphrase given: the key in {name} is not tried.");
            notes.lock().passphrase = Some("No passphrase was given".to_owned());
            return None;
        }
        Some(secret)
    })
}
