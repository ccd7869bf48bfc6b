//! A tree of files, met one after the other in the order in which a layer holds them.
//!
//! **Order** (frozen with the recipe [`TAR_RECIPE`](crate::TAR_RECIPE)): by the bytes of the whole path, where the path
//! of a folder ends in a slash. So `a-b` comes before `a.b`, which comes before the folder `a/`, which comes right
//! before `a/b`; parents come before their children, and what the file system gives first does not matter.
//!
//! **Safety**: everything is opened beneath its folder's handle, by its one name, without following links (unless asked
//! to) and without waiting for FIFOs. A tree that changes meanwhile makes an error, never a way out of the tree.
//!
//! Memory grows with the largest folder and with the number of hard links, not with the tree. The top of the tree
//! itself is no entry: who made the folder, and with what mode, is no matter of what it holds.

mod attributes;
mod exclude;
mod listing;
mod overlay;

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat_raw, statat};
use rustix::io::Errno;

use crate::changeset::{OPAQUE, whiteout};
use crate::entry::{Attributes, Content, Entry, Origin, What};
use crate::{Error, Warning};
pub(crate) use attributes::XattrFate;
pub use exclude::Excludes;
pub(crate) use exclude::Fate;
use listing::{Listing, Sort};

/// How deep a tree may be: each level holds a folder open.
const MAX_DEPTH: usize = 512;
const MAX_LINK: usize = 4096;
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// How to walk.
#[derive(Debug, Clone)]
pub(crate) struct Options<'a> {
    /// What to leave out.
    pub(crate) excludes: &'a Excludes,
    /// Whether links are replaced by what they lead to.
    pub(crate) dereference: bool,
    /// Whether a file met again is a hard link to its first path.
    pub(crate) hard_links: bool,
    /// A folder that all paths lie in, and that is then an entry itself; may be empty.
    pub(crate) prefix: &'a str,
    /// Whether the names in each folder are kept for [`Walk::names_in`].
    pub(crate) listed: bool,
    /// Whether marks of overlayfs are whiteouts.
    pub(crate) overlay: bool,
}

pub(crate) struct Walk<'a> {
    root: Arc<Path>,
    options: Options<'a>,
    frames: Vec<Frame>,
    /// Whether the top was opened.
    started: bool,
    /// Path of the entry at hand in the tar.
    path: Vec<u8>,
    /// How much of it is the prefix, which is not part of the path on disk.
    prefix: usize,
    /// First paths of files with several names, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    xattrs: attributes::Xattrs,
    /// Names in the folders that were met.
    listed: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    /// The file at hand, where it has several names.
    file: Option<(u64, u64)>,
    /// What the folder met last takes away from lower layers.
    whiteouts: Vec<Entry>,
    /// What was met and is still to be given.
    ready: VecDeque<Entry>,
    pub(crate) skipped: Skipped,
}

/// What a walk left out: how often, and where first.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    pub(crate) sockets: Option<(u64, PathBuf)>,
    /// Extended attributes that no tar can say.
    pub(crate) unsayable: Option<(u64, PathBuf)>,
    /// Access control lists and attributes of the kernel.
    pub(crate) privileged: Option<(u64, PathBuf)>,
}

impl Skipped {
    /// What is to be said of it, and of the owners that were lost.
    pub(crate) fn warnings(self, owners: Option<Warning>) -> Vec<Warning> {
        let sockets = self.sockets.map(|(count, first)| Warning::Sockets { count, first });
        let attributes = self.unsayable.map(|(count, first)| Warning::Attributes { count, first });
        let privileged = self.privileged.map(|(count, first)| Warning::PrivilegedAttributes { count, first });
        [sockets, owners, attributes, privileged].into_iter().flatten().collect()
    }
}

struct Frame {
    dir: Dir,
    listing: Listing,
    /// Length of the folder's path, slash included.
    base: usize,
    id: (u64, u64),
    /// The folder itself, where it is packed only if something in it is.
    waiting: Option<Entry>,
}

impl<'a> Walk<'a> {
    /// A walk over the tree beneath `root`; links to it are followed. Nothing is opened yet.
    pub(crate) fn new(root: &'a Path, options: Options<'a>) -> Self {
        let mut walk = Self {
            root: root.into(),
            options,
            frames: Vec::new(),
            started: false,
            path: Vec::new(),
            prefix: 0,
            links: HashMap::new(),
            xattrs: attributes::Xattrs::default(),
            listed: HashMap::new(),
            file: None,
            whiteouts: Vec::new(),
            ready: VecDeque::new(),
            skipped: Skipped::default(),
        };
        if !walk.options.prefix.is_empty() {
            walk.path.extend_from_slice(walk.options.prefix.as_bytes());
            walk.path.push(b'/');
            walk.prefix = walk.path.len();
        }
        walk
    }

    /// The next entry, as it is on disk, or nothing when all were met.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Changed`], [`Error::Reserved`], [`Error::Limit`]. After an error the walk is over.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Error> {
        if let Some(entry) = self.ready.pop_front() {
            return Ok(Some(entry));
        }
        self.advance().inspect_err(|_| self.frames.clear())
    }

    fn advance(&mut self) -> Result<Option<Entry>, Error> {
        if !std::mem::replace(&mut self.started, true) {
            let (stat, dir) = self.open_root()?;
            self.descend(dir, &stat)?;
            if self.prefix > 0 {
                return Ok(Some(self.entry(Attributes::of(&stat), What::Folder)));
            }
            self.ready.extend(self.whiteouts.drain(..));
            if let Some(first) = self.ready.pop_front() {
                return Ok(Some(first));
            }
        }
        while let Some(frame) = self.frames.last_mut() {
            self.path.truncate(frame.base);
            let Some((name, sort)) = frame.listing.next() else {
                if frame.waiting.is_some() {
                    self.listed.remove(&self.path[self.prefix..]);
                }
                self.frames.pop();
                continue;
            };
            self.path.extend_from_slice(name);
            let fate = self.options.excludes.fate(&self.path[self.prefix..], sort == Sort::Folder);
            if fate == Fate::Out {
                continue;
            }
            let Some((attributes, what)) = self.visit(sort)? else { continue };
            let entry = self.entry(attributes, what);
            match self.frames.last_mut() {
                Some(frame) if fate == Fate::Unless && self.whiteouts.is_empty() => {
                    frame.waiting = Some(entry);
                }
                _ => {
                    let first = self.after_its_folders(entry);
                    self.ready.extend(self.whiteouts.drain(..));
                    return Ok(Some(first));
                }
            }
        }
        Ok(None)
    }

    fn entry(&mut self, attributes: Attributes, what: What) -> Entry {
        Entry {
            path: self.path.clone(),
            attributes,
            xattrs: self.xattrs.take(),
            what,
            origin: Origin::Beneath { root: self.root.clone(), prefix: self.prefix },
            file: self.file.take(),
        }
    }

    /// The names that a folder has which was met: of what a layer holds and what is not left out. They are given once.
    pub(crate) fn names_in(&mut self, folder: &[u8]) -> Vec<Vec<u8>> {
        self.listed.remove(folder).unwrap_or_default()
    }

    fn take_marks(&mut self, marks: overlay::Marks) {
        let folder = self.path.clone();
        let is_in = |name: &Vec<u8>| {
            let path = [&folder[self.prefix..], name].concat();
            self.options.excludes.fate(&path, false) == Fate::In
        };
        let opaque = marks.opaque.then(|| OPAQUE.to_vec());
        let mut names: Vec<_> = opaque.into_iter().chain(marks.gone.into_iter().filter(is_in)).collect();
        names.sort_unstable();
        self.whiteouts = names.iter().map(|name| whiteout(&folder, name)).collect();
    }

    fn list(&mut self, listing: &Listing) {
        let folder = self.path[self.prefix..].to_vec();
        let mut path = folder.clone();
        let mut names = Vec::new();
        for (name, sort) in listing.names().filter(|(_, sort)| *sort != Sort::Socket) {
            path.truncate(folder.len());
            path.extend_from_slice(name);
            if self.options.excludes.fate(&path, sort == Sort::Folder) == Fate::In {
                names.push(name.to_vec());
            }
        }
        self.listed.insert(folder, names);
    }

    /// What is to be given first: the folders that waited for something in them, or this.
    fn after_its_folders(&mut self, entry: Entry) -> Entry {
        self.ready.extend(self.frames.iter_mut().filter_map(|frame| frame.waiting.take()));
        match self.ready.pop_front() {
            Some(first) => {
                self.ready.push_back(entry);
                first
            }
            None => entry,
        }
    }

    fn visit(&mut self, sort: Sort) -> Result<Option<(Attributes, What)>, Error> {
        self.xattrs.clear();
        self.file = None;
        let name = self.name();
        if name.starts_with(b".wh.") {
            return Err(Error::Reserved(self.on_disk()));
        }
        match sort {
            Sort::Folder => self.folder().map(Some),
            Sort::File => self.file().map(Some),
            Sort::Other | Sort::Socket => self.other(),
        }
    }

    fn folder(&mut self) -> Result<(Attributes, What), Error> {
        let handle =
            openat(self.dir()?, self.name(), OPEN | OFlags::DIRECTORY | self.no_follow(), Mode::empty())
                .map_err(|error| self.read_error(error))?;
        let stat = fstat(&handle).map_err(|error| self.read_error(error))?;
        self.read_xattrs(&handle)?;
        let dir = Dir::new(handle).map_err(|error| self.read_error(error))?;
        self.path.push(b'/');
        self.descend(dir, &stat)?;
        Ok((Attributes::of(&stat), What::Folder))
    }

    fn file(&mut self) -> Result<(Attributes, What), Error> {
        let handle = openat(self.dir()?, self.name(), OPEN | self.no_follow(), Mode::empty())
            .map_err(|error| self.read_error(error))?;
        let stat = fstat(&handle).map_err(|error| self.read_error(error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.changed("it is no longer a regular file"));
        }
        if let Some(first) = self.first_path(&stat) {
            return Ok((Attributes::of(&stat), What::HardLink(first)));
        }
        self.read_xattrs(&handle)?;
        Ok((Attributes::of(&stat), What::File(Content::Whole(File::from(handle)))))
    }

    fn other(&mut self) -> Result<Option<(Attributes, What)>, Error> {
        let follow = if self.options.dereference { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        let stat = statat(self.dir()?, self.name(), follow).map_err(|error| self.read_error(error))?;
        let what = match FileType::from_raw_mode(stat.st_mode) {
            // Never a hard link: unpackers give a hard link its mode and owner, and would give it to what it leads to.
            FileType::Symlink => {
                return Ok(Some((Attributes::of(&stat), What::Symlink(self.link_target()?))));
            }
            FileType::Socket => {
                let path = self.on_disk();
                self.skipped.sockets.get_or_insert((0, path)).0 += 1;
                return Ok(None);
            }
            FileType::CharacterDevice => What::CharDevice,
            FileType::BlockDevice => What::BlockDevice,
            FileType::Fifo => What::Fifo,
            _ => return Err(self.changed("it was replaced by something else")),
        };
        let what = self.first_path(&stat).map_or(what, What::HardLink);
        Ok(Some((Attributes::of(&stat), what)))
    }

    fn link_target(&self) -> Result<Vec<u8>, Error> {
        let mut target = vec![0; MAX_LINK];
        let len = readlinkat_raw(self.dir()?, self.name(), &mut target[..])
            .map_err(|error| self.read_error(error))?;
        target.truncate(len);
        Ok(target)
    }

    /// Where the same file was met before; remembers this path if it was not.
    fn first_path(&mut self, stat: &Stat) -> Option<Vec<u8>> {
        if stat.st_nlink < 2 {
            return None;
        }
        self.file = Some(identity(stat));
        if !self.options.hard_links {
            return None;
        }
        match self.links.entry(identity(stat)) {
            std::collections::hash_map::Entry::Occupied(first) => Some(first.get().clone()),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(self.path.clone());
                None
            }
        }
    }

    fn open_root(&mut self) -> Result<(Stat, Dir), Error> {
        let read_error = |error: Errno| Error::read(&self.root, error);
        let handle = openat(CWD, &*self.root, OPEN | OFlags::DIRECTORY, Mode::empty()).map_err(read_error)?;
        let stat = fstat(&handle).map_err(read_error)?;
        let dir = Dir::new(handle.try_clone().map_err(|error| Error::read(&self.root, error))?);
        self.read_xattrs(&handle)?;
        Ok((stat, dir.map_err(|error| Error::read(&self.root, error))?))
    }

    fn read_xattrs(&mut self, handle: &OwnedFd) -> Result<(), Error> {
        if self.options.overlay
            && let Some(mark) = overlay::leads_below(handle).map_err(|error| self.read_error(error))?
        {
            let path = crate::error::shown(&self.on_disk()).to_string();
            return Err(Error::Unsupported(format!(
                "the overlay.{mark} of {path}, which leads into a lower directory; mount the overlay, and pack the \
                 merged directory with --diff and the lower one"
            )));
        }
        let left = self.xattrs.read(handle).map_err(|error| self.read_error(error))?;
        let path = || self.on_disk();
        let (unsayable, privileged) = ((left.unsayable > 0).then(path), (left.privileged > 0).then(path));
        if let Some(path) = unsayable {
            self.skipped.unsayable.get_or_insert((0, path)).0 += left.unsayable;
        }
        if let Some(path) = privileged {
            self.skipped.privileged.get_or_insert((0, path)).0 += left.privileged;
        }
        Ok(())
    }

    fn descend(&mut self, mut dir: Dir, stat: &Stat) -> Result<(), Error> {
        let id = identity(stat);
        if self.frames.len() >= MAX_DEPTH {
            return Err(Error::Limit {
                path: self.on_disk(),
                what: "the depth of folders",
                limit: MAX_DEPTH as u64,
            });
        }
        if self.options.dereference && self.frames.iter().any(|frame| frame.id == id) {
            return Err(Error::read(&self.on_disk(), io::Error::from(Errno::LOOP)));
        }
        let mut listing = Listing::read(&mut dir, self.options.dereference)
            .map_err(|error| Error::read(&self.on_disk(), error))?;
        if self.options.overlay {
            let marks = dir
                .fd()
                .map_err(|error| self.read_error(error))
                .and_then(|dir| overlay::take(dir, &mut listing).map_err(|error| self.read_error(error)))?;
            self.take_marks(marks);
        }
        if self.options.listed {
            self.list(&listing);
        }
        self.frames.push(Frame { dir, listing, base: self.path.len(), id, waiting: None });
        Ok(())
    }

    fn dir(&self) -> Result<BorrowedFd<'_>, Error> {
        let frame = self.frames.last().ok_or(Error::Thread)?;
        frame.dir.fd().map_err(|error| self.read_error(error))
    }

    /// The last part of the path at hand.
    fn name(&self) -> &[u8] {
        &self.path[self.frames.last().map_or(0, |frame| frame.base)..]
    }

    /// The path at hand as the user can find it.
    fn on_disk(&self) -> PathBuf {
        beneath(&self.root, self.path.get(self.prefix..).unwrap_or_default())
    }

    fn no_follow(&self) -> OFlags {
        if self.options.dereference { OFlags::empty() } else { OFlags::NOFOLLOW }
    }

    fn changed(&self, what: &'static str) -> Error {
        Error::Changed { path: self.on_disk(), what }
    }

    /// What was listed a moment ago and is not there, or is another thing, has changed; but links to nothing and
    /// circles of links, where links are followed, are what they are.
    fn read_error(&self, error: Errno) -> Error {
        match error {
            Errno::NOENT | Errno::LOOP | Errno::NOTDIR if !self.options.dereference => {
                self.changed("it vanished or was replaced")
            }
            error => Error::read(&self.on_disk(), error),
        }
    }
}

/// Where a path of the tree lies on disk.
pub(crate) fn beneath(root: &Path, path: &[u8]) -> PathBuf {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if path.is_empty() { root.to_owned() } else { root.join(OsStr::from_bytes(path)) }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}
