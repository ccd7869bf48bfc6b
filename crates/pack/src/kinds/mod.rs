//! Kinds: sorts of artifacts, each with its own form.

pub(crate) mod files;
mod input;
