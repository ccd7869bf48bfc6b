//! All blobs of a layout as one sorted list: 64 bytes a blob, so that a million of them are no burden.

use std::time::{SystemTime, UNIX_EPOCH};

use transship_spec::Digest;

use crate::dir::Dir;
use crate::layout::{BLOBS, Inner};
use crate::{Error, Result};

/// A blob's file as it was listed.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    /// What removing it frees; of a link, what it takes itself.
    pub(super) size: u64,
    /// When the file was last made, moved or written, in nanoseconds. Unlike the time of its content, nobody can set it.
    pub(super) changed: i64,
}

/// Every blob by digest: a regular file, or a link in the place of one, of which only the link is ours.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) blobs: Vec<Blob>,
    pub(super) strays: u64,
}

impl Inventory {
    pub(super) fn take(inner: &Inner) -> Result<Self> {
        let mut inventory = Self { blobs: Vec::new(), strays: 0 };
        let blobs = own_folder(inner, &inner.root, BLOBS, BLOBS)?;
        for algorithm in blobs.names().map_err(Error::storage("reading", inner.at(BLOBS)))? {
            let algorithm = algorithm.map_err(Error::storage("reading", inner.at(BLOBS)))?;
            match algorithm.to_str() {
                Some(algorithm) => inventory.list(inner, &blobs, algorithm)?,
                None => inventory.strays += 1,
            }
        }
        inventory.blobs.sort_unstable_by(|one, other| one.digest.cmp(&other.digest));
        Ok(inventory)
    }

    fn list(&mut self, inner: &Inner, blobs: &Dir, algorithm: &str) -> Result<()> {
        let shown = format!("{BLOBS}/{algorithm}");
        let reading = || Error::storage("reading", inner.at(&shown));
        if blobs.state(algorithm).map_err(reading())?.is_some_and(|state| state.is_file()) {
            self.strays += 1;
            return Ok(());
        }
        let folder = own_folder(inner, blobs, algorithm, &shown)?;
        for name in folder.names().map_err(reading())? {
            let name = name.map_err(reading())?;
            let digest = name.to_str().and_then(|name| Digest::parse(&format!("{algorithm}:{name}")).ok());
            let state = match name.to_str() {
                Some(name) => folder.state(name).map_err(reading())?,
                None => None,
            };
            match (digest, state) {
                (Some(digest), Some(state)) if state.is_file() || state.is_link() => {
                    self.blobs.push(Blob { digest, size: state.size, changed: state.changed });
                }
                // It went while we looked.
                (Some(_), None) => {}
                _ => self.strays += 1,
            }
        }
        Ok(())
    }

    pub(super) fn find(&self, digest: &Digest) -> Option<usize> {
        self.blobs.binary_search_by(|blob| blob.digest.cmp(digest)).ok()
    }
}

/// A folder of the layout itself; nothing is removed through a link.
pub(super) fn own_folder(inner: &Inner, parent: &Dir, name: &str, shown: &str) -> Result<Dir> {
    parent.child(name).map_err(|error| match parent.state(name) {
        Ok(Some(state)) if state.is_link() => {
            Error::Unsafe { path: inner.at(shown), what: "a link, which is never written through" }
        }
        _ => Error::storage("reading", inner.at(shown))(error),
    })
}

/// The time by this machine's clock, in nanoseconds.
pub(super) fn system_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The time by the clock that the files have their times from: that of the lock, which was written just now. On a file
/// system of another machine it may differ from ours.
pub(super) fn now(inner: &Inner) -> i64 {
    let lock = inner.root.child(crate::scratch::FOLDER).and_then(|folder| folder.state(crate::lock::FILE));
    match lock {
        Ok(Some(state)) => state.modified,
        _ => system_now(),
    }
}

/// Whether something that last changed then is at least this old. What seems to come from the future is new.
pub(super) fn is_older(changed: i64, now: i64, age: std::time::Duration) -> bool {
    let elapsed = u128::try_from(i128::from(now) - i128::from(changed)).unwrap_or(0);
    elapsed >= age.as_nanos()
}
