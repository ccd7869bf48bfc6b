//! The distribution API item by item, over a service without a socket; and with one, by clients.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

mod clients;
mod concurrency;
mod delete;
mod disk;
mod hostile;
mod lists;
mod pull;
mod push;
mod referrers;
mod sockets;
mod upload;
