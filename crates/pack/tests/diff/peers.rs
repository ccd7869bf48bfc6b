//! What a comparison finds, judged by what umoci unpacks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use transship_layout::Layout;
use transship_pack::{DiffOptions, DiffSide, diff};

use crate::support::{Stored, Tar, image, listing};

/// What umoci makes of the image `v1` of a layout, but for the times and for the root, to which it gives the time of now.
fn unpacked(layout: &Layout, to: &Path) -> BTreeMap<PathBuf, Vec<String>> {
    let place = format!("{}:v1", layout.path().display());
    transship_testkit::peers::umoci(&["raw", "unpack", "--image", &place, to.to_str().unwrap()]);
    let mut tree = listing(to);
    tree.remove(Path::new(""));
    let parts = |line: String| {
        let parts = line.splitn(6, ' ').enumerate().filter(|(number, _)| !matches!(number, 3 | 4));
        parts.map(|(_, part)| part.to_owned()).collect()
    };
    tree.into_iter().map(|(path, line)| (path, parts(line))).collect()
}

#[test]
fn umoci_unpacks_exactly_what_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let base = Tar::new()
        .folder("usr")
        .folder("usr/lib")
        .symlink("lib", "usr/lib")
        .file("usr/lib/a", b"a")
        .hard_link("usr/lib/b", "usr/lib/a")
        .folder("etc")
        .file("etc/old", b"old")
        .file("etc/same", b"same")
        .folder("opt/deep/er")
        .file("opt/deep/er/file", b"x")
        .entry(b"bin", b'0', (b"", b"tool"), |header| header.set_mode(0o4755));
    let left = Tar::new().file("lib/a", b"left").file("etc/.wh.old", b"").file("left", b"");
    let right = Tar::new()
        .file("lib/a", b"right")
        .file("opt/.wh..wh..opq", b"")
        .file("opt/new", b"")
        .file("etc/same", b"same")
        .entry(b"bin", b'0', (b"", b"tool"), |header| header.set_uid(7))
        .symlink("etc/link", "old");
    let again = Tar::new()
        .file(".wh.left", b"")
        .hard_link("etc/linked", "lib/b")
        .folder("etc/old")
        .folder("etc/old/now");
    let stored =
        |tars: &[&Tar]| tars.iter().map(|tar| Stored::plain(&(*tar).clone().end())).collect::<Vec<_>>();
    let (one, first) = image(&at.join("one"), &stored(&[&base, &left]));
    let (two, second) = image(&at.join("two"), &stored(&[&base, &right, &again]));
    let sides = (DiffSide { source: &one, image: &first }, DiffSide { source: &two, image: &second });
    let found = diff(sides.0, sides.1, &DiffOptions::default()).unwrap();
    let found: Vec<PathBuf> = found.files.unwrap().into_iter().map(|change| change.path).collect();
    let (a, b) = (unpacked(&one, &at.join("a")), unpacked(&two, &at.join("b")));
    let mut differ: Vec<PathBuf> =
        a.keys().chain(b.keys()).filter(|path| a.get(*path) != b.get(*path)).cloned().collect();
    differ.sort();
    differ.dedup();
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(sorted, differ);
    assert!(found.len() > 8, "{found:?}");
}
