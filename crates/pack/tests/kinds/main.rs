//! Kinds of artifacts: the same bytes as their own tools, and back.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers of theirs included")]

mod attached;
mod cnab;
mod compose;
mod conftest;
mod flux;
mod helm;
mod known;
mod opa;
mod support;
mod wasm;
