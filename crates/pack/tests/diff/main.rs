//! Two images, compared: against what unpacking makes of both, and against other tools.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers of theirs included")]

#[expect(dead_code, reason = "shared with the tests of unpacking, which need all of it")]
#[path = "../unpack/support.rs"]
mod support;

mod peers;
mod properties;
mod table;
