//! What a layer is made of: entries, in order, from wherever they come.
//!
//! A folder, a specification, a tar and a difference of two folders all become a stream of entries, which one writer
//! ([`crate::tarball`]) makes into a tar by one set of rules. The order is that of the bytes of whole paths, where the
//! path of a folder ends in a slash, so that parents come before their children.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Stat;
use transship_spec::{Digest, Verifier};

use crate::tarball::read::Extent;
use crate::{Error, Warning, walk};

/// What names of whiteouts begin with (IMG-135).
pub(crate) const WHITEOUT: &[u8] = b".wh.";

/// Where entries come from.
pub(crate) trait Entries {
    /// The next entry, or nothing when all were given.
    ///
    /// # Errors
    /// Those that name the path at fault. After an error no more is asked for.
    fn next(&mut self) -> Result<Option<Entry>, Error>;

    /// What could not be kept, once all were given.
    fn warnings(&mut self) -> Vec<Warning>;
}

/// One entry of a layer.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its path in the tar; that of a folder ends in a slash.
    pub(crate) path: Vec<u8>,
    pub(crate) attributes: Attributes,
    /// Extended attributes that a layer keeps, sorted by name.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) what: What,
    pub(crate) origin: Origin,
    /// Where it is on disk and has several names: which file it is.
    pub(crate) file: Option<(u64, u64)>,
}

impl Entry {
    /// Where the user finds it.
    pub(crate) fn place(&self) -> PathBuf {
        match &self.origin {
            Origin::Beneath { root, prefix } => {
                walk::beneath(root, self.path.get(*prefix..).unwrap_or_default())
            }
            Origin::File(path) => path.clone(),
        }
    }
}

/// Where an entry comes from, for messages.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// From a folder, in the tar beneath a prefix of so many bytes.
    Beneath { root: Arc<Path>, prefix: usize },
    /// From this file.
    File(PathBuf),
}

/// What an entry is.
#[derive(Debug)]
pub(crate) enum What {
    File(Content),
    Folder,
    Symlink(Vec<u8>),
    /// Another name of what was met first at this path.
    HardLink(Vec<u8>),
    CharDevice,
    BlockDevice,
    Fifo,
}

/// What `stat` says, or what is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// The twelve bits of permission.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Bytes, where it is a regular file.
    pub(crate) size: u64,
    /// Whole seconds since 1970.
    pub(crate) mtime: i64,
    /// Which device it stands for: major and minor number.
    pub(crate) device: (u32, u32),
}

impl Attributes {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: stat.st_mtime,
            device: (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)),
        }
    }

    /// Those of what nobody described, in 1970 and root's.
    pub(crate) fn plain(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0, size: 0, mtime: 0, device: (0, 0) }
    }
}

/// The bytes of a file, of which the attributes say how many there are.
#[derive(Debug)]
pub(crate) enum Content {
    /// No bytes.
    Nothing,
    /// All of this file.
    Whole(File),
    /// All of this file, whose digest is known.
    Known(File, Vec<Verifier>),
    /// What a tar holds of a file.
    Part(Part),
}

/// The content of a file in a tar, which may have holes.
#[derive(Debug)]
pub(crate) struct Part {
    tar: Arc<File>,
    /// Where the bytes lie in the tar that come next.
    at: u64,
    size: u64,
    /// How much of the file was read.
    seen: u64,
    /// What of it is still to come and no hole.
    extents: std::vec::IntoIter<Extent>,
    extent: Option<Extent>,
}

impl Part {
    /// A file of `size` bytes, which begins at this byte of the tar; that holds the extents, or all of it.
    pub(crate) fn new(tar: &Arc<File>, at: u64, size: u64, extents: Option<&[Extent]>) -> Self {
        let whole = [Extent { offset: 0, len: size }];
        let mut extents = extents.unwrap_or(&whole).to_vec().into_iter();
        Self { tar: tar.clone(), at, size, seen: 0, extent: extents.next(), extents }
    }
}

impl Read for Part {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.extent.is_some_and(|extent| extent.offset + extent.len <= self.seen) {
            self.extent = self.extents.next();
        }
        let most = |end: u64| {
            let left = end.saturating_sub(self.seen);
            usize::try_from(left).map_or(room.len(), |left| left.min(room.len()))
        };
        let count = match self.extent {
            Some(extent) if extent.offset <= self.seen => {
                let most = most(extent.offset + extent.len);
                let count = self.tar.read_at(&mut room[..most], self.at)?;
                self.at += count as u64;
                count
            }
            hole => {
                let most = most(hole.map_or(self.size, |extent| extent.offset));
                room[..most].fill(0);
                most
            }
        };
        self.seen += count as u64;
        Ok(count)
    }
}

/// The order of two paths of a layer that may hold whiteouts: as bytes, but whiteouts before what lies beside them
/// (IMG-140).
pub(crate) fn whiteouts_first(one: &[u8], other: &[u8]) -> Ordering {
    let common = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let name = one[..common].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let is_whiteout = |path: &[u8]| path[name..].starts_with(WHITEOUT);
    if one.len() == name || other.len() == name {
        // One is the folder of the other.
        return one.cmp(other);
    }
    is_whiteout(other).cmp(&is_whiteout(one)).then_with(|| one.cmp(other))
}

impl Content {
    /// A file that has to have these digests.
    pub(crate) fn known(file: File, digests: &[Digest]) -> Self {
        if digests.is_empty() {
            return Self::Whole(file);
        }
        Self::Known(file, digests.iter().map(|digest| Verifier::new(digest, None)).collect())
    }

    /// Says, once all was read, whether it was what it had to be.
    pub(crate) fn finish(&mut self) -> Result<(), transship_spec::Error> {
        match self {
            Self::Nothing | Self::Whole(_) | Self::Part(_) => Ok(()),
            Self::Known(_, verifiers) => verifiers.drain(..).try_for_each(Verifier::finish),
        }
    }
}

impl Read for Content {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Nothing => Ok(0),
            Self::Whole(file) => file.read(room),
            Self::Part(part) => part.read(room),
            Self::Known(file, verifiers) => {
                let count = file.read(room)?;
                for verifier in verifiers {
                    verifier.update(&room[..count]).map_err(io::Error::other)?;
                }
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_140_whiteouts_come_before_what_lies_beside_them() {
        let mut paths = [
            "a",
            "a/",
            "a/-",
            "a/.wh.x",
            "a/.a",
            "a/.wh..wh..opq",
            "-",
            ".wh.z",
            ".whx",
            "b/.wh.",
            ".w",
            "a-/",
        ];
        paths.sort_by(|one, other| whiteouts_first(one.as_bytes(), other.as_bytes()));
        let sorted = [
            ".wh.z",
            "-",
            ".w",
            ".whx",
            "a",
            "a-/",
            "a/",
            "a/.wh..wh..opq",
            "a/.wh.x",
            "a/-",
            "a/.a",
            "b/.wh.",
        ];
        assert_eq!(paths, sorted);
    }

    #[test]
    fn holes_are_read_as_zeros() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"headABCDtail").unwrap();
        let extents = [(2, 3), (5, 0), (7, 1), (10, 0)].map(|(offset, len)| Extent { offset, len }).to_vec();
        let tar = Arc::new(file);
        for (extents, size, expected) in [
            (None, 4, &b"ABCD"[..]),
            (Some(extents.clone()), 10, b"\0\0ABC\0\0D\0\0"),
            (Some(vec![]), 3, b"\0\0\0"),
        ] {
            let part = Part::new(&tar, 4, size, extents.as_deref());
            let mut found = Vec::new();
            Content::Part(part).read_to_end(&mut found).unwrap();
            assert_eq!(found, expected);
        }
    }
}
