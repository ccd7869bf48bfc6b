//! The codec from outside: bytes in, bytes out.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test that calls them")]

mod bounds;
mod deterministic;
mod gzip;
mod hostile;
mod support;
#[cfg(not(feature = "zstd"))]
mod without_zstd;
#[cfg(feature = "zstd")]
mod zstd;
