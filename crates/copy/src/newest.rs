//! The newest of many: by the version that a tag names, or by when an image was made.
//!
//! The order depends on nothing but names and content. Of equals, the tag that comes first in the order of bytes counts
//! as newer.

use std::cmp::Reverse;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Deserialize;
use transship_spec::annotations::CREATED;
use transship_spec::{Descriptor, Document, Verifier, platform, referrers};

use crate::endpoint::{Endpoint, Listed, QUESTIONS};
use crate::names::version;
use crate::{Error, Result};

/// The largest config that is read, in bytes.
const LARGEST_CONFIG: u64 = 4 << 20;

/// How many of the newest things of a source are copied, and what is new about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// How many of each source.
    pub count: usize,
    /// What is compared.
    pub by: Age,
}

/// What tells which of two things is newer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Age {
    /// The [`version`] that the tag names; tags that name none do not count. This asks for nothing.
    #[default]
    Version,
    /// When the image was made, as its config tells, else the annotation of its manifest; what tells nothing is oldest. Of
    /// an index the first image counts. This costs a manifest and a config for each tag, and another manifest for each
    /// index.
    Created,
}

impl Newest {
    /// The newest of these, newest first. Digest tags do not count: they belong to what they speak of.
    pub(crate) async fn of(self, endpoint: &Arc<dyn Endpoint>, mut all: Vec<Listed>) -> Result<Vec<Listed>> {
        all.retain(|listed| referrers::digest_tag(name(listed)).is_none());
        let mut newest = match self.by {
            Age::Version => by_version(all),
            Age::Created => by_creation(endpoint, all).await?,
        };
        newest.truncate(self.count);
        Ok(newest)
    }
}

fn name(listed: &Listed) -> &str {
    listed.called.short.as_deref().unwrap_or_default()
}

fn by_version(all: Vec<Listed>) -> Vec<Listed> {
    let versions = all.into_iter().filter_map(|listed| Some((version(name(&listed))?, listed)));
    let mut versions: Vec<_> = versions.collect();
    versions.sort_by(|(one, listed), (other, beside)| {
        other.cmp(one).then_with(|| name(listed).cmp(name(beside)))
    });
    versions.into_iter().map(|(_, listed)| listed).collect()
}

async fn by_creation(endpoint: &Arc<dyn Endpoint>, all: Vec<Listed>) -> Result<Vec<Listed>> {
    let dated = stream::iter(all).map(|mut listed| async move {
        let (descriptor, document) = endpoint.listed_root(&listed).await?;
        // What was found out is not asked for again.
        listed.descriptor = Some(descriptor);
        Ok::<_, Error>((created(endpoint, document).await?, listed))
    });
    let mut dated: Vec<_> = dated.buffered(QUESTIONS).try_collect().await?;
    dated.sort_by_cached_key(|(time, listed)| (Reverse(*time), name(listed).to_owned()));
    Ok(dated.into_iter().map(|(_, listed)| listed).collect())
}

/// When something was made, if it tells.
async fn created(endpoint: &Arc<dyn Endpoint>, mut document: Document) -> Result<Option<Timestamp>> {
    let mut annotated = document.annotations().get(CREATED).cloned();
    if let Some(index) = document.as_index() {
        let is_image =
            |member: &&Descriptor| member.media_type.is_manifest() && !platform::is_attestation(member);
        let Some(first) = index.manifests.iter().find(is_image) else {
            return Ok(time(annotated.as_deref()));
        };
        document = endpoint.document(first).await?;
        annotated = annotated.or_else(|| document.annotations().get(CREATED).cloned());
    }
    let config = document.as_manifest().map(|manifest| &manifest.config);
    let told = match config.filter(|config| config.media_type.is_image_config()) {
        Some(config) => Made::read(endpoint, config).await?,
        None => None,
    };
    Ok(time(told.as_deref()).or_else(|| time(annotated.as_deref())))
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// What of a config is looked at.
#[derive(Debug, Deserialize)]
struct Made {
    created: Option<String>,
}

impl Made {
    /// Reads a config, verified and bounded. One that is no JSON tells nothing, and is not what a copy looks at.
    async fn read(endpoint: &Arc<dyn Endpoint>, config: &Descriptor) -> Result<Option<String>> {
        if config.size > LARGEST_CONFIG {
            return Err(Error::Limit { what: "the size of a config in bytes", limit: LARGEST_CONFIG });
        }
        let broken = |cause| Error::at_source(endpoint.place(), &config.digest, cause);
        let mut bytes = Vec::new();
        let mut pieces = endpoint.open(config, 0);
        while let Some(piece) = pieces.try_next().await.map_err(broken)? {
            bytes.extend_from_slice(&piece);
        }
        let mut verifier = Verifier::new(&config.digest, Some(config.size));
        let verified = verifier.update(&bytes).and_then(|()| verifier.finish().map(drop));
        verified.map_err(|error| broken(error.into()))?;
        Ok(serde_json::from_slice::<Self>(&bytes).ok().and_then(|made| made.created))
    }
}
