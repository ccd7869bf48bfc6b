//! What a destination is to hold: everything once, with what it needs and whether it is there.
//!
//! A digest is one node, unless descriptors disagree on what it is: then whoever is wrong about it fails alone.
//!
//! Bounded (design law 6): [`MAX_DEPTH`] documents on a path, [`MAX_NODES`] digests a destination, and documents and what
//! descriptors embed are kept in memory only up to [`KEPT`] bytes altogether; others are read again when their turn comes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use transship_spec::{Descriptor, Digest};

use crate::Error;

/// Documents on a path from a root.
pub(crate) const MAX_DEPTH: usize = 32;
/// Digests a destination.
pub(crate) const MAX_NODES: usize = 1_000_000;
/// Bytes of content that are kept from planning to copying.
const KEPT: usize = 8 << 20;

/// The place of a node in its graph.
pub(crate) type NodeId = usize;

/// Whether something is at the destination.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Nobody has looked.
    Unknown,
    Present,
    Missing,
    /// It may not be distributed, and is not needed.
    LeftOut,
    /// It cannot be had.
    Broken(Arc<Error>),
}

impl State {
    pub(crate) fn is_present(&self) -> bool {
        matches!(self, Self::Present)
    }
}

/// What two descriptors must agree on to mean one node.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    digest: Digest,
    size: u64,
    is_document: bool,
    /// Whether it may be left out (IMG-150).
    is_nondistributable: bool,
}

impl Key {
    fn of(descriptor: &Descriptor) -> Self {
        Self {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            is_document: descriptor.media_type.is_document(),
            is_nondistributable: descriptor.media_type.is_nondistributable(),
        }
    }
}

/// Some content.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) descriptor: Descriptor,
    /// The endpoint that it comes from.
    pub(crate) from: usize,
    /// The first root that leads to it.
    pub(crate) root: usize,
    pub(crate) state: State,
    pub(crate) is_document: bool,
    /// Whether its descriptor is what a registry said of it, where all but the digest may be wrong.
    pub(crate) is_listed: bool,
    /// Whether what needs it is missing, and hardly anything else can need it.
    pub(crate) is_own: bool,
    /// What it needs, where it was read.
    pub(crate) children: Vec<NodeId>,
    /// The bytes of a document that would have to be asked for again, or that only we have.
    pub(crate) bytes: Option<Bytes>,
    /// Of an index the platforms whose images are copied, as an entry declares them: if not all, or if what is there may
    /// be less.
    pub(crate) kept: Option<Arc<str>>,
    /// How many members of it are not copied.
    pub(crate) left_out: usize,
}

/// Everything that one destination is to hold.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    ids: HashMap<Key, NodeId>,
    documents: HashMap<Digest, NodeId>,
    kept: usize,
}

impl Graph {
    /// The node of some content.
    pub(crate) fn find(&self, descriptor: &Descriptor) -> Option<NodeId> {
        self.ids.get(&Key::of(descriptor)).copied()
    }

    /// The first document with this digest.
    pub(crate) fn document(&self, digest: &Digest) -> Option<NodeId> {
        self.documents.get(digest).copied()
    }

    /// The node of some content, new if it was not met yet; whether it is new. None when there are too many.
    pub(crate) fn enter(
        &mut self,
        descriptor: &Descriptor,
        from: usize,
        root: usize,
    ) -> Option<(NodeId, bool)> {
        let key = Key::of(descriptor);
        if let Some(known) = self.ids.get(&key) {
            return Some((*known, false));
        }
        if self.nodes.len() >= MAX_NODES {
            return None;
        }
        let id = self.nodes.len();
        let is_document = key.is_document;
        if is_document {
            self.documents.entry(key.digest.clone()).or_insert(id);
        }
        self.ids.insert(key, id);
        let descriptor = self.slim(descriptor);
        self.nodes.push(Node {
            descriptor,
            from,
            root,
            state: State::Unknown,
            is_document,
            is_listed: false,
            is_own: false,
            children: Vec::new(),
            bytes: None,
            kept: None,
            left_out: 0,
        });
        Some((id, true))
    }

    /// Keeps the bytes of a document for later, while there is room: its view takes more, and is soon made again.
    pub(crate) fn keep(&mut self, id: NodeId, bytes: &Bytes) {
        if self.has_room(bytes.len()) {
            self.nodes[id].bytes = Some(bytes.clone());
        }
    }

    /// What of a descriptor is needed to find the content, for there may be a million of them; and the content itself,
    /// where the descriptor has it and there is room (IMG-36).
    fn slim(&mut self, descriptor: &Descriptor) -> Descriptor {
        let data = descriptor.data.as_ref().filter(|data| self.has_room(data.len()));
        let slim = Descriptor::new(descriptor.media_type.clone(), descriptor.digest.clone(), descriptor.size);
        Descriptor { data: data.cloned(), ..slim }
    }

    /// Takes this many bytes of what may be kept, if they are there.
    fn has_room(&mut self, bytes: usize) -> bool {
        let fits = self.kept + bytes <= KEPT;
        self.kept += if fits { bytes } else { 0 };
        fits
    }

    /// Marks documents from which a path is too long, so that what follows the paths can do so without care.
    pub(crate) fn measure(&mut self) {
        let mut heights: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let mut path = vec![start];
            while let Some(&id) = path.last() {
                if heights[id].is_some() {
                    path.pop();
                    continue;
                }
                let children = self.nodes[id].children.iter().copied();
                let unmeasured: Vec<NodeId> = children.filter(|child| heights[*child].is_none()).collect();
                if unmeasured.is_empty() {
                    let below = self.nodes[id].children.iter().filter_map(|child| heights[*child]).max();
                    let own = usize::from(self.nodes[id].is_document);
                    heights[id] = Some(below.unwrap_or(0) + own);
                    path.pop();
                } else {
                    // Hashes make cycles impossible: no path comes back to itself.
                    path.extend(unmeasured);
                }
            }
        }
        for (node, height) in self.nodes.iter_mut().zip(heights) {
            if height.is_some_and(|height| height > MAX_DEPTH) {
                node.state = State::Broken(Arc::new(too_deep()));
                node.children = Vec::new();
            }
        }
    }

    /// Everything that a node leads to, without itself: leaves first, each once.
    pub(crate) fn below(&self, root: NodeId) -> Vec<NodeId> {
        let (mut order, mut seen) = (Vec::new(), HashSet::from([root]));
        let mut stack = vec![(root, 0)];
        while let Some((id, next)) = stack.last_mut() {
            match self.nodes[*id].children.get(*next) {
                Some(child) => {
                    *next += 1;
                    if seen.insert(*child) {
                        stack.push((*child, 0));
                    }
                }
                None => {
                    order.push(*id);
                    stack.pop();
                }
            }
        }
        order.pop();
        order
    }

    /// Whether everything from a node on is there.
    pub(crate) fn complete(&self) -> Vec<bool> {
        let mut complete: Vec<Option<bool>> = vec![None; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let mut path = vec![start];
            while let Some(&id) = path.last() {
                if complete[id].is_some() {
                    path.pop();
                    continue;
                }
                let node = &self.nodes[id];
                let unseen: Vec<NodeId> =
                    node.children.iter().copied().filter(|child| complete[*child].is_none()).collect();
                if unseen.is_empty() {
                    let own = matches!(node.state, State::Present | State::LeftOut);
                    complete[id] =
                        Some(own && node.children.iter().all(|child| complete[*child] == Some(true)));
                    path.pop();
                } else {
                    path.extend(unseen);
                }
            }
        }
        complete.into_iter().map(|complete| complete == Some(true)).collect()
    }
}

pub(crate) fn too_deep() -> Error {
    Error::Limit { what: "the depth of indexes within indexes", limit: MAX_DEPTH as u64 }
}

pub(crate) fn too_many() -> Error {
    Error::Limit { what: "the number of blobs and manifests", limit: MAX_NODES as u64 }
}

#[cfg(test)]
mod tests {
    use transship_spec::MediaType;

    use super::*;

    fn chain(length: usize) -> Graph {
        let mut graph = Graph::default();
        for at in 0..length {
            let content = Descriptor::of(MediaType::OCI_INDEX, &at.to_be_bytes());
            let (id, new) = graph.enter(&content, 0, 0).unwrap();
            assert!(new && id == at);
            graph.nodes[id].state = State::Present;
            // Each also leads to all that follow, as a doubling graph does.
            graph.nodes[id].children = (at + 1..length).collect();
        }
        graph
    }

    #[test]
    fn case_m6_thirty_two_documents_on_a_path_are_enough() {
        let broken = |mut graph: Graph| {
            graph.measure();
            graph.nodes.iter().filter(|node| matches!(node.state, State::Broken(_))).count()
        };
        assert_eq!(broken(chain(32)), 0);
        assert_eq!(broken(chain(33)), 1);
        assert_eq!(broken(chain(500)), 468);
    }

    #[test]
    fn what_is_below_a_node_is_told_once_and_leaves_first() {
        let graph = chain(40);
        assert_eq!(graph.below(0), (1..40).rev().collect::<Vec<_>>());
        assert!(graph.below(39).is_empty());
    }

    #[test]
    fn a_node_is_complete_when_all_below_it_is() {
        let mut graph = chain(5);
        assert_eq!(graph.complete(), [true; 5]);
        graph.nodes[3].state = State::Missing;
        assert_eq!(graph.complete(), [false, false, false, false, true]);
    }

    #[test]
    fn a_digest_is_one_node_however_often_it_is_met() {
        let mut graph = Graph::default();
        let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, b"x");
        assert_eq!(graph.enter(&blob, 0, 0), Some((0, true)));
        assert_eq!(graph.enter(&blob, 1, 1), Some((0, false)));
        assert_eq!(graph.nodes[0].from, 0);
        let document = Descriptor { media_type: MediaType::OCI_INDEX, ..blob };
        assert_eq!(graph.enter(&document, 0, 0), Some((1, true)));
        assert_eq!((graph.find(&document), graph.document(&document.digest)), (Some(1), Some(1)));
    }
}
