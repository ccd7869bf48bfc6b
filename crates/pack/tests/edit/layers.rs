//! Layers of images dropped, replaced, added, compressed anew, and put upon another base.

use transship_codec::Compression;
use transship_pack::{ConfigChanges, ConfigEdit, Edit, LayerEdit, LayerRef, Rebase, Take, Warning};
use transship_spec::{Dialect, ImageConfig, Kind, MediaType};

use crate::support::{Place, Thing, listed, tar};

const HISTORY: &str = r#","history":[{"created_by":"one"},{"created_by":"env","empty_layer":true},{"created_by":"two", "x":1},{"created_by":"three"}]"#;

fn file(name: &str) -> Vec<u8> {
    tar(&[(name, Thing::File(name))])
}

/// An image of three layers with four entries of history.
fn place() -> Place {
    let place = Place::new();
    place.image("v1", &[file("one"), file("two"), file("three")], HISTORY);
    place
}

fn layers(layers: LayerEdit) -> Edit<'static> {
    Edit { layers, ..Edit::default() }
}

fn config(place: &Place) -> ImageConfig {
    ImageConfig::parse(place.config("v1").as_bytes()).unwrap()
}

fn history(place: &Place) -> Vec<String> {
    config(place).history.into_iter().map(|step| step.created_by.or(step.comment).unwrap()).collect()
}

fn at(position: usize) -> LayerRef {
    LayerRef::Position(position)
}

#[test]
fn a_layer_goes_with_its_history() {
    for by_digest in [false, true] {
        let place = place();
        let second = place.manifest("v1").layers[1].digest.clone();
        let which = if by_digest { LayerRef::Digest(second.clone()) } else { at(1) };
        let edited =
            place.edit("v1", &layers(LayerEdit { drop: vec![which], ..LayerEdit::default() })).unwrap();
        assert_eq!(history(&place), ["one", "env", "three"]);
        assert!(config(&place).diff_ids.len() == 2 && !config(&place).diff_ids.contains(&second));
        assert_eq!(edited.changes, [format!("layer {second} dropped")]);
        place.closure(&edited.descriptor);
    }
}

#[test]
fn layers_are_replaced_and_added_in_their_order() {
    let place = place();
    let folder = tempfile::tempdir().unwrap();
    for name in ["new", "top"] {
        std::fs::write(folder.path().join(format!("{name}.tar")), file(name)).unwrap();
    }
    let edit = Edit {
        layers: LayerEdit {
            replace: vec![(at(0), folder.path().join("new.tar"))],
            drop: vec![at(1)],
            append: vec![folder.path().join("top.tar")],
            ..LayerEdit::default()
        },
        source_date_epoch: Some(60),
        ..Edit::default()
    };
    let edited = place.edit("v1", &edit).unwrap();
    assert_eq!(history(&place), ["transship edit", "env", "three", "transship edit"]);
    assert_eq!(config(&place).history[0].created.as_deref(), Some("1970-01-01T00:01:00Z"));
    let manifest = place.manifest("v1");
    assert_eq!(manifest.layers[0].media_type, MediaType::OCI_LAYER_GZIP);
    assert_eq!((manifest.layers.len(), edited.changes.len()), (3, 3));
    place.closure(&edited.descriptor);
}

#[test]
fn img_98_a_history_that_tells_of_other_layers_is_left_as_it_is() {
    let place = Place::new();
    let history = r#","history":[{"created_by":"a"},{"created_by":"b"}]"#;
    place.image("v1", &[file("one")], history);
    let dropped = layers(LayerEdit { drop: vec![at(0)], ..LayerEdit::default() });
    assert_eq!(place.edit("v1", &dropped).unwrap().warnings, [Warning::HistoryUnclear]);
    assert_eq!(config(&place).history.len(), 2);
    assert!(place.manifest("v1").layers.is_empty());
}

#[test]
fn img_95_another_compression_leaves_the_diff_ids_as_they_are() {
    let place = place();
    let before = place.resolve("v1").digest;
    let ids = config(&place).diff_ids;
    for (compression, media_type) in [
        (Compression::Gzip, MediaType::OCI_LAYER_GZIP),
        (Compression::Zstd, MediaType::OCI_LAYER_ZSTD),
        (Compression::None, MediaType::OCI_LAYER_TAR),
    ] {
        let edit = layers(LayerEdit { recompress: Some(compression), ..LayerEdit::default() });
        let edited = place.edit("v1", &edit).unwrap();
        assert_eq!(config(&place).diff_ids, ids);
        assert!(place.manifest("v1").layers.iter().all(|layer| layer.media_type == media_type));
        place.closure(&edited.descriptor);
        let again = place.edit("v1", &edit).unwrap();
        assert_eq!((again.descriptor.digest, again.changes), (edited.descriptor.digest, vec![]));
    }
    assert_eq!(place.resolve("v1").digest, before, "there and back it is what it was");
}

#[test]
fn layers_of_docker_stay_dockers() {
    let place = place();
    let docker = Edit { convert: Some(Dialect::Docker), ..Edit::default() };
    place.edit("v1", &docker).unwrap();
    let gzip = layers(LayerEdit { recompress: Some(Compression::Gzip), ..LayerEdit::default() });
    place.edit("v1", &gzip).unwrap();
    assert!(place.manifest("v1").layers.iter().all(|layer| layer.media_type == MediaType::DOCKER_LAYER_GZIP));
    let zstd = layers(LayerEdit { recompress: Some(Compression::Zstd), ..LayerEdit::default() });
    assert_eq!(place.edit("v1", &zstd).unwrap_err().kind(), Kind::Unsupported);
    place.edit("v1", &Edit { convert: Some(Dialect::Oci), ..zstd }).unwrap();
    assert!(place.manifest("v1").layers.iter().all(|layer| layer.media_type == MediaType::OCI_LAYER_ZSTD));
}

#[test]
fn a_layer_that_is_not_what_its_config_says_is_found_when_it_is_read() {
    let place = place();
    let text = place.config("v1").replace(&file_id("two"), &file_id("other"));
    let session = place.layout.begin().unwrap();
    let mut manifest = place.manifest("v1");
    manifest.config = session.put_bytes(MediaType::OCI_CONFIG, text.as_bytes()).unwrap();
    session.commit(|_| Ok(())).unwrap();
    place.put("v1", std::str::from_utf8(manifest.to_document().unwrap().bytes()).unwrap());
    for edit in [
        LayerEdit { recompress: Some(Compression::Gzip), ..LayerEdit::default() },
        LayerEdit { mtime: Some(0), ..LayerEdit::default() },
        LayerEdit { squash: Some(0), ..LayerEdit::default() },
    ] {
        let error = place.edit("v1", &layers(edit)).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().contains("its config says"), "{error}");
    }
}

fn file_id(name: &str) -> String {
    transship_spec::Digest::sha256(&file(name)).to_string()
}

#[test]
fn layers_that_are_not_there_or_meant_twice_are_refused() {
    let place = place();
    let other = LayerRef::Digest(transship_spec::Digest::sha256(b"x"));
    for (edit, kind, words) in [
        (LayerEdit { drop: vec![at(3)], ..LayerEdit::default() }, Kind::NotFound, "has 3, from 0 to 2"),
        (LayerEdit { drop: vec![other], ..LayerEdit::default() }, Kind::NotFound, "no layer sha256:"),
        (LayerEdit { squash: Some(3), ..LayerEdit::default() }, Kind::NotFound, "no layer 3"),
        (
            LayerEdit { drop: vec![at(0)], replace: vec![(at(0), "x".into())], ..LayerEdit::default() },
            Kind::Usage,
            "not both",
        ),
        (LayerEdit { append: vec!["/nowhere".into()], ..LayerEdit::default() }, Kind::NotFound, "nowhere"),
    ] {
        let error = place.edit("v1", &layers(edit)).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(words), "{error}: {:?}", error.kind());
    }
    for bad in ["", "-1", "+1", "x", "1.0"] {
        assert_eq!(bad.parse::<LayerRef>().unwrap_err().kind(), Kind::Usage, "{bad}");
    }
}

#[test]
fn all_files_of_all_layers_get_a_time() {
    let place = place();
    let edit = layers(LayerEdit { mtime: Some(77), ..LayerEdit::default() });
    let edited = place.edit("v1", &edit).unwrap();
    for layer in place.manifest("v1").layers {
        let bytes = place.blob(&layer);
        let mut archive = tar::Archive::new(&bytes[..]);
        assert!(archive.entries().unwrap().all(|entry| entry.unwrap().header().mtime().unwrap() == 77));
        assert_eq!(layer.media_type, MediaType::OCI_LAYER_TAR, "compressed as it was");
    }
    assert_eq!(place.edit("v1", &edit).unwrap().descriptor.digest, edited.descriptor.digest);
}

#[test]
fn all_that_can_be_done_to_layers_can_be_done_at_once() {
    let place = place();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("top.tar"), file("top")).unwrap();
    let all = LayerEdit {
        drop: vec![at(1)],
        append: vec![folder.path().join("top.tar")],
        squash: Some(1),
        mtime: Some(5),
        recompress: Some(Compression::Zstd),
        ..LayerEdit::default()
    };
    let edited = place.edit("v1", &layers(all)).unwrap();
    place.closure(&edited.descriptor);
    let manifest = place.manifest("v1");
    assert_eq!(manifest.layers.len(), 2);
    assert!(manifest.layers.iter().all(|layer| layer.media_type == MediaType::OCI_LAYER_ZSTD));
    assert_eq!(history(&place), ["one", "env", "three", "transship edit", "transship edit"]);
    let plain = layers(LayerEdit { recompress: Some(Compression::None), ..LayerEdit::default() });
    place.edit("v1", &plain).unwrap();
    assert_eq!(listed(&place.blob(&place.manifest("v1").layers[1])), ["three: three", "top: top"]);
}

#[test]
fn an_image_is_put_upon_another_base() {
    let place = Place::new();
    let history = |names: &[&str]| {
        let steps: Vec<String> = names
            .iter()
            .map(|name| match name.strip_prefix('-') {
                Some(name) => format!(r#"{{"created_by":"{name}","empty_layer":true}}"#),
                None => format!(r#"{{"created_by":"{name}"}}"#),
            })
            .collect();
        format!(r#","history":[{}]"#, steps.join(","))
    };
    place.image("old", &[file("o1"), file("o2")], &history(&["o1", "o2", "-env"]));
    place.image("new", &[file("n1")], &history(&["n1", "-cmd"]));
    place.image(
        "v1",
        &[file("o1"), file("o2"), file("app")],
        &history(&["o1", "o2", "-env", "-mine", "app"]),
    );
    let (old, new) = (place.member("old", Take::Itself), place.member("new", Take::Itself));
    let rebase = Rebase { old: old.clone(), new: new.clone(), name: Some("r.example/base:v2".to_owned()) };
    let user = ConfigChanges { user: Some("u".to_owned()), ..ConfigChanges::default() };
    let edit = Edit {
        rebase: Some(rebase),
        config: ConfigEdit { changes: user, ..ConfigEdit::default() },
        ..Edit::default()
    };
    let edited = place.edit("v1", &edit).unwrap();
    assert_eq!(
        history(&["n1", "-cmd", "-mine", "app"]),
        format!(
            ",{}",
            place
                .config("v1")
                .split_once(r#"},"history""#)
                .map(|(_, rest)| format!(r#""history"{}"#, rest.strip_suffix('}').unwrap()))
                .unwrap()
        )
    );
    let manifest = place.manifest("v1");
    let expected = [file("n1"), file("app")].map(|tar| transship_spec::Digest::sha256(&tar));
    assert_eq!(manifest.layers.iter().map(|layer| layer.digest.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(
        manifest.annotations["org.opencontainers.image.base.digest"],
        new.descriptor.digest.to_string()
    );
    assert_eq!(manifest.annotations["org.opencontainers.image.base.name"], "r.example/base:v2");
    place.closure(&edited.descriptor);
    let error = place.edit("v1", &edit).unwrap_err();
    assert!(error.kind() == Kind::Invalid && error.to_string().contains("is not built upon"), "{error}");
}
