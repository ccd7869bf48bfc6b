//! A layout as an endpoint: everything that touches the disk happens on threads that may block.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{OnceCell, OwnedRwLockWriteGuard, RwLock};
use transship_layout::{Entry, IndexEdit, Layout, graph};
use transship_spec::{Descriptor, Digest, Document, Reference, Tag, referrers};

use super::{Ask, Endpoint, Listed, Offer, Pending, Pieces, Place, Related, Role, Session, off_the_reactor};
use crate::events::Placed;
use crate::names::{Called, Name};
use crate::{Error, Result, transfer};

/// Warnings about documents that cannot be read, at most.
const MOST_DOUBTS: usize = 20;

#[derive(Debug)]
pub(crate) struct LayoutEndpoint {
    layout: Layout,
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

impl LayoutEndpoint {
    pub(crate) fn new(layout: Layout) -> Self {
        let place = Place::Layout(layout.path().to_owned());
        Self { layout, place, relations: OnceCell::new(), has_doubted: AtomicBool::new(false) }
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Layout) -> Result<T, transship_layout::Error> + Send + 'static,
    ) -> Result<T> {
        let layout = self.layout.clone();
        off_the_reactor(move || work(&layout)).await
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
            self.with(|layout| {
                let mut digest_tags: HashMap<Digest, Vec<(Tag, Listed)>> = HashMap::new();
                for entry in layout.entries()? {
                    let Some(tag) = entry.tag().and_then(|tag| Tag::parse(tag).ok()) else { continue };
                    if let Some((subject, _)) = referrers::digest_tag(tag.as_str()) {
                        let listed = listed(&entry, called(&entry).into_iter().next().unwrap_or_default());
                        digest_tags.entry(subject).or_default().push((tag, listed));
                    }
                }
                Ok(Arc::new(Relations { referrers: graph::referrers_of(layout)?, digest_tags }))
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

fn is_fallback(called: &Called) -> bool {
    called.short.as_deref().is_some_and(|tag| referrers::subject_of_fallback_tag(tag).is_some())
}

impl Endpoint for LayoutEndpoint {
    fn place(&self) -> &Place {
        &self.place
    }

    fn is_local(&self) -> bool {
        true
    }

    fn named(&self) -> Pending<'_, Vec<Listed>> {
        let read = self.with(|layout| {
            let mut found: Vec<Listed> = Vec::new();
            for entry in layout.entries()? {
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
        let read = self.with(move |layout| {
            let entry = layout.resolve(reference.as_deref())?;
            let mut names = called(&entry);
            // Of two names the one that was asked for counts.
            let asked = names.iter().position(|called| called.short.as_deref() == reference.as_deref());
            let called =
                if names.is_empty() { Called::default() } else { names.swap_remove(asked.unwrap_or(0)) };
            Ok(listed(&entry, called))
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
            let entries = match self.with(Layout::entries).await {
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
        let (layout, wanted) = (self.layout.clone(), content.to_vec());
        let look = async move {
            let looked = off_the_reactor(move || {
                Ok::<_, Error>(
                    wanted.iter().map(|content| layout.has(content).map_err(Error::from)).collect(),
                )
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
        self.with(move |layout| layout.size(&digest)).boxed()
    }

    fn document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        let descriptor = descriptor.clone();
        self.with(move |layout| layout.read_document(&descriptor)).boxed()
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
        let (layout, blob) = (self.layout.clone(), blob.clone());
        transfer::pieces(move || Ok(layout.open_file(&blob)?), offset)
    }

    fn layout(&self) -> Option<&Layout> {
        Some(&self.layout)
    }

    fn verify<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, ()> {
        let blob = blob.clone();
        let verify = self.with(move |layout| {
            let mut reader = layout.open_blob(&blob)?;
            std::io::copy(&mut reader, &mut std::io::sink()).map_err(|error| {
                transship_layout::Error::from_io(error, "reading", blob.digest.to_string())
            })?;
            Ok(())
        });
        verify.boxed()
    }

    fn begin(&self) -> Pending<'_, Arc<dyn Session>> {
        let begin = async {
            let session = self.with(Layout::begin).await?;
            let session = LayoutSession {
                place: self.place.clone(),
                session: Mutex::new(Some(Arc::new(session))),
                gate: Arc::new(RwLock::new(())),
                roles: Mutex::default(),
            };
            Ok(Arc::new(session) as Arc<dyn Session>)
        };
        begin.boxed()
    }
}

/// Writing into a layout: roles are gathered, and become entries of the index in one step at the end.
#[derive(Debug)]
struct LayoutSession {
    place: Place,
    session: Mutex<Option<Arc<transship_layout::Session>>>,
    /// Held for reading by every thread that writes, so that the commit waits for the last of them, also where nobody
    /// else waits any more.
    gate: Arc<RwLock<()>>,
    roles: Mutex<Vec<Role>>,
}

impl LayoutSession {
    fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&transship_layout::Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pass = Arc::clone(&self.gate).read_owned().await;
        let session = Self::lock(&self.session).clone().ok_or(transship_layout::Error::Ended)?;
        off_the_reactor(move || {
            let result = work(&session);
            drop(session);
            drop(pass);
            result
        })
        .await
    }

    /// The session for whoever ends it, once nobody writes any more.
    async fn take(&self) -> Result<(transship_layout::Session, OwnedRwLockWriteGuard<()>)> {
        let all_done = Arc::clone(&self.gate).write_owned().await;
        let session = Self::lock(&self.session).take().ok_or(transship_layout::Error::Ended)?;
        let session = Arc::try_unwrap(session)
            .map_err(|_| Error::Worker(format!("{} is still being written", self.place)))?;
        Ok((session, all_done))
    }

    /// Takes a blob from a stream: it comes in on the reactor, and is hashed and written here.
    async fn download(&self, blob: &Descriptor, offer: &Offer) -> Result<()> {
        let mut feed = transfer::Feed::default();
        let intake = feed.intake();
        let expected = blob.clone();
        let write = self.with(move |session| transfer::write(session, &expected, intake));
        let (written, sent) = tokio::join!(write, feed.run(blob, offer));
        // Where the download broke, the writer failed for that reason only; where the writer did, the feed just ended.
        sent.and(written)
    }
}

impl Session for LayoutSession {
    fn reuse<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, bool> {
        let blob = blob.clone();
        self.with(move |session| Ok(session.reuse(&blob)?)).boxed()
    }

    fn put_blob<'a>(&'a self, blob: &'a Descriptor, offer: &'a Offer) -> Pending<'a, Placed> {
        let put = async move {
            let Some(source) = offer.from.layout().filter(|_| blob.data.is_none()).cloned() else {
                self.download(blob, offer).await?;
                return Ok(Placed::Copied);
            };
            let expected = blob.clone();
            let written = self.with(move |session| Ok(session.adopt_from(&source, &expected)?)).await?;
            offer.events.blob_progress(blob, blob.size);
            Ok(match (written.reflinked, written.reused) {
                (true, _) => Placed::Reflinked,
                (false, true) => Placed::Present,
                (false, false) => Placed::Copied,
            })
        };
        put.boxed()
    }

    fn put_document<'a>(&'a self, document: &'a Document, role: &'a Role) -> Pending<'a, ()> {
        let put = async move {
            let (copy, role) = (document.clone(), role.clone());
            self.with(move |session| Ok(session.put_document(&copy)?)).await?;
            match role {
                Role::Child => {}
                Role::Referrer => {
                    Self::lock(&self.roles).push(Role::ByDigest(referrers::descriptor(document)));
                }
                role => Self::lock(&self.roles).push(role),
            }
            Ok(())
        };
        put.boxed()
    }

    fn keep<'a>(&'a self, role: &'a Role) -> Pending<'a, ()> {
        Self::lock(&self.roles).push(role.clone());
        Box::pin(std::future::ready(Ok(())))
    }

    fn abandon(&self) -> BoxFuture<'_, ()> {
        let abandon = async {
            if let Ok((session, all_done)) = self.take().await {
                // What it removes is on the disk, too.
                let removed = off_the_reactor(move || {
                    drop(session);
                    drop(all_done);
                    Ok::<(), Error>(())
                });
                if let Err(error) = removed.await {
                    tracing::debug!(%error, "a session did not end well");
                }
            }
        };
        abandon.boxed()
    }

    fn commit(&self) -> Pending<'_, ()> {
        let commit = async {
            let (session, all_done) = self.take().await?;
            let mut roles = std::mem::take(&mut *Self::lock(&self.roles));
            // Not by which ended first: the same copy makes the same index.
            roles.sort_by_cached_key(order);
            off_the_reactor(move || {
                let result = session.commit(|index| enter(index, &roles));
                drop(all_done);
                result
            })
            .await
        };
        commit.boxed()
    }
}

/// Names come first, in their own order, then what has only its digest.
fn order(role: &Role) -> (bool, String, Option<Digest>) {
    match role {
        Role::Child | Role::Referrer => (true, String::new(), None),
        Role::ByDigest(descriptor) | Role::Named(Name::Digest, descriptor) => {
            (true, String::new(), Some(descriptor.digest.clone()))
        }
        Role::Named(name, descriptor) => (false, name.to_string(), Some(descriptor.digest.clone())),
    }
}

/// Enters everything into the index. Called again where another program was faster.
fn enter(index: &mut IndexEdit<'_>, roles: &[Role]) -> transship_layout::Result<()> {
    for role in roles {
        match role {
            Role::Child | Role::Referrer => {}
            Role::ByDigest(descriptor) => drop(index.add(descriptor)?),
            Role::Named(Name::Digest, descriptor) => drop(index.pin(descriptor)?),
            Role::Named(Name::Short(name), descriptor) => {
                index.set(&transship_layout::Name::short(name)?, descriptor)?;
            }
            Role::Named(Name::Full(reference), descriptor) => {
                index.set(&transship_layout::Name::full(reference), descriptor)?;
            }
        }
    }
    Ok(())
}
