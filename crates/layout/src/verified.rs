//! Stamps: which blobs were hashed before and have not been touched since (design law 5).
//!
//! `.transship/verified` has one line a blob: digest, size, times of the last change of content and of inode, inode and
//! device. A blob whose state is that of its stamp need not be hashed again. The file is only appended to, a torn or
//! foreign line is passed over, and losing it costs one hash a blob. Small blobs are hashed again sooner than a line is
//! kept for them.
//!
//! A stamp is this file system's word about its own files. It spares a hash where a blob of this layout is used again, and
//! where one of another layout on the same file system is shared as a reflink or hard link. What is copied byte for byte is
//! hashed as it goes by, whatever its stamp says: whoever makes a whole file system can forge stamps on it.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use transship_spec::Digest;

use crate::Result;
use crate::dir::FileState;
use crate::layout::Inner;
use crate::scratch::Scratch;

/// The file's name in the scratch folder.
pub(crate) const FILE: &str = "verified";
/// Blobs from this size on are worth a stamp, in bytes.
pub(crate) const WORTH: u64 = 1 << 20;
/// A longer file of stamps is begun anew, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// The state of a blob's file when it was last found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    modified: i64,
    changed: i64,
    inode: u64,
    device: u64,
}

impl From<&FileState> for Stamp {
    fn from(state: &FileState) -> Self {
        let FileState { size, modified, changed, inode, device, .. } = *state;
        Self { size, modified, changed, inode, device }
    }
}

/// The stamps of a layout: read from disk when first asked for, added to in memory, appended when a session ends.
#[derive(Debug, Default)]
pub(crate) struct Stamps(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    loaded: bool,
    stamps: HashMap<Digest, Stamp>,
    fresh: Vec<Digest>,
}

impl Stamps {
    fn known(&self) -> MutexGuard<'_, Known> {
        // The map is never left half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the file in this state was found to be this blob before.
    pub(crate) fn vouch(&self, inner: &Inner, digest: &Digest, state: &FileState) -> bool {
        let mut known = self.known();
        if !known.loaded {
            known.loaded = true;
            let on_disk = load(inner);
            for (digest, stamp) in on_disk {
                known.stamps.entry(digest).or_insert(stamp);
            }
        }
        known.stamps.get(digest) == Some(&Stamp::from(state))
    }

    /// Notes that the file in this state was found to be this blob.
    pub(crate) fn note(&self, digest: &Digest, state: &FileState) {
        let mut known = self.known();
        let stamp = Stamp::from(state);
        if known.stamps.insert(digest.clone(), stamp) != Some(stamp) && state.size >= WORTH {
            known.fresh.push(digest.clone());
        }
    }

    /// Forgets blobs that are gone, also on disk. To be called beneath the layout's lock. Best effort: a stamp too many
    /// takes some room, a stamp too few costs one hash.
    pub(crate) fn forget(&self, inner: &Inner, gone: &HashSet<&Digest>) {
        if gone.is_empty() {
            return;
        }
        let mut known = self.known();
        known.stamps.retain(|digest, _| !gone.contains(digest));
        known.fresh.retain(|digest| !gone.contains(digest));
        let Ok(scratch) = inner.root.child(crate::scratch::FOLDER) else { return };
        let mut on_disk = load(inner);
        let before = on_disk.len();
        on_disk.retain(|(digest, _)| !gone.contains(digest));
        if on_disk.is_empty() && before > 0 {
            let _ = scratch.remove_file(FILE);
        } else if on_disk.len() < before {
            let lines: String = on_disk.iter().map(|(digest, stamp)| line(digest, stamp)).collect();
            if let Ok(beside) = inner.write_beside("stamps", |file| file.write_all(lines.as_bytes())) {
                let _ = beside.rename_into(&scratch, FILE);
            }
        }
    }

    /// Appends what is new to the file. Best effort: a stamp that is lost costs one hash.
    pub(crate) fn save(&self, inner: &Inner) {
        let mut known = self.known();
        // A line that a crash has torn ends here.
        let mut lines = String::from("\n");
        for digest in std::mem::take(&mut known.fresh) {
            if let Some(stamp) = known.stamps.get(&digest) {
                lines.push_str(&line(&digest, stamp));
            }
        }
        if lines.len() > 1 {
            let _ = append(inner, &lines);
        }
    }
}

fn line(digest: &Digest, stamp: &Stamp) -> String {
    let Stamp { size, modified, changed, inode, device } = stamp;
    format!("{digest} {size} {modified} {changed} {inode} {device}\n")
}

fn append(inner: &Inner, lines: &str) -> Result<()> {
    let (_, mut file) = Scratch::new(inner).with("", FILE, |folder| folder.open_or_create(FILE, true))?;
    // Stamps of blobs that are gone, or were written again, have piled up; those that still count cost a hash each.
    let long = FileState::of(&file).is_ok_and(|state| state.size > MAX_FILE);
    let written = if long { file.set_len(0) } else { Ok(()) };
    written
        .and_then(|()| file.write_all(lines.as_bytes()))
        .map_err(|error| inner.full(error, &inner.at(".transship/verified"), "writing"))
}

fn load(inner: &Inner) -> Vec<(Digest, Stamp)> {
    let opened = inner.root.child(crate::scratch::FOLDER).and_then(|folder| {
        folder.read(FILE, crate::Links::Refuse).map_err(|_| std::io::ErrorKind::NotFound.into())
    });
    let Ok(opened) = opened else { return Vec::new() };
    let mut text = Vec::new();
    let file = std::fs::File::from(opened.fd);
    // What was read before an error is still right.
    let _ = file.take(MAX_FILE * 2).read_to_end(&mut text);
    text.split(|&byte| byte == b'\n').filter_map(parse).collect()
}

fn parse(line: &[u8]) -> Option<(Digest, Stamp)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let digest = Digest::parse(words.next()?).ok()?;
    let stamp = Stamp {
        size: words.next()?.parse().ok()?,
        modified: words.next()?.parse().ok()?,
        changed: words.next()?.parse().ok()?,
        inode: words.next()?.parse().ok()?,
        device: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some((digest, stamp))
}
