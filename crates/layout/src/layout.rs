//! Opening and making layouts.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use transship_spec::json;

use crate::dir::{Dir, FileState, Links, Opened, Refusal};
use crate::lock::Lock;
use crate::scratch::Scratch;
use crate::verified::Stamps;
use crate::{Error, Result};

/// The name of the marker file (IMG-02).
pub(crate) const MARKER: &str = "oci-layout";
/// The name of the index (IMG-05).
pub(crate) const INDEX: &str = "index.json";
/// The name of the folder of blobs (IMG-01).
pub(crate) const BLOBS: &str = "blobs";

pub(crate) const MARKER_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
pub(crate) const EMPTY_INDEX: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
/// More than any marker needs (IMG-04 lets it have fields of its own).
pub(crate) const MAX_MARKER: u64 = 64 << 10;
/// Whoever is making a layout holds its lock, and is waited for there; only a few steps before that can be met half done.
const TRIES: usize = 10;

/// How hard to try that what was reported done survives a loss of power (design law 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Everything is on the disk before it is named.
    #[default]
    Full,
    /// Names change as safely, but the system may lose the newest content with the power.
    None,
}

/// How a layout is opened. Settings first, then one of the verbs.
#[derive(Debug, Clone)]
#[must_use = "nothing is opened before one of open, open_read_only, create, open_or_create and build"]
pub struct LayoutOptions {
    pub(crate) links: Links,
    pub(crate) durability: Durability,
    pub(crate) single_writer: bool,
    pub(crate) lock_wait: Duration,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self {
            links: Links::default(),
            durability: Durability::default(),
            single_writer: false,
            lock_wait: Duration::from_secs(30),
        }
    }
}

impl LayoutOptions {
    /// What reading does with links below the root. Writing never goes through one.
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// How hard to try that content survives a loss of power.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Writes also where the file system has no locks. The caller promises that nothing else writes there.
    pub fn single_writer(mut self, single: bool) -> Self {
        self.single_writer = single;
        self
    }

    /// How long to wait for the lock; 30 seconds unless told.
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Opens a layout for reading. Nothing is written or locked, so that this works on read-only media.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::NotALayout`], [`Error::Version`], [`Error::Unsafe`], [`Error::Storage`].
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<Layout> {
        self.opened(path.as_ref(), false)
    }

    /// Opens a layout for reading and writing. Nothing is written before a session begins.
    ///
    /// # Errors
    /// As [`LayoutOptions::open_read_only`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Layout> {
        self.opened(path.as_ref(), true)
    }

    /// Makes an empty layout in a folder that is empty or not there yet.
    ///
    /// # Errors
    /// [`Error::Exists`] when something is there, [`Error::Storage`], [`Error::Busy`].
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Layout> {
        let path = path.as_ref();
        let made = !path.exists();
        std::fs::create_dir_all(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::NotADirectory => {
                Error::Exists { path: path.to_owned() }
            }
            _ => Error::storage("making the folder", path)(error),
        })?;
        let layout = self.handle(path, true)?;
        if !layout.is_blank()? {
            return Err(Error::Exists { path: path.to_owned() });
        }
        layout.0.initialize(made)?;
        Ok(layout)
    }

    /// Opens the layout that is there, or makes an empty one.
    ///
    /// # Errors
    /// As [`LayoutOptions::open`] and [`LayoutOptions::create`].
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<Layout> {
        self.open_or_create_watched(path.as_ref(), &mut || {})
    }

    /// `between` is called after each look that found no layout; tests interleave there.
    fn open_or_create_watched(&self, path: &Path, between: &mut dyn FnMut()) -> Result<Layout> {
        // Another process may be making the same layout: half of it is no layout, and no empty folder either.
        for _ in 0..TRIES {
            match self.open(path) {
                Err(Error::Absent { .. } | Error::NotALayout { .. }) => {
                    between();
                    match self.create(path) {
                        Err(Error::Exists { .. }) => {}
                        made => return made,
                    }
                }
                opened => return opened,
            }
        }
        // There is something else, of which `open` tells more.
        self.open(path)
    }

    fn opened(&self, path: &Path, writable: bool) -> Result<Layout> {
        let layout = self.handle(path, writable)?;
        layout.0.check_marker()?;
        layout.0.check_parts()?;
        Ok(layout)
    }

    pub(crate) fn handle(&self, path: &Path, writable: bool) -> Result<Layout> {
        let root = Dir::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Absent { path: path.to_owned() },
            std::io::ErrorKind::NotADirectory => {
                Error::NotALayout { path: path.to_owned(), reason: "it is not a folder".to_owned() }
            }
            _ => Error::storage("opening", path)(error),
        })?;
        Ok(Layout(Arc::new(Inner {
            root,
            path: path.to_owned(),
            options: self.clone(),
            writable,
            stamps: Stamps::default(),
        })))
    }
}

/// An image layout on disk.
///
/// Cheap to clone, and usable from several threads. The root is held open: renaming the folder does not disturb it.
///
/// ```
/// use transship_layout::{Layout, Name};
/// use transship_spec::MediaType;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("layout");
/// let layout = Layout::options().create(&path)?;
/// let session = layout.begin()?;
/// let note = session.put_bytes(MediaType::parse("text/plain")?, b"hello")?;
/// session.commit(|index| index.set(&Name::short("note")?, &note).map(drop))?;
///
/// let entry = layout.resolve(Some("note"))?;
/// assert_eq!(entry.descriptor.size, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Layout(pub(crate) Arc<Inner>);

/// What all clones of a [`Layout`] share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) root: Dir,
    pub(crate) path: PathBuf,
    pub(crate) options: LayoutOptions,
    pub(crate) writable: bool,
    pub(crate) stamps: Stamps,
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layout").field(&self.0.path).finish()
    }
}

impl Layout {
    /// The settings to open layouts with.
    pub fn options() -> LayoutOptions {
        LayoutOptions::default()
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether the layout was opened for writing.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.0.writable
    }

    /// The layout that is at the path now, opened as this one was: another one if the folder was replaced.
    ///
    /// # Errors
    /// As [`LayoutOptions::open`].
    pub fn reopen(&self) -> Result<Self> {
        self.0.options.opened(&self.0.path, self.0.writable)
    }

    /// Whether the folder is empty, or holds only what a creation that was cut short left.
    fn is_blank(&self) -> Result<bool> {
        let inner = &self.0;
        let reading = || Error::storage("reading", &inner.path);
        for name in inner.root.names().map_err(reading())? {
            let name = name.map_err(reading())?;
            let known = [MARKER, BLOBS, crate::scratch::FOLDER].iter().any(|known| name == *known);
            if !known {
                return Ok(false);
            }
        }
        if inner.root.state(MARKER).map_err(reading())?.is_some() && inner.check_marker().is_err() {
            return Ok(false);
        }
        match inner.root.child(BLOBS) {
            Err(error) => Ok(error.kind() == std::io::ErrorKind::NotFound),
            Ok(blobs) => match blobs.child("sha256") {
                Err(_) => blobs.is_empty().map_err(reading()),
                Ok(sha256) => sha256.is_empty().map_err(reading()),
            },
        }
    }
}

impl Inner {
    /// The path of something in the layout, for messages.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.options.durability == Durability::Full
    }

    pub(crate) fn must_be_writable(&self) -> Result<()> {
        if self.writable { Ok(()) } else { Err(Error::ReadOnly { path: self.path.clone() }) }
    }

    /// Opens a regular file of the layout by the links policy; `None` where there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Opened>> {
        match self.root.read(name, self.options.links) {
            Ok(opened) => Ok(Some(opened)),
            Err(Refusal::Io(error)) if is_absence(&error) => Ok(None),
            Err(refusal) => Err(self.refused(name, refusal)),
        }
    }

    pub(crate) fn refused(&self, name: &str, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Unsafe(what) => Error::Unsafe { path: self.at(name), what },
            Refusal::Io(error) => Error::storage("opening", self.at(name))(error),
        }
    }

    /// The folder `name` of `parent` for writing, made where it is missing; `true` when it was made.
    pub(crate) fn folder(&self, parent: &Dir, name: &str, shown: &str) -> Result<(Dir, bool)> {
        parent.ensure(name).map_err(|error| match parent.state(name) {
            Ok(Some(FileState { kind: rustix::fs::FileType::Symlink, .. })) => {
                Error::Unsafe { path: self.at(shown), what: "a link, which is never written through" }
            }
            _ => Error::storage("making the folder", self.at(shown))(error),
        })
    }

    /// Writes marker, `blobs` and index, in this order, unless another process has. A folder that we made gets its mode.
    pub(crate) fn initialize(&self, made: bool) -> Result<()> {
        let scratch = Scratch::new(self);
        let lock = Lock::take(self)?;
        if self.root.state(INDEX).map_err(Error::storage("reading", self.at(INDEX)))?.is_some() {
            return Err(Error::Exists { path: self.path.clone() });
        }
        if made {
            self.root.set_mode(0o755).map_err(Error::storage("setting the mode of", &self.path))?;
        }
        if self.root.state(MARKER).map_err(Error::storage("reading", self.at(MARKER)))?.is_none() {
            self.replace(MARKER, "marker", |file| file.write_all(MARKER_CONTENT))?;
        }
        let (blobs, _) = self.folder(&self.root, BLOBS, BLOBS)?;
        self.folder(&blobs, "sha256", "blobs/sha256")?;
        if self.is_durable() {
            blobs.sync().map_err(Error::storage("syncing", self.at(BLOBS)))?;
        }
        self.replace(INDEX, "first-index", |file| file.write_all(EMPTY_INDEX))?;
        if self.is_durable() {
            self.root.sync().map_err(Error::storage("syncing", &self.path))?;
            if made && let Ok(parent) = self.root.child("..") {
                parent.sync().map_err(Error::storage("syncing the parent of", &self.path))?;
            }
        }
        scratch.tidy(&lock);
        Ok(())
    }

    /// Writes a file of the root anew: temporary file, sync, rename. The caller syncs the root.
    pub(crate) fn replace(
        &self,
        name: &str,
        temporary: &str,
        write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
    ) -> Result<()> {
        self.write_beside(temporary, write)?.rename(name)
    }

    /// The first half of [`Inner::replace`]: the content is there and durable, the name is not changed yet.
    pub(crate) fn write_beside(
        &self,
        temporary: &str,
        write: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
    ) -> Result<Beside<'_>> {
        let name = format!("{temporary}-{}", crate::scratch::random());
        let (folder, mut file) = Scratch::new(self).create("tmp", &name)?;
        let shown = self.at(&format!(".transship/tmp/{name}"));
        let beside = Beside { inner: self, folder, name, renamed: false };
        write(&mut file).map_err(|error| self.full(error, &shown, "writing"))?;
        if self.is_durable() {
            file.sync_all().map_err(|error| self.full(error, &shown, "syncing"))?;
        }
        Ok(beside)
    }

    /// An error of writing; a full disk is told apart, with what is free.
    pub(crate) fn full(&self, error: std::io::Error, path: &Path, doing: &'static str) -> Error {
        use std::io::ErrorKind as Io;
        if !matches!(error.kind(), Io::StorageFull | Io::QuotaExceeded) {
            return Error::from_io(error, doing, path);
        }
        let stat = rustix::fs::fstatvfs(&self.root).ok();
        let free = stat.as_ref().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        let inodes = stat.as_ref().is_some_and(|stat| stat.f_files > 0 && stat.f_favail == 0);
        let resource = if inodes { "inodes" } else { "space" };
        Error::Full { path: path.to_owned(), resource, free, source: error }
    }

    fn check_marker(&self) -> Result<()> {
        let not = |reason: String| Error::NotALayout { path: self.path.clone(), reason };
        let Some(opened) = self.read(MARKER)? else { return Err(not("it has no file oci-layout".into())) };
        let mut content = Vec::new();
        let file = std::fs::File::from(opened.fd);
        file.take(MAX_MARKER + 1)
            .read_to_end(&mut content)
            .map_err(Error::storage("reading", self.at(MARKER)))?;
        if content.len() as u64 > MAX_MARKER {
            return Err(Error::Limit { what: "the size of oci-layout in bytes", limit: MAX_MARKER });
        }
        check_marker(&content, &self.path)
    }

    /// Index and blobs must be there; whether they are well-formed is told when they are read.
    fn check_parts(&self) -> Result<()> {
        let not = |reason: &str| Error::NotALayout { path: self.path.clone(), reason: reason.to_owned() };
        if self.read(INDEX)?.is_none() {
            return Err(not("it has no index.json"));
        }
        match self.root.folder(BLOBS, self.options.links) {
            Ok(_) => Ok(()),
            Err(Refusal::Io(error)) if is_absence(&error) => Err(not("it has no folder blobs")),
            Err(refusal) => Err(self.refused(BLOBS, refusal)),
        }
    }
}

/// Content that waits, whole and durable, for its name. Dropped, it is removed.
pub(crate) struct Beside<'a> {
    inner: &'a Inner,
    folder: Dir,
    name: String,
    renamed: bool,
}

impl Beside<'_> {
    pub(crate) fn rename(self, name: &str) -> Result<()> {
        let root = &self.inner.root;
        self.rename_into(root, name)
    }

    pub(crate) fn rename_into(mut self, folder: &Dir, name: &str) -> Result<()> {
        let inner = self.inner;
        self.folder
            .rename(&self.name, folder, name)
            .map_err(|error| inner.full(error, &inner.at(name), "replacing"))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // The next session sweeps what cannot be removed now.
            let _ = self.folder.remove_file(&self.name);
        }
    }
}

/// Whether an error of opening says that nothing is there; also where a file stands in for a folder.
pub(crate) fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Whether the content of `oci-layout` says that this is a layout that we know (IMG-02…04).
pub(crate) fn check_marker(content: &[u8], path: &Path) -> Result<()> {
    let not = |reason: &str| Error::NotALayout { path: path.to_owned(), reason: reason.to_owned() };
    json::validate(content).map_err(|source| Error::Malformed { path: path.join(MARKER), source })?;
    let members =
        json::members(content, 0..content.len()).map_err(|_| not("its oci-layout is not a JSON object"))?;
    let version = members
        .iter()
        .find(|member| member.name == "imageLayoutVersion")
        .ok_or_else(|| not("its oci-layout has no imageLayoutVersion"))?;
    let version: String = serde_json::from_slice(&content[version.value.clone()])
        .map_err(|_| not("the imageLayoutVersion in its oci-layout is not a text"))?;
    if version == "1.0.0" { Ok(()) } else { Err(Error::Version { path: path.to_owned(), version }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_17_a_layout_that_another_process_is_only_beginning_to_make_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layout");
        let mut looks = 0;
        let opened = Layout::options().open_or_create_watched(&path, &mut || {
            looks += 1;
            if looks == 1 {
                // No empty folder any more, and no layout yet: it has come between our look and our making it.
                std::fs::create_dir_all(path.join("blobs/sha256")).unwrap();
                std::fs::write(path.join("blobs/sha256").join("a".repeat(64)), "").unwrap();
            } else {
                std::fs::write(path.join(MARKER), MARKER_CONTENT).unwrap();
                std::fs::write(path.join(INDEX), EMPTY_INDEX).unwrap();
            }
        });
        assert!(opened.unwrap().entries().unwrap().is_empty());
        assert_eq!(looks, 2);
    }

    #[test]
    fn a_folder_of_something_else_is_no_layout_however_often_it_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("letter.txt"), "").unwrap();
        let mut looks = 0;
        let opened = Layout::options().open_or_create_watched(folder.path(), &mut || looks += 1);
        assert!(matches!(opened, Err(Error::NotALayout { .. })));
        assert_eq!(looks, TRIES);
    }
}
