//! The vocabulary of OCI content: digests, descriptors, documents, references, platforms.
//!
//! Every crate of transship speaks in these types. They do no I/O. A text becomes a value only when it fits the grammar
//! of its specification, so that a [`Digest`] can become part of a path and a [`Tag`] part of a URL without another look.
//! What nobody here knows (media types, algorithms, fields, annotations) is carried unchanged.
//!
//! ```
//! use transship_spec::{Descriptor, Digest, MediaType};
//!
//! let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"content");
//! assert_eq!(layer.digest, Digest::sha256(b"content"));
//! assert_eq!(layer.size, 7);
//! ```

pub mod annotations;
mod config;
mod descriptor;
pub mod dialect;
mod digest;
mod document;
mod error;
mod fields;
mod go_json;
mod index;
pub mod json;
mod kind;
mod location;
mod manifest;
mod media_type;
#[cfg(feature = "oci-spec")]
mod oci;
pub mod platform;
mod reference;
pub mod referrers;
pub mod splice;
#[cfg(feature = "yaml")]
pub mod yaml;

pub use annotations::Annotations;
pub use config::{History, ImageConfig, RuntimeConfig, chain_id};
pub use descriptor::Descriptor;
pub use dialect::Dialect;
pub use digest::{Digest, Hasher, Verifier};
pub use document::Document;
pub use error::{Error, quote};
pub use go_json::go_json;
pub use index::Index;
pub use kind::Kind;
pub use location::{Location, split_digest};
pub use manifest::Manifest;
pub use media_type::MediaType;
pub use platform::{Extra, Platform};
pub use reference::{DOCKER_HUB, Reference, Tag, is_registry, is_repository};
