//! What must hold for any input: the bodies of the fuzz targets.
//!
//! Each body is a function of bytes that feeds one reader and asserts what it promises: that it does not panic, hang or
//! grow without bound, and more: that what is written is read as the same, that what is not changed keeps its bytes, that
//! two ways to read one thing agree. `fuzz/fuzz_targets` has one target for each, and `tests/` here runs every body over
//! the kept corpus, and over what proptest makes of it, with the other tests.
//!
//! A body takes its input apart itself. Where a reader takes several texts, they are `parts` of the input; where it takes
//! files whose names are digests, the input is a `tree` in which digests are filled in, since no fuzzer guesses one.
//!
//! Nothing here defends itself against its input: folders are temporary, and names that lead out of them are passed over.

#![expect(clippy::unwrap_used, reason = "a body asserts: what fails here is a promise that is not kept")]

pub mod archive;
pub mod check;
pub mod decode;
pub mod docker_config;
pub mod document;
pub mod encode;
pub mod index;
pub mod json;
pub mod layer;
pub mod layer_input;
pub mod layout_dir;
pub mod media_type;
pub mod mtree;
pub mod names;
mod parts;
pub mod platform;
pub mod registry_bodies;
pub mod registry_headers;
pub mod scratch;
pub mod serve_request;
mod single;
mod targets;
mod tars;
mod tree;

pub use targets::{TARGETS, Target};
