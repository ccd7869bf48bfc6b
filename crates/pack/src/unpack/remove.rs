//! Removing trees that lower layers or earlier runs left, by names in folders that are open: no link is followed.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

/// How to open a folder by its one name.
pub(super) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Names that are held at once while a folder is emptied.
const BATCH: usize = 4096;

pub(super) fn open_folder(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(parent, name, FOLDER, Mode::empty())
}

/// At most so many names in a folder, and whether each is a folder.
///
/// They are collected first, since what is read while it is changed may be told twice or never.
pub(super) fn names(folder: &OwnedFd, most: usize) -> Result<Vec<(Vec<u8>, bool)>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found.push((name.to_vec(), entry.file_type() == FileType::Directory));
        }
        if found.len() == most {
            break;
        }
    }
    Ok(found)
}

/// Removes whatever has this name; nothing there is fine.
pub(super) fn remove(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // What unlinking a folder says depends on the system.
        Err(Errno::ISDIR | Errno::PERM) => remove_folder(parent, name),
        Err(error) => Err(error),
    }
}

fn remove_folder(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let folder = open_folder(&parent, name)?;
    loop {
        let batch = names(&folder, BATCH)?;
        for (name, is_folder) in &batch {
            if *is_folder {
                remove_folder(&folder, name)?;
            } else {
                remove(&folder, name)?;
            }
        }
        if batch.len() < BATCH {
            break;
        }
    }
    drop(folder);
    unlinkat(&parent, name, AtFlags::REMOVEDIR)
}
