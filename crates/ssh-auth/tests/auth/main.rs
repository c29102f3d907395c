//! Both roles through their public interface: with each other, with hostile peers, and with a
//! recording of OpenSSH.

#[cfg(test)]
mod common;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod recorded;
