//! What a hostile server can make a client hold is what [`chiton::Limits::worst_case`] says. Alone
//! in its process, since it looks at the memory of the whole process.

use chiton::{Auth, Child, Client, HostKeys, Limits};
use chiton_tests::hostile::{Peer, host_key};
use ssh_connection::message::{
    ChannelData, ChannelExtendedData, ChannelOpenConfirmation, ChannelSuccess,
};
use ssh_wire::{Encode, Outbox, Rest};
use tokio::net::{TcpListener, TcpStream};

const CHANNELS: u32 = 24;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_channels = CHANNELS as usize;
    limits.initial_window = 512 * 1024;
    limits.connection_budget = 8 * 1024 * 1024;
    limits
}

/// Bytes of memory that this process has in use.
fn in_use() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Grants a channel, and gives its window.
async fn grant(peer: &mut Peer<TcpStream>) -> usize {
    let open = peer.payload_with(90).await;
    let window = open[16..20].try_into().map(u32::from_be_bytes).unwrap();
    let recipient = open[12..16].try_into().map(u32::from_be_bytes).unwrap();
    let confirmation = ChannelOpenConfirmation {
        recipient,
        sender: recipient,
        initial_window: 0,
        max_packet: 1 << 15,
        data: Rest(&[]),
    };
    peer.send(&confirmation).await;
    peer.payload_with(98).await;
    peer.send(&ChannelSuccess { recipient }).await;
    window as usize
}

/// The most rounds of a flood: with crumbs, a window takes for ever to fill.
const ROUNDS: usize = 400;

/// Sends data of `len` bytes to all channels in turn, on both streams, with nonsense between that
/// is thrown away, so that what is kept lies as far apart as possible. The windows decide how much.
async fn flood(peer: &mut Peer<TcpStream>, windows: &mut [usize], len: usize) {
    let data = vec![7; len];
    let nonsense = [&[2][..], &[0, 0, 0x40, 0], &[0; 0x4000]].concat();
    for _ in 0..ROUNDS {
        for (recipient, window) in (0..).zip(windows.iter_mut()) {
            if *window < 2 * len {
                continue;
            }
            *window -= 2 * len;
            for message in [
                &ChannelData { recipient, data: &data } as &dyn Encode,
                &ChannelExtendedData { recipient, code: 1, data: &data },
                &Rest(&nonsense),
            ] {
                peer.engine.transport.send(message);
            }
        }
        peer.flush().await.unwrap();
    }
}

async fn connect() -> (Peer<TcpStream>, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = Client::builder("127.0.0.1", port)
        .user("x")
        .limits(limits())
        .host_keys(HostKeys::exactly(host_key().public().clone()))
        .auth(Auth::password("x"))
        .connect();
    let accept = async {
        let mut peer = Peer::server(listener.accept().await.unwrap().0);
        peer.let_in().await;
        peer
    };
    let (client, peer) = tokio::join!(connect, accept);
    (peer, client.unwrap())
}

#[tokio::test]
async fn unread_data_on_many_channels_stays_within_the_worst_case() {
    for len in [1024, 1, 4000, 32 * 1024] {
        let (mut peer, client) = connect().await;
        let before = in_use();
        let mut children: Vec<Child> = Vec::new();
        let mut windows = Vec::new();
        for _ in 0..CHANNELS {
            let command = client.command("x");
            let (child, window) = tokio::join!(command.spawn(), grant(&mut peer));
            children.push(child.unwrap());
            windows.push(window);
        }
        let promised: usize = windows.iter().sum();
        assert!(promised <= limits().connection_budget, "{promised}");
        flood(&mut peer, &mut windows, len).await;
        // Everything has arrived once something behind it was answered.
        let mut ask = vec![80];
        "keepalive@openssh.com".encode(&mut ask);
        ask.push(1);
        peer.send_bytes(&ask).await;
        peer.payload_with(82).await;
        let held = in_use().saturating_sub(before);
        let worst = limits().worst_case();
        assert!(held <= worst, "{held} bytes held, {worst} expected, in packets of {len}");
        assert!(client.is_closed().is_none());
    }
}
