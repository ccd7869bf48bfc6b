//! Our own server on a loopback port, that counts and fails as it is told.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::CONTENT_LENGTH;
use http::{HeaderName, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;
use transship_layout::{Durability, Layout};
use transship_serve::{Body, BoxError, Limits, Passwords, Service, ServiceBuilder};

use crate::fault::{Effect, Fault};
use crate::seen::Seen;
use crate::wire::{Flushed, Listening};
use crate::{Counts, spoil};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

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
    habits: Habits,
}

#[derive(Debug, Clone, Copy, Default)]
struct Habits {
    no_referrers: bool,
    no_mount: bool,
    no_head: bool,
    separate: bool,
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

    /// Has no API for referrers, as registries of OCI 1.0: 404, and no `OCI-Subject`.
    pub fn no_referrers(mut self) -> Self {
        self.habits.no_referrers = true;
        self
    }

    /// Mounts nothing: every mount begins an upload.
    pub fn no_mount(mut self) -> Self {
        self.habits.no_mount = true;
        self
    }

    /// Answers every `HEAD` by 405.
    pub fn no_head(mut self) -> Self {
        self.habits.no_head = true;
        self
    }

    /// Repositories do not share what is pushed: a blob is only in those into which it was uploaded or mounted. What lay
    /// in the layout before is in all of them.
    pub fn separate(mut self) -> Self {
        self.habits.separate = true;
        self
    }

    /// Listens on a free loopback port.
    pub async fn start(self) -> TestRegistry {
        let passwords = self.login.as_ref().map(|(user, password)| {
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
        let state = Arc::new(State { habits: self.habits, ..State::default() });
        let faulty = Faulty { service, state: Arc::clone(&state) };
        let listening = Listening::start(faulty).await;
        TestRegistry { listening, state, layout, _folder: self.folder, _runtime: None }
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
            habits: Habits::default(),
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

#[derive(Debug, Default)]
struct State {
    habits: Habits,
    faults: Mutex<Vec<Arc<Fault>>>,
    seen: Mutex<Vec<Seen>>,
    /// Which repositories have a blob that was pushed.
    owners: Mutex<HashMap<String, HashSet<String>>>,
}

type Guard<'a, T> = std::sync::MutexGuard<'a, T>;

impl State {
    fn faults(&self) -> Guard<'_, Vec<Arc<Fault>>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Guard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owners(&self) -> Guard<'_, HashMap<String, HashSet<String>>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with a request: each fault counts it once.
    fn effect(&self, seen: &Seen) -> Effect {
        let faults = self.faults().clone();
        let strikes = faults.iter().filter_map(|fault| fault.strikes(seen));
        strikes.fold(Effect::default(), Effect::and)
    }

    /// An answer that a registry of these habits gives without a look at the request.
    fn habit(&self, seen: &Seen) -> Option<StatusCode> {
        let path = seen.target.split('?').next().unwrap_or_default();
        if self.habits.no_head && seen.method == Method::HEAD {
            return Some(StatusCode::METHOD_NOT_ALLOWED);
        }
        if self.habits.no_referrers && path.contains("/referrers/") {
            return Some(StatusCode::NOT_FOUND);
        }
        let (repository, digest) = blob(path)?;
        let is_elsewhere = self.owners().get(digest).is_some_and(|owners| !owners.contains(repository));
        (self.habits.separate && is_elsewhere).then_some(StatusCode::NOT_FOUND)
    }

    /// The request as the server is to see it.
    fn change(&self, request: &mut Request<Body>) {
        let query = request.uri().query().unwrap_or_default();
        let Some(digest) = parameter(query, "mount") else { return };
        let refuse = match parameter(query, "from") {
            _ if self.habits.no_mount => true,
            Some(from) if self.habits.separate => {
                self.owners().get(&digest).is_some_and(|owners| !owners.contains(&from))
            }
            Some(_) => false,
            None => self.habits.separate,
        };
        if refuse {
            *request.uri_mut() = request.uri().path().parse::<Uri>().unwrap();
        }
    }

    /// Remembers into which repository a blob went.
    fn learn(&self, response: &Response<Body>) {
        let location = response.headers().get("location").and_then(|location| location.to_str().ok());
        if response.status() == StatusCode::CREATED
            && let Some((repository, digest)) = location.and_then(blob)
        {
            self.owners().entry(digest.to_owned()).or_default().insert(repository.to_owned());
        }
    }
}

/// Repository and digest of a path to a blob, where it is one.
fn blob(path: &str) -> Option<(&str, &str)> {
    let (repository, digest) = path.strip_prefix("/v2/")?.rsplit_once("/blobs/")?;
    digest.contains(':').then_some((repository, digest))
}

/// A parameter of a query, of which slashes and colons may be encoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.replace("%3A", ":").replace("%2F", "/"))
}

/// Our server, and what goes wrong with it.
pub(crate) struct Faulty {
    service: Service,
    state: Arc<State>,
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
        let mut response = match effect.status.or_else(|| self.state.habit(&seen)) {
            Some(status) => {
                // All of it is taken, so that a client that first sends and then reads gets to see the answer.
                let _ = body.collect().await?;
                refusal(status, seen.method == Method::HEAD)
            }
            None => {
                let mut request = Request::from_parts(parts, body);
                self.state.change(&mut request);
                self.service.handle(request).await
            }
        };
        if effect.cut_request.is_some_and(|cut| seen.received() >= cut) {
            return Err("cut by the test".into());
        }
        self.state.learn(&response);
        self.spoil(&mut response, &effect);
        progress.answered(response.status());
        Ok(response.map(|body| spoil::outgoing(body, progress, flushed, &effect)))
    }

    fn spoil(&self, response: &mut Response<Body>, effect: &Effect) {
        if let Some(body) = &effect.body {
            response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
            *response.body_mut() = full(body.clone());
        }
        if self.state.habits.no_referrers {
            response.headers_mut().remove(SUBJECT);
        }
        for name in &effect.without {
            response.headers_mut().remove(name);
        }
        for (name, value) in &effect.headers {
            response.headers_mut().insert(name, value.clone());
        }
    }
}

fn full(body: bytes::Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn refusal(status: StatusCode, is_head: bool) -> Response<Body> {
    let text = format!(r#"{{"errors":[{{"code":"UNKNOWN","message":"{status}, as the test wants it"}}]}}"#);
    let builder = Response::builder().status(status).header("content-type", "application/json");
    let builder = builder.header(CONTENT_LENGTH, text.len());
    builder.body(full(if is_head { bytes::Bytes::new() } else { text.into() })).unwrap()
}
