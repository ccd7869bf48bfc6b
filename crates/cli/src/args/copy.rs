//! `copy`, and the answers to `push` and `pull`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use transship_copy::Shard;
use transship_spec::Platform;

use super::shared::{
    Concurrency, Dialect, Formatted, NetworkFlags, ProgressFlag, Reading, ResultFiles, Verbosity, Writing,
};

/// `transship copy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship copy oci:out:v1 docker://localhost:5000/team/app:v1\n  \
    transship copy --all-tags docker://localhost:5000/team/app oci:mirror\n  \
    transship copy --plan plan.json docker://localhost:5000/team/app:v1 oci:mirror\n  \
    transship copy --apply plan.json\n\n\
    Only what is missing moves, each blob once; names come last. A destination without a REF gets the source's: a layout \
    the whole reference, a repository the tag. Several sources into a registry keep their path: h/a/b:v becomes \
    DEST/a/b:v. What stops on the way goes on with the same command. An archive that is there is added to: a new one takes \
    its place when it is whole.")]
pub struct Copy {
    /// What to copy; the last location is where to
    #[arg(value_name = "SOURCE… DEST", required_unless_present = "apply")]
    pub(crate) locations: Vec<String>,
    /// Copy every tag or named entry of each source
    #[arg(long, help_heading = "What to copy")]
    pub(crate) all_tags: bool,
    /// Copy only the tags that RULE fits: a glob (v1.*), a range of versions (semver:>=1.2, <2), or a regular expression
    /// for the whole tag (regex:v[0-9]+)
    #[arg(long, value_name = "RULE", help_heading = "What to copy")]
    pub(crate) tags: Vec<String>,
    /// Leave out the tags that RULE fits
    #[arg(long, value_name = "RULE", help_heading = "What to copy")]
    pub(crate) exclude: Vec<String>,
    /// Of the tags that are left of each source, copy the N newest
    #[arg(
        long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "What to copy"
    )]
    pub(crate) newest: Option<u32>,
    /// What is new: the version that a tag names (others are left out), or when the image was made, which costs a manifest
    /// and a config for every tag
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        default_value_t,
        requires = "newest",
        help_heading = "What to copy"
    )]
    pub(crate) newest_by: NewestBy,
    /// Copy what FILE lists, one location a line; # begins a comment
    #[arg(long, value_name = "FILE", help_heading = "What to copy")]
    pub(crate) images: Option<PathBuf>,
    /// Copy only the image for this platform out of an index; for several, --subset says what becomes of the index
    #[arg(long, value_name = "OS/ARCH[/VARIANT],…", value_delimiter = ',', help_heading = "What to copy")]
    pub(crate) platform: Vec<Platform>,
    /// Of an index copy the images for --platform, with their attestations: sparse keeps the index and its digest and
    /// declares in a layout or archive what is there, which a later copy adds to, and many registries refuse; one
    /// that takes it is thought to have all of it, unless --check-members asks; rewrite makes a new index, which old signatures
    /// do not fit
    #[arg(long, value_enum, value_name = "WAY", requires = "platform", help_heading = "What to copy")]
    pub(crate) subset: Option<Way>,
    /// Use the media types of the OCI or of Docker: manifests and indexes become others, with other digests, which old
    /// signatures do not fit, and are told in the report; configs and layers stay the same. What has them stays as it is
    #[arg(long, value_enum, value_name = "WHOSE", help_heading = "What to copy")]
    pub(crate) convert: Option<Dialect>,
    /// Which referrers (signatures, SBOMs …) come along: all, none, or artifact types
    #[arg(long, value_name = "all|none|TYPE,…", default_value = "all", help_heading = "What to copy")]
    pub(crate) referrers: String,
    /// Whether tags made of a digest (cosign's .sig, .att, .sbom) come along
    #[arg(
        long, value_name = "true|false", default_value_t = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "What to copy"
    )]
    pub(crate) digest_tags: bool,
    /// Also copy layers that may not be distributed, as those of Windows once were
    #[arg(long, help_heading = "What to copy")]
    pub(crate) nondistributable: bool,
    /// Ask a registry for each image of an index that it has, at a request each, and put those that it lacks: it may have
    /// got the index with --subset sparse
    #[arg(long, help_heading = "What to copy")]
    pub(crate) check_members: bool,
    /// Call what matches FROM by the name TO; a * in TO is what it stood for in FROM
    #[arg(long, value_name = "FROM=TO", help_heading = "What to call it")]
    pub(crate) map: Vec<String>,
    /// Call entries of a layout or an archive by the tag alone
    #[arg(long, help_heading = "What to call it")]
    pub(crate) short_names: bool,
    /// Move a name even if an image of another repository bears it, or, with --apply, one that was not there before
    #[arg(long, help_heading = "What to call it")]
    pub(crate) force: bool,
    /// How blobs get from layout to layout: reflink shares blocks where the file system can, and else copies; hard makes
    /// both the same file, so that whatever writes into one changes the other; symlink makes links to the source's files,
    /// which must stay where they are, and which only --links follow reads
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    pub(crate) link: Link,
    /// Print what would move, with bytes, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write the plan to FILE, and change nothing: what would move, by digest, from where to where
    #[arg(long, value_name = "FILE", help_heading = "Plan and shards")]
    pub(crate) plan: Option<PathBuf>,
    /// Do what the plan in FILE says: refuse all of it if a name at a source stands for something else now, or, without
    /// --force, one at a destination; what came to the source since is not copied
    #[arg(
        long, value_name = "FILE", help_heading = "Plan and shards",
        conflicts_with_all = [
            "plan", "locations", "all_tags", "tags", "exclude", "newest", "images", "platform", "subset", "convert", "referrers",
            "digest_tags", "nondistributable", "check_members", "map", "short_names",
        ]
    )]
    pub(crate) apply: Option<PathBuf>,
    /// Do only part I of N, counted from 0, by the hash of where each root goes: N machines that are told 0/N to N-1/N do
    /// everything
    #[arg(long, value_name = "I/N", help_heading = "Plan and shards")]
    pub(crate) shard: Option<Shard>,
    /// Stop at the first thing that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
    #[command(flatten)]
    pub(crate) concurrency: Concurrency,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) progress: ProgressFlag,
    #[command(flatten)]
    pub(crate) files: ResultFiles,
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

/// What a blob of a layout has in common with the one that it comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Link {
    #[default]
    Reflink,
    Copy,
    Hard,
    Symlink,
}

/// What `--newest` compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewestBy {
    #[default]
    Version,
    Created,
}

/// What becomes of an index of which some platforms are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    Sparse,
    Rewrite,
}

/// What was typed after `push` or `pull`.
#[derive(Debug, Args)]
pub struct Refused {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}
