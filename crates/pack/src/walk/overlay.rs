//! The marks that overlayfs leaves in an upper folder.
//!
//! | mark | says |
//! |---|---|
//! | a character device 0/0 | the name is gone |
//! | an empty file with `overlay.whiteout`, in a folder whose `overlay.opaque` is `x` | the name is gone |
//! | a folder with `overlay.opaque` = `y` | nothing in it comes from below |
//! | `overlay.redirect`, `overlay.metacopy` | a part lies elsewhere, in a lower folder |
//!
//! Attributes are `trusted.overlay.…`, or `user.overlay.…` where the mount was made by who is not root. The last row
//! cannot be made into a layer without the lower folders, and is refused.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fgetxattr, fstat, openat, statat};
use rustix::io::Errno;

use super::listing::{Listing, Sort};

const SPACES: [&str; 2] = ["trusted.overlay.", "user.overlay."];

/// What a folder says of lower ones.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Nothing in it comes from below.
    pub(super) opaque: bool,
    /// Names that are gone.
    pub(super) gone: Vec<Vec<u8>>,
}

/// Reads the marks in a folder, and takes names off its list that are nothing else.
pub(super) fn take(dir: BorrowedFd<'_>, listing: &mut Listing) -> Result<Marks, Errno> {
    let opaque = value(dir, "opaque")?;
    let has_files = opaque == Some(b'x');
    let mut gone = Vec::new();
    for (name, sort) in listing.names() {
        let is_mark = match sort {
            Sort::Other => is_device(dir, name)?,
            Sort::File if has_files => is_empty_file(dir, name)?,
            _ => false,
        };
        if is_mark {
            gone.push(name.to_vec());
        }
    }
    gone.sort_unstable();
    listing.forget(&gone);
    Ok(Marks { opaque: opaque == Some(b'y'), gone })
}

/// The attribute by which a file or a folder leads to lower ones, if it does.
pub(super) fn leads_below(file: impl AsFd) -> Result<Option<&'static str>, Errno> {
    for mark in ["redirect", "metacopy"] {
        if value(file.as_fd(), mark)?.is_some() {
            return Ok(Some(mark));
        }
    }
    Ok(None)
}

/// The first byte of a mark; NUL where it is empty.
fn value(file: BorrowedFd<'_>, mark: &str) -> Result<Option<u8>, Errno> {
    for space in SPACES {
        let mut room = [0_u8; 1];
        match fgetxattr(file, format!("{space}{mark}"), &mut room[..]) {
            // It is longer than what is looked at.
            Err(Errno::RANGE) => return Ok(Some(b'?')),
            Ok(_) => return Ok(Some(room[0])),
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn is_device(dir: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0)
}

fn is_empty_file(dir: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = openat(dir, name, flags, Mode::empty())?;
    Ok(fstat(&file)?.st_size == 0 && value(file.as_fd(), "whiteout")?.is_some())
}
