//! Flags that several commands have, in groups: a command takes a group only if all of it means something there.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::{ForHost, at_least_one, mirror, rate, size};

/// How much is said.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Verbosity {
    /// Say nothing but the result and errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output options")]
    pub(crate) quiet: bool,
    /// Say more: every request, every blob that moves, everything that is done
    #[arg(short, long, help_heading = "Output options")]
    pub(crate) verbose: bool,
}

/// How much is said, where there is no more than one thing to say.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Quiet {
    /// Say nothing but errors
    #[arg(short, long, help_heading = "Output options")]
    pub(crate) quiet: bool,
}

impl From<&Quiet> for Verbosity {
    fn from(quiet: &Quiet) -> Self {
        Self { quiet: quiet.quiet, verbose: false }
    }
}

/// The form of the result.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Formatted {
    /// The form of the result; json is one document, with a versioned schema
    #[arg(long, value_enum, default_value_t, value_name = "FORM", help_heading = "Output options")]
    pub(crate) format: Format,
}

/// A form of the result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// Kinds that are known beside those that are built in. The folders are read before the command line is understood, for
/// it depends on them.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KindsFlag {
    /// Know the kinds of artifacts that the .toml files in DIR describe, too; no folder is looked in unasked
    #[arg(long, value_name = "DIR")]
    pub(crate) kinds: Vec<PathBuf>,
}

/// How progress is shown.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ProgressFlag {
    /// How progress is shown on standard error: auto is bar on a terminal and else plain; json is one event a line
    #[arg(long, value_enum, default_value_t, value_name = "MODE", help_heading = "Output options")]
    pub(crate) progress: ProgressMode,
}

/// A way to show progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    #[default]
    Auto,
    Bar,
    Plain,
    Json,
    None,
}

/// Files in which the result is put, too.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ResultFiles {
    /// Write the digest to FILE, once all is done
    #[arg(long, value_name = "FILE", help_heading = "Output options")]
    pub(crate) digest_file: Option<PathBuf>,
    /// Write the descriptor as JSON to FILE, once all is done
    #[arg(long, value_name = "FILE", help_heading = "Output options")]
    pub(crate) descriptor_file: Option<PathBuf>,
}

/// How registries are reached. Nothing of it is looked at where all locations are local.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct NetworkFlags {
    /// Take credentials from FILE, in the form of Docker's config.json or podman's auth.json
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
    /// Trust the certificates of authorities in FILE (PEM); a HOST that is named speaks TLS, on a loopback address too
    #[arg(long, value_name = "[HOST=]FILE")]
    pub(crate) ca_file: Vec<ForHost>,
    /// Show the registry the certificate in FILE (PEM)
    #[arg(long, value_name = "[HOST=]FILE", requires = "key")]
    pub(crate) cert: Vec<ForHost>,
    /// The key of --cert (PEM)
    #[arg(long, value_name = "[HOST=]FILE", requires = "cert")]
    pub(crate) key: Vec<ForHost>,
    /// Do not check the registry's certificate
    #[arg(long, value_name = "HOST", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) insecure: Vec<String>,
    /// Speak plain HTTP; localhost and loopback addresses do so unasked
    #[arg(long, value_name = "HOST", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) plain_http: Vec<String>,
    /// Look in HOST[/PATH] first for what is below PREFIX (as in docker.io/library); what it gives must have the right digest
    #[arg(long, value_name = "PREFIX=HOST[/PATH]", value_parser = mirror)]
    pub(crate) mirror: Vec<(String, String)>,
    /// Send a request again up to N times, if that may help
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) retries: u32,
    /// Send and receive at most BYTES a second in all; 10MiB/s and the like are understood
    #[arg(long, value_name = "BYTES/s", value_parser = rate)]
    pub(crate) limit_rate: Option<NonZeroU64>,
    /// Refuse to use the network (also with TRANSSHIP_OFFLINE=1)
    #[arg(long)]
    pub(crate) offline: bool,
}

/// How many transfers there are at once.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct Concurrency {
    /// Transfers under way at once
    #[arg(long, value_name = "N", default_value = "6", value_parser = at_least_one)]
    pub(crate) concurrency: usize,
}

/// How much of layers is read.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LayerLimits {
    /// The most that all layers may unpack to, and all files with their holes
    #[arg(long, value_name = "SIZE", default_value = "256GiB", value_parser = size)]
    pub(crate) max_size: u64,
    /// The most that a layer may unpack to for each of its bytes, beyond 64 MiB
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_ratio: u64,
    /// The most files, folders and links in all layers
    #[arg(long, value_name = "N", default_value_t = 4_000_000)]
    pub(crate) max_entries: u64,
    /// How deep the folders may be, up to 500
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = at_least_one)]
    pub(crate) max_depth: usize,
}

/// How layouts are read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Layout options")]
pub(crate) struct Reading {
    /// Which links below a layout's folder are followed: those that end in it, all (build sandboxes make them), or none
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    pub(crate) links: Links,
}

/// A policy for links in layouts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Links {
    #[default]
    Inside,
    Follow,
    Refuse,
}

/// How layouts are written.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Layout options")]
pub(crate) struct Writing {
    /// Whether to wait until all is on disk; none is faster, and a power cut may cost the result
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub(crate) durability: Durability,
    /// Write without a lock, where the file system has none; no other process may write then
    #[arg(long)]
    pub(crate) single_writer: bool,
}

/// What is done so that a power cut costs nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    #[default]
    Full,
    None,
}

/// Whose media types an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    Oci,
    Docker,
}

impl From<Dialect> for transship_spec::Dialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Oci => Self::Oci,
            Dialect::Docker => Self::Docker,
        }
    }
}

/// How a command wants to be shown.
pub(crate) type Manners = (Format, ProgressMode, Verbosity);

/// What every command has that reads a location.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Looking {
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
}

/// What a command has that reads layers, which may take long.
#[derive(Debug, Clone, Args)]
pub(crate) struct LayersRead {
    #[command(flatten)]
    pub(crate) limits: LayerLimits,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) progress: ProgressFlag,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
}

/// What a command has that gives the bytes of something.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Fetching {
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
}

/// What a command has that stores the bytes of something.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Storing {
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
}

/// What a command has that changes names where they are.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Changing {
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
}

impl Looking {
    pub(crate) fn manners(&self) -> Manners {
        (self.formatted.format, ProgressMode::Auto, self.verbosity.clone())
    }
}

impl Changing {
    pub(crate) fn manners(&self) -> Manners {
        (self.formatted.format, ProgressMode::Auto, self.verbosity.clone())
    }
}

impl Storing {
    pub(crate) fn manners(&self) -> Manners {
        (self.formatted.format, ProgressMode::Auto, self.verbosity.clone())
    }
}

impl Fetching {
    pub(crate) fn manners(&self) -> Manners {
        (Format::Text, ProgressMode::Auto, self.verbosity.clone())
    }
}

impl LayersRead {
    pub(crate) fn manners(&self) -> Manners {
        (self.formatted.format, self.progress.progress, self.verbosity.clone())
    }
}
