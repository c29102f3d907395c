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
            // It has no limits to tell: "operation unsupported".
            assert_eq!(files.answer(101, &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]).await, 200);
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

/// What a server of a tree says of the name at a path.
#[derive(Clone, Copy)]
enum Node {
    Directory(&'static [&'static [u8]]),
    File(&'static [u8]),
}

impl Node {
    /// Its attributes: a mode, and for files a size.
    fn attrs(self) -> Vec<u8> {
        match self {
            Self::Directory(_) => [&[0, 0, 0, 4][..], &0o040_755_u32.to_be_bytes()].concat(),
            Self::File(content) => {
                let size = u64::try_from(content.len()).unwrap().to_be_bytes();
                [&[0, 0, 0, 5][..], &size, &0o100_644_u32.to_be_bytes()].concat()
            }
        }
    }
}

impl Files {
    /// Answers whatever is asked as a server with a tree would, for ever.
    async fn serve_tree(&mut self, at: impl Fn(&[u8]) -> Node) {
        let string = |bytes: &[u8]| {
            let len = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            bytes[4..4 + len].to_vec()
        };
        let mut listed: Vec<Vec<u8>> = Vec::new();
        loop {
            let request = self.request().await;
            // A path, or a handle, which is the path.
            let path = string(&request[5..]);
            let status = |code: u8| vec![101, 0, 0, 0, code, 0, 0, 0, 0, 0, 0, 0, 0];
            let mut reply = match (request[0], at(&path)) {
                (17, node) => [vec![105], node.attrs()].concat(),
                (3, Node::File(_)) | (11, Node::Directory(_)) => {
                    let mut reply = vec![102];
                    path.encode(&mut reply);
                    reply
                }
                (12, Node::Directory(names)) if !listed.contains(&path) => {
                    listed.push(path.clone());
                    let mut reply = vec![104];
                    u32::try_from(names.len()).unwrap().encode(&mut reply);
                    for name in names {
                        name.encode(&mut reply);
                        b"".as_slice().encode(&mut reply);
                        let inner = [&path, &b"/"[..], name].concat();
                        reply.extend(at(&inner).attrs());
                    }
                    reply
                }
                (5, Node::File(content)) => {
                    let offset = &request[9 + path.len()..][..8];
                    match u64::from_be_bytes(offset.try_into().unwrap()) {
                        0 => {
                            let mut reply = vec![103];
                            content.encode(&mut reply);
                            reply
                        }
                        _ => status(1),
                    }
                }
                (4, _) => status(0),
                (12, _) => status(1),
                _ => status(4),
            };
            reply.splice(1..1, request[1..5].iter().copied());
            self.reply(&reply).await;
        }
    }
}

/// Downloads what such a server has at `/top`.
async fn get_tree(at: impl Fn(&[u8]) -> Node, to: &std::path::Path) -> chiton::sftp::Report {
    let (mut files, _client, sftp) = Files::start().await;
    within(async {
        tokio::select! {
            report = sftp.get("/top", to).recursive(true).report() => report,
            () = files.serve_tree(at) => panic!("it serves for ever"),
        }
    })
    .await
}

#[tokio::test]
async fn nothing_of_a_tree_is_written_outside_of_its_directory() {
    for (name, bad) in [
        (&b"../outside"[..], BadComponent::Separator(b'/')),
        (b"/tmp/outside", BadComponent::Separator(b'/')),
        (b"", BadComponent::Empty),
        (b"out\0side", BadComponent::Nul),
    ] {
        let temp = tempfile::tempdir().unwrap();
        let names: &'static [&'static [u8]] =
            Box::leak(vec![&b"."[..], b"..", b"good", Box::leak(name.into()), b"after"].into());
        let node = move |path: &[u8]| match path {
            b"/top" => Node::Directory(names),
            _ => Node::File(b"content"),
        };
        let report = get_tree(node, &temp.path().join("in")).await;
        assert!(matches!(kind(&report.failures[0]), SftpErrorKind::BadName(b) if *b == bad));
        assert_eq!((report.files, report.failed), (1, 1), "what came before it is there");
        assert_eq!(std::fs::read(temp.path().join("in/good")).unwrap(), b"content");
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(temp.path().join("in")).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn directories_in_directories_without_end_are_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let node = |path: &[u8]| match path.ends_with(b"/f") {
        true => Node::File(b"x"),
        false => Node::Directory(&[b"d", b"f"]),
    };
    let report = get_tree(node, &temp.path().join("in")).await;
    assert!(report.is_complete(), "{:?}", report.failures);
    assert_eq!((report.directories, report.files), (64, 64));
    let reasons: Vec<_> = report.skipped.iter().map(|skipped| skipped.reason).collect();
    assert_eq!(reasons, [chiton::sftp::SkipReason::TooDeep]);
}

#[tokio::test]
async fn a_link_that_is_there_is_not_written_through() {
    let temp = tempfile::tempdir().unwrap();
    let outside = temp.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::create_dir(temp.path().join("in")).unwrap();
    std::os::unix::fs::symlink(&outside, temp.path().join("in/d")).unwrap();
    std::os::unix::fs::symlink(outside.join("f"), temp.path().join("in/f")).unwrap();
    let node = |path: &[u8]| match path {
        b"/top" => Node::Directory(&[b"d", b"f", b"good"]),
        b"/top/d" => Node::Directory(&[b"x"]),
        _ => Node::File(b"content"),
    };
    let report = get_tree(node, &temp.path().join("in")).await;
    assert_eq!(report.files, 1, "{:?}", report.failures);
    assert!(report.failed >= 2, "{:?}", report.failures);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}
