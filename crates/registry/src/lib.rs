//! One OCI registry over HTTP: authentication, retry, blobs, manifests, tags, referrers.
//!
//! A [`Client`] is made once for a process from [`Settings`]; [`Client::repository`] gives the handle on which all verbs
//! are. Everything is bounded, everything that comes is verified, and nothing waits for ever:
//!
//! * **Bytes are the truth.** Manifests come and go as raw bytes; blobs are streamed and never transcoded.
//! * **No unverified success.** A download ends well only if size and digest agree; a manifest must match the digest that
//!   was asked for and the one that the registry claims.
//! * **Faults pass.** Cuts are resumed by `Range`, overload is waited for (`Retry-After`, full jitter), stalls are found.
//! * **Secrets stay.** `Authorization` is bound to the registry's scheme, host and port; errors and logs are redacted; a
//!   server cannot make us call an address more private than its own.
//!
//! What it does not do: it reads nothing of the process (no environment variables, no folders of the user; all that is
//! given in [`Environment`]), it does not walk graphs, and it does not write to disk but in [`CredentialStore`] and, where
//! [`Upload::sessions`] names a folder, in that.
//!
//! ```no_run
//! use futures_util::TryStreamExt;
//! use transship_registry::{Client, Settings, TagOrDigest};
//! use transship_spec::{Descriptor, Tag};
//!
//! # async fn example(layer: Descriptor) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Settings::default())?;
//! let repository = client.repository("registry.example", "team/app")?;
//! let manifest = repository.manifest_get(&TagOrDigest::Tag(Tag::parse("v1")?)).await?;
//! println!("{} is {}", manifest.digest, manifest.media_type);
//!
//! let mut content = repository.blob_get(&layer);
//! while let Some(piece) = content.try_next().await? {
//!     println!("{} bytes more", piece.len());
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod ahead;
mod auth;
mod blob;
mod chunked;
mod client;
mod error;
mod events;
mod features;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod known;
mod limit;
mod link;
mod manifest;
mod mirror;
mod page;
mod places;
mod quota;
mod rate;
mod redact;
mod referrers;
mod refused;
mod repository;
mod request;
mod sessions;
mod settings;
mod source;
mod tags;
mod target;
mod tls;
mod upload;
mod watch;
mod wire;

pub use auth::{Credential, CredentialStore};
pub use blob::{BlobHead, BlobStream, RemoteBlob};
pub use client::Client;
pub use error::{BoxError, Error, Exchange};
pub use events::Events;
pub use manifest::{Manifest, Pushed, TagOrDigest};
pub use mirror::{Mirror, Pulls, Route};
pub use redact::Secret;
pub use referrers::Listed;
pub use repository::Repository;
pub use settings::{
    Chunking, CredentialFile, Environment, HostSettings, Limits, Proxy, Retry, Segments, Settings, Timeouts,
    Upload,
};
pub use source::BlobSource;
pub use upload::Placed;
