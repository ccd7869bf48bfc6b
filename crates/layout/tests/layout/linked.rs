//! Blobs that two layouts share: blocks, or the whole file.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use transship_layout::{Error, Layout, Link, Links, Written};
use transship_spec::{Descriptor, Kind};

use crate::storage::{in_a_namespace, tmpfs};
use crate::support::{blob, layout, text, tree};

/// Bytes that no file system can keep without blocks.
const LARGE: usize = 4 << 20;

fn holds(layout: &Layout, size: usize) -> Descriptor {
    let session = layout.begin().unwrap();
    let written = session.put_bytes(text(), &vec![7; size]).unwrap();
    session.commit(|_| Ok(())).unwrap();
    written
}

fn take(to: &Layout, from: &Layout, what: &Descriptor, link: Link) -> transship_layout::Result<Written> {
    let session = to.begin().unwrap();
    let written = session.adopt_with(from, what, link)?;
    session.commit(|_| Ok(()))?;
    Ok(written)
}

fn inode(layout: &Layout, what: &Descriptor) -> u64 {
    blob(layout, what).metadata().unwrap().ino()
}

#[test]
fn a_hard_link_on_request_is_the_same_file_small_or_large() {
    for size in [10, LARGE] {
        let ((_one, from), (_two, to)) = (layout(), layout());
        let what = holds(&from, size);
        let written = take(&to, &from, &what, Link::Hard).unwrap();
        assert!(written.linked && !written.reused && !written.reflinked);
        assert_eq!(inode(&to, &what), inode(&from, &what));
        assert_eq!(blob(&to, &what).metadata().unwrap().nlink(), 2, "no other name is left");
        assert!(take(&to, &from, &what, Link::Hard).unwrap().reused);
        assert!(take(&from, &to, &what, Link::Hard).unwrap().reused);
        assert!(!to.path().join(".transship/tmp").exists());
    }
}

#[test]
fn a_hard_link_is_had_by_two_sessions_at_once_and_by_one_twice() {
    let ((_one, from), (_two, to)) = (layout(), layout());
    let what = holds(&from, LARGE);
    let (first, second) = (to.begin().unwrap(), to.begin().unwrap());
    for session in [&first, &second, &first] {
        session.adopt_with(&from, &what, Link::Hard).unwrap();
    }
    first.commit(|_| Ok(())).unwrap();
    second.commit(|_| Ok(())).unwrap();
    assert_eq!(blob(&to, &what).metadata().unwrap().nlink(), 2);
}

#[test]
fn a_hard_link_to_what_is_broken_is_not_made_and_one_takes_the_place_of_what_is() {
    let ((_one, from), (_two, to)) = (layout(), layout());
    let what = holds(&from, LARGE);
    let before = tree(to.path());
    std::fs::write(blob(&from, &what), vec![8; LARGE]).unwrap();
    for reader in [from.clone(), Layout::options().open_read_only(from.path()).unwrap()] {
        let error = take(&to, &reader, &what, Link::Hard).unwrap_err();
        assert!(matches!(error, Error::Content { .. }), "{error}");
    }
    assert_eq!(tree(to.path()), before);
    std::fs::remove_file(blob(&from, &what)).unwrap();
    let error = take(&to, &from, &what, Link::Hard).unwrap_err();
    assert!(matches!(error, Error::MissingBlob { .. }), "{error}");

    holds(&from, LARGE);
    take(&to, &from, &what, Link::Copy).unwrap();
    std::fs::write(blob(&to, &what), "broken").unwrap();
    assert!(take(&to, &from, &what, Link::Hard).unwrap().linked);
    assert_eq!(inode(&to, &what), inode(&from, &what));
}

#[test]
fn a_hard_link_to_a_file_that_may_only_be_read_works_and_keeps_its_mode() {
    let ((_one, from), (_two, to)) = (layout(), layout());
    let what = holds(&from, 10);
    std::fs::set_permissions(blob(&from, &what), std::fs::Permissions::from_mode(0o444)).unwrap();
    assert!(take(&to, &from, &what, Link::Hard).unwrap().linked);
    assert_eq!(blob(&to, &what).metadata().unwrap().mode() & 0o777, 0o444);
}

#[test]
fn a_hard_link_leads_to_the_file_and_never_to_a_link_of_a_sandbox() {
    let ((folder, from), (_two, to)) = (layout(), layout());
    let what = holds(&from, 10);
    let (path, moved) = (blob(&from, &what), folder.path().join("moved"));
    std::fs::rename(&path, &moved).unwrap();
    symlink(&moved, &path).unwrap();
    let error = take(&to, &from, &what, Link::Hard).unwrap_err();
    assert!(error.to_string().contains("--links follow"), "{error}");
    let follow = Layout::options().links(Links::Follow).open_read_only(folder.path()).unwrap();
    assert!(take(&to, &follow, &what, Link::Hard).unwrap().linked);
    assert!(blob(&to, &what).symlink_metadata().unwrap().is_file());
    assert_eq!(inode(&to, &what), moved.metadata().unwrap().ino());
}

/// A layout that may hold links out of it.
fn following() -> (tempfile::TempDir, Layout) {
    let (folder, _) = layout();
    let layout = Layout::options().links(Links::Follow).open(folder.path()).unwrap();
    (folder, layout)
}

#[test]
fn a_symbolic_link_on_request_leads_to_the_verified_file_and_is_read_on_request_only() {
    for size in [10, LARGE] {
        let ((_one, from), (_two, to)) = (layout(), following());
        let what = holds(&from, size);
        assert!(take(&to, &from, &what, Link::Symbolic).unwrap().linked);
        let target = std::fs::read_link(blob(&to, &what)).unwrap();
        assert_eq!(target, blob(&from, &what).canonicalize().unwrap());
        assert_eq!(std::fs::read_dir(to.path().join("blobs/sha256")).unwrap().count(), 1);
        assert!(!to.path().join(".transship/tmp").exists(), "nothing is left on the way");
        std::io::copy(&mut to.open_blob(&what).unwrap(), &mut std::io::sink()).unwrap();
        let error = Layout::options().open(to.path()).unwrap().open_blob(&what).unwrap_err();
        assert!(error.to_string().contains("--links follow"), "{error}");
        // Again there is nothing to do, by a stamp or by a hash.
        for to in [&to, &to.reopen().unwrap()] {
            assert!(take(to, &from, &what, Link::Symbolic).unwrap().reused);
            assert_eq!(std::fs::read_link(blob(to, &what)).unwrap(), target);
        }
    }
}

#[test]
fn a_symbolic_link_that_leads_nowhere_any_more_is_mended_by_the_next_copy() {
    let ((folder, from), (_two, to)) = (layout(), following());
    let what = holds(&from, LARGE);
    take(&to, &from, &what, Link::Symbolic).unwrap();
    let (_three, moved) = layout();
    std::fs::remove_dir_all(moved.path().join("blobs")).unwrap();
    std::fs::rename(folder.path().join("blobs"), moved.path().join("blobs")).unwrap();
    let error = to.open_blob(&what).unwrap_err();
    assert!(matches!(error, Error::MissingBlob { .. }), "{error}");
    assert!(!to.has(&what).unwrap() && !to.begin().unwrap().reuse(&what).unwrap());
    assert!(take(&to, &moved, &what, Link::Symbolic).unwrap().linked);
    assert_eq!(std::fs::read_link(blob(&to, &what)).unwrap(), blob(&moved, &what).canonicalize().unwrap());
    // What the source's file has become is found, and a file takes the link's place; the target is not written to.
    std::fs::write(blob(&moved, &what), vec![8; LARGE]).unwrap();
    assert!(matches!(take(&to, &moved, &what, Link::Symbolic), Err(Error::Content { .. })));
    holds(&from, LARGE);
    take(&to, &from, &what, Link::Copy).unwrap();
    assert!(blob(&to, &what).symlink_metadata().unwrap().is_file());
    assert_eq!(std::fs::read(blob(&moved, &what)).unwrap(), vec![8; LARGE]);
}

#[test]
fn case_l20_a_symbolic_link_takes_the_place_of_what_is_there_and_nothing_is_written_through_it() {
    let ((_one, from), (_two, to)) = (layout(), following());
    let what = holds(&from, 10);
    let path = blob(&to, &what);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let elsewhere = to.path().join("elsewhere");
    symlink(&elsewhere, &path).unwrap();
    assert!(take(&to, &from, &what, Link::Symbolic).unwrap().linked);
    assert!(!elsewhere.exists());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "broken").unwrap();
    assert!(take(&to, &from, &what, Link::Symbolic).unwrap().linked);
    assert_eq!(std::fs::read(blob(&from, &what)).unwrap(), vec![7; 10]);

    // It gets its name last: where that cannot be had, nothing is left.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let before = tree(to.path());
    let error = take(&to, &from, &what, Link::Symbolic).unwrap_err();
    assert!(matches!(error, Error::Unsafe { .. }), "{error}");
    assert_eq!(tree(to.path()), before);
}

#[test]
fn a_symbolic_link_leads_past_the_links_of_a_sandbox_and_never_to_itself() {
    let ((folder, from), (_two, to)) = (layout(), following());
    let what = holds(&from, 10);
    let (path, moved) = (blob(&from, &what), folder.path().join("moved"));
    std::fs::rename(&path, &moved).unwrap();
    symlink(&moved, &path).unwrap();
    let error = take(&to, &from, &what, Link::Symbolic).unwrap_err();
    assert!(error.to_string().contains("--links follow"), "{error}");
    let follow = Layout::options().links(Links::Follow).open(folder.path()).unwrap();
    assert!(take(&to, &follow, &what, Link::Symbolic).unwrap().linked);
    assert_eq!(std::fs::read_link(blob(&to, &what)).unwrap(), moved.canonicalize().unwrap());
    // Round about, and into itself.
    for to in [&follow, &to] {
        assert!(take(&follow, to, &what, Link::Symbolic).unwrap().reused);
    }
    assert!(moved.symlink_metadata().unwrap().is_file());
}

#[test]
fn a_layout_that_could_not_read_its_symbolic_links_takes_none() {
    let ((_one, from), (_two, to)) = (layout(), layout());
    let what = holds(&from, 10);
    let before = tree(to.path());
    let error = take(&to, &from, &what, Link::Symbolic).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("--links follow"), "{error}");
    assert_eq!(tree(to.path()), before);
}

#[test]
fn garbage_that_is_a_symbolic_link_goes_without_what_it_leads_to() {
    let ((_one, from), (_two, to)) = (layout(), following());
    let what = holds(&from, LARGE);
    take(&to, &from, &what, Link::Symbolic).unwrap();
    let (kept, image) = {
        let session = to.begin().unwrap();
        let image = crate::support::manifest(&session, "kept", None);
        session.commit(|index| index.set(&crate::support::short("v1"), &image)).unwrap();
        let kept = to.read_document(&image).unwrap().children()[1].clone();
        (kept, image)
    };
    let outside = from.path().join("outside");
    std::fs::rename(blob(&to, &kept), &outside).unwrap();
    symlink(&outside, blob(&to, &kept)).unwrap();
    let done = to.gc(&crate::gc::at_once()).unwrap();
    assert_eq!(done.blobs.iter().map(|(digest, _)| digest).collect::<Vec<_>>(), [&what.digest]);
    assert!(done.blobs[0].1 < 4096, "a link frees what it takes itself");
    assert!(blob(&to, &what).symlink_metadata().is_err());
    assert_eq!(blob(&from, &what).metadata().unwrap().len(), LARGE as u64);
    assert!(to.has(&kept).unwrap() && to.has(&image).unwrap());
    // A link that leads nowhere goes, too.
    take(&to, &from, &what, Link::Symbolic).unwrap();
    std::fs::remove_file(blob(&from, &what)).unwrap();
    assert_eq!(to.gc(&crate::gc::at_once()).unwrap().blobs.len(), 1);
    assert!(blob(&to, &what).symlink_metadata().is_err());
}

#[test]
fn a_copy_on_request_shares_nothing() {
    let ((_one, from), (_two, to)) = (layout(), layout());
    let what = holds(&from, LARGE);
    let written = take(&to, &from, &what, Link::Copy).unwrap();
    assert!(!written.linked && !written.reflinked && !written.reused);
    assert_ne!(inode(&to, &what), inode(&from, &what));
}

#[test]
fn a_hard_link_across_file_systems_is_refused_with_the_remedy() {
    in_a_namespace("hard link elsewhere");
}

pub(crate) fn hard_link_elsewhere(path: &Path) {
    for name in ["from", "to"] {
        std::fs::create_dir(path.join(name)).unwrap();
    }
    tmpfs(&path.join("to"), "mode=0755");
    let [from, to] = ["from", "to"].map(|name| Layout::options().create(path.join(name)).unwrap());
    let what = holds(&from, 10);
    let before = tree(to.path());
    let error = take(&to, &from, &what, Link::Hard).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    let said = error.to_string();
    assert!(said.contains("another file system") && said.contains("--link copy"), "{said}");
    assert_eq!(tree(to.path()), before);
    assert!(!take(&to, &from, &what, Link::Reflink).unwrap().reflinked);
}

#[test]
fn a_symbolic_link_leads_to_media_that_may_only_be_read_on_another_file_system() {
    in_a_namespace("symbolic link elsewhere");
}

pub(crate) fn symbolic_link_elsewhere(path: &Path) {
    for name in ["from", "to"] {
        std::fs::create_dir(path.join(name)).unwrap();
    }
    tmpfs(&path.join("from"), "mode=0755");
    let from = Layout::options().create(path.join("from")).unwrap();
    let what = holds(&from, LARGE);
    rustix::mount::mount_remount(path.join("from"), rustix::mount::MountFlags::RDONLY, "").unwrap();
    // By a path that depends on where one stands.
    std::env::set_current_dir(path).unwrap();
    let from = Layout::options().open_read_only("from").unwrap();
    let to = Layout::options().links(Links::Follow).create("to").unwrap();
    assert!(take(&to, &from, &what, Link::Symbolic).unwrap().linked);
    let to = Layout::options().links(Links::Follow).open_read_only(path.join("to")).unwrap();
    assert_eq!(std::fs::read_link(blob(&to, &what)).unwrap(), blob(&from, &what).canonicalize().unwrap());
    std::env::set_current_dir("/").unwrap();
    std::io::copy(&mut to.open_blob(&what).unwrap(), &mut std::io::sink()).unwrap();
}

/// Loop devices are root's alone: for anybody else the same is seen on the file system that is there, without blocks that
/// are shared.
#[test]
fn blobs_share_their_blocks_on_xfs_and_btrfs() {
    in_a_namespace("reflinks");
}

pub(crate) fn reflinks(path: &Path) {
    // In a namespace of its own a user is root by name only.
    let is_root = std::fs::read_to_string("/proc/self/uid_map").unwrap().trim().ends_with("4294967295");
    if !is_root {
        return shared_on(path, false);
    }
    for kind in ["xfs", "btrfs"] {
        let (image, folder) = (path.join(format!("{kind}.img")), path.join(kind));
        std::fs::File::create(&image).unwrap().set_len(320 << 20).unwrap();
        std::fs::create_dir(&folder).unwrap();
        run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&folder));
        shared_on(&folder, true);
        run(Command::new("umount").arg(&folder));
        std::fs::remove_file(&image).unwrap();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Copies a blob with a stamp and without, and weighs what that takes.
fn shared_on(path: &Path, shares: bool) {
    let from = Layout::options().create(path.join("from")).unwrap();
    let what = holds(&from, 64 << 20);
    let stampless = path.join("stampless");
    let used = || {
        rustix::fs::syncfs(std::fs::File::open(path).unwrap()).unwrap();
        let state = rustix::fs::statvfs(path).unwrap();
        (state.f_blocks - state.f_bfree) * state.f_frsize
    };
    let before = used();
    for (name, source) in [("to", &from), ("again", &Layout::options().open_read_only(from.path()).unwrap())]
    {
        let to = Layout::options().create(path.join(name)).unwrap();
        assert_eq!(take(&to, source, &what, Link::Reflink).unwrap().reflinked, shares, "{}", path.display());
        assert_ne!(inode(&to, &what), inode(&from, &what));
    }
    std::fs::remove_file(path.join("from/.transship/verified")).unwrap();
    let source = Layout::options().open_read_only(from.path()).unwrap();
    let to = Layout::options().create(&stampless).unwrap();
    assert_eq!(take(&to, &source, &what, Link::Reflink).unwrap().reflinked, shares);
    if shares {
        let more = used().saturating_sub(before);
        assert!(more < 32 << 20, "three copies of 64 MiB took {more} bytes on {}", path.display());
        let to = Layout::options().create(path.join("moved")).unwrap();
        assert!(!take(&to, &source, &what, Link::Copy).unwrap().reflinked);
        let more = used().saturating_sub(before);
        assert!(more >= 60 << 20, "one that shares nothing takes its room, not {more} bytes");
    }
    // What is broken does not spread.
    std::fs::write(blob(&from, &what), vec![8; 64 << 20]).unwrap();
    let to = Layout::options().create(path.join("broken")).unwrap();
    let error = take(&to, &source, &what, Link::Reflink).unwrap_err();
    assert!(matches!(error, Error::Content { .. }), "{error}");
}
