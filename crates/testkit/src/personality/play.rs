//! A personality at work: its memory, and the way of a request past it to our server and back.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use http::header::CONTENT_RANGE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use transship_layout::{Layout, Name};
use transship_serve::{Body, BoxError, Service};
use transship_spec::{Document, MediaType, referrers};

use super::ask::{Ask, Thing};
use super::token::Grant;
use super::{Chunks, Personality};
use crate::answer::full;

/// One registry that plays a personality.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) personality: Personality,
    pub(crate) login: Option<(String, String)>,
    /// The repositories that were made beforehand.
    pub(crate) made: HashSet<String>,
    layout: Layout,
    front: OnceLock<SocketAddr>,
    side: OnceLock<SocketAddr>,
    memory: Mutex<Memory>,
}

/// What happened so far.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Which repositories have a blob that was pushed.
    pub(super) owners: HashMap<String, HashSet<String>>,
    pub(super) tokens: HashMap<String, Vec<Grant>>,
    pub(super) sessions: HashMap<String, Session>,
    /// Which manifest a tag was given to.
    pub(super) tagged: HashMap<String, String>,
}

/// An upload.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// What the answers say of how much there is, where it is not the truth.
    pub(super) shown_range: Option<String>,
    had_small_chunk: bool,
    /// The last chunk was small, which is right only for the last of all.
    last_was_small: bool,
}

impl Session {
    /// Whether a chunk before the last had too few bytes; `goes_on` where another one is coming.
    pub(super) fn is_too_small(&self, goes_on: bool) -> bool {
        self.had_small_chunk || (goes_on && self.last_was_small)
    }
}

impl Play {
    pub(crate) fn new(
        personality: Personality,
        login: Option<(String, String)>,
        made: HashSet<String>,
        layout: Layout,
    ) -> Self {
        let (front, side, memory) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        Self { personality, login, made, layout, front, side, memory }
    }

    /// Tells where the registry is, and where its neighbour is: the token server or the one that takes uploads.
    pub(crate) fn is_at(&self, front: SocketAddr, side: SocketAddr) {
        self.front.set(front).unwrap();
        self.side.set(side).unwrap();
    }

    pub(super) fn front(&self) -> SocketAddr {
        *self.front.get().unwrap()
    }

    pub(super) fn side(&self) -> SocketAddr {
        *self.side.get().unwrap()
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request; `is_side` where it came to the neighbour.
    pub(crate) async fn respond(
        &self,
        service: &Service,
        request: Request<Body>,
        is_side: bool,
    ) -> Result<Response<Body>, BoxError> {
        let (mut parts, body) = request.into_parts();
        let ask = Ask::of(&parts);
        if self.tokens().is_some_and(|server| ask.uri.path() == server.path && server.is_elsewhere == is_side)
        {
            let form = body.collect().await?.to_bytes();
            let given = self.give_token(&ask, std::str::from_utf8(&form)?);
            return Ok(given.unwrap());
        }
        let refused = if is_side { self.refuse_aside(&ask) } else { self.refuse(&ask) };
        if let Some(refused) = refused {
            // All of it is taken, so that a client that first sends and then reads gets to see the answer.
            let _ = body.collect().await?;
            return Ok(self.dress(&ask, refused).await);
        }
        let (body, document) = match ask.is_manifest_put() {
            true => {
                let bytes = body.collect().await?.to_bytes();
                if let Some(refused) = self.refuse_manifest(&ask, &bytes) {
                    return Ok(self.dress(&ask, refused).await);
                }
                (full(bytes.clone()), Some(bytes))
            }
            false => (body, None),
        };
        self.change(service, &ask, &mut parts).await;
        let response = service.handle(Request::from_parts(parts, body)).await;
        self.learn(&ask, &response, document.as_deref());
        Ok(self.dress(&ask, response).await)
    }

    /// The neighbour knows uploads, and no one.
    fn refuse_aside(&self, ask: &Ask) -> Option<Response<Body>> {
        let is_upload = matches!(ask.thing, Thing::Upload(_)) && self.personality.uploads.is_elsewhere;
        (!is_upload).then(|| crate::answer::refusal(404, "NAME_UNKNOWN", "this is not the registry"))
    }

    /// The request as the server is to see it.
    async fn change(&self, service: &Service, ask: &Ask, parts: &mut http::request::Parts) {
        match &ask.thing {
            Thing::Uploads if self.is_no_mount(ask) => parts.uri = ask.uri.path().parse().unwrap(),
            Thing::Manifest(tag) if self.personality.manifests.digest_by_tag && ask.is_read() => {
                let name = format!("localhost/{}:{tag}", ask.repository);
                if let Some(hex) = tag.strip_prefix("sha256-").filter(|hex| hex.len() == 64)
                    && self.layout.resolve(Some(&name)).is_err()
                {
                    parts.uri = format!("/v2/{}/manifests/sha256:{hex}", ask.repository).parse().unwrap();
                }
            }
            Thing::Upload(id) if ask.method == Method::PATCH => {
                self.note_chunk(ask, id);
                if self.personality.uploads.chunks == Chunks::LastOnly && ask.chunk_start() > Some(0) {
                    parts.uri = begin(service, &ask.repository).await.parse().unwrap();
                    parts.headers.remove(CONTENT_RANGE);
                }
            }
            _ => {}
        }
    }

    fn is_no_mount(&self, ask: &Ask) -> bool {
        let Some(digest) = ask.query("mount") else { return false };
        let mounts = &self.personality.mounts;
        match ask.query("from") {
            _ if mounts.never => true,
            Some(from) => self.is_elsewhere(&from, &digest),
            None => mounts.is_separate,
        }
    }

    /// Whether content was pushed, but not into this repository.
    pub(super) fn is_elsewhere(&self, repository: &str, digest: &str) -> bool {
        let is_other = |owners: &HashSet<String>| !owners.contains(repository);
        self.personality.mounts.is_separate && self.memory().owners.get(digest).is_some_and(is_other)
    }

    fn note_chunk(&self, ask: &Ask, id: &str) {
        let uploads = &self.personality.uploads;
        let mut memory = self.memory();
        let session = memory.sessions.entry(id.to_owned()).or_default();
        session.had_small_chunk = session.is_too_small(true);
        session.last_was_small = ask.length() < uploads.chunk_least;
        if uploads.stuck_range {
            let end = ask.length().saturating_sub(1);
            session.shown_range.get_or_insert_with(|| format!("0-{end}"));
        }
    }

    /// Remembers what became of a request.
    fn learn(&self, ask: &Ask, response: &Response<Body>, document: Option<&[u8]>) {
        let location = response.headers().get("location").and_then(|location| location.to_str().ok());
        if response.status() != StatusCode::CREATED {
            return;
        }
        let blob = location.and_then(|path| path.strip_prefix("/v2/")?.rsplit_once("/blobs/"));
        if let Some((repository, digest)) = blob.filter(|(_, digest)| digest.contains(':')) {
            let mut memory = self.memory();
            memory.owners.entry(digest.to_owned()).or_default().insert(repository.to_owned());
        }
        let (Thing::Manifest(which), Some(document)) = (&ask.thing, document) else { return };
        let digest = match which.contains(':') {
            true => which.clone(),
            false => transship_spec::Digest::sha256(document).to_string(),
        };
        self.memory().owners.entry(digest.clone()).or_default().insert(ask.repository.clone());
        if !which.contains(':') {
            self.memory().tagged.insert(format!("{}:{which}", ask.repository), digest);
        }
        if self.personality.referrers.tags_too {
            self.tag_referrer(&ask.repository, document);
        }
    }

    /// Lists a referrer under its fallback tag, as a client would.
    fn tag_referrer(&self, repository: &str, document: &[u8]) {
        let document = Document::parse(Bytes::copy_from_slice(document), None).unwrap();
        let Some(subject) = document.subject() else { return };
        let tag = referrers::fallback_tag(&subject.digest);
        let name = format!("localhost/{repository}:{tag}");
        let before = self.layout.resolve(Some(&name)).ok();
        let before = before.map(|entry| self.layout.read_document(&entry.descriptor).unwrap());
        let Some(index) = referrers::merge(before.as_ref(), referrers::descriptor(&document)) else { return };
        let index = Document::parse(index, Some(&MediaType::OCI_INDEX)).unwrap();
        let session = self.layout.begin().unwrap();
        session.put_document(&index).unwrap();
        session.commit(|edit| edit.set(&Name::parse(&name)?, &index.descriptor())).unwrap();
    }
}

/// The path of a new upload.
async fn begin(service: &Service, repository: &str) -> String {
    let request = Request::post(format!("/v2/{repository}/blobs/uploads/"));
    let response = service.handle(request.body(full(Bytes::new())).unwrap()).await;
    response.headers()["location"].to_str().unwrap().to_owned()
}
