//! The one error of this crate.

use crate::{Digest, Kind};

/// Why a text or a document is not what it should be.
///
/// Texts that came from outside are shown escaped and shortened, so that a hostile name can neither colour a terminal
/// nor fill it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is not a digest (IMG-20, IMG-22).
    #[error("{} is not a digest: {reason}", quote(text))]
    Digest {
        /// The text as it came.
        text: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A text is not a media type (IMG-30).
    #[error("{} is not a media type", quote(.0))]
    MediaType(String),
    /// A text is not a platform.
    #[error("{} is not a platform: {reason}", quote(text))]
    Platform {
        /// The text as it came.
        text: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A text is not a tag (DIST-03).
    #[error("{} is not a tag", quote(.0))]
    Tag(String),
    /// A text is not the name of a repository (DIST-01).
    #[error("{} is not the name of a repository", quote(.0))]
    Repository(String),
    /// A text is not a reference (DIST-05).
    #[error("{} is not a reference: {reason}", quote(text))]
    Reference {
        /// The text as it came.
        text: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A text is not a location.
    #[error("{} is not a location: {reason}", quote(text))]
    Location {
        /// The text as it came.
        text: String,
        /// The rule it breaks, with what to type instead.
        reason: String,
    },
    /// Bytes are not the JSON that the specification asks for (IMG-105).
    #[error("malformed JSON at byte {offset}: {reason}")]
    Json {
        /// Where, counted from the first byte.
        offset: usize,
        /// The rule they break.
        reason: &'static str,
    },
    /// Well-formed JSON is not the document that it should be.
    #[error("not a valid {what}: {reason}")]
    Document {
        /// What it should have been: `descriptor`, `manifest`, `index` …
        what: &'static str,
        /// The rule it breaks.
        reason: String,
    },
    /// The document is of a kind that is understood but not handled.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Content does not hash to its digest.
    #[error("content has digest {actual}, not {expected}")]
    DigestMismatch {
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// Content is longer or shorter than its descriptor says (IMG-33). Reading stops one byte past `expected`.
    #[error("content of {digest} has {} bytes, not {expected}", at_least(*actual, *expected))]
    SizeMismatch {
        /// The content's digest as its descriptor has it.
        digest: Digest,
        /// Bytes in the descriptor.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
    /// A limit of this program was reached.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What grew too large.
        what: &'static str,
        /// The limit, in the unit that `what` names.
        limit: u64,
    },
}

impl Error {
    /// What this error means to a program.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Limit { .. } => Kind::Limit,
            Self::Unsupported(_) => Kind::Unsupported,
            Self::Reference { .. }
            | Self::Location { .. }
            | Self::Platform { .. }
            | Self::Tag(_)
            | Self::Repository(_) => Kind::Usage,
            Self::Digest { .. }
            | Self::MediaType(_)
            | Self::Json { .. }
            | Self::Document { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. } => Kind::Invalid,
        }
    }
}

fn at_least(actual: u64, expected: u64) -> String {
    if actual > expected { format!("more than {expected}") } else { actual.to_string() }
}

/// A text from outside, escaped, in quotes, and cut at 120 characters.
///
/// ```
/// assert_eq!(transship_spec::quote("a\u{1b}[31m"), r#""a\u{1b}[31m""#);
/// ```
#[must_use]
pub fn quote(text: &str) -> String {
    const SHOWN: usize = 120;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}
