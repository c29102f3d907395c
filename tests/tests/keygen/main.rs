//! Keys, certificates, lists and signatures against `ssh-keygen` of three generations: what we write
//! is read there and the reverse, and about damaged files the two agree.

#[cfg(test)]
mod allowed;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod files;
#[cfg(test)]
mod keygen;
