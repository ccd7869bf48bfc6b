//! What lies on this machine as an endpoint: a layout or an archive, which differ in how they are written.
//!
//! Everything that touches the disk happens on threads that may block.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use transship_layout::{Entry, Layout, Source, graph, read_document};
use transship_spec::{Descriptor, Digest, Document, Reference, Tag, referrers, split_digest};

use super::{Ask, Endpoint, Listed, Pending, Pieces, Place, Planned, Related, Session, off_the_reactor};
use crate::names::{Called, Name};
use crate::{Error, Result, transfer};

/// Warnings about documents that cannot be read, at most.
const MOST_DOUBTS: usize = 20;

/// A place on this machine.
pub(crate) trait Stock: Source + Clone + fmt::Debug + 'static {
    /// Which place it is.
    fn place(&self) -> Place;

    /// The entry that a reference names.
    fn resolve(&self, reference: Option<&str>) -> transship_layout::Result<Entry>;

    /// A blob from an offset on, for whoever verifies it.
    fn read_from(&self, blob: &Descriptor, offset: u64) -> transship_layout::Result<Box<dyn Read + Send>>;

    /// The layout that this is.
    fn layout(&self) -> Option<&Layout> {
        None
    }

    /// Begins to write.
    fn begin(&self, plan: Planned) -> Pending<'_, Arc<dyn Session>>;
}

#[derive(Debug)]
pub(crate) struct LocalEndpoint<S> {
    stock: S,
    place: Place,
    /// Read once for all questions of a copy.
    relations: OnceCell<Arc<Relations>>,
    has_doubted: AtomicBool,
}

/// Who refers to whom, and which digest tags there are.
#[derive(Debug)]
struct Relations {
    referrers: graph::Referrers,
    digest_tags: HashMap<Digest, Vec<(Tag, Listed)>>,
}

impl<S: Stock> LocalEndpoint<S> {
    pub(crate) fn new(stock: S) -> Self {
        let place = stock.place();
        Self { stock, place, relations: OnceCell::new(), has_doubted: AtomicBool::new(false) }
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&S) -> Result<T, transship_layout::Error> + Send + 'static,
    ) -> Result<T> {
        let stock = self.stock.clone();
        off_the_reactor(move || work(&stock)).await
    }

    /// Documents that could not be read may have been referrers. Those that are missing cannot be copied, either.
    fn doubts(&self, relations: &Relations) -> Vec<String> {
        if self.has_doubted.swap(true, Ordering::Relaxed) {
            return Vec::new();
        }
        let is_missing =
            |error: &transship_layout::Error| matches!(error, transship_layout::Error::MissingBlob { .. });
        let unreadable = relations.referrers.unreadable.iter().filter(|(_, error)| !is_missing(error));
        let told = unreadable.take(MOST_DOUBTS).map(|(digest, error)| {
            format!("what {digest} refers to cannot be told, so it may not come along as a referrer: {error}")
        });
        told.collect()
    }

    async fn relations(&self) -> Result<Arc<Relations>> {
        let read = || async {
            self.with(|stock| {
                let mut digest_tags: HashMap<Digest, Vec<(Tag, Listed)>> = HashMap::new();
                for entry in stock.entries()? {
                    let Some(tag) = entry.tag().and_then(|tag| Tag::parse(tag).ok()) else { continue };
                    if let Some((subject, _)) = referrers::digest_tag(tag.as_str()) {
                        let listed = listed(&entry, called(&entry).into_iter().next().unwrap_or_default());
                        digest_tags.entry(subject).or_default().push((tag, listed));
                    }
                }
                Ok(Arc::new(Relations { referrers: graph::referrers_of(stock)?, digest_tags }))
            })
            .await
        };
        self.relations.get_or_try_init(read).await.cloned()
    }
}

/// What an entry is called: one name or two.
fn called(entry: &Entry) -> Vec<Called> {
    let full = entry.full_name().and_then(|name| Reference::parse(name).ok());
    let mut names: Vec<Called> = full.iter().map(Called::full).collect();
    if let Some(name) = entry.name() {
        let is_part = full.as_ref().is_some_and(|full| {
            full.tag().is_some_and(|tag| tag.as_str() == name)
                || Reference::parse(name).is_ok_and(|same| same.or_latest() == *full)
        });
        if !is_part {
            names.push(Called::short(name));
        }
    }
    names
}

fn listed(entry: &Entry, called: Called) -> Listed {
    Listed { called, digest: None, descriptor: Some(entry.descriptor.clone()) }
}

/// The digest by which a reference names something.
fn digest_of(reference: &str) -> Option<Digest> {
    let after = split_digest(reference).map(|(_, digest)| digest);
    after.or_else(|| Digest::parse(reference).ok())
}

fn is_fallback(called: &Called) -> bool {
    called.short.as_deref().is_some_and(|tag| referrers::subject_of_fallback_tag(tag).is_some())
}

impl<S: Stock> Endpoint for LocalEndpoint<S> {
    fn place(&self) -> &Place {
        &self.place
    }

    fn is_local(&self) -> bool {
        true
    }

    fn named(&self) -> Pending<'_, Vec<Listed>> {
        let read = self.with(|stock| {
            let mut found: Vec<Listed> = Vec::new();
            for entry in stock.entries()? {
                found.extend(called(&entry).into_iter().map(|called| listed(&entry, called)));
            }
            // One thing that is listed twice under one name has one name.
            let mut seen = std::collections::HashSet::new();
            found.retain(|listed| {
                let digest = listed.descriptor.as_ref().map(|descriptor| descriptor.digest.clone());
                !is_fallback(&listed.called) && seen.insert((listed.called.clone(), digest))
            });
            Ok(found)
        });
        read.boxed()
    }

    fn call<'a>(&'a self, reference: Option<&'a str>) -> Pending<'a, Listed> {
        let reference = reference.map(str::to_owned);
        let read = self.with(move |stock| {
            let entry = stock.resolve(reference.as_deref())?;
            let mut names = called(&entry);
            // Of two names the one that was asked for counts.
            let asked = names.iter().position(|called| called.short.as_deref() == reference.as_deref());
            let called =
                if names.is_empty() { Called::default() } else { names.swap_remove(asked.unwrap_or(0)) };
            let mut listed = listed(&entry, called);
            let by_digest = reference.as_deref().and_then(digest_of);
            listed.digest = by_digest.filter(|digest| *digest == entry.descriptor.digest);
            Ok(listed)
        });
        read.boxed()
    }

    fn resolve<'a>(&'a self, listed: &'a Listed) -> Pending<'a, Descriptor> {
        let known = listed.descriptor.clone();
        let missing = || Error::NotFound { place: self.place.to_string(), what: listed.called.to_string() };
        Box::pin(std::future::ready(known.ok_or_else(missing)))
    }

    fn find<'a>(&'a self, names: &'a [Name]) -> BoxFuture<'a, Vec<Result<Option<Descriptor>>>> {
        let find = async move {
            if names.iter().all(|name| *name == Name::Digest) {
                return names.iter().map(|_| Ok(None)).collect();
            }
            let entries = match self.with(S::entries).await {
                Ok(entries) => entries,
                Err(error) => {
                    let error = Arc::new(error);
                    return names.iter().map(|_| Err(Error::Shared(Arc::clone(&error)))).collect();
                }
            };
            let mut by_name: HashMap<String, &Entry> = HashMap::new();
            for entry in &entries {
                for name in called(entry) {
                    let text = name.full.map_or(name.short, |full| Some(full.to_string()));
                    by_name.entry(text.unwrap_or_default()).or_insert(entry);
                }
            }
            let find = |name: &Name| match name {
                Name::Digest => Ok(None),
                name => Ok(by_name.get(&name.to_string()).map(|entry| entry.descriptor.clone())),
            };
            names.iter().map(find).collect()
        };
        find.boxed()
    }

    fn has<'a>(&'a self, content: &'a [Descriptor]) -> BoxFuture<'a, Vec<Result<bool>>> {
        let (stock, wanted) = (self.stock.clone(), content.to_vec());
        let look = async move {
            let looked = off_the_reactor(move || {
                let has = |content: &Descriptor| Ok(stock.size(&content.digest)? == Some(content.size));
                Ok::<_, Error>(wanted.iter().map(has).collect())
            });
            looked.await.unwrap_or_else(|error| {
                let error = Arc::new(error);
                content.iter().map(|_| Err(Error::Shared(Arc::clone(&error)))).collect()
            })
        };
        look.boxed()
    }

    fn size<'a>(&'a self, digest: &'a Digest) -> Pending<'a, Option<u64>> {
        let digest = digest.clone();
        self.with(move |stock| stock.size(&digest)).boxed()
    }

    fn document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        let descriptor = descriptor.clone();
        self.with(move |stock| read_document(stock, &descriptor)).boxed()
    }

    fn related<'a>(&'a self, subject: &'a Digest, ask: Ask) -> Pending<'a, Related> {
        let look = async move {
            if !ask.referrers && !ask.digest_tags {
                return Ok(Related::default());
            }
            let relations = self.relations().await?;
            let referrers = if ask.referrers { relations.referrers.of(subject).to_vec() } else { Vec::new() };
            let digest_tags = match ask.digest_tags {
                true => relations.digest_tags.get(subject).cloned().unwrap_or_default(),
                false => Vec::new(),
            };
            Ok(Related { referrers, digest_tags, doubts: self.doubts(&relations) })
        };
        look.boxed()
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Pieces {
        let (stock, blob) = (self.stock.clone(), blob.clone());
        transfer::pieces(move || Ok(stock.read_from(&blob, offset)?))
    }

    fn layout(&self) -> Option<&Layout> {
        self.stock.layout()
    }

    fn verify<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, ()> {
        let blob = blob.clone();
        let verify = self.with(move |stock| {
            let mut reader = stock.open(&blob)?;
            std::io::copy(&mut reader, &mut std::io::sink()).map_err(|error| {
                transship_layout::Error::from_io(error, "reading", blob.digest.to_string())
            })?;
            Ok(())
        });
        verify.boxed()
    }

    fn begin(&self, plan: Planned) -> Pending<'_, Arc<dyn Session>> {
        self.stock.begin(plan)
    }
}
