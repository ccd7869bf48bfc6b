//! Files become layers, images and artifacts in an image layout, the same bytes every time.
//!
//! - [`write_tar`] writes a folder as a tar, by rules that are frozen under the name [`TAR_RECIPE`].
//! - [`pack_layer`] makes a layer of a folder or a tar: read, hashed and compressed in one pass.
//!
//! The bytes depend on names, content, modes and the options given, and on nothing else. Everything is blocking. A
//! failure names the file at fault and leaves nothing behind; what was left out is a [`Warning`] in the result. The
//! process's environment is never read.

mod error;
mod layer;
mod pipeline;
mod tarball;
mod walk;
mod warning;

pub use error::Error;
pub use layer::{Layer, LayerOptions, pack_layer};
pub use tarball::{ModeRule, MtimeRule, Owner, TAR_RECIPE, TarOptions, write_tar};
pub use walk::Excludes;
pub use warning::Warning;
