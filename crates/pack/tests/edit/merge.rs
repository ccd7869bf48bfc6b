//! Layers merged into one: what a reader of all of them would see (IMG-135…143).

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use transship_pack::{Edit, LayerEdit, Rootfs, UnpackOptions, UnpackPlan, unpack};
use transship_spec::ImageConfig;

use crate::support::Thing::{File, Folder, Link, Symlink};
use crate::support::{Place, Thing, listed, tar};

/// What is left when layers are merged from a position on.
fn merged(layers: &[&[(&str, Thing<'_>)]], from: usize) -> Vec<String> {
    let place = Place::new();
    let tars: Vec<Vec<u8>> = layers.iter().map(|layer| tar(layer)).collect();
    place.image("v1", &tars, "");
    let layers = LayerEdit { squash: Some(from), ..LayerEdit::default() };
    let edited = place.edit("v1", &Edit { layers, ..Edit::default() }).unwrap();
    place.closure(&edited.descriptor);
    let manifest = place.manifest("v1");
    assert_eq!(manifest.layers.len(), from + 1);
    let config = ImageConfig::parse(place.config("v1").as_bytes()).unwrap();
    assert_eq!(config.history.iter().filter(|step| !step.empty_layer).count(), from + 1);
    listed(&place.blob(manifest.layers.last().unwrap()))
}

/// Two layers merged, plain. They are frozen with the recipe of the tar.
const GOLDEN: &str = "sha256:7c22a56b3e8903bcfa74d868ea86f45c28a3d596affcca8b6b4d0adb3f2e910a";

#[test]
fn law_8_a_merged_layer_is_frozen_to_the_last_byte() {
    let place = Place::new();
    let layers: [&[_]; 2] =
        [&[("d/", Folder(0o700)), ("d/a", File("1"))], &[("c", Symlink("d")), ("b", File("2"))]];
    place.image("v1", &layers.map(tar), "");
    let layers = LayerEdit { squash: Some(0), ..LayerEdit::default() };
    place.edit("v1", &Edit { layers, ..Edit::default() }).unwrap();
    assert_eq!(place.manifest("v1").layers[0].digest.to_string(), GOLDEN);
}

#[test]
fn the_last_word_on_a_name_counts() {
    let lower: &[_] = &[("d/", Folder(0o700)), ("d/a", File("1")), ("d/b", File("1"))];
    let upper: &[_] = &[("d/", Folder(0o755)), ("./d/b", File("2")), ("c", Symlink("d"))];
    assert_eq!(merged(&[lower, upper], 0), ["d/ 755", "d/a: 1", "d/b: 2", "c -> d"]);
}

#[test]
fn img_135_to_142_whiteouts_hide_what_is_lower_and_nothing_else() {
    let lower: &[_] = &[("d/", Folder(0o755)), ("d/a", File("1")), ("f", File("1")), ("g", File("1"))];
    let upper: &[_] = &[("f", File("2")), (".wh.f", File("")), (".wh.d", File("")), (".wh.none", File(""))];
    assert_eq!(merged(&[lower, upper], 0), ["g: 1", "f: 2"]);
    let again: &[_] = &[("d/b", File("3"))];
    assert_eq!(merged(&[lower, upper, again], 0), ["g: 1", "f: 2", "d/b: 3"]);
}

#[test]
fn img_139_opaque_folders_keep_themselves_and_lose_what_was_in_them() {
    let lower: &[_] = &[("d/", Folder(0o700)), ("d/a", File("1")), ("d/s/b", File("1")), ("da", File("1"))];
    let before: &[_] = &[("d/.wh..wh..opq", File("")), ("d/n", File("2"))];
    let after: &[_] = &[("d/n", File("2")), ("d/.wh..wh..opq", File(""))];
    for upper in [before, after] {
        assert_eq!(merged(&[lower, upper], 0), ["d/ 700", "da: 1", "d/n: 2"]);
    }
    let root: &[_] = &[(".wh..wh..opq", File("")), (".wh..wh.plnk/x", File("")), ("n", File("2"))];
    assert_eq!(merged(&[lower, root], 0), ["n: 2"], "img_141: what is of AUFS goes");
}

#[test]
fn img_143_above_other_layers_whiteouts_stay_and_come_first() {
    let base: &[_] = &[("x/", Folder(0o755)), ("x/deep", File("0")), ("y", File("0")), ("o/k", File("0"))];
    let one: &[_] = &[("a", File("1")), (".wh.y", File("")), ("x", File("1"))];
    let two: &[_] =
        &[(".wh.a", File("")), ("x/", Folder(0o700)), ("o/.wh..wh..opq", File("")), ("y", File("2"))];
    assert_eq!(
        merged(&[base, one, two], 1),
        [".wh.a: ", ".wh.x: ", "o/.wh..wh..opq: ", "x/ 700", "y: 2"],
        "the folder x would show what lies below the file x, and y needs no whiteout"
    );
}

#[test]
fn img_117_links_hold_on_to_content_whose_own_name_is_gone() {
    let lower: &[_] = &[("a", File("1")), ("b", Link("a")), ("c", Link("./a"))];
    assert_eq!(merged(&[lower, &[("z", File("2"))]], 0), ["a: 1", "b => a", "c => a", "z: 2"]);
    assert_eq!(merged(&[lower, &[(".wh.a", File(""))]], 0), ["b: 1", "c => b"]);
    let replaced: &[_] = &[("a", File("2")), ("d", Link("c")), ("e", Link("a"))];
    assert_eq!(merged(&[lower, replaced], 0), ["b: 1", "c => b", "a: 2", "d => b", "e => a"]);
}

#[test]
fn a_folder_and_a_file_take_each_others_place() {
    let folder: &[_] = &[("x/", Folder(0o755)), ("x/a", File("1"))];
    let file: &[_] = &[("x", File("2"))];
    assert_eq!(merged(&[folder, file], 0), ["x: 2"]);
    assert_eq!(merged(&[file, folder], 0), ["x/ 755", "x/a: 1"]);
}

#[test]
fn one_layer_alone_is_merged_already() {
    let place = Place::new();
    place.image("v1", &[tar(&[("a", File("1"))])], "");
    let before = place.resolve("v1").digest;
    let layers = LayerEdit { squash: Some(0), ..LayerEdit::default() };
    let edited = place.edit("v1", &Edit { layers, ..Edit::default() }).unwrap();
    assert!(edited.changes.is_empty());
    assert_eq!(edited.documents, [(before.clone(), before)]);
}

#[test]
fn names_that_lead_out_and_links_to_nothing_are_refused() {
    for bad in [
        vec![("b", Link("nothing"))],
        vec![("d/", Folder(0o755)), ("b", Link("d"))],
        vec![(".wh.", File(""))],
    ] {
        let place = Place::new();
        place.image("v1", &[tar(&bad), tar(&[("z", File("2"))])], "");
        let before = place.resolve("v1");
        let layers = LayerEdit { squash: Some(0), ..LayerEdit::default() };
        let error = place.edit("v1", &Edit { layers, ..Edit::default() }).unwrap_err();
        assert_eq!(error.kind(), transship_spec::Kind::Invalid, "{error}");
        assert_eq!(place.resolve("v1"), before);
    }
}

/// What of a tree a merge has to keep: types, modes, content, and which names share it.
fn unpacked(place: &Place, tag: &str) -> Option<Vec<String>> {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("rootfs");
    let plan = UnpackPlan::read(&place.layout, &place.resolve(tag), None).unwrap();
    let rootfs = Rootfs::begin(&at).unwrap();
    unpack(&place.layout, &plan, rootfs, &UnpackOptions::default()).ok()?;
    let (mut tree, mut folders, mut links) = (Vec::new(), vec![at.clone()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(&at).unwrap().to_string_lossy().into_owned();
            if meta.is_dir() {
                tree.push(format!("{name}/ {:o}", meta.mode()));
                folders.push(path);
            } else {
                let content = std::fs::read_to_string(&path).unwrap();
                links.entry(meta.ino()).or_insert_with(Vec::new).push(format!("{name} {content}"));
            }
        }
    }
    tree.extend(links.into_values().map(|mut names| {
        names.sort();
        names.join(" = ")
    }));
    tree.sort();
    Some(tree)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn img_143_merged_layers_unpack_to_the_same_tree(
        layers in vec(vec((0..8_usize, 0..7_u32, 0..8_usize), 0..7), 2..5),
        from in 0..2_usize,
    ) {
        const PATHS: [&str; 8] = ["a", "b", "a/x", "a/y", "b/x", "b/x/z", "a/x/z", "c"];
        let mut content = 0;
        let tars: Vec<Vec<u8>> = layers.iter().map(|layer| {
            let mut entries: Vec<(String, String, u32)> = Vec::new();
            for (path, what, target) in layer {
                content += 1;
                let path = PATHS[*path];
                let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
                let beside = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                // Whether a folder that nothing tells of lies below, nobody can know.
                for (end, _) in path.match_indices('/').filter(|_| from > 0) {
                    let folder = format!("{}/", &path[..end]);
                    if !entries.iter().any(|(path, ..)| *path == folder) {
                        entries.push((folder, String::new(), 1));
                    }
                }
                match what {
                    0 | 1 => entries.push((path.to_owned(), content.to_string(), 0)),
                    2 | 3 => entries.push((format!("{path}/"), String::new(), 1)),
                    4 => entries.push((path.to_owned(), PATHS[*target].to_owned(), 2)),
                    5 => entries.push((beside(&format!(".wh.{name}")), String::new(), 0)),
                    _ => entries.push((format!("{path}/.wh..wh..opq"), String::new(), 0)),
                }
            }
            let things: Vec<(&str, Thing<'_>)> = entries.iter().enumerate().map(|(at, (path, text, kind))| (path.as_str(), match kind {
                0 => File(text),
                1 => Folder(if at % 2 == 0 { 0o755 } else { 0o700 }),
                _ => Link(text),
            })).collect();
            tar(&things)
        }).collect();
        let place = Place::new();
        place.image("v1", &tars, "");
        let Some(before) = unpacked(&place, "v1") else { return Ok(()) };
        let layers = LayerEdit { squash: Some(from), ..LayerEdit::default() };
        let edited = place.edit("v1", &Edit { layers, ..Edit::default() });
        if let Err(error) = &edited && from > 0 && error.to_string().ends_with("merge from there on") {
            return Ok(());
        }
        prop_assert!(edited.is_ok(), "{:?}: {:?}", edited, tars.iter().map(|tar| listed(tar)).collect::<Vec<_>>());
        let told: Vec<_> = place.manifest("v1").layers.iter().map(|layer| listed(&place.blob(layer))).collect();
        prop_assert_eq!(Some(before), unpacked(&place, "v1"), "{:?} {:?}", tars.iter().map(|tar| listed(tar)).collect::<Vec<_>>(), told);
    }
}
