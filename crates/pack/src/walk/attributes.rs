//! The extended attributes that a layer keeps of a file.

use rustix::fd::AsFd;
use rustix::fs::{fgetxattr, flistxattr, flistxattr_query};
use rustix::io::Errno;

/// The most that Linux gives for the names or for one value.
const MAX_XATTR: usize = 64 << 10;

/// The extended attributes of the file at hand, with room that is used again.
#[derive(Default)]
pub(super) struct Xattrs {
    kept: Vec<(Vec<u8>, Vec<u8>)>,
    room: Vec<u8>,
}

/// How many were left out that are not the host's own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// A PAX record ends its keyword at the first `=`.
    pub(super) unsayable: u64,
    /// Access control lists, and attributes that only root sees.
    pub(super) privileged: u64,
}

impl Xattrs {
    pub(super) fn take(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        std::mem::take(&mut self.kept)
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// Reads those that a layer keeps, sorted by name. Where the file system has none, there are none.
    pub(super) fn read(&mut self, file: impl AsFd) -> Result<Left, Errno> {
        self.kept.clear();
        let mut left = Left::default();
        match flistxattr_query(&file) {
            Ok(0) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(left),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        self.room.resize(MAX_XATTR, 0);
        let len = flistxattr(&file, &mut self.room[..])?;
        let mut names = Vec::new();
        for name in self.room[..len].split(|byte| *byte == 0) {
            match XattrFate::of(name) {
                XattrFate::Kept if name.contains(&b'=') => left.unsayable += 1,
                XattrFate::Kept => names.push(name.to_vec()),
                XattrFate::Privileged => left.privileged += 1,
                XattrFate::Hosts => {}
            }
        }
        for name in names {
            match fgetxattr(&file, &*name, &mut self.room[..]) {
                Ok(len) => self.kept.push((name, self.room[..len].to_vec())),
                // Removed since it was listed.
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error),
            }
        }
        self.kept.sort_unstable();
        Ok(left)
    }
}

/// What becomes of an attribute.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum XattrFate {
    Kept,
    /// It would change who may do what where the layer is unpacked, and readers differ in what they make of it.
    Privileged,
    /// It says nothing of the file.
    Hosts,
}

impl XattrFate {
    /// `security.capability` and `user.*` belong to the files; labels of `SELinux` belong to the host, marks of overlayfs to
    /// the mount (IMG-115).
    pub(crate) fn of(name: &[u8]) -> Self {
        match name {
            b"security.capability" => Self::Kept,
            b"system.posix_acl_access" | b"system.posix_acl_default" => Self::Privileged,
            _ if name.starts_with(b"user.overlay.") || name.starts_with(b"trusted.overlay.") => Self::Hosts,
            _ if name.starts_with(b"user.") => Self::Kept,
            _ if name.starts_with(b"trusted.") => Self::Privileged,
            _ => Self::Hosts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_115_attributes_of_the_host_stay_there() {
        for (name, expected) in [
            ("security.capability", XattrFate::Kept),
            ("user.mime_type", XattrFate::Kept),
            ("security.selinux", XattrFate::Hosts),
            ("security.ima", XattrFate::Hosts),
            ("trusted.overlay.opaque", XattrFate::Hosts),
            ("user.overlay.opaque", XattrFate::Hosts),
            ("trusted.md5sum", XattrFate::Privileged),
            ("system.posix_acl_access", XattrFate::Privileged),
            ("system.posix_acl_default", XattrFate::Privileged),
            ("", XattrFate::Hosts),
        ] {
            assert_eq!(XattrFate::of(name.as_bytes()), expected, "{name}");
        }
    }
}
