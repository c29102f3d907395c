//! The two ends together, and each against a peer that lies.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use crate::{
    Asked, Error, Event, Misuse, PeerMisbehaved, Reply, Sink, Source, Times,
    limits::{MAX_DEPTH, MAX_LINE},
    name,
};

/// What a sink made of `input`, where everything is accepted.
fn sink_of(asked: Asked, recursive: bool, input: &[u8]) -> (Vec<String>, Result<(), Error>) {
    let mut out = Vec::new();
    let mut sink = Sink::new(asked, recursive, &mut out);
    let mut seen = Vec::new();
    let mut rest = input;
    loop {
        match sink.receive(&mut rest, &mut out) {
            Ok(Some(event)) => {
                seen.push(match event {
                    Event::File(offer) => {
                        alloc::format!(
                            "file {} {}",
                            String::from_utf8_lossy(&offer.name),
                            offer.size
                        )
                    }
                    Event::Data(data) => alloc::format!("data {}", String::from_utf8_lossy(data)),
                    Event::FileEnd { trouble } => alloc::format!("file end {trouble:?}"),
                    Event::Directory(offer) => {
                        alloc::format!("directory {}", String::from_utf8_lossy(&offer.name))
                    }
                    Event::DirectoryEnd => "directory end".into(),
                    Event::Trouble(text) => alloc::format!("trouble {text}"),
                });
                sink.accept(&mut out);
            }
            Ok(None) => return (seen, sink.finish()),
            Err(error) => {
                if matches!(error, Error::PeerMisbehaved(_)) {
                    let told = String::from_utf8_lossy(&out).into_owned();
                    assert!(told.contains("\u{2}scp: protocol error: "), "{told:?}");
                }
                assert_eq!(sink.receive(&mut rest, &mut out), Err(Error::Ended), "it stays dead");
                return (seen, Err(error));
            }
        }
    }
}

fn misbehaved(asked: Asked, recursive: bool, input: &[u8]) -> PeerMisbehaved {
    match sink_of(asked, recursive, input).1 {
        Err(Error::PeerMisbehaved(error)) => error,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(input)),
    }
}

fn only(wanted: &'static [u8]) -> Asked {
    Asked::Names(Box::new(move |name| name == wanted))
}

#[test]
fn files_troubles_and_directories_are_received() {
    let input =
        b"\x01scp: no such file\nT1 0 2 0\nC0644 3 f\nabc\0D0755 0 d\nC0600 0 e\n\x01short\nE\n";
    let (seen, end) = sink_of(Asked::Anything, true, input);
    let expected = [
        "trouble scp: no such file",
        "file f 3",
        "data abc",
        "file end None",
        "directory d",
        "file e 0",
        "file end Some(\"short\")",
        "directory end",
    ];
    assert_eq!((seen.iter().map(String::as_str).collect(), end), (expected.to_vec(), Ok(())));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for line in [&b"C0644 2 ../f\n"[..], b"D0755 0 /etc\n", b"D0755 0 ..\n", b"D0755 0 .\n"] {
        let error = misbehaved(Asked::Anything, true, line);
        assert!(matches!(error, PeerMisbehaved::BadName { .. }), "{error}");
    }
    let error = misbehaved(Asked::Anything, true, b"C0644 2 a\x1b[2J\n");
    assert!(!error.to_string().contains('\u{1b}'), "it is shown and not obeyed");
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let error = misbehaved(only(b"f"), true, b"C0644 0 .bashrc\n");
    assert!(matches!(error, PeerMisbehaved::NotAskedFor { .. }), "{error}");
    let error = misbehaved(only(b"f"), true, b"D0755 0 g\n");
    assert!(matches!(error, PeerMisbehaved::NotAskedFor { .. }), "{error}");
    // What is in a directory is the directory's.
    let (seen, end) = sink_of(only(b"f"), true, b"D0755 0 f\nC0644 0 g\n\0E\n");
    assert_eq!((seen.len(), end), (4, Ok(())));
    let error = misbehaved(only(b"f"), false, b"D0755 0 f\n");
    assert!(matches!(error, PeerMisbehaved::DirectoryNotAskedFor { .. }), "{error}");
}

#[test]
fn nesting_has_an_end_and_ends_fit() {
    let within = [b"D0755 0 d\n".repeat(MAX_DEPTH), b"E\n".repeat(MAX_DEPTH)].concat();
    assert_eq!(sink_of(Asked::Anything, true, &within).1, Ok(()));
    let beyond = b"D0755 0 d\n".repeat(MAX_DEPTH + 1);
    assert_eq!(misbehaved(Asked::Anything, true, &beyond), PeerMisbehaved::TooDeep);
    assert_eq!(misbehaved(Asked::Anything, true, b"E\n"), PeerMisbehaved::EndWithoutDirectory);
}

#[test]
fn a_size_that_lies_is_noticed() {
    let longer = misbehaved(Asked::Anything, false, b"C0644 1 f\nab\0");
    assert_eq!(longer, PeerMisbehaved::NoEndOfFile { byte: b'b' });
    let (_, shorter) = sink_of(Asked::Anything, false, b"C0644 9 f\nab\0");
    assert_eq!(shorter, Err(Error::Ended));
}

#[test]
fn a_stream_that_ends_in_the_middle_is_an_error() {
    for input in [&b"C0644"[..], b"T1 0 1 0\n", b"D0755 0 d\n", b"C0644 1 f\na", b"\x01no"] {
        assert_eq!(sink_of(Asked::Anything, true, input).1, Err(Error::Ended), "{input:?}");
    }
    assert_eq!(sink_of(Asked::Anything, true, b"").1, Ok(()));
}

#[test]
fn what_is_no_protocol_is_told_and_bounded() {
    let error = misbehaved(Asked::Anything, false, b"Welcome to example.org\n");
    assert!(error.to_string().contains("Welcome to example.org"), "{error}");
    let endless = vec![b'C'; MAX_LINE];
    assert_eq!(misbehaved(Asked::Anything, false, &endless), PeerMisbehaved::LineTooLong);
    let error = misbehaved(Asked::Anything, false, b"T1 0 1 0\nT1 0 1 0\n");
    assert_eq!(error, PeerMisbehaved::TimesWithoutFile);
}

#[test]
fn last_words_end_it() {
    for input in [&b"\x02disk on fire\n"[..], b"C0644 1 f\na\x02disk on fire\n"] {
        let (_, end) = sink_of(Asked::Anything, false, input);
        assert_eq!(end, Err(Error::GaveUp("disk on fire".into())));
    }
}

#[test]
fn nothing_of_what_was_refused_comes() {
    let mut out = Vec::new();
    let mut sink = Sink::new(Asked::Anything, true, &mut out);
    let mut input = &b"D0755 0 d\nC0644 1 f\na\0"[..];
    assert!(matches!(sink.receive(&mut input, &mut out), Ok(Some(Event::Directory(_)))));
    assert_eq!(sink.receive(&mut input, &mut out), Ok(None), "the answer comes first");
    sink.refuse("d: it is\na file", &mut out);
    assert_eq!(out, b"\0\x01d: it is a file\n");
    assert!(matches!(sink.receive(&mut input, &mut out), Ok(Some(Event::File(_)))));
}

#[test]
fn a_source_waits_for_its_turn() {
    let mut out = Vec::new();
    let mut source = Source::new();
    assert_eq!(source.file(b"f", 0o644, 1, &mut out), Err(Misuse::OutOfTurn));
    assert_eq!(source.receive(&mut &b"\0"[..]), Ok(Some(Reply::Go)));
    assert_eq!(
        source.file(b"a/b", 0o644, 1, &mut out).err(),
        Some(Misuse::Name(crate::BadName::Slash))
    );
    source.file(b"f", 0o644, 1, &mut out).unwrap();
    assert_eq!(source.sent(1), Err(Misuse::OutOfTurn), "it was not accepted yet");
    assert_eq!(source.receive(&mut &b"\0"[..]), Ok(Some(Reply::Go)));
    assert_eq!(source.file_end(None, &mut out), Err(Misuse::Length));
    assert_eq!(source.sent(2), Err(Misuse::Length));
    source.sent(1).unwrap();
    source.file_end(None, &mut out).unwrap();
    assert_eq!(source.directory_end(&mut out), Err(Misuse::OutOfTurn));
    let mut two = &b"\x01no room\n\0"[..];
    assert_eq!(source.receive(&mut two), Ok(Some(Reply::Trouble("no room".into()))));
    let nothing = Err(Error::PeerMisbehaved(PeerMisbehaved::ReplyToNothing));
    assert_eq!(source.receive(&mut two), nothing);
    assert_eq!(source.receive(&mut &b"\0"[..]), Err(Error::Ended), "it stays dead");
    assert_eq!(out, b"C0644 1 f\n\0");
}

#[test]
fn a_sink_that_gives_up_ends_a_file_in_its_middle() {
    let mut out = Vec::new();
    let mut source = Source::new();
    let mut input = &b"\0\0\x02disk"[..];
    source.receive(&mut input).unwrap();
    source.file(b"f", 0o644, 9, &mut out).unwrap();
    source.receive(&mut input).unwrap();
    assert_eq!(source.left(), 9);
    assert_eq!(source.receive(&mut input), Ok(None));
    let words = Err(Error::GaveUp("disk full".into()));
    assert_eq!(source.receive(&mut &b" full\n"[..]), words);
}

/// A file or directory to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    File { name: Vec<u8>, content: Vec<u8>, times: Option<Times> },
    Directory { name: Vec<u8>, nodes: Vec<Self> },
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 1..6)
        .prop_filter("a name", |name| name::check(name).is_ok())
}

fn any_node() -> impl Strategy<Value = Node> {
    let times = proptest::option::of((0..9_u64, 0..9_u64));
    let file = (any_name(), proptest::collection::vec(any::<u8>(), 0..30), times).prop_map(
        |(name, content, times)| {
            let times = times.map(|(modified, accessed)| Times { modified, accessed });
            Node::File { name, content, times }
        },
    );
    file.prop_recursive(3, 12, 4, |node| {
        (any_name(), proptest::collection::vec(node, 0..4))
            .prop_map(|(name, nodes)| Node::Directory { name, nodes })
    })
}

/// Both ends, with what is on its way between them, cut into pieces of `piece` bytes.
struct Pair {
    source: Source,
    sink: Sink,
    to_sink: Vec<u8>,
    to_source: Vec<u8>,
    piece: usize,
    /// What the sink has: directories that are open, the last one innermost.
    open: Vec<(Vec<u8>, Vec<Node>)>,
    file: Option<(Vec<u8>, Vec<u8>, Option<Times>)>,
}

impl Pair {
    fn new(piece: usize) -> Self {
        let mut to_source = Vec::new();
        let sink = Sink::new(Asked::Anything, true, &mut to_source);
        let open = vec![(Vec::new(), Vec::new())];
        let source = Source::new();
        Self { source, sink, to_sink: Vec::new(), to_source, piece, open, file: None }
    }

    fn deliver(&mut self) {
        let sent = core::mem::take(&mut self.to_sink);
        for piece in sent.chunks(self.piece) {
            let mut input = piece;
            while let Some(event) = self.sink.receive(&mut input, &mut self.to_source).unwrap() {
                let innermost = &mut self.open.last_mut().unwrap().1;
                match event {
                    Event::File(offer) => self.file = Some((offer.name, Vec::new(), offer.times)),
                    Event::Data(data) => self.file.as_mut().unwrap().1.extend_from_slice(data),
                    Event::FileEnd { trouble } => {
                        assert_eq!(trouble, None);
                        let (name, content, times) = self.file.take().unwrap();
                        innermost.push(Node::File { name, content, times });
                    }
                    Event::Directory(offer) => self.open.push((offer.name, Vec::new())),
                    Event::DirectoryEnd => {
                        let (name, nodes) = self.open.pop().unwrap();
                        self.open.last_mut().unwrap().1.push(Node::Directory { name, nodes });
                    }
                    Event::Trouble(text) => panic!("{text}"),
                }
                self.sink.accept(&mut self.to_source);
            }
            assert!(input.is_empty());
        }
    }

    fn reply(&mut self) {
        self.deliver();
        let replies = core::mem::take(&mut self.to_source);
        let mut input = replies.as_slice();
        assert_eq!(self.source.receive(&mut input), Ok(Some(Reply::Go)));
        assert!(input.is_empty());
    }

    fn send(&mut self, node: &Node) {
        match node {
            Node::File { name, content, times } => {
                if let Some(times) = times {
                    self.source.times(*times, &mut self.to_sink).unwrap();
                    self.reply();
                }
                let size = content.len() as u64;
                self.source.file(name, 0o644, size, &mut self.to_sink).unwrap();
                self.reply();
                self.to_sink.extend_from_slice(content);
                self.source.sent(content.len()).unwrap();
                self.source.file_end(None, &mut self.to_sink).unwrap();
                self.reply();
            }
            Node::Directory { name, nodes } => {
                self.source.directory(name, 0o755, &mut self.to_sink).unwrap();
                self.reply();
                nodes.iter().for_each(|node| self.send(node));
                self.source.directory_end(&mut self.to_sink).unwrap();
                self.reply();
            }
        }
    }
}

proptest! {
    #[test]
    fn what_arrives_is_what_was_sent(
        nodes in proptest::collection::vec(any_node(), 0..4),
        piece in 1..40_usize,
    ) {
        let mut pair = Pair::new(piece);
        pair.reply();
        nodes.iter().for_each(|node| pair.send(node));
        prop_assert_eq!(pair.sink.finish(), Ok(()));
        prop_assert_eq!(&pair.open, &vec![(Vec::new(), nodes)]);
    }

    #[test]
    fn any_bytes_leave_a_sink_within_its_bounds(input in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (seen, _) = sink_of(only(b"f"), true, &input);
        prop_assert!(seen.len() <= input.len());
    }
}
