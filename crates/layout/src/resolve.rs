//! From what a user types to an entry of `index.json` (IMG-13…19, design section 3).
//!
//! A reference is tried in this order, and the first that fits decides: `@N`, the N-th entry; a whole name; a full
//! reference in another spelling; the tag of a full name; a digest, of an entry or of anything that an entry's indexes
//! and manifests lead to; `NAME@DIGEST`, whose digest decides.

use std::collections::HashSet;
use std::path::Path;

use transship_spec::{Descriptor, Digest, Reference, platform, split_digest};

use crate::index::{Entry, Index};
use crate::layout::INDEX;
use crate::names::{Names, full_reference, is_about_a_digest, spelling, words};
use crate::{Error, Layout, Result, Source, graph, read_document};

/// More documents than these are not read to find out what a layout without a named reference is about.
const MAX_GUESSES: usize = 64;
/// Candidates that an error lists.
const MAX_CANDIDATES: usize = 100;

impl Layout {
    /// The entry that a reference names; without one, the only entry that is no referrer, digest tag or attestation.
    ///
    /// # Errors
    /// [`Error::NoSuchReference`], [`Error::Ambiguous`] when entries with different content answer to it (see
    /// [`Layout::resolve_all`]), [`Error::NoDefault`], and what reading the index gives.
    pub fn resolve(&self, reference: Option<&str>) -> Result<Entry> {
        let (index, _) = Index::load(&self.0)?;
        self.resolver(&index).resolve(reference)
    }

    /// All entries that a reference names, at least one: several where a layout lists an image's platforms one by one
    /// under one name (case L13). The caller may choose among them by platform.
    ///
    /// # Errors
    /// [`Error::NoSuchReference`], [`Error::NoDefault`], and what reading the index gives.
    pub fn resolve_all(&self, reference: Option<&str>) -> Result<Vec<Entry>> {
        let (index, _) = Index::load(&self.0)?;
        self.resolver(&index).resolve_all(reference)
    }

    pub(crate) fn resolver<'a>(&'a self, index: &'a Index) -> Resolver<'a> {
        Resolver { path: self.path(), source: self, index }
    }
}

/// An index, and the content that it lists: in a folder or in an archive.
#[derive(Clone, Copy)]
pub(crate) struct Resolver<'a> {
    /// The layout or archive, for messages.
    pub(crate) path: &'a Path,
    pub(crate) source: &'a dyn Source,
    pub(crate) index: &'a Index,
}

impl Resolver<'_> {
    pub(crate) fn resolve(self, reference: Option<&str>) -> Result<Entry> {
        let entries = self.resolve_all(reference)?;
        let mut distinct = HashSet::new();
        let candidates =
            entries.iter().filter(|entry| distinct.insert(&entry.descriptor.digest)).collect::<Vec<_>>();
        match (candidates.as_slice(), reference) {
            (&[entry], _) => Ok(entry.clone()),
            (several, Some(reference)) => Err(Error::Ambiguous {
                path: self.path.to_owned(),
                reference: reference.to_owned(),
                candidates: several.iter().take(MAX_CANDIDATES).map(|entry| distinction(entry)).collect(),
            }),
            (_, None) => Err(Error::NoDefault { path: self.path.to_owned(), candidates: Vec::new() }),
        }
    }

    pub(crate) fn resolve_all(self, reference: Option<&str>) -> Result<Vec<Entry>> {
        match reference {
            Some(reference) => self.named(reference),
            None => self.only().map(|entry| vec![entry]),
        }
    }

    fn named(self, reference: &str) -> Result<Vec<Entry>> {
        if let Some(position) = reference.strip_prefix('@').and_then(|n| n.parse::<usize>().ok()) {
            return match position < self.index.len() {
                true => Ok(vec![self.view(position)?]),
                false => Err(self.unknown(reference)),
            };
        }
        let found = self.by_name(reference)?;
        if !found.is_empty() {
            return Ok(found);
        }
        if let Ok(digest) = Digest::parse(reference) {
            return self.by_digest(&digest)?.ok_or_else(|| self.unknown(reference));
        }
        if let Some((_, digest)) = split_digest(reference)
            && let Some(found) = self.by_digest(&digest)?
        {
            return Ok(found);
        }
        Err(self.unknown(reference))
    }

    fn by_name(self, reference: &str) -> Result<Vec<Entry>> {
        let texts: Vec<_> = match reference.rsplit_once(['/', ':']) {
            // A tag that is meant where none is written is looked for by what stands before it.
            Some((path, "latest")) => vec!["latest", path.rsplit(['/', ':']).next().unwrap_or(path)],
            _ => words(reference).take(1).collect(),
        };
        let mut glances = Vec::new();
        for position in self.index.mentioning(&texts) {
            if let Some(names) = self.index.names(position) {
                glances.push((position, names));
            }
        }
        let wanted = spelling(reference);
        let full = full_or_short(reference).map(|full| full.to_string());
        let tiers: [&dyn Fn(&Names<'_>) -> bool; 3] = [
            &|names| names.claims().contains(&wanted),
            &|names| full.is_some() && names.full() == full,
            &|names| names.tag() == Some(reference),
        ];
        for tier in tiers {
            let fitting = glances.iter().filter(|(_, names)| tier(names));
            let entries = fitting.map(|(position, _)| self.view(*position)).collect::<Result<Vec<_>>>()?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    }

    fn by_digest(self, digest: &Digest) -> Result<Option<Vec<Entry>>> {
        let text = digest.to_string();
        for position in self.index.mentioning(&[&text]) {
            if self.index.glance(position).is_some_and(|glance| glance.digest == text) {
                return Ok(Some(vec![self.view(position)?]));
            }
        }
        let roots = self.views()?;
        let found = graph::find(self.source, roots.iter().map(|entry| &entry.descriptor), digest)?;
        Ok(found.map(|descriptor| vec![Entry::new(self.index.len(), without_names(descriptor))]))
    }

    /// The only entry that stands for itself.
    fn only(self) -> Result<Entry> {
        if self.index.len() == 1 {
            return self.view(0);
        }
        let mut candidates = self.views()?;
        candidates.retain(|entry| !platform::is_attestation(&entry.descriptor) && !names_a_digest(entry));
        if candidates.len() <= MAX_GUESSES {
            candidates.retain(|entry| !self.is_referrer(entry));
        }
        let mut distinct: Vec<Entry> = Vec::new();
        for entry in candidates {
            // One thing may be listed both with its name and without.
            match distinct.iter_mut().find(|other| same_but_for_a_name(other, &entry)) {
                Some(other) if other.name().is_none() && other.full_name().is_none() => *other = entry,
                Some(_) => {}
                None => distinct.push(entry),
            }
        }
        match <[Entry; 1]>::try_from(distinct) {
            Ok([entry]) => Ok(entry),
            Err(several) => Err(Error::NoDefault {
                path: self.path.to_owned(),
                candidates: several.iter().take(MAX_CANDIDATES).map(Entry::label).collect(),
            }),
        }
    }

    /// Whether an entry is a manifest with a subject. What cannot be read is taken for what it seems.
    fn is_referrer(self, entry: &Entry) -> bool {
        entry.descriptor.media_type.is_document()
            && read_document(self.source, &entry.descriptor)
                .is_ok_and(|document| document.subject().is_some())
    }

    fn view(self, position: usize) -> Result<Entry> {
        self.index.entry(position).map_err(|source| Error::Malformed { path: self.path.join(INDEX), source })
    }

    pub(crate) fn views(self) -> Result<Vec<Entry>> {
        (0..self.index.len()).map(|position| self.view(position)).collect()
    }

    fn unknown(self, reference: &str) -> Error {
        let entries =
            (0..self.index.len().min(MAX_CANDIDATES)).filter_map(|position| self.index.entry(position).ok());
        Error::NoSuchReference {
            path: self.path.to_owned(),
            reference: reference.to_owned(),
            candidates: entries.map(|entry| entry.label()).collect(),
        }
    }
}

/// A text as a full reference, also where it leaves out Docker Hub: `alpine:3`, `library/alpine`. A bare word is a tag
/// rather.
fn full_or_short(text: &str) -> Option<Reference> {
    full_reference(text).or_else(|| {
        let short = text.contains(['/', ':']).then(|| Reference::parse(text).ok());
        short.flatten().map(Reference::or_latest)
    })
}

fn names_a_digest(entry: &Entry) -> bool {
    entry.name().or(entry.full_name()).is_some_and(is_about_a_digest)
}

fn same_but_for_a_name(one: &Entry, other: &Entry) -> bool {
    let name = |entry: &Entry| entry.full_name().or(entry.name()).map(str::to_owned);
    let (first, second) = (name(one), name(other));
    one.descriptor.digest == other.descriptor.digest
        && (first.is_none() || second.is_none() || first == second)
}

/// How to ask for one of several entries that share a name.
fn distinction(entry: &Entry) -> String {
    let platform = entry.descriptor.platform.as_ref().map(|platform| format!(" ({platform})"));
    format!("@{}{} {}", entry.position, platform.unwrap_or_default(), entry.label())
}

/// A name on a descriptor in a nested index means nothing (IMG-13).
fn without_names(mut descriptor: Descriptor) -> Descriptor {
    descriptor.annotations.remove(transship_spec::annotations::REF_NAME);
    descriptor.annotations.remove(transship_spec::annotations::CONTAINERD_NAME);
    descriptor
}
