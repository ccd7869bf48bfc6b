//! One operation on a layout: one lease, any number of blobs, one change of the index (design laws 3 and 4).

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, Write as _};
use std::sync::Arc;

use transship_spec::{Descriptor, Digest, Document, MediaType};

use crate::blobs::{PIECE, blob_path, verify_file};
use crate::dir::FileState;
use crate::edit::IndexEdit;
use crate::index::{Entry, Index};
use crate::ingest::{BlobWriter, Ingest, Written};
use crate::layout::{INDEX, Inner};
use crate::lock::Lock;
use crate::partial::{self, Partial};
use crate::scratch::Scratch;
use crate::{Error, Layout, Result};

/// As often as another program may change the index beneath our hands.
const MERGES: usize = 10;

impl Layout {
    /// Begins to write. Blobs may be written from several threads; nothing is listed before [`Session::commit`].
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Locking`] where the file system has no locks, [`Error::Full`],
    /// [`Error::Storage`].
    pub fn begin(&self) -> Result<Session> {
        self.0.must_be_writable()?;
        Ok(Session { ingest: Arc::new(Ingest::begin(self.clone())?), ended: false })
    }

    /// Changes the index and nothing else, in one step. `change` may be called again when another program has
    /// changed the index meanwhile.
    ///
    /// # Errors
    /// Those of [`Layout::begin`] and [`Session::commit`].
    pub fn edit<R>(&self, change: impl FnMut(&mut IndexEdit<'_>) -> Result<R>) -> Result<R> {
        self.begin()?.commit(change)
    }
}

/// An operation that writes. Dropped without [`Session::commit`], it leaves at most blobs that nothing lists.
#[derive(Debug)]
#[must_use = "nothing is listed before the session is committed"]
pub struct Session {
    pub(crate) ingest: Arc<Ingest>,
    ended: bool,
}

impl Session {
    /// The layout that is being written.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.ingest.layout
    }

    /// Whether the blob need not be written: it is there and right, by its stamp or else by one hash. From now on it is
    /// leased; a blob that is missing or broken is to be written.
    ///
    /// # Errors
    /// [`Error::Storage`] when it cannot be read, [`Error::Full`] when the lease cannot be written.
    pub fn reuse(&self, descriptor: &Descriptor) -> Result<bool> {
        self.ingest.reuse(descriptor)
    }

    /// A writer for a blob: checked against what is expected, or else named by its SHA-256.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Storage`].
    pub fn writer(&self, expected: Option<&Descriptor>) -> Result<BlobWriter> {
        BlobWriter::new(self.ingest.clone(), expected)
    }

    /// Writes a blob that is in memory, unless it is there.
    ///
    /// # Errors
    /// As [`Session::reuse`] and [`BlobWriter::commit`].
    pub fn put_bytes(&self, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
        let descriptor = Descriptor::of(media_type, bytes);
        self.put(&descriptor, bytes)?;
        Ok(descriptor)
    }

    /// Writes a document, unless it is there; returns the bare descriptor that points at it.
    ///
    /// # Errors
    /// As [`Session::put_bytes`].
    pub fn put_document(&self, document: &Document) -> Result<Descriptor> {
        let descriptor = document.descriptor();
        self.put(&descriptor, document.bytes())?;
        Ok(descriptor)
    }

    /// Writes bytes whose digest is known to be right.
    fn put(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
        if !self.reuse(descriptor)? {
            let mut writer = BlobWriter::known(self.ingest.clone(), descriptor.digest.clone())?;
            writer.push(bytes)?;
            writer.commit()?;
        }
        Ok(())
    }

    /// Takes in a file from its beginning: as a reflink where the file system can, else as a copy. It is hashed once.
    /// The file is only read; it stays what it is.
    ///
    /// # Errors
    /// [`Error::Content`] when size or digest are wrong, [`Error::Full`], [`Error::Storage`].
    pub fn adopt(&self, source: &File, expected: &Descriptor) -> Result<Written> {
        if let Some(clone) = self.reflink(source, expected)? {
            self.verify(&clone, expected)?;
            return clone.commit();
        }
        self.copy(source, expected)
    }

    /// Takes in a file from its beginning by reading and writing all of it.
    pub(crate) fn copy(&self, mut source: &File, expected: &Descriptor) -> Result<Written> {
        let mut writer = self.writer(Some(expected))?;
        let reading = || Error::storage("reading", format!("the source of {}", expected.digest));
        source.rewind().map_err(reading())?;
        let mut piece = vec![0; PIECE];
        loop {
            match source.read(&mut piece) {
                Ok(0) => return writer.commit(),
                Ok(count) => writer.push(&piece[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(reading()(error)),
            }
        }
    }

    /// Takes in a blob of another layout. Where the file system can share its blocks, and that layout has a stamp for it, no
    /// bytes are moved or hashed. What is copied is hashed as it goes by, whatever its stamp says: a stamp of a file
    /// system that somebody else has made proves nothing, and with such a one no blocks are shared.
    ///
    /// # Errors
    /// As [`Session::adopt`], and [`Error::MissingBlob`].
    pub fn adopt_from(&self, source: &Layout, expected: &Descriptor) -> Result<Written> {
        let (file, _) = source.0.sized_blob(expected)?;
        let reading = || Error::storage("reading", source.0.at(&blob_path(&expected.digest)));
        let state = FileState::of(&file).map_err(reading())?;
        let Some(clone) = self.reflink(&file, expected)? else { return self.copy(&file, expected) };
        let is_known = source.0.stamps.vouch(&source.0, &expected.digest, &state)
            // What was changed meanwhile is not what the stamp speaks of.
            && FileState::of(&file).map_err(reading())? == state;
        if !is_known {
            self.verify(&clone, expected)?;
        }
        clone.commit()
    }

    /// Hashes what a temporary file has come to share.
    fn verify(&self, clone: &BlobWriter, expected: &Descriptor) -> Result<()> {
        let reading = || Error::storage("reading", self.layout().0.at(&blob_path(&expected.digest)));
        let mut file = clone.file();
        file.rewind().map_err(reading())?;
        verify_file(file, expected).map_err(reading())?.map_err(|source| self.wrong(expected, source))
    }

    /// A temporary file that shares the source's blocks; `None` where the file system does not do that.
    fn reflink(&self, source: &File, expected: &Descriptor) -> Result<Option<BlobWriter>> {
        let mut writer = BlobWriter::known(self.ingest.clone(), expected.digest.clone())?;
        if !share(writer.file(), source) {
            return Ok(None);
        }
        writer.reflinked(expected.size);
        Ok(Some(writer))
    }

    /// A download that can go on where it ended before; `None` while another process or thread has it in hand. Then
    /// [`Session::writer`] serves.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Storage`].
    pub fn partial(&self, expected: &Descriptor) -> Result<Option<Partial>> {
        Partial::open(&self.ingest, expected)
    }

    /// Makes all blobs of this session durable, names them, and makes the names durable, before the commit does.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Storage`].
    pub fn flush(&self) -> Result<()> {
        self.ingest.finish()
    }

    /// Changes the index, once all blobs are durable and were seen to be there: lock, re-read, change, save. When this
    /// returns, what was written stays.
    ///
    /// `change` may be called again when another program has changed the index meanwhile. Where it changes nothing the
    /// index is not written.
    ///
    /// # Errors
    /// That of `change`; [`Error::Busy`], [`Error::Locking`], [`Error::Vanished`], [`Error::Unsettled`],
    /// [`Error::Malformed`], [`Error::Full`], [`Error::Storage`]. The index is then as it was.
    pub fn commit<R>(mut self, mut change: impl FnMut(&mut IndexEdit<'_>) -> Result<R>) -> Result<R> {
        let ingest = self.ingest.clone();
        let inner = ingest.inner();
        ingest.finish()?;
        // Whatever must be hashed again is hashed before others have to wait.
        match ingest.recheck() {
            // What is collected as garbage just now may be back by then: it counts only beneath the lock.
            Err(Error::Vanished { .. }) => {}
            other => other?,
        }
        let lock = Lock::take(inner)?;
        let scratch = Scratch::new(inner);
        scratch.sweep(ingest.lease_name());
        partial::sweep(inner);
        let result = ingest.recheck().and_then(|()| save(inner, &mut change));
        inner.stamps.save(inner);
        ingest.end();
        self.ended = true;
        scratch.tidy(&lock);
        result
    }

    fn wrong(&self, expected: &Descriptor, source: transship_spec::Error) -> Error {
        Error::Content { path: self.layout().0.at(&blob_path(&expected.digest)), source }
    }

    /// As [`Layout::resolve`]; from now on the entry's content, and what that leads to, is leased, so that it can be given
    /// another name although nobody holds the one that it has.
    ///
    /// # Errors
    /// Those of [`Layout::resolve`] and [`Session::lease`].
    pub fn resolve(&self, reference: Option<&str>) -> Result<Entry> {
        let mut entry = self.layout().resolve(reference)?;
        loop {
            self.lease(&entry.descriptor.digest)?;
            // What was listed after it was leased stays, whatever is done to the index then.
            let again = self.layout().resolve(reference)?;
            if again.descriptor.digest == entry.descriptor.digest {
                return Ok(again);
            }
            entry = again;
        }
    }

    /// Tells other processes that a digest is needed, without a look at it.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Storage`].
    pub fn lease(&self, digest: &Digest) -> Result<()> {
        self.ingest.publish(digest)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.ingest.end();
        let inner = self.ingest.inner();
        if let Some(lock) = Lock::take_now(inner) {
            Scratch::new(inner).tidy(&lock);
        }
    }
}

/// Reads the index, lets it be changed, and puts the new one in its place. To be called beneath the lock.
fn save<R>(inner: &Inner, change: &mut impl FnMut(&mut IndexEdit<'_>) -> Result<R>) -> Result<R> {
    for _ in 0..MERGES {
        let (index, before) = Index::load(inner)?;
        let mut edit = IndexEdit::new(inner.at(INDEX), &index);
        let result = change(&mut edit)?;
        if !edit.is_changed() {
            return Ok(result);
        }
        edit.settle()?;
        // A program that takes no lock may have written meanwhile: then its change is merged too.
        if put(inner, &edit, before)? {
            return Ok(result);
        }
    }
    Err(Error::Unsettled { path: inner.at(INDEX) })
}

/// Puts a changed index in the place of the one that was read in the state `before`; `false` when that is another one by
/// now. To be called beneath the lock.
pub(crate) fn put(inner: &Inner, edit: &IndexEdit<'_>, before: FileState) -> Result<bool> {
    let beside = inner.write_beside("index", |file| {
        let mut out = BufWriter::with_capacity(PIECE, file);
        edit.write(&mut out)?;
        out.flush()
    })?;
    let now = inner.root.state(INDEX).map_err(Error::storage("reading", inner.at(INDEX)))?;
    if now.is_some_and(|now| now.is_link()) {
        return Err(Error::Unsafe { path: inner.at(INDEX), what: "a link, which is never written through" });
    }
    if now != Some(before) {
        return Ok(false);
    }
    beside.rename(INDEX)?;
    if inner.is_durable() {
        inner.root.sync().map_err(Error::storage("syncing", &inner.path))?;
    }
    Ok(true)
}

#[cfg(target_os = "linux")]
fn share(target: &File, source: &File) -> bool {
    rustix::fs::ioctl_ficlone(target, source).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn share(_: &File, _: &File) -> bool {
    false
}
