//! Folders become tars: what is in them, in which order, and the very bytes.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::XattrFlags;
use transship_pack::{Error, Excludes, Ignore, ModeRule, MtimeRule, Owner, TarOptions, Warning, write_tar};
use transship_spec::{Digest, Kind};

use crate::trees::{Node, chmod, listed, make, nasty, touch};

/// The tar of [`nasty`] by the default rules. It is frozen: another digest is another recipe.
pub(crate) const GOLDEN: &str = "sha256:6520122009488967bb73b9037c4aa9f8c8a96ee781faaa245a40ad53ffc4d13f";
/// The same, with owners, times and modes as they are on disk.
pub(crate) const GOLDEN_KEPT: &str =
    "sha256:f58098d6d4228ccba66d0e5df0ed0cdc4fa3a41c2d9774c6974ade628bcdea65";

pub(crate) fn pack(folder: &Path, options: &TarOptions) -> Result<(Vec<u8>, Vec<Warning>), Error> {
    let mut tar = Vec::new();
    let warnings = write_tar(folder, options, &mut tar)?;
    Ok((tar, warnings))
}

fn packed(folder: &Path) -> Vec<u8> {
    pack(folder, &TarOptions::default()).unwrap().0
}

pub(crate) fn kept() -> TarOptions {
    TarOptions { owner: Owner::Keep, mtime: MtimeRule::Keep, ..TarOptions::default() }
}

/// Mode, owner, time, and size of each entry, by path.
pub(crate) fn headers(tar: &[u8]) -> Vec<(String, u32, u64, u64, u64)> {
    let mut archive = ::tar::Archive::new(tar);
    let read = |entry: std::io::Result<::tar::Entry<'_, &[u8]>>| {
        let entry = entry.unwrap();
        let header = entry.header();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        (path, header.mode().unwrap(), header.uid().unwrap(), header.mtime().unwrap(), entry.size())
    };
    archive.entries().unwrap().map(read).collect()
}

#[test]
fn entries_are_in_the_order_of_the_bytes_of_their_whole_paths() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for file in ["a-b", "a.b", "a/b", "a/a/z", "a/a-", "a/a.", "a0", "b/x", "B", "a\u{e4}"] {
        let path = at.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let found = listed(&packed(at));
    let expected =
        ["B", "a-b", "a.b", "a/", "a/a-", "a/a.", "a/a/", "a/a/z", "a/b", "a0", "a\u{e4}", "b/", "b/x"];
    assert_eq!(found, expected);
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(found, sorted, "and that is the order of the bytes of whole paths");
}

#[test]
fn law_8_the_tar_of_a_nasty_tree_is_frozen() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &nasty());
    assert_eq!(Digest::sha256(&packed(folder.path())).to_string(), GOLDEN);
    rustix::fs::chown(folder.path().join("a.b"), Some(rustix::fs::Uid::from_raw(3_000_000)), None).unwrap();
    touch(&folder.path().join("a0"), -1);
    touch(&folder.path().join("special/fifo"), 1 << 33);
    let (tar, warnings) = pack(folder.path(), &kept()).unwrap();
    assert_eq!(Digest::sha256(&tar).to_string(), GOLDEN_KEPT);
    assert_eq!(warnings, []);
}

#[test]
fn law_8_a_tree_made_in_another_order_elsewhere_gives_the_same_bytes() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/var/tmp").unwrap());
    make(one.path(), &nasty());
    let mut nodes = nasty();
    nodes.reverse();
    make(other.path(), &nodes);
    chmod(other.path(), 0o711);
    assert!(packed(one.path()) == packed(other.path()));
}

#[test]
fn every_entry_comes_back_from_anothers_reader() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &nasty());
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("t.tar");
    fs::write(&file, packed(folder.path())).unwrap();
    let unpacked = out.path().join("tree");
    fs::create_dir(&unpacked).unwrap();
    let status = std::process::Command::new("tar").arg("-xpf").arg(&file).arg("-C").arg(&unpacked).status();
    assert!(status.unwrap().success(), "GNU tar reads it without a complaint");
    assert!(packed(&unpacked) == packed(folder.path()), "and makes the same tree of it");
}

#[test]
fn img_117_hard_links_lead_to_the_first_path_in_order() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &nasty());
    let tar = packed(folder.path());
    let mut archive = ::tar::Archive::new(&tar[..]);
    let mut links = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        if entry.header().entry_type().is_hard_link() {
            let target = entry.link_name().unwrap().unwrap().into_owned();
            links.push((entry.path().unwrap().into_owned(), target, entry.size()));
        }
    }
    let first = Path::new("links/a-first-in-order").to_owned();
    assert_eq!(links, [("links/z-first-made".into(), first.clone(), 0), ("other/again".into(), first, 0)]);
    let whole = TarOptions { hard_links: false, ..TarOptions::default() };
    let (tar, _) = pack(folder.path(), &whole).unwrap();
    assert!(headers(&tar).iter().any(|(path, .., size)| path == "other/again" && *size == 6));
}

#[test]
fn a_symbolic_link_with_two_names_is_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    symlink("x", folder.path().join("a")).unwrap();
    fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
    let tar = packed(folder.path());
    let mut archive = ::tar::Archive::new(&tar[..]);
    assert!(archive.entries().unwrap().all(|entry| entry.unwrap().header().entry_type().is_symlink()));
}

#[test]
fn an_empty_folder_is_an_empty_tar() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        Digest::sha256(&packed(folder.path())).to_string(),
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    );
}

#[test]
fn img_112_sockets_are_left_out_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let _sockets = ["b", "a"].map(|name| UnixListener::bind(folder.path().join(name)).unwrap());
    let (tar, warnings) = pack(folder.path(), &TarOptions::default()).unwrap();
    assert!(listed(&tar).is_empty());
    assert_eq!(warnings, [Warning::Sockets { count: 2, first: folder.path().join("a") }]);
}

#[test]
fn img_135_names_of_whiteouts_are_refused_unless_they_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d/.wh.x"), "").unwrap();
    let error = pack(folder.path(), &TarOptions::default()).unwrap_err();
    assert!(matches!(&error, Error::Reserved(path) if path.ends_with("d/.wh.x")), "{error}");
    assert_eq!(error.kind(), Kind::Invalid);
    let options = TarOptions { excludes: Excludes::new([".wh.*"]).unwrap(), ..TarOptions::default() };
    assert_eq!(listed(&pack(folder.path(), &options).unwrap().0), ["d/"]);
}

#[test]
fn what_is_left_out_is_left_out_with_all_beneath_it() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &nasty());
    let excludes = Excludes::new(["names", "/block/5*", "n*/", "links/", "special/**"]).unwrap();
    let options = TarOptions { excludes, ..TarOptions::default() };
    let names = listed(&pack(folder.path(), &options).unwrap().0);
    let expected = [
        "A",
        "a-b/",
        "a-b/c",
        "a.b",
        "a/",
        "a/b",
        "a0",
        "bits/",
        "bits/nothing",
        "bits/setgid",
        "bits/setuid",
        "block/",
        "block/large",
        "empty/",
        "long/",
    ];
    assert_eq!(names[..expected.len()], expected);
    assert_eq!(names[expected.len() + 3..], ["other/", "other/again", "special/"]);
}

#[test]
fn what_is_taken_in_again_comes_with_the_folders_that_lead_to_it() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["a/b/keep", "a/b/drop", "a/c/drop", "d/drop", "e/keep", "f", "never/keep"] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let listed_with = |ignore: &str| {
        let excludes = Excludes::new(["never"]).unwrap().and(Ignore::parse(ignore.as_bytes()).unwrap());
        listed(&pack(folder.path(), &TarOptions { excludes, ..TarOptions::default() }).unwrap().0)
    };
    let kept = ["a/", "a/b/", "a/b/keep", "e/", "e/keep"];
    assert_eq!(listed_with("**\n!**/keep"), kept);
    assert_eq!(listed_with("*\n!a/b/keep\n!e"), kept);
    assert_eq!(listed_with("a\nd\nf\n!a/b\na/b/drop"), kept);
    assert_eq!(listed_with("*\n!nothing"), [""; 0]);
    // A specification is cut in the same way.
    let file = folder.path().join("tree.mtree");
    fs::write(&file, "#mtree\n./a/b/keep size=0\n./a/b/drop size=0\n./a/c/drop size=0\n./e/keep size=0\n")
        .unwrap();
    let ignore = Ignore::parse(b"*\n!**/keep").unwrap();
    let tar = TarOptions { excludes: Excludes::default().and(ignore), ..TarOptions::default() };
    let layout =
        transship_layout::Layout::options().open_or_create(folder.path().join("never/layout")).unwrap();
    let session = layout.begin().unwrap();
    let compression = transship_codec::Compression::None;
    let options = transship_pack::LayerOptions { tar, compression, ..Default::default() };
    let layer = transship_pack::pack_layer(&session, &file, &options).unwrap();
    session.commit(|_| Ok(())).unwrap();
    assert_eq!(listed(&crate::trees::content(&layout, &layer.descriptor)), kept);
}

#[test]
fn owners_that_are_lost_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    for (name, uid) in [("a", 0), ("b", 1000), ("c", 1000)] {
        fs::write(folder.path().join(name), "").unwrap();
        std::os::unix::fs::chown(folder.path().join(name), Some(uid), Some(uid)).unwrap();
    }
    let (_, warnings) = pack(folder.path(), &TarOptions::default()).unwrap();
    assert_eq!(warnings, [Warning::OwnersFlattened { count: 2, written: (0, 0) }]);
    let options = TarOptions { owner: Owner::Fixed { uid: 1000, gid: 1000 }, ..TarOptions::default() };
    let (tar, warnings) = pack(folder.path(), &options).unwrap();
    assert_eq!(warnings, [Warning::OwnersFlattened { count: 1, written: (1000, 1000) }]);
    assert!(headers(&tar).iter().all(|(_, _, uid, ..)| *uid == 1000));
    let (tar, warnings) = pack(folder.path(), &kept()).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(headers(&tar).iter().map(|(_, _, uid, ..)| *uid).collect::<Vec<_>>(), [0, 1000, 1000]);
    let map = TarOptions { owner: "1000:1000=7:8,5:5=0:0".parse().unwrap(), ..TarOptions::default() };
    let (tar, warnings) = pack(folder.path(), &map).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(headers(&tar).iter().map(|header| header.2).collect::<Vec<_>>(), [0, 7, 7]);
}

#[test]
fn times_are_zero_or_clamped_or_kept_in_whole_seconds() {
    let folder = tempfile::tempdir().unwrap();
    for (name, seconds) in [("old", 5), ("new", 500)] {
        fs::write(folder.path().join(name), "").unwrap();
        touch(&folder.path().join(name), seconds);
    }
    for (mtime, expected) in
        [(MtimeRule::Zero, [0, 0]), (MtimeRule::Clamp(100), [100, 5]), (MtimeRule::Keep, [500, 5])]
    {
        let (tar, _) = pack(folder.path(), &TarOptions { mtime, ..TarOptions::default() }).unwrap();
        assert_eq!(headers(&tar).iter().map(|(.., mtime, _)| *mtime).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn normal_modes_keep_only_who_may_execute() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &nasty());
    let (tar, _) =
        pack(folder.path(), &TarOptions { mode: ModeRule::Normal, ..TarOptions::default() }).unwrap();
    for (path, mode, ..) in headers(&tar) {
        let expected = match &*path {
            "A" | "bits/setuid" | "bits/setgid" => 0o755,
            "a0" => 0o777,
            path if path.ends_with('/') => 0o755,
            path if path.starts_with("links/") && !path.contains("first") => 0o777,
            _ => 0o644,
        };
        assert_eq!(mode, expected, "{path}");
    }
}

#[test]
fn img_114_a_sparse_file_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("sparse")).unwrap().set_len(3 << 20).unwrap();
    let tar = packed(folder.path());
    assert_eq!(tar.len(), 512 + (3 << 20) + 1024);
}

#[test]
fn img_115_extended_attributes_of_the_files_are_kept_and_those_of_the_host_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    fs::write(&file, "").unwrap();
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    for (name, value) in [
        ("user.z", &b"line\nbreak"[..]),
        ("user.a", b""),
        ("security.capability", capability),
        ("trusted.x", b"host"),
        ("user.overlay.origin", b"mount"),
        ("user.a=b", b"cannot be said"),
    ] {
        rustix::fs::setxattr(&file, name, value, XattrFlags::empty())
            .expect("the folder for temporary files must keep extended attributes, and we must be root");
    }
    rustix::fs::setxattr(folder.path(), "user.top", b"", XattrFlags::empty()).unwrap();
    let (tar, warnings) = pack(folder.path(), &TarOptions::default()).unwrap();
    let (unsayable, privileged) = (
        Warning::Attributes { count: 1, first: file.clone() },
        Warning::PrivilegedAttributes { count: 1, first: file },
    );
    assert_eq!(warnings, [unsayable, privileged]);
    let records =
        [&b"57 SCHILY.xattr.security.capability="[..], capability, b"\n24 SCHILY.xattr.user.a=\n"].concat();
    let records = [&records[..], b"34 SCHILY.xattr.user.z=line\nbreak\n"].concat();
    assert!(tar[512..].starts_with(&records), "{}", String::from_utf8_lossy(&tar[512..700]));
    assert_eq!(tar.len(), 512 + 512 + 512 + 1024);
}

#[test]
fn links_are_replaced_by_what_they_lead_to_on_request() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(outside.path().join("d")).unwrap();
    fs::write(outside.path().join("d/x"), "four").unwrap();
    symlink(outside.path().join("d"), folder.path().join("d")).unwrap();
    symlink(outside.path().join("d/x"), folder.path().join("d-x")).unwrap();
    let follow = TarOptions { dereference: true, ..TarOptions::default() };
    assert_eq!(listed(&packed(folder.path())), ["d", "d-x"]);
    let (tar, _) = pack(folder.path(), &follow).unwrap();
    assert_eq!(listed(&tar), ["d-x", "d/", "d/x"], "a link to a folder sorts as the folder");
    assert!(headers(&tar).iter().all(|(path, .., size)| *size == if path == "d/" { 0 } else { 4 }));

    symlink("../d", outside.path().join("d/circle")).unwrap();
    let error = pack(folder.path(), &follow).unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
    fs::remove_file(outside.path().join("d/circle")).unwrap();
    symlink("nowhere", folder.path().join("dangling")).unwrap();
    let error = pack(folder.path(), &follow).unwrap_err();
    assert!(matches!(&error, Error::Read { path, .. } if path.ends_with("dangling")), "{error}");
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn law_7_a_link_to_the_top_is_followed_and_links_beneath_it_are_not() {
    let folder = tempfile::tempdir().unwrap();
    make(&folder.path().join("real"), &nasty());
    symlink("real", folder.path().join("link")).unwrap();
    assert!(packed(&folder.path().join("link")) == packed(&folder.path().join("real")));
}

#[test]
fn a_prefix_is_a_folder_with_the_attributes_of_the_top() {
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o750);
    fs::write(folder.path().join("x"), "").unwrap();
    let options = TarOptions { prefix: "docs/v1".to_owned(), ..TarOptions::default() };
    let (tar, _) = pack(folder.path(), &options).unwrap();
    assert_eq!(listed(&tar), ["docs/v1/", "docs/v1/x"]);
    assert_eq!(headers(&tar)[0].1, 0o750);
    fs::write(folder.path().join(".wh.x"), "").unwrap();
    let error = pack(folder.path(), &options).unwrap_err();
    assert!(matches!(error, Error::Reserved(path) if path == folder.path().join(".wh.x")));
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o755);
    fs::create_dir(folder.path().join("d")).unwrap();
    let path = folder.path().join("d/secret");
    fs::write(&path, "x").unwrap();
    for (secret, mode) in [(&path, 0o600), (&folder.path().join("d"), 0o700)] {
        chmod(secret, mode);
        // Only this thread becomes nobody, and what it starts.
        let error = std::thread::scope(|scope| {
            let pack = || {
                let nobody = rustix::fs::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(None, Some(nobody), None)
                    .expect("this test must be run by root");
                pack(folder.path(), &TarOptions::default()).unwrap_err()
            };
            scope.spawn(pack).join().unwrap()
        });
        assert!(matches!(&error, Error::Read { path, .. } if path == secret), "{error}");
        assert_eq!(error.kind(), Kind::Storage);
    }
}

#[test]
fn a_top_that_is_missing_or_no_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = pack(&folder.path().join("no"), &TarOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(matches!(pack(&folder.path().join("file"), &TarOptions::default()), Err(Error::Read { .. })));
}

#[test]
fn law_6_a_tree_that_is_too_deep_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut path = folder.path().to_owned();
    for _ in 0..511 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    assert_eq!(listed(&packed(folder.path())).len(), 511);
    fs::create_dir(path.join("d")).unwrap();
    let error = pack(folder.path(), &TarOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: 512, .. }), "{error}");
    assert_eq!(error.kind(), Kind::Limit);
}

#[test]
fn a_writer_that_is_full_ends_the_work() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &[(b"x".to_vec(), Node::File(0o644, vec![0; 1 << 20]))]);
    let error = write_tar(folder.path(), &TarOptions::default(), Full).unwrap_err();
    assert!(matches!(error, Error::Write(_)));
    assert_eq!(error.kind(), Kind::Storage);
}

#[test]
fn access_control_lists_and_trusted_attributes_are_left_out_with_a_warning() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    for name in ["a", "b"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let before = packed(folder.path());
    // Version 2: the owner, user 1, the group, the mask, others.
    let acl: &[u8] = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\x01\0\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    for (name, attribute, value) in [
        ("a", "system.posix_acl_access", acl),
        ("b", "trusted.md5sum", b"x"),
        ("b", "trusted.overlay.opaque", b"y"),
    ] {
        rustix::fs::setxattr(folder.path().join(name), attribute, value, XattrFlags::empty()).unwrap();
    }
    let (tar, warnings) = pack(folder.path(), &TarOptions::default()).unwrap();
    assert!(tar == before);
    assert_eq!(warnings, [Warning::PrivilegedAttributes { count: 2, first: folder.path().join("a") }]);
}
