//! Trees as the options want them: entries with the attributes that are to be written.
//!
//! [`Tree`] is a folder, beside which a file of [`Metadata`] may tell what the folder cannot; [`Specification`] is a tree
//! that is described whole, with its content anywhere; [`Archive`] is a tar that is written anew.

mod archive;
mod metadata;
mod plan;
mod specification;

use std::path::Path;

use crate::entry::{Content, Entries, Entry, What};
use crate::tarball::{Rules, TarOptions};
use crate::walk::{self, Walk};
use crate::{Error, Warning};
pub(crate) use archive::Archive;
use metadata::Described;
pub use metadata::Metadata;
pub(crate) use specification::Specification;

/// A folder.
pub(crate) struct Tree<'a> {
    walk: Walk<'a>,
    rules: Rules,
    described: Option<Described<'a>>,
    /// What was met, but comes after what only the metadata names.
    ahead: Option<Entry>,
    /// Whether the metadata may name nothing but what is in this tree.
    is_alone: bool,
}

impl<'a> Tree<'a> {
    /// Nothing is opened yet.
    pub(crate) fn new(folder: &'a Path, options: &'a TarOptions) -> Self {
        Self::with(
            folder,
            options,
            walk::Options {
                excludes: &options.excludes,
                dereference: options.dereference,
                hard_links: options.hard_links,
                prefix: &options.prefix,
                listed: false,
                overlay: options.overlay,
            },
        )
    }

    /// A tree that is compared with another: each name of a file is given with its content, [`Self::names_in`] gives the
    /// names in folders, and metadata may name what only the other has.
    pub(crate) fn listed(folder: &'a Path, options: &'a TarOptions) -> Self {
        Self::with(
            folder,
            options,
            walk::Options {
                excludes: &options.excludes,
                dereference: options.dereference,
                hard_links: false,
                prefix: "",
                listed: true,
                overlay: false,
            },
        )
    }

    fn with(folder: &'a Path, options: &'a TarOptions, walk: walk::Options<'a>) -> Self {
        Self {
            is_alone: !walk.listed,
            walk: Walk::new(folder, walk),
            rules: Rules::new(options),
            described: options.metadata.as_ref().map(|metadata| Described::new(metadata, options)),
            ahead: None,
        }
    }
}

impl Tree<'_> {
    /// The names that a folder has which was met.
    pub(crate) fn names_in(&mut self, folder: &[u8]) -> Vec<Vec<u8>> {
        self.walk.names_in(folder)
    }

    /// Whether this tree or another has all that the metadata names.
    pub(crate) fn finish_with(&self, other: &Self) -> Result<(), Error> {
        self.described.as_ref().map_or(Ok(()), |described| described.finish(other.described.as_ref()))
    }
}

impl Entries for Tree<'_> {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        let found = match self.ahead.take() {
            Some(found) => Some(found),
            None => self.walk.next()?,
        };
        // A whiteout says nothing but its name.
        if found.as_ref().is_some_and(|entry| matches!(entry.what, What::File(Content::Nothing))) {
            return Ok(found);
        }
        let Some(described) = &mut self.described else {
            return Ok(found.map(|mut entry| {
                entry.attributes = self.rules.apply(entry.attributes, &entry.what, None);
                entry
            }));
        };
        if let Some(made) = described.before(found.as_ref(), &mut self.rules)? {
            self.ahead = found;
            return Ok(Some(made));
        }
        match found {
            Some(entry) => described.describe(entry, &mut self.rules).map(Some),
            None if self.is_alone => described.finish(None).map(|()| None),
            None => Ok(None),
        }
    }

    fn warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.walk.skipped).warnings(self.rules.warning())
    }
}
