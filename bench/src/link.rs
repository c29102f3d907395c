//! A long link in user space: a TCP proxy that delays and shapes what passes through it.
//!
//! Bytes enter the link at its rate and leave it half a round trip later; each direction has the
//! rate to itself. A connection to the server is opened half a round trip after the client's was
//! accepted, which is when the last packet of TCP's handshake would arrive: for the client,
//! everything is as if its `connect` had taken a round trip less. TCP's slow start, losses and
//! header bytes are not modelled.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Done, Failure};

/// What enters the link at once: half a millisecond at 1 Gbit/s.
const CHUNK: usize = 64 * 1024;
/// What a direction holds at most, in chunks: far more than a round trip, so that TCP's windows
/// are never the limit.
const HELD: usize = 16 * 1024;
/// How far the link may be behind its rate and still make up for it: threads wake up late.
const CATCH_UP: Duration = Duration::from_millis(2);

/// What a link is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) round_trip: Duration,
    /// Bytes a second, in each direction.
    pub(crate) rate: f64,
}

impl Shape {
    /// The long link of the benchmark: 100 ms, 1 Gbit/s.
    pub(crate) const LONG: Self =
        Self { round_trip: Duration::from_millis(100), rate: 125_000_000.0 };

    fn one_way(self) -> Duration {
        self.round_trip / 2
    }

    fn serialized(self, bytes: usize) -> Duration {
        Duration::from_secs_f64(as_f64(bytes) / self.rate)
    }
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Lays a link to `server` on 127.0.0.1, for as many connections as come while this process
/// lives. Gives its port.
pub(crate) fn lay(server: u16, shape: Shape) -> Done<u16> {
    let io = |error| Failure::new(format!("the link to port {server}: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?;
    let port = listener.local_addr().map_err(io)?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || connection(client, server, shape));
        }
    });
    Ok(port)
}

fn connection(client: TcpStream, server: u16, shape: Shape) {
    let open = |server: TcpStream, client: TcpStream| -> io::Result<_> {
        server.set_nodelay(true)?;
        Ok((server.try_clone()?, server, client))
    };
    // What the client says at once is under way while the connection is made.
    let up = client.set_nodelay(true).and_then(|()| client.try_clone()).map(|c| enter(c, shape));
    thread::sleep(shape.one_way());
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server));
    // Where either is gone, dropping the other says so.
    if let (Ok(up), Ok((from, to, client))) = (up, server.and_then(|server| open(server, client))) {
        let down = enter(from, shape);
        thread::spawn(move || give(to, &up));
        thread::spawn(move || give(client, &down));
    }
}

/// Bytes and when they leave the link.
type Held = (Instant, Vec<u8>);

/// What comes from a socket, once it has passed the link.
fn enter(from: TcpStream, shape: Shape) -> Receiver<Held> {
    let (enter, leave) = sync_channel(HELD);
    thread::spawn(move || take(from, &enter, shape));
    leave
}

/// Reads at the rate of the link. What waits outside waits in the buffers of the kernel, and so at
/// the sender.
fn take(mut from: TcpStream, enter: &SyncSender<Held>, shape: Shape) {
    let mut buffer = vec![0; CHUNK];
    let mut entered = Instant::now();
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        let now = Instant::now();
        entered = entered.max(now.checked_sub(CATCH_UP).unwrap_or(now)) + shape.serialized(count);
        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
        // No bytes are the end, which takes as long.
        let leaves = entered.max(now) + shape.one_way();
        if enter.send((leaves, bytes)).is_err() {
            // The other side is gone: the sender may notice.
            drop(from.shutdown(Shutdown::Both));
            return;
        }
        if count == 0 {
            return;
        }
        thread::sleep(entered.saturating_duration_since(now));
    }
}

fn give(mut to: TcpStream, leave: &Receiver<Held>) {
    while let Ok((when, bytes)) = leave.recv() {
        thread::sleep(when.saturating_duration_since(Instant::now()));
        if bytes.is_empty() {
            drop(to.shutdown(Shutdown::Write));
            return;
        }
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// What a link turns out to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) round_trip: Duration,
    /// Bytes a second towards the server and back.
    pub(crate) rates: [f64; 2],
}

/// How far off a link may be.
const TOLERANCE: f64 = 0.03;
/// Sent through a link to see its rate.
const PROBE: usize = 16 * 1024 * 1024;

/// Measures a link of `shape`, and says if it is not what it should be.
pub(crate) fn check(shape: Shape) -> Done<Measured> {
    let measured = measure(shape)
        .map_err(|error| Failure::new(format!("the delayed link does not work: {error}")))?;
    let off = |is: f64, should: f64| (is / should - 1.0).abs() > TOLERANCE;
    let round_trip = off(measured.round_trip.as_secs_f64(), shape.round_trip.as_secs_f64());
    if round_trip || measured.rates.iter().any(|&rate| off(rate, shape.rate)) {
        return Err(Failure::new(format!(
            "the delayed link should be {shape:?} and is {measured:?}: is the machine busy?"
        )));
    }
    Ok(measured)
}

fn measure(shape: Shape) -> Result<Measured, Box<dyn core::error::Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = lay(listener.local_addr()?.port(), shape).map_err(|failure| failure.to_string())?;
    let mut near = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;

    let mut round_trips = Vec::new();
    let mut byte = [0];
    for _ in 0..3 {
        let began = Instant::now();
        near.write_all(&byte)?;
        far.read_exact(&mut byte)?;
        far.write_all(&byte)?;
        near.read_exact(&mut byte)?;
        round_trips.push(began.elapsed());
    }
    round_trips.sort_unstable();
    let up = stream(&near, &far)?;
    let down = stream(&far, &near)?;
    let round_trip = round_trips.get(1).copied().unwrap_or_default();
    Ok(Measured { round_trip, rates: [up, down] })
}

/// The rate at which bytes come out of the link, after the first have.
fn stream(from: &TcpStream, to: &TcpStream) -> Result<f64, Box<dyn core::error::Error>> {
    let mut from = from.try_clone()?;
    let mut to = to.try_clone()?;
    let sender = thread::spawn(move || from.write_all(&vec![7; PROBE]));
    let mut buffer = vec![0; CHUNK];
    let mut rest = PROBE - to.read(&mut buffer)?;
    let (began, whole) = (Instant::now(), rest);
    while rest > 0 {
        rest = rest.saturating_sub(to.read(&mut buffer)?);
    }
    let rate = as_f64(whole) / began.elapsed().as_secs_f64();
    sender.join().map_err(|_| "the sender panicked")??;
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_delays_and_keeps_every_byte_in_order() {
        let shape = Shape { round_trip: Duration::from_millis(40), rate: 50_000_000.0 };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = lay(listener.local_addr().unwrap().port(), shape).unwrap();
        let mut near = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let began = Instant::now();
        near.write_all(&sent).unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        let mut came = Vec::new();
        far.read_to_end(&mut came).unwrap();
        assert!(came == sent, "{} bytes came", came.len());
        // 20 ms for the way and 4 ms at the rate; a busy machine takes longer.
        assert!(began.elapsed() >= Duration::from_millis(22), "{:?}", began.elapsed());
        // The other direction is still open.
        far.write_all(b"ok").unwrap();
        drop(far);
        came.clear();
        near.read_to_end(&mut came).unwrap();
        assert_eq!(came, b"ok");
    }
}
