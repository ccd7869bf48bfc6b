//! Parts of indexes: which members of an index are copied, and what stands for it at the destination.
//!
//! A sparse copy keeps the index byte for byte and declares on its entry which platforms it has (IMG-85), in the words
//! that `check` and `gc` of a layout read; what a source declares so is not asked of it. A rewritten index is spliced:
//! all but its list of members keeps its bytes (design law 1).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use transship_layout::check::{KEPT_PLATFORMS, declared_holes};
use transship_spec::annotations::DOCKER_REFERENCE_DIGEST;
use transship_spec::{Descriptor, Digest, Document, MediaType, Platform, platform, splice};

use super::{Root, Survey};
use crate::endpoint::Endpoint;
use crate::plan::Subset;
use crate::report::Part;
use crate::{Error, Result};

/// Bytes that are kept of what was read to find out what roots are: indexes for their parts, others to spare a request.
const ROOM: usize = 32 << 20;
/// Bytes of it that are for indexes alone.
const FOR_INDEXES: usize = 16 << 20;
/// Platforms that are named where one is missing, at most.
const NAMED: usize = 20;

/// What a root turned out to be.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) descriptor: Descriptor,
    pub(super) part: Option<Part>,
    /// What it is a part of, where that is not copied itself.
    pub(super) named: Option<Digest>,
    /// How much that belongs to the index does not come along.
    pub(super) behind: usize,
    pub(super) chosen: Chosen,
}

impl Resolved {
    fn whole(descriptor: Descriptor) -> Self {
        Self { descriptor, part: None, named: None, behind: 0, chosen: Chosen::default() }
    }
}

/// How many bytes may still be kept.
#[derive(Debug)]
pub(super) struct Room(AtomicUsize);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicUsize::new(ROOM))
    }
}

impl Room {
    /// Whether there is any for what can be read again.
    pub(super) fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed) > FOR_INDEXES
    }

    /// Takes so many bytes, if they and `reserved` more are there.
    fn take(&self, bytes: usize, reserved: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes).filter(|left| *left >= reserved);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// How to read an index of which not all may be copied.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The platforms whose images are copied, where the index stays as it is.
    pub(super) kept: Option<Arc<str>>,
    /// The index that was read.
    pub(super) bytes: Option<Bytes>,
    /// Whether it was made here, so that nobody else has it.
    is_new: bool,
}

impl Survey {
    /// What of a thing is copied: an index in part, if that was asked for or if the source has not more of it.
    pub(super) async fn part_of(
        &self,
        source: &Arc<dyn Endpoint>,
        (mut named, document): (Descriptor, Option<Document>),
        is_asked: bool,
    ) -> Result<Resolved> {
        let declared = named.annotations.remove(KEPT_PLATFORMS);
        let subset = self.options.subset.as_ref().filter(|_| is_asked);
        if !named.media_type.is_index() || (subset.is_none() && declared.is_none()) {
            let fits = |document: &Document| self.room.take(document.bytes().len(), FOR_INDEXES);
            let bytes = document.filter(fits).map(|document| document.bytes().clone());
            return Ok(Resolved { chosen: Chosen { bytes, ..Chosen::default() }, ..Resolved::whole(named) });
        }
        let document = match document {
            Some(document) => document,
            None if source.is_local() => source.document(&named).await?,
            None => source.listed_document(&named).await?,
        };
        named.size = document.bytes().len() as u64;
        let members = document.as_index().map(|index| index.manifests.as_slice()).unwrap_or_default();
        let absent = declared.as_deref().map(|kept| declared_holes(members, kept)).unwrap_or_default();
        let there: Vec<&Descriptor> =
            members.iter().filter(|member| !absent.contains(&member.digest)).collect();
        match subset {
            None => Ok(sparse(named, &document, declared.as_deref().unwrap_or_default())),
            Some(Subset::One(wanted)) => {
                let member = select(&there, wanted, document.digest())?;
                let speaks_of_it = |other: &&&Descriptor| {
                    let of = other.annotations.get(DOCKER_REFERENCE_DIGEST);
                    platform::is_attestation(other) && of.is_some_and(|of| *of == member.digest.to_string())
                };
                let attestations = there.iter().filter(speaks_of_it).count();
                let behind = self.related_to(source, document.digest()).await? + attestations;
                Ok(Resolved { behind, ..Resolved::whole(member.clone()) })
            }
            Some(Subset::Sparse(wanted)) => {
                let kept = platforms(&there, wanted, document.digest())?.join(",");
                Ok(sparse(named, &document, &kept))
            }
            Some(Subset::Rewrite(wanted)) => {
                let platforms = platforms(&there, wanted, document.digest())?;
                let left_out = declared_holes(members, &platforms.join(","));
                if left_out.is_empty() {
                    return Ok(Resolved::whole(named));
                }
                let behind = self.related_to(source, document.digest()).await?;
                let new = without(&document, members, &left_out)?;
                let original = Some(document.digest().clone());
                let part = Part { platforms, left_out: count(members, &left_out), original };
                let chosen = Chosen { kept: None, bytes: Some(new.bytes().clone()), is_new: true };
                let descriptor = Descriptor { annotations: named.annotations, ..new.descriptor() };
                Ok(Resolved { descriptor, part: Some(part), named: None, behind, chosen })
            }
        }
    }

    /// How much refers to an index.
    async fn related_to(&self, source: &Arc<dyn Endpoint>, index: &Digest) -> Result<usize> {
        let related = source.related(index, self.ask(false)).await?;
        Ok(related.referrers.len() + related.digest_tags.len())
    }

    /// Keeps the bytes of an index while there is room. One that can be read again need not be kept.
    pub(super) fn fit(&self, chosen: Chosen) -> Result<Chosen> {
        let is_part = chosen.kept.is_some() || chosen.is_new;
        let size = chosen.bytes.as_ref().filter(|_| is_part).map_or(0, Bytes::len);
        match self.room.take(size, 0) {
            true => Ok(chosen),
            false if chosen.is_new => {
                let what = "the size in bytes of all indexes that are made in one copy";
                Err(Error::Limit { what, limit: ROOM as u64 })
            }
            false => Ok(Chosen { bytes: None, ..chosen }),
        }
    }
}

impl Root {
    /// The entry that names the same index has what was there before and what comes now; one that has all says nothing.
    pub(super) fn declare(&mut self, there: Option<&str>) {
        let Some(descriptor) = &mut self.descriptor else { return };
        let ours = descriptor.annotations.remove(KEPT_PLATFORMS);
        let both = merged(there, ours.as_deref());
        let has_holes = |kept: &String| match &self.subset.bytes {
            Some(bytes) => {
                let document = Document::parse(bytes.clone(), Some(&descriptor.media_type));
                let index = document.as_ref().ok().and_then(Document::as_index);
                index.is_none_or(|index| !declared_holes(&index.manifests, kept).is_empty())
            }
            None => true,
        };
        let both = both.filter(has_holes);
        self.redeclares = both.as_deref() != there;
        if let Some(both) = both {
            descriptor.annotations.insert(KEPT_PLATFORMS.to_owned(), both);
        }
    }
}

/// What two entries of one index have together: all of it, if one of them says nothing.
pub(crate) fn merged(one: Option<&str>, other: Option<&str>) -> Option<String> {
    let (one, other) = (one?, other?);
    let mut seen = HashSet::new();
    let all = one.split(',').chain(other.split(',')).map(str::trim);
    Some(all.filter(|platform| seen.insert(*platform)).collect::<Vec<_>>().join(","))
}

/// An index that stays as it is, of which only some platforms are copied.
fn sparse(named: Descriptor, document: &Document, kept: &str) -> Resolved {
    let members = document.as_index().map(|index| index.manifests.as_slice()).unwrap_or_default();
    let left_out = count(members, &declared_holes(members, kept));
    let chosen = Chosen { kept: Some(kept.into()), bytes: Some(document.bytes().clone()), is_new: false };
    let mut resolved = Resolved { chosen, ..Resolved::whole(named) };
    if left_out > 0 {
        let platforms = kept.split(',').map(str::to_owned).collect();
        resolved.descriptor.annotations.insert(KEPT_PLATFORMS.to_owned(), kept.to_owned());
        resolved.part = Some(Part { platforms, left_out, original: None });
    }
    resolved
}

fn count(members: &[Descriptor], left_out: &HashSet<Digest>) -> usize {
    members.iter().filter(|member| left_out.contains(&member.digest)).count()
}

/// What the members that were chosen call their platforms, each once.
fn platforms(there: &[&Descriptor], wanted: &[Platform], index: &Digest) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for wanted in wanted {
        let member = select(there, wanted, index)?;
        let name = member.platform.as_ref().map(ToString::to_string).unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn select<'a>(there: &[&'a Descriptor], wanted: &Platform, index: &Digest) -> Result<&'a Descriptor> {
    let fits = |member: &&'a Descriptor| platform::select(std::slice::from_ref(*member), wanted).is_some();
    let fitness = |member: &&'a Descriptor| {
        member.platform.as_ref().and_then(|platform| platform.fitness(wanted)).unwrap_or(usize::MAX)
    };
    there.iter().copied().filter(fits).min_by_key(fitness).ok_or_else(|| {
        let mut names: Vec<String> = Vec::new();
        for member in there.iter().filter(|member| !platform::is_attestation(member)) {
            let name =
                member.platform.as_ref().filter(|platform| !platform.is_unknown()).map(ToString::to_string);
            names.extend(name.filter(|name| !names.contains(name)));
        }
        names.truncate(NAMED);
        let available = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Error::NoPlatform { digest: index.clone(), platform: wanted.to_string(), available }
    })
}

/// The index without some of its members, otherwise as it was.
fn without(index: &Document, members: &[Descriptor], left_out: &HashSet<Digest>) -> Result<Document> {
    let broken = |reason: &str| transship_spec::Error::Document { what: "index", reason: reason.to_owned() };
    let text = std::str::from_utf8(index.bytes()).map_err(|_| broken("it is not UTF-8"))?;
    let mut object = splice::Object::new(text)?;
    let old = object.get("manifests")?.unwrap_or("[]").to_owned();
    let elements = splice::elements(&old)?;
    let kept = elements.iter().zip(members).filter(|(_, member)| !left_out.contains(&member.digest));
    let kept: Vec<&str> = kept.map(|(text, _)| *text).collect();
    object.set_text("manifests", &splice::array(&old, &kept)?)?;
    let media_type: &MediaType = index.media_type();
    Ok(Document::parse(object.text().as_bytes().to_vec(), Some(media_type))?)
}
