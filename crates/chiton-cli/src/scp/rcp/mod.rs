//! The protocol of `rcp` (`-O`): this program as either end, and between two others.

mod receive;
mod relay;
mod send;
mod wire;

use std::path::{Path, PathBuf};

use scp::{Asked, IsAsked, Remote};

use super::{Settings, asked_name, told};
use crate::{
    destination::Destination,
    failure::{Failure, Result},
    reach::Other,
    sftp::{pattern::PathPattern, words::Word},
};
use receive::Receiver;
use send::Sender;
use wire::Wire;

pub(super) use relay::relay;

/// How a transfer by `rcp` is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) recursive: bool,
    pub(super) preserve: bool,
    pub(super) progress: bool,
    /// Bytes a second.
    pub(super) rate: Option<u64>,
}

impl Manner {
    /// On this side of a connection.
    const fn here(settings: &Settings) -> Self {
        Self {
            recursive: settings.recursive,
            preserve: settings.preserve,
            progress: !settings.quiet,
            rate: settings.pace.rate,
        }
    }

    /// As somebody else's other side: standard output is the connection.
    const fn there(settings: &Settings) -> Self {
        Self { progress: false, ..Self::here(settings) }
    }
}

/// The flags for an `scp` on the other side.
fn remote(settings: &Settings, sink: bool, directory: bool) -> Remote {
    Remote {
        sink,
        recursive: settings.recursive,
        preserve: settings.preserve,
        directory,
        verbose: settings.verbosity > 0,
    }
}

/// Fetches what an operand stands for, which the shell on the other side finds out.
pub(super) async fn download(
    settings: &Settings,
    host: &Destination,
    path: &[u8],
    target: &Path,
) -> Result<bool> {
    let command = remote(settings, false, false).command(path);
    let (input, output, other) = settings.reach.run(host, &command).await?;
    let mut wire = Wire::new(input, output);
    let asked = if settings.trusting { Asked::Anything } else { asked(path) };
    let mut receiver = Receiver::new(Manner::here(settings), target, false);
    let complete = receiver.run(&mut wire, asked).await;
    Ok(ended(told(complete), wire, other).await)
}

/// Sends files.
pub(super) async fn upload(
    settings: &Settings,
    files: &[PathBuf],
    host: &Destination,
    path: &[u8],
    several: bool,
) -> Result<bool> {
    let command = remote(settings, true, several).command(path);
    let (input, output, other) = settings.reach.run(host, &command).await?;
    let mut wire = Wire::new(input, output);
    let complete = Sender::new(Manner::here(settings), false).run(&mut wire, files).await;
    Ok(ended(told(complete), wire, other).await)
}

/// Waits for the end of the program on the other side; it is not complete if that says so.
async fn ended(complete: bool, wire: Wire, other: Other) -> bool {
    // It ends when its input does.
    drop(wire);
    other.end().await == 0 && complete
}

/// `-t`: receives what another `scp` sends. True if everything went well.
pub(super) async fn serve_receiving(settings: &Settings, target: &Path) -> bool {
    let mut wire = Wire::standard();
    let mut receiver = Receiver::new(Manner::there(settings), target, true);
    if settings.directory && !target.is_dir() {
        let path = crate::failure::show_path(target);
        // The other side shows it.
        wire.give_up(&format!("scp: {path}: Not a directory")).await;
        return false;
    }
    receiver.run(&mut wire, Asked::Anything).await.unwrap_or(false)
}

/// `-f`: sends what another `scp` has asked for. True if everything went well.
pub(super) async fn serve_sending(settings: &Settings, files: &[PathBuf]) -> bool {
    let mut wire = Wire::standard();
    Sender::new(Manner::there(settings), true).run(&mut wire, files).await.unwrap_or(false)
}

/// Which names may come for what was asked for: what fits its last component, in which a shell
/// on the other side reads patterns, braces and quotes.
fn asked(path: &[u8]) -> Asked {
    let name = asked_name(path);
    // What these stand for is known on the other side only.
    if matches!(name, b"" | b"." | b"..") || name.first() == Some(&b'~') || name.contains(&b'$') {
        return Asked::Anything;
    }
    let words: Vec<Word> = braces(name).iter().map(|name| Word::shell(name)).collect();
    let is_asked: IsAsked = Box::new(move |name| {
        words.iter().any(|word| match PathPattern::parse(word) {
            Some(pattern) => pattern.matches_name(name),
            None => word.bytes() == name,
        })
    });
    Asked::Names(is_asked)
}

/// The most names that braces may stand for.
const MAX_BRACES: usize = 1024;

/// `a{b,c}` is `ab` and `ac`. What is quoted, or has no comma, is left as it is.
fn braces(name: &[u8]) -> Vec<Vec<u8>> {
    let mut pending = vec![name.to_vec()];
    let mut done = Vec::new();
    while let Some(name) = pending.pop() {
        match first_brace(&name) {
            Some(Braces { before, choices, after }) if pending.len() < MAX_BRACES => {
                let joined = choices.iter().rev().map(|choice| [before, choice, after].concat());
                pending.extend(joined);
            }
            _ => done.push(name),
        }
        if done.len() > MAX_BRACES {
            break;
        }
    }
    done
}

/// The first brace with a comma.
struct Braces<'a> {
    before: &'a [u8],
    choices: Vec<&'a [u8]>,
    after: &'a [u8],
}

fn first_brace(name: &[u8]) -> Option<Braces<'_>> {
    let mut quoted = false;
    let mut open: Option<usize> = None;
    let mut depth = 0_usize;
    let mut cuts = Vec::new();
    for (at, &byte) in name.iter().enumerate() {
        if quoted {
            quoted = false;
            continue;
        }
        match byte {
            b'\\' => quoted = true,
            b'{' => {
                depth = depth.saturating_add(1);
                if depth == 1 {
                    open = Some(at);
                    cuts.clear();
                }
            }
            b',' if depth == 1 => cuts.push(at),
            b'}' if depth > 0 => {
                depth = depth.saturating_sub(1);
                if let (0, Some(open), false) = (depth, open, cuts.is_empty()) {
                    cuts.push(at);
                    let mut from = open.saturating_add(1);
                    let mut choices = Vec::with_capacity(cuts.len());
                    for &cut in &cuts {
                        choices.push(name.get(from..cut)?);
                        from = cut.saturating_add(1);
                    }
                    let (before, after) = (name.get(..open)?, name.get(from..)?);
                    return Some(Braces { before, choices, after });
                }
            }
            _ => {}
        }
    }
    None
}

/// An error of the protocol, for the user.
fn explain(error: &scp::Error) -> Failure {
    Failure::new(error.to_string().replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_asked(path: &str, name: &str) -> bool {
        match asked(path.as_bytes()) {
            Asked::Anything => true,
            Asked::Names(asked) => asked(name.as_bytes()),
        }
    }

    #[test]
    fn only_names_that_were_asked_for_may_come() {
        assert!(is_asked("/etc/motd", "motd") && !is_asked("/etc/motd", ".bashrc"));
        assert!(is_asked("d/*.txt", "a.txt") && !is_asked("d/*.txt", "a.pdf"));
        assert!(!is_asked("*", ".bashrc"), "a hidden file");
        assert!(is_asked("dir/", "dir") && !is_asked("dir/", "other"));
        assert!(is_asked("x[123]", "x2"));
        assert!(is_asked("x[123]", "x[123]"), "a pattern that fits nothing is a name");
        assert!(is_asked("{a,b}.txt", "b.txt") && !is_asked("{a,b}.txt", "c.txt"));
        assert!(is_asked("{a,b{c,d}}x", "bdx") && is_asked("{a}", "{a}"));
        assert!(is_asked(r"two\ words", "two words") && is_asked("'two words'", "two words"));
        assert!(is_asked(r"a\*", "a*") && !is_asked(r"a\*", "ab"));
        for anything in ["", ".", "..", "~", "x/$y"] {
            assert!(is_asked(anything, "whatever"), "{anything}");
        }
    }

    #[test]
    fn braces_are_bounded() {
        assert_eq!(braces(b"{a,b}{c,d}"), [&b"ac"[..], b"ad", b"bc", b"bd"]);
        assert_eq!(braces(br"\{a,b}"), [br"\{a,b}"]);
        assert_eq!(braces(b"{a,b"), [b"{a,b"]);
        assert!(braces(&b"{a,b}".repeat(20)).len() <= MAX_BRACES + 1);
    }
}
