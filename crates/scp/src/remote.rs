//! The command line of the other end.

use alloc::vec::Vec;

/// What the other end is to do, as flags of its command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// `-t`: it is the sink; otherwise, with `-f`, the source.
    pub sink: bool,
    /// `-r`: directories too.
    pub recursive: bool,
    /// `-p`: with times and modes.
    pub preserve: bool,
    /// `-d`: the target has to be a directory.
    pub directory: bool,
    /// `-v`
    pub verbose: bool,
}

impl Remote {
    /// The command for the other side's shell. That shell reads the path: patterns in it stand for
    /// files, and quotes are its own.
    #[must_use]
    pub fn command(&self, path: &[u8]) -> Vec<u8> {
        let mut line = b"scp".to_vec();
        for (wanted, flag) in [
            (self.verbose, " -v"),
            (self.recursive, " -r"),
            (self.preserve, " -p"),
            (self.directory, " -d"),
            (self.sink, " -t"),
            (!self.sink, " -f"),
        ] {
            if wanted {
                line.extend_from_slice(flag.as_bytes());
            }
        }
        if path.first() == Some(&b'-') {
            line.extend_from_slice(b" --");
        }
        line.push(b' ');
        line.extend_from_slice(if path.is_empty() { b"." } else { path });
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end_gets_its_flags_and_the_path() {
        let source = Remote { recursive: true, preserve: true, ..Remote::default() };
        assert_eq!(source.command(b"a b"), b"scp -r -p -f a b");
        let sink = Remote { sink: true, directory: true, verbose: true, ..Remote::default() };
        assert_eq!(sink.command(b"-x"), b"scp -v -d -t -- -x");
        assert_eq!(Remote::default().command(b""), b"scp -f .");
    }
}
