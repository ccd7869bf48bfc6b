//! Indexes and images that are changed: what is asked for changes, and nothing else.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers of theirs included")]

mod config;
mod index;
mod layers;
mod merge;
mod support;
