//! The subsystem `sftp`: the protocol machine of the crate `sftp` over a directory.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use sftp::server::{Config, Server};
use ssh_connection::{Request, Stream};

use super::{
    fs::{Root, Stop},
    relay,
};
use crate::channel::Channel;

/// Pieces of input that are handled in one go. Each is a packet of the client, 32 KiB mostly.
const BATCH: usize = 32;

/// A session and what it works on, as it goes to a thread that may block and comes back.
struct Work {
    server: Server<Root>,
    input: VecDeque<Bytes>,
    output: Vec<u8>,
    /// False once the client has sent something that is no SFTP.
    sound: bool,
}

impl Work {
    /// Answers requests until the input is used up or enough output waits to be sent.
    fn go_on(mut self) -> Self {
        while self.sound
            && let Some(piece) = self.input.front_mut()
        {
            match self.server.feed(piece, &mut self.output) {
                Ok(taken) => {
                    piece.advance(taken.min(piece.len()));
                    if !piece.is_empty() {
                        break;
                    }
                    self.input.pop_front();
                }
                Err(_) => self.sound = false,
            }
        }
        self
    }
}

/// Nobody waits any more for what a thread is doing.
struct StopWhenGone(Stop);

impl Drop for StopWhenGone {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Serves SFTP on a channel. While files are read and written for the next requests, the answers
/// to the last ones are sent.
pub(super) async fn sftp(channel: &Channel, root: Root) {
    let _stop = StopWhenGone(root.stop());
    let mut work = Work {
        server: Server::new(root, &Config::default()),
        input: VecDeque::new(),
        output: Vec::new(),
        sound: true,
    };
    let mut answers = Vec::new();
    loop {
        if work.input.is_empty() {
            if relay::write_all(channel, Stream::Data, &answers).await.is_err() {
                return;
            }
            answers.clear();
            match next_batch(channel).await {
                Some(batch) => work.input = batch,
                None => break,
            }
        }
        let working = tokio::task::spawn_blocking(move || work.go_on());
        let sending = relay::write_all(channel, Stream::Data, &answers);
        let (worked, sent) = tokio::join!(working, sending);
        let (Ok(done), Ok(())) = (worked, sent) else { return };
        work = done;
        answers.clear();
        core::mem::swap(&mut answers, &mut work.output);
        if !work.sound {
            relay::write_all(channel, Stream::Data, &answers).await.ok();
            break;
        }
    }
    channel.tell(&Request::ExitStatus(u32::from(!work.sound))).ok();
    channel.eof();
    channel.close();
}

/// Everything that has come, and at least something. `None` at the end.
async fn next_batch(channel: &Channel) -> Option<VecDeque<Bytes>> {
    let mut batch = VecDeque::from([relay::next_chunk(channel).await.ok()??]);
    while batch.len() < BATCH
        && let Some(Ok(Some(chunk))) = relay::now(relay::next_chunk(channel)).await
    {
        batch.push_back(chunk);
    }
    Some(batch)
}
