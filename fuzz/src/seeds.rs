//! What a run starts from: the seeds of each target, and the words of `ssh.dict`.

use std::io;
use std::path::{Path, PathBuf};

/// The folder of this package.
#[must_use]
pub fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The committed inputs of the target called `name`, in the order of their names.
///
/// # Errors
/// If the folder or a file in it cannot be read.
pub fn of(name: &str) -> io::Result<Vec<Vec<u8>>> {
    let folder = package().join("corpus").join(name);
    let named = |error: io::Error, path: &Path| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|error| named(error, &folder))? {
        let path = entry?.path();
        let is_seed =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"seed-"));
        if is_seed {
            files.push(path);
        }
    }
    files.sort();
    files.iter().map(|path| std::fs::read(path).map_err(|error| named(error, path))).collect()
}

/// The words of a dictionary in libFuzzer's format: one `"word"` per line, with `\xNN`, `\"` and
/// `\\`, perhaps after `name=`.
#[must_use]
pub fn words(dictionary: &str) -> Vec<Vec<u8>> {
    dictionary.lines().filter_map(word).collect()
}

fn word(line: &str) -> Option<Vec<u8>> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (_, quoted) = line.split_once('"')?;
    let mut rest = quoted.strip_suffix('"')?.as_bytes();
    let mut word = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            word.push(byte);
            continue;
        }
        let (&kind, after) = rest.split_first()?;
        rest = after;
        if kind == b'x' {
            let (digits, after) = rest.split_at_checked(2)?;
            let digits = core::str::from_utf8(digits).ok()?;
            word.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            word.push(kind);
        }
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn dictionaries_are_read_as_libfuzzer_reads_them() {
        let text = "# a comment with \"quotes\"\n\nplain=\"abc\"\n\"\\x00\\x00\\x00\\x1a\"\n\"a\\\"\\\\\"\n";
        assert_eq!(words(text), [b"abc".to_vec(), vec![0, 0, 0, 0x1a], b"a\"\\".to_vec()]);
    }

    #[test]
    fn every_line_of_the_dictionary_is_a_word() {
        let text = include_str!("../ssh.dict");
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        assert!(lines > 0);
        assert_eq!(words(text).len(), lines);
    }
}
