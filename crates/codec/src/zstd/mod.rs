//! Zstd (RFC 8878): any number of frames read, one frame written.

#[cfg(feature = "zstd")]
mod decode;
#[cfg(feature = "zstd")]
mod encode;
#[cfg(not(feature = "zstd"))]
mod missing;

#[cfg(feature = "zstd")]
pub(crate) use self::{decode::Decoder, encode::Encoder, encode::version};
#[cfg(not(feature = "zstd"))]
pub(crate) use missing::{Decoder, Encoder, version};

/// The default of zstd itself.
pub(crate) const DEFAULT_LEVEL: i32 = 3;
