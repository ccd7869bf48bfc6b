//! What trees that are described, rather than found, have in common.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::layer::open_regular;
use crate::mtree::{self, Flaw, Type};
use crate::walk::Fate;
use crate::{Error, Excludes};

/// The largest specification that is read.
const MAX_SPECIFICATION: u64 = 256 << 20;

/// Reads a specification into memory.
pub(super) fn read_specification(path: &Path) -> Result<Vec<mtree::Entry>, Error> {
    let mut bytes = Vec::new();
    let file = open_regular(path)?;
    file.take(MAX_SPECIFICATION + 1).read_to_end(&mut bytes).map_err(|error| Error::read(path, error))?;
    if bytes.len() as u64 > MAX_SPECIFICATION {
        let what = "the size of a specification in bytes";
        return Err(Error::Limit { path: path.to_owned(), what, limit: MAX_SPECIFICATION });
    }
    mtree::parse(&bytes).map_err(|flaw| Error::Specification { path: path.to_owned(), flaw })
}

/// An error of what a line says.
pub(super) fn flaw(specification: &Path, said: &mtree::Entry, reason: &str) -> Error {
    let name = transship_spec::quote(&String::from_utf8_lossy(&said.path));
    let flaw = Flaw { line: said.line, column: 1, reason: format!("{name}: {reason}") };
    Error::Specification { path: specification.to_owned(), flaw }
}

/// A path as bytes, as a path.
pub(super) fn as_path(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

/// Drops what is left out from paths in order, in which those of folders end in a slash, and what depends on them.
pub(super) fn leave_out<T>(planned: &mut Vec<(Vec<u8>, T)>, excludes: &Excludes) {
    let mut out: Option<Vec<u8>> = None;
    planned.retain(|(path, _)| {
        if out.as_ref().is_some_and(|folder| path.starts_with(folder)) {
            return false;
        }
        let (own, is_folder) = path.strip_suffix(b"/").map_or((&**path, false), |own| (own, true));
        let fate = excludes.fate(own, is_folder);
        if fate == Fate::Out && is_folder {
            out = Some(path.clone());
        }
        fate != Fate::Out
    });
    // What lies in a folder comes right behind it, so that from behind it is known whether there is anything.
    let mut behind: &[u8] = b"";
    let mut kept = vec![true; planned.len()];
    for (index, (path, _)) in planned.iter().enumerate().rev() {
        let waits = path.strip_suffix(b"/").is_some_and(|own| excludes.fate(own, true) == Fate::Unless);
        if waits && !behind.starts_with(path) {
            kept[index] = false;
        } else {
            behind = path;
        }
    }
    let mut kept = kept.into_iter();
    planned.retain(|_| kept.next().unwrap_or(true));
}

/// The first paths of files that a specification gives several names.
#[derive(Debug)]
pub(super) struct Links {
    wanted: bool,
    firsts: HashMap<(u64, (u32, u32), Type), Vec<u8>>,
}

impl Links {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, firsts: HashMap::new() }
    }

    /// Where the same file was met before; remembers this path if it was not.
    pub(super) fn first(&mut self, said: &mtree::Entry, path: &[u8]) -> Option<Vec<u8>> {
        let several = self.wanted && said.nlink.is_some_and(|names| names > 1);
        let key = (said.inode.filter(|_| several)?, said.resdevice.unwrap_or_default(), said.kind?);
        match self.firsts.entry(key) {
            std::collections::hash_map::Entry::Occupied(first) => Some(first.get().clone()),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(path.to_vec());
                None
            }
        }
    }
}
