//! Trees that a specification describes, whole or in part.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use transship_layout::Layout;
use transship_pack::mtree::{Entry, HEADER, Time, Type};
use transship_pack::{
    Error, Excludes, LayerOptions, Metadata, ModeRule, MtimeRule, Owner, TarOptions, Warning, pack_layer,
};
use transship_spec::{Digest, Kind};

use crate::tar::{GOLDEN, GOLDEN_KEPT, headers, kept, pack};
use crate::trees::{Node, all_paths, chmod, content, listed, make, nasty, touch};

/// A tree as a specification has it.
pub(crate) fn described(tree: &Path) -> Vec<Entry> {
    let describe = |path: std::path::PathBuf| {
        let stat = fs::symlink_metadata(&path).unwrap();
        let kind = match stat.file_type() {
            kind if kind.is_dir() => Type::Dir,
            kind if kind.is_symlink() => Type::Link,
            kind if kind.is_fifo() => Type::Fifo,
            kind if kind.is_char_device() => Type::Char,
            kind if kind.is_block_device() => Type::Block,
            _ => Type::File,
        };
        let is_device = matches!(kind, Type::Char | Type::Block);
        let device = (rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()));
        Entry {
            path: path.strip_prefix(tree).unwrap().as_os_str().as_bytes().to_vec(),
            kind: Some(kind),
            mode: Some(stat.mode() & 0o7777),
            uid: Some(stat.uid()),
            gid: Some(stat.gid()),
            time: Some(Time { seconds: stat.mtime(), nanoseconds: 5 }),
            device: is_device.then_some(device),
            nlink: Some(stat.nlink()),
            inode: Some(stat.ino()),
            link: fs::read_link(&path).ok().map(|target| target.as_os_str().as_bytes().to_vec()),
            content: (kind == Type::File).then(|| path.as_os_str().as_bytes().to_vec()),
            ..Entry::default()
        }
    };
    all_paths(tree).into_iter().map(describe).collect()
}

pub(crate) fn text(entries: &[Entry]) -> Vec<u8> {
    let mut text = HEADER.to_vec();
    entries.iter().for_each(|entry| entry.print(&mut text));
    text
}

/// Makes the nasty tree as who is not root can: no devices, or files for them, and other owners, modes and times.
pub(crate) fn make_poor(poor: &Path) {
    let nodes: Vec<_> = nasty()
        .into_iter()
        .filter(|(path, _)| path != b"special/fifo" && path != b"special/disk")
        .map(|(path, node)| match node {
            Node::Device(..) => (path, Node::File(0o600, Vec::new())),
            Node::Folder(_) => (path, Node::Folder(0o700)),
            Node::File(_, content) => (path, Node::File(0o640, content)),
            node => (path, node),
        })
        .collect();
    make(poor, &nodes);
    for (at, path) in all_paths(poor).iter().enumerate() {
        std::os::unix::fs::lchown(path, Some(1000 + at as u32), Some(1)).unwrap();
        touch(path, 77);
    }
}

/// The tar of a specification.
fn tar_of(at: &Path, specification: &[u8], tar: &TarOptions) -> Result<(Vec<u8>, Vec<Warning>), Error> {
    let file = at.join("tree.mtree");
    fs::write(&file, specification).unwrap();
    let layout = Layout::options().open_or_create(at.join("layout")).unwrap();
    let options = LayerOptions {
        compression: transship_codec::Compression::None,
        tar: tar.clone(),
        ..LayerOptions::default()
    };
    let session = layout.begin().unwrap();
    let layer = pack_layer(&session, &file, &options)?;
    session.commit(|_| Ok(())).unwrap();
    Ok((content(&layout, &layer.descriptor), layer.warnings))
}

fn with_metadata(at: &Path, metadata: &[u8]) -> TarOptions {
    let file = at.join("metadata");
    fs::write(&file, metadata).unwrap();
    TarOptions { metadata: Some(Metadata::read(&file).unwrap()), ..TarOptions::default() }
}

#[test]
fn law_8_a_specification_gives_the_bytes_of_the_tree_that_it_describes() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make(&tree, &nasty());
    let mut entries = described(&tree);
    entries.iter_mut().for_each(|entry| entry.time = None);
    let rules = TarOptions { mtime: MtimeRule::Zero, ..TarOptions::default() };
    for _ in 0..2 {
        let (tar, warnings) = tar_of(folder.path(), &text(&entries), &rules).unwrap();
        assert_eq!(Digest::sha256(&tar).to_string(), GOLDEN);
        assert_eq!(warnings, []);
        entries.reverse();
    }
}

#[test]
fn law_8_what_a_specification_says_is_taken_as_it_says_it() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make(&tree, &nasty());
    rustix::fs::chown(tree.join("a.b"), Some(rustix::fs::Uid::from_raw(3_000_000)), None).unwrap();
    touch(&tree.join("a0"), -1);
    touch(&tree.join("special/fifo"), 1 << 33);
    let entries = described(&tree);
    let rules = TarOptions {
        owner: Owner::Fixed { uid: 7, gid: 7 },
        mode: ModeRule::Normal,
        mtime: MtimeRule::Clamp(5),
        ..TarOptions::default()
    };
    let (tar, warnings) = tar_of(folder.path(), &text(&entries), &rules).unwrap();
    assert_eq!(Digest::sha256(&tar).to_string(), GOLDEN_KEPT);
    assert_eq!(warnings, []);
}

#[test]
fn law_8_who_is_not_root_packs_the_tree_of_root_with_a_file_of_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let (tree, poor) = (folder.path().join("tree"), folder.path().join("poor"));
    make(&tree, &nasty());
    let metadata = text(&described(&tree));
    make_poor(&poor);
    let all = all_paths(&poor);
    let options = with_metadata(folder.path(), &metadata);
    let packed_as = |user: u32| {
        std::thread::scope(|scope| {
            let pack = || {
                let user = rustix::fs::Uid::from_raw(user);
                rustix::thread::set_thread_res_uid(None, Some(user), None).unwrap();
                pack(&poor, &options).unwrap()
            };
            scope.spawn(pack).join().unwrap()
        })
    };
    chmod(&poor, 0o755);
    chmod(folder.path(), 0o755);
    let (by_root, warnings) = packed_as(0);
    assert_eq!(warnings, []);
    assert!(by_root == pack(&tree, &kept()).unwrap().0);
    for path in all {
        std::os::unix::fs::lchown(path, Some(1000), Some(1000)).unwrap();
    }
    assert!(packed_as(1000).0 == by_root);
}

#[test]
fn metadata_says_what_it_names_and_the_rules_say_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    let file = |text: &str| Node::File(0o644, text.as_bytes().to_vec());
    make(
        &tree,
        &[
            (b"a".to_vec(), file("a")),
            (b"b".to_vec(), Node::HardLink("a")),
            (b"c".to_vec(), file("c")),
            (b"d/e".to_vec(), file("e")),
        ],
    );
    let metadata =
        b"./a uid=5 mode=4755 xattr.user.x=AQI= size=99 sha256=x\n./d type=dir gid=3 time=9\n./c optional\n\
        ./no optional\n./d/skipped type=file\n./d/tty type=char device=native,5,0\n";
    let bad = folder.path().join("bad");
    fs::write(&bad, metadata).unwrap();
    let error = Metadata::read(&bad).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("bad\"") && error.to_string().contains("line 1"), "{error}");

    let metadata = String::from_utf8(metadata.to_vec()).unwrap().replace(" sha256=x", "");
    let options = TarOptions {
        excludes: Excludes::new(["skipped"]).unwrap(),
        ..with_metadata(folder.path(), metadata.as_bytes())
    };
    let (tar, warnings) = pack(&tree, &options).unwrap();
    assert_eq!(warnings, []);
    let found: Vec<_> =
        headers(&tar).into_iter().map(|(path, mode, uid, time, _)| (path, mode, uid, time)).collect();
    let expected = [
        ("a", 0o4755, 5, 0),
        ("b", 0o4755, 5, 0),
        ("c", 0o644, 0, 0),
        ("d/", 0o755, 0, 9),
        ("d/e", 0o644, 0, 0),
        ("d/tty", 0o644, 0, 0),
    ];
    assert_eq!(found, expected.map(|(path, mode, uid, time)| (path.to_owned(), mode, uid, time)));
}

#[test]
fn what_metadata_names_and_the_folder_lacks_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make(&tree, &[(b"d/f".to_vec(), Node::File(0o644, b"x".to_vec()))]);
    for (metadata, reason) in [
        ("./d type=dir\n./no mode=0644\n", "line 2"),
        ("./d/g type=file\n", "no such path"),
        ("./no/null type=char device=1,3\n", "native,MAJOR,MINOR"),
        ("./no/null type=char device=native,1,3\n", "its folder is not there"),
        ("./d/null type=char\n", "device=native"),
        ("./d type=file\n", "it is no file"),
        ("./d/f type=char device=native,1,3\n", "it is no char"),
        ("./d/f type=link\n", "it is no link, as line 1 of"),
    ] {
        let file = folder.path().join("metadata");
        fs::write(&file, metadata).unwrap();
        let result = Metadata::read(&file).and_then(|metadata| {
            pack(&tree, &TarOptions { metadata: Some(metadata), ..TarOptions::default() })
        });
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn content_may_be_a_link_and_is_checked_where_its_size_or_digest_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("real"), "content").unwrap();
    chmod(&at.join("real"), 0o555);
    symlink("real", at.join("link")).unwrap();
    let path = at.display();
    let digest = Digest::sha256(b"content");
    let digest = digest.encoded();
    let good = format!("#mtree\n./usr/bin/x size=7 sha256={digest} content={path}/link\n");
    let (tar, _) = tar_of(at, good.as_bytes(), &TarOptions::default()).unwrap();
    assert_eq!(listed(&tar), ["usr/", "usr/bin/", "usr/bin/x"], "folders that nobody names are made");
    assert_eq!(headers(&tar)[0].1, 0o755);
    assert_eq!(headers(&tar)[2].1, 0o555, "what is not said is as it is on disk");
    let wrong = "0".repeat(64);
    for (line, kind, reason) in [
        (format!("./x size=8 content={path}/link"), Kind::Invalid, "it has 7 bytes, and not 8"),
        (format!("./x sha256={wrong} content={path}/link"), Kind::Invalid, "is not what the specification"),
        (format!("./x content={path}/no"), Kind::NotFound, "no\" cannot be read"),
        (format!("./x content={path}"), Kind::Usage, "neither a folder nor a regular file"),
        ("./no-such-file type=file".to_owned(), Kind::Invalid, "content=PATH"),
        ("./x type=link".to_owned(), Kind::Invalid, "link=TARGET"),
        ("./x type=block".to_owned(), Kind::Invalid, "device=native"),
        (format!("./x content={path}/real\n./x/y type=dir"), Kind::Invalid, "no folder"),
        (format!("./d/.wh.x content={path}/real"), Kind::Invalid, "deletions"),
        (format!("./x content={path}/real xattr.user.\\075=AA=="), Kind::Invalid, "extended attribute"),
        (". type=file".to_owned(), Kind::Invalid, "the top of a tree"),
        ("./x mode=rwx".to_owned(), Kind::Invalid, "line 2, column 5"),
    ] {
        let error = tar_of(at, format!("#mtree\n{line}\n").as_bytes(), &TarOptions::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_specification_may_name_what_need_not_be_there_and_what_no_layer_holds() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        b"#mtree\n. type=dir\n./empty type=file size=0 mode=0600\n./no optional content=/no/such/file\n\
        ./s type=socket\n./left/out type=dir\n./l link=empty xattr.user.a=AA==\n";
    let excludes = Excludes::new(["left"]).unwrap();
    let (tar, warnings) =
        tar_of(folder.path(), text, &TarOptions { excludes, ..TarOptions::default() }).unwrap();
    assert_eq!(listed(&tar), ["empty", "l"]);
    assert_eq!(headers(&tar)[0].1, 0o600);
    assert_eq!(warnings, [Warning::Sockets { count: 1, first: OsStr::new("s").into() }]);
}
