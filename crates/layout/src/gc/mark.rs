//! The plan: which entries and blobs stay, and why.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;

use transship_spec::{Descriptor, Digest, Document, MediaType, referrers};

use super::inventory::{Inventory, is_older};
use super::{GcEntry, GcOptions, GcPlan, GcReason, sweep};
use crate::blobs::blob_path;
use crate::check::holes::{self, Kept};
use crate::dir::FileState;
use crate::index::Index;
use crate::layout::INDEX;
use crate::names::{Names, tag_of};
use crate::{Error, Layout, Result, lease, read_document};

/// A plan with what it was made from.
pub(super) struct Draft {
    pub(super) index: Index,
    /// The state of `index.json` when it was read.
    pub(super) state: FileState,
    /// Entries that go, by position.
    pub(super) dropped: Vec<usize>,
    /// Blobs that go: those without a mark.
    pub(super) inventory: Inventory,
    pub(super) marks: Vec<Mark>,
    /// Partial downloads that go.
    pub(super) partials: Vec<String>,
    pub(super) plan: GcPlan,
}

/// What keeps a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Nothing,
    Index,
    Lease,
    Youth,
}

impl Draft {
    /// Finds out what goes. `all_entries` keeps every entry.
    pub(super) fn make(layout: &Layout, options: &GcOptions, now: i64, all_entries: bool) -> Result<Self> {
        let inner = &layout.0;
        // Leases first: what is written and listed afterwards is found in the index.
        let leased = lease::relied_on(inner)?;
        let (index, state) = Index::load(inner)?;
        let inventory = Inventory::take(inner)?;
        let mut marker = Marker::new(layout, &inventory, options.sparse);
        marker.roots(&index, options.untagged, all_entries)?;
        marker.run(Mark::Index)?;
        for digest in &leased {
            marker.hold(digest, Mark::Lease)?;
        }
        for position in 0..inventory.blobs.len() {
            let blob = &inventory.blobs[position];
            if marker.marks[position] == Mark::Nothing && !is_older(blob.changed, now, options.grace) {
                marker.hold(&blob.digest, Mark::Youth)?;
            }
        }
        let Marker { marks, entries, holes, .. } = marker;
        let mut plan = GcPlan { holes, strays: inventory.strays, ..GcPlan::default() };
        for (blob, mark) in inventory.blobs.iter().zip(&marks) {
            match mark {
                Mark::Nothing => plan.blobs.push((blob.digest.clone(), blob.size)),
                Mark::Index => plan.reachable.add(blob.size),
                Mark::Lease => plan.leased.add(blob.size),
                Mark::Youth => plan.young.add(blob.size),
            }
        }
        let mut dropped = Vec::new();
        for root in entries.into_iter().filter(|root| !root.stays) {
            let why = root.why();
            dropped.push(root.position);
            plan.entries.push(GcEntry { digest: root.descriptor.digest, name: root.name, why });
        }
        let partials = sweep::stale_partials(inner, &inventory, options, now, &mut plan);
        plan.temporaries = crate::scratch::Scratch::new(inner).count_abandoned();
        Ok(Self { index, state, dropped, inventory, marks, partials, plan })
    }
}

/// An entry that may go.
struct Root {
    position: usize,
    descriptor: Descriptor,
    name: Option<String>,
    /// What it speaks of.
    subject: Option<Digest>,
    stays: bool,
}

impl Root {
    fn why(&self) -> GcReason {
        self.subject.clone().map_or(GcReason::Untagged, GcReason::SubjectGoes)
    }
}

/// How something was come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// An entry of the index.
    Entry,
    /// The member of an index: a manifest, whatever its type.
    Member,
    /// The same, for a platform that the entry declares to be left out.
    Hole,
    /// Config, layer or blob of a manifest.
    Content,
    /// Through something that is still being written: it need not be whole.
    Held,
}

/// Goes through the graph and marks.
struct Marker<'a> {
    layout: &'a Layout,
    inventory: &'a Inventory,
    sparse: bool,
    marks: Vec<Mark>,
    /// Documents that were followed, by their place in the inventory …
    followed: Vec<bool>,
    /// … and those that are not in it: embedded ones, and ones behind links.
    followed_elsewhere: HashSet<Digest>,
    /// The platforms that are kept of indexes whose entries say so.
    kept_platforms: HashMap<Digest, Kept>,
    /// Weak entries that are not known to stay, by what they wait for.
    waiting: HashMap<Digest, Vec<usize>>,
    entries: Vec<Root>,
    holes: u64,
    stack: Vec<(Descriptor, Way)>,
}

impl<'a> Marker<'a> {
    fn new(layout: &'a Layout, inventory: &'a Inventory, sparse: bool) -> Self {
        Self {
            layout,
            inventory,
            sparse,
            marks: vec![Mark::Nothing; inventory.blobs.len()],
            followed: vec![false; inventory.blobs.len()],
            followed_elsewhere: HashSet::new(),
            kept_platforms: HashMap::new(),
            waiting: HashMap::new(),
            entries: Vec::new(),
            holes: 0,
            stack: Vec::new(),
        }
    }

    /// Tells strong entries from weak ones. Strong ones, and those that speak of what is not here, are to be followed.
    fn roots(&mut self, index: &Index, untagged: bool, all: bool) -> Result<()> {
        let mut held = Vec::new();
        let mut roots = holes::Roots::default();
        for position in 0..index.len() {
            let malformed = |source| Error::Malformed { path: self.layout.0.at(INDEX), source };
            let mut descriptor = index.entry(position).map_err(malformed)?.descriptor;
            let claims = Names::of(&descriptor).claims();
            roots.add(&descriptor);
            descriptor.annotations.clear();
            let subjects = match claims.as_slice() {
                [] => self.subject(&descriptor)?.into_iter().collect(),
                // One name of its own, among others, makes an entry strong.
                claims => {
                    claims.iter().map(|name| spoken_of(name)).collect::<Option<Vec<_>>>().unwrap_or_default()
                }
            };
            let is_weak = !subjects.is_empty();
            let is_released = untagged && claims.is_empty() && !is_weak;
            if all {
                // What an entry speaks of must not go before it: it would be taken for something that was never here.
                held.extend(subjects);
                self.stack.push((descriptor, Way::Entry));
            } else if is_released || is_weak && self.all_here(&subjects)? {
                let slot = self.entries.len();
                for subject in &subjects {
                    self.waiting.entry(subject.clone()).or_default().push(slot);
                }
                let (name, subject) = (claims.into_iter().next(), subjects.into_iter().next());
                self.entries.push(Root { position, descriptor, name, subject, stays: false });
            } else {
                self.stack.push((descriptor, Way::Entry));
            }
        }
        self.kept_platforms = roots.kept();
        held.iter().try_for_each(|subject| self.hold(subject, Mark::Index))
    }

    /// What a manifest without a name refers to.
    fn subject(&self, descriptor: &Descriptor) -> Result<Option<Digest>> {
        if !descriptor.media_type.is_document() {
            return Ok(None);
        }
        let document = read_document(self.layout, descriptor).map_err(unreadable(&descriptor.digest))?;
        Ok(document.subject().map(|subject| subject.digest.clone()))
    }

    fn all_here(&self, digests: &[Digest]) -> Result<bool> {
        for digest in digests {
            if self.inventory.find(digest).is_none() && self.layout.size(digest)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps a blob that the index does not lead to, and what that leads to in turn.
    fn hold(&mut self, digest: &Digest, why: Mark) -> Result<()> {
        let Some(position) = self.inventory.find(digest) else { return Ok(()) };
        if self.marks[position] != Mark::Nothing {
            return Ok(());
        }
        let size = self.inventory.blobs[position].size;
        // What kind of blob it is nobody has said.
        self.stack.push((Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size), Way::Held));
        if let Some(document) = document_at(self.layout, digest, size) {
            let children = document.children().into_iter().map(|child| (bare(child), Way::Held));
            self.stack.extend(children);
        }
        self.run(why)
    }

    fn run(&mut self, why: Mark) -> Result<()> {
        while let Some((descriptor, way)) = self.stack.pop() {
            self.visit(&descriptor, way, why)?;
        }
        Ok(())
    }

    fn visit(&mut self, descriptor: &Descriptor, way: Way, why: Mark) -> Result<()> {
        let position = self.inventory.find(&descriptor.digest);
        if let Some(mark) = position.and_then(|position| self.marks.get_mut(position))
            && *mark == Mark::Nothing
        {
            *mark = why;
        }
        for slot in self.waiting.remove(&descriptor.digest).unwrap_or_default() {
            let root = &mut self.entries[slot];
            if !std::mem::replace(&mut root.stays, true) {
                self.stack.push((root.descriptor.clone(), Way::Entry));
            }
        }
        if descriptor.media_type.is_document() {
            return self.follow(descriptor, way, position);
        }
        match way {
            Way::Entry | Way::Member | Way::Hole => self.must_lead_nowhere(descriptor),
            Way::Content | Way::Held => Ok(()),
        }
    }

    fn follow(&mut self, descriptor: &Descriptor, way: Way, position: Option<usize>) -> Result<()> {
        let was_followed = match position {
            Some(position) => self.followed[position],
            None => self.followed_elsewhere.contains(&descriptor.digest),
        };
        if was_followed {
            return Ok(());
        }
        let document = match read_document(self.layout, descriptor) {
            Ok(document) => document,
            Err(_) if way == Way::Held => return Ok(()),
            Err(Error::MissingBlob { .. }) if way == Way::Hole || way == Way::Member && self.sparse => {
                self.holes += 1;
                self.followed_elsewhere.insert(descriptor.digest.clone());
                return Ok(());
            }
            Err(error) => return Err(unreadable(&descriptor.digest)(error)),
        };
        match position {
            Some(position) => self.followed[position] = true,
            None => drop(self.followed_elsewhere.insert(descriptor.digest.clone())),
        }
        let below = match way {
            Way::Held => Way::Held,
            _ if document.as_index().is_some() => Way::Member,
            _ => Way::Content,
        };
        let kept = self.kept_platforms.get(&descriptor.digest).cloned();
        let members = document.as_index().filter(|_| way != Way::Held);
        let left_out = match (members, &kept) {
            (Some(index), Some(kept)) => {
                // Indexes within this one keep the same platforms.
                for member in index.manifests.iter().filter(|member| member.media_type.is_index()) {
                    self.kept_platforms.entry(member.digest.clone()).or_insert_with(|| kept.clone());
                }
                holes::left_out(&index.manifests, kept)
            }
            _ => HashSet::new(),
        };
        self.stack.extend(document.children().into_iter().map(|child| {
            let way = if left_out.contains(&child.digest) { Way::Hole } else { below };
            (bare(child), way)
        }));
        Ok(())
    }

    /// Something of a type that nobody knows stands where a manifest should: it may well be one.
    fn must_lead_nowhere(&self, descriptor: &Descriptor) -> Result<()> {
        let kind = &descriptor.media_type;
        if kind.is_layer() || kind.is_image_config() || *kind == MediaType::OCI_EMPTY {
            return Ok(());
        }
        let refuse = |source| {
            let digest = descriptor.digest.clone();
            Err(unreadable(&descriptor.digest)(Error::Document { digest, source }))
        };
        let text = match json_at(self.layout, &descriptor.digest) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(()),
            Err(error) => return Err(unreadable(&descriptor.digest)(error)),
        };
        if !kind.is_schema1() && !names_a_digest(&text) {
            return Ok(());
        }
        refuse(transship_spec::Error::Unsupported(format!(
            "{kind} is not known, and it may lead to other blobs, for it names digests"
        )))
    }
}

/// A descriptor without what only takes room here.
fn bare(descriptor: &Descriptor) -> Descriptor {
    let Descriptor { media_type, digest, size, data, .. } = descriptor;
    Descriptor { data: data.clone(), ..Descriptor::new(media_type.clone(), digest.clone(), *size) }
}

fn unreadable(digest: &Digest) -> impl FnOnce(Error) -> Error {
    let digest = digest.clone();
    move |source| Error::Unreadable { digest, source: Box::new(source) }
}

/// The digest that a fallback or digest tag speaks of.
fn spoken_of(name: &str) -> Option<Digest> {
    let tag = tag_of(name)?;
    let of_digest_tag = || referrers::digest_tag(tag).map(|(digest, _)| digest);
    referrers::subject_of_fallback_tag(tag).or_else(of_digest_tag)
}

/// The document that a blob is, if it is one and can be read.
pub(super) fn document_at(layout: &Layout, digest: &Digest, size: u64) -> Option<Document> {
    if size > Document::MAX_SIZE as u64 {
        return None;
    }
    Document::parse(json_at(layout, digest).ok()??, None).ok()
}

/// The content of a blob, if it begins as a JSON object does. It is not verified.
fn json_at(layout: &Layout, digest: &Digest) -> Result<Option<Vec<u8>>> {
    let path = blob_path(digest);
    let Some(opened) = layout.0.read(&path)? else { return Ok(None) };
    let file = std::fs::File::from(opened.fd);
    let mut text = Vec::new();
    let reading = || Error::storage("reading", layout.0.at(&path));
    (&file).take(256).read_to_end(&mut text).map_err(reading())?;
    if text.trim_ascii_start().first().is_some_and(|&byte| byte != b'{') {
        return Ok(None);
    }
    if opened.state.size > Document::MAX_SIZE as u64 {
        return Err(Error::Limit {
            what: "the size of a document in bytes",
            limit: Document::MAX_SIZE as u64,
        });
    }
    file.take(Document::MAX_SIZE as u64).read_to_end(&mut text).map_err(reading())?;
    Ok(Some(text))
}

/// Whether one of the strings in a JSON text is, or could be, a digest.
fn names_a_digest(text: &[u8]) -> bool {
    let escaped = text.windows(2).any(|pair| pair == b"\\u");
    let is_digest = |word: &[u8]| {
        let digest = std::str::from_utf8(word).ok().and_then(|word| Digest::parse(word).ok());
        digest.is_some_and(|digest| digest.encoded().len() >= 32)
    };
    escaped || text.split(|&byte| byte == b'"').any(is_digest)
}
