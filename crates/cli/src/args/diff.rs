//! `diff`: what can be typed.

use clap::Args;
use transship_spec::Platform;

use super::shared::LayersRead;

/// `transship diff`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship diff oci:out:v1 docker://localhost:5000/team/app:v1\n  \
    transship diff oci:out:v1 oci:out:v1 --path '*.conf' --path /usr/bin --format json\n\n\
    A is what only B has, D what only A has, M what both have and is not the same. Files are compared as unpacking would make \
    them. Layers that both begin with are read only where there are others upon them, to know what those hide and replace; \
    where all layers are the same, or with --no-files, none is read. Of artifacts the fields and the blobs are compared. Two \
    that do not differ print nothing.")]
pub struct Diff {
    /// What it was: in a layout, an archive or a registry
    #[arg(value_name = "A")]
    pub(crate) left: String,
    /// What it is now
    #[arg(value_name = "B")]
    pub(crate) right: String,
    /// Which members of indexes; default: the only one, or the one for what the other runs on, or the one for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    /// Compare only files that GLOB names, with what is beneath them; without a slash it is a name at any depth
    #[arg(long, value_name = "GLOB")]
    pub(crate) path: Vec<String>,
    /// Compare the times of files, too
    #[arg(long)]
    pub(crate) mtime: bool,
    /// Compare fields and layers only, which takes no more than manifests and configs
    #[arg(long, conflicts_with_all = ["path", "mtime"])]
    pub(crate) no_files: bool,
    /// Exit with 10 if they differ; no other end of this command has that code
    #[arg(long)]
    pub(crate) exit_code: bool,
    #[command(flatten)]
    pub(crate) layers: LayersRead,
}
