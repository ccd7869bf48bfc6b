//! Making a layout beside its place, so that it appears there whole or not at all.
//!
//! The result holds only the standard names, with modes that do not depend on the umask: the same content is the same
//! folder, byte for byte.

use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::dir::{Dir, FileState};
use crate::layout::{BLOBS, INDEX, LayoutOptions, MARKER};
use crate::scratch::{FOLDER, random};
use crate::{Error, Layout, Result};

/// A layout under construction; see [`LayoutOptions::build`]. Dropped, it is removed.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("out");
/// use transship_layout::Layout;
///
/// let new = Layout::options().build(&path)?;
/// assert!(!path.exists());
/// let layout = new.finish()?;
/// assert_eq!(std::fs::read_dir(&path)?.count(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a layout under construction is removed unless it is finished"]
pub struct NewLayout {
    layout: Layout,
    place: Place,
    finished: bool,
}

/// Where a new layout is made and where it goes.
#[derive(Debug)]
struct Place {
    /// The path as it was given.
    target: PathBuf,
    /// The folder in which it is made.
    parent: Dir,
    /// The folder's path.
    parent_path: PathBuf,
    /// What it is called while it is made.
    temporary: OsString,
    /// What it will be called; `None` when it is made within the target.
    name: Option<OsString>,
}

impl LayoutOptions {
    /// Begins a layout that appears at `path` when it is finished. The path must be free, or an empty folder.
    ///
    /// It is made beside the path, as `.NAME.transship-…`; within it, where that is a folder on another file system than
    /// its parent or in a parent that may not be written.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Absent`] when the parent is missing, [`Error::Full`], [`Error::Storage`].
    pub fn build(&self, path: impl AsRef<Path>) -> Result<NewLayout> {
        let place = Place::choose(path.as_ref())?;
        let made = place.parent_path.join(&place.temporary);
        let create = || {
            std::fs::create_dir(&made).map_err(Error::storage("making the folder", &made))?;
            let layout = self.handle(&made, true)?;
            layout.0.initialize(true)?;
            Ok(layout)
        };
        match create() {
            Ok(layout) => Ok(NewLayout { layout, place, finished: false }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&made);
                Err(error)
            }
        }
    }
}

impl Place {
    fn choose(path: &Path) -> Result<Self> {
        let exists = || Error::Exists { path: path.to_owned() };
        let present = match Dir::open(path) {
            Ok(folder) if folder.is_empty().map_err(Error::storage("reading", path))? => Some(folder),
            Ok(_) => return Err(exists()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => None,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(exists()),
            Err(error) => return Err(Error::storage("opening", path)(error)),
        };
        // Links in the path that was given are followed, so that the rename replaces a folder and no link.
        let real = match present {
            Some(_) => std::fs::canonicalize(path).map_err(Error::storage("opening", path))?,
            None => path.to_owned(),
        };
        let (parent_path, name) = match (real.parent(), real.file_name()) {
            (Some(parent), Some(name)) if parent.as_os_str().is_empty() => (PathBuf::from("."), name),
            (Some(parent), Some(name)) => (parent.to_owned(), name),
            _ => return Err(exists()),
        };
        let parent = match Dir::open(&parent_path) {
            Ok(parent) => parent,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Absent { path: parent_path });
            }
            Err(error) => return Err(Error::storage("opening", parent_path)(error)),
        };
        let target = path.to_owned();
        if let Some(present) = present
            && !can_be_replaced(&parent, &present)
        {
            let temporary = OsString::from(format!("{FOLDER}-{}", random()));
            return Ok(Self { target, parent: present, parent_path: real, temporary, name: None });
        }
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".transship-{}", random()));
        Ok(Self { target, parent, parent_path, temporary, name: Some(name.to_owned()) })
    }

    /// Moves what was made to where it belongs.
    fn fill(&self) -> io::Result<()> {
        let Some(name) = &self.name else {
            let made = self.parent.child(&self.temporary.to_string_lossy())?;
            for part in [MARKER, BLOBS, INDEX] {
                made.move_new(OsStr::new(part), &self.parent)?;
            }
            return self.parent.remove_dir(&self.temporary.to_string_lossy());
        };
        // A folder takes the place of nothing but an empty folder: that is what renaming promises.
        let (from, to) = (self.parent_path.join(&self.temporary), self.parent_path.join(name));
        std::fs::rename(from, to)
    }
}

/// Whether a rename may put another folder in the place of this empty one.
fn can_be_replaced(parent: &Dir, folder: &Dir) -> bool {
    let device = |dir: &Dir| FileState::of(dir).map(|state| state.device).ok();
    device(parent) == device(folder) && parent.may_be_written()
}

impl Deref for NewLayout {
    type Target = Layout;
    fn deref(&self) -> &Layout {
        &self.layout
    }
}

impl NewLayout {
    /// Puts the layout in its place, durably. All sessions must be over.
    ///
    /// # Errors
    /// [`Error::Exists`] when something appeared in its place meanwhile, which is left alone; [`Error::Storage`].
    pub fn finish(mut self) -> Result<Layout> {
        let inner = &self.layout.0;
        let made = self.place.parent_path.join(&self.place.temporary);
        match std::fs::remove_dir_all(made.join(FOLDER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::storage("removing", made.join(FOLDER))(error));
            }
            _ => {}
        }
        if inner.is_durable() {
            inner.root.sync().map_err(Error::storage("syncing", &made))?;
        }
        self.place.fill().map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory => Error::Exists { path: self.place.target.clone() },
            _ => Error::storage("making", &self.place.target)(error),
        })?;
        self.finished = true;
        if inner.is_durable() {
            self.place.parent.sync().map_err(Error::storage("syncing", &self.place.parent_path))?;
        }
        inner.options.open(&self.place.target)
    }
}

impl Drop for NewLayout {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_dir_all(self.place.parent_path.join(&self.place.temporary));
        }
    }
}
