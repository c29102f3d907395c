//! A hostile SFTP server (filexfer-02), and what it must not make a client do.

use chiton::{Client, Error, Sftp, error::SftpErrorKind};
use chiton_tests::hostile::Peer;
use sftp::path::BadComponent;
use ssh_connection::message::{ChannelData, ChannelOpenConfirmation, ChannelSuccess};
use ssh_wire::{Encode, Rest};
use tokio::net::TcpStream;

use crate::{logged_in, rule, within};

/// A server of files that answers as the test says.
struct Files {
    peer: Peer<TcpStream>,
    /// What the client has sent and was not looked at.
    input: Vec<u8>,
    /// What the client still takes.
    window: usize,
}

impl Files {
    /// Takes the client's word for it that it wants SFTP, and answers INIT.
    async fn start() -> (Self, Client, Sftp) {
        let (peer, client) = logged_in().await;
        let mut files = Self { peer, input: Vec::new(), window: 2 << 20 };
        let serve = async {
            files.peer.payload_with(90).await;
            let (initial_window, max_packet, data) = (u32::MAX, 32 * 1024, Rest(&[][..]));
            let confirmation = ChannelOpenConfirmation {
                recipient: 0,
                sender: 0,
                initial_window,
                max_packet,
                data,
            };
            files.peer.send(&confirmation).await;
            files.peer.payload_with(98).await;
            files.peer.send(&ChannelSuccess { recipient: 0 }).await;
            assert_eq!(files.request().await[0], 1);
            files.reply(&[2, 0, 0, 0, 3]).await;
        };
        let (sftp, ()) = within(async { tokio::join!(client.open_sftp(), serve) }).await;
        (files, client, sftp.unwrap())
    }

    /// The next request: its type, its number and its fields.
    async fn request(&mut self) -> Vec<u8> {
        loop {
            if let Some((length, rest)) = self.input.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if let Some((packet, rest)) = rest.split_at_checked(length) {
                    let packet = packet.to_vec();
                    self.input = rest.to_vec();
                    return packet;
                }
            }
            let data = self.message(94).await;
            self.input.extend_from_slice(&data[9..]);
        }
    }

    /// The next message with this number; credit is noted on the way.
    async fn message(&mut self, number: u8) -> Vec<u8> {
        loop {
            let payload = self.peer.payload().await;
            if payload[0] == 93 {
                self.window += u32::from_be_bytes(payload[5..9].try_into().unwrap()) as usize;
            }
            if payload[0] == number {
                return payload;
            }
        }
    }

    /// Sends a packet.
    async fn reply(&mut self, packet: &[u8]) {
        let mut whole = Vec::new();
        packet.encode(&mut whole);
        for data in whole.chunks(32 * 1024) {
            while self.window < data.len() {
                self.message(93).await;
            }
            self.window -= data.len();
            self.peer.send(&ChannelData { recipient: 0, data }).await;
        }
    }

    /// Answers the next request with a packet of this type and these fields.
    async fn answer(&mut self, kind: u8, fields: &[u8]) -> u8 {
        let request = self.request().await;
        let packet = [&[kind], &request[1..5], fields].concat();
        self.reply(&packet).await;
        request[0]
    }

    /// Answers OPENDIR and the first READDIR with these names.
    async fn list(&mut self, names: &[&[u8]]) {
        self.answer(102, &[0, 0, 0, 1, b'h']).await;
        self.answer(104, &listing(names)).await;
    }
}

/// The fields of a NAME.
fn listing(names: &[&[u8]]) -> Vec<u8> {
    let mut fields = Vec::new();
    u32::try_from(names.len()).unwrap().encode(&mut fields);
    for name in names {
        name.encode(&mut fields);
        b"".as_slice().encode(&mut fields);
        0_u32.encode(&mut fields);
    }
    fields
}

fn kind(error: &Error) -> &SftpErrorKind {
    match error {
        Error::Sftp(error) => &error.kind,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_listed_name_that_leads_elsewhere_is_refused() {
    for (name, bad) in [
        (&b"../x"[..], BadComponent::Separator(b'/')),
        (b"/etc/passwd", BadComponent::Separator(b'/')),
        (b"a/b", BadComponent::Separator(b'/')),
        (b"", BadComponent::Empty),
        (b"a\0b", BadComponent::Nul),
    ] {
        let (mut files, _client, sftp) = Files::start().await;
        let names = [&b"."[..], b"..", b"good", name];
        let (listed, ()) =
            within(async { tokio::join!(sftp.list_dir("/"), files.list(&names)) }).await;
        let error = listed.unwrap_err();
        assert!(matches!(kind(&error), SftpErrorKind::BadName(found) if *found == bad), "{error}");
        assert_eq!(rule(&error), "filexfer-02 §7");
    }
}

#[tokio::test]
async fn a_directory_without_end_is_not_listed_for_ever() {
    let (mut files, _client, sftp) = Files::start().await;
    let long = [b'x'; 250_000];
    let endless = async {
        files.answer(102, &[0, 0, 0, 1, b'h']).await;
        while files.answer(104, &listing(&[&long])).await == 12 {}
    };
    let error = within(async {
        tokio::select! {
            listed = sftp.list_dir("/") => listed.unwrap_err(),
            () = endless => panic!("the client has stopped asking"),
        }
    })
    .await;
    assert!(matches!(kind(&error), SftpErrorKind::ListingTooLong { .. }), "{error}");
}

#[tokio::test]
async fn replies_that_no_request_can_have_end_the_session_and_not_the_connection() {
    // To STAT: a handle, names, no names at all, "OK", more than was asked, to nobody.
    let ok = [0; 12];
    for (kind_of_reply, fields, broken) in [
        (102, &[0, 0, 0, 1, 1][..], "filexfer-02 §7"),
        (104, &[0, 0, 0, 0], "filexfer-02 §7"),
        (101, &ok, "filexfer-02 §7"),
        (103, &[0, 0, 0, 1, 1], "filexfer-02 §7"),
        (105, &[0, 0], "filexfer-02 §3"),
        (2, &[], "filexfer-02 §4"),
        (77, &[], "filexfer-02 §3"),
    ] {
        let (mut files, client, sftp) = Files::start().await;
        let answer = async {
            let request = files.request().await;
            let packet = match kind_of_reply {
                2 => vec![2, 0, 0, 0, 3],
                kind => [&[kind], &request[1..5], fields].concat(),
            };
            files.reply(&packet).await;
        };
        let (stat, ()) = within(async { tokio::join!(sftp.metadata("/x"), answer) }).await;
        let error = stat.unwrap_err();
        assert!(matches!(kind(&error), SftpErrorKind::Protocol(_)), "{kind_of_reply}: {error}");
        assert_eq!(rule(&error), broken, "{kind_of_reply}: {error}");
        assert!(sftp.metadata("/x").await.is_err(), "the session is over");
        assert!(client.is_closed().is_none(), "the connection is not");
    }
    // Another number than the one that was given out, and a packet without end.
    for (packet, broken) in
        [(&[105, 9, 9, 9, 9, 0, 0, 0, 0][..], "filexfer-02 §3"), (&[], "filexfer-02 §3")]
    {
        let (mut files, _client, sftp) = Files::start().await;
        let answer = async {
            files.request().await;
            match packet {
                [] => {
                    let data = &[0xff; 4];
                    files.peer.send(&ChannelData { recipient: 0, data }).await;
                }
                packet => files.reply(packet).await,
            }
        };
        let (stat, ()) = within(async { tokio::join!(sftp.metadata("/x"), answer) }).await;
        assert_eq!(rule(&stat.unwrap_err()), broken);
    }
}

/// Replies may come in any order; a server that uses that is not hostile.
#[tokio::test]
async fn a_download_does_not_depend_on_the_order_of_replies() {
    let (mut files, _client, sftp) = Files::start().await;
    let temp = tempfile::tempdir().unwrap();
    let local = temp.path().join("f");
    let serve = async {
        let (stat, open) = (files.request().await, files.request().await);
        assert_eq!((stat[0], open[0]), (17, 3));
        files.reply(&[&[102], &open[1..5], &[0, 0, 0, 1, b'h']].concat()).await;
        // A regular file of two bytes.
        let attrs = [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0o201, 0o244];
        files.reply(&[&[105], &stat[1..5], &attrs[..]].concat()).await;
        loop {
            let request = files.request().await;
            match request[0] {
                // READ: from the handle on.
                5 => {
                    let offset = u64::from_be_bytes(request[10..18].try_into().unwrap());
                    let mut packet = [&[103], &request[1..5], &[0, 0, 0, 2][..], b"ok"].concat();
                    if offset > 0 {
                        packet = [&[101], &request[1..5], &[0, 0, 0, 1][..], &[0; 8]].concat();
                    }
                    files.reply(&packet).await;
                }
                // CLOSE.
                4 => {
                    files.reply(&[&[101], &request[1..5], &[0; 12][..]].concat()).await;
                    break;
                }
                other => panic!("{other}"),
            }
        }
    };
    let (got, ()) = within(async { tokio::join!(sftp.get("/f", &local), serve) }).await;
    assert_eq!(got.unwrap(), 2);
    assert_eq!(std::fs::read(local).unwrap(), b"ok");
}
