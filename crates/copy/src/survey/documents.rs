//! Documents that were read, or made, while it was found out what the roots are.
//!
//! What was read is kept while there is room, so that it need not be asked for again. What was made nobody else has: that
//! there is no room for it is an error (design law 6).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use transship_spec::{Descriptor, Digest, Document};

use crate::{Error, Result};

/// Bytes of documents that are kept, altogether. Of what can be read again no more than half of it.
const ROOM: usize = 64 << 20;

#[derive(Debug, Default)]
pub(crate) struct Documents(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    documents: HashMap<Digest, One>,
    bytes: usize,
}

#[derive(Debug)]
struct One {
    bytes: Bytes,
    is_made: bool,
}

impl Documents {
    /// Whether there is room for what can be read again.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().bytes < ROOM / 2
    }

    /// Keeps what was read.
    pub(crate) fn keep(&self, document: &Document) {
        self.lock().add(document, false);
    }

    /// Keeps what was made.
    ///
    /// # Errors
    /// [`Error::Limit`] when there is no room left.
    pub(crate) fn make(&self, document: &Document) -> Result<()> {
        let what = "the size in bytes of all manifests and indexes that are made in one copy";
        match self.lock().add(document, true) {
            true => Ok(()),
            false => Err(Error::Limit { what, limit: ROOM as u64 }),
        }
    }

    /// The bytes of a document, if they are kept and a descriptor is right about their size.
    pub(crate) fn bytes(&self, descriptor: &Descriptor) -> Option<Bytes> {
        let kept = self.lock();
        let one = kept.documents.get(&descriptor.digest)?;
        (one.bytes.len() as u64 == descriptor.size).then(|| one.bytes.clone())
    }

    /// Whether a document was made here, so that the source knows nothing of it.
    pub(crate) fn is_made(&self, digest: &Digest) -> bool {
        self.lock().documents.get(digest).is_some_and(|one| one.is_made)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Tells whether it is kept.
    fn add(&mut self, document: &Document, is_made: bool) -> bool {
        let bytes = document.bytes();
        if let Some(known) = self.documents.get_mut(document.digest()) {
            // Another root may have it as it is at the source.
            known.is_made &= is_made;
            return true;
        }
        if self.bytes + bytes.len() > if is_made { ROOM } else { ROOM / 2 } {
            return false;
        }
        self.bytes += bytes.len();
        self.documents.insert(document.digest().clone(), One { bytes: bytes.clone(), is_made });
        true
    }
}
