//! The entries of an index as they will be, first without any marks.

use std::collections::HashSet;

use transship_spec::{Descriptor, Digest, Document, referrers};

use super::{Marked, Unsaid};
use crate::edit::IndexEdit;
use crate::index::{Index, parse_entry};
use crate::layout::INDEX;
use crate::marks::{self, KIND, Mark};
use crate::{Error, Layout, Result, graph, read_document};

/// An index that is being marked.
pub(super) struct Sheet<'a> {
    pub(super) layout: &'a Layout,
    index: Index,
    pub(super) items: Vec<Item>,
    pub(super) found: graph::Referrers,
    /// Lists of referrers that are to be written.
    pub(super) documents: Vec<Document>,
    pub(super) unsaid: Vec<Unsaid>,
}

/// An entry as it will be.
pub(super) struct Item {
    /// Its place, if it is there, and what it says there.
    slot: Option<(usize, Descriptor)>,
    text: String,
    pub(super) entry: Descriptor,
    pub(super) role: Role,
    pub(super) gone: bool,
}

/// What an entry is to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// It stands for itself.
    Root,
    /// It bears a digest tag.
    Tag { subject: Digest, end: String },
    /// It lists referrers, under a fallback tag.
    List { subject: Digest },
    /// It has a subject, and no name.
    Referrer { subject: Digest },
}

impl Item {
    /// A new one.
    pub(super) fn new(entry: Descriptor, role: Role) -> Result<Self> {
        let text = serde_json::to_string(&entry);
        let text = text.map_err(|error| Error::Storage {
            doing: "writing",
            path: INDEX.into(),
            source: error.into(),
        })?;
        Ok(Self { slot: None, text, entry, role, gone: false })
    }

    /// Sets annotations, or takes them away.
    pub(super) fn annotate(&mut self, changes: &[(&str, Option<&str>)]) -> Result<()> {
        self.text = marks::annotated(&self.text, changes).map_err(malformed)?;
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.entry.annotations.insert((*key).to_owned(), (*value).to_owned())),
                None => drop(self.entry.annotations.remove(*key)),
            }
        }
        Ok(())
    }

    /// Lets it point at another document.
    pub(super) fn repoint(&mut self, new: &Descriptor) -> Result<()> {
        self.text = transship_spec::splice::repointed(&self.text, &self.entry, new).map_err(malformed)?;
        (self.entry.digest, self.entry.size) = (new.digest.clone(), new.size);
        self.entry.media_type = new.media_type.clone();
        self.entry.data = None;
        Ok(())
    }

    /// The text that takes the place of what is there, if it says something else.
    fn rewritten(&self) -> Option<&str> {
        let same = self.slot.as_ref().is_some_and(|(_, before)| *before == self.entry);
        (!self.gone && !same).then_some(self.text.as_str())
    }
}

fn malformed(source: transship_spec::Error) -> Error {
    Error::Malformed { path: INDEX.into(), source }
}

impl<'a> Sheet<'a> {
    /// Reads all entries; marks become what they mean.
    pub(super) fn read(layout: &'a Layout, index: Index) -> Result<Self> {
        let malformed = |source| Error::Malformed { path: layout.0.at(INDEX), source };
        let mut items = Vec::new();
        for position in 0..index.len() {
            let text = index.entry_text(position);
            let before = parse_entry(text, position).map_err(malformed)?.descriptor;
            let mut entry = index.entry(position).map_err(malformed)?;
            let is_marked = Mark::of(&before.annotations).is_some();
            let text = match index.meaning(position) {
                Some(meaning) => marks::write_out(text, meaning).map_err(malformed)?,
                None if is_marked => marks::annotated(text, &[(KIND, None)]).map_err(malformed)?,
                None => text.to_owned(),
            };
            if is_marked {
                entry.descriptor.annotations.remove(KIND);
            }
            let role = role(layout, &entry);
            items.push(Item {
                slot: Some((position, before)),
                text,
                entry: entry.descriptor,
                role,
                gone: false,
            });
        }
        let found = graph::referrers_of(layout)?;
        let mut sheet = Self { layout, index, items, found, documents: Vec::new(), unsaid: Vec::new() };
        sheet.leave_one_of_each_referrer();
        Ok(sheet)
    }

    /// Without their marks, entries may say the same.
    fn leave_one_of_each_referrer(&mut self) {
        let mut seen = HashSet::new();
        for item in self.items.iter_mut().filter(|item| matches!(item.role, Role::Referrer { .. })) {
            item.gone = !seen.insert(item.entry.digest.clone());
        }
    }

    pub(super) fn cannot(&mut self, digest: &Digest, why: &'static str) {
        self.unsaid.push(Unsaid { digest: digest.clone(), why });
    }

    /// Lists of referrers become entries, if these say themselves what they refer to.
    pub(super) fn dissolve_lists(&mut self) -> Result<()> {
        for at in 0..self.items.len() {
            let Role::List { subject } = self.items[at].role.clone() else { continue };
            let listed = match read_document(self.layout, &self.items[at].entry) {
                Ok(list) => list.as_index().map(|index| index.manifests.clone()).unwrap_or_default(),
                Err(_) => {
                    let list = self.items[at].entry.digest.clone();
                    self.cannot(&list, "it lists referrers, and cannot be read");
                    continue;
                }
            };
            let mut members = Vec::new();
            let mut silent = Vec::new();
            for member in listed {
                match read_document(self.layout, &member) {
                    Ok(document) if document.subject().is_some_and(|of| of.digest == subject) => {
                        members.push(document);
                    }
                    _ => silent.push(member.digest),
                }
            }
            if !silent.is_empty() {
                // All that the list says stays in it.
                silent.iter().for_each(|digest| self.cannot(digest, "only a list says what it refers to"));
                continue;
            }
            self.items[at].gone = true;
            members.iter().try_for_each(|member| self.add_referrer(member, &subject))?;
        }
        Ok(())
    }

    fn add_referrer(&mut self, document: &Document, subject: &Digest) -> Result<()> {
        let digest = document.digest();
        if self.items.iter().any(|item| !item.gone && item.entry.digest == *digest) {
            return Ok(());
        }
        let artifact_type = document.artifact_type().cloned();
        let entry = Descriptor { artifact_type, ..document.descriptor() };
        self.items.push(Item::new(entry, Role::Referrer { subject: subject.clone() })?);
        Ok(())
    }

    /// Changes the index; nothing and `false`, if it is another one than that which was read.
    pub(super) fn apply(&self, edit: &mut IndexEdit<'_>) -> bool {
        if !edit.is_of(&self.index.text) {
            return false;
        }
        for item in &self.items {
            match (&item.slot, item.rewritten()) {
                (Some((slot, _)), _) if item.gone => edit.remove_positions(&[*slot]),
                (Some((slot, _)), Some(text)) => edit.rewrite(*slot, text.to_owned()),
                (None, Some(text)) => edit.append(text.to_owned()),
                _ => {}
            }
        }
        true
    }

    pub(super) fn marked(&self) -> Marked {
        let referrers: HashSet<&Digest> =
            self.found.iter().flat_map(|(_, of)| of.iter().map(|referrer| &referrer.digest)).collect();
        let is_tag = |item: &&Item| !item.gone && matches!(item.role, Role::Tag { .. });
        let changes = |item: &&Item| item.gone && item.slot.is_some() || item.rewritten().is_some();
        Marked {
            referrers: referrers.len(),
            digest_tags: self.items.iter().filter(is_tag).count(),
            changed: self.items.iter().filter(changes).count(),
            unsaid: self.unsaid.clone(),
        }
    }
}

fn role(layout: &Layout, entry: &crate::Entry) -> Role {
    if let Some(tag) = entry.tag() {
        if let Some((subject, end)) = referrers::digest_tag(tag) {
            return Role::Tag { subject, end: end.to_owned() };
        }
        let subject = referrers::subject_of_fallback_tag(tag);
        if let Some(subject) = subject.filter(|_| entry.descriptor.media_type.is_index()) {
            return Role::List { subject };
        }
    }
    if entry.name().is_some() || entry.full_name().is_some() || !entry.descriptor.media_type.is_document() {
        return Role::Root;
    }
    let document = read_document(layout, &entry.descriptor);
    match document.ok().and_then(|document| document.subject().map(|subject| subject.digest.clone())) {
        Some(subject) => Role::Referrer { subject },
        None => Role::Root,
    }
}
