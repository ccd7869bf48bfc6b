//! Check against layouts that are broken in one place each, and against layouts that are not.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod bench;
mod beside;

mod broken;
mod clean;
mod faults;
mod repair;
mod unreadable;
