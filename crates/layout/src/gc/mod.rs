//! Garbage: what nothing leads to, found and removed (design laws 3, 4 and 9, section 3 "Roots have two strengths").
//!
//! **What stays.** Entries of `index.json` are roots, and what they lead to stays. A *strong* root is an entry with a name
//! of its own, and one with neither name nor subject: put by its digest on request, or left by another tool. A *weak* root
//! speaks of something else: an entry without a name whose manifest has a `subject`, or one whose only names are fallback
//! or digest tags (`sha256-HEX`, `sha256-HEX.sig`). It stays while what it speaks of stays, or is not in the layout at
//! all; so signatures go with what they signed, signatures of signatures after them. Their entries go with them.
//!
//! Beside this, blobs stay that a living lease names, and blobs younger than the time of grace; and what these lead to.
//! Partial downloads stay for a week, unless their blob is there.
//!
//! **What is guaranteed.** Plan and sweep hold the layout's lock together. If a manifest that must be followed cannot be
//! read, nothing at all is removed. The index is saved before the first blob goes. A blob is moved aside before it is
//! removed, and leases are read again in between: a writer that found it just before gets it back, and one that comes later
//! does not see it. Manifests go before what they lead to, so that no manifest is found of which a part has gone already.
//!
//! **What is not done.** Nothing that is not a regular file, and nothing in the folders of blobs that is no blob, is
//! touched. Writers that take no lease (other tools) are safe only as far as the time of grace goes.

mod inventory;
mod mark;
mod sweep;
#[cfg(test)]
mod tests;

use std::time::Duration;

use transship_spec::Digest;

use crate::lock::Lock;
use crate::scratch::Scratch;
use crate::{Error, Layout, Result};

/// As often as another program may change the index beneath our hands.
const TRIES: usize = 10;

/// What [`Layout::gc`] may remove.
///
/// ```
/// use std::time::Duration;
/// let at_once = transship_layout::GcOptions { grace: Duration::ZERO, ..Default::default() };
/// assert!(!at_once.untagged);
/// ```
#[derive(Debug, Clone)]
pub struct GcOptions {
    /// Lets entries go that have neither a name nor a subject.
    pub untagged: bool,
    /// Takes manifests that an index lists and that are not there for left out on purpose, also where no entry declares it,
    /// and with them what they alone lead to. What is declared ([`check::KEPT_PLATFORMS`](crate::check::KEPT_PLATFORMS))
    /// is a hole in any case.
    pub sparse: bool,
    /// Blobs whose file was made or moved less than this ago stay. One hour unless told.
    pub grace: Duration,
    /// Downloads that have rested for longer than this go. A week unless told.
    pub partials: Duration,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self {
            untagged: false,
            sparse: false,
            grace: Duration::from_secs(3600),
            partials: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// A number of things, and their bytes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What goes and what stays: before, as a plan, and afterwards as what was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcPlan {
    /// Entries of `index.json` that go, in order.
    pub entries: Vec<GcEntry>,
    /// Blobs that go, with their sizes in bytes, by digest.
    pub blobs: Vec<(Digest, u64)>,
    /// Partial downloads that go.
    pub partials: Tally,
    /// Temporary files that dead processes left.
    pub temporaries: Tally,
    /// Blobs that entries of the index lead to.
    pub reachable: Tally,
    /// Blobs that only living leases, and what these lead to, keep.
    pub leased: Tally,
    /// Blobs that only the time of grace keeps, with what these lead to.
    pub young: Tally,
    /// Partial downloads that stay.
    pub resumable: Tally,
    /// What lies in the folders of blobs and is no blob, or no regular file. It stays.
    pub strays: u64,
    /// Manifests that an index lists and that are not there; see [`GcOptions::sparse`].
    pub holes: u64,
}

impl GcPlan {
    /// The bytes of all that goes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let blobs = self.blobs.iter().map(|(_, size)| *size).sum::<u64>();
        blobs.saturating_add(self.partials.bytes).saturating_add(self.temporaries.bytes)
    }

    fn sorted(mut self) -> Self {
        self.blobs.sort_unstable();
        self
    }

    /// Whether nothing goes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.blobs.is_empty()
            && self.partials.count == 0
            && self.temporaries.count == 0
    }
}

/// An entry of `index.json` that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcEntry {
    /// What it points at.
    pub digest: Digest,
    /// The name that it has: a fallback or digest tag.
    pub name: Option<String>,
    /// Why it goes.
    pub why: GcReason,
}

/// Why an entry goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GcReason {
    /// It speaks of this, which goes.
    SubjectGoes(Digest),
    /// It has neither name nor subject, and [`GcOptions::untagged`] lets it go.
    Untagged,
}

/// How far a collection has come; tests interleave here, and let the disk fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Planned,
    IndexSaved,
    /// A blob is about to be moved aside.
    Moving,
    DocumentsAside,
    BlobsAside,
    /// A blob is about to be removed.
    Removing,
}

/// Who is told of each step, and may say that it fails.
type Watch<'a> = dyn FnMut(Step) -> std::io::Result<()> + 'a;

impl Layout {
    /// What [`Layout::gc`] would do now. It takes no lock and writes nothing.
    ///
    /// # Errors
    /// As [`Layout::gc`], save those of writing.
    pub fn plan_gc(&self, options: &GcOptions) -> Result<GcPlan> {
        Ok(mark::Draft::make(self, options, inventory::system_now(), false)?.plan)
    }

    /// Removes what nothing needs any more, beneath the layout's lock, and tells what that was.
    ///
    /// ```
    /// use transship_layout::{GcOptions, Layout, Name};
    /// use transship_spec::MediaType;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let layout = Layout::options().create(folder.path())?;
    /// let session = layout.begin()?;
    /// let note = session.put_bytes(MediaType::parse("text/plain")?, b"hello")?;
    /// session.commit(|index| index.set(&Name::short("note")?, &note).map(drop))?;
    /// layout.edit(|index| index.remove(&Name::short("note")?))?;
    ///
    /// let options = GcOptions { grace: std::time::Duration::ZERO, ..GcOptions::default() };
    /// assert_eq!(layout.gc(&options)?.bytes(), 5);
    /// assert_eq!(layout.size(&note.digest)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unreadable`] when a manifest that must be followed cannot be read; [`Error::Malformed`],
    /// [`Error::Storage`] and [`Error::Unsafe`] for an index or folder that cannot be read. Nothing was removed then.
    /// [`Error::ReadOnly`], [`Error::Busy`], [`Error::Locking`], [`Error::Full`], [`Error::Unsettled`]. Where removing
    /// fails half way, what nothing needs is partly gone, and nothing else is.
    pub fn gc(&self, options: &GcOptions) -> Result<GcPlan> {
        self.gc_watched(options, &mut |_| Ok(()))
    }

    fn gc_watched(&self, options: &GcOptions, watch: &mut Watch<'_>) -> Result<GcPlan> {
        self.0.must_be_writable()?;
        let lock = Lock::take(&self.0)?;
        let done = self.collect(options, watch);
        Scratch::new(&self.0).tidy(&lock);
        done
    }

    fn collect(&self, options: &GcOptions, watch: &mut Watch<'_>) -> Result<GcPlan> {
        let mut gone = GcPlan::default();
        let mut full = None;
        for _ in 0..TRIES {
            let draft = mark::Draft::make(self, options, inventory::now(&self.0), full.is_some())?;
            watch(Step::Planned).map_err(Error::storage("reading", &self.0.path))?;
            match sweep::sweep(self, draft, &mut gone, watch) {
                // There is no room for a new index. What goes even without one may make some.
                Err(error @ Error::Full { .. }) if full.is_none() && gone.blobs.is_empty() => {
                    full = Some(error);
                }
                Ok(Some(done)) => {
                    match full.take() {
                        Some(error) if gone.blobs.is_empty() => return Err(error),
                        Some(_) => continue,
                        None => {}
                    }
                    let GcPlan { entries, blobs, partials, temporaries, .. } = gone;
                    return Ok(GcPlan { entries, blobs, partials, temporaries, ..done }.sorted());
                }
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unsettled { path: self.0.at(crate::layout::INDEX) })
    }
}
