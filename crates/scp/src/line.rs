//! Lines, collected from a stream.

use alloc::vec::Vec;

use crate::{error::PeerMisbehaved, limits::MAX_LINE};

/// A line that is not at its end yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Vec<u8>);

impl Line {
    /// Takes what belongs to the line; gives it, without its end, once that has come.
    pub(crate) fn take(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, PeerMisbehaved> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let taken = end.unwrap_or(input.len());
        let (part, rest) = input.split_at_checked(taken).unwrap_or((input, &[]));
        // One byte is for the end.
        if self.0.len().saturating_add(part.len()) >= MAX_LINE {
            return Err(PeerMisbehaved::LineTooLong);
        }
        self.0.extend_from_slice(part);
        *input = if end.is_some() { rest.get(1..).unwrap_or_default() } else { rest };
        Ok(end.map(|_| core::mem::take(&mut self.0)))
    }

    /// True between lines.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_pieces_and_have_a_bound() {
        let mut line = Line::default();
        let mut input = &b"ab"[..];
        assert_eq!(line.take(&mut input), Ok(None));
        let mut input = &b"c\n\nd"[..];
        assert_eq!(line.take(&mut input), Ok(Some(b"abc".to_vec())));
        assert_eq!(line.take(&mut input), Ok(Some(Vec::new())));
        assert_eq!(line.take(&mut input), Ok(None));
        assert!(input.is_empty() && !line.is_empty());
        let long = [b'x'; MAX_LINE];
        let mut fits = Line::default();
        assert_eq!(fits.take(&mut &long[1..]), Ok(None));
        assert_eq!(fits.take(&mut &b"x"[..]), Err(PeerMisbehaved::LineTooLong));
        assert_eq!(Line::default().take(&mut &long[..]), Err(PeerMisbehaved::LineTooLong));
    }
}
