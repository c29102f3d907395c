//! `chiton sftp`: files over SSH.

mod command;
mod listing;
mod pattern;
mod words;
