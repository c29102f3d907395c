//! SFTP: requests and replies of a large file.

use bytes::{BufMut as _, Bytes, BytesMut};
use sftp::{
    Attrs, OpenFlags,
    client::{Client, Handle, Response},
};

use crate::{Done, check};

/// Requests in a scenario.
const COUNT: u32 = 2000;
/// Bytes of a reply with data, and the pieces in which a channel gives it.
const REPLY: u32 = 256 * 1024 - 1024;
const PIECE: usize = 32 * 1024;
/// Requests under way.
const DEPTH: u32 = 64;

/// A packet as a server sends it: a type, an id, and the rest.
fn packet(number: u8, id: u32, rest: &[u8]) -> Done<BytesMut> {
    let mut bytes = BytesMut::new();
    bytes.put_u32(u32::try_from(rest.len())? + 5);
    bytes.put_u8(number);
    bytes.put_u32(id);
    bytes.put_slice(rest);
    Ok(bytes)
}

/// A client with an open file.
fn opened(out: &mut Vec<u8>) -> Done<(Client, Handle)> {
    let mut client = Client::new();
    client.start(out)?;
    client.feed(packet(2, 3, b"\0\0\0\x12limits@openssh.com\0\0\0\x011")?.freeze())?;
    let id = client.ask_limits(out)?;
    let limits = [256 * 1024, REPLY, REPLY, 1000];
    let limits: Vec<u8> = limits.into_iter().flat_map(|n| u64::from(n).to_be_bytes()).collect();
    client.feed(packet(201, id.number(), &limits)?.freeze())?;
    let id = client.open(b"/a/file", OpenFlags::READ, &Attrs::default(), out)?;
    client.feed(packet(102, id.number(), &[0, 0, 0, 4, 0, 0, 0, 1])?.freeze())?;
    while let Some(reply) = client.poll() {
        if let Response::Handle(handle) = reply.response {
            return Ok((client, handle));
        }
    }
    Err("no handle".into())
}

pub(crate) fn read() -> Done {
    let mut out = Vec::new();
    let (mut client, handle) = opened(&mut out)?;
    let len = usize::try_from(REPLY)?;
    let data = Bytes::from(vec![7; len]);
    let mut arrived = 0;
    for round in 0..COUNT / DEPTH {
        out.clear();
        let mut ids = Vec::new();
        for index in 0..DEPTH {
            let offset = u64::from(round * DEPTH + index) * u64::from(REPLY);
            ids.push(client.read(&handle, offset, REPLY, &mut out)?.number());
        }
        for id in ids {
            let mut header = BytesMut::new();
            header.put_u32(REPLY + 9);
            header.put_u8(103);
            header.put_u32(id);
            header.put_u32(REPLY);
            client.feed(header.freeze())?;
            for at in (0..len).step_by(PIECE) {
                client.feed(data.slice(at..len.min(at + PIECE)))?;
            }
        }
        while let Some(reply) = client.poll() {
            let Response::Data(chunks) = reply.response else { return Err("no data".into()) };
            arrived += chunks.iter().map(<[u8]>::len).sum::<usize>();
        }
    }
    check(arrived == len * usize::try_from(COUNT / DEPTH * DEPTH)?, "data is missing")
}

pub(crate) fn write() -> Done {
    let mut out = Vec::new();
    let (mut client, handle) = opened(&mut out)?;
    let mut confirmed = 0;
    for round in 0..COUNT / DEPTH {
        out.clear();
        let mut ids = Vec::new();
        for index in 0..DEPTH {
            let offset = u64::from(round * DEPTH + index) * u64::from(REPLY);
            ids.push(client.write_header(&handle, offset, REPLY, &mut out)?.number());
        }
        let mut replies = BytesMut::new();
        for id in ids {
            // The status OK, with a text and a language.
            replies.put_slice(&packet(101, id, b"\0\0\0\0\0\0\0\x02ok\0\0\0\0")?);
        }
        client.feed(replies.freeze())?;
        while let Some(reply) = client.poll() {
            confirmed += u32::from(matches!(reply.response, Response::Status(_)));
        }
    }
    check(confirmed == COUNT / DEPTH * DEPTH, "confirmations are missing")
}
