//! RFC 4254 §5.1 and §5.3: the life of a channel.
//!
//! ```text
//!      open_session()                                    accept()
//!            │                                               │
//!            ▼                                               │
//!   ┌─────────────────┐        CONFIRMATION         ┌────────▼────────┐
//!   │     Opening     ├────────────────────────────►│      Open       │◄─┐ eof(): send EOF
//!   │ then: Nothing   │                             │ sent_eof        ├──┘ EOF received
//!   │       Eof Close │                             │ received_eof    │    data, requests, …
//!   └──┬───────────┬──┘                             └──┬───────────┬──┘
//!      │ FAILURE   │ CONFIRMATION, then: Close         │ close()   │ CLOSE received:
//!      ▼           └──── send CLOSE ────────┐          │ send CLOSE│ send CLOSE
//!   (gone)                                  ▼          ▼           ▼
//!                                        ┌────────────────┐   ┌──────────┐
//!                                        │    Closing     ├──►│  Closed  │
//!                                        │ late messages  │   │ unread   │
//!                                        │ are dropped    │   │ data may │
//!                                        └────────────────┘   │ be read  │
//!                                             CLOSE received  └──────────┘
//! ```
//!
//! A channel accepted from the peer starts as `Open`: the answer to the open is the first message
//! about it. [`State::step`] is total: each message has an answer in each state.

use crate::PeerMisbehaved;

/// Where a channel is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// This side asked for the channel and waits for the answer.
    Opening {
        /// What this side wants to do once it is open.
        then: Then,
    },
    /// Both know the channel.
    Open {
        /// This side said that it sends no more data.
        sent_eof: bool,
        /// The peer said so.
        received_eof: bool,
    },
    /// This side has sent CLOSE: nothing may be sent, and what comes is late.
    Closing,
    /// Both have sent CLOSE.
    Closed,
}

/// What is to be done as soon as a channel is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    Eof,
    Close,
}

/// What happens to a channel: wishes of this side and messages of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    SendEof,
    SendClose,
    Confirmation,
    OpenFailure,
    WindowAdjust,
    Data,
    Eof,
    Close,
    Request,
    Reply,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// Act on the message.
    Process,
    /// It is late or says nothing new.
    Drop,
    /// Send EOF; on a confirmation, act on it first.
    SendEof,
    /// Send CLOSE; on a confirmation or the peer's CLOSE, act on it too.
    SendClose,
    /// The channel never came to be.
    Forget,
}

impl State {
    pub(crate) const OPENING: Self = Self::Opening { then: Then::Nothing };
    pub(crate) const OPEN: Self = Self::Open { sent_eof: false, received_eof: false };

    /// The next state and what to do, or the rule that the peer broke.
    pub(crate) const fn step(self, input: Input) -> Result<(Self, Reaction), Violation> {
        match self {
            Self::Opening { then } => Self::step_opening(then, input),
            Self::Open { sent_eof, received_eof } => Self::step_open(sent_eof, received_eof, input),
            Self::Closing => Self::step_closing(input),
            Self::Closed => Self::step_closed(input),
        }
    }

    const fn step_opening(then: Then, input: Input) -> Result<(Self, Reaction), Violation> {
        Ok(match (input, then) {
            (Input::SendEof, Then::Nothing) => (Self::Opening { then: Then::Eof }, Reaction::Drop),
            (Input::SendEof, Then::Eof | Then::Close) => (Self::Opening { then }, Reaction::Drop),
            (Input::SendClose, _) => (Self::Opening { then: Then::Close }, Reaction::Drop),
            (Input::Confirmation, Then::Nothing) => (Self::OPEN, Reaction::Process),
            (Input::Confirmation, Then::Eof) => {
                (Self::Open { sent_eof: true, received_eof: false }, Reaction::SendEof)
            }
            (Input::Confirmation, Then::Close) => (Self::Closing, Reaction::SendClose),
            (Input::OpenFailure, _) => (Self::Closed, Reaction::Forget),
            (
                Input::WindowAdjust
                | Input::Data
                | Input::Eof
                | Input::Close
                | Input::Request
                | Input::Reply,
                _,
            ) => {
                return Err(Violation::BeforeConfirmation);
            }
        })
    }

    const fn step_open(
        sent_eof: bool,
        received_eof: bool,
        input: Input,
    ) -> Result<(Self, Reaction), Violation> {
        let same = Self::Open { sent_eof, received_eof };
        Ok(match input {
            Input::SendEof if sent_eof => (same, Reaction::Drop),
            Input::SendEof => (Self::Open { sent_eof: true, received_eof }, Reaction::SendEof),
            Input::SendClose => (Self::Closing, Reaction::SendClose),
            Input::Data if received_eof => return Err(Violation::DataAfterEof),
            // Saying it twice says nothing new.
            Input::Eof if received_eof => (same, Reaction::Drop),
            Input::Eof => (Self::Open { sent_eof, received_eof: true }, Reaction::Process),
            Input::Close => (Self::Closed, Reaction::SendClose),
            Input::WindowAdjust | Input::Data | Input::Request | Input::Reply => {
                (same, Reaction::Process)
            }
            Input::Confirmation | Input::OpenFailure => {
                return Err(Violation::OpenReplyNotAsked);
            }
        })
    }

    const fn step_closing(input: Input) -> Result<(Self, Reaction), Violation> {
        Ok(match input {
            Input::Close => (Self::Closed, Reaction::Process),
            // Requests may tell how the program ended; replies keep the queue of ours in step.
            Input::Request | Input::Reply => (Self::Closing, Reaction::Process),
            Input::SendEof | Input::SendClose | Input::WindowAdjust | Input::Data | Input::Eof => {
                (Self::Closing, Reaction::Drop)
            }
            Input::Confirmation | Input::OpenFailure => {
                return Err(Violation::OpenReplyNotAsked);
            }
        })
    }

    const fn step_closed(input: Input) -> Result<(Self, Reaction), Violation> {
        Ok(match input {
            // Threads that credit a window race with threads that close. OpenSSH lets it pass, and
            // so does everyone who wants to talk to the others.
            Input::SendEof | Input::SendClose | Input::WindowAdjust => {
                (Self::Closed, Reaction::Drop)
            }
            Input::Confirmation | Input::OpenFailure => {
                return Err(Violation::OpenReplyNotAsked);
            }
            Input::Data | Input::Eof | Input::Close | Input::Request | Input::Reply => {
                return Err(Violation::AfterClose);
            }
        })
    }

    /// True while this side may send data.
    pub(crate) const fn may_write(self) -> bool {
        matches!(self, Self::Open { sent_eof: false, .. })
    }

    /// True while this side may send anything.
    pub(crate) const fn may_send(self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// True while the peer may send data that will be read.
    pub(crate) const fn may_receive(self) -> bool {
        matches!(self, Self::Open { received_eof: false, .. })
    }
}

/// How a message can be out of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    AfterClose,
    BeforeConfirmation,
    DataAfterEof,
    OpenReplyNotAsked,
}

impl Violation {
    /// As an error, with the channel and the number of the message.
    pub(crate) const fn at(self, channel: u32, message: u8) -> PeerMisbehaved {
        match self {
            Self::AfterClose => PeerMisbehaved::MessageAfterClose { channel, message },
            Self::BeforeConfirmation => {
                PeerMisbehaved::MessageBeforeConfirmation { channel, message }
            }
            Self::DataAfterEof => PeerMisbehaved::DataAfterEof { channel },
            Self::OpenReplyNotAsked => PeerMisbehaved::OpenReplyNotAsked { channel },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const INPUTS: [Input; 10] = [
        Input::SendEof,
        Input::SendClose,
        Input::Confirmation,
        Input::OpenFailure,
        Input::WindowAdjust,
        Input::Data,
        Input::Eof,
        Input::Close,
        Input::Request,
        Input::Reply,
    ];

    const fn opening(then: Then) -> State {
        State::Opening { then }
    }

    const fn open(sent_eof: bool, received_eof: bool) -> State {
        State::Open { sent_eof, received_eof }
    }

    /// The diagram at the top of the file, edge by edge.
    #[test]
    fn the_diagram_is_walked() {
        use Input::{
            Close, Confirmation, Data, Eof, OpenFailure, Reply, Request, SendClose, SendEof,
            WindowAdjust,
        };
        for (from, input, to, reaction) in [
            (State::OPENING, Confirmation, State::OPEN, Reaction::Process),
            (State::OPENING, OpenFailure, State::Closed, Reaction::Forget),
            (State::OPENING, SendEof, opening(Then::Eof), Reaction::Drop),
            (State::OPENING, SendClose, opening(Then::Close), Reaction::Drop),
            (opening(Then::Eof), SendClose, opening(Then::Close), Reaction::Drop),
            (opening(Then::Eof), Confirmation, open(true, false), Reaction::SendEof),
            (opening(Then::Eof), OpenFailure, State::Closed, Reaction::Forget),
            (opening(Then::Close), SendEof, opening(Then::Close), Reaction::Drop),
            (opening(Then::Close), Confirmation, State::Closing, Reaction::SendClose),
            (opening(Then::Close), OpenFailure, State::Closed, Reaction::Forget),
            (State::OPEN, SendEof, open(true, false), Reaction::SendEof),
            (State::OPEN, Eof, open(false, true), Reaction::Process),
            (open(true, false), Eof, open(true, true), Reaction::Process),
            (open(false, true), SendEof, open(true, true), Reaction::SendEof),
            (open(true, true), SendEof, open(true, true), Reaction::Drop),
            (open(true, true), Eof, open(true, true), Reaction::Drop),
            (State::OPEN, Data, State::OPEN, Reaction::Process),
            (open(true, false), Data, open(true, false), Reaction::Process),
            (open(true, true), Request, open(true, true), Reaction::Process),
            (open(true, true), Reply, open(true, true), Reaction::Process),
            (open(true, true), WindowAdjust, open(true, true), Reaction::Process),
            (open(true, true), SendClose, State::Closing, Reaction::SendClose),
            (State::OPEN, SendClose, State::Closing, Reaction::SendClose),
            (State::OPEN, Close, State::Closed, Reaction::SendClose),
            (State::Closing, Close, State::Closed, Reaction::Process),
            (State::Closing, Data, State::Closing, Reaction::Drop),
            (State::Closing, Eof, State::Closing, Reaction::Drop),
            (State::Closing, WindowAdjust, State::Closing, Reaction::Drop),
            (State::Closing, SendClose, State::Closing, Reaction::Drop),
            (State::Closing, SendEof, State::Closing, Reaction::Drop),
            (State::Closed, SendClose, State::Closed, Reaction::Drop),
            (State::Closed, SendEof, State::Closed, Reaction::Drop),
            (State::Closed, WindowAdjust, State::Closed, Reaction::Drop),
        ] {
            assert_eq!(from.step(input), Ok((to, reaction)), "{from:?} {input:?}");
        }
    }

    #[test]
    fn messages_out_of_place_break_a_rule() {
        for input in [
            Input::WindowAdjust,
            Input::Data,
            Input::Eof,
            Input::Close,
            Input::Request,
            Input::Reply,
        ] {
            for then in [Then::Nothing, Then::Eof, Then::Close] {
                assert_eq!(opening(then).step(input), Err(Violation::BeforeConfirmation));
            }
            if input != Input::WindowAdjust {
                assert_eq!(State::Closed.step(input), Err(Violation::AfterClose));
            }
        }
        for input in [Input::Confirmation, Input::OpenFailure] {
            for state in [State::OPEN, open(true, true), State::Closing, State::Closed] {
                assert_eq!(state.step(input), Err(Violation::OpenReplyNotAsked));
            }
        }
        for sent_eof in [false, true] {
            assert_eq!(open(sent_eof, true).step(Input::Data), Err(Violation::DataAfterEof));
        }
    }

    #[test]
    fn wishes_of_this_side_never_break_a_rule() {
        for state in [
            State::OPENING,
            opening(Then::Eof),
            opening(Then::Close),
            State::OPEN,
            open(true, true),
            State::Closing,
            State::Closed,
        ] {
            assert!(state.step(Input::SendEof).is_ok() && state.step(Input::SendClose).is_ok());
        }
    }

    /// Whatever happens, CLOSE is sent at most once, EOF at most once, and nothing after CLOSE.
    #[test]
    fn close_is_sent_once_in_every_history() {
        let mut histories: Vec<(State, u32, u32)> =
            [State::OPENING, State::OPEN].into_iter().map(|state| (state, 0, 0)).collect();
        let mut seen = histories.clone();
        while let Some((state, eofs, closes)) = histories.pop() {
            for input in INPUTS {
                let Ok((next, reaction)) = state.step(input) else { continue };
                let eofs = eofs + u32::from(reaction == Reaction::SendEof);
                let closes_next = closes + u32::from(reaction == Reaction::SendClose);
                assert!(eofs <= 1 && closes_next <= 1, "{state:?} {input:?}");
                assert!(closes == 0 || reaction != Reaction::SendEof, "{state:?} {input:?}");
                if next == State::Closed && reaction != Reaction::Forget {
                    assert!(closes_next == 1 || state == State::Closed, "{state:?} {input:?}");
                }
                if !seen.contains(&(next, eofs, closes_next)) {
                    seen.push((next, eofs, closes_next));
                    histories.push((next, eofs, closes_next));
                }
            }
        }
    }

    #[test]
    fn what_may_be_sent_follows_from_the_state() {
        assert!(State::OPEN.may_write() && State::OPEN.may_send() && State::OPEN.may_receive());
        assert!(!open(true, false).may_write() && open(true, false).may_send());
        assert!(!open(false, true).may_receive());
        for state in [State::OPENING, State::Closing, State::Closed] {
            assert!(!state.may_write() && !state.may_send() && !state.may_receive());
        }
    }
}
