//! What unpacking promises, tried on tars that tests build and on images that others made. Run by root; what must hold for
//! others is run again as nobody.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers of theirs included")]

mod entries;
mod extract;
mod hostile;
mod images;
mod layers;
mod peers;
mod support;
#[expect(dead_code, reason = "the tests of packing need more of it")]
#[path = "../pack/trees.rs"]
mod trees;
