//! What packing promises, tried on real files. Run by root: trees hold devices and owners.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers of theirs included")]

mod artifact;
mod described;
mod difference;
mod frozen;
mod image;
mod layer;
mod mtree;
mod normalized;
mod oci_types;
mod packed;
mod peers;
mod reuse;
mod tar;
mod trees;
