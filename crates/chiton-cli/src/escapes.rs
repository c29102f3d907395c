//! Escapes of a session on a terminal: `~.`, `~?` and the rest, after a newline.

/// What the user asks of the program itself, in the middle of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `~.`: end the connection.
    Disconnect,
    /// `~^Z`: stop the program.
    Suspend,
    /// `~?`: list the escapes.
    Help,
    /// `~R`: exchange keys anew.
    Rekey,
    /// `~v`: say more.
    Louder,
    /// `~V`: say less.
    Quieter,
}

/// What `~?` shows.
pub(crate) const HELP: &str = "\
Supported escape sequences:
 ~.   - terminate the connection
 ~R   - exchange keys anew
 ~V/v - decrease/increase verbosity (LogLevel)
 ~^Z  - suspend chiton
 ~?   - this message
 ~~   - send the escape character by typing it twice
(Note that escapes are only recognized immediately after newline.)
";

const CONTROL_Z: u8 = 0x1a;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the start of a line: the escape character counts.
    LineStart,
    Within,
    /// The escape character was typed and is held back.
    Escaped,
}

/// Finds escapes in what is typed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escapes {
    character: Option<u8>,
    state: State,
}

impl Escapes {
    /// With the character that begins an escape, if any does.
    pub(crate) fn new(character: Option<u8>) -> Self {
        Self { character, state: State::LineStart }
    }

    /// True if there is an escape character at all.
    pub(crate) fn are_on(self) -> bool {
        self.character.is_some()
    }

    /// Moves typed bytes from `input` to `out` up to the first escape. Gives the number of bytes
    /// taken, and what is asked for; without an action, all of `input` was taken.
    pub(crate) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Option<Action>) {
        let Some(character) = self.character else {
            out.extend_from_slice(input);
            return (input.len(), None);
        };
        for (index, &byte) in input.iter().enumerate() {
            match self.state {
                State::LineStart if byte == character => {
                    self.state = State::Escaped;
                    continue;
                }
                State::Escaped => {
                    if let Some(action) = action(byte) {
                        self.state = State::LineStart;
                        return (index.saturating_add(1), Some(action));
                    }
                    if byte != character {
                        out.push(character);
                    }
                }
                State::LineStart | State::Within => {}
            }
            out.push(byte);
            let newline = matches!(byte, b'\r' | b'\n');
            self.state = if newline { State::LineStart } else { State::Within };
        }
        (input.len(), None)
    }
}

fn action(byte: u8) -> Option<Action> {
    Some(match byte {
        b'.' => Action::Disconnect,
        b'?' => Action::Help,
        b'R' => Action::Rekey,
        b'v' => Action::Louder,
        b'V' => Action::Quieter,
        CONTROL_Z => Action::Suspend,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the pieces in turn; gives what is sent on and what was asked for.
    fn feed(pieces: &[&[u8]]) -> (Vec<u8>, Vec<Action>) {
        let mut escapes = Escapes::new(Some(b'~'));
        let (mut out, mut actions) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut rest: &[u8] = piece;
            while !rest.is_empty() {
                let (taken, action) = escapes.feed(rest, &mut out);
                rest = &rest[taken..];
                actions.extend(action);
            }
        }
        (out, actions)
    }

    #[test]
    fn an_escape_counts_at_the_start_of_a_line_only() {
        assert_eq!(feed(&[b"~."]), (vec![], vec![Action::Disconnect]));
        assert_eq!(feed(&[b"ls\r~.more"]), (b"ls\rmore".to_vec(), vec![Action::Disconnect]));
        assert_eq!(feed(&[b"a~."]), (b"a~.".to_vec(), vec![]));
    }

    #[test]
    fn an_escape_may_come_in_pieces() {
        assert_eq!(feed(&[b"x\n", b"~", b"?", b"~", b"."]).1, [Action::Help, Action::Disconnect]);
    }

    #[test]
    fn two_escape_characters_send_one_and_others_are_left_alone() {
        assert_eq!(feed(&[b"~~."]), (b"~.".to_vec(), vec![]));
        assert_eq!(feed(&[b"~/bin\r"]), (b"~/bin\r".to_vec(), vec![]));
    }

    #[test]
    fn without_an_escape_character_everything_is_sent() {
        let mut out = Vec::new();
        assert_eq!(Escapes::new(None).feed(b"~.", &mut out), (2, None));
        assert_eq!(out, b"~.");
    }
}
