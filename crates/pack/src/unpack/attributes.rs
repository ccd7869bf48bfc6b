//! Owner, mode, time and extended attributes, as an entry has them and as they can be set.
//!
//! They are set last, in an order in which none undoes another: the owner clears setuid and capabilities, so it comes
//! first; the time is the last. What cannot be set is told, so that it can be recorded; without the right owner nothing
//! becomes setuid.

use std::os::unix::ffi::OsStrExt as _;

use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat, fchmod,
    fchown, flistxattr, fremovexattr, fsetxattr, fstat, futimens, lsetxattr, openat, utimensat,
};
use rustix::io::Errno;

use crate::tarball::read::{Entry, Time};

const SPECIAL: u32 = 0o6000;
/// The most that Linux gives for the names of a file's extended attributes.
const MAX_XATTR_NAMES: usize = 64 << 10;

/// What an entry says of a file beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Those of an entry, and how many extended attributes were left out since they belong to another host (IMG-115).
    pub(crate) fn of(entry: &mut Entry) -> (Self, u64) {
        let mut xattrs = std::mem::take(&mut entry.xattrs);
        let all = xattrs.len();
        xattrs.retain(|(name, _)| !is_of_host(name));
        let skipped = (all - xattrs.len()) as u64;
        let Entry { mode, uid, gid, mtime, .. } = *entry;
        (Self { mode, uid, gid, mtime, xattrs }, skipped)
    }

    /// Those of a folder that no entry describes.
    pub(crate) fn of_unnamed_folder() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, mtime: Time::default(), xattrs: Vec::new() }
    }
}

/// Labels of `SELinux` belong to the host, marks of overlayfs to a mount.
fn is_of_host(name: &[u8]) -> bool {
    name == b"security.selinux" || name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

/// What could not be set as an entry says. Empty where all was.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Unset {
    pub(super) owner: bool,
    pub(super) mode: bool,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Unset {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who unpacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Us {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Bits that the system takes from the modes of what is made.
    pub(crate) umask: u32,
}

/// What a file has before anything is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    /// Its mode, where that is known.
    pub(super) mode: Option<u32>,
    /// Whether it surely belongs to us and our group.
    pub(super) is_ours: bool,
}

impl Us {
    /// Whoever runs this, in a folder from whose modes the system takes `umask`.
    pub(crate) fn here(umask: u32) -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { uid, gid, umask }
    }

    pub(super) fn is_root(self) -> bool {
        self.uid == 0
    }

    /// The mode that a file gets on disk: who is not root must be able to read what he unpacked, or he could not even
    /// pack it again.
    fn mode_on_disk(self, mode: u32, is_folder: bool) -> u32 {
        match (self.is_root(), is_folder) {
            (true, _) => mode,
            (false, true) => mode | 0o700,
            (false, false) => mode | 0o400,
        }
    }

    /// The mode to make a file with, so that nothing need be done about it later.
    pub(super) fn mode_to_make(self, wanted: &Attributes, is_folder: bool) -> u32 {
        match wanted.xattrs.is_empty() {
            true => self.mode_on_disk(wanted.mode, is_folder) & 0o777,
            // Setting them needs the right to write.
            false => 0o600,
        }
    }

    /// Sets everything of a file or a folder that is open.
    pub(super) fn set(
        self,
        file: impl AsFd,
        wanted: &Attributes,
        made: Made,
        is_folder: bool,
    ) -> Result<Unset, Errno> {
        let file = file.as_fd();
        let owner = !self.own(wanted, made, |uid, gid| fchown(file, uid, gid))?;
        let mut unset = Unset { owner, ..Unset::default() };
        for (name, value) in &wanted.xattrs {
            let set = fsetxattr(file, &**name, value, XattrFlags::empty());
            settable(set, &mut unset, name, value)?;
        }
        let mode = self.mode_of(wanted, is_folder, &mut unset);
        if made.mode != Some(mode) || mode & SPECIAL != 0 {
            fchmod(file, Mode::from_raw_mode(mode))?;
        }
        futimens(file, &timestamps(wanted.mtime))?;
        Ok(unset)
    }

    /// Sets everything of something by name: a link, a device, a FIFO. Neither is it opened nor a link followed.
    pub(super) fn set_at(
        self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        wanted: &Attributes,
        made: Made,
    ) -> Result<Unset, Errno> {
        let chown = |uid, gid| chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW);
        let owner = !self.own(wanted, made, chown)?;
        let mut unset = Unset { owner, ..Unset::default() };
        for (key, value) in &wanted.xattrs {
            // By way of the folder that is open: there is no call for a name in it.
            let path = [format!("/proc/self/fd/{}/", folder.as_raw_fd()).as_bytes(), name].concat();
            let set = lsetxattr(std::ffi::OsStr::from_bytes(&path), &**key, value, XattrFlags::empty());
            settable(set, &mut unset, key, value)?;
        }
        if let Some(have) = made.mode {
            let mode = self.mode_of(wanted, false, &mut unset);
            if have != mode || mode & SPECIAL != 0 {
                unset.mode |= !chmod_at(folder, name, mode)?;
            }
        }
        utimensat(folder, name, &timestamps(wanted.mtime), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(unset)
    }

    /// Gives a file to its owner. False where that is not possible.
    fn own(
        self,
        wanted: &Attributes,
        made: Made,
        chown: impl FnOnce(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    ) -> Result<bool, Errno> {
        if made.is_ours && (wanted.uid, wanted.gid) == (self.uid, self.gid) {
            return Ok(true);
        }
        if !self.is_root() {
            return Ok((wanted.uid, wanted.gid) == (self.uid, self.gid));
        }
        match chown(Some(Uid::from_raw(wanted.uid)), Some(Gid::from_raw(wanted.gid))) {
            Ok(()) => Ok(true),
            // Root of a container may not give to everybody.
            Err(Errno::PERM | Errno::INVAL) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn mode_of(self, wanted: &Attributes, is_folder: bool, unset: &mut Unset) -> u32 {
        let mut mode = self.mode_on_disk(wanted.mode, is_folder);
        if unset.owner {
            // It would run as whoever unpacked it.
            mode &= !SPECIAL;
        }
        unset.mode = mode != wanted.mode;
        mode
    }
}

/// Whether an attribute was set is told; only failing storage is an error.
fn settable(set: Result<(), Errno>, unset: &mut Unset, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    match set {
        Ok(()) => Ok(()),
        Err(error @ (Errno::IO | Errno::ROFS | Errno::DQUOT)) => Err(error),
        Err(_) => {
            unset.xattrs.push((name.to_vec(), value.to_vec()));
            Ok(())
        }
    }
}

/// Changes the mode of a device or a FIFO without opening it. False where the system has no way to.
fn chmod_at(folder: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<bool, Errno> {
    let node: OwnedFd =
        openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&node)?.st_mode) == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    match chmod(format!("/proc/self/fd/{}", node.as_raw_fd()), Mode::from_raw_mode(mode)) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::PERM) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the extended attributes that a folder has of lower layers; those of the host stay.
pub(super) fn clear_xattrs(folder: impl AsFd) -> Result<(), Errno> {
    let mut names = vec![0; MAX_XATTR_NAMES];
    let len = match flistxattr(&folder, &mut names[..]) {
        Ok(len) => len,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => 0,
        Err(error) => return Err(error),
    };
    for name in names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty() && !is_of_host(name)) {
        match fremovexattr(&folder, name) {
            Ok(()) | Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn timestamps(time: Time) -> Timestamps {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: i64::from(time.nanos) };
    Timestamps { last_access: time, last_modification: time }
}
