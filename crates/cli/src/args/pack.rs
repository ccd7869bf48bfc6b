//! `pack image`, `pack layer` and `pack files`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use transship_spec::{MediaType, Platform};

use super::parts::Parts;
use super::shared::{
    Formatted, Manners, NetworkFlags, ProgressFlag, Reading, ResultFiles, Verbosity, Writing,
};
use super::values::pair;

/// `transship pack`.
#[derive(Debug, Subcommand)]
pub enum PackCommand {
    /// Directories and tars become layers, in order, and an image
    Image(Box<PackImage>),
    /// One directory or tar becomes a layer by itself, in a file
    Layer(Box<PackLayer>),
    /// Files become an artifact
    Files(Box<PackFiles>),
    /// Inputs become an artifact of a kind: there is a command for each.
    #[command(skip)]
    Kind(Box<super::kinds::PackKind>),
}

/// `transship pack image`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship pack image ./rootfs --to oci:out:v1\n  \
    transship pack image ./rootfs --entrypoint /bin/app --to docker://localhost:5000/team/app:v1\n  \
    transship pack image rootfs.mtree --to oci:out:v2\n  \
    transship pack image --layer rootfs.tar.gz=rootfs.json --to oci:out:v3\n\n\
    The same input and options give the same bytes: times are zero and owners 0:0 unless told otherwise. --mtime zero \
    breaks caches that compare times of files (Python's .pyc, ETags of web servers, make); --mtime clamp keeps times up \
    to SOURCE_DATE_EPOCH. A tar is a layer as it is, byte for byte, unless --normalize writes it anew. A file that begins with #mtree describes a tree, whose \
    content=PATH are files as seen from the current directory; what it or --metadata says goes before --owner, --mode and \
    --mtime. A GLOB without a slash is a name at any depth (*.pyc), one \
    with a slash a path from the top of the directory (/build). A layout that is not there is made. \
    --reuse reads an input twice if no image has its layer: once to know it, once to compress it.")]
pub struct PackImage {
    #[command(flatten)]
    pub(crate) inputs: ImageInputs,
    #[command(flatten)]
    pub(crate) encoding: Encoding,
    #[command(flatten)]
    pub(crate) tree: Tree,
    #[command(flatten)]
    pub(crate) runtime: Runtime,
    #[command(flatten)]
    pub(crate) said: Said,
    #[command(flatten)]
    pub(crate) out: PackOutput,
}

/// What an image says of itself, beside how it is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image options")]
pub(crate) struct Said {
    /// The check of its health, as in {"Test":["CMD","/bin/check"]}
    #[arg(long, value_name = "JSON")]
    pub(crate) healthcheck: Option<String>,
    /// Say that its operating system needs this
    #[arg(long, value_name = "FEATURE")]
    pub(crate) os_feature: Vec<String>,
    /// Who made it
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
    /// What the history says made its layers; default: transship pack image
    #[arg(long, value_name = "TEXT")]
    pub(crate) created_by: Option<String>,
    /// What else the history says of them
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    #[command(flatten)]
    pub(crate) annotations: AnnotationFlags,
    /// When the image was made (RFC 3339); default: SOURCE_DATE_EPOCH, else 1970
    #[arg(long, value_name = "TIME")]
    pub(crate) created: Option<String>,
}

/// Annotations of a manifest.
#[derive(Debug, Args)]
pub(crate) struct AnnotationFlags {
    /// Annotate the manifest
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) annotation: Vec<(String, String)>,
    /// Annotate the manifest with what FILE says: a JSON object, or one NAME=VALUE a line; # begins a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) annotation_file: Vec<PathBuf>,
}

/// What an image is made of.
#[derive(Debug, Args)]
pub(crate) struct ImageInputs {
    #[command(flatten)]
    pub(crate) parts: Parts,
    /// Take layers that images there have by the same recipe (--annotate-recipe tells it) instead of compressing again
    #[arg(long, value_name = "LOCATION")]
    pub(crate) reuse: Vec<String>,
    /// Decompress the layers of --layer and --reuse, to see that their diff IDs are right
    #[arg(long)]
    pub(crate) verify: bool,
    /// Where to put it: a layout or an archive (made if it is not there), or a registry
    #[arg(short, long, value_name = "LOCATION")]
    pub(crate) to: String,
    /// Put the layers on top of this image: in a layout, an archive or a registry
    #[arg(long, value_name = "LOCATION")]
    pub(crate) from: Option<String>,
    /// Do without layers of that image which its place does not hold; none is fetched from a registry
    #[arg(long, requires = "from")]
    pub(crate) sparse: bool,
    /// What the image runs on; default: the base's, else linux and this machine's processor
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    /// Tell the recipe of each layer in the manifest, as an annotation
    #[arg(long, help_heading = "Layer options")]
    pub(crate) annotate_recipe: bool,
}

/// `transship pack layer`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship pack layer ./rootfs --to rootfs.tar.gz --descriptor-file rootfs.json\n  \
    transship pack layer rootfs.mtree --compression zstd --to layer.zst --descriptor-file layer.json\n\n\
    pack image --layer rootfs.tar.gz=rootfs.json makes the image that pack image ./rootfs makes, and packs nothing. The \
    descriptor tells media type, digest and size, and as annotations the diff ID (containerd.io/uncompressed, which \
    containerd and BuildKit write, too) and the recipe (io.github.transship.recipe). Both files appear when all is done; \
    a power cut may cost them.")]
pub struct PackLayer {
    /// A directory, a tar (plain, gzip or zstd) or an mtree specification
    #[arg(value_name = "INPUT")]
    pub(crate) input: PathBuf,
    /// Write the layer to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// Write its descriptor to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) descriptor_file: PathBuf,
    #[command(flatten)]
    pub(crate) encoding: Encoding,
    #[command(flatten)]
    pub(crate) tree: Tree,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) progress: ProgressFlag,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// How layers are compressed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Layer options")]
pub(crate) struct Encoding {
    /// How layers are compressed
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) compression: Compression,
    /// How hard to compress
    #[arg(long, value_name = "N")]
    pub(crate) level: Option<i32>,
    /// Refuse to make layers by any other recipe than NAME; --format json tells a layer's recipe
    #[arg(long, value_name = "NAME")]
    pub(crate) recipe: Option<String>,
    /// Threads that compress; default: one for each processor
    #[arg(long, value_name = "N", value_parser = super::values::at_least_one)]
    pub(crate) threads: Option<usize>,
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    #[default]
    Gzip,
    Zstd,
    None,
}

/// How a directory becomes a layer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Layer options")]
pub(crate) struct Tree {
    /// The owner of all files, keep, or FROM=TO,… to keep all but some
    #[arg(long, value_name = "UID:GID|keep", default_value = "0:0")]
    pub(crate) owner: transship_pack::Owner,
    /// Modes of files; normal is 0755 and 0644 without setuid
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) mode: Mode,
    /// Times of files; clamp keeps those up to SOURCE_DATE_EPOCH
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) mtime: Mtime,
    /// Write tars anew, as the directories would be packed that they unpack to
    #[arg(long)]
    pub(crate) normalize: bool,
    /// Pack what links lead to
    #[arg(long)]
    pub(crate) dereference: bool,
    /// Pack only what changed in the directory against BASE_DIR, and what is gone as whiteouts
    #[arg(long, value_name = "BASE_DIR")]
    pub(crate) diff: Option<PathBuf>,
    /// The directory is the upper one of an overlayfs: make whiteouts of its marks
    #[arg(long, conflicts_with = "diff")]
    pub(crate) overlay: bool,
    /// Take owners, modes, times, attributes and devices from what FILE says of paths in the directory (mtree)
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata: Option<PathBuf>,
    /// Leave out what matches GLOB
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Leave out what FILE says, by the rules of .dockerignore and .containerignore
    #[arg(long, value_name = "FILE")]
    pub(crate) ignore_file: Option<PathBuf>,
}

/// Modes of files in a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    #[default]
    Keep,
    Normal,
}

/// Times of files in a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mtime {
    #[default]
    Zero,
    Clamp,
    Keep,
}

/// How an image is to be run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image options")]
pub(crate) struct Runtime {
    /// The program: one word (repeatable), or a JSON array
    #[arg(long, value_name = "WORD|JSON", allow_hyphen_values = true)]
    pub(crate) entrypoint: Vec<String>,
    /// Its arguments: one word (repeatable), or a JSON array
    #[arg(long, value_name = "WORD|JSON", allow_hyphen_values = true)]
    pub(crate) cmd: Vec<String>,
    /// Set a variable
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Set the variables in FILE, one NAME=VALUE a line; # begins a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// The folder in which the program starts
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// The user that runs it
    #[arg(long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// A port that it listens on
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    pub(crate) expose: Vec<String>,
    /// A folder that holds data of its own
    #[arg(long, value_name = "DIR")]
    pub(crate) volume: Vec<String>,
    /// Label the image
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) label: Vec<String>,
    /// Label the image with what FILE lists, one NAME=VALUE a line; # begins a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) label_file: Vec<PathBuf>,
    /// The signal that asks the program to end
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,
    /// Begin with the image config in FILE (JSON, whole or in part)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// `transship pack files`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    transship pack files sbom.json:application/spdx+json --to oci:out:sbom\n  \
    transship pack files docs/readme.md=README.md --to docker://localhost:5000/team/docs:v1\n\n\
    TYPE is what follows the last : if it is a media type. The title is the name under which the file is found again; an \
    absolute path, or one with .., needs TITLE=.")]
pub struct PackFiles {
    /// Files, each a blob with its title
    #[arg(value_name = "[TITLE=]FILE[:TYPE]", required = true)]
    pub(crate) inputs: Vec<transship_pack::File>,
    /// Where to put it: a layout or an archive (made if it is not there), or a registry
    #[arg(short, long, value_name = "LOCATION")]
    pub(crate) to: String,
    /// What sort of artifact it is
    #[arg(long, value_name = "TYPE")]
    pub(crate) artifact_type: Option<MediaType>,
    /// Use FILE as the config
    #[arg(long, value_name = "FILE[:TYPE]")]
    pub(crate) config: Option<String>,
    /// What the artifact refers to
    #[arg(long, value_name = "LOCATION|DESCRIPTOR.json")]
    pub(crate) subject: Option<String>,
    #[command(flatten)]
    pub(crate) annotations: AnnotationFlags,
    /// When the artifact was made (RFC 3339); default: SOURCE_DATE_EPOCH, else nothing
    #[arg(long, value_name = "TIME")]
    pub(crate) created: Option<String>,
    #[command(flatten)]
    pub(crate) out: PackOutput,
}

/// How the result is told of, and written.
#[derive(Debug, Args)]
pub(crate) struct PackOutput {
    #[command(flatten)]
    pub(crate) formatted: Formatted,
    #[command(flatten)]
    pub(crate) progress: ProgressFlag,
    #[command(flatten)]
    pub(crate) files: ResultFiles,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
}

impl PackOutput {
    pub(crate) fn manners(&self) -> Manners {
        (self.formatted.format, self.progress.progress, self.verbosity.clone())
    }
}
