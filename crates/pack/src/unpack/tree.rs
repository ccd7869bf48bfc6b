//! The tree that is made: where in it we are, and what becomes of folders when they are left.
//!
//! **Nothing outside is touched.** Everything is opened by one name in a folder that is open, without following links; `..`
//! is a step back in our own list of folders and never one of the file system. A link among the parents of a path is
//! resolved by hand, from the root of the tree, as containerd, umoci and podman do: `lib -> usr/lib` leads there, `x -> /etc`
//! leads to `etc` in the tree. So a link that is exchanged while we work leads nowhere else. The last name of a path is
//! never followed.
//!
//! **Folders are finished when they are left**: attributes and times are set then, so that what was written into them
//! changes nothing. One that was there before and that no entry describes keeps its time. Memory is that of the folders
//! we are in.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, Timespec, Timestamps, fstat, futimens, mkdirat, readlinkat, statat,
};
use rustix::io::Errno;

use super::attributes::{Attributes, Made, Unset, Us, clear_xattrs};
use super::remove;

/// Links that are followed on the way to one folder, as Linux does.
const MAX_LINKS: usize = 40;

/// A folder that we are in.
struct Level {
    name: Vec<u8>,
    folder: OwnedFd,
    key: u64,
    /// What is set when it is left.
    pending: Option<Box<(Attributes, Made)>>,
    /// The time that it gets back when it is left, if something in it was changed.
    before: Option<Timespec>,
    is_changed: bool,
    /// Whether what is made in it may belong to another group than ours.
    is_odd: bool,
}

/// A folder that was left, and what could not be set of it.
pub(crate) struct Left {
    pub(super) key: u64,
    pub(super) path: PathBuf,
    pub(super) attributes: Attributes,
    pub(super) unset: Unset,
}

/// Numbers for paths: by chance alone would two have the same, and nobody else knows which.
#[derive(Clone)]
pub(super) struct Keys(RandomState);

impl Keys {
    pub(super) fn root(&self) -> u64 {
        self.0.hash_one("the root")
    }

    pub(super) fn below(&self, folder: u64, name: &[u8]) -> u64 {
        self.0.hash_one((folder, name))
    }
}

/// Why a folder was not reached.
#[derive(Debug)]
pub(crate) enum Unreached {
    System(Errno),
    Unsafe(&'static str),
    TooDeep(u64),
}

impl From<Errno> for Unreached {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// The tree, and a folder in it at which we are.
pub(crate) struct Tree {
    levels: Vec<Level>,
    us: Us,
    keys: Keys,
    deepest: usize,
    /// Folders that were left and are to be told of, until they are taken.
    left: Vec<Left>,
}

impl Tree {
    /// Begins in a new and empty folder.
    pub(crate) fn new(root: OwnedFd, us: Us, deepest: usize) -> Self {
        let keys = Keys(RandomState::new());
        let made = Made { mode: None, is_ours: true };
        let root = Level {
            name: Vec::new(),
            folder: root,
            key: keys.root(),
            pending: Some(Box::new((Attributes::of_unnamed_folder(), made))),
            before: None,
            is_changed: false,
            is_odd: false,
        };
        Self { levels: vec![root], us, keys, deepest, left: Vec::new() }
    }

    fn top(&self) -> &Level {
        // There is always the root.
        &self.levels[self.levels.len() - 1]
    }

    fn top_mut(&mut self) -> &mut Level {
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    pub(crate) fn us(&self) -> Us {
        self.us
    }

    /// The folder that we are in.
    pub(crate) fn here(&self) -> BorrowedFd<'_> {
        self.top().folder.as_fd()
    }

    /// The number by which the folder that we are in is known.
    pub(super) fn key(&self) -> u64 {
        self.top().key
    }

    /// The numbers of that folder and of all above it, from below.
    pub(super) fn keys_up(&self) -> impl Iterator<Item = u64> {
        self.levels.iter().rev().map(|level| level.key)
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The number of something in the folder that we are in.
    pub(super) fn key_of(&self, name: &[u8]) -> u64 {
        self.keys.below(self.key(), name)
    }

    /// Something in the folder that we are in is about to change.
    pub(crate) fn touch(&mut self) {
        self.top_mut().is_changed = true;
    }

    /// What is made here belongs to us and our group.
    pub(super) fn makes_ours(&self) -> bool {
        !self.top().is_odd
    }

    /// The path of something here, from the root.
    pub(super) fn path_of(&self, name: &[u8]) -> PathBuf {
        let mut path = Vec::new();
        for part in self.levels[1..].iter().map(|level| level.name.as_slice()).chain([name]) {
            if !path.is_empty() && !part.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        PathBuf::from(std::ffi::OsString::from_vec(path))
    }

    /// Goes to a folder. What of it is not there is made, or false is returned and we are somewhere on the way.
    ///
    /// A link that leads by way of a folder that is not there, and out of it again, is taken by its names.
    pub(crate) fn enter(&mut self, parts: &[&[u8]], make: bool) -> Result<bool, Unreached> {
        let alike = self.levels[1..].iter().zip(parts).take_while(|(level, part)| level.name == **part);
        let common = alike.count();
        self.leave_to(common)?;
        if common == parts.len() {
            return Ok(true);
        }
        let mut todo: Vec<Vec<u8>> = parts[common..].iter().rev().map(|part| part.to_vec()).collect();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match &*part {
                b"" | b"." => {}
                b".." => self.leave_to(self.levels.len().saturating_sub(2))?,
                _ => match self.step(&part, make && !leads_back(&todo))? {
                    Step::Done => {}
                    Step::Absent if make => todo = without_detours(part, todo),
                    Step::Absent => return Ok(false),
                    Step::Link(target) => {
                        links += 1;
                        if links > MAX_LINKS {
                            return Err(Unreached::Unsafe("its parents are links that lead nowhere"));
                        }
                        if target.starts_with(b"/") {
                            self.leave_to(0)?;
                        }
                        todo.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
                    }
                },
            }
        }
        Ok(true)
    }

    fn step(&mut self, name: &[u8], make: bool) -> Result<Step, Unreached> {
        if self.levels.len() > self.deepest {
            return Err(Unreached::TooDeep(self.deepest as u64));
        }
        match remove::open_folder(self.here(), name) {
            Ok(folder) => {
                self.descend(name, folder)?;
                Ok(Step::Done)
            }
            Err(Errno::NOENT) if make => {
                self.make_folder(name, Attributes::of_unnamed_folder())?;
                Ok(Step::Done)
            }
            Err(Errno::NOENT) => Ok(Step::Absent),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let found = statat(self.here(), name, AtFlags::SYMLINK_NOFOLLOW)?;
                match FileType::from_raw_mode(found.st_mode) {
                    FileType::Symlink => {
                        Ok(Step::Link(readlinkat(self.here(), name, Vec::new())?.into_bytes()))
                    }
                    _ if make => Err(Unreached::Unsafe("one of its parents is no folder")),
                    _ => Ok(Step::Absent),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn descend(&mut self, name: &[u8], folder: OwnedFd) -> Result<(), Errno> {
        let found = fstat(&folder)?;
        let before =
            Timespec { tv_sec: found.st_mtime, tv_nsec: found.st_mtime_nsec.try_into().unwrap_or(0) };
        let key = self.key_of(name);
        self.levels.push(Level {
            name: name.to_vec(),
            folder,
            key,
            pending: None,
            before: Some(before),
            is_changed: false,
            is_odd: found.st_gid != self.us.gid || found.st_mode & 0o2000 != 0,
        });
        Ok(())
    }

    /// Makes a folder here and enters it. Its attributes are set when it is left.
    fn make_folder(&mut self, name: &[u8], attributes: Attributes) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(0o700);
        self.touch();
        mkdirat(self.here(), name, mode)?;
        let folder = remove::open_folder(self.here(), name)?;
        let made = Made { mode: None, is_ours: self.makes_ours() };
        let key = self.key_of(name);
        let is_odd = !made.is_ours;
        let pending = Some(Box::new((attributes, made)));
        self.levels.push(Level {
            name: name.to_vec(),
            folder,
            key,
            pending,
            before: None,
            is_changed: false,
            is_odd,
        });
        Ok(())
    }

    /// Enters a folder of this name here, which is made where there is none; something else by this name is removed. What
    /// is in it stays.
    pub(super) fn folder(&mut self, name: &[u8], attributes: Attributes) -> Result<(), Unreached> {
        if self.levels.len() > self.deepest {
            return Err(Unreached::TooDeep(self.deepest as u64));
        }
        match self.make_folder(name, attributes.clone()) {
            Err(Errno::EXIST) => {}
            made => return Ok(made?),
        }
        match remove::open_folder(self.here(), name) {
            Ok(folder) => {
                clear_xattrs(&folder)?;
                self.descend(name, folder)?;
                self.describe(attributes);
                Ok(())
            }
            Err(Errno::LOOP | Errno::NOTDIR) => {
                remove::remove(self.here(), name)?;
                Ok(self.make_folder(name, attributes)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the folder that we are in gets when it is left.
    pub(super) fn describe(&mut self, attributes: Attributes) {
        let made = match &self.top().pending {
            Some(pending) => pending.1,
            None => Made { mode: None, is_ours: false },
        };
        self.top_mut().pending = Some(Box::new((attributes, made)));
    }

    /// Leaves folders, until so many are left above the one that we are in.
    pub(crate) fn leave_to(&mut self, depth: usize) -> Result<(), Errno> {
        while self.levels.len() > depth + 1 {
            let Some(level) = self.levels.pop() else { break };
            self.finish(level)?;
        }
        Ok(())
    }

    /// Leaves the root, which ends the work.
    pub(crate) fn close(mut self) -> Result<(OwnedFd, Vec<Left>), Errno> {
        self.leave_to(0)?;
        let root = self.levels.remove(0);
        if let Some(pending) = root.pending {
            let unset = self.us.set(&root.folder, &pending.0, pending.1, true)?;
            self.left.push(Left { key: root.key, path: PathBuf::new(), attributes: pending.0, unset });
        }
        Ok((root.folder, self.left))
    }

    fn settle(
        &mut self,
        folder: &OwnedFd,
        (attributes, made): (Attributes, Made),
        key: u64,
        name: &[u8],
    ) -> Result<(), Errno> {
        let unset = self.us.set(folder, &attributes, made, true)?;
        // Who is not root owns everything, so that all owners are of interest.
        if !unset.is_empty() || !self.us.is_root() {
            self.left.push(Left { key, path: self.path_of(name), attributes, unset });
        }
        Ok(())
    }

    fn finish(&mut self, level: Level) -> Result<(), Errno> {
        if let Some(pending) = level.pending {
            self.settle(&level.folder, *pending, level.key, &level.name)?;
        } else if let Some(before) = level.before.filter(|_| level.is_changed) {
            let times = Timestamps { last_access: before, last_modification: before };
            futimens(&level.folder, &times)?;
        }
        Ok(())
    }

    /// Folders that were left since the last time, as far as there is something to tell of them.
    pub(super) fn take_left(&mut self) -> Vec<Left> {
        std::mem::take(&mut self.left)
    }
}

/// Whether the way leads back somewhere.
fn leads_back(todo: &[Vec<u8>]) -> bool {
    todo.iter().any(|part| part == b"..")
}

/// The way from here on, its next part last, without folders that are entered only to be left: where the first of them is not
/// there, none is, and none is made.
fn without_detours(part: Vec<u8>, todo: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut way: Vec<Vec<u8>> = Vec::new();
    for part in std::iter::once(part).chain(todo.into_iter().rev()) {
        match &*part {
            b"" | b"." => {}
            b".." if way.last().is_some_and(|before| before != b"..") => drop(way.pop()),
            _ => way.push(part),
        }
    }
    way.reverse();
    way
}

enum Step {
    Done,
    Absent,
    /// It leads there.
    Link(Vec<u8>),
}
