//! What an entry of a layer changes in a tree, read once, so that it can be applied to as many trees as need be.

use std::collections::HashSet;
use std::io::BufRead;
use std::sync::Arc;

use transship_spec::{Digest, Hasher};

use super::tree::{Leaf, Tree, What};
use crate::tarball::read::{Entry, EntryKind, Reader};
use crate::unpack::names::{Meaning, meaning};
use crate::unpack::{Attributes, Layers, Plain, Problem, UnpackLimits};
use crate::warning::Warning;

/// The longest target that a link can have on Linux, in bytes.
const MAX_TARGET: usize = 4095;

/// What an entry says.
#[derive(Debug)]
pub(super) struct Change {
    /// As the tar has it.
    pub(super) path: Vec<u8>,
    pub(super) act: Act,
}

#[derive(Debug)]
pub(super) enum Act {
    /// Told by the name alone.
    Deletion,
    Folder(Attributes),
    HardLink(Box<[u8]>),
    Leaf(Arc<Leaf>),
}

/// Which files are to be hashed.
#[derive(Debug)]
pub(super) enum Wanted {
    All,
    /// Those of these sizes: no other can be equal to what they will be compared with.
    Sizes(HashSet<u64>),
}

impl Wanted {
    fn has(&self, size: u64) -> bool {
        match self {
            Self::All => true,
            Self::Sizes(sizes) => sizes.contains(&size),
        }
    }

    /// What must be known of lower layers to compare them with these.
    pub(super) fn beneath<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut sizes = HashSet::new();
        for change in changes {
            match &change.act {
                Act::Deletion | Act::Folder(_) => {}
                // A name of a lower file may take the place of another lower file.
                Act::HardLink(_) => return Self::All,
                Act::Leaf(leaf) => {
                    if let What::File { size, .. } = leaf.what {
                        sizes.insert(size);
                    }
                }
            }
        }
        Self::Sizes(sizes)
    }
}

/// What was read of all layers, counted.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) limits: UnpackLimits,
    entries: u64,
    bytes: u64,
    foreign: u64,
    host_xattrs: u64,
}

impl Count {
    pub(super) fn new(limits: UnpackLimits) -> Self {
        Self { limits, entries: 0, bytes: 0, foreign: 0, host_xattrs: 0 }
    }

    /// Reads an entry; nothing for one that concerns nobody.
    fn change(
        &mut self,
        path: &[u8],
        mut entry: Entry,
        reader: &mut Reader<impl BufRead>,
        wanted: &Wanted,
    ) -> Result<Option<Change>, Problem> {
        self.entries += 1;
        if self.entries > self.limits.max_entries {
            return Err(Problem::Limit { what: "the number of entries", limit: self.limits.max_entries });
        }
        let act = match meaning(path, (self.limits.max_path, self.limits.max_depth))? {
            Meaning::Foreign => {
                self.foreign += 1;
                return Ok(None);
            }
            Meaning::Whiteout(..) | Meaning::Opaque(..) => Act::Deletion,
            Meaning::Root | Meaning::Node(..) => self.act(&mut entry, reader, wanted)?,
        };
        Ok(Some(Change { path: path.to_vec(), act }))
    }

    fn act(
        &mut self,
        entry: &mut Entry,
        reader: &mut Reader<impl BufRead>,
        wanted: &Wanted,
    ) -> Result<Act, Problem> {
        let (attributes, skipped) = Attributes::of(entry);
        self.host_xattrs += skipped;
        let (major, minor) = entry.device;
        let what = match std::mem::replace(&mut entry.kind, EntryKind::File) {
            EntryKind::Folder => return Ok(Act::Folder(attributes)),
            EntryKind::HardLink(target) => return Ok(Act::HardLink(target.into())),
            EntryKind::File => self.file(entry, reader, wanted)?,
            EntryKind::Symlink(target) => What::Symlink(possible(target)?.into()),
            EntryKind::CharDevice => What::CharDevice(major, minor),
            EntryKind::BlockDevice => What::BlockDevice(major, minor),
            EntryKind::Fifo => What::Fifo,
        };
        Ok(Act::Leaf(Arc::new(Leaf { attributes, what })))
    }

    fn file(
        &mut self,
        entry: &Entry,
        reader: &mut Reader<impl BufRead>,
        wanted: &Wanted,
    ) -> Result<What, Problem> {
        self.bytes = self.bytes.saturating_add(entry.size);
        if self.bytes > self.limits.max_size {
            return Err(Problem::Limit {
                what: "the size of all files in bytes",
                limit: self.limits.max_size,
            });
        }
        let content = wanted.has(entry.size).then(|| hash(entry, reader)).transpose()?;
        Ok(What::File { size: entry.size, content })
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let foreign = (self.foreign > 0).then_some(Warning::AufsEntries(self.foreign));
        let host = (self.host_xattrs > 0).then_some(Warning::HostAttributes(self.host_xattrs));
        foreign.into_iter().chain(host).collect()
    }
}

/// The target of a link, if a system could make it.
fn possible(target: Vec<u8>) -> Result<Vec<u8>, Problem> {
    match &*target {
        b"" => Err(Problem::Unsafe("it is a link to nothing")),
        bytes if bytes.contains(&0) => Err(Problem::Unsafe("its target holds a NUL")),
        bytes if bytes.len() > MAX_TARGET => {
            let limit = MAX_TARGET as u64;
            Err(Problem::Limit { what: "the length of a link's target in bytes", limit })
        }
        _ => Ok(target),
    }
}

/// The digest of a file, whose holes are zeros.
fn hash(entry: &Entry, reader: &mut Reader<impl BufRead>) -> Result<Digest, Problem> {
    let mut hasher = Hasher::sha256();
    let Some(extents) = &entry.extents else {
        take(entry.size, reader, &mut hasher)?;
        return Ok(hasher.finish());
    };
    let mut at = 0;
    for extent in extents {
        zeros(extent.offset.saturating_sub(at), &mut hasher);
        take(extent.len, reader, &mut hasher)?;
        at = extent.offset + extent.len;
    }
    zeros(entry.size.saturating_sub(at), &mut hasher);
    Ok(hasher.finish())
}

fn take(mut left: u64, reader: &mut Reader<impl BufRead>, hasher: &mut Hasher) -> Result<(), Problem> {
    while left > 0 {
        let chunk = reader.chunk().map_err(Problem::Tar)?;
        let count = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
        if count == 0 {
            return Ok(());
        }
        hasher.update(&chunk[..count]);
        reader.consume(count);
        left -= count as u64;
    }
    Ok(())
}

fn zeros(mut count: u64, hasher: &mut Hasher) {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    while count > 0 {
        let some = usize::try_from(count).map_or(ZEROS.len(), |count| count.min(ZEROS.len()));
        hasher.update(&ZEROS[..some]);
        count -= some as u64;
    }
}

/// Keeps what layers change, layer by layer, all files hashed.
pub(super) struct Recording<'a> {
    pub(super) count: &'a mut Count,
    pub(super) layers: Vec<Vec<Change>>,
}

impl<'a> Recording<'a> {
    pub(super) fn new(count: &'a mut Count) -> Self {
        Self { count, layers: vec![Vec::new()] }
    }
}

impl Layers for Recording<'_> {
    fn entry(&mut self, path: &[u8], entry: Entry, reader: &mut Reader<&mut Plain>) -> Result<(), Problem> {
        let change = self.count.change(path, entry, reader, &Wanted::All)?;
        if let Some(layer) = self.layers.last_mut() {
            layer.extend(change);
        }
        Ok(())
    }

    fn end_layer(&mut self) -> Result<(), Problem> {
        self.layers.push(Vec::new());
        Ok(())
    }
}

/// Applies what layers change as it is read.
pub(super) struct Applying<'a> {
    pub(super) count: &'a mut Count,
    pub(super) tree: Tree,
    pub(super) wanted: Wanted,
}

impl Layers for Applying<'_> {
    fn entry(&mut self, path: &[u8], entry: Entry, reader: &mut Reader<&mut Plain>) -> Result<(), Problem> {
        let change = self.count.change(path, entry, reader, &self.wanted)?;
        change.map_or(Ok(()), |change| self.tree.apply(&change))
    }

    fn end_layer(&mut self) -> Result<(), Problem> {
        self.tree.end_layer();
        Ok(())
    }
}
