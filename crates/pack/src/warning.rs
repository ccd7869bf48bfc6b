//! What was left out, flattened or is doubtful: nothing of it happens silently (law 11 of ARCHITECTURE.md).

use std::fmt;
use std::path::PathBuf;

use transship_spec::{Digest, quote};

use crate::error::shown;

/// Something that the packer did, or did not do, and that its user may want to know.
///
/// Warnings of one sort are counted, so that a million sockets make one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Sockets were left out: a tar cannot hold them (IMG-112).
    Sockets {
        /// How many.
        count: u64,
        /// The first of them.
        first: PathBuf,
    },
    /// Owners other than the one that was written were lost.
    OwnersFlattened {
        /// How many files, folders and links had another owner.
        count: u64,
        /// The owner that they have now, as `UID:GID`.
        written: (u32, u32),
    },
    /// Extended attributes were left out whose names hold `=`, which no tar can say.
    Attributes {
        /// How many.
        count: u64,
        /// The first file that has one.
        first: PathBuf,
    },
    /// Access control lists and attributes that only root sees were left out: what reads layers does not agree on them.
    PrivilegedAttributes {
        /// How many.
        count: u64,
        /// The first file that has one.
        first: PathBuf,
    },
    /// A tar goes on after its end mark; most readers never see that, yet the diff ID covers it.
    AfterEnd {
        /// Which tar.
        path: PathBuf,
        /// Bytes after the end mark, the first of which is not NUL.
        bytes: u64,
    },
    /// A layer ends without the mark of its end: readers differ in whether they take that for an error.
    NoEndMark(Digest),
    /// Entries that only AUFS understands were left out, so many (IMG-141).
    AufsEntries(u64),
    /// Extended attributes that belong to another host or mount were left out, so many (IMG-115).
    HostAttributes(u64),
    /// An annotation lies in the namespace that the OCI reserves, and is not defined there (IMG-166).
    ReservedAnnotation(String),
    /// Something about an artifact that is doubtful by the rules of its kind. Whoever says it escapes what strangers wrote.
    Doubtful(String),
    /// An artifact holds an empty file: not every registry takes an empty blob (IMG-65).
    EmptyFile(String),
    /// An artifact's config has the type of an image's config, which tools will take for an image (IMG-66).
    ImageConfigType,
    /// Layers of the base image are not there, and were left out as asked.
    BaseLayersAbsent(u64),
    /// Blobs are not there, and were left out.
    BlobsAbsent(u64),
    /// What was to be added to an index is listed there already.
    ListedAlready(u64),
    /// Attestations speak of images as they were, and were left out.
    AttestationsDropped(u64),
    /// The history of an image tells of another number of layers than it has, and was left as it is (IMG-98).
    HistoryUnclear,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sockets { count, first } => {
                write!(f, "{count} sockets were left out, the first is {}", shown(first))
            }
            Self::OwnersFlattened { count, written: (uid, gid) } => {
                write!(f, "the owners of {count} files were replaced by {uid}:{gid}; --owner keep keeps them")
            }
            Self::Attributes { count, first } => {
                write!(
                    f,
                    "{count} extended attributes have a name with = and were left out, first of {}",
                    shown(first)
                )
            }
            Self::PrivilegedAttributes { count, first } => {
                write!(
                    f,
                    "{count} access control lists and trusted attributes were left out, first of {}",
                    shown(first)
                )
            }
            Self::AfterEnd { path, bytes } => {
                write!(
                    f,
                    "{} holds {bytes} bytes after its end mark, which most readers never see",
                    shown(path)
                )
            }
            Self::NoEndMark(layer) => {
                write!(f, "layer {layer} has no end mark; all of its entries are whole")
            }
            Self::AufsEntries(count) => {
                write!(f, "{count} entries of AUFS, which nobody else understands, were left out")
            }
            Self::HostAttributes(count) => write!(
                f,
                "{count} extended attributes of another host (SELinux labels, marks of overlayfs) were left out"
            ),
            Self::ReservedAnnotation(key) => {
                write!(f, "the annotation {} is reserved to the OCI and not defined by it", quote(key))
            }
            Self::Doubtful(what) => f.write_str(what),
            Self::EmptyFile(title) => {
                write!(f, "{} is empty, and not every registry takes an empty blob", quote(title))
            }
            Self::ImageConfigType => f.write_str(
                "the config has the type of an image's config: tools will take the artifact for an image",
            ),
            Self::BaseLayersAbsent(count) => {
                write!(f, "{count} layers of the base image are not there and were left out")
            }
            Self::BlobsAbsent(1) => f.write_str("a blob is not there and was left out"),
            Self::BlobsAbsent(count) => write!(f, "{count} blobs are not there and were left out"),
            Self::AttestationsDropped(1) => f.write_str(
                "an attestation speaks of an image as it was and was left out; --keep-attestations keeps it",
            ),
            Self::AttestationsDropped(count) => write!(
                f,
                "{count} attestations speak of images as they were and were left out; --keep-attestations keeps them"
            ),
            Self::HistoryUnclear => f.write_str(
                "the history tells of another number of layers than there are, and was left as it is",
            ),
            Self::ListedAlready(1) => f.write_str("a member is listed already and was left as it is"),
            Self::ListedAlready(count) => {
                write!(f, "{count} members are listed already and were left as they are")
            }
        }
    }
}
