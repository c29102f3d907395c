//! What the operands of `scp` name: `file`, `[user@]host:[path]`, `scp://[user@]host[:port][/path]`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use crate::{
    destination::{self, Destination},
    failure::{Failure, Result},
};

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Local(OsString),
    Remote {
        host: Destination,
        /// As it was written: a pattern, for whoever looks for it there. Empty is where a session
        /// begins.
        path: Vec<u8>,
    },
}

impl Place {
    /// Reads an operand.
    pub(crate) fn parse(operand: &OsStr) -> Result<Self> {
        let refused = |error| {
            let operand = crate::sftp::show(operand.as_bytes());
            Failure::new(format_args!("{operand}: {error}"))
        };
        match destination::parse_scp(operand.as_bytes()).map_err(refused)? {
            Some(mut host) => {
                let path = host.path.take().unwrap_or_default();
                Ok(Self::Remote { host, path })
            }
            None if operand.is_empty() => Err(Failure::new("a file name is empty")),
            None => Ok(Self::Local(operand.to_owned())),
        }
    }
}

/// The last component of a local path, or of what the path stands for if that says more: `.` and
/// `..` have names too.
pub(crate) fn local_name(path: &Path) -> Result<OsString> {
    if let Some(name) = path.file_name() {
        return Ok(name.to_owned());
    }
    let whole = std::fs::canonicalize(path).map_err(|e| Failure::local("find", path, &e))?;
    let name = whole.file_name().map(OsStr::to_owned);
    name.ok_or_else(|| Failure::new("the root directory has no name; name what is in it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Place> {
        Place::parse(OsStr::new(text))
    }

    fn remote(user: Option<&str>, host: &str, port: Option<u16>, path: &str) -> Place {
        let user = user.map(str::to_owned);
        let host = Destination { user, host: host.to_owned(), port, path: None };
        Place::Remote { host, path: path.as_bytes().to_vec() }
    }

    #[test]
    fn a_colon_in_front_of_any_slash_names_a_host() {
        assert_eq!(parse("h:x").unwrap(), remote(None, "h", None, "x"));
        assert_eq!(parse("a@h:").unwrap(), remote(Some("a"), "h", None, ""));
        assert_eq!(parse("a@[::1]:/x:y").unwrap(), remote(Some("a"), "::1", None, "/x:y"));
        for local in ["x", "./h:x", "/a:b", ":x", "-"] {
            assert_eq!(parse(local).unwrap(), Place::Local(local.into()), "{local}");
        }
    }

    #[test]
    fn a_uri_may_have_a_port() {
        let place = remote(Some("a"), "h", Some(23), "x y");
        assert_eq!(parse("scp://a@h:23/x%20y").unwrap(), place);
        assert_eq!(parse("scp://h//etc/motd").unwrap(), remote(None, "h", None, "/etc/motd"));
        assert_eq!(parse("scp://h").unwrap(), remote(None, "h", None, ""));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for bad in ["", "@h:x", "-oProxyCommand=x:y", "a b:x", "scp://h:0/x", "scp://h/%zz"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_local_path_has_the_name_of_what_it_stands_for() {
        let folder = tempfile::tempdir().unwrap();
        let name = |path: &Path| local_name(path).unwrap();
        assert_eq!(name(Path::new("/x/y/")), "y");
        assert_eq!(name(&folder.path().join(".")), folder.path().file_name().unwrap());
        assert!(local_name(Path::new("/")).is_err());
    }
}
