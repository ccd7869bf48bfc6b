//! Content that is looked into: what is seen of it, and a place to read its blobs from.

use std::io::Read;

use transship_layout::{Source, read_document};
use transship_spec::{Descriptor, Document};

use super::Sight;
use crate::Error;

/// Something that is in a layout, an archive or a registry, and whose blobs can be read.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    sight: Sight<'a>,
    source: &'a dyn Source,
}

impl std::fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("sight", &self.sight).finish_non_exhaustive()
    }
}

impl<'a> Held<'a> {
    /// The largest blob that [`Held::small`] reads, in bytes.
    pub const SMALL: u64 = 8 << 20;

    /// What is seen, and where its blobs are.
    #[must_use]
    pub fn new(sight: Sight<'a>, source: &'a dyn Source) -> Self {
        Self { sight, source }
    }

    /// What is seen of it.
    #[must_use]
    pub fn sight(&self) -> &Sight<'a> {
        &self.sight
    }

    /// Where its blobs are.
    #[must_use]
    pub fn source(&self) -> &'a dyn Source {
        self.source
    }

    /// A blob of at most [`Held::SMALL`] bytes, whole and verified.
    ///
    /// # Errors
    /// [`Error::Limit`], and [`Error::Layout`] when it is not there or not what its descriptor says.
    pub fn small(&self, blob: &Descriptor) -> Result<Vec<u8>, Error> {
        let name = || std::path::PathBuf::from(blob.digest.to_string());
        if blob.size > Self::SMALL {
            let what = "the size in bytes of what is looked into";
            return Err(Error::Limit { path: name(), what, limit: Self::SMALL });
        }
        let mut bytes = Vec::new();
        let read = self.open(blob)?.read_to_end(&mut bytes);
        read.map_err(|error| transship_layout::Error::from_io(error, "reading", name()))?;
        Ok(bytes)
    }

    /// A blob to be read piece by piece. Its end is an error when it is not what its descriptor says.
    ///
    /// # Errors
    /// [`Error::Layout`] when it is not there.
    pub fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, Error> {
        Ok(self.source.open(blob)?)
    }

    /// A manifest or index that this one leads to, verified.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub fn document(&self, descriptor: &Descriptor) -> Result<Document, Error> {
        Ok(read_document(self.source, descriptor)?)
    }
}
