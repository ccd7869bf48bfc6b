//! The layers of an image become a tree of files.
//!
//! **Whole or not at all.** The tree is made beside its place by a name that says so, and gets its own when every layer was
//! read to its end and is what its digest and its diff ID say. An error or a signal leaves nothing, a kill something that
//! the next run removes.
//!
//! **Nothing outside is touched**, whatever the layers hold: see `tree`. Nothing that was made is ever opened again to be
//! written, no device and no FIFO at all.
//!
//! **Equal to what umoci and podman make** of the same image: deletions of lower layers in any order, collisions, hard
//! links, owners, modes, times and extended attributes. Who is not root gets all of it but what only root may set; that is
//! counted, and written to a metadata file from which packing takes it.
//!
//! **Bounded**: sizes, ratios, entries, paths and depths have limits; memory holds some buffers, eight bytes for each path
//! of a layer that is not the first, and records of what could not be set.

mod apply;
mod attributes;
mod image;
mod layers;
mod ledger;
mod metadata;
pub(crate) mod names;
mod remove;
mod rootfs;
mod stream;
mod tree;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use transship_layout::{Durability, Source};
use transship_spec::{Descriptor, Digest, Platform};

use crate::error::Error;
use crate::warning::Warning;
use apply::Tally;
pub(crate) use apply::{Apply, NEW_FILE};
pub(crate) use attributes::{Attributes, Us};
pub use image::{PlannedLayer, UnpackPlan};
pub(crate) use image::{config, document, planned};
pub(crate) use layers::{Layers, Plain, Problem, Work, located, read_layers};
pub(crate) use ledger::Ledger;
pub use ledger::NotSet;
pub use rootfs::Rootfs;
pub(crate) use tree::Tree;

/// How an image is unpacked. The default is durable, within [`UnpackLimits::default`], without a metadata file.
#[derive(Debug, Clone, Default)]
pub struct UnpackOptions {
    /// How much is taken.
    pub limits: UnpackLimits,
    /// Whether all must be on disk before the tree gets its name.
    pub durability: Durability,
    /// Where what the image says of each path is written, as a specification of mtree. A file that is there is replaced.
    pub metadata: Option<PathBuf>,
    /// Who is told how far it is.
    pub progress: Option<Arc<dyn UnpackProgress>>,
}

/// How much is taken before unpacking ends with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// The most plain bytes of all layers, and of all files with their holes.
    pub max_size: u64,
    /// The most plain bytes for one stored byte of a layer, beyond 64 MiB.
    pub max_ratio: u64,
    /// The most entries of all layers.
    pub max_entries: u64,
    /// The longest path, in bytes.
    pub max_path: usize,
    /// How many folders deep a path may be. More than 500 is not possible: each is held open.
    pub max_depth: usize,
}

impl Default for UnpackLimits {
    /// 256 GiB, 200 to 1, 4,000,000 entries, paths of 32 KiB and 500 folders.
    fn default() -> Self {
        Self {
            max_size: 256 << 30,
            max_ratio: 200,
            max_entries: 4_000_000,
            max_path: 32 << 10,
            max_depth: MAX_DEPTH,
        }
    }
}

const MAX_DEPTH: usize = 500;

impl UnpackLimits {
    /// The same, with the depth that can be.
    pub(crate) fn possible(self) -> Self {
        Self { max_depth: self.max_depth.min(MAX_DEPTH), ..self }
    }
}

/// Is told how far unpacking is. Every method does nothing unless it is written anew; each is called on a thread that has
/// other work to do, so that none should take long.
pub trait UnpackProgress: fmt::Debug + Send + Sync {
    /// A layer is being read. It may be the next while one is still applied.
    fn layer_started(&self, layer: &Descriptor) {
        let _ = layer;
    }

    /// So many more stored bytes of it were read.
    fn advanced(&self, bytes: u64) {
        let _ = bytes;
    }

    /// All of it was read.
    fn layer_finished(&self, layer: &Descriptor) {
        let _ = layer;
    }
}

/// What was unpacked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Unpacked {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// What the image runs on.
    pub platform: Platform,
    /// How many layers it has.
    pub layers: usize,
    /// Entries of all layers.
    pub entries: u64,
    /// Bytes of all files that they have, whether later layers replaced them or not.
    pub bytes: u64,
    /// Deletions that they have.
    pub whiteouts: u64,
    /// What could not be set.
    pub not_set: NotSet,
    /// What was left out or is doubtful.
    pub warnings: Vec<Warning>,
}

/// Unpacks an image: `plan` tells its layers, `rootfs` where to.
///
/// # Errors
/// [`Error::Entry`], [`Error::Layer`], [`Error::Stored`] and [`Error::DiffId`] name the layer at fault and what in it;
/// [`Error::Limit`]; [`Error::Layout`] for what cannot be read; [`Error::Tree`] for what cannot be written;
/// [`Error::Occupied`] when something appeared at the place meanwhile.
///
/// ```
/// use transship_layout::{Layout, Name};
/// use transship_pack::{ImageOptions, Rootfs, UnpackOptions, UnpackPlan, pack_image, unpack};
///
/// # let folder = tempfile::tempdir()?;
/// # let (app, out, rootfs) = (folder.path().join("app"), folder.path().join("out"), folder.path().join("rootfs"));
/// # std::fs::create_dir(&app)?;
/// # std::fs::write(app.join("motd"), "hello")?;
/// let layout = Layout::options().create(&out)?;
/// let image = pack_image(&layout, Some(&Name::short("v1")?), &[&app], &ImageOptions::default())?;
///
/// let plan = UnpackPlan::read(&layout, &image.descriptor, None)?;
/// let done = unpack(&layout, &plan, Rootfs::begin(&rootfs)?, &UnpackOptions::default())?;
/// assert_eq!((done.entries, done.bytes), (1, 5));
/// assert_eq!(std::fs::read(rootfs.join("motd"))?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unpack(
    source: &dyn Source,
    plan: &UnpackPlan,
    rootfs: Rootfs,
    options: &UnpackOptions,
) -> Result<Unpacked, Error> {
    let limits = options.limits.possible();
    let progress = listener(options.progress.as_ref());
    let work = Work { source, layers: &plan.layers, limits: &limits, progress };
    let (root, umask) = rootfs.open()?;
    let us = Us::here(umask);
    let ledger = Ledger::new(options.metadata.is_some(), us.is_root());
    let mut apply = Apply::new(Tree::new(root, us, limits.max_depth), ledger, &limits);
    let mut warnings = read_layers(work, &mut apply)?;
    let Apply { tree, mut ledger, tally, .. } = apply;
    let keys = tree.keys().clone();
    let (_root, left) = tree.close().map_err(|error| Error::tree(&rootfs.path(), error))?;
    for left in left {
        ledger.note_left(left).map_err(|_| Error::Limit {
            path: rootfs.path(),
            what: "the number of paths with attributes that cannot be set here",
            limit: ledger::MAX_RECORDS as u64,
        })?;
    }
    finish(rootfs, &ledger, &keys, options)?;
    warnings.extend(tally.warnings());
    Ok(Unpacked {
        manifest: plan.manifest.clone(),
        platform: plan.platform.clone(),
        layers: plan.layers.len(),
        entries: tally.entries,
        bytes: tally.bytes,
        whiteouts: tally.whiteouts,
        not_set: ledger.not_set,
        warnings,
    })
}

/// Writes the metadata file, waits for the disk, and gives the tree its name.
fn finish(rootfs: Rootfs, ledger: &Ledger, keys: &tree::Keys, options: &UnpackOptions) -> Result<(), Error> {
    let durable = options.durability == Durability::Full;
    if let Some(path) = &options.metadata {
        let temporary = beside(path);
        let written = File::create(&temporary)
            .map_err(|error| Error::tree(&temporary, error))
            .and_then(|file| metadata::write(&rootfs.path(), ledger, keys, file))
            .and_then(|file| if durable { file.sync_all().map_err(Error::Write) } else { Ok(()) })
            .and_then(|()| std::fs::rename(&temporary, path).map_err(|error| Error::tree(path, error)));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
    }
    if durable {
        rootfs.sync()?;
    }
    rootfs.finish(durable)
}

/// What a file is called while it is written.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".transship-{}", std::process::id()));
    path.with_file_name(name)
}

/// Who is told, or one who does not listen.
pub(crate) fn listener(progress: Option<&Arc<dyn UnpackProgress>>) -> &dyn UnpackProgress {
    #[derive(Debug)]
    struct Deaf;
    impl UnpackProgress for Deaf {}
    progress.map_or(&Deaf, |progress| &**progress)
}

impl Tally {
    fn warnings(&self) -> Vec<Warning> {
        let foreign = (self.foreign > 0).then_some(Warning::AufsEntries(self.foreign));
        let host = (self.host_xattrs > 0).then_some(Warning::HostAttributes(self.host_xattrs));
        foreign.into_iter().chain(host).collect()
    }
}
