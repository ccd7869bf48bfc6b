//! Gzip (RFC 1952): any number of members read, one member written.

mod decode;
mod encode;

pub(crate) use decode::Decoder;
pub(crate) use encode::{BLOCK, Encoder, probe};

/// The level that is at least twice as fast as `pigz -6` at no more than 3 % more bytes. Measured with
/// `examples/measure.rs` on 250 MiB of a Debian `/usr` (programs, libraries, Python), two threads on two busy cores,
/// where pigz gave 50 MB/s: level 4 160 MB/s at 3.9 % more bytes than pigz, level 5 147 at 2.7 %, level 6 127 at 2.5 %.
/// On documentation and images of the same system, level 5 was 0.3 % above pigz.
pub(crate) const DEFAULT_LEVEL: i32 = 5;
