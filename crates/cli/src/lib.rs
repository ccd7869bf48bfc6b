//! The command line of transship: what is typed, what is printed, and the exit code.
//!
//! The only crate that prints, and the only one that looks at the process: its arguments, its environment, its signals and
//! its terminal. All else is done by the crates below; a command here says in a page which of them does what.
//!
//! * [`Cli`] and the types in it are the arguments and nothing else: text is parsed first, meaning is resolved second.
//! * Standard output holds the result, the same on a terminal and in a pipe. Everything else goes to standard error.
//! * The exit code is that of the error's [`Kind`](transship_spec::Kind).
//! * [`Cli::with_kinds`] is the same program with kinds of artifacts of one's own.
//! * A command whose locations are all local opens no socket and reads no credentials.
//!
//! ```
//! use clap::Parser as _;
//! use transship_cli::{Cli, Command};
//!
//! let cli = Cli::try_parse_from(["transship", "resolve", "oci:out:v1"])?;
//! assert!(matches!(cli.command, Command::Resolve(_)));
//! # Ok::<(), clap::Error>(())
//! ```

mod args;
mod certificates;
mod commands;
mod content;
mod context;
mod environment;
mod exit;
mod files;
mod interrupt;
mod local;
mod network;
mod origin;
mod output;
mod place;
mod progress;
mod routes;
mod run;
mod show;

pub use args::{Cli, Command};
pub use run::{Program, main};
