//! A folder that was packed as a tar: its entries are made where the folder goes, and nowhere else.

use std::collections::HashSet;

use crate::UnpackLimits;
use crate::tarball::read::{Entry, EntryKind, Reader};
use crate::unpack::names;
use crate::unpack::{Apply, Layers, Plain, Problem};

/// Makes the entries of one tar.
pub(super) struct Folder<'a, 'b> {
    apply: &'a mut Apply<'b>,
    limits: &'a UnpackLimits,
    /// Where the folder goes.
    place: Vec<&'a [u8]>,
    /// In which folder all entries lie.
    prefix: Vec<&'a [u8]>,
    /// Paths that were made: a tar that says one twice is ambiguous, folders aside.
    seen: HashSet<Vec<u8>>,
}

impl<'a, 'b> Folder<'a, 'b> {
    pub(super) fn new(
        apply: &'a mut Apply<'b>,
        limits: &'a UnpackLimits,
        (place, prefix): (&'a str, Option<&'a str>),
    ) -> Self {
        let parts = |path: &'a str| {
            let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
            parts.map(str::as_bytes).collect::<Vec<_>>()
        };
        let (place, prefix) = (parts(place), prefix.map(parts).unwrap_or_default());
        Self { apply, limits, place, prefix, seen: HashSet::new() }
    }

    /// Makes the folder, if it is not there.
    pub(super) fn make_place(&mut self) -> Result<(), Problem> {
        self.apply.tree.enter(&self.place, true)?;
        Ok(())
    }

    /// The parts of a path below the folder.
    fn below<'p>(&self, path: &'p [u8]) -> Result<Vec<&'p [u8]>, Problem> {
        let parts = names::split(path, self.limits.max_path)?;
        if parts.len() > self.limits.max_depth {
            let limit = self.limits.max_depth as u64;
            return Err(Problem::Limit { what: "the depth of a path", limit });
        }
        // As far as both go.
        let is_alike = parts.iter().zip(&self.prefix).all(|(part, prefix)| part == prefix);
        match is_alike {
            // At most one of the folders that lead to it.
            true => Ok(parts.get(self.prefix.len()..).unwrap_or_default().to_vec()),
            false => Err(Problem::Unsafe("it lies outside of the folder that its title names")),
        }
    }

    /// Whether a link that lies in `parents` leads to something in the folder.
    fn check_link(parents: &[&[u8]], target: &[u8]) -> Result<(), Problem> {
        const OUT: Problem = Problem::Unsafe("it is a link that leads out of its folder");
        if target.starts_with(b"/") {
            return Err(OUT);
        }
        let mut depth = parents.len();
        for part in target.split(|byte| *byte == b'/') {
            depth = match part {
                b"" | b"." => depth,
                b".." => depth.checked_sub(1).ok_or(OUT)?,
                _ => depth + 1,
            };
        }
        Ok(())
    }
}

impl Layers for Folder<'_, '_> {
    fn entry(
        &mut self,
        path: &[u8],
        mut entry: Entry,
        reader: &mut Reader<&mut Plain>,
    ) -> Result<(), Problem> {
        let tally = &mut self.apply.tally;
        tally.entries += 1;
        if tally.entries > self.limits.max_entries {
            let limit = self.limits.max_entries;
            return Err(Problem::Limit { what: "the number of entries", limit });
        }
        let below = self.below(path)?;
        let Some((name, parents)) = below.split_last() else {
            let is_folder = entry.kind == EntryKind::Folder;
            return if is_folder { Ok(()) } else { Err(Problem::Unsafe("it is its folder, and no folder")) };
        };
        match &mut entry.kind {
            EntryKind::File | EntryKind::Folder => {}
            EntryKind::Symlink(target) => Self::check_link(parents, target)?,
            EntryKind::HardLink(target) => {
                let below = self.below(target)?;
                *target = [self.place.clone(), below].concat().join(&b'/');
            }
            EntryKind::CharDevice | EntryKind::BlockDevice | EntryKind::Fifo => {
                return Err(Problem::Unsafe("it is a device or a FIFO, which no artifact needs"));
            }
        }
        if entry.kind != EntryKind::Folder && !self.seen.insert(below.join(&b'/')) {
            return Err(Problem::Unsafe("the tar has it twice"));
        }
        let us = self.apply.tree.us();
        (entry.uid, entry.gid) = (us.uid, us.gid);
        entry.mode &= 0o777 & !us.umask;
        entry.xattrs.clear();
        let parents = [self.place.as_slice(), parents].concat();
        self.apply.node(&parents, name, entry, reader)
    }

    fn end_layer(&mut self) -> Result<(), Problem> {
        Ok(self.apply.tree.leave_to(0)?)
    }
}
