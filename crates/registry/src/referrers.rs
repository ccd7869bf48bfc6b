//! Who refers to a manifest: asked of the registry, else read from the fallback tag (DIST-70…75, DIST-85…88).

use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use transship_spec::{Descriptor, Digest, Document, MediaType, Tag, referrers};

use crate::error::Error;
use crate::manifest::{Pushed, TagOrDigest};
use crate::page::{Head, Pages};
use crate::redact;
use crate::repository::Repository;
use crate::request::Call;

/// The most bytes of lists that are read for one subject: about a hundred thousand referrers.
const MAX_LISTS: usize = 32 << 20;

/// How a referrer can be found from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listed {
    /// It refers to nothing.
    NoSubject,
    /// The registry lists it.
    ByRegistry,
    /// The index under this fallback tag lists it; whether that had to be changed.
    ByTag {
        /// The tag.
        tag: Tag,
        /// Whether the index was pushed anew.
        changed: bool,
    },
}

/// An index as far as it lists something; a descriptor that cannot be read does not spoil the others.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    manifests: Option<Vec<Box<RawValue>>>,
}

impl Repository {
    /// The manifests that refer to `subject`, of one artifact type or of all.
    ///
    /// The registry's own list may be wrong in details such as sizes (DIST-173): what is then fetched by
    /// [`Repository::manifest_get`] is verified by its digest.
    ///
    /// # Errors
    /// The errors of the connection, and [`Error::Limit`] beyond the settings' pages and entries. A registry that has
    /// no list, or denies it, gives what its fallback tag holds, or nothing.
    pub async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>, Error> {
        let mut found = self.referrers_anywhere(subject, artifact_type).await?;
        if let Some(wanted) = artifact_type {
            found.retain(|descriptor| descriptor.artifact_type.as_ref() == Some(wanted));
        }
        Ok(found)
    }

    /// The list of the first mirror that knows any, else that of the location: a mirror may hold an image without what
    /// refers to it.
    async fn referrers_anywhere(
        &self,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>, Error> {
        let mut answered = false;
        for source in self.mirrors(true).filter(|source| source.lists()) {
            match source.repository().referrers_here(subject, artifact_type).await {
                Ok(found) if found.is_empty() => answered = true,
                Ok(found) => return Ok(found),
                Err(error) => source.failed(&error),
            }
        }
        let reading = self.reading.as_ref().filter(|_| answered);
        if reading.is_some_and(|reading| reading.is_lost()) {
            return Ok(Vec::new());
        }
        match (self.location().referrers_here(subject, artifact_type).await, reading) {
            (Err(error), Some(reading)) if error.is_transient() => {
                if reading.lost() {
                    self.warn(&format!("only mirrors are asked for signatures and other referrers: {error}"));
                }
                Ok(Vec::new())
            }
            (result, _) => result,
        }
    }

    async fn referrers_here(
        &self,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>, Error> {
        match self.referrers_by_registry(subject, artifact_type).await? {
            Some(found) => Ok(found),
            None => self.referrers_by_tag(subject).await,
        }
    }

    /// Whether the registry lists referrers by itself, as far as earlier questions have told: where it does not, one
    /// list of tags tells which fallback tags there are, and spares a request for each subject.
    #[must_use]
    pub fn is_listing_referrers(&self) -> Option<bool> {
        self.host.features.referrers.get()
    }

    /// Asks the registry; nothing where it does not know the question (DIST-88).
    async fn referrers_by_registry(
        &self,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let known = &self.host.features.referrers;
        if known.get() == Some(false) {
            return Ok(None);
        }
        let mut url = self.url(&format!("referrers/{subject}"))?;
        if let Some(wanted) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", wanted.as_str());
        }
        let (mut pages, mut found, mut read) = (Pages::new(url), Vec::new(), 0);
        let (purpose, limits) = (self.pull(), &self.host.shared.settings.limits);
        while let Some(url) = pages.next.take() {
            let shown = redact::url(&url);
            let fetched = self.host.fetch(&Call::new(Method::GET, url, &purpose), limits.manifest).await;
            let (head, body) = match fetched {
                Ok((head, body)) if is_index(&head) => (head, body),
                Ok(_) => return Ok(None),
                Err(Error::NotFound(exchange)) => {
                    // An unknown repository says nothing of the registry.
                    if !exchange.has_code("NAME_UNKNOWN") {
                        known.set(false);
                    }
                    return Ok(None);
                }
                Err(Error::Refused(_) | Error::Denied(_) | Error::NoCredentials { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            known.set(true);
            read += body.len();
            if read > MAX_LISTS {
                let (what, limit) = ("the size of the lists of referrers in bytes", MAX_LISTS as u64);
                return Err(Error::Limit { what, url: shown, limit });
            }
            pages.turn(&self.host, &head).await?;
            found.extend(
                self.read_index(&body)
                    .ok_or_else(|| head.protocol("the answer is not the JSON of an index"))?,
            );
            if found.len() > limits.entries {
                return Err(Error::Limit {
                    what: "the number of referrers",
                    url: shown,
                    limit: limits.entries as u64,
                });
            }
        }
        Ok(Some(found))
    }

    async fn referrers_by_tag(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let tag = TagOrDigest::Tag(referrers::fallback_tag(subject));
        match self.manifest_get(&tag).await {
            // There is no such tag, and it is taken for the digest that it is made of (DIST-178).
            Ok(manifest) if manifest.digest == *subject => Ok(Vec::new()),
            Ok(manifest) if manifest.media_type.is_index() => {
                Ok(self.read_index(&manifest.bytes).unwrap_or_default())
            }
            Ok(_) => {
                self.warn(&format!("the tag {tag} of {} is not a list of referrers", self.name));
                Ok(Vec::new())
            }
            Err(Error::NotFound(_) | Error::Refused(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn read_index(&self, bytes: &[u8]) -> Option<Vec<Descriptor>> {
        let page: Page = serde_json::from_slice(bytes).ok()?;
        let read = |raw: Box<RawValue>| match serde_json::from_str(raw.get()) {
            Ok(descriptor) => Some(descriptor),
            Err(error) => {
                self.warn(&format!("a referrer listed by {} is passed over: {error}", self.name));
                None
            }
        };
        Some(page.manifests.unwrap_or_default().into_iter().filter_map(read).collect())
    }

    /// Sees to it that a manifest with a subject, just pushed, can be found from its subject (DIST-71, DIST-72).
    ///
    /// A registry that has seen the subject and lists referrers does that itself; else the index under the fallback tag
    /// gets an entry. Within one client these changes happen one after the other; between clients the last one wins.
    ///
    /// # Errors
    /// Those of getting and putting the index, and [`Error::Protocol`] when the fallback tag is something else.
    pub async fn list_referrer(&self, referrer: &Document, pushed: &Pushed) -> Result<Listed, Error> {
        let Some(subject) = referrer.subject() else { return Ok(Listed::NoSubject) };
        let subject = subject.digest.clone();
        if pushed.subject.is_some() && self.lists_referrers(&subject).await? {
            return Ok(Listed::ByRegistry);
        }
        let tag = referrers::fallback_tag(&subject);
        let _turn = self.host.features.fallback.lock().await;
        let which = TagOrDigest::Tag(tag.clone());
        let current = match self.manifest_get(&which).await {
            Ok(manifest) if manifest.digest == subject => None,
            Ok(manifest) if manifest.media_type.is_index() => {
                let wrong = |source| Error::Content { url: self.shown(&which), source };
                Some(Document::parse(manifest.bytes, Some(&manifest.media_type)).map_err(wrong)?)
            }
            Ok(_) => {
                let exchange = crate::request::exchange(&Method::GET, &self.manifest_url(&which)?);
                let reason = "the fallback tag of referrers is not an index, and is left as it is".to_owned();
                return Err(Error::Protocol { exchange: Box::new(exchange), reason });
            }
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let merged = referrers::merge(current.as_ref(), referrers::descriptor(referrer));
        let changed = merged.is_some();
        if let Some(index) = merged {
            self.manifest_put(&which, &MediaType::OCI_INDEX, index).await?;
        }
        Ok(Listed::ByTag { tag, changed })
    }

    /// Whether the registry really lists referrers; a claim is checked once (DIST-72).
    async fn lists_referrers(&self, subject: &Digest) -> Result<bool, Error> {
        if let Some(known) = self.host.features.referrers.get() {
            return Ok(known);
        }
        Ok(self.referrers_by_registry(subject, None).await?.is_some())
    }

    fn shown(&self, which: &TagOrDigest) -> String {
        self.manifest_url(which).map(|url| redact::url(&url)).unwrap_or_default()
    }
}

/// Pages of a registry that does not know the question are often HTML with status 200.
fn is_index(head: &Head) -> bool {
    let media_type = head.header("content-type").and_then(|text| MediaType::parse_content_type(text).ok());
    media_type.is_some_and(|media_type| media_type == MediaType::OCI_INDEX)
}
