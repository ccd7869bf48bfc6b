//! Our own server on a loopback port, that counts and fails as it is told.

use std::collections::HashSet;
use std::future::pending;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tempfile::TempDir;
use transship_layout::{Durability, Layout};
use transship_serve::{Body, BoxError, Limits, Passwords, Service, ServiceBuilder};

use crate::answer::{full, refusal};
use crate::fault::{Effect, Fault};
use crate::personality::{Access, Personality, Play};
use crate::seen::Seen;
use crate::wire::{Flushed, Listening};
use crate::{Counts, spoil};

/// What a [`TestRegistry`] can and cannot do. Unless told it can do all that our server can: it is writable, lets its
/// clients delete, lists referrers, and mounts.
#[derive(Debug)]
#[must_use = "there is no registry before start"]
pub struct TestRegistryBuilder {
    folder: TempDir,
    layout: Option<Layout>,
    mounts: Vec<(String, Layout)>,
    writable: bool,
    delete: bool,
    login: Option<(String, String)>,
    limits: Limits,
    personality: Personality,
    made: HashSet<String>,
}

impl TestRegistryBuilder {
    /// Serves this layout in place of one in a temporary folder.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// Serves a layout more, as the repository of this name.
    pub fn mount(mut self, name: &str, layout: Layout) -> Self {
        self.mounts.push((name.to_owned(), layout));
        self
    }

    /// Takes no pushes.
    pub fn read_only(mut self) -> Self {
        self.writable = false;
        self
    }

    /// Does not let its clients delete.
    pub fn no_delete(mut self) -> Self {
        self.delete = false;
        self
    }

    /// Lets in only who knows this password.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// What the server does for clients at most.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Plays this registry. What is said of a single habit must be said after it.
    pub fn personality(mut self, personality: Personality) -> Self {
        self.personality = personality;
        self
    }

    /// Has this repository from the start, and with it its project.
    pub fn repository(mut self, name: &str) -> Self {
        self.made.insert(name.to_owned());
        self
    }

    /// Has no API for referrers, as registries of OCI 1.0: 404, and no `OCI-Subject`.
    pub fn no_referrers(mut self) -> Self {
        self.personality.referrers.missing = Some(404);
        self
    }

    /// Mounts nothing: every mount begins an upload.
    pub fn no_mount(mut self) -> Self {
        self.personality.mounts.never = true;
        self
    }

    /// Answers every `HEAD` by 405.
    pub fn no_head(mut self) -> Self {
        self.personality.refusals.head = Some(405);
        self
    }

    /// Repositories do not share what is pushed: a blob is only in those into which it was uploaded or mounted. What lay
    /// in the layout before is in all of them.
    pub fn separate(mut self) -> Self {
        self.personality.mounts.is_separate = true;
        self
    }

    /// Listens on a free loopback port.
    pub async fn start(self) -> TestRegistry {
        let is_ours = self.personality.access == Access::Ours;
        let passwords = self.login.as_ref().filter(|_| is_ours).map(|(user, password)| {
            let hash = bcrypt::hash(password, 4).unwrap();
            Passwords::parse(&format!("{user}:{hash}")).unwrap()
        });
        let layout = self.layout.unwrap_or_else(|| {
            Layout::options()
                .durability(Durability::None)
                .create(self.folder.path().join("registry"))
                .unwrap()
        });
        let mut builder: ServiceBuilder =
            Service::builder().writable(self.writable).allow_delete(self.delete).limits(self.limits);
        if let Some(passwords) = passwords {
            builder = builder.passwords(passwords);
        }
        for (name, layout) in self.mounts {
            builder = builder.mount(name, layout);
        }
        let service = builder.layout(layout.clone()).build().unwrap();
        let play = Play::new(self.personality, self.login, self.made, layout.clone());
        let state = Arc::new(State { play, faults: Mutex::default(), seen: Mutex::default() });
        let faulty = |is_side| Faulty { service: service.clone(), state: Arc::clone(&state), is_side };
        let listening = Listening::start("127.0.0.1", faulty(false)).await;
        let side = Listening::start("127.0.0.2", faulty(true)).await;
        state.play.is_at(listening.address, side.address);
        TestRegistry { listening, side, state, layout, _folder: self.folder, _runtime: None }
    }

    /// As [`start`](Self::start), for tests that are not async: the registry has a runtime of its own.
    pub fn start_blocking(self) -> TestRegistry {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let registry = runtime.block_on(self.start());
        TestRegistry { _runtime: Some(runtime), ..registry }
    }
}

/// A registry for tests, until it is dropped. It serves a layout of full references; see [`TestRegistry::layout`].
#[derive(Debug)]
pub struct TestRegistry {
    listening: Listening,
    side: Listening,
    state: Arc<State>,
    layout: Layout,
    _folder: TempDir,
    // The last to go: the server runs on it.
    _runtime: Option<tokio::runtime::Runtime>,
}

impl TestRegistry {
    /// One that can do everything.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// One with habits of its own.
    pub fn builder() -> TestRegistryBuilder {
        TestRegistryBuilder {
            folder: tempfile::tempdir().unwrap(),
            layout: None,
            mounts: Vec::new(),
            writable: true,
            delete: true,
            login: None,
            limits: Limits::default(),
            personality: Personality::default(),
            made: HashSet::new(),
        }
    }

    /// Host and port, as they stand in a reference.
    #[must_use]
    pub fn address(&self) -> String {
        self.listening.address.to_string()
    }

    /// A reference to something in it: `team/app:v1` becomes `127.0.0.1:PORT/team/app:v1`.
    #[must_use]
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address())
    }

    /// Host and port of its neighbour: the token server, or who takes uploads, of a registry that has them elsewhere.
    #[must_use]
    pub fn side_address(&self) -> String {
        self.side.address.to_string()
    }

    /// The refresh token that is as good as the password of [`login`](TestRegistryBuilder::login).
    #[must_use]
    pub fn refresh_token(&self) -> String {
        self.state.play.refresh_token()
    }

    /// The layout that is served, to put something in it or to look at what was pushed. New repositories are in it as
    /// `localhost/REPOSITORY:TAG`.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Fails in this way, too, from now on.
    pub fn fault(&self, fault: Fault) -> &Self {
        self.state.faults().push(Arc::new(fault));
        self
    }

    /// Fails in no way any more.
    pub fn heal(&self) -> &Self {
        self.state.faults().clear();
        self
    }

    /// All requests so far, in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.state.seen().clone()
    }

    /// Method and target of all requests so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.state.seen().iter().map(Seen::line).collect()
    }

    /// The requests so far, counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(self.state.seen().iter())
    }

    /// Connections that were made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.listening.connections.load(Ordering::SeqCst)
    }

    /// Forgets the requests so far.
    pub fn forget(&self) -> &Self {
        self.state.seen().clear();
        self
    }
}

#[derive(Debug)]
struct State {
    play: Play,
    faults: Mutex<Vec<Arc<Fault>>>,
    seen: Mutex<Vec<Seen>>,
}

type Guard<'a, T> = std::sync::MutexGuard<'a, T>;

impl State {
    fn faults(&self) -> Guard<'_, Vec<Arc<Fault>>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Guard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with a request: each fault counts it once.
    fn effect(&self, seen: &Seen) -> Effect {
        let faults = self.faults().clone();
        let strikes = faults.iter().filter_map(|fault| fault.strikes(seen));
        strikes.fold(Effect::default(), Effect::and)
    }
}

/// Our server, and what goes wrong with it.
pub(crate) struct Faulty {
    service: Service,
    state: Arc<State>,
    /// Whether this is the neighbour.
    is_side: bool,
}

impl Faulty {
    /// Answers; an error closes the connection.
    pub(crate) async fn respond(
        &self,
        request: Request<Body>,
        flushed: Arc<Flushed>,
    ) -> Result<Response<Body>, BoxError> {
        let (mut parts, body) = request.into_parts();
        let seen = Seen::new(&parts);
        let progress = seen.progress();
        self.state.seen().push(seen.clone());
        let effect = self.state.effect(&seen);
        if let Some(delay) = effect.delay {
            tokio::time::sleep(delay).await;
        }
        if effect.hang_up {
            return Err("hung up by the test".into());
        }
        if effect.silent {
            pending::<()>().await;
        }
        for name in &effect.ignored {
            parts.headers.remove(name);
        }
        let body = spoil::incoming(body, seen.progress(), effect.cut_request);
        let mut response = match effect.status {
            Some(status) => {
                // All of it is taken, so that a client that first sends and then reads gets to see the answer.
                let _ = body.collect().await?;
                struck(status, seen.method == Method::HEAD)
            }
            None => {
                let request = Request::from_parts(parts, body);
                self.state.play.respond(&self.service, request, self.is_side).await?
            }
        };
        if effect.cut_request.is_some_and(|cut| seen.received() >= cut) {
            return Err("cut by the test".into());
        }
        spoil_head(&mut response, &effect);
        progress.answered(response.status());
        Ok(response.map(|body| spoil::outgoing(body, progress, flushed, &effect)))
    }
}

fn spoil_head(response: &mut Response<Body>, effect: &Effect) {
    if let Some(body) = &effect.body {
        response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        *response.body_mut() = full(body.clone());
    }
    for name in &effect.without {
        response.headers_mut().remove(name);
    }
    for (name, value) in &effect.headers {
        response.headers_mut().insert(name, value.clone());
    }
}

/// The answer of a fault.
fn struck(status: StatusCode, is_head: bool) -> Response<Body> {
    let refused = refusal(status.as_u16(), "UNKNOWN", &format!("{status}, as the test wants it"));
    refused.map(|body| if is_head { full(bytes::Bytes::new()) } else { body })
}
