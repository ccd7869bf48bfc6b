//! Layers upon layers: deletions and collisions, in every order.

use std::fs;
use std::path::Path;

use crate::support::{Tar, tree_of, unpack_tars};

fn paths(tars: &[Vec<u8>]) -> Vec<String> {
    tree_of(tars).into_keys().map(|path| path.display().to_string()).filter(|path| !path.is_empty()).collect()
}

fn lower() -> Vec<u8> {
    Tar::new()
        .folder("d")
        .file("d/a", b"old")
        .folder("d/sub")
        .file("d/sub/x", b"x")
        .file("d/sub/y", b"y")
        .end()
}

#[test]
fn img_135_img_142_a_whiteout_deletes_what_lower_layers_have() {
    assert_eq!(
        paths(&[lower(), Tar::new().file("d/.wh.a", b"").end()]),
        ["d", "d/sub", "d/sub/x", "d/sub/y"]
    );
    assert_eq!(paths(&[lower(), Tar::new().file("d/.wh.sub", b"").end()]), ["d", "d/a"]);
    assert_eq!(paths(&[lower(), Tar::new().file(".wh.d", b"").end()]), [""; 0]);
    assert_eq!(paths(&[lower(), Tar::new().file("no/.wh.d", b"").file(".wh.none", b"").end()]).len(), 5);
    assert_eq!(
        paths(&[Tar::new().file(".wh.a", b"").end()]),
        [""; 0],
        "nothing lies beneath the first layer"
    );
}

#[test]
fn img_138_a_whiteout_spares_its_own_layer_in_every_order() {
    let new = |tar: Tar| tar.file("d/a", b"new");
    let out = |tar: Tar| tar.file("d/.wh.a", b"");
    let one = tree_of(&[lower(), new(out(Tar::new())).end()]);
    let other = tree_of(&[lower(), out(new(Tar::new())).end()]);
    assert_eq!(one, other);
    assert_eq!(one.len(), 6);
    let first = tree_of(&[new(Tar::new()).file("d/.wh.a", b"").end()]);
    assert!(first.contains_key(Path::new("d/a")), "in the first layer, too");
}

#[test]
fn img_138_a_folder_of_both_layers_loses_what_the_lower_has_in_every_order() {
    let steps: [&dyn Fn(Tar) -> Tar; 3] =
        [&|tar| tar.file(".wh.d", b""), &|tar| tar.file("d/sub/z", b"z"), &|tar| tar.file("d/n", b"n")];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let trees: Vec<_> = orders
        .iter()
        .map(|order| tree_of(&[lower(), order.iter().fold(Tar::new(), |tar, step| steps[*step](tar)).end()]))
        .collect();
    assert!(trees.iter().all(|tree| *tree == trees[0]), "{trees:#?}");
    let paths: Vec<_> = trees[0].keys().map(|path| path.display().to_string()).collect();
    assert_eq!(paths, ["", "d", "d/n", "d/sub", "d/sub/z"]);
}

#[test]
fn img_139_an_opaque_folder_hides_lower_layers_in_every_order() {
    let steps: [&dyn Fn(Tar) -> Tar; 4] = [
        &|tar| tar.file("d/.wh..wh..opq", b""),
        &|tar| tar.folder("d"),
        &|tar| tar.file("d/sub/z", b"z"),
        &|tar| tar.file("d/b", b"b"),
    ];
    let mut trees = Vec::new();
    for first in 0..4 {
        let order = (0..4).map(|step| (first + step) % 4);
        trees.push(tree_of(&[lower(), order.fold(Tar::new(), |tar, step| steps[step](tar)).end()]));
    }
    assert!(trees.iter().all(|tree| *tree == trees[0]), "{trees:#?}");
    let paths: Vec<_> = trees[0].keys().map(|path| path.display().to_string()).collect();
    assert_eq!(paths, ["", "d", "d/b", "d/sub", "d/sub/z"]);
}

#[test]
fn img_139_an_opaque_folder_that_is_not_there_is_not_made() {
    assert_eq!(paths(&[lower(), Tar::new().file("e/.wh..wh..opq", b"").end()]).len(), 5);
    assert_eq!(paths(&[lower(), Tar::new().file(".wh..wh..opq", b"").file("n", b"").end()]), ["n"]);
}

#[test]
fn img_141_what_aufs_keeps_for_itself_is_skipped_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let tar = Tar::new()
        .file(".wh..wh.aufs", b"")
        .folder(".wh..wh.plnk")
        .file(".wh..wh.plnk/1.2", b"x")
        .file("a", b"");
    let done = unpack_tars(folder.path(), &[tar.end()]).unwrap();
    assert_eq!(done.warnings.len(), 1);
    assert!(done.warnings[0].to_string().starts_with("3 entries of AUFS"), "{}", done.warnings[0]);
    assert_eq!(fs::read_dir(folder.path().join("rootfs")).unwrap().count(), 1);
}

#[test]
fn img_125_a_folder_over_a_folder_keeps_its_children_and_all_else_replaces() {
    let upper = |step: &dyn Fn(Tar) -> Tar| tree_of(&[lower(), step(Tar::new()).end()]);
    let kind = |tree: &std::collections::BTreeMap<std::path::PathBuf, String>, path: &str| {
        tree[Path::new(path)].split(' ').next().unwrap().to_owned()
    };
    let kept = upper(&|tar| tar.entry(b"d", b'5', (b"", b""), |header| header.set_mode(0o1700)));
    assert_eq!((kept.len(), kind(&kept, "d").as_str()), (6, "41700"));
    let file = upper(&|tar| tar.file("d", b"file"));
    assert_eq!((file.len(), kind(&file, "d").as_str()), (2, "100644"));
    let folder = upper(&|tar| tar.folder("d/a"));
    assert_eq!(kind(&folder, "d/a"), "40755");
    let link = upper(&|tar| tar.symlink("d", "elsewhere"));
    assert_eq!((link.len(), kind(&link, "d").as_str()), (2, "120777"));
    let over = tree_of(&[
        Tar::new().folder("real").file("real/x", b"").symlink("d", "real").end(),
        Tar::new().folder("d").file("d/y", b"").end(),
    ]);
    let paths: Vec<_> = over.keys().map(|path| path.display().to_string()).collect();
    assert_eq!(paths, ["", "d", "d/y", "real", "real/x"], "a folder replaces a link to a folder");
    let fifo = upper(&|tar| tar.entry(b"d/a", b'6', (b"", b""), |_| {}));
    assert_eq!(kind(&fifo, "d/a"), "10644");
}

#[test]
fn img_128_a_link_among_the_parents_is_resolved_in_the_root() {
    let base =
        || Tar::new().folder("usr").folder("usr/lib").symlink("lib", "usr/lib").symlink("abs", "/usr/lib");
    let upper =
        Tar::new().file("lib/x", b"x").file("abs/y", b"y").file("lib/.wh.z", b"").file("new/../..", b"");
    assert!(unpack_tars(tempfile::tempdir().unwrap().path(), &[base().end(), upper.end()]).is_err());
    let upper = Tar::new().file("lib/x", b"x").file("abs/y", b"y").file("lib/.wh.z", b"");
    let found = paths(&[base().file("usr/lib/z", b"").end(), upper.end()]);
    assert_eq!(found, ["abs", "lib", "usr", "usr/lib", "usr/lib/x", "usr/lib/y"]);
    let missing = paths(&[Tar::new().symlink("lib", "usr/lib").file("lib/x", b"").end()]);
    assert_eq!(missing, ["lib", "usr", "usr/lib", "usr/lib/x"], "what a link leads to is made");
    let up = paths(&[Tar::new().symlink("a", "../../../b/../c").folder("b").file("a/x", b"").end()]);
    assert_eq!(up, ["a", "b", "c", "c/x"], "there is nothing above the root");
    let back = paths(&[Tar::new().symlink("a", "no/such/../../b/./../c/d/..").file("a/x", b"").end()]);
    assert_eq!(back, ["a", "c", "c/x"], "what a link only passes through is not made");
}

#[test]
fn img_117_hard_links_reach_files_of_this_layer_and_of_lower_ones() {
    let tree = tree_of(&[
        Tar::new()
            .file("one", b"1")
            .symlink("s", "one")
            .symlink("lib", "usr")
            .folder("usr")
            .file("usr/f", b"f")
            .end(),
        Tar::new()
            .hard_link("two", "one")
            .hard_link("three", "./two")
            .hard_link("t", "s")
            .hard_link("g", "/lib/f")
            .end(),
    ]);
    for (path, first) in [("two", "one"), ("three", "one"), ("t", "s"), ("usr/f", "g")] {
        assert!(tree[Path::new(path)].contains(&format!(" ={first} ")), "{path}: {tree:#?}");
    }
    assert!(tree[Path::new("t")].starts_with("120777"), "the link itself, not what it leads to");
    let again = tree_of(&[Tar::new()
        .file("a", b"a")
        .hard_link("a", "a")
        .hard_link("b", "a")
        .hard_link("b", "a")
        .end()]);
    assert_eq!(again.len(), 3, "a link to itself changes nothing");
}

#[test]
fn img_119_parents_without_entries_are_made() {
    let tree = tree_of(&[Tar::new().file("a/b/c", b"c").end()]);
    assert!(tree[Path::new("a/b")].starts_with("40755 0:0 0 0.0 "), "{tree:#?}");
    assert!(tree[Path::new("")].starts_with("40755 0:0 0 0.0 "), "{tree:#?}");
}

#[test]
fn img_127_folders_keep_the_time_of_their_entry_and_of_before() {
    let at =
        |tar: Tar, path: &[u8], time: u64| tar.entry(path, b'5', (b"", b""), |header| header.set_mtime(time));
    let base = at(at(Tar::new(), b"d/", 5), b"d/e/", 6)
        .file("d/e/f", b"")
        .file("d/g", b"")
        .file("z", b"")
        .file("d/e/h", b"");
    let tree = tree_of(&[base.end(), Tar::new().file("d/e/i", b"").file("d/.wh.g", b"").end()]);
    assert!(tree[Path::new("d")].contains(" 5.0 ") && tree[Path::new("d/e")].contains(" 6.0 "), "{tree:#?}");
}

#[test]
fn img_129_an_entry_of_the_root_describes_it() {
    let root = |tar: Tar| {
        tar.entry(b"./", b'5', (b"", b""), |header| {
            header.set_mode(0o1711);
            header.set_uid(7);
            header.set_mtime(9);
        })
    };
    for tar in [root(Tar::new()).file("a", b""), root(Tar::new().file("a", b""))] {
        assert!(tree_of(&[tar.end()])[Path::new("")].starts_with("41711 7:0 0 9.0 "));
    }
}

#[test]
fn img_111_case_t17_of_two_entries_for_a_path_the_later_counts() {
    let tree =
        tree_of(&[Tar::new().file("a", b"1").folder("a").file("a/b", b"2").file("./a/b/", b"3").end()]);
    assert_eq!(tree.len(), 3);
    let again = tree_of(&[Tar::new().folder("a").file("a/b", b"").file("a", b"last").end()]);
    assert_eq!(again.len(), 2);
}
