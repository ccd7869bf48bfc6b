//! Endpoints: where the engine copies from and to, as one pair of object-safe traits.
//!
//! An [`Endpoint`] is read: what it lists, what a reference means, documents, blobs, what belongs to a manifest. It is
//! written through a [`Session`], which puts blobs first, then what needs them, then names; nothing has a name before it is
//! whole. A layout makes all names visible at once when the session is committed; a registry one by one.
//!
//! Bytes that an endpoint gives are not hashed on the way out: whoever takes them verifies them, so that every byte is
//! hashed once.

mod archive;
mod blocking;
mod layout;
mod local;
pub(crate) mod registry;
mod shared;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use transship_spec::{Descriptor, Digest, Document, Tag};

pub use self::archive::ArchiveTarget;
pub use self::blocking::{Blocking, blocking};
pub use self::shared::shared;
use crate::events::{Events, Placed};
use crate::names::{Called, Name};
use crate::{Error, Result};

/// Questions under way at once; the client of a registry bounds them further.
pub(crate) const QUESTIONS: usize = 16;

/// What asynchronous methods of endpoints return.
pub type Pending<'a, T> = BoxFuture<'a, Result<T>>;

/// A blob's content as it comes, in pieces of at most about 1 MiB. Its size is checked, its digest is not.
pub type Pieces = BoxStream<'static, Result<Bytes>>;

/// A layout as an endpoint.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use transship_layout::Layout;
/// let endpoint = transship_copy::endpoint::layout(Layout::options().create(folder.path())?);
/// assert!(endpoint.place().to_string().starts_with("oci:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn layout(layout: transship_layout::Layout) -> Arc<dyn Endpoint> {
    Arc::new(local::LocalEndpoint::new(layout))
}

/// An archive as an endpoint, to read it.
#[must_use]
pub fn archive(archive: transship_layout::Archive) -> Arc<dyn Endpoint> {
    archive_target(ArchiveTarget::of(archive))
}

/// An archive as an endpoint, to write it.
#[must_use]
pub fn archive_target(target: ArchiveTarget) -> Arc<dyn Endpoint> {
    Arc::new(local::LocalEndpoint::new(target))
}

/// A repository as an endpoint.
#[must_use]
pub fn registry(repository: transship_registry::Repository) -> Arc<dyn Endpoint> {
    Arc::new(registry::RegistryEndpoint::new(repository))
}

/// Which place an endpoint is. Equal places are written in one session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A layout, by its path.
    Layout(std::path::PathBuf),
    /// An archive of a layout, by its path.
    Archive(std::path::PathBuf),
    /// An archive in the form of `docker save`, by its path.
    DockerArchive(std::path::PathBuf),
    /// A repository.
    Repository {
        /// The registry as the user names it.
        registry: String,
        /// The repository.
        repository: String,
    },
}

impl Place {
    /// Whether blobs can be mounted from the other place (DIST-52): then the name of its repository.
    pub(crate) fn mountable<'a>(&self, from: &'a Self) -> Option<&'a str> {
        match (self, from) {
            (
                Self::Repository { registry, repository },
                Self::Repository { registry: other, repository: from },
            ) if registry == other && repository != from => Some(from),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(path) => write!(f, "oci:{}", path.display()),
            Self::Archive(path) => write!(f, "oci-archive:{}", path.display()),
            Self::DockerArchive(path) => write!(f, "docker-archive:{}", path.display()),
            Self::Repository { registry, repository } => write!(f, "docker://{registry}/{repository}"),
        }
    }
}

/// Something that an endpoint lists.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What it is called there.
    pub called: Called,
    /// The digest by which it was asked for.
    pub digest: Option<Digest>,
    /// What it is, where that costs nothing to know.
    pub descriptor: Option<Descriptor>,
}

/// What is wanted to know of what belongs to a manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ask {
    /// The manifests that refer to it.
    pub referrers: bool,
    /// The digest tags of cosign and its like.
    pub digest_tags: bool,
    /// Whether so many manifests are asked about that listing all tags is worth it.
    pub many: bool,
}

/// What belongs to a manifest without being part of it.
#[derive(Debug, Clone, Default)]
pub struct Related {
    /// Manifests that refer to it. In a registry's list, size and type may be wrong (DIST-173).
    pub referrers: Vec<Descriptor>,
    /// Digest tags that speak of it.
    pub digest_tags: Vec<(Tag, Listed)>,
    /// Why something may be missing here; told once for a place.
    pub doubts: Vec<String>,
}

/// Where content is.
pub trait Endpoint: Send + Sync + fmt::Debug {
    /// Which place this is.
    fn place(&self) -> &Place;

    /// Whether what is here costs no request to ask for, and may turn out wrong when it is looked at.
    fn is_local(&self) -> bool;

    /// Everything that has a name here, less the lists of referrers.
    fn named(&self) -> Pending<'_, Vec<Listed>>;

    /// What a reference means here: a tag, a name, a digest; without one, the only or the usual thing. In a registry this
    /// asks nothing yet.
    fn call<'a>(&'a self, reference: Option<&'a str>) -> Pending<'a, Listed>;

    /// The descriptor of something that was listed or called.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not there.
    fn resolve<'a>(&'a self, listed: &'a Listed) -> Pending<'a, Descriptor>;

    /// What was listed or called, and its document, verified. In a registry this is one request.
    fn listed_root<'a>(&'a self, listed: &'a Listed) -> Pending<'a, (Descriptor, Document)> {
        Box::pin(async move {
            let descriptor = self.resolve(listed).await?;
            let document = self.document(&descriptor).await?;
            Ok((descriptor, document))
        })
    }

    /// What each of these names stands for here, as a destination.
    fn find<'a>(&'a self, names: &'a [Name]) -> BoxFuture<'a, Vec<Result<Option<Descriptor>>>>;

    /// Whether nothing has a name here, as far as [`find`](Self::find) came to know. There may be content all the same, of a
    /// copy that did not end.
    fn is_new(&self) -> bool {
        false
    }

    /// The same, found out where it is not known and costs one request. Worth it where many questions would be spared.
    fn turns_out_new(&self) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(self.is_new()))
    }

    /// Which of these are here, by digest and, where that can be known, by size.
    fn has<'a>(&'a self, content: &'a [Descriptor]) -> BoxFuture<'a, Vec<Result<bool>>>;

    /// The size of what has this digest here; none where it is not here.
    fn size<'a>(&'a self, digest: &'a Digest) -> Pending<'a, Option<u64>>;

    /// A manifest or index, verified.
    fn document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document>;

    /// The same for a descriptor whose digest alone can be relied on.
    fn listed_document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        self.document(descriptor)
    }

    /// What belongs to a manifest. Nothing where that cannot be known.
    fn related<'a>(&'a self, subject: &'a Digest, ask: Ask) -> Pending<'a, Related>;

    /// The content of a blob from an offset on, not hashed. Nothing is opened before the stream is polled.
    fn open(&self, blob: &Descriptor, offset: u64) -> Pieces;

    /// Notes that what came of a blob was wrong: if it comes from several places, the next time from the one that is sure.
    fn doubt(&self, blob: &Digest) {
        let _ = blob;
    }

    /// The layout that this is, for the short ways between layouts.
    fn layout(&self) -> Option<&transship_layout::Layout> {
        None
    }

    /// Finds out whether the blob here is what its digest says, after somebody refused it.
    fn verify<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, ()> {
        let _ = blob;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Begins to write what was planned.
    fn begin(&self, plan: Planned) -> Pending<'_, Arc<dyn Session>>;
}

/// What a session is to write. More does not come; less may.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Planned {
    /// All content: each digest at least once, with its size.
    pub content: Vec<Descriptor>,
    /// The roots, with what each of them needs at once: of an image the config, then the layers.
    pub roots: Vec<(Role, Vec<Descriptor>)>,
    /// What a layout's blobs have in common with those of the layout that they come from.
    pub link: transship_layout::Link,
}

/// Where a blob can be had, for a session that is to put it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Where it is.
    pub from: Arc<dyn Endpoint>,
    /// A repository of the destination's registry from which it may be mounted.
    pub mount_from: Option<String>,
    /// Who is told of progress.
    pub events: Arc<dyn Events>,
    /// How many bytes of it an earlier run had brought; told by whoever puts it.
    pub resumed: Arc<AtomicU64>,
}

impl Offer {
    /// The content of a blob from an offset on, not hashed: from its descriptor, if that has it (IMG-36).
    pub(crate) fn open(&self, blob: &Descriptor, offset: u64) -> Pieces {
        let Some(data) = &blob.data else { return self.from.open(blob, offset) };
        let rest = usize::try_from(offset).ok().and_then(|offset| data.get(offset..)).unwrap_or_default();
        let piece = (!rest.is_empty()).then(|| Ok(Bytes::copy_from_slice(rest)));
        stream::iter(piece).boxed()
    }
}

/// What something is at its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Part of something else.
    Child,
    /// A referrer: found by way of its subject.
    Referrer,
    /// A root without a name.
    ByDigest(Descriptor),
    /// A root with this name. The descriptor may bring annotations that a layout keeps.
    Named(Name, Descriptor),
}

/// Writing under way. What was put stays if the session is dropped, but has no name.
pub trait Session: Send + Sync + fmt::Debug {
    /// Whether a blob that was found here before can be relied on; if not, it must be put again.
    fn reuse<'a>(&'a self, blob: &'a Descriptor) -> Pending<'a, bool>;

    /// Puts a blob. When this ends well its content is right.
    fn put_blob<'a>(&'a self, blob: &'a Descriptor, offer: &'a Offer) -> Pending<'a, Placed>;

    /// Puts a manifest, all of whose children are here, and gives it its role.
    fn put_document<'a>(&'a self, document: &'a Document, role: &'a Role) -> Pending<'a, ()>;

    /// Gives a role to a blob that was put, where roots can be something else than manifests (IMG-12).
    fn keep<'a>(&'a self, role: &'a Role) -> Pending<'a, ()>;

    /// Ends the session without names. When this is over nothing writes any more.
    fn abandon(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Makes visible what is not yet, and ends the session.
    fn commit(&self) -> Pending<'_, ()>;
}

/// Runs blocking work on a thread of its own.
pub(crate) async fn off_the_reactor<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    E: Send + 'static,
    Error: From<E>,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Error::Worker(error.to_string())),
    }
}
