//! `edit`: an image that is there, changed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use transship_pack::LayerRef;
use transship_spec::Platform;

use super::pack::{Compression, PackOutput, Runtime, Tree};
use super::shared::Dialect;
use super::values::{at_least_one, pair};

/// `transship edit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship edit oci:out:v1 --env LANG=C.UTF-8 --label com.example.mood=good --to oci:out:edited\n  \
    transship edit oci:out:edited --recompress zstd --clear label --dry-run\n\n\
    What is not named stays as it is, to the last byte, and an edit that changes nothing gives the same digest. Of an index \
    all images are changed, or those that --platform names; it is built anew around them. The order is always: base, \
    layers dropped, replaced, added, merged, times, compression, config, media types, annotations. LAYER is a position in \
    the image as it is, from 0, or a digest or diff ID. --owner to --ignore-file say how a directory that is added becomes a \
    layer. What refers to the old digest (signatures) stays with it.")]
pub struct Edit {
    /// The image, or the index of images
    #[arg(value_name = "LOCATION")]
    pub(crate) location: String,
    /// Put the result elsewhere, and leave the old one as it is; else the name moves
    #[arg(short, long, value_name = "LOCATION")]
    pub(crate) to: Option<String>,
    /// Mark what refers to images, and their signatures, in the way of another tool, in the whole layout that LOCATION is:
    /// oras (entries without a name; zot and notation, too), fallback (lists under fallback tags: regclient), cosign (as
    /// cosign save), hauler
    #[arg(
        long,
        value_enum,
        value_name = "DIALECT",
        conflicts_with_all = ["to", "platform", "keep_attestations", "sparse", "Runtime", "SaidFlags", "LayerFlags", "Tree"]
    )]
    pub(crate) referrers: Option<Marks>,
    /// Change only these members of an index
    #[arg(long, value_name = "OS/ARCH[/VARIANT],…", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// Keep attestations in an index, and let them speak of the changed image
    #[arg(long)]
    pub(crate) keep_attestations: bool,
    /// Do without layers that are not there
    #[arg(long)]
    pub(crate) sparse: bool,
    /// Tell what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) runtime: Runtime,
    #[command(flatten)]
    pub(crate) said: SaidFlags,
    #[command(flatten)]
    pub(crate) layers: LayerFlags,
    #[command(flatten)]
    pub(crate) tree: Tree,
    #[command(flatten)]
    pub(crate) out: PackOutput,
}

/// What an image says of itself, beside how it is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image options")]
pub(crate) struct SaidFlags {
    /// Take a variable away
    #[arg(long, value_name = "NAME")]
    pub(crate) unset_env: Vec<String>,
    /// Take a label away
    #[arg(long, value_name = "NAME")]
    pub(crate) unset_label: Vec<String>,
    /// Take a port away
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    pub(crate) unset_expose: Vec<String>,
    /// Take a volume away
    #[arg(long, value_name = "DIR")]
    pub(crate) unset_volume: Vec<String>,
    /// Take all of something away, before anything is set
    #[arg(long, value_enum, value_name = "WHAT,…", value_delimiter = ',')]
    pub(crate) clear: Vec<Clear>,
    /// The check of its health, as in {"Test":["CMD","/bin/check"]}
    #[arg(long, value_name = "JSON")]
    pub(crate) healthcheck: Option<String>,
    /// Who made it
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
    /// When it was made (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) created: Option<String>,
    /// Say that it runs on this; OS may carry a version: windows(10.0.14393)/amd64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) set_platform: Option<Platform>,
    /// Say that its operating system needs this
    #[arg(long, value_name = "FEATURE")]
    pub(crate) os_feature: Vec<String>,
    /// Add an entry of history that stands for no layer, as in {"created_by":"hand"}
    #[arg(long, value_name = "JSON")]
    pub(crate) history: Vec<String>,
    /// Annotate the manifest
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) annotation: Vec<(String, String)>,
    /// Take an annotation of the manifest away
    #[arg(long, value_name = "NAME")]
    pub(crate) unset_annotation: Vec<String>,
    /// Annotate the index
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) index_annotation: Vec<(String, String)>,
    /// Take an annotation of the index away
    #[arg(long, value_name = "NAME")]
    pub(crate) unset_index_annotation: Vec<String>,
    /// Use the media types of the OCI or of Docker
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub(crate) convert: Option<Dialect>,
}

/// A way to mark what belongs to an image in a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Marks {
    Oras,
    Fallback,
    Cosign,
    Hauler,
}

impl From<Marks> for transship_layout::Dialect {
    fn from(marks: Marks) -> Self {
        match marks {
            Marks::Oras => Self::Untagged,
            Marks::Fallback => Self::Fallback,
            Marks::Cosign => Self::Cosign,
            Marks::Hauler => Self::Hauler,
        }
    }
}

/// Something that can be taken away as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clear {
    Entrypoint,
    Cmd,
    Env,
    Workdir,
    User,
    Expose,
    Volume,
    Label,
    StopSignal,
    Healthcheck,
    Author,
    Created,
    History,
    Annotation,
    IndexAnnotation,
}

/// What becomes of its layers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Layer options")]
pub(crate) struct LayerFlags {
    /// Take the layers of the base OLD away, and put those of NEW in their place
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pub(crate) rebase: Vec<String>,
    /// The same, where the image's annotations tell the old base, which is looked for where NEW is
    #[arg(long, value_name = "NEW", conflicts_with = "rebase")]
    pub(crate) rebase_to: Option<String>,
    /// Take a layer away, with its history
    #[arg(long, value_name = "LAYER")]
    pub(crate) drop_layer: Vec<LayerRef>,
    /// Put a directory or a tar in the place of a layer
    #[arg(long, value_name = "LAYER=INPUT", value_parser = replacement)]
    pub(crate) replace_layer: Vec<(LayerRef, PathBuf)>,
    /// Add a directory or a tar as a layer on top
    #[arg(long, value_name = "INPUT")]
    pub(crate) append_layer: Vec<PathBuf>,
    /// Merge all layers into one, or all from the N-th on
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    pub(crate) squash: Option<usize>,
    /// Give all files in all layers this time, in seconds since 1970
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) time: Option<i64>,
    /// Compress all layers so; their diff IDs stay
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) recompress: Option<Compression>,
    /// How hard to compress
    #[arg(long, value_name = "N")]
    pub(crate) level: Option<i32>,
    /// Threads that compress; default: one for each processor
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) threads: Option<usize>,
}

/// `LAYER=INPUT`.
fn replacement(text: &str) -> Result<(LayerRef, PathBuf), String> {
    let (layer, input) = text.split_once('=').ok_or("it is not LAYER=INPUT")?;
    let layer = layer.parse().map_err(|error: transship_pack::Error| error.to_string())?;
    if input.is_empty() { Err("nothing follows the =".to_owned()) } else { Ok((layer, input.into())) }
}
