//! What a tree grows on: a layout, an archive or a registry, asked in one way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use transship_copy::endpoint::{self, Ask, Endpoint};
use transship_layout::{Entry, Error, Source, graph, read_document};
use transship_spec::{Descriptor, Digest, Document, Kind, referrers};

use super::node::State;
use crate::content::{Content, which};
use crate::exit::Failure;
use crate::network::Network;

/// Warnings about documents that cannot be read, at most.
const MOST_DOUBTS: usize = 20;

/// A place, and who speaks of whom there.
pub(super) struct Ground<'a> {
    content: &'a Content,
    relations: Relations<'a>,
}

enum Relations<'a> {
    Local { source: &'a dyn Source, entries: Vec<Entry>, referrers: graph::Referrers, tags: Tags },
    Registry { network: &'a Network, endpoint: Arc<dyn Endpoint>, ask: Ask },
}

type Tags = HashMap<Digest, Vec<(String, Descriptor)>>;

/// Something that stands at the top.
pub(super) struct Root {
    pub(super) name: Option<String>,
    pub(super) descriptor: Descriptor,
    /// What it speaks of, if that stands nowhere.
    pub(super) subject: Option<Digest>,
}

/// What belongs to a manifest without being part of it.
#[derive(Default)]
pub(super) struct Related {
    pub(super) tags: Vec<(String, Descriptor)>,
    pub(super) referrers: Vec<Descriptor>,
}

/// What came of reading a document.
pub(super) enum Read {
    Done(Document),
    Missing,
    Broken(String),
}

impl<'a> Ground<'a> {
    pub(super) fn of(content: &'a Content) -> Result<Self, Failure> {
        let relations = match content {
            Content::Local { stock, .. } => {
                let source = stock.source();
                let entries = source.entries()?;
                let mut tags = Tags::new();
                for entry in &entries {
                    if let Some((subject, tag)) = spoken_of(entry) {
                        tags.entry(subject).or_default().push((tag, entry.descriptor.clone()));
                    }
                }
                tags.values_mut().for_each(|tags| {
                    tags.sort_by(|(one, _), (other, _)| one.cmp(other));
                    tags.dedup_by(|(_, one), (_, other)| one.digest == other.digest);
                });
                Relations::Local { source, entries, referrers: graph::referrers_of(source)?, tags }
            }
            Content::Registry { network, repository, .. } => {
                let ask = Ask { referrers: true, digest_tags: true, many: false };
                Relations::Registry { network, endpoint: endpoint::registry(repository.clone()), ask }
            }
        };
        Ok(Self { content, relations })
    }

    /// Documents that may be referrers, and cannot be read.
    pub(super) fn doubts(&self) -> Vec<String> {
        let Relations::Local { referrers, .. } = &self.relations else { return Vec::new() };
        let is_missing = |error: &Error| matches!(error, Error::MissingBlob { .. });
        let unreadable = referrers.unreadable.iter().filter(|(_, error)| !is_missing(error));
        let told = unreadable.take(MOST_DOUBTS);
        told.map(|(digest, error)| format!("what {digest} refers to cannot be told: {error}")).collect()
    }

    /// What stands at the top: what is asked for; else every entry that belongs to no other.
    pub(super) fn roots(&mut self) -> Result<Vec<Root>, Failure> {
        match (self.content, &mut self.relations) {
            (Content::Local { stock, reference: Some(reference) }, _) => {
                let entries = stock.resolve_all(Some(reference))?;
                Ok(entries.iter().map(|entry| root(entry, None)).collect())
            }
            (Content::Local { .. }, Relations::Local { source, entries, referrers, tags }) => {
                all(*source, entries, referrers, tags)
            }
            (Content::Registry { reference, .. }, Relations::Registry { ask, .. }) => {
                let descriptor = self.content.resolve(None)?;
                // Listing the tags once is less than asking for three of each member.
                ask.many = descriptor.media_type.is_index();
                let name = Some(which(reference).to_string());
                Ok(vec![Root { name, descriptor, subject: None }])
            }
            _ => Err(Failure::new(Kind::Unexpected, "a place is both here and elsewhere")),
        }
    }

    /// A manifest or an index. Of what was listed as a referrer only the digest need be right.
    pub(super) fn document(&self, descriptor: &Descriptor, is_listed: bool) -> Result<Read, Failure> {
        match &self.relations {
            Relations::Local { source, .. } => Ok(match read_document(*source, descriptor) {
                Ok(document) => Read::Done(document),
                Err(Error::MissingBlob { .. }) => Read::Missing,
                Err(error) => Read::Broken(error.to_string()),
            }),
            Relations::Registry { network, endpoint, .. } => {
                let read = match is_listed {
                    true => network.block_on(endpoint.listed_document(descriptor)),
                    false => network.block_on(endpoint.document(descriptor)),
                };
                match read {
                    Ok(document) => Ok(Read::Done(document)),
                    Err(failure) => match failure.kind() {
                        Kind::NotFound => Ok(Read::Missing),
                        Kind::Invalid | Kind::Limit | Kind::Unsupported => {
                            Ok(Read::Broken(failure.to_string()))
                        }
                        _ => Err(failure),
                    },
                }
            }
        }
    }

    /// What is wrong with a blob, as far as that can be seen from outside. In a registry it is taken to be there.
    pub(super) fn fault(&self, blob: &Descriptor) -> Option<(State, Option<String>)> {
        let Relations::Local { source, .. } = &self.relations else { return None };
        match source.size(&blob.digest) {
            Ok(Some(size)) if size != blob.size => {
                Some((State::Broken, Some(format!("it has {size} bytes instead of {}", blob.size))))
            }
            Ok(Some(_)) => None,
            Ok(None) if blob.data.is_some() => None,
            Ok(None) if blob.media_type.is_nondistributable() => Some((State::LeftOut, None)),
            Ok(None) => Some((State::Missing, None)),
            Err(error) => Some((State::Broken, Some(error.to_string()))),
        }
    }

    /// What an image runs on, by its config.
    pub(super) fn platform(&self, image: &Document) -> Option<String> {
        Some(self.content.config(image).ok()??.platform.to_string())
    }

    /// What speaks of a manifest or an index.
    pub(super) fn related(&self, subject: &Digest) -> Result<Related, Failure> {
        match &self.relations {
            Relations::Local { referrers, tags, .. } => Ok(Related {
                tags: tags.get(subject).cloned().unwrap_or_default(),
                referrers: referrers.of(subject).to_vec(),
            }),
            Relations::Registry { network, endpoint, ask } => network.block_on(async {
                let related = endpoint.related(subject, *ask).await?;
                let mut tags = Vec::new();
                for (tag, listed) in related.digest_tags {
                    tags.push((tag.to_string(), endpoint.resolve(&listed).await?));
                }
                Ok::<_, transship_copy::Error>(Related { tags, referrers: related.referrers })
            }),
        }
    }
}

/// What the digest tag of an entry speaks of, and the tag.
fn spoken_of(entry: &Entry) -> Option<(Digest, String)> {
    let tag = entry.tag()?;
    Some((referrers::digest_tag(tag)?.0, tag.to_owned()))
}

fn root(entry: &Entry, subject: Option<Digest>) -> Root {
    let name = entry.full_name().or(entry.name()).map(str::to_owned);
    Root { name, descriptor: entry.descriptor.clone(), subject }
}

/// All entries, but not those that speak of something that stands in the tree: they stand below it.
fn all(
    source: &dyn Source,
    entries: &[Entry],
    referrers: &graph::Referrers,
    tags: &Tags,
) -> Result<Vec<Root>, Failure> {
    let subjects: Vec<Option<Digest>> = entries.iter().map(|entry| subject(source, entry)).collect();
    let mut reached = HashSet::new();
    let own = entries.iter().zip(&subjects).filter(|(_, subject)| subject.is_none());
    let mut next: Vec<Descriptor> = own.map(|(entry, _)| entry.descriptor.clone()).collect();
    while let Some(descriptor) = next.pop() {
        if !descriptor.media_type.is_document() || !reached.insert(descriptor.digest.clone()) {
            continue;
        }
        if let Ok(document) = read_document(source, &descriptor) {
            next.extend(document.children().into_iter().cloned());
        }
        next.extend(referrers.of(&descriptor.digest).iter().cloned());
        let tagged = tags.get(&descriptor.digest).into_iter().flatten();
        next.extend(tagged.map(|(_, descriptor)| descriptor.clone()));
    }
    let stands = |subject: &Option<Digest>| subject.as_ref().is_none_or(|of| !reached.contains(of));
    let roots = entries.iter().zip(subjects).filter(|(_, subject)| stands(subject));
    Ok(roots.map(|(entry, subject)| root(entry, subject)).collect())
}

/// What an entry speaks of: by its tag, or, without a name, by its manifest.
fn subject(source: &dyn Source, entry: &Entry) -> Option<Digest> {
    if let Some(tag) = entry.tag() {
        let tagged = || Some(referrers::digest_tag(tag)?.0);
        return referrers::subject_of_fallback_tag(tag).or_else(tagged);
    }
    if entry.name().is_some() || entry.full_name().is_some() || !entry.descriptor.media_type.is_document() {
        return None;
    }
    let document = read_document(source, &entry.descriptor).ok()?;
    document.subject().map(|subject| subject.digest.clone())
}
