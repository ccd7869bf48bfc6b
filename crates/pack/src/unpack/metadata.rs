//! The metadata file: what the image says of each path of the tree, where the tree itself cannot.
//!
//! It is a specification of [`mtree`](crate::mtree) with a line for each path: type, mode, owner, time; a link's target, a
//! device's numbers; and the extended attributes that are not on disk. Packing the tree with it gives back what was
//! unpacked.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use super::ledger::{Extra, Ledger};
use super::tree::Keys;
use crate::entry::{Entry, What};
use crate::mtree::{self, Type};
use crate::tarball::read::EntryKind;
use crate::walk::{Options, Walk};
use crate::{Error, Excludes};

/// Describes the tree at `root`.
pub(super) fn write(root: &Path, ledger: &Ledger, keys: &Keys, file: File) -> Result<File, Error> {
    let mut out = BufWriter::new(file);
    let excludes = Excludes::default();
    let (listed, overlay) = (false, false);
    let options =
        Options { excludes: &excludes, dereference: false, hard_links: true, prefix: "", listed, overlay };
    let mut walk = Walk::new(root, options);
    let top = std::fs::symlink_metadata(root).map_err(|error| Error::tree(root, error))?;
    let mut text = mtree::HEADER.to_vec();
    line(&top_entry(&top), ledger, keys, &mut text);
    let mut lines = 1;
    while let Some(found) = walk.next()? {
        lines += 1;
        if lines > mtree::MAX_ENTRIES {
            let limit = mtree::MAX_ENTRIES as u64;
            return Err(Error::Limit {
                path: root.to_owned(),
                what: "the number of paths to describe",
                limit,
            });
        }
        line(&entry(&found), ledger, keys, &mut text);
        out.write_all(&text).map_err(Error::Write)?;
        text.clear();
    }
    out.write_all(&text).map_err(Error::Write)?;
    out.into_inner().map_err(|error| Error::Write(error.into_error()))
}

fn top_entry(top: &std::fs::Metadata) -> mtree::Entry {
    use std::os::unix::fs::MetadataExt as _;
    mtree::Entry {
        kind: Some(Type::Dir),
        mode: Some(top.mode() & 0o7777),
        uid: Some(top.uid()),
        gid: Some(top.gid()),
        time: Some(time(top.mtime())),
        ..mtree::Entry::default()
    }
}

/// What is on disk.
fn entry(found: &Entry) -> mtree::Entry {
    let attributes = found.attributes;
    let (kind, link) = match &found.what {
        What::File(_) | What::HardLink(_) => (Type::File, None),
        What::Folder => (Type::Dir, None),
        What::Symlink(target) => (Type::Link, Some(target.clone())),
        What::CharDevice => (Type::Char, None),
        What::BlockDevice => (Type::Block, None),
        What::Fifo => (Type::Fifo, None),
    };
    let is_device = matches!(kind, Type::Char | Type::Block);
    mtree::Entry {
        path: found.path.strip_suffix(b"/").unwrap_or(&found.path).to_vec(),
        kind: Some(kind),
        mode: Some(attributes.mode),
        uid: Some(attributes.uid),
        gid: Some(attributes.gid),
        time: Some(time(attributes.mtime)),
        link,
        device: is_device.then_some(attributes.device),
        ..mtree::Entry::default()
    }
}

fn time(seconds: i64) -> mtree::Time {
    mtree::Time { seconds, nanoseconds: 0 }
}

/// Adds the line of a path, as the image has it.
fn line(on_disk: &mtree::Entry, ledger: &Ledger, keys: &Keys, text: &mut Vec<u8>) {
    let parts = on_disk.path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    let record = ledger.of(parts.fold(keys.root(), |key, part| keys.below(key, part)));
    let mut entry = on_disk.clone();
    if let Some((uid, gid)) = record.owner {
        (entry.uid, entry.gid) = (Some(uid), Some(gid));
    }
    if let Some(extra) = record.extra {
        let Extra { mode, device, xattrs } = *extra;
        entry.mode = mode.or(entry.mode);
        if let Some((kind, device)) = device {
            entry.kind = Some(if kind == EntryKind::CharDevice { Type::Char } else { Type::Block });
            entry.device = Some(device);
        }
        entry.xattrs = xattrs;
        entry.xattrs.sort_unstable();
    }
    entry.print(text);
}
