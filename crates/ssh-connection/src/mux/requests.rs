//! RFC 4254 §5.4 and §6: requests on channels, in both directions.
//!
//! Which requests of the peer reach the application follows from who opened the session: its
//! opener asks for programs, the other side tells how they ended. What is neither is refused here.

use ssh_wire::{Message, Outbox, Time};

use super::Mux;
use crate::{
    ChannelId, Error, ExitStatus, MuxEvent, PeerMisbehaved, Request, RequestError, RequestId,
    channel::state::{Input, State},
    message::{ChannelFailure, ChannelRequest, ChannelSuccess, RequestOut},
    token::ReplyToken,
};

impl Mux {
    /// Asks the peer for something on a channel. If a reply is wanted,
    /// [`MuxEvent::RequestAnswered`] brings it, at the latest when the channel is closed.
    ///
    /// # Errors
    /// If the channel is not open.
    pub fn request(
        &mut self,
        id: ChannelId,
        request: &Request<'_>,
        want_reply: bool,
        out: &mut dyn Outbox,
    ) -> Result<RequestId, RequestError> {
        let request_id = RequestId(self.serial());
        let channel = self.table.get_mut(id).ok_or(RequestError::UnknownChannel)?;
        match channel.state {
            State::Open { .. } => {}
            State::Opening { .. } => return Err(RequestError::NotOpen),
            State::Closing | State::Closed => return Err(RequestError::Closed),
        }
        out.send(&RequestOut { recipient: channel.remote, want_reply, request });
        if want_reply {
            channel.asked.push(request_id);
        }
        Ok(request_id)
    }

    /// Answers a request of the peer. The answer leaves when those before it on the channel have;
    /// on a channel that is closed it does not leave at all.
    pub fn reply(&mut self, token: ReplyToken, ok: bool, out: &mut dyn Outbox) {
        if let Some(channel) = self.table.get_mut(token.channel) {
            channel.answers.answer(token.serial, ok);
            channel.answers.flush(channel.remote, out);
        }
    }

    pub(super) fn on_success(
        &mut self,
        message: ChannelSuccess,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let number = message.recipient;
        let (id, _) = self.step(number, Input::Reply, ChannelSuccess::NUMBER, now, out)?;
        self.on_reply(id, true)
    }

    pub(super) fn on_failure(
        &mut self,
        message: ChannelFailure,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let number = message.recipient;
        let (id, _) = self.step(number, Input::Reply, ChannelFailure::NUMBER, now, out)?;
        self.on_reply(id, false)
    }

    fn on_reply(&mut self, id: ChannelId, ok: bool) -> Result<(), Error> {
        let request = self.table.get_mut(id).and_then(|channel| channel.asked.pop());
        let Some(request) = request else {
            return Err(PeerMisbehaved::ChannelReplyNotAsked { channel: id.number() }.into());
        };
        self.events.push(MuxEvent::RequestAnswered(id, request, ok));
        Ok(())
    }

    pub(super) fn on_request(
        &mut self,
        message: ChannelRequest<'_>,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let ChannelRequest { recipient, want_reply, request } = message;
        let (id, _) = self.step(recipient, Input::Request, ChannelRequest::NUMBER, now, out)?;
        let Some(channel) = self.table.get_mut(id) else { return Ok(()) };
        let open = channel.state.may_send();
        if open && want_reply {
            channel.answers.admit(recipient, self.limits.max_pending_replies)?;
        }
        if channel.ours {
            let known = self.note_exit(id, request);
            self.answer_at_once(id, want_reply, known, out);
            return Ok(());
        }
        let refused = !is_for_programs(&request)
            || (request.starts_program() && channel.answers.has_program());
        if refused || !open || channel.released {
            self.answer_at_once(id, want_reply, false, out);
            return Ok(());
        }
        self.ask_application(id, request, want_reply)
    }

    /// Hands a request to the application.
    fn ask_application(
        &mut self,
        id: ChannelId,
        request: Request<'_>,
        want_reply: bool,
    ) -> Result<(), Error> {
        self.events.admit_request(request.weight())?;
        let Some(channel) = self.table.get_mut(id) else { return Ok(()) };
        let starts = request.starts_program();
        if starts {
            channel.answers.set_program();
        }
        let token = want_reply.then(|| {
            let (mark, watch) = self.desk.issue();
            ReplyToken { channel: id, serial: channel.answers.wait(watch, starts), _mark: mark }
        });
        self.events.push(MuxEvent::Request(id, request.into_owned(), token));
        Ok(())
    }

    /// Answers a request that is none of the application's business, in its turn.
    fn answer_at_once(&mut self, id: ChannelId, want_reply: bool, ok: bool, out: &mut dyn Outbox) {
        if let Some(channel) = self.table.get_mut(id)
            && want_reply
            && channel.state.may_send()
        {
            channel.answers.give(ok);
            channel.answers.flush(channel.remote, out);
        }
    }

    /// Notes how the program of a session of this side ended. The first word counts. True if the
    /// request was about that.
    fn note_exit(&mut self, id: ChannelId, request: Request<'_>) -> bool {
        let status = match request {
            Request::ExitStatus(code) => ExitStatus::Code(code),
            Request::ExitSignal(exit) => exit.into(),
            _ => return false,
        };
        if let Some(channel) = self.table.get_mut(id)
            && channel.exit.is_none()
        {
            channel.exit = Some(status);
            self.events.push(MuxEvent::Exited(id));
        }
        true
    }
}

/// True for the requests with which the opener of a session sets up and steers a program.
const fn is_for_programs(request: &Request<'_>) -> bool {
    match request {
        Request::Pty(_)
        | Request::Env(_)
        | Request::Shell
        | Request::Exec(_)
        | Request::Subsystem(_)
        | Request::WindowChange(_)
        | Request::Signal(_)
        | Request::Break { .. } => true,
        Request::XonXoff { .. }
        | Request::ExitStatus(_)
        | Request::ExitSignal(_)
        | Request::Other { .. } => false,
    }
}
