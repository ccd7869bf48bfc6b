//! Trees as the options want them: entries with the attributes that are to be written.
//!
//! [`Tree`] is a folder, beside which a file of [`Metadata`] may tell what the folder cannot; [`Specification`] is a tree
//! that is described whole, with its content anywhere; [`Archive`] is a tar that is written anew.

mod archive;
mod metadata;
mod plan;
mod specification;

use std::path::Path;

use crate::entry::{Entries, Entry};
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
}

impl<'a> Tree<'a> {
    /// Nothing is opened yet.
    pub(crate) fn new(folder: &'a Path, options: &'a TarOptions) -> Self {
        let walk = walk::Options {
            excludes: &options.excludes,
            dereference: options.dereference,
            hard_links: options.hard_links,
            prefix: &options.prefix,
        };
        Self {
            walk: Walk::new(folder, walk),
            rules: Rules::new(options),
            described: options.metadata.as_ref().map(|metadata| Described::new(metadata, options)),
            ahead: None,
        }
    }
}

impl Entries for Tree<'_> {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        let found = match self.ahead.take() {
            Some(found) => Some(found),
            None => self.walk.next()?,
        };
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
            None => described.finish().map(|()| None),
        }
    }

    fn warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.walk.skipped).warnings(self.rules.warning())
    }
}
