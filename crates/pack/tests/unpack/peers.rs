//! What others make of an image, and what we make of theirs: the same tree.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use transship_codec::Compression;
use transship_layout::{Durability, Layout, Name};
use transship_pack::{Rootfs, UnpackPlan, pack_image, unpack};
use transship_testkit::peers::{run, umoci};

use crate::images::kept;
use crate::support::{Tar, listing, quick};
use crate::trees::{chmod, make, nasty};

/// An image of a layout, unpacked by us.
fn unpacked(layout: &Layout, name: &str, to: &Path) {
    let descriptor = layout.resolve(Some(name)).unwrap().descriptor;
    let plan = UnpackPlan::read(layout, &descriptor, None).unwrap();
    unpack(layout, &plan, Rootfs::begin(to).unwrap(), &quick()).unwrap();
}

/// The image `v1` of a layout, unpacked by us and by umoci.
fn same_as_umoci(at: &Path, layout: &Layout) {
    let (ours, theirs) = (at.join("ours"), at.join("theirs"));
    unpacked(layout, "v1", &ours);
    let place = format!("{}:v1", layout.path().display());
    umoci(&["raw", "unpack", "--image", &place, theirs.to_str().unwrap()]);
    compare(&ours, &theirs);
}

fn compare(ours: &Path, theirs: &Path) {
    let (mut ours, mut theirs) = (listing(ours), listing(theirs));
    // Who makes the root gives it a time.
    ours.remove(Path::new(""));
    theirs.remove(Path::new(""));
    let different: Vec<_> = ours.iter().filter(|(path, line)| theirs.get(*path) != Some(line)).collect();
    let missing: Vec<_> = theirs.keys().filter(|path| !ours.contains_key(*path)).collect();
    let theirs: Vec<_> = different.iter().map(|(path, _)| theirs.get(*path)).collect();
    assert!(
        different.is_empty() && missing.is_empty(),
        "{different:#?}\ntheirs: {theirs:#?}\nmissing: {missing:#?}"
    );
}

/// A folder of this name. Podman takes a location for a name, and that must be in small letters.
fn in_small_letters(name: &str) -> TempDir {
    let name = format!("{name}-{}", std::process::id());
    tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir().unwrap()
}

/// Where skopeo and podman find an image of the layout in a folder.
fn place(at: &Path, name: &str) -> String {
    format!("oci:{}/layout:{name}", at.display())
}

/// Runs podman with a store of its own in a folder.
fn podman(at: &Path, words: &[&str]) -> String {
    let (root, state) = (at.join("podman"), at.join("podman-run"));
    let mut all = vec!["--root", root.to_str().unwrap(), "--runroot", state.to_str().unwrap()];
    all.extend(["--storage-driver", "vfs"]);
    all.extend(words);
    String::from_utf8(run("podman", &all)).unwrap().trim().to_owned()
}

/// What somebody does who works in a tree that [`nasty`] made: removes, replaces, links and moves.
fn work_in(tree: &Path) {
    fs::remove_dir_all(tree.join("links")).unwrap();
    fs::write(tree.join("links"), "a file over a folder").unwrap();
    fs::remove_file(tree.join("a.b")).unwrap();
    fs::create_dir(tree.join("a.b")).unwrap();
    fs::write(tree.join("a.b/new"), "a folder over a file").unwrap();
    fs::remove_dir_all(tree.join("a-b")).unwrap();
    symlink("a", tree.join("a-b")).unwrap();
    fs::remove_dir_all(tree.join("names")).unwrap();
    fs::create_dir(tree.join("names")).unwrap();
    fs::write(tree.join("names/only"), "a folder made anew").unwrap();
    fs::rename(tree.join("block/large"), tree.join("larger")).unwrap();
    fs::hard_link(tree.join("larger"), tree.join("bits/linked")).unwrap();
    fs::remove_file(tree.join("special/null")).unwrap();
    chmod(&tree.join("empty"), 0o4711);
    std::os::unix::fs::lchown(tree.join("A"), Some(7), Some(3_000_000)).unwrap();
}

#[test]
fn umoci_makes_the_same_of_a_nasty_tree_in_layers() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    make(&at.join("tree"), &nasty());
    let layout = Layout::options().create(at.join("layout")).unwrap();
    let upper = Tar::new()
        .folder("usr/")
        .folder("usr/lib/")
        .symlink("lib", "usr/lib")
        .file("lib/new", b"through a link")
        .file("a/.wh.b", b"")
        .file("names/.wh..wh..opq", b"")
        .file("names/new", b"after")
        .file(".wh.special", b"")
        .file("block", b"a file over a folder")
        .hard_link("linked", "links/z-first-made")
        .symlink("bits", "a")
        .end();
    fs::write(at.join("upper.tar"), upper).unwrap();
    let inputs = [at.join("tree"), at.join("upper.tar")];
    let inputs: Vec<&Path> = inputs.iter().map(AsRef::as_ref).collect();
    pack_image(&layout, Some(&Name::short("v1").unwrap()), &inputs, &kept(Compression::Gzip)).unwrap();
    same_as_umoci(at, &layout);
}

#[test]
fn umoci_and_podman_make_the_same_of_a_system() {
    let folder = in_small_letters("system");
    let at = folder.path();
    let tar = at.join("system.tar");
    // Links among the parents, hard links, many links: as Debian lays itself out.
    let mut words = vec!["--ignore-failed-read", "--exclude=*.pyc", "-cf", tar.to_str().unwrap(), "-C", "/"];
    words.extend(["--no-recursion", "etc", "usr", "usr/lib", "usr/share", "--recursion"]);
    words.extend([
        "bin",
        "sbin",
        "lib",
        "lib64",
        "etc/ssl",
        "usr/sbin",
        "usr/lib/git-core",
        "usr/share/perl",
    ]);
    run("tar", &words);
    let layout = Layout::options().durability(Durability::None).create(at.join("layout")).unwrap();
    let upper =
        Tar::new().file("lib/new", b"through a link").file("etc/.wh.ssl", b"").file("bin/.wh.git", b"").end();
    fs::write(at.join("upper.tar"), upper).unwrap();
    let inputs: [&Path; 2] = [&tar, &at.join("upper.tar")];
    pack_image(&layout, Some(&Name::short("v1").unwrap()), &inputs, &kept(Compression::Gzip)).unwrap();
    same_as_umoci(at, &layout);
    let image = podman(at, &["pull", "--quiet", &place(at, "v1")]);
    let mount = podman(at, &["image", "mount", &image]);
    // Podman gives folders that a layer reaches into without an entry of their own the time of now.
    let touched = ["", "usr/lib", "etc"].map(Path::new);
    let (mut ours, mut theirs) = (listing(&at.join("ours")), listing(Path::new(&mount)));
    for path in touched {
        ours.remove(path);
        theirs.remove(path);
    }
    podman(at, &["image", "unmount", &image]);
    assert!(ours.len() > 1000);
    for (path, line) in &ours {
        assert_eq!(Some(line), theirs.get(path), "{}", path.display());
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn what_umoci_packs_and_packs_again_is_unpacked_as_umoci_does() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (image, bundle) = (format!("{}/layout:v1", at.display()), at.join("bundle"));
    umoci(&["init", "--layout", at.join("layout").to_str().unwrap()]);
    umoci(&["new", "--image", &image]);
    umoci(&["unpack", "--image", &image, bundle.to_str().unwrap()]);
    make(&bundle.join("rootfs"), &nasty());
    umoci(&["repack", "--refresh-bundle", "--image", &image, bundle.to_str().unwrap()]);
    work_in(&bundle.join("rootfs"));
    umoci(&["repack", "--image", &image, bundle.to_str().unwrap()]);
    same_as_umoci(at, &Layout::options().open_read_only(at.join("layout")).unwrap());
    assert!(at.join("ours/a.b/new").exists() && !at.join("ours/special/null").exists());
}

#[test]
fn what_podman_builds_and_commits_is_unpacked_as_podman_mounts_it() {
    let folder = in_small_letters("built");
    let at = folder.path();
    make(&at.join("context/tree"), &nasty());
    let lines = [
        "FROM scratch",
        "COPY tree /tree",
        "COPY --chown=7:8 --chmod=0711 tree/block /moved/",
        "COPY tree/a /moved/",
        "WORKDIR /work/here",
    ];
    fs::write(at.join("context/Containerfile"), lines.join("\n")).unwrap();
    let context = at.join("context");
    podman(at, &["build", "--quiet", "--layers", "--tag", "localhost/built", context.to_str().unwrap()]);
    let container = podman(at, &["create", "--network", "none", "localhost/built", "/none"]);
    let mount = podman(at, &["mount", &container]);
    work_in(&Path::new(&mount).join("tree"));
    podman(at, &["unmount", &container]);
    podman(at, &["commit", "--quiet", &container, "localhost/committed"]);
    for name in ["built", "committed"] {
        let image = format!("localhost/{name}");
        podman(at, &["push", "--quiet", &image, &place(at, name)]);
        let layout = Layout::options().open_read_only(at.join("layout")).unwrap();
        unpacked(&layout, name, &at.join(name));
        let mount = podman(at, &["image", "mount", &image]);
        compare(&at.join(name), Path::new(&mount));
        podman(at, &["image", "unmount", &image]);
    }
    assert!(at.join("built/tree/a.b").is_file() && at.join("committed/tree/a.b/new").is_file());
}
