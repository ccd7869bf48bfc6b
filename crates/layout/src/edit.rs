//! Changing `index.json` by splicing: what is not changed keeps its very bytes (design law 1, section 3).

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;

use serde_json::value::RawValue;
use transship_spec::annotations::{CONTAINERD_NAME, REF_NAME};
use transship_spec::{Descriptor, Digest, json};

use crate::index::{Entry, Index, parse_entry};
use crate::marks::{self, Meaning};
use crate::names::{Glance, Name, Names, spelling, words};
use crate::{Error, Result};

/// The entries of `index.json` while they are being changed, beneath the lock.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use transship_layout::{Layout, Name};
/// use transship_spec::Descriptor;
///
/// let layout = Layout::options().create(folder.path())?;
/// let empty = Descriptor::empty();
/// layout.edit(|index| {
///     index.set(&Name::short("nothing")?, &empty)?;
///     index.remove(&Name::short("old")?)
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct IndexEdit<'a> {
    /// The file, for messages.
    path: PathBuf,
    index: &'a Index,
    slots: Vec<Slot>,
    /// Made when the first change asks for it.
    lookup: Option<Lookup>,
    changed: bool,
}

/// One entry as it will be.
#[derive(Debug)]
enum Slot {
    /// As it is, at its place.
    Kept,
    /// With another text, at its place; `None` for a new one at the end.
    Text(String),
    Removed,
}

/// Where to look for a name or a digest: slots by words of their names, and by digest. It may lead to slots that do not
/// fit, or not any more, and so whoever asks looks at each.
#[derive(Debug, Default)]
struct Lookup {
    words: HashMap<String, Vec<usize>>,
    digests: HashMap<String, Vec<usize>>,
}

impl Lookup {
    fn add(&mut self, slot: usize, glance: Glance<'_>, meaning: Option<&Meaning>) {
        let mut note = |map: fn(&mut Self) -> &mut HashMap<String, Vec<usize>>, key: &str| match map(self)
            .get_mut(key)
        {
            Some(slots) if slots.last() == Some(&slot) => {}
            Some(slots) => slots.push(slot),
            None => drop(map(self).insert(key.to_owned(), vec![slot])),
        };
        note(|lookup| &mut lookup.digests, &glance.digest);
        let names = match meaning {
            None => glance.names(),
            Some(meaning) => meaning.as_ref().map(Name::names).unwrap_or_default(),
        };
        for name in [&names.written, &names.containerd].into_iter().flatten() {
            words(name).for_each(|word| note(|lookup| &mut lookup.words, word));
        }
    }
}

impl<'a> IndexEdit<'a> {
    pub(crate) fn new(path: PathBuf, index: &'a Index) -> Self {
        let slots = std::iter::repeat_with(|| Slot::Kept).take(index.len()).collect();
        Self { path, index, slots, lookup: None, changed: false }
    }

    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// The entries as they are now, in order.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the first entry that is no descriptor.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let live = (0..self.slots.len()).filter(|slot| self.text(*slot).is_some());
        live.enumerate()
            .map(|(position, slot)| Ok(Entry::new(position, self.view(slot)?.descriptor)))
            .collect()
    }

    /// Gives a name to this content. Afterwards exactly one entry bears the name.
    ///
    /// The entry that bore it keeps its place and takes the new content; under another name that it has besides, the
    /// old content stays. Annotations of the descriptor are written; names among them are replaced.
    /// Returns what the name stood for before.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the entry that bears the name is no descriptor.
    pub fn set(&mut self, name: &Name, descriptor: &Descriptor) -> Result<Option<Descriptor>> {
        let mut named = descriptor.clone();
        name.annotate(&mut named.annotations);
        let bearers = self.bearers(name);
        let mut before = None;
        let mut placed = false;
        for slot in bearers {
            let old = self.view(slot)?.descriptor;
            if !placed && self.is_only_name(&old, name) {
                placed = true;
                if old != named {
                    self.replace(slot, &named);
                }
            } else {
                self.drop_name(slot, &old, name)?;
            }
            before.get_or_insert(old);
        }
        if !placed {
            self.push(&named);
        }
        Ok(before)
    }

    /// Adds content without a name, unless an entry with it is there already: this is how referrers are listed.
    ///
    /// Names among the descriptor's annotations are left out. Tells whether an entry was added.
    ///
    /// # Errors
    /// [`Error::Malformed`] when an entry with this digest is no descriptor.
    pub fn add(&mut self, descriptor: &Descriptor) -> Result<bool> {
        self.add_unless(descriptor, |_| true)
    }

    /// Adds content without a name on request, so that it stays when names move away from it: also beside an entry that
    /// has a name. Tells whether an entry was added.
    ///
    /// # Errors
    /// As [`IndexEdit::add`].
    pub fn pin(&mut self, descriptor: &Descriptor) -> Result<bool> {
        self.add_unless(descriptor, |entry| Names::of(entry).is_empty())
    }

    fn add_unless(&mut self, descriptor: &Descriptor, counts: impl Fn(&Descriptor) -> bool) -> Result<bool> {
        for slot in self.pointing_at(&descriptor.digest) {
            let entry = self.view(slot)?.descriptor;
            if entry.is_same_content(descriptor) && counts(&entry) {
                return Ok(false);
            }
        }
        let mut nameless = descriptor.clone();
        nameless.annotations.remove(REF_NAME);
        nameless.annotations.remove(CONTAINERD_NAME);
        self.push(&nameless);
        Ok(true)
    }

    /// Takes a name away, with the entry that bears it unless that has another name. Tells whether it was there.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the entry that bears the name is no descriptor.
    pub fn remove(&mut self, name: &Name) -> Result<bool> {
        let bearers = self.bearers(name);
        for &slot in &bearers {
            let old = self.view(slot)?.descriptor;
            if self.is_only_name(&old, name) {
                self.remove_slot(slot);
            } else {
                self.drop_name(slot, &old, name)?;
            }
        }
        Ok(!bearers.is_empty())
    }

    /// Removes every entry that points at this digest, whatever its names. Tells how many there were.
    pub fn remove_digest(&mut self, digest: &Digest) -> usize {
        let slots = self.pointing_at(digest);
        for &slot in &slots {
            self.remove_slot(slot);
        }
        slots.len()
    }

    /// Removes the entries at these positions of the index as it was read.
    pub(crate) fn remove_positions(&mut self, positions: &[usize]) {
        for &position in positions {
            self.remove_slot(position);
        }
    }

    /// Removes the entries without a name that point at this digest. Tells how many there were.
    ///
    /// # Errors
    /// [`Error::Malformed`] when such an entry is no descriptor.
    pub fn unpin(&mut self, digest: &Digest) -> Result<usize> {
        let mut removed = 0;
        for slot in self.pointing_at(digest) {
            if Names::of(&self.view(slot)?.descriptor).is_empty() {
                self.remove_slot(slot);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The slots that bear a name. A tag that is only part of a full name counts when no entry bears the tag itself,
    /// and one entry alone has it.
    fn bearers(&mut self, name: &Name) -> Vec<usize> {
        let key = name.key();
        let word = words(&key).next().unwrap_or_default();
        let mut candidates = self.lookup().words.get(word).cloned().unwrap_or_default();
        candidates.sort_unstable();
        candidates.dedup();
        let glances = candidates.into_iter().filter_map(|slot| Some((slot, self.names(slot)?)));
        let (mut bearers, mut hints) = (Vec::new(), Vec::new());
        for (slot, names) in glances {
            if names.claims().contains(&key) {
                bearers.push(slot);
            } else if names.written.as_deref() == Some(key.as_str()) {
                hints.push(slot);
            }
        }
        if bearers.is_empty() && hints.len() == 1 { hints } else { bearers }
    }

    fn pointing_at(&mut self, digest: &Digest) -> Vec<usize> {
        let digest = digest.to_string();
        let mut slots = self.lookup().digests.get(&digest).cloned().unwrap_or_default();
        slots.sort_unstable();
        slots.dedup();
        let points = |slot: &usize| {
            let glance = self.text(*slot).and_then(Glance::at);
            glance.is_some_and(|glance| glance.digest == digest)
        };
        slots.retain(points);
        slots
    }

    /// Whether an entry would have no name left without this one.
    fn is_only_name(&self, entry: &Descriptor, name: &Name) -> bool {
        let names = Names::of(entry);
        let key = name.key();
        names.claims().iter().all(|claim| *claim == key)
            || (names.is_one_name() && names.written.as_deref() == Some(name.as_str()))
    }

    /// Cuts a name out of an entry that has another one; the rest of the entry keeps its bytes.
    fn drop_name(&mut self, slot: usize, entry: &Descriptor, name: &Name) -> Result<()> {
        if self.is_only_name(entry, name) {
            self.remove_slot(slot);
            return Ok(());
        }
        let names = Names::of(entry);
        let key = name.key();
        let bears = |written: &Option<std::borrow::Cow<'_, str>>| {
            written.as_deref().is_some_and(|written| spelling(written) == key)
        };
        let mut text = self.text(slot).unwrap_or_default().to_owned();
        if let Some(meaning) = self.meaning(slot) {
            text = marks::write_out(&text, meaning).map_err(self.malformed())?;
        }
        for (key, bears) in [(REF_NAME, bears(&names.written)), (CONTAINERD_NAME, bears(&names.containerd))] {
            if bears {
                text = without_annotation(&text, key).map_err(self.malformed())?;
            }
        }
        self.put(slot, text);
        Ok(())
    }

    fn view(&self, slot: usize) -> Result<Entry> {
        let entry = parse_entry(self.text(slot).unwrap_or_default(), slot).map_err(self.malformed())?;
        let Some(meaning) = self.meaning(slot) else { return Ok(entry) };
        let mut descriptor = entry.descriptor;
        marks::give(meaning, &mut descriptor.annotations);
        Ok(Entry::new(slot, descriptor))
    }

    /// What an entry that was not changed is called by its mark.
    fn meaning(&self, slot: usize) -> Option<&'a Meaning> {
        matches!(self.slots.get(slot), Some(Slot::Kept)).then(|| self.index.meaning(slot)).flatten()
    }

    fn names(&self, slot: usize) -> Option<Names<'_>> {
        match self.slots.get(slot)? {
            Slot::Kept => self.index.names(slot),
            Slot::Text(text) => Some(Glance::at(text)?.names()),
            Slot::Removed => None,
        }
    }

    /// Whether this is an edit of the index with this text.
    pub(crate) fn is_of(&self, text: &str) -> bool {
        self.index.text == text
    }

    /// Gives an entry another text.
    pub(crate) fn rewrite(&mut self, position: usize, text: String) {
        self.put(position, text);
    }

    /// Adds an entry with this text.
    pub(crate) fn append(&mut self, text: String) {
        self.slots.push(Slot::Removed);
        self.put(self.slots.len() - 1, text);
    }

    /// Writes out what marks mean that lost their meaning by the changes: the image that they speak of has another name
    /// now, or went. To be called when all is changed.
    pub(crate) fn settle(&mut self) -> Result<()> {
        let kept: Vec<(usize, &Meaning)> =
            self.index.marked().filter(|(slot, _)| self.meaning(*slot).is_some()).collect();
        if kept.is_empty() || !self.changed {
            return Ok(());
        }
        let live = (0..self.slots.len()).filter_map(|slot| Some((slot, self.text(slot)?)));
        let live = live.filter_map(|(slot, text)| Some((slot, parse_entry(text, slot).ok()?.descriptor)));
        let now = marks::meanings(&live.collect::<Vec<_>>());
        for (slot, meaning) in kept {
            if now.get(&slot) != Some(meaning) {
                let text = marks::write_out(self.index.entry_text(slot), meaning);
                self.put(slot, text.map_err(self.malformed())?);
            }
        }
        Ok(())
    }

    /// The text of a slot; `None` when it is removed.
    fn text(&self, slot: usize) -> Option<&str> {
        match self.slots.get(slot)? {
            Slot::Kept => Some(self.index.entry_text(slot)),
            Slot::Text(text) => Some(text),
            Slot::Removed => None,
        }
    }

    fn malformed(&self) -> impl Fn(transship_spec::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::Malformed { path: path.clone(), source }
    }

    fn push(&mut self, descriptor: &Descriptor) {
        self.slots.push(Slot::Removed);
        self.replace(self.slots.len() - 1, descriptor);
    }

    fn replace(&mut self, slot: usize, descriptor: &Descriptor) {
        let text = serde_json::value::to_raw_value(descriptor).map(|raw: Box<RawValue>| raw.get().to_owned());
        // Writing a descriptor cannot fail: all its keys are texts.
        self.put(slot, text.unwrap_or_default());
    }

    fn put(&mut self, slot: usize, text: String) {
        if let (Some(lookup), Some(glance)) = (&mut self.lookup, Glance::at(&text)) {
            lookup.add(slot, glance, None);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Slot::Text(text);
        }
        self.changed = true;
    }

    fn remove_slot(&mut self, slot: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Slot::Removed;
        }
        self.changed = true;
    }

    fn lookup(&mut self) -> &Lookup {
        let index = self.index;
        self.lookup.get_or_insert_with(|| {
            let mut lookup = Lookup::default();
            for slot in 0..index.len() {
                if let Some(glance) = index.glance(slot) {
                    lookup.add(slot, glance, index.meaning(slot));
                }
            }
            lookup
        })
    }

    /// Writes the whole index with its changes. Between entries that stay neighbours nothing changes; new ones are set
    /// apart as the first entry is.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let text = self.index.text.as_bytes();
        let old = &self.index.entries;
        let array = self.index.manifests.clone();
        let lead = old.first().map_or(&b""[..], |first| &text[array.start + 1..first.start]);
        out.write_all(&text[..array.start])?;
        out.write_all(b"[")?;
        let mut previous: Option<usize> = None;
        // Kept entries that follow each other are written in one go, with what stands between them.
        let mut run: Option<Range<usize>> = None;
        for slot in 0..self.slots.len() {
            let Some(entry) = self.text(slot) else { continue };
            let follows = previous.is_some_and(|before| before + 1 == slot) && slot < old.len();
            let place = old.get(slot).filter(|_| matches!(self.slots[slot], Slot::Kept));
            if let (Some(run), Some(place), true) = (&mut run, place, follows) {
                run.end = place.end;
            } else {
                if let Some(run) = run.take() {
                    out.write_all(&text[run])?;
                }
                match previous {
                    Some(before) if follows => out.write_all(&text[old[before].end..old[slot].start])?,
                    Some(_) => {
                        out.write_all(b",")?;
                        out.write_all(lead)?;
                    }
                    None => out.write_all(lead)?,
                }
                match place {
                    Some(place) => run = Some(place.clone()),
                    None => out.write_all(entry.as_bytes())?,
                }
            }
            previous = Some(slot);
        }
        if let Some(run) = run {
            out.write_all(&text[run])?;
        }
        if let (Some(last), Some(_)) = (old.last(), previous) {
            out.write_all(&text[last.end..array.end - 1])?;
        }
        out.write_all(b"]")?;
        out.write_all(&text[array.end..])
    }
}

/// An entry's text without one of its annotations, all other bytes as they were.
fn without_annotation(entry: &str, key: &str) -> Result<String, transship_spec::Error> {
    let bytes = entry.as_bytes();
    let members = json::members(bytes, 0..bytes.len())?;
    let Some(annotations) = members.iter().find(|member| member.name == "annotations") else {
        return Ok(entry.to_owned());
    };
    let inside = json::members(bytes, annotations.value.clone())?;
    let Some(at) = inside.iter().position(|member| member.name == key) else { return Ok(entry.to_owned()) };
    // With the comma before it, or the one after it if it is the first.
    let cut = match (at.checked_sub(1).and_then(|before| inside.get(before)), inside.get(at + 1)) {
        (Some(before), _) => before.range.end..inside[at].range.end,
        (None, Some(after)) => inside[at].range.start..after.range.start,
        (None, None) => inside[at].range.clone(),
    };
    let (before, after) =
        (entry.get(..cut.start).unwrap_or_default(), entry.get(cut.end..).unwrap_or_default());
    Ok(format!("{before}{after}"))
}
