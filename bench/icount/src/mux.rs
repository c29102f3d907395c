//! A channel without a transport: what is written, arrives.

use ssh_connection::{Limits, Mux, MuxEvent, ReadChunk, Request, Role, Stream};
use ssh_wire::{Time, proof::Authenticated};

use crate::{Done, check};

/// Sent in each direction, in bytes.
const TOTAL: usize = 16 << 20;
/// Written at a time: a few packets.
const PIECE: usize = 128 * 1024;

type Wire = Vec<Vec<u8>>;

pub(crate) fn both_ways() -> Done {
    let now = Time::ZERO;
    let mux = |role| Mux::new(Authenticated::by_userauth_success(), role, Limits::default());
    let (mut client, mut server) = (mux(Role::Client), mux(Role::Server));
    let (mut to_server, mut to_client) = (Wire::new(), Wire::new());
    let ours = client.open_session(now, &mut to_server)?;
    let mut theirs = None;
    let (mut sent, mut came) = ([0; 2], [0; 2]);
    let piece = vec![7; PIECE];
    while came != [TOTAL; 2] {
        let before = (sent, came, theirs);
        for message in core::mem::take(&mut to_server) {
            server.handle(message.into(), now, &mut to_client)?;
        }
        while let Some(event) = server.poll() {
            match event {
                MuxEvent::Incoming(channel) => {
                    theirs = server.accept(channel, now, &mut to_client);
                }
                MuxEvent::Request(_, _, Some(token)) => server.reply(token, true, &mut to_client),
                _ => {}
            }
        }
        for message in core::mem::take(&mut to_client) {
            client.handle(message.into(), now, &mut to_server)?;
        }
        let mut running = false;
        while let Some(event) = client.poll() {
            if let MuxEvent::Opened(id) = event {
                client.request(id, &Request::Exec(b"x".into()), true, &mut to_server)?;
                running = true;
            }
        }
        if let Some(theirs) = theirs.filter(|_| !running) {
            let left = |sent: usize| piece.get(..PIECE.min(TOTAL - sent)).unwrap_or_default();
            sent[0] += client.write(ours, Stream::Data, &[left(sent[0])], &mut to_server)?;
            sent[1] += server.write(theirs, Stream::Data, &[left(sent[1])], &mut to_client)?;
            let read = |mux: &mut Mux, id, out: &mut Wire| {
                let mut count = 0;
                while let ReadChunk::Data(bytes) = mux.read_chunk(id, Stream::Data, now, out) {
                    count += bytes.len();
                }
                count
            };
            came[0] += read(&mut server, theirs, &mut to_client);
            came[1] += read(&mut client, ours, &mut to_server);
        }
        let idle = to_server.is_empty() && to_client.is_empty();
        check(!idle || before != (sent, came, theirs), "nothing moves")?;
    }
    Ok(())
}
