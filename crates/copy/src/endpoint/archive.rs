//! An archive as an endpoint: read by offset, written in one pass over what was planned.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use transship_layout::archive::{self, ArchiveOptions, Head, NewArchive, docker_manifest, edit_index};
use transship_layout::{Archive, Entry, Source, graph};
use transship_spec::{Descriptor, Digest, Document, MediaType, referrers};

use super::layout::{enter, order};
use super::local::Stock;
use super::{Offer, Pending, Place, Planned, Role, Session, off_the_reactor};
use crate::events::Placed;
use crate::{Error, Result, transfer};

/// An archive that is written, or was there and is added to.
///
/// What it held stays, a list for `docker load` too: a copy writes a new archive with the old content and the new, which takes the old one's place when
/// it is whole.
#[derive(Debug, Clone)]
pub struct ArchiveTarget {
    path: PathBuf,
    options: ArchiveOptions,
    old: Option<Archive>,
    /// What was there when it was opened.
    before: archive::Place,
    is_docker: bool,
}

impl ArchiveTarget {
    /// Finds out what is there; nothing is fine.
    ///
    /// # Errors
    /// Those of [`ArchiveOptions::open`] about something that is no archive.
    ///
    /// ```
    /// use transship_copy::endpoint::{self, ArchiveTarget};
    /// use transship_layout::Archive;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let target = ArchiveTarget::open(folder.path().join("new.tar"), Archive::options())?;
    /// assert!(endpoint::archive_target(target).place().to_string().starts_with("oci-archive:"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>, options: ArchiveOptions) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let before = archive::Place::of(&path);
        let old = match options.open(&path) {
            Ok(archive) => Some(archive),
            Err(transship_layout::Error::Absent { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { path, options, old, before, is_docker: false })
    }

    /// Writes also what `docker load` and older tools read: then every root must be an image for one platform.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.is_docker = true;
        self
    }

    pub(super) fn of(old: Archive) -> Self {
        let path = old.path().to_owned();
        let before = archive::Place::of(&path);
        Self { path, options: ArchiveOptions::default(), old: Some(old), before, is_docker: false }
    }

    /// What stands first in the archive, if these are its roots.
    fn head(&self, roles: &[Role], images: &HashMap<Digest, Vec<Descriptor>>) -> Result<Head> {
        let mut roles = roles.to_vec();
        // Not by which ended first: the same copy makes the same index.
        roles.sort_by_cached_key(order);
        let index = edit_index(self.old.as_ref(), |index| enter(index, &roles))?;
        let listing = self.old.as_ref().filter(|old| old.lists_images());
        let before = self.old.as_ref().map(Archive::head).transpose()?.flatten();
        if let Some(before) = before.filter(|before| before.index == index)
            && (listing.is_some() || !self.is_docker)
        {
            return Ok(before);
        }
        // Whoever has loaded from it goes on to, also when it is called an oci-archive here.
        let docker = match self.is_docker || listing.is_some() {
            false => None,
            true => {
                let children = |image: &Descriptor| match (images.get(&image.digest), &self.old) {
                    (Some(children), _) => Ok(children.clone()),
                    (None, Some(old)) if image.media_type.is_document() => {
                        Ok(old.read_document(image)?.children().into_iter().cloned().collect())
                    }
                    (None, _) => Ok(Vec::new()),
                };
                Some(docker_manifest(&index, listing, children)?)
            }
        };
        Ok(Head { index, docker })
    }
}

impl Source for ArchiveTarget {
    fn entries(&self) -> transship_layout::Result<Vec<Entry>> {
        self.old.as_ref().map_or_else(|| Ok(Vec::new()), Archive::entries)
    }

    fn open(&self, descriptor: &Descriptor) -> transship_layout::Result<Box<dyn Read + Send>> {
        Source::open(self.there()?, descriptor)
    }

    fn size(&self, digest: &Digest) -> transship_layout::Result<Option<u64>> {
        Ok(self.old.as_ref().and_then(|archive| archive.size(digest)))
    }
}

impl ArchiveTarget {
    fn there(&self) -> transship_layout::Result<&Archive> {
        self.old.as_ref().ok_or_else(|| transship_layout::Error::Absent { path: self.path.clone() })
    }
}

impl Stock for ArchiveTarget {
    fn place(&self) -> Place {
        match self.is_docker {
            false => Place::Archive(self.path.clone()),
            true => Place::DockerArchive(self.path.clone()),
        }
    }

    fn resolve(&self, reference: Option<&str>) -> transship_layout::Result<Entry> {
        self.there()?.resolve(reference)
    }

    fn read_from(&self, blob: &Descriptor, offset: u64) -> transship_layout::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.there()?.section(blob)?.skip(offset)))
    }

    fn begin(&self, plan: Planned) -> Pending<'_, Arc<dyn Session>> {
        let target = self.clone();
        let begin = off_the_reactor(move || {
            let session = ArchiveSession::begin(target, plan)?;
            Ok::<_, Error>(Arc::new(session) as Arc<dyn Session>)
        });
        begin.boxed()
    }
}

/// Writing an archive: all has its place from the beginning, and comes in any order.
#[derive(Debug)]
struct ArchiveSession {
    target: ArchiveTarget,
    head: Head,
    /// Everything of the archive that was there.
    kept: Vec<Descriptor>,
    /// What it is to hold besides.
    content: Vec<Descriptor>,
    /// Whether all of that is in the archive that was there, under the same names: then it is written anew only if some
    /// of it turns out to be wrong.
    is_there: bool,
    new: Mutex<Option<Arc<NewArchive>>>,
    has_ended: AtomicBool,
    /// Held for reading by every thread that writes, so that the commit waits for the last of them.
    gate: Arc<RwLock<()>>,
    roles: Mutex<Vec<Role>>,
    /// What the roots need at once.
    images: HashMap<Digest, Vec<Descriptor>>,
}

impl ArchiveSession {
    fn begin(target: ArchiveTarget, plan: Planned) -> Result<Self> {
        let kept = target.old.as_ref().map(everything).unwrap_or_default();
        let mut images = HashMap::new();
        let mut roles = Vec::new();
        for (role, children) in plan.roots {
            if let Role::ByDigest(descriptor) | Role::Named(_, descriptor) = &role {
                images.insert(descriptor.digest.clone(), children);
                roles.push(role);
            }
        }
        let head = target.head(&roles, &images)?;
        let is_there = match &target.old {
            None => false,
            Some(old) => {
                old.head()?.is_some_and(|before| before == head)
                    && plan.content.iter().all(|content| old.has(content))
            }
        };
        let session = Self {
            target,
            head,
            kept,
            content: plan.content,
            is_there,
            new: Mutex::default(),
            has_ended: AtomicBool::new(false),
            gate: Arc::new(RwLock::new(())),
            roles: Mutex::default(),
            images,
        };
        if !session.is_there {
            session.archive()?;
        }
        Ok(session)
    }

    /// The archive that is written, begun if it is not yet.
    fn archive(&self) -> Result<Arc<NewArchive>> {
        let mut new = Self::lock(&self.new);
        if self.has_ended.load(Ordering::Relaxed) {
            return Err(transship_layout::Error::Ended.into());
        }
        if let Some(new) = &*new {
            return Ok(Arc::clone(new));
        }
        let blobs = self.content.iter().chain(&self.kept).cloned();
        let begun = self.target.options.create(&self.target.path, self.head.clone(), blobs)?;
        let begun = Arc::new(begun);
        *new = Some(Arc::clone(&begun));
        Ok(begun)
    }

    fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps in mind what the index must say of a document.
    fn note(&self, document: &Document, role: &Role) {
        match role {
            Role::Child => {}
            Role::Referrer => {
                Self::lock(&self.roles).push(Role::ByDigest(referrers::descriptor(document)));
            }
            role => Self::lock(&self.roles).push(role.clone()),
        }
    }

    /// Whether nothing was written, and need not be.
    fn is_untouched(&self) -> bool {
        self.is_there && Self::lock(&self.new).is_none()
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&NewArchive) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pass = Arc::clone(&self.gate).read_owned().await;
        let new = self.archive()?;
        off_the_reactor(move || {
            let result = work(&new);
            drop(new);
            drop(pass);
            result
        })
        .await
    }

    /// The archive for whoever ends it, once nobody writes any more; none where nothing had to be written.
    async fn take(&self) -> Result<(Option<NewArchive>, OwnedRwLockWriteGuard<()>)> {
        let all_done = Arc::clone(&self.gate).write_owned().await;
        if self.has_ended.swap(true, Ordering::Relaxed) {
            return Err(transship_layout::Error::Ended.into());
        }
        let Some(new) = Self::lock(&self.new).take() else { return Ok((None, all_done)) };
        let new = Arc::try_unwrap(new)
            .map_err(|_| Error::Worker(format!("{} is still being written", self.target.place())))?;
        Ok((Some(new), all_done))
    }
}

/// All blobs of an archive. What its index leads to has a media type, so that documents go where they belong.
fn everything(archive: &Archive) -> Vec<Descriptor> {
    let roots: Vec<Descriptor> =
        archive.entries().unwrap_or_default().into_iter().map(|entry| entry.descriptor).collect();
    // Where something is wrong with it, that is found when it is copied.
    let known = graph::closure(archive, &roots).unwrap_or_default();
    let mut types: HashMap<Digest, MediaType> =
        known.into_iter().map(|(blob, _)| (blob.digest, blob.media_type)).collect();
    let mut blobs: Vec<Descriptor> = archive
        .blobs()
        .map(|(digest, size)| {
            let media_type = types.remove(digest).unwrap_or(MediaType::OCTET_STREAM);
            Descriptor::new(media_type, digest.clone(), size)
        })
        .collect();
    // Not by where they came up in a table.
    blobs.sort_by(|one, other| one.digest.cmp(&other.digest));
    blobs
}

/// Reads a blob of an archive to its end, which verifies it.
fn look(archive: &Archive, blob: &Descriptor) -> Result<()> {
    let mut reader = archive.open_blob(blob)?;
    std::io::copy(&mut reader, &mut std::io::sink())
        .map_err(|error| transship_layout::Error::from_io(error, "reading", blob.digest.to_string()))?;
    Ok(())
}

impl Session for ArchiveSession {
    /// What the old archive has right is taken from there.
    fn reuse<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, bool> {
        let Some(old) = self.target.old.clone() else { return Box::pin(std::future::ready(Ok(false))) };
        let wanted = blob.clone();
        let reuse = async move {
            let result = match self.is_untouched() {
                true => off_the_reactor(move || look(&old, &wanted)).await,
                false => self.with(move |new| Ok(new.copy_from(&old, &wanted)?)).await,
            };
            match result {
                Ok(()) => Ok(true),
                Err(error) if error.is_about_content() => Ok(false),
                Err(error) => Err(error),
            }
        };
        reuse.boxed()
    }

    fn put_blob<'a>(&'a self, blob: &'a Descriptor, offer: &'a Offer) -> Pending<'a, Placed> {
        let put = async move {
            let mut feed = transfer::Feed::default();
            let intake = feed.intake();
            let digest = blob.digest.clone();
            let write = self.with(move |new| {
                let mut writer = new.writer(&digest)?;
                intake.pour(0, |piece| Ok(writer.push(piece)?))?;
                Ok(writer.commit()?)
            });
            let (written, sent) = tokio::join!(write, feed.run(blob, offer));
            // Where the download broke, the writer failed for that reason only.
            sent.and(written)?;
            Ok(Placed::Copied)
        };
        put.boxed()
    }

    fn put_document<'a>(&'a self, document: &'a Document, role: &'a Role) -> Pending<'a, ()> {
        let put = async move {
            let copy = document.clone();
            let is_there = self.is_untouched() && {
                let (old, wanted) = (self.target.old.clone(), document.descriptor());
                let right = move || Ok::<_, Error>(old.is_some_and(|old| old.read_document(&wanted).is_ok()));
                off_the_reactor(right).await?
            };
            if is_there {
                self.note(document, role);
                return Ok(());
            }
            let write = self.with(move |new| {
                let mut writer = new.writer(copy.digest())?;
                writer.push(copy.bytes())?;
                Ok(writer.commit()?)
            });
            write.await?;
            self.note(document, role);
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
            // Dropped, it is removed.
            let _ = self.take().await;
        };
        abandon.boxed()
    }

    fn commit(&self) -> Pending<'_, ()> {
        let commit = async {
            let (Some(new), all_done) = self.take().await? else { return Ok(()) };
            let roles = std::mem::take(&mut *Self::lock(&self.roles));
            let target = self.target.clone();
            // What was found here and relied on before anything was written comes along as well.
            let kept: Vec<Descriptor> =
                self.kept.iter().filter(|blob| !new.holds(&blob.digest)).cloned().collect();
            let head = self.target.head(&roles, &self.images)?;
            let planned: HashSet<Digest> = self.content.iter().map(|blob| blob.digest.clone()).collect();
            off_the_reactor(move || {
                if let Some(old) = &target.old {
                    for blob in &kept {
                        // What gets a name now is right; what had one stays as it is.
                        match planned.contains(&blob.digest) {
                            true => new.copy_from(old, blob)?,
                            false => drop(new.carry_from(old, blob)?),
                        }
                    }
                }
                new.finish_over(head, &target.before)?;
                drop(all_done);
                Ok::<_, Error>(())
            })
            .await
        };
        commit.boxed()
    }
}
