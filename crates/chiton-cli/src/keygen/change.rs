//! `-p` and `-c`: another passphrase, another comment.

use zeroize::Zeroizing;

use super::{Options, files, generate, open_private};
use crate::{failure::Result, key_file, log::print};

const WHICH: &str = "Enter file in which the key is";

pub(super) fn passphrase(options: &Options) -> Result<u8> {
    let path = options.file(WHICH)?;
    let text = key_file::read_private(&path)?;
    let (key, _) = open_private(&text, &path, options, "Enter old passphrase: ")?;
    if !key.comment().is_empty() {
        print(format_args!("Key has comment '{}'", ssh_wire::escape(key.comment())));
    }
    let new = match &options.new_passphrase {
        Some(new) => new.clone(),
        None => files::new_passphrase("Enter new passphrase (empty for no passphrase): ")?,
    };
    let text = generate::private_text(&key, &new, options)?;
    files::write(&path, text.expose().as_bytes(), Some(0o600))?;
    print("Your identification has been saved with the new passphrase.");
    Ok(0)
}

pub(super) fn comment(options: &Options) -> Result<u8> {
    let path = options.file(WHICH)?;
    let text = key_file::read_private(&path)?;
    let (key, passphrase) = open_private(&text, &path, options, "Enter passphrase: ")?;
    if key.comment().is_empty() {
        print("No existing comment");
    } else {
        print(format_args!("Old comment: {}", ssh_wire::escape(key.comment())));
    }
    let new = match &options.comment {
        Some(comment) => comment.clone(),
        None => files::ask_text("New comment: ")?,
    };
    if new == key.comment() {
        print("No change to comment");
        return Ok(0);
    }
    let passphrase = passphrase.unwrap_or_else(|| Zeroizing::new(String::new()));
    generate::save(&key.with_comment(&new), &path, &passphrase, options)?;
    if new.is_empty() {
        print("Comment removed");
    } else {
        print(format_args!("Comment '{}' applied", ssh_wire::escape(&new)));
    }
    Ok(0)
}
