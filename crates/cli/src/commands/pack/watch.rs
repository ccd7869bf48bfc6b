//! Tells of packing while it goes on: a bar for each input, as long as what will be packed of it is known beforehand.

use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use transship_spec::Descriptor;

use crate::progress::{Item, Progress};
use crate::show;

/// Bytes of a block of a tar.
const BLOCK: u64 = 512;

/// Inputs are packed one after the other; this one is being packed.
#[derive(Debug)]
pub(super) struct Watched {
    progress: Progress,
    /// Whether all of an input is packed, so that its size can be told before.
    whole: bool,
    current: Mutex<String>,
}

impl Watched {
    pub(super) fn new(progress: &Progress, inputs: &[&Path], whole: bool) -> Self {
        let sizes: Option<Vec<u64>> = inputs.iter().map(|input| size_of(input, whole)).collect();
        progress.begin(sizes.map(|sizes| sizes.iter().sum()));
        Self { progress: progress.clone(), whole, current: Mutex::default() }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, String> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl transship_pack::Progress for Watched {
    fn started(&self, input: &Path) {
        let key = input.display().to_string();
        let name = input.file_name().map_or_else(|| key.clone(), |name| name.to_string_lossy().into_owned());
        let size = size_of(input, self.whole);
        self.progress.started(Item { key: &key, name: &show::plain(&name), size });
        *self.current() = key;
    }

    fn advanced(&self, bytes: u64) {
        self.progress.advanced(&self.current(), bytes);
    }

    fn finished(&self, _stored: &Descriptor, _reused: bool) {
        self.progress.finished(&self.current());
    }
}

/// About how many bytes an input has as a plain tar, or as a file; nothing where that is not known before.
fn size_of(input: &Path, whole: bool) -> Option<u64> {
    let meta = input.metadata().ok()?;
    if !meta.is_dir() {
        let compressed = input.extension().is_some_and(|end| end == "gz" || end == "tgz" || end == "zst");
        return (!compressed && meta.is_file() && !is_specification(input)).then_some(meta.len());
    }
    let (mut folders, mut total) = (vec![input.to_owned()], BLOCK * 2);
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().ok()?.flatten() {
            let meta = entry.metadata().ok()?;
            total += BLOCK;
            if meta.is_dir() {
                folders.push(entry.path());
            } else if meta.is_file() {
                total += meta.len().next_multiple_of(BLOCK);
            }
        }
    }
    whole.then_some(total)
}

/// Whether a file describes a tree, whose size is another.
fn is_specification(input: &Path) -> bool {
    let mut start = [0; 6];
    std::fs::File::open(input)
        .is_ok_and(|mut file| file.read_exact(&mut start).is_ok() && start == *b"#mtree")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_folder_is_that_of_its_tar() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("sub/file"), [0; 513]).unwrap();
        assert_eq!(size_of(folder.path(), true), Some(1024 + 512 + 512 + 1024));
        assert_eq!(size_of(folder.path(), false), None);
        assert_eq!(size_of(&folder.path().join("sub/file"), false), Some(513));
        assert_eq!(size_of(&folder.path().join("none"), true), None);
    }
}
