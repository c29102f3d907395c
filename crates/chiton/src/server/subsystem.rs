//! The subsystem `sftp`: the protocol machine of the crate `sftp` over a directory.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use sftp::server::{Config, Server};
use ssh_connection::{Request, Stream};
use tokio::sync::mpsc;

use super::{
    fs::{Root, Stop},
    relay,
};
use crate::{channel::Channel, error::Error};

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
/// to the last ones are sent: three times the output of one go are held at most, where one is being
/// made, one waits and one is being sent.
pub(super) async fn sftp(channel: &Channel, root: Root) {
    let _stop = StopWhenGone(root.stop());
    let (answers, to_send) = mpsc::channel(1);
    let (sent, spare) = mpsc::channel(1);
    let server = Server::new(root, &Config::default());
    // Whichever ends early ends the other.
    let sending = async { send(channel, to_send, sent).await.map_err(drop) };
    let working = async { work(channel, server, answers, spare).await.ok_or(()) };
    let Ok(((), sound)) = tokio::try_join!(sending, working) else { return };
    channel.tell(&Request::ExitStatus(u32::from(!sound))).ok();
    channel.eof();
    channel.close();
}

/// Answers what the client asks, until it asks no more. Gives whether all of it was SFTP; `None` if
/// the answers cannot be sent.
async fn work(
    channel: &Channel,
    server: Server<Root>,
    answers: mpsc::Sender<Vec<u8>>,
    mut spare: mpsc::Receiver<Vec<u8>>,
) -> Option<bool> {
    let mut work = Work { server, input: VecDeque::new(), output: Vec::new(), sound: true };
    while work.sound {
        if work.input.is_empty() {
            match next_batch(channel).await {
                Some(batch) => work.input = batch,
                None => break,
            }
        }
        work = tokio::task::spawn_blocking(move || work.go_on()).await.ok()?;
        if !work.output.is_empty() {
            let next = spare.try_recv().unwrap_or_default();
            answers.send(core::mem::replace(&mut work.output, next)).await.ok()?;
        }
    }
    Some(work.sound)
}

/// Sends the answers in order, and gives the memory back.
async fn send(
    channel: &Channel,
    mut answers: mpsc::Receiver<Vec<u8>>,
    spare: mpsc::Sender<Vec<u8>>,
) -> Result<(), Error> {
    while let Some(mut output) = answers.recv().await {
        relay::write_all(channel, Stream::Data, &output).await?;
        output.clear();
        // One is enough; what is too many goes.
        spare.try_send(output).ok();
    }
    Ok(())
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
