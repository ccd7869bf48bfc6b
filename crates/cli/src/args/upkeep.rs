//! Commands that take away: `gc`, `untag` and `rm`.

use std::time::Duration;

use clap::Args;

use super::shared::{Changing, Formatted, Reading, Verbosity, Writing};
use super::values::duration;

/// `transship gc`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship gc ./out --dry-run\n  \
    transship gc oci:out --grace 0s\n\n\
    What an entry of index.json leads to stays, and what a running command needs. Signatures and other referrers go with \
    what they refer to, be they listed without a name or by tags such as sha256-HEX.sig; they stay if that was never \
    there. Other entries without a name stay, unless --untagged is given. If a manifest cannot be read nothing is removed.")]
pub struct Gc {
    /// The layout
    #[arg(value_name = "DIR")]
    pub(crate) folder: String,
    /// Print what would go, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Let entries go, too, that have no name and refer to nothing: also what was put by its digest
    #[arg(long)]
    pub(crate) untagged: bool,
    /// Take manifests that an index lists and that are missing for left out on purpose, also where no entry declares it
    #[arg(long)]
    pub(crate) sparse: bool,
    /// Keep blobs that came in the last DURATION (90s, 10m, 1h, 2d): tools that take no lease may be about to list them
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(crate) grace: Duration,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

/// `transship untag`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship untag oci:out stable\n  \
    transship untag ./out latest --format json\n\n\
    All of the names must be there. What they named stays until transship gc finds that nothing else needs it; \
    transship rm takes away a manifest with all its names.")]
pub struct Untag {
    /// A layout or a repository of a registry
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// The names
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) change: Changing,
}

/// `transship rm`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship rm oci:out:sbom\n  \
    transship rm oci:out:again --referrers\n\n\
    All names of the manifest go with it. A layout keeps the files until transship gc; a registry has rules of its own. \
    With --referrers, signatures and whatever else has it as its subject go too, and what refers to those. Tags such as \
    sha256-HEX.sig are left to transship gc; a registry keeps them.")]
pub struct Rm {
    /// The manifest or index
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Take away what refers to it, too
    #[arg(long)]
    pub(crate) referrers: bool,
    #[command(flatten)]
    pub(crate) change: Changing,
}
