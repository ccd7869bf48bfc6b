//! A folder held open, and everything done beneath it by name (design law 7).
//!
//! All access to a layout goes through here. Names are looked up relative to a handle, so that renaming or replacing
//! a folder above does not move us elsewhere. Writing never goes through a symbolic link; reading does as
//! [`Links`] says. Only regular files are ever read: FIFOs, folders, devices and sockets are refused without waiting.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

/// What reading does with symbolic links below a layout's root. (Links in the path to the root are always followed.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// A link may end only beneath the root.
    #[default]
    Inside,
    /// A link may end anywhere, at a regular file: for the sandboxes of build systems, whose inputs are links.
    Follow,
    /// No links at all.
    Refuse,
}

/// Another process may remove a folder just made, but not for ever.
const ENSURE_TRIES: usize = 100;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);
/// As many links as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// A file or folder that was opened for reading.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) fd: OwnedFd,
    pub(crate) state: FileState,
    /// It was reached through a link that leaves the root.
    pub(crate) outside: bool,
}

/// Why nothing was opened for reading.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What lies there, in the words of [`crate::Error::Unsafe`].
    Unsafe(&'static str),
    Io(io::Error),
}

/// What `stat` says about a file, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) kind: FileType,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified: i64,
    pub(crate) changed: i64,
}

impl FileState {
    pub(crate) fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(Self::from(&rustix::fs::fstat(file)?))
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    pub(crate) fn is_link(&self) -> bool {
        self.kind == FileType::Symlink
    }

    pub(crate) fn is_same_inode(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether nobody has written to the file between the two; names it may have got or lost.
    pub(crate) fn is_same_content(&self, other: &Self) -> bool {
        self.is_same_inode(other) && (self.size, self.modified) == (other.size, other.modified)
    }
}

#[expect(clippy::unnecessary_cast, reason = "the types differ between targets")]
impl From<&Stat> for FileState {
    fn from(stat: &Stat) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            kind: FileType::from_raw_mode(stat.st_mode as _),
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}

/// A folder held open.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Dir {
    /// Opens the folder that the user named; links are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(rustix::fs::CWD, path, FOLDER, Mode::empty())?))
    }

    /// The folder `name` below, not through a link.
    pub(crate) fn child(&self, name: &str) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(&self.0, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// The folder `name` below, made with mode 0755 where it is not there; tells whether it was made.
    ///
    /// Whoever removes it between our two steps, because it is empty, only makes us begin again.
    pub(crate) fn ensure(&self, name: &str) -> io::Result<(Self, bool)> {
        self.ensure_watched(name, &mut || {})
    }

    /// `between` is called between the two steps; tests interleave there.
    fn ensure_watched(&self, name: &str, between: &mut dyn FnMut()) -> io::Result<(Self, bool)> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.ensure_once(name, between) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < ENSURE_TRIES => {}
                ensured => return ensured,
            }
        }
    }

    fn ensure_once(&self, name: &str, between: &mut dyn FnMut()) -> io::Result<(Self, bool)> {
        let made = match rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            // A folder that is there serves also where none can be made.
            Err(error) => return self.child(name).map(|dir| (dir, false)).map_err(|_| error.into()),
        };
        between();
        let dir = self.child(name)?;
        if made {
            dir.set_mode(0o755)?;
        }
        Ok((dir, made))
    }

    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.0, Mode::from_raw_mode(mode))?)
    }

    /// A new file of mode 0644 for reading and writing; an error where the name is taken.
    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o644))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
        Ok(File::from(file))
    }

    /// The file `name` for reading and writing, made where it is not there; never through a link.
    pub(crate) fn open_or_create(&self, name: &str, append: bool) -> io::Result<File> {
        let mut flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        if append {
            flags |= OFlags::APPEND;
        }
        let file = rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o644))?;
        if FileState::of(&file)?.is_file() { Ok(File::from(file)) } else { Err(Errno::INVAL.into()) }
    }

    /// The file `name` for reading and writing, which must be there; never through a link.
    pub(crate) fn open_existing(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        if FileState::of(&file)?.is_file() { Ok(File::from(file)) } else { Err(Errno::INVAL.into()) }
    }

    pub(crate) fn rename(&self, from: &str, to: &Self, to_name: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &to.0, to_name)?)
    }

    /// Gives the file at `path` below another folder a name here; where that is a link, what it leads to.
    pub(crate) fn link(&self, name: &str, from: &Self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(&from.0, path, &self.0, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Makes a link here that leads to a path.
    pub(crate) fn symlink(&self, name: &str, target: &Path) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.0, name)?)
    }

    /// Moves something to another folder under its name, and fails where that is taken; where the system cannot promise
    /// that, it looks first.
    pub(crate) fn move_new(&self, name: &OsStr, to: &Self) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.0, name, &to.0, name, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                match rustix::fs::statat(&to.0, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => Ok(rustix::fs::renameat(&self.0, name, &to.0, name)?),
                    Ok(_) => Err(Errno::EXIST.into()),
                    Err(error) => Err(error.into()),
                }
            }
            other => Ok(other?),
        }
    }

    /// Whether names may be made in this folder.
    pub(crate) fn may_be_written(&self) -> bool {
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(&self.0, ".", wanted, AtFlags::EACCESS).is_ok()
    }

    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes an empty folder.
    pub(crate) fn remove_dir(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// What lies at `name`, itself and not what it links to.
    pub(crate) fn state(&self, name: &str) -> io::Result<Option<FileState>> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileState::from(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names in this folder, in the order in which the system gives them.
    pub(crate) fn names(&self) -> io::Result<impl Iterator<Item = io::Result<OsString>> + use<>> {
        let entries = rustix::fs::Dir::read_from(&self.0)?;
        let name = |name: &CStr| OsString::from_vec(name.to_bytes().to_vec());
        Ok(entries
            .filter(|entry| {
                !entry.as_ref().is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
            })
            .map(move |entry| Ok(name(entry?.file_name()))))
    }

    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.names()?.next().is_none())
    }

    /// Makes the names in this folder durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.0) {
            // Some network file systems keep no folders of their own and say so.
            Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Opens the regular file at `path`, a few plain names joined by `/`, as `links` says.
    pub(crate) fn read(&self, path: &str, links: Links) -> Result<Opened, Refusal> {
        let opened = self.open_as(path, links, READ)?;
        match opened.state.kind {
            FileType::RegularFile => Ok(opened),
            kind => Err(Refusal::Unsafe(not_a_file(kind))),
        }
    }

    /// Opens the folder at `path` for reading, as `links` says.
    pub(crate) fn folder(&self, path: &str, links: Links) -> Result<Self, Refusal> {
        self.open_as(path, links, FOLDER).map(|opened| Self(opened.fd))
    }

    fn open_as(&self, path: &str, links: Links, flags: OFlags) -> Result<Opened, Refusal> {
        match self.beneath(path, links, flags) {
            Ok(fd) => Self::opened(fd, false),
            Err(Errno::XDEV) if links == Links::Follow => {
                let fd = rustix::fs::openat(&self.0, path, flags, Mode::empty());
                Self::opened(fd.map_err(|error| self.refusal(path, error))?, true)
            }
            Err(Errno::XDEV) => {
                Err(Refusal::Unsafe("a link that leads out of the layout (--links follow lets it)"))
            }
            Err(Errno::LOOP) if links == Links::Refuse => {
                Err(Refusal::Unsafe("a link, and links are refused (--links inside lets it)"))
            }
            Err(Errno::LOOP) => Err(Refusal::Unsafe("a link that goes round in circles")),
            Err(error) => Err(self.refusal(path, error)),
        }
    }

    fn opened(fd: OwnedFd, outside: bool) -> Result<Opened, Refusal> {
        let state = FileState::of(&fd).map_err(Refusal::Io)?;
        Ok(Opened { fd, state, outside })
    }

    /// What an error of opening means: sockets and absent devices cannot even be opened.
    fn refusal(&self, path: &str, error: Errno) -> Refusal {
        if matches!(error, Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP) {
            let stat = rustix::fs::statat(&self.0, path, AtFlags::empty());
            if let Ok(stat) = stat
                && !FileState::from(&stat).is_file()
            {
                return Refusal::Unsafe(not_a_file(FileState::from(&stat).kind));
            }
        }
        Refusal::Io(error.into())
    }

    /// Opens without leaving this folder: `XDEV` for a link that would, `LOOP` for one that may not be followed.
    fn beneath(&self, path: &str, links: Links, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        match openat2(&self.0, path, links, flags) {
            // Kernels before 5.6, sandboxes that do not know the call, and a rename that raced with `..`.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG | Errno::AGAIN) => {
                self.walk(path, links, flags)
            }
            other => other,
        }
    }

    /// What [`Dir::beneath`] does, one name at a time, for systems without `openat2`.
    ///
    /// Each name is opened without following, relative to the folder opened before it, so that nothing swapped
    /// meanwhile leads outside.
    fn walk(&self, path: &str, links: Links, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let mut rest: Vec<Vec<u8>> = components(path.as_bytes());
        let mut folders: Vec<OwnedFd> = Vec::new();
        let mut followed = 0;
        while let Some(name) = rest.pop() {
            if name == b".." {
                folders.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            let here = folders.last().unwrap_or(&self.0);
            let name = OsStr::from_bytes(&name);
            let wanted = if rest.is_empty() { flags } else { FOLDER };
            match rustix::fs::openat(here, name, wanted | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(fd) if rest.is_empty() => return Ok(fd),
                Ok(fd) => folders.push(fd),
                Err(error @ (Errno::LOOP | Errno::NOTDIR | Errno::MLINK)) => {
                    let Ok(target) = rustix::fs::readlinkat(here, name, Vec::new()) else {
                        return Err(error);
                    };
                    followed += 1;
                    if links == Links::Refuse || followed > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    if target.to_bytes().starts_with(b"/") {
                        return Err(Errno::XDEV);
                    }
                    rest.extend(components(target.to_bytes()));
                }
                Err(error) => return Err(error),
            }
        }
        // The path ended in `..`, so it names a folder that is already open.
        let here = folders.last().unwrap_or(&self.0);
        rustix::fs::openat(here, ".", flags, Mode::empty())
    }
}

/// The names in a path, last first.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
        .rev()
        .collect()
}

#[cfg(target_os = "linux")]
fn openat2(dir: &OwnedFd, path: &str, links: Links, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if links == Links::Refuse {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)
}

#[cfg(not(target_os = "linux"))]
fn openat2(_: &OwnedFd, _: &str, _: Links, _: OFlags) -> rustix::io::Result<OwnedFd> {
    Err(Errno::NOSYS)
}

/// What lies where a file should be, in words for [`crate::Error::Unsafe`].
pub(crate) fn not_a_file(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a FIFO, not a file",
        FileType::Directory => "a folder, not a file",
        FileType::Socket => "a socket, not a file",
        FileType::CharacterDevice | FileType::BlockDevice => "a device, not a file",
        FileType::Symlink => "a link, which is never written through",
        _ => "not a file",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn row_17_a_folder_that_is_removed_before_it_is_opened_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let path = folder.path().join("tmp");
        let mut removals = 0;
        let ensured = dir.ensure_watched("tmp", &mut || {
            if removals < 3 {
                std::fs::remove_dir(&path).unwrap();
                removals += 1;
            }
        });
        let (made, is_new) = ensured.unwrap();
        assert!(is_new && removals == 3);
        made.create_new("file").unwrap();
        assert!(path.join("file").exists());

        // Not for ever, should somebody remove it every time.
        std::fs::remove_dir_all(&path).unwrap();
        let error = dir.ensure_watched("tmp", &mut || std::fs::remove_dir(&path).unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    /// The two ways of looking up a path below a folder, on a tree full of links.
    #[test]
    fn row_54_the_walk_by_names_agrees_with_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "inside").unwrap();
        std::fs::write(folder.path().join("outside"), "outside").unwrap();
        for (name, target) in [
            ("inside", "a/b/file"),
            ("around", "a/../a/./b//file"),
            ("chain", "inside"),
            ("a/up", "../inside"),
            ("folder", "a/b"),
            ("out", "../outside"),
            ("deep", "a/b/../../../outside"),
            ("absolute", "/etc/hostname"),
            ("loop", "loop"),
            ("dangling", "nowhere"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        let dir = Dir::open(&root).unwrap();
        let result = |result: rustix::io::Result<OwnedFd>| {
            result.map(|fd| FileState::of(fd).unwrap().inode).map_err(|error| error.to_string())
        };
        let paths = [
            "a/b/file",
            "inside",
            "around",
            "chain",
            "a/up",
            "folder/file",
            "out",
            "deep",
            "absolute",
            "loop",
            "dangling",
            "nowhere",
            "a/b",
            "a/b/file/x",
            "inside/x",
            "folder/../inside",
            "a/..",
        ];
        for links in [Links::Inside, Links::Refuse, Links::Follow] {
            for path in paths {
                assert_eq!(
                    result(dir.walk(path, links, READ)),
                    result(dir.beneath(path, links, READ)),
                    "{path} {links:?}"
                );
            }
        }
        assert_eq!(dir.walk("out", Links::Inside, READ).unwrap_err(), Errno::XDEV);
        assert_eq!(dir.walk("chain", Links::Refuse, READ).unwrap_err(), Errno::LOOP);
        assert!(dir.read("out", Links::Follow).unwrap().outside);
        assert!(!dir.read("chain", Links::Follow).unwrap().outside);
    }
}
