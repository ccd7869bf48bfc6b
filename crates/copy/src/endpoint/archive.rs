//! An archive as an endpoint: read by offset, written in one pass over what was planned.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use transship_layout::archive::{ArchiveOptions, Head, NewArchive, docker_manifest, edit_index};
use transship_layout::{Archive, Entry, Source};
use transship_spec::{Descriptor, Digest, Document, referrers};

use super::layout::{enter, order};
use super::local::Stock;
use super::{Offer, Pending, Place, Planned, Role, Session, off_the_reactor};
use crate::events::Placed;
use crate::{Error, Result, transfer};

/// An archive that is written, or was there and is added to.
///
/// What it held stays: a copy writes a new archive with the old content and the new, which takes the old one's place when
/// it is whole.
#[derive(Debug, Clone)]
pub struct ArchiveTarget {
    path: PathBuf,
    options: ArchiveOptions,
    old: Option<Archive>,
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
        let old = match options.open(&path) {
            Ok(archive) => Some(archive),
            Err(transship_layout::Error::Absent { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { path, options, old, is_docker: false })
    }

    /// Writes also what `docker load` and older tools read: then every root must be an image for one platform.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.is_docker = true;
        self
    }

    pub(super) fn of(archive: Archive) -> Self {
        let path = archive.path().to_owned();
        Self { path, options: ArchiveOptions::default(), old: Some(archive), is_docker: false }
    }

    /// What stands first in the archive, if these are its roots.
    fn head(&self, roles: &[Role], images: &HashMap<Digest, Vec<Descriptor>>) -> Result<Head> {
        let mut roles = roles.to_vec();
        // Not by which ended first: the same copy makes the same index.
        roles.sort_by_cached_key(order);
        let index = edit_index(self.old.as_ref(), |index| enter(index, &roles))?;
        let docker = match self.is_docker {
            false => None,
            true => Some(docker_manifest(&index, |image| match (images.get(&image.digest), &self.old) {
                (Some(children), _) => Ok(children.clone()),
                (None, Some(old)) => Ok(old.read_document(image)?.children().into_iter().cloned().collect()),
                (None, None) => Ok(Vec::new()),
            })?),
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
    /// Everything of the archive that was there.
    kept: Vec<Descriptor>,
    new: Mutex<Option<Arc<NewArchive>>>,
    /// Held for reading by every thread that writes, so that the commit waits for the last of them.
    gate: Arc<RwLock<()>>,
    roles: Mutex<Vec<Role>>,
    /// What the roots need at once.
    images: HashMap<Digest, Vec<Descriptor>>,
}

impl ArchiveSession {
    fn begin(target: ArchiveTarget, plan: Planned) -> Result<Self> {
        let old = target.old.iter().flat_map(Archive::blobs);
        let octets = transship_spec::MediaType::OCTET_STREAM;
        let mut kept: Vec<Descriptor> =
            old.map(|(digest, size)| Descriptor::new(octets.clone(), digest.clone(), size)).collect();
        let planned: std::collections::HashSet<&Digest> =
            plan.content.iter().map(|content| &content.digest).collect();
        kept.retain(|blob| !planned.contains(&blob.digest));
        let mut images = HashMap::new();
        let mut roles = Vec::new();
        for (role, children) in plan.roots {
            if let Role::ByDigest(descriptor) | Role::Named(_, descriptor) = &role {
                images.insert(descriptor.digest.clone(), children);
                roles.push(role);
            }
        }
        let head = target.head(&roles, &images)?;
        let blobs = plan.content.into_iter().chain(kept.iter().cloned());
        let new = target.options.create(&target.path, head, blobs)?;
        Ok(Self {
            target,
            kept,
            new: Mutex::new(Some(Arc::new(new))),
            gate: Arc::new(RwLock::new(())),
            roles: Mutex::default(),
            images,
        })
    }

    fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&NewArchive) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pass = Arc::clone(&self.gate).read_owned().await;
        let new = Self::lock(&self.new).clone().ok_or(transship_layout::Error::Ended)?;
        off_the_reactor(move || {
            let result = work(&new);
            drop(new);
            drop(pass);
            result
        })
        .await
    }

    /// The archive for whoever ends it, once nobody writes any more.
    async fn take(&self) -> Result<(NewArchive, OwnedRwLockWriteGuard<()>)> {
        let all_done = Arc::clone(&self.gate).write_owned().await;
        let new = Self::lock(&self.new).take().ok_or(transship_layout::Error::Ended)?;
        let new = Arc::try_unwrap(new)
            .map_err(|_| Error::Worker(format!("{} is still being written", self.target.place())))?;
        Ok((new, all_done))
    }
}

impl Session for ArchiveSession {
    /// What the old archive has right is taken from there.
    fn reuse<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, bool> {
        let (blob, old) = (blob.clone(), self.target.old.clone());
        let copy = self.with(move |new| match old.map(|old| new.copy_from(&old, &blob)) {
            Some(Ok(())) => Ok(true),
            None => Ok(false),
            Some(Err(error)) => match Error::from(error) {
                error if error.is_about_content() => Ok(false),
                error => Err(error),
            },
        });
        copy.boxed()
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
            let write = self.with(move |new| {
                let mut writer = new.writer(copy.digest())?;
                writer.push(copy.bytes())?;
                Ok(writer.commit()?)
            });
            write.await?;
            match role {
                Role::Child => {}
                Role::Referrer => {
                    Self::lock(&self.roles).push(Role::ByDigest(referrers::descriptor(document)));
                }
                role => Self::lock(&self.roles).push(role.clone()),
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
            // Dropped, it is removed.
            let _ = self.take().await;
        };
        abandon.boxed()
    }

    fn commit(&self) -> Pending<'_, ()> {
        let commit = async {
            let (new, all_done) = self.take().await?;
            let roles = std::mem::take(&mut *Self::lock(&self.roles));
            let (target, kept) = (self.target.clone(), self.kept.clone());
            let head = self.target.head(&roles, &self.images)?;
            off_the_reactor(move || {
                if let Some(old) = &target.old {
                    for blob in &kept {
                        new.copy_from(old, blob)?;
                    }
                }
                new.finish(head)?;
                drop(all_done);
                Ok::<_, Error>(())
            })
            .await
        };
        commit.boxed()
    }
}
