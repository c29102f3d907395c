//! Which host keys to trust.

mod file;
mod learn;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use ssh_crypto::rng::SystemRng;
use ssh_keys::{
    Fingerprint, Identity, KeyType, PublicKey, SignatureAlgorithm, SkippedLine,
    certificate::CertificateError,
    known_hosts::{self, CertificateVerdict, HostName, KnownHosts, KnownKey, Verdict},
    sshfp::{SshfpRecord, SshfpVerdict},
};

use self::file::append;
use super::key_file::read_bounded;
use crate::error::{Error, HostKeyError, HostKeyReason};

/// The largest known_hosts file that is read: more than a hundred thousand hosts with RSA keys.
const MAX_KNOWN_HOSTS: u64 = 64 * 1024 * 1024;

/// A policy: which host keys to trust.
///
/// No policy ever accepts a key that a file marks as revoked, and only
/// [`Dangerous::accept_any_host_key`](super::Dangerous::accept_any_host_key) accepts a key other
/// than the one that is known for a host.
///
/// Clones share what they know: a key that one of them remembers is known to all, whether there
/// is a file for it or not.
#[derive(Clone)]
#[must_use]
pub struct HostKeys {
    source: Source,
    unknown: Unknown,
    /// Where new keys go.
    file: Option<PathBuf>,
    hashed: bool,
    on_remember: Option<OnRemember>,
    dns: Option<Dns>,
    learn: Option<Learn>,
    /// What authorities may sign with; everything sound if not said.
    authorities: Option<Arc<[SignatureAlgorithm]>>,
}

/// Asks the DNS for the fingerprints of a host.
type Dns = Arc<dyn Fn(&str) -> Vec<SshfpRecord> + Send + Sync>;

#[derive(Clone)]
enum Source {
    Files(Arc<Mutex<KnownHosts>>),
    Exactly(Arc<PublicKey>),
    Anything,
}

/// What to do with a host that no file knows.
#[derive(Clone)]
enum Unknown {
    Refuse,
    Remember,
    Ask(Arc<dyn Fn(&UnknownHost) -> HostKeyAnswer + Send + Sync>),
    Warn(Arc<dyn Fn(&UnknownHost) + Send + Sync>),
}

type Learn = Arc<dyn Fn(&str, &[PublicKey]) -> bool + Send + Sync>;
type OnRemember = Arc<dyn Fn(&UnknownHost, Remembered<'_>) + Send + Sync>;

/// What has become of a new key that is to be remembered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Remembered<'a> {
    /// It was added to this file.
    InFile(&'a Path),
    /// There is no file for it: this policy and its clones know it, for as long as they live.
    InMemory,
    /// It could not be added to the file; otherwise as [`Self::InMemory`].
    NotWritten(&'a Error),
}

/// A host that no file lists a key for, shown to whoever decides.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnknownHost {
    /// The host as known_hosts names it: `host`, or `[host]:port`.
    pub host: String,
    /// The key that it proved to hold.
    pub key: PublicKey,
    /// The key's fingerprint, to compare with what the owner says.
    pub fingerprint: Fingerprint,
    /// Types of keys that are known for this host; it showed one of another type.
    pub known_types: Vec<KeyType>,
}

/// The answer to an unknown host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKeyAnswer {
    /// Go on, this time.
    Accept,
    /// Go on, and add the key to the file.
    AcceptAndRemember,
    /// Do not connect.
    Refuse,
}

impl HostKeys {
    const fn from(source: Source) -> Self {
        Self {
            source,
            unknown: Unknown::Refuse,
            file: None,
            hashed: false,
            on_remember: None,
            dns: None,
            learn: None,
            authorities: None,
        }
    }

    /// Trusts what this known_hosts file lists, and nothing else. Keys that another policy adds
    /// go into it.
    ///
    /// A file that does not exist lists nothing.
    ///
    /// # Errors
    /// The file exists and cannot be read: that never means "no check".
    pub fn known_hosts(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::files(&[path.as_ref().to_owned()], &[])
    }

    /// Trusts what any of these files lists: the user's, then the system's. New keys go into the
    /// first of the user's.
    ///
    /// # Errors
    /// A file exists and cannot be read.
    pub fn files(user: &[PathBuf], system: &[PathBuf]) -> Result<Self, Error> {
        let mut known = KnownHosts::default();
        for path in user.iter().chain(system) {
            match read_bounded(path, MAX_KNOWN_HOSTS) {
                Ok(text) => known.extend(KnownHosts::parse(&text, &path.display().to_string())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::local("read", path, error)),
            }
        }
        Ok(Self {
            file: user.first().cloned(),
            ..Self::from(Source::Files(Arc::new(Mutex::new(known))))
        })
    }

    /// Trusts what the user's and the system's known_hosts files list, where OpenSSH keeps them.
    ///
    /// # Errors
    /// There is no home directory, or a file exists and cannot be read.
    pub fn default_files() -> Result<Self, Error> {
        let ssh = super::auth::user_directory()?;
        Self::files(
            &[ssh.join("known_hosts"), ssh.join("known_hosts2")],
            &["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()],
        )
    }

    /// The lines of the files that are not in order, each with its file, its number and what is
    /// wrong with it. They count for nothing, so that a host which only they list is unknown:
    /// whoever is shown this should be told.
    #[must_use]
    pub fn skipped_lines(&self) -> Vec<SkippedLine> {
        match &self.source {
            Source::Files(known) => lock(known).skipped().to_vec(),
            Source::Exactly(_) | Source::Anything => Vec::new(),
        }
    }

    /// Trusts exactly this key, whatever the host is called.
    ///
    /// ```
    /// use chiton::{HostKeys, keys::PublicKey};
    ///
    /// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbQgiXeOKv0+3NSa381PU5kJqlcmoh+sLz53U9s8pu9";
    /// let (key, _comment) = PublicKey::from_openssh(line)?;
    /// let policy = HostKeys::exactly(key);
    /// # Ok::<(), chiton::keys::KeyError>(())
    /// ```
    pub fn exactly(key: PublicKey) -> Self {
        Self::from(Source::Exactly(Arc::new(key)))
    }

    pub(in crate::client) const fn anything() -> Self {
        Self::from(Source::Anything)
    }

    /// Refuses unknown hosts. This is the default.
    pub fn strict(mut self) -> Self {
        self.unknown = Unknown::Refuse;
        self
    }

    /// Accepts unknown hosts and remembers them: trust on first use.
    ///
    /// A host is not new if keys of it are known, of a type that it was asked for, and it shows
    /// one of another type instead: that is how somebody in between would get around the check.
    pub fn accept_new(mut self) -> Self {
        self.unknown = Unknown::Remember;
        self
    }

    /// Asks about unknown hosts. The callback runs on a thread where it may block.
    pub fn ask(
        mut self,
        ask: impl Fn(&UnknownHost) -> HostKeyAnswer + Send + Sync + 'static,
    ) -> Self {
        self.unknown = Unknown::Ask(Arc::new(ask));
        self
    }

    /// Accepts unknown hosts without remembering them, and tells of each.
    pub fn warn(mut self, warn: impl Fn(&UnknownHost) + Send + Sync + 'static) -> Self {
        self.unknown = Unknown::Warn(Arc::new(warn));
        self
    }

    /// Is told of each new key that is remembered, and whether it could be written. With it, a file
    /// that cannot be written is no error: the connection goes on, and the host will be unknown
    /// again the next time.
    pub fn on_remember(
        mut self,
        tell: impl Fn(&UnknownHost, Remembered<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.on_remember = Some(Arc::new(tell));
        self
    }

    /// Writes host names hashed when keys are added, so that the file does not tell where its
    /// owner goes.
    pub const fn hashed(mut self, hashed: bool) -> Self {
        self.hashed = hashed;
        self
    }

    /// Asks the DNS about hosts that no file knows (RFC 4255): a host whose key has the fingerprint
    /// that a record says is trusted, one whose key has another is refused.
    ///
    /// `records` is given the name of the host and gives the data of its SSHFP records. **It must
    /// give none that DNSSEC has not validated**: whoever can forge an answer could be the host. It
    /// runs on a thread where it may block.
    pub fn sshfp(
        mut self,
        records: impl Fn(&str) -> Vec<SshfpRecord> + Send + Sync + 'static,
    ) -> Self {
        self.dns = Some(Arc::new(records));
        self
    }

    /// The types of the keys that are known for a host. Asking for these first keeps a server
    /// that has several keys from looking as if its key had changed.
    pub(in crate::client) fn known_types(&self, host: &HostName) -> Vec<KeyType> {
        match &self.source {
            Source::Files(known) => lock(known).algorithms_for(host),
            Source::Exactly(key) => vec![key.key_type()],
            Source::Anything => Vec::new(),
        }
    }

    /// Believes only certificates that an authority has signed with one of these algorithms
    /// (OpenSSH's `CASignatureAlgorithms`). Unless said, all are believed that are not weak.
    pub fn ca_signature_algorithms(mut self, algorithms: &[SignatureAlgorithm]) -> Self {
        self.authorities = Some(algorithms.into());
        self
    }

    /// Whether an authority is known that could have certified the host's key.
    pub(in crate::client) fn knows_authority(&self, host: &HostName) -> bool {
        match &self.source {
            Source::Files(known) => lock(known).has_authority_for(host),
            Source::Exactly(_) | Source::Anything => false,
        }
    }

    /// Decides about a key that the host proved to hold, which may come with a certificate. `asked`
    /// are the types of keys that it was asked for in the first place because they are known. May
    /// block.
    ///
    /// A certificate that proves nothing here leaves the key in it, which is then judged as any
    /// other (`PROTOCOL.certkeys`).
    pub(in crate::client) fn check(
        &self,
        host: &HostName,
        identity: &Identity,
        asked: &[KeyType],
    ) -> Result<(), Error> {
        let Some(uncertified) = self.check_certificate(host, identity)? else { return Ok(()) };
        let key = identity.key();
        match self.check_key(host, key, asked) {
            Err(Error::HostKey(error)) if matches!(error.reason, HostKeyReason::Unknown { .. }) => {
                match uncertified {
                    Uncertified::Because(error) => {
                        refusal(host, key, HostKeyReason::NotCertified { error })
                    }
                    Uncertified::NoCertificate => Err(Error::HostKey(error)),
                }
            }
            verdict => verdict,
        }
    }

    /// Nothing if a certificate shows that the key is the host's.
    fn check_certificate(
        &self,
        host: &HostName,
        identity: &Identity,
    ) -> Result<Option<Uncertified>, Error> {
        let (Some(certificate), Source::Files(hosts)) = (identity.certificate(), &self.source)
        else {
            return Ok(Some(Uncertified::NoCertificate));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |elapsed| elapsed.as_secs());
        let is_acceptable = |algorithm: SignatureAlgorithm| {
            self.authorities.as_ref().is_none_or(|allowed| allowed.contains(&algorithm))
        };
        match lock(hosts).lookup_certificate_with(host, certificate, now, is_acceptable) {
            CertificateVerdict::Certified { .. } => Ok(None),
            CertificateVerdict::NotCertified(error) => Ok(Some(Uncertified::Because(error))),
            CertificateVerdict::Revoked { source, line } => {
                let at = format!("{source}:{line}");
                refusal(host, identity.key(), HostKeyReason::Revoked { at }).map(|()| None)
            }
        }
    }

    fn check_key(&self, host: &HostName, key: &PublicKey, asked: &[KeyType]) -> Result<(), Error> {
        let refuse = |reason| refusal(host, key, reason);
        let hosts = match &self.source {
            Source::Anything => return Ok(()),
            Source::Exactly(expected) if **expected == *key => return Ok(()),
            Source::Exactly(expected) => {
                let expected = expected.fingerprint();
                return refuse(HostKeyReason::Unexpected { expected });
            }
            Source::Files(hosts) => hosts,
        };
        let verdict = lock(hosts).lookup(host, key);
        let (known_types, instead_of) = match verdict {
            Verdict::Known => return Ok(()),
            Verdict::Revoked { source, line } => {
                return refuse(HostKeyReason::Revoked { at: format!("{source}:{line}") });
            }
            Verdict::Changed { known } => return refuse(changed(&known)),
            Verdict::OtherTypes { known } => (lock(hosts).algorithms_for(host), known),
            Verdict::Unknown => (Vec::new(), Vec::new()),
        };
        if let Some(dns) = &self.dns {
            match SshfpRecord::compare(&dns(host.host()), key) {
                // What the files know of a host counts more than what the DNS says of it.
                SshfpVerdict::Matches if instead_of.is_empty() => return Ok(()),
                SshfpVerdict::Matches | SshfpVerdict::Silent => {}
                SshfpVerdict::Differs => return refuse(HostKeyReason::DnsDiffers),
            }
        }
        let shown_instead = known_types.iter().any(|known| asked.contains(known));
        let unknown = UnknownHost {
            host: host.to_string(),
            key: key.clone(),
            fingerprint: key.fingerprint(),
            known_types,
        };
        match &self.unknown {
            Unknown::Refuse => refuse(HostKeyReason::Unknown { file: self.file.clone() }),
            Unknown::Remember | Unknown::Warn(_) if shown_instead => refuse(changed(&instead_of)),
            Unknown::Remember => self.remember(hosts, host, &unknown),
            Unknown::Warn(warn) => {
                warn(&unknown);
                Ok(())
            }
            // A person sees which types are known, and decides.
            Unknown::Ask(ask) => match ask(&unknown) {
                HostKeyAnswer::Accept => Ok(()),
                HostKeyAnswer::AcceptAndRemember => self.remember(hosts, host, &unknown),
                HostKeyAnswer::Refuse => refuse(HostKeyReason::Refused),
            },
        }
    }

    /// Adds the key to what is known here, and a line to the file. Two connections to a new host
    /// at the same time may both come here: the second has to show the key of the first.
    fn remember(
        &self,
        hosts: &Mutex<KnownHosts>,
        host: &HostName,
        unknown: &UnknownHost,
    ) -> Result<(), Error> {
        let key = &unknown.key;
        let mut known = lock(hosts);
        match known.lookup(host, key) {
            Verdict::Known => return Ok(()),
            Verdict::Changed { known } => return refusal(host, key, changed(&known)),
            _ => {}
        }
        let mut rng = SystemRng;
        let line =
            known_hosts::entry_line(host, key, if self.hashed { Some(&mut rng) } else { None });
        let written = self.file.as_deref().map(|path| append(path, &line).map(|()| path));
        let (source, remembered) = match &written {
            Some(Ok(path)) => {
                (format!("{} (just added)", path.display()), Remembered::InFile(path))
            }
            Some(Err(error)) if self.on_remember.is_none() => return Err(error.clone()),
            Some(Err(error)) => (ACCEPTED.to_owned(), Remembered::NotWritten(error)),
            None => (ACCEPTED.to_owned(), Remembered::InMemory),
        };
        known.extend(KnownHosts::parse(line.as_bytes(), &source));
        // Whoever is told may ask this policy something.
        drop(known);
        if let Some(tell) = &self.on_remember {
            tell(unknown, remembered);
        }
        Ok(())
    }
}

/// Why a key has to be known by itself.
enum Uncertified {
    /// It comes without a certificate.
    NoCertificate,
    /// Its certificate proves nothing here.
    Because(CertificateError),
}

/// Where a key stands that no file has.
const ACCEPTED: &str = "what was accepted before";

/// The state of a policy is whole after every step, also one that panicked.
fn lock(hosts: &Mutex<KnownHosts>) -> MutexGuard<'_, KnownHosts> {
    hosts.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal(host: &HostName, key: &PublicKey, reason: HostKeyReason) -> Result<(), Error> {
    Err(Error::HostKey(Box::new(HostKeyError {
        host: host.to_string(),
        key_type: key.key_type().name(),
        fingerprint: key.fingerprint(),
        reason,
    })))
}

fn changed(known: &[KnownKey]) -> HostKeyReason {
    let place = |known: &KnownKey| format!("{}:{}", known.source, known.line);
    HostKeyReason::Changed { known: known.iter().map(place).collect() }
}

impl fmt::Debug for HostKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Files(_) => "files",
            Source::Exactly(_) => "exactly one key",
            Source::Anything => "anything",
        };
        let unknown = match &self.unknown {
            Unknown::Refuse => "refuse",
            Unknown::Remember => "accept and remember",
            Unknown::Ask(_) => "ask",
            Unknown::Warn(_) => "warn",
        };
        f.debug_struct("HostKeys")
            .field("source", &source)
            .field("unknown", &unknown)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
