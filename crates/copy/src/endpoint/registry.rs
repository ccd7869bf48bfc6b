//! A repository as an endpoint.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{Mutex, OnceCell};
use transship_registry::{Repository, TagOrDigest};
use transship_spec::{Descriptor, Digest, Document, Reference, Tag, referrers, split_digest};

use super::{
    Ask, Endpoint, Listed, Offer, Pending, Pieces, Place, Planned, QUESTIONS, Related, Role, Session,
};
use crate::events::Placed;
use crate::names::{Called, Name};
use crate::transfer::Upload;
use crate::{Error, Result};

/// Bytes that are sent as soon as a question about them is answered.
pub(crate) const SMALL: u64 = 64 << 10;
/// Pages of tags that are read before few manifests are rather asked about one by one.
const PAGES_FOR_FEW: usize = 2;
/// Names from which on a list of tags is worth it: so many questions at least are spared by one page.
const MANY: usize = 4;
/// Every tag that is made of a digest is longer than this.
const SHORTEST_ABOUT_A_DIGEST: usize = 40;
/// Suffixes of digest tags that are asked for where tags are not listed.
const SUFFIXES: [&str; 3] = ["sig", "att", "sbom"];

#[derive(Debug)]
pub(crate) struct RegistryEndpoint {
    /// For reading.
    repository: Repository,
    /// For everything that a destination is asked, so that one token is enough.
    destination: Repository,
    place: Place,
    tags: OnceCell<Tags>,
    /// Whether the destination has no tag, as far as that is known.
    is_new: std::sync::OnceLock<bool>,
    /// Held while the registry is asked for referrers for the first time, which tells whether it knows them at all.
    first_question: Mutex<()>,
    was_asked: AtomicBool,
}

/// The tags that may be about digests.
#[derive(Debug, Default)]
struct Tags {
    /// Whether these are all.
    complete: bool,
    /// Those that may be lists of referrers.
    fallback: HashSet<Tag>,
    /// Digest tags, by what they speak of.
    digest_tags: HashMap<Digest, Vec<Tag>>,
}

impl Tags {
    fn note<'a>(&mut self, tags: impl IntoIterator<Item = &'a Tag>) {
        for tag in tags {
            if let Some((subject, _)) = referrers::digest_tag(tag.as_str()) {
                self.digest_tags.entry(subject).or_default().push(tag.clone());
            } else if tag.as_str().len() > SHORTEST_ABOUT_A_DIGEST && tag.as_str().contains('-') {
                self.fallback.insert(tag.clone());
            }
        }
    }
}

impl RegistryEndpoint {
    pub(crate) fn new(repository: Repository) -> Self {
        Self {
            destination: repository.for_writing(),
            place: Place::Repository {
                registry: repository.registry().to_owned(),
                repository: repository.name().to_owned(),
            },
            repository,
            tags: OnceCell::new(),
            is_new: std::sync::OnceLock::new(),
            first_question: Mutex::new(()),
            was_asked: AtomicBool::new(false),
        }
    }

    fn reference(&self) -> Result<Reference> {
        Ok(Reference::new(self.repository.registry(), self.repository.name())?)
    }

    fn not_found(&self, what: &dyn ToString) -> Error {
        Error::NotFound { place: self.place.to_string(), what: what.to_string() }
    }

    async fn has_one(&self, content: &Descriptor) -> Result<bool> {
        if content.media_type.is_document() {
            let which = TagOrDigest::Digest(content.digest.clone());
            let is_there = self.destination.manifest_head(&which).await?.is_some();
            if is_there {
                self.is_used();
            }
            return Ok(is_there);
        }
        let head = self.destination.blob_head(&content.digest).await?;
        Ok(head.is_some_and(|head| head.size.is_none_or(|size| size == content.size)))
    }

    /// The tags about digests, listed once; where few are asked about, no more than the first pages.
    async fn tags(&self, many: bool) -> &Tags {
        let read = || async {
            let mut tags = Tags::default();
            let mut pages = self.repository.tag_pages();
            let mut left = if many { usize::MAX } else { PAGES_FOR_FEW };
            loop {
                match pages.try_next().await {
                    Ok(Some(_)) if left == 0 => return tags,
                    Ok(Some(page)) => tags.note(&page),
                    Ok(None) => return Tags { complete: true, ..tags },
                    Err(error) => {
                        tracing::debug!(%error, "tags cannot be listed");
                        return tags;
                    }
                }
                left -= 1;
            }
        };
        self.tags.get_or_init(read).await
    }

    async fn find_one(&self, tag: Option<String>) -> Result<Option<Descriptor>> {
        let Some(tag) = tag else { return Ok(None) };
        let found = self.destination.manifest_head(&TagOrDigest::Tag(Tag::parse(&tag)?)).await?;
        if found.is_some() {
            self.is_used();
        }
        Ok(found)
    }

    /// Notes that there is something at the destination; what was known before stays.
    fn is_used(&self) {
        let _ = self.is_new.set(false);
    }

    /// Which of these names the repository does not list. One list tells of many at once; of few, or where it is long, none
    /// are known.
    async fn absent<'a>(&self, names: &'a [Name]) -> HashSet<&'a str> {
        let tags = names.iter().filter_map(|name| match name {
            Name::Short(tag) => Some(tag.as_str()),
            _ => None,
        });
        let mut absent: HashSet<&str> = tags.collect();
        if absent.len() < MANY {
            return HashSet::new();
        }
        let mut pages = self.destination.tag_pages();
        for _ in 0..=absent.len() / MANY {
            match pages.try_next().await {
                Ok(Some(page)) => {
                    if !page.is_empty() {
                        self.is_used();
                    }
                    for tag in page {
                        absent.remove(tag.as_str());
                    }
                }
                Ok(None) | Err(transship_registry::Error::NotFound(_)) => {
                    self.is_new.get_or_init(|| true);
                    return absent;
                }
                Err(error) => {
                    tracing::debug!(%error, "tags cannot be listed");
                    break;
                }
            }
        }
        HashSet::new()
    }

    async fn referrers(&self, subject: &Digest, ask: Ask) -> Result<Vec<Descriptor>> {
        let turn = match self.was_asked.load(Ordering::Acquire) {
            true => None,
            false => Some(self.first_question.lock().await),
        };
        // One list of tags spares the question for each fallback tag.
        if (ask.many || ask.digest_tags) && self.repository.is_listing_referrers() == Some(false) {
            let tags = self.tags(ask.many).await;
            if tags.complete && !tags.fallback.contains(&referrers::fallback_tag(subject)) {
                return Ok(Vec::new());
            }
        }
        let found = self.repository.referrers(subject, None).await?;
        self.was_asked.store(true, Ordering::Release);
        drop(turn);
        Ok(found)
    }

    async fn digest_tags(&self, subject: &Digest, many: bool) -> Result<Vec<(Tag, Listed)>> {
        let reference = self.reference()?;
        let listed = |tag: &Tag, descriptor| {
            let called = Called::full(&reference.with_tag(tag.clone()));
            (tag.clone(), Listed { called, digest: None, descriptor })
        };
        let tags = self.tags(many).await;
        if tags.complete {
            let about = tags.digest_tags.get(subject).into_iter().flatten();
            let mut found: Vec<_> = about.map(|tag| listed(tag, None)).collect();
            found.sort_by(|(one, _), (other, _)| one.cmp(other));
            found.dedup_by(|(one, _), (other, _)| one == other);
            return Ok(found);
        }
        let mut found = Vec::new();
        for suffix in SUFFIXES {
            let tag = Tag::parse(&format!("{}.{suffix}", referrers::fallback_tag(subject)))?;
            let there = self.repository.manifest_head(&TagOrDigest::Tag(tag.clone())).await?;
            found.extend(there.map(|descriptor| listed(&tag, Some(descriptor))));
        }
        Ok(found)
    }
}

impl Endpoint for RegistryEndpoint {
    fn place(&self) -> &Place {
        &self.place
    }

    fn is_local(&self) -> bool {
        false
    }

    fn named(&self) -> Pending<'_, Vec<Listed>> {
        let list = async {
            let reference = self.reference()?;
            let mut tags = self.repository.tags().await?;
            // Some registries repeat a tag where one page ends and the next begins.
            let mut seen = HashSet::new();
            tags.retain(|tag| seen.insert(tag.clone()));
            let mut about_digests = Tags { complete: true, ..Tags::default() };
            about_digests.note(&tags);
            // Listed before for another question: then those tags are as good.
            let _ = self.tags.set(about_digests);
            tags.retain(|tag| referrers::subject_of_fallback_tag(tag.as_str()).is_none());
            let listed = tags.into_iter().map(|tag| Listed {
                called: Called::full(&reference.with_tag(tag)),
                digest: None,
                descriptor: None,
            });
            Ok(listed.collect())
        };
        list.boxed()
    }

    fn call<'a>(&'a self, reference: Option<&'a str>) -> Pending<'a, Listed> {
        let call = async move {
            let text = reference.unwrap_or("latest");
            let (tag, digest) = match (Digest::parse(text), split_digest(text)) {
                (Ok(digest), _) => (None, Some(digest)),
                (_, Some((tag, digest))) => {
                    let tag = (!tag.is_empty()).then(|| Tag::parse(tag)).transpose()?;
                    (tag, Some(digest))
                }
                _ => (Some(Tag::parse(text)?), None),
            };
            let whole = self.reference()?;
            let whole = tag.map_or_else(|| whole.clone(), |tag| whole.with_tag(tag));
            Ok(Listed { called: Called::full(&whole), digest, descriptor: None })
        };
        call.boxed()
    }

    fn resolve<'a>(&'a self, listed: &'a Listed) -> Pending<'a, Descriptor> {
        let resolve = async move {
            if let Some(known) = &listed.descriptor {
                return Ok(known.clone());
            }
            let tag = listed.called.short.as_deref();
            let which = match (&listed.digest, tag) {
                (Some(digest), _) => TagOrDigest::Digest(digest.clone()),
                (None, Some(tag)) => TagOrDigest::Tag(Tag::parse(tag)?),
                (None, None) => return Err(self.not_found(&listed.called)),
            };
            let found = self.repository.manifest_head(&which).await?.ok_or_else(|| self.not_found(&which))?;
            a_document(&which, found)
        };
        resolve.boxed()
    }

    fn listed_root<'a>(&'a self, listed: &'a Listed) -> Pending<'a, (Descriptor, Document)> {
        let get = async move {
            let tag = listed.called.short.as_deref();
            let which = match (&listed.digest, tag) {
                (Some(digest), _) => TagOrDigest::Digest(digest.clone()),
                (None, Some(tag)) => TagOrDigest::Tag(Tag::parse(tag)?),
                (None, None) => return Err(self.not_found(&listed.called)),
            };
            let manifest = self.repository.manifest_get(&which).await.map_err(|error| match error {
                transship_registry::Error::NotFound(_) => self.not_found(&which),
                error => error.into(),
            })?;
            let descriptor = a_document(&which, manifest.descriptor())?;
            Ok((descriptor.clone(), Document::of_verified(manifest.bytes, &descriptor)?))
        };
        get.boxed()
    }

    fn find<'a>(&'a self, names: &'a [Name]) -> BoxFuture<'a, Vec<Result<Option<Descriptor>>>> {
        let find = async move {
            let absent = self.absent(names).await;
            let asked = names.iter().map(|name| match name {
                Name::Short(tag) if !absent.contains(tag.as_str()) => Some(tag.clone()),
                _ => None,
            });
            let asked: Vec<Option<String>> = asked.collect();
            stream::iter(asked).map(|tag| self.find_one(tag)).buffered(QUESTIONS).collect().await
        };
        find.boxed()
    }

    fn is_new(&self) -> bool {
        self.is_new.get() == Some(&true)
    }

    fn turns_out_new(&self) -> BoxFuture<'_, bool> {
        let ask = async move {
            if self.is_new.get().is_none() {
                let is_new = match self.destination.tag_pages().try_next().await {
                    Ok(page) => page.is_none_or(|page| page.is_empty()),
                    Err(error) => matches!(error, transship_registry::Error::NotFound(_)),
                };
                self.is_new.get_or_init(|| is_new);
            }
            self.is_new()
        };
        ask.boxed()
    }

    fn has<'a>(&'a self, content: &'a [Descriptor]) -> BoxFuture<'a, Vec<Result<bool>>> {
        stream::iter(content).map(|content| self.has_one(content)).buffered(QUESTIONS).collect().boxed()
    }

    fn size<'a>(&'a self, digest: &'a Digest) -> Pending<'a, Option<u64>> {
        let ask = async move {
            // Blobs first: Debian's registry answers 500 to who asks for a manifest by the digest of a blob.
            if let Some(size) = self.repository.blob_head(digest).await?.and_then(|head| head.size) {
                return Ok(Some(size));
            }
            let which = TagOrDigest::Digest(digest.clone());
            Ok(self.repository.manifest_head(&which).await?.map(|manifest| manifest.size))
        };
        ask.boxed()
    }

    fn document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        let get = async move {
            let manifest = self.repository.manifest_get_exact(descriptor).await?;
            Ok(Document::of_verified(manifest.bytes, descriptor)?)
        };
        get.boxed()
    }

    fn listed_document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        let get = async move {
            let which = TagOrDigest::Digest(descriptor.digest.clone());
            let manifest = self.repository.manifest_get(&which).await?;
            let descriptor = manifest.descriptor();
            Ok(Document::of_verified(manifest.bytes, &descriptor)?)
        };
        get.boxed()
    }

    fn related<'a>(&'a self, subject: &'a Digest, ask: Ask) -> Pending<'a, Related> {
        let look = async move {
            let referrers = match ask.referrers {
                true => self.referrers(subject, ask).await?,
                false => Vec::new(),
            };
            let digest_tags = match ask.digest_tags {
                true => self.digest_tags(subject, ask.many).await?,
                false => Vec::new(),
            };
            Ok(Related { referrers, digest_tags, doubts: Vec::new() })
        };
        look.boxed()
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Pieces {
        self.repository.blob_unhashed(blob, offset).map_err(Error::from).boxed()
    }

    fn doubt(&self, blob: &Digest) {
        self.repository.doubt(blob);
    }

    fn begin(&self, _: Planned) -> Pending<'_, Arc<dyn Session>> {
        let session = RegistrySession {
            repository: self.destination.clone(),
            place: self.place.clone(),
            is_new: self.is_new(),
        };
        Box::pin(std::future::ready(Ok(Arc::new(session) as Arc<dyn Session>)))
    }
}

/// Writing into a repository: what is put is there at once.
#[derive(Debug)]
struct RegistrySession {
    repository: Repository,
    place: Place,
    /// Whether nobody asked what is there, since nothing has a tag.
    is_new: bool,
}

impl Session for RegistrySession {
    fn reuse<'a>(&'a self, _: &'a Descriptor) -> Pending<'a, bool> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn put_blob<'a>(&'a self, blob: &'a Descriptor, offer: &'a Offer) -> Pending<'a, Placed> {
        let put = async move {
            let source = Upload::new(blob, offer);
            // A push that broke may have left it where nothing has a tag yet.
            let itself = self.is_new.then_some(self.repository.name());
            let mount_from = offer.mount_from.as_deref().or(itself);
            match self.repository.blob_put(blob, &source, mount_from).await {
                Ok(transship_registry::Placed::Mounted) => Ok(Placed::Mounted),
                Ok(transship_registry::Placed::Present) => Ok(Placed::Present),
                Ok(transship_registry::Placed::Resumed(held)) => {
                    offer.resumed.store(held, Ordering::Relaxed);
                    Ok(Placed::Copied)
                }
                Ok(_) => Ok(Placed::Copied),
                Err(error) => Err(unwrapped(error, blob, offer)),
            }
        };
        put.boxed()
    }

    fn put_document<'a>(&'a self, document: &'a Document, role: &'a Role) -> Pending<'a, ()> {
        let put = async move {
            let which = match role {
                Role::Named(Name::Short(tag), _) => TagOrDigest::Tag(Tag::parse(tag)?),
                _ => TagOrDigest::Digest(document.digest().clone()),
            };
            let bytes = document.bytes().clone();
            let pushed = self.repository.manifest_put(&which, document.media_type(), bytes).await?;
            self.repository.list_referrer(document, &pushed).await?;
            Ok(())
        };
        put.boxed()
    }

    fn keep<'a>(&'a self, role: &'a Role) -> Pending<'a, ()> {
        let what = match role {
            Role::Named(_, content) | Role::ByDigest(content) => content.media_type.to_string(),
            Role::Child | Role::Referrer => "this".to_owned(),
        };
        let text = format!("{what} is no manifest, and only manifests can be kept in {}", self.place);
        Box::pin(std::future::ready(Err(transship_spec::Error::Unsupported(text).into())))
    }

    fn commit(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A page of a proxy or a portal is no manifest, whatever its status says.
fn a_document(which: &TagOrDigest, found: Descriptor) -> Result<Descriptor> {
    if found.media_type.is_document() || found.media_type.is_schema1() {
        return Ok(found);
    }
    let reason = format!("{which} is served as {}", found.media_type);
    Err(transship_spec::Error::Document { what: "manifest", reason }.into())
}

/// The error of the source, where an upload failed because of it.
fn unwrapped(error: transship_registry::Error, blob: &Descriptor, offer: &Offer) -> Error {
    match error {
        transship_registry::Error::Source(inner) => match inner.downcast::<Error>() {
            Ok(cause) => Error::at_source(offer.from.place(), &blob.digest, *cause),
            Err(inner) => transship_registry::Error::Source(inner).into(),
        },
        error => error.into(),
    }
}
