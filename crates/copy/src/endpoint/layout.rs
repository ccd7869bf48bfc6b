//! A layout as an endpoint: how it is read and written.

use std::io::{Read, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use transship_layout::check::KEPT_PLATFORMS;
use transship_layout::{Entry, IndexEdit, Layout, Link, Written};
use transship_spec::{Descriptor, Digest, Document, referrers};

use super::local::Stock;
use super::{Offer, Pending, Place, Planned, Role, Session, off_the_reactor};
use crate::events::Placed;
use crate::names::Name;
use crate::survey::merged;
use crate::{Error, Result, transfer};

/// Bytes of a blob that is taken into memory before it is written.
const SMALL: u64 = 64 << 10;

impl Stock for Layout {
    fn place(&self) -> Place {
        Place::Layout(self.path().to_owned())
    }

    fn resolve(&self, reference: Option<&str>) -> transship_layout::Result<Entry> {
        Self::resolve(self, reference)
    }

    fn read_from(&self, blob: &Descriptor, offset: u64) -> transship_layout::Result<Box<dyn Read + Send>> {
        let mut file = self.open_file(blob)?;
        let broken = |error| transship_layout::Error::from_io(error, "reading", "a blob");
        file.seek(SeekFrom::Start(offset)).map_err(broken)?;
        Ok(Box::new(file))
    }

    fn layout(&self) -> Option<&Layout> {
        Some(self)
    }

    fn begin(&self, planned: Planned) -> Pending<'_, Arc<dyn Session>> {
        let layout = self.clone();
        let begin = async move {
            let place = Stock::place(&layout);
            let session = off_the_reactor(move || Layout::begin(&layout)).await?;
            let session = LayoutSession {
                place,
                link: planned.link,
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
    link: Link,
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

    /// As [`download`](Self::download), where all of it may be in memory: no thread waits for the network.
    async fn download_small(&self, blob: &Descriptor, offer: &Offer) -> Result<()> {
        let mut content = offer.open(blob, 0);
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await {
            let piece = piece?;
            // More than there should be is told by whoever writes it.
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > blob.size {
                break;
            }
        }
        offer.events.blob_progress(blob, bytes.len() as u64);
        let expected = blob.clone();
        let write = move |session: &transship_layout::Session| {
            let mut writer = session.writer(Some(&expected))?;
            writer.push(&bytes)?;
            writer.commit()?;
            Ok(())
        };
        self.with(write).await
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
        if blob.size <= SMALL {
            return self.download_small(blob, offer).await;
        }
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
            let (expected, link) = (blob.clone(), self.link);
            let written = self.with(move |session| Ok(session.adopt_with(&source, &expected, link)?)).await?;
            offer.events.blob_progress(blob, blob.size);
            Ok(match written {
                Written { linked: true, .. } => Placed::Linked,
                Written { reflinked: true, .. } => Placed::Reflinked,
                Written { reused: true, .. } => Placed::Present,
                _ => Placed::Copied,
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
pub(super) fn order(role: &Role) -> (bool, String, Option<Digest>) {
    match role {
        Role::Child | Role::Referrer => (true, String::new(), None),
        Role::ByDigest(descriptor) | Role::Named(Name::Digest, descriptor) => {
            (true, String::new(), Some(descriptor.digest.clone()))
        }
        Role::Named(name, descriptor) => (false, name.to_string(), Some(descriptor.digest.clone())),
    }
}

/// Enters everything into the index. Called again where another program was faster.
pub(super) fn enter(index: &mut IndexEdit<'_>, roles: &[Role]) -> transship_layout::Result<()> {
    for role in roles {
        match role {
            Role::Child | Role::Referrer => {}
            Role::ByDigest(descriptor) => drop(index.add(descriptor)?),
            Role::Named(Name::Digest, descriptor) => drop(index.pin(descriptor)?),
            Role::Named(Name::Short(name), descriptor) => {
                set(index, &transship_layout::Name::short(name)?, descriptor)?;
            }
            Role::Named(Name::Full(reference), descriptor) => {
                set(index, &transship_layout::Name::full(reference), descriptor)?;
            }
        }
    }
    Ok(())
}

/// Gives a name to content. Of an index that had the name, the entry goes on to say which platforms are there: those that
/// it said before, maybe of another copy that was faster, and those that came now.
fn set(
    index: &mut IndexEdit<'_>,
    name: &transship_layout::Name,
    descriptor: &Descriptor,
) -> transship_layout::Result<()> {
    let before = index.set(name, descriptor)?;
    let Some(mut entry) = before.filter(|before| before.digest == descriptor.digest) else { return Ok(()) };
    let there = entry.annotations.remove(KEPT_PLATFORMS);
    let comes = descriptor.annotations.get(KEPT_PLATFORMS);
    if there.as_ref() == comes {
        return Ok(());
    }
    if let Some(both) = merged(there.as_deref(), comes.map(String::as_str)) {
        entry.annotations.insert(KEPT_PLATFORMS.to_owned(), both);
    }
    index.set(name, &entry)?;
    Ok(())
}
