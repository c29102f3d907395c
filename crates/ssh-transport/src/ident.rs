//! The identification string (RFC 4253 §4.2).
//!
//! ```text
//! [any lines, from a server only] SSH-2.0-softwareversion [SP comments] CR LF
//! ```
//!
//! The line without its end enters the exchange hash, so it is kept byte by byte as it came.

use alloc::{string::String, vec::Vec};
use core::fmt;

use bytes::{Buf, Bytes, BytesMut};
use ssh_wire::PeerText;

use crate::{
    Role,
    error::{Error, PeerMisbehaved},
    limits::{MAX_IDENTIFICATION, MAX_LINE_BEFORE_IDENTIFICATION, MAX_LINES_BEFORE_IDENTIFICATION},
};

/// What a line has to begin with to be an identification, of whatever version.
const PREFIX: &[u8] = b"SSH-";

/// Versions that speak SSH 2 (RFC 4253 §5.1): the second is a server that would also speak 1.
const VERSIONS: [(&[u8], Role); 3] =
    [(b"SSH-2.0-", Role::Client), (b"SSH-2.0-", Role::Server), (b"SSH-1.99-", Role::Client)];

/// The identification that this side sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification(String);

impl Identification {
    /// `SSH-2.0-software`, or `SSH-2.0-software comments`.
    ///
    /// # Errors
    /// [`InvalidIdentification`] if `software` is empty, holds anything but printable ASCII, a
    /// space or a minus sign, if `comments` holds anything but printable ASCII, or if the line
    /// becomes longer than 253 bytes (RFC 4253 §4.2).
    pub fn new(software: &str, comments: Option<&str>) -> Result<Self, InvalidIdentification> {
        let software_fits = !software.is_empty()
            && software.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'-');
        let comments_fit = comments
            .is_none_or(|text| text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
        let mut line = String::from("SSH-2.0-");
        line.push_str(software);
        if let Some(text) = comments {
            line.push(' ');
            line.push_str(text);
        }
        let fits = line.len() <= MAX_IDENTIFICATION.saturating_sub(b"\r\n".len());
        if software_fits && comments_fit && fits {
            Ok(Self(line))
        } else {
            Err(InvalidIdentification)
        }
    }

    /// The line without its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Identification {
    /// `SSH-2.0-chiton_` and the version of this crate.
    fn default() -> Self {
        Self(String::from(concat!("SSH-2.0-chiton_", env!("CARGO_PKG_VERSION"))))
    }
}

/// Text that cannot be sent as an identification; see [`Identification::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidIdentification;

impl fmt::Display for InvalidIdentification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an identification is printable ASCII of at most 253 bytes, its software version \
             without space and minus sign",
        )
    }
}

impl core::error::Error for InvalidIdentification {}

/// The identification that the peer sent.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerIdentification(Bytes);

impl PeerIdentification {
    /// The line without its end, as it came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the peer drops the first message of a key exchange that was sent ahead (RFC 4253
    /// §7) even where the guess was right, and then waits for it for ever. The JavaScript library
    /// `ssh2`, up to 1.17 at least, compares its choice with the first letter of our list.
    pub(crate) fn drops_right_guesses(&self) -> bool {
        self.0.starts_with(b"SSH-2.0-ssh2js")
    }

    /// The line for people.
    #[must_use]
    pub fn to_text(&self) -> PeerText {
        PeerText::from_bytes(&self.0)
    }
}

impl fmt::Debug for PeerIdentification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerIdentification").field(&self.to_text()).finish()
    }
}

/// Looks for the peer's identification at the beginning of the connection.
#[derive(Debug)]
pub(crate) struct IdentificationReader {
    role: Role,
    lines: u32,
    /// Bytes of the buffer that are known to hold no line feed.
    scanned: usize,
    /// The line that came last before the identification.
    last_line: Option<PeerText>,
}

impl IdentificationReader {
    /// `role` is ours: a client listens to a server.
    pub(crate) const fn new(role: Role) -> Self {
        Self { role, lines: 0, scanned: 0, last_line: None }
    }

    /// The last line with words in it that came before the identification: where a server refuses
    /// to talk, this is its reason.
    pub(crate) const fn last_line(&self) -> Option<&PeerText> {
        self.last_line.as_ref()
    }

    /// Takes lines off `buf` until one is the identification.
    pub(crate) fn next(&mut self, buf: &mut BytesMut) -> Result<Option<PeerIdentification>, Error> {
        loop {
            let Some(line) = self.line(buf)? else { return Ok(None) };
            if line.starts_with(PREFIX) {
                return self.identification(line).map(Some);
            }
            if self.role == Role::Server {
                return Err(PeerMisbehaved::IdentificationMissing.into());
            }
            self.lines = self.lines.saturating_add(1);
            if self.lines >= MAX_LINES_BEFORE_IDENTIFICATION {
                return Err(PeerMisbehaved::TooManyLinesBeforeIdentification.into());
            }
            if !line.trim_ascii().is_empty() {
                self.last_line = Some(PeerText::from_bytes(&line));
            }
        }
    }

    /// Takes one line off `buf`, without its end.
    fn line(&mut self, buf: &mut BytesMut) -> Result<Option<Bytes>, Error> {
        // A prefix of "SSH-" counts as one, so that the limit does not depend on how bytes arrive.
        let is_identification = buf.iter().zip(PREFIX).all(|(found, wanted)| found == wanted);
        let limit = if is_identification || self.role == Role::Server {
            MAX_IDENTIFICATION
        } else {
            MAX_LINE_BEFORE_IDENTIFICATION
        };
        let new = buf.get(self.scanned..).unwrap_or_default();
        let end = new.iter().position(|byte| *byte == b'\n');
        let end = end.and_then(|at| at.checked_add(self.scanned));
        let length = end.map_or(buf.len(), |end| end.saturating_add(1));
        let seen = buf.get(..length.min(limit)).unwrap_or_default();
        if seen.contains(&0) {
            return Err(PeerMisbehaved::NulInIdentification.into());
        }
        if length > limit {
            return Err(PeerMisbehaved::IdentificationTooLong { limit }.into());
        }
        self.scanned = length;
        let Some(end) = end else { return Ok(None) };
        self.scanned = 0;
        let mut line = buf.split_to(end);
        buf.advance(b"\n".len());
        if line.last() == Some(&b'\r') {
            line.truncate(end.saturating_sub(1));
        }
        if line.contains(&b'\r') {
            return Err(PeerMisbehaved::StrayCarriageReturn.into());
        }
        Ok(Some(line.freeze()))
    }

    fn identification(&self, line: Bytes) -> Result<PeerIdentification, Error> {
        let known =
            VERSIONS.iter().any(|(prefix, role)| *role == self.role && line.starts_with(prefix));
        if known {
            // A copy: the line lives as long as the connection and must not pin the read buffer.
            return Ok(PeerIdentification(Bytes::from(Vec::from(line.as_ref()))));
        }
        Err(Error::UnsupportedVersion(PeerText::from_bytes(&line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};
    use ssh_wire::testing::every_split;

    /// The identification, and what is left behind it.
    type Found = Option<(Vec<u8>, Vec<u8>)>;

    fn read(role: Role, bytes: &[u8]) -> Result<Found, Error> {
        let mut reader = IdentificationReader::new(role);
        let mut buf = BytesMut::from(bytes);
        Ok(reader.next(&mut buf)?.map(|id| (id.as_bytes().to_vec(), buf.to_vec())))
    }

    fn misbehaved(role: Role, bytes: &[u8]) -> PeerMisbehaved {
        match read(role, bytes) {
            Err(Error::PeerMisbehaved(how)) => how,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_identification_is_kept_byte_by_byte_without_its_end() {
        for end in ["\r\n", "\n"] {
            let bytes = format!("SSH-2.0-OpenSSH_9.2p1 Debian-2 x{end}rest");
            let (line, rest) = read(Role::Server, bytes.as_bytes()).unwrap().unwrap();
            assert_eq!(line, b"SSH-2.0-OpenSSH_9.2p1 Debian-2 x");
            assert_eq!(rest, b"rest");
        }
    }

    #[test]
    fn a_peer_that_drops_right_guesses_is_known_by_name() {
        let peer = |line: &'static [u8]| PeerIdentification(Bytes::from_static(line));
        assert!(peer(b"SSH-2.0-ssh2js1.17.0").drops_right_guesses());
        assert!(!peer(b"SSH-2.0-OpenSSH_10.6p1 Debian-1").drops_right_guesses());
    }

    #[test]
    fn how_bytes_arrive_makes_no_difference() {
        every_split(b"hello\r\n \r\nSSH-not first\r\n", |parts| {
            let mut reader = IdentificationReader::new(Role::Client);
            let mut buf = BytesMut::new();
            let mut result = Ok(None);
            for part in parts {
                buf.extend_from_slice(part);
                result = reader.next(&mut buf);
            }
            let text = PeerText::from("SSH-not first");
            assert_eq!(result, Err(Error::UnsupportedVersion(text)));
            assert_eq!(reader.last_line(), Some(&PeerText::from("hello")));
        });
        every_split(b"motd\nSSH-1.99-x\r\n\0", |parts| {
            let mut reader = IdentificationReader::new(Role::Client);
            let mut buf = BytesMut::new();
            let mut found = vec![];
            for part in parts {
                buf.extend_from_slice(part);
                if found.is_empty() {
                    found.extend(reader.next(&mut buf).unwrap());
                }
            }
            assert_eq!(found.first().unwrap().as_bytes(), b"SSH-1.99-x");
            assert_eq!(&buf[..], b"\0");
        });
    }

    #[test]
    fn only_a_client_listens_to_other_lines_and_to_version_1_99() {
        assert_eq!(
            misbehaved(Role::Server, b"hi\r\nSSH-2.0-x\r\n"),
            PeerMisbehaved::IdentificationMissing
        );
        assert!(matches!(read(Role::Server, b"SSH-1.99-x\r\n"), Err(Error::UnsupportedVersion(_))));
        for role in [Role::Client, Role::Server] {
            assert!(matches!(read(role, b"SSH-1.5-x\n"), Err(Error::UnsupportedVersion(_))));
        }
    }

    #[test]
    fn lines_without_end_are_cut_off_at_their_limit() {
        for (role, start, limit) in [
            (Role::Client, &b"SSH-2.0-"[..], 255),
            (Role::Server, b"SSH-2.0-", 255),
            (Role::Server, b"GET / HTT", 255),
            (Role::Client, b"Welcome, ", 8192),
        ] {
            let mut line = start.to_vec();
            line.resize(limit, b'x');
            assert_eq!(read(role, &line), Ok(None));
            let mut with_end = line.clone();
            with_end[limit - 1] = b'\n';
            assert!(!matches!(
                read(role, &with_end),
                Err(Error::PeerMisbehaved(PeerMisbehaved::IdentificationTooLong { .. }))
            ));
            line.push(b'x');
            assert_eq!(misbehaved(role, &line), PeerMisbehaved::IdentificationTooLong { limit });
        }
    }

    #[test]
    fn a_server_cannot_send_lines_for_ever() {
        let mut lines = b"x\n".repeat(1023);
        assert_eq!(read(Role::Client, &lines), Ok(None));
        lines.extend_from_slice(b"x\n");
        assert_eq!(
            misbehaved(Role::Client, &lines),
            PeerMisbehaved::TooManyLinesBeforeIdentification
        );
    }

    #[test]
    fn nul_and_stray_carriage_returns_are_refused() {
        assert_eq!(misbehaved(Role::Client, b"SSH-2.0-a\0b"), PeerMisbehaved::NulInIdentification);
        assert_eq!(
            misbehaved(Role::Client, b"SSH-2.0-a\rb\r\n"),
            PeerMisbehaved::StrayCarriageReturn
        );
    }

    #[test]
    fn we_cannot_be_made_to_send_a_malformed_identification() {
        assert_eq!(
            Identification::new("x_1.0", Some("a b-c")).unwrap().as_str(),
            "SSH-2.0-x_1.0 a b-c"
        );
        let long = "x".repeat(246);
        for (software, comments) in [
            ("", None),
            ("a-b", None),
            ("a b", None),
            ("a\n", None),
            ("a", Some("\r\n")),
            (&long, None),
        ] {
            assert!(Identification::new(software, comments).is_err(), "{software:?}");
        }
        assert!(Identification::new(&long[1..], None).is_ok());
        assert!(Identification::default().as_str().starts_with("SSH-2.0-chiton_"));
    }
}
