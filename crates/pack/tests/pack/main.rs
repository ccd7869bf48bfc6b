//! What packing promises, tried on real files. Run by root: trees hold devices and owners.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers of theirs included")]

mod layer;
mod tar;
mod trees;
