//! The end that receives.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use ssh_wire::PeerText;

use crate::{
    error::{Error, PeerMisbehaved},
    limits::MAX_DEPTH,
    line::Line,
    record::{Record, Times},
};

/// Says whether a name was asked for.
pub type IsAsked = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What was asked for, as far as the names in it are known.
pub enum Asked {
    /// Anything: whoever receives here was asked by the sender, who has the say.
    Anything,
    /// Only names that this says yes to. It is asked about what comes first, and not about what is
    /// in a directory that it said yes to.
    Names(IsAsked),
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anything => "Anything",
            Self::Names(_) => "Names(_)",
        })
    }
}

/// A file or directory that the source wants to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name: one component, without control characters.
    pub name: Vec<u8>,
    /// Permission bits, those for set-user-id, set-group-id and sticky included.
    pub mode: u32,
    /// The length in bytes; 0 of a directory.
    pub size: u64,
    /// Its times, if they were sent.
    pub times: Option<Times>,
}

/// What a source has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// A file begins. To be answered with [`Sink::accept`] or [`Sink::refuse`]; if it is refused,
    /// nothing of it comes.
    File(Offer),
    /// A piece of its content, right behind the one before.
    Data(&'i [u8]),
    /// The file is whole. To be answered: what did not work on this side may be told. If there was
    /// trouble on the other side, not all of the content is right.
    FileEnd {
        /// What the source says went wrong.
        trouble: Option<PeerText>,
    },
    /// A directory begins. To be answered; if it is refused, nothing of it comes.
    Directory(Offer),
    /// The directory is at its end. To be answered.
    DirectoryEnd,
    /// Something could not be sent; it goes on with the next.
    Trouble(PeerText),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between records.
    Record,
    /// In a message: 1 and text.
    Trouble,
    /// In a message of the last kind: 2 and text.
    GivingUp,
    /// An event waits for its answer.
    Question(Question),
    /// In the content of a file.
    Data { left: u64 },
    /// Behind it: 0, or 1 and text.
    Status,
    /// In that text.
    StatusText,
    /// Over, by an error.
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    File { size: u64 },
    FileEnd,
    Directory,
    DirectoryEnd,
}

/// Receives files and directories.
///
/// Bytes from the source go to [`receive`](Self::receive) until it has taken all of them; what is
/// to go to the source is appended to `out`.
#[derive(Debug)]
pub struct Sink {
    asked: Asked,
    recursive: bool,
    state: State,
    line: Line,
    times: Option<Times>,
    depth: usize,
}

impl Sink {
    /// Begins, by telling the source so. Directories are taken only if `recursive`.
    #[must_use]
    pub fn new(asked: Asked, recursive: bool, out: &mut Vec<u8>) -> Self {
        out.push(0);
        Self {
            asked,
            recursive,
            state: State::Record,
            line: Line::default(),
            times: None,
            depth: 0,
        }
    }

    /// Takes bytes from `input` up to what is the next event. Nothing is taken while an event
    /// waits for its answer.
    ///
    /// # Errors
    /// What the source did wrong, or why it gave up. It is told, if it did something wrong, and
    /// nothing more is taken from it.
    pub fn receive<'i>(
        &mut self,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i>>, Error> {
        let result = self.next(input, out);
        if let Err(error) = &result {
            self.state = State::Dead;
            if let Error::PeerMisbehaved(error) = error {
                out.push(2);
                message(&alloc::format!("scp: protocol error: {error}"), out);
            }
        }
        result
    }

    fn next<'i>(
        &mut self,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i>>, Error> {
        loop {
            match self.state {
                State::Record if self.line.is_empty() => {
                    let Some((&first, rest)) = input.split_first() else { return Ok(None) };
                    match first {
                        1 | 2 => {
                            *input = rest;
                            self.state = if first == 1 { State::Trouble } else { State::GivingUp };
                        }
                        _ => {
                            let Some(line) = self.line.take(input)? else { return Ok(None) };
                            if let Some(event) = self.record(&line, out)? {
                                return Ok(Some(event));
                            }
                        }
                    }
                }
                State::Record => {
                    let Some(line) = self.line.take(input)? else { return Ok(None) };
                    if let Some(event) = self.record(&line, out)? {
                        return Ok(Some(event));
                    }
                }
                State::Trouble | State::GivingUp | State::StatusText => {
                    let Some(line) = self.line.take(input)? else { return Ok(None) };
                    let text = PeerText::from_bytes(&line);
                    match self.state {
                        State::GivingUp => return Err(Error::GaveUp(text)),
                        State::Trouble => {
                            self.state = State::Record;
                            return Ok(Some(Event::Trouble(text)));
                        }
                        _ => {
                            self.state = State::Question(Question::FileEnd);
                            return Ok(Some(Event::FileEnd { trouble: Some(text) }));
                        }
                    }
                }
                State::Data { left: 0 } => self.state = State::Status,
                State::Data { left } => {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let (data, rest) = input.split_at_checked(most).unwrap_or((input, &[]));
                    if data.is_empty() {
                        return Ok(None);
                    }
                    *input = rest;
                    let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    self.state = State::Data { left: left.saturating_sub(len) };
                    return Ok(Some(Event::Data(data)));
                }
                State::Status => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    self.state = match byte {
                        0 => State::Question(Question::FileEnd),
                        1 => State::StatusText,
                        2 => State::GivingUp,
                        _ => return Err(PeerMisbehaved::NoEndOfFile { byte }.into()),
                    };
                    if byte == 0 {
                        return Ok(Some(Event::FileEnd { trouble: None }));
                    }
                }
                State::Question(_) => return Ok(None),
                State::Dead => return Err(Error::Ended),
            }
        }
    }

    /// Handles a record; the times alone are no event.
    fn record<'i>(
        &mut self,
        line: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i>>, PeerMisbehaved> {
        match Record::parse(line)? {
            Record::Times(times) => {
                if self.times.replace(times).is_some() {
                    return Err(PeerMisbehaved::TimesWithoutFile);
                }
                out.push(0);
                Ok(None)
            }
            Record::File { mode, size, name } => {
                let offer = self.offer(name, mode, size)?;
                self.state = State::Question(Question::File { size });
                Ok(Some(Event::File(offer)))
            }
            Record::Directory { mode, name } => {
                if !self.recursive {
                    let name = PeerText::from_bytes(name);
                    return Err(PeerMisbehaved::DirectoryNotAskedFor { name });
                }
                if self.depth >= MAX_DEPTH {
                    return Err(PeerMisbehaved::TooDeep);
                }
                let offer = self.offer(name, mode, 0)?;
                self.state = State::Question(Question::Directory);
                Ok(Some(Event::Directory(offer)))
            }
            Record::End => {
                if self.times.is_some() {
                    return Err(PeerMisbehaved::TimesWithoutFile);
                }
                self.depth =
                    self.depth.checked_sub(1).ok_or(PeerMisbehaved::EndWithoutDirectory)?;
                self.state = State::Question(Question::DirectoryEnd);
                Ok(Some(Event::DirectoryEnd))
            }
        }
    }

    fn offer(&mut self, name: &[u8], mode: u32, size: u64) -> Result<Offer, PeerMisbehaved> {
        if let (0, Asked::Names(asked)) = (self.depth, &self.asked)
            && !asked(name)
        {
            return Err(PeerMisbehaved::NotAskedFor { name: PeerText::from_bytes(name) });
        }
        Ok(Offer { name: name.to_vec(), mode, size, times: self.times.take() })
    }

    /// Answers the event that waits for it with yes. Without one, nothing happens.
    pub fn accept(&mut self, out: &mut Vec<u8>) {
        let State::Question(question) = self.state else { return };
        self.state = match question {
            Question::File { size } => State::Data { left: size },
            Question::Directory => {
                self.depth = self.depth.saturating_add(1);
                State::Record
            }
            Question::FileEnd | Question::DirectoryEnd => State::Record,
        };
        out.push(0);
    }

    /// Answers the event that waits for it with what went wrong on this side. Without one, nothing
    /// happens.
    pub fn refuse(&mut self, why: &str, out: &mut Vec<u8>) {
        if !matches!(self.state, State::Question(_)) {
            return;
        }
        self.state = State::Record;
        out.push(1);
        message(why, out);
    }

    /// To be called when the source sends nothing more.
    ///
    /// # Errors
    /// It was in the middle of something.
    pub fn finish(&self) -> Result<(), Error> {
        let between = self.state == State::Record && self.line.is_empty();
        if between && self.depth == 0 && self.times.is_none() { Ok(()) } else { Err(Error::Ended) }
    }
}

/// Writes a message and the end of its line; what is in it cannot end it.
pub(crate) fn message(text: &str, out: &mut Vec<u8>) {
    let most = crate::limits::MAX_LINE.saturating_sub(2);
    out.extend(text.bytes().take(most).map(|byte| if byte == b'\n' { b' ' } else { byte }));
    out.push(b'\n');
}
