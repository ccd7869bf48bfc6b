//! `unpack`: what can be typed.

use std::path::PathBuf;

use clap::Args;
use transship_spec::Platform;

use super::shared::{Durability, LayersRead};

/// `transship unpack`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship unpack oci:out:v1 tree\n  \
    transship unpack docker://localhost:5000/team/app:v1 app --metadata app.mtree\n\n\
    DIR must be free or an empty directory. It appears when every layer was read to its end and is what its digest and its \
    diff ID say; until then the tree is made beside it, as .DIR.transship-unpack. Nothing that a layer holds leads out of \
    it. Who is not root cannot set owners, devices, capabilities and the setuid bits of others: they are written to the \
    metadata file, and transship pack image DIR --metadata FILE packs what was unpacked.")]
pub struct Unpack {
    /// The image: in a layout, an archive or a registry
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Where its files go
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Which member of an index; default: the only one, or the one for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    /// Write owner, mode, time and device of every path to FILE, as an mtree specification; default unless you are root:
    /// DIR.mtree
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata: Option<PathBuf>,
    /// Tell what would be unpacked, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Whether to wait until all is on disk; none is faster, and a power cut may cost the result
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub(crate) durability: Durability,
    #[command(flatten)]
    pub(crate) layers: LayersRead,
}
