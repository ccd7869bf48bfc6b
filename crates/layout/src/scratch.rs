//! The folder `.transship`: lock, leases, temporary files, partial downloads, stamps.
//!
//! Nothing in it is needed to read the layout. It comes when it is needed and goes at a clean end, while other processes
//! do the same; so everything made in it is made again when its folder vanished meanwhile.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;

use crate::dir::Dir;
use crate::layout::Inner;
use crate::lease;
use crate::lock::Lock;
use crate::{Error, Result, Tally};

/// The folder's name.
pub(crate) const FOLDER: &str = ".transship";
/// Another process may remove a folder just made, but not for ever.
const TRIES: usize = 100;

/// Sixteen hexadecimal digits that no other process has.
pub(crate) fn random() -> String {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}

/// The scratch folder of a layout.
pub(crate) struct Scratch<'a>(&'a Inner);

impl<'a> Scratch<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        Self(inner)
    }

    /// Opens or makes something in the folder `kind` of the scratch folder, or in itself when `kind` is empty.
    pub(crate) fn with<T>(
        &self,
        kind: &str,
        name: &str,
        make: impl Fn(&Dir) -> io::Result<T>,
    ) -> Result<(Dir, T)> {
        let inner = self.0;
        let shown = inner.path.join(FOLDER).join(kind).join(name);
        for _ in 0..TRIES {
            let (scratch, _) = inner.folder(&inner.root, FOLDER, FOLDER)?;
            let folder = match kind {
                "" => Ok(scratch),
                _ => scratch.ensure(kind).map(|(folder, _)| folder),
            };
            let made = folder.and_then(|folder| make(&folder).map(|made| (folder, made)));
            match made {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(inner.full(error, &shown, "making")),
                Ok(made) => return Ok(made),
            }
        }
        Err(Error::Busy { path: inner.path.clone(), holder: "processes that come and go".to_owned() })
    }

    /// A new file in `tmp` or `leases`.
    pub(crate) fn create(&self, kind: &str, name: &str) -> Result<(Dir, File)> {
        self.with(kind, name, |folder| folder.create_new(name))
    }

    /// The folder `kind`, or the scratch folder itself when `kind` is empty, if it is there.
    pub(crate) fn existing(&self, kind: &str) -> Option<Dir> {
        let scratch = self.0.root.child(FOLDER).ok()?;
        if kind.is_empty() { Some(scratch) } else { scratch.child(kind).ok() }
    }

    /// Removes what dead processes left: leases that can be locked, and temporary files of no live lease.
    ///
    /// Best effort; what cannot be removed stays. Temporary files are listed before leases, so that a lease taken
    /// meanwhile is seen.
    pub(crate) fn sweep(&self, own: &str) {
        let (temporary, files) = self.left_behind(&|leases, name| {
            let is_held = name == own || lease::is_held(leases, name);
            if !is_held {
                lease::remove_dead(leases, name);
            }
            is_held
        });
        let Some(temporary) = temporary else { return };
        for file in files {
            let _ = temporary.remove_file(&file);
        }
    }

    /// The temporary files that dead processes left, as far as can be told without the lock.
    pub(crate) fn abandoned(&self) -> Vec<String> {
        let (Some(temporary), mut files) = self.left_behind(&lease::is_held) else { return Vec::new() };
        let is_leased = |file: &String| {
            let owner = file.split('-').next().unwrap_or_default();
            owner.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        // The others are of whoever holds the lock, or held it when they were listed.
        if !files.iter().all(is_leased) && Lock::is_held(self.0) {
            files.retain(is_leased);
        }
        files.retain(|file| !matches!(temporary.state(file), Ok(None)));
        files
    }

    /// How many these are, and their bytes.
    pub(crate) fn count_abandoned(&self) -> Tally {
        let mut tally = Tally::default();
        if let (Some(temporary), files) = self.left_behind(&lease::is_held) {
            files
                .iter()
                .filter_map(|file| temporary.state(file).ok()?)
                .for_each(|state| tally.add(state.size));
        }
        tally
    }

    /// Temporary files of no live lease, and their folder.
    fn left_behind(&self, is_held: &dyn Fn(&Dir, &str) -> bool) -> (Option<Dir>, Vec<String>) {
        let list = |folder: &Option<Dir>| -> Vec<String> {
            let names = folder.as_ref().and_then(|folder| folder.names().ok());
            names.into_iter().flatten().flatten().filter_map(|name| name.into_string().ok()).collect()
        };
        let temporary = self.existing("tmp");
        let mut files = list(&temporary);
        let leases = self.existing("leases");
        let mut alive = list(&leases);
        alive.retain(|name| leases.as_ref().is_some_and(|leases| is_held(leases, name)));
        // Files that are not named after a lease are written beneath the lock, that whoever sweeps holds.
        files.retain(|file| {
            let owner = file.split('-').next().unwrap_or_default();
            !alive.iter().any(|name| name == owner)
        });
        (temporary, files)
    }

    /// Removes the scratch folder if it holds nothing of use: no leases, partial downloads or stamps.
    ///
    /// Only empty folders are removed, and the lock file while it is held; a process that waits for it finds another
    /// one under its name.
    pub(crate) fn tidy(&self, _lock: &Lock) {
        let Ok(scratch) = self.0.root.child(FOLDER) else { return };
        for kind in ["leases", "partial", "tmp"] {
            match scratch.remove_dir(kind) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return,
                _ => {}
            }
        }
        if matches!(scratch.state(crate::verified::FILE), Ok(None)) {
            let _ = scratch.remove_file(crate::lock::FILE);
            let _ = self.0.root.remove_dir(FOLDER);
        }
    }
}
