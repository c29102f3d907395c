//! A long link in virtual time: what is written arrives half a round trip later.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// What the ends buffer: more than any test has under way.
const ROOM: usize = 64 * 1024 * 1024;

/// What crosses the link at once.
const PIECE: usize = 64 * 1024;

/// A link.
#[derive(Clone, Copy)]
pub struct Link {
    pub round_trip: Duration,
    /// Bytes a second; none where they do not matter.
    pub rate: Option<u32>,
}

impl Link {
    /// Lays it. Both ends.
    pub fn lay(self) -> (DuplexStream, DuplexStream) {
        let (client, near) = tokio::io::duplex(ROOM);
        let (server, far) = tokio::io::duplex(ROOM);
        let (near_read, near_write) = tokio::io::split(near);
        let (far_read, far_write) = tokio::io::split(far);
        self.carry(near_read, far_write);
        self.carry(far_read, near_write);
        (client, server)
    }

    fn carry(self, mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
        let (under_way, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        tokio::spawn(async move {
            let mut free = Instant::now();
            let mut bytes = vec![0; PIECE];
            while let Ok(n @ 1..) = from.read(&mut bytes).await {
                free = free.max(Instant::now());
                if let Some(rate) = self.rate {
                    free += Duration::from_secs(n as u64) / rate;
                }
                let arrives = free + self.round_trip / 2;
                if under_way.send((arrives, bytes[..n].to_vec())).is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some((arrives, bytes)) = arriving.recv().await {
                sleep_until(arrives).await;
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            // The other end sees the end only so: the stream's other half lives on.
            to.shutdown().await.ok();
        });
    }
}
