//! RFC 4716: public keys with headers, as other implementations exchange them.

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};

use crate::{KeyError, base64, certificate::Identity};

pub(crate) const BEGIN: &str = "---- BEGIN SSH2 PUBLIC KEY ----";
const END: &str = "---- END SSH2 PUBLIC KEY ----";
/// The longest line that is written (RFC 4716 §3.3), and of base64.
const LINE_LEN: usize = 72;
const BASE64_LINE_LEN: usize = 70;
/// The longest file that is read, in bytes.
const MAX_LEN: usize = 64 * 1024;

/// Reads a file: the blob, and the comment.
pub(crate) fn read(text: &str) -> Result<(Vec<u8>, String), KeyError> {
    let body = text.trim_start().strip_prefix(BEGIN).ok_or(KeyError::NotRfc4716)?;
    let (body, _) = body.split_once(END).ok_or(KeyError::NotRfc4716)?;
    if text.len() > MAX_LEN {
        return Err(KeyError::NotRfc4716);
    }
    let mut lines = body.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let (mut base64, mut comment) = (Vec::new(), String::new());
    while let Some(line) = lines.next() {
        let Some((name, value)) = line.split_once(':') else {
            base64.extend_from_slice(line.as_bytes());
            continue;
        };
        let mut value = value.trim_start().to_string();
        // A line that ends so goes on in the next one (§3.3).
        while value.ends_with('\\') {
            value.pop();
            value.push_str(lines.next().ok_or(KeyError::NotRfc4716)?);
        }
        if name.eq_ignore_ascii_case("comment") {
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            comment = quoted.unwrap_or(&value).to_string();
        }
    }
    Ok((base64::decode(&base64).ok_or(KeyError::NotBase64)?, comment))
}

/// Writes a file.
pub(crate) fn write(identity: &Identity, comment: &str) -> String {
    let mut text = String::from(BEGIN);
    text.push('\n');
    if !comment.is_empty() {
        let comment: String =
            comment.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect();
        header("Comment", &comment, &mut text);
    }
    let base64 = base64::encode(identity.blob());
    for line in base64.as_bytes().chunks(BASE64_LINE_LEN) {
        text.push_str(core::str::from_utf8(line).unwrap_or_default());
        text.push('\n');
    }
    text.push_str(END);
    text.push('\n');
    text
}

fn header(name: &str, value: &str, text: &mut String) {
    let mut room = LINE_LEN;
    let whole = alloc::format!("{name}: \"{value}\"");
    for c in whole.chars() {
        if room.saturating_sub(c.len_utf8()) < 1 {
            text.push_str("\\\n");
            room = LINE_LEN;
        }
        text.push(c);
        room = room.saturating_sub(c.len_utf8());
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{PublicKey, testing};

    /// RFC 4716 §3.6, with an RSA key of 1024 bits and a comment over two lines.
    #[test]
    fn a_key_with_headers_is_read() {
        let (key, line) = testing::some_key(1);
        let base64 = line.split(' ').nth(1).unwrap();
        let (first, second) = base64.split_at(40);
        let text = alloc::format!(
            "{BEGIN}\r\nSubject: me\r\nComment: \"This is my \\\r\npublic key\"\r\nx-made-by: hand\r\n\
             {first}\r\n{second}\r\n{END}\r\n"
        );
        let (blob, comment) = read(&text).unwrap();
        assert_eq!(blob, key.blob());
        assert_eq!(comment, "This is my public key");
    }

    #[test]
    fn what_is_not_built_so_is_refused() {
        let (key, _) = testing::some_key(1);
        let text = write(&Identity::Key(key), "me");
        for end in 0..text.len() - 1 {
            assert!(read(&text[..end]).is_err(), "{end}");
        }
        assert_eq!(
            read(&alloc::format!("{BEGIN}\nComment: a\\\n{END}")),
            Err(KeyError::NotRfc4716)
        );
        assert_eq!(read(&alloc::format!("{BEGIN}\n!!!!\n{END}")), Err(KeyError::NotBase64));
    }

    proptest! {
        #[test]
        fn keys_survive_a_round_trip(byte in any::<u8>(), comment in "[^\"\\\\\\p{C}\\s:][^\"\\\\\\p{C}]{0,200}") {
            let (key, _) = testing::some_key(byte);
            let text = write(&Identity::Key(key.clone()), comment.trim_end());
            prop_assert!(text.lines().all(|line| line.len() <= LINE_LEN));
            prop_assert_eq!(PublicKey::parse(&text), Ok((key, comment.trim_end().into())));
        }

        #[test]
        fn no_text_makes_reading_panic(body in "[a-zA-Z:\\\\\n\" ]{0,60}") {
            drop(read(&alloc::format!("{BEGIN}{body}{END}")));
        }
    }
}
