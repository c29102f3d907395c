//! The end that sends.

use alloc::vec::Vec;

use ssh_wire::PeerText;

use crate::{
    error::{Error, Misuse, PeerMisbehaved},
    limits::MAX_DEPTH,
    line::Line,
    name,
    record::{Record, Times},
    sink::message,
};

/// What the sink says to what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Go on.
    Go,
    /// It did not work there; go on with the next.
    Trouble(PeerText),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waiting for the reply to something.
    Waiting(To),
    /// In the text of the reply.
    Text(To),
    /// In the last words of the sink.
    GivingUp,
    Ready,
    /// In the content of a file that was accepted.
    Data {
        left: u64,
    },
    /// Over, by an error.
    Dead,
}

/// What a reply is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    /// Anything after which the next record may be sent.
    Other,
    File {
        size: u64,
    },
    Directory,
}

/// Sends files and directories, one record at a time: after each, the reply has to be waited for.
#[derive(Debug)]
pub struct Source {
    state: State,
    line: Line,
    depth: usize,
}

impl Default for Source {
    fn default() -> Self {
        Self::new()
    }
}

impl Source {
    /// Begins; the sink speaks first.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Waiting(To::Other), line: Line::default(), depth: 0 }
    }

    /// Takes bytes from `input` up to the end of the next reply.
    ///
    /// # Errors
    /// What the sink did wrong, or why it gave up.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, Error> {
        let result = self.next(input);
        if result.is_err() {
            self.state = State::Dead;
        }
        result
    }

    fn next(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, Error> {
        if let State::Waiting(to) = self.state {
            let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            self.state = match byte {
                0 => match to {
                    To::File { size } => State::Data { left: size },
                    To::Directory => {
                        self.depth = self.depth.saturating_add(1);
                        State::Ready
                    }
                    To::Other => State::Ready,
                },
                1 => State::Text(to),
                2 => State::GivingUp,
                _ => return Err(PeerMisbehaved::BadReply { byte }.into()),
            };
            if byte == 0 {
                return Ok(Some(Reply::Go));
            }
        }
        match self.state {
            State::Text(_) | State::GivingUp => {
                let Some(line) = self.line.take(input)? else { return Ok(None) };
                let text = PeerText::from_bytes(&line);
                if self.state == State::GivingUp {
                    return Err(Error::GaveUp(text));
                }
                self.state = State::Ready;
                Ok(Some(Reply::Trouble(text)))
            }
            State::Dead => Err(Error::Ended),
            // While a file is sent the sink may say that it gives up, and nothing else.
            State::Data { .. } if input.first() == Some(&2) => {
                *input = input.get(1..).unwrap_or_default();
                self.state = State::GivingUp;
                self.next_line(input)
            }
            _ if input.is_empty() => Ok(None),
            _ => Err(PeerMisbehaved::ReplyToNothing.into()),
        }
    }

    fn next_line(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, Error> {
        match self.line.take(input)? {
            Some(line) => Err(Error::GaveUp(PeerText::from_bytes(&line))),
            None => Ok(None),
        }
    }

    fn send(&mut self, record: Record<'_>, to: To, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if self.state != State::Ready {
            return Err(Misuse::OutOfTurn);
        }
        if let Record::File { name, .. } | Record::Directory { name, .. } = record {
            name::check(name).map_err(Misuse::Name)?;
        }
        record.write(out);
        self.state = State::Waiting(to);
        Ok(())
    }

    /// Sends the times of what comes next.
    ///
    /// # Errors
    /// Something else has to come first.
    pub fn times(&mut self, times: Times, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.send(Record::Times(times), To::Other, out)
    }

    /// Offers a file of `size` bytes. If the reply is [`Reply::Go`], exactly as many have to
    /// follow, and then [`Self::file_end`].
    ///
    /// # Errors
    /// A name that cannot be sent, or something else has to come first.
    pub fn file(
        &mut self,
        name: &[u8],
        mode: u32,
        size: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.send(Record::File { mode, size, name }, To::File { size }, out)
    }

    /// How much of the content of the file is still to be sent, in bytes.
    #[must_use]
    pub const fn left(&self) -> u64 {
        match self.state {
            State::Data { left } => left,
            _ => 0,
        }
    }

    /// Notes that so many bytes of content were sent.
    ///
    /// # Errors
    /// More than the file was said to have, or there is no file.
    pub fn sent(&mut self, bytes: usize) -> Result<(), Misuse> {
        let State::Data { left } = &mut self.state else { return Err(Misuse::OutOfTurn) };
        let bytes = u64::try_from(bytes).map_err(|_| Misuse::Length)?;
        *left = left.checked_sub(bytes).ok_or(Misuse::Length)?;
        Ok(())
    }

    /// Ends a file, all of whose content was sent. What was not right about it may be told.
    ///
    /// # Errors
    /// There is no file, or not all of it was sent.
    pub fn file_end(&mut self, trouble: Option<&str>, out: &mut Vec<u8>) -> Result<(), Misuse> {
        match self.state {
            State::Data { left: 0 } => {}
            State::Data { .. } => return Err(Misuse::Length),
            _ => return Err(Misuse::OutOfTurn),
        }
        match trouble {
            Some(text) => {
                out.push(1);
                message(text, out);
            }
            None => out.push(0),
        }
        self.state = State::Waiting(To::Other);
        Ok(())
    }

    /// Begins a directory. If the reply is [`Reply::Go`], what is in it follows, and then
    /// [`Self::directory_end`].
    ///
    /// # Errors
    /// A name that cannot be sent, too deep, or something else has to come first.
    pub fn directory(&mut self, name: &[u8], mode: u32, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if self.depth >= MAX_DEPTH {
            return Err(Misuse::TooDeep);
        }
        self.send(Record::Directory { mode, name }, To::Directory, out)
    }

    /// Ends a directory.
    ///
    /// # Errors
    /// None has begun, or something else has to come first.
    pub fn directory_end(&mut self, out: &mut Vec<u8>) -> Result<(), Misuse> {
        let depth = self.depth.checked_sub(1).ok_or(Misuse::OutOfTurn)?;
        self.send(Record::End, To::Other, out)?;
        self.depth = depth;
        Ok(())
    }

    /// Tells that something cannot be sent. There is no reply to it.
    ///
    /// # Errors
    /// Something else has to come first.
    pub fn trouble(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if self.state != State::Ready {
            return Err(Misuse::OutOfTurn);
        }
        out.push(1);
        message(text, out);
        Ok(())
    }
}
