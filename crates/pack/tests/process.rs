//! What a process inherits does not change what it packs (law 8): its umask and its current folder.
//!
//! Both belong to the whole process, so this is a program of its own, with one test.

#![expect(clippy::unwrap_used, reason = "this is a test, its helper included")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use transship_layout::{Layout, Name};
use transship_pack::{ImageOptions, pack_image};

fn snapshot(at: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![at.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode();
            if path.is_dir() {
                folders.push(path.clone());
            }
            let content = fs::read(&path).unwrap_or_default();
            found.push((path.strip_prefix(at).unwrap_or(&path).to_owned(), mode, content));
        }
    }
    found.sort();
    found
}

#[test]
fn law_8_neither_umask_nor_current_folder_change_a_layout() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("d")).unwrap();
    for (file, mode) in [("d", 0o755), ("a", 0o600), ("d/b", 0o777)] {
        if file != "d" {
            fs::write(tree.join(file), file).unwrap();
        }
        fs::set_permissions(tree.join(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    let name = Name::short("v1").unwrap();
    let mut snapshots = Vec::new();
    for (umask, current, input) in [
        (0o022, Path::new("/"), &*tree),
        (0o077, folder.path(), Path::new("tree")),
        (0o000, &*tree, Path::new(".")),
        (0o777, &*tree.join("d"), Path::new("../d/..")),
    ] {
        let out = folder.path().join(format!("out-{umask}"));
        std::env::set_current_dir(current).unwrap();
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let layout = Layout::options().build(&out).unwrap();
        pack_image(&layout, Some(&name), &[input], &ImageOptions::default()).unwrap();
        layout.finish().unwrap();
        rustix::process::umask(before);
        snapshots.push(snapshot(&out));
    }
    let specification = folder.path().join("tree.mtree");
    std::fs::write(
        &specification,
        "#mtree\n./a content=tree/a\nd type=dir mode=0755\nb content=tree/d/b\n..\n",
    )
    .unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let layout = Layout::options().build(folder.path().join("out-described")).unwrap();
    pack_image(&layout, Some(&name), &[&specification], &ImageOptions::default()).unwrap();
    layout.finish().unwrap();
    snapshots.push(snapshot(&folder.path().join("out-described")));
    std::env::set_current_dir("/").unwrap();
    assert!(snapshots.iter().all(|one| *one == snapshots[0]), "{snapshots:#?}");
}
