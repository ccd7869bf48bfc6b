//! Where content can be read from: a layout, an archive, or a registry seen through an adapter.

use std::io::Read;

use transship_spec::{Descriptor, Digest, Document};

use crate::index::Entry;
use crate::{Error, Layout, Result};

/// A place to read OCI content from, as three primitives. Object-safe, so that reading code takes every location.
pub trait Source: Send + Sync {
    /// The roots: what the place lists, in its order.
    ///
    /// # Errors
    /// What keeps the list from being read.
    fn entries(&self) -> Result<Vec<Entry>>;

    /// The content that a descriptor points at. The reader verifies: it ends with an error, and not with success, when
    /// size or digest turn out wrong.
    ///
    /// # Errors
    /// [`Error::MissingBlob`] when it is not there.
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>>;

    /// The size in bytes of the content with this digest, `None` when it is not there.
    ///
    /// # Errors
    /// What keeps this from being known.
    fn size(&self, digest: &Digest) -> Result<Option<u64>>;
}

impl Source for Layout {
    fn entries(&self) -> Result<Vec<Entry>> {
        Self::entries(self)
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.open_blob(descriptor)?))
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Self::size(self, digest)
    }
}

/// Reads a manifest or index whole, verified and at most [`Document::MAX_SIZE`] bytes of it.
///
/// # Errors
/// [`Error::MissingBlob`], [`Error::Content`] when size or digest are wrong, [`Error::Document`] when it is not the
/// document that the descriptor says, [`Error::Limit`].
pub fn read_document(source: &dyn Source, descriptor: &Descriptor) -> Result<Document> {
    let bytes = document_bytes(source, descriptor)?;
    let wrong = |source| Error::Document { digest: descriptor.digest.clone(), source };
    Document::of_verified(bytes, descriptor).map_err(wrong)
}

/// The verified bytes of a document, not yet looked at.
pub(crate) fn document_bytes(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let wrong = |source| Error::Document { digest: descriptor.digest.clone(), source };
    if descriptor.size > Document::MAX_SIZE as u64 {
        return Err(Error::Limit {
            what: "the size of a document in bytes",
            limit: Document::MAX_SIZE as u64,
        });
    }
    if !descriptor.digest.is_verifiable() {
        let algorithm = descriptor.digest.algorithm();
        return Err(wrong(transship_spec::Error::Unsupported(format!(
            "a document named by a digest of {algorithm}, which cannot be verified"
        ))));
    }
    if let Some(data) = descriptor.embedded().map_err(wrong)? {
        return Ok(data.to_vec());
    }
    let mut bytes = Vec::new();
    let reader = source.open(descriptor)?;
    reader
        .take(Document::MAX_SIZE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::from_io(error, "reading", descriptor.digest.to_string()))?;
    Ok(bytes)
}
