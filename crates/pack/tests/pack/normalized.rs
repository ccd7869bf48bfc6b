//! Tars that are written anew by the rules.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use transship_codec::{Compression, Encoder, EncoderOptions};
use transship_layout::Layout;
use transship_pack::{Error, LayerOptions, TarOptions, Warning, pack_layer};
use transship_spec::{Digest, Kind};

use crate::tar::{GOLDEN, headers, kept, pack};
use crate::trees::{content, listed, make, nasty};

/// What a tar becomes.
fn normalized(tar: &[u8], options: &TarOptions) -> Result<(Vec<u8>, Vec<Warning>), Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.tar");
    fs::write(&file, tar).unwrap();
    let layout = Layout::options().open_or_create(folder.path().join("layout")).unwrap();
    let session = layout.begin().unwrap();
    let options = LayerOptions {
        compression: Compression::None,
        tar: TarOptions { normalize: true, ..options.clone() },
        ..LayerOptions::default()
    };
    let layer = pack_layer(&session, &file, &options)?;
    assert!(layer.recipe.is_some());
    session.commit(|_| Ok(())).unwrap();
    assert_eq!(folder.path().read_dir().unwrap().count(), 2, "nothing temporary stays");
    Ok((content(&layout, &layer.descriptor), layer.warnings))
}

fn plain(tar: &[u8]) -> Vec<u8> {
    normalized(tar, &TarOptions::default()).unwrap().0
}

/// The tar that GNU tar makes of a folder.
fn gnu(tree: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut child = Command::new("tar");
    child.args(arguments).args(["-c", "-C"]).arg(tree).arg(".").stdout(std::process::Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut tar = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut tar).unwrap();
    assert!(child.wait().unwrap().success());
    tar
}

/// A tar of entries `(flag, path, target or content)`, whose time is their number.
fn tar_of(entries: &[(u8, &str, &str)]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (number, (flag, path, text)) in entries.iter().enumerate() {
        let mut header = ::tar::Header::new_ustar();
        let bytes = header.as_mut_bytes();
        bytes[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(::tar::EntryType::new(*flag));
        header.set_mode(0o640);
        header.set_mtime(number as u64);
        header.set_uid(1000);
        header.set_gid(1000);
        let is_link = matches!(flag, b'1' | b'2');
        if is_link {
            header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
        }
        let content = if is_link { "" } else { text };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn law_8_a_tar_of_a_tree_by_anothers_rules_becomes_the_tar_of_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make(&tree, &nasty());
    for arguments in [
        &["--format=gnu"][..],
        &["--format=pax"],
        &["--format=gnu", "--sort=name"],
        &["--format=pax", "--sort=inode"],
        &["--format=gnu", "-S"],
        &["--format=pax", "-S"],
    ] {
        let tar = gnu(&tree, arguments);
        assert_eq!(Digest::sha256(&plain(&tar)).to_string(), GOLDEN, "{arguments:?}");
        let kept = kept();
        assert!(normalized(&tar, &kept).unwrap().0 == pack(&tree, &kept).unwrap().0, "{arguments:?}");
        for compression in [Compression::Gzip, Compression::Zstd] {
            let options = EncoderOptions { compression, level: Some(1), threads: 1 };
            let mut encoder = Encoder::new(Vec::new(), options).unwrap();
            encoder.write_all(&tar).unwrap();
            assert_eq!(Digest::sha256(&plain(&encoder.finish().unwrap())).to_string(), GOLDEN);
        }
    }
    let ours = pack(&tree, &TarOptions::default()).unwrap().0;
    assert!(plain(&ours) == ours, "what is normal stays as it is");
}

#[test]
fn holes_become_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let file = fs::File::create(tree.join("holes")).unwrap();
    for at in [4096_u64, 1 << 20, 3 << 20] {
        std::os::unix::fs::FileExt::write_all_at(&file, &[b'x'; 5000], at).unwrap();
    }
    file.set_len(5 << 20).unwrap();
    let whole = pack(&tree, &TarOptions::default()).unwrap().0;
    for arguments in [
        &["--format=gnu", "-S"][..],
        &["--format=pax", "-S", "--sparse-version=0.0"],
        &["--format=pax", "-S", "--sparse-version=0.1"],
        &["--format=pax", "-S", "--sparse-version=1.0"],
    ] {
        let tar = gnu(&tree, arguments);
        assert!(tar.len() < 1 << 20, "{arguments:?}");
        assert!(plain(&tar) == whole, "{arguments:?}");
    }
}

#[test]
fn entries_are_sorted_and_later_ones_count() {
    for (entries, expected) in [
        (&[(b'0', "./b", ""), (b'0', "/a", ""), (b'5', "./", "")][..], &["a 1", "b 0"][..]),
        (&[(b'0', "x/y/z", "")], &["x/ 0", "x/y/ 0", "x/y/z 0"]),
        (&[(b'5', "d", ""), (b'0', "a", "1"), (b'5', "./d//", "")], &["a 1", "d/ 2"]),
        (&[(b'0', "a", "1"), (b'0', "./a", "2")], &["a 1"]),
        // A folder that comes again keeps what is in it, and anything else takes its place.
        (&[(b'5', "d", ""), (b'0', "d/f", ""), (b'5', "d", "")], &["d/ 2", "d/f 1"]),
        (&[(b'5', "d", ""), (b'0', "d/e/f", ""), (b'0', "d.", ""), (b'0', "d", "")], &["d 3", "d. 2"]),
        (&[(b'0', "d", ""), (b'5', "d", ""), (b'0', "d/f", "")], &["d/ 1", "d/f 2"]),
        // The first name in order has the content.
        (&[(b'0', "z", "x"), (b'1', "./m", "/z"), (b'1', "a", "m")], &["a 0", "m=a 0", "z=a 0"]),
        (&[(b'0', "z", "x"), (b'1', "a", "z"), (b'0', "z", "y")], &["a 0", "z 2"]),
        (&[(b'2', "z", "x"), (b'1', "a", "z")], &["a=x 0", "z=x 0"]),
        (&[(b'3', "z", ""), (b'1', "a", "z")], &["a 0", "z=a 0"]),
        // Whiteouts stay, and come first.
        (
            &[(b'0', "d/-", ""), (b'0', "d/.wh.x", ""), (b'0', "d/.wh..wh..opq", ""), (b'0', ".wh.z", "")],
            &[".wh.z 3", "d/ 0", "d/.wh..wh..opq 2", "d/.wh.x 1", "d/- 0"],
        ),
        (&[], &[]),
    ] {
        let options = kept();
        let (tar, warnings) = normalized(&tar_of(entries), &options).unwrap();
        assert_eq!(warnings, []);
        let mut archive = ::tar::Archive::new(&tar[..]);
        let found: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                let target = entry.link_name_bytes().map(|to| format!("={}", String::from_utf8_lossy(&to)));
                format!("{path}{} {}", target.unwrap_or_default(), entry.header().mtime().unwrap())
            })
            .collect();
        assert_eq!(found, expected, "{entries:?}");
    }
    let tar = plain(&tar_of(&[(b'0', "d/f", "")]));
    assert_eq!((headers(&tar)[0].1, headers(&tar)[1].1), (0o755, 0o640));
    let (_, warnings) = normalized(&tar_of(&[(b'0', "f", "")]), &TarOptions::default()).unwrap();
    assert_eq!(warnings, [Warning::OwnersFlattened { count: 1, written: (0, 0) }]);
}

#[test]
fn a_tar_that_makes_no_tree_is_refused_with_the_entry_at_fault() {
    for (entries, reason) in [
        (&[(b'0', "../a", "")][..], "leads out"),
        (&[(b'0', "a/../b", "")], "\"a/../b\" leads out"),
        (&[(b'0', "a", ""), (b'0', "a/b", "")], "\"a/b\" lies beneath what is no folder"),
        (&[(b'2', "a", "/etc"), (b'0', "a/b/c", "")], "\"a/b/c\" lies beneath what is no folder"),
        (&[(b'1', "a", "b"), (b'0', "b", "")], "\"a\" is a hard link to what is no file in the tar"),
        (&[(b'5', "b", ""), (b'1', "a", "b")], "\"a\" is a hard link"),
        (&[(b'1', "a", "../b")], "leads out"),
        (&[(b'0', ".", "x")], "is the top, and no folder"),
    ] {
        let error = normalized(&tar_of(entries), &TarOptions::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().contains(reason) && error.to_string().contains("t.tar"), "{error}");
    }
    let whole = tar_of(&[(b'0', "a", "content")]);
    for (bytes, kind) in [
        (&whole[..700], Kind::Invalid),
        (&whole[..1024], Kind::Invalid),
        (&whole[1..], Kind::Invalid),
        (&tar_of(&[(b'V', "label", "")]), Kind::Unsupported),
    ] {
        let error = normalized(bytes, &TarOptions::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("t.tar"), "{error}");
    }
    let (_, warnings) = normalized(&[&whole[..], b"garbage"].concat(), &kept()).unwrap();
    assert!(matches!(&warnings[..], [Warning::AfterEnd { bytes: 7.., .. }]), "{warnings:?}");
}

#[test]
fn a_tar_that_is_cut_anywhere_or_flipped_is_refused_or_read_and_never_worse() {
    let tar = tar_of(&[(b'5', "d", ""), (b'0', "d/f", "content"), (b'1', "l", "d/f"), (b'2', "s", "d")]);
    for at in (0..tar.len()).step_by(37) {
        let mut flipped = tar.clone();
        flipped[at] ^= 1 << (at % 8);
        for bytes in [&tar[..at], &flipped] {
            if let Ok((normal, _)) = normalized(bytes, &TarOptions::default()) {
                listed(&normal);
                assert!(plain(&normal) == normal);
            }
        }
    }
}
