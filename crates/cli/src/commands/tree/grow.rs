//! How a tree grows: from a root to what it leads to, and to what speaks of it.

use std::collections::{HashMap, HashSet};

use transship_layout::check::{KEPT_PLATFORMS, declared_holes};
use transship_layout::graph::Limits;
use transship_pack::kinds::{Kinds, Sight};
use transship_spec::{Descriptor, Digest, Document, Kind, annotations, platform};

use super::ground::{Ground, Read, Root};
use super::node::{Node, Role, State};
use crate::content::kind_of;
use crate::exit::Failure;

/// What is grown, and how far.
pub(super) struct Growing<'a> {
    ground: Ground<'a>,
    kinds: &'a Kinds,
    has_blobs: bool,
    /// Levels below a root.
    depth: usize,
    /// Documents whose branches were shown, and what they are.
    grown: HashMap<Digest, Known>,
    nodes: usize,
    /// How many nodes are not there, or not right.
    pub(super) faults: usize,
    /// Whether something lies deeper than is ever followed.
    pub(super) is_too_deep: bool,
}

#[derive(Clone)]
struct Known {
    kind: String,
    title: Option<String>,
    platform: Option<String>,
}

/// Some content that is come to.
struct Visit<'v> {
    role: Role,
    descriptor: &'v Descriptor,
    name: Option<String>,
    level: usize,
    /// Whether it was left out on purpose.
    is_hole: bool,
    /// The platforms that are kept of the index that it is, as its entry says.
    kept: Option<&'v str>,
}

impl<'a> Growing<'a> {
    pub(super) fn new(ground: Ground<'a>, kinds: &'a Kinds, has_blobs: bool, depth: Option<usize>) -> Self {
        Self {
            ground,
            kinds,
            has_blobs,
            depth: depth.unwrap_or(usize::MAX),
            grown: HashMap::new(),
            nodes: 0,
            faults: 0,
            is_too_deep: false,
        }
    }

    pub(super) fn roots(&mut self) -> Result<Vec<Node>, Failure> {
        let roots = self.ground.roots()?;
        roots.into_iter().map(|root| self.root(root)).collect()
    }

    fn root(&mut self, root: Root) -> Result<Node, Failure> {
        let kept = root.descriptor.annotations.get(KEPT_PLATFORMS).map(String::as_str);
        let visit = Visit {
            role: Role::Root,
            descriptor: &root.descriptor,
            name: root.name,
            level: 0,
            is_hole: false,
            kept,
        };
        Ok(Node { subject: root.subject, ..self.node(&visit)? })
    }

    fn node(&mut self, visit: &Visit<'_>) -> Result<Node, Failure> {
        self.nodes += 1;
        let limit = Limits::default().nodes;
        if self.nodes > limit {
            return Err(Failure::new(Kind::Limit, format!("the tree has more than {limit} nodes")));
        }
        let mut node = Node { name: visit.name.clone(), ..Node::new(visit.role, visit.descriptor) };
        if !visit.descriptor.media_type.is_document() {
            let fault = self.ground.fault(visit.descriptor);
            self.wrong(&mut node, fault);
            return Ok(node);
        }
        if let Some(known) = self.grown.get(&node.digest).cloned() {
            let Known { kind, title, platform } = known;
            (node.kind, node.title, node.seen) = (Some(kind), title, true);
            node.platform = node.platform.or(platform);
            return Ok(node);
        }
        match self.ground.document(visit.descriptor, visit.role == Role::Referrer)? {
            Read::Done(document) => self.read(&mut node, &document, visit)?,
            Read::Missing if visit.is_hole => node.state = Some(State::LeftOut),
            Read::Missing => self.wrong(&mut node, Some((State::Missing, None))),
            Read::Broken(error) => self.wrong(&mut node, Some((State::Broken, Some(error)))),
        }
        Ok(node)
    }

    fn wrong(&mut self, node: &mut Node, fault: Option<(State, Option<String>)>) {
        let Some((state, error)) = fault else { return };
        self.faults += usize::from(state != State::LeftOut);
        (node.state, node.error) = (Some(state), error);
    }

    /// What a document says, and what belongs to it.
    fn read(&mut self, node: &mut Node, document: &Document, visit: &Visit<'_>) -> Result<(), Failure> {
        let sight = Sight::of(document).listed(visit.descriptor).named(visit.name.as_deref());
        let kind = match self.kinds.recognise(&sight) {
            _ if platform::is_attestation(visit.descriptor) => "attestation",
            Some(kind) => kind.name(),
            None => kind_of(document),
        };
        let kind = kind.to_owned();
        node.title = sight.annotation(annotations::TITLE).map(str::to_owned);
        node.artifact_type = document.artifact_type().filter(|_| kind_of(document) != "image").cloned();
        node.annotations = document.annotations().clone();
        // In a list of referrers sizes may be wrong.
        node.size = document.bytes().len() as u64;
        if node.platform.is_none() && kind == "image" {
            node.platform = self.ground.platform(document);
        }
        node.kind = Some(kind.clone());
        if visit.level >= self.depth {
            node.cut = true;
            return Ok(());
        }
        if visit.level >= Limits::default().depth {
            (node.cut, self.is_too_deep) = (true, true);
            return Ok(());
        }
        let known = Known { kind, title: node.title.clone(), platform: node.platform.clone() };
        self.grown.insert(node.digest.clone(), known);
        self.parts(node, document, visit)?;
        self.related(node, visit.level)
    }

    /// What an index lists, or what a manifest is made of.
    fn parts(&mut self, node: &mut Node, document: &Document, visit: &Visit<'_>) -> Result<(), Failure> {
        let members = document.as_index().map(|index| index.manifests.as_slice());
        let holes: HashSet<Digest> = match (members, visit.kept) {
            (Some(members), Some(kept)) => declared_holes(members, kept),
            _ => HashSet::new(),
        };
        let config = document.as_manifest().map(|manifest| &manifest.config.digest);
        for (place, part) in document.children().into_iter().enumerate() {
            let role = match config {
                _ if members.is_some() => Role::Member,
                // The config comes first; a layer may have the same bytes.
                Some(config) if place == 0 && part.digest == *config => Role::Config,
                _ => Role::Layer,
            };
            if !self.has_blobs && !part.media_type.is_document() {
                continue;
            }
            let visit = Visit {
                role,
                descriptor: part,
                name: None,
                level: visit.level + 1,
                is_hole: holes.contains(&part.digest),
                kept: visit.kept,
            };
            node.children.push(self.node(&visit)?);
        }
        Ok(())
    }

    fn related(&mut self, node: &mut Node, level: usize) -> Result<(), Failure> {
        let related = self.ground.related(&node.digest)?;
        let tags = related.tags.into_iter().map(|(tag, descriptor)| (Role::DigestTag, Some(tag), descriptor));
        let referrers = related.referrers.into_iter().map(|descriptor| (Role::Referrer, None, descriptor));
        for (role, name, descriptor) in tags.chain(referrers) {
            let level = level + 1;
            let visit = Visit { role, descriptor: &descriptor, name, level, is_hole: false, kept: None };
            node.children.push(self.node(&visit)?);
        }
        Ok(())
    }
}
