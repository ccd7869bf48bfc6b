//! Image layouts in tars: read in place by offset, written in one pass (IMG-14, IMG-159).
//!
//! An [`Archive`] is what `oci-archive:` and `docker-archive:` name. Opening it reads the headers of all members once, and
//! keeps where the blobs lie; content is read from the file when it is asked for, and verified as that of a
//! [`Layout`](crate::Layout) is. Nothing is unpacked.
//!
//! * **Names** may begin with `./`, `index.json` may come first or last, and members that are no part of a layout do not
//!   matter. A name that is absolute or holds `..` is no part of a layout, either.
//! * **Links are never followed.** A blob that is a link or a device is told as such when it is needed.
//! * **A compressed archive**, or one that comes from a pipe, is decompressed once into a temporary file, since its
//!   index may come last: that takes as much disk as the plain tar does, within [`transship_codec::Limits`], and no more
//!   memory.
//! * **What `docker save` wrote before Docker 25** is seen as the layout that it stands for; see [`Archive`].
//! * **Writing** ([`NewArchive`]) knows all members before the first byte of one comes, so that each has its place, the
//!   same content is the same file, and the file appears when it is whole. What an older archive holds is carried over
//!   by the kernel.
//!
//! Memory is about 100 bytes a blob; there may be [`MAX_MEMBERS`] members.

mod carry;
mod docker;
mod open;
mod read;
mod tar;
mod write;

pub use carry::Carried;
pub use docker::docker_manifest;
pub use open::ArchiveOptions;
pub use read::{Archive, Section};
pub use tar::MAX_MEMBERS;
pub use write::{Head, MemberWriter, NewArchive, Place, edit_index};
