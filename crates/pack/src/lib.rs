//! Files become layers, images and artifacts in an image layout, the same bytes every time.
//!
//! - [`pack_image`] makes an image of folders and tars, each a layer, alone or upon a [`Base`].
//! - [`pack_files`] makes an artifact of any files, in the form of ORAS.
//! - [`list_by_fallback_tag`] lists an artifact that refers to another one in a second way.
//! - [`kinds`] are sorts of artifacts, each in the form of its own tool: recognised, described, extracted, packed.
//! - [`extract`] makes the files of an artifact, by the rules of its kind.
//! - [`pack_layer`] makes one layer: read, hashed and compressed in one pass. [`write_layer`] writes it to a file, and
//!   [`assemble_image`] takes it from there; [`Reuse`] finds it in images.
//! - [`write_tar`] writes a folder as a tar, by rules that are frozen under the name [`TAR_RECIPE`].
//! - [`diff`] tells in what two images differ: fields, layers and files.
//! - [`TarOptions`] tell what of a folder is packed: all but what [`Excludes`] and [`Ignore`] leave out, with owners and devices
//!   that [`Metadata`] says, or only what changed.
//! - [`mtree`] is the language in which trees are described.
//! - [`unpack`] makes a tree of the layers of an image, whole or not at all, out of which nothing in them leads.
//!
//! The bytes depend on names, content, modes and the options given, and on nothing else. Everything is blocking. A failure
//! names the file at fault, and the layout's index is then as it was; what was left out is a [`Warning`] in the result.
//! Neither the clock nor the process's environment is ever read.
//!
//! ```
//! use transship_layout::{Layout, Name};
//! use transship_pack::{ConfigChanges, ImageOptions, pack_image};
//!
//! # let folder = tempfile::tempdir()?;
//! # let (rootfs, out) = (folder.path().join("rootfs"), folder.path().join("out"));
//! # std::fs::create_dir(&rootfs)?;
//! # std::fs::write(rootfs.join("app"), "#!/bin/sh")?;
//! let layout = Layout::options().build(&out)?;
//! let options = ImageOptions {
//!     changes: ConfigChanges { entrypoint: Some(vec!["/app".to_owned()]), ..ConfigChanges::default() },
//!     ..ImageOptions::default()
//! };
//! let image = pack_image(&layout, Some(&Name::short("v1")?), &[&rootfs], &options)?;
//! layout.finish()?;
//! assert!(image.warnings.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artifact;
mod attach;
mod base;
mod changeset;
mod config;
mod diff;
mod edit;
mod entry;
mod epoch;
mod error;
mod extract;
mod flatten;
mod ignore;
mod image;
mod index;
pub mod kinds;
mod layer;
pub mod mtree;
mod origin;
mod packed;
mod pipeline;
mod reuse;
mod tarball;
mod tree;
mod unpack;
mod walk;
mod warning;

pub use artifact::{Artifact, ArtifactConfig, ArtifactOptions};
pub use attach::list_by_fallback_tag;
pub use base::{Base, Holder};
pub use config::ConfigChanges;
pub use diff::{
    Aspect, Compared, Diff, DiffOptions, DiffSide, FieldChange, FileChange, FileKind, FileState, LayerChange,
    PlacedLayer, Status, diff,
};
pub use edit::{
    AnnotationChanges, ConfigEdit, Edit, Edited, LayerEdit, LayerRef, Rebase, Setting, edit_image,
};
pub use epoch::{UNKNOWN_TIME, source_date_epoch};
pub use error::Error;
pub use extract::{ExtractOptions, Extracted, extract};
pub use ignore::Ignore;
pub use image::{Image, ImageOptions, Part, assemble_image, host_platform, pack_image};
pub use index::{
    IndexOptions, Indexed, Member, Removal, Take, add_to_index, create_index, remove_from_index,
};
pub use kinds::files::{File, Files, pack_files};
pub use layer::{Layer, LayerOptions, Progress, pack_layer};
pub use origin::Origin;
pub use packed::{PackedLayer, write_layer};
pub use reuse::Reuse;
pub use tarball::{Ids, ModeRule, MtimeRule, Owner, TAR_RECIPE, TarOptions, write_tar};
pub use tree::Metadata;
pub use unpack::{
    NotSet, PlannedLayer, Rootfs, UnpackLimits, UnpackOptions, UnpackPlan, UnpackProgress, Unpacked, unpack,
};
pub use walk::Excludes;
pub use warning::Warning;
