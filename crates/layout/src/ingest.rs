//! The one way in which blobs get into a layout (design law 3).
//!
//! A temporary file in `.transship/tmp`, hashed and counted while it is written; checked; made durable; only then renamed
//! to its digest. Large blobs are made durable one by one, small ones in groups: until their group is, they wait under
//! their temporary names. Renaming over what is there is harmless, for the bytes are verified, and heals what was broken.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transship_spec::{Descriptor, Digest, Hasher, MediaType, Verifier};

use crate::blobs::{blob_path, verify_file};
use crate::dir::{Dir, FileState};
use crate::layout::{BLOBS, Inner};
use crate::lease::Lease;
use crate::scratch::Scratch;
use crate::{Error, Layout, Result};

/// Blobs below this size are made durable in groups, in bytes.
const SMALL: u64 = 1 << 20;
/// A group is made durable when it has this many blobs …
const GROUP: usize = 1024;
/// … or this many bytes.
const GROUP_BYTES: u64 = 64 << 20;
/// From this many blobs on, one sync of the whole file system is cheaper than one of each file.
const WHOLE_SYNC: usize = 8;

/// What became of a blob that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The blob's digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// It was there already, verified, and was left alone.
    pub reused: bool,
    /// The file system shares its bytes with the source, so that none were moved.
    pub reflinked: bool,
    /// It is the source's own file: a hard link, or a symbolic one, leads to it.
    pub linked: bool,
}

/// What a session and its writers share.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) layout: Layout,
    lease_name: String,
    count: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` once the session is over.
    lease: Option<Lease>,
    /// Whole and checked, but not yet durable and named.
    pending: Vec<Whole>,
    /// Blobs that must be there when the index is saved; without a state until they are named.
    relied: HashMap<Digest, Option<FileState>>,
    /// The folder of temporary files.
    temporary: Option<Arc<Dir>>,
    /// The folders of blobs, by algorithm.
    folders: HashMap<String, Arc<Dir>>,
    /// Algorithms whose folder may have names that are not durable yet.
    unsynced: BTreeSet<String>,
}

/// A temporary file whose content is whole and checked. Dropped before it is named, it is removed.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) folder: Arc<Dir>,
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Other processes know its temporary name too, so that it may not wait for its group.
    pub(crate) is_shared: bool,
    /// It is another layout's file, too: it may not be ours to open for writing later on.
    pub(crate) is_linked: bool,
    /// It is a symbolic link, to a file in this state.
    pub(crate) leads_to: Option<FileState>,
    named: bool,
}

impl Whole {
    pub(crate) fn new(folder: Arc<Dir>, name: String, digest: Digest, size: u64) -> Self {
        Self { folder, name, digest, size, is_shared: false, is_linked: false, leads_to: None, named: false }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.named {
            // What cannot be removed now is swept by the next session.
            let _ = self.folder.remove_file(&self.name);
        }
    }
}

impl Ingest {
    pub(crate) fn begin(layout: Layout) -> Result<Self> {
        let lease = Lease::take(&layout.0)?;
        Ok(Self {
            lease_name: lease.name().to_owned(),
            layout,
            count: AtomicU64::new(0),
            state: Mutex::new(State { lease: Some(lease), ..State::default() }),
        })
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.layout.0
    }

    pub(crate) fn lease_name(&self) -> &str {
        &self.lease_name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done while it is held leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new temporary file of this session. They share one handle of their folder, so that a thousand of them that wait
    /// do not hold a thousand files open.
    pub(crate) fn temporary(&self) -> Result<(Arc<Dir>, String, File)> {
        let name = format!("{}-{}", self.lease_name, self.count.fetch_add(1, Ordering::Relaxed));
        let folder = self.state().temporary.clone();
        if let Some(folder) = folder
            && let Ok(file) = folder.create_new(&name)
        {
            return Ok((folder, name, file));
        }
        // The first one, or the folder was tidied away when our lease was not yet there; or there is an error to tell.
        let (folder, file) = Scratch::new(self.inner()).create("tmp", &name)?;
        let folder = Arc::new(folder);
        self.state().temporary = Some(folder.clone());
        Ok((folder, name, file))
    }

    /// Tells others that this digest is needed.
    pub(crate) fn publish(&self, digest: &Digest) -> Result<()> {
        match &mut self.state().lease {
            Some(lease) => lease.publish(self.inner(), digest),
            None => Err(Error::Ended),
        }
    }

    /// Publishes, then says whether the blob is there and right.
    pub(crate) fn reuse(&self, descriptor: &Descriptor) -> Result<bool> {
        self.publish(&descriptor.digest)?;
        if let Some(size) = self.known(&descriptor.digest) {
            return Ok(size == descriptor.size);
        }
        let found = self.inner().right_blob(descriptor)?;
        if let Some(found) = found {
            self.rely(&descriptor.digest, found);
        }
        Ok(found.is_some())
    }

    /// Notes a blob that must be there when the index is saved. Whoever wrote it may not have made its name durable yet.
    fn rely(&self, digest: &Digest, found: FileState) {
        let mut state = self.state();
        state.unsynced.insert(digest.algorithm().to_owned());
        state.relied.insert(digest.clone(), Some(found));
    }

    /// The size of a blob that this session has written or found right.
    fn known(&self, digest: &Digest) -> Option<u64> {
        let state = self.state();
        let pending = state.pending.iter().find(|whole| whole.digest == *digest).map(|whole| whole.size);
        pending.or_else(|| state.relied.get(digest)?.map(|state| state.size))
    }

    /// Takes in a blob whose content is whole and checked: now, or with its group.
    pub(crate) fn place(&self, mut whole: Whole, file: &File) -> Result<Written> {
        self.publish(&whole.digest)?;
        let (digest, size) = (whole.digest.clone(), whole.size);
        let written =
            Written { digest, size, reused: self.is_there(&whole)?, reflinked: false, linked: false };
        if written.reused {
            return Ok(written);
        }
        if !self.inner().is_durable() {
            self.name(&mut whole)?;
        } else if size >= SMALL || whole.is_shared || whole.is_linked {
            sync_content(file, &whole).map_err(|error| self.lost(error, &whole))?;
            self.name(&mut whole)?;
        } else {
            let full = {
                let mut state = self.state();
                state.relied.insert(whole.digest.clone(), None);
                state.pending.push(whole);
                state.pending.len() >= GROUP
                    || state.pending.iter().map(|whole| whole.size).sum::<u64>() >= GROUP_BYTES
            };
            if full {
                self.settle()?;
            }
        }
        Ok(written)
    }

    /// Whether the same blob is there, found right before by this session or by its stamp.
    fn is_there(&self, whole: &Whole) -> Result<bool> {
        if self.known(&whole.digest).is_some() {
            return Ok(true);
        }
        let inner = self.inner();
        let found = match inner.read(&blob_path(&whole.digest)) {
            Ok(Some(opened)) => opened.state,
            Ok(None) | Err(Error::Unsafe { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let right = found.size == whole.size && inner.stamps.vouch(inner, &whole.digest, &found);
        if right {
            self.rely(&whole.digest, found);
        }
        Ok(right)
    }

    /// Makes the waiting blobs durable, and names them. One that cannot be takes no other with it; it is relied on all
    /// the same, for its writer was told that it is there, and so the commit fails.
    pub(crate) fn settle(&self) -> Result<()> {
        let group = std::mem::take(&mut self.state().pending);
        let are_durable = group.len() >= WHOLE_SYNC
            && sync_file_system(&self.inner().root).is_some_and(|done| done.is_ok());
        let mut result = Ok(());
        for mut whole in group {
            let synced = if are_durable { Ok(()) } else { self.sync(&whole) };
            result = result.and(synced.and_then(|()| self.name(&mut whole)));
        }
        result
    }

    fn sync(&self, whole: &Whole) -> Result<()> {
        let synced = whole.folder.open_existing(&whole.name).and_then(|file| file.sync_data());
        synced.map_err(|error| self.lost(error, whole))
    }

    /// Renames a durable temporary file to its digest.
    fn name(&self, whole: &mut Whole) -> Result<()> {
        let inner = self.inner();
        let path = inner.at(&blob_path(&whole.digest));
        let folder = self.blob_folder(whole.digest.algorithm())?;
        let encoded = whole.digest.encoded();
        whole.folder.rename(&whole.name, &folder, &encoded).map_err(|error| match error.kind() {
            io::ErrorKind::IsADirectory => Error::Unsafe { path: path.clone(), what: "a folder, not a file" },
            io::ErrorKind::CrossesDevices => Error::Storage {
                doing: "naming",
                path: path.clone(),
                source: io::Error::new(error.kind(), "it is on another file system than the layout's root"),
            },
            _ => inner.full(error, &path, "naming"),
        })?;
        // Renaming one name of a file to another of its names does nothing, and leaves both.
        whole.named = !whole.is_linked;
        let state = match whole.leads_to {
            Some(target) => Some(target),
            None => folder.state(&encoded).map_err(Error::storage("reading", &path))?,
        };
        if let Some(state) = state {
            inner.stamps.note(&whole.digest, &state);
            self.rely(&whole.digest, state);
        }
        Ok(())
    }

    fn blob_folder(&self, algorithm: &str) -> Result<Arc<Dir>> {
        if let Some(folder) = self.state().folders.get(algorithm) {
            return Ok(folder.clone());
        }
        let inner = self.inner();
        let (blobs, made) = inner.folder(&inner.root, BLOBS, BLOBS)?;
        if made && inner.is_durable() {
            inner.root.sync().map_err(Error::storage("syncing", &inner.path))?;
        }
        let (folder, _) = inner.folder(&blobs, algorithm, &format!("{BLOBS}/{algorithm}"))?;
        let folder = Arc::new(folder);
        self.state().folders.insert(algorithm.to_owned(), folder.clone());
        Ok(folder)
    }

    /// Makes all blobs durable and named, and the names durable too.
    pub(crate) fn finish(&self) -> Result<()> {
        self.settle()?;
        let unsynced = std::mem::take(&mut self.state().unsynced);
        let inner = self.inner();
        if unsynced.is_empty() || !inner.is_durable() {
            return Ok(());
        }
        // Their folder last: another writer may have made one of them, and not synced it yet.
        let folders = unsynced.iter().map(|algorithm| format!("{BLOBS}/{algorithm}"));
        for name in folders.chain([BLOBS.to_owned()]) {
            let folder = inner.root.folder(&name, inner.options.links);
            let folder = folder.map_err(|refusal| inner.refused(&name, refusal))?;
            folder.sync().map_err(Error::storage("syncing", inner.at(&name)))?;
        }
        Ok(())
    }

    /// Looks again at every blob that the index is going to rely on.
    pub(crate) fn recheck(&self) -> Result<()> {
        let relied: Vec<_> =
            self.state().relied.iter().map(|(digest, state)| (digest.clone(), *state)).collect();
        let mut vanished = Vec::new();
        for (digest, before) in relied {
            let Some(before) = before else {
                vanished.push(digest);
                continue;
            };
            let inner = self.inner();
            if matches!(inner.read(&blob_path(&digest)), Ok(Some(now)) if now.state == before) {
                continue;
            }
            // Another writer may have put the same blob in its place.
            match inner.right_blob(&Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), before.size))? {
                Some(now) => drop(self.state().relied.insert(digest, Some(now))),
                None => vanished.push(digest),
            }
        }
        vanished.sort_unstable();
        if vanished.is_empty() { Ok(()) } else { Err(Error::Vanished { digests: vanished }) }
    }

    /// Ends the session: what waits is removed, the lease is given back.
    pub(crate) fn end(&self) {
        let (pending, lease) = {
            let mut state = self.state();
            (std::mem::take(&mut state.pending), state.lease.take())
        };
        drop(pending);
        drop(lease);
    }

    fn lost(&self, error: io::Error, whole: &Whole) -> Error {
        let path = self.inner().at(&format!("{}/tmp/{}", crate::scratch::FOLDER, whole.name));
        self.inner().full(error, &path, "making durable")
    }
}

/// Makes a blob's bytes durable. What a symbolic link leads to may lie where nothing is ever written, and need not be.
fn sync_content(file: &File, whole: &Whole) -> io::Result<()> {
    match file.sync_data() {
        Err(error)
            if whole.leads_to.is_some()
                && matches!(
                    error.kind(),
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::InvalidInput
                ) =>
        {
            Ok(())
        }
        other => other,
    }
}

#[cfg(target_os = "linux")]
fn sync_file_system(root: &Dir) -> Option<io::Result<()>> {
    Some(rustix::fs::syncfs(root).map_err(io::Error::from))
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_: &Dir) -> Option<io::Result<()>> {
    None
}

/// How the content of a blob under way is checked.
#[derive(Debug)]
enum Check {
    /// Against what is expected.
    Expected(Box<Verifier>, Digest),
    /// Nothing is expected; it gets the digest that it has.
    Open(Box<Hasher>),
    /// The bytes are known to have this digest.
    Known(Digest),
}

/// A blob under way. Dropped, it leaves nothing.
///
/// It does not buffer: write pieces of some size.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use std::io::Write;
/// use transship_layout::Layout;
///
/// let layout = Layout::options().create(folder.path())?;
/// let session = layout.begin()?;
/// let mut writer = session.writer(None)?;
/// writer.write_all(b"content")?;
/// let written = writer.commit()?;
/// assert_eq!(written.size, 7);
/// session.commit(|_| Ok(()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a blob that is not committed is removed"]
pub struct BlobWriter {
    ingest: Arc<Ingest>,
    file: File,
    /// Folder and name of the temporary file; taken when it is handed on.
    place: Option<(Arc<Dir>, String)>,
    check: Check,
    size: u64,
    reflinked: bool,
}

impl BlobWriter {
    pub(crate) fn new(ingest: Arc<Ingest>, expected: Option<&Descriptor>) -> Result<Self> {
        let check = match expected {
            Some(expected) => Check::Expected(
                Box::new(Verifier::new(&expected.digest, Some(expected.size))),
                expected.digest.clone(),
            ),
            None => Check::Open(Box::new(Hasher::sha256())),
        };
        Self::with(ingest, check)
    }

    /// A writer for bytes whose digest is known, so that they are not hashed again.
    pub(crate) fn known(ingest: Arc<Ingest>, digest: Digest) -> Result<Self> {
        Self::with(ingest, Check::Known(digest))
    }

    fn with(ingest: Arc<Ingest>, check: Check) -> Result<Self> {
        let (folder, name, file) = ingest.temporary()?;
        Ok(Self { ingest, file, place: Some((folder, name)), check, size: 0, reflinked: false })
    }

    /// The temporary file, for filling it otherwise; see [`BlobWriter::reflinked`].
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Says that the temporary file has the known content, by bytes that it shares with their source.
    pub(crate) fn reflinked(&mut self, size: u64) {
        (self.size, self.reflinked) = (size, true);
    }

    /// Bytes written so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes the next piece whole. A piece that does not fit on the disk leaves the blob as it was before: it can be
    /// written again.
    ///
    /// # Errors
    /// [`Error::Content`] at the first byte more than expected, [`Error::Full`], [`Error::Storage`].
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(piece) {
            // Where this fails too the check at the end will tell.
            let _ = self.file.set_len(self.size).and_then(|()| self.file.seek(SeekFrom::Start(self.size)));
            let name = self.place.as_ref().map_or("", |(_, name)| name);
            let path = self.ingest.inner().at(&format!("{}/tmp/{name}", crate::scratch::FOLDER));
            return Err(self.ingest.inner().full(error, &path, "writing"));
        }
        self.size += piece.len() as u64;
        match &mut self.check {
            Check::Expected(verifier, digest) => verifier.update(piece).map_err(|source| Error::Content {
                path: self.ingest.inner().at(&blob_path(digest)),
                source,
            })?,
            Check::Open(hasher) => hasher.update(piece),
            Check::Known(_) => {}
        }
        Ok(())
    }

    /// As [`BlobWriter::commit`], for whoever learns the digest last: a blob for which none was expected is checked
    /// against this one. Where that is no SHA-256 it is read once more.
    ///
    /// # Errors
    /// Those of [`BlobWriter::commit`]; [`Error::Content`] also when the digest cannot be verified.
    pub fn commit_as(mut self, digest: &Digest) -> Result<Written> {
        let path = self.ingest.inner().at(&blob_path(digest));
        let wrong = |source| Error::Content { path: path.clone(), source };
        let actual = match &self.check {
            Check::Expected(_, expected) | Check::Known(expected) => expected.clone(),
            Check::Open(hasher) if digest.algorithm() == "sha256" => (**hasher).clone().finish(),
            Check::Open(_) if digest.is_verifiable() => {
                let expected = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), self.size);
                self.file.rewind().map_err(Error::storage("reading", &path))?;
                verify_file(&self.file, &expected)
                    .map_err(Error::storage("reading", &path))?
                    .map_err(wrong)?;
                digest.clone()
            }
            Check::Open(_) => {
                let text = format!("a digest of {}, which cannot be verified", digest.algorithm());
                return Err(wrong(transship_spec::Error::Unsupported(text)));
            }
        };
        if actual != *digest {
            let expected = digest.clone();
            return Err(wrong(transship_spec::Error::DigestMismatch { expected, actual }));
        }
        if let Check::Open(_) = &self.check {
            self.check = Check::Known(actual);
        }
        self.commit()
    }

    /// Checks size and digest, and puts the blob in its place: at once, or at the latest with the session's commit.
    ///
    /// # Errors
    /// [`Error::Content`] when size or digest are wrong, [`Error::Full`], [`Error::Storage`], [`Error::Unsafe`].
    pub fn commit(mut self) -> Result<Written> {
        let inner = self.ingest.inner();
        let digest = match std::mem::replace(&mut self.check, Check::Open(Box::new(Hasher::sha256()))) {
            Check::Expected(verifier, digest) => {
                let path = inner.at(&blob_path(&digest));
                verifier.finish().map_err(|source| Error::Content { path, source })?;
                digest
            }
            Check::Open(hasher) => hasher.finish(),
            Check::Known(digest) => digest,
        };
        let Some((folder, name)) = self.place.take() else { return Err(Error::Ended) };
        let written = self.ingest.place(Whole::new(folder, name, digest, self.size), &self.file)?;
        Ok(Written { reflinked: self.reflinked && !written.reused, ..written })
    }
}

impl Write for BlobWriter {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.push(piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if let Some((folder, name)) = self.place.take() {
            // What cannot be removed now is swept by the next session.
            let _ = folder.remove_file(&name);
        }
    }
}
