//! Tests of whole layouts on disk, through the public interface.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod support;

mod archive;
mod build;
mod corpus;
mod dialects;
mod gc;
mod graph;
mod index;
mod linked;
mod links;
mod peers;
mod processes;
mod resolve;
mod sessions;
mod storage;
