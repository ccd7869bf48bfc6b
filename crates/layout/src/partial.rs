//! Downloads that can go on: what was received of a blob, kept across sessions and processes.
//!
//! The file `.transship/partial/<algorithm>-<encoded>` is locked while it is in use. What it holds is hashed when it is
//! opened, and nothing in it counts before the whole blob was found right.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::sync::Arc;

use transship_spec::{Descriptor, Digest, Verifier};

use crate::blobs::{PIECE, blob_path};
use crate::dir::{Dir, FileState};
use crate::ingest::{Ingest, Whole, Written};
use crate::layout::Inner;
use crate::scratch::{FOLDER, Scratch};
use crate::{Error, Result};

/// Removes downloads of blobs that came in another way. Best effort: what stays costs room and nothing else.
pub(crate) fn sweep(inner: &Inner) {
    let Some(folder) = Scratch::new(inner).existing("partial") else { return };
    let Ok(names) = folder.names() else { return };
    for name in names.flatten().filter_map(|name| name.into_string().ok()) {
        let Ok(digest) = Digest::parse(&name.replacen('-', ":", 1)) else { continue };
        if !matches!(inner.read(&blob_path(&digest)), Ok(Some(_))) {
            continue;
        }
        // Whoever has it in hand finishes it.
        if let Ok(file) = folder.open_existing(&name)
            && file.try_lock().is_ok()
        {
            if is_named(&folder, &name, &file).is_ok_and(|named| named) {
                let _ = folder.remove_file(&name);
            }
            let _ = file.unlock();
        }
    }
}

/// Whether the name still stands for this file, which may have been finished before it was locked.
fn is_named(folder: &Dir, name: &str, file: &File) -> io::Result<bool> {
    let state = FileState::of(file)?;
    Ok(folder.state(name)?.is_some_and(|named| named.is_same_inode(&state)))
}

/// A download under way that survives its process. Dropped, it is kept, unless it holds nothing.
#[derive(Debug)]
#[must_use = "what was received counts only once it is committed"]
pub struct Partial {
    ingest: Arc<Ingest>,
    folder: Arc<Dir>,
    name: String,
    file: File,
    expected: Descriptor,
    verifier: Verifier,
    settled: bool,
}

impl Partial {
    pub(crate) fn open(ingest: &Arc<Ingest>, expected: &Descriptor) -> Result<Option<Self>> {
        let name = format!("{}-{}", expected.digest.algorithm(), expected.digest.encoded());
        loop {
            let opened = Scratch::new(ingest.inner())
                .with("partial", &name, |folder| folder.open_or_create(&name, false));
            let (folder, file) = opened?;
            match file.try_lock() {
                Ok(()) => {}
                // Without locks only a promised single writer can be sure that nobody else has it in hand.
                Err(TryLockError::Error(_)) if ingest.inner().options.single_writer => {}
                Err(_) => return Ok(None),
            }
            let reading =
                || Error::storage("reading", ingest.inner().path.join(FOLDER).join("partial").join(&name));
            if !is_named(&folder, &name, &file).map_err(reading())? {
                // It was finished while we waited for nobody: look again.
                continue;
            }
            let size = FileState::of(&file).map_err(reading())?.size;
            let verifier = Verifier::new(&expected.digest, Some(expected.size));
            let (ingest, expected) = (ingest.clone(), expected.clone());
            let mut partial =
                Self { ingest, folder: Arc::new(folder), name, file, expected, verifier, settled: false };
            partial.take_stock(size)?;
            return Ok(Some(partial));
        }
    }

    /// Hashes what is held. More than the whole blob is of no use.
    fn take_stock(&mut self, size: u64) -> Result<()> {
        if size > self.expected.size {
            return self.restart();
        }
        let mut piece = vec![0; PIECE];
        loop {
            match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    if self.verifier.update(&piece[..count]).is_err() {
                        return self.restart();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error, "reading")),
            }
        }
    }

    /// Bytes held so far: where the download goes on.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.verifier.seen()
    }

    /// Forgets what is held, and begins anew.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn restart(&mut self) -> Result<()> {
        self.verifier = Verifier::new(&self.expected.digest, Some(self.expected.size));
        let cut = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cut.map(drop).map_err(|error| self.failed(error, "writing"))
    }

    /// Writes the next piece whole.
    ///
    /// # Errors
    /// [`Error::Content`] at the first byte more than expected, [`Error::Full`], [`Error::Storage`].
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        // A piece is counted only when it is in the file, so that `held` stays true after a failure.
        let mut verifier = self.verifier.clone();
        verifier.update(piece).map_err(|source| self.wrong(source))?;
        let start = self.verifier.seen();
        if let Err(error) = self.file.write_all(piece) {
            let _ = self.file.set_len(start);
            let _ = self.file.seek(SeekFrom::Start(start));
            return Err(self.failed(error, "writing"));
        }
        self.verifier = verifier;
        Ok(())
    }

    /// Checks the whole blob and puts it in its place.
    ///
    /// # Errors
    /// [`Error::Content`] when it is short, which keeps it, or when its digest is wrong, which removes it;
    /// [`Error::Full`], [`Error::Storage`], [`Error::Unsafe`].
    pub fn commit(mut self) -> Result<Written> {
        if let Err(source) = self.verifier.clone().finish() {
            if self.held() == self.expected.size {
                self.settled = true;
                let _ = self.folder.remove_file(&self.name);
            }
            return Err(self.wrong(source));
        }
        self.settled = true;
        let digest = self.expected.digest.clone();
        let mut whole = Whole::new(self.folder.clone(), self.name.clone(), digest, self.expected.size);
        whole.is_shared = true;
        self.ingest.place(whole, &self.file)
    }

    /// Leaves what is held for another time.
    pub fn keep(self) {}

    fn wrong(&self, source: transship_spec::Error) -> Error {
        Error::Content { path: self.path(), source }
    }

    fn failed(&self, error: io::Error, doing: &'static str) -> Error {
        self.ingest.inner().full(error, &self.path(), doing)
    }

    fn path(&self) -> std::path::PathBuf {
        self.ingest.inner().path.join(FOLDER).join("partial").join(&self.name)
    }
}

impl Write for Partial {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.push(piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.settled && self.held() == 0 {
            let _ = self.folder.remove_file(&self.name);
        }
        // Closing is not enough: a child process that is just being started has the file open too.
        let _ = self.file.unlock();
    }
}
