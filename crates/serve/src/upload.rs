//! Uploads: `POST`, `PATCH`, `PUT`, `GET` and `DELETE` of sessions, and mounts (DIST-30…53).
//!
//! What comes in goes to a writer of the layout piece by piece, on the blocking pool and only while there is something to
//! write, so that a slow client holds no thread. What was written stays when a connection breaks: the client asks how far it
//! came and goes on. Whatever a request does, it does in a task of its own, which a broken connection does not end half way.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::{CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use http::{Method, Response, StatusCode};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use transship_spec::{Descriptor, Digest, MediaType};

use crate::body::{self, Body};
use crate::inflow::{Sink, pour};
use crate::mount::Mount;
use crate::pull::{self, add, text};
use crate::range;
use crate::refusal::Refusal;
use crate::route::read_digest;
use crate::service::{Call, DIGEST, Found, Shared, blocking};

const UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// How long the request before this one may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The uploads under way.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<String, Arc<Upload>>>);

/// One upload.
#[derive(Debug)]
struct Upload {
    id: String,
    repository: String,
    mount: Arc<Mount>,
    /// Held by the request that writes; nothing before the first byte.
    sink: Arc<AsyncMutex<Option<Sink>>>,
    received: AtomicU64,
    touched: Mutex<Instant>,
}

impl Uploads {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Upload>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up uploads that nobody touched for so long.
    pub(crate) fn purge(&self, idle: Duration) {
        self.open().retain(|_, upload| !upload.is_left(idle));
    }

    /// Gives up those of them of which nothing came.
    fn purge_empty(&self, idle: Duration) {
        self.open().retain(|_, upload| upload.received() > 0 || !upload.is_left(idle));
    }

    fn get(&self, repository: &str, id: &str) -> Result<Arc<Upload>, Refusal> {
        let upload = self.open().get(id).filter(|upload| upload.repository == repository).cloned();
        let upload = upload.ok_or_else(Refusal::unknown_upload)?;
        upload.touch();
        Ok(upload)
    }

    fn end(&self, upload: &Upload) {
        self.open().remove(&upload.id);
    }
}

impl Upload {
    fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether nobody touched it for so long, nor writes to it now.
    fn is_left(&self, idle: Duration) -> bool {
        let touched = *self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.elapsed() >= idle && self.sink.try_lock().is_ok()
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    fn location(&self) -> String {
        format!("/v2/{}/blobs/uploads/{}", self.repository, self.id)
    }

    /// What came so far, with an inclusive end. Of nothing, too, the first byte is said to be there (DIST-43).
    fn range(&self) -> String {
        format!("0-{}", self.received().saturating_sub(1))
    }

    fn response(&self, status: StatusCode) -> Result<Response<Body>, Refusal> {
        let mut response = body::bare(status);
        add(&mut response, LOCATION, &self.location())?;
        add(&mut response, RANGE, &self.range())?;
        add(&mut response, UUID, &self.id)?;
        Ok(response)
    }

    /// The one place of the one who writes. A request whose connection broke is waited for, until it has put away what
    /// came of it.
    async fn take(&self) -> Result<OwnedMutexGuard<Option<Sink>>, Refusal> {
        let place = Arc::clone(&self.sink).lock_owned();
        tokio::time::timeout(PATIENCE, place).await.map_err(|_| {
            let message = "another request writes to this upload";
            Refusal::new(StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID", message)
        })
    }

    /// A chunk must begin where the one before has ended (DIST-42).
    fn check_order(&self, call: &Call) -> Result<(), Refusal> {
        let Some(header) = call.headers.get(CONTENT_RANGE) else { return Ok(()) };
        let chunk = header.to_str().ok().and_then(range::chunk);
        let chunk = chunk.ok_or_else(|| Refusal::bad_upload("Content-Range is not START-END"))?;
        if chunk.start != self.received() {
            let message = format!("the upload goes on at byte {}", self.received());
            let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message);
            return Err(refusal.with(LOCATION, self.location()).with(RANGE, self.range()));
        }
        if call.length().is_some_and(|length| length != chunk.end - chunk.start) {
            let message = "Content-Range and Content-Length disagree";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message));
        }
        Ok(())
    }

    fn check_limit(&self, call: &Call) -> Result<(), Refusal> {
        let limit = call.shared.limits.blob;
        if self.received().saturating_add(call.length().unwrap_or(0)) > limit {
            let refusal = Refusal::too_large(format!("a blob has at most {limit} bytes here"));
            return Err(refusal.with(http::header::CONNECTION, "close"));
        }
        Ok(())
    }
}

/// `POST`: a mount, a blob in one request, or a new upload.
pub(crate) async fn start(call: Call, repository: String) -> Result<Response<Body>, Refusal> {
    let (shared, name) = (Arc::clone(&call.shared), repository.clone());
    let found = blocking(move || shared.find(&name)).await?;
    if let Some(wanted) = call.query.get("mount") {
        let digest = read_digest(wanted)?;
        let (shared, from) = (Arc::clone(&call.shared), call.query.get("from").map(str::to_owned));
        let (found, wanted) = (Found { mount: Arc::clone(&found.mount), ..found }, digest.clone());
        let mount = Arc::clone(&found.mount);
        if blocking(move || mount_blob(&shared, &found, from.as_deref(), &wanted)).await? {
            return created(&repository, &digest);
        }
        return begin(&call.shared, repository, mount).await?.response(StatusCode::ACCEPTED);
    }
    let digest = call.query.get("digest").map(readable_digest).transpose()?;
    let upload = begin(&call.shared, repository, found.mount).await?;
    match digest {
        Some(digest) => close(call, upload, digest, true).await,
        None => upload.response(StatusCode::ACCEPTED),
    }
}

/// A new upload, while there is room for it.
async fn begin(shared: &Arc<Shared>, repository: String, mount: Arc<Mount>) -> Result<Arc<Upload>, Refusal> {
    let limits = &shared.limits;
    let id = format!("{:016x}{:016x}", random(), random());
    let upload = Arc::new(Upload {
        id: id.clone(),
        repository,
        mount,
        sink: Arc::default(),
        received: AtomicU64::new(0),
        touched: Mutex::new(Instant::now()),
    });
    let is_full = || shared.uploads.open().len() >= limits.uploads;
    if is_full() {
        let shared = Arc::clone(shared);
        blocking(move || {
            shared.tidy();
            if shared.uploads.open().len() >= shared.limits.uploads {
                shared.uploads.purge_empty(shared.limits.upload_empty);
            }
            Ok(())
        })
        .await?;
    }
    let mut open = shared.uploads.open();
    if open.len() >= limits.uploads {
        return Err(Refusal::too_many("too many uploads are under way"));
    }
    open.insert(id, Arc::clone(&upload));
    Ok(upload)
}

/// A number that cannot be guessed: the hash of nothing under a new key.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Takes a blob from another repository; `false` when it is not there, and is to be uploaded. Blocking.
fn mount_blob(shared: &Shared, found: &Found, from: Option<&str>, digest: &Digest) -> Result<bool, Refusal> {
    if pull::size(found, digest)?.is_some() {
        // Repositories of one layout share their blobs. It is leased, as if it had been uploaded.
        found.mount.leases.keep(&found.opened.layout, digest)?;
        return Ok(true);
    }
    let Some(Ok(source)) = from.map(|from| shared.find(from)) else { return Ok(false) };
    let Some(size) = pull::size(&source, digest)? else { return Ok(false) };
    if Arc::ptr_eq(&source.mount, &found.mount) {
        return Ok(false);
    }
    let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size);
    let session = found.opened.layout.begin()?;
    found.mount.leases.keep(&found.opened.layout, digest)?;
    session.adopt_from(&source.opened.layout, &descriptor)?;
    session.flush()?;
    found.mount.withdrawn.forget(digest);
    Ok(true)
}

/// `PATCH`, `PUT`, `GET`, `DELETE` of an upload.
pub(crate) async fn go_on(call: Call, repository: String, id: String) -> Result<Response<Body>, Refusal> {
    let upload = call.shared.uploads.get(&repository, &id)?;
    match call.method {
        Method::GET | Method::HEAD => {
            // While another request still writes, what was there before it is the answer.
            drop(upload.take().await);
            upload.response(StatusCode::NO_CONTENT)
        }
        Method::PATCH => patch(call, upload).await,
        Method::PUT => {
            let wanted = call.query.get("digest");
            let digest = readable_digest(wanted.ok_or_else(|| Refusal::bad_digest("there is no digest"))?)?;
            close(call, upload, digest, false).await
        }
        Method::DELETE => {
            call.shared.uploads.end(&upload);
            Ok(body::bare(StatusCode::NO_CONTENT))
        }
        _ => Err(Refusal::not_allowed("GET, PATCH, PUT, DELETE", "the path has no such method")),
    }
}

/// A digest that we can check.
fn readable_digest(text: &str) -> Result<Digest, Refusal> {
    let digest = read_digest(text)?;
    if digest.is_verifiable() {
        return Ok(digest);
    }
    let message = format!("{} is not an algorithm that this registry knows", digest.algorithm());
    Err(Refusal::bad_digest(message))
}

/// Takes a piece more.
async fn patch(call: Call, upload: Arc<Upload>) -> Result<Response<Body>, Refusal> {
    upload.check_limit(&call)?;
    let mut place = upload.take().await?;
    upload.check_order(&call)?;
    detached(async move {
        receive(call, &upload, &mut place, None).await?;
        upload.response(StatusCode::ACCEPTED)
    })
    .await
}

/// Takes the last piece, checks the whole, and stores it.
async fn close(
    call: Call,
    upload: Arc<Upload>,
    digest: Digest,
    is_single: bool,
) -> Result<Response<Body>, Refusal> {
    let shared = Arc::clone(&call.shared);
    let result = async {
        upload.check_limit(&call)?;
        let mut place = upload.take().await?;
        upload.check_order(&call)?;
        let upload = Arc::clone(&upload);
        detached(async move {
            let uploads = Arc::clone(&call.shared);
            receive(call, &upload, &mut place, Some(&digest)).await?;
            let sink = place.take();
            uploads.uploads.end(&upload);
            let (mount, wanted) = (Arc::clone(&upload.mount), digest.clone());
            blocking(move || {
                let sink = match sink {
                    Some(sink) => sink,
                    None => Sink::new(&mount, None)?,
                };
                sink.commit(&mount, &wanted)?;
                mount.withdrawn.forget(&wanted);
                Ok(())
            })
            .await?;
            created(&upload.repository, &digest)
        })
        .await
    };
    let result = result.await;
    if is_single && result.is_err() {
        // Nobody was told where it could go on.
        shared.uploads.end(&upload);
    }
    result
}

/// Writes a request's body to the upload. What came before something failed stays.
async fn receive(
    call: Call,
    upload: &Upload,
    place: &mut Option<Sink>,
    digest: Option<&Digest>,
) -> Result<(), Refusal> {
    let length = call.length();
    if place.is_none() && length != Some(0) {
        // Known beforehand, content is checked while it comes, and by its own algorithm.
        let expected = digest
            .zip(length)
            .map(|(digest, length)| Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), length));
        let mount = Arc::clone(&upload.mount);
        *place = Some(blocking(move || Sink::new(&mount, expected.as_ref())).await?);
    }
    let Some(sink) = place.take() else { return Ok(()) };
    let limits = &call.shared.limits;
    let (sink, result) = pour(call.body, sink, limits.blob, limits.silence).await;
    match sink {
        Some(sink) if sink.can_go_on() => {
            upload.received.store(sink.received(), Ordering::Release);
            *place = Some(sink);
        }
        _ => call.shared.uploads.end(upload),
    }
    upload.touch();
    result
}

/// Runs work to its end, also when whoever asked for it has gone.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Refusal::internal(error)))
}

/// The blob is there.
fn created(repository: &str, digest: &Digest) -> Result<Response<Body>, Refusal> {
    let mut response = body::bare(StatusCode::CREATED);
    add(&mut response, LOCATION, &format!("/v2/{repository}/blobs/{digest}"))?;
    response.headers_mut().insert(DIGEST, text(&digest.to_string())?);
    Ok(response)
}
