//! Learning the other keys of a host that is known: `UpdateHostKeys` of OpenSSH.

use std::sync::Arc;

use ssh_crypto::rng::SystemRng;
use ssh_keys::{
    PublicKey,
    known_hosts::{self, Document, HostName, KnownHosts, LineMarker, Verdict},
};

use super::{HostKeys, MAX_KNOWN_HOSTS, Source, file::replace, lock, read_bounded};
use crate::error::Error;

impl HostKeys {
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
    pub(in crate::client) const fn learns(&self) -> bool {
        self.learn.is_some() && self.file.is_some() && matches!(self.source, Source::Files(_))
    }

    /// Of the keys that a host has named, those that it has to prove; `None` if there is nothing to
    /// be done, or nothing may be done. May block on the disk.
    pub(in crate::client) fn keys_to_learn(
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
    pub(in crate::client) fn learn(
        &self,
        host: &HostName,
        named: &[PublicKey],
    ) -> Result<(), Error> {
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
}

/// True for a line that is about one host by its name, which may be hashed.
fn has_one_name(line: &[u8]) -> bool {
    let hosts = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty());
    !hosts.unwrap_or_default().iter().any(|byte| b",*?!".contains(byte))
}
