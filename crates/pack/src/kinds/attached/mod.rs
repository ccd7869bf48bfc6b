//! What is attached to other content: signatures, attestations, SBOMs, results of scans.

mod bundle;
mod recognised;
mod told;
mod types;

pub use recognised::{Recognised, recognise_file};
