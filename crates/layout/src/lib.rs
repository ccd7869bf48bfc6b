//! An OCI image layout on disk: blobs, index, names, locks and leases.
//!
//! A [`Layout`] is opened by [`Layout::options`]. Reading takes no lock and writes nothing. Writing is a [`Session`]: it
//! leases what it relies on, writes any number of blobs, and changes the index once, when it is committed. Then:
//!
//! * **Nothing is visible until it is whole and durable.** Blobs are verified before they get their name; the index
//!   changes last. A crash at any instruction leaves a valid layout.
//! * **Any number of processes** may write to one layout; no name is lost.
//! * **Bytes are the truth.** The index is changed by splicing: what is not changed keeps its very bytes.
//! * **Everything read is bounded**, and nothing but regular files is read; see [`Links`] for symbolic links.
//!
//! ```
//! use std::io::Read;
//! use transship_layout::{Layout, Name};
//! use transship_spec::MediaType;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("layout");
//! let layout = Layout::options().open_or_create(&path)?;
//!
//! let session = layout.begin()?;
//! let greeting = session.put_bytes(MediaType::parse("text/plain")?, b"hello")?;
//! session.commit(|index| index.set(&Name::short("greeting")?, &greeting))?;
//!
//! let entry = layout.resolve(Some("greeting"))?;
//! let mut text = String::new();
//! layout.open_blob(&entry.descriptor)?.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod archive;
mod blobs;
mod build;
pub mod check;
mod dialect;
mod dir;
mod edit;
mod error;
mod gc;
pub mod graph;
mod index;
mod ingest;
mod layout;
mod lease;
mod link;
mod lock;
mod marks;
mod names;
mod partial;
mod resolve;
mod scratch;
mod session;
mod source;
mod verified;

pub use archive::Archive;
pub use blobs::{BlobFile, BlobReader};
pub use build::NewLayout;
pub use dialect::{Dialect, Marked, Unsaid};
pub use dir::Links;
pub use edit::IndexEdit;
pub use error::{Error, Result};
pub use gc::{GcEntry, GcOptions, GcPlan, GcReason, Tally};
pub use index::Entry;
pub use ingest::{BlobWriter, Written};
pub use layout::{Durability, Layout, LayoutOptions};
pub use link::Link;
pub use names::Name;
pub use partial::Partial;
pub use session::Session;
pub use source::{Source, read_document};
