//! Runs the rows: clients in turn, again and again, each run from a clean slate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::failure::{Done, Failure};
use crate::link::{self, Shape};
use crate::measure::{self, Sample, Until};
use crate::peers::{self, CHITON, Folders, Peer};
use crate::results::{Entry, Outcome, RowResult};
use crate::rows::{AES128_GCM, REKEY, Row, Task, Who};
use crate::server::{Kind, Server};
use crate::site::{Site, Sizes, stdout};
use crate::work::{Place, Work};

/// Who needs longer for two runs is not run again.
const LONG: f64 = 3.0;

/// Everything that the rows share.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) site: Site,
    pub(crate) sizes: Sizes,
    pub(crate) folders: Folders,
    pub(crate) runs: u32,
    pub(crate) peers: Vec<Peer>,
    servers: Vec<(Server, Option<u16>)>,
}

/// One line of a row.
struct Contestant<'a> {
    label: String,
    peer: &'a Peer,
    rekey: Option<u64>,
    server: usize,
    port: u16,
    samples: Vec<Sample>,
    failed: Option<String>,
}

impl Bench {
    pub(crate) const fn new(
        site: Site,
        sizes: Sizes,
        folders: Folders,
        runs: u32,
        peers: Vec<Peer>,
    ) -> Self {
        Self { site, sizes, folders, runs, peers, servers: Vec::new() }
    }

    /// The server of this kind, started where it is not running yet.
    fn server(&mut self, kind: Kind) -> Done<usize> {
        if let Some(at) = self.servers.iter().position(|(server, _)| server.kind == kind) {
            return Ok(at);
        }
        self.servers.push((Server::start(kind, &self.site)?, None));
        Ok(self.servers.len() - 1)
    }

    /// The server of `row` for `peer`.
    fn server_for(&mut self, row: &Row, peer: &str) -> Done<usize> {
        let kind = match (row.who, peer) {
            (Who::Itself, CHITON) => {
                Kind::Chiton { program: self.folders.target.join("release/chiton") }
            }
            (Who::Itself, peer) => {
                let root = peers::openssh_root(peer, &self.folders);
                Kind::OpenSsh { root, cipher: row.cipher }
            }
            _ => {
                let root = peers::openssh_root("openssh-9.2", &self.folders);
                Kind::OpenSsh { root, cipher: row.cipher }
            }
        };
        self.server(kind)
    }

    /// The port to connect to.
    fn port(&mut self, server: usize, far: bool) -> Done<u16> {
        let Some((server, link)) = self.servers.get_mut(server) else {
            return Err(Failure::new("no server"));
        };
        match (far, &link) {
            (false, _) => Ok(server.port),
            (true, Some(port)) => Ok(*port),
            (true, None) => {
                let port = link::lay(server.port, Shape::LONG)?;
                *link = Some(port);
                Ok(port)
            }
        }
    }

    /// Runs a row.
    pub(crate) fn row(&mut self, row: &Row) -> Done<RowResult> {
        let peers = self.peers.clone();
        let mut contestants = Vec::new();
        for peer in peers.iter().filter(|peer| row.admits(peer.name)) {
            let mut add = |label: String, rekey, server| {
                let (samples, failed) = (Vec::new(), None);
                contestants.push(Contestant {
                    label,
                    peer,
                    rekey,
                    server,
                    port: 0,
                    samples,
                    failed,
                });
            };
            let server = self.server_for(row, peer.name)?;
            add(peer.name.to_owned(), None, server);
            if row.who == Who::Rekeying {
                add(format!("{}, rekeying", peer.name), Some(REKEY), server);
            }
        }
        for contestant in &mut contestants {
            contestant.port = self.port(contestant.server, row.far)?;
        }
        let (mut waiting, mut contestants): (Vec<_>, Vec<_>) =
            contestants.into_iter().partition(|contestant| row.waits(contestant.peer.name));
        for run in 0..self.runs {
            for contestant in &mut contestants {
                let slow = contestant.is_slow();
                if !slow && contestant.failed.is_none() {
                    let done = self.run(row, contestant, run == 0, true);
                    contestant.take(row, done);
                }
            }
        }
        thread::scope(|scope| {
            for contestant in &mut waiting {
                scope.spawn(|| {
                    let done = self.run(row, contestant, true, false);
                    contestant.take(row, done);
                });
            }
        });
        contestants.extend(waiting);
        let entries = contestants
            .into_iter()
            .map(|contestant| Entry {
                label: contestant.label,
                peer: contestant.peer.name,
                outcome: match contestant.failed {
                    Some(why) => Outcome::Unable(why),
                    None => Outcome::Ran(contestant.samples),
                },
            })
            .collect();
        Ok(RowResult { row: row.clone(), entries })
    }

    /// One run; `alone` if there is no other client at the same time.
    fn run(
        &self,
        row: &Row,
        contestant: &Contestant<'_>,
        first: bool,
        alone: bool,
    ) -> Done<Sample> {
        let Some((server, _)) = self.servers.get(contestant.server) else {
            return Err(Failure::new("no server"));
        };
        let port = contestant.port;
        let folder = |parent: PathBuf| -> Done<PathBuf> {
            let folder = parent.join(contestant.label.replace(", ", "-"));
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(Failure::file(&folder))?;
            }
            fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
            Ok(folder)
        };
        let (work_folder, scratch) = (folder(self.site.work())?, folder(self.site.scratch())?);
        let known_hosts = scratch.join("known_hosts");
        fs::write(&known_hosts, self.site.known_hosts_line(port)?)
            .map_err(Failure::file(&known_hosts))?;
        let place = Place {
            port,
            user: self.site.user.clone(),
            key: self.site.user_key(),
            known_hosts,
            cipher: (row.who == Who::Itself).then_some(AES128_GCM),
            rekey: contestant.rekey,
            scratch: scratch.clone(),
        };
        let work = row.work(&self.site, &self.sizes, &work_folder);
        let remote = |path: &Path| server.path(path, &self.site);
        let invocation = contestant.peer.invocation(&work, &place, &remote)?;
        let until = match row.task {
            Task::FirstByte => Until::FirstByte,
            Task::Idle => Until::Figure,
            _ => Until::Exit,
        };
        let sample = measure::run(&invocation, until, alone.then_some(server), &scratch)?;
        arrived(&work, first)?;
        fs::remove_dir_all(&work_folder).map_err(Failure::file(&work_folder))?;
        Ok(sample)
    }
}

impl Contestant<'_> {
    /// Whether more runs are not worth their time. One long run may be the machine's fault.
    fn is_slow(&self) -> bool {
        self.samples.len() > 1 && self.samples.iter().all(|sample| sample.wall > LONG)
    }

    /// Notes how a run went, and says it.
    fn take(&mut self, row: &Row, done: Done<Sample>) {
        match done {
            Ok(sample) => {
                eprintln!(
                    "bench: {}: {}: {:.3} s, CPU {:.2} s, {:.1} MiB",
                    row.id,
                    self.label,
                    sample.wall,
                    sample.client_cpu,
                    sample.peak / 1024.0
                );
                self.samples.push(sample);
            }
            Err(failure) => {
                eprintln!("bench: {}: {}: {failure}", row.id, self.label);
                self.failed = Some(failure.to_string());
            }
        }
    }
}

/// Checks that what was moved is there: all of it, and at the first run byte for byte.
fn arrived(work: &Work, first: bool) -> Done {
    let (from, to, many) = match work {
        Work::Get { remote: from, local: to } | Work::Put { local: from, remote: to } => {
            (from, to, false)
        }
        Work::GetMany { remote: from, local: to } | Work::PutMany { local: from, remote: to } => {
            (from, to, true)
        }
        _ => return Ok(()),
    };
    let size = |path: &Path| -> Done<u64> {
        if many {
            let entries = fs::read_dir(path).map_err(Failure::file(path))?;
            return Ok(entries
                .flatten()
                .filter_map(|entry| entry.metadata().ok())
                .map(|metadata| metadata.len())
                .sum());
        }
        fs::metadata(path).map(|metadata| metadata.len()).map_err(Failure::file(path))
    };
    let (should, is) = (size(from)?, size(to)?);
    if should != is {
        return Err(Failure::new(format!("{is} bytes arrived instead of {should}")));
    }
    if first {
        stdout(Command::new("diff").args(["-r", "-q"]).arg(from).arg(to))?;
    }
    Ok(())
}
