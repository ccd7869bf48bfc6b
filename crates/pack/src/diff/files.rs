//! The files of two trees, path by path.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use transship_spec::Digest;

use super::Status;
use super::tree::{Leaf, Name, Node, Tree, What};
use crate::Excludes;
use crate::unpack::Attributes;

/// A path that only one image has, or that is something else in the other.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FileChange {
    /// From the root of the image, without a slash before it; empty for the root.
    pub path: PathBuf,
    /// What it is on the left.
    pub left: Option<FileState>,
    /// What it is on the right.
    pub right: Option<FileState>,
    /// In what they differ, where both have it.
    pub aspects: Vec<Aspect>,
}

impl FileChange {
    /// Whether it was added, removed or changed.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(self.left.is_some(), self.right.is_some())
    }
}

/// Something in which a path can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Aspect {
    /// What it is: a file, a folder, a link …
    Kind,
    /// The twelve bits of permission.
    Mode,
    /// User or group.
    Owner,
    /// The size of a file.
    Size,
    /// The content of a file.
    Content,
    /// Where a symbolic link leads.
    Target,
    /// The numbers of a device.
    Device,
    /// Extended attributes.
    Xattrs,
    /// The time of the last change.
    Mtime,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
}

/// All that an image says of a path, as unpacking would set it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileState {
    /// What it is.
    pub kind: FileKind,
    /// The twelve bits of permission.
    pub mode: u32,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Bytes of a file; zero for anything else.
    pub size: u64,
    /// Seconds since 1970, and billionths of a second after that.
    pub mtime: (i64, u32),
    /// The digest of a file's content; none where nothing could be equal to it, so that it was not read.
    pub content: Option<Digest>,
    /// Where a symbolic link leads, as the bytes of its target.
    pub target: Option<Vec<u8>>,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl FileState {
    fn new(kind: FileKind, attributes: &Attributes) -> Self {
        Self {
            kind,
            mode: attributes.mode,
            uid: attributes.uid,
            gid: attributes.gid,
            size: 0,
            mtime: (attributes.mtime.seconds, attributes.mtime.nanos),
            content: None,
            target: None,
            device: None,
            xattrs: attributes.xattrs.clone(),
        }
    }

    fn of(node: &Node) -> Self {
        match node {
            Node::Folder(folder) => Self::new(FileKind::Folder, &folder.attributes),
            Node::Leaf(leaf) => Self::of_leaf(leaf),
        }
    }

    fn of_leaf(leaf: &Leaf) -> Self {
        let new = |kind| Self::new(kind, &leaf.attributes);
        match &leaf.what {
            What::File { size, content } => {
                Self { size: *size, content: content.clone(), ..new(FileKind::File) }
            }
            What::Symlink(target) => Self { target: Some(target.to_vec()), ..new(FileKind::Symlink) },
            What::CharDevice(major, minor) => {
                Self { device: Some((*major, *minor)), ..new(FileKind::CharDevice) }
            }
            What::BlockDevice(major, minor) => {
                Self { device: Some((*major, *minor)), ..new(FileKind::BlockDevice) }
            }
            What::Fifo => new(FileKind::Fifo),
        }
    }

    /// In what another differs from it.
    fn aspects(&self, other: &Self, with_mtime: bool) -> Vec<Aspect> {
        let is_other_kind = self.kind != other.kind;
        // Links have no mode of their own that anybody looks at.
        let has_mode = self.kind != FileKind::Symlink && other.kind != FileKind::Symlink;
        let differs = [
            (Aspect::Kind, is_other_kind),
            (Aspect::Mode, has_mode && self.mode != other.mode),
            (Aspect::Owner, (self.uid, self.gid) != (other.uid, other.gid)),
            (Aspect::Size, !is_other_kind && self.size != other.size),
            (Aspect::Content, !is_other_kind && (self.size, &self.content) != (other.size, &other.content)),
            (Aspect::Target, !is_other_kind && self.target != other.target),
            (Aspect::Device, !is_other_kind && self.device != other.device),
            (Aspect::Xattrs, self.xattrs != other.xattrs),
            (Aspect::Mtime, with_mtime && self.mtime != other.mtime),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(aspect, _)| aspect).collect()
    }
}

/// Which paths are compared, and by what.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) mtime: bool,
    pub(super) paths: Option<Excludes>,
}

/// All paths that differ, folders before what is in them, each level in the order of the bytes of its names.
pub(super) fn compare(left: &Tree, right: &Tree, scope: &Scope) -> Vec<FileChange> {
    let mut found = Comparing { scope, path: Vec::new(), changes: Vec::new() };
    let (left, right) = (Node::Folder(Arc::clone(&left.root)), Node::Folder(Arc::clone(&right.root)));
    found.nodes(Some(&left), Some(&right));
    found.changes
}

struct Comparing<'a> {
    scope: &'a Scope,
    path: Vec<u8>,
    changes: Vec<FileChange>,
}

impl Comparing<'_> {
    fn nodes(&mut self, left: Option<&Node>, right: Option<&Node>) {
        if is_shared(left, right) {
            return;
        }
        self.this(left, right);
        let none = BTreeMap::new();
        self.children(names_in(left).unwrap_or(&none), names_in(right).unwrap_or(&none));
    }

    /// The path at hand by itself.
    fn this(&mut self, left: Option<&Node>, right: Option<&Node>) {
        let is_folder = [left, right].iter().any(|node| matches!(node, Some(Node::Folder(_))));
        if self.scope.paths.as_ref().is_some_and(|globs| !globs.name_or_hold(&self.path, is_folder)) {
            return;
        }
        let (left, right) = (left.map(FileState::of), right.map(FileState::of));
        let aspects = match (&left, &right) {
            (Some(left), Some(right)) => left.aspects(right, self.scope.mtime),
            _ => Vec::new(),
        };
        if left.is_some() && right.is_some() && aspects.is_empty() {
            return;
        }
        let path = PathBuf::from(OsString::from_vec(self.path.clone()));
        self.changes.push(FileChange { path, left, right, aspects });
    }

    /// What is in folders of both sides, name by name.
    fn children(&mut self, left: &BTreeMap<Box<[u8]>, Name>, right: &BTreeMap<Box<[u8]>, Name>) {
        let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
        loop {
            let name = match (left.peek(), right.peek()) {
                (None, None) => return,
                (Some((a, _)), Some((b, _))) => (*a).min(*b),
                (Some((name, _)), None) | (None, Some((name, _))) => *name,
            };
            let a = left.next_if(|(other, _)| *other == name);
            let b = right.next_if(|(other, _)| *other == name);
            let length = self.path.len();
            if length > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name);
            self.nodes(a.map(|(_, name)| &name.node), b.map(|(_, name)| &name.node));
            self.path.truncate(length);
        }
    }
}

fn names_in(node: Option<&Node>) -> Option<&BTreeMap<Box<[u8]>, Name>> {
    match node {
        Some(Node::Folder(folder)) => Some(&folder.names),
        _ => None,
    }
}

/// Whether both come from one layer, unchanged since, so that there is nothing to compare.
fn is_shared(left: Option<&Node>, right: Option<&Node>) -> bool {
    match (left, right) {
        (Some(Node::Folder(left)), Some(Node::Folder(right))) => Arc::ptr_eq(left, right),
        (Some(Node::Leaf(left)), Some(Node::Leaf(right))) => Arc::ptr_eq(left, right),
        _ => false,
    }
}
