//! What was done, what was there, what was left out, and what failed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use transship_spec::{Descriptor, Digest, Kind, MediaType};

use crate::Error;
use crate::events::Placed;
use crate::names::Name;

/// Why something is a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "why", content = "subject", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Why {
    /// It was asked for.
    Asked,
    /// It refers to something that is copied.
    Referrer(Digest),
    /// It is a digest tag of something that is copied.
    DigestTag(Digest),
}

/// A number of things and their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.count += other.count;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What became of content: configs, layers, and manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Moved {
    /// Blobs whose bytes were moved.
    pub copied: Tally,
    /// Blobs that a registry took from another of its repositories.
    pub mounted: Tally,
    /// Blobs that share their bytes with the source.
    pub reflinked: Tally,
    /// Blobs that are the source's files under other names, hard links.
    pub linked: Tally,
    /// Blobs that were there.
    pub present: Tally,
    /// Of those copied, the ones of which there was a wrong copy.
    pub healed: Tally,
    /// Of those copied, the ones that went on where an earlier run had stopped, and their bytes that had come then.
    pub resumed: Tally,
    /// Manifests that were put.
    pub manifests: Tally,
}

impl Moved {
    pub(crate) fn join(&mut self, other: &Self) {
        self.copied.join(other.copied);
        self.mounted.join(other.mounted);
        self.reflinked.join(other.reflinked);
        self.linked.join(other.linked);
        self.present.join(other.present);
        self.healed.join(other.healed);
        self.resumed.join(other.resumed);
        self.manifests.join(other.manifests);
    }

    /// The bytes that went from place to place, those of manifests too; not those that an earlier copy had brought.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let all = self.copied.bytes.saturating_add(self.manifests.bytes);
        all.saturating_sub(self.resumed.bytes)
    }

    pub(crate) fn note(&mut self, how: Placed, bytes: u64) {
        let tally = match how {
            Placed::Copied => &mut self.copied,
            Placed::Mounted => &mut self.mounted,
            Placed::Reflinked => &mut self.reflinked,
            Placed::Linked => &mut self.linked,
            Placed::Present => &mut self.present,
        };
        tally.add(bytes);
    }
}

/// What was not copied, on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// Layers that may not be distributed (IMG-150).
    pub nondistributable: Tally,
    /// Signatures, referrers and attestations of indexes of which one platform was copied, or a new index was made, and
    /// of what was converted.
    pub signatures: usize,
    /// Annotations that the media types of a conversion have no place for.
    pub annotations: usize,
    /// Members of indexes for platforms that were not asked for, or that the source does not have.
    pub members: usize,
}

impl LeftOut {
    pub(crate) fn join(&mut self, other: &Self) {
        self.nondistributable.join(other.nondistributable);
        self.signatures += other.signatures;
        self.annotations += other.annotations;
        self.members += other.members;
    }
}

/// What of an index is copied, where it is not all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Part {
    /// The platforms that are copied, as the index calls them.
    pub platforms: Vec<String>,
    /// How many members of the index are not copied, attestations among them.
    pub left_out: usize,
    /// The index of which a new one was made; none where it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Digest>,
}

/// A document of which another one was made, with the media types of another dialect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Converted {
    /// What it was at the source.
    pub from: Digest,
    /// What it is at the destination.
    pub to: Digest,
    /// What it is called there.
    pub media_type: MediaType,
}

/// What became of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// It is at the destination, and something was done for that.
    Copied,
    /// It was there, and is right.
    Present,
    /// It is not at the destination.
    Failed,
}

/// A failure as it is reported.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// What it means to a program.
    #[serde(serialize_with = "kind_name")]
    pub kind: Kind,
    /// What happened, as a fragment that fits after "cannot …: ".
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The error itself.
    #[serde(skip)]
    pub error: Arc<Error>,
}

impl Failure {
    pub(crate) fn of(error: &Arc<Error>) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            remedy: error.remedy(),
            error: Arc::clone(error),
        }
    }
}

fn kind_name<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

/// What became of one root.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RootReport {
    /// Where it comes from.
    pub source: String,
    /// The place that it went to.
    pub destination: String,
    /// Its name there; none where it has only its digest.
    pub name: Name,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Why it was copied.
    #[serde(flatten)]
    pub why: Why,
    /// What became of it.
    pub status: Status,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What of an index it is, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Which of its documents were converted, what others need before them and the root last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub converted: Vec<Converted>,
    /// What it is, with its media type and size.
    #[serde(skip)]
    pub descriptor: Option<Descriptor>,
}

/// What a copy did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// The form of this document: `transship.copy.report/1`.
    pub schema: &'static str,
    /// Every root, referrers and digest tags after what they belong to.
    pub roots: Vec<RootReport>,
    /// What became of the content.
    pub content: Moved,
    /// Referrers and digest tags that are at the destination.
    pub referrers: usize,
    /// What was not copied, on purpose.
    pub left_out: LeftOut,
    /// What is odd.
    pub warnings: Vec<String>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            schema: "transship.copy.report/1",
            roots: Vec::new(),
            content: Moved::default(),
            referrers: 0,
            left_out: LeftOut::default(),
            warnings: Vec::new(),
        }
    }
}

impl Report {
    /// What the copy as a whole means to a program: nothing when all is well, [`Kind::Partial`] when some roots failed,
    /// and the first failure's kind when all of them did.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        let first = self.failures().next()?.failure.as_ref()?;
        let all = self.roots.iter().all(|root| root.status == Status::Failed);
        Some(if all { first.kind } else { Kind::Partial })
    }

    /// The roots that failed.
    pub fn failures(&self) -> impl Iterator<Item = &RootReport> {
        self.roots.iter().filter(|root| root.status == Status::Failed)
    }
}
