//! Where a tree is made and where it goes: beside its place, so that it appears there whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{
    Access, AtFlags, CWD, Mode, OFlags, RenameFlags, Stat, accessat, fchmod, fstat, fsync, mkdirat, openat,
    renameat, renameat_with, statat, syncfs, unlinkat,
};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::remove::{self, open_folder};
use crate::Error;

/// What is put behind the name of the folder while it is made, after a dot before it.
const SUFFIX: &str = ".transship-unpack";
/// Another process may remove what an earlier one left, but not for ever.
const TRIES: usize = 100;

/// A tree that is being made; see [`Rootfs::begin`]. Dropped, it is removed.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("rootfs");
/// let rootfs = transship_pack::Rootfs::begin(&path)?;
/// assert!(rootfs.path().ends_with(".rootfs.transship-unpack") && !path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a tree that is not unpacked to is removed"]
pub struct Rootfs {
    target: PathBuf,
    /// The folder in which it is made, and its path.
    parent: OwnedFd,
    parent_path: PathBuf,
    temporary: OsString,
    /// What it will be called; nothing where its content is moved into the folder in which it is made.
    name: Option<OsString>,
    /// Locked as long as it is made.
    folder: File,
    /// Whether the folder in which its content appears may hold other things.
    among: bool,
    finished: bool,
}

impl Rootfs {
    /// Begins a tree that appears at `path` when it is whole. The path must be free, or an empty folder; its parent must be
    /// there.
    ///
    /// The tree is made beside the path, as `.NAME.transship-unpack`; within it, as `.transship-unpack`, where that is a
    /// folder on another file system than its parent or in a parent that may not be written: then its content is moved up at
    /// the end, name by name, and whoever is killed in that moment leaves both. What a run that was killed left by that
    /// name is removed.
    ///
    /// # Errors
    /// [`Error::Occupied`] when something is there, [`Error::Busy`] when another process unpacks to it, [`Error::Tree`].
    pub fn begin(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::at(path.as_ref(), false)
    }

    /// The same for what may appear beside what is in the folder already: nothing of it is replaced, and the folder keeps
    /// the attributes that it has.
    ///
    /// # Errors
    /// As [`Rootfs::begin`]; what is in the way is told only when all is made.
    pub(crate) fn among(path: &Path) -> Result<Self, Error> {
        Self::at(path, true)
    }

    fn at(path: &Path, among: bool) -> Result<Self, Error> {
        let present = match openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(folder) => Some(folder),
            Err(Errno::NOENT) if path.symlink_metadata().is_err() => None,
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(Error::Occupied(path.to_owned())),
            Err(error) => return Err(Error::tree(path, error)),
        };
        // Links in the path that was given are followed, so that the rename replaces a folder and no link.
        let real = match present {
            Some(_) => path.canonicalize().map_err(|error| Error::tree(path, error))?,
            None => path.to_owned(),
        };
        let (parent_path, name) = match (real.parent(), real.file_name()) {
            (Some(parent), Some(name)) if parent.as_os_str().is_empty() => (PathBuf::from("."), name),
            (Some(parent), Some(name)) => (parent.to_owned(), name),
            _ => return Err(Error::Occupied(path.to_owned())),
        };
        let parent = openat(CWD, &parent_path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| Error::tree(&parent_path, error))?;
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(SUFFIX);
        let mut place = (parent, parent_path, temporary, Some(name.to_owned()));
        if let Some(present) = present {
            let within =
                among || !can_be_replaced(&place.0, &present).map_err(|error| Error::tree(path, error))?;
            if within {
                place = (present, real, OsString::from(SUFFIX), None);
            }
            if !among {
                check_empty(path, &place.2, within)?;
            }
        }
        let (parent, parent_path, temporary, name) = place;
        let folder = claim(&parent, &temporary).map_err(|why| match why {
            Unclaimed::Busy => Error::Busy(path.to_owned()),
            Unclaimed::System(error) => Error::tree(&parent_path.join(&temporary), error),
        })?;
        let target = path.to_owned();
        Ok(Self { target, parent, parent_path, temporary, name, folder, among, finished: false })
    }

    /// Where it is made.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.parent_path.join(&self.temporary)
    }

    /// Where it will be.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The folder itself, and the bits that the system takes from modes of what is made in it.
    pub(crate) fn open(&self) -> Result<(OwnedFd, u32), Error> {
        let opened = || -> Result<_, Errno> {
            let folder = fcntl_dupfd_cloexec(&self.folder, 0)?;
            // Rights that a parent hands down would be those of the image, too.
            let _ = rustix::fs::fremovexattr(&folder, "system.posix_acl_default");
            let umask = 0o777 & !fstat(&folder)?.st_mode;
            let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
            rustix::fs::fchown(&folder, Some(uid), Some(gid))?;
            // Nobody else comes in until all is as it should be.
            fchmod(&folder, Mode::RWXU)?;
            Ok((folder, umask))
        };
        opened().map_err(|error| Error::tree(&self.path(), error))
    }

    /// Waits until all of it is on disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        syncfs(&self.folder).map_err(|error| Error::tree(&self.path(), error))
    }

    /// Puts the tree in its place.
    pub(crate) fn finish(mut self, durable: bool) -> Result<(), Error> {
        let moved = match &self.name {
            // A folder takes the place of nothing but an empty folder: that is what renaming promises.
            Some(name) => renameat(&self.parent, &self.temporary, &self.parent, name),
            None => {
                self.check_free()?;
                self.pour()
            }
        };
        moved.map_err(|error| match error {
            Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR => Error::Occupied(self.target.clone()),
            error => Error::tree(&self.target, error),
        })?;
        self.finished = true;
        if durable {
            fsync(&self.parent).map_err(|error| Error::tree(&self.parent_path, error))?;
        }
        Ok(())
    }

    /// Whether nothing is in the way, so that all of it appears or none.
    fn check_free(&self) -> Result<(), Error> {
        let names = || remove::names(&fcntl_dupfd_cloexec(&self.folder, 0)?, usize::MAX);
        for (name, _) in names().map_err(|error| Error::tree(&self.path(), error))? {
            if statat(&self.parent, &*name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                return Err(Error::InTheWay(self.target.join(OsStr::from_bytes(&name))));
            }
        }
        Ok(())
    }

    /// Moves all that is in the tree into the folder in which it was made, and gives that what the tree has.
    fn pour(&self) -> Result<(), Errno> {
        let inner = fcntl_dupfd_cloexec(&self.folder, 0)?;
        let top = fstat(&inner)?;
        for (name, _) in remove::names(&inner, usize::MAX)? {
            renameat_with(&inner, &*name, &self.parent, &*name, RenameFlags::NOREPLACE)?;
        }
        unlinkat(&self.parent, &self.temporary, AtFlags::REMOVEDIR)?;
        if self.among {
            return Ok(());
        }
        rustix::fs::fchown(
            &self.parent,
            Some(rustix::fs::Uid::from_raw(top.st_uid)),
            Some(rustix::fs::Gid::from_raw(top.st_gid)),
        )?;
        fchmod(&self.parent, Mode::from_raw_mode(top.st_mode & 0o7777))?;
        let nanos = i64::try_from(top.st_mtime_nsec).unwrap_or(0);
        let time =
            crate::tarball::read::Time { seconds: top.st_mtime, nanos: u32::try_from(nanos).unwrap_or(0) };
        rustix::fs::futimens(&self.parent, &super::attributes::timestamps(time))
    }
}

impl Drop for Rootfs {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the next run removes what is left.
            let _ = remove::remove(&self.parent, self.temporary.as_bytes());
        }
    }
}

/// Whether a rename may put another folder in the place of this empty one.
fn can_be_replaced(parent: &OwnedFd, folder: &OwnedFd) -> Result<bool, Errno> {
    let is_writable = accessat(parent, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok();
    Ok(is_writable && fstat(parent)?.st_dev == fstat(folder)?.st_dev)
}

/// Refuses a folder that holds anything but what an earlier run left.
fn check_empty(path: &Path, temporary: &OsStr, within: bool) -> Result<(), Error> {
    let entries = path.read_dir().map_err(|error| Error::tree(path, error))?;
    for entry in entries {
        let name = entry.map_err(|error| Error::tree(path, error))?.file_name();
        if !(within && name == temporary) {
            return Err(Error::Occupied(path.to_owned()));
        }
    }
    Ok(())
}

enum Unclaimed {
    Busy,
    System(io::Error),
}

impl From<Errno> for Unclaimed {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

/// Makes the folder, after what nobody uses any more was removed, and locks it.
fn claim(parent: &OwnedFd, name: &OsStr) -> Result<File, Unclaimed> {
    for _ in 0..TRIES {
        let is_new = match mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let folder = match open_folder(parent, name.as_bytes()) {
            Ok(folder) => File::from(folder),
            // Removed by another process that begins now.
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        let locked = match folder.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Err(Unclaimed::Busy),
            // Without locks nobody can tell whether what was there is still used.
            Err(TryLockError::Error(error)) if !is_new => return Err(Unclaimed::System(error)),
            Err(TryLockError::Error(_)) => false,
        };
        let here = fstat(&folder)?;
        let is_named =
            statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|named| is_same(&named, &here));
        if !is_named {
            continue;
        }
        if is_new {
            return Ok(folder);
        }
        if here.st_uid != rustix::process::geteuid().as_raw() {
            return Err(Errno::PERM.into());
        }
        debug_assert!(locked);
        remove::remove(parent.as_fd(), name.as_bytes())?;
    }
    Err(Unclaimed::Busy)
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}
