//! Finding out what there is and what is missing, before anything moves.
//!
//! Level by level, so that every digest is asked about once and many questions are under way at once: resolve the roots,
//! see which of them the destination has, read the documents that it lacks, and look for what belongs to them (referrers
//! and digest tags), which makes new roots.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use transship_spec::{Descriptor, Digest, Document, platform, referrers};

use crate::endpoint::{Ask, Endpoint, Listed, Place, Related};
use crate::graph::{self, Graph, NodeId, State};
use crate::names::Name;
use crate::plan::{Options, Referrers};
use crate::report::Why;
use crate::select::Request;
use crate::{Error, Result};

/// Questions under way at once; registries bound them further.
const QUESTIONS: usize = 16;

/// Something that is copied with all that it needs, and that is found by a name or through its subject.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) listed: Listed,
    pub(crate) name: Name,
    pub(crate) why: Why,
    /// The root that this one belongs to, and how many there are above it.
    pub(crate) parent: Option<usize>,
    pub(crate) depth: usize,
    /// The digest that the destination asks for.
    pub(crate) wanted: Option<Digest>,
    pub(crate) descriptor: Option<Descriptor>,
    pub(crate) node: Option<NodeId>,
    /// Whether the destination has it under its name, or lists it.
    pub(crate) is_there: bool,
    pub(crate) failure: Option<Arc<Error>>,
}

/// A destination and what it is to hold.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) endpoint: usize,
    pub(crate) graph: Graph,
    /// Nodes up to here were asked about.
    related: usize,
}

/// What was found out.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) endpoints: Vec<Arc<dyn Endpoint>>,
    pub(crate) spots: Vec<Spot>,
    pub(crate) roots: Vec<Root>,
    pub(crate) warnings: Vec<String>,
    /// What refers to indexes of which one platform is copied.
    pub(crate) behind: usize,
    options: Options,
    /// Referrers and digest tags that are roots already.
    taken: HashSet<(usize, Digest)>,
    names: HashSet<(usize, Name)>,
}

impl Survey {
    pub(crate) async fn make(requests: Vec<Request>, options: &Options) -> Self {
        let mut survey = Self {
            endpoints: Vec::new(),
            spots: Vec::new(),
            roots: Vec::new(),
            warnings: Vec::new(),
            behind: 0,
            options: options.clone(),
            taken: HashSet::new(),
            names: HashSet::new(),
        };
        let mut places = HashMap::new();
        for request in requests {
            survey.ask_for(request, &mut places);
        }
        let mut done = 0;
        while done < survey.roots.len() {
            let new = done..survey.roots.len();
            done = new.end;
            survey.resolve(new.clone()).await;
            survey.look(new.clone()).await;
            survey.walk(new).await;
            survey.relate().await;
        }
        for spot in &mut survey.spots {
            spot.graph.measure();
        }
        survey
    }

    fn ask_for(&mut self, request: Request, places: &mut HashMap<Place, usize>) {
        let mut endpoint = |endpoint: Arc<dyn Endpoint>| {
            *places.entry(endpoint.place().clone()).or_insert_with(|| {
                self.endpoints.push(endpoint);
                self.endpoints.len() - 1
            })
        };
        let (from, to) = (endpoint(request.from), endpoint(request.to));
        let spot = self.spots.iter().position(|spot| spot.endpoint == to).unwrap_or_else(|| {
            self.spots.push(Spot { endpoint: to, graph: Graph::default(), related: 0 });
            self.spots.len() - 1
        });
        self.names.insert((spot, request.name.clone()));
        self.roots.push(Root {
            from,
            to: spot,
            listed: request.listed,
            name: request.name,
            why: Why::Asked,
            parent: None,
            depth: 0,
            wanted: request.digest,
            descriptor: None,
            node: None,
            is_there: false,
            failure: None,
        });
    }

    pub(crate) fn source(&self, id: usize) -> &Arc<dyn Endpoint> {
        &self.endpoints[id]
    }

    pub(crate) fn destination(&self, spot: usize) -> &Arc<dyn Endpoint> {
        &self.endpoints[self.spots[spot].endpoint]
    }

    /// Says what each root is, once; from here on only digests count (row 49).
    async fn resolve(&mut self, new: Range<usize>) {
        let this = &*self;
        let resolve = |id: usize| async move { (id, this.resolve_one(&this.roots[id]).await) };
        let unknown = new.filter(|id| this.roots[*id].failure.is_none());
        let resolved: Vec<_> = stream::iter(unknown).map(resolve).buffer_unordered(QUESTIONS).collect().await;
        for (id, result) in resolved {
            match result {
                Ok((descriptor, behind)) => {
                    if behind > 0 {
                        let called = &self.roots[id].listed.called;
                        let text =
                            format!("{behind} signatures and the like of the index {called} stay behind");
                        self.warnings.push(text);
                        self.behind += behind;
                    }
                    self.roots[id].descriptor = Some(descriptor);
                }
                Err(error) => self.roots[id].failure = Some(Arc::new(error)),
            }
        }
    }

    async fn resolve_one(&self, root: &Root) -> Result<(Descriptor, usize)> {
        let source = self.source(root.from);
        let descriptor = source.resolve(&root.listed).await?;
        if let Some(wanted) = root.wanted.clone().filter(|wanted| *wanted != descriptor.digest) {
            return Err(Error::OtherDigest { wanted, found: descriptor.digest });
        }
        match &self.options.platform {
            Some(wanted) if root.why == Why::Asked && descriptor.media_type.is_index() => {
                self.member(source, &descriptor, wanted).await
            }
            _ => Ok((descriptor, 0)),
        }
    }

    /// The member of an index for a platform, and how much that belongs to the index does not come with it.
    async fn member(
        &self,
        source: &Arc<dyn Endpoint>,
        descriptor: &Descriptor,
        wanted: &transship_spec::Platform,
    ) -> Result<(Descriptor, usize)> {
        let document = source.document(descriptor).await?;
        let members = document.as_index().map(|index| index.manifests.as_slice()).unwrap_or_default();
        let Some(member) = platform::select(members, wanted) else {
            let names = members.iter().filter_map(|member| member.platform.as_ref()).map(ToString::to_string);
            let available = names.take(20).collect::<Vec<_>>().join(", ");
            let (digest, platform) = (descriptor.digest.clone(), wanted.to_string());
            return Err(Error::NoPlatform { digest, platform, available });
        };
        let related = source.related(&descriptor.digest, self.ask(false)).await?;
        let speaks_of_it = |other: &&Descriptor| {
            let of = other.annotations.get(transship_spec::annotations::DOCKER_REFERENCE_DIGEST);
            platform::is_attestation(other) && of.is_some_and(|of| *of == member.digest.to_string())
        };
        let attestations = members.iter().filter(speaks_of_it).count();
        Ok((member.clone(), related.referrers.len() + related.digest_tags.len() + attestations))
    }

    fn ask(&self, many: bool) -> Ask {
        let referrers = self.options.referrers != Referrers::None;
        Ask { referrers, digest_tags: self.options.digest_tags, many }
    }

    /// Finds out which roots the destinations have under their names: one question each.
    async fn look(&mut self, new: Range<usize>) {
        for spot in 0..self.spots.len() {
            let is_named = |id: &usize| {
                let root = &self.roots[*id];
                root.to == spot && root.failure.is_none() && !matches!(root.why, Why::Referrer(_))
            };
            let ids: Vec<usize> = new.clone().filter(is_named).collect();
            let names: Vec<Name> = ids.iter().map(|id| self.roots[*id].name.clone()).collect();
            let destination = self.destination(spot);
            let is_local = destination.is_local();
            let found = destination.find(&names).await;
            for (id, found) in ids.into_iter().zip(found) {
                let root = &mut self.roots[id];
                match found {
                    Ok(found) => {
                        let digests = (found.map(|found| found.digest), root.descriptor.as_ref());
                        root.is_there = matches!(digests, (Some(one), Some(other)) if one == other.digest);
                    }
                    Err(error) => root.failure = Some(Arc::new(error)),
                }
                // What has no name is only entered, which changes nothing where it is there.
                root.is_there |= is_local && root.name == Name::Digest;
            }
            self.look_for_referrers(spot, new.clone()).await;
        }
    }

    /// A registry is asked which referrers it lists, once for each subject that it has.
    async fn look_for_referrers(&mut self, spot: usize, new: Range<usize>) {
        let is_local = self.destination(spot).is_local();
        let mut subjects: HashMap<Digest, Vec<usize>> = HashMap::new();
        for id in new {
            let root = &mut self.roots[id];
            let Why::Referrer(subject) = &root.why else { continue };
            if root.to != spot || root.failure.is_some() {
                continue;
            }
            let there = self.spots[spot].graph.find(subject, true);
            if is_local {
                root.is_there = true;
            } else if there.is_some_and(|id| self.spots[spot].graph.nodes[id].state.is_present()) {
                subjects.entry(subject.clone()).or_default().push(id);
            }
        }
        let destination = self.destination(spot);
        let ask = Ask { referrers: true, digest_tags: false, many: subjects.len() > 1 };
        let question = |(subject, ids): (Digest, Vec<usize>)| async move {
            // Where that cannot be known they are put again, which does no harm.
            let listed = destination.related(&subject, ask).await.unwrap_or_default().referrers;
            (ids, listed)
        };
        let answers: Vec<_> =
            stream::iter(subjects).map(question).buffer_unordered(QUESTIONS).collect().await;
        for (ids, listed) in answers {
            for id in ids {
                let root = &mut self.roots[id];
                let digest = root.descriptor.as_ref().map(|descriptor| &descriptor.digest);
                root.is_there = listed.iter().any(|listed| Some(&listed.digest) == digest);
            }
        }
    }

    /// Reads from the new roots downwards, level by level.
    async fn walk(&mut self, new: Range<usize>) {
        let mut level = Vec::new();
        for id in new {
            let root = &self.roots[id];
            let (Some(descriptor), None) = (root.descriptor.clone(), &root.failure) else { continue };
            let (spot, is_listed) = (root.to, matches!(root.why, Why::Referrer(_)));
            let is_there = root.is_there && !self.destination(spot).is_local();
            let graph = &mut self.spots[spot].graph;
            let Some((node, is_new)) = graph.enter(&descriptor, root.from, id) else {
                self.roots[id].failure = Some(Arc::new(graph::too_many()));
                continue;
            };
            if is_new {
                graph.nodes[node].is_listed = is_listed;
                level.push((spot, node));
            }
            if is_there && matches!(graph.nodes[node].state, State::Unknown) {
                graph.nodes[node].state = State::Present;
            }
            self.roots[id].node = Some(node);
        }
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
                    || node.descriptor.media_type.is_index() && (ask.referrers || ask.digest_tags)
            }
            _ => false,
        };
        node.is_document && wanted
    }

    /// Finds out which of these nodes the destinations have.
    async fn check(&mut self, level: &[(usize, NodeId)]) {
        for spot in 0..self.spots.len() {
            let mut unknown = Vec::new();
            for (_, id) in level.iter().filter(|(of, _)| *of == spot) {
                let node = &self.spots[spot].graph.nodes[*id];
                if !matches!(node.state, State::Unknown) {
                    continue;
                }
                // Where a mount is tried, nothing is asked before (DIST-182).
                let (place, from) = (self.destination(spot).place(), self.source(node.from).place());
                if !node.is_document && place.mountable(from).is_some() && !self.stays_behind(spot, node) {
                    self.spots[spot].graph.nodes[*id].state = State::Missing;
                } else {
                    unknown.push(*id);
                }
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
        let this = &*self;
        let read = |(spot, id): (usize, NodeId)| async move { (spot, id, this.read_one(spot, id).await) };
        let documents: Vec<_> = stream::iter(level).map(read).buffered(QUESTIONS).collect().await;
        let mut next = Vec::new();
        for (spot, id, result) in documents {
            let is_local = self.destination(spot).is_local();
            let graph = &mut self.spots[spot].graph;
            let (document, state) = match result {
                Ok(read) => read,
                Err(error) => {
                    graph.nodes[id].state = State::Broken(Arc::new(error));
                    continue;
                }
            };
            let only_documents = state.is_present() && !is_local;
            graph.nodes[id].state = state;
            if graph.nodes[id].is_listed {
                graph.nodes[id].descriptor = document.descriptor();
            }
            let (from, root) = (graph.nodes[id].from, graph.nodes[id].root);
            for child in document.children() {
                if only_documents && !child.media_type.is_document() {
                    continue;
                }
                let Some((child, is_new)) = graph.enter(child, from, root) else {
                    graph.nodes[id].state = State::Broken(Arc::new(graph::too_many()));
                    break;
                };
                if is_new {
                    if only_documents {
                        graph.nodes[child].state = State::Present;
                    }
                    next.push((spot, child));
                }
                graph.nodes[id].children.push(child);
            }
            if !only_documents {
                graph.keep(id, document);
            }
        }
        next
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
        let source = self.source(node.from);
        Ok((read_from(source, &node.descriptor, node.is_listed).await?, state))
    }

    /// Looks for what belongs to the manifests that were met, and makes roots of it.
    async fn relate(&mut self) {
        let wanted = self.ask(false);
        if !wanted.referrers && !wanted.digest_tags {
            return;
        }
        let mut questions = Vec::new();
        for (at, spot) in self.spots.iter_mut().enumerate() {
            let new = std::mem::replace(&mut spot.related, spot.graph.nodes.len())..spot.graph.nodes.len();
            let met = |id: &NodeId| {
                let node = &spot.graph.nodes[*id];
                node.is_document && matches!(node.state, State::Present | State::Missing)
            };
            questions.extend(new.filter(met).map(|id| (at, id)));
        }
        let this = &*self;
        let question = |(spot, id): (usize, NodeId)| async move {
            let node = &this.spots[spot].graph.nodes[id];
            let asked = |root: &&Root| root.from == node.from && root.why == Why::Asked;
            let ask = this.ask(this.roots.iter().filter(asked).nth(1).is_some());
            (spot, id, this.source(node.from).related(&node.descriptor.digest, ask).await)
        };
        let answers: Vec<_> = stream::iter(questions).map(question).buffered(QUESTIONS).collect().await;
        for (spot, id, related) in answers {
            let parent = self.spots[spot].graph.nodes[id].root;
            let subject = self.spots[spot].graph.nodes[id].descriptor.digest.clone();
            match related {
                Ok(related) => self.add(spot, parent, &subject, related),
                Err(error) => {
                    let listed = self.roots[parent].listed.clone();
                    let mut root = self.belonging(parent, listed, Why::Referrer(subject), Name::Digest);
                    root.failure = Some(Arc::new(error));
                    self.roots.push(root);
                }
            }
        }
    }

    fn add(&mut self, spot: usize, parent: usize, subject: &Digest, related: Related) {
        let types: &[transship_spec::MediaType] = match &self.options.referrers {
            Referrers::Types(types) => types,
            _ => &[],
        };
        let chosen: Vec<Descriptor> = referrers::filter(&related.referrers, types).cloned().collect();
        for descriptor in chosen {
            let is_known = self.spots[spot].graph.find(&descriptor.digest, true).is_some();
            if is_known || !self.taken.insert((spot, descriptor.digest.clone())) {
                continue;
            }
            let listed = Listed {
                called: Default::default(),
                digest: Some(descriptor.digest.clone()),
                descriptor: Some(descriptor),
            };
            let root = self.belonging(parent, listed, Why::Referrer(subject.clone()), Name::Digest);
            self.roots.push(root);
        }
        for (tag, listed) in related.digest_tags {
            let name = self.roots[parent].name.beside(&tag);
            if self.names.insert((spot, name.clone())) {
                let root = self.belonging(parent, listed, Why::DigestTag(subject.clone()), name);
                self.roots.push(root);
            }
        }
    }

    /// A root that belongs to another one.
    fn belonging(&self, parent: usize, listed: Listed, why: Why, name: Name) -> Root {
        let above = &self.roots[parent];
        let depth = above.depth + 1;
        let failure = (depth > graph::MAX_DEPTH).then(|| {
            let what = "the number of referrers that refer to one another";
            Arc::new(Error::Limit { what, limit: graph::MAX_DEPTH as u64 })
        });
        Root {
            from: above.from,
            to: above.to,
            listed,
            name,
            why,
            parent: Some(parent),
            depth,
            wanted: None,
            descriptor: None,
            node: None,
            is_there: false,
            failure,
        }
    }
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
    read.map_err(|cause| {
        let (place, digest) = (source.place().clone(), descriptor.digest.clone());
        Error::Source { place, digest, cause: Box::new(cause) }
    })
}
