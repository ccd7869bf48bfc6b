//! Check: everything that can be wrong with content, as findings.
//!
//! [`directory`] looks at an image layout in a folder: marker, index, names, every blob that lies there, and every
//! document that the index leads to. [`archive`] does the same in a tar, which has been opened and so has a marker and an index.
//! [`content`] looks at what any [`Source`] lists, a registry among them, and at all that this leads to. Each gives their findings to a callback as they come, in an order that depends on
//! nothing but the content, and end with a [`Report`].
//!
//! Guaranteed: every blob is read and hashed once, on all cores, and layers are decompressed in the same read; memory
//! grows with the number of blobs (about a hundred bytes each), not with their size; nothing is written; what is broken
//! ends nothing but itself. Where a document cannot be read, what it leads to is unknown: then there are no findings
//! about orphans, and no closure digest.
//!
//! **Beside writers.** A check takes no lock, and reads `index.json` once: what it tells is of that moment. Blobs that come
//! later are orphans, which are notes, and temporary files of living writers are no findings. Where a folder does not hold
//! what was named, the index is looked at again: what it does not lead to any more was taken away by right, and is a note
//! (`blob-gone`); only what is still named is an error. A check of a [`Source`] has no index to look at again.
//!
//! Not done: signatures are not verified, registries are not asked for what their manifests do not name, and a `subject`
//! is not followed. What lies in an archive and is no part of a layout is not told of.
//!
//! # The closure digest
//!
//! One hash for all that is there, so that two sites can compare one line by phone. It is the SHA-256 of these lines,
//! sorted as bytes, each of them once:
//!
//! ```text
//! DIGEST SP SIZE SP MEDIATYPE LF
//! ```
//!
//! DIGEST and MEDIATYPE are the texts of `digest` and `mediaType` as they stand in the descriptor, SIZE is decimal without
//! leading zeros, SP is one blank, LF one newline, also after the last line. Whoever wants to make it, too:
//!
//! 1. Begin with the descriptors in `manifests` of `index.json`. Each has a line.
//! 2. Where the media type of a descriptor is that of a manifest or an index, OCI's or Docker's, or of the artifact manifest
//!    of old, every descriptor in `manifests`, `layers` and `blobs`, and the one in `config`, of the document that it names has
//!    a line as well; and so on. `subject` has none, and is not followed: a referrer counts if an entry leads to it.
//! 3. A descriptor without its content, where that is allowed (a declared hole, a layer not to be distributed), has no line,
//!    and nothing below it has.
//! 4. Lines that are equal count once. An index without entries has the hash of no bytes.
//!
//! It does not depend on what else is in `index.json` and in descriptors: names, the order of entries, annotations, the tool that
//! wrote the layout. It is there only if all of the content is, and is right, as far as that can be verified; content that is
//! embedded in its descriptor is there. Of a registry or a part of a layout, the entries are what was asked for, and referrers are
//! found in the registry alone: so compare like with like. `transship check` prints it; `LC_ALL=C sort -u | sha256sum` over
//! such lines makes it, too.
//!
//! # Codes
#![doc = include_str!("codes.md")]
//!
//! ```
//! use transship_layout::{Layout, check};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("layout");
//! Layout::options().create(&path)?;
//! std::fs::write(path.join("blobs/sha256/.nfs001"), "")?;
//!
//! let mut found = Vec::new();
//! let report = check::directory(&path, &Layout::options(), &check::Options::default(), &mut |finding| {
//!     found.push(finding.code);
//! })?;
//! assert_eq!(found, [check::Code::StrayFile]);
//! assert_eq!((report.errors, report.warnings), (0, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod beside;
mod blobs;
mod closure;
mod code;
mod config;
mod descriptor;
mod document;
mod finding;
mod folder;
pub(crate) mod holes;
mod layer;
mod names;
mod progress;
mod read;
mod repair;
mod tar;
mod time;
mod walk;

use std::path::Path;
use std::sync::Arc;

use transship_codec::Limits;
use transship_spec::{Descriptor, Digest};

pub use code::{Code, Severity};
pub use finding::{Finding, Place};
pub use holes::declared_holes;
pub use progress::Progress;
pub use repair::{RepairPlan, Repaired};

use crate::blobs::blob_path;
use crate::{Archive, Layout, LayoutOptions, Result, Source};

/// The annotation of an entry whose index was kept whole while only some of its platforms were: they, as
/// `linux/amd64,linux/arm64`. The others are declared holes.
pub const KEPT_PLATFORMS: &str = "io.github.transship.platforms";

/// How to check.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Take manifests that an index lists and that are not there for left out on purpose, also where no entry declares it.
    /// What is declared ([`KEPT_PLATFORMS`]) is a hole and no fault in any case.
    pub sparse: bool,
    /// Do not read blobs that a stamp says were hashed before and have not changed since. Their layers are not looked
    /// into, either; [`Report::trusted`] counts them.
    pub trust_stamps: bool,
    /// How many threads read blobs; zero for one a core.
    pub threads: usize,
    /// How much may come out of a layer.
    pub limits: Limits,
    /// Who is told how far the check has come.
    pub progress: Option<Arc<dyn Progress>>,
}

impl Options {
    /// Who is told, or one who does not listen.
    fn listener(&self) -> &dyn Progress {
        self.progress.as_deref().unwrap_or(&progress::Deaf)
    }

    fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// Findings that are errors.
    pub errors: u64,
    /// Findings that are warnings.
    pub warnings: u64,
    /// Findings that are notes.
    pub notes: u64,
    /// Blobs that were found, documents included.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them were not read, since a stamp vouches for them.
    pub trusted: u64,
    /// How many blobs nothing leads to; `None` where that is not known.
    pub orphans: Option<u64>,
    /// The closure digest; `None` unless everything is there and right.
    pub closure: Option<Digest>,
    /// Descriptors of content that is named and not there.
    pub missing: Vec<Descriptor>,
    /// Descriptors of blobs that do not hash to their names. One that nothing leads to has the size that it was found with.
    pub corrupt: Vec<Descriptor>,
}

/// Where findings go, counted.
pub(crate) struct Sink<'a> {
    emit: &'a mut dyn FnMut(&Finding),
    report: Report,
}

impl Sink<'_> {
    pub(crate) fn find(&mut self, code: Code, place: Place, message: impl Into<String>) {
        self.take(&Finding::new(code, place, message));
    }

    pub(crate) fn take(&mut self, finding: &Finding) {
        match finding.severity() {
            Severity::Error => self.report.errors += 1,
            Severity::Warning => self.report.warnings += 1,
            Severity::Note => self.report.notes += 1,
        }
        (self.emit)(finding);
    }
}

/// What is being checked.
pub(crate) struct Target<'a> {
    source: &'a dyn Source,
    /// The same, where it is a folder.
    layout: Option<&'a Layout>,
    /// Whether blobs have paths: those of a layout.
    has_paths: bool,
    options: &'a Options,
}

impl Target<'_> {
    /// The place of a blob itself.
    fn place(&self, digest: &Digest) -> Place {
        Place { path: self.has_paths.then(|| blob_path(digest)), ..Place::digest(digest) }
    }
}

/// Checks what a source holds, and everything that it leads to.
///
/// # Errors
/// What keeps the list of entries from being read, and failures that are not of the content: of the network, say.
pub fn content(source: &dyn Source, options: &Options, emit: &mut dyn FnMut(&Finding)) -> Result<Report> {
    let entries = source.entries()?;
    let target = Target { source, layout: None, has_paths: false, options };
    let mut sink = Sink { emit, report: Report::default() };
    names::check(&entries, &mut sink);
    let mut walk = walk::Walk::new(&target, None);
    walk.roots(entries, &mut sink)?;
    finish(&target, walk, Vec::new(), sink)
}

/// Checks an image layout in a folder. What is no layout at all still gives findings.
///
/// # Errors
/// [`Error::Absent`](crate::Error::Absent) when there is no such folder, [`Error::Storage`](crate::Error::Storage) when
/// it cannot be read.
pub fn directory(
    path: impl AsRef<Path>,
    open: &LayoutOptions,
    options: &Options,
    emit: &mut dyn FnMut(&Finding),
) -> Result<Report> {
    let layout = open.handle(path.as_ref(), false)?;
    let target = Target { source: &layout, layout: Some(&layout), has_paths: true, options };
    let mut sink = Sink { emit, report: Report::default() };
    folder::parts(&layout, &mut sink)?;
    let index = names::read(&layout, &mut sink)?;
    let beside = beside::Beside::new(&layout, index.state);
    let mut walk = walk::Walk::new(&target, Some(beside));
    walk.blind |= !index.whole;
    names::check(&index.entries, &mut sink);
    walk.roots(index.entries, &mut sink)?;
    let listed = folder::blobs(&layout, &mut sink);
    walk.is_listed = !listed.is_part;
    finish(&target, walk, listed.digests, sink)
}

/// Checks an image layout in a tar, all its blobs included, or what `docker save` wrote.
///
/// # Errors
/// [`Error::Storage`](crate::Error::Storage) when the file cannot be read.
pub fn archive(archive: &Archive, options: &Options, emit: &mut dyn FnMut(&Finding)) -> Result<Report> {
    let target = Target { source: archive, layout: None, has_paths: archive.is_layout(), options };
    let mut sink = Sink { emit, report: Report::default() };
    let index = names::list(archive.index(), None, &mut sink);
    let mut walk = walk::Walk::new(&target, None);
    walk.blind |= !index.whole;
    names::check(&index.entries, &mut sink);
    walk.roots(index.entries, &mut sink)?;
    let mut listed: Vec<Digest> = archive.blobs().map(|(digest, _)| digest.clone()).collect();
    listed.sort_unstable();
    walk.is_listed = true;
    finish(&target, walk, listed, sink)
}

/// Reads all blobs, those found in the folder or tar and those that were named, and concludes.
fn finish(
    target: &Target<'_>,
    mut walk: walk::Walk<'_>,
    listed: Vec<Digest>,
    mut sink: Sink<'_>,
) -> Result<Report> {
    let jobs = walk.jobs(listed);
    let listener = target.options.listener();
    listener.started(jobs.len(), walk.bytes_of(&jobs));
    blobs::read(target, &mut walk, &jobs, &mut sink)?;
    listener.finished();
    walk.conclude(&mut sink);
    Ok(sink.report)
}
