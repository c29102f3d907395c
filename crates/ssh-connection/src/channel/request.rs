//! RFC 4254 §5.4: requests on a channel and their replies, in order.

use alloc::collections::VecDeque;

use ssh_wire::Outbox;

use crate::{
    Limit,
    event::RequestId,
    message::{ChannelFailure, ChannelSuccess},
    token::Watch,
};

/// The requests of this side that wait for a reply, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Asked(VecDeque<RequestId>);

impl Asked {
    pub(crate) fn push(&mut self, id: RequestId) {
        self.0.push_back(id);
    }

    /// The request that a reply belongs to.
    pub(crate) fn pop(&mut self) -> Option<RequestId> {
        self.0.pop_front()
    }
}

/// The requests of the peer that wait for a reply, oldest first. "Replies that relate to the same
/// channel MUST also be replied to in the right order" (§4): an answer waits for those before it.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    queue: VecDeque<Answer>,
    /// The serial of the first in the queue.
    first: u64,
    program: Program,
}

#[derive(Debug)]
struct Answer {
    verdict: Verdict,
    /// The request was to start a program.
    starts: bool,
}

#[derive(Debug)]
enum Verdict {
    /// The application has a token.
    Waits(Watch),
    Given(bool),
}

/// "Only one of these requests can succeed per channel" (§6.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Program {
    #[default]
    None,
    Asked,
}

impl Answers {
    /// True if a program was started on the channel, or the application was asked to.
    pub(crate) fn has_program(&self) -> bool {
        self.program == Program::Asked
    }

    /// The application was asked to start a program.
    pub(crate) const fn set_program(&mut self) {
        self.program = Program::Asked;
    }

    /// The application is asked; returns what the token needs to find the place again.
    pub(crate) fn wait(&mut self, watch: Watch, starts: bool) -> u64 {
        let len = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        self.queue.push_back(Answer { verdict: Verdict::Waits(watch), starts });
        self.first.saturating_add(len)
    }

    /// The mux answers by itself, behind those that wait.
    pub(crate) fn give(&mut self, ok: bool) {
        self.queue.push_back(Answer { verdict: Verdict::Given(ok), starts: false });
    }

    /// Checks that one more request may wait.
    pub(crate) fn admit(&self, channel: u32, limit: usize) -> Result<(), Limit> {
        if self.queue.len() >= limit {
            return Err(Limit::PendingReplies { channel, limit });
        }
        Ok(())
    }

    /// The application has answered.
    pub(crate) fn answer(&mut self, serial: u64, ok: bool) {
        let index = serial.checked_sub(self.first).and_then(|i| usize::try_from(i).ok());
        if let Some(answer) = index.and_then(|index| self.queue.get_mut(index)) {
            answer.settle(ok, &mut self.program);
        }
    }

    /// Refuses requests whose tokens were dropped.
    pub(crate) fn refuse_abandoned(&mut self) {
        for answer in &mut self.queue {
            if matches!(&answer.verdict, Verdict::Waits(watch) if watch.is_abandoned()) {
                answer.settle(false, &mut self.program);
            }
        }
    }

    /// Sends the replies that wait for nothing before them.
    pub(crate) fn flush(&mut self, recipient: u32, out: &mut dyn Outbox) {
        while let Some(Answer { verdict: Verdict::Given(ok), .. }) = self.queue.front() {
            if *ok {
                out.send(&ChannelSuccess { recipient });
            } else {
                out.send(&ChannelFailure { recipient });
            }
            self.queue.pop_front();
            self.first = self.first.saturating_add(1);
        }
    }

    /// Forgets all: the channel is closed, and nothing may be sent.
    pub(crate) fn clear(&mut self) {
        self.first = self.first.saturating_add(u64::try_from(self.queue.len()).unwrap_or(0));
        self.queue.clear();
    }
}

impl Answer {
    fn settle(&mut self, ok: bool, program: &mut Program) {
        if matches!(self.verdict, Verdict::Waits(_)) {
            self.verdict = Verdict::Given(ok);
            if self.starts && !ok {
                *program = Program::None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Desk;
    use alloc::vec::Vec;

    /// Numbers of the replies that were sent.
    fn flushed(answers: &mut Answers) -> Vec<u8> {
        let mut out: Vec<Vec<u8>> = Vec::new();
        answers.flush(5, &mut out);
        out.iter().map(|message| message[0]).collect()
    }

    #[test]
    fn replies_go_in_the_order_of_the_requests() {
        let desk = Desk::default();
        let mut answers = Answers::default();
        let (mark_a, watch) = desk.issue();
        let a = answers.wait(watch, false);
        answers.give(false);
        let (_mark_b, watch) = desk.issue();
        let b = answers.wait(watch, false);
        answers.answer(b, true);
        assert_eq!(flushed(&mut answers), []);
        answers.answer(a, true);
        assert_eq!(flushed(&mut answers), [99, 100, 99]);
        drop(mark_a);
        answers.answer(a, false);
        assert_eq!(flushed(&mut answers), [], "a request is answered once");
    }

    #[test]
    fn requests_keep_their_places_when_those_before_them_are_answered() {
        let desk = Desk::default();
        let mut answers = Answers::default();
        let tokens = [desk.issue(), desk.issue(), desk.issue()];
        let [a, b, c] = tokens.map(|(_, watch)| answers.wait(watch, false));
        answers.answer(a, true);
        assert_eq!(flushed(&mut answers), [99]);
        answers.answer(c, true);
        assert_eq!(flushed(&mut answers), []);
        answers.answer(b, false);
        assert_eq!(flushed(&mut answers), [100, 99]);
    }

    #[test]
    fn a_dropped_token_is_a_refusal() {
        let desk = Desk::default();
        let mut answers = Answers::default();
        let (mark, watch) = desk.issue();
        answers.set_program();
        answers.wait(watch, true);
        answers.refuse_abandoned();
        assert_eq!(flushed(&mut answers), []);
        drop(mark);
        answers.refuse_abandoned();
        assert_eq!(flushed(&mut answers), [100]);
        assert!(!answers.has_program(), "another program may be tried");
    }

    #[test]
    fn requests_that_wait_are_bounded() {
        let mut answers = Answers::default();
        answers.give(true);
        assert_eq!(answers.admit(3, 2), Ok(()));
        answers.give(true);
        assert_eq!(answers.admit(3, 2), Err(Limit::PendingReplies { channel: 3, limit: 2 }));
    }
}
