//! The registry as a value: from a request to an answer, without a socket.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use transship_layout::Layout;
use transship_spec::is_repository;

use crate::auth::Passwords;
use crate::body::{self, Body};
use crate::mount::{Mount, Opened};
use crate::query::Query;
use crate::refusal::Refusal;
use crate::route::{Route, Thing};
use crate::server::Answer;
use crate::upload::Uploads;
use crate::view::Naming;
use crate::{BoxError, Error, delete, lists, pull, push, referrers, upload};

pub(crate) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// How much is done for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Uploads under way at the same time: 256, each with two open files. One more is answered by 429.
    pub uploads: usize,
    /// An upload without a byte or a question for this long is given up: one hour.
    pub upload_idle: Duration,
    /// An upload of which no byte came for this long is given up where another needs its place: one minute. Clients begin
    /// uploads to learn whether they may, and leave them.
    pub upload_empty: Duration,
    /// A request whose body stands still for this long is ended: one minute. Its upload can go on.
    pub silence: Duration,
    /// Bytes of one blob: 256 GiB.
    pub blob: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            uploads: 256,
            upload_idle: Duration::from_secs(3600),
            upload_empty: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            blob: 256 << 30,
        }
    }
}

/// What a [`Service`] is made from. Every setting has a default but the layouts.
#[derive(Debug, Default)]
#[must_use = "nothing is served before build"]
pub struct ServiceBuilder {
    mounts: Vec<(Option<String>, Layout)>,
    writable: bool,
    allow_delete: bool,
    host: Option<String>,
    passwords: Option<Passwords>,
    limits: Limits,
}

impl ServiceBuilder {
    /// Serves a layout as one repository: every tag in it is a tag of `name`.
    pub fn mount(mut self, name: impl Into<String>, layout: Layout) -> Self {
        self.mounts.push((Some(name.into()), layout));
        self
    }

    /// Serves the repositories that the entries of a layout name: the path is kept, the registry's host dropped. Entries with
    /// no more than a tag are in a repository that is called as the layout's folder, in lower case.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.mounts.push((None, layout));
        self
    }

    /// Whether clients may push; not unless told.
    pub fn writable(mut self, writable: bool) -> Self {
        self.writable = writable;
        self
    }

    /// Whether clients that may push may delete, too; not unless told.
    pub fn allow_delete(mut self, allow: bool) -> Self {
        self.allow_delete = allow;
        self
    }

    /// The host in the names of repositories that are new to a layout of full references: `localhost` unless told.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Lets in only who has a password.
    pub fn passwords(mut self, passwords: Passwords) -> Self {
        self.passwords = Some(passwords);
        self
    }

    /// How much is done for clients.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads the index of each layout. Blocking.
    ///
    /// # Errors
    /// [`Error::NothingToServe`]; [`Error::Name`] for what is not the name of a repository or is given twice;
    /// [`Error::Layout`] when an index cannot be read, or a layout to push to was opened for reading only.
    pub fn build(self) -> Result<Service, Error> {
        if self.mounts.is_empty() {
            return Err(Error::NothingToServe);
        }
        let host = self.host.unwrap_or_else(|| "localhost".to_owned());
        if !transship_spec::is_registry(&host) {
            return Err(Error::Name { name: host, reason: "the host is none" });
        }
        let mut mounts: Vec<Arc<Mount>> = Vec::new();
        for (name, layout) in self.mounts {
            if self.writable && !layout.is_writable() {
                return Err(transship_layout::Error::ReadOnly { path: layout.path().to_owned() }.into());
            }
            let naming = match name {
                Some(name) => Naming::One(valid(name, &mounts)?),
                None => Naming::References(folder_name(&layout)),
            };
            mounts.push(Arc::new(Mount::new(naming, layout)?));
        }
        let shared = Shared {
            mounts,
            writable: self.writable,
            allow_delete: self.allow_delete,
            host,
            passwords: self.passwords,
            uploads: Uploads::default(),
            limits: self.limits,
        };
        Ok(Service { shared: Arc::new(shared) })
    }
}

fn valid(name: String, mounts: &[Arc<Mount>]) -> Result<String, Error> {
    if !is_repository(&name) {
        let reason = "it takes lower-case words joined by . _ - and /";
        return Err(Error::Name { name, reason });
    }
    if mounts.iter().any(|mount| mount.naming == Naming::One(name.clone())) {
        return Err(Error::Name { name, reason: "two layouts have it" });
    }
    Ok(name)
}

/// The name of the layout's folder as that of a repository, if it can be one.
fn folder_name(layout: &Layout) -> Option<String> {
    let path = std::path::absolute(layout.path()).ok()?;
    let name = path.file_name()?.to_str()?.to_lowercase();
    is_repository(&name).then_some(name)
}

/// A registry over layouts. Clones share everything.
///
/// It must be used within a tokio runtime with time enabled; what blocks runs on the runtime's blocking pool.
///
/// ```
/// use http::{Request, StatusCode};
/// use http_body_util::Full;
/// use transship_layout::Layout;
/// use transship_serve::Service;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("layout");
/// let layout = Layout::options().create(&path)?;
/// let service = Service::builder().mount("team/app", layout).writable(true).build()?;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let request = Request::get("/v2/team/app/tags/list").body(Full::<bytes::Bytes>::default()).unwrap();
/// let answer = service.handle(request).await;
/// assert_eq!(answer.status(), StatusCode::OK);
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    mounts: Vec<Arc<Mount>>,
    writable: bool,
    allow_delete: bool,
    pub(crate) host: String,
    passwords: Option<Passwords>,
    pub(crate) uploads: Uploads,
    pub(crate) limits: Limits,
}

/// A repository's layout, as it is now.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) mount: Arc<Mount>,
    pub(crate) opened: Arc<Opened>,
}

impl Shared {
    /// The layout of a repository. A new one is in the first layout of full references, where pushing is allowed.
    /// Blocking.
    pub(crate) fn find(&self, repository: &str) -> Result<Found, Refusal> {
        let mut fresh = None;
        for mount in &self.mounts {
            match &mount.naming {
                Naming::One(name) if name == repository => {
                    return Ok(Found { opened: mount.now(), mount: Arc::clone(mount) });
                }
                Naming::One(_) => {}
                Naming::References(_) => {
                    let found = Found { opened: mount.now(), mount: Arc::clone(mount) };
                    if found.opened.view.repository(repository).is_some() {
                        return Ok(found);
                    }
                    fresh.get_or_insert(found);
                }
            }
        }
        fresh.filter(|_| self.writable).ok_or_else(|| Refusal::unknown_name(repository))
    }

    /// The names of all repositories. Blocking.
    pub(crate) fn repositories(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for mount in &self.mounts {
            names.extend(mount.now().view.repositories().map(str::to_owned));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Lets go of what nobody asked for in a long time. Blocking.
    pub(crate) fn tidy(&self) {
        self.uploads.purge(self.limits.upload_idle);
        for mount in &self.mounts {
            mount.leases.turn();
        }
    }
}

/// One request.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) method: Method,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Call {
    /// A header's text, if it is there and text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The length of the body as the client announces it.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header(http::header::CONTENT_LENGTH)?.parse().ok()
    }

    fn may_push(&self) -> Result<(), Refusal> {
        if self.shared.writable {
            return Ok(());
        }
        Err(Refusal::not_allowed("GET, HEAD", "this registry only reads; it was not started as writable"))
    }

    fn may_delete(&self) -> Result<(), Refusal> {
        self.may_push()?;
        if self.shared.allow_delete {
            return Ok(());
        }
        Err(Refusal::not_allowed("GET, HEAD, PUT", "this registry does not let its clients delete"))
    }
}

impl Service {
    /// The settings of a service.
    pub fn builder() -> ServiceBuilder {
        ServiceBuilder::default()
    }

    /// Answers one request. What fails is an answer, too.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let is_head = parts.method == Method::HEAD;
        let body = body.map_err(Into::into).boxed_unsync();
        let mut response = self.respond(parts, body).await.unwrap_or_else(Refusal::into_response);
        response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        if is_head {
            *response.body_mut() = body::empty();
        }
        response
    }

    async fn respond(&self, parts: Parts, body: Body) -> Result<Response<Body>, Refusal> {
        if let Some(passwords) = &self.shared.passwords {
            passwords.admit(&parts.headers).await?;
        }
        let call = Call {
            shared: Arc::clone(&self.shared),
            query: Query::parse(parts.uri.query()),
            method: parts.method,
            headers: parts.headers,
            body,
        };
        let (repository, thing) = match Route::parse(parts.uri.path())? {
            Route::Base => return base(&call),
            Route::Catalog => return lists::catalog(call).await,
            Route::In(repository, thing) => (repository, thing),
        };
        let method = call.method.clone();
        match (thing, &method) {
            (Thing::Manifest(which), &Method::GET | &Method::HEAD) => {
                pull::manifest(call, repository, which).await
            }
            (Thing::Manifest(which), &Method::PUT) => {
                call.may_push()?;
                push::manifest(call, repository, which).await
            }
            (Thing::Manifest(which), &Method::DELETE) => {
                call.may_delete()?;
                delete::manifest(call, repository, which).await
            }
            (Thing::Blob(digest), &Method::GET | &Method::HEAD) => pull::blob(call, repository, digest).await,
            (Thing::Blob(digest), &Method::DELETE) => {
                call.may_delete()?;
                delete::blob(call, repository, digest).await
            }
            (Thing::Uploads, &Method::POST) => {
                call.may_push()?;
                upload::start(call, repository).await
            }
            (Thing::Upload(id), _) => {
                call.may_push()?;
                upload::go_on(call, repository, id).await
            }
            (Thing::Tags, &Method::GET | &Method::HEAD) => lists::tags(call, repository).await,
            (Thing::Referrers(subject), &Method::GET | &Method::HEAD) => {
                referrers::get(call, repository, subject).await
            }
            (thing, _) => Err(Refusal::not_allowed(allowed(&thing), "the path has no such method")),
        }
    }

    /// Lets go of uploads that nobody goes on with. A [`Server`](crate::Server) does so by itself.
    pub async fn tidy(&self) {
        let shared = Arc::clone(&self.shared);
        // A failure of the pool is told to whoever asks for something next.
        let _ = tokio::task::spawn_blocking(move || shared.tidy()).await;
    }
}

impl Answer for Service {
    fn answer(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, BoxError>> {
        async move { Ok(self.handle(request).await) }.boxed()
    }

    fn tidy(&self) -> BoxFuture<'_, ()> {
        Self::tidy(self).boxed()
    }
}

fn base(call: &Call) -> Result<Response<Body>, Refusal> {
    match call.method {
        Method::GET | Method::HEAD => Ok(body::json(StatusCode::OK, "{}".to_owned())),
        _ => Err(Refusal::not_allowed("GET, HEAD", "the path has no such method")),
    }
}

fn allowed(thing: &Thing) -> &'static str {
    match thing {
        Thing::Manifest(_) => "GET, HEAD, PUT, DELETE",
        Thing::Blob(_) => "GET, HEAD, DELETE",
        Thing::Uploads => "POST",
        Thing::Upload(_) => "GET, PATCH, PUT, DELETE",
        Thing::Tags | Thing::Referrers(_) => "GET, HEAD",
    }
}

/// Runs what blocks on the pool for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Refusal::internal(error)))
}
