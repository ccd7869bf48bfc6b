//! An archive that is read: what is in it, and where.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use transship_spec::{Descriptor, Digest, Document};

use super::carry::At;
use super::docker;
use super::open::ArchiveOptions;
use super::tar::{self, Member, What};
use super::write::Head;
use crate::blobs::blob_path;
use crate::index::{Entry, Index, MAX_INDEX};
use crate::layout::{BLOBS, INDEX, MARKER, MAX_MARKER, check_marker};
use crate::resolve::Resolver;
use crate::{BlobReader, Error, Result, Source};

/// The file in which `docker save` lists images (IMG-159).
pub(super) const DOCKER_MANIFEST: &str = "manifest.json";

/// An image layout in a tar, open for reading. Cheap to clone, and usable from several threads.
///
/// Where there is an `index.json`, it counts: that is the form of `oci-archive:`, and of `docker save` since Docker 25.
/// Where there is only a `manifest.json`, each image that it lists becomes an OCI manifest made here: its config is the
/// config's bytes as they are, a layer that is a plain tar has its diff ID for its digest (which is what it hashes to),
/// and a compressed one is hashed when the archive is opened. So the digest of such a manifest follows from config and
/// layers alone. It is not the digest that a registry gave to the image: that manifest is not in the archive.
///
/// ```no_run
/// use transship_layout::Archive;
///
/// let archive = Archive::options().open("image.tar")?;
/// let entry = archive.resolve(None)?;
/// println!("{}", entry.descriptor.digest);
/// # Ok::<(), transship_layout::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Archive(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: Arc<File>,
    index: Index,
    contents: Contents,
}

/// Where content lies.
#[derive(Debug, Clone)]
pub(super) enum Spot {
    /// In the tar.
    File { at: u64, size: u64 },
    /// A document that was made here.
    Made(Arc<Vec<u8>>),
    /// Something that is no file has this name.
    Wrong(What),
}

impl Spot {
    fn size(&self) -> Option<u64> {
        match self {
            Self::File { size, .. } => Some(*size),
            Self::Made(bytes) => Some(bytes.len() as u64),
            Self::Wrong(_) => None,
        }
    }
}

/// What the members of an archive are.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) blobs: HashMap<Digest, Spot>,
    pub(super) marker: Option<Spot>,
    pub(super) index: Option<Spot>,
    pub(super) docker: Option<Spot>,
    /// A name that is no part of a layout, but looks as if somebody meant it to be.
    strange: Option<String>,
}

impl Contents {
    fn scan(file: &File, path: &Path) -> Result<Self> {
        let mut contents = Self::default();
        tar::scan(file, path, &mut |member| contents.add(&member, file, path))?;
        Ok(contents)
    }

    fn add(&mut self, member: &Member<'_>, file: &File, path: &Path) -> Result<()> {
        if member.what == What::Folder {
            return Ok(());
        }
        let spot = match member.what {
            What::File => Spot::File { at: member.at, size: member.size },
            what => Spot::Wrong(what),
        };
        let Some(name) = tar::normal(member.name) else {
            let ends =
                [MARKER, INDEX, DOCKER_MANIFEST].iter().any(|end| member.name.ends_with(end.as_bytes()));
            if self.strange.is_none() && ends {
                self.strange = Some(tar::shown(member.name));
            }
            return Ok(());
        };
        let before = match name.as_str() {
            MARKER => self.marker.replace(spot.clone()),
            INDEX => self.index.replace(spot.clone()),
            DOCKER_MANIFEST => self.docker.replace(spot.clone()),
            other => match digest_of(other) {
                Some(digest) => self.blobs.insert(digest, spot.clone()),
                None => None,
            },
        };
        match before {
            Some(before) if !is_same(file, path, &before, &spot)? => {
                let name = tar::shown(member.name);
                Err(tar::malformed(path, format!("it holds two different members called {name}")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether two members of one name have the same content.
fn is_same(file: &File, path: &Path, one: &Spot, other: &Spot) -> Result<bool> {
    const PIECE: usize = 64 << 10;
    let (&Spot::File { at: first, size }, &Spot::File { at: second, size: other }) = (one, other) else {
        return Ok(false);
    };
    if size != other {
        return Ok(false);
    }
    let mut done = 0;
    while done < size {
        let length = usize::try_from(size - done).unwrap_or(PIECE).min(PIECE);
        let (mut a, mut b) = (vec![0; length], vec![0; length]);
        file.read_exact_at(&mut a, first + done).map_err(Error::storage("reading", path))?;
        file.read_exact_at(&mut b, second + done).map_err(Error::storage("reading", path))?;
        if a != b {
            return Ok(false);
        }
        done += length as u64;
    }
    Ok(true)
}

/// The digest that a member's name stands for (IMG-07).
pub(super) fn digest_of(name: &str) -> Option<Digest> {
    let (algorithm, encoded) = name.strip_prefix(BLOBS)?.strip_prefix('/')?.split_once('/')?;
    Digest::parse(&format!("{algorithm}:{encoded}")).ok()
}

impl Archive {
    /// The settings to open archives with.
    pub fn options() -> ArchiveOptions {
        ArchiveOptions::default()
    }

    /// Finds out what a plain tar holds.
    pub(super) fn over(file: File, path: PathBuf) -> Result<Self> {
        let mut contents = Contents::scan(&file, &path)?;
        let not = |reason: String| Error::NotALayout { path: path.clone(), reason };
        let index = match (&contents.marker, &contents.index, &contents.docker) {
            (Some(marker), Some(index), _) => {
                let marker = small(&file, &path, MARKER, marker, MAX_MARKER)?;
                check_marker(&marker, &path)?;
                let text = small(&file, &path, INDEX, index, MAX_INDEX)?;
                Index::parse(text).map_err(|source| Error::Malformed { path: path.join(INDEX), source })?
            }
            (None, None, Some(manifest)) => {
                let manifest = small(&file, &path, DOCKER_MANIFEST, manifest, docker::MAX_MANIFEST)?;
                docker::layout(&file, &path, &manifest, &mut contents)?
            }
            (marker, _, _) => {
                let missing = if marker.is_none() { MARKER } else { INDEX };
                return Err(not(match &contents.strange {
                    Some(name) => {
                        format!(
                            "it has no file {missing}, and {name} does not count: its name leads out of the archive"
                        )
                    }
                    None => format!("it has no file {missing}"),
                }));
            }
        };
        Ok(Self(Arc::new(Inner { path, file: Arc::new(file), index, contents })))
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Every entry of the index, in order.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the first entry that is no descriptor.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        self.resolver().views()
    }

    /// The entry that a reference names; as [`Layout::resolve`](crate::Layout::resolve).
    ///
    /// # Errors
    /// As there.
    pub fn resolve(&self, reference: Option<&str>) -> Result<Entry> {
        self.resolver().resolve(reference)
    }

    /// All entries that a reference names; as [`Layout::resolve_all`](crate::Layout::resolve_all).
    ///
    /// # Errors
    /// As there.
    pub fn resolve_all(&self, reference: Option<&str>) -> Result<Vec<Entry>> {
        self.resolver().resolve_all(reference)
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver { path: &self.0.path, source: self, index: &self.0.index }
    }

    /// Whether it has a list of images for `docker load`.
    #[must_use]
    pub fn lists_images(&self) -> bool {
        self.0.contents.docker.is_some()
    }

    /// What stands before its blobs; nothing for what `docker save` wrote before Docker 25.
    ///
    /// # Errors
    /// [`Error::Unsafe`] when `manifest.json` is a link, [`Error::Limit`], [`Error::Storage`].
    pub fn head(&self) -> Result<Option<Head>> {
        let Inner { path, file, index, contents } = &*self.0;
        if !self.is_layout() {
            return Ok(None);
        }
        let small = |spot: &Spot| small(file, path, DOCKER_MANIFEST, spot, docker::MAX_MANIFEST);
        let docker = contents.docker.as_ref().map(small).transpose()?;
        Ok(Some(Head { index: index.text.clone().into_bytes(), docker }))
    }

    /// Whether it is an image layout, and not what `docker save` wrote before Docker 25.
    pub(crate) fn is_layout(&self) -> bool {
        self.0.contents.index.is_some()
    }

    /// The text of the index.
    pub(crate) fn index(&self) -> &Index {
        &self.0.index
    }

    /// Every blob, with its size in bytes, in no order.
    pub fn blobs(&self) -> impl Iterator<Item = (&Digest, u64)> {
        self.0.contents.blobs.iter().filter_map(|(digest, spot)| Some((digest, spot.size()?)))
    }

    /// Whether the blob is there with the right size. Its content is not looked at.
    #[must_use]
    pub fn has(&self, descriptor: &Descriptor) -> bool {
        self.size(&descriptor.digest) == Some(descriptor.size)
    }

    /// The size in bytes of the blob with this digest; `None` when it is not there.
    #[must_use]
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.0.contents.blobs.get(digest)?.size()
    }

    /// The blob's content, verified while it is read; as [`Layout::open_blob`](crate::Layout::open_blob).
    ///
    /// # Errors
    /// [`Error::MissingBlob`], [`Error::Content`] when the size is wrong already, [`Error::Unsafe`] for a link.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<BlobReader<Section>> {
        let section = self.section(descriptor)?;
        Ok(BlobReader::new(section, self.0.path.join(blob_path(&descriptor.digest)), descriptor))
    }

    /// The blob's content from an offset on, not verified: for who sends it to someone who does (design law 5).
    ///
    /// # Errors
    /// As [`Archive::open_blob`].
    pub fn section(&self, descriptor: &Descriptor) -> Result<Section> {
        let path = || self.0.path.join(blob_path(&descriptor.digest));
        let (source, at, size) = match self.0.contents.blobs.get(&descriptor.digest) {
            Some(Spot::File { at, size }) => (Bytes::File(self.0.file.clone()), *at, *size),
            Some(Spot::Made(bytes)) => (Bytes::Memory(bytes.clone()), 0, bytes.len() as u64),
            Some(Spot::Wrong(what)) => return Err(wrong(path(), *what)),
            None => {
                return Err(Error::MissingBlob {
                    path: self.0.path.clone(),
                    digest: descriptor.digest.clone(),
                });
            }
        };
        if size != descriptor.size {
            let digest = descriptor.digest.clone();
            let source =
                transship_spec::Error::SizeMismatch { digest, expected: descriptor.size, actual: size };
            return Err(Error::Content { path: path(), source });
        }
        Ok(Section { source, at, left: size })
    }

    /// A manifest or index, verified and read whole, at most [`Document::MAX_SIZE`] bytes of it.
    ///
    /// # Errors
    /// As [`crate::read_document`].
    pub fn read_document(&self, descriptor: &Descriptor) -> Result<Document> {
        crate::read_document(self, descriptor)
    }
}

impl Source for Archive {
    fn entries(&self) -> Result<Vec<Entry>> {
        Self::entries(self)
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.open_blob(descriptor)?))
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        match self.0.contents.blobs.get(digest) {
            Some(Spot::Wrong(what)) => Err(wrong(self.0.path.join(blob_path(digest)), *what)),
            _ => Ok(Self::size(self, digest)),
        }
    }
}

/// A member that stands where a file should.
fn wrong(path: PathBuf, what: What) -> Error {
    let what = match what {
        What::Link => "a link, and links in archives are never followed",
        _ => "no file",
    };
    Error::Unsafe { path, what }
}

/// The content of a small member.
pub(super) fn small(file: &File, path: &Path, name: &str, spot: &Spot, limit: u64) -> Result<Vec<u8>> {
    match spot {
        Spot::Wrong(what) => Err(wrong(path.join(name), *what)),
        Spot::Made(bytes) => Ok(bytes.to_vec()),
        Spot::File { size, .. } if *size > limit => {
            Err(Error::Limit { what: "the size of a document in an archive in bytes", limit })
        }
        Spot::File { at, size } => {
            let mut content = vec![0; usize::try_from(*size).unwrap_or(0)];
            file.read_exact_at(&mut content, *at).map_err(Error::storage("reading", path.join(name)))?;
            Ok(content)
        }
    }
}

#[derive(Debug, Clone)]
enum Bytes {
    File(Arc<File>),
    Memory(Arc<Vec<u8>>),
}

/// The bytes of one blob within an archive.
#[derive(Debug, Clone)]
pub struct Section {
    source: Bytes,
    at: u64,
    left: u64,
}

impl Section {
    pub(super) fn of(file: &Arc<File>, at: u64, size: u64) -> Self {
        Self { source: Bytes::File(file.clone()), at, left: size }
    }

    /// Where its bytes lie in a file, if they do.
    pub(super) fn place(&self) -> Option<At<'_>> {
        match &self.source {
            Bytes::File(file) => Some(At { file, offset: self.at }),
            Bytes::Memory(_) => None,
        }
    }

    /// Leaves out bytes at the beginning.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        let count = count.min(self.left);
        self.at += count;
        self.left -= count;
        self
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = match &self.source {
            Bytes::File(file) => file.read_at(&mut buffer[..most], self.at)?,
            Bytes::Memory(bytes) => {
                let from = usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len());
                let count = most.min(bytes.len() - from);
                buffer[..count].copy_from_slice(&bytes[from..from + count]);
                count
            }
        };
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
