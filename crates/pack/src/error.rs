//! The one error of this crate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use transship_spec::{Digest, Kind, Platform, quote};

use crate::mtree;

/// Why something could not be packed or unpacked.
///
/// Paths are shown escaped and shortened, so that a hostile name can neither colour a terminal nor fill it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file, a folder or a link could not be read.
    #[error("{} cannot be read: {source}", shown(path))]
    Read {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file, a folder or a link changed while it was packed: what was read is neither the old nor the new.
    #[error("{} changed while it was packed: {what}; pack again when nothing writes to it", shown(path))]
    Changed {
        /// Which.
        path: PathBuf,
        /// How.
        what: &'static str,
    },
    /// A specification of a tree breaks a rule of its language, or says what cannot be made.
    #[error("{} is not a specification that can be followed: {flaw}", shown(path))]
    Specification {
        /// Which.
        path: PathBuf,
        /// Where in it, and why.
        flaw: mtree::Flaw,
    },
    /// A file is not what was said of it.
    #[error("{} is not what the specification says of it: {reason}", shown(path))]
    Differs {
        /// Which.
        path: PathBuf,
        /// In what.
        reason: String,
    },
    /// A file is not the layer that its descriptor tells of, or the descriptor is none of a layer.
    #[error("{} is not the layer that its descriptor tells of: {reason}", shown(path))]
    Packed {
        /// The file.
        path: PathBuf,
        /// In what.
        reason: String,
    },
    /// A name that layers reserve for whiteouts (IMG-135).
    #[error(
        "{} has a name that begins with .wh., which layers reserve for deletions; rename or exclude it",
        shown(.0)
    )]
    Reserved(PathBuf),
    /// A file that was given as a tar is none, or breaks its format.
    #[error("{} is not a valid tar: {reason}", shown(path))]
    Tar {
        /// Which.
        path: PathBuf,
        /// The rule it breaks, and where.
        reason: String,
    },
    /// A tar ends before its end mark.
    #[error("{} ends early, after {offset} bytes of tar: {missing}", shown(path))]
    Truncated {
        /// Which.
        path: PathBuf,
        /// Bytes of plain tar that were there.
        offset: u64,
        /// What should have followed.
        missing: &'static str,
    },
    /// An input is neither a folder nor a regular file.
    #[error("{} is neither a folder nor a regular file", shown(.0))]
    Input(PathBuf),
    /// A compressed file could not be decoded.
    #[error("{} cannot be decoded: {source}", shown(path))]
    Decode {
        /// Which.
        path: PathBuf,
        /// Why.
        source: transship_codec::Error,
    },
    /// The encoder of a layer failed.
    #[error(transparent)]
    Encode(#[from] transship_codec::Error),
    /// The sink of a tar or a layer took no more.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// An option makes no sense.
    #[error("{what} cannot be {}: {reason}", quote(text))]
    Option {
        /// Which option.
        what: &'static str,
        /// What was given.
        text: String,
        /// The rule it breaks, with what to give instead.
        reason: String,
    },
    /// There is nothing to pack.
    #[error("{0}")]
    Nothing(&'static str),
    /// An input, or the content of an artifact, is not what its kind says.
    #[error("{} is no {kind}: {reason}", quote(what))]
    NotOfKind {
        /// Which input, or the digest of what.
        what: String,
        /// What it should be, as a noun.
        kind: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// A description of a kind breaks a rule.
    #[error("{}, line {line}, column {column}: {rule}", shown(path))]
    Description {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// The rule that it breaks.
        rule: String,
    },
    /// Two files of an artifact have one title.
    #[error("two files have the title {}; give one another: TITLE=FILE", quote(.0))]
    Title(String),
    /// What an image is to be built upon is no image, or not whole.
    #[error("the base image is not usable: {0}")]
    Base(String),
    /// What is to be changed or unpacked is not what it should be, or is not whole.
    #[error("{0}")]
    Image(String),
    /// Part of an image or an index is not there.
    #[error("there is no {what}; {have}")]
    Missing {
        /// Which.
        what: String,
        /// What there is.
        have: String,
    },
    /// Two members of an index are for one platform, so that nobody would ever get the second (IMG-80).
    #[error("{platform} is listed already, as {digest}; --replace puts the new one in its place")]
    Listed {
        /// The platform.
        platform: String,
        /// The member that is listed.
        digest: Digest,
    },
    /// What an image is to be built upon does not run on the platform wanted.
    #[error("the image is for {}, not for {wanted}", listed(available))]
    Platform {
        /// What was asked for.
        wanted: Box<Platform>,
        /// What there is.
        available: Vec<Platform>,
    },
    /// A limit of this program was reached.
    #[error("{}: {what} exceeds the limit of {limit}", shown(path))]
    Limit {
        /// Where.
        path: PathBuf,
        /// What grew too large, with its unit.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Well-formed, but not something that a layer can hold or that this build can do.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// The compression of a layer is broken, or a limit of decoding was reached.
    #[error("layer {digest}: {source}")]
    Stored {
        /// The layer.
        digest: Digest,
        /// Why it cannot be decoded.
        source: transship_codec::Error,
    },
    /// A layer is no tar, or breaks its format.
    #[error("layer {digest} is not a valid tar: {reason}")]
    Layer {
        /// The layer.
        digest: Digest,
        /// The rule it breaks, and where.
        reason: String,
    },
    /// A layer is not the one that the config tells of (IMG-94).
    #[error("layer {layer} has the diff ID {found}, and the config says {expected}")]
    DiffId {
        /// The layer, as it is stored.
        layer: Digest,
        /// What the config says.
        expected: Box<Digest>,
        /// What it is.
        found: Box<Digest>,
    },
    /// An entry of a layer that is refused: it is unsafe or makes no sense.
    #[error("{} in layer {layer} cannot be unpacked: {reason}", shown(path))]
    Entry {
        /// The layer.
        layer: Digest,
        /// The entry.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something of a tree could not be made.
    #[error("{} cannot be written: {source}", shown(path))]
    Tree {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is something already where a tree should go.
    #[error("{} is there already and no empty folder; name another, or remove it", shown(.0))]
    Occupied(PathBuf),
    /// There is something by the name of a file that is to be made.
    #[error("{} is there already; remove it, or name another folder", shown(.0))]
    InTheWay(PathBuf),
    /// Another process unpacks to the same place.
    #[error("another process unpacks to {} just now", shown(.0))]
    Busy(PathBuf),
    /// A thread died.
    #[error("a thread of the packer died; this is a fault of transship")]
    Thread,
    /// A document or a name is not valid.
    #[error(transparent)]
    Spec(#[from] transship_spec::Error),
    /// The layout said no.
    #[error(transparent)]
    Layout(#[from] transship_layout::Error),
}

impl Error {
    /// What this error means to a program.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Read { source, .. } | Self::Write(source) | Self::Tree { source, .. } => {
                Kind::of_io(source)
            }
            Self::Changed { .. }
            | Self::Specification { .. }
            | Self::Differs { .. }
            | Self::Packed { .. }
            | Self::NotOfKind { .. }
            | Self::Reserved(_)
            | Self::Tar { .. }
            | Self::Truncated { .. }
            | Self::Base(_)
            | Self::Image(_)
            | Self::Layer { .. }
            | Self::DiffId { .. }
            | Self::Entry { .. } => Kind::Invalid,
            Self::Occupied(_)
            | Self::InTheWay(_)
            | Self::Input(_)
            | Self::Option { .. }
            | Self::Nothing(_)
            | Self::Description { .. }
            | Self::Title(_)
            | Self::Listed { .. } => Kind::Usage,
            Self::Busy(_) => Kind::Busy,
            Self::Stored { source, .. } => source.kind(),
            Self::Decode { source, .. } | Self::Encode(source) => source.kind(),
            Self::Platform { .. } | Self::Missing { .. } => Kind::NotFound,
            Self::Limit { .. } => Kind::Limit,
            Self::Unsupported(_) => Kind::Unsupported,
            Self::Thread => Kind::Unexpected,
            Self::Spec(error) => error.kind(),
            Self::Layout(error) => error.kind(),
        }
    }

    pub(crate) fn read(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Read { path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn tree(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Tree { path: path.to_owned(), source: source.into() }
    }

    /// An input, or the content of an artifact, that is not what its kind says: `what` is a path or a digest.
    pub fn not_of_kind(what: impl Into<String>, kind: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::NotOfKind { what: what.into(), kind: kind.into(), reason: reason.into() }
    }

    pub(crate) fn option(what: &'static str, text: &str, reason: impl Into<String>) -> Self {
        Self::Option { what, text: text.to_owned(), reason: reason.into() }
    }
}

fn listed(platforms: &[Platform]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = platforms.iter().take(SHOWN).map(Platform::to_string).collect();
    if shown.is_empty() { "no platform".to_owned() } else { shown.join(", ") }
}

/// A path as messages show it.
pub(crate) fn shown(path: &Path) -> impl fmt::Display {
    quote(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fit_after_cannot_and_hide_nothing_of_the_cause() {
        let error = Error::read(Path::new("a\u{1b}[31m"), io::ErrorKind::PermissionDenied);
        assert_eq!(error.to_string(), r#""a\u{1b}[31m" cannot be read: permission denied"#);
        assert_eq!(error.kind(), Kind::Storage);
    }

    #[test]
    fn row_14_an_io_error_of_a_source_is_one_of_storage_and_not_of_content() {
        let eio = io::Error::from(rustix::io::Errno::IO);
        assert_eq!(Error::read(Path::new("x"), eio).kind(), Kind::Storage);
    }
}
