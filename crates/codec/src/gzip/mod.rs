//! Gzip (RFC 1952): any number of members read, one member written.

mod decode;
mod encode;

pub(crate) use decode::Decoder;
pub(crate) use encode::{BLOCK, Encoder, probe};

/// See `examples/measure.rs` for how it was chosen.
pub(crate) const DEFAULT_LEVEL: i32 = 5;
