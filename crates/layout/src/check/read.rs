//! Small content read whole, and what an error of reading says about content.

use std::io::Read as _;

use transship_spec::{Descriptor, Kind};

use super::{Code, Target};
use crate::source::document_bytes;
use crate::{Error, Result};

/// Reads small content whole, verified.
pub(super) fn read_whole(target: &Target<'_>, wanted: &Descriptor) -> Result<Vec<u8>> {
    if wanted.media_type.is_document() {
        return document_bytes(target.source, wanted).and_then(|bytes| verified(bytes, wanted));
    }
    let mut bytes = match &wanted.data {
        Some(data) => data.clone(),
        None => Vec::new(),
    };
    if wanted.data.is_none() {
        let reader = target.source.open(wanted)?;
        reader
            .take(wanted.size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Error::from_io(error, "reading", wanted.digest.to_string()))?;
    }
    verified(bytes, wanted)
}

/// Bytes once more compared to their digest: a source need not be one of ours, and may give others than were asked for.
fn verified(bytes: Vec<u8>, wanted: &Descriptor) -> Result<Vec<u8>> {
    let mut verifier = transship_spec::Verifier::new(&wanted.digest, Some(wanted.size));
    let verdict = verifier.update(&bytes).and_then(|()| verifier.finish());
    verdict.map(|()| bytes).map_err(|source| Error::Document { digest: wanted.digest.clone(), source })
}

/// What an error of reading content says about it; the error itself where it says nothing.
pub(super) fn fault(error: Error) -> Result<(Code, String)> {
    use transship_spec::Error as Wrong;
    let code = match &error {
        Error::MissingBlob { .. } => Code::BlobMissing,
        Error::Content { .. } => Code::BlobCorrupt,
        Error::Document { source: Wrong::DigestMismatch { .. } | Wrong::SizeMismatch { .. }, .. } => {
            Code::BlobCorrupt
        }
        Error::Document { source: Wrong::Limit { .. }, .. } | Error::Limit { .. } => Code::LimitExceeded,
        Error::Document { source: Wrong::Json { .. }, .. } => Code::JsonMalformed,
        Error::Document { source: Wrong::Unsupported(_), .. } => Code::DocumentUnsupported,
        Error::Document { .. } => Code::DocumentInvalid,
        Error::Unsafe { .. } => Code::FileUnsafe,
        Error::Storage { .. } => Code::BlobUnreadable,
        Error::Foreign { kind: Kind::NotFound, .. } => Code::BlobMissing,
        Error::Foreign { kind: Kind::Invalid, .. } => Code::BlobCorrupt,
        Error::Foreign { kind: Kind::Limit, .. } => Code::LimitExceeded,
        Error::Foreign { kind: Kind::Storage, .. } => Code::BlobUnreadable,
        _ => return Err(error),
    };
    Ok((code, error.to_string()))
}
