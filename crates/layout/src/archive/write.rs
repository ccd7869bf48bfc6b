//! Writing an archive in one pass over a plan (design law 3).
//!
//! The digests and sizes of all members are known before the first byte, so each has its place in the file: several may be
//! written at the same time, in any order, and nothing is written twice. The order is `oci-layout`, `index.json`,
//! `manifest.json` where it is wanted, documents, then other blobs, both by digest. Mode 0644, no owner, no time, and
//! padding to 10 KiB as tar has it: the same content is the same file.
//!
//! The file gets its name when it is whole; a crash leaves what was there before, and nothing else. Where not everything that
//! was planned came, what did come is copied into a second file.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use transship_spec::{Descriptor, Digest, Verifier};

use super::carry::{At, Carried, carry};
use super::open::ArchiveOptions;
use super::read::{Archive, DOCKER_MANIFEST};
use super::tar::{self, BLOCK};
use crate::blobs::blob_path;
use crate::index::Index;
use crate::layout::{Durability, EMPTY_INDEX, INDEX, MARKER, MARKER_CONTENT};
use crate::scratch::random;
use crate::{Error, IndexEdit, Result};

/// What tars are padded to, in bytes.
const RECORD: u64 = 10 << 10;
/// Bytes that are copied in one go.
const PIECE: usize = 256 << 10;

/// What stands before the blobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The text of `index.json`; see [`edit_index`].
    pub index: Vec<u8>,
    /// The text of `manifest.json`, for `docker load` (IMG-159).
    pub docker: Option<Vec<u8>>,
}

/// The text of an index, changed: that of `before`, or an empty one.
///
/// # Errors
/// Those of `change`; [`Error::Malformed`].
///
/// ```
/// use transship_layout::{Name, archive};
/// use transship_spec::Descriptor;
///
/// let text = archive::edit_index(None, |index| {
///     index.set(&Name::short("nothing")?, &Descriptor::empty()).map(drop)
/// })?;
/// assert!(text.starts_with(br#"{"schemaVersion":2,"#));
/// # Ok::<(), transship_layout::Error>(())
/// ```
pub fn edit_index(
    before: Option<&Archive>,
    change: impl FnOnce(&mut IndexEdit<'_>) -> Result<()>,
) -> Result<Vec<u8>> {
    match before {
        Some(archive) => edit_text(archive.path().join(INDEX), archive.index(), change),
        None => {
            let path = PathBuf::from(INDEX);
            let empty = Index::parse(EMPTY_INDEX.to_vec())
                .map_err(|source| Error::Malformed { path: path.clone(), source })?;
            edit_text(path, &empty, change)
        }
    }
}

pub(super) fn edit_text(
    path: PathBuf,
    index: &Index,
    change: impl FnOnce(&mut IndexEdit<'_>) -> Result<()>,
) -> Result<Vec<u8>> {
    let mut edit = IndexEdit::new(path.clone(), index);
    change(&mut edit)?;
    edit.settle()?;
    let mut text = Vec::with_capacity(index.text.len());
    edit.write(&mut text).map_err(Error::storage("writing", path))?;
    Ok(text)
}

/// What is in the place of an archive: a file, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Option<(u64, u64, u64, std::time::SystemTime)>);

impl Place {
    /// Looks at a path. Something that cannot be looked at is taken for nothing.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let state = path
            .metadata()
            .ok()
            .and_then(|about| Some((about.dev(), about.ino(), about.len(), about.modified().ok()?)));
        Self(state)
    }
}

/// Where the content of a blob has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    at: u64,
    size: u64,
}

/// An archive under construction; see [`ArchiveOptions::create`]. Dropped, it is removed.
///
/// ```
/// use transship_layout::{Archive, Name, archive};
/// use transship_spec::{Descriptor, Digest, MediaType};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("hello.tar");
/// let hello = Descriptor::new(MediaType::parse("text/plain")?, Digest::sha256(b"hello"), 5);
/// let index = archive::edit_index(None, |index| index.set(&Name::short("hello")?, &hello).map(drop))?;
/// let head = archive::Head { index, docker: None };
///
/// let new = Archive::options().create(&path, head.clone(), [hello.clone()])?;
/// let mut member = new.writer(&hello.digest)?;
/// member.push(b"hello")?;
/// member.commit()?;
/// new.finish(head)?;
/// assert_eq!(Archive::options().open(&path)?.resolve(Some("hello"))?.descriptor.size, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an archive under construction is removed unless it is finished"]
pub struct NewArchive {
    target: PathBuf,
    durability: Durability,
    head: Head,
    file: Arc<File>,
    temporary: Temporary,
    slots: BTreeMap<(bool, Digest), Slot>,
    done: Mutex<HashSet<Digest>>,
}

/// A file without a name until it is whole, so that nothing is left of it even after a kill; where the file system cannot
/// have such files, one that is removed unless it is put in its place.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    is_named: bool,
}

impl Temporary {
    fn beside(target: &Path) -> Result<(Self, File)> {
        let name = target
            .file_name()
            .ok_or_else(|| Error::Unsafe { path: target.to_owned(), what: "no name for a file" })?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".transship-{}", random()));
        let path = target.with_file_name(hidden);
        let folder = folder_of(target);
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Mode, OFlags};
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            // By way of /proc it gets its name.
            if Path::new("/proc/self/fd").is_dir()
                && let Ok(file) = rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666))
            {
                return Ok((Self { path, is_named: false }, File::from(file)));
            }
        }
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::Absent { path: folder.to_owned() },
            _ => writing("making", target)(error),
        })?;
        Ok((Self { path, is_named: true }, file))
    }

    /// Puts the file in its place, whatever is there.
    fn rename(mut self, file: &File, target: &Path) -> Result<()> {
        #[cfg(target_os = "linux")]
        if !self.is_named {
            use rustix::fs::{AtFlags, CWD, linkat};
            use std::os::fd::AsRawFd as _;
            // A link cannot take the place of another name, so it gets one of its own first.
            let from = format!("/proc/self/fd/{}", file.as_raw_fd());
            linkat(CWD, from, CWD, &self.path, AtFlags::SYMLINK_FOLLOW)
                .map_err(|error| writing("making", target)(error.into()))?;
            self.is_named = true;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = file;
        std::fs::rename(&self.path, target).map_err(writing("replacing", target))?;
        self.is_named = false;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_named {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An error of writing; a full disk is told apart.
fn writing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let state = rustix::fs::statvfs(folder_of(path)).ok();
            let free = state.as_ref().map(|state| state.f_bavail.saturating_mul(state.f_frsize));
            let inodes = state.is_some_and(|state| state.f_files > 0 && state.f_favail == 0);
            let resource = if inodes { "inodes" } else { "space" };
            Error::Full { path: path.to_owned(), resource, free, source: error }
        }
        _ => Error::from_io(error, doing, path),
    }
}

impl ArchiveOptions {
    /// Begins an archive that appears at `path` when it is finished, in the place of what is there. `blobs` are all that
    /// it is to hold besides its head; of a digest that is named twice the first size counts.
    ///
    /// # Errors
    /// [`Error::Absent`] when the folder is missing, [`Error::Full`], [`Error::Storage`], [`Error::Limit`].
    pub fn create(
        &self,
        path: impl AsRef<Path>,
        head: Head,
        blobs: impl IntoIterator<Item = Descriptor>,
    ) -> Result<NewArchive> {
        let target = path.as_ref();
        // A link in the place of the file leads to where it is written.
        let target = match target.is_symlink() {
            true => target.canonicalize().unwrap_or_else(|_| target.to_owned()),
            false => target.to_owned(),
        };
        let mut sizes: BTreeMap<Digest, (bool, u64)> = BTreeMap::new();
        for blob in blobs {
            let is_blob = !blob.media_type.is_document();
            // What is a document to one is a document.
            let known = sizes.entry(blob.digest).or_insert((is_blob, blob.size));
            known.0 &= is_blob;
        }
        let (temporary, file) = Temporary::beside(&target)?;
        let mut new = NewArchive {
            target,
            durability: self.durability,
            head,
            file: Arc::new(file),
            temporary,
            slots: BTreeMap::new(),
            done: Mutex::default(),
        };
        new.lay_out(sizes)?;
        Ok(new)
    }
}

impl NewArchive {
    /// Gives each blob its place, and writes all headers.
    fn lay_out(&mut self, sizes: BTreeMap<Digest, (bool, u64)>) -> Result<()> {
        // The file has no name yet: the archive's is told.
        let path = self.target.clone();
        let mut front = Vec::new();
        let mut members: Vec<(&str, &[u8])> = vec![(MARKER, MARKER_CONTENT), (INDEX, &self.head.index)];
        if let Some(docker) = &self.head.docker {
            members.push((DOCKER_MANIFEST, docker));
        }
        for (name, content) in members {
            tar::write_header(&mut front, name, content.len() as u64).map_err(writing("writing", &path))?;
            front.extend_from_slice(content);
            front.resize(front.len().next_multiple_of(BLOCK as usize), 0);
        }
        self.file.write_all_at(&front, 0).map_err(writing("writing", &path))?;
        let mut at = front.len() as u64;
        let mut ordered: BTreeMap<(bool, Digest), u64> = BTreeMap::new();
        ordered.extend(sizes.into_iter().map(|(digest, (is_blob, size))| ((is_blob, digest), size)));
        let too_large = || Error::Limit { what: "the size of an archive in bytes", limit: i64::MAX as u64 };
        for (key, size) in ordered {
            let mut header = Vec::with_capacity(BLOCK as usize);
            tar::write_header(&mut header, &blob_path(&key.1), size).map_err(writing("writing", &path))?;
            self.file.write_all_at(&header, at).map_err(writing("writing", &path))?;
            let content = at + header.len() as u64;
            let end = size.checked_next_multiple_of(BLOCK).and_then(|size| content.checked_add(size));
            at = end.filter(|end| *end < i64::MAX as u64 - RECORD).ok_or_else(too_large)?;
            self.slots.insert(key, Slot { at: content, size });
        }
        let whole = (at + 2 * BLOCK).next_multiple_of(RECORD);
        // Padding and end mark are holes until then, and holes are zeros.
        self.file.set_len(whole).map_err(writing("writing", &path))
    }

    fn slot(&self, digest: &Digest) -> Option<Slot> {
        let slot = |is_blob| self.slots.get(&(is_blob, digest.clone()));
        slot(false).or_else(|| slot(true)).copied()
    }

    fn done(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this blob was planned, and is written.
    #[must_use]
    pub fn holds(&self, digest: &Digest) -> bool {
        self.done().contains(digest)
    }

    /// A writer for a blob that was planned. Several may be open at the same time.
    ///
    /// # Errors
    /// [`Error::MissingBlob`] for one that was not planned.
    pub fn writer(&self, digest: &Digest) -> Result<MemberWriter<'_>> {
        let slot = self
            .slot(digest)
            .ok_or_else(|| Error::MissingBlob { path: self.target.clone(), digest: digest.clone() })?;
        let verifier = Verifier::new(digest, Some(slot.size));
        Ok(MemberWriter { archive: self, digest: digest.clone(), at: slot.at, verifier })
    }

    /// Copies a blob from another archive, verified.
    ///
    /// # Errors
    /// As [`Archive::open_blob`] and [`NewArchive::writer`]; those of reading and writing.
    pub fn copy_from(&self, other: &Archive, blob: &Descriptor) -> Result<()> {
        let mut reader = other.section(blob)?;
        let mut writer = self.writer(&blob.digest)?;
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return writer.commit(),
                Ok(count) => writer.push(&piece[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::storage("reading", other.path())(error)),
            }
        }
    }

    /// Carries a blob over from another archive as it is, without a look at it: what was wrong with it there is wrong here.
    /// Where the kernel can, it moves the bytes, and shares them where the file system does.
    ///
    /// # Errors
    /// As [`NewArchive::copy_from`], except that nothing is verified.
    pub fn carry_from(&self, other: &Archive, blob: &Descriptor) -> Result<Carried> {
        let section = other.section(blob)?;
        let (Some(from), Some(slot)) = (section.place(), self.slot(&blob.digest)) else {
            return self.copy_from(other, blob).map(|()| Carried::ByHand);
        };
        if slot.size != blob.size {
            let (digest, expected, actual) = (blob.digest.clone(), slot.size, blob.size);
            return Err(self.wrong(transship_spec::Error::SizeMismatch { digest, expected, actual }));
        }
        let to = At { file: &self.file, offset: slot.at };
        let carried = carry(from, to, slot.size)
            .map_err(writing("writing", &self.target))?
            .map_err(Error::storage("reading", other.path()))?;
        self.done().insert(blob.digest.clone());
        Ok(carried)
    }

    /// Puts the archive in its place. Blobs that were planned and did not come are left out, and so must `head` do.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Storage`]; what was there before is there still.
    pub fn finish(self, head: Head) -> Result<()> {
        self.put(head, None)
    }

    /// As [`NewArchive::finish`], but only in the place of what [`Place::of`] saw there, so that of two programs that add to
    /// one archive neither takes away what the other has added.
    ///
    /// # Errors
    /// [`Error::Replaced`] when something else is there; as there.
    pub fn finish_over(self, head: Head, before: &Place) -> Result<()> {
        self.put(head, Some(before))
    }

    fn put(self, head: Head, before: Option<&Place>) -> Result<()> {
        let is_whole = {
            let done = self.done();
            self.slots.keys().all(|(_, digest)| done.contains(digest)) && head == self.head
        };
        let new = if is_whole { self } else { self.without_gaps(head)? };
        let NewArchive { target, durability, file, temporary, .. } = new;
        if durability == Durability::Full {
            file.sync_all().map_err(writing("syncing", &target))?;
        }
        // Programs like this one wait for each other. Where folders cannot be locked, the look at what is there must do.
        let folder = File::open(folder_of(&target)).ok().filter(|folder| folder.lock().is_ok());
        if before.is_some_and(|before| *before != Place::of(&target)) {
            return Err(Error::Replaced { path: target });
        }
        temporary.rename(&file, &target)?;
        drop(folder);
        if durability == Durability::Full {
            let folder = folder_of(&target);
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(Error::storage("syncing", folder))?;
        }
        Ok(())
    }

    /// Another archive that holds only what came.
    fn without_gaps(&self, head: Head) -> Result<Self> {
        let (temporary, file) = Temporary::beside(&self.target)?;
        let mut new = Self {
            target: self.target.clone(),
            durability: self.durability,
            head,
            file: Arc::new(file),
            temporary,
            slots: BTreeMap::new(),
            done: Mutex::default(),
        };
        let done = self.done();
        let came = self.slots.iter().filter(|((_, digest), _)| done.contains(digest));
        new.lay_out(came.map(|((is_blob, digest), slot)| (digest.clone(), (*is_blob, slot.size))).collect())?;
        for (key, to) in &new.slots {
            let Some(from) = self.slots.get(key) else { continue };
            let (source, target) =
                (At { file: &self.file, offset: from.at }, At { file: &new.file, offset: to.at });
            carry(source, target, from.size)
                .and_then(|carried| carried)
                .map_err(writing("writing", &new.target))?;
        }
        Ok(new)
    }
}

/// Writes one blob of an archive to its place; hashed on the way.
#[derive(Debug)]
#[must_use = "a blob is not there before it is committed"]
pub struct MemberWriter<'a> {
    archive: &'a NewArchive,
    digest: Digest,
    at: u64,
    verifier: Verifier,
}

impl MemberWriter<'_> {
    /// Writes the next piece.
    ///
    /// # Errors
    /// [`Error::Content`] as soon as more comes than was planned, [`Error::Full`], [`Error::Storage`].
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        self.verifier.update(piece).map_err(|source| self.archive.wrong(source))?;
        let path = &self.archive.target;
        self.archive.file.write_all_at(piece, self.at).map_err(writing("writing", path))?;
        self.at += piece.len() as u64;
        Ok(())
    }

    /// Ends the blob, which is what its digest says.
    ///
    /// # Errors
    /// [`Error::Content`].
    pub fn commit(self) -> Result<()> {
        let Self { archive, digest, verifier, .. } = self;
        verifier.finish().map_err(|source| archive.wrong(source))?;
        archive.done().insert(digest);
        Ok(())
    }
}

impl NewArchive {
    fn wrong(&self, source: transship_spec::Error) -> Error {
        Error::Content { path: self.target.clone(), source }
    }
}
