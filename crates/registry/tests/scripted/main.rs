//! What the client promises, against a server whose every answer and every fault is written down by the test.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod auth;
mod download;
mod http2;
mod listing;
mod manifest;
mod mirrors;
mod overload;
mod rate;
mod redirect;
mod retry;
mod secrets;
mod segments;
mod sessions;
mod stream;
mod support;
mod tls;
mod upload;
