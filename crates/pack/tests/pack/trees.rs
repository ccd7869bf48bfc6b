//! Trees of files for tests, with everything in them that makes packing hard.
//!
//! They need root, for owners and devices; a test that is not run by root fails and says so, for a test that is skipped
//! looks like one that passed.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, makedev, mknodat, utimensat};
use transship_layout::Layout;
use transship_spec::{Descriptor, Manifest};

/// One thing in a tree.
pub(crate) enum Node {
    Folder(u32),
    File(u32, Vec<u8>),
    Symlink(Vec<u8>),
    HardLink(&'static str),
    Fifo,
    Device(FileType, u32, u32),
}

use Node::{Device, Fifo, File, Folder, HardLink, Symlink};

/// A tree with all kinds of files, all bits of modes, and names and targets that ustar cannot say.
pub(crate) fn nasty() -> Vec<(Vec<u8>, Node)> {
    let long = |len: usize| "n".repeat(len);
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        (text("a"), Folder(0o755)),
        (text("a/b"), File(0o644, text("beneath a"))),
        (text("a-b"), Folder(0o700)),
        (text("a-b/c"), File(0o600, vec![])),
        (text("a.b"), File(0o644, text("a.b"))),
        (text("a0"), Symlink(text("a/b"))),
        (text("A"), File(0o755, text("#!/bin/sh\n"))),
        (text("bits"), Folder(0o1777)),
        (text("bits/setuid"), File(0o4755, text("u"))),
        (text("bits/setgid"), File(0o2755, text("g"))),
        (text("bits/nothing"), File(0, text("secret"))),
        (text("empty"), Folder(0o2750)),
        (text("block/511"), File(0o644, vec![b'x'; 511])),
        (text("block/512"), File(0o644, vec![b'x'; 512])),
        (text("block/513"), File(0o644, vec![b'x'; 513])),
        (text("block/large"), File(0o644, (0..1_000_000_u32).map(|n| (n / 3 % 251) as u8).collect())),
        (text("links/z-first-made"), File(0o640, text("shared"))),
        (text("links/a-first-in-order"), HardLink("links/z-first-made")),
        (text("other/again"), HardLink("links/z-first-made")),
        (text("links/absolute"), Symlink(text("/etc/passwd"))),
        (text("links/dangling"), Symlink(text("../nowhere"))),
        (text("links/long"), Symlink(text(&"t/".repeat(80)))),
        (text("links/grün"), Symlink(text("grün"))),
        (text("links/bytes"), Symlink(b"\xff\xfe".to_vec())),
        (text("names/grün"), File(0o644, text("UTF-8"))),
        (text("names/gru\u{308}n"), File(0o644, text("UTF-8, decomposed"))),
        (b"names/\xff\xfe".to_vec(), File(0o644, text("not UTF-8"))),
        (text("names/line\nbreak"), File(0o644, text("newline"))),
        (b"names/line\nbreak\xff".to_vec(), File(0o644, text("newline and no UTF-8"))),
        (text("names/back\\slash"), File(0o644, text("backslash"))),
        (text("names/ space "), File(0o644, text("space"))),
        (text("names/C:"), File(0o644, text("drive"))),
        (text("names/..."), File(0o644, text("dots"))),
        (text(&format!("long/{}", long(95))), File(0o644, text("exactly a hundred"))),
        (text(&format!("long/{}", long(96))), File(0o644, text("cut at a slash"))),
        (text(&format!("long/{}", long(255))), File(0o644, text("no place to cut"))),
        (text(&format!("{0}/{0}/{0}/leaf", long(120))), File(0o644, text("longer than ustar"))),
        (text("special/fifo"), Fifo),
        (text("special/null"), Device(FileType::CharacterDevice, 1, 3)),
        (text("special/disk"), Device(FileType::BlockDevice, 259, 1_048_575)),
    ]
}

/// Makes a tree in the order given, so that the file system may list it so, with times and modes that do not depend on
/// when and by whom it is made.
pub(crate) fn make(at: &Path, nodes: &[(Vec<u8>, Node)]) {
    assert!(rustix::process::geteuid().is_root(), "this test makes devices and must be run by root");
    let (links, others): (Vec<_>, Vec<_>) = nodes.iter().partition(|(_, node)| matches!(node, HardLink(_)));
    for (path, node) in others.into_iter().chain(links) {
        let path = at.join(OsStr::from_bytes(path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match node {
            Folder(_) => fs::create_dir_all(&path).unwrap(),
            File(_, content) => fs::write(&path, content).unwrap(),
            Symlink(target) => symlink(OsStr::from_bytes(target), &path).unwrap(),
            HardLink(first) => fs::hard_link(at.join(first), &path).unwrap(),
            Fifo => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap(),
            Device(kind, major, minor) => {
                mknodat(CWD, &path, *kind, Mode::from_raw_mode(0o600), makedev(*major, *minor)).unwrap();
            }
        }
    }
    for path in all_paths(at) {
        if path.is_dir() && !path.is_symlink() {
            chmod(&path, 0o755);
        }
    }
    for (path, node) in nodes {
        let path = at.join(OsStr::from_bytes(path));
        match node {
            Folder(mode) | File(mode, _) => chmod(&path, *mode),
            Fifo | Device(..) => chmod(&path, 0o620),
            Symlink(_) | HardLink(_) => {}
        }
    }
    for (number, path) in all_paths(at).iter().enumerate() {
        touch(path, 1_000_000_000 + number as i64);
    }
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Sets the time of change, with a part of a second that no layer keeps.
pub(crate) fn touch(path: &Path, seconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: 123_456_789 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// All paths beneath a folder, sorted, children before their folders.
pub(crate) fn all_paths(at: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.is_symlink() {
            paths.extend(all_paths(&path));
        }
        paths.push(path);
    }
    paths
}

/// A layout and everything in it, as `path mode content`, by which two folders are compared.
pub(crate) fn snapshot(at: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let describe = |path: PathBuf| {
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        let content = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        (path.strip_prefix(at).unwrap().to_owned(), mode, content)
    };
    all_paths(at).into_iter().chain([at.to_owned()]).map(describe).collect()
}

/// The content of a blob.
pub(crate) fn content(layout: &Layout, descriptor: &Descriptor) -> Vec<u8> {
    let mut bytes = Vec::new();
    layout.open_blob(descriptor).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// The manifest that a layout lists under a name.
pub(crate) fn manifest(layout: &Layout, name: &str) -> Manifest {
    let entry = layout.resolve(Some(name)).unwrap();
    layout.read_document(&entry.descriptor).unwrap().as_manifest().unwrap().clone()
}

/// The paths in a tar, in its order.
pub(crate) fn listed(tar: &[u8]) -> Vec<String> {
    let mut archive = ::tar::Archive::new(tar);
    let entries = archive.entries().unwrap();
    entries.map(|entry| String::from_utf8_lossy(&entry.unwrap().path_bytes()).into_owned()).collect()
}
