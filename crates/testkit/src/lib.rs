//! What the tests of transship stand on: fixtures, registries, and the programs of others.
//!
//! * [`fixtures`]: tiny images and artifacts, the same bytes on every run, written into a layout; [`hostile`]: layouts with
//!   one thing wrong.
//! * [`TestRegistry`]: our own server on a loopback port, that counts what it is asked and fails as a test tells it.
//! * [`Personality`]: what a well-known registry does unlike ours, for a [`TestRegistry`] to play.
//! * [`DockerRegistry`]: the CNCF registry as Debian ships it.
//! * [`peers`]: skopeo, umoci and others, with their complaints.
//!
//! Everything here panics when something is not as it should be: that is how a test fails. It is never published.
//!
//! ```
//! use transship_testkit::{Fault, TestRegistry, fixtures};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let registry = TestRegistry::start().await;
//! fixtures::image(registry.layout(), "localhost/team/app:v1", 1);
//! registry.fault(Fault::on("GET", "/blobs/").nth(1).cut_after(1000));
//! // … pull from `registry.address()`, and see that it is asked again for what is missing …
//! assert_eq!(registry.counts().blob_get, 0);
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "support of tests: what fails here is a test that fails"
)]

mod answer;
mod counts;
mod docker_registry;
mod fault;
pub mod fixtures;
pub mod hostile;
pub mod peers;
pub mod personality;
mod registry;
mod seen;
mod spoil;
mod wire;

pub use counts::Counts;
pub use docker_registry::DockerRegistry;
pub use fault::Fault;
pub use personality::Personality;
pub use registry::{TestRegistry, TestRegistryBuilder};
pub use seen::Seen;
