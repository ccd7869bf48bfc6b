//! `index`: images for several platforms under one name.

use clap::{Args, Subcommand};
use transship_spec::{Digest, MediaType, Platform};

use super::pack::PackOutput;
use super::values::pair;

/// `transship index`.
#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// Make an index of images, artifacts and other indexes
    Create(Box<IndexCreate>),
    /// Add members to an index
    Add(Box<IndexAdd>),
    /// Take members out of an index
    Remove(Box<IndexRemove>),
}

/// `transship index create`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship index create oci:out:v1 --to oci:out:multi\n  \
    transship index create oci:out:v1 docker://localhost:5000/team/docs:v1 --annotation a=b --to oci:out:multi\n\n\
    The platform of an image is what its config says. An index among the images becomes an index in the index, unless \
    --flatten or --platform takes its members; attestations go with their images. The order is kept: of several that \
    fit, the first is chosen.")]
pub struct IndexCreate {
    /// What is to be listed, in this order
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Where to put it: a layout or an archive (made if it is not there), or a registry
    #[arg(short, long, value_name = "LOCATION")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) members: MemberFlags,
    #[command(flatten)]
    pub(crate) head: HeadFlags,
    #[command(flatten)]
    pub(crate) out: PackOutput,
}

/// `transship index add`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship index add oci:out:multi docker://localhost:5000/team/app:v1 --replace\n  \
    transship index add oci:out:multi oci:out:sbom --member-platform wasip1/wasm\n\n\
    The name moves to the new index. What is listed already is left as it is.")]
pub struct IndexAdd {
    /// The index
    #[arg(value_name = "LOCATION")]
    pub(crate) index: String,
    /// What is to be listed in it
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Put the new index elsewhere, and leave the old one as it is
    #[arg(short, long, value_name = "LOCATION")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) members: MemberFlags,
    #[command(flatten)]
    pub(crate) head: HeadFlags,
    #[command(flatten)]
    pub(crate) out: PackOutput,
}

/// `transship index remove`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship index remove oci:out:multi --platform wasip1/wasm --to oci:out:less\n  \
    transship index remove oci:out:multi --platform wasip1/wasm\n\n\
    Attestations go with the images that they speak of. Nothing is deleted: transship gc removes what nothing needs.")]
pub struct IndexRemove {
    /// The index
    #[arg(value_name = "LOCATION")]
    pub(crate) index: String,
    /// Members to take out
    #[arg(value_name = "DIGEST")]
    pub(crate) digests: Vec<Digest>,
    /// Take out the members for these platforms
    #[arg(long, value_name = "OS/ARCH[/VARIANT],…", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// Put the new index elsewhere, and leave the old one as it is
    #[arg(short, long, value_name = "LOCATION")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) out: PackOutput,
}

/// What is taken of images, and how it is listed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Member options")]
pub(crate) struct MemberFlags {
    /// Take what serves these platforms, with its attestations
    #[arg(long, value_name = "OS/ARCH[/VARIANT],…", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// Take the members of an index instead of the index
    #[arg(long, conflicts_with = "platform")]
    pub(crate) flatten: bool,
    /// List it for this platform, whatever its config says
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) member_platform: Option<Platform>,
    /// Annotate it in the index
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) member_annotation: Vec<(String, String)>,
    /// Let it take the place of what is listed for its platform
    #[arg(long)]
    pub(crate) replace: bool,
    /// Do without blobs that are not there
    #[arg(long)]
    pub(crate) sparse: bool,
}

/// What the index says of itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Index options")]
pub(crate) struct HeadFlags {
    /// Annotate the index
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) annotation: Vec<(String, String)>,
    /// What sort of artifact it is
    #[arg(long, value_name = "TYPE")]
    pub(crate) artifact_type: Option<MediaType>,
    /// What it refers to
    #[arg(long, value_name = "LOCATION|DESCRIPTOR.json")]
    pub(crate) subject: Option<String>,
}
