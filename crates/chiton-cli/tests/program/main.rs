//! The program as a user runs it: `ssh`, `scp` and `sftp` against `sshd`, all of them `chiton`.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod host_keys;
#[cfg(test)]
mod keygen;
#[cfg(test)]
mod place;
#[cfg(test)]
mod scp;
#[cfg(test)]
mod sftp;
#[cfg(test)]
mod ssh;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod terminal;
