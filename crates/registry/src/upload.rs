//! Blobs, upwards: mounted, sent whole, or sent in chunks (DIST-30…53, DIST-182).
//!
//! The usual way is POST and one PUT. When that fails for a reason that may pass, the whole blob is sent again in a new
//! session; when the registry finds it too large, or long uploads break on the way twice, it is sent in chunks. A large
//! blob goes as POST, one streamed PATCH and an empty PUT, so that after a cut there is a session that can be asked how
//! much it has.

use http::{HeaderMap, HeaderValue, Method, header};
use transship_spec::{Descriptor, Digest};
use url::Url;

use crate::auth::Purpose;
use crate::chunked::{self, Parts};
use crate::error::Error;
use crate::limit::Backoff;
use crate::repository::Repository;
use crate::request::{self, Call, Payload};
use crate::sessions::{Key, Slot};
use crate::settings::Chunking;
use crate::source::BlobSource;
use crate::target::Target;
use crate::wire::Answer;

/// Bytes from which on a blob is asked for by itself before it is sent.
const WORTH_A_QUESTION: u64 = 64 << 10;

/// How a blob came to be where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placed {
    /// Its bytes were sent.
    Uploaded,
    /// Its bytes were sent from this one on: those before it had come in an earlier process (see
    /// [`Upload::sessions`](crate::Upload::sessions)).
    Resumed(u64),
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was there: the registry was asked to take it from where it goes.
    Present,
}

/// An upload session: where to send next.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) location: Url,
    /// The least that a chunk may have, where the registry says so (DIST-40).
    pub(crate) least: u64,
}

/// How the content of a blob is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In one PUT.
    Whole,
    /// In one PATCH, with a PUT after it.
    Stream,
    /// In several.
    Chunks,
}

/// The answer to a request for mounting.
enum Mount {
    Done,
    Session(Session),
    Refused,
}

impl Repository {
    /// Puts a blob into the repository, from `mount_from` (the name of another repository of the same registry) if the
    /// registry can, else from `source`.
    ///
    /// Where `mount_from` is the repository itself, the request that begins an upload asks whether the blob is there: no
    /// request more than an upload takes, for blobs that hardly will be there. A registry that refuses this is asked by
    /// HEAD for what is large; one that never mounts does not tell, and gets the blob again.
    ///
    /// The registry verifies the content; nothing is hashed here.
    ///
    /// # Errors
    /// [`Error::Refused`] of the kind invalid when the content is not what the descriptor says, [`Error::Source`] when
    /// it cannot be read, [`Error::Denied`], and the errors of the connection after all tries.
    pub async fn blob_put(
        &self,
        blob: &Descriptor,
        source: &dyn BlobSource,
        mount_from: Option<&str>,
    ) -> Result<Placed, Error> {
        let mut session = None;
        let features = &self.host.features;
        let is_itself = mount_from == Some(&*self.name);
        let way = if is_itself { &features.own_mount } else { &features.mount };
        if let Some(from) = mount_from.filter(|_| way.get() != Some(false)) {
            match self.ask_for_mount(&blob.digest, from).await? {
                Mount::Done if is_itself => return Ok(Placed::Present),
                Mount::Done => return Ok(Placed::Mounted),
                Mount::Session(begun) => session = Some(begun),
                Mount::Refused if is_itself => way.set(false),
                Mount::Refused => {}
            }
        }
        if is_itself && way.get() == Some(false) && blob.size > WORTH_A_QUESTION {
            let there = self.blob_head(&blob.digest).await?;
            if there.is_some_and(|there| there.size.is_none_or(|size| size == blob.size)) {
                return Ok(Placed::Present);
            }
        }
        match self.upload(blob, source, session).await? {
            0 => Ok(Placed::Uploaded),
            held => Ok(Placed::Resumed(held)),
        }
    }

    /// Mounts a blob from the repository `from` of the same registry; whether that was done (DIST-50, DIST-52).
    ///
    /// A registry that refuses is not an error: then upload the blob.
    ///
    /// # Errors
    /// The errors of the connection after all tries.
    pub async fn mount(&self, digest: &Digest, from: &str) -> Result<bool, Error> {
        match self.ask_for_mount(digest, from).await? {
            Mount::Done => Ok(true),
            Mount::Session(session) => {
                self.cancel(&session, &self.push()).await;
                Ok(false)
            }
            Mount::Refused => Ok(false),
        }
    }

    async fn ask_for_mount(&self, digest: &Digest, from: &str) -> Result<Mount, Error> {
        let purpose = self.push();
        let purpose = Purpose { scopes: purpose.scopes.and_pull(from), ..purpose };
        let mut url = self.url("blobs/uploads/")?;
        add_query(&mut url, &[("mount", &digest.to_string()), ("from", from)]);
        match self.host.attempt(&Call::new(Method::POST, url, &purpose)).await {
            Ok(answer) if answer.status == 201 => {
                self.host.features.mount.set(true);
                answer.body.drain().await;
                Ok(Mount::Done)
            }
            Ok(answer) => self.session(answer, &Method::POST).await.map(Mount::Session),
            Err(error @ (Error::Transport { connected: false, .. } | Error::Tls { .. })) => Err(error),
            Err(error) => {
                tracing::debug!(%error, "mounting was refused");
                if matches!(error.status(), Some(405 | 501)) {
                    self.host.features.mount.set(false);
                }
                Ok(Mount::Refused)
            }
        }
    }

    async fn upload(
        &self,
        blob: &Descriptor,
        source: &dyn BlobSource,
        first: Option<Session>,
    ) -> Result<u64, Error> {
        let purpose = self.push();
        let mut backoff = Backoff::new(&self.host.shared.settings.retry);
        let (mut session, mut way, mut cuts) = (first, self.way(blob), 0);
        let mut slot = self.slot(blob, way).await;
        let mut old = self.remembered(slot.as_ref()).await;
        loop {
            let is_old = old.is_some();
            let begun = match old.take().or_else(|| session.take()) {
                Some(session) => session,
                None => match self.begin(&blob.digest, &purpose).await {
                    Ok(session) => session,
                    Err(error) => {
                        self.host.again(&mut backoff, error).await?;
                        continue;
                    }
                },
            };
            let mut parts =
                |session| Parts::new(self, blob, source, &purpose, session).remembered(slot.take(), is_old);
            let error = match way {
                Way::Chunks => match parts(begun).in_chunks().send().await {
                    Err(error) if self.is_better_whole(&error) => error,
                    done => return done,
                },
                Way::Stream => match parts(begun).send().await {
                    Err(error) if chunked::refuses_streams(&error) => error,
                    done => return done,
                },
                Way::Whole => match self.upload_whole(blob, source, &begun, &purpose).await {
                    Ok(()) => return Ok(0),
                    Err(error) => {
                        self.cancel(&begun, &purpose).await;
                        error
                    }
                },
            };
            match error.status() {
                _ if way == Way::Stream => {
                    tracing::debug!(%error, "the registry does not take a blob by PATCH");
                    self.host.features.streams.set(false);
                    way = Way::Whole;
                }
                // Chunks are refused, or put together in a wrong way (DIST-172, DIST-173, DIST-179).
                _ if way == Way::Chunks => {
                    tracing::debug!(%error, "the registry does not take a blob in chunks");
                    self.host.features.chunks.set(false);
                    way = Way::Whole;
                }
                Some(413 | 416) if blob.size > 0 && self.host.features.chunks.get() != Some(false) => {
                    self.host.features.whole_uploads.set(false);
                    way = Way::Chunks;
                }
                // The session is gone, though it was just begun (row 37).
                Some(404) if backoff.failed().is_some() => {}
                _ => {
                    let cut = matches!(error, Error::Transport { connected: true, .. });
                    cuts += u32::from(cut && blob.size > self.host.shared.settings.upload.chunk);
                    if cuts >= 2 && self.host.features.chunks.get() != Some(false) {
                        way = Way::Chunks;
                    }
                    self.host.again(&mut backoff, error).await?;
                }
            }
        }
    }

    /// How a blob is sent first.
    fn way(&self, blob: &Descriptor) -> Way {
        let (upload, features) = (&self.host.shared.settings.upload, &self.host.features);
        let is_wanted = upload.chunking == Chunking::Always || features.whole_uploads.get() == Some(false);
        if is_wanted && features.chunks.get() != Some(false) {
            Way::Chunks
        } else if blob.size >= upload.stream.max(1) && features.streams.get() != Some(false) {
            Way::Stream
        } else {
            Way::Whole
        }
    }

    /// Whether a blob that went wrong in chunks may go right in one request. Nobody says which of the two it is, so that
    /// content which is wrong is sent twice, too.
    fn is_better_whole(&self, error: &Error) -> bool {
        let is_refusal = matches!(error.status(), Some(400 | 405 | 411 | 416 | 422 | 501));
        is_refusal && self.host.features.whole_uploads.get() != Some(false)
    }

    /// Where this upload is remembered, if it is one that is.
    async fn slot(&self, blob: &Descriptor, way: Way) -> Option<Slot> {
        let shared = &self.host.shared;
        let is_large = way != Way::Whole && blob.size >= shared.settings.upload.stream;
        let sessions = shared.sessions.as_ref().filter(|_| is_large)?;
        let key = Key {
            registry: self.host.base.to_string(),
            repository: self.name.to_string(),
            digest: blob.digest.to_string(),
            size: blob.size,
        };
        sessions.take(key).await
    }

    /// The session that an earlier process left, if it may be followed.
    async fn remembered(&self, slot: Option<&Slot>) -> Option<Session> {
        let text = slot?.location()?;
        let target = Target { what: "upload location", text, from: &self.host.base };
        let location = self.host.target(&target).await.ok()?;
        Some(Session { location, least: 0 })
    }

    /// Begins a session. Only sha256 goes without saying (DIST-37).
    pub(crate) async fn begin(&self, digest: &Digest, purpose: &Purpose) -> Result<Session, Error> {
        let mut url = self.url("blobs/uploads/")?;
        if digest.algorithm() != "sha256" {
            add_query(&mut url, &[("digest-algorithm", digest.algorithm())]);
        }
        let answer = self.host.attempt(&Call::new(Method::POST, url, purpose)).await?;
        self.session(answer, &Method::POST).await
    }

    async fn upload_whole(
        &self,
        blob: &Descriptor,
        source: &dyn BlobSource,
        session: &Session,
        purpose: &Purpose,
    ) -> Result<(), Error> {
        let payload = match blob.size {
            0 => Payload::Nothing,
            size => Payload::Part { source, range: 0..size, size },
        };
        self.close(session, &blob.digest, payload, purpose).await
    }

    /// Closes a session with the last content and the digest of the whole (DIST-33, DIST-44).
    pub(crate) async fn close(
        &self,
        session: &Session,
        digest: &Digest,
        payload: Payload<'_>,
        purpose: &Purpose,
    ) -> Result<(), Error> {
        let mut url = session.location.clone();
        add_query(&mut url, &[("digest", &digest.to_string())]);
        let call =
            Call::new(Method::PUT, url, purpose).header(header::CONTENT_TYPE, octets()).payload(payload);
        let answer = self.host.attempt(&call.patient()).await?;
        let said = answer.header("docker-content-digest").and_then(|text| Digest::parse(text).ok());
        if let Some(said) = said.filter(|said| said.algorithm() == digest.algorithm() && said != digest) {
            let reason = format!("the registry says that it stored {said}");
            return Err(request::unexpected(&answer, &Method::PUT, reason));
        }
        answer.body.drain().await;
        Ok(())
    }

    /// The session that an answer tells of.
    pub(crate) async fn session(&self, answer: Answer, method: &Method) -> Result<Session, Error> {
        let Some(location) = answer.header("location") else {
            return Err(request::unexpected(&answer, method, "the answer names no upload location"));
        };
        let target = Target { what: "upload location", text: location, from: &answer.url };
        let location = self.host.target(&target).await?;
        let least = chunk_min_length(&answer.headers).max(self.host.features.least_chunk);
        answer.body.drain().await;
        Ok(Session { location, least })
    }

    /// Gives a session up. Whether that works does not matter (DIST-46).
    pub(crate) async fn cancel(&self, session: &Session, purpose: &Purpose) {
        let call = Call::new(Method::DELETE, session.location.clone(), purpose);
        let limit = std::time::Duration::from_secs(5);
        if let Ok(Ok(answer)) = tokio::time::timeout(limit, self.host.attempt(&call)).await {
            answer.body.drain().await;
        }
    }
}

pub(crate) fn octets() -> HeaderValue {
    HeaderValue::from_static("application/octet-stream")
}

fn chunk_min_length(headers: &HeaderMap) -> u64 {
    let text = headers.get("oci-chunk-min-length").and_then(|value| value.to_str().ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Adds parameters to the query of a URL and leaves what is there byte for byte: registries sign it (DIST-31).
fn add_query(url: &mut Url, parameters: &[(&str, &str)]) {
    let added = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let query = match url.query().filter(|query| !query.is_empty()) {
        Some(query) => format!("{query}&{added}"),
        None => added,
    };
    url.set_query(Some(&query));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_31_the_query_of_a_location_is_kept_as_it_is() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (location, start) in [
            ("https://r.example/u/1?_state=abc%3D&x=%2f+", "_state=abc%3D&x=%2f+&digest=sha256%3A"),
            ("https://r.example/u/1", "digest=sha256%3A"),
            ("https://r.example/u/1?", "digest=sha256%3A"),
        ] {
            let mut url = Url::parse(location).unwrap();
            add_query(&mut url, &[("digest", &digest)]);
            assert!(url.query().unwrap().starts_with(start), "{url}");
        }
    }

    #[test]
    fn dist_40_the_least_size_of_a_chunk_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(chunk_min_length(&headers), 0);
        headers.insert("OCI-Chunk-Min-Length", HeaderValue::from_static("1024"));
        assert_eq!(chunk_min_length(&headers), 1024);
        headers.insert("OCI-Chunk-Min-Length", HeaderValue::from_static("-1"));
        assert_eq!(chunk_min_length(&headers), 0);
    }
}
