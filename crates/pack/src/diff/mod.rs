//! In what two images differ: what is said of them, their layers, and their files.
//!
//! **Equal to comparing what unpacking makes of both**, path by path: whiteouts, opaque folders, links among parents and
//! collisions count as there. Whether two names are one file (hard links) is not compared; what they hold is.
//!
//! **Only layers in which they differ can make a difference.** Those that both begin with, by their diff IDs, are read once
//! to know what the others hide and replace, and their files are hashed only where one above has the same size; what both
//! have from there is never looked at again. Where all diff IDs are the same no layer is read at all.
//!
//! **Verified and bounded** like unpacking, by the same limits: every layer that is read is what its digest and its diff ID
//! say, or the comparison fails. Content is hashed as it streams by and never held. Memory is that of names and attributes:
//! about 250 bytes for each path of the layers that both begin with, and 500 for each of the others.
//!
//! Artifacts are compared by their fields, their config where that is JSON, and their blobs by title.

mod change;
mod fields;
mod files;
mod layers;
mod side;
mod tree;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use transship_layout::Source;
use transship_spec::{Descriptor, Digest, MediaType, Platform};

pub use fields::FieldChange;
pub use files::{Aspect, FileChange, FileKind, FileState};
pub use layers::{LayerChange, PlacedLayer};

use crate::unpack::{PlannedLayer, Work, located, read_layers};
use crate::{Error, Excludes, UnpackLimits, UnpackProgress, Warning};
use change::{Applying, Change, Count, Recording, Wanted};
use files::Scope;
use side::Side;
use tree::Tree;

/// How images are compared. The default compares everything but times, within [`UnpackLimits::default`].
#[derive(Debug, Clone)]
pub struct DiffOptions {
    /// Which members of indexes are compared. Without it: the only one, or else the one for what the other side runs on, or
    /// else for this machine.
    pub platform: Option<Platform>,
    /// Whether files are compared: that takes reading layers.
    pub files: bool,
    /// Whether the times of files count, too.
    pub mtime: bool,
    /// The only paths of interest, with what is beneath them, by the rules of [`Excludes`].
    pub paths: Option<Excludes>,
    /// Whether layers that both have are read from the right side, for when that is nearer.
    pub shared_from_right: bool,
    /// How much is read.
    pub limits: UnpackLimits,
    /// Who is told how far it is.
    pub progress: Option<Arc<dyn UnpackProgress>>,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self {
            platform: None,
            files: true,
            mtime: false,
            paths: None,
            shared_from_right: false,
            limits: UnpackLimits::default(),
            progress: None,
        }
    }
}

/// One of the two: a manifest or an index, and where it is read from.
#[derive(Clone, Copy)]
pub struct DiffSide<'a> {
    /// What holds it.
    pub source: &'a dyn Source,
    /// Which it is.
    pub image: &'a Descriptor,
}

impl fmt::Debug for DiffSide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiffSide").field("image", self.image).finish_non_exhaustive()
    }
}

/// All in which two images or artifacts differ. Everything comes in an order that depends on nothing but their content.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Diff {
    /// What was on the left.
    pub left: Compared,
    /// What was on the right.
    pub right: Compared,
    /// Fields of the indexes that they are members of, but for the lists of members.
    pub index: Vec<FieldChange>,
    /// Fields of the manifests, but for the lists of layers. The pointer of the whole, which is empty, where nothing but the
    /// form of manifest or config is another.
    pub manifest: Vec<FieldChange>,
    /// Fields of the configs, but for the list of diff IDs.
    pub config: Vec<FieldChange>,
    /// Layers of images, blobs of artifacts.
    pub layers: Vec<LayerChange>,
    /// Files, where they were compared.
    pub files: Option<Vec<FileChange>>,
    /// Platforms for which the indexes have other members, too, that were not compared.
    pub others: Vec<Platform>,
    /// What is doubtful about the layers that were read.
    pub warnings: Vec<Warning>,
}

impl Diff {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
            && self.manifest.is_empty()
            && self.config.is_empty()
            && self.layers.is_empty()
            && self.files.as_ref().is_none_or(Vec::is_empty)
    }
}

/// What was compared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Compared {
    /// The digest of the manifest.
    pub digest: Digest,
    /// What it is.
    pub media_type: MediaType,
    /// What an image runs on.
    pub platform: Option<Platform>,
    /// The index of which it is the member that was chosen.
    pub index: Option<Digest>,
}

/// What became of something from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Only the right has it.
    Added,
    /// Only the left has it.
    Removed,
    /// Both have it, and it differs.
    Changed,
}

impl Status {
    fn of(left: bool, right: bool) -> Self {
        match (left, right) {
            (false, true) => Self::Added,
            (true, false) => Self::Removed,
            _ => Self::Changed,
        }
    }
}

/// Compares two images or artifacts.
///
/// # Errors
/// [`Error::Entry`], [`Error::Layer`], [`Error::Stored`] and [`Error::DiffId`] name the layer at fault and what in it;
/// [`Error::Image`] and [`Error::Platform`] for what cannot be compared, [`Error::Limit`], [`Error::Unsupported`],
/// [`Error::Layout`] for what cannot be read, [`Error::Spec`].
///
/// ```
/// use transship_layout::Layout;
/// use transship_pack::{Aspect, DiffOptions, DiffSide, ImageOptions, diff, pack_image};
///
/// # let folder = tempfile::tempdir()?;
/// # let (app, out) = (folder.path().join("app"), folder.path().join("out"));
/// # std::fs::create_dir(&app)?;
/// let layout = Layout::options().create(&out)?;
/// std::fs::write(app.join("motd"), "hello")?;
/// let old = pack_image(&layout, None, &[&app], &ImageOptions::default())?.descriptor;
/// std::fs::write(app.join("motd"), "howdy")?;
/// let new = pack_image(&layout, None, &[&app], &ImageOptions::default())?.descriptor;
///
/// let (left, right) = (DiffSide { source: &layout, image: &old }, DiffSide { source: &layout, image: &new });
/// let found = diff(left, right, &DiffOptions::default())?;
/// let files = found.files.unwrap_or_default();
/// assert_eq!((&*files[0].path, &*files[0].aspects), ("motd".as_ref(), &[Aspect::Content][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn diff(left: DiffSide<'_>, right: DiffSide<'_>, options: &DiffOptions) -> Result<Diff, Error> {
    let (left, right, among) = side::both(left, right, options.platform.as_ref())?;
    let layers = layers::compare(left.placed(), right.placed())?;
    let (manifest, config) = side::fields(&left, &right, &layers)?;
    let (files, warnings) = match (options.files, &left.diff_ids, &right.diff_ids) {
        (true, Some(_), Some(_)) => {
            let (files, warnings) = compare_files(&left, &right, options)?;
            (Some(files), warnings)
        }
        _ => (None, Vec::new()),
    };
    Ok(Diff {
        left: left.compared,
        right: right.compared,
        index: among.fields,
        manifest,
        config,
        layers,
        files,
        others: among.others,
        warnings,
    })
}

fn compare_files(
    left: &Side<'_>,
    right: &Side<'_>,
    options: &DiffOptions,
) -> Result<(Vec<FileChange>, Vec<Warning>), Error> {
    let (lefts, rights) = (left.planned()?, right.planned()?);
    let same = |(left, right): &(&PlannedLayer, &PlannedLayer)| left.diff_id == right.diff_id;
    let shared = lefts.iter().zip(&rights).take_while(same).count();
    let ((below_left, lefts), (below_right, rights)) = (lefts.split_at(shared), rights.split_at(shared));
    if lefts.is_empty() && rights.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut reading = Reading { count: Count::new(options.limits.possible()), options, warnings: Vec::new() };
    let mut changes = HashMap::new();
    reading.record(left.source, lefts, &mut changes)?;
    reading.record(right.source, rights, &mut changes)?;
    let base = match options.shared_from_right {
        true => reading.base(right.source, below_right, &changes)?,
        false => reading.base(left.source, below_left, &changes)?,
    };
    let (left, right) = (upon(base.clone(), lefts, &changes)?, upon(base, rights, &changes)?);
    let scope = Scope { mtime: options.mtime, paths: options.paths.clone() };
    let mut warnings = reading.warnings;
    warnings.extend(reading.count.warnings());
    Ok((files::compare(&left, &right, &scope), warnings))
}

/// What layers change, by their diff IDs.
type Changes = HashMap<Digest, Vec<Change>>;

/// Layers being read, of both sides.
struct Reading<'a> {
    count: Count,
    options: &'a DiffOptions,
    warnings: Vec<Warning>,
}

impl Reading<'_> {
    /// Reads what layers change; those that are known are not read again.
    fn record(
        &mut self,
        source: &dyn Source,
        layers: &[PlannedLayer],
        known: &mut Changes,
    ) -> Result<(), Error> {
        let mut fresh: Vec<PlannedLayer> = Vec::new();
        for layer in layers {
            let is_known = known.contains_key(&layer.diff_id)
                || fresh.iter().any(|other| other.diff_id == layer.diff_id);
            if !is_known {
                fresh.push(layer.clone());
            }
        }
        let mut recording = Recording::new(&mut self.count);
        self.warnings.extend(read(source, &fresh, self.options, &mut recording)?);
        known.extend(fresh.into_iter().map(|layer| layer.diff_id).zip(recording.layers));
        Ok(())
    }

    /// The tree of the layers below those that were recorded.
    fn base(&mut self, source: &dyn Source, layers: &[PlannedLayer], above: &Changes) -> Result<Tree, Error> {
        let tree = Tree::new(self.count.limits);
        let wanted = Wanted::beneath(above.values().flatten());
        let mut applying = Applying { count: &mut self.count, tree, wanted };
        self.warnings.extend(read(source, layers, self.options, &mut applying)?);
        Ok(applying.tree)
    }
}

fn read(
    source: &dyn Source,
    layers: &[PlannedLayer],
    options: &DiffOptions,
    taker: &mut impl crate::unpack::Layers,
) -> Result<Vec<Warning>, Error> {
    if layers.is_empty() {
        return Ok(Vec::new());
    }
    let progress = crate::unpack::listener(options.progress.as_ref());
    read_layers(Work { source, layers, limits: &options.limits, progress }, taker)
}

/// A tree with these layers applied.
fn upon(mut tree: Tree, layers: &[PlannedLayer], changes: &Changes) -> Result<Tree, Error> {
    for layer in layers {
        for change in changes.get(&layer.diff_id).into_iter().flatten() {
            let located = |problem| located(&layer.descriptor.digest, &change.path, problem);
            tree.apply(change).map_err(located)?;
        }
        tree.end_layer();
    }
    Ok(tree)
}
