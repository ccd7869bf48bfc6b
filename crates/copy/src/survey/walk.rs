//! From roots downwards: which content there is, which of it is missing, and what the documents among it need.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use transship_layout::check::declared_holes;
use transship_spec::{Descriptor, Document};

use super::Survey;
use crate::endpoint::registry::SMALL;
use crate::endpoint::{Endpoint, QUESTIONS};
use crate::graph::{self, NodeId, State};
use crate::report::Why;
use crate::{Error, Result};

/// Bytes of the empty config (IMG-36), which everybody has.
const EMPTY: u64 = 2;

/// Questions about blobs from which on it is worth to ask first whether a repository is new.
const MANY: usize = 3;

/// Documents that are in memory at once while they are read.
const BATCH: usize = 64;

/// A document that was read for a node of a destination's graph, and whether the destination has it.
type Read = (usize, NodeId, Result<(Document, State)>);

impl Survey {
    /// Reads from the new roots downwards, level by level.
    pub(super) async fn walk(&mut self, new: Range<usize>) {
        let (mut level, roots) = (Vec::new(), new.clone());
        for id in new {
            let root = &self.roots[id];
            let (Some(descriptor), None) = (root.descriptor.clone(), &root.failure) else { continue };
            // Some registries say another length where they are asked for it than where they give it (DIST-176).
            let is_told = matches!(root.why, Why::Referrer(_)) || !self.source(root.from).is_local();
            let spot = root.to;
            let is_there = root.is_there && !self.destination(spot).is_local();
            let graph = &mut self.spots[spot].graph;
            let Some((node, is_new)) = graph.enter(&descriptor, root.from, id) else {
                self.roots[id].failure = Some(Arc::new(graph::too_many()));
                continue;
            };
            let kept = self.roots[id].kept.take();
            if is_new {
                graph.nodes[node].is_listed = is_told;
                graph.nodes[node].kept = kept;
                graph.nodes[node].bytes = self.documents.bytes(&descriptor);
                level.push((spot, node));
            } else if kept.is_none() {
                // One root wants all of it.
                graph.nodes[node].kept = None;
            }
            if is_there && matches!(graph.nodes[node].state, State::Unknown) {
                graph.nodes[node].state = State::Present;
            }
            self.roots[id].node = Some(node);
        }
        self.descend(level).await;
        self.open_again();
        self.correct(roots);
    }

    /// The sizes of roots as they turned out to be.
    fn correct(&mut self, roots: Range<usize>) {
        for root in &mut self.roots[roots] {
            let node = root.node.map(|id| &self.spots[root.to].graph.nodes[id].descriptor);
            if let (Some(node), Some(descriptor)) = (node, &mut root.descriptor) {
                descriptor.size = node.size;
            }
        }
    }

    /// Looks at these nodes and at all that they need.
    async fn descend(&mut self, mut level: Vec<(usize, NodeId)>) {
        for depth in 0.. {
            self.check(&level).await;
            level.retain(|(spot, node)| self.is_to_be_read(*spot, *node));
            if level.is_empty() {
                return;
            }
            if depth == graph::MAX_DEPTH {
                for (spot, node) in level {
                    self.spots[spot].graph.nodes[node].state = State::Broken(Arc::new(graph::too_deep()));
                }
                return;
            }
            level = self.read(level).await;
        }
    }

    fn is_to_be_read(&self, spot: usize, id: NodeId) -> bool {
        let node = &self.spots[spot].graph.nodes[id];
        let wanted = match node.state {
            State::Missing => true,
            // In a registry a manifest has all that it needs (DIST-62); a layout is looked at.
            State::Present => {
                let ask = self.ask(false);
                self.destination(spot).is_local()
                    || self.may_lack_members(node)
                    || self.options.nondistributable
                    || node.descriptor.media_type.is_index()
                        && !self.is_fixed
                        && (ask.referrers || ask.digest_tags)
            }
            _ => false,
        };
        node.is_document && wanted
    }

    /// Whether a registry that has this may have less than all that is wanted of it.
    fn may_lack_members(&self, node: &graph::Node) -> bool {
        node.kept.is_some() || self.options.members && node.descriptor.media_type.is_index()
    }

    /// Finds out which of these nodes the destinations have.
    async fn check(&mut self, level: &[(usize, NodeId)]) {
        for spot in 0..self.spots.len() {
            let ids = level.iter().filter(|(of, _)| *of == spot).map(|(_, id)| *id);
            let mut unknown: Vec<NodeId> = ids.collect();
            self.assume(spot, &mut unknown);
            let nodes = &self.spots[spot].graph.nodes;
            let blobs = unknown.iter().filter(|id| !nodes[**id].is_document).count();
            if blobs >= MANY && self.destination(spot).turns_out_new().await {
                self.assume(spot, &mut unknown);
            }
            let graph = &self.spots[spot].graph;
            let content: Vec<Descriptor> =
                unknown.iter().map(|id| graph.nodes[*id].descriptor.clone()).collect();
            let found = self.destination(spot).has(&content).await;
            for (id, found) in unknown.into_iter().zip(found) {
                let node = &self.spots[spot].graph.nodes[id];
                let state = match found {
                    Ok(true) => State::Present,
                    Ok(false) if self.stays_behind(spot, node) && !self.can_bring(spot, node).await => {
                        State::LeftOut
                    }
                    Ok(false) => State::Missing,
                    Err(error) => State::Broken(Arc::new(error)),
                };
                self.spots[spot].graph.nodes[id].state = state;
            }
        }
    }

    /// Keeps of these nodes those that the destination is to be asked about.
    fn assume(&mut self, spot: usize, ids: &mut Vec<NodeId>) {
        ids.retain(|id| {
            let node = &self.spots[spot].graph.nodes[*id];
            let is_open = matches!(node.state, State::Unknown);
            let is_asked = is_open && !self.is_worth_no_question(spot, node);
            if is_open && !is_asked {
                self.spots[spot].graph.nodes[*id].state = State::Missing;
            }
            is_asked
        });
    }

    /// Whether content is put without asking first, since the question costs more than it is likely to spare. Where
    /// nothing has a tag, the session asks by the request that begins an upload.
    fn is_worth_no_question(&self, spot: usize, node: &graph::Node) -> bool {
        let destination = self.destination(spot);
        if node.is_document || self.stays_behind(spot, node) {
            return node.is_document && destination.is_new();
        }
        let is_likely_missing = node.is_own && node.descriptor.size <= SMALL;
        // Where a mount is tried, nothing is asked before (DIST-182).
        destination.place().mountable(self.source(node.from).place()).is_some()
            || destination.is_new()
            || !destination.is_local() && is_likely_missing
    }

    /// Whether content is not to be distributed by us (IMG-150).
    fn stays_behind(&self, _: usize, node: &graph::Node) -> bool {
        node.descriptor.media_type.is_nondistributable() && !self.options.nondistributable
    }

    /// From layout to layout nothing is distributed: what is there comes along.
    async fn can_bring(&self, spot: usize, node: &graph::Node) -> bool {
        let source = self.source(node.from);
        if !source.is_local() || !self.destination(spot).is_local() {
            return false;
        }
        matches!(source.has(std::slice::from_ref(&node.descriptor)).await.as_slice(), [Ok(true)])
    }

    /// Reads documents, and enters what they need; returns what is new.
    async fn read(&mut self, level: Vec<(usize, NodeId)>) -> Vec<(usize, NodeId)> {
        let mut next = Vec::new();
        // Not all at once: documents have views, and those have a size.
        for batch in level.chunks(BATCH) {
            let this = &*self;
            let read = |(spot, id): &(usize, NodeId)| {
                let (spot, id) = (*spot, *id);
                async move { (spot, id, this.read_one(spot, id).await) }
            };
            let documents: Vec<Read> = stream::iter(batch).map(read).buffered(QUESTIONS).collect().await;
            self.enter(documents, &mut next);
        }
        next
    }

    /// Enters what documents need.
    fn enter(&mut self, documents: Vec<Read>, next: &mut Vec<(usize, NodeId)>) {
        let with_all = self.options.nondistributable;
        for (spot, id, result) in documents {
            let is_local = self.destination(spot).is_local();
            // What lies here is read again when its turn comes.
            let may_lack_members = self.may_lack_members(&self.spots[spot].graph.nodes[id]);
            let is_remote = !self.source(self.spots[spot].graph.nodes[id].from).is_local();
            let graph = &mut self.spots[spot].graph;
            let (document, state) = match result {
                Ok(read) => read,
                Err(error) => {
                    graph.nodes[id].state = State::Broken(Arc::new(error));
                    continue;
                }
            };
            let kept = graph.nodes[id].kept.clone();
            let only_documents = state.is_present() && !is_local && !may_lack_members;
            graph.nodes[id].state = state;
            if graph.nodes[id].is_listed {
                graph.nodes[id].descriptor = document.descriptor();
            }
            let (from, root) = (graph.nodes[id].from, graph.nodes[id].root);
            let is_missing = matches!(graph.nodes[id].state, State::Missing);
            let left_out = match (document.as_index(), &kept) {
                (Some(index), Some(kept)) => declared_holes(&index.manifests, kept),
                _ => HashSet::new(),
            };
            for child in document.children() {
                if left_out.contains(&child.digest) {
                    graph.nodes[id].left_out += 1;
                    continue;
                }
                // A registry has the manifest without what may not be distributed.
                let may_lack = with_all && child.media_type.is_nondistributable();
                if only_documents && !child.media_type.is_document() && !may_lack {
                    continue;
                }
                let known = child.media_type.is_document().then(|| self.documents.bytes(child)).flatten();
                let Some((child, is_new)) = graph.enter(child, from, root) else {
                    graph.nodes[id].state = State::Broken(Arc::new(graph::too_many()));
                    break;
                };
                if is_new {
                    graph.nodes[child].is_own =
                        is_missing && is_own(&document, &graph.nodes[child].descriptor);
                    graph.nodes[child].bytes = known;
                    // Indexes within this one keep the same platforms.
                    let is_index = graph.nodes[child].descriptor.media_type.is_index();
                    graph.nodes[child].kept = kept.clone().filter(|_| is_index);
                    if only_documents && !may_lack {
                        graph.nodes[child].state = State::Present;
                    }
                    next.push((spot, child));
                }
                graph.nodes[id].children.push(child);
            }
            if !only_documents && is_remote && graph.nodes[id].bytes.is_none() {
                graph.keep(id, document.bytes());
            }
        }
    }

    /// A registry that has an index in part, or a manifest without what may not be distributed, has less than it needs:
    /// what it lacks is put, and then the index or manifest again.
    fn open_again(&mut self) {
        for spot in 0..self.spots.len() {
            if self.destination(spot).is_local() {
                continue;
            }
            let graph = &mut self.spots[spot].graph;
            for id in (0..graph.nodes.len()).rev() {
                let node = &graph.nodes[id];
                let lacks =
                    |child: &NodeId| matches!(graph.nodes[*child].state, State::Missing | State::Broken(_));
                let may_lack = node.kept.is_some()
                    || self.options.nondistributable
                    || self.options.members && node.descriptor.media_type.is_index();
                if may_lack && node.state.is_present() && node.children.iter().any(lacks) {
                    graph.nodes[id].state = State::Missing;
                }
            }
        }
    }

    /// A document from where it is cheapest; whether the destination's is right.
    async fn read_one(&self, spot: usize, id: NodeId) -> Result<(Document, State)> {
        let (node, destination) = (&self.spots[spot].graph.nodes[id], self.destination(spot));
        if node.state.is_present()
            && destination.is_local()
            && let Ok(document) = destination.document(&node.descriptor).await
        {
            return Ok((document, State::Present));
        }
        let state = match destination.is_local() {
            true => State::Missing,
            false => node.state.clone(),
        };
        if let Some(bytes) = &node.bytes {
            return Ok((Document::of_verified(bytes.clone(), &node.descriptor)?, state));
        }
        let source = self.source(node.from);
        Ok((read_from(source, &node.descriptor, node.is_listed).await?, state))
    }
}

/// Whether content is hardly ever part of anything but this document: the config of an image, which names all its layers;
/// the content of an artifact that has little.
fn is_own(document: &Document, child: &Descriptor) -> bool {
    const FEW: usize = 2;
    let Some(manifest) = document.as_manifest() else { return false };
    let is_config = child.digest == manifest.config.digest;
    let is_artifact = !manifest.config.media_type.is_image_config() && manifest.layers.len() <= FEW;
    child.size > EMPTY && (is_config || is_artifact)
}

/// A document of a source, whose failure names it.
pub(crate) async fn read_from(
    source: &Arc<dyn Endpoint>,
    descriptor: &Descriptor,
    is_listed: bool,
) -> Result<Document> {
    let read = match is_listed {
        true => source.listed_document(descriptor).await,
        false => source.document(descriptor).await,
    };
    read.map_err(|cause| Error::at_source(source.place(), &descriptor.digest, cause))
}
