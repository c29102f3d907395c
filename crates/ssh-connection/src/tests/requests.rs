//! RFC 4254 §4, §5.4 and §6: requests of both sides and their replies.

use super::*;
use crate::{
    Env, ExitSignal, Mode, Pty, RequestError, Signal, TerminalModes, WindowSize,
    message::{ChannelRequest, GlobalRequest, RequestSuccess},
};
use ssh_wire::Rest;

fn env(name: &'static [u8]) -> Request<'static> {
    Request::Env(Env { name: name.into(), value: b"1".into() })
}

fn pty() -> Request<'static> {
    let mut modes = TerminalModes::default();
    modes.set(Mode::ECHO, 0);
    Request::Pty(Pty { term: b"xterm".into(), size: WindowSize::of_characters(80, 24), modes })
}

/// All requests there are, and whether the opener of a session may ask for them.
fn all_requests() -> Vec<(Request<'static>, bool)> {
    vec![
        (pty(), true),
        (env(b"A"), true),
        (Request::WindowChange(WindowSize::default()), true),
        (Request::Signal(Signal::INT), true),
        (Request::Break { milliseconds: 0 }, true),
        (Request::Shell, true),
        (Request::XonXoff { client_can_do: true }, false),
        (Request::ExitStatus(0), false),
        (
            Request::ExitSignal(ExitSignal {
                signal: Signal::INT,
                core_dumped: false,
                message: b"".into(),
                language: b"".into(),
            }),
            false,
        ),
        (Request::Other { name: "x11-req".into(), data: b"?".into() }, false),
        (Request::Other { name: "eow@openssh.com".into(), data: b"".into() }, false),
    ]
}

#[test]
fn a_session_is_set_up_and_steered_by_requests() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.session();
    let requests = [pty(), env(b"A"), Request::Exec(b"ls".into()), Request::Signal(Signal::INT)];
    for request in &requests {
        pair.client.request(ours, request, false, &mut pair.to_server).unwrap();
    }
    pair.deliver();
    let expected = requests.map(|request| MuxEvent::Request(theirs, request, None));
    assert_eq!(pair.server_events(), expected);
    assert_eq!(pair.client_events(), [], "no reply was wanted");
}

#[test]
fn who_may_ask_for_what_follows_from_who_opened() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.session();
    for (request, for_programs) in all_requests() {
        let asked = pair.client.request(ours, &request, true, &mut pair.to_server).unwrap();
        pair.deliver();
        let events = pair.server_events();
        if for_programs {
            let [MuxEvent::Request(id, got, Some(_))] = &events[..] else { panic!("{events:?}") };
            assert_eq!((*id, got), (theirs, &request));
        } else {
            assert_eq!(events, [], "{request:?}");
        }
        drop(events);
        pair.server.answer_abandoned(&mut pair.to_client);
        pair.deliver();
        assert_eq!(pair.client_events(), [MuxEvent::RequestAnswered(ours, asked, false)]);
    }
    // "The client SHOULD ignore these messages" (§6.5).
    for (request, _) in all_requests() {
        let is_exit = matches!(request, Request::ExitStatus(_) | Request::ExitSignal(_));
        let asked = pair.server.request(theirs, &request, true, &mut pair.to_client).unwrap();
        pair.deliver();
        pair.client_events();
        let answered = MuxEvent::RequestAnswered(theirs, asked, is_exit);
        assert_eq!(pair.server_events(), [answered], "{request:?}");
    }
}

/// "Only one of these requests can succeed per channel" (§6.5).
#[test]
fn one_program_is_started_per_session() {
    let mut pair = Pair::new();
    let (ours, _) = pair.session();
    let ask = |pair: &mut Pair, request: &Request<'_>| {
        pair.client.request(ours, request, true, &mut pair.to_server).unwrap();
        pair.deliver();
    };
    ask(&mut pair, &Request::Shell);
    let Some(MuxEvent::Request(_, _, Some(token))) = pair.server.poll() else { panic!() };
    ask(&mut pair, &Request::Exec(b"ls".into()));
    assert_eq!(pair.server_events(), [], "the shell may still succeed");
    pair.server.reply(token, false, &mut pair.to_client);
    ask(&mut pair, &Request::Exec(b"ls".into()));
    let Some(MuxEvent::Request(_, _, Some(token))) = pair.server.poll() else { panic!() };
    pair.server.reply(token, true, &mut pair.to_client);
    ask(&mut pair, &Request::Subsystem("sftp".into()));
    assert_eq!(pair.server_events(), []);
    let verdicts: Vec<bool> = pair
        .client_events()
        .iter()
        .map(|event| matches!(event, MuxEvent::RequestAnswered(_, _, true)))
        .collect();
    assert_eq!(verdicts, [false, false, true, false]);
}

#[test]
fn replies_come_in_the_order_of_the_requests_whatever_the_application_does() {
    let mut pair = Pair::new();
    let (ours, _) = pair.session();
    let ask = |pair: &mut Pair, request: &Request<'_>| {
        pair.client.request(ours, request, true, &mut pair.to_server).unwrap()
    };
    let ids = [
        ask(&mut pair, &env(b"A")),
        ask(&mut pair, &Request::Other { name: "unknown".into(), data: b"".into() }),
        ask(&mut pair, &env(b"B")),
        ask(&mut pair, &env(b"C")),
    ];
    pair.deliver();
    let tokens: Vec<_> = pair
        .server_events()
        .into_iter()
        .map(|event| match event {
            MuxEvent::Request(_, _, Some(token)) => token,
            other => panic!("{other:?}"),
        })
        .collect();
    let [a, b, c] = tokens.try_into().unwrap();
    pair.server.reply(c, true, &mut pair.to_client);
    pair.server.reply(b, false, &mut pair.to_client);
    assert_eq!(pair.to_client.len(), 0);
    pair.server.reply(a, true, &mut pair.to_client);
    pair.deliver();
    let answered = |i: usize, ok| MuxEvent::RequestAnswered(ours, ids[i], ok);
    let expected = [answered(0, true), answered(1, false), answered(2, false), answered(3, true)];
    assert_eq!(pair.client_events(), expected);
}

#[test]
fn requests_need_an_open_channel() {
    let mut alone = Alone::new(Role::Client, Limits::default());
    let id = alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
    let mut ask = || alone.mux.request(id, &Request::Shell, true, &mut alone.sent);
    assert_eq!(ask(), Err(RequestError::NotOpen));
    let unknown = ChannelId::for_tests(9);
    let result = alone.mux.request(unknown, &Request::Shell, true, &mut alone.sent);
    assert_eq!(result, Err(RequestError::UnknownChannel));
    assert_eq!(alone.sent(), [90]);
}

#[test]
fn global_requests_get_their_replies_in_order() {
    let mut pair = Pair::new();
    let keepalive = "keepalive@openssh.com";
    let Pair { client, to_server, .. } = &mut pair;
    let first = client.global_request(keepalive, b"", true, to_server);
    client.global_request("hello", b"", false, to_server);
    let third = client.global_request("no-more-sessions@openssh.com", b"", true, to_server);
    pair.deliver();
    assert_eq!(
        pair.client_events(),
        [MuxEvent::GlobalReply(first, None), MuxEvent::GlobalReply(third, Some(Bytes::new()))]
    );
}

#[test]
fn replies_to_global_requests_that_nobody_made_are_dropped() {
    let mut alone = Alone::new(Role::Client, Limits::default());
    alone.get(&RequestSuccess { data: Rest(b"surprise") }).unwrap();
    assert_eq!(alone.mux.poll(), None);
    let id = alone.mux.global_request("a", b"", true, &mut alone.sent);
    alone.get(&RequestSuccess { data: Rest(b"data") }).unwrap();
    let reply = MuxEvent::GlobalReply(id, Some(Bytes::from_static(b"data")));
    assert_eq!(alone.mux.poll(), Some(reply));
}

/// sshd announces its keys straight after authentication (openssh.md §11).
#[test]
fn an_announcement_of_host_keys_is_ignored() {
    let mut alone = Alone::new(Role::Client, Limits::default());
    let data = Rest(b"\0\0\0\x01k");
    alone.get(&GlobalRequest { name: "hostkeys-00@openssh.com", want_reply: false, data }).unwrap();
    assert_eq!((alone.mux.poll(), alone.sent()), (None, vec![]));
}

/// A channel of which the application has let go asks it nothing.
#[test]
fn requests_on_a_released_channel_do_not_reach_the_application() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.session();
    let recipient = theirs.number();
    pair.server.release(theirs, &mut pair.to_client);
    let message = ChannelRequest { recipient, want_reply: true, request: Request::Shell };
    pair.to_server.push(payload(&message));
    pair.deliver_to_server();
    assert_eq!(pair.to_client.len(), 1);
    pair.deliver();
    assert_eq!(pair.server_events(), []);
    assert_eq!(pair.client_events(), [MuxEvent::Closed(ours)]);
}
