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
const MAX_ENTRIES: usize = 10_000_000;

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
    /// Anything else, by the entry that has its content.
    Content(Place),
    /// A link to something of the layers below.
    Beneath,
}

/// What is to be written when an entry is met again.
enum Action {
    Folder(Path, Box<Entry>),
    Content(Path),
    Link { path: Path, target: Path },
    AsItIs(Path),
}

/// What all layers come to.
struct Merged {
    /// Whether other layers lie below.
    below: bool,
    nodes: BTreeMap<Path, Node>,
    whiteouts: BTreeSet<Path>,
    opaque: BTreeSet<Path>,
}

/// Merges layers, the lowest first, and writes the tar of what is left.
///
/// # Errors
/// [`Error::Tar`] and others that name the layer at fault, [`Error::Write`] when the sink takes no more.
pub(crate) fn merge(layers: &[Plain<'_>], below: bool, sink: &mut impl Sink) -> Result<(), Error> {
    let (nodes, whiteouts, opaque) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut merged = Merged { below, nodes, whiteouts, opaque };
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
                Meaning::Root => nodes.push((Path::new(), count, entry)),
                Meaning::Node(parents, name) => nodes.push((joined(&parents, name), count, entry)),
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
            self.remove_below(&path);
            if !is_opaque {
                self.nodes.remove(&path);
            }
            if self.below {
                let list = if is_opaque { &mut self.opaque } else { &mut self.whiteouts };
                list.insert(path);
            }
        }
        nodes.into_iter().try_for_each(|(path, count, entry)| self.put(layer, path, (number, count), entry))
    }

    fn put(&mut self, layer: &Plain<'_>, path: Path, at: Place, entry: Entry) -> Result<(), Error> {
        let node = match &entry.kind {
            EntryKind::Folder => match self.nodes.remove(&path) {
                Some(Node { at: first, what: What::Folder(_) }) => {
                    Node { at: first, what: What::Folder(Box::new(entry)) }
                }
                // In the layers below there may be a folder, which the file hid.
                Some(_) if self.below => {
                    self.whiteouts.insert(path.clone());
                    Node { at, what: What::Folder(Box::new(entry)) }
                }
                _ => Node { at, what: What::Folder(Box::new(entry)) },
            },
            EntryKind::HardLink(target) => {
                let parts = split(target, LIMITS.0).map_err(|refused| refused_at(layer, target, &refused))?;
                let what = match self.nodes.get(&parts.join(&b'/')).map(|node| &node.what) {
                    Some(What::Content(place)) => What::Content(*place),
                    Some(What::Folder(_)) => return Err(unfit(layer, &path, "links to a folder")),
                    Some(What::Beneath) => What::Beneath,
                    None if self.below => What::Beneath,
                    None => return Err(unfit(layer, &path, "links to what is not there")),
                };
                // A link of something to itself changes nothing.
                if parts.join(&b'/') == path {
                    return Ok(());
                }
                Node { at, what }
            }
            _ => Node { at, what: What::Content(at) },
        };
        if !matches!(node.what, What::Folder(_)) {
            self.remove_below(&path);
            self.whiteouts.remove(&path);
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    fn remove_below(&mut self, path: &[u8]) {
        if path.is_empty() {
            self.nodes.retain(|path, _| path.is_empty());
            return;
        }
        let (first, past) = ([path, b"/"].concat(), [path, b"0"].concat());
        let range = (Bound::Included(first), Bound::Excluded(past));
        let gone: Vec<Path> = self.nodes.range(range).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.nodes.remove(&path);
        }
    }

    /// What to do at which entry.
    fn actions(self) -> HashMap<Place, Vec<Action>> {
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
                What::Beneath => (node.at, Action::AsItIs(path)),
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
                        Action::AsItIs(path) => put_header(&entry, &path, sink, &mut scratch)?,
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
