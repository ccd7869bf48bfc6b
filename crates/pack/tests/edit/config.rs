//! How images are run and what they say of themselves, changed.

use std::collections::BTreeSet;

use transship_pack::{
    AnnotationChanges, ConfigChanges, ConfigEdit, Edit, Setting, Take, Warning, edit_image,
};
use transship_spec::{Annotations, Dialect, ImageConfig, Kind, MediaType, Platform};
use transship_testkit::fixtures;

use crate::support::{Place, name, platforms};

/// The image of one file with a user. It is frozen.
const GOLDEN: &str = "sha256:083f30920b3ba24713abd56408ed68110d61f6a29287c5f4f25a7d4ebaf5e6d0";

fn place() -> Place {
    let place = Place::new();
    place.image("v1", &[crate::support::tar(&[("a", crate::support::Thing::File("a"))])], "");
    place
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().copied().map(str::to_owned).collect()
}

fn config(config: ConfigEdit) -> Edit<'static> {
    Edit { config, ..Edit::default() }
}

fn user() -> Edit<'static> {
    config(ConfigEdit {
        changes: ConfigChanges { user: Some("1000".to_owned()), ..ConfigChanges::default() },
        ..ConfigEdit::default()
    })
}

fn annotate(key: &str, value: &str) -> AnnotationChanges {
    AnnotationChanges {
        set: Annotations::from([(key.to_owned(), value.to_owned())]),
        ..AnnotationChanges::default()
    }
}

#[test]
fn law_8_an_edited_image_is_frozen_to_the_last_byte() {
    let place = place();
    assert_eq!(place.edit("v1", &user()).unwrap().descriptor.digest.to_string(), GOLDEN);
}

#[test]
fn law_1_an_edit_that_changes_nothing_gives_the_same_digest() {
    let place = place();
    fixtures::multi_platform(&place.layout, "multi", 1);
    let same = Edit {
        config: ConfigEdit {
            changes: ConfigChanges {
                env: texts(&["A=1"]),
                labels: texts(&["z=1"]),
                ..ConfigChanges::default()
            },
            unset_env: texts(&["NONE"]),
            file: Some(b"{}".to_vec()),
            ..ConfigEdit::default()
        },
        convert: Some(Dialect::Oci),
        ..Edit::default()
    };
    for (tag, edit) in [("v1", &Edit::default()), ("multi", &Edit::default()), ("v1", &same)] {
        let (before, text) =
            (place.resolve(tag), std::fs::read(place.layout.path().join("index.json")).unwrap());
        let edited = place.edit(tag, edit).unwrap();
        assert_eq!((edited.descriptor.digest, edited.changes), (before.digest, vec![]));
        assert_eq!(std::fs::read(place.layout.path().join("index.json")).unwrap(), text);
    }
}

#[test]
fn img_99_what_is_not_changed_in_a_config_keeps_its_bytes() {
    let place = place();
    let before = place.config("v1");
    let edited = place
        .edit(
            "v1",
            &config(ConfigEdit {
                changes: ConfigChanges {
                    env: texts(&["A=2", "B=3"]),
                    exposed_ports: texts(&["80"]),
                    labels: texts(&["b=4"]),
                    cmd: Some(texts(&["/app"])),
                    ..ConfigChanges::default()
                },
                unset_labels: texts(&["a"]),
                healthcheck: Some(r#"{"Test":["CMD","/check"]}"#.to_owned()),
                author: Some("me".to_owned()),
                created: Some("2024-01-01T00:00:00+01:00".to_owned()),
                history: texts(&[r#"{"created_by":"hand"}"#]),
                ..ConfigEdit::default()
            }),
        )
        .unwrap();
    let after = before
        .replace(r#""Env":["PATH=/bin","A=1"]"#, r#""Env":["PATH=/bin","A=2","B=3"]"#)
        .replace(r#""Labels":{"z":"1","a":"2"}"#, r#""Labels":{"z":"1","b":"4"}"#)
        .replace(
            r#"{"Test":["NONE"]}"#,
            r#"{"Test":["CMD","/check"]},"ExposedPorts":{"80/tcp":{}},"Cmd":["/app"]"#,
        );
    let more = r#","created":"2023-12-31T23:00:00Z","author":"me","history":[{"created_by":"hand","empty_layer":true}]}"#;
    let after = format!("{}{more}", &after[..after.len() - 1]);
    assert_eq!(place.config("v1"), after);
    assert_eq!(
        edited.changes,
        [
            r#"created: absent -> "2023-12-31T23:00:00Z""#,
            r#"author: absent -> "me""#,
            "ExposedPorts 80/tcp: absent -> {}",
            r#"Env: ["PATH=/bin","A=1"] -> ["PATH=/bin","A=2","B=3"]"#,
            r#"Cmd: absent -> ["/app"]"#,
            r#"Labels a: "2" -> absent"#,
            r#"Labels b: absent -> "4""#,
            r#"Healthcheck: {"Test":["NONE"]} -> {"Test":["CMD","/check"]}"#,
            r#"history: {"created_by":"hand","empty_layer":true} added"#,
        ]
    );
    place.closure(&edited.descriptor);
}

#[test]
fn everything_can_be_taken_away_again() {
    let place = place();
    let original = place.resolve("v1").digest;
    let full = ConfigEdit {
        changes: ConfigChanges {
            entrypoint: Some(texts(&["/e"])),
            working_dir: Some("/w".to_owned()),
            user: Some("u".to_owned()),
            stop_signal: Some("SIGINT".to_owned()),
            volumes: texts(&["/data"]),
            exposed_ports: texts(&["80", "53/udp"]),
            env: texts(&["X=1"]),
            ..ConfigChanges::default()
        },
        author: Some("me".to_owned()),
        created: Some("2024-01-01T00:00:00Z".to_owned()),
        history: texts(&["{}"]),
        os_features: Some(texts(&["win32k"])),
        ..ConfigEdit::default()
    };
    let changed = place.edit("v1", &config(full)).unwrap();
    assert_ne!(changed.descriptor.digest, original);
    let clear = [
        Setting::Entrypoint,
        Setting::WorkingDir,
        Setting::User,
        Setting::StopSignal,
        Setting::Author,
        Setting::Created,
        Setting::History,
    ];
    let back = ConfigEdit {
        clear: BTreeSet::from(clear),
        unset_env: texts(&["X"]),
        unset_ports: texts(&["80", "53/udp"]),
        unset_volumes: texts(&["/data"]),
        os_features: Some(Vec::new()),
        ..ConfigEdit::default()
    };
    assert_eq!(place.edit("v1", &config(back)).unwrap().descriptor.digest, original);
    let all = [
        Setting::Env,
        Setting::Labels,
        Setting::Healthcheck,
        Setting::Cmd,
        Setting::Volumes,
        Setting::ExposedPorts,
    ];
    place.edit("v1", &config(ConfigEdit { clear: BTreeSet::from(all), ..ConfigEdit::default() })).unwrap();
    let left = ImageConfig::parse(place.config("v1").as_bytes()).unwrap();
    assert!(left.config.is_none() && left.extra.contains_key("mood"));
}

#[test]
fn a_file_of_config_says_only_what_it_says() {
    let place = place();
    let file = br#"{"config":{"Cmd":["f"],"Env":["X=1"],"Shell":["/s"]},"new":1,"author":"f"}"#.to_vec();
    place.edit("v1", &config(ConfigEdit { file: Some(file), ..ConfigEdit::default() })).unwrap();
    let said = ImageConfig::parse(place.config("v1").as_bytes()).unwrap();
    let run = said.config.unwrap();
    assert_eq!((run.cmd, run.env, run.labels.len()), (Some(texts(&["f"])), texts(&["X=1"]), 2));
    assert!(run.extra.contains_key("Healthcheck") && run.extra.contains_key("Shell"));
    assert!(said.extra.contains_key("new") && said.extra.contains_key("mood"));
}

#[test]
fn a_platform_is_changed_in_the_config_and_in_the_index() {
    let place = Place::new();
    fixtures::multi_platform(&place.layout, "multi", 1);
    let edit = Edit {
        platforms: vec!["linux/arm64".parse().unwrap()],
        config: ConfigEdit {
            platform: Some(Platform::parse("linux/arm64/v9").unwrap()),
            ..ConfigEdit::default()
        },
        ..Edit::default()
    };
    let edited = place.edit("multi", &edit).unwrap();
    let index = place.document("multi").as_index().unwrap().clone();
    assert_eq!(platforms(&index.manifests), ["linux/amd64", "linux/arm64/v9"]);
    assert_eq!(edited.documents.iter().filter(|(old, new)| old != new).count(), 2);
    let missing = place.edit("multi", &edit).unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound, "{missing}: exactly that one");
}

#[test]
fn an_index_is_built_anew_around_its_images() {
    let place = Place::new();
    fixtures::nested(&place.layout, "nested", 1);
    let edit =
        Edit { index_annotations: annotate("k", "index"), annotations: annotate("k", "image"), ..user() };
    let edited = place.edit("nested", &edit).unwrap();
    place.closure(&edited.descriptor);
    let outer = place.document("nested");
    assert_eq!(outer.annotations()["k"], "index");
    for inner in outer.children() {
        let inner = place.layout.read_document(inner).unwrap();
        assert!(inner.annotations().is_empty());
        for image in inner.children() {
            let image = place.layout.read_document(image).unwrap();
            assert_eq!(image.annotations()["k"], "image");
        }
    }
    assert_eq!(edited.documents.len(), 7);
    assert_eq!(place.edit("nested", &edit).unwrap().descriptor.digest, edited.descriptor.digest);
}

#[test]
fn img_83_attestations_of_changed_images_are_left_out_or_kept_on_request() {
    for keep_attestations in [false, true] {
        let place = Place::new();
        fixtures::multi_platform(&place.layout, "plain", 1);
        place.attest("plain", "multi");
        let edit = Edit { platforms: vec!["linux/amd64".parse().unwrap()], keep_attestations, ..user() };
        let edited = place.edit("multi", &edit).unwrap();
        let members = place.document("multi").as_index().unwrap().manifests.clone();
        if keep_attestations {
            assert_eq!((members.len(), edited.warnings), (4, vec![]));
            assert_eq!(members[2].annotations["vnd.docker.reference.digest"], members[0].digest.to_string());
        } else {
            assert_eq!((members.len(), edited.warnings), (3, vec![Warning::AttestationsDropped(1)]));
            let about = &members[2].annotations["vnd.docker.reference.digest"];
            assert_eq!(*about, members[1].digest.to_string(), "that of the other image stays");
        }
    }
}

#[test]
fn img_157_media_types_go_to_docker_and_back() {
    let place = Place::new();
    let original = fixtures::multi_platform(&place.layout, "v1", 1);
    let to = |dialect| Edit { convert: Some(dialect), ..Edit::default() };
    let docker = place.edit("v1", &to(Dialect::Docker)).unwrap();
    assert_eq!(docker.descriptor.media_type, MediaType::DOCKER_LIST);
    let image = place.document("v1").children()[0].clone();
    assert_eq!(image.media_type, MediaType::DOCKER_MANIFEST);
    let manifest = place.layout.read_document(&image).unwrap().as_manifest().unwrap().clone();
    assert_eq!(manifest.config.media_type, MediaType::DOCKER_CONFIG);
    assert!(manifest.layers.iter().all(|layer| layer.media_type == MediaType::DOCKER_LAYER_TAR));
    assert_eq!(place.edit("v1", &to(Dialect::Oci)).unwrap().descriptor.digest, *original.digest());
    let annotated = Edit { annotations: annotate("a", "b"), ..to(Dialect::Docker) };
    let error = place.edit("v1", &annotated).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    let session = place.layout.begin().unwrap();
    let mut manifest =
        place.layout.read_document(&original.children()[0].clone()).unwrap().as_manifest().unwrap().clone();
    manifest.layers[0].media_type = MediaType::OCI_LAYER_ZSTD;
    let zstd = session.put_document(&manifest.to_document().unwrap()).unwrap();
    session.commit(|index| index.set(&name("zstd"), &zstd)).unwrap();
    let error = place.edit("zstd", &to(Dialect::Docker)).unwrap_err();
    assert!(error.kind() == Kind::Unsupported && error.to_string().contains("--recompress gzip"), "{error}");
}

#[test]
fn annotations_are_set_taken_away_and_cleared() {
    let place = place();
    let original = place.resolve("v1").digest;
    let with = |annotations| Edit { annotations, ..Edit::default() };
    place.edit("v1", &with(annotate("b", "1"))).unwrap();
    place.edit("v1", &with(annotate("a", "2"))).unwrap();
    assert!(
        std::str::from_utf8(place.document("v1").bytes())
            .unwrap()
            .ends_with(r#""annotations":{"b":"1","a":"2"}}"#)
    );
    let remove = AnnotationChanges {
        remove: BTreeSet::from(["b".to_owned(), "c".to_owned()]),
        ..AnnotationChanges::default()
    };
    place.edit("v1", &with(remove)).unwrap();
    assert_eq!(place.document("v1").annotations().len(), 1);
    let clear = AnnotationChanges { clear: true, ..AnnotationChanges::default() };
    assert_eq!(place.edit("v1", &with(clear.clone())).unwrap().descriptor.digest, original);
    let anew = AnnotationChanges { clear: true, ..annotate("x", "y") };
    place.edit("v1", &with(anew)).unwrap();
    assert_eq!(place.document("v1").annotations().len(), 1);
}

#[test]
fn values_that_make_no_sense_are_refused_before_anything_is_read() {
    let place = place();
    let before = place.resolve("v1");
    let refused = [
        config(ConfigEdit { created: Some("yesterday".to_owned()), ..ConfigEdit::default() }),
        config(ConfigEdit { healthcheck: Some("[]".to_owned()), ..ConfigEdit::default() }),
        config(ConfigEdit { healthcheck: Some(r#"{"Test":3}"#.to_owned()), ..ConfigEdit::default() }),
        config(ConfigEdit { history: texts(&["x"]), ..ConfigEdit::default() }),
        config(ConfigEdit { history: texts(&[r#"{"created":3}"#]), ..ConfigEdit::default() }),
        config(ConfigEdit {
            changes: ConfigChanges { env: texts(&["X"]), ..ConfigChanges::default() },
            ..ConfigEdit::default()
        }),
        Edit { annotations: annotate("org.opencontainers.image.created", "x"), ..Edit::default() },
    ];
    for edit in refused {
        let error = place.edit("v1", &edit).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
    }
    let file = config(ConfigEdit { file: Some(b"[".to_vec()), ..ConfigEdit::default() });
    assert_eq!(place.edit("v1", &file).unwrap_err().kind(), Kind::Invalid);
    assert_eq!(place.resolve("v1"), before);
}

#[test]
fn what_is_no_image_or_contradicts_itself_is_refused() {
    let place = place();
    fixtures::artifact(&place.layout, "thing", 1);
    let mut manifest = place.manifest("v1");
    manifest.layers.clear();
    place.put("short", std::str::from_utf8(manifest.to_document().unwrap().bytes()).unwrap());
    for (tag, words) in [("thing", "an artifact of type"), ("short", "has 1 diff IDs for 0 layers")] {
        let error = place.edit(tag, &user()).unwrap_err();
        assert!(error.kind() == Kind::Invalid && error.to_string().contains(words), "{error}");
    }
    let wrong = Edit { index_annotations: annotate("a", "b"), ..Edit::default() };
    assert_eq!(place.edit("v1", &wrong).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn an_image_goes_elsewhere_and_the_old_one_stays() {
    let (from, to) = (place(), Place::new());
    let before = from.resolve("v1");
    let edited =
        edit_image(&to.layout, Some(&name("new")), &from.member("v1", Take::Itself), &user()).unwrap();
    assert_eq!(from.resolve("v1"), before);
    to.closure(&edited.descriptor);
    assert_eq!(to.resolve("new").digest, from.edit("v1", &user()).unwrap().descriptor.digest);
}

#[test]
fn a_sparse_image_can_be_changed_where_it_is() {
    let place = place();
    let layer = place.manifest("v1").layers[0].digest.to_string().replace(':', "/");
    std::fs::remove_file(place.layout.path().join("blobs").join(layer)).unwrap();
    assert_eq!(place.edit("v1", &user()).unwrap().warnings, [Warning::BlobsAbsent(1)]);
    let to = Place::new();
    let image = place.member("v1", Take::Itself);
    let error = edit_image(&to.layout, None, &image, &user()).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    let sparse = Edit { sparse: true, ..user() };
    assert_eq!(edit_image(&to.layout, None, &image, &sparse).unwrap().warnings, [Warning::BlobsAbsent(1)]);
}
