//! Leases: what a running writer relies on before the index says so (design law 4).
//!
//! A lease is a file in `.transship/leases`, named at random and held locked while its writer lives: a lease that can be
//! locked is dead. It lists digests, one a line. A digest is published before its writer decides that the blob need not
//! be written, so that whoever removes blobs, beneath the layout's lock, sees it in time.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};

use transship_spec::Digest;

use crate::dir::{Dir, FileState, Refusal};
use crate::layout::Inner;
use crate::scratch::{Scratch, random};
use crate::{Error, Links, Result};

/// The folder's name in the scratch folder.
pub(crate) const FOLDER: &str = "leases";
/// A lease longer than this is not read on: a million digests and more.
const MAX_LEASE: u64 = 256 << 20;

/// The lease of one session.
#[derive(Debug)]
pub(crate) struct Lease {
    name: String,
    folder: Dir,
    file: File,
    published: HashSet<Digest>,
}

impl Lease {
    /// Takes a new lease.
    pub(crate) fn take(inner: &Inner) -> Result<Self> {
        loop {
            let name = random();
            let (folder, file) = Scratch::new(inner).create(FOLDER, &name)?;
            match file.try_lock() {
                Err(TryLockError::Error(source)) if !inner.options.single_writer => {
                    let _ = folder.remove_file(&name);
                    return Err(Error::Locking { path: inner.at(".transship/leases").join(name), source });
                }
                // Whoever sweeps may have locked the file before we did, to remove it.
                Err(TryLockError::WouldBlock) => continue,
                _ => {}
            }
            let state =
                FileState::of(&file).map_err(Error::storage("reading", inner.at(".transship/leases")))?;
            if matches!(folder.state(&name), Ok(Some(named)) if named.is_same_inode(&state)) {
                return Ok(Self { name, folder, file, published: HashSet::new() });
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Tells others that this digest is needed.
    pub(crate) fn publish(&mut self, inner: &Inner, digest: &Digest) -> Result<()> {
        if self.published.contains(digest) {
            return Ok(());
        }
        let line = format!("{digest}\n");
        let shown = || inner.at(".transship/leases").join(&self.name);
        self.file.write_all(line.as_bytes()).map_err(|error| inner.full(error, &shown(), "writing"))?;
        self.published.insert(digest.clone());
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Removed while it is still locked; what cannot be removed is dead from now on, and swept by the next session.
        let _ = self.folder.remove_file(&self.name);
        let _ = self.file.unlock();
    }
}

/// Whether a lease belongs to a live process.
pub(crate) fn is_held(leases: &Dir, name: &str) -> bool {
    match leases.read(name, Links::Refuse) {
        // Where there are no locks nobody can tell, and what is unknown is kept.
        Ok(opened) => File::from(opened.fd).try_lock().is_err(),
        Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => false,
        Err(_) => true,
    }
}

/// Removes a lease while it is locked, if it still can be.
pub(crate) fn remove_dead(leases: &Dir, name: &str) {
    if let Ok(file) = leases.open_existing(name)
        && file.try_lock().is_ok()
    {
        let _ = leases.remove_file(name);
    }
}

/// The digests that live leases name. What counts must be asked beneath the layout's lock.
///
/// # Errors
/// [`Error::Storage`] when a lease cannot be read: then nothing may be removed.
pub(crate) fn relied_on(inner: &Inner) -> Result<HashSet<Digest>> {
    let mut digests = HashSet::new();
    let Some(leases) = Scratch::new(inner).existing(FOLDER) else { return Ok(digests) };
    let reading = || Error::storage("reading", inner.at(".transship/leases"));
    for name in leases.names().map_err(reading())? {
        let name = name.map_err(reading())?;
        let Some(name) = name.to_str() else { continue };
        if !is_held(&leases, name) {
            continue;
        }
        let opened = match leases.read(name, Links::Refuse) {
            Ok(opened) => opened,
            Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(refusal) => return Err(inner.refused(&format!(".transship/leases/{name}"), refusal)),
        };
        let mut text = String::new();
        File::from(opened.fd).take(MAX_LEASE).read_to_string(&mut text).map_err(reading())?;
        digests.extend(text.lines().filter_map(|line| Digest::parse(line).ok()));
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn row_19_a_live_lease_names_what_it_needs_and_a_dead_one_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::options().create(folder.path()).unwrap();
        let digest = Digest::sha256(b"needed");
        let mut lease = Lease::take(&layout.0).unwrap();
        lease.publish(&layout.0, &digest).unwrap();
        lease.publish(&layout.0, &digest).unwrap();
        let dead = folder.path().join(".transship/leases/dead");
        std::fs::write(&dead, "sha256:torn").unwrap();
        let temporary = folder.path().join(".transship/tmp");
        std::fs::create_dir(&temporary).unwrap();
        std::fs::write(temporary.join("dead-0"), "").unwrap();
        std::fs::write(temporary.join(format!("{}-0", lease.name())), "").unwrap();

        assert_eq!(relied_on(&layout.0).unwrap(), HashSet::from([digest]));
        assert!(dead.exists(), "asking changes nothing");
        Scratch::new(&layout.0).sweep("");
        assert!(!dead.exists());
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 1, "that of the live one");
        let name = lease.name().to_owned();
        drop(lease);
        assert!(!folder.path().join(".transship/leases").join(name).exists());
        assert!(relied_on(&layout.0).unwrap().is_empty());
        Scratch::new(&layout.0).sweep("");
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    }
}
