//! Which host keys to trust.

use std::{
    fmt, fs,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use ssh_crypto::rng::SystemRng;
use ssh_keys::{
    Fingerprint, Identity, KeyType, PublicKey, SignatureAlgorithm,
    certificate::CertificateError,
    known_hosts::{
        self, CertificateVerdict, Document, HostName, KnownHosts, KnownKey, LineMarker, Verdict,
    },
    sshfp::{SshfpRecord, SshfpVerdict},
};

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

    /// Trusts exactly this key, whatever the host is called.
    pub fn exactly(key: PublicKey) -> Self {
        Self::from(Source::Exactly(Arc::new(key)))
    }

    pub(super) const fn anything() -> Self {
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

    /// Learns the other keys of a host that one has logged in to, as OpenSSH's `UpdateHostKeys`:
    /// the host names all its keys and proves that it holds those that the file does not have; they
    /// are added to the first of the user's files, and those that it does not name any more are
    /// removed from it. So a host can change its keys without anybody being asked.
    ///
    /// `allow` is shown the host and the keys that it adds, and may say no; it runs on a thread
    /// where it may block. The file stays as it is unless the host was known by a line with its
    /// name alone, and if it has an authority or a revoked key.
    pub fn learn_keys(
        mut self,
        allow: impl Fn(&str, &[PublicKey]) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.learn = Some(Arc::new(allow));
        self
    }

    /// Whether other keys of hosts are to be learned.
    pub(super) const fn learns(&self) -> bool {
        self.learn.is_some() && self.file.is_some() && matches!(self.source, Source::Files(_))
    }

    /// Of the keys that a host has named, those that it has to prove; `None` if there is nothing to
    /// be done, or nothing may be done. May block on the disk.
    pub(super) fn keys_to_learn(
        &self,
        host: &HostName,
        known_by: &PublicKey,
        named: &[PublicKey],
    ) -> Option<Vec<PublicKey>> {
        let text = read_bounded(self.file.as_deref()?, MAX_KNOWN_HOSTS).ok()?;
        let document = Document::parse(&text);
        let mut known = Vec::new();
        for line in document.find(host) {
            if line.marker != LineMarker::HostKey || !has_one_name(line.text) {
                return None;
            }
            // A key of a type that is not known here would be lost.
            known.push(line.key()?);
        }
        let unknown: Vec<PublicKey> =
            named.iter().filter(|key| !known.contains(key)).cloned().collect();
        let is_revoked = |key: &PublicKey| {
            let Source::Files(hosts) = &self.source else { return true };
            matches!(lock(hosts).lookup(host, key), Verdict::Revoked { .. })
        };
        let nothing_new = unknown.is_empty() && known.iter().all(|key| named.contains(key));
        if nothing_new || !known.contains(known_by) || named.iter().any(is_revoked) {
            return None;
        }
        let allow = self.learn.as_ref()?;
        allow(&host.to_string(), &unknown).then_some(unknown)
    }

    /// Makes the file have the keys that a host has named and proved, and no others of it. May
    /// block on the disk.
    pub(super) fn learn(&self, host: &HostName, named: &[PublicKey]) -> Result<(), Error> {
        let (Some(path), Source::Files(hosts)) = (self.file.as_deref(), &self.source) else {
            return Ok(());
        };
        let text = read_bounded(path, MAX_KNOWN_HOSTS);
        let text = text.map_err(|error| Error::local("read", path, error))?;
        let mut document = Document::parse(&text);
        document.remove_if(host, |key| !named.contains(key));
        let known: Vec<PublicKey> = document.find(host).filter_map(|line| line.key()).collect();
        let mut added = String::new();
        for key in named.iter().filter(|key| !known.contains(key)) {
            let mut rng = SystemRng;
            document.add(host, key, if self.hashed { Some(&mut rng) } else { None });
            added.push_str(&known_hosts::entry_line(host, key, None));
        }
        replace(path, &document.to_bytes()).map_err(|error| Error::local("write", path, error))?;
        lock(hosts).extend(KnownHosts::parse(added.as_bytes(), &path.display().to_string()));
        Ok(())
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
    pub(super) fn known_types(&self, host: &HostName) -> Vec<KeyType> {
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
    pub(super) fn knows_authority(&self, host: &HostName) -> bool {
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
    pub(super) fn check(
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
                let known = vec![format!("the expected key {}", expected.fingerprint())];
                return refuse(HostKeyReason::Changed { known });
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

/// Adds a line to a file. One write in append mode: another program that does the same at the same
/// time cannot tear it.
fn append(path: &Path, line: &str) -> Result<(), Error> {
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        create_private_dir(directory)
            .map_err(|error| Error::local("create the directory", directory, error))?;
    }
    let append = || {
        let mut file = fs::OpenOptions::new().append(true).create(true).read(true).open(path)?;
        let separator = if ends_with_newline(&mut file)? { "" } else { "\n" };
        file.write_all(format!("{separator}{line}").as_bytes())
    };
    append().map_err(|error| Error::local("add the host key to", path, error))
}

/// True for a line that is about one host by its name, which may be hashed.
fn has_one_name(line: &[u8]) -> bool {
    let hosts = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty());
    !hosts.unwrap_or_default().iter().any(|byte| b",*?!".contains(byte))
}

/// Puts a new file in the place of one: whatever happens, there is one of the two.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text)?;
    file.as_file().set_permissions(fs::metadata(path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A missing newline at the end would glue two entries together.
fn ends_with_newline(file: &mut fs::File) -> io::Result<bool> {
    // Devices have no length, and no end to look at.
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
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
mod tests {
    use super::*;
    use ssh_crypto::rng::SeededRng;
    use ssh_keys::{
        PrivateKey, SignatureAlgorithm,
        certificate::{CertificateRequest, Role},
        sshfp::SshfpHash,
    };

    fn key(seed: u64) -> PublicKey {
        PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(seed)).unwrap().public().clone()
    }

    fn file(lines: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        fs::write(&path, lines).unwrap();
        (dir, path)
    }

    fn check(policy: &HostKeys, host: &HostName, key: &PublicKey) -> Result<(), Error> {
        policy.check(host, &Identity::Key(key.clone()), &[])
    }

    fn certificate(principal: &str) -> Identity {
        let mut rng = SeededRng::new(20);
        let authority = PrivateKey::generate(KeyType::Ed25519, &mut rng).unwrap();
        let request = CertificateRequest::new(key(1), Role::Host, "id", principal);
        let algorithm = authority.algorithms()[0];
        Identity::Certificate(request.issue(&authority, algorithm, &mut rng).unwrap())
    }

    #[test]
    fn an_authority_vouches_for_its_hosts_under_every_policy() {
        let (good, bad) = (certificate("*.example.org"), certificate("*.example.com"));
        let authority = good.certificate().unwrap().authority().to_openssh("");
        let (_dir, path) = file(&format!("@cert-authority *.example.org {authority}\n"));
        let host = HostName::new("a.example.org", 22).unwrap();
        for policy in policies(&path) {
            policy.check(&host, &good, &[]).unwrap();
        }
        let strict = HostKeys::known_hosts(&path).unwrap();
        let reason = reason(strict.check(&host, &bad, &[]));
        assert!(matches!(
            reason,
            HostKeyReason::NotCertified { error: CertificateError::WrongPrincipal { .. } }
        ));
        let elsewhere = HostName::new("a.example.net", 22).unwrap();
        assert!(strict.check(&elsewhere, &good, &[]).is_err());
        // A key that is known needs no certificate, and one that is revoked is refused with it.
        let line = known_hosts::entry_line(&host, &key(1), None);
        let (_dir, known) = file(&line);
        HostKeys::known_hosts(&known).unwrap().check(&host, &bad, &[]).unwrap();
        let revoked = format!("@cert-authority * {authority}\n@revoked * {authority}\n{line}");
        let (_dir, revoked) = file(&revoked);
        for policy in policies(&revoked) {
            let result = policy.check(&host, &good, &[]);
            assert!(
                matches!(result, Err(Error::HostKey(error)) if matches!(error.reason, HostKeyReason::Revoked { .. }))
            );
        }
    }

    #[test]
    fn the_dns_vouches_for_hosts_that_no_file_knows() {
        let host = HostName::new("h", 2222).unwrap();
        let record = |seed| SshfpRecord::of(&key(seed), SshfpHash::Sha256).unwrap();
        let with = |path: &Path, seed: Option<u64>| {
            HostKeys::known_hosts(path).unwrap().sshfp(move |name| {
                assert_eq!(name, "h");
                seed.map(record).into_iter().collect()
            })
        };
        let (_dir, empty) = file("");
        check(&with(&empty, Some(1)), &host, &key(1)).unwrap();
        let differs = reason(check(&with(&empty, Some(2)).accept_new(), &host, &key(1)));
        assert!(matches!(differs, HostKeyReason::DnsDiffers));
        let silent = reason(check(&with(&empty, None), &host, &key(1)));
        assert!(matches!(silent, HostKeyReason::Unknown { .. }));
        // The DNS does not excuse a key that has changed.
        let (_dir, known) = file(&known_hosts::entry_line(&host, &key(3), None));
        let changed = reason(check(&with(&known, Some(1)), &host, &key(1)));
        assert!(matches!(changed, HostKeyReason::Changed { .. }));
    }

    fn reason(result: Result<(), Error>) -> HostKeyReason {
        match result {
            Err(Error::HostKey(error)) => error.reason,
            other => panic!("{other:?}"),
        }
    }

    /// Every policy but the insecure one, all of them as willing as they can be.
    fn policies(path: &Path) -> Vec<HostKeys> {
        let from = || HostKeys::known_hosts(path).unwrap();
        vec![
            from(),
            from().strict(),
            from().accept_new(),
            from().ask(|_| HostKeyAnswer::AcceptAndRemember),
            from().warn(|_| {}),
        ]
    }

    #[test]
    fn a_certificate_counts_if_its_authority_is_known_for_the_host() {
        let mut rng = SystemRng;
        let mut key = || PrivateKey::generate(KeyType::Ed25519, &mut rng).unwrap();
        let (authority, other, key) = (key(), key(), key());
        let certificate = |principal| {
            CertificateRequest::new(key.public().clone(), Role::Host, "id", principal)
                .issue(&authority, SignatureAlgorithm::Ed25519, &mut SystemRng)
                .unwrap()
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let policy = |lines: &str| {
            fs::write(&path, lines).unwrap();
            HostKeys::known_hosts(&path).unwrap()
        };
        let host = HostName::new("h.test", 22).unwrap();
        let line = |marker: &str, key: &PrivateKey| {
            format!("{marker} *.test {}\n", key.public().to_openssh(""))
        };
        let check = |policy: &HostKeys, principal| {
            policy.check(&host, &Identity::Certificate(certificate(principal)), &[])
        };
        let known = policy(&line("@cert-authority", &authority));
        assert!(known.knows_authority(&host));
        assert!(check(&known, "h.test").is_ok());
        assert!(check(&known, "*.test").is_ok());
        // For another host, or by an authority that is not known: a key that nobody knows.
        let unknown = |result| matches!(reason(result), HostKeyReason::NotCertified { .. });
        assert!(unknown(check(&known, "other.test")));
        let stranger = policy(&line("@cert-authority", &other));
        assert!(unknown(check(&stranger, "h.test")));
        // A key that is known is good without its certificate.
        let plain = policy(&format!("h.test {}\n", key.public().to_openssh("")));
        assert!(!plain.knows_authority(&host));
        assert!(check(&plain, "other.test").is_ok());
        for revoked in [&authority, &key] {
            let lines = line("@cert-authority", &authority) + &line("@revoked", revoked);
            let result = check(&policy(&lines), "h.test");
            assert!(matches!(reason(result), HostKeyReason::Revoked { .. }));
        }
    }

    #[test]
    fn no_policy_accepts_a_changed_key() {
        let host = HostName::new("h", 22).unwrap();
        let (_dir, path) = file(&known_hosts::entry_line(&host, &key(1), None));
        for policy in policies(&path) {
            assert!(
                matches!(reason(check(&policy, &host, &key(2))), HostKeyReason::Changed { .. }),
                "{policy:?}"
            );
            assert!(check(&policy, &host, &key(1)).is_ok());
        }
    }

    #[test]
    fn no_policy_accepts_a_revoked_key() {
        let host = HostName::new("h", 22).unwrap();
        let line = known_hosts::entry_line(&host, &key(1), None);
        let (_dir, path) = file(&format!("{line}@revoked * {}", line.split_once(' ').unwrap().1));
        for policy in policies(&path) {
            assert!(
                matches!(reason(check(&policy, &host, &key(1))), HostKeyReason::Revoked { .. }),
                "{policy:?}"
            );
        }
    }

    #[test]
    fn accept_new_remembers_and_is_strict_from_then_on() {
        let host = HostName::new("Example.ORG", 2222).unwrap();
        let (_dir, path) = file("# no newline at the end");
        for hashed in [false, true] {
            let policy = HostKeys::known_hosts(&path).unwrap().accept_new().hashed(hashed);
            check(&policy, &host, &key(3)).unwrap();
        }
        let again = HostKeys::known_hosts(&path).unwrap();
        check(&again, &host, &key(3)).unwrap();
        assert!(matches!(reason(check(&again, &host, &key(4))), HostKeyReason::Changed { .. }));
        let other = HostName::new("example.org", 22).unwrap();
        assert!(matches!(reason(check(&again, &other, &key(3))), HostKeyReason::Unknown { .. }));
    }

    /// The same policy may serve many connections, one after the other or at once.
    #[test]
    fn what_one_connection_accepts_is_all_that_the_next_one_accepts() {
        let host = HostName::new("h", 22).unwrap();
        let (_dir, path) = file("");
        let always = |_: &UnknownHost| HostKeyAnswer::AcceptAndRemember;
        for policy in [
            HostKeys::known_hosts(&path).unwrap().accept_new(),
            HostKeys::files(&[], &[]).unwrap().accept_new(),
            HostKeys::files(&[], &[]).unwrap().ask(always),
        ] {
            let other = policy.clone();
            check(&policy, &host, &key(3)).unwrap();
            check(&other, &host, &key(3)).unwrap();
            let refused = reason(check(&other, &host, &key(4)));
            assert!(matches!(refused, HostKeyReason::Changed { .. }), "{policy:?}");
            fs::write(&path, "").unwrap();
        }
    }

    #[test]
    fn a_key_of_another_type_than_asked_for_is_not_new() {
        let host = HostName::new("h", 22).unwrap();
        let (_dir, path) = file(&known_hosts::entry_line(&host, &key(1), None));
        let ecdsa = PrivateKey::generate(KeyType::EcdsaP256, &mut SeededRng::new(1)).unwrap();
        let ecdsa = ecdsa.public();
        let asked = [KeyType::Ed25519];
        let from = || HostKeys::known_hosts(&path).unwrap();
        for policy in [from().accept_new(), from().warn(|_| {})] {
            let refused = reason(policy.check(&host, &Identity::Key(ecdsa.clone()), &asked));
            assert!(matches!(refused, HostKeyReason::Changed { .. }), "{policy:?}");
        }
        assert!(matches!(
            reason(from().check(&host, &Identity::Key(ecdsa.clone()), &asked)),
            HostKeyReason::Unknown { .. }
        ));
        // Whoever was not asked for it has not refused to show it.
        from().accept_new().check(&host, &Identity::Key(ecdsa.clone()), &[]).unwrap();
        // With a person to ask, it is for the person to say.
        fs::write(&path, known_hosts::entry_line(&host, &key(1), None)).unwrap();
        let ask = from().ask(|unknown| {
            assert_eq!(unknown.known_types, [KeyType::Ed25519]);
            HostKeyAnswer::Refuse
        });
        assert!(matches!(
            reason(ask.check(&host, &Identity::Key(ecdsa.clone()), &asked)),
            HostKeyReason::Refused
        ));
    }

    #[test]
    fn what_becomes_of_a_new_key_is_told() {
        let host = HostName::new("h", 22).unwrap();
        let (dir, path) = file("");
        let told = Arc::new(Mutex::new(Vec::new()));
        let policy = |policy: HostKeys| {
            let told = Arc::clone(&told);
            policy.accept_new().on_remember(move |unknown, remembered| {
                told.lock().unwrap().push(match remembered {
                    Remembered::InFile(path) => format!("{} in {}", unknown.host, path.display()),
                    Remembered::InMemory => "in memory".to_owned(),
                    Remembered::NotWritten(error) => error.to_string(),
                });
            })
        };
        check(&policy(HostKeys::known_hosts(&path).unwrap()), &host, &key(3)).unwrap();
        check(&policy(HostKeys::files(&[], &[]).unwrap()), &host, &key(3)).unwrap();
        // A file in the place of the directory.
        let nowhere = HostKeys::known_hosts(path.join("known_hosts"));
        assert!(nowhere.is_err(), "what cannot be read is no empty file");
        let unwritable = dir.path().join("is-a-file-later/known_hosts");
        let unwritable = HostKeys::known_hosts(unwritable).unwrap();
        fs::write(dir.path().join("is-a-file-later"), "").unwrap();
        let silent = unwritable.clone().accept_new();
        assert!(matches!(check(&silent, &host, &key(3)), Err(Error::LocalFile(_))));
        check(&policy(unwritable), &host, &key(3)).unwrap();
        let told = told.lock().unwrap();
        assert_eq!(told[..2], [format!("h in {}", path.display()), "in memory".to_owned()]);
        assert!(told[2].starts_with("cannot add the host key to "), "{told:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_end_lists_nothing() {
        let error = HostKeys::known_hosts("/dev/zero").unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
        let full = HostKeys::known_hosts("/dev/null").unwrap().accept_new();
        check(&full, &HostName::new("h", 22).unwrap(), &key(3)).unwrap();
    }

    #[test]
    fn strict_refuses_the_unknown_and_writes_nothing() {
        let (_dir, path) = file("");
        let policy = HostKeys::known_hosts(&path).unwrap();
        let result = check(&policy, &HostName::new("h", 22).unwrap(), &key(5));
        assert!(matches!(reason(result), HostKeyReason::Unknown { .. }));
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_not_no_check() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(HostKeys::known_hosts(dir.path()), Err(Error::LocalFile(_))));
    }

    #[test]
    fn an_expected_key_is_the_only_one() {
        let policy = HostKeys::exactly(key(6));
        let host = HostName::new("h", 22).unwrap();
        check(&policy, &host, &key(6)).unwrap();
        assert!(check(&policy, &host, &key(7)).is_err());
    }
}
