//! The marks of all referrers of a layout, changed from the way of one tool to that of another (IMG-180).
//!
//! Only `index.json` changes, by splicing and in one save; manifests keep their bytes. Where a dialect has no way to say
//! something, that stays as it was, and is counted ([`Unsaid`]). Doing it twice changes nothing the second time, and going
//! back gives the same referrers and digest tags; names that a dialect has no place for are made anew from the image's.
//!
//! Not done: blobs are not removed ([`Layout::gc`] does that to lists of referrers that are not used any more), and what
//! has a name of its own is left alone, whatever it refers to.

mod sheet;
mod write;

use std::fmt;

use transship_spec::Digest;

use self::sheet::Sheet;
use crate::index::Index;
use crate::layout::INDEX;
use crate::{Error, Layout, Result};

/// As often as another program may change the index beneath our hands.
const TRIES: usize = 10;

/// A way to mark what belongs to something in a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// Referrers are entries without a name, found by their `subject`; digest tags are names. So write ORAS, zot, notation
    /// and this library.
    Untagged,
    /// Referrers are listed by an index under the fallback tag of what they refer to (DIST-75); digest tags are names. So
    /// writes regclient.
    Fallback,
    /// Entries say by `kind` that they are the one image of the layout, its signatures and its attestations, as `cosign save`
    /// writes them. Other referrers are entries without a name.
    Cosign,
    /// Entries say by `kind` what they are of the image whose names they bear, as hauler wrote them up to 1.x.
    Hauler,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untagged => "oras",
            Self::Fallback => "fallback",
            Self::Cosign => "cosign",
            Self::Hauler => "hauler",
        })
    }
}

/// What [`Layout::mark_referrers`] did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Marked {
    /// Manifests that refer to another one.
    pub referrers: usize,
    /// Entries under digest tags, or marked as what those speak of.
    pub digest_tags: usize,
    /// Entries of `index.json` that change, come or go.
    pub changed: usize,
    /// What the dialect has no way to say.
    pub unsaid: Vec<Unsaid>,
}

/// Something that stays marked as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsaid {
    /// The manifest.
    pub digest: Digest,
    /// Why, in a few words.
    pub why: &'static str,
}

impl Layout {
    /// Marks everything that belongs to something else in one way.
    ///
    /// # Errors
    /// [`Error::Dialect`] when the layout cannot be one of this dialect: cosign's holds one image. Those of
    /// [`Layout::begin`] and [`Session::commit`](crate::Session::commit), and of reading the index. Nothing has changed then.
    ///
    /// ```
    /// use transship_layout::{Dialect, Layout};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let layout = Layout::options().create(folder.path())?;
    /// let marked = layout.mark_referrers(Dialect::Fallback)?;
    /// assert_eq!((marked.referrers, marked.unsaid.len()), (0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mark_referrers(&self, dialect: Dialect) -> Result<Marked> {
        for _ in 0..TRIES {
            let session = self.begin()?;
            let sheet = self.sheet(dialect)?;
            for document in &sheet.documents {
                session.put_document(document)?;
            }
            // What was read without the lock must still be so beneath it.
            if session.commit(|edit| Ok(sheet.apply(edit)))? {
                return Ok(sheet.marked());
            }
        }
        Err(Error::Unsettled { path: self.0.at(INDEX) })
    }

    /// What [`Layout::mark_referrers`] would do.
    ///
    /// # Errors
    /// As there, less what writing gives.
    pub fn plan_marks(&self, dialect: Dialect) -> Result<Marked> {
        Ok(self.sheet(dialect)?.marked())
    }

    fn sheet(&self, dialect: Dialect) -> Result<Sheet<'_>> {
        let (index, _) = Index::load(&self.0)?;
        let mut sheet = Sheet::read(self, index)?;
        match dialect {
            Dialect::Untagged => sheet.dissolve_lists()?,
            Dialect::Fallback => sheet.list()?,
            Dialect::Cosign => sheet.mark_for_cosign()?,
            Dialect::Hauler => sheet.mark_for_hauler()?,
        }
        Ok(sheet)
    }
}
