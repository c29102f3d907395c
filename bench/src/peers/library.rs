//! Small clients on a library: ours, libssh's, russh's, AsyncSSH's and paramiko's. All take
//!
//! ```text
//! CLIENT PORT USER KEY get|put|get-many|put-many FROM TO
//! CLIENT PORT USER KEY exec-out COMMAND
//! CLIENT PORT USER KEY exec-in COMMAND FILE
//! CLIENT PORT USER KEY fresh|sequential|at-once|idle COUNT
//! CLIENT PORT USER KEY first-byte
//! ```

use std::path::Path;

use super::{Folders, Kind};
use crate::failure::{Done, Failure};
use crate::measure::Invocation;
use crate::site::text;
use crate::work::{Place, Work};

/// A client.
#[derive(Clone, Debug)]
pub(super) struct Library {
    /// The program, and what always comes first.
    pub(super) command: Vec<String>,
    /// The work it cannot do, by the name above, and why.
    pub(super) cannot: &'static [(&'static str, &'static str)],
}

pub(super) fn chiton(folders: &Folders) -> Done<(String, Kind)> {
    let program = folders.target.join("release/examples/load");
    if !program.exists() {
        return Err(Failure::new(format!("{} is not built", program.display())));
    }
    let command = vec![text(&program)?];
    Ok(("this commit".into(), Kind::Library(Library { command, cannot: &[] })))
}

impl Library {
    pub(super) fn invocation(
        &self,
        work: &Work,
        place: &Place,
        remote: &dyn Fn(&Path) -> Done<String>,
    ) -> Done<Invocation> {
        let (name, arguments) = match work {
            Work::Get { remote: from, local } => ("get", vec![remote(from)?, text(local)?]),
            Work::Put { local, remote: to } => ("put", vec![text(local)?, remote(to)?]),
            Work::GetMany { remote: from, local } => {
                ("get-many", vec![remote(from)?, text(local)?])
            }
            Work::PutMany { local, remote: to } => ("put-many", vec![text(local)?, remote(to)?]),
            Work::ExecOut { file } => ("exec-out", vec![format!("cat {}", text(file)?)]),
            Work::ExecIn { file } => ("exec-in", vec!["cat >/dev/null".into(), text(file)?]),
            Work::Fresh { times } => ("fresh", vec![times.to_string()]),
            Work::Sequential { times } => ("sequential", vec![times.to_string()]),
            Work::AtOnce { times } => ("at-once", vec![times.to_string()]),
            Work::FirstByte => ("first-byte", Vec::new()),
            Work::Idle { connections } => ("idle", vec![connections.to_string()]),
        };
        if let Some((_, why)) = self.cannot.iter().find(|(cannot, _)| *cannot == name) {
            return Err(Failure::new(*why));
        }
        if place.rekey.is_some() || place.cipher.is_some() {
            return Err(Failure::new("the client has no option for this"));
        }
        let mut words = self.command.clone();
        words.extend([place.port.to_string(), place.user.clone(), text(&place.key)?, name.into()]);
        words.extend(arguments);
        Ok(Invocation::new(words))
    }
}
