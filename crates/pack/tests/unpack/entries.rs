//! Single entries: attributes, names, sparse files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::support::{Tar, listing, tree_of, unpack_tars, xattrs};

#[test]
fn img_127_owners_modes_and_times_are_set_and_setuid_survives() {
    let tar = Tar::new()
        .entry(b"su", b'0', (b"", b"x"), |header| {
            header.set_mode(0o6755);
            header.set_uid(1234);
            header.set_gid(4321);
        })
        .entry(b"sticky/", b'5', (b"", b""), |header| header.set_mode(0o3777))
        .entry(b"sticky/f", b'0', (b"", b""), |header| header.set_mode(0))
        .entry(b"link", b'2', (b"su", b""), |header| header.set_uid(99));
    let tree = tree_of(&[tar.end()]);
    assert!(tree[Path::new("su")].starts_with("106755 1234:4321 "), "{tree:#?}");
    assert!(tree[Path::new("sticky")].starts_with("43777 0:0 "), "{tree:#?}");
    assert!(
        tree[Path::new("sticky/f")].starts_with("100000 0:0 "),
        "the group is not handed down: {tree:#?}"
    );
    assert!(tree[Path::new("link")].starts_with("120777 99:0 "), "{tree:#?}");
}

#[test]
fn img_112_devices_and_fifos_are_made_and_never_opened() {
    let device = |major, minor| {
        move |header: &mut tar::Header| {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
            header.set_mode(0o660);
            header.set_gid(5);
        }
    };
    let tar = Tar::new()
        .entry(b"null", b'3', (b"", b""), device(1, 3))
        .entry(b"disk", b'4', (b"", b""), device(259, 7))
        .entry(b"fifo", b'6', (b"", b""), |header| header.set_mode(0o4622));
    let tree = tree_of(&[tar.end()]);
    assert!(tree[Path::new("null")].starts_with("20660 0:5 259 "), "{tree:#?}");
    assert!(tree[Path::new("disk")].starts_with("60660 0:5 "), "{tree:#?}");
    assert!(tree[Path::new("fifo")].starts_with("14622 "), "{tree:#?}");
}

#[test]
fn img_115_extended_attributes_are_set_and_those_of_the_host_left_out() {
    let capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let folder = tempfile::tempdir().unwrap();
    let tar = Tar::new()
        .pax(&[
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.a", b"\0=\n"),
            ("SCHILY.xattr.user.empty", b""),
            ("SCHILY.xattr.security.selinux", b"system_u"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ])
        .entry(b"ping", b'0', (b"", b"x"), |header| header.set_uid(5))
        .pax(&[("SCHILY.xattr.user.d", b"d")])
        .folder("d")
        .pax(&[("SCHILY.xattr.trusted.t", b"t")])
        .symlink("l", "ping");
    let upper = Tar::new().pax(&[("SCHILY.xattr.user.e", b"e")]).folder("d");
    let done = unpack_tars(folder.path(), &[tar.end(), upper.end()]).unwrap();
    let at = folder.path().join("rootfs");
    let ping = xattrs(&at.join("ping"));
    assert_eq!(
        ping.keys().map(String::as_str).collect::<Vec<_>>(),
        ["security.capability", "user.a", "user.empty"]
    );
    assert_eq!((&ping["user.a"][..], &ping["security.capability"][..]), (&b"\0=\n"[..], &capability[..]));
    assert_eq!(xattrs(&at.join("d")).keys().collect::<Vec<_>>(), ["user.e"], "a folder is described anew");
    assert_eq!(xattrs(&at.join("l")).keys().collect::<Vec<_>>(), ["trusted.t"]);
    assert!(done.not_set.is_empty());
    assert_eq!(done.warnings.len(), 1);
    assert!(done.warnings[0].to_string().starts_with("3 extended attributes of another host"));
}

#[test]
fn case_t24_an_attribute_that_cannot_be_set_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let huge = vec![b'x'; 100_000];
    let tar = Tar::new()
        .pax(&[
            ("SCHILY.xattr.user.huge", &huge),
            ("SCHILY.xattr.nonsense", b"1"),
            ("SCHILY.xattr.user.ok", b"1"),
        ])
        .file("a", b"");
    let done = unpack_tars(folder.path(), &[tar.end()]).unwrap();
    assert_eq!(done.not_set.xattrs, 2);
    assert_eq!(done.not_set.first.as_deref(), Some(Path::new("a")));
    assert_eq!(xattrs(&folder.path().join("rootfs/a")).len(), 1);
}

#[test]
fn img_116_case_t21_names_are_bytes_of_any_sort_and_length() {
    let deep = format!("{}/leaf", vec!["d".repeat(200); 15].join("/"));
    let names: [&[u8]; 9] = [
        b"\xff\xfe",
        "gr\u{fc}n".as_bytes(),
        "gru\u{308}n".as_bytes(),
        b"back\\slash",
        b"C:",
        b"CON",
        b"trailing.",
        b"line\nbreak",
        deep.as_bytes(),
    ];
    let tar = names.iter().fold(Tar::new(), |tar, name| tar.entry(name, b'0', (b"", name), |_| {}));
    let gnu = Tar::new().extension(b'L', "l/".repeat(200).as_bytes()).entry(b"x", b'5', (b"", b""), |_| {});
    let tree = tree_of(&[tar.end(), gnu.end()]);
    assert_eq!(tree.len(), 1 + 8 + 16 + 200);
}

#[test]
fn case_t23_times_before_the_epoch_with_fractions_and_far_away() {
    let folder = tempfile::tempdir().unwrap();
    let tar = Tar::new()
        .pax(&[("mtime", b"-1.25")])
        .file("before", b"")
        .pax(&[("mtime", b"1234567890.123456789")])
        .symlink("fraction", "x")
        .pax(&[("mtime", b"1000000000000000000")])
        .file("far", b"")
        .pax(&[("uid", b"4294967294"), ("gid", b"2097152")])
        .file("ids", b"");
    unpack_tars(folder.path(), &[tar.end()]).unwrap();
    let meta = |path: &str| fs::symlink_metadata(folder.path().join("rootfs").join(path)).unwrap();
    assert_eq!((meta("before").mtime(), meta("before").mtime_nsec()), (-2, 750_000_000));
    assert_eq!((meta("fraction").mtime(), meta("fraction").mtime_nsec()), (1_234_567_890, 123_456_789));
    assert!(meta("far").mtime() > 4_000_000_000, "as far as this file system goes");
    assert_eq!((meta("ids").uid(), meta("ids").gid()), (u32::MAX - 1, 2_097_152));
}

#[test]
fn img_114_case_t18_sparse_files_are_sparse_again() {
    let folder = tempfile::tempdir().unwrap();
    let content = [&b"1\n1048576\n4\n"[..], &[0; 500], b"data"].concat();
    let tar = Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"dir/real"),
            ("GNU.sparse.realsize", b"1073741824"),
        ])
        .file("GNUSparseFile.0/real", &content);
    let done = unpack_tars(folder.path(), &[tar.end()]).unwrap();
    assert_eq!(done.bytes, 1 << 30);
    let path = folder.path().join("rootfs/dir/real");
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(meta.len(), 1 << 30);
    assert!(meta.blocks() < 1000, "it takes {} blocks", meta.blocks());
    let mut four = [0; 4];
    std::os::unix::fs::FileExt::read_exact_at(&fs::File::open(path).unwrap(), &mut four, 1 << 20).unwrap();
    assert_eq!(&four, b"data");
}

#[test]
fn content_of_every_size_arrives_whole() {
    let sizes = [0, 1, 511, 512, 513, 262_143, 262_144, 262_145, 3_000_000];
    let content = |size: usize| (0..size).map(|n| (n / 3 % 251) as u8).collect::<Vec<u8>>();
    let tar = sizes.iter().fold(Tar::new(), |tar, size| tar.file(&size.to_string(), &content(*size)));
    let folder = tempfile::tempdir().unwrap();
    unpack_tars(folder.path(), &[tar.end()]).unwrap();
    for size in sizes {
        assert!(
            fs::read(folder.path().join("rootfs").join(size.to_string())).unwrap() == content(size),
            "{size}"
        );
    }
    assert_eq!(listing(&folder.path().join("rootfs")).len(), 1 + sizes.len());
}
