//! Fuzz targets of this crate.

/// Name and body of each target.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[];
