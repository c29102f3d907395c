//! A `known_hosts` file as a document: what is changed changes, and every other line stays as it is,
//! with its comments, its order and its mistakes.

use alloc::{string::String, vec::Vec};

use ssh_crypto::rng::Rng;

use super::{
    HostName, entry_line, hashed_name,
    line::{Line, Marker},
};
use crate::{
    LineError, PublicKey,
    line::{field, trimmed},
};

/// The text of a file, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Without their ends.
    lines: Vec<Vec<u8>>,
}

/// What a line says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the file format has these three")]
pub enum LineMarker {
    /// It is the key of the hosts.
    HostKey,
    /// `@cert-authority`: it signs the certificates of the hosts.
    CertAuthority,
    /// `@revoked`: the hosts must not be trusted with it.
    Revoked,
}

/// A line that is about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundLine<'a> {
    /// The number of the line, from 1.
    pub number: usize,
    /// The line as it stands there, without its end.
    pub text: &'a [u8],
    /// What it says about its key.
    pub marker: LineMarker,
}

impl FoundLine<'_> {
    /// The key on the line, if it is of a type that is implemented.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        match Line::parse(trimmed(self.text)).ok()?.key {
            super::LineKey::Usable(key) => Some(key),
            super::LineKey::Other { .. } => None,
        }
    }
}

impl Document {
    /// Takes the text of a file as it is.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut lines: Vec<Vec<u8>> =
            text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        // What follows the last end of line is no line if it is nothing.
        if lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        Self { lines }
    }

    /// The text, which ends with the end of a line.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for line in &self.lines {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        text
    }

    /// The lines that are about `host`, whatever they say of it.
    pub fn find(&self, host: &HostName) -> impl Iterator<Item = FoundLine<'_>> {
        (1..).zip(&self.lines).filter_map(move |(number, text)| {
            let line = parsed(text)?.ok()?;
            line.hosts.include(host).then(|| FoundLine {
                number,
                text,
                marker: match line.marker {
                    Marker::None => LineMarker::HostKey,
                    Marker::CertAuthority => LineMarker::CertAuthority,
                    Marker::Revoked => LineMarker::Revoked,
                },
            })
        })
    }

    /// The lines that are not in order, with their numbers from 1. They stay as they are.
    pub fn invalid(&self) -> impl Iterator<Item = (usize, LineError)> {
        (1..).zip(&self.lines).filter_map(|(number, text)| Some((number, parsed(text)?.err()?)))
    }

    /// Adds a line that makes `key` known for `host`. With `hashed`, random bytes for the salt, the
    /// name of the host cannot be read from it.
    pub fn add(&mut self, host: &HostName, key: &PublicKey, hashed: Option<&mut dyn Rng>) {
        let mut line = entry_line(host, key, hashed).into_bytes();
        line.pop();
        self.lines.push(line);
    }

    /// Removes the lines that have a key of `host`, also those that have it by a pattern or are
    /// about other hosts as well. What is said about authorities and revoked keys stays. Returns the
    /// numbers that the lines had, from 1.
    pub fn remove(&mut self, host: &HostName) -> Vec<usize> {
        self.remove_if(host, |_| true)
    }

    /// As [`Self::remove`], but only lines with a key for which `is_gone`.
    pub fn remove_if(
        &mut self,
        host: &HostName,
        is_gone: impl Fn(&PublicKey) -> bool,
    ) -> Vec<usize> {
        let gone: Vec<usize> = self
            .find(host)
            .filter(|line| line.marker == LineMarker::HostKey)
            .filter(|line| line.key().as_ref().is_none_or(&is_gone))
            .map(|line| line.number)
            .collect();
        let mut number = 0_usize;
        self.lines.retain(|_| {
            number = number.saturating_add(1);
            !gone.contains(&number)
        });
        gone
    }

    /// Hashes the names of hosts, one to a line. Lines with a marker, with patterns or with a name
    /// that is hashed stay as they are, and so do those that are not in order. Returns the numbers
    /// of the lines that could not be hashed since they have patterns, from 1.
    pub fn hash(&mut self, rng: &mut dyn Rng) -> Vec<usize> {
        let mut patterns = Vec::new();
        let mut lines = Vec::new();
        for (number, text) in (1..).zip(core::mem::take(&mut self.lines)) {
            let Some(Ok(line)) = parsed(&text) else {
                lines.push(text);
                continue;
            };
            let (hosts, rest) = field(trimmed(text.strip_suffix(b"\r").unwrap_or(&text)));
            let is_pattern = hosts.iter().any(|byte| b"*?!".contains(byte));
            if line.marker != Marker::None || hosts.starts_with(b"|") || is_pattern {
                if line.marker == Marker::None && is_pattern && !hosts.starts_with(b"|") {
                    patterns.push(number);
                }
                lines.push(text);
                continue;
            }
            for name in hosts.split(|byte| *byte == b',').filter(|name| !name.is_empty()) {
                let mut line: String = hashed_name(&name.to_ascii_lowercase(), rng);
                line.push(' ');
                let mut line = line.into_bytes();
                line.extend_from_slice(rest);
                lines.push(line);
            }
        }
        self.lines = lines;
        patterns
    }
}

/// What a line says; `None` if there is nothing on it.
fn parsed(text: &[u8]) -> Option<Result<Line, LineError>> {
    let text = trimmed(text.strip_suffix(b"\r").unwrap_or(text));
    (!text.is_empty() && !text.starts_with(b"#")).then(|| Line::parse(text))
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;
    use ssh_crypto::rng::SeededRng;

    use super::*;
    use crate::{
        known_hosts::{KnownHosts, Verdict},
        testing::some_key,
    };

    fn host(name: &str) -> HostName {
        HostName::new(name, 22).unwrap()
    }

    fn text(document: &Document) -> String {
        String::from_utf8(document.to_bytes()).unwrap()
    }

    fn file() -> String {
        let ((_, one), (_, two)) = (some_key(1), some_key(2));
        format!(
            "# the hosts\na,b.example.org {one} first\n\n@cert-authority *.example.org {two}\n\
             bad line\n*.example.org {two}\r\n@revoked a {two}\nc {one}"
        )
    }

    #[test]
    fn a_file_is_what_it_was_but_for_the_last_end_of_line() {
        for text in ["", "\n", "a", "a\n", "a\r\nb\n\n", "\n\n"] {
            let bytes = Document::parse(text.as_bytes()).to_bytes();
            let ended = text.is_empty() || text.ends_with('\n');
            assert_eq!(bytes, format!("{text}{}", if ended { "" } else { "\n" }).into_bytes());
        }
    }

    #[test]
    fn lines_about_a_host_are_found_with_what_they_say() {
        let document = Document::parse(file().as_bytes());
        let found = |name: &str| -> Vec<_> {
            document.find(&host(name)).map(|line| (line.number, line.marker)).collect()
        };
        assert_eq!(found("a"), [(2, LineMarker::HostKey), (7, LineMarker::Revoked)]);
        assert_eq!(
            found("B.example.org"),
            [(2, LineMarker::HostKey), (4, LineMarker::CertAuthority), (6, LineMarker::HostKey)]
        );
        assert_eq!(found("d"), []);
        let invalid: Vec<_> = document.invalid().map(|(number, _)| number).collect();
        assert_eq!(invalid, [5]);
        let line = document.find(&host("c")).next().unwrap();
        assert_eq!(line.key(), Some(some_key(1).0));
    }

    #[test]
    fn removing_a_host_leaves_everything_else() {
        let mut document = Document::parse(file().as_bytes());
        assert_eq!(document.remove(&host("b.example.org")), [2, 6]);
        let ((_, one), (_, two)) = (some_key(1), some_key(2));
        assert_eq!(
            text(&document),
            format!(
                "# the hosts\n\n@cert-authority *.example.org {two}\nbad line\n@revoked a {two}\n\
                 c {one}\n"
            )
        );
        assert!(document.remove(&host("b.example.org")).is_empty());
        let mut document = Document::parse(file().as_bytes());
        let second = some_key(2).0;
        assert_eq!(document.remove_if(&host("b.example.org"), |key| *key == second), [6]);
    }

    #[test]
    fn hashing_hides_the_names_and_the_keys_are_still_known() {
        let mut document = Document::parse(file().as_bytes());
        assert_eq!(document.hash(&mut SeededRng::new(1)), [6]);
        let hashed = text(&document);
        let names: Vec<_> = hashed.lines().filter(|line| line.starts_with("|1|")).collect();
        assert_eq!(names.len(), 3, "{hashed}");
        assert!(names[0].ends_with(" first") && names[1].ends_with(" first"));
        assert!(hashed.contains("bad line\n") && hashed.contains("*.example.org ssh"));
        let known = KnownHosts::parse(hashed.as_bytes(), "file");
        let (key, _) = some_key(1);
        for name in ["a", "b.example.org", "c"] {
            assert_eq!(known.lookup(&host(name), &key), Verdict::Known, "{name}");
        }
        // What is hashed is not hashed again.
        let again = document.clone();
        document.hash(&mut SeededRng::new(2));
        assert_eq!(document, again);
    }

    #[test]
    fn what_is_added_is_known() {
        let mut document = Document::parse(b"# x");
        let (key, line) = some_key(1);
        document.add(&host("a"), &key, None);
        document.add(&host("b"), &key, Some(&mut SeededRng::new(1)));
        assert!(text(&document).starts_with(&format!("# x\na {line}\n|1|")));
        let known = KnownHosts::parse(&document.to_bytes(), "file");
        assert_eq!(known.lookup(&host("b"), &key), Verdict::Known);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_removed_is_not_known_and_the_rest_is(
            names in proptest::collection::vec("[ab]{1,2}(,[ab]{1,2})?", 0..6), hash in any::<bool>(),
        ) {
            let (key, line) = some_key(1);
            let text: String = names.iter().map(|names| format!("{names} {line}\n")).collect();
            let mut document = Document::parse(text.as_bytes());
            if hash {
                document.hash(&mut SeededRng::new(1));
            }
            document.remove(&host("a"));
            let known = KnownHosts::parse(&document.to_bytes(), "file");
            prop_assert_eq!(known.lookup(&host("a"), &key), Verdict::Unknown);
            let alone = names.iter().any(|names| names == "b");
            if alone {
                prop_assert_eq!(known.lookup(&host("b"), &key), Verdict::Known);
            }
        }
    }
}
