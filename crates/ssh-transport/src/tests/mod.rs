//! Tests of the transport as a whole.

mod guess;
mod hostile;
mod matrix;
mod negotiation;
mod recorded;
mod schedule;
mod table;
