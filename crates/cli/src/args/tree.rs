//! `tree`: everything that belongs together, as a drawing.

use clap::Args;

use super::shared::{KindsFlag, Looking};

/// `transship tree`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship tree oci:out\n  \
    transship tree docker://localhost:5000/team/app:v1 --no-blobs --annotations\n\n\
    Of a layout or an archive without a reference all entries are shown, in their order. Referrers and digest tags stand \
    below what they speak of, in whatever way the tool that wrote the layout marks them: as ORAS, zot, notation, regclient, \
    cosign, hauler and Singularity do. What stands in two places is shown whole in the first. What is not there is shown as \
    missing, and as left out where that is declared; transship check judges.")]
pub struct ShowTree {
    /// A layout, an archive, something in them, or something in a registry
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Show only so many levels below the first: 0 shows that alone
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    /// Leave out configs, layers and other blobs
    #[arg(long)]
    pub(crate) no_blobs: bool,
    /// Show annotations, too
    #[arg(long)]
    pub(crate) annotations: bool,
    /// Show digests whole
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Draw with ASCII characters alone
    #[arg(long)]
    pub(crate) ascii: bool,
    #[command(flatten)]
    pub(crate) described: KindsFlag,
    #[command(flatten)]
    pub(crate) read: Looking,
}
