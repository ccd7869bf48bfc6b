//! Finding out what there is and what is missing, before anything moves.
//!
//! Level by level, so that every digest is asked about once and many questions are under way at once: see which names the
//! destination has, resolve the roots, read the documents that it lacks, and look for what belongs to them (referrers
//! and digest tags), which makes new roots.

mod convert;
mod documents;
pub(crate) mod intent;
mod look;
mod related;
mod subset;
mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use transship_spec::{Descriptor, Digest};

use crate::endpoint::{Ask, Endpoint, Listed, Place, QUESTIONS};
use crate::graph::{Graph, NodeId};
use crate::names::Name;
use crate::plan::{Options, Referrers};
use crate::report::{Converted, LeftOut, Part, Why};
use crate::select::Request;
use crate::{Error, Result};

use self::documents::Documents;
use self::look::Found;
use self::subset::Resolved;
pub(crate) use self::subset::merged;
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
    /// What its documents were before they were converted, those of other documents' first.
    pub(crate) converted: Vec<Converted>,
    /// The platforms to look at in an index of which not all may be copied.
    kept: Option<Arc<str>>,
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
    /// What is left out of roots on purpose, as far as the roots tell.
    left_out: LeftOut,
    documents: Documents,
    options: Options,
    /// Whether the roots are those that were given, so that nothing is looked for that belongs to them.
    is_fixed: bool,
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
            left_out: LeftOut::default(),
            documents: Documents::default(),
            options: options.clone(),
            is_fixed: false,
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
            // What costs no request comes first: nobody is asked for the sake of what is wrong here.
            let (free, asked) = new.clone().partition(|id| self.is_known(*id));
            self.resolve(free, &Found::new()).await;
            let found = self.look(new.clone()).await;
            self.resolve(asked, &found).await;
            self.compare(new.clone(), found).await;
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
            converted: Vec::new(),
            kept: None,
        });
    }

    pub(crate) fn source(&self, id: usize) -> &Arc<dyn Endpoint> {
        &self.endpoints[id]
    }

    pub(crate) fn destination(&self, spot: usize) -> &Arc<dyn Endpoint> {
        &self.endpoints[self.spots[spot].endpoint]
    }

    /// Whether it takes no request to say what a root is.
    fn is_known(&self, id: usize) -> bool {
        let root = &self.roots[id];
        root.listed.descriptor.is_some() || self.source(root.from).is_local()
    }

    /// Says what each of these roots is, once; from here on only digests count (row 49).
    async fn resolve(&mut self, mut unknown: Vec<usize>, found: &Found) {
        unknown.retain(|id| self.roots[*id].failure.is_none());
        // Not all at once: of some the index is read.
        for batch in unknown.chunks(BATCH) {
            let this = &*self;
            let resolve = |id: usize| async move {
                // What has its name there is most likely the same: then its digest is all that we need to know.
                let is_named = matches!(found.get(&id), Some(Ok(Some(_))));
                (id, this.resolve_one(&this.roots[id], is_named).await)
            };
            let batch = stream::iter(batch.iter().copied());
            let resolved: Vec<_> = batch.map(resolve).buffer_unordered(QUESTIONS).collect().await;
            for (id, result) in resolved {
                match result {
                    Ok(resolved) => self.settle(id, resolved),
                    Err(error) => self.roots[id].failure = Some(Arc::new(error)),
                }
            }
        }
    }

    async fn resolve_one(&self, root: &Root, is_named: bool) -> Result<Resolved> {
        let source = self.source(root.from);
        let dialect = self.dialect_of(root);
        let is_free = root.listed.descriptor.is_some() || source.is_local();
        // What is converted is read in any case, to know what it becomes.
        let is_enough = dialect.is_none() && (is_named || !self.documents.has_room());
        let named = match is_free || is_enough {
            true => (source.resolve(&root.listed).await?, None),
            // It is going to be read anyway.
            false => {
                let (named, document) = source.listed_root(&root.listed).await?;
                (named, Some(document))
            }
        };
        let digest = named.0.digest.clone();
        let mut resolved = self.part_of(source, named, root.why == Why::Asked).await?;
        if let Some(dialect) = dialect {
            resolved = self.converted(root, resolved, dialect).await?;
        }
        if let Some(wanted) = root.wanted.clone().filter(|wanted| *wanted != resolved.descriptor.digest) {
            return Err(Error::OtherDigest { wanted, found: resolved.descriptor.digest });
        }
        resolved.named = Some(digest).filter(|digest| *digest != resolved.descriptor.digest);
        if let Some(document) = resolved.document.take() {
            match resolved.part.as_ref().is_some_and(|part| part.original.is_some()) {
                true => self.documents.make(&document)?,
                false => self.documents.keep(&document),
            }
        }
        Ok(resolved)
    }

    /// Notes what a root is.
    fn settle(&mut self, id: usize, resolved: Resolved) {
        let Resolved { descriptor, part, named, converted, behind, mut doubts, kept, .. } = resolved;
        let called = &self.roots[id].listed.called;
        for (count, what) in [
            (behind.of_index, "signatures and the like stay behind, of the index"),
            (
                behind.of_converted,
                "signatures and the like stay behind, which do not fit the converted form of",
            ),
            (behind.annotations, "annotations are lost, for which Docker's media types have no place, of"),
            (behind.alone, "manifests keep their media types, since Docker's cannot say them, in"),
        ] {
            if count > 0 {
                self.warnings.push(format!("{count} {what} {called}"));
            }
        }
        self.warnings.append(&mut doubts);
        self.left_out.signatures += behind.of_index + behind.of_converted;
        self.left_out.annotations += behind.annotations;
        self.left_out.members += part.as_ref().map_or(0, |part| part.left_out);
        let root = &mut self.roots[id];
        (root.descriptor, root.listed.descriptor) = (Some(descriptor), None);
        (root.part, root.named, root.converted, root.kept) = (part, named, converted, kept);
    }

    /// What is left out on purpose, as far as roots tell.
    pub(crate) fn left_out(&self) -> LeftOut {
        self.left_out
    }

    fn ask(&self, many: bool) -> Ask {
        let referrers = self.options.referrers != Referrers::None;
        Ask { referrers, digest_tags: self.options.digest_tags, many }
    }
}
