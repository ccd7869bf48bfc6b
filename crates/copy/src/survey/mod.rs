//! Finding out what there is and what is missing, before anything moves.
//!
//! Level by level, so that every digest is asked about once and many questions are under way at once: resolve the roots,
//! see which of them the destination has, read the documents that it lacks, and look for what belongs to them (referrers
//! and digest tags), which makes new roots.

pub(crate) mod intent;
mod related;
mod subset;
mod walk;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use transship_layout::check::KEPT_PLATFORMS;
use transship_spec::{Descriptor, Digest};

use crate::endpoint::{Ask, Endpoint, Listed, Place, QUESTIONS};
use crate::graph::{Graph, NodeId};
use crate::names::Name;
use crate::plan::{Options, Referrers};
use crate::report::{LeftOut, Part, Why};
use crate::select::Request;
use crate::{Error, Result};

pub(crate) use self::subset::merged;
use self::subset::{Chosen, Resolved};
pub(crate) use self::walk::read_from;

/// Roots that are resolved before what was read of them is looked at.
const BATCH: usize = 256;

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
    /// What its name stands for at the source, where that is not all copied; and at the destination, as it is now.
    pub(crate) named: Option<Digest>,
    pub(crate) there: Option<Digest>,
    /// The digest that the destination asks for.
    pub(crate) wanted: Option<Digest>,
    pub(crate) descriptor: Option<Descriptor>,
    pub(crate) node: Option<NodeId>,
    /// Whether the destination has it under its name, or lists it.
    pub(crate) is_there: bool,
    /// Whether the entry that names it there declares other platforms than it will have.
    pub(crate) redeclares: bool,
    pub(crate) failure: Option<Arc<Error>>,
    /// What of an index is copied, if not all.
    pub(crate) part: Option<Part>,
    /// The platforms to look at in an index, and its bytes, where they were read to find that out.
    subset: Chosen,
}

impl Root {
    /// What its name stands for at the destination, if that is something else.
    pub(crate) fn replaced(&self) -> Option<&Digest> {
        let digest = self.descriptor.as_ref().map(|descriptor| &descriptor.digest);
        self.there.as_ref().filter(|there| Some(*there) != digest)
    }
}

/// A destination and what it is to hold.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) endpoint: usize,
    pub(crate) graph: Graph,
    /// Nodes up to here were asked about.
    related: usize,
}

/// The endpoints by their places. Where one place is both, whoever reads it need not be able to write.
type Places = HashMap<(Place, bool), usize>;

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
    /// Whether the roots are those that were given, so that nothing is looked for that belongs to them.
    is_fixed: bool,
    /// Bytes of indexes that may still be kept for their parts.
    room: usize,
    /// Referrers and digest tags that are roots already.
    taken: HashSet<(usize, Digest)>,
    names: HashSet<(usize, Name)>,
}

/// A root that is copied because a saved plan says so.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) request: Request,
    pub(crate) why: Why,
    /// The root before it that it belongs to.
    pub(crate) parent: Option<usize>,
    /// Why it cannot be had.
    pub(crate) failure: Option<Arc<Error>>,
}

impl Survey {
    pub(crate) async fn make(requests: Vec<Request>, options: &Options) -> Self {
        let mut survey = Self::empty(options);
        let mut places = Places::new();
        for request in requests {
            survey.ask_for(request, &mut places);
        }
        survey.grow().await;
        survey
    }

    /// Of these roots and of nothing else. What belongs to something stands after it, by depth.
    pub(crate) async fn of_fixed(roots: Vec<Fixed>, options: &Options) -> Self {
        let mut survey = Self { is_fixed: true, ..Self::empty(options) };
        let mut places = Places::new();
        for Fixed { request, why, parent, failure } in roots {
            survey.ask_for(request, &mut places);
            let depth = parent.map_or(0, |parent| survey.roots[parent].depth + 1);
            if let Some(root) = survey.roots.last_mut() {
                (root.why, root.parent, root.depth, root.failure) = (why, parent, depth, failure);
            }
        }
        survey.grow().await;
        survey
    }

    fn empty(options: &Options) -> Self {
        Self {
            endpoints: Vec::new(),
            spots: Vec::new(),
            roots: Vec::new(),
            warnings: Vec::new(),
            behind: 0,
            options: options.clone(),
            is_fixed: false,
            room: subset::ROOM,
            taken: HashSet::new(),
            names: HashSet::new(),
        }
    }

    /// Looks at the roots, then at what belongs to them, and so on.
    async fn grow(&mut self) {
        let mut done = 0;
        while let Some(first) = self.roots.get(done) {
            let depth = first.depth;
            let level = self.roots[done..].iter().take_while(|root| root.depth == depth).count();
            let new = done..done + level;
            done = new.end;
            self.resolve(new.clone()).await;
            self.look(new.clone()).await;
            self.walk(new).await;
            self.relate().await;
        }
        for spot in &mut self.spots {
            spot.graph.measure();
        }
    }

    fn ask_for(&mut self, request: Request, places: &mut Places) {
        let mut endpoint = |endpoint: Arc<dyn Endpoint>, is_written: bool| {
            *places.entry((endpoint.place().clone(), is_written)).or_insert_with(|| {
                self.endpoints.push(endpoint);
                self.endpoints.len() - 1
            })
        };
        let (from, to) = (endpoint(request.from, false), endpoint(request.to, true));
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
            named: None,
            there: None,
            wanted: request.digest,
            descriptor: None,
            node: None,
            is_there: false,
            redeclares: false,
            failure: None,
            part: None,
            subset: Chosen::default(),
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
        let unknown: Vec<usize> = new.filter(|id| self.roots[*id].failure.is_none()).collect();
        // Not all at once: of some the index is read.
        for batch in unknown.chunks(BATCH) {
            let this = &*self;
            let resolve = |id: usize| async move { (id, this.resolve_one(&this.roots[id]).await) };
            let batch = stream::iter(batch.iter().copied());
            let resolved: Vec<_> = batch.map(resolve).buffer_unordered(QUESTIONS).collect().await;
            for (id, result) in resolved {
                if let Err(error) = result.and_then(|resolved| self.settle(id, resolved)) {
                    self.roots[id].failure = Some(Arc::new(error));
                }
            }
        }
    }

    async fn resolve_one(&self, root: &Root) -> Result<Resolved> {
        let source = self.source(root.from);
        let named = source.resolve(&root.listed).await?;
        let digest = named.digest.clone();
        let mut resolved = self.part_of(source, named, root.why == Why::Asked).await?;
        resolved.named = Some(digest).filter(|digest| *digest != resolved.descriptor.digest);
        match root.wanted.clone().filter(|wanted| *wanted != resolved.descriptor.digest) {
            Some(wanted) => Err(Error::OtherDigest { wanted, found: resolved.descriptor.digest }),
            None => Ok(resolved),
        }
    }

    /// Notes what a root is.
    fn settle(&mut self, id: usize, resolved: Resolved) -> Result<()> {
        let Resolved { descriptor, part, named, behind, chosen } = resolved;
        if behind > 0 {
            let called = &self.roots[id].listed.called;
            self.warnings.push(format!("{behind} signatures and the like of the index {called} stay behind"));
            self.behind += behind;
        }
        let chosen = self.fit(chosen)?;
        let root = &mut self.roots[id];
        (root.descriptor, root.listed.descriptor) = (Some(descriptor), None);
        (root.part, root.named, root.subset) = (part, named, chosen);
        Ok(())
    }

    /// What is left out on purpose, as far as roots tell.
    pub(crate) fn left_out(&self) -> LeftOut {
        let parts = self.roots.iter().filter_map(|root| root.part.as_ref());
        let members = parts.map(|part| part.left_out).sum();
        LeftOut { signatures: self.behind, members, ..LeftOut::default() }
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
                        let declared = found.as_ref().and_then(|found| found.annotations.get(KEPT_PLATFORMS));
                        let declared = declared.cloned();
                        root.there = found.map(|found| found.digest);
                        let digests = (&root.there, root.descriptor.as_ref());
                        root.is_there = matches!(digests, (Some(one), Some(other)) if *one == other.digest);
                        if is_local && root.is_there {
                            root.declare(declared.as_deref());
                        }
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
            let there = self.spots[spot].graph.document(subject);
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
}
