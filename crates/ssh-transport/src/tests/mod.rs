//! Tests of the transport as a whole.

mod hostile;
mod matrix;
mod negotiation;
mod recorded;
mod schedule;
mod table;
