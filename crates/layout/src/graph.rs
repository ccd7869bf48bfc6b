//! What leads to what: indexes to manifests to blobs, and referrers to subjects (IMG-15, IMG-180).
//!
//! All walks are bounded (design law 6): at most [`Limits::depth`] documents lie on one path, at most
//! [`Limits::nodes`] different digests are seen, each of them once, so that cycles end and doubling graphs take linear
//! time. A `subject` is never followed.

use std::collections::{HashMap, HashSet};

use transship_spec::{Descriptor, Digest, Document, referrers};

use crate::source::{document_bytes, read_document};
use crate::{Error, Result, Source};

/// How far a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Documents on one path.
    pub depth: usize,
    /// Different digests.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 32, nodes: 1_000_000 }
    }
}

/// Whether the content that a walk came to is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// It is there, with its size; a document was read and verified.
    Present,
    /// It is not there. What it leads to is not known.
    Absent,
    /// Something of this many bytes is there in its place.
    WrongSize(u64),
}

/// One digest that a walk came to.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Node<'a> {
    /// Where it was first met.
    pub descriptor: &'a Descriptor,
    /// The document, if it is one and could be read.
    pub document: Option<&'a Document>,
    /// Whether it is there.
    pub presence: Presence,
    /// How many documents lead to it; 0 for a root.
    pub depth: usize,
}

/// Visits everything that `roots` lead to, roots included: leaves first, each digest once.
///
/// Content that is missing is visited as [`Presence::Absent`] and ends nothing.
///
/// # Errors
/// [`Error::Limit`] where the graph is deeper or larger than the default [`Limits`]; the errors of reading documents; those of `visit`.
///
/// ```
/// use transship_layout::{Layout, graph};
///
/// # let folder = tempfile::tempdir()?;
/// # let layout = Layout::options().create(folder.path())?;
/// let roots: Vec<_> = layout.entries()?.into_iter().map(|entry| entry.descriptor).collect();
/// let mut bytes = 0;
/// graph::walk(&layout, &roots, &mut |node| {
///     bytes += node.descriptor.size;
///     Ok(())
/// })?;
/// # assert_eq!(bytes, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn walk<'a>(
    source: &dyn Source,
    roots: impl IntoIterator<Item = &'a Descriptor>,
    visit: &mut dyn FnMut(Node<'_>) -> Result<()>,
) -> Result<()> {
    walk_within(source, roots, Limits::default(), visit)
}

/// As [`walk`], within other limits.
///
/// # Errors
/// As [`walk`].
pub fn walk_within<'a>(
    source: &dyn Source,
    roots: impl IntoIterator<Item = &'a Descriptor>,
    limits: Limits,
    visit: &mut dyn FnMut(Node<'_>) -> Result<()>,
) -> Result<()> {
    let mut walk = Walk { source, limits, seen: HashMap::new(), stack: Vec::new() };
    for root in roots {
        walk.from(root, visit)?;
    }
    Ok(())
}

/// All that `roots` lead to as a list, leaves first.
///
/// # Errors
/// As [`walk`].
pub fn closure<'a>(
    source: &dyn Source,
    roots: impl IntoIterator<Item = &'a Descriptor>,
) -> Result<Vec<(Descriptor, Presence)>> {
    let mut nodes = Vec::new();
    walk(source, roots, &mut |node| {
        nodes.push((node.descriptor.clone(), node.presence));
        Ok(())
    })?;
    Ok(nodes)
}

struct Walk<'s> {
    source: &'s dyn Source,
    limits: Limits,
    /// Each digest, and whether it was looked at as a document.
    seen: HashMap<Digest, bool>,
    stack: Vec<Frame>,
}

/// A document whose children are being visited.
struct Frame {
    descriptor: Descriptor,
    document: Document,
    children: std::vec::IntoIter<Descriptor>,
}

impl Walk<'_> {
    fn from(&mut self, root: &Descriptor, visit: &mut dyn FnMut(Node<'_>) -> Result<()>) -> Result<()> {
        self.enter(root.clone(), visit)?;
        while let Some(frame) = self.stack.last_mut() {
            if let Some(child) = frame.children.next() {
                self.enter(child, visit)?;
            } else if let Some(frame) = self.stack.pop() {
                let (descriptor, document) = (&frame.descriptor, Some(&frame.document));
                visit(Node { descriptor, document, presence: Presence::Present, depth: self.stack.len() })?;
            }
        }
        Ok(())
    }

    /// Visits a leaf, or puts a document on the stack.
    fn enter(&mut self, descriptor: Descriptor, visit: &mut dyn FnMut(Node<'_>) -> Result<()>) -> Result<()> {
        let is_document = is_readable_document(&descriptor);
        match self.seen.get(&descriptor.digest) {
            Some(as_document) if *as_document || !is_document => return Ok(()),
            _ => {}
        }
        self.seen.insert(descriptor.digest.clone(), is_document);
        if self.seen.len() > self.limits.nodes {
            return Err(Error::Limit {
                what: "the number of blobs that lead from a root",
                limit: self.limits.nodes as u64,
            });
        }
        let depth = self.stack.len();
        let presence = match self.source.size(&descriptor.digest)? {
            None if descriptor.data.is_none() => Presence::Absent,
            Some(size) if size != descriptor.size => Presence::WrongSize(size),
            _ => Presence::Present,
        };
        if !is_document || presence != Presence::Present {
            return visit(Node { descriptor: &descriptor, document: None, presence, depth });
        }
        if depth >= self.limits.depth {
            return Err(Error::Limit {
                what: "the depth of indexes within indexes",
                limit: self.limits.depth as u64,
            });
        }
        let document = read_document(self.source, &descriptor)?;
        let children: Vec<_> = document.children().into_iter().cloned().collect();
        self.stack.push(Frame { descriptor, document, children: children.into_iter() });
        Ok(())
    }
}

/// Whether a descriptor points at a document that can be read and verified; others are leaves.
fn is_readable_document(descriptor: &Descriptor) -> bool {
    descriptor.media_type.is_document() && descriptor.digest.is_verifiable()
}

/// The descriptor of a digest that lies somewhere below `roots`. Documents that cannot be read are an error only when it
/// is not found elsewhere; missing ones are none.
pub(crate) fn find<'a>(
    source: &dyn Source,
    roots: impl IntoIterator<Item = &'a Descriptor>,
    digest: &Digest,
) -> Result<Option<Descriptor>> {
    let text = digest.to_string();
    let mut stack: Vec<(Descriptor, usize)> = roots.into_iter().map(|root| (root.clone(), 0)).collect();
    let mut seen = HashSet::new();
    let mut fault = None;
    while let Some((descriptor, depth)) = stack.pop() {
        if !is_readable_document(&descriptor) || !seen.insert(descriptor.digest.clone()) {
            continue;
        }
        let document = match mentioning(source, &descriptor, &text) {
            Ok(Some(document)) => document,
            Ok(None) | Err(Error::MissingBlob { .. }) => continue,
            Err(error) => {
                fault.get_or_insert(error);
                continue;
            }
        };
        for child in document.children() {
            if child.digest == *digest {
                return Ok(Some(child.clone()));
            }
            if depth < Limits::default().depth {
                stack.push((child.clone(), depth + 1));
            }
        }
    }
    fault.map_or(Ok(None), Err)
}

/// A document, if it is an index or has this text in it; others are not parsed.
fn mentioning(source: &dyn Source, descriptor: &Descriptor, text: &str) -> Result<Option<Document>> {
    let bytes = document_bytes(source, descriptor)?;
    let may_hold = contains(&bytes, text.as_bytes()) || bytes.contains(&b'\\');
    if !may_hold && !descriptor.media_type.is_index() {
        return Ok(None);
    }
    let document = Document::of_verified(bytes, descriptor);
    document.map(Some).map_err(|source| Error::Document { digest: descriptor.digest.clone(), source })
}

/// Which manifests refer to which: see [`referrers_of`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Referrers {
    by_subject: HashMap<Digest, Vec<Descriptor>>,
    /// Documents that could not be read, and why: referrers may be missing for it.
    pub unreadable: Vec<(Digest, Error)>,
}

impl Referrers {
    /// What refers to this digest, in the order in which it was found; as it is listed by registries.
    #[must_use]
    pub fn of(&self, subject: &Digest) -> &[Descriptor] {
        self.by_subject.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Every subject with its referrers, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Digest, &[Descriptor])> {
        self.by_subject.iter().map(|(subject, referrers)| (subject, referrers.as_slice()))
    }

    fn add(&mut self, subject: &Digest, referrer: Descriptor) {
        let listed = self.by_subject.entry(subject.clone()).or_default();
        if listed.iter().all(|other| other.digest != referrer.digest) {
            listed.push(referrer);
        }
    }
}

/// All referrers in a source: by the `subject` of every manifest that its entries and their indexes lead to, and by the
/// fallback tags (IMG-180).
///
/// Documents that are missing or broken are listed as unreadable, and end nothing.
///
/// # Errors
/// What reading the list of entries gives, and [`Error::Limit`].
pub fn referrers_of(source: &dyn Source) -> Result<Referrers> {
    let mut found = Referrers::default();
    let mut seen = HashSet::new();
    let mut stack = Vec::new();
    let limits = Limits::default();
    for entry in source.entries()?.into_iter().rev() {
        let subject = entry.tag().and_then(referrers::subject_of_fallback_tag);
        stack.push((entry.descriptor, 0, subject));
    }
    while let Some((descriptor, depth, listed_for)) = stack.pop() {
        if !is_readable_document(&descriptor) {
            continue;
        }
        let first = seen.insert(descriptor.digest.clone());
        if !first && listed_for.is_none() {
            continue;
        }
        if seen.len() > limits.nodes {
            return Err(Error::Limit { what: "the number of manifests", limit: limits.nodes as u64 });
        }
        match children_and_subject(source, &descriptor, &mut found) {
            Ok(children) => {
                if let Some(subject) = &listed_for {
                    for child in &children {
                        found.add(subject, child.clone());
                    }
                }
                if depth < limits.depth {
                    stack.extend(children.into_iter().rev().map(|child| (child, depth + 1, None)));
                }
            }
            Err(error) => found.unreadable.push((descriptor.digest, error)),
        }
    }
    Ok(found)
}

/// Notes a document's subject; returns what an index lists. A manifest without the word `subject` is not parsed.
fn children_and_subject(
    source: &dyn Source,
    descriptor: &Descriptor,
    found: &mut Referrers,
) -> Result<Vec<Descriptor>> {
    let bytes = document_bytes(source, descriptor)?;
    let is_index = descriptor.media_type.is_index();
    if !is_index && !contains(&bytes, b"\"subject\"") && !bytes.contains(&b'\\') {
        return Ok(Vec::new());
    }
    let document = Document::of_verified(bytes, descriptor)
        .map_err(|source| Error::Document { digest: descriptor.digest.clone(), source })?;
    if let Some(subject) = document.subject() {
        found.add(&subject.digest, referrers::descriptor(&document));
    }
    Ok(document.as_index().map(|index| index.manifests.clone()).unwrap_or_default())
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    // UTF-8 was checked by nobody yet; a search for ASCII need not care.
    match std::str::from_utf8(bytes) {
        Ok(text) => std::str::from_utf8(wanted).is_ok_and(|wanted| text.contains(wanted)),
        Err(_) => true,
    }
}
