//! The difference of two folders as a layer: upon the one it gives the other.
//!
//! - A path is in it if the layer would say something else of it than of the old one: type, mode, owner, target, device,
//!   extended attributes, content, and time, unless the rules set all times. Folders that lead to it come with it, since
//!   not everyone who unpacks a layer by itself knows what they were.
//! - What is gone has a whiteout, before what lies beside it (IMG-140); what has become something of another type needs
//!   none (IMG-125).
//! - A hard link leads to the first of its names that is in the layer; where none is, the content is written in full
//!   (IMG-117). Names that have become one file, or are no longer, are changes.
//!
//! Both trees are read once, side by side; what has the same size is compared byte by byte. Memory grows with the largest
//! folder and the number of hard links.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, Read, Seek};
use std::path::Path;

use super::whiteout;
use crate::entry::{Attributes, Content, Entries, Entry, What};
use crate::tarball::TarOptions;
use crate::tree::Tree;
use crate::{Error, Warning};

/// Bytes that are compared at once.
const PIECE: usize = 128 << 10;

/// What is new in a folder, and what is gone from it.
pub(crate) struct Difference<'a> {
    old: Side<'a>,
    new: Side<'a>,
    started: bool,
    hard_links: bool,
    /// Folders that both have and in which we are.
    folders: Vec<Folder>,
    /// A folder of the old tree of which nothing is left, with all in it.
    gone: Option<Vec<u8>>,
    /// Where files were written that have several names, and with what attributes.
    written: HashMap<(u64, u64), (Vec<u8>, Attributes)>,
    ready: VecDeque<Entry>,
    room: Vec<u8>,
}

/// One of the trees, of which the next entry is known.
struct Side<'a> {
    tree: Tree<'a>,
    next: Option<Entry>,
    /// First paths of files that have several.
    firsts: HashMap<(u64, u64), Vec<u8>>,
}

/// A folder that both trees have.
struct Folder {
    path: Vec<u8>,
    /// The entry, until it was written or was found not to be needed.
    entry: Option<Entry>,
    /// Names that the new tree has in it, or that have their whiteout.
    settled: HashSet<Vec<u8>>,
}

impl<'a> Difference<'a> {
    /// Nothing is opened yet.
    pub(crate) fn new(old: &'a Path, new: &'a Path, options: &'a TarOptions) -> Self {
        let side = |folder| Side { tree: Tree::listed(folder, options), next: None, firsts: HashMap::new() };
        Self {
            old: side(old),
            new: side(new),
            started: false,
            hard_links: options.hard_links,
            folders: Vec::new(),
            gone: None,
            written: HashMap::new(),
            ready: VecDeque::new(),
            room: vec![0; 2 * PIECE],
        }
    }

    fn start(&mut self) -> Result<(), Error> {
        self.old.advance()?;
        self.new.advance()?;
        self.enter(b"", None);
        Ok(())
    }

    /// One step further in whichever tree is behind.
    fn step(&mut self) -> Result<bool, Error> {
        let order = match (&self.old.next, &self.new.next) {
            (None, None) => return Ok(false),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.path.cmp(&new.path),
        };
        let old = if order.is_le() { self.old.take()? } else { None };
        let new = if order.is_ge() { self.new.take()? } else { None };
        match (old, new) {
            (Some(old), Some(new)) => self.both(old, new)?,
            (Some((old, _)), None) => self.only_old(&old),
            (None, Some((new, _))) => {
                self.new.tree.names_in(&new.path);
                self.write(new);
            }
            (None, None) => {}
        }
        Ok(true)
    }

    fn both(&mut self, (mut old, old_first): Met, (mut new, first): Met) -> Result<(), Error> {
        let is_changed = match (&first, &old_first) {
            (one, other) if one != other => true,
            // Another name of what was looked at before.
            (Some(_), _) => new.file.is_some_and(|file| self.written.contains_key(&file)),
            (None, _) => self.differs(&mut old, &mut new)?,
        };
        let is_folder = matches!(new.what, What::Folder);
        let path = new.path.clone();
        let entry = if is_changed {
            self.write(new);
            None
        } else {
            is_folder.then_some(new)
        };
        if is_folder {
            self.enter(&path, entry);
        }
        Ok(())
    }

    /// Both trees have a folder: what is gone from it is said first.
    fn enter(&mut self, path: &[u8], entry: Option<Entry>) {
        let old = self.old.tree.names_in(path);
        let mut settled: HashSet<_> = self.new.tree.names_in(path).into_iter().collect();
        let mut gone: Vec<_> = old.into_iter().filter(|name| !settled.contains(name)).collect();
        gone.sort_unstable();
        self.leave(path);
        self.folders.push(Folder { path: path.to_vec(), entry, settled: HashSet::new() });
        for name in gone {
            self.put(whiteout(path, &name));
            settled.insert(name);
        }
        if let Some(folder) = self.folders.last_mut() {
            folder.settled = settled;
        }
    }

    /// Forgets the folders that do not lead to a path.
    fn leave(&mut self, path: &[u8]) {
        while self.folders.last().is_some_and(|folder| !path.starts_with(&folder.path)) {
            self.folders.pop();
        }
    }

    fn only_old(&mut self, old: &Entry) {
        self.old.tree.names_in(&old.path);
        if self.gone.as_ref().is_some_and(|gone| old.path.starts_with(gone)) {
            return;
        }
        self.leave(&old.path);
        let folder = self.folders.last();
        let parent = folder.map_or(0, |folder| folder.path.len());
        let name = &old.path[parent..];
        let name = name.strip_suffix(b"/").unwrap_or(name);
        // What is not settled is there, but as nothing that a layer holds.
        if !folder.is_some_and(|folder| folder.settled.contains(name)) {
            self.put(whiteout(&old.path[..parent], name));
        }
        if matches!(old.what, What::Folder) {
            self.gone = Some(old.path.clone());
        }
    }

    /// Writes an entry of the new tree, as a link if another name of it was written.
    fn write(&mut self, mut entry: Entry) {
        if let Some(file) = entry.file.filter(|_| self.hard_links) {
            match self.written.get(&file) {
                Some((first, attributes)) => {
                    entry.what = What::HardLink(first.clone());
                    entry.attributes = *attributes;
                    entry.xattrs.clear();
                }
                None => drop(self.written.insert(file, (entry.path.clone(), entry.attributes))),
            }
        }
        self.put(entry);
    }

    /// Puts an entry behind the folders that lead to it.
    fn put(&mut self, entry: Entry) {
        self.leave(&entry.path);
        self.ready.extend(self.folders.iter_mut().filter_map(|folder| folder.entry.take()));
        self.ready.push_back(entry);
    }

    fn differs(&mut self, old: &mut Entry, new: &mut Entry) -> Result<bool, Error> {
        if said(old) != said(new) || old.xattrs != new.xattrs {
            return Ok(true);
        }
        match (&old.what, &new.what) {
            (What::File(_), What::File(_)) => Ok(!self.equal(old, new)?),
            (What::Symlink(one), What::Symlink(other)) => Ok(one != other),
            (one, other) => Ok(std::mem::discriminant(one) != std::mem::discriminant(other)),
        }
    }

    /// Whether two files hold the same. If not, the new one can be read from its beginning.
    fn equal(&mut self, old: &mut Entry, new: &mut Entry) -> Result<bool, Error> {
        let (What::File(one), What::File(other)) = (&mut old.what, &mut new.what) else { return Ok(false) };
        let (room, more_room) = self.room.split_at_mut(PIECE);
        loop {
            let count = match fill(one, room) {
                Ok(count) => count,
                Err(error) => return Err(Error::read(&old.place(), error)),
            };
            let more = match fill(other, more_room) {
                Ok(count) => count,
                Err(error) => return Err(Error::read(&new.place(), error)),
            };
            if room[..count] == more_room[..more] {
                if count == 0 {
                    return Ok(true);
                }
                continue;
            }
            if let Content::Whole(file) = other {
                file.rewind().map_err(|error| Error::read(&new.place(), error))?;
            }
            return Ok(false);
        }
    }
}

/// What a header says of an entry, name and target apart.
fn said(entry: &Entry) -> Attributes {
    let Attributes { size, device, .. } = entry.attributes;
    let size = if matches!(entry.what, What::File(_)) { size } else { 0 };
    let is_device = matches!(entry.what, What::CharDevice | What::BlockDevice);
    Attributes { size, device: if is_device { device } else { (0, 0) }, ..entry.attributes }
}

/// What was met, with the first path of the same file where this is not it.
type Met = (Entry, Option<Vec<u8>>);

impl Side<'_> {
    fn advance(&mut self) -> Result<(), Error> {
        self.next = self.tree.next()?;
        Ok(())
    }

    /// Takes what was met, and looks for the next.
    fn take(&mut self) -> Result<Option<Met>, Error> {
        let Some(entry) = self.next.take() else { return Ok(None) };
        let first = entry.file.and_then(|file| match self.firsts.get(&file) {
            Some(first) => Some(first.clone()),
            None => {
                self.firsts.insert(file, entry.path.clone());
                None
            }
        });
        self.advance()?;
        Ok(Some((entry, first)))
    }
}

fn fill(content: &mut Content, room: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < room.len() {
        match content.read(&mut room[have..]) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

impl Entries for Difference<'_> {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        if !std::mem::replace(&mut self.started, true) {
            self.start()?;
        }
        while self.ready.is_empty() && self.step()? {}
        if self.ready.is_empty() {
            self.new.tree.finish_with(&self.old.tree)?;
        }
        Ok(self.ready.pop_front())
    }

    fn warnings(&mut self) -> Vec<Warning> {
        self.new.tree.warnings()
    }
}
