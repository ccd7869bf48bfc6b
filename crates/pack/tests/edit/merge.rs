//! Layers merged into one: what a reader of all of them would see (IMG-135…143).

use transship_pack::{Edit, LayerEdit};
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
