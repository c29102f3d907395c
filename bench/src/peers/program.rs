//! Clients with the command line of OpenSSH's `ssh` and `sftp`: OpenSSH's own, and ours.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Folders, Kind};
use crate::failure::{Done, Failure};
use crate::measure::Invocation;
use crate::site::text;
use crate::work::{Place, Work};

/// The programs.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// What runs a command on a server, with the arguments that always come first.
    pub(super) ssh: Vec<String>,
    /// What moves files.
    pub(super) sftp: Vec<String>,
    /// Whether it shares a connection between processes (ControlMaster).
    pub(super) shares: bool,
}

pub(super) fn chiton(folders: &Folders) -> Done<(String, Kind)> {
    let program = folders.target.join("release/chiton");
    let version = crate::site::stdout(std::process::Command::new(&program).arg("--version"))?;
    let program = text(&program)?;
    let (ssh, sftp) = (vec![program.clone(), "ssh".into()], vec![program, "sftp".into()]);
    Ok((version.trim().to_owned(), Kind::Program(Program { ssh, sftp, shares: false })))
}

impl Program {
    pub(super) fn invocation(
        &self,
        work: &Work,
        place: &Place,
        remote: &dyn Fn(&Path) -> Done<String>,
    ) -> Done<Invocation> {
        match work {
            Work::Get { remote: from, local } => {
                self.batch(place, &format!("get {} {}", remote(from)?, text(local)?))
            }
            Work::Put { local, remote: to } => {
                self.batch(place, &format!("put {} {}", text(local)?, remote(to)?))
            }
            Work::GetMany { remote: from, local } => {
                self.batch(place, &format!("get -r {} {}", remote(from)?, text(local)?))
            }
            Work::PutMany { local, remote: to } => {
                self.batch(place, &format!("put -r {} {}", text(local)?, remote(to)?))
            }
            Work::ExecOut { file } => self.command(place, &[], &format!("cat {}", text(file)?)),
            Work::ExecIn { file } => {
                let mut invocation = self.command(place, &[], "cat >/dev/null")?;
                invocation.stdin = Some(file.clone());
                Ok(invocation)
            }
            Work::FirstByte => self.command(place, &[], "echo x"),
            Work::Fresh { times } => {
                let script =
                    format!("i=0; while [ $i -lt {times} ]; do \"$@\" || exit 1; i=$((i+1)); done");
                Ok(shell(&script, self.command(place, &[], "true")?))
            }
            Work::Sequential { times } => self.shared(
                place,
                &format!(
                    "i=0; while [ $i -lt {times} ]; do \"$@\" true || exit 1; i=$((i+1)); done"
                ),
            ),
            Work::AtOnce { times } => self.shared(
                place,
                &format!(
                    "jobs=; i=0; while [ $i -lt {times} ]; do \"$@\" true & jobs=\"$jobs $!\"; \
                     i=$((i+1)); done; for job in $jobs; do wait $job || exit 1; done"
                ),
            ),
            Work::Idle { .. } => Err(Failure::new("one process holds one connection")),
        }
    }

    fn options(place: &Place, port: &str) -> Done<Vec<String>> {
        let mut options: Vec<String> = ["-F", "none", port].map(str::to_owned).to_vec();
        options.extend([place.port.to_string(), "-i".into(), text(&place.key)?]);
        let mut option = |value: String| options.extend(["-o".to_owned(), value]);
        option("BatchMode=yes".into());
        option("IdentitiesOnly=yes".into());
        option(format!("UserKnownHostsFile={}", text(&place.known_hosts)?));
        option("GlobalKnownHostsFile=/dev/null".into());
        if let Some(cipher) = place.cipher {
            option(format!("Ciphers={cipher}"));
        }
        if let Some(bytes) = place.rekey {
            option(format!("RekeyLimit={bytes}"));
        }
        Ok(options)
    }

    fn command(&self, place: &Place, more: &[&str], command: &str) -> Done<Invocation> {
        let mut words = self.ssh.clone();
        words.extend(Self::options(place, "-p")?);
        words.extend(more.iter().map(|&word| word.to_owned()));
        words.push(format!("{}@127.0.0.1", place.user));
        if !command.is_empty() {
            words.push(command.to_owned());
        }
        Ok(Invocation::new(words))
    }

    fn batch(&self, place: &Place, line: &str) -> Done<Invocation> {
        let path = place.scratch.join("batch");
        fs::write(&path, format!("{line}\n")).map_err(Failure::file(&path))?;
        let mut words = self.sftp.clone();
        words.extend(["-b".to_owned(), text(&path)?]);
        words.extend(Self::options(place, "-P")?);
        words.push(format!("{}@127.0.0.1", place.user));
        Ok(Invocation::new(words))
    }

    /// Runs `script` with a master that holds the connection; `"$@"` is the client that uses it.
    fn shared(&self, place: &Place, script: &str) -> Done<Invocation> {
        if !self.shares {
            return Err(Failure::new("a process for each command; see chiton-lib"));
        }
        let socket = text(&place.scratch.join("control"))?;
        let master = self.command(place, &["-M", "-N", "-S", &socket], "")?;
        let master: Vec<String> =
            master.command.iter().map(|word| format!("'{}'", word.display())).collect();
        let script = format!(
            "{} & master=$!\nwhile [ ! -S '{socket}' ]; do sleep 0.005; done\n{script}\nkill \
             $master; wait $master; exit 0",
            master.join(" ")
        );
        Ok(shell(&script, self.command(place, &["-S", &socket], "")?))
    }
}

/// `script` in a shell, with the command as its arguments.
fn shell(script: &str, invocation: Invocation) -> Invocation {
    let mut words: Vec<OsString> = ["sh", "-c", script, "bench"].map(Into::into).to_vec();
    words.extend(invocation.command);
    Invocation { command: words, ..invocation }
}

/// OpenSSH in `root`.
pub(super) fn openssh(root: &Path) -> Done<Program> {
    let program = |name: &str| -> Done<PathBuf> {
        let path = root.join("usr/bin").join(name);
        if path.exists() {
            Ok(path)
        } else {
            Err(Failure::new(format!("{} is not there", path.display())))
        }
    };
    let ssh = text(&program("ssh")?)?;
    let sftp = vec![text(&program("sftp")?)?, "-S".into(), ssh.clone()];
    Ok(Program { ssh: vec![ssh], sftp, shares: true })
}
