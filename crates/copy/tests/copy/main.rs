//! The copy engine on real layouts and registries.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod archives;
mod choosing;
mod converting;
mod faults;
mod floors;
mod killed;
mod layouts;
mod losses;
mod peers;
mod quirks;
mod registries;
mod rows;
mod saved;
mod subsets;
mod support;
mod sync;
mod workers;
