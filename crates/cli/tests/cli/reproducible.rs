//! Law 8 as a contract: whatever surrounds the program, and however the tree came to be, the image is the same, and so is
//! the layout, byte for byte and mode for mode.
//!
//! The layers of this tree in each compression are frozen in the tests of packing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use transship_codec::Compression;

use crate::support::{PROGRAM, Run, Sandbox};

#[expect(dead_code, reason = "packing's own tests need more of it")]
#[path = "../../../pack/tests/pack/trees.rs"]
mod trees;

/// The image of the nasty tree as a plain layer, for linux/amd64, with no other options.
const GOLDEN: &str = "sha256:2ffc71242cb6a29ae1231487084e88f829cf428fe1110656680ee7dd1e944d88";

const PACK: &str = "pack image --platform linux/amd64 -q";

/// Runs a line of shell that makes the layout `out`, and gives the digest that it prints.
fn run(sandbox: &Sandbox, line: &str) -> String {
    let run = Run::of(sandbox.command("sh").args(["-ec", line]).output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{line}");
    run.stdout.trim().to_owned()
}

#[test]
fn law_8_nothing_around_the_program_and_no_way_to_make_the_tree_changes_a_bit() {
    let sandbox = Sandbox::new();
    trees::make(&sandbox.path("tree"), &trees::nasty());
    let mut backwards = trees::nasty();
    backwards.reverse();
    trees::make(&sandbox.path("backwards"), &backwards);
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let memory = memory.path().to_str().unwrap();
    run(&sandbox, &format!("cp -a tree copy; cp -a tree {memory}/tree; ln -s tree link"));
    let plain = |input: &str| format!("{PROGRAM} {PACK} {input} --to oci:out:v1");
    let mut ways: BTreeMap<String, String> = BTreeMap::from([
        ("umask 077".to_owned(), format!("umask 077; {}", plain("tree"))),
        ("umask 000".to_owned(), format!("umask 000; {}", plain("tree"))),
        (
            "elsewhere in the world".to_owned(),
            format!("TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 {}", plain("tree")),
        ),
        (
            "another folder".to_owned(),
            format!("here=$PWD; cd /; {PROGRAM} {PACK} $here/tree --to oci:$here/out:v1"),
        ),
        ("from within".to_owned(), format!("cd tree; {PROGRAM} {PACK} . --to oci:../out:v1")),
        ("by a link".to_owned(), plain("link/")),
        ("a copy".to_owned(), plain("copy")),
        ("in memory".to_owned(), plain(&format!("{memory}/tree"))),
        ("made backwards".to_owned(), plain("backwards")),
        ("not durable".to_owned(), format!("{} --durability none", plain("tree"))),
    ]);
    ways.extend((1..=8).map(|n| (format!("{n} threads"), format!("{} --threads {n}", plain("tree")))));
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let wanted = run(&sandbox, &format!("{} --compression {compression}", plain("tree")));
        if compression == Compression::None {
            assert_eq!(wanted, GOLDEN);
        }
        let first = trees::snapshot(&sandbox.path("out"));
        fs::remove_dir_all(sandbox.path("out")).unwrap();
        for (what, line) in &ways {
            assert_eq!(run(&sandbox, &format!("{line} --compression {compression}")), wanted, "{what}");
            assert!(trees::snapshot(&sandbox.path("out")) == first, "{what}, {compression}: another layout");
            fs::remove_dir_all(sandbox.path("out")).unwrap();
        }
    }
}

#[test]
fn law_8_who_is_not_root_packs_the_image_of_root_by_what_unpacking_wrote_down() {
    let sandbox = Sandbox::new();
    trees::make(&sandbox.path("tree"), &trees::nasty());
    fs::copy(PROGRAM, sandbox.path("program")).unwrap();
    let work = sandbox.path("");
    for folder in [work.parent().unwrap(), &work] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let wanted = run(&sandbox, &format!("{PROGRAM} {PACK} tree --to oci:out:v1"));
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups -- ./program";
    run(&sandbox, &format!("{nobody} unpack oci:out:v1 theirs -q"));
    let keep = "--metadata theirs.mtree --owner keep --mtime keep";
    assert_eq!(run(&sandbox, &format!("{nobody} {PACK} theirs {keep} --to oci:again:v1")), wanted);
}
