//! Kinds: sorts of artifacts, each with a form that its own authors define.
//!
//! A [`Kind`] knows one sort: by what a manifest shows that it is of it ([`Sign`]), what there is to say of it
//! ([`Facts`]), which files its own tool would make of it ([`Extract`]), and, where that makes sense, how it is packed
//! ([`Packing`]). [`Kinds`] is a list of them; what none of them knows is [`unknown`], and is shown and extracted all the
//! same. Whoever has a kind of their own puts it in the list with the others: one that needs no code is a file of TOML
//! ([`Described`]), any other is written in Rust, and [`lint`] tells its author what is doubtful of it:
//!
//! ```
//! use transship_layout::{Layout, Name};
//! use transship_pack::kinds::{Kind, Kinds, Made, Making, Packing, Request, Sight, Sign, pack_kind};
//! use transship_pack::Error;
//! use transship_spec::{Descriptor, Manifest, MediaType};
//!
//! /// Poems: a text each.
//! #[derive(Debug)]
//! struct Poem;
//!
//! impl Kind for Poem {
//!     fn name(&self) -> &str {
//!         "poem"
//!     }
//!     fn about(&self) -> &str {
//!         "poems"
//!     }
//!     fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
//!         sight.is_type("application/vnd.example.poem.v1").then_some(Sign::ArtifactType)
//!     }
//!     fn packing(&self) -> Option<&dyn Packing> {
//!         Some(self)
//!     }
//! }
//!
//! impl Packing for Poem {
//!     fn inputs(&self) -> &str {
//!         "POEM.txt"
//!     }
//!     fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
//!         let poem = making.store(&request.one_input()?.path)?;
//!         let layer = Descriptor { media_type: MediaType::parse("text/plain")?, ..poem };
//!         let mut manifest = Manifest::new(making.empty()?, vec![layer]);
//!         manifest.artifact_type = Some(MediaType::parse("application/vnd.example.poem.v1")?);
//!         Ok(Made::of(manifest.to_document()?))
//!     }
//! }
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("ode.txt");
//! # std::fs::write(&path, "O wild West Wind")?;
//! let kinds = Kinds::built_in().with(Poem)?;
//! let layout = Layout::options().create(folder.path().join("out"))?;
//! let request = Request::of([&path])?;
//! let kind = kinds.named("poem")?;
//! let packed = pack_kind(&layout, Some(&Name::short("ode")?), kind, &request)?;
//! assert_eq!(packed.descriptor.artifact_type.as_ref().map(|kind| kind.as_str()), Some("application/vnd.example.poem.v1"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attached;
mod canonical;
mod cnab;
mod compose;
mod conftest;
mod described;
mod extract;
mod facts;
pub(crate) mod files;
mod flux;
mod held;
mod helm;
mod input;
mod kind;
mod known;
mod lint;
mod list;
mod making;
mod opa;
mod rego;
mod request;
mod sif;
mod sight;
mod tarred;
mod unknown;
mod wasm;

pub use attached::{Recognised, recognise_file};
pub use described::Described;
pub(crate) use extract::check as check_files;
pub use extract::{Extract, Taken, titled};
pub use facts::{Fact, Facts, Piece};
pub use held::Held;
pub use kind::{Kind, Packing, Setting};
use lint::reserved;
pub use lint::{Finding, Rule, Severity, lint, lint_described};
pub use list::Kinds;
pub use making::{Made, Making, pack_kind};
pub use request::Request;
pub use sight::{Sight, Sign};
pub use unknown::unknown;
