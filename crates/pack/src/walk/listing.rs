//! The names in one folder, in the order in which they are packed.
//!
//! All names lie in one buffer, so that a folder with a million of them costs little more than its names.

use std::cmp::Ordering;
use std::io;

use rustix::fs::{AtFlags, Dir, FileType, statat};

/// The names of one folder, sorted; taken one after the other.
pub(super) struct Listing {
    bytes: Vec<u8>,
    /// Sorted the other way round: the next one is the last.
    names: Vec<Name>,
}

#[derive(Clone, Copy)]
struct Name {
    start: usize,
    len: u16,
    sort: Sort,
}

/// What a name stood for when the folder was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Folder,
    File,
    Other,
    /// A layer holds none.
    Socket,
}

impl Sort {
    pub(super) fn of(kind: FileType) -> Self {
        match kind {
            FileType::Directory => Self::Folder,
            FileType::RegularFile => Self::File,
            FileType::Socket => Self::Socket,
            _ => Self::Other,
        }
    }
}

impl Listing {
    /// Reads a folder. Links are followed to tell what they are if `follow` is set.
    pub(super) fn read(dir: &mut Dir, follow: bool) -> io::Result<Self> {
        let mut listing = Self { bytes: Vec::new(), names: Vec::new() };
        let mut unsure = Vec::new();
        while let Some(entry) = dir.read() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = entry.file_type();
            if kind == FileType::Unknown || follow && kind == FileType::Symlink {
                unsure.push(listing.names.len());
            }
            let len = u16::try_from(name.len()).map_err(|_| io::ErrorKind::InvalidFilename)?;
            listing.names.push(Name { start: listing.bytes.len(), len, sort: Sort::of(kind) });
            listing.bytes.extend_from_slice(name);
        }
        let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        for index in unsure {
            let name = listing.text(listing.names[index]);
            // A link to nothing is seen for what it is when its turn comes.
            if let Ok(stat) = statat(dir.fd()?, name, flags) {
                listing.names[index].sort = Sort::of(FileType::from_raw_mode(stat.st_mode));
            }
        }
        let Self { bytes, names } = &mut listing;
        let key = |name: &Name| &bytes[name.start..name.start + usize::from(name.len)];
        names.sort_unstable_by(|one, other| order((key(other), other.sort), (key(one), one.sort)));
        Ok(listing)
    }

    fn text(&self, name: Name) -> &[u8] {
        &self.bytes[name.start..name.start + usize::from(name.len)]
    }

    /// All names that were not taken yet.
    pub(super) fn names(&self) -> impl Iterator<Item = (&[u8], Sort)> {
        self.names.iter().map(|name| (self.text(*name), name.sort))
    }

    /// Takes names off the list, which are sorted.
    pub(super) fn forget(&mut self, names: &[Vec<u8>]) {
        let Self { bytes, names: all } = self;
        let text = |name: &Name| &bytes[name.start..name.start + usize::from(name.len)];
        all.retain(|name| names.binary_search_by(|other| (**other).cmp(text(name))).is_err());
    }

    /// The next name.
    pub(super) fn next(&mut self) -> Option<(&[u8], Sort)> {
        let name = self.names.pop()?;
        Some((self.text(name), name.sort))
    }
}

/// The order of two siblings: by their bytes, where the name of a folder ends in a slash.
///
/// Since no name holds a slash, all paths beneath a folder compare with its siblings as the folder itself does. So a
/// walk that goes down into each folder in this order meets whole paths in the order of their bytes.
fn order(one: (&[u8], Sort), other: (&[u8], Sort)) -> Ordering {
    fn key((name, sort): (&[u8], Sort)) -> impl Iterator<Item = &u8> {
        name.iter().chain((sort == Sort::Folder).then_some(&b'/'))
    }
    key(one).cmp(key(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slash_of_a_folder_takes_part_in_the_order() {
        let mut names = [
            (&b"a"[..], Sort::Folder),
            (b"a-b", Sort::Folder),
            (b"a.b", Sort::File),
            (b"a0", Sort::File),
            (b"B", Sort::Other),
            (b"\xff", Sort::File),
        ];
        names.sort_by(|one, other| order(*one, *other));
        let sorted: Vec<&[u8]> = names.iter().map(|(name, _)| *name).collect();
        assert_eq!(sorted, [&b"B"[..], b"a-b", b"a.b", b"a", b"a0", b"\xff"]);
    }
}
