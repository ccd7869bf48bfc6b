//! Faults of the disk, on file systems made for it. They need root or user namespaces, and fail without.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_remount};
use transship_layout::{Archive, Error, Layout, archive};
use transship_spec::{Descriptor, Kind};

use crate::processes::process;
use crate::support::{blob, put, short, text, tree};

/// Runs a role in a mount namespace of its own, so that nothing of it is left.
pub(crate) fn in_a_namespace(role: &str) {
    let folder = tempfile::tempdir().unwrap();
    let root = rustix::process::geteuid().is_root();
    let unshare: &[&str] =
        if root { &["unshare", "--mount"] } else { &["unshare", "--mount", "--user", "--map-root-user"] };
    let output = process(unshare, role, folder.path(), "").output().unwrap();
    assert!(
        output.status.success(),
        "{role}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

pub(crate) fn tmpfs(path: &Path, options: &str) {
    let options = std::ffi::CString::new(options).unwrap();
    mount("tmpfs", path, "tmpfs", MountFlags::empty(), &*options).unwrap();
}

/// What [`crate::processes::another_process`] does in these roles.
pub(crate) fn role(role: &str, path: &Path) {
    match role {
        "full" => full(path),
        "full of garbage" => full_of_garbage(path),
        "inodes" => inodes(path),
        "read-only" => read_only(path),
        "another mount" => another_mount(path),
        "denied" => denied(path),
        "full beside an archive" => full_beside_an_archive(path),
        "read-only beside an archive" => read_only_beside_an_archive(path),
        "few files" => few_files(path),
        "hard link elsewhere" => crate::linked::hard_link_elsewhere(path),
        "symbolic link elsewhere" => crate::linked::symbolic_link_elsewhere(path),
        "reflinks" => crate::linked::reflinks(path),
        other => panic!("no such role: {other}"),
    }
}

#[test]
fn row_6_7_a_full_disk_is_said_and_leaves_the_layout_as_it_was() {
    in_a_namespace("full");
}

fn full(path: &Path) {
    tmpfs(path, "size=1m,mode=0755");
    let layout = Layout::options().create(path).unwrap();
    let image = put(&layout, "v1");
    let before = tree(path);

    let session = layout.begin().unwrap();
    let mut writer = session.writer(None).unwrap();
    let error = std::iter::repeat_with(|| writer.push(&[0; 64 << 10])).find_map(Result::err).unwrap();
    assert!(matches!(error, Error::Full { .. }) && error.kind() == Kind::Storage, "{error}");
    assert!(
        error.to_string().starts_with("no space left for") && error.to_string().contains("bytes free"),
        "{error}"
    );
    drop(writer);
    drop(session);
    assert_eq!(tree(path), before);

    let mut filler = std::fs::File::create(path.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    let error = layout.edit(|index| index.set(&short("v2"), &image)).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(layout.entries().unwrap().len(), 1);
    drop(filler);
    std::fs::remove_file(path.join("filler")).unwrap();
    assert_eq!(tree(path), before);
    layout.edit(|index| index.set(&short("v2"), &image)).unwrap();
}

#[test]
fn row_8_a_disk_without_inodes_is_told_apart() {
    in_a_namespace("inodes");
}

fn inodes(path: &Path) {
    tmpfs(path, "size=4m,nr_inodes=40,mode=0755");
    let layout = Layout::options().create(path).unwrap();
    put(&layout, "v1");
    let before = tree(path);
    let session = layout.begin().unwrap();
    let error = (0..100u8).find_map(|n| session.put_bytes(text(), &[n]).err()).unwrap();
    assert!(error.to_string().starts_with("no inodes left for"), "{error}");
    drop(session);
    assert_eq!(tree(path), before);
}

#[test]
fn row_10_11_read_only_media_are_read_and_writing_fails_before_anything_is_done() {
    in_a_namespace("read-only");
}

fn read_only(path: &Path) {
    tmpfs(path, "mode=0755");
    let image = put(&Layout::options().create(path).unwrap(), "v1");
    mount_remount(path, MountFlags::RDONLY, "").unwrap();
    let reader = Layout::options().open_read_only(path).unwrap();
    assert_eq!(reader.resolve(None).unwrap().descriptor.digest, image.digest);
    reader.read_document(&image).unwrap();
    assert!(reader.plan_gc(&crate::gc::at_once()).unwrap().is_empty());
    let writer = Layout::options().open(path).unwrap();
    let error = writer.gc(&crate::gc::at_once()).unwrap_err();
    assert_eq!(error.kind(), Kind::Storage, "{error}");
    assert!(error.to_string().contains("Read-only file system"), "{error}");
    let error = writer.begin().unwrap_err();
    assert_eq!(error.kind(), Kind::Storage, "{error}");
    assert!(error.to_string().contains("Read-only file system"), "{error}");
    assert!(!path.join(".transship").exists());
}

#[test]
fn row_16_blobs_on_another_file_system_are_a_clear_error() {
    in_a_namespace("another mount");
}

fn another_mount(path: &Path) {
    let layout = Layout::options().create(path).unwrap();
    tmpfs(&path.join("blobs"), "mode=0755");
    let session = layout.begin().unwrap();
    let error = session.put_bytes(text(), b"x").and_then(|_| session.flush()).unwrap_err();
    assert_eq!(error.kind(), Kind::Storage);
    assert!(error.to_string().contains("another file system"), "{error}");
    drop(session);
    assert!(!path.join(".transship").exists());
    // A new layout in an empty folder that is a mount is made within it.
    let volume = path.join("volume");
    std::fs::create_dir(&volume).unwrap();
    tmpfs(&volume, "mode=0755");
    let new = Layout::options().build(&volume).unwrap();
    put(&new, "v1");
    new.finish().unwrap();
    assert_eq!(std::fs::read_dir(&volume).unwrap().count(), 3);
    assert_eq!(Layout::options().open(&volume).unwrap().entries().unwrap().len(), 1);
}

#[test]
fn row_12_13_without_the_right_to_write_or_read_the_path_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let path = folder.path().join("layout");
    let layout = Layout::options().create(&path).unwrap();
    let image = put(&layout, "v1");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(path.join("blobs/sha256"), PermissionsExt::from_mode(0o555)).unwrap();
    std::fs::set_permissions(blob(&layout, &image), PermissionsExt::from_mode(0o000)).unwrap();
    let root = rustix::process::geteuid().is_root();
    let nobody: &[&str] =
        if root { &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] } else { &[] };
    let output = process(nobody, "denied", &path, "").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    std::fs::set_permissions(path.join("blobs/sha256"), PermissionsExt::from_mode(0o755)).unwrap();
}

fn denied(path: &Path) {
    let layout = Layout::options().open(path).unwrap();
    let image = layout.resolve(Some("v1")).unwrap().descriptor;
    let unreadable = layout.read_document(&image).unwrap_err();
    let session = layout.begin().unwrap();
    let unwritable = session.put_bytes(text(), b"new").and_then(|_| session.flush()).unwrap_err();
    for error in [unreadable, unwritable] {
        assert_eq!(error.kind(), Kind::Storage, "{error}");
        let words = error.to_string();
        assert!(words.contains("blobs/sha256/") && words.contains("Permission denied"), "{error}");
    }
}

#[test]
fn row_56_a_thousand_blobs_need_few_open_files() {
    let folder = tempfile::tempdir().unwrap();
    let output = process(&[], "few files", folder.path(), "").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn few_files(path: &Path) {
    let limit = rustix::process::Rlimit { current: Some(32), maximum: Some(32) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let layout = Layout::options().create(path).unwrap();
    let session = layout.begin().unwrap();
    let blobs: Vec<Descriptor> =
        (0..1500u32).map(|n| session.put_bytes(text(), &n.to_le_bytes()).unwrap()).collect();
    session.commit(|_| Ok(())).unwrap();
    assert!(blobs.iter().all(|blob| layout.has(blob).unwrap()));
}

/// Adds a blob of this size to an archive that may be there.
fn add(path: &Path, size: usize) -> Result<(), Error> {
    let old = path.exists().then(|| Archive::options().open(path).unwrap());
    let blob = Descriptor::of(text(), &vec![7; size]);
    let index = archive::edit_index(old.as_ref(), |index| index.add(&blob).map(drop))?;
    let head = archive::Head { index, docker: None };
    let kept: Vec<Descriptor> =
        old.iter().flat_map(|old| old.entries().unwrap()).map(|e| e.descriptor).collect();
    let new = Archive::options().create(path, head.clone(), kept.iter().chain([&blob]).cloned())?;
    for blob in &kept {
        new.carry_from(old.as_ref().unwrap(), blob)?;
    }
    let mut writer = new.writer(&blob.digest)?;
    (0..size / 1024).try_for_each(|_| writer.push(&[7; 1024]))?;
    writer.commit()?;
    new.finish(head)
}

#[test]
fn row_6_a_full_disk_leaves_the_archive_that_was_there_and_nothing_else() {
    in_a_namespace("full beside an archive");
}

fn full_beside_an_archive(path: &Path) {
    tmpfs(path, "size=1m,mode=0755");
    let (there, new) = (path.join("a.tar"), path.join("new.tar"));
    add(&there, 600 << 10).unwrap();
    let before = tree(path);
    // With what comes, and already with what was there.
    for (target, size) in [(&there, 2 << 20), (&there, 1 << 10), (&new, 2 << 20)] {
        let error = add(target, size).unwrap_err();
        assert!(matches!(error, Error::Full { .. }) && error.kind() == Kind::Storage, "{error}");
        let said = error.to_string();
        assert!(said.starts_with(&format!("no space left for {}", target.display())), "{said}");
        assert!(said.contains("bytes free"), "{said}");
        assert_eq!(tree(path), before);
    }
    Archive::options().open(&there).unwrap();
    std::fs::remove_file(&there).unwrap();
    add(&new, 1 << 10).unwrap();
}

#[test]
fn row_10_11_12_a_folder_that_may_only_be_read_keeps_its_archive() {
    in_a_namespace("read-only beside an archive");
}

fn read_only_beside_an_archive(path: &Path) {
    tmpfs(path, "mode=0755");
    let there = path.join("a.tar");
    add(&there, 1 << 10).unwrap();
    let before = tree(path);
    mount_remount(path, MountFlags::RDONLY, "").unwrap();
    for target in [&there, &path.join("new.tar")] {
        let error = add(target, 2 << 10).unwrap_err();
        assert_eq!(error.kind(), Kind::Storage, "{error}");
        let said = error.to_string();
        assert!(
            said.contains(&*target.to_string_lossy()) && said.contains("Read-only file system"),
            "{said}"
        );
    }
    assert_eq!(tree(path), before);
    let archive = Archive::options().open(&there).unwrap();
    assert_eq!(archive.entries().unwrap().len(), 1);
}

#[test]
fn row_6_garbage_goes_also_from_a_full_disk() {
    in_a_namespace("full of garbage");
}

fn full_of_garbage(path: &Path) {
    tmpfs(path, "size=1m,mode=0755");
    let layout = Layout::options().create(path).unwrap();
    let image = put(&layout, "v1");
    let session = layout.begin().unwrap();
    let signature = crate::support::manifest(&session, "signature", Some(image.clone()));
    let orphan = session.put_bytes(text(), &[7; 300 << 10]).unwrap();
    session.commit(|index| index.add(&signature)).unwrap();
    let kept = put(&layout, "v2");
    layout.edit(|index| index.remove(&short("v1"))).unwrap();
    let fill = || {
        let mut filler = std::fs::File::create(path.join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    };
    fill();
    // A new index has no room before the orphan is gone.
    let done = layout.gc(&crate::gc::at_once()).unwrap();
    assert_eq!((done.entries.len(), done.blobs.len()), (1, 5), "{done:?}");
    assert!(!layout.has(&orphan).unwrap() && !layout.has(&image).unwrap() && layout.has(&kept).unwrap());

    // Where nothing goes but by a new index, nothing goes at all.
    std::fs::remove_file(path.join("filler")).unwrap();
    let session = layout.begin().unwrap();
    let signature = crate::support::manifest(&session, "another", Some(kept));
    session.commit(|index| index.add(&signature)).unwrap();
    layout.edit(|index| index.remove(&short("v2"))).unwrap();
    fill();
    let before = tree(path);
    let error = layout.gc(&crate::gc::at_once()).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(tree(path), before);
    std::fs::remove_file(path.join("filler")).unwrap();
    assert_eq!(layout.gc(&crate::gc::at_once()).unwrap().reachable.count, 0);
}
