//! Real input for packing: copies of what this machine has, until there is enough of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::Result;

/// What the tree has at the least.
const BYTES: u64 = 700_000_000;
const FILES: u64 = 20_000;

/// Where a Linux machine with Rust on it has many files of many sorts, in the order in which they are taken.
const PLACES: &[&str] =
    &["/usr/share/doc", "/usr/lib/python3", "/usr/share", "/usr/lib", "/usr/bin", "/usr/include"];

/// A tree to pack.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) files: u64,
}

/// Copies folders into `path` until the tree is large enough.
///
/// # Errors
///
/// If the places together have too little, or a copy fails.
pub(super) fn gather(path: &Path, from: &[PathBuf]) -> Result<Tree> {
    let mut tree = Tree { path: path.to_owned(), bytes: 0, files: 0 };
    let own = PLACES.iter().map(PathBuf::from).chain(cargo_sources());
    let places: Vec<PathBuf> = if from.is_empty() { own.collect() } else { from.to_vec() };
    for (number, place) in places.iter().enumerate() {
        if tree.is_enough() {
            break;
        }
        if place.is_dir() {
            tree.copy(place, &path.join(number.to_string()))?;
        }
    }
    if !tree.is_enough() && from.is_empty() {
        return Err(
            "this machine has too few files of its own for the bench; name folders with --from".into()
        );
    }
    println!("bench: the tree has {} files and {} MB", tree.files, tree.bytes / 1_000_000);
    Ok(tree)
}

/// The sources of the libraries that cargo has fetched.
fn cargo_sources() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    home.map(|home| home.join("registry/src"))
}

impl Tree {
    fn is_enough(&self) -> bool {
        self.bytes >= BYTES && self.files >= FILES
    }

    fn copy(&mut self, from: &Path, to: &Path) -> Result {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
            if self.is_enough() {
                return Ok(());
            } else if kind.is_dir() {
                self.copy(&entry.path(), &target)?;
            } else if kind.is_symlink() {
                symlink(fs::read_link(entry.path())?, target)?;
            } else if kind.is_file() {
                self.bytes += fs::copy(entry.path(), target)?;
                self.files += 1;
            }
        }
        Ok(())
    }
}
