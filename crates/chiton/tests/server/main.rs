//! The embedded server and our client, over TCP on this machine.

#[cfg(test)]
mod common;
#[cfg(test)]
mod exec;
#[cfg(test)]
mod login;
#[cfg(test)]
mod options;
#[cfg(test)]
mod sftp;
