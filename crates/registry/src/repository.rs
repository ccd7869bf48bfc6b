//! One repository of one registry: the handle on which all verbs are.

use std::sync::Arc;

use http::Method;
use url::Url;

use crate::auth::Purpose;
use crate::auth::scope::Scopes;
use crate::client::Host;
use crate::error::Error;
use crate::manifest::TagOrDigest;
use crate::mirror::{Reading, Source};
use crate::request::Call;
use transship_spec::Digest;

/// A repository of a registry. Clones are cheap and share everything.
///
/// | verb | file of this crate |
/// |---|---|
/// | [`manifest_head`](Self::manifest_head), [`manifest_get`](Self::manifest_get), [`manifest_put`](Self::manifest_put) | `manifest` |
/// | [`blob_head`](Self::blob_head), [`blob_get`](Self::blob_get), [`blob_resume`](Self::blob_resume), [`blob_unhashed`](Self::blob_unhashed) | `blob` |
/// | [`blob_put`](Self::blob_put), [`mount`](Self::mount) | `upload` |
/// | [`tags`](Self::tags), [`tag_pages`](Self::tag_pages) | `tags` |
/// | [`referrers`](Self::referrers), [`list_referrer`](Self::list_referrer) | `referrers` |
#[derive(Debug, Clone)]
pub struct Repository {
    pub(crate) host: Arc<Host>,
    pub(crate) name: Arc<str>,
    /// Whether tokens are asked for that allow pushing, whatever they are for.
    writing: bool,
    /// Where it is read from.
    pub(crate) reading: Option<Arc<Reading>>,
}

impl Repository {
    pub(crate) fn new(host: Arc<Host>, name: &str) -> Self {
        Self { host, name: name.into(), writing: false, reading: None }
    }

    /// The same repository, read from elsewhere.
    pub(crate) fn reading(self, reading: Reading) -> Self {
        Self { reading: Some(Arc::new(reading)), ..self }
    }

    /// The mirrors to ask first, by digest or by tag.
    pub(crate) fn mirrors(&self, by_digest: bool) -> impl Iterator<Item = &Arc<Source>> {
        self.reading.iter().flat_map(move |reading| reading.mirrors(by_digest))
    }

    /// Notes that what came of a blob was wrong, for a receiver that hashes by itself: mirrors are not asked for it again.
    pub fn doubt(&self, blob: &Digest) {
        if let Some(reading) = &self.reading {
            reading.doubt(blob);
        }
    }

    /// What is asked when no mirror has it.
    pub(crate) fn location(&self) -> &Self {
        self.reading.as_ref().and_then(|reading| reading.location()).unwrap_or(self)
    }

    /// The registry as the user names it.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.host.name
    }

    /// The name of the repository.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether another repository is of the same registry, so that blobs can be mounted from it (DIST-52).
    #[must_use]
    pub fn same_registry(&self, other: &Self) -> bool {
        self.host.base == other.host.base
    }

    /// The same repository as the destination of an upload: whatever is asked of it, its token is one that allows pushing,
    /// so that one token is enough (DIST-108), and no mirror answers for it.
    #[must_use]
    pub fn for_writing(&self) -> Self {
        Self { writing: true, reading: None, ..self.clone() }
    }

    /// Deletes a tag, and the tag only (DIST-95).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] of the kind unsupported where the registry cannot delete tags. The
    /// manifest is never deleted in place of its tag.
    pub async fn tag_delete(&self, tag: &transship_spec::Tag) -> Result<(), Error> {
        self.host.features.forget_pushed();
        self.delete(&format!("manifests/{tag}")).await
    }

    /// Deletes a manifest, and with it every tag that leads to it (DIST-96).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] where the registry does not delete.
    pub async fn manifest_delete(&self, digest: &Digest) -> Result<(), Error> {
        self.host.features.forget_pushed();
        self.delete(&format!("manifests/{digest}")).await
    }

    /// Deletes a blob (DIST-98).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] where the registry does not delete.
    pub async fn blob_delete(&self, digest: &Digest) -> Result<(), Error> {
        self.delete(&format!("blobs/{digest}")).await
    }

    async fn delete(&self, path: &str) -> Result<(), Error> {
        let purpose = self.purpose("delete,pull,push");
        let answer = self.host.call(&Call::new(Method::DELETE, self.url(path)?, &purpose)).await?;
        answer.body.drain().await;
        Ok(())
    }

    /// The URL of something in this repository.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Error> {
        let wrong = |_| {
            Error::Settings(format!("{} is not the name of a repository", transship_spec::quote(&self.name)))
        };
        self.host.base.join(&format!("v2/{}/{path}", self.name)).map_err(wrong)
    }

    pub(crate) fn manifest_url(&self, which: &TagOrDigest) -> Result<Url, Error> {
        self.url(&format!("manifests/{which}"))
    }

    pub(crate) fn purpose(&self, actions: &str) -> Purpose {
        Purpose { scopes: Scopes::repository(&self.name, actions), repository: self.name.to_string() }
    }

    pub(crate) fn pull(&self) -> Purpose {
        self.purpose(if self.writing { "pull,push" } else { "pull" })
    }

    pub(crate) fn push(&self) -> Purpose {
        self.purpose("pull,push")
    }

    pub(crate) fn warn(&self, text: &str) {
        self.host.shared.settings.events.warning(&self.host.name, text);
    }
}
