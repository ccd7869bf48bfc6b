//! Reading blobs: whether they are there, their content verified, and all of them.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::PathBuf;

use transship_spec::{Descriptor, Digest, Document, Verifier};

use crate::dir::{Dir, FileState, Opened, Refusal};
use crate::index::{Entry, Index};
use crate::layout::{BLOBS, Inner, is_absence};
use crate::{Error, Layout, Result};

/// The most bytes that are read in one go.
pub(crate) const PIECE: usize = 256 << 10;

/// The path of a blob below the root (IMG-07).
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS}/{}/{}", digest.algorithm(), digest.encoded())
}

impl Layout {
    /// Every entry of `index.json`, in order.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the index or one of its entries is, [`Error::Limit`], [`Error::Unsafe`],
    /// [`Error::Storage`].
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let (index, _) = Index::load(&self.0)?;
        self.resolver(&index).views()
    }

    /// Whether the blob is there with the right size. Its content is not looked at.
    ///
    /// # Errors
    /// [`Error::Unsafe`] when something else than a file is there, [`Error::Storage`].
    pub fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.size(&descriptor.digest)? == Some(descriptor.size))
    }

    /// The size in bytes of the blob with this digest; `None` when it is not there.
    ///
    /// # Errors
    /// As [`Layout::has`].
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.0.read(&blob_path(digest))?.map(|opened| opened.state.size))
    }

    /// The blob's content, verified while it is read: a read ends with an error where size or digest are wrong, and
    /// nothing that was read before counts. Use [`Error::from_io`] to get at the error's meaning.
    ///
    /// # Errors
    /// [`Error::MissingBlob`], [`Error::Content`] when the size is wrong already, [`Error::Unsafe`],
    /// [`Error::Storage`].
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<BlobReader> {
        let (file, _) = self.0.sized_blob(descriptor)?;
        Ok(BlobReader::new(file, self.0.at(&blob_path(&descriptor.digest)), descriptor))
    }

    /// The blob's file, for sending it to someone who verifies it (design law 5). Its size is right.
    ///
    /// A file inside of the layout is not hashed; one reached through a link that leads outside is, before it is given.
    ///
    /// # Errors
    /// As [`Layout::open_blob`].
    pub fn open_file(&self, descriptor: &Descriptor) -> Result<File> {
        let (mut file, outside) = self.0.sized_blob(descriptor)?;
        if outside {
            let path = self.0.at(&blob_path(&descriptor.digest));
            verify_file(&file, descriptor)
                .map_err(|error| Error::from_io(error, "reading", &path))?
                .map_err(|source| Error::Content { path: path.clone(), source })?;
            file.rewind().map_err(Error::storage("reading", path))?;
        }
        Ok(file)
    }

    /// A manifest or index, verified and read whole, at most [`Document::MAX_SIZE`] bytes of it.
    ///
    /// # Errors
    /// As [`crate::read_document`].
    pub fn read_document(&self, descriptor: &Descriptor) -> Result<Document> {
        crate::read_document(self, descriptor)
    }

    /// Everything that lies in the folders of blobs, also what is no blob (case L20), in the system's order.
    ///
    /// # Errors
    /// [`Error::Unsafe`], [`Error::Storage`]; also of each item.
    pub fn blobs(&self) -> Result<impl Iterator<Item = Result<BlobFile>> + use<>> {
        let inner = self.0.clone();
        let folder = |name: &str| match inner.root.folder(name, inner.options.links) {
            Ok(folder) => Ok(Some(folder)),
            Err(Refusal::Io(error)) if is_absence(&error) => Ok(None),
            Err(refusal) => Err(inner.refused(name, refusal)),
        };
        let blobs = folder(BLOBS)?;
        let mut algorithms: Vec<(OsString, Option<Dir>)> = Vec::new();
        if let Some(blobs) = blobs {
            for name in blobs.names().map_err(Error::storage("reading", inner.at(BLOBS)))? {
                let name = name.map_err(Error::storage("reading", inner.at(BLOBS)))?;
                let dir = match name.to_str() {
                    Some(text) => folder(&format!("{BLOBS}/{text}")).unwrap_or_default(),
                    None => None,
                };
                algorithms.push((name, dir));
            }
        }
        Ok(algorithms.into_iter().flat_map(move |(algorithm, dir)| list(&inner, &algorithm, dir)))
    }
}

fn list(
    inner: &std::sync::Arc<Inner>,
    algorithm: &OsString,
    dir: Option<Dir>,
) -> Box<dyn Iterator<Item = Result<BlobFile>>> {
    let path = PathBuf::from(BLOBS).join(algorithm);
    let shown = inner.path.join(&path);
    let Some(dir) = dir else {
        return Box::new(std::iter::once(Ok(BlobFile { path, digest: None, size: 0, is_file: false })));
    };
    let names = match dir.names() {
        Ok(names) => names,
        Err(error) => return Box::new(std::iter::once(Err(Error::storage("reading", shown)(error)))),
    };
    let algorithm = algorithm.clone();
    let inner = inner.clone();
    Box::new(names.map(move |name| {
        let name = name.map_err(Error::storage("reading", &shown))?;
        let digest = match (algorithm.to_str(), name.to_str()) {
            (Some(algorithm), Some(encoded)) => Digest::parse(&format!("{algorithm}:{encoded}")).ok(),
            _ => None,
        };
        let path = path.join(&name);
        let text = path.to_str().unwrap_or_default();
        let state = match inner.root.read(text, inner.options.links) {
            Ok(opened) => Some(opened.state),
            Err(_) => None,
        };
        Ok(BlobFile { digest, size: state.map_or(0, |state| state.size), is_file: state.is_some(), path })
    }))
}

/// Something that lies where blobs do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobFile {
    /// Its path below the layout's root.
    pub path: PathBuf,
    /// The digest that its path stands for; `None` for a stray file.
    pub digest: Option<Digest>,
    /// Its size in bytes; 0 when it is not a file.
    pub size: u64,
    /// Whether it is a regular file that the links policy lets us read.
    pub is_file: bool,
}

impl Inner {
    /// Opens a blob whose size is right; tells whether it lies outside of the layout.
    pub(crate) fn sized_blob(&self, descriptor: &Descriptor) -> Result<(File, bool)> {
        let name = blob_path(&descriptor.digest);
        let missing = || Error::MissingBlob { path: self.path.clone(), digest: descriptor.digest.clone() };
        let Opened { fd, state, outside } = self.read(&name)?.ok_or_else(missing)?;
        if state.size != descriptor.size {
            let source = transship_spec::Error::SizeMismatch {
                digest: descriptor.digest.clone(),
                expected: descriptor.size,
                actual: state.size,
            };
            return Err(Error::Content { path: self.at(&name), source });
        }
        Ok((File::from(fd), outside))
    }

    /// Whether the blob is there and right, by its stamp or else by one hash; with the state in which it was found.
    ///
    /// What is no file, or cannot be read by the links policy, is not right: writing the blob puts a file in its place.
    pub(crate) fn right_blob(&self, descriptor: &Descriptor) -> Result<Option<FileState>> {
        // Other writers of the same blob put their file in the place of the one that we look at; not without end.
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            match self.look_at_blob(descriptor)? {
                Look::Right(state) => return Ok(Some(state)),
                Look::Wrong => return Ok(None),
                Look::Replaced => {}
            }
        }
        Ok(None)
    }

    fn look_at_blob(&self, descriptor: &Descriptor) -> Result<Look> {
        let name = blob_path(&descriptor.digest);
        let opened = match self.read(&name) {
            Err(Error::Unsafe { .. }) => None,
            other => other?,
        };
        let Some(opened) = opened.filter(|opened| opened.state.size == descriptor.size) else {
            return Ok(Look::Wrong);
        };
        if self.stamps.vouch(self, &descriptor.digest, &opened.state) {
            return Ok(Look::Right(opened.state));
        }
        let file = File::from(opened.fd);
        let verdict = verify_file(&file, descriptor).map_err(Error::storage("reading", self.at(&name)))?;
        let after = FileState::of(&file).map_err(Error::storage("reading", self.at(&name)))?;
        if after != opened.state {
            return Ok(Look::Replaced);
        }
        if verdict.is_err() {
            return Ok(Look::Wrong);
        }
        if self.is_durable() {
            // Whoever wrote it may have left that to the system.
            file.sync_data().map_err(Error::storage("making durable", self.at(&name)))?;
        }
        self.stamps.note(&descriptor.digest, &after);
        Ok(Look::Right(after))
    }
}

/// What one look at a blob has shown.
enum Look {
    Right(FileState),
    Wrong,
    /// The file changed, or was replaced, while it was looked at.
    Replaced,
}

/// Hashes a file from where it stands. The outer error is one of reading, the inner one says that the content is wrong.
pub(crate) fn verify_file(
    mut file: &File,
    descriptor: &Descriptor,
) -> io::Result<Result<(), transship_spec::Error>> {
    let mut verifier = Verifier::new(&descriptor.digest, Some(descriptor.size));
    let mut piece = vec![0; PIECE.min(usize::try_from(descriptor.size).unwrap_or(PIECE)).max(1)];
    loop {
        let count = match file.read(&mut piece) {
            Ok(0) => return Ok(verifier.finish()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Err(error) = verifier.update(&piece[..count]) {
            return Ok(Err(error));
        }
    }
}

/// The content of a blob, verified while it is read.
#[derive(Debug)]
pub struct BlobReader<R = File> {
    file: R,
    path: PathBuf,
    state: State,
}

impl<R> BlobReader<R> {
    pub(crate) fn new(file: R, path: PathBuf, descriptor: &Descriptor) -> Self {
        let verifier = Verifier::new(&descriptor.digest, Some(descriptor.size));
        Self { file, path, state: State::Reading(Box::new(verifier)) }
    }
}

#[derive(Debug)]
enum State {
    Reading(Box<Verifier>),
    Right,
    Wrong(transship_spec::Error),
}

impl<R: Read> Read for BlobReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let verifier = match &mut self.state {
            State::Reading(verifier) => verifier,
            State::Right => return Ok(0),
            State::Wrong(source) => {
                return Err(Error::Content { path: self.path.clone(), source: source.clone() }.into());
            }
        };
        // An error of the disk is told with its path, and stays an error of storage.
        let count = self.file.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => Error::storage("reading", &self.path)(error).into(),
        })?;
        let verdict = match count {
            0 => verifier.as_ref().clone().finish(),
            _ => verifier.update(&buffer[..count]),
        };
        match verdict {
            Ok(()) if count == 0 => self.state = State::Right,
            Ok(()) => {}
            Err(source) => {
                self.state = State::Wrong(source.clone());
                return Err(Error::Content { path: self.path.clone(), source }.into());
            }
        }
        Ok(count)
    }
}
