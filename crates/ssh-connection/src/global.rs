//! RFC 4254 §4: global requests.
//!
//! None of the peer's is granted yet but the promise of `no-more-sessions@openssh.com`: forwarding
//! is not spoken, and `hostkeys-00@openssh.com` is not acted on. So each that wants a reply is
//! answered before the next is read, and the order is right by itself.

use alloc::collections::VecDeque;

use ssh_wire::{Outbox, Rest};

use crate::{
    event::RequestId,
    message::{GlobalRequest, RequestFailure, RequestSuccess},
};

/// The global requests of both sides.
#[derive(Debug, Default)]
pub(crate) struct GlobalRequests {
    /// Ours that wait for a reply, oldest first.
    asked: VecDeque<RequestId>,
    /// The peer has promised to open no more sessions.
    pub(crate) no_more_sessions: bool,
}

impl GlobalRequests {
    pub(crate) fn ask(&mut self, id: RequestId) {
        self.asked.push_back(id);
    }

    /// The request that a reply belongs to: the oldest. `None` for a reply that nobody asked for,
    /// which is dropped: it changes nothing here, and some peers answer what wanted no reply.
    pub(crate) fn answered(&mut self) -> Option<RequestId> {
        self.asked.pop_front()
    }

    /// Answers a request of the peer: exactly once if it wants a reply, and not otherwise.
    pub(crate) fn handle(
        &mut self,
        request: GlobalRequest<'_>,
        is_server: bool,
        out: &mut dyn Outbox,
    ) {
        let granted = is_server && request.name == "no-more-sessions@openssh.com";
        self.no_more_sessions |= granted;
        match (request.want_reply, granted) {
            (false, _) => {}
            (true, true) => out.send(&RequestSuccess { data: Rest(&[]) }),
            (true, false) => out.send(&RequestFailure {}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    fn answers(name: &str, want_reply: bool, is_server: bool) -> Vec<Vec<u8>> {
        let mut out = vec![];
        let request = GlobalRequest { name, want_reply, data: Rest(b"") };
        GlobalRequests::default().handle(request, is_server, &mut out);
        out
    }

    #[test]
    fn a_request_gets_one_reply_if_it_wants_one() {
        for name in ["keepalive@openssh.com", "tcpip-forward", "hostkeys-00@openssh.com", ""] {
            assert_eq!(answers(name, true, true), [[82]]);
            assert_eq!(answers(name, true, false), [[82]]);
            assert!(answers(name, false, true).is_empty());
        }
    }

    #[test]
    fn the_promise_of_no_more_sessions_is_taken_by_servers() {
        assert_eq!(answers("no-more-sessions@openssh.com", true, true), [[81]]);
        assert_eq!(answers("no-more-sessions@openssh.com", true, false), [[82]]);
    }

    #[test]
    fn replies_belong_to_requests_in_order() {
        let mut globals = GlobalRequests::default();
        globals.ask(RequestId(1));
        globals.ask(RequestId(2));
        assert_eq!(globals.answered(), Some(RequestId(1)));
        assert_eq!(globals.answered(), Some(RequestId(2)));
        assert_eq!(globals.answered(), None);
    }
}
