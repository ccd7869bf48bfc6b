//! What a folder cannot tell of its files, told by a specification beside it.
//!
//! Owners, devices and some extended attributes can be made by root only. Who is not root says them in a file: owner,
//! mode, time and extended attributes of the paths that it names are taken as it says them, and devices and FIFOs that
//! the folder lacks, or holds an empty file for, are made. Content, sizes, digests and targets of links are the folder's,
//! whatever the file says of them. The names of a file with several have what is said of the first of them in order.
//!
//! What it names and the folder lacks is an error, unless it is `optional`, left out, or a device or FIFO.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plan::{Links, as_path, flaw, read_specification};
use crate::entry::{Attributes, Entry, Origin, What};
use crate::mtree::{self, Type};
use crate::tarball::{Rules, TarOptions};
use crate::{Error, Excludes};

/// A specification of what a folder cannot tell: a file in the language of [`mtree`].
///
/// ```
/// use transship_pack::{Metadata, TarOptions, write_tar};
/// # let folder = tempfile::tempdir()?;
/// # let at = folder.path();
/// # std::fs::create_dir_all(at.join("rootfs/dev"))?;
/// std::fs::write(at.join("metadata"), "#mtree\n./dev/null type=char mode=0666 device=native,1,3\n")?;
/// let metadata = Some(Metadata::read(&at.join("metadata"))?);
/// let mut tar = Vec::new();
/// write_tar(&at.join("rootfs"), &TarOptions { metadata, ..TarOptions::default() }, &mut tar)?;
/// assert!(tar[512..].starts_with(b"dev/null\0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Metadata {
    path: PathBuf,
    entries: Arc<[mtree::Entry]>,
}

impl Metadata {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Input`], [`Error::Specification`], and [`Error::Limit`] for one of more than 256 MiB.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), entries: read_specification(path)?.into() })
    }
}

/// A folder's metadata at work.
pub(super) struct Described<'a> {
    metadata: &'a Metadata,
    excludes: &'a Excludes,
    /// How much of a path in the tar is not part of the path in the folder.
    prefix: usize,
    places: HashMap<&'a [u8], usize>,
    /// Which of them were met.
    met: Vec<bool>,
    /// Those that may be made, sorted the other way round: the next one is the last.
    makeable: Vec<usize>,
    /// The folders that lead to what was met last, with their slashes.
    folder: Vec<u8>,
    links: Links,
}

impl<'a> Described<'a> {
    pub(super) fn new(metadata: &'a Metadata, options: &'a TarOptions) -> Self {
        let entries = &metadata.entries;
        let can_be_made = |index: &usize| entries[*index].kind.is_some_and(is_special);
        let mut makeable: Vec<usize> = (0..entries.len()).filter(can_be_made).collect();
        makeable.sort_unstable_by(|one, other| entries[*other].path.cmp(&entries[*one].path));
        Self {
            metadata,
            excludes: &options.excludes,
            prefix: if options.prefix.is_empty() { 0 } else { options.prefix.len() + 1 },
            places: entries.iter().enumerate().map(|(index, said)| (&*said.path, index)).collect(),
            met: vec![false; entries.len()],
            makeable,
            folder: Vec::new(),
            links: Links::new(options.hard_links),
        }
    }

    /// What only the metadata names and comes before what was found.
    pub(super) fn before(
        &mut self,
        found: Option<&Entry>,
        rules: &mut Rules,
    ) -> Result<Option<Entry>, Error> {
        let found = found.map(|entry| &entry.path[self.prefix..]);
        while let Some(index) = self.makeable.last().copied() {
            let said = &self.metadata.entries[index];
            if found.is_some_and(|found| found <= &*said.path) {
                return Ok(None);
            }
            self.makeable.pop();
            if !self.met[index] && !self.excludes.leave_out(&said.path) {
                self.met[index] = true;
                return self.make(said, rules).map(Some);
            }
        }
        Ok(None)
    }

    fn make(&mut self, said: &mtree::Entry, rules: &mut Rules) -> Result<Entry, Error> {
        let folder = said.path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        if !self.folder.starts_with(&said.path[..folder]) {
            return Err(self.flaw(said, "its folder is not there; make it, or name a path in one that is"));
        }
        let (what, device) = self.special(said)?;
        let found = Attributes { device, ..Attributes::plain(0o644) };
        let path = said.path.clone();
        self.finished(
            Entry {
                attributes: rules.apply(found, &what, Some(said)),
                xattrs: said.xattrs.clone(),
                what,
                path,
                origin: Origin::File(as_path(&said.path)),
                file: None,
            },
            said,
        )
    }

    /// What was found, as the metadata says it.
    pub(super) fn describe(&mut self, mut entry: Entry, rules: &mut Rules) -> Result<Entry, Error> {
        let path = &entry.path[self.prefix..];
        if matches!(entry.what, What::Folder) {
            self.folder = path.to_vec();
        }
        let own = self.places.get(path.strip_suffix(b"/").unwrap_or(path)).copied();
        if let Some(own) = own {
            self.met[own] = true;
        }
        let said = match &entry.what {
            What::HardLink(first) => self.places.get(&first[self.prefix..]).copied(),
            _ => own,
        };
        let Some(said) = said.map(|index| &self.metadata.entries[index]) else {
            entry.attributes = rules.apply(entry.attributes, &entry.what, None);
            return Ok(entry);
        };
        if let Some(kind) = said.kind
            && !is(kind, &entry.what)
        {
            if !is_special(kind) || !is_placeholder(&entry) {
                let reason = format!("it is no {kind}, as line {} of {} has it", said.line, self.shown());
                return Err(Error::Differs { path: entry.place(), reason });
            }
            let (what, device) = self.special(said)?;
            entry.what = what;
            entry.attributes = Attributes { device, size: 0, ..entry.attributes };
        }
        entry.attributes = rules.apply(entry.attributes, &entry.what, Some(said));
        if matches!(entry.what, What::HardLink(_)) {
            return Ok(entry);
        }
        for (name, value) in &said.xattrs {
            match entry.xattrs.binary_search_by(|(other, _)| other.cmp(name)) {
                Ok(found) => entry.xattrs[found].1.clone_from(value),
                Err(place) => entry.xattrs.insert(place, (name.clone(), value.clone())),
            }
        }
        self.finished(entry, said)
    }

    /// Whether all that the metadata names was met, here or by another that has the same.
    pub(super) fn finish(&self, other: Option<&Self>) -> Result<(), Error> {
        for (index, said) in self.metadata.entries.iter().enumerate() {
            let met = self.met[index] || other.is_some_and(|other| other.met[index]);
            if !met && !said.optional && !said.path.is_empty() && !self.excludes.leave_out(&said.path) {
                return Err(
                    self.flaw(said, "the folder has no such path; say optional if it need not be there")
                );
            }
        }
        Ok(())
    }
}

impl Described<'_> {
    fn special(&self, said: &mtree::Entry) -> Result<(What, (u32, u32)), Error> {
        let what = match said.kind {
            Some(Type::Char) => What::CharDevice,
            Some(Type::Block) => What::BlockDevice,
            _ => return Ok((What::Fifo, (0, 0))),
        };
        let device =
            said.device.ok_or_else(|| self.flaw(said, "a device takes device=native,MAJOR,MINOR"))?;
        Ok((what, device))
    }

    /// The entry, or a link to the first of its names.
    fn finished(&mut self, mut entry: Entry, said: &mtree::Entry) -> Result<Entry, Error> {
        if said.kind.is_some_and(is_special)
            && let Some(first) = self.links.first(said, &entry.path)
        {
            entry.what = What::HardLink(first);
            entry.xattrs.clear();
        }
        Ok(entry)
    }

    fn flaw(&self, said: &mtree::Entry, reason: &str) -> Error {
        flaw(&self.metadata.path, said, reason)
    }

    fn shown(&self) -> impl std::fmt::Display {
        crate::error::shown(&self.metadata.path)
    }
}

/// Who is not root may lack it, or have an empty file for it.
fn is_special(kind: Type) -> bool {
    matches!(kind, Type::Char | Type::Block | Type::Fifo)
}

fn is_placeholder(entry: &Entry) -> bool {
    matches!(entry.what, What::File(_)) && entry.attributes.size == 0
}

fn is(kind: Type, what: &What) -> bool {
    match what {
        What::File(_) => kind == Type::File,
        What::Folder => kind == Type::Dir,
        What::Symlink(_) => kind == Type::Link,
        What::HardLink(_) => !matches!(kind, Type::Dir | Type::Link),
        What::CharDevice => kind == Type::Char,
        What::BlockDevice => kind == Type::Block,
        What::Fifo => kind == Type::Fifo,
    }
}
