//! What a layer keeps of a file beside its content: mode, owner, time, device, and some extended attributes.

use rustix::fd::AsFd;
use rustix::fs::{Stat, fgetxattr, flistxattr, flistxattr_query};
use rustix::io::Errno;

/// The most that Linux gives for the names or for one value.
const MAX_XATTR: usize = 64 << 10;

/// What `stat` says.
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
}

/// The extended attributes of the file at hand, with room that is used again.
#[derive(Default)]
pub(super) struct Xattrs {
    kept: Vec<(Vec<u8>, Vec<u8>)>,
    room: Vec<u8>,
}

impl Xattrs {
    pub(super) fn kept(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.kept
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// Reads those that a layer keeps, sorted by name. Where the file system has none, there are none.
    ///
    /// Says how many had to be left out: a PAX record ends its keyword at the first `=`.
    pub(super) fn read(&mut self, file: impl AsFd) -> Result<u64, Errno> {
        self.kept.clear();
        match flistxattr_query(&file) {
            Ok(0) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(0),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        self.room.resize(MAX_XATTR, 0);
        let len = flistxattr(&file, &mut self.room[..])?;
        let names = self.room[..len].split(|byte| *byte == 0).filter(|name| is_kept(name));
        let (unsayable, names): (Vec<_>, Vec<_>) =
            names.map(<[u8]>::to_vec).partition(|name| name.contains(&b'='));
        for name in names {
            match fgetxattr(&file, &*name, &mut self.room[..]) {
                Ok(len) => self.kept.push((name, self.room[..len].to_vec())),
                // Removed since it was listed.
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error),
            }
        }
        self.kept.sort_unstable();
        Ok(unsayable.len() as u64)
    }
}

/// `security.capability` and `user.*` belong to the files; labels of `SELinux` belong to the host, marks of overlayfs to
/// the mount (IMG-115).
fn is_kept(name: &[u8]) -> bool {
    name == b"security.capability" || name.starts_with(b"user.") && !name.starts_with(b"user.overlay.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_115_attributes_of_the_host_stay_there() {
        for (name, kept) in [
            ("security.capability", true),
            ("user.mime_type", true),
            ("security.selinux", false),
            ("security.ima", false),
            ("trusted.overlay.opaque", false),
            ("user.overlay.opaque", false),
            ("system.posix_acl_access", false),
            ("", false),
        ] {
            assert_eq!(is_kept(name.as_bytes()), kept, "{name}");
        }
    }
}
