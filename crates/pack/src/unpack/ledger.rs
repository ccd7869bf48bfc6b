//! What the tree on disk does not say, since it could not be set: kept by path until it is written down.

use std::collections::HashMap;
use std::path::PathBuf;

use super::attributes::{Attributes, Unset};
use super::tree::Left;
use crate::tarball::read::EntryKind;

/// The most paths of which something is kept: as many as a metadata file may name.
pub(super) const MAX_RECORDS: usize = crate::mtree::MAX_ENTRIES;
/// The most that extended attributes may take, in bytes.
pub(super) const MAX_BYTES: usize = 32 << 20;

/// Attributes that could not be set: how many of each sort.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotSet {
    /// Entries that belong to somebody else now.
    pub owners: u64,
    /// Entries with another mode.
    pub modes: u64,
    /// Devices that are empty files now.
    pub devices: u64,
    /// Extended attributes that are not there.
    pub xattrs: u64,
    /// The first path of which something was not set.
    pub first: Option<PathBuf>,
}

impl NotSet {
    /// Whether everything was set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

/// What is to be known of a path beside what is on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) owner: Option<(u32, u32)>,
    pub(super) extra: Option<Box<Extra>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extra {
    pub(super) mode: Option<u32>,
    pub(super) device: Option<(EntryKind, (u32, u32))>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Counts, and records where that is wanted.
pub(crate) struct Ledger {
    is_kept: bool,
    /// The owner of whatever has no record; nothing where that is the one on disk.
    usual: Option<(u32, u32)>,
    records: HashMap<u64, Record>,
    bytes: usize,
    pub(super) not_set: NotSet,
}

/// An entry that was made, and what of it was not set.
pub(super) struct Noted<'a> {
    pub(super) key: u64,
    pub(super) path: &'a dyn Fn() -> PathBuf,
    pub(super) attributes: &'a Attributes,
    pub(super) unset: Unset,
    /// The device that it should be.
    pub(super) device: Option<(EntryKind, (u32, u32))>,
}

/// There is too much to record.
#[derive(Debug)]
pub(super) struct Full;

impl Ledger {
    pub(crate) fn new(is_kept: bool, is_root: bool) -> Self {
        let usual = (!is_root).then_some((0, 0));
        Self { is_kept, usual, records: HashMap::new(), bytes: 0, not_set: NotSet::default() }
    }

    /// Takes note of an entry; what was known of its path before no longer counts.
    pub(super) fn note(&mut self, noted: Noted<'_>) -> Result<(), Full> {
        let Noted { key, path, attributes, unset, device } = noted;
        self.count(&unset, device.is_some(), path);
        if !self.is_kept {
            return Ok(());
        }
        let owner = Some((attributes.uid, attributes.gid));
        let owner = match self.usual {
            None => owner.filter(|_| unset.owner),
            usual => owner.filter(|_| owner != usual),
        };
        let mode = unset.mode.then_some(attributes.mode);
        let extra = Extra { mode, device, xattrs: unset.xattrs };
        let extra = (extra != Extra::default()).then(|| Box::new(extra));
        self.put(key, Record { owner, extra })
    }

    /// Takes note of a folder that was left.
    pub(super) fn note_left(&mut self, left: Left) -> Result<(), Full> {
        let Left { key, path, attributes, unset } = left;
        self.note(Noted { key, path: &|| path.clone(), attributes: &attributes, unset, device: None })
    }

    fn count(&mut self, unset: &Unset, is_device: bool, path: &dyn Fn() -> PathBuf) {
        if unset.is_empty() && !is_device {
            return;
        }
        let not_set = &mut self.not_set;
        not_set.owners += u64::from(unset.owner);
        not_set.modes += u64::from(unset.mode);
        not_set.devices += u64::from(is_device);
        not_set.xattrs += unset.xattrs.len() as u64;
        not_set.first.get_or_insert_with(path);
    }

    fn put(&mut self, key: u64, record: Record) -> Result<(), Full> {
        if record == Record::default() {
            if !self.records.is_empty() {
                self.records.remove(&key);
            }
            return Ok(());
        }
        self.bytes += record.extra.as_ref().map_or(0, |extra| {
            extra.xattrs.iter().map(|(name, value)| 64 + name.len() + value.len()).sum::<usize>()
        });
        self.records.insert(key, record);
        if self.records.len() > MAX_RECORDS || self.bytes > MAX_BYTES { Err(Full) } else { Ok(()) }
    }

    /// Another name of a file is like the first.
    pub(super) fn link(&mut self, from: u64, to: u64) -> Result<(), Full> {
        let record = self.records.get(&from).cloned().unwrap_or_default();
        self.put(to, record)
    }

    /// What was known of these paths no longer counts.
    pub(super) fn forget(&mut self, keys: &[u64]) {
        for key in keys {
            self.records.remove(key);
        }
    }

    /// What is known of a path; the owner is nothing where it is the one on disk.
    pub(super) fn of(&self, key: u64) -> Record {
        let mut record = self.records.get(&key).cloned().unwrap_or_default();
        record.owner = record.owner.or(self.usual);
        record
    }
}
