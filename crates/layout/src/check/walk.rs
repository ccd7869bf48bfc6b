//! The way from the entries to everything that they lead to: each document is read once, each descriptor is looked at
//! where it stands, and what is left to read is remembered in a few bytes a blob.

use std::collections::{HashMap, HashSet};

use transship_codec::Compression;
use transship_spec::{Descriptor, Digest, Document, MediaType};

use super::beside::Beside;
use super::blobs::Outcome;
use super::closure::Closure;
use super::holes::{self, Kept};
use super::layer::Wanted;
use super::read::{fault, read_whole};
use super::{Code, Place, Report, Sink, Target, config, descriptor, document};
use crate::graph::Limits;
use crate::index::Entry;
use crate::{Error, Result};

/// What is known of one digest.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The size that it was found with.
    size: u64,
    media_type: u32,
    state: State,
    /// Whether it was read as a document.
    is_document: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be read with the other blobs.
    Unread,
    /// Read, and right; or there is no way to tell.
    Right,
    Wrong,
    Absent,
    /// Absent, as something says that it may be.
    Hole,
    /// Not there, but embedded in a descriptor.
    Embedded,
}

/// A descriptor that names another size than its content has, if that turns out to be right.
#[derive(Debug)]
struct Claim {
    digest: Digest,
    size: u64,
    place: Place,
}

/// A document that is to be read.
pub(super) struct Visit {
    descriptor: Descriptor,
    place: Place,
    depth: usize,
    /// The platforms that are kept of it, where not all are.
    kept: Option<Kept>,
    is_hole: bool,
    /// Whether an index other than `index.json` lists it.
    is_member: bool,
}

/// How far the check came.
pub(super) struct Walk<'a> {
    pub(super) target: &'a Target<'a>,
    /// The index that all this goes by, where others may change it.
    beside: Option<Beside<'a>>,
    known: HashMap<Digest, Known>,
    /// Layers to decompress, and what must come out.
    pub(super) wanted: HashMap<Digest, Wanted>,
    closure: Closure,
    claims: Vec<Claim>,
    subjects: Vec<(Digest, Digest)>,
    corrupt: HashSet<Digest>,
    missing: Vec<Descriptor>,
    stack: Vec<Visit>,
    /// Documents that may be absent, and what they lead to. They come last: what was left out in one place may be needed
    /// in another, and a document is read once.
    left_out: Vec<Visit>,
    /// Whether some document could not be read, so that what is reachable is not known.
    pub(super) blind: bool,
    /// Whether all blobs that lie in the folder are known.
    pub(super) is_listed: bool,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    blobs: u64,
    bytes: u64,
    trusted: u64,
    orphans: u64,
    unread: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(target: &'a Target<'a>, beside: Option<Beside<'a>>) -> Self {
        Self {
            target,
            beside,
            known: HashMap::new(),
            wanted: HashMap::new(),
            closure: Closure::default(),
            claims: Vec::new(),
            subjects: Vec::new(),
            corrupt: HashSet::new(),
            missing: Vec::new(),
            stack: Vec::new(),
            left_out: Vec::new(),
            blind: false,
            is_listed: false,
            tally: Tally::default(),
        }
    }

    /// Follows the entries to everything that they lead to.
    pub(super) fn roots(&mut self, entries: Vec<Entry>, sink: &mut Sink<'_>) -> Result<()> {
        let mut roots = holes::Roots::default();
        entries.iter().for_each(|entry| roots.add(&entry.descriptor));
        let kept = roots.kept();
        for entry in entries {
            let kept = kept.get(&entry.descriptor.digest).cloned();
            let place = Place::entry(entry.position);
            descriptor::check(&entry.descriptor, &place, true, sink);
            self.meet(
                Visit {
                    descriptor: entry.descriptor,
                    place,
                    depth: 0,
                    kept,
                    is_hole: false,
                    is_member: false,
                },
                sink,
            )?;
            while let Some(visit) = self.stack.pop() {
                self.document(&visit, sink)?;
            }
        }
        while let Some(visit) = self.left_out.pop() {
            let known = self.known.get_mut(&visit.descriptor.digest);
            if known.is_some_and(|known| !std::mem::replace(&mut known.is_document, true)) {
                self.document(&visit, sink)?;
            }
        }
        Ok(())
    }

    /// Takes note of a descriptor; puts it on the stack if it is a document that was not read yet.
    fn meet(&mut self, visit: Visit, sink: &mut Sink<'_>) -> Result<()> {
        let media_type = &visit.descriptor.media_type;
        let is_document = media_type.is_document() && visit.descriptor.digest.is_verifiable();
        if media_type.is_schema1() || media_type.is_document() && !is_document {
            self.blind = true;
        }
        if media_type.is_schema1() {
            let message = format!("{media_type} is Docker's first manifest format");
            sink.find(Code::DocumentUnsupported, visit.place.clone(), message);
        }
        self.note(&visit.descriptor, &visit.place, visit.is_hole, sink)?;
        match self.known.get_mut(&visit.descriptor.digest) {
            Some(known) if is_document && !known.is_document => {
                match known.state {
                    State::Absent | State::Hole => self.blind |= known.state == State::Absent,
                    _ => {
                        // Until it is read, it may turn out to be needed.
                        known.is_document = !visit.is_hole;
                        let stack = if visit.is_hole { &mut self.left_out } else { &mut self.stack };
                        stack.push(visit);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes note of content that is named: whether it is there, with which size, as what.
    fn note(&mut self, named: &Descriptor, place: &Place, is_hole: bool, sink: &mut Sink<'_>) -> Result<()> {
        let media_type = self.closure.number(&named.media_type);
        self.closure.add(&named.digest, named.size, media_type);
        let (size, state) = match self.known.get(&named.digest) {
            Some(known) => {
                let before = self.closure.media_type(known.media_type);
                if let Some(before) = before.filter(|before| descriptor::conflict(named, before)) {
                    let message = format!("it is {} here, and {before} elsewhere", named.media_type);
                    sink.find(Code::MediaTypeConflict, place.clone(), message);
                }
                (known.size, known.state)
            }
            None => {
                let (size, state) = self.look(named, place, is_hole, sink)?;
                let known = Known { size, media_type, state, is_document: false };
                self.known.insert(named.digest.clone(), known);
                (size, state)
            }
        };
        match state {
            // Where it was allowed to be absent before, it may be needed here.
            State::Hole if !is_hole && !named.media_type.is_nondistributable() => {
                self.missing(named, place, sink)?;
            }
            // Whoever has only this descriptor cannot get at what another one embeds.
            State::Embedded if named.data.is_none() => self.missing(named, place, sink)?,
            State::Absent | State::Hole | State::Embedded => {}
            _ if size != named.size => {
                self.claims.push(Claim {
                    digest: named.digest.clone(),
                    size: named.size,
                    place: place.clone(),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The first look at content.
    fn look(
        &mut self,
        named: &Descriptor,
        place: &Place,
        is_hole: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(u64, State)> {
        match self.target.source.size(&named.digest) {
            Ok(Some(size)) => {
                if size == 0 {
                    sink.find(Code::BlobEmpty, place.clone(), "it names a blob of no bytes");
                }
                if named.digest.is_verifiable() {
                    return Ok((size, State::Unread));
                }
                self.unverifiable(&named.digest, place, sink);
                (self.tally.blobs, self.tally.bytes) = (self.tally.blobs + 1, self.tally.bytes + size);
                Ok((size, State::Right))
            }
            Ok(None) if named.embedded().is_ok_and(|data| data.is_some()) => {
                let message = format!("{} is embedded, and there is no blob", named.digest);
                sink.find(Code::BlobOnlyEmbedded, place.clone(), message);
                self.unverifiable(&named.digest, place, sink);
                Ok((named.size, State::Embedded))
            }
            Ok(None) if is_hole => {
                let message = format!("{} was left out", named.digest);
                sink.find(Code::HoleDeclared, place.clone(), message);
                Ok((named.size, State::Hole))
            }
            Ok(None) if named.media_type.is_nondistributable() => {
                let message = format!("{} is not there, and should not be distributed", named.digest);
                sink.find(Code::NondistributableAbsent, place.clone(), message);
                Ok((named.size, State::Hole))
            }
            Ok(None) => {
                self.report_missing(named, place, sink)?;
                Ok((named.size, State::Absent))
            }
            Err(error) => {
                self.failed(named, place, error, sink)?;
                Ok((named.size, State::Wrong))
            }
        }
    }

    fn unverifiable(&self, digest: &Digest, place: &Place, sink: &mut Sink<'_>) {
        if !digest.is_verifiable() {
            let message = format!("{} cannot be verified", digest.algorithm());
            sink.find(Code::DigestUnverifiable, place.clone(), message);
        }
    }

    fn missing(&mut self, named: &Descriptor, place: &Place, sink: &mut Sink<'_>) -> Result<()> {
        if let Some(known) = self.known.get_mut(&named.digest) {
            known.state = State::Absent;
        }
        self.report_missing(named, place, sink)
    }

    fn report_missing(&mut self, named: &Descriptor, place: &Place, sink: &mut Sink<'_>) -> Result<()> {
        self.tally.unread = true;
        if let Some(beside) = &mut self.beside
            && beside.took(&named.digest)?
        {
            sink.find(Code::BlobGone, place.clone(), format!("{} went meanwhile", named.digest));
            return Ok(());
        }
        sink.find(Code::BlobMissing, place.clone(), format!("{} is not there", named.digest));
        self.missing.push(named.bare());
        Ok(())
    }

    /// Content that could not be read: a finding, or the end of the check where it is not the content's fault.
    fn failed(&mut self, named: &Descriptor, place: &Place, error: Error, sink: &mut Sink<'_>) -> Result<()> {
        self.tally.unread = true;
        self.blind |= named.media_type.is_document();
        let (code, message) = fault(error)?;
        match code {
            Code::BlobMissing => self.report_missing(named, place, sink)?,
            Code::BlobCorrupt => {
                self.corrupt.insert(named.digest.clone());
                sink.find(code, self.file(&named.digest), message);
            }
            _ => sink.find(code, self.file(&named.digest), message),
        }
        Ok(())
    }

    /// The place of a blob itself.
    pub(super) fn file(&self, digest: &Digest) -> Place {
        self.target.place(digest)
    }

    /// Reads a small blob whole, verified; `None` after a finding.
    fn read(&mut self, named: &Descriptor, limit: u64, sink: &mut Sink<'_>) -> Result<Option<Vec<u8>>> {
        let Some(known) = self.known.get(&named.digest).copied() else { return Ok(None) };
        let wanted = match known.state {
            State::Unread | State::Right => Descriptor { size: known.size, data: None, ..named.clone() },
            State::Embedded => named.clone(),
            _ => return Ok(None),
        };
        if known.size > limit {
            let message = format!("it has {} bytes, and {limit} are read at most", known.size);
            sink.find(Code::LimitExceeded, self.file(&named.digest), message);
            self.tally.unread = true;
            self.blind |= named.media_type.is_document();
            return Ok(None);
        }
        let bytes = read_whole(self.target, &wanted);
        let first = known.state == State::Unread;
        let state = match &bytes {
            Ok(_) if first => State::Right,
            Ok(_) => known.state,
            Err(_) => State::Wrong,
        };
        if let Some(known) = self.known.get_mut(&named.digest) {
            known.state = state;
        }
        if first {
            (self.tally.blobs, self.tally.bytes) = (self.tally.blobs + 1, self.tally.bytes + known.size);
        }
        match bytes {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => {
                let place = self.file(&named.digest);
                self.failed(named, &place, error, sink).map(|()| None)
            }
        }
    }

    /// Reads a document, looks at it, and goes on to what it names.
    fn document(&mut self, visit: &Visit, sink: &mut Sink<'_>) -> Result<()> {
        let digest = visit.descriptor.digest.clone();
        if visit.depth >= Limits::default().depth {
            let message = format!("it lies more than {} documents deep", Limits::default().depth);
            sink.find(Code::DepthExceeded, Place::digest(&digest), message);
            self.blind = true;
            return Ok(());
        }
        let Some(bytes) = self.read(&visit.descriptor, Document::MAX_SIZE as u64, sink)? else {
            self.blind = true;
            return Ok(());
        };
        let place = Place::digest(&digest);
        let Some(document) = document::parse(bytes, &visit.descriptor.media_type, &place, sink) else {
            self.blind = true;
            self.tally.unread = true;
            return Ok(());
        };
        document::check(&document, &place, visit.is_member, sink);
        if let Some(subject) = document.subject() {
            descriptor::check(subject, &place.part("subject"), false, sink);
            self.subjects.push((subject.digest.clone(), digest));
        }
        if let Some(manifest) = document.as_manifest() {
            self.note_child(&manifest.config, &place.part("config"), visit.is_hole, sink)?;
            for (number, layer) in manifest.layers.iter().enumerate() {
                self.note_child(layer, &place.part(format!("layers[{number}]")), visit.is_hole, sink)?;
                // Artifacts keep any files as layers, under the type that ORAS gives them unasked.
                if manifest.config.media_type.is_image_config()
                    && let Some(compression) = Compression::from_media_type(&layer.media_type)
                {
                    self.wanted.entry(layer.digest.clone()).or_default().call(compression);
                }
            }
            return self.image(visit, &document, sink);
        }
        if document.as_index().is_none() {
            for (number, blob) in document.children().into_iter().enumerate() {
                self.note_child(blob, &place.part(format!("blobs[{number}]")), visit.is_hole, sink)?;
            }
            return Ok(());
        }
        self.members(visit, &document, sink)
    }

    fn note_child(
        &mut self,
        child: &Descriptor,
        place: &Place,
        is_hole: bool,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        descriptor::check(child, place, false, sink);
        self.note(child, place, is_hole, sink)
    }

    /// The members of an index, last first onto the stack, so that the first is read next.
    fn members(&mut self, visit: &Visit, document: &Document, sink: &mut Sink<'_>) -> Result<()> {
        let Some(index) = document.as_index() else { return Ok(()) };
        let place = Place::digest(document.digest());
        let left_out = visit.kept.as_ref().map(|kept| holes::left_out(&index.manifests, kept));
        for (number, member) in index.manifests.iter().enumerate().rev() {
            let place = place.part(format!("manifests[{number}]"));
            descriptor::check(member, &place, false, sink);
            let is_left_out = left_out.as_ref().is_some_and(|left_out| left_out.contains(&member.digest));
            let is_hole = visit.is_hole || is_left_out || self.is_spared(member);
            let visit = Visit {
                descriptor: member.clone(),
                place,
                depth: visit.depth + 1,
                kept: visit.kept.clone(),
                is_hole,
                is_member: true,
            };
            self.meet(visit, sink)?;
        }
        Ok(())
    }

    /// Whether a member is missing, and may be although nothing declares it.
    fn is_spared(&self, member: &Descriptor) -> bool {
        self.target.options.sparse && matches!(self.target.source.size(&member.digest), Ok(None))
    }

    /// The config of an image against its layers and its platform.
    fn image(&mut self, visit: &Visit, document: &Document, sink: &mut Sink<'_>) -> Result<()> {
        let Some(manifest) = document.as_manifest() else { return Ok(()) };
        if !manifest.config.media_type.is_image_config() || !manifest.config.digest.is_verifiable() {
            return Ok(());
        }
        let Some(bytes) = self.read(&manifest.config, config::MAX_SIZE, sink)? else { return Ok(()) };
        let place = Place::digest(&manifest.config.digest);
        let Some(config) = config::parse(&bytes, &place, sink) else { return Ok(()) };
        config::check(&config, manifest, &place, sink);
        if visit.is_member {
            config::check_platform(&config, &visit.descriptor, &visit.place, sink);
        }
        if config.diff_ids.len() == manifest.layers.len() {
            for (layer, diff_id) in manifest.layers.iter().zip(&config.diff_ids) {
                self.expect(layer, diff_id, document.digest(), sink);
            }
        }
        Ok(())
    }

    /// Remembers that a layer must decompress to this diff ID.
    fn expect(&mut self, layer: &Descriptor, diff_id: &Digest, manifest: &Digest, sink: &mut Sink<'_>) {
        match self.wanted.get_mut(&layer.digest) {
            Some(wanted) => wanted.expect(diff_id, manifest),
            // What is no layer of a known type is taken as it is: attestations are kept so.
            None if layer.digest == *diff_id => {}
            None => {
                let message = format!("it is {}, which is not decompressed here", layer.media_type);
                sink.find(Code::LayerUnverifiable, Place::digest(&layer.digest), message);
            }
        }
    }

    /// The digests of all blobs that are left to read, in order.
    pub(super) fn jobs(&self, mut listed: Vec<Digest>) -> Vec<Digest> {
        listed.retain(|digest| !self.known.contains_key(digest));
        let unread = self.known.iter().filter(|(_, known)| known.state == State::Unread);
        listed.extend(unread.map(|(digest, _)| digest.clone()));
        listed.sort_unstable();
        listed.dedup();
        listed
    }

    /// The bytes of those of which they are known.
    pub(super) fn bytes_of(&self, jobs: &[Digest]) -> u64 {
        let known = jobs.iter().filter_map(|digest| self.known.get(digest));
        known.fold(0, |bytes, known| known.size.saturating_add(bytes))
    }

    /// Takes note of what reading a blob has shown.
    pub(super) fn done(&mut self, digest: &Digest, outcome: &Outcome, sink: &mut Sink<'_>) -> Result<()> {
        let (size, is_known) = match self.known.get(digest) {
            Some(known) => (known.size, true),
            None => (outcome.size, false),
        };
        if !is_known && !outcome.vanished {
            self.tally.orphans += 1;
            if !self.blind {
                sink.find(Code::BlobOrphan, self.file(digest), "nothing leads to it");
            }
        }
        if outcome.vanished && is_known {
            let media_type =
                self.known.get(digest).and_then(|known| self.closure.media_type(known.media_type));
            let named = media_type.cloned().unwrap_or(MediaType::OCTET_STREAM);
            return self.missing(&Descriptor::new(named, digest.clone(), size), &Place::digest(digest), sink);
        }
        if outcome.vanished {
            return Ok(());
        }
        (self.tally.blobs, self.tally.bytes) = (self.tally.blobs + 1, self.tally.bytes + size);
        self.tally.trusted += u64::from(outcome.trusted);
        if outcome.corrupt {
            self.corrupt.insert(digest.clone());
        }
        self.tally.unread |= is_known && !outcome.right;
        let state = if outcome.right { State::Right } else { State::Wrong };
        match self.known.get_mut(digest) {
            Some(known) => known.state = state,
            None if outcome.corrupt => {
                let known = Known { size: outcome.size, media_type: u32::MAX, state, is_document: false };
                self.known.insert(digest.clone(), known);
            }
            None => {}
        }
        Ok(())
    }

    /// What can be said once all is read.
    pub(super) fn conclude(mut self, sink: &mut Sink<'_>) {
        for Claim { digest, size, place } in std::mem::take(&mut self.claims) {
            // What is corrupt has a wrong size for that reason.
            if let Some(known) = self.known.get(&digest).filter(|known| known.state == State::Right) {
                let message = format!("it names {size} bytes, and {digest} has {}", known.size);
                sink.find(Code::SizeMismatch, place, message);
                self.tally.unread = true;
            }
        }
        for (subject, referrer) in std::mem::take(&mut self.subjects) {
            let is_known = self.known.get(&subject).is_some_and(|known| known.state != State::Absent);
            if !is_known && !matches!(self.target.source.size(&subject), Ok(Some(_))) {
                let place = Place::digest(&referrer).part("subject");
                sink.find(Code::SubjectAbsent, place, format!("{subject} is not there"));
            }
        }
        let known = &self.known;
        let mut corrupt: Vec<Descriptor> = self
            .corrupt
            .iter()
            .map(|digest| {
                let known = known.get(digest);
                let media_type = known.and_then(|known| self.closure.media_type(known.media_type));
                let media_type = media_type.cloned().unwrap_or(MediaType::OCTET_STREAM);
                Descriptor::new(media_type, digest.clone(), known.map_or(0, |known| known.size))
            })
            .collect();
        corrupt.sort_by(|a, b| a.digest.cmp(&b.digest));
        let Tally { blobs, bytes, trusted, orphans, unread } = self.tally;
        let whole = !self.blind && !unread;
        let holes: HashSet<Digest> =
            known.iter().filter(|(_, k)| k.state == State::Hole).map(|(digest, _)| digest.clone()).collect();
        if whole {
            self.closure.leave_out(&holes);
        }
        sink.report = Report {
            blobs,
            bytes,
            trusted,
            orphans: (!self.blind && self.is_listed).then_some(orphans),
            closure: whole.then(|| self.closure.digest()),
            missing: self.missing,
            corrupt,
            ..std::mem::take(&mut sink.report)
        };
    }
}
