//! A tar that is written anew by the rules: what a folder would give into which it was unpacked.
//!
//! - Paths lose `./`, slashes at their ends and doubled ones; one with `..`, or beneath what is no folder, is refused.
//! - Of two entries with one path the later counts; a folder that comes again keeps what lies in it.
//! - Names of one file lead to the first of them in order, and all have the attributes of the entry that had the content.
//!   A hard link to what is not in the tar before it is refused: what it leads to is not known.
//! - Folders that no entry names are made, with mode 0755 and root's.
//! - Whiteouts are kept, before what lies beside them (IMG-140).
//! - Holes are written as zeros; of extended attributes those are kept that a folder's would be.
//!
//! The content stays where it is until it is written: in the file, or, if that is compressed, in a temporary one. Memory
//! grows with the names, of which there may be [`MAX_ENTRIES`].

use std::collections::btree_map::{self, BTreeMap};
use std::fs::File;
use std::io::BufReader;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plan::{as_path, leave_out};
use crate::entry::{Attributes, Content, Entries, Entry, Origin, Part, What, whiteouts_first};
use crate::tarball::read::{self, EntryKind, Extent, Fault, Reader};
use crate::tarball::{Rules, TarOptions};
use crate::walk::{Skipped, XattrFate};
use crate::{Error, Warning};

/// How many entries a tar may have to be written anew.
pub(crate) const MAX_ENTRIES: usize = 1 << 20;

/// A tar, read and sorted; its content is read when its turn comes.
pub(crate) struct Archive {
    path: PathBuf,
    tar: Arc<File>,
    inodes: Vec<Inode>,
    /// Paths with their inodes, in the order in which they are written.
    left: std::vec::IntoIter<(Vec<u8>, usize)>,
    hard_links: bool,
    rules: Rules,
    skipped: Skipped,
    after_end: u64,
}

/// What one or several paths name.
struct Inode {
    kind: Kind,
    attributes: Attributes,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The path at which it was written.
    first: Option<Vec<u8>>,
}

enum Kind {
    Folder,
    /// The content begins at this byte of the tar.
    File(u64, Option<Vec<Extent>>),
    Symlink(Vec<u8>),
    CharDevice,
    BlockDevice,
    Fifo,
}

impl Archive {
    /// Reads a plain tar to its end. `path` is what it is called.
    ///
    /// # Errors
    /// [`Error::Tar`], [`Error::Truncated`], [`Error::Read`], [`Error::Limit`], [`Error::Unsupported`].
    pub(crate) fn read(file: File, path: &Path, options: &TarOptions) -> Result<Self, Error> {
        let tar = Arc::new(file);
        let mut draft =
            Draft { path, inodes: Vec::new(), places: BTreeMap::new(), skipped: Skipped::default() };
        let mut reader = Reader::new(BufReader::with_capacity(1 << 20, &*tar));
        while let Some(entry) = reader.next().map_err(|fault| at(fault, path))? {
            draft.take(entry, reader.offset())?;
        }
        if reader.lacks_end_mark() {
            let missing = "there is no end mark";
            return Err(Error::Truncated { path: path.to_owned(), offset: reader.offset(), missing });
        }
        let after_end = reader.drain().map_err(|fault| at(fault, path))?;
        draft.make_folders();
        let Draft { inodes, places, skipped, .. } = draft;
        let is_folder = |inode: usize| matches!(inodes[inode].kind, Kind::Folder);
        let mut left: Vec<_> = places.into_iter().collect();
        for (path, inode) in &mut left {
            if is_folder(*inode) {
                path.push(b'/');
            }
        }
        left.sort_unstable_by(|(one, _), (other, _)| whiteouts_first(one, other));
        leave_out(&mut left, &options.excludes);
        Ok(Self {
            path: path.to_owned(),
            tar,
            inodes,
            left: left.into_iter(),
            hard_links: options.hard_links,
            rules: Rules::new(options),
            skipped,
            after_end,
        })
    }
}

impl Entries for Archive {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        let Some((path, inode)) = self.left.next() else { return Ok(None) };
        let inode = &mut self.inodes[inode];
        let size = inode.attributes.size;
        let what = match (&inode.kind, &inode.first) {
            (Kind::Symlink(target), _) => What::Symlink(target.clone()),
            (_, Some(first)) if self.hard_links => What::HardLink(first.clone()),
            (Kind::Folder, _) => What::Folder,
            (Kind::File(at, extents), _) => {
                let part = Part::new(&self.tar, *at, size, extents.as_deref());
                What::File(Content::Part(part))
            }
            (Kind::CharDevice, _) => What::CharDevice,
            (Kind::BlockDevice, _) => What::BlockDevice,
            (Kind::Fifo, _) => What::Fifo,
        };
        inode.first.get_or_insert_with(|| path.clone());
        let is_link = matches!(what, What::HardLink(_));
        Ok(Some(Entry {
            attributes: self.rules.apply(inode.attributes, &what, None),
            xattrs: if is_link { Vec::new() } else { inode.xattrs.clone() },
            path,
            what,
            origin: Origin::File(self.path.clone()),
            file: None,
        }))
    }

    fn warnings(&mut self) -> Vec<Warning> {
        let mut warnings = std::mem::take(&mut self.skipped).warnings(self.rules.warning());
        if self.after_end > 0 {
            warnings.push(Warning::AfterEnd { path: self.path.clone(), bytes: self.after_end });
        }
        warnings
    }
}

/// A tar while it is read.
struct Draft<'a> {
    path: &'a Path,
    inodes: Vec<Inode>,
    /// Paths without a slash at their end.
    places: BTreeMap<Vec<u8>, usize>,
    skipped: Skipped,
}

impl Draft<'_> {
    fn take(&mut self, entry: read::Entry, at: u64) -> Result<(), Error> {
        let path = self.cleaned(&entry.path)?;
        let kind = match entry.kind {
            EntryKind::Folder => Kind::Folder,
            EntryKind::File => Kind::File(at, entry.extents),
            EntryKind::Symlink(target) => Kind::Symlink(target),
            EntryKind::CharDevice => Kind::CharDevice,
            EntryKind::BlockDevice => Kind::BlockDevice,
            EntryKind::Fifo => Kind::Fifo,
            EntryKind::HardLink(target) => {
                let target = self.cleaned(&target)?;
                let inode = self.places.get(&target).copied();
                let inode = inode.filter(|inode| !matches!(self.inodes[*inode].kind, Kind::Folder));
                let inode = inode.ok_or_else(|| {
                    self.invalid(&path, "is a hard link to what is no file in the tar before it")
                })?;
                return self.put(path, inode);
            }
        };
        if path.is_empty() {
            // The top is no entry of a layer.
            let is_folder = matches!(kind, Kind::Folder);
            return if is_folder { Ok(()) } else { Err(self.invalid(b".", "is the top, and no folder")) };
        }
        let xattrs = self.keep(entry.xattrs, &path);
        let attributes = Attributes {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            mtime: entry.mtime.seconds,
            device: entry.device,
        };
        let inode = Inode { kind, attributes, xattrs, first: None };
        self.inodes.push(inode);
        self.put(path, self.inodes.len() - 1)
    }

    /// Puts something at a path, in the place of what is there.
    fn put(&mut self, path: Vec<u8>, inode: usize) -> Result<(), Error> {
        if self.places.len() >= MAX_ENTRIES || self.inodes.len() > 2 * MAX_ENTRIES {
            let (what, limit) = ("the number of entries", MAX_ENTRIES as u64);
            return Err(Error::Limit { path: self.path.to_owned(), what, limit });
        }
        for folder in folders(&path) {
            if self.places.get(folder).is_some_and(|inode| !self.is_folder(*inode)) {
                return Err(self.invalid(&path, "lies beneath what is no folder"));
            }
        }
        if !self.is_folder(inode) {
            self.clear(&path);
        }
        self.places.insert(path, inode);
        Ok(())
    }

    fn is_folder(&self, inode: usize) -> bool {
        matches!(self.inodes[inode].kind, Kind::Folder)
    }

    /// Takes away all that lies beneath a path.
    fn clear(&mut self, path: &[u8]) {
        let start = [path, b"/"].concat();
        loop {
            let mut beneath = self.places.range((Bound::Included(start.clone()), Bound::Unbounded));
            match beneath.next() {
                Some((found, _)) if found.starts_with(&start) => {
                    let found = found.clone();
                    self.places.remove(&found);
                }
                _ => return,
            }
        }
    }

    /// Makes the folders that no entry names.
    fn make_folders(&mut self) {
        let all = self.places.keys().flat_map(|path| folders(path));
        let mut missing: Vec<_> =
            all.filter(|folder| !self.places.contains_key(*folder)).map(<[u8]>::to_vec).collect();
        missing.sort_unstable();
        missing.dedup();
        for folder in missing {
            if let btree_map::Entry::Vacant(place) = self.places.entry(folder) {
                place.insert(self.inodes.len());
                let attributes = Attributes::plain(0o755);
                self.inodes.push(Inode { kind: Kind::Folder, attributes, xattrs: Vec::new(), first: None });
            }
        }
    }

    fn cleaned(&self, path: &[u8]) -> Result<Vec<u8>, Error> {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in path.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(self.invalid(path, "leads out of its folder by ..")),
                part if part.contains(&0) => return Err(self.invalid(path, "holds a NUL, which no name can")),
                part => parts.push(part),
            }
        }
        Ok(parts.join(&b'/'))
    }

    fn keep(&mut self, xattrs: Vec<(Vec<u8>, Vec<u8>)>, path: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut kept = Vec::new();
        for (name, value) in xattrs {
            match XattrFate::of(&name) {
                XattrFate::Kept => kept.push((name, value)),
                XattrFate::Privileged => {
                    self.skipped.privileged.get_or_insert_with(|| (0, as_path(path))).0 += 1;
                }
                XattrFate::Hosts => {}
            }
        }
        kept
    }

    fn invalid(&self, path: &[u8], reason: &str) -> Error {
        let name = transship_spec::quote(&String::from_utf8_lossy(path));
        Error::Tar { path: self.path.to_owned(), reason: format!("its entry {name} {reason}") }
    }
}

/// The folders that lead to a path.
fn folders(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &path[..end])
}

/// A fault of the tar at a path.
fn at(fault: Fault, path: &Path) -> Error {
    let path = path.to_owned();
    match fault {
        Fault::Read(source) => Error::Read { path, source },
        Fault::Invalid(reason) => Error::Tar { path, reason },
        Fault::Truncated { offset, missing } => Error::Truncated { path, offset, missing },
        Fault::Limit { what, limit } => Error::Limit { path, what, limit },
        Fault::Unsupported(what) => Error::Unsupported(format!("{what} in {}", crate::error::shown(&path))),
    }
}
