//! The copy engine: plans what is missing between layouts and registries, and moves only that.
//!
//! [`requests`] names everything that is to be copied, [`plan`] finds out what is missing, and [`Plan::run`] carries it
//! out. Between the three one can look, print, and stop: nothing is changed before the last.
//!
//! * **The whole graph**, leaves first, names last; each digest once, what is there not at all. A layout shows all of a
//!   copy at once or nothing; a registry each root when it is whole.
//! * **What belongs to it**: referrers, referrers of referrers, and digest tags come along. Lists of referrers are merged
//!   at the destination, never copied.
//! * **Bytes are the truth**: documents arrive as they are. Every byte is hashed once, by whoever keeps it.
//! * **Few requests**: what is there costs one a root. Blobs are mounted where a registry can.
//! * **No silent success**: what was left out, and what failed, is in the [`Report`].
//!
//! A plan can be saved ([`Plan::saved`]), looked at, and carried out later or elsewhere ([`apply`]); and work can be split among
//! machines that do not know of each other ([`Shard`]).
//!
//! What it does not do: it reads nothing of the process, prints nothing, and makes no layouts or clients; those are given.
//!
//! ```no_run
//! use transship_copy::{Destination, Options, Select, Selection, Source, endpoint, plan, requests};
//! use transship_layout::Layout;
//! use transship_registry::{Client, Settings};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Settings::default())?;
//! let repository = endpoint::registry(client.repository("registry.example", "team/app")?);
//! let source = Source { endpoint: repository, select: Select::All };
//! let layout = Layout::options().open_or_create("bundle")?;
//! let destination = Destination::Layout { layout, name: None };
//!
//! let requests = requests(&[source], &destination, &Selection::default()).await?;
//! let plan = plan(requests, &Options::default()).await;
//! println!("{plan}");
//! let report = plan.run().await;
//! for root in report.failures() {
//!     println!("{} was not copied", root.source);
//! }
//! # Ok(())
//! # }
//! ```

mod convert;
pub mod endpoint;
mod engine;
mod error;
mod events;
mod fan;
mod graph;
pub mod names;
mod newest;
mod plan;
mod report;
mod saved;
mod select;
mod shard;
mod survey;
pub mod sync;
mod transfer;

pub use endpoint::Endpoint;
pub use error::{Error, Result};
pub use events::{Events, Placed};
pub use newest::{Age, Newest};
pub use plan::{Options, Plan, PlannedDestination, PlannedRoot, Referrers, Subset, Summary, Totals, plan};
pub use report::{Converted, Failure, LeftOut, Moved, Part, Report, RootReport, Status, Tally, Why};
pub use saved::{Choices, Ends, Move, SavedDestination, SavedPlan, SavedRoot, apply};
pub use select::{Destination, Request, Select, Selection, Source, requests};
pub use shard::Shard;
