//! `index.json` as text with known places: read once, cut into entries, never built as a whole (design law 1).

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;

use transship_spec::{Descriptor, json};

use crate::dir::FileState;
use crate::layout::{INDEX, Inner};
use crate::marks::{self, Meaning};
use crate::names::{Glance, Names};
use crate::{Error, Result};

/// The largest `index.json` that is read, in bytes: about a million names.
pub(crate) const MAX_INDEX: u64 = 256 << 20;

/// One entry of `index.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The entry's place in `index.json`, from zero; past its end for content that is only reachable through an entry.
    pub position: usize,
    /// The descriptor, with its annotations.
    pub descriptor: Descriptor,
    full: Option<String>,
    tag: Option<String>,
}

impl Entry {
    /// The entry that this descriptor is. Other [`Source`](crate::Source)s than a layout make theirs with it.
    #[must_use]
    pub fn new(position: usize, descriptor: Descriptor) -> Self {
        let names = Names::of(&descriptor);
        let (full, tag) = (names.full(), names.tag().map(str::to_owned));
        Self { position, full, tag, descriptor }
    }

    /// The name as it is written: `org.opencontainers.image.ref.name`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let name = self.descriptor.annotations.get(transship_spec::annotations::REF_NAME)?;
        (!name.is_empty()).then_some(name)
    }

    /// The full reference, in the spelling of [`transship_spec::Reference`], where the entry has one.
    #[must_use]
    pub fn full_name(&self) -> Option<&str> {
        self.full.as_deref()
    }

    /// The tag: the short name, or the part of a full one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// What the entry is best called: its full name, its written name, or its digest.
    #[must_use]
    pub fn label(&self) -> String {
        let name = self.full_name().or(self.name());
        name.map_or_else(|| self.descriptor.digest.to_string(), str::to_owned)
    }
}

/// The text of an `index.json` and where its entries lie.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) text: String,
    /// The value of `manifests`: an array or `null`.
    pub(crate) manifests: Range<usize>,
    pub(crate) entries: Vec<Range<usize>>,
    /// What marked entries are called instead of what is written.
    meanings: HashMap<usize, Meaning>,
}

impl Index {
    /// Reads the index of a layout; tells also the state in which its file was.
    pub(crate) fn load(inner: &Inner) -> Result<(Self, FileState)> {
        const TRIES: usize = 5;
        for attempt in 1.. {
            let (text, state) = read(inner)?;
            let torn = inner.read(INDEX)?.is_none_or(|now| now.state != state);
            // Tools that write in place can be met half way.
            if torn && attempt < TRIES {
                continue;
            }
            let index =
                Self::parse(text).map_err(|source| Error::Malformed { path: inner.at(INDEX), source })?;
            return Ok((index, state));
        }
        Err(Error::Unsettled { path: inner.at(INDEX) })
    }

    /// Finds the entries in the text of an index (IMG-05, IMG-105).
    pub(crate) fn parse(text: Vec<u8>) -> Result<Self, transship_spec::Error> {
        let wrong =
            |reason: &str| transship_spec::Error::Document { what: "index.json", reason: reason.to_owned() };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        let outline = match text.trim_ascii_start().first() {
            // Malformed values are told as such, whatever they are.
            Some(b'{') => json::outline(&text)?,
            _ => return Err(json::validate(&text).err().unwrap_or_else(|| wrong("it is not an object"))),
        };
        let mut schema = None;
        let mut manifests = None;
        for json::Outlined { member, elements } in outline {
            match member.name.as_str() {
                "schemaVersion" => schema = Some(member.value),
                "manifests" => manifests = Some((member.value, elements)),
                _ => {}
            }
        }
        match schema.map(|value| &text[value]) {
            Some(b"2") => {}
            Some(_) => return Err(wrong("its schemaVersion is not 2")),
            None => return Err(wrong("it has no schemaVersion")),
        }
        let (manifests, entries) = match manifests {
            Some((value, Some(elements))) => (value, elements),
            Some((value, None)) if text[value.clone()] == *b"null" => (value, Vec::new()),
            Some(_) => return Err(wrong("its manifests are not an array")),
            None => return Err(wrong("it has no manifests")),
        };
        let text = String::from_utf8(text).map_err(|_| wrong("it is not UTF-8"))?;
        let mut index = Self { text, manifests, entries, meanings: HashMap::new() };
        if marks::may_hold(&index.text) {
            let entries = (0..index.len())
                .filter_map(|at| Some((at, parse_entry(index.entry_text(at), at).ok()?.descriptor)));
            index.meanings = marks::meanings(&entries.collect::<Vec<_>>());
        }
        Ok(index)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The text of one entry.
    pub(crate) fn entry_text(&self, position: usize) -> &str {
        self.entries.get(position).and_then(|range| self.text.get(range.clone())).unwrap_or_default()
    }

    /// The view of one entry, with the name that its mark means.
    pub(crate) fn entry(&self, position: usize) -> Result<Entry, transship_spec::Error> {
        let entry = parse_entry(self.entry_text(position), position)?;
        let Some(meaning) = self.meaning(position) else { return Ok(entry) };
        let mut descriptor = entry.descriptor;
        marks::give(meaning, &mut descriptor.annotations);
        Ok(Entry::new(position, descriptor))
    }

    /// What a marked entry is called.
    pub(crate) fn meaning(&self, position: usize) -> Option<&Meaning> {
        self.meanings.get(&position)
    }

    /// The positions of all entries whose marks mean something.
    pub(crate) fn marked(&self) -> impl Iterator<Item = (usize, &Meaning)> {
        self.meanings.iter().map(|(position, meaning)| (*position, meaning))
    }

    /// The names of one entry, as far as they can be read.
    pub(crate) fn names(&self, position: usize) -> Option<Names<'_>> {
        match self.meaning(position) {
            Some(Some(name)) => Some(name.names()),
            Some(None) => Some(Names::default()),
            None => Some(self.glance(position)?.names()),
        }
    }

    /// The positions of entries that may hold one of these texts, without a look at what they mean.
    ///
    /// Escapes can hide a text, so an entry with any of them may hold it too.
    pub(crate) fn mentioning<'a>(&'a self, texts: &'a [&'a str]) -> impl Iterator<Item = usize> + 'a {
        (0..self.len()).filter(move |&position| {
            let entry = self.entry_text(position);
            self.meanings.contains_key(&position)
                || entry.contains('\\')
                || texts.iter().any(|text| entry.contains(text))
        })
    }

    /// The digest and names of one entry, as far as they can be read.
    pub(crate) fn glance(&self, position: usize) -> Option<Glance<'_>> {
        Glance::at(self.entry_text(position))
    }
}

/// Reads one entry from its text.
pub(crate) fn parse_entry(text: &str, position: usize) -> Result<Entry, transship_spec::Error> {
    let descriptor = serde_json::from_str(text).map_err(|error| transship_spec::Error::Document {
        what: "index.json",
        reason: format!("entry {position}: {error}"),
    })?;
    Ok(Entry::new(position, descriptor))
}

fn read(inner: &Inner) -> Result<(Vec<u8>, FileState)> {
    let not = || Error::NotALayout { path: inner.path.clone(), reason: "it has no index.json".to_owned() };
    let too_large = || Error::Limit { what: "the size of index.json in bytes", limit: MAX_INDEX };
    let opened = inner.read(INDEX)?.ok_or_else(not)?;
    if opened.state.size > MAX_INDEX {
        return Err(too_large());
    }
    let mut text = Vec::with_capacity(usize::try_from(opened.state.size).unwrap_or(0).saturating_add(1));
    std::fs::File::from(opened.fd)
        .take(MAX_INDEX + 1)
        .read_to_end(&mut text)
        .map_err(Error::storage("reading", inner.at(INDEX)))?;
    if text.len() as u64 > MAX_INDEX {
        return Err(too_large());
    }
    Ok((text, opened.state))
}
