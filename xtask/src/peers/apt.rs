//! Packages of Debian: installed, or unpacked somewhere without a trace in the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Done, Failure, run, stdout};

/// Whether the packages that the named ones depend on are unpacked, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dependencies {
    /// No: the system has them.
    OfTheSystem,
    /// Yes, down to the C library.
    Unpacked,
}

/// Installs packages into the system.
pub(super) fn install(packages: &[&str]) -> Done {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(packages);
    apt(&install)
}

/// Downloads packages with an apt state of their own, which leaves the system's as it is, and
/// unpacks them into `folder`, in place of what was there.
pub(super) fn unpack(
    suite: &str,
    packages: &[&str],
    dependencies: Dependencies,
    folder: &Path,
) -> Done {
    eprintln!("xtask: downloading {} from {suite}", packages.join(", "));
    let io = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
    let name = folder.file_name().unwrap_or_default().display();
    let new = folder.with_file_name(format!("{name}.new"));
    if new.exists() {
        fs::remove_dir_all(&new).map_err(io)?;
    }
    let apt_folder = new.join("apt");
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt_folder.join(part)).map_err(io)?;
    }
    let sources = apt_folder.join("peer.sources");
    fs::write(&sources, source_entry(suite)?).map_err(io)?;

    // Where nothing is installed, everything is downloaded.
    let status = apt_folder.join("status");
    fs::write(&status, "").map_err(io)?;

    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .arg("-qq")
            .args(["-o", &format!("Dir::State::lists={}", apt_folder.join("lists").display())])
            .args(["-o", &format!("Dir::Cache={}", apt_folder.join("cache").display())])
            .args(["-o", &format!("Dir::Etc::sourcelist={}", sources.display())])
            .args(["-o", "Dir::Etc::sourceparts=-", "-o", "APT::Sandbox::User="])
            .args(["-o", "Acquire::Retries=3"]);
        if dependencies == Dependencies::Unpacked {
            command.args(["-o", &format!("Dir::State::status={}", status.display())]);
        }
        command.args(arguments).current_dir(&apt_folder);
        stdout(&mut command)
    };
    apt(&["update"])?;
    let (how, archives): (&[&str], _) = match dependencies {
        Dependencies::OfTheSystem => (&["download"], apt_folder.clone()),
        Dependencies::Unpacked => (
            &["install", "-y", "--download-only", "--no-install-recommends"],
            apt_folder.join("cache/archives"),
        ),
    };
    apt(&[how, packages].concat())?;

    for entry in fs::read_dir(&archives).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            stdout(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&new))?;
        }
    }
    fs::remove_dir_all(&apt_folder).map_err(io)?;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io)?;
    }
    fs::rename(&new, folder).map_err(io)
}

/// A sources entry for `suite`, from the mirror that this machine uses for Debian itself.
fn source_entry(suite: &str) -> Done<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(parts) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(parts.flatten().map(|entry| entry.path()));
    }
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let found = match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => from_stanzas(&text),
            Some("list") => from_lines(&text),
            _ => None,
        };
        if let Some((uri, signed_by)) = found {
            let signed_by = signed_by.map_or_else(String::new, |by| format!("Signed-By: {by}\n"));
            return Ok(format!(
                "Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{signed_by}"
            ));
        }
    }
    Err(Failure::new("no Debian mirror found in /etc/apt/sources.list or sources.list.d"))
}

/// Whether `uri` and `component` look like the archive that has the OpenSSH of a release, and not
/// its security archive or another vendor's.
fn is_debian_archive<'a>(uri: &str, mut components: impl Iterator<Item = &'a str>) -> bool {
    uri.trim_end_matches('/').ends_with("/debian") && components.any(|name| name == "main")
}

/// URI and keyring of Debian's archive in a file of deb822 stanzas.
fn from_stanzas(text: &str) -> Option<(String, Option<String>)> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            stanza.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let uri = field("URIs")?.split_whitespace().next()?;
        is_debian_archive(uri, field("Components")?.split_whitespace()).then(|| {
            let keyring = field("Signed-By").filter(|by| by.starts_with('/'));
            (uri.to_owned(), keyring.map(str::to_owned))
        })
    })
}

/// URI and keyring of Debian's archive in a file of one-line entries.
fn from_lines(text: &str) -> Option<(String, Option<String>)> {
    text.lines().find_map(|line| {
        let mut rest = line.trim().strip_prefix("deb ")?.trim_start();
        let mut keyring = None;
        if let Some((options, after)) =
            rest.strip_prefix('[').and_then(|bracketed| bracketed.split_once(']'))
        {
            keyring =
                options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
            rest = after;
        }
        let mut words = rest.split_whitespace();
        let (uri, _suite) = (words.next()?, words.next()?);
        is_debian_archive(uri, words).then(|| (uri.to_owned(), keyring.map(str::to_owned)))
    })
}

#[cfg(test)]
mod tests {
    use super::{from_lines, from_stanzas};

    #[test]
    fn the_mirror_is_found_in_stanzas() {
        let text = "Types: deb\nURIs: http://example.org/debian-security\nSuites: x-security\n\
                    Components: main\n\nTypes: deb\n# a comment\nURIs: http://example.org/debian\n\
                    Suites: x x-updates\nComponents: main\nSigned-By: /usr/share/keyrings/a.gpg\n";
        assert_eq!(
            from_stanzas(text),
            Some(("http://example.org/debian".into(), Some("/usr/share/keyrings/a.gpg".into())))
        );
    }

    #[test]
    fn the_mirror_is_found_in_lines() {
        let text = "# deb http://no.example.org/debian x main\n\
                    deb https://packages.example.org/apt tool main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://example.org/debian/ x main contrib\n";
        assert_eq!(
            from_lines(text),
            Some(("http://example.org/debian/".into(), Some("/k.gpg".into())))
        );
        assert_eq!(from_lines("deb http://example.org/debian x contrib\n"), None);
    }
}
