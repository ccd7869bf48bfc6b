//! Repair: what a check has found broken is put right, as far as that can be done without guessing (design laws 3 and 9).
//!
//! First a plan, then its execution. Corrupt blobs move to `.transship/quarantine`, beneath the lock, and only if they
//! are still corrupt and no writer's lease names them. What is missing is fetched from another source, with all that it
//! leads to, and verified while it is written. Entries that point nowhere are dropped only if that was asked for.
//! Nothing else is touched: a broken `index.json` stays what it is.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read as _;

use serde::Serialize;
use transship_spec::{Descriptor, Digest};

use super::Report;
use super::folder::QUARANTINE;
use crate::blobs::{PIECE, blob_path, verify_file};
use crate::dir::FileState;
use crate::graph::{self, Presence};
use crate::index::{Entry, Index};
use crate::layout::{BLOBS, Inner};
use crate::lock::Lock;
use crate::scratch::{FOLDER, Scratch};
use crate::{Error, Layout, Result, Session, Source, lease};

/// What a repair would do.
///
/// ```
/// use transship_layout::{Layout, check};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("layout");
/// let layout = Layout::options().create(&path)?;
/// let report = check::directory(&path, &Layout::options(), &check::Options::default(), &mut |_| {})?;
/// let plan = check::RepairPlan::new(&layout, &report, None, true)?;
/// assert!(plan.is_empty());
/// plan.run(&layout, None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RepairPlan {
    /// Corrupt blobs to move out of the way.
    pub quarantine: Vec<Digest>,
    /// Content to fetch, in the order in which it must come.
    pub refill: Vec<Descriptor>,
    /// Entries to drop, since what they name is not there and cannot be had.
    pub drop: Vec<Entry>,
    /// Entries that would be dropped, had that been asked for.
    pub dangling: Vec<Entry>,
    /// Content that stays missing.
    pub lost: Vec<Descriptor>,
}

impl RepairPlan {
    /// Plans the repair of what a check has found. `from` is where content may be fetched; `drop_entries` says that
    /// entries which point nowhere may go.
    ///
    /// # Errors
    /// What keeps `from` from being read at all; [`Error::Storage`].
    pub fn new(
        layout: &Layout,
        report: &Report,
        from: Option<&dyn Source>,
        drop_entries: bool,
    ) -> Result<Self> {
        let mut plan = Self {
            quarantine: report.corrupt.iter().map(|blob| blob.digest.clone()).collect(),
            ..Self::default()
        };
        let mut lost = HashSet::new();
        let corrupt = report.corrupt.iter().map(|blob| &blob.digest).collect();
        let mut planned = Planned { corrupt, fetched: HashSet::new() };
        // The size of a corrupt blob is no guide; that of a missing one is its descriptor's word.
        for broken in report.missing.iter().chain(&report.corrupt) {
            let found = match from {
                Some(from) => source_of(from, broken)?,
                None => None,
            };
            let fetched = match (from, found) {
                (Some(from), Some(found)) => plan.fetch(layout, from, &found, &mut planned)?,
                _ => false,
            };
            if !fetched && lost.insert(broken.digest.clone()) {
                plan.lost.push(broken.clone());
            }
        }
        let index = match Index::load(&layout.0) {
            Ok((index, _)) => Some(index),
            Err(
                Error::Malformed { .. }
                | Error::NotALayout { .. }
                | Error::Unsafe { .. }
                | Error::Limit { .. },
            ) => None,
            Err(error) => return Err(error),
        };
        let entries = index.iter().flat_map(|index| (0..index.len()).filter_map(|at| index.entry(at).ok()));
        let nowhere = entries.filter(|entry| lost.contains(&entry.descriptor.digest)).collect();
        if drop_entries {
            plan.drop = nowhere;
        } else {
            plan.dangling = nowhere;
        }
        Ok(plan)
    }

    /// Plans to fetch something with what it leads to, as far as that is not there. Tells whether it can be had.
    fn fetch(
        &mut self,
        layout: &Layout,
        from: &dyn Source,
        wanted: &Descriptor,
        planned: &mut Planned<'_>,
    ) -> Result<bool> {
        let mut nodes = Vec::new();
        let walked = graph::walk(from, [wanted], &mut |node| {
            nodes.push((node.descriptor.clone(), node.presence));
            Ok(())
        });
        match walked {
            Ok(()) => {}
            // What is broken there too cannot be had from there.
            Err(error) => return super::read::fault(error).map(|_| false),
        }
        let is_there = nodes.last().is_some_and(|(_, presence)| *presence == Presence::Present);
        for (descriptor, presence) in nodes {
            let is_needed =
                planned.corrupt.contains(&descriptor.digest) || layout.size(&descriptor.digest)?.is_none();
            if is_there
                && is_needed
                && presence == Presence::Present
                && planned.fetched.insert(descriptor.digest.clone())
            {
                self.refill.push(descriptor);
            }
        }
        Ok(is_there)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.quarantine.is_empty() && self.refill.is_empty() && self.drop.is_empty()
    }

    /// How many bytes are to be fetched.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.refill.iter().fold(0, |sum, blob| sum.saturating_add(blob.size))
    }

    /// Carries out the plan. `layout` must be open for writing, and `from` be the source that the plan was made with.
    ///
    /// # Errors
    /// Those of [`Layout::begin`] and [`Session::commit`]; what was done before an error stays done.
    pub fn run(&self, layout: &Layout, from: Option<&dyn Source>) -> Result<Repaired> {
        let mut repaired = Repaired::default();
        if self.is_empty() {
            return Ok(repaired);
        }
        let session = layout.begin()?;
        quarantine(&layout.0, &self.quarantine, &mut repaired)?;
        if let Some(from) = from {
            for blob in &self.refill {
                match refill(&session, from, blob) {
                    Ok(()) => repaired.refilled.push(blob.digest.clone()),
                    Err(Fault::Source(error)) => {
                        super::read::fault(error)?;
                        repaired.failed.push(blob.digest.clone());
                    }
                    Err(Fault::Target(error)) => return Err(error),
                }
            }
        }
        repaired.dropped = session.commit(|index| {
            let mut dropped = Vec::new();
            for entry in &self.drop {
                let digest = &entry.descriptor.digest;
                // Somebody may have brought it meanwhile.
                if layout.size(digest)?.is_none() && index.remove_digest(digest) > 0 {
                    dropped.push(entry.label());
                }
            }
            Ok(dropped)
        })?;
        Ok(repaired)
    }
}

/// What is known while a plan is made.
struct Planned<'a> {
    corrupt: HashSet<&'a Digest>,
    fetched: HashSet<Digest>,
}

impl fmt::Display for RepairPlan {
    /// One line for each thing that would be done, or stays undone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for digest in &self.quarantine {
            writeln!(f, "quarantine {digest}")?;
        }
        for blob in &self.refill {
            writeln!(f, "fetch      {} ({} bytes)", blob.digest, blob.size)?;
        }
        for entry in &self.drop {
            writeln!(f, "drop       index.json[{}] {}", entry.position, entry.descriptor.digest)?;
        }
        for entry in &self.dangling {
            writeln!(f, "keep       index.json[{}], which points nowhere", entry.position)?;
        }
        for blob in &self.lost {
            writeln!(f, "lost       {}", blob.digest)?;
        }
        Ok(())
    }
}

/// What a repair has done.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Repaired {
    /// Corrupt blobs that were moved to `.transship/quarantine`.
    pub quarantined: Vec<Digest>,
    /// Corrupt blobs that were left, since a writer is about to need them, and writes them anew.
    pub leased: Vec<Digest>,
    /// Content that was fetched.
    pub refilled: Vec<Digest>,
    /// Content that could not be fetched after all.
    pub failed: Vec<Digest>,
    /// What the entries that were dropped were called.
    pub dropped: Vec<String>,
}

/// Where the other source has something: its descriptor with the size that it has there.
fn source_of(from: &dyn Source, broken: &Descriptor) -> Result<Option<Descriptor>> {
    match from.size(&broken.digest) {
        Ok(size) => Ok(size.map(|size| Descriptor { size, ..broken.bare() })),
        Err(error) => super::read::fault(error).map(|_| None),
    }
}

/// Moves corrupt blobs out of the way, beneath the lock.
fn quarantine(inner: &Inner, digests: &[Digest], repaired: &mut Repaired) -> Result<()> {
    if digests.is_empty() {
        return Ok(());
    }
    let _lock = Lock::take(inner)?;
    let leased = lease::relied_on(inner)?;
    for digest in digests {
        if leased.contains(digest) {
            repaired.leased.push(digest.clone());
        } else if let Some(corrupt) = found_corrupt(inner, digest)?
            && move_away(inner, digest, &corrupt)?
        {
            repaired.quarantined.push(digest.clone());
        }
    }
    Ok(())
}

/// The file of a blob, if it is still what it should not be.
fn found_corrupt(inner: &Inner, digest: &Digest) -> Result<Option<FileState>> {
    let name = blob_path(digest);
    let Some(opened) = inner.read(&name)? else { return Ok(None) };
    let state = opened.state;
    let descriptor = Descriptor::new(transship_spec::MediaType::OCTET_STREAM, digest.clone(), state.size);
    let verdict = verify_file(&File::from(opened.fd), &descriptor);
    let verdict = verdict.map_err(Error::storage("reading", inner.at(&name)))?;
    Ok(verdict.is_err().then_some(state))
}

/// Moves this file to quarantine. Tells whether it was this one: a writer, who needs no lock for it, may have put the right
/// blob in its place a moment ago, which then goes back.
fn move_away(inner: &Inner, digest: &Digest, corrupt: &FileState) -> Result<bool> {
    let name = format!("{}-{}", digest.algorithm(), digest.encoded());
    let (quarantine, ()) = Scratch::new(inner).with(QUARANTINE, &name, |_| Ok(()))?;
    let moving = || Error::storage("moving away", inner.at(&blob_path(digest)));
    // Never through a link: the folders are opened one by one.
    let blobs = inner.root.child(BLOBS).and_then(|blobs| blobs.child(digest.algorithm())).map_err(moving())?;
    blobs.rename(&digest.encoded(), &quarantine, &name).map_err(moving())?;
    let moved = quarantine.state(&name).map_err(moving())?;
    let same = |moved: FileState| moved.is_same_inode(corrupt) && moved.modified == corrupt.modified;
    if !moved.is_some_and(same) {
        quarantine.rename(&name, &blobs, &digest.encoded()).map_err(moving())?;
        return Ok(false);
    }
    if inner.is_durable() {
        quarantine.sync().map_err(Error::storage("syncing", inner.at(FOLDER)))?;
        blobs.sync().map_err(Error::storage("syncing", inner.at(BLOBS)))?;
    }
    Ok(true)
}

enum Fault {
    Source(Error),
    Target(Error),
}

/// Fetches one blob, verified while it is written.
fn refill(session: &Session, from: &dyn Source, blob: &Descriptor) -> Result<(), Fault> {
    if session.reuse(blob).map_err(Fault::Target)? {
        return Ok(());
    }
    let mut reader = from.open(&Descriptor { data: None, ..blob.clone() }).map_err(Fault::Source)?;
    let mut writer = session.writer(Some(blob)).map_err(Fault::Target)?;
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return writer.commit().map(drop).map_err(Fault::Target),
            Ok(count) => writer.push(piece.get(..count).unwrap_or_default()).map_err(Fault::Target)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Fault::Source(Error::from_io(error, "reading", blob.digest.to_string())));
            }
        }
    }
}
