//! Packets recorded between OpenSSH 10.5's `sftp` and `sftp-server`, for tests.
//!
//! `sftp-raw-every-operation.json` has a request for every operation and case of failure with its
//! reply; `sftp-cli-session.json` has a session of the program both ways.

use alloc::{string::String, vec::Vec};

/// A request with its reply, both with their lengths.
pub(crate) struct Exchange {
    pub(crate) label: String,
    pub(crate) request: Vec<u8>,
    pub(crate) response: Option<Vec<u8>>,
}

fn hex(value: &serde_json::Value) -> Option<Vec<u8>> {
    let text = value.as_str()?.as_bytes();
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    Some(text.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect())
}

fn entries(json: &str) -> Vec<serde_json::Value> {
    serde_json::from_str(json).unwrap()
}

/// Every operation of OpenSSH's server.
pub(crate) fn exchanges() -> Vec<Exchange> {
    entries(include_str!("../testdata/sftp-raw-every-operation.json"))
        .iter()
        .map(|entry| Exchange {
            label: entry["label"].as_str().unwrap().into(),
            request: hex(&entry["request"]).unwrap(),
            response: hex(&entry["response"]),
        })
        .collect()
}

/// A session of OpenSSH's `sftp`: for each packet, whether it came from the client.
pub(crate) fn session() -> Vec<(bool, Vec<u8>)> {
    entries(include_str!("../testdata/sftp-cli-session.json"))
        .iter()
        .map(|entry| (entry["dir"] == "c2s", hex(&entry["packet"]).unwrap()))
        .collect()
}
