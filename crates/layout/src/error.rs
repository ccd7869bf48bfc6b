//! The one error of this crate: what is wrong with a layout, or with the disk below it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use transship_spec::{Digest, Kind, quote};

/// Why a layout could not be read or changed.
///
/// Every variant is a meaning; [`Error::kind`] maps it to the exit codes of the command line. Messages are fragments
/// that fit after "cannot …: ". Texts that came out of a layout are shown escaped and shortened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing at the path.
    #[error("{} does not exist", path.display())]
    Absent {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The folder is not an image layout (IMG-01, IMG-02, IMG-05).
    #[error("{} is not an image layout: {reason}", path.display())]
    NotALayout {
        /// The folder.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// The layout has a version that this build does not know (IMG-03).
    #[error("{} has layout version {}, and only 1.0.0 is known", path.display(), quote(version))]
    Version {
        /// The layout.
        path: PathBuf,
        /// The version that `oci-layout` names.
        version: String,
    },
    /// Something is where a new layout should be made.
    #[error("{} exists and is not an empty folder", path.display())]
    Exists {
        /// The path as it was given.
        path: PathBuf,
    },
    /// Nothing in the layout answers to the reference.
    #[error("no entry of {} is called {}{}", path.display(), quote(reference), Listed("; it holds ", candidates))]
    NoSuchReference {
        /// The layout.
        path: PathBuf,
        /// What was asked for.
        reference: String,
        /// Some of the names that are there.
        candidates: Vec<String>,
    },
    /// Several entries with different content answer to the reference (IMG-16).
    #[error("{} names several entries of {}{}", quote(reference), path.display(), Listed("; say which: ", candidates))]
    Ambiguous {
        /// The layout.
        path: PathBuf,
        /// What was asked for.
        reference: String,
        /// References that tell the entries apart.
        candidates: Vec<String>,
    },
    /// No reference was given, and the layout does not hold exactly one thing (IMG-18).
    #[error("{} {}{}", path.display(), none_or_several(candidates), Listed("; say which: ", candidates))]
    NoDefault {
        /// The layout.
        path: PathBuf,
        /// References of what it holds.
        candidates: Vec<String>,
    },
    /// A file of the layout is not what its specification asks for.
    #[error("{} is malformed: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: transship_spec::Error,
    },
    /// What a layout holds cannot be marked in the way of this tool.
    #[error("{} cannot be marked in the way of {dialect}: {reason}", path.display())]
    Dialect {
        /// The layout.
        path: PathBuf,
        /// The way.
        dialect: crate::Dialect,
        /// Why.
        reason: String,
    },
    /// A blob that is pointed at is not there.
    #[error("blob {digest} is missing from {}", path.display())]
    MissingBlob {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// A manifest that must be followed cannot be read, so that nobody knows what it needs. Nothing was removed.
    #[error("{digest} cannot be followed to what it needs, so that nothing may go: {source}")]
    Unreadable {
        /// The manifest.
        digest: Digest,
        /// Why it cannot be read.
        source: Box<Error>,
    },
    /// A blob is there, and its content is wrong.
    #[error("{}: {source}", path.display())]
    Content {
        /// The blob's file, or the layout that content was meant for.
        path: PathBuf,
        /// Size or digest, expected and found.
        source: transship_spec::Error,
    },
    /// Something in the layout is not safe to open or to replace (design law 7).
    #[error("{} is {what}", path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What it is instead of a file or folder, with the remedy where there is one.
        what: &'static str,
    },
    /// Another process holds the lock for longer than we may wait.
    #[error("{} is locked by {holder}", path.display())]
    Busy {
        /// The layout.
        path: PathBuf,
        /// Process and host, as far as the holder has told them.
        holder: String,
    },
    /// The file system has no locks.
    #[error(
        "{} cannot be locked ({source}); with --single-writer it is written without a lock, and nothing else may \
         write there meanwhile",
        path.display()
    )]
    Locking {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Blobs that this operation relies on were removed or changed by another program; trying again puts them back.
    #[error("another program removed or changed {} while they were needed; try again", Digests(digests))]
    Vanished {
        /// The blobs.
        digests: Vec<Digest>,
    },
    /// Another program rewrites `index.json` again and again.
    #[error("{} is being rewritten by another program that takes no lock", path.display())]
    Unsettled {
        /// The file.
        path: PathBuf,
    },
    /// Another program has put something else in the place of the archive that was to be added to.
    #[error("{} was replaced by another program meanwhile; try again", path.display())]
    Replaced {
        /// The archive.
        path: PathBuf,
    },
    /// The layout was opened for reading only.
    #[error("{} was opened for reading only", path.display())]
    ReadOnly {
        /// The layout.
        path: PathBuf,
    },
    /// The disk is full, or has no more inodes.
    #[error("no {resource} left for {}{}", path.display(), Free(*free))]
    Full {
        /// The file that was being written.
        path: PathBuf,
        /// `space` or `inodes`.
        resource: &'static str,
        /// Bytes that are still free, where the system tells.
        free: Option<u64>,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system failed us.
    #[error("{doing} {}: {source}", path.display())]
    Storage {
        /// What was being done: `reading`, `writing` …
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A blob of another layout cannot be a link here; its bytes can be had all the same.
    #[error("no link to {} can be made: {}; with --link reflink or --link copy it works", path.display(), why_no_link(source))]
    Unlinkable {
        /// The source's blob.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A name that cannot be given to an entry.
    #[error("{} cannot be the name of an entry: {reason}", quote(name))]
    Name {
        /// The name as it came.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A limit of this program was reached.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What grew too large.
        what: &'static str,
        /// The limit, in the unit that `what` names.
        limit: u64,
    },
    /// A document is of a kind that is understood but not handled, or its digest cannot be verified.
    #[error("{source}")]
    Document {
        /// Which document.
        digest: Digest,
        /// What is wrong with it.
        source: transship_spec::Error,
    },
    /// A session is over; its writers cannot commit any more.
    #[error("the session that this blob belongs to has ended")]
    Ended,
    /// A [`Source`](crate::Source) that is not a layout failed.
    #[error("{source}")]
    Foreign {
        /// What its error means.
        kind: Kind,
        /// Its error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What this error means to a program.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Absent { .. } | Self::NoSuchReference { .. } => Kind::NotFound,
            Self::NoDefault { candidates, .. } if candidates.is_empty() => Kind::NotFound,
            Self::NoDefault { .. } | Self::Exists { .. } | Self::Name { .. } => Kind::Usage,
            Self::Malformed { source, .. } | Self::Content { source, .. } | Self::Document { source, .. } => {
                source.kind()
            }
            Self::NotALayout { .. }
            | Self::Ambiguous { .. }
            | Self::MissingBlob { .. }
            | Self::Unsafe { .. } => Kind::Invalid,
            Self::Version { .. } | Self::Unlinkable { .. } | Self::Dialect { .. } => Kind::Unsupported,
            Self::Busy { .. } | Self::Unsettled { .. } | Self::Replaced { .. } => Kind::Busy,
            Self::Locking { .. }
            | Self::Vanished { .. }
            | Self::ReadOnly { .. }
            | Self::Full { .. }
            | Self::Storage { .. } => Kind::Storage,
            Self::Unreadable { source, .. } => source.kind(),
            Self::Limit { .. } => Kind::Limit,
            Self::Ended => Kind::Unexpected,
            Self::Foreign { kind, .. } => *kind,
        }
    }

    /// The error that went through [`std::io::Read`] or [`std::io::Write`] and comes out again as what it was.
    #[must_use]
    pub fn from_io(error: io::Error, doing: &'static str, path: impl Into<PathBuf>) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(source) => Self::Storage { doing, path: path.into(), source },
        }
    }

    /// Wraps an error of the system; for `map_err`.
    pub(crate) fn storage<E: Into<io::Error>>(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Storage { doing, path: path.into(), source: source.into() }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::other(error)
    }
}

/// At most ten candidates in quotes, after a lead.
struct Listed<'a>(&'static str, &'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        let Self(lead, names) = self;
        for (index, name) in names.iter().take(SHOWN).enumerate() {
            write!(f, "{}{}", if index == 0 { lead } else { ", " }, quote(name))?;
        }
        match names.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

struct Digests<'a>(&'a [Digest]);

impl fmt::Display for Digests<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        for (index, digest) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{digest}", if index == 0 { "" } else { ", " })?;
        }
        match self.0.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, " and {more} more blobs"),
            _ => Ok(()),
        }
    }
}

struct Free(Option<u64>);

impl fmt::Display for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |free| write!(f, " ({free} bytes free)"))
    }
}

fn why_no_link(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::CrossesDevices => "it is on another file system than the destination".to_owned(),
        io::ErrorKind::PermissionDenied => {
            format!("it belongs to someone else, or the file system has none ({error})")
        }
        _ => error.to_string(),
    }
}

fn none_or_several(candidates: &[String]) -> &'static str {
    if candidates.is_empty() { "holds no image or artifact" } else { "holds several images or artifacts" }
}
