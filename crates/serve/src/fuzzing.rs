//! Doors to the parsers of requests, for the fuzz targets.
//!
//! No part of the interface: it is there with the feature `fuzzing` only, and changes without notice. Each function is
//! one parser as the server uses it; nothing is done here besides.

use std::ops::Range;

use transship_spec::{Digest, Tag};

use crate::range::{self, Part};
use crate::route::{Route, Thing, Which};
use crate::{auth, query};

/// What a path leads to within a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A blob, or what refers to something.
    Digest(Digest),
    /// A manifest by its tag.
    Tag(Tag),
    /// Anything else.
    Other,
}

/// What a path stands for: nothing, if it is of no repository, or the repository and what of it.
///
/// # Errors
/// If it stands for nothing at all.
#[expect(clippy::result_unit_err, reason = "what is answered is the server's business")]
pub fn route(path: &str) -> Result<Option<(String, Leaf)>, ()> {
    let (name, thing) = match Route::parse(path).map_err(drop)? {
        Route::In(name, thing) => (name, thing),
        Route::Base | Route::Catalog => return Ok(None),
    };
    let leaf = match thing {
        Thing::Blob(digest) | Thing::Referrers(digest) | Thing::Manifest(Which::Digest(digest)) => {
            Leaf::Digest(digest)
        }
        Thing::Manifest(Which::Tag(tag)) => Leaf::Tag(tag),
        _ => Leaf::Other,
    };
    Ok(Some((name, leaf)))
}

/// The parameters of a query, decoded, in order.
#[must_use]
pub fn query(text: &str) -> Vec<(String, String)> {
    query::Query::parse(Some(text)).into_pairs()
}

/// A text as the value of a parameter.
#[must_use]
pub fn encode(text: &str) -> String {
    query::encode(text)
}

/// The part of a blob of so many bytes that a `Range` asks for: nothing for all of it.
///
/// # Errors
/// If the blob has no such part.
#[expect(clippy::result_unit_err, reason = "what is answered is the server's business")]
pub fn range(header: &str, size: u64) -> Result<Option<Range<u64>>, ()> {
    match range::part(header, size) {
        Part::Whole => Ok(None),
        Part::Bytes(range) => Ok(Some(range)),
        Part::Unsatisfiable => Err(()),
    }
}

/// The bytes that the `Content-Range` of a chunk stands for.
#[must_use]
pub fn chunk(header: &str) -> Option<Range<u64>> {
    range::chunk(header)
}

/// User and password of an `Authorization` of the scheme Basic.
#[must_use]
pub fn credentials(header: &str) -> Option<(String, String)> {
    auth::credentials(header)
}
