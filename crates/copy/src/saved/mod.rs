//! Plans that are saved, looked at, and carried out later or elsewhere: what is in the file, and nothing else moves.
//!
//! [`Plan::saved`](crate::Plan::saved) makes a [`SavedPlan`] of a plan; [`apply`] makes a plan of it again. The file says
//! where things come from and go to, and of each root what it is called at its source, its digest, its name at the
//! destination, and what brought it. It holds no time and no credentials: the same plan is the same file. Paths in it are
//! as they were given.
//!
//! [`apply`] asks each source again what the names mean, and refuses all of it if one means something else: the plan is
//! what somebody may have looked at. What was planned is then copied by its digest. What has come to the source since,
//! a tag or a referrer, is not in the plan and is not copied. What the destination holds is looked at afresh, so that only
//! what is missing moves, and a plan that was carried out in part can be applied again.
//!
//! Bounded (design law 6): a file of [`SavedPlan::MAX_SIZE`] bytes, JSON as the specification has it.

mod again;
mod form;

use serde::{Deserialize, Serialize};
use transship_spec::{Descriptor, Digest, MediaType, Reference, json};

pub use self::again::{Ends, Move, apply};
use crate::endpoint::Place;
use crate::names::{Called, Name};
use crate::plan::Totals;
use crate::report::{Part, Why};
use crate::shard::{self, Shard};
use crate::{Error, Result};

/// The form of a saved plan.
pub(crate) const SCHEMA: &str = "transship.plan-file/v1";

/// A plan that was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SavedPlan {
    /// The form of this document: `transship.plan-file/v1`.
    pub schema: String,
    /// What was asked for, as far as it decides what is copied.
    pub choices: Choices,
    /// The places that things come from, as locations without a reference.
    pub sources: Vec<String>,
    /// The places that they go to.
    pub destinations: Vec<SavedDestination>,
    /// Everything that is copied, what belongs to something after it.
    pub roots: Vec<SavedRoot>,
    /// What was odd when the plan was made.
    pub warnings: Vec<String>,
}

/// What decides what is copied, in the words of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Choices {
    /// The platforms of indexes that are copied; all if none is named.
    pub platforms: Vec<String>,
    /// What becomes of an index of which not all is copied: `one`, `sparse` or `rewrite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<String>,
    /// Whose media types what was asked for is to have: `oci` or `docker`; those that it has if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convert: Option<String>,
    /// Which referrers came along: `all`, `none`, or artifact types with commas between them.
    pub referrers: String,
    /// Whether digest tags came along.
    pub digest_tags: bool,
    /// Whether layers are copied that may not be distributed.
    pub nondistributable: bool,
    /// Whether registries are asked for the members of indexes that they have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub check_members: bool,
}

/// A place that things go to, and how much went there when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SavedDestination {
    /// The place, as a location without a reference.
    pub location: String,
    /// What had to be moved.
    pub missing: Totals,
    /// What was there.
    pub present: Totals,
}

/// Something that is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SavedRoot {
    /// Which of the sources it comes from, counted from 0.
    pub source: usize,
    /// Its full reference there, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Its name there, where that is no full reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// Whether it was asked for by its digest, so that its names may move.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_digest: bool,
    /// What its name stood for, where a part of that is copied, or something that is made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<Digest>,
    /// What is copied.
    pub digest: Digest,
    /// What that is.
    pub media_type: MediaType,
    /// Its own size in bytes.
    pub size: u64,
    /// Which of the destinations it goes to, counted from 0.
    pub destination: usize,
    /// Its name there; none where it has only its digest.
    pub name: Option<String>,
    /// What that name stood for, where that was something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Digest>,
    /// Whether nothing had to be done for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub present: bool,
    /// Why it is copied: `asked`, `referrer` or `digest-tag`.
    pub why: String,
    /// What it refers to or speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// The root that brought it, counted from 0: one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
    /// What of an index it is, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// The part of the file that says what the rest is.
#[derive(Deserialize)]
struct Form {
    schema: String,
}

impl SavedPlan {
    /// The most bytes of a file: some hundred thousand roots.
    pub const MAX_SIZE: u64 = 256 << 20;

    /// Reads a saved plan.
    ///
    /// # Errors
    /// [`Error::SavedForm`] for a form that this version does not know, [`Error::Saved`] for what is malformed or does not
    /// hold together, [`Error::Limit`] for more than [`SavedPlan::MAX_SIZE`] bytes, and those of [`json::validate`].
    ///
    /// ```
    /// use transship_copy::{Error, SavedPlan};
    ///
    /// let other = br#"{"schema": "transship.plan-file/v9", "anything": []}"#;
    /// assert!(matches!(SavedPlan::parse(other), Err(Error::SavedForm { .. })));
    /// assert!(matches!(SavedPlan::parse(b"{}"), Err(Error::Saved { .. })));
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > Self::MAX_SIZE {
            return Err(Error::Limit { what: "the size in bytes of a saved plan", limit: Self::MAX_SIZE });
        }
        json::validate(bytes)?;
        let malformed = |error: serde_json::Error| Error::Saved { reason: error.to_string() };
        let Form { schema } = serde_json::from_slice(bytes).map_err(malformed)?;
        if schema != SCHEMA {
            return Err(Error::SavedForm { schema });
        }
        let saved: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        saved.check()?;
        Ok(saved)
    }

    /// The plan as a file: JSON that people can read, with a line break at its end.
    ///
    /// # Errors
    /// None that a caller can bring about.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_vec_pretty(self);
        let mut text = text.map_err(|error| Error::Worker(error.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }

    /// The part of the plan that is this shard: its roots, with what belongs to them. The counts of the destinations stay
    /// those of the whole.
    #[must_use]
    pub fn shard(&self, shard: Shard) -> Self {
        let mut taken: Vec<Option<usize>> = Vec::new();
        let mut roots = Vec::new();
        for root in &self.roots {
            let parent = root.parent.map(|parent| taken.get(parent).copied().flatten());
            let is_ours = match parent {
                Some(parent) => parent.is_some(),
                None => shard.takes(&self.key(root)),
            };
            taken.push(is_ours.then_some(roots.len()));
            if is_ours {
                roots.push(SavedRoot { parent: parent.flatten(), ..root.clone() });
            }
        }
        Self { roots, ..self.clone() }
    }

    fn key(&self, root: &SavedRoot) -> String {
        let location = self.destinations.get(root.destination).map_or("", |saved| &saved.location);
        let place = form::place(location).unwrap_or_else(|_| Place::Layout(location.into()));
        let name = root.name_at(&place).unwrap_or(Name::Digest);
        shard::key(&place, &name, &root.digest.to_string())
    }

    /// Whether its parts fit together.
    fn check(&self) -> Result<()> {
        let refuse = |reason: String| Err(Error::Saved { reason });
        for location in self.sources.iter().chain(self.destinations.iter().map(|saved| &saved.location)) {
            form::place(location)?;
        }
        let mut depths: Vec<usize> = Vec::new();
        for (at, root) in self.roots.iter().enumerate() {
            let above = root.parent.map(|parent| depths.get(parent));
            let depth = match above {
                None => 0,
                Some(Some(depth)) => depth + 1,
                Some(None) => {
                    return refuse(format!("root {at} belongs to one that does not stand before it"));
                }
            };
            if depths.last().is_some_and(|last| *last > depth) {
                return refuse(format!("root {at} stands after what is farther from what was asked for"));
            }
            depths.push(depth);
            let Some(destination) = self.destinations.get(root.destination) else {
                return refuse(format!("root {at} goes to a destination that is not listed"));
            };
            if root.source >= self.sources.len() {
                return refuse(format!("root {at} comes from a source that is not listed"));
            }
            if root.parent.is_some() != (root.why()? != Why::Asked) {
                return refuse(format!("root {at} is {} and says otherwise what brought it", root.why));
            }
            root.name_at(&form::place(&destination.location)?)?;
            root.called()?;
        }
        self.choices.options().map(drop)
    }
}

impl SavedRoot {
    fn why(&self) -> Result<Why> {
        match (&*self.why, &self.subject) {
            ("asked", None) => Ok(Why::Asked),
            ("referrer", Some(subject)) => Ok(Why::Referrer(subject.clone())),
            ("digest-tag", Some(subject)) => Ok(Why::DigestTag(subject.clone())),
            (why, _) => Err(Error::Saved {
                reason: format!("{} does not say why something is copied", transship_spec::quote(why)),
            }),
        }
    }

    fn called(&self) -> Result<Called> {
        match (&self.reference, &self.called) {
            (Some(full), None) => Ok(Called::full(&Reference::parse(full)?)),
            (None, Some(short)) => Ok(Called::short(short)),
            (None, None) => Ok(Called::default()),
            (Some(_), Some(_)) => {
                Err(Error::Saved { reason: "a root has two names at its source".to_owned() })
            }
        }
    }

    fn name_at(&self, place: &Place) -> Result<Name> {
        match (&self.name, place) {
            (None, _) => Ok(Name::Digest),
            (Some(tag), Place::Repository { .. }) => {
                Ok(Name::Short(transship_spec::Tag::parse(tag)?.as_str().to_owned()))
            }
            (Some(name), _) => crate::names::in_layout(name),
        }
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.size)
    }
}
