//! YAML as this crate reads it: the reader of the vocabulary, with this crate's errors.

pub use transship_spec::yaml::At;
pub(super) use transship_spec::yaml::{Entry, LARGEST, Node, Value};

use crate::{Error, Result};

/// Errors at a place of a file.
pub(super) trait Wrong {
    /// Something that is wrong there.
    fn wrong(self, reason: impl Into<String>) -> Error;
    /// The same, and what to do about it.
    fn wrong_but(self, reason: impl Into<String>, remedy: impl Into<String>) -> Error;
}

impl Wrong for At {
    fn wrong(self, reason: impl Into<String>) -> Error {
        Error::Settings { at: self, reason: reason.into(), remedy: None }
    }

    fn wrong_but(self, reason: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::Settings { at: self, reason: reason.into(), remedy: Some(remedy.into()) }
    }
}

/// Reads the one document of a file.
///
/// # Errors
/// [`Error::Settings`] says where the text stops to be one, and [`Error::Limit`] that it is too large.
pub(super) fn read(text: &str) -> Result<Node> {
    if text.len() > LARGEST {
        return Err(Error::Limit { what: "the size of a file of settings in bytes", limit: LARGEST as u64 });
    }
    transship_spec::yaml::read(text).map_err(|flaw| Error::Settings {
        at: flaw.at,
        reason: flaw.reason,
        remedy: flaw.remedy,
    })
}
