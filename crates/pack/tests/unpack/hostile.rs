//! Tars that were made to do harm: each ends with the right error or a harmless tree, and nothing outside is touched.
//!
//! Around every tree lie canaries: files, folders, links and a FIFO that hostile entries aim at, by relative and by absolute
//! paths. They are looked at before and after. All of it is run as root and as nobody.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use transship_pack::{DiffOptions, DiffSide, Status, UnpackLimits, diff};
use transship_spec::{Kind, MediaType};

use crate::support::{BLOCK, Stored, Tar, as_nobody, image, listing, nobodys, quick, unpack_stored};

/// What must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Fails(Kind),
    /// It is unpacked, and has so many paths with the root.
    Holds(usize),
}

use Outcome::{Fails, Holds};

struct Case {
    name: &'static str,
    layers: Vec<Stored>,
    outcome: Outcome,
}

fn case(name: &'static str, outcome: Outcome, tars: &[Vec<u8>]) -> Case {
    Case { name, layers: tars.iter().map(|tar| Stored::plain(tar)).collect(), outcome }
}

fn one(name: &'static str, outcome: Outcome, tar: Tar) -> Case {
    case(name, outcome, &[tar.end()])
}

const INVALID: Outcome = Fails(Kind::Invalid);
const LIMIT: Outcome = Fails(Kind::Limit);
const UNSUPPORTED: Outcome = Fails(Kind::Unsupported);

/// Ways out of the tree; `at` is the folder in which canaries and tree lie.
fn paths(at: &str) -> Vec<Case> {
    let up = "../".repeat(30);
    let outside = format!("{at}/outside");
    vec![
        one("t1 a path that goes up", INVALID, Tar::new().file("../outside/new", b"x")),
        one("t1 a folder that goes up", INVALID, Tar::new().folder("../outside")),
        one("t1 a path that goes up far", INVALID, Tar::new().file(&format!("{up}tmp/x"), b"x")),
        one("t1 only dots", INVALID, Tar::new().folder("..")),
        one(
            "t2 an absolute path",
            Holds(at.split('/').count() + 2),
            Tar::new().file(&format!("{outside}/new"), b"x"),
        ),
        one("t3 up from within", INVALID, Tar::new().folder("a").file("a/../../outside/secret", b"x")),
        one("t3 up and back", INVALID, Tar::new().folder("a").file("a/../b", b"x")),
        one("t4 through a link", Holds(4), Tar::new().symlink("a", "../outside").file("a/new", b"x")),
        one(
            "t4 through an absolute link",
            Holds(at.split('/').count() + 3),
            Tar::new().symlink("a", &outside).file("a/secret", b"x"),
        ),
        one(
            "t4 over a file through a link",
            Holds(4),
            Tar::new().symlink("a", "../outside").file("a/secret", b"x"),
        ),
        case(
            "t4 through a link of a lower layer",
            Holds(4),
            &[Tar::new().symlink("a", "../outside").end(), Tar::new().file("a/secret", b"x").end()],
        ),
        one(
            "t5 a chain of links",
            Holds(7),
            Tar::new()
                .folder("d")
                .symlink("d/1", "..")
                .symlink("2", "d/1/..")
                .symlink("3", "2/../outside")
                .file("3/secret", b"x"),
        ),
        one(
            "t5 links that go up step by step",
            Holds(4),
            Tar::new().symlink("a", "..").symlink("b", "a/..").file("a/b/a/b/x", b"x"),
        ),
        one("t5 a loop of links", INVALID, Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"x")),
        one("t5 a link to itself", INVALID, Tar::new().symlink("a", "a").file("a/x", b"x")),
        one("t5 a file as a parent", INVALID, Tar::new().file("a", b"").file("a/x", b"x")),
        one("t8 a folder over a link", Holds(2), Tar::new().symlink("a", "../outside").folder("a")),
        one(
            "t8 a mode for what a link leads to",
            Holds(3),
            Tar::new().symlink("a", "../outside/secret").entry(b"b", b'1', (b"a", b""), |header| {
                header.set_mode(0o6777);
            }),
        ),
        one("t8 a file over a link", Holds(2), Tar::new().symlink("a", "../outside/secret").file("a", b"x")),
        one("t8 a link over a link", Holds(2), Tar::new().symlink("a", "../outside").symlink("a", "/")),
        one("t9 a link in place of the root", INVALID, Tar::new().symlink(".", "../outside")),
        one("t9 a file in place of the root", INVALID, Tar::new().file("./", b"x")),
        one("t9 the root as a hard link", INVALID, Tar::new().file("a", b"").hard_link("./", "a")),
    ]
}

fn hard_links(at: &str) -> Vec<Case> {
    vec![
        one("t6 a hard link that goes up", INVALID, Tar::new().hard_link("a", "../outside/secret")),
        one("t6 an absolute hard link", INVALID, Tar::new().hard_link("a", &format!("{at}/outside/secret"))),
        one("t6 relative to the current folder", INVALID, Tar::new().hard_link("a", "outside/secret")),
        one(
            "t6 through a link",
            INVALID,
            Tar::new().symlink("a", "../outside").hard_link("b", "a/secret").file("b", b"overwritten"),
        ),
        one("t6 to a folder", INVALID, Tar::new().folder("d").hard_link("a", "d")),
        one("t6 to the root", INVALID, Tar::new().hard_link("a", "/")),
        one("t6 to nothing", INVALID, Tar::new().hard_link("a", "")),
        one("t6 to itself", INVALID, Tar::new().hard_link("a", "a")),
        one(
            "t7 to a link, then written through",
            Holds(3),
            Tar::new().symlink("a", "../outside/secret").hard_link("b", "a").file("b", b"x"),
        ),
        one(
            "t7 to a link to a folder, then beneath it",
            Holds(5),
            Tar::new().symlink("a", "../outside").hard_link("b", "a").file("b/secret", b"x"),
        ),
    ]
}

fn whiteouts() -> Vec<Case> {
    let two = |name, outcome, lower: Tar, upper: Tar| case(name, outcome, &[lower.end(), upper.end()]);
    vec![
        two("t10 of the folder above", INVALID, Tar::new().file("a", b""), Tar::new().file(".wh...", b"")),
        two("t10 of the folder itself", INVALID, Tar::new().folder("d"), Tar::new().file("d/.wh..", b"")),
        two("t10 img_136 of nothing", INVALID, Tar::new(), Tar::new().file(".wh.", b"")),
        two(
            "t10 through a link",
            Holds(2),
            Tar::new().symlink("a", "../outside"),
            Tar::new().file("a/.wh.secret", b""),
        ),
        two(
            "t10 opaque through a link",
            Holds(2),
            Tar::new().symlink("a", "../outside"),
            Tar::new().file("a/.wh..wh..opq", b""),
        ),
        two(
            "t10 of a link to a folder",
            Holds(1),
            Tar::new().symlink("a", "../outside"),
            Tar::new().file(".wh.a", b""),
        ),
        two(
            "t10 of a tree with links out of it",
            Holds(1),
            Tar::new().folder("d").symlink("d/a", "../../outside").symlink("d/b", "/"),
            Tar::new().file(".wh.d", b""),
        ),
        two("t10 with a way up behind it", INVALID, Tar::new(), Tar::new().file(".wh.a/../../x", b"")),
        two("t10 as a folder", INVALID, Tar::new(), Tar::new().file(".wh.a/x", b"")),
        one(
            "t10 img_135 a hard link to a whiteout",
            INVALID,
            Tar::new().file(".wh.a", b"").hard_link("b", ".wh.a"),
        ),
    ]
}

fn formats() -> Vec<Case> {
    let sized = |field: &'static [u8; 12]| {
        Tar::new().entry(b"a", b'0', (b"", b""), move |header| {
            header.as_mut_bytes()[124..136].copy_from_slice(field);
        })
    };
    let smuggled = Tar::new().file("smuggled", b"x").open();
    vec![
        one(
            "t12 pax and header differ",
            Holds(2),
            Tar::new()
                .pax(&[("size", b"1024")])
                .entry(b"a", b'0', (b"", b""), |header| header.set_size(0))
                .raw(&smuggled),
        ),
        one(
            "t12 a size larger than there is",
            INVALID,
            Tar::new().pax(&[("size", b"99999999")]).file("a", b"x"),
        ),
        one(
            "t13 pax before a long name",
            Holds(2),
            Tar::new()
                .pax(&[("size", b"1024"), ("path", b"p")])
                .extension(b'L', b"long\0")
                .entry(b"a", b'0', (b"", b""), |_| {})
                .raw(&smuggled),
        ),
        one("t14 a record without a length", INVALID, Tar::new().extension(b'x', b"path=a\n").file("a", b"")),
        one(
            "t14 a record longer than all",
            INVALID,
            Tar::new().extension(b'x', b"99 path=a\n").file("a", b""),
        ),
        one("t14 a record without a key", INVALID, Tar::new().extension(b'x', b"5 =a\n").file("a", b"")),
        one("t14 a record with a sign", INVALID, Tar::new().extension(b'x', b"+9 path=\n").file("a", b"")),
        one("t14 a path with a NUL", INVALID, Tar::new().pax(&[("path", b"a\0b")]).file("a", b"")),
        one(
            "t14 records for all entries",
            UNSUPPORTED,
            Tar::new().extension(b'g', b"10 path=x\n").file("a", b""),
        ),
        one("t15 a size that is no octal number", INVALID, sized(b"0000000000z\0")),
        one("t15 a negative size", INVALID, sized(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
        one(
            "t15 a size beyond all numbers",
            INVALID,
            sized(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        ),
        one("t15 a size of eight exbibytes", LIMIT, sized(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff")),
        case("t16 a cut header", INVALID, &[Tar::new().file("a", b"x").raw(&[1; 100]).open()]),
        case("t16 a cut file", INVALID, &[Tar::new().file("a", &[1; 2000]).open()[..1500].to_vec()]),
        case("t16 no end mark", Holds(2), &[Tar::new().file("a", b"x").open()]),
        case(
            "t16 entries behind the end",
            Holds(2),
            &[Tar::new().file("a", b"x").raw(&[0; 2 * BLOCK]).file("../outside/secret", b"x").end()],
        ),
        case(
            "t16 an entry behind half an end",
            INVALID,
            &[Tar::new().file("a", b"x").raw(&[0; BLOCK]).file("b", b"x").end()],
        ),
        case("t16 nothing at all", Holds(1), &[Vec::new()]),
        case("t16 no tar", INVALID, &[vec![b'x'; 5000]]),
        one("t23 a user that cannot be", INVALID, Tar::new().pax(&[("uid", b"4294967296")]).file("a", b"")),
        one(
            "t23 the user that chown takes for none",
            INVALID,
            Tar::new().pax(&[("uid", b"4294967295")]).file("a", b""),
        ),
        one("t21 an unknown type", UNSUPPORTED, Tar::new().entry(b"a", b'Z', (b"", b""), |_| {})),
        one("t21 no name", INVALID, Tar::new().entry(b"", b'0', (b"", b""), |_| {})),
        one("t21 a link to nothing", INVALID, Tar::new().symlink("a", "")),
    ]
}

fn bombs() -> Vec<Case> {
    let mut cases = vec![
        one(
            "t18 a sparse file of an exbibyte",
            LIMIT,
            Tar::new()
                .pax(&[("GNU.sparse.size", b"1152921504606846976"), ("GNU.sparse.map", b"0,1")])
                .file("a", b"x"),
        ),
        one(
            "t18 extents that overlap",
            INVALID,
            Tar::new()
                .pax(&[("GNU.sparse.size", b"100"), ("GNU.sparse.map", b"0,4,2,4")])
                .file("a", b"12345678"),
        ),
        one(
            "t18 extents beyond the end",
            INVALID,
            Tar::new().pax(&[("GNU.sparse.size", b"4"), ("GNU.sparse.map", b"2,4")]).file("a", b"1234"),
        ),
        one(
            "t18 a list without an end",
            INVALID,
            Tar::new()
                .pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")])
                .file("a", b"99999999\n"),
        ),
        one("t21 a path of 64 KiB", LIMIT, Tar::new().file(&"p/".repeat(32 << 10), b"")),
        one("t21 a name of 256 bytes", LIMIT, Tar::new().file(&"n".repeat(256), b"")),
        one("t21 501 folders deep", LIMIT, Tar::new().file(&format!("{}f", "d/".repeat(501)), b"")),
        one("t21 a long target", LIMIT, Tar::new().symlink("a", &"t".repeat(5000))),
        one(
            "t21 a target that goes deep",
            LIMIT,
            Tar::new().symlink("a", &"d/".repeat(501)).file("a/x", b""),
        ),
        one(
            "t22 more entries than the limit",
            LIMIT,
            (0..2001).fold(Tar::new(), |tar, n| tar.file(&n.to_string(), b"")),
        ),
        one(
            "t24 extended headers of 2 MiB",
            LIMIT,
            Tar::new().pax(&[("SCHILY.xattr.user.a", &vec![b'x'; 2 << 20])]).file("a", b""),
        ),
    ];
    let zeros = Tar::new().file("zeros", &vec![0; 130 << 20]).end();
    let gzip = |bytes: &[u8]| crate::images::compressed(bytes, transship_codec::Compression::Gzip);
    let zstd = |bytes: &[u8]| crate::images::compressed(bytes, transship_codec::Compression::Zstd);
    let mut add = |name, media_type: &MediaType, stored: Vec<u8>, outcome| {
        let layers = vec![Stored::compressed(media_type.clone(), stored, &zeros)];
        cases.push(Case { name, layers, outcome });
    };
    add("t19 a bomb of gzip", &MediaType::OCI_LAYER_GZIP, gzip(&zeros), LIMIT);
    add("t19 a bomb of zstd", &MediaType::OCI_LAYER_ZSTD, zstd(&zeros), LIMIT);
    let members = [gzip(&zeros[..BLOCK]), gzip(&zeros[BLOCK..])].concat();
    add("t19 a bomb of several members", &MediaType::OCI_LAYER_GZIP, members, LIMIT);
    let garbage = [gzip(b""), b"garbage".to_vec()].concat();
    add("t19 garbage behind gzip", &MediaType::OCI_LAYER_GZIP, garbage, INVALID);
    add("t19 gzip in gzip", &MediaType::OCI_LAYER_GZIP, gzip(&gzip(&zeros[..4096])), INVALID);
    // A frame whose header asks for a window of 2 GiB.
    let window = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec();
    add("t20 zstd with a window of 2 GiB", &MediaType::OCI_LAYER_ZSTD, window, LIMIT);
    add("t20 xz", &MediaType::OCI_LAYER_GZIP, b"\xfd7zXZ\0rest".to_vec(), UNSUPPORTED);
    cases
}

/// The canaries.
fn lay(at: &Path) {
    let outside = at.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink("secret", outside.join("link")).unwrap();
    fs::create_dir(outside.join("folder")).unwrap();
    mknodat(CWD, outside.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    symlink("outside", at.join("way-out")).unwrap();
}

fn all(at: &Path) -> Vec<Case> {
    let root = at.to_str().unwrap().trim_start_matches('/');
    let mut cases = paths(&format!("/{root}"));
    cases.extend(hard_links(&format!("/{root}")));
    cases.extend(whiteouts());
    cases.extend(formats());
    cases.extend(bombs());
    cases
}

/// Unpacks all of them; gives how many there were.
fn try_all(at: &Path) -> usize {
    lay(at);
    let cases = all(at);
    let limits = UnpackLimits { max_entries: 2000, max_size: 1 << 40, ..UnpackLimits::default() };
    let options = transship_pack::UnpackOptions { limits, ..quick() };
    let count = cases.len();
    let before = listing(at);
    for Case { name, layers, outcome } in cases {
        let done = unpack_stored(at, &layers, &options);
        let rootfs = at.join("rootfs");
        let found = match &done {
            Ok(_) => Holds(listing(&rootfs).len()),
            Err(error) => Fails(error.kind()),
        };
        assert_eq!(found, outcome, "{name}: {done:?}");
        assert_eq!(rootfs.exists(), done.is_ok(), "{name}: all or nothing");
        if rootfs.exists() {
            fs::remove_dir_all(&rootfs).unwrap();
        }
        let mut after = listing(at);
        // Layout and tree come and go there.
        after.insert("".into(), before[Path::new("")].clone());
        assert_eq!(after, before, "{name}: something outside was touched");
    }
    count
}

#[test]
fn no_tar_touches_anything_outside_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let count = try_all(folder.path());
    assert!(count >= 80, "{count} cases");
}

#[test]
fn no_tar_touches_anything_outside_the_tree_of_nobody() {
    match nobodys() {
        Some(own) => assert!(try_all(&own) >= 80),
        None => as_nobody("hostile::no_tar_touches_anything_outside_the_tree_of_nobody"),
    }
}

#[test]
fn a_comparison_of_them_ends_as_unpacking_does() {
    let folder = tempfile::tempdir().unwrap();
    let (none, nothing) = image(&folder.path().join("none"), &[]);
    let limits = UnpackLimits { max_entries: 2000, max_size: 1 << 40, ..UnpackLimits::default() };
    let options = DiffOptions { limits, ..DiffOptions::default() };
    for Case { name, layers, outcome } in all(folder.path()) {
        let at = folder.path().join("layout");
        let (layout, descriptor) = image(&at, &layers);
        let left = DiffSide { source: &none, image: &nothing };
        let right = DiffSide { source: &layout, image: &descriptor };
        let done = diff(left, right, &options);
        let found = match &done {
            // The root is on both sides.
            Ok(diff) => Holds(
                1 + diff.files.iter().flatten().filter(|change| change.status() == Status::Added).count(),
            ),
            Err(error) => Fails(error.kind()),
        };
        assert_eq!(found, outcome, "{name}: {done:?}");
        fs::remove_dir_all(at).unwrap();
    }
}

/// Whoever could exchange folders for links while we work is another process of ours, since nobody else can enter the tree.
#[test]
fn links_that_are_exchanged_while_we_work_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    lay(at);
    let before = listing(&at.join("outside"));
    let base = Tar::new().folder("d").folder("d/e").file("d/e/lower", b"");
    let names =
        |number: usize| (format!("d/e/{number}"), format!("d/e/.wh.{}", number / 2), format!("d/l{number}"));
    let upper = (0..3000).map(names).fold(Tar::new(), |tar, (file, whiteout, link)| {
        tar.file(&file, b"x").folder("d").file(&whiteout, b"").folder("d/e").hard_link(&link, &file)
    });
    let layers = [Stored::plain(&base.end()), Stored::plain(&upper.end())];
    let (layout, descriptor) = crate::support::image(&at.join("layout"), &layers);
    let plan = transship_pack::UnpackPlan::read(&layout, &descriptor, None).unwrap();
    let mut ends = [0, 0];
    for _ in 0..20 {
        let rootfs = transship_pack::Rootfs::begin(at.join("rootfs")).unwrap();
        let (tree, outside) = (rootfs.path(), at.join("outside"));
        let done = std::sync::atomic::AtomicBool::new(false);
        let unpacked = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    for (name, aside) in [("d", "aside"), ("d/e", "d/aside")] {
                        let (name, aside) = (tree.join(name), tree.join(aside));
                        if fs::rename(&name, &aside).is_ok() {
                            let _ = symlink(&outside, &name);
                            let _ = fs::remove_file(&name);
                            let _ = fs::rename(&aside, &name);
                        }
                    }
                }
            });
            let unpacked = transship_pack::unpack(&layout, &plan, rootfs, &quick());
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            unpacked
        });
        ends[usize::from(unpacked.is_ok())] += 1;
        for left in ["rootfs", ".rootfs.transship-unpack"] {
            let _ = fs::remove_dir_all(at.join(left));
        }
        assert_eq!(listing(&at.join("outside")), before, "after {ends:?}");
    }
    assert_eq!(ends[0] + ends[1], 20);
}

#[test]
fn case_t11_nobody_makes_no_device_and_nothing_setuid() {
    use std::os::unix::fs::MetadataExt as _;
    let Some(own) = nobodys() else {
        return as_nobody("hostile::case_t11_nobody_makes_no_device_and_nothing_setuid");
    };
    let special = |header: &mut tar::Header| {
        header.set_mode(0o6755);
        header.set_device_major(1).unwrap();
        header.set_device_minor(5).unwrap();
    };
    let ours = |header: &mut tar::Header| {
        header.set_mode(0o6755);
        header.set_uid(65534);
        header.set_gid(65534);
    };
    let tar = Tar::new()
        .entry(b"root", b'0', (b"", b"#!"), special)
        .entry(b"ours", b'0', (b"", b"#!"), ours)
        .entry(b"zero", b'3', (b"", b""), special)
        .entry(b"disk", b'4', (b"", b""), special)
        .entry(b"fifo", b'6', (b"", b""), special)
        .entry(b"folder/", b'5', (b"", b""), |header| header.set_mode(0o2111));
    let done = unpack_stored(&own, &[Stored::plain(&tar.end())], &quick()).unwrap();
    let meta = |path: &str| fs::symlink_metadata(own.join("rootfs").join(path)).unwrap();
    assert_eq!(meta("root").mode(), 0o100_755);
    assert_eq!(meta("ours").mode(), 0o106_755, "its owner is who unpacks it");
    assert_eq!((meta("zero").mode(), meta("zero").len()), (0o100_755, 0), "an empty file in its place");
    assert_eq!(meta("fifo").mode(), 0o010_755);
    assert_eq!(meta("folder").mode(), 0o040_711, "it can be looked into");
    let not_set = done.not_set;
    assert_eq!((not_set.owners, not_set.modes, not_set.devices), (6, 5, 2), "{:?}", not_set.first);
}
