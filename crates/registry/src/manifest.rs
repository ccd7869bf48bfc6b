//! Manifests and indexes: raw bytes in and out (DIST-15…19, DIST-60…67, IMG-156).
//!
//! What comes is bounded, verified against the digest that was asked for and the one that the registry claims, and given
//! with the media type that it really has. Nothing is parsed beyond that, and nothing is changed.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use serde::Deserialize;
use serde::de::IgnoredAny;
use transship_spec::{Descriptor, Digest, MediaType, Tag, Verifier};

use crate::error::{Error, Sent};
use crate::page::Head;
use crate::redact;
use crate::repository::Repository;
use crate::request::{Call, Payload};
use crate::wire::Answer;

/// What a manifest is asked for by (DIST-04).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TagOrDigest {
    /// A name that can move.
    Tag(Tag),
    /// What it is.
    Digest(Digest),
}

impl TagOrDigest {
    pub(crate) fn is_digest(&self) -> bool {
        matches!(self, Self::Digest(_))
    }
}

impl fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl From<Tag> for TagOrDigest {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for TagOrDigest {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

/// A manifest or index as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The exact bytes.
    pub bytes: Bytes,
    /// What they are.
    pub media_type: MediaType,
    /// Their digest: the one asked for, else the registry's if it is right, else sha256.
    pub digest: Digest,
}

impl Manifest {
    /// The descriptor of these bytes.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.bytes.len() as u64)
    }
}

/// What the registry said to a manifest that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The subject that the registry has seen (DIST-70). Without it the referrer must be
    /// [listed](Repository::list_referrer) by us.
    pub subject: Option<Digest>,
}

impl Repository {
    /// The descriptor of a manifest, if there is one; its content is read only where the registry's answer does not
    /// tell enough (DIST-23).
    ///
    /// # Errors
    /// As [`Repository::manifest_get`], save that an absent manifest is none.
    pub async fn manifest_head(&self, which: &TagOrDigest) -> Result<Option<Descriptor>, Error> {
        for source in self.mirrors(which.is_digest()) {
            match source.repository().head(which).await {
                Ok(None) => {}
                Ok(found) => {
                    source.helped();
                    return Ok(found);
                }
                Err(error) => source.failed(&error),
            }
        }
        self.location().head(which).await
    }

    async fn head(&self, which: &TagOrDigest) -> Result<Option<Descriptor>, Error> {
        let purpose = self.pull();
        let call = accepting(Call::new(Method::HEAD, self.manifest_url(which)?, &purpose));
        match self.host.call(&call).await {
            Ok(answer) => {
                if let Some(descriptor) = descriptor(&answer, which) {
                    return Ok(Some(descriptor));
                }
            }
            Err(Error::NotFound(_)) if !self.is_recent(which) => return Ok(None),
            Err(Error::NotFound(_) | Error::Refused(_) | Error::Denied(_)) => {}
            Err(error) => return Err(error),
        }
        match self.get_here(which, None).await {
            Ok(manifest) => Ok(Some(manifest.descriptor())),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A manifest by tag or digest.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Content`] when the bytes are not what was asked for or what the registry claims;
    /// [`Error::Limit`] beyond 4 MiB; [`Error::Protocol`] when, by tag, the registry and the manifest disagree on what
    /// it is.
    pub async fn manifest_get(&self, which: &TagOrDigest) -> Result<Manifest, Error> {
        self.get(which, None).await
    }

    /// The manifest that a descriptor names, with the descriptor's media type where its bytes are right (IMG-156).
    ///
    /// # Errors
    /// As [`Repository::manifest_get`], and when the size is another.
    pub async fn manifest_get_exact(&self, expected: &Descriptor) -> Result<Manifest, Error> {
        let limit = self.host.shared.settings.limits.manifest as u64;
        let which = TagOrDigest::Digest(expected.digest.clone());
        if expected.size > limit {
            let url = redact::url(&self.manifest_url(&which)?);
            return Err(Error::Limit { what: "the size in bytes", url, limit });
        }
        self.get(&which, Some(expected)).await
    }

    async fn get(&self, which: &TagOrDigest, expected: Option<&Descriptor>) -> Result<Manifest, Error> {
        let mut which = which.clone();
        // A question for a digest is not counted where reading is, and mirrors have the rest.
        let is_far = self.reading.as_ref().is_some_and(|reading| reading.gives_what_was_resolved());
        if !which.is_digest()
            && is_far
            && let Ok(Some(found)) = self.location().head(&which).await
        {
            which = TagOrDigest::Digest(found.digest);
        }
        let which = &which;
        for source in self.mirrors(which.is_digest()) {
            match source.repository().get_here(which, expected).await {
                Ok(manifest) => {
                    source.helped();
                    return Ok(manifest);
                }
                Err(error) => source.failed(&error),
            }
        }
        self.location().get_here(which, expected).await
    }

    async fn get_here(&self, which: &TagOrDigest, expected: Option<&Descriptor>) -> Result<Manifest, Error> {
        match self.get_once(which, expected).await {
            // Another connection may bring it whole (row 29).
            Err(Error::Content { .. }) => self.get_once(which, expected).await,
            Err(Error::NotFound(_)) if self.is_recent(which) => self.get_recent(which, expected).await,
            result => result,
        }
    }

    /// What was just pushed may take a moment to be there (reliability, section 1.4).
    async fn get_recent(
        &self,
        which: &TagOrDigest,
        expected: Option<&Descriptor>,
    ) -> Result<Manifest, Error> {
        let mut wait = self.host.shared.settings.retry.base;
        for _ in 0..2 {
            tokio::time::sleep(wait).await;
            match self.get_once(which, expected).await {
                Err(Error::NotFound(_)) => wait *= 2,
                result => return result,
            }
        }
        tokio::time::sleep(wait).await;
        self.get_once(which, expected).await
    }

    async fn get_once(&self, which: &TagOrDigest, expected: Option<&Descriptor>) -> Result<Manifest, Error> {
        let purpose = self.pull();
        let call = accepting(Call::new(Method::GET, self.manifest_url(which)?, &purpose));
        let (head, bytes) = self.host.fetch(&call, self.host.shared.settings.limits.manifest).await?;
        let digest = self.verify(which, expected, &head, &bytes)?;
        let media_type = self.media_type(which, expected, &head, &bytes)?;
        Ok(Manifest { bytes, media_type, digest })
    }

    /// Checks the digest that was asked for and the one that the registry claims (DIST-19); which may differ in
    /// algorithm, but not in truth.
    fn verify(
        &self,
        which: &TagOrDigest,
        expected: Option<&Descriptor>,
        head: &Head,
        bytes: &[u8],
    ) -> Result<Digest, Error> {
        let check = |digest: &Digest, size| {
            let mut verifier = Verifier::new(digest, size);
            verifier.update(bytes).and_then(|()| verifier.finish()).map_err(|source| head.content(source))
        };
        let claimed = head.header("docker-content-digest");
        let claim = claimed.and_then(|text| Digest::parse(text.trim()).ok());
        if claimed.is_some() && claim.is_none() {
            self.warn(&format!("{}: the Docker-Content-Digest is not a digest", redact::url(&head.url)));
        }
        if let TagOrDigest::Digest(digest) = which {
            check(digest, expected.map(|expected| expected.size))?;
        }
        if let Some(claim) = &claim {
            check(claim, None)?;
        }
        Ok(match (which, claim) {
            (TagOrDigest::Digest(digest), _) => digest.clone(),
            (TagOrDigest::Tag(_), Some(claim)) if claim.is_verifiable() => claim,
            (TagOrDigest::Tag(_), _) => Digest::sha256(bytes),
        })
    }

    /// What the bytes are (DIST-17, DIST-18, IMG-156). By digest they are what they are, and a wrong header is only odd;
    /// by tag, header and body must agree, unless the header names no kind of manifest at all.
    fn media_type(
        &self,
        which: &TagOrDigest,
        expected: Option<&Descriptor>,
        head: &Head,
        bytes: &[u8],
    ) -> Result<MediaType, Error> {
        let header = head.header("content-type").and_then(|text| MediaType::parse_content_type(text).ok());
        let body = Shape::of(bytes).and_then(|shape| shape.media_type());
        let by_tag = matches!(which, TagOrDigest::Tag(_));
        let known = header.as_ref().filter(|header| header.is_document());
        if let (Some(header), Some(body)) = (&header, &body)
            && header != body
        {
            let words = format!("the registry calls it {header}, and it calls itself {body}");
            if by_tag && known.is_some() {
                return Err(head.protocol(&words));
            }
            self.warn(&format!("{}: {words}", redact::url(&head.url)));
        }
        let own = expected.map(|expected| expected.media_type.clone()).or(body);
        own.or_else(|| known.cloned())
            .or_else(|| Shape::of(bytes).and_then(|shape| shape.guess()))
            .or(header)
            .ok_or_else(|| head.protocol("the answer does not say what kind of manifest it is"))
    }

    /// Puts a manifest, by tag or by digest. What it needs must be there already.
    ///
    /// # Errors
    /// [`Error::Refused`] of the kind invalid when the registry does not take it, [`Error::Limit`] beyond 4 MiB,
    /// [`Error::Content`] when the registry says that it stored something else.
    pub async fn manifest_put(
        &self,
        which: &TagOrDigest,
        media_type: &MediaType,
        bytes: Bytes,
    ) -> Result<Pushed, Error> {
        let limit = self.host.shared.settings.limits.manifest;
        let url = self.manifest_url(which)?;
        if bytes.len() > limit {
            return Err(Error::Limit {
                what: "the size in bytes",
                url: redact::url(&url),
                limit: limit as u64,
            });
        }
        let wrong = |_| {
            Error::Settings(format!("{} is not a media type", transship_spec::quote(media_type.as_str())))
        };
        let content_type = HeaderValue::try_from(media_type.as_str()).map_err(wrong)?;
        let purpose = self.push();
        let call = Call::new(Method::PUT, url, &purpose)
            .header(header::CONTENT_TYPE, content_type)
            .payload(Payload::Bytes(bytes.clone()));
        match self.host.call(&call).await {
            Ok(answer) => self.pushed(which, &bytes, answer).await,
            // Some registries refuse to take the same manifest twice (DIST-172).
            Err(Error::Refused(exchange)) if exchange.has_code("ImageAlreadyExistsException") => {
                let digest = Digest::sha256(&bytes);
                match self.manifest_head(which).await? {
                    Some(there) if there.digest == digest => Ok(Pushed { digest, subject: None }),
                    _ => Err(Error::Refused(exchange)),
                }
            }
            Err(Error::Refused(mut exchange)) => {
                exchange.sent = Sent::Manifest(Shape::of(&bytes).and_then(|shape| shape.media_type()));
                Err(Error::Refused(exchange))
            }
            Err(error) => Err(error),
        }
    }

    async fn pushed(&self, which: &TagOrDigest, bytes: &[u8], answer: Answer) -> Result<Pushed, Error> {
        let named = |name| answer.header(name).and_then(|text| Digest::parse(text.trim()).ok());
        let (claim, subject) = (named("docker-content-digest"), named("oci-subject"));
        if let Some(claim) = &claim {
            let mut verifier = Verifier::new(claim, None);
            let verdict = verifier.update(bytes).and_then(|()| verifier.finish());
            verdict.map_err(|source| Error::Content { url: redact::url(&answer.url), source })?;
        }
        let digest = match which {
            TagOrDigest::Digest(digest) => digest.clone(),
            TagOrDigest::Tag(_) => {
                claim.filter(Digest::is_verifiable).unwrap_or_else(|| Digest::sha256(bytes))
            }
        };
        answer.body.drain().await;
        self.host.features.pushed(format!("{}:{which}", self.name));
        self.host.features.pushed(format!("{}:{digest}", self.name));
        Ok(Pushed { digest, subject })
    }

    fn is_recent(&self, which: &TagOrDigest) -> bool {
        self.host.features.was_pushed(&format!("{}:{which}", self.name))
    }
}

/// A request that says which kinds of manifests we take (DIST-16). Only requests for manifests do so (DIST-179).
fn accepting(call: Call<'_>) -> Call<'_> {
    const ALL: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
        application/vnd.docker.distribution.manifest.v2+json, \
        application/vnd.docker.distribution.manifest.list.v2+json, \
        application/vnd.oci.artifact.manifest.v1+json, */*;q=0.1";
    call.header(header::ACCEPT, HeaderValue::from_static(ALL))
}

/// The descriptor that an answer to HEAD tells of, if it tells all of it.
fn descriptor(answer: &Answer, which: &TagOrDigest) -> Option<Descriptor> {
    let claimed = answer.header("docker-content-digest").and_then(|text| Digest::parse(text.trim()).ok());
    let digest = match which {
        TagOrDigest::Digest(digest) => digest.clone(),
        TagOrDigest::Tag(_) => claimed?,
    };
    let size = answer.header("content-length")?.parse().ok()?;
    let media_type = MediaType::parse_content_type(answer.header("content-type")?).ok()?;
    media_type.is_document().then(|| Descriptor::new(media_type, digest, size))
}

/// As much of a manifest as tells what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

impl Shape {
    fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    fn media_type(&self) -> Option<MediaType> {
        MediaType::parse(self.media_type.as_deref()?).ok()
    }

    /// OCI documents may leave their media type out.
    fn guess(&self) -> Option<MediaType> {
        match (&self.manifests, self.config.is_some() || self.layers.is_some()) {
            (Some(_), false) => Some(MediaType::OCI_INDEX),
            (None, true) => Some(MediaType::OCI_MANIFEST),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_a_manifest_tells_what_it_is() {
        let guess = |text: &str| Shape::of(text.as_bytes()).and_then(|shape| shape.guess());
        assert_eq!(guess(r#"{"manifests":[]}"#), Some(MediaType::OCI_INDEX));
        assert_eq!(guess(r#"{"config":{},"layers":[]}"#), Some(MediaType::OCI_MANIFEST));
        assert_eq!(guess(r#"{"config":{},"manifests":[]}"#), None);
        assert_eq!(guess("{}"), None);
        assert_eq!(guess("<html>"), None);
    }
}
