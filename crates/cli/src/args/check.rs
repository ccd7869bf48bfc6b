//! `check`: what can be typed.

use clap::Args;

use super::shared::{Formatted, NetworkFlags, ProgressFlag, Reading, Verbosity, Writing};
use super::values::at_least_one;

/// `transship check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship check oci:out\n  \
    transship check docker://localhost:5000/team/app:v1\n\n\
    Findings are errors, warnings and notes; with errors the exit code is 4. A layout without REF is checked whole, all \
    blobs in it too; with REF, what the REF leads to; an archive and a repository without one, all that has a name.\n\n\
    The closure digest is one hash over everything that is reachable: it is the same wherever the same content is, \
    whatever it is called there.")]
pub struct Check {
    /// A layout, an archive or a repository, or something in one
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Take manifests that an index lists and that are missing for left out on purpose, also where no entry declares it
    #[arg(long)]
    pub(crate) sparse: bool,
    /// Let warnings count as errors
    #[arg(long)]
    pub(crate) strict: bool,
    /// Do not read blobs again that were hashed before and have not changed since, as far as the system tells
    #[arg(long)]
    pub(crate) trust_stamps: bool,
    /// Blobs read at once; one a core unless told
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) threads: Option<usize>,
    /// Move corrupt blobs to .transship/quarantine, and fetch what is missing
    #[arg(long, help_heading = "Repair options")]
    pub(crate) repair: bool,
    /// Fetch missing and corrupt content from LOCATION
    #[arg(long, value_name = "LOCATION", requires = "repair", help_heading = "Repair options")]
    pub(crate) from: Option<String>,
    /// Drop entries whose content is not there and cannot be fetched
    #[arg(long, requires = "repair", help_heading = "Repair options")]
    pub(crate) drop_entries: bool,
    /// Say what a repair would do, and change nothing
    #[arg(long, requires = "repair", help_heading = "Repair options")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) progress: ProgressFlag,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
}
