//! Moves bytes between a channel and a program, each direction at the pace of its taker.

use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use bytes::Bytes;
use ssh_connection::Stream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
};

use super::process::DRAIN;
use crate::{channel::Channel, error::Error};

/// What is read from a program at once: as much as a pipe holds on Linux.
const PIECE: usize = 64 * 1024;

/// The next piece of what the client sent; `None` at the end.
pub(super) async fn next_chunk(channel: &Channel) -> Result<Option<Bytes>, Error> {
    poll_fn(|cx| channel.poll_read_chunk(Stream::Data, cx)).await
}

/// Sends all of `data`, waiting for window as often as needed.
pub(super) async fn write_all(
    channel: &Channel,
    stream: Stream,
    mut data: &[u8],
) -> Result<(), Error> {
    while !data.is_empty() {
        let n = poll_fn(|cx| channel.poll_write(stream, cx, &[data])).await?;
        data = data.get(n..).unwrap_or_default();
    }
    Ok(())
}

/// From the program to the client, until the program's end closes.
///
/// A terminal stays open as long as anybody has it, also a forgotten process in the background.
/// `ended` tells when the program itself has ended: then silence is the end, too.
pub(super) async fn output(
    channel: &Channel,
    stream: Stream,
    from: impl AsyncRead,
    mut ended: Option<watch::Receiver<bool>>,
) {
    let mut from = pin!(from);
    let mut buf = vec![0; PIECE];
    loop {
        let read = match &mut ended {
            None => from.read(&mut buf).await,
            Some(ended) => tokio::select! {
                biased;
                read = from.read(&mut buf) => read,
                () = silence(ended) => return,
            },
        };
        // On Linux, reading from a terminal that nobody has open any more is an error.
        let Ok(n) = read else { return };
        let piece = buf.get(..n).unwrap_or_default();
        if piece.is_empty() || write_all(channel, stream, piece).await.is_err() {
            return;
        }
    }
}

async fn silence(ended: &mut watch::Receiver<bool>) {
    // The sender lives as long as whoever waits here.
    ended.wait_for(|ended| *ended).await.ok();
    tokio::time::sleep(DRAIN).await;
}

/// From the client to the program, until the client says that there is no more. Then the
/// program's end is closed, or, on a terminal, `last` is typed.
pub(super) async fn input(channel: &Channel, to: impl AsyncWrite, last: impl FnOnce() -> Vec<u8>) {
    let mut to = pin!(to);
    while let Ok(Some(chunk)) = next_chunk(channel).await {
        if to.write_all(&chunk).await.is_err() {
            // The program reads no more; the client need not wait for it.
            channel.discard(Stream::Data);
            return;
        }
    }
    to.write_all(&last()).await.ok();
    to.flush().await.ok();
}

/// What `future` has to say at once; `None` if it would have to wait.
pub(super) async fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}
