//! Image layouts answered over the OCI distribution API.
//!
//! A [`Service`] is a registry as a value: a request goes in, an answer comes out. A [`Server`] puts it behind a socket. What
//! is served is what lies in the layouts, byte for byte, as it is at the moment of the request: an index that another program
//! changes is seen by the next one, and nobody who reads waits for anybody who writes.
//!
//! * **Read-only unless told.** Pushing and deleting are two switches of their own.
//! * **Memory does not grow with blobs.** They are streamed both ways, piece by piece; no thread waits for a slow client.
//! * **Nothing is visible before it is whole and durable.** An upload is hashed while it comes, and named when it is right; a
//!   manifest is taken when all that it needs is there.
//! * **Every request is bounded**, and none can reach a file that is not a blob of the layout.
//!
//! All repositories of one layout share its blobs and manifests: who may read one may read all. It speaks HTTP/1.1 without
//! TLS.
//!
//! ```
//! use transship_layout::Layout;
//! use transship_serve::{Server, Service};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("layout");
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let layout = Layout::options().create(&path)?;
//! let service = Service::builder().mount("team/app", layout).build()?;
//! let server = Server::new(service).bind(([127, 0, 0, 1], 0).into()).await?;
//! // skopeo list-tags --tls-verify=false docker://127.0.0.1:PORT/team/app
//! server.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auth;
mod body;
mod delete;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod inflow;
mod lease;
mod lists;
mod mount;
mod pull;
mod push;
mod query;
mod range;
mod referrers;
mod refusal;
mod remembered;
mod route;
mod server;
mod service;
mod upload;
mod view;

pub use auth::Passwords;
pub use body::Body;
pub use error::{BoxError, Error};
pub use server::{Answer, Connections, Running, Server};
pub use service::{Limits, Service, ServiceBuilder};
