//! One layer after the other, applied to the tree: its entries are made, its deletions done.
//!
//! Deletions hit lower layers only, wherever in the tar they stand (IMG-138, IMG-139). So of each layer but the first the
//! paths that it has are remembered, as eight bytes each.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, Write as _};
use std::os::unix::fs::FileExt as _;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, fstat, futimens, linkat, makedev, mknodat, openat,
    statat, symlinkat,
};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::UnpackLimits;
use super::attributes::{Attributes, Made, Unset, clear_xattrs};
use super::layers::{Layers, Plain, Problem};
use super::ledger::{Full, Ledger, MAX_RECORDS, Noted};
use super::names::{self, Meaning};
use super::remove;
use super::tree::{Tree, Unreached};
use crate::tarball::read::{Entry, EntryKind, Reader};

pub(crate) const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl From<Unreached> for Problem {
    fn from(why: Unreached) -> Self {
        match why {
            Unreached::System(error) => Self::System(error),
            Unreached::Unsafe(reason) => Self::Unsafe(reason),
            Unreached::TooDeep(limit) => Self::Limit { what: "the depth of a path", limit },
        }
    }
}

impl From<Full> for Problem {
    fn from(_: Full) -> Self {
        Self::Limit {
            what: "the number of paths with attributes that cannot be set here",
            limit: MAX_RECORDS as u64,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(super) whiteouts: u64,
    /// Entries that concern AUFS only.
    pub(super) foreign: u64,
    /// Extended attributes that belong to another host.
    pub(super) host_xattrs: u64,
}

/// The tree, and what must be known to change it.
pub(crate) struct Apply<'a> {
    pub(crate) tree: Tree,
    pub(super) ledger: Ledger,
    pub(crate) tally: Tally,
    limits: &'a UnpackLimits,
    /// Paths of the layer at hand, by their numbers; nothing in the first layer.
    upper: Option<HashSet<u64>>,
}

impl Layers for Apply<'_> {
    /// The layer is over: what it has is what lower layers have, for the next.
    fn end_layer(&mut self) -> Result<(), Problem> {
        self.tree.leave_to(0)?;
        self.note_left()?;
        self.upper = Some(HashSet::new());
        Ok(())
    }

    /// Applies the entry of a path; content comes from `reader`.
    fn entry(&mut self, path: &[u8], entry: Entry, reader: &mut Reader<&mut Plain>) -> Result<(), Problem> {
        self.tally.entries += 1;
        if self.tally.entries > self.limits.max_entries {
            let limit = self.limits.max_entries;
            return Err(Problem::Limit { what: "the number of entries", limit });
        }
        match names::meaning(path, (self.limits.max_path, self.limits.max_depth))? {
            Meaning::Root => self.root(entry)?,
            Meaning::Foreign => self.tally.foreign += 1,
            Meaning::Whiteout(parents, name) => self.whiteout(&parents, name)?,
            Meaning::Opaque(parents) => self.opaque(&parents)?,
            Meaning::Node(parents, name) => self.node(&parents, name, entry, reader)?,
        }
        self.note_left()
    }
}

impl<'a> Apply<'a> {
    pub(crate) fn new(tree: Tree, ledger: Ledger, limits: &'a UnpackLimits) -> Self {
        Self { tree, ledger, tally: Tally::default(), limits, upper: None }
    }

    fn attributes(&mut self, entry: &mut Entry) -> Attributes {
        let (attributes, skipped) = Attributes::of(entry);
        self.tally.host_xattrs += skipped;
        attributes
    }

    fn root(&mut self, mut entry: Entry) -> Result<(), Problem> {
        if entry.kind != EntryKind::Folder {
            return Err(Problem::Unsafe("it is the root, and no folder"));
        }
        let attributes = self.attributes(&mut entry);
        self.tree.leave_to(0)?;
        clear_xattrs(self.tree.here())?;
        self.tree.describe(attributes);
        Ok(())
    }

    /// Makes what an entry says, by this name in this folder, which is made if need be.
    pub(crate) fn node(
        &mut self,
        parents: &[&[u8]],
        name: &[u8],
        mut entry: Entry,
        reader: &mut Reader<impl BufRead>,
    ) -> Result<(), Problem> {
        let attributes = self.attributes(&mut entry);
        if let EntryKind::HardLink(target) = &entry.kind {
            return self.hard_link(parents, name, target);
        }
        self.tree.enter(parents, true)?;
        self.mark(name);
        match std::mem::replace(&mut entry.kind, EntryKind::File) {
            EntryKind::Folder => {
                self.tree.folder(name, attributes)?;
                self.mark_named();
                Ok(())
            }
            EntryKind::File | EntryKind::HardLink(_) => self.file(name, &entry, &attributes, reader),
            EntryKind::Symlink(target) => self.symlink(name, &target, &attributes),
            kind => self.special(name, kind, entry.device, &attributes),
        }
    }

    /// Remembers that the layer at hand has something of this name here, and so all folders above it.
    fn mark(&mut self, name: &[u8]) {
        let Some(upper) = &mut self.upper else { return };
        upper.insert(self.tree.key_of(name));
        for key in self.tree.keys_up() {
            if !upper.insert(key) {
                break;
            }
        }
    }

    /// Remembers that the layer has an entry of its own for the folder that we are in.
    fn mark_named(&mut self) {
        let key = named(&self.tree, self.tree.key());
        if let Some(upper) = &mut self.upper {
            upper.insert(key);
        }
    }

    fn file(
        &mut self,
        name: &[u8],
        entry: &Entry,
        attributes: &Attributes,
        reader: &mut Reader<impl BufRead>,
    ) -> Result<(), Problem> {
        self.tally.bytes = self.tally.bytes.saturating_add(entry.size);
        if self.tally.bytes > self.limits.max_size {
            let limit = self.limits.max_size;
            return Err(Problem::Limit { what: "the size of all files in bytes", limit });
        }
        let mode = self.tree.us().mode_to_make(attributes, false);
        let file = self.make(name, |folder| openat(folder, name, NEW_FILE, Mode::from_raw_mode(mode)))?;
        let mut file = File::from(file);
        write(&mut file, entry, reader)?;
        let made = self.made(Some(mode));
        let unset = self.tree.us().set(&file, attributes, made, false)?;
        self.note(name, attributes, unset, None)
    }

    fn symlink(&mut self, name: &[u8], target: &[u8], attributes: &Attributes) -> Result<(), Problem> {
        if target.is_empty() {
            return Err(Problem::Unsafe("it is a link to nothing"));
        }
        if target.contains(&0) {
            return Err(Problem::Unsafe("its target holds a NUL"));
        }
        self.make(name, |folder| symlinkat(target, folder, name)).map_err(|problem| match problem {
            Problem::System(Errno::NAMETOOLONG) => {
                Problem::Limit { what: "the length of a link's target in bytes", limit: 4095 }
            }
            problem => problem,
        })?;
        let made = self.made(None);
        let unset = self.tree.us().set_at(self.tree.here(), name, attributes, made)?;
        self.note(name, attributes, unset, None)
    }

    /// A device or a FIFO. Where devices cannot be made, an empty file takes the place.
    fn special(
        &mut self,
        name: &[u8],
        kind: EntryKind,
        device: (u32, u32),
        attributes: &Attributes,
    ) -> Result<(), Problem> {
        let (file_type, number) = match kind {
            EntryKind::CharDevice => (FileType::CharacterDevice, makedev(device.0, device.1)),
            EntryKind::BlockDevice => (FileType::BlockDevice, makedev(device.0, device.1)),
            _ => (FileType::Fifo, 0),
        };
        let mode = self.tree.us().mode_to_make(attributes, false);
        let bits = Mode::from_raw_mode(mode);
        let is_ours = self.tree.makes_ours();
        match self.make(name, |folder| mknodat(folder, name, file_type, bits, number)) {
            Ok(()) => {
                let made = self.made(Some(mode));
                let unset = self.tree.us().set_at(self.tree.here(), name, attributes, made)?;
                self.note(name, attributes, unset, None)
            }
            Err(Problem::System(Errno::PERM)) if file_type != FileType::Fifo => {
                let file = openat(self.tree.here(), name, NEW_FILE, Mode::from_raw_mode(0o600))?;
                let mode = Some(0o600 & !self.tree.us().umask);
                let unset = self.tree.us().set(&file, attributes, Made { mode, is_ours }, false)?;
                self.note(name, attributes, unset, Some((kind, device)))
            }
            Err(problem) => Err(problem),
        }
    }

    /// Another name of a file that is there, in this layer or a lower one. It has the attributes of that file.
    fn hard_link(&mut self, parents: &[&[u8]], name: &[u8], target: &[u8]) -> Result<(), Problem> {
        const ABSENT: Problem = Problem::Unsafe("it is a hard link to what is not there");
        let parts = names::split(target, self.limits.max_path)?;
        let Some((last, folders)) = parts.split_last() else {
            return Err(Problem::Unsafe("it is a hard link to the root"));
        };
        if !self.tree.enter(folders, false)? {
            return Err(ABSENT);
        }
        let from: OwnedFd = fcntl_dupfd_cloexec(self.tree.here(), 0)?;
        let from_key = self.tree.key_of(last);
        let found = statat(&from, *last, AtFlags::SYMLINK_NOFOLLOW);
        let found = found.map_err(|error| if error == Errno::NOENT { ABSENT } else { error.into() })?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            return Err(Problem::Unsafe("it is a hard link to a folder"));
        }
        self.tree.enter(parents, true)?;
        self.mark(name);
        let there = statat(self.tree.here(), name, AtFlags::SYMLINK_NOFOLLOW).ok();
        if there.is_some_and(|there| (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino)) {
            return Ok(());
        }
        // Never what a link leads to, but the link.
        self.make(name, |folder| linkat(&from, *last, folder, name, AtFlags::empty()))?;
        let key = self.tree.key_of(name);
        Ok(self.ledger.link(from_key, key)?)
    }

    /// Makes something here; what has its name already is removed first (IMG-125).
    fn make<T>(
        &mut self,
        name: &[u8],
        make: impl Fn(rustix::fd::BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, Problem> {
        self.tree.touch();
        match make(self.tree.here()) {
            Err(Errno::EXIST) => {
                remove::remove(self.tree.here(), name)?;
                Ok(make(self.tree.here())?)
            }
            made => Ok(made?),
        }
    }

    /// What something has that was just made here with this mode.
    fn made(&self, mode: Option<u32>) -> Made {
        let umask = self.tree.us().umask;
        Made { mode: mode.map(|mode| mode & !umask), is_ours: self.tree.makes_ours() }
    }

    fn note(
        &mut self,
        name: &[u8],
        attributes: &Attributes,
        unset: Unset,
        device: Option<(EntryKind, (u32, u32))>,
    ) -> Result<(), Problem> {
        let (key, tree) = (self.tree.key_of(name), &self.tree);
        let path = || tree.path_of(name);
        Ok(self.ledger.note(Noted { key, path: &path, attributes, unset, device })?)
    }

    fn note_left(&mut self) -> Result<(), Problem> {
        for left in self.tree.take_left() {
            self.ledger.note_left(left)?;
        }
        Ok(())
    }

    fn whiteout(&mut self, parents: &[&[u8]], name: &[u8]) -> Result<(), Problem> {
        self.tally.whiteouts += 1;
        let Some(upper) = &self.upper else { return Ok(()) };
        if !self.tree.enter(parents, false)? {
            return Ok(());
        }
        self.tree.touch();
        let mut hiding = Hiding { upper, tree: &self.tree, undescribed: Vec::new() };
        hiding.one(self.tree.here(), name, self.tree.key_of(name))?;
        self.ledger.forget(&hiding.undescribed);
        Ok(())
    }

    fn opaque(&mut self, parents: &[&[u8]]) -> Result<(), Problem> {
        self.tally.whiteouts += 1;
        let Some(upper) = &self.upper else { return Ok(()) };
        if !self.tree.enter(parents, false)? {
            return Ok(());
        }
        self.tree.touch();
        let folder: OwnedFd = fcntl_dupfd_cloexec(self.tree.here(), 0)?;
        let mut hiding = Hiding { upper, tree: &self.tree, undescribed: Vec::new() };
        hiding.children(&folder, self.tree.key())?;
        self.ledger.forget(&hiding.undescribed);
        Ok(())
    }
}

/// The number that stands for an entry of the folder with this number.
fn named(tree: &Tree, key: u64) -> u64 {
    // No path has such a part.
    tree.keys().below(key, b"/")
}

/// Deletes what lower layers have.
struct Hiding<'a> {
    upper: &'a HashSet<u64>,
    tree: &'a Tree,
    /// Folders that only lower layers described.
    undescribed: Vec<u64>,
}

impl Hiding<'_> {
    fn one(&mut self, parent: impl AsFd, name: &[u8], key: u64) -> Result<(), Errno> {
        if !self.upper.contains(&key) {
            return remove::remove(parent, name);
        }
        match remove::open_folder(parent, name) {
            Ok(folder) => self.folder(&folder, key),
            // It is of the layer at hand, and no folder.
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A folder of both: what lower layers have in it goes, and what they say of it, too.
    fn folder(&mut self, folder: &OwnedFd, key: u64) -> Result<(), Errno> {
        let found = fstat(folder)?;
        self.children(folder, key)?;
        if self.upper.contains(&named(self.tree, key)) {
            let time =
                Timespec { tv_sec: found.st_mtime, tv_nsec: found.st_mtime_nsec.try_into().unwrap_or(0) };
            return futimens(folder, &Timestamps { last_access: time, last_modification: time });
        }
        clear_xattrs(folder)?;
        self.undescribed.push(key);
        let made = Made { mode: None, is_ours: false };
        self.tree.us().set(folder, &Attributes::of_unnamed_folder(), made, true).map(drop)
    }

    fn children(&mut self, folder: &OwnedFd, key: u64) -> Result<(), Errno> {
        for (name, _) in remove::names(folder, usize::MAX)? {
            self.one(folder, &name, self.tree.keys().below(key, &name))?;
        }
        Ok(())
    }
}

/// Writes the content of a file.
fn write(file: &mut File, entry: &Entry, reader: &mut Reader<impl BufRead>) -> Result<(), Problem> {
    let Some(extents) = &entry.extents else {
        loop {
            let chunk = reader.chunk().map_err(Problem::Tar)?;
            if chunk.is_empty() {
                return Ok(());
            }
            file.write_all(chunk).map_err(Problem::Write)?;
            let count = chunk.len();
            reader.consume(count);
        }
    };
    for extent in extents {
        let (mut offset, mut left) = (extent.offset, extent.len);
        while left > 0 {
            let chunk = reader.chunk().map_err(Problem::Tar)?;
            let count = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            if count == 0 {
                return Ok(());
            }
            file.write_all_at(&chunk[..count], offset).map_err(Problem::Write)?;
            reader.consume(count);
            offset += count as u64;
            left -= count as u64;
        }
    }
    file.set_len(entry.size).map_err(Problem::Write)
}
