//! Carrying a plan out: leaves first, each digest once, names last.
//!
//! A node is placed by whoever needs it first, and everybody else waits for that. What is below a node is placed before
//! it; a root gets its name when all below it is placed; what refers to a root follows it. A layout makes all its names
//! visible in one step at the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{OnceCell, Semaphore};
use transship_spec::{Descriptor, Digest, Document};

use crate::endpoint::{Endpoint, Offer, Place, Planned, Role, Session};
use crate::events::Placed;
use crate::fan::Fan;
use crate::graph::{Node, NodeId, State};
use crate::plan::{Options, Plan};
use crate::report::{Failure, Moved, Report, RootReport, Status, Why};
use crate::survey::{Root, Survey, intent, read_from};
use crate::{Error, Result};

/// An outcome that many wait for.
type Outcome = Result<(), Arc<Error>>;

/// A plan being carried out.
struct Run {
    survey: Survey,
    options: Options,
    sessions: Vec<Result<Arc<dyn Session>, Arc<Error>>>,
    /// What became of each node of each destination.
    placed: Vec<Vec<OnceCell<Outcome>>>,
    /// What belongs to each root.
    belongings: HashMap<usize, Vec<usize>>,
    places: Semaphore,
    /// Blobs that go to several registries at once.
    fans: Mutex<HashMap<(usize, Digest), Arc<Fan>>>,
    stopped: AtomicBool,
    moved: Mutex<Moved>,
    /// Whether something was done for a node.
    touched: Mutex<Vec<Vec<bool>>>,
    outcomes: Mutex<HashMap<usize, Result<Status, Arc<Error>>>>,
}

pub(crate) async fn run(plan: Plan) -> Report {
    let Plan { survey, options } = plan;
    let run = Run::new(survey, options).await;
    run.announce();
    let asked: Vec<usize> =
        (0..run.survey.roots.len()).filter(|id| run.survey.roots[*id].parent.is_none()).collect();
    stream::iter(asked).for_each_concurrent(run.concurrency(), |id| run.root(id)).await;
    run.commit().await;
    run.report()
}

impl Run {
    async fn new(survey: Survey, options: Options) -> Self {
        let mut sessions = Vec::new();
        for (at, spot) in survey.spots.iter().enumerate() {
            // Where nothing can come of it, nothing is touched.
            let is_needed = survey.roots.iter().any(|root| root.to == at && root.node.is_some());
            let session = match is_needed {
                true => {
                    let planned = Planned { link: options.link, ..survey.intent(at) };
                    survey.source(spot.endpoint).begin(planned).await.map_err(Arc::new)
                }
                false => Err(Arc::new(Error::Stopped)),
            };
            sessions.push(session);
        }
        let mut belongings: HashMap<usize, Vec<usize>> = HashMap::new();
        for (id, root) in survey.roots.iter().enumerate() {
            if let Some(parent) = root.parent {
                belongings.entry(parent).or_default().push(id);
            }
        }
        let nodes = survey.spots.iter().map(|spot| spot.graph.nodes.len());
        Self {
            placed: nodes
                .clone()
                .map(|count| std::iter::repeat_with(OnceCell::new).take(count).collect())
                .collect(),
            touched: Mutex::new(nodes.map(|count| vec![false; count]).collect()),
            places: Semaphore::new(options.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            fans: Mutex::default(),
            stopped: AtomicBool::new(false),
            moved: Mutex::default(),
            outcomes: Mutex::default(),
            sessions,
            belongings,
            survey,
            options,
        }
    }

    fn announce(&self) {
        let nodes = self.survey.spots.iter().flat_map(|spot| &spot.graph.nodes);
        let missing = nodes.filter(|node| !node.is_document && matches!(node.state, State::Missing));
        let (mut blobs, mut bytes) = (0, 0u64);
        for node in missing {
            blobs += 1;
            bytes = bytes.saturating_add(node.descriptor.size);
        }
        self.options.events.planned(blobs, bytes);
        for warning in &self.survey.warnings {
            self.options.events.warning(warning);
        }
    }

    fn concurrency(&self) -> usize {
        self.options.concurrency.max(1)
    }

    fn node(&self, spot: usize, id: NodeId) -> &Node {
        &self.survey.spots[spot].graph.nodes[id]
    }

    fn session(&self, spot: usize) -> Result<&Arc<dyn Session>, Arc<Error>> {
        self.sessions[spot].as_ref().map_err(Arc::clone)
    }

    fn moved(&self) -> MutexGuard<'_, Moved> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something was done for a node, and tells whether that was the first time.
    fn touch(&self, spot: usize, id: NodeId) -> bool {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut touched[spot][id], true)
    }

    /// A root, and then what belongs to it.
    fn root(&self, id: usize) -> BoxFuture<'_, ()> {
        let work = async move {
            let outcome = match self.stopped.load(Ordering::Relaxed) {
                true => Err(Arc::new(Error::Stopped)),
                false => self.place_root(&self.survey.roots[id]).await,
            };
            let is_done = outcome.is_ok();
            if !is_done && self.options.fail_fast {
                self.stopped.store(true, Ordering::Relaxed);
            }
            self.settle(id, outcome);
            let Some(belongings) = self.belongings.get(&id) else { return };
            match is_done {
                true => {
                    let each = stream::iter(belongings);
                    each.for_each_concurrent(self.concurrency(), |belonging| self.root(*belonging)).await;
                }
                false => belongings.iter().for_each(|belonging| self.give_up(*belonging)),
            }
        };
        work.boxed()
    }

    fn settle(&self, id: usize, outcome: Result<Status, Arc<Error>>) {
        self.options.events.root_done(&self.root_report(&self.survey.roots[id], &outcome));
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(id, outcome);
    }

    /// What belongs to a root that failed is not copied; what belongs to that is not, either.
    fn give_up(&self, id: usize) {
        let own = self.survey.roots[id].failure.clone();
        self.settle(id, Err(own.unwrap_or_else(|| Arc::new(Error::Subject))));
        for belonging in self.belongings.get(&id).into_iter().flatten() {
            self.give_up(*belonging);
        }
    }

    async fn place_root(&self, root: &Root) -> Result<Status, Arc<Error>> {
        if let Some(failure) = &root.failure {
            return Err(Arc::clone(failure));
        }
        let (Some(id), Some(descriptor)) = (root.node, &root.descriptor) else {
            return Err(Arc::new(Error::Worker("a root was not planned".to_owned())));
        };
        let (spot, session) = (root.to, self.session(root.to)?);
        let is_local = self.survey.destination(spot).is_local();
        let role = intent::role(root, descriptor, is_local);
        if root.is_there && !is_local && self.node(spot, id).state.is_present() {
            self.place(spot, id).await?;
            return Ok(Status::Present);
        }
        if !self.node(spot, id).is_document {
            self.place(spot, id).await?;
            session.keep(&role).await.map_err(Arc::new)?;
        } else {
            self.place_below(spot, id).await?;
            let role = if intent::keeps_its_name(root, &role) { Role::Child } else { role };
            self.put_document(spot, id, &role).await?;
        }
        let is_untouched = root.is_there && !self.is_touched(spot, id);
        Ok(if is_untouched { Status::Present } else { Status::Copied })
    }

    /// Whether something was done for a node or anything below it.
    fn is_touched(&self, spot: usize, id: NodeId) -> bool {
        let touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = std::collections::HashSet::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if touched[spot][id] {
                return true;
            }
            let children = &self.node(spot, id).children;
            stack.extend(children.iter().copied().filter(|child| seen.insert(*child)));
        }
        false
    }

    /// Sees to it that a node is at its destination, once.
    fn place(&self, spot: usize, id: NodeId) -> BoxFuture<'_, Outcome> {
        let work =
            async move { self.placed[spot][id].get_or_init(|| self.place_once(spot, id)).await.clone() };
        work.boxed()
    }

    async fn place_once(&self, spot: usize, id: NodeId) -> Outcome {
        let node = self.node(spot, id);
        let is_local = self.survey.destination(spot).is_local();
        match &node.state {
            State::Broken(error) => Err(Arc::clone(error)),
            State::LeftOut => Ok(()),
            State::Present if !is_local => {
                self.note_present(node);
                Ok(())
            }
            _ if node.is_document => {
                self.place_below(spot, id).await?;
                self.put_document(spot, id, &Role::Child).await
            }
            State::Present => {
                let permit = self.permit().await;
                let is_right = self.session(spot)?.reuse(&node.descriptor).await.map_err(Arc::new)?;
                drop(permit);
                if is_right {
                    self.note_present(node);
                    return Ok(());
                }
                self.put_blob(spot, id).await?;
                self.moved().healed.add(node.descriptor.size);
                Ok(())
            }
            State::Missing | State::Unknown => self.put_blob(spot, id).await,
        }
    }

    fn note_present(&self, node: &Node) {
        if !node.is_document {
            self.moved().note(Placed::Present, node.descriptor.size);
            self.options.events.blob_done(&node.descriptor, Placed::Present);
        }
    }

    async fn permit(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }

    /// Places all that a document needs.
    async fn place_below(&self, spot: usize, id: NodeId) -> Outcome {
        let node = self.node(spot, id);
        if let State::Broken(error) = &node.state {
            return Err(Arc::clone(error));
        }
        if node.state.is_present() && !self.survey.destination(spot).is_local() {
            return Ok(());
        }
        let children = stream::iter(node.children.iter().map(Ok));
        children.try_for_each_concurrent(self.concurrency(), |child| self.place(spot, *child)).await
    }

    async fn put_document(&self, spot: usize, id: NodeId, role: &Role) -> Outcome {
        let session = self.session(spot)?;
        let document = self.document(spot, id).await.map_err(Arc::new)?;
        let put = match session.put_document(&document, role).await {
            Err(cause) if cause.is_missing_child() && self.node(spot, id).left_out > 0 => {
                let place = self.survey.destination(spot).place().clone();
                Err(Error::Sparse { place, digest: document.digest().clone(), cause: Box::new(cause) })
            }
            Err(error) if error.is_missing_child() => {
                // The registry said that it had what it does not have (row 50).
                self.put_again(spot, id).await?;
                session.put_document(&document, role).await
            }
            put => put,
        };
        put.map_err(Arc::new)?;
        let node = self.node(spot, id);
        let is_local = self.survey.destination(spot).is_local();
        // A manifest that gets several names is put for each of them, and is one manifest all the same.
        if !(node.state.is_present() && is_local) && self.touch(spot, id) {
            self.moved().manifests.add(node.descriptor.size);
        }
        Ok(())
    }

    /// Puts what a document needs, whatever the destination says that it has: leaves first, each once.
    async fn put_again(&self, spot: usize, root: NodeId) -> Outcome {
        for id in self.survey.spots[spot].graph.below(root) {
            let node = self.node(spot, id);
            match node.state {
                State::LeftOut | State::Broken(_) => {}
                _ if node.is_document => {
                    let document = self.document(spot, id).await.map_err(Arc::new)?;
                    let session = self.session(spot)?;
                    session.put_document(&document, &Role::Child).await.map_err(Arc::new)?;
                }
                State::Present => self.put_blob(spot, id).await?,
                State::Missing | State::Unknown => {}
            }
        }
        Ok(())
    }

    /// A document as it was read for the plan, or read again.
    async fn document(&self, spot: usize, id: NodeId) -> Result<Document> {
        let node = self.node(spot, id);
        if let Some(bytes) = &node.bytes {
            return Ok(Document::of_verified(bytes.clone(), &node.descriptor)?);
        }
        let destination = self.survey.destination(spot);
        if node.state.is_present()
            && destination.is_local()
            && let Ok(document) = destination.document(&node.descriptor).await
        {
            return Ok(document);
        }
        read_from(self.survey.source(node.from), &node.descriptor, node.is_listed).await
    }

    /// Moves a blob by the shortest way that there is.
    fn put_blob(&self, spot: usize, id: NodeId) -> BoxFuture<'_, Outcome> {
        let work = async move {
            let node = self.node(spot, id);
            let mount_from = self.mount_from(spot, node).await;
            let relay = self.relay(spot, node).await;
            let fan = if relay.is_none() && mount_from.is_none() { self.fan(spot, node) } else { None };
            let Some((fan, is_first)) = fan else {
                let _permit = self.permit().await;
                let from = relay.unwrap_or_else(|| Arc::clone(self.survey.source(node.from)));
                return self.put_blob_from(spot, id, from, mount_from).await;
            };
            // One place for all of them: who waits for a place must not be waited for.
            let _permit = if is_first { self.permit().await } else { None };
            let others = fan.members().iter().filter(|other| is_first && **other != spot);
            let others = others.filter_map(|other| {
                let id = self.survey.spots[*other].graph.find(&node.descriptor)?;
                Some(self.place(*other, id))
            });
            let own = async {
                let put = self.put_blob_from(spot, id, fan.seat(spot), None).await;
                fan.leave(spot, &node.descriptor);
                put
            };
            let (put, _) = tokio::join!(own, futures_util::future::join_all(others));
            put
        };
        work.boxed()
    }

    /// The stream that a blob shares with its way to other registries, and whether this is the first of them.
    fn fan(&self, spot: usize, node: &Node) -> Option<(Arc<Fan>, bool)> {
        let mut fans = self.fans.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (node.from, node.descriptor.digest.clone());
        if let Some(fan) = fans.get(&key) {
            return fan.members().contains(&spot).then(|| (Arc::clone(fan), false));
        }
        let members = self.listeners(spot, node);
        if members.len() < 2 || self.survey.source(node.from).is_local() {
            return None;
        }
        let fan = Arc::new(Fan::new(self.survey.source(node.from), members));
        fans.insert(key, Arc::clone(&fan));
        Some((fan, true))
    }

    /// The destinations that need a blob from its source: of each registry the first, from which the others mount it.
    fn listeners(&self, spot: usize, node: &Node) -> Vec<usize> {
        let mut registries = std::collections::HashSet::new();
        let needs = |other: &usize| {
            let Place::Repository { registry, .. } = self.survey.destination(*other).place() else {
                return false;
            };
            let graph = &self.survey.spots[*other].graph;
            let theirs = graph.find(&node.descriptor).map(|id| &graph.nodes[id]);
            let is_missing = theirs.is_some_and(|theirs| {
                theirs.from == node.from && matches!(theirs.state, State::Missing | State::Unknown)
            });
            is_missing && registries.insert(registry.clone())
        };
        let members: Vec<usize> = (0..self.survey.spots.len()).filter(needs).collect();
        if members.contains(&spot) { members } else { Vec::new() }
    }

    /// A layout into which the same copy puts the blob, so that its source gives it once; it is waited for.
    async fn relay(&self, spot: usize, node: &Node) -> Option<Arc<dyn Endpoint>> {
        if self.survey.source(node.from).is_local() {
            return None;
        }
        let is_layout = |spot: usize| self.survey.destination(spot).layout().is_some();
        for other in (0..self.survey.spots.len()).filter(|other| *other != spot && is_layout(*other)) {
            // Layouts wait for those before them only, and nothing waits for anything else.
            if is_layout(spot) && other > spot {
                break;
            }
            let graph = &self.survey.spots[other].graph;
            let Some(id) = graph.find(&node.descriptor) else { continue };
            let comes = !matches!(graph.nodes[id].state, State::LeftOut | State::Broken(_));
            if comes && self.place(other, id).await.is_ok() {
                return Some(Arc::clone(self.survey.destination(other)));
            }
        }
        None
    }

    /// Moves a blob to one destination.
    async fn put_blob_from(
        &self,
        spot: usize,
        id: NodeId,
        from: Arc<dyn Endpoint>,
        mount_from: Option<String>,
    ) -> Outcome {
        let node = self.node(spot, id);
        let session = self.session(spot)?;
        let events = Arc::clone(&self.options.events);
        let offer = Offer { from, mount_from, events, resumed: Arc::default() };
        let mut tries = 0;
        let how = loop {
            self.options.events.blob_started(&node.descriptor);
            tries += 1;
            offer.resumed.store(0, Ordering::Relaxed);
            match session.put_blob(&node.descriptor, &offer).await {
                Ok(how) => break how,
                Err(error) => {
                    let to_layout = self.survey.destination(spot).is_local();
                    let error = self.blame(&node.descriptor, &offer, to_layout, error).await;
                    // Another connection may bring it whole (row 29); what lies on a disk stays as it is.
                    if tries > 1 || !error.is_passing_corruption() {
                        self.options.events.blob_failed(&node.descriptor);
                        return Err(Arc::new(error));
                    }
                    tracing::debug!(%error, "a blob came wrong, and is asked for once more");
                    offer.from.doubt(&node.descriptor.digest);
                }
            }
        };
        self.moved().note(how, node.descriptor.size);
        match offer.resumed.load(Ordering::Relaxed) {
            0 => {}
            held => self.moved().resumed.add(held),
        }
        self.touch(spot, id);
        self.options.events.blob_done(&node.descriptor, how);
        Ok(())
    }

    /// Finds out whether the source is at fault for a blob that did not arrive, and says so.
    async fn blame(&self, blob: &Descriptor, offer: &Offer, to_layout: bool, error: Error) -> Error {
        let from = &offer.from;
        let at_source = |cause| Error::at_source(from.place(), &blob.digest, cause);
        match &error {
            // A refusal makes us look at our own copy, which tells whose fault it is.
            Error::Layout(_) | Error::Registry(_) if from.is_local() && error.is_about_content() => {
                match from.verify(blob).await {
                    Ok(()) => error,
                    Err(cause) => at_source(cause),
                }
            }
            Error::Layout(_) | Error::Registry(_) if error.is_wrong_content() => at_source(error),
            // What a layout gets comes from the source, and so does what it does not get.
            Error::Registry(_) if to_layout && error.is_about_content() => at_source(error),
            _ => error,
        }
    }

    /// A repository from which the destination's registry may take a blob: the source, or one into which the same copy
    /// puts it, which is then waited for.
    async fn mount_from(&self, spot: usize, node: &Node) -> Option<String> {
        let place = self.survey.destination(spot).place();
        if let Some(from) = place.mountable(self.survey.source(node.from).place()) {
            return Some(from.to_owned());
        }
        for other in 0..spot {
            let Some(from) = place.mountable(self.survey.destination(other).place()) else { continue };
            let graph = &self.survey.spots[other].graph;
            let Some(id) = graph.find(&node.descriptor) else { continue };
            if !matches!(graph.nodes[id].state, State::LeftOut) && self.place(other, id).await.is_ok() {
                return Some(from.to_owned());
            }
        }
        None
    }

    /// Makes visible what layouts have gathered.
    async fn commit(&self) {
        for spot in 0..self.sessions.len() {
            let Ok(session) = self.session(spot) else { continue };
            let is_of_use = {
                let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                outcomes.iter().any(|(id, outcome)| self.survey.roots[*id].to == spot && outcome.is_ok())
            };
            if !is_of_use {
                session.abandon().await;
                continue;
            }
            if let Err(error) = session.commit().await {
                let error = Arc::new(error);
                let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                for (id, outcome) in outcomes.iter_mut() {
                    if self.survey.roots[*id].to == spot && outcome.is_ok() {
                        *outcome = Err(Arc::clone(&error));
                    }
                }
            }
        }
    }

    fn root_report(&self, root: &Root, outcome: &Result<Status, Arc<Error>>) -> RootReport {
        RootReport {
            source: shown(&self.survey, root),
            destination: self.survey.destination(root.to).place().to_string(),
            name: root.name.clone(),
            digest: root.descriptor.as_ref().map(|descriptor| descriptor.digest.clone()),
            why: root.why.clone(),
            status: *outcome.as_ref().unwrap_or(&Status::Failed),
            failure: outcome.as_ref().err().map(Failure::of),
            part: root.part.clone(),
            converted: root.converted.clone(),
            descriptor: root.descriptor.clone(),
        }
    }

    fn report(self) -> Report {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = Err(Arc::new(Error::Stopped));
        let roots: Vec<RootReport> = self
            .survey
            .roots
            .iter()
            .enumerate()
            .map(|(id, root)| self.root_report(root, outcomes.get(&id).unwrap_or(&unknown)))
            .collect();
        let mut left_out = self.survey.left_out();
        for node in self.survey.spots.iter().flat_map(|spot| &spot.graph.nodes) {
            if matches!(node.state, State::LeftOut) {
                left_out.nondistributable.add(node.descriptor.size);
            }
        }
        let came_along = |root: &&RootReport| root.why != Why::Asked && root.status != Status::Failed;
        Report {
            schema: "transship.copy.report/1",
            referrers: roots.iter().filter(came_along).count(),
            roots,
            content: *self.moved(),
            left_out,
            warnings: self.survey.warnings.clone(),
        }
    }
}

/// Where a root comes from, as one would type it.
pub(crate) fn shown(survey: &Survey, root: &Root) -> String {
    let place = survey.source(root.from).place();
    let digest =
        root.listed.digest.as_ref().or(root.descriptor.as_ref().map(|descriptor| &descriptor.digest));
    match (place, &root.listed.called.short, digest) {
        (Place::Repository { .. }, Some(tag), _) => format!("{place}:{tag}"),
        (Place::Layout(_) | Place::Archive(_) | Place::DockerArchive(_), _, _)
            if root.listed.called.is_named() =>
        {
            let called = &root.listed.called;
            let name = called.full.as_ref().map(ToString::to_string).or_else(|| called.short.clone());
            format!("{place}:{}", name.unwrap_or_default())
        }
        (_, _, Some(digest)) => format!("{place}@{digest}"),
        _ => place.to_string(),
    }
}
