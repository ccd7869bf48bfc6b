//! Commands about content that is there: `init`, `ls`, `inspect`, `resolve`, `tag`, `manifest` and `blob`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use transship_spec::{MediaType, Platform};

use super::shared::{Changing, Fetching, KindsFlag, Looking, Quiet, Storing, Writing};

/// `transship init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship init out\n  \
    transship init oci:images/new\n\n\
    A folder that is there must be empty. Commands that write make the layout themselves if it is not there.")]
pub struct Init {
    /// The folder to make
    #[arg(value_name = "DIR")]
    pub(crate) folder: String,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) quiet: Quiet,
}

/// `transship ls`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship ls oci:out --long\n  \
    transship ls docker://localhost:5000/team/app\n\n\
    An entry of a layout without a name is shown as @DIGEST: oci:DIR@DIGEST names it.")]
pub struct Ls {
    /// A layout, an archive, or a repository of a registry
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Show digest, kind, platform and size, too
    #[arg(short, long)]
    pub(crate) long: bool,
    #[command(flatten)]
    pub(crate) read: Looking,
}

/// `transship inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship inspect oci:out:v1\n  \
    transship inspect docker://localhost:5000/team/app:v1 --format json\n\n\
    Sizes are those of the blobs as they are kept and moved, compressed or not.")]
pub struct Inspect {
    /// What to look at
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Look at the member of an index for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) described: KindsFlag,
    #[command(flatten)]
    pub(crate) read: Looking,
}

/// `transship resolve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship resolve oci:out:v1\n  \
    transship resolve docker://localhost:5000/team/app:v1")]
pub struct Resolve {
    /// What to resolve
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Take the member of an index for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) read: Looking,
}

/// `transship tag`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship tag oci:out:v1 latest stable\n  \
    transship tag docker://localhost:5000/team/app:v1 latest\n\n\
    A name that is there already moves. In a layout a name may also be a whole reference, such as \
    registry.example/team/app:v1.")]
pub struct Tag {
    /// What gets the names
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// The names
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) change: Changing,
}

/// `transship manifest`.
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Print the exact bytes of a manifest or index
    Get(ManifestGet),
    /// Store a manifest or index exactly as it is
    Put(ManifestPut),
}

/// `transship manifest get`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship manifest get oci:out:v1 > manifest.json\n  \
    transship manifest get docker://localhost:5000/team/app:v1\n\n\
    The bytes are verified before they are printed.")]
pub struct ManifestGet {
    /// Which one
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Take the member of an index for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) fetch: Fetching,
}

/// `transship manifest put`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship manifest put manifest.json oci:out:again\n  \
    transship manifest put manifest.json docker://localhost:5000/team/app:again\n\n\
    Everything that it names must be there before it. Its digest is printed.")]
pub struct ManifestPut {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where to, and what to call it
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// What it is, where it does not say so itself
    #[arg(long, value_name = "TYPE")]
    pub(crate) media_type: Option<MediaType>,
    #[command(flatten)]
    pub(crate) store: Storing,
}

/// `transship blob`.
#[derive(Debug, Subcommand)]
pub enum BlobCommand {
    /// Print or save the bytes of a blob
    Get(BlobGet),
    /// Store a file as a blob
    Put(BlobPut),
}

/// `transship blob get`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship blob get oci:out@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n  \
    transship blob get oci:out@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a -o empty.json\n\n\
    The bytes are verified on their way. With --output the file appears only if they are right; on standard output \
    they have passed by the time that the exit code says that they are wrong.")]
pub struct BlobGet {
    /// A layout, archive or repository, with the digest of the blob: LOCATION@DIGEST
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) fetch: Fetching,
}

/// `transship blob put`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship blob put layer.tar oci:out\n  \
    transship blob put layer.tar docker://localhost:5000/team/app\n\n\
    Its digest is printed. A blob that no manifest names yet is for a manifest put that follows.")]
pub struct BlobPut {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// A layout, or a repository of a registry
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    #[command(flatten)]
    pub(crate) store: Storing,
}
