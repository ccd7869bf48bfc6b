//! Parts of indexes: which members of an index are copied, and what stands for it at the destination.
//!
//! A sparse copy keeps the index byte for byte and declares on its entry which platforms it has (IMG-85), in the words
//! that `check` and `gc` of a layout read; what a source declares so is not asked of it. A rewritten index is spliced:
//! all but its list of members keeps its bytes (design law 1).

use std::collections::HashSet;
use std::sync::Arc;

use transship_layout::check::{KEPT_PLATFORMS, declared_holes};
use transship_spec::annotations::DOCKER_REFERENCE_DIGEST;
use transship_spec::{Descriptor, Digest, Document, MediaType, Platform, platform, splice};

use super::documents::Documents;
use super::{Root, Survey};
use crate::endpoint::Endpoint;
use crate::plan::Subset;
use crate::report::{Converted, Part};
use crate::{Error, Result};

/// Platforms that are named where one is missing, at most.
const NAMED: usize = 20;

/// What a root turned out to be.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) descriptor: Descriptor,
    pub(super) part: Option<Part>,
    /// What it is made of or a part of, where that is not copied itself.
    pub(super) named: Option<Digest>,
    pub(super) converted: Vec<Converted>,
    pub(super) behind: Behind,
    /// Why more may stay behind than is known.
    pub(super) doubts: Vec<String>,
    /// The platforms whose images are copied, where an index stays as it is and not all of it may be copied.
    pub(super) kept: Option<Arc<str>>,
    /// The document, where it was read or made, and is not kept yet.
    pub(super) document: Option<Document>,
}

/// How much does not come along.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// What belongs to an index of which only a part is copied.
    pub(super) of_index: usize,
    /// What belongs to documents that were converted.
    pub(super) of_converted: usize,
    /// Annotations that Docker's documents have no place for.
    pub(super) annotations: usize,
    /// Members of indexes that stay as they are, since Docker's media types cannot say them.
    pub(super) alone: usize,
}

impl Resolved {
    fn whole(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            part: None,
            named: None,
            converted: Vec::new(),
            behind: Behind::default(),
            doubts: Vec::new(),
            kept: None,
            document: None,
        }
    }
}

impl Survey {
    /// What of a thing is copied: an index in part, if that was asked for or if the source has not more of it.
    pub(super) async fn part_of(
        &self,
        source: &Arc<dyn Endpoint>,
        (mut named, read): (Descriptor, Option<Document>),
        is_asked: bool,
    ) -> Result<Resolved> {
        let declared = named.annotations.remove(KEPT_PLATFORMS);
        let subset = self.options.subset.as_ref().filter(|_| is_asked);
        if !named.media_type.is_index() || (subset.is_none() && declared.is_none()) {
            return Ok(Resolved { document: read, ..Resolved::whole(named) });
        }
        let document = match read {
            Some(document) => document,
            None => read_named(source, &named).await?,
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
                let mut resolved = Resolved::whole(member.clone());
                self.leave(source, document.digest(), &mut resolved).await?;
                resolved.behind.of_index += attestations;
                Ok(resolved)
            }
            Some(Subset::Sparse(wanted)) => {
                let kept = platforms(&there, wanted, document.digest())?.join(",");
                Ok(sparse(named, &document, &kept))
            }
            Some(Subset::Rewrite(wanted)) => {
                let platforms = platforms(&there, wanted, document.digest())?;
                let left_out = declared_holes(members, &platforms.join(","));
                if left_out.is_empty() {
                    return Ok(Resolved { document: Some(document), ..Resolved::whole(named) });
                }
                let new = without(&document, members, &left_out)?;
                let original = Some(document.digest().clone());
                let part = Part { platforms, left_out: count(members, &left_out), original };
                let descriptor = Descriptor { annotations: named.annotations, ..new.descriptor() };
                let mut resolved =
                    Resolved { part: Some(part), document: Some(new), ..Resolved::whole(descriptor) };
                self.leave(source, document.digest(), &mut resolved).await?;
                Ok(resolved)
            }
        }
    }

    /// Counts what refers to an index that does not come along.
    async fn leave(&self, source: &Arc<dyn Endpoint>, index: &Digest, resolved: &mut Resolved) -> Result<()> {
        let mut related = source.related(index, self.ask(false)).await?;
        resolved.behind.of_index += related.referrers.len() + related.digest_tags.len();
        resolved.doubts.append(&mut related.doubts);
        Ok(())
    }
}

/// The document of something that was found by a name. What a registry says of its size may be wrong.
pub(super) async fn read_named(source: &Arc<dyn Endpoint>, named: &Descriptor) -> Result<Document> {
    match source.is_local() {
        true => source.document(named).await,
        false => source.listed_document(named).await,
    }
}

impl Root {
    /// The entry that names the same index has what was there before and what comes now; one that has all says nothing.
    pub(super) fn declare(&mut self, there: Option<&str>, documents: &Documents) {
        let Some(descriptor) = &mut self.descriptor else { return };
        let ours = descriptor.annotations.remove(KEPT_PLATFORMS);
        let both = merged(there, ours.as_deref());
        let read = self.kept.as_ref().and_then(|_| documents.bytes(descriptor));
        let has_holes = |kept: &String| match &read {
            Some(bytes) => {
                let document = Document::of_verified(bytes.clone(), descriptor);
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
    let mut resolved =
        Resolved { kept: Some(kept.into()), document: Some(document.clone()), ..Resolved::whole(named) };
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
