//! The files that layers come to, as a tree in memory: what unpacking them makes, with digests in place of content.
//!
//! A tree that was cloned shares with its origin all that was not changed since, so that layers upon a common base cost
//! memory for what they touch only, and comparing the two passes over the rest. Links among the parents of a path are
//! resolved from the root of the tree, as unpacking does; names that lead nowhere stand for folders to be made.
//!
//! Memory: about 250 bytes for each path, its name, targets and extended attributes apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use transship_spec::Digest;

use super::change::{Act, Change};
use crate::unpack::names::{Meaning, meaning, split};
use crate::unpack::{Attributes, Problem, UnpackLimits};

/// Links that are followed on the way to one folder, as Linux does.
const MAX_LINKS: usize = 40;

/// What there is by a name.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Folder(Arc<Folder>),
    Leaf(Arc<Leaf>),
}

#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) attributes: Attributes,
    pub(super) names: BTreeMap<Box<[u8]>, Name>,
    /// The last layer that has an entry for it.
    named: u32,
    /// The last layer that deleted what lower layers have in it.
    cleared: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) node: Node,
    /// The last layer that has something by this name or beneath it.
    layer: u32,
}

/// What is no folder.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) attributes: Attributes,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Of some files nobody asked for the digest: those that nothing can be equal to.
    File {
        size: u64,
        content: Option<Digest>,
    },
    Symlink(Box<[u8]>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// A tree, and the number of the layer that is being applied.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) root: Arc<Folder>,
    layer: u32,
    limits: UnpackLimits,
}

/// A path without links, name by name.
type Place = Vec<Box<[u8]>>;

impl Folder {
    fn unnamed() -> Self {
        let attributes = Attributes::of_unnamed_folder();
        Self { attributes, names: BTreeMap::new(), named: 0, cleared: 0 }
    }

    /// Deletes what lower layers have in it.
    fn clear(&mut self, layer: u32) {
        if self.cleared == layer {
            return;
        }
        self.cleared = layer;
        self.names.retain(|_, name| name.layer == layer);
        self.names.values_mut().for_each(|name| name.clear(layer));
    }
}

impl Name {
    /// Of a folder of both, what lower layers have in it goes, and what they say of it, too.
    fn clear(&mut self, layer: u32) {
        let Node::Folder(folder) = &mut self.node else { return };
        let folder = Arc::make_mut(folder);
        folder.clear(layer);
        if folder.named != layer {
            folder.attributes = Attributes::of_unnamed_folder();
        }
    }
}

impl Tree {
    pub(super) fn new(limits: UnpackLimits) -> Self {
        Self { root: Arc::new(Folder::unnamed()), layer: 1, limits }
    }

    /// The layer is over: what it has is what lower layers have, for the next.
    pub(super) fn end_layer(&mut self) {
        self.layer += 1;
    }

    /// Applies what an entry says.
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), Problem> {
        match meaning(&change.path, (self.limits.max_path, self.limits.max_depth))? {
            Meaning::Foreign => Ok(()),
            // There is nothing below the first layer.
            Meaning::Whiteout(..) | Meaning::Opaque(_) if self.layer == 1 => Ok(()),
            Meaning::Root => self.describe_root(&change.act),
            Meaning::Whiteout(parents, name) => self.whiteout(&parents, name),
            Meaning::Opaque(parents) => self.opaque(&parents),
            Meaning::Node(parents, name) => self.node(&parents, name, &change.act),
        }
    }

    fn describe_root(&mut self, act: &Act) -> Result<(), Problem> {
        let Act::Folder(attributes) = act else {
            return Err(Problem::Unsafe("it is the root, and no folder"));
        };
        Arc::make_mut(&mut self.root).attributes = attributes.clone();
        Ok(())
    }

    fn whiteout(&mut self, parents: &[&[u8]], name: &[u8]) -> Result<(), Problem> {
        let Some(place) = self.existing(parents)? else { return Ok(()) };
        let layer = self.layer;
        let folder = self.folder_mut(&place, false)?;
        match folder.names.get_mut(name) {
            Some(found) if found.layer == layer => found.clear(layer),
            Some(_) => drop(folder.names.remove(name)),
            None => {}
        }
        Ok(())
    }

    fn opaque(&mut self, parents: &[&[u8]]) -> Result<(), Problem> {
        let Some(place) = self.existing(parents)? else { return Ok(()) };
        let layer = self.layer;
        self.folder_mut(&place, false)?.clear(layer);
        Ok(())
    }

    fn node(&mut self, parents: &[&[u8]], name: &[u8], act: &Act) -> Result<(), Problem> {
        match act {
            Act::Deletion => Ok(()),
            Act::Folder(attributes) => self.folder(parents, name, attributes),
            Act::Leaf(leaf) => self.put(parents, name, Node::Leaf(Arc::clone(leaf))),
            Act::HardLink(target) => {
                let leaf = self.linked(target)?;
                self.put(parents, name, Node::Leaf(leaf))
            }
        }
    }

    /// A folder that is there keeps what is in it; anything else is replaced (IMG-125).
    fn folder(&mut self, parents: &[&[u8]], name: &[u8], attributes: &Attributes) -> Result<(), Problem> {
        let mut place = self.resolve(parents)?;
        if place.len() >= self.limits.max_depth {
            return Err(self.too_deep());
        }
        let layer = self.layer;
        let folder = self.folder_mut(&place, true)?;
        if let Some(found) = folder.names.get(name)
            && matches!(found.node, Node::Leaf(_))
        {
            folder.names.remove(name);
        }
        place.push(name.into());
        let folder = self.folder_mut(&place, true)?;
        folder.attributes = attributes.clone();
        folder.named = layer;
        Ok(())
    }

    fn put(&mut self, parents: &[&[u8]], name: &[u8], node: Node) -> Result<(), Problem> {
        let place = self.resolve(parents)?;
        let layer = self.layer;
        self.folder_mut(&place, true)?.names.insert(name.into(), Name { node, layer });
        Ok(())
    }

    /// What a hard link leads to: never what a link there leads to, but the link.
    fn linked(&self, target: &[u8]) -> Result<Arc<Leaf>, Problem> {
        const ABSENT: Problem = Problem::Unsafe("it is a hard link to what is not there");
        let parts = split(target, self.limits.max_path)?;
        let Some((last, folders)) = parts.split_last() else {
            return Err(Problem::Unsafe("it is a hard link to the root"));
        };
        let place = self.existing(folders)?.ok_or(ABSENT)?;
        let folder = self.at(&place).ok_or(ABSENT)?;
        match folder.names.get(*last).map(|name| &name.node) {
            Some(Node::Leaf(leaf)) => Ok(Arc::clone(leaf)),
            Some(Node::Folder(_)) => Err(Problem::Unsafe("it is a hard link to a folder")),
            None => Err(ABSENT),
        }
    }

    /// Where parents lead, if there is such a folder.
    fn existing(&self, parents: &[&[u8]]) -> Result<Option<Place>, Problem> {
        self.walk(parents, false)
    }

    /// Where parents lead, whether it is there or is to be made.
    fn resolve(&self, parents: &[&[u8]]) -> Result<Place, Problem> {
        self.walk(parents, true)?.ok_or(Problem::Unsafe("one of its parents is no folder"))
    }

    /// Follows parents and the links among them; nothing where something on the way is no folder, or not there and not to be
    /// made.
    fn walk(&self, parents: &[&[u8]], make: bool) -> Result<Option<Place>, Problem> {
        let mut todo: Vec<&[u8]> = parents.iter().rev().copied().collect();
        // The folders on the way, as far as they are there.
        let mut folders: Vec<&Folder> = vec![&self.root];
        let mut place: Place = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part {
                b"" | b"." => continue,
                b".." => {
                    place.pop();
                    folders.truncate(place.len() + 1);
                    continue;
                }
                _ => {}
            }
            if place.len() >= self.limits.max_depth {
                return Err(self.too_deep());
            }
            let parent = folders.last().filter(|_| folders.len() == place.len() + 1);
            match parent.and_then(|folder| folder.names.get(part)).map(|name| &name.node) {
                None if make => place.push(part.into()),
                None => return Ok(None),
                Some(Node::Folder(folder)) => {
                    folders.push(folder);
                    place.push(part.into());
                }
                Some(Node::Leaf(leaf)) => {
                    let What::Symlink(target) = &leaf.what else { return Ok(None) };
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Problem::Unsafe("its parents are links that lead nowhere"));
                    }
                    if target.starts_with(b"/") {
                        place.clear();
                        folders.truncate(1);
                    }
                    todo.extend(target.split(|byte| *byte == b'/').rev());
                }
            }
        }
        Ok(Some(place))
    }

    fn at(&self, place: &Place) -> Option<&Folder> {
        place.iter().try_fold(&*self.root, |folder, name| match &folder.names.get(name)?.node {
            Node::Folder(folder) => Some(&**folder),
            Node::Leaf(_) => None,
        })
    }

    /// A folder to be changed, made where there is none; `mark` says that the layer has something in it.
    fn folder_mut(&mut self, place: &Place, mark: bool) -> Result<&mut Folder, Problem> {
        let mut folder = Arc::make_mut(&mut self.root);
        for name in place {
            let new = || Name { node: Node::Folder(Arc::new(Folder::unnamed())), layer: self.layer };
            let name = folder.names.entry(name.clone()).or_insert_with(new);
            if mark {
                name.layer = self.layer;
            }
            folder = match &mut name.node {
                Node::Folder(folder) => Arc::make_mut(folder),
                Node::Leaf(_) => return Err(Problem::Unsafe("one of its parents is no folder")),
            };
        }
        Ok(folder)
    }

    fn too_deep(&self) -> Problem {
        Problem::Limit { what: "the depth of a path", limit: self.limits.max_depth as u64 }
    }
}
