//! Beside writers: whether something is missing because somebody took it away by right, while the check was on its way.

use std::collections::HashSet;

use transship_spec::Digest;

use crate::dir::FileState;
use crate::index::Index;
use crate::layout::INDEX;
use crate::{Layout, Result, read_document};

/// As often as the index may change beneath our hands.
const TRIES: usize = 10;

/// The index as it was when it was last looked at.
pub(super) struct Beside<'a> {
    layout: &'a Layout,
    /// Its state, when the check began.
    first: Option<FileState>,
    last: Option<FileState>,
    /// What it leads to, where it is not the one that the check goes by.
    reachable: Option<HashSet<Digest>>,
}

impl<'a> Beside<'a> {
    pub(super) fn new(layout: &'a Layout, state: Option<FileState>) -> Self {
        Self { layout, first: state, last: state, reachable: None }
    }

    /// Whether content that was just found missing is missed by nobody: no index since leads to it, or it is there again.
    ///
    /// An index is saved before what it no longer leads to is removed. So where the index is still the one that the check
    /// goes by, nothing was taken away by right.
    pub(super) fn took(&mut self, digest: &Digest) -> Result<bool> {
        for _ in 0..TRIES {
            if self.reachable.as_ref().is_some_and(|reachable| !reachable.contains(digest)) {
                return Ok(true);
            }
            let now = self.layout.0.read(INDEX)?.map(|opened| opened.state);
            if now == self.last {
                break;
            }
            self.look()?;
        }
        Ok(self.last != self.first && self.layout.size(digest)?.is_some())
    }

    /// Finds out what the index of now leads to. What cannot be read leads nowhere: it has findings of its own.
    fn look(&mut self) -> Result<()> {
        let (index, state) = Index::load(&self.layout.0)?;
        let entries = (0..index.len()).filter_map(|position| index.entry(position).ok());
        let mut stack: Vec<_> = entries.map(|entry| entry.descriptor).collect();
        let mut reachable = HashSet::new();
        while let Some(descriptor) = stack.pop() {
            let is_new = reachable.insert(descriptor.digest.clone());
            if is_new
                && descriptor.media_type.is_document()
                && let Ok(document) = read_document(self.layout, &descriptor)
            {
                stack.extend(document.children().into_iter().cloned());
            }
        }
        (self.last, self.reachable) = (Some(state), Some(reachable));
        Ok(())
    }
}
