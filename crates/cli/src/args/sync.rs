//! `sync`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use transship_copy::Shard;

use super::shared::{Formatted, NetworkFlags, ProgressFlag, Reading, Verbosity, Writing};
use super::values::at_least_one;

/// `transship sync`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship sync mirror.yaml --dry-run\n  \
    transship sync mirror.yaml --shard 0/4\n  \
    transship sync --import regsync regsync.yaml > other.yaml\n\n\
    FILE is YAML, with the words of copy:\n\n  \
    version: 1\n  \
    defaults: {referrers: all}                     # what entries do not say themselves\n  \
    credentials:                                   # where secrets are, never the secrets\n    \
      prod: {user: robot, password-env: PROD_PASSWORD}   # or password-file, token-env, token-file, helper\n  \
    registries:\n    \
      registry.example: {credentials: prod, ca-file: ca.pem}   # or plain-http, insecure, cert, key, mirrors\n  \
    sync:\n    \
      - from: docker://registry.example/team/app\n      \
        tags: [v1.*, 'semver:>=1.2']               # or all-tags, exclude, newest, newest-by\n      \
        to: [docker://mirror.example/app, 'oci:./mirror']\n\n\
    Entries also take platform, subset, convert, referrers, digest-tags, nondistributable, check-members, map, short-names, force and link. Paths \
    begin where FILE lies. What goes to several places is read once. What fails leaves the rest alone; the same command \
    tries again what is missing. A schedule is for cron.")]
pub struct Sync {
    /// The file that says what is copied
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print the file of settings that means what FILE means to regsync or to skopeo sync, and copy nothing; what cannot
    /// be said is told with its place, and makes the exit code 10
    #[arg(
        long, value_enum, value_name = "FORMAT", help_heading = "Other programs",
        conflicts_with_all = ["referrers", "dry_run", "fail_fast", "plan", "apply", "shard", "report"]
    )]
    pub(crate) import: Option<Foreign>,
    /// Where everything goes, for files that do not say so, as those of skopeo sync
    #[arg(long, value_name = "LOCATION", requires = "import", help_heading = "Other programs")]
    pub(crate) to: Option<String>,
    /// Which referrers come along, whatever the file says: all, none, or artifact types
    #[arg(long, value_name = "all|none|TYPE,…")]
    pub(crate) referrers: Option<String>,
    /// Print what would move, with the bytes for each destination, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write the plan to FILE, and change nothing: what would move, by digest, from where to where
    #[arg(long, value_name = "FILE", help_heading = "Plan and shards")]
    pub(crate) plan: Option<PathBuf>,
    /// Do what the plan in FILE says, with the registries and credentials of the settings: refuse all of it if a name at a
    /// source stands for something else now, or a name at a destination does
    #[arg(
        long, value_name = "FILE", help_heading = "Plan and shards", conflicts_with_all = ["plan", "referrers"]
    )]
    pub(crate) apply: Option<PathBuf>,
    /// Do only the I-th of N parts of the work, counted from 0; who does which is decided by names alone, so that N
    /// machines need not talk to each other
    #[arg(long, value_name = "I/N", help_heading = "Plan and shards")]
    pub(crate) shard: Option<Shard>,
    /// Stop at the first thing that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Transfers under way at once, whatever the file says; else 6
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "Registry options")]
    pub(crate) concurrency: Option<usize>,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) progress: ProgressFlag,
    /// Write what was done as JSON to FILE, also if something failed
    #[arg(long, value_name = "FILE", help_heading = "Output options")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
}

/// A program with files of settings of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Foreign {
    Regsync,
    Skopeo,
}
