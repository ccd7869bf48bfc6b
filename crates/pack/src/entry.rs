//! What a layer is made of: entries, in order, from wherever they come.
//!
//! A folder, a specification, a tar and a difference of two folders all become a stream of entries, which one writer
//! ([`crate::tarball`]) makes into a tar by one set of rules. The order is that of the bytes of whole paths, where the
//! path of a folder ends in a slash, so that parents come before their children.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Stat;
use transship_spec::{Digest, Verifier};

use crate::{Error, Warning, walk};

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
    /// All of this file.
    Whole(File),
    /// All of this file, whose digest is known.
    Known(File, Vec<Verifier>),
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
            Self::Whole(_) => Ok(()),
            Self::Known(_, verifiers) => verifiers.drain(..).try_for_each(Verifier::finish),
        }
    }
}

impl Read for Content {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Whole(file) => file.read(room),
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
