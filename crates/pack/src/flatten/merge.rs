//! Several layers as one, in two passes: the first finds out what is left of each in the end, the second writes that.
//!
//! Whiteouts and opaque folders are applied wherever they stand in their layer (IMG-138, IMG-139). They are written, before
//! all else, only where other layers lie below the merged ones, which they may concern, too (IMG-143). A file whose own name is
//! gone, but that has others, is written under the first of those, and the rest link to it. The last word on a folder's
//! attributes is written where it was first met, so that folders come before what is in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use super::{Plain, end, put_content, put_header};
use crate::Error;
use crate::tarball::Sink;
use crate::tarball::read::{Entry, EntryKind, Time};
use crate::unpack::names::{Meaning, Refused, meaning, split};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// The longest path in bytes, and the deepest in folders.
const LIMITS: (usize, usize) = (16 << 10, 4096);
/// Entries of all layers together.
const MAX_ENTRIES: usize = 4_000_000;

/// A layer, and an entry of it.
type Place = (usize, u64);
/// Names from the root, with slashes between.
type Path = Vec<u8>;

/// What is by a name in the end.
struct Node {
    /// The entry that put it there.
    at: Place,
    what: What,
}

enum What {
    /// With the attributes that it has in the end.
    Folder(Box<Entry>),
    /// That no entry tells of, and that something in it once needed (IMG-119).
    Implied,
    /// Anything else, by the entry that has its content.
    Content(Place),
    /// A link to what the layers below have by this name.
    Beneath(Path),
}

/// What of an entry is kept until its layer is put upon the others.
enum Found {
    Folder(Box<Entry>),
    Link(Path),
    Other,
}

impl Found {
    fn of(entry: Entry) -> Self {
        match entry.kind {
            EntryKind::Folder => Self::Folder(Box::new(entry)),
            EntryKind::HardLink(target) => Self::Link(target),
            _ => Self::Other,
        }
    }
}

/// What is to be written when an entry is met again.
enum Action {
    Folder(Path, Box<Entry>),
    Content(Path),
    Link { path: Path, target: Path },
}

/// What all layers come to.
struct Merged {
    /// Whether other layers lie below.
    below: bool,
    nodes: BTreeMap<Path, Node>,
    whiteouts: BTreeSet<Path>,
    opaque: BTreeSet<Path>,
    /// What the layer at hand hides, to which it may still link.
    hidden: BTreeMap<Path, Node>,
}

/// Merges layers, the lowest first, and writes the tar of what is left.
///
/// # Errors
/// [`Error::Tar`] and others that name the layer at fault, [`Error::Write`] when the sink takes no more.
pub(crate) fn merge(layers: &[Plain<'_>], below: bool, sink: &mut impl Sink) -> Result<(), Error> {
    let (nodes, whiteouts, opaque) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut merged = Merged { below, nodes, whiteouts, opaque, hidden: BTreeMap::new() };
    for (number, layer) in layers.iter().enumerate() {
        merged.read(number, layer)?;
    }
    merged.write(layers, sink)
}

impl Merged {
    /// Puts a layer upon those before.
    fn read(&mut self, number: usize, layer: &Plain<'_>) -> Result<(), Error> {
        let (mut nodes, mut count) = (Vec::new(), 0);
        let mut hidden = Vec::new();
        layer.entries(|entry, _| {
            let refuse = |refused| refused_at(layer, &entry.path, &refused);
            match meaning(&entry.path, LIMITS).map_err(refuse)? {
                Meaning::Whiteout(parents, name) => hidden.push((joined(&parents, name), false)),
                Meaning::Opaque(parents) => hidden.push((parents.join(&b'/'), true)),
                Meaning::Root => nodes.push((Path::new(), count, Found::of(entry))),
                Meaning::Node(parents, name) => {
                    let path = joined(&parents, name);
                    nodes.push((path, count, Found::of(entry)));
                }
                Meaning::Foreign => {}
            }
            count += 1;
            if nodes.len() + self.nodes.len() > MAX_ENTRIES {
                let (what, limit) = ("the number of entries", MAX_ENTRIES as u64);
                return Err(Error::Limit { path: layer.path.clone(), what, limit });
            }
            Ok(())
        })?;
        for (path, is_opaque) in hidden {
            let mut gone = self.remove_below(&path);
            if !is_opaque {
                gone.extend(self.nodes.remove(&path).map(|node| (path.clone(), node)));
            }
            self.hidden.extend(gone);
            if self.below {
                let list = if is_opaque { &mut self.opaque } else { &mut self.whiteouts };
                list.insert(path);
            }
        }
        let mut nodes = nodes.into_iter();
        nodes.try_for_each(|(path, count, found)| self.put(layer, path, (number, count), found))?;
        self.hidden.clear();
        Ok(())
    }

    /// Sees to it that the folders of a path are there.
    fn imply(&mut self, path: &[u8], at: Place) {
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let folder = path[..end].to_vec();
            self.nodes.entry(folder).or_insert(Node { at, what: What::Implied });
        }
    }

    fn put(&mut self, layer: &Plain<'_>, path: Path, at: Place, found: Found) -> Result<(), Error> {
        let node = match found {
            Found::Folder(entry) => match self.nodes.remove(&path) {
                Some(Node { at: first, what: What::Folder(_) | What::Implied }) => {
                    Node { at: first, what: What::Folder(entry) }
                }
                // In the layers below there may be a folder, which the file hid.
                Some(_) if self.below => {
                    self.whiteouts.insert(path.clone());
                    Node { at, what: What::Folder(entry) }
                }
                _ => Node { at, what: What::Folder(entry) },
            },
            Found::Link(target) => {
                let parts =
                    split(&target, LIMITS.0).map_err(|refused| refused_at(layer, &target, &refused))?;
                let target = parts.join(&b'/');
                let node = self.nodes.get(&target).or_else(|| self.hidden.get(&target));
                let what = match node.map(|node| &node.what) {
                    Some(What::Content(place)) => What::Content(*place),
                    Some(What::Folder(_) | What::Implied) => {
                        return Err(unfit(layer, &path, "links to a folder"));
                    }
                    Some(What::Beneath(target)) => What::Beneath(target.clone()),
                    None if self.below => What::Beneath(target.clone()),
                    None => return Err(unfit(layer, &path, "links to what is not there")),
                };
                // A link of something to itself changes nothing.
                if target == path && self.nodes.contains_key(&path) {
                    return Ok(());
                }
                Node { at, what }
            }
            Found::Other => Node { at, what: What::Content(at) },
        };
        if !matches!(node.what, What::Folder(_)) {
            self.remove_below(&path);
            self.whiteouts.remove(&path);
        }
        self.imply(&path, at);
        self.nodes.insert(path, node);
        Ok(())
    }

    /// Folders that no entry tells of, and that are empty by now. Above other layers nobody knows whether they are there
    /// already, and with which attributes; then they are not told of.
    fn told(&self, path: &[u8]) -> bool {
        let first = [path, b"/"].concat();
        let next = self.nodes.range(first.clone()..).next();
        !self.below && next.is_none_or(|(next, _)| !next.starts_with(&first))
    }

    /// Removes all that is in a folder, and gives it back.
    fn remove_below(&mut self, path: &[u8]) -> Vec<(Path, Node)> {
        let within = match path {
            b"" => (Bound::Excluded(Path::new()), Bound::Unbounded),
            path => (Bound::Included([path, b"/"].concat()), Bound::Excluded([path, b"0"].concat())),
        };
        let gone: Vec<Path> = self.nodes.range(within).map(|(path, _)| path.clone()).collect();
        gone.into_iter().filter_map(|path| self.nodes.remove_entry(&path)).collect()
    }

    /// Whiteouts come first, and a link to what they hide in the layers below could not be made any more.
    fn check_links(&self, layers: &[Plain<'_>]) -> Result<(), Error> {
        let is_hidden = |path: &[u8]| {
            let folders =
                path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &path[..end]);
            let mut above = folders.chain([&b""[..]]);
            above.any(|folder| self.opaque.contains(folder) || self.whiteouts.contains(folder))
                || self.whiteouts.contains(path)
        };
        for (path, node) in &self.nodes {
            if let (What::Beneath(target), Some(layer)) = (&node.what, layers.get(node.at.0))
                && target != path
                && is_hidden(target)
            {
                return Err(unfit(
                    layer,
                    path,
                    "links to what is deleted later and lies below; merge from there on",
                ));
            }
        }
        Ok(())
    }

    /// What to do at which entry.
    fn actions(mut self) -> HashMap<Place, Vec<Action>> {
        let implied = self.nodes.iter().filter(|(_, node)| matches!(node.what, What::Implied));
        let (told, untold): (Vec<_>, Vec<_>) =
            implied.map(|(path, _)| path.clone()).partition(|path| self.told(path));
        untold.iter().for_each(|path| drop(self.nodes.remove(path)));
        for path in told {
            if let Some(node) = self.nodes.get_mut(&path) {
                node.what = What::Folder(Box::new(Entry { kind: EntryKind::Folder, mode: 0o755, ..mark() }));
            }
        }
        let mut names: HashMap<Place, (Place, Path)> = HashMap::new();
        for (path, node) in &self.nodes {
            if let What::Content(content) = node.what {
                let first = names.entry(content).or_insert_with(|| (node.at, path.clone()));
                if node.at < first.0 {
                    *first = (node.at, path.clone());
                }
            }
        }
        let mut actions: HashMap<Place, Vec<Action>> = HashMap::new();
        for (path, node) in self.nodes {
            let (place, action) = match node.what {
                What::Folder(entry) => (node.at, Action::Folder(path, entry)),
                // A link of something to itself changes nothing.
                What::Beneath(target) if target == path => continue,
                What::Beneath(target) => (node.at, Action::Link { path, target }),
                What::Implied => continue,
                What::Content(content) => match names.get(&content) {
                    Some((_, first)) if *first != path => {
                        (node.at, Action::Link { path, target: first.clone() })
                    }
                    _ => (content, Action::Content(path)),
                },
            };
            actions.entry(place).or_default().push(action);
        }
        actions
    }

    fn write(mut self, layers: &[Plain<'_>], sink: &mut impl Sink) -> Result<(), Error> {
        self.check_links(layers)?;
        let mut scratch = Vec::new();
        for path in std::mem::take(&mut self.whiteouts) {
            let (folder, name) = cut(&path);
            put_header(&mark(), &[folder, WHITEOUT, name].concat(), sink, &mut scratch)?;
        }
        for path in std::mem::take(&mut self.opaque) {
            let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
            put_header(&mark(), &[&path, slash, OPAQUE].concat(), sink, &mut scratch)?;
        }
        let mut actions = self.actions();
        for (number, layer) in layers.iter().enumerate() {
            let mut count = 0;
            layer.entries(|entry, reader| {
                let todo = actions.remove(&(number, count)).unwrap_or_default();
                count += 1;
                for action in todo {
                    match action {
                        Action::Folder(path, folder) => {
                            let path =
                                if path.is_empty() { b"./".to_vec() } else { [&path, &b"/"[..]].concat() };
                            put_header(&folder, &path, sink, &mut scratch)?;
                        }
                        Action::Content(path) => {
                            put_header(&entry, &path, sink, &mut scratch)?;
                            put_content(layer, &entry, reader, sink)?;
                        }
                        Action::Link { path, target } => {
                            let link = Entry { kind: EntryKind::HardLink(target), ..entry.clone() };
                            put_header(&link, &path, sink, &mut scratch)?;
                        }
                    }
                }
                Ok(())
            })?;
        }
        end(sink)
    }
}

/// The empty file that whiteouts are.
fn mark() -> Entry {
    Entry {
        path: Vec::new(),
        kind: EntryKind::File,
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: Time::default(),
        size: 0,
        device: (0, 0),
        xattrs: Vec::new(),
        extents: None,
    }
}

fn joined(parents: &[&[u8]], name: &[u8]) -> Path {
    let mut parts = parents.to_vec();
    parts.push(name);
    parts.join(&b'/')
}

/// The folder of a path, with its slash, and the name in it.
fn cut(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1))
}

fn refused_at(layer: &Plain<'_>, path: &[u8], refused: &Refused) -> Error {
    match *refused {
        Refused::Unsafe(what) => unfit(layer, path, &format!("is not safe: {what}")),
        Refused::TooLong { what, limit } => Error::Limit { path: layer.path.clone(), what, limit },
    }
}

fn unfit(layer: &Plain<'_>, path: &[u8], what: &str) -> Error {
    let named = transship_spec::quote(&String::from_utf8_lossy(path));
    Error::Tar { path: layer.path.clone(), reason: format!("the entry {named} {what}") }
}
