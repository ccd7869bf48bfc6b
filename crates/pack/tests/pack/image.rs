//! Folders and tars become images, with or without a base.

use std::fs;
use std::path::{Path, PathBuf};

use transship_codec::Compression;
use transship_layout::{Layout, Name};
use transship_pack::{
    Base, ConfigChanges, Error, Image, ImageOptions, LayerOptions, TarOptions, UNKNOWN_TIME, Warning,
    host_platform, pack_image, write_tar,
};
use transship_spec::{Annotations, ImageConfig, Index, Kind, Manifest, MediaType, Platform};

use crate::trees::{content, make, manifest, nasty, snapshot};

/// The image of the nasty tree as a plain layer, by the default rules. It is frozen with the recipe of the tar.
const GOLDEN: &str = "sha256:c7837d95c5f0091c52d189620d0444476dc5a4fd9ab98296f7f2f830e303db4f";

fn name(text: &str) -> Name {
    Name::short(text).unwrap()
}

fn tree(at: &Path, file: &str) -> PathBuf {
    let tree = at.join(format!("tree-{file}"));
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join(file), file).unwrap();
    crate::trees::chmod(&tree.join(file), 0o644);
    tree
}

fn pack(layout: &Layout, tag: &str, inputs: &[PathBuf], options: &ImageOptions) -> Result<Image, Error> {
    pack_image(layout, Some(&name(tag)), inputs, options)
}

fn amd64() -> ImageOptions {
    ImageOptions { platform: Some(Platform::new("linux", "amd64")), ..ImageOptions::default() }
}

fn config(layout: &Layout, image: &Image) -> ImageConfig {
    ImageConfig::parse(&content(layout, &image.config)).unwrap()
}

fn upon(layout: &Layout, reference: &str) -> Base {
    Base::new(layout, &layout.resolve(Some(reference)).unwrap())
}

/// A folder with a base image `base` in a layout `from`, and an empty layout `to`.
struct Place {
    folder: tempfile::TempDir,
    from: Layout,
    to: Layout,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| Layout::options().create(folder.path().join(name)).unwrap();
        let (from, to) = (open("from"), open("to"));
        let changes = ConfigChanges {
            env: vec!["PATH=/bin".to_owned(), "A=1".to_owned()],
            cmd: Some(vec!["sh".to_owned()]),
            ..ConfigChanges::default()
        };
        let options = ImageOptions {
            changes,
            platform: Some("linux/arm64".parse().unwrap()),
            config_file: Some(
                br#"{"config":{"Healthcheck":{"Test":["NONE"]}},"moby.buildkit.x":1e2}"#.to_vec(),
            ),
            annotations: Annotations::from([("com.example.of".to_owned(), "base".to_owned())]),
            ..ImageOptions::default()
        };
        pack(&from, "base", &[tree(folder.path(), "base")], &options).unwrap();
        Self { folder, from, to }
    }

    fn tree(&self, file: &str) -> PathBuf {
        tree(self.folder.path(), file)
    }

    /// Puts the base image under another name, in the form that `change` gives its manifest.
    fn rewritten(&self, tag: &str, change: impl FnOnce(&mut Manifest)) {
        let mut manifest = manifest(&self.from, "base");
        change(&mut manifest);
        let session = self.from.begin().unwrap();
        let descriptor = session.put_document(&manifest.to_document().unwrap()).unwrap();
        session.commit(|index| index.set(&name(tag), &descriptor)).unwrap();
    }
}

#[test]
fn law_8_an_image_of_the_nasty_tree_is_frozen_to_the_last_byte() {
    let folder = tempfile::tempdir().unwrap();
    make(&folder.path().join("tree"), &nasty());
    let mut snapshots = Vec::new();
    for out in ["one", "two"] {
        let out = folder.path().join(out);
        let layout = Layout::options().build(&out).unwrap();
        let options = ImageOptions {
            changes: ConfigChanges { cmd: Some(vec!["/A".to_owned()]), ..ConfigChanges::default() },
            layer: LayerOptions { compression: Compression::None, ..LayerOptions::default() },
            ..amd64()
        };
        let image = pack(&layout, "v1", &[folder.path().join("tree")], &options).unwrap();
        layout.finish().unwrap();
        assert_eq!(image.descriptor.digest.to_string(), GOLDEN);
        snapshots.push(snapshot(&out));
    }
    assert_eq!(snapshots[0], snapshots[1], "twice the same folder, modes included");
    assert_eq!(snapshots[0].len(), 8, "and nothing in it but the standard names");
}

#[test]
fn every_input_is_a_layer_in_order_and_what_is_said_is_minimal() {
    let place = Place::new();
    let (one, two) = (place.tree("one"), place.folder.path().join("two.tar"));
    write_tar(&place.tree("two"), &TarOptions::default(), fs::File::create(&two).unwrap()).unwrap();
    let image = pack(&place.to, "v1", &[one, two, place.tree("one")], &amd64()).unwrap();
    assert_eq!(image.warnings, []);
    assert_eq!(image.layers[0].descriptor, image.layers[2].descriptor);
    assert!(image.layers[2].reused && !image.layers[1].reused);
    let ids: Vec<_> = image.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let made = format!("\"created\":\"{UNKNOWN_TIME}\"");
    let history = format!("{{{made},\"created_by\":\"transship pack image\"}}");
    assert_eq!(
        String::from_utf8(content(&place.to, &image.config)).unwrap(),
        format!(
            "{{{made},\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":\
             [\"{}\",\"{}\",\"{}\"]}},\"history\":[{history},{history},{history}]}}",
            ids[0], ids[1], ids[2]
        )
    );
    let manifest = manifest(&place.to, "v1");
    assert_eq!(manifest.media_type, MediaType::OCI_MANIFEST);
    assert_eq!(
        manifest.layers,
        image.layers.iter().map(|layer| layer.descriptor.clone()).collect::<Vec<_>>()
    );
    assert!(
        manifest.annotations.is_empty() && manifest.artifact_type.is_none() && manifest.subject.is_none()
    );
}

#[test]
fn img_39_the_index_tells_what_the_image_runs_on() {
    let place = Place::new();
    let image = pack(&place.to, "v1", &[place.tree("x")], &ImageOptions::default()).unwrap();
    assert_eq!(image.platform, host_platform());
    assert!(image.platform_assumed);
    let entry = place.to.resolve(Some("v1")).unwrap();
    assert_eq!(entry.descriptor.platform, Some(host_platform()));
    let options =
        ImageOptions { platform: Some("Linux/aarch64/v8".parse().unwrap()), ..ImageOptions::default() };
    let image = pack(&place.to, "v2", &[place.tree("x")], &options).unwrap();
    assert_eq!((image.platform.to_string().as_str(), image.platform_assumed), ("linux/arm64", false));
}

#[test]
fn an_image_without_a_name_is_listed_and_stays() {
    let place = Place::new();
    let image = pack_image(&place.to, None, &[place.tree("x")], &amd64()).unwrap();
    let entries = place.to.entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].name(), &entries[0].descriptor.digest), (None, &image.descriptor.digest));
}

#[test]
fn packing_again_writes_no_layer_twice() {
    let place = Place::new();
    let first = pack(&place.to, "v1", &[place.tree("x")], &amd64()).unwrap();
    let before = snapshot(place.to.path());
    let again = pack(&place.to, "v1", &[place.tree("x")], &amd64()).unwrap();
    assert!(!first.layers[0].reused && again.layers[0].reused);
    assert_eq!(again.descriptor, first.descriptor);
    assert_eq!(snapshot(place.to.path()), before);
}

#[test]
fn when_it_was_made_is_asked_for_or_the_epoch_or_1970() {
    let place = Place::new();
    for (created, epoch, said) in [
        (Some("2024-02-29T12:00:00+01:00"), Some(5), "2024-02-29T11:00:00Z"),
        (None, Some(1_700_000_000), "2023-11-14T22:13:20Z"),
        (None, None, UNKNOWN_TIME),
    ] {
        let created = created.map(str::to_owned);
        let options = ImageOptions { created, source_date_epoch: epoch, ..amd64() };
        let image = pack(&place.to, "v1", &[place.tree("x")], &options).unwrap();
        let config = config(&place.to, &image);
        assert_eq!(config.created.as_deref(), Some(said));
        assert_eq!(config.history[0].created.as_deref(), Some(said));
    }
}

#[test]
fn img_57_171_an_image_upon_a_base_has_the_bases_layers_first_and_says_so() {
    let place = Place::new();
    let base = Base { name: Some("registry.example/base:1".to_owned()), ..upon(&place.from, "base") };
    let options = ImageOptions {
        base: Some(base.clone()),
        changes: ConfigChanges { env: vec!["A=2".to_owned()], ..ConfigChanges::default() },
        author: Some("me".to_owned()),
        annotations: Annotations::from([("com.example.of".to_owned(), "ours".to_owned())]),
        ..ImageOptions::default()
    };
    let image = pack(&place.to, "v1", &[place.tree("x")], &options).unwrap();
    let (below, ours) = (manifest(&place.from, "base"), manifest(&place.to, "v1"));
    assert_eq!(ours.layers, [below.layers[0].clone(), image.layers[0].descriptor.clone()]);
    assert!(place.to.has(&below.layers[0]).unwrap());
    let annotation = |key: &str, value: String| (key.to_owned(), value);
    assert_eq!(
        ours.annotations,
        Annotations::from([
            annotation("com.example.of", "ours".to_owned()),
            annotation("org.opencontainers.image.base.digest", base.descriptor.digest.to_string()),
            annotation("org.opencontainers.image.base.name", "registry.example/base:1".to_owned()),
        ])
    );
    assert_eq!(image.platform.to_string(), "linux/arm64", "the base's");
    assert!(!image.platform_assumed);
    let config = config(&place.to, &image);
    assert_eq!((config.diff_ids.len(), config.history.len()), (2, 2));
    assert_eq!((config.author.as_deref(), config.history[1].author.as_deref()), (Some("me"), Some("me")));
    assert_eq!(config.extra["moby.buildkit.x"].get(), "1e2", "what we do not know is kept");
    let run = config.config.unwrap();
    assert_eq!(run.env, ["PATH=/bin", "A=2"]);
    assert!(run.extra.contains_key("Healthcheck"));
    assert_eq!(run.cmd, Some(vec!["sh".to_owned()]));
}

#[test]
fn a_base_in_the_same_layout_needs_no_copy() {
    let place = Place::new();
    let blobs = |layout: &Layout| layout.blobs().unwrap().count();
    let before = blobs(&place.from);
    let options = ImageOptions { base: Some(upon(&place.from, "base")), ..ImageOptions::default() };
    pack(&place.from, "v1", &[place.tree("x")], &options).unwrap();
    assert_eq!(blobs(&place.from), before + 3, "a layer, a config and a manifest");
}

#[test]
fn img_98_a_base_alone_can_be_given_another_config() {
    let place = Place::new();
    let changes = ConfigChanges { entrypoint: Some(vec!["/init".to_owned()]), ..ConfigChanges::default() };
    let options = ImageOptions { base: Some(upon(&place.from, "base")), changes, ..ImageOptions::default() };
    let image = pack(&place.to, "v1", &[], &options).unwrap();
    let config = config(&place.to, &image);
    assert_eq!((config.diff_ids.len(), config.history.len()), (1, 2));
    assert!(config.history[1].empty_layer);
    assert_eq!(config.config.unwrap().cmd, None, "they were the arguments of another program");
}

#[test]
fn img_157_a_base_of_dockers_types_becomes_an_image_of_the_oci_with_the_same_layers() {
    let place = Place::new();
    place.rewritten("docker", |manifest| {
        manifest.media_type = MediaType::DOCKER_MANIFEST;
        manifest.config.media_type = MediaType::DOCKER_CONFIG;
        manifest.layers[0].media_type = MediaType::DOCKER_LAYER_GZIP;
        manifest.annotations.clear();
    });
    let options = ImageOptions {
        base: Some(upon(&place.from, "docker")),
        layer: LayerOptions { compression: Compression::Zstd, ..LayerOptions::default() },
        ..ImageOptions::default()
    };
    pack(&place.to, "v1", &[place.tree("x")], &options).unwrap();
    let ours = manifest(&place.to, "v1");
    assert_eq!(
        (&ours.media_type, &ours.config.media_type),
        (&MediaType::OCI_MANIFEST, &MediaType::OCI_CONFIG)
    );
    let types: Vec<_> = ours.layers.iter().map(|layer| layer.media_type.clone()).collect();
    assert_eq!(types, [MediaType::OCI_LAYER_GZIP, MediaType::OCI_LAYER_ZSTD]);
    assert_eq!(ours.layers[0].digest, manifest(&place.from, "base").layers[0].digest);
}

#[test]
fn img_80_of_an_index_the_member_for_the_platform_wanted_is_the_base() {
    let place = Place::new();
    let mut members = Vec::new();
    for platform in ["linux/amd64", "linux/arm/v7"] {
        let options = ImageOptions { platform: Some(platform.parse().unwrap()), ..ImageOptions::default() };
        members.push(
            pack_image(&place.from, None, &[place.tree(&platform.replace('/', "-"))], &options).unwrap(),
        );
    }
    let index = Index::new(members.iter().map(|member| member.descriptor.clone()).collect());
    let session = place.from.begin().unwrap();
    let descriptor = session.put_document(&index.to_document().unwrap()).unwrap();
    session.commit(|entries| entries.set(&name("multi"), &descriptor)).unwrap();

    let wanting = |platform: &str| ImageOptions {
        base: Some(upon(&place.from, "multi")),
        platform: Some(platform.parse().unwrap()),
        ..ImageOptions::default()
    };
    pack(&place.to, "v1", &[place.tree("x")], &wanting("linux/arm/v7")).unwrap();
    let base = &manifest(&place.to, "v1").annotations["org.opencontainers.image.base.digest"];
    assert_eq!(*base, members[1].descriptor.digest.to_string(), "the member, not the index");
    let error = pack(&place.to, "v2", &[place.tree("x")], &wanting("windows/amd64")).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(error.to_string(), "the image is for linux/amd64, linux/arm/v7, not for windows/amd64");
}

#[test]
fn img_78_details_of_the_system_come_from_the_base_where_the_wish_says_nothing_of_them() {
    let place = Place::new();
    let windows: Platform = "windows(10.0.17763.1)/amd64".parse().unwrap();
    let windows = Platform { os_features: vec!["win32k".to_owned()], ..windows };
    let base = ImageOptions { platform: Some(windows.clone()), ..ImageOptions::default() };
    pack(&place.from, "windows", &[place.tree("w")], &base).unwrap();
    for wish in [None, Some("windows/amd64")] {
        let options = ImageOptions {
            base: Some(upon(&place.from, "windows")),
            platform: wish.map(|wish| wish.parse().unwrap()),
            ..ImageOptions::default()
        };
        let image = pack(&place.to, "v1", &[place.tree("x")], &options).unwrap();
        let said = config(&place.to, &image).platform;
        assert_eq!(said.os_features, windows.os_features, "{wish:?}");
        assert_eq!(said.os_version, windows.os_version, "{wish:?}");
        assert_eq!(image.descriptor.platform, Some(said), "{wish:?}");
    }
    let options = ImageOptions {
        config_file: Some(br#"{"os":"windows","os.version":"10.0.1.2"}"#.to_vec()),
        ..ImageOptions::default()
    };
    let image = pack(&place.to, "v2", &[place.tree("x")], &options).unwrap();
    assert_eq!(config(&place.to, &image).platform.os_version.as_deref(), Some("10.0.1.2"));
    assert!(image.platform_assumed, "its processor, at least");
}

#[test]
fn a_base_that_does_not_serve_is_refused_before_anything_is_written() {
    let place = Place::new();
    place.rewritten("artifact", |manifest| manifest.config.media_type = MediaType::OCI_EMPTY);
    place.rewritten("uneven", |manifest| manifest.layers.clear());
    let before = snapshot(place.to.path());
    for (reference, platform, kind) in [
        ("artifact", None, Kind::Invalid),
        ("uneven", None, Kind::Invalid),
        ("base", Some("linux/amd64"), Kind::NotFound),
    ] {
        let platform = platform.map(|platform| platform.parse().unwrap());
        let options =
            ImageOptions { base: Some(upon(&place.from, reference)), platform, ..ImageOptions::default() };
        let error = pack(&place.to, "v1", &[place.tree("x")], &options).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(snapshot(place.to.path()), before);
}

#[test]
fn img_10_absent_layers_of_a_base_are_an_error_unless_they_may_be_left_out() {
    let place = Place::new();
    let layer = manifest(&place.from, "base").layers[0].clone();
    let hex = layer.digest.encoded().into_owned();
    fs::remove_file(place.from.path().join("blobs/sha256").join(hex)).unwrap();
    let options = |sparse| ImageOptions {
        base: Some(Base { sparse, ..upon(&place.from, "base") }),
        ..ImageOptions::default()
    };
    let error = pack(&place.to, "v1", &[place.tree("x")], &options(false)).unwrap_err();
    assert!(error.to_string().contains(&layer.digest.to_string()), "{error}");
    assert!(place.to.entries().unwrap().is_empty());
    let image = pack(&place.to, "v1", &[place.tree("x")], &options(true)).unwrap();
    assert_eq!(image.warnings, [Warning::BaseLayersAbsent(1)]);
    assert_eq!(manifest(&place.to, "v1").layers.len(), 2);
}

#[test]
fn law_5_a_broken_layer_of_a_base_is_not_carried_on() {
    let place = Place::new();
    let layer = manifest(&place.from, "base").layers[0].clone();
    let path = place.from.path().join("blobs/sha256").join(&*layer.digest.encoded());
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let options = ImageOptions { base: Some(upon(&place.from, "base")), ..ImageOptions::default() };
    let error = pack(&place.to, "v1", &[place.tree("x")], &options).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(place.to.entries().unwrap().is_empty());
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_is_read() {
    let place = Place::new();
    let before = snapshot(place.to.path());
    let missing = [place.folder.path().join("missing")];
    let env = ConfigChanges { env: vec!["foo".to_owned()], ..ConfigChanges::default() };
    for options in [
        ImageOptions { created: Some("yesterday".to_owned()), ..amd64() },
        ImageOptions { changes: env, ..amd64() },
    ] {
        assert_eq!(pack(&place.to, "v1", &missing, &options).unwrap_err().kind(), Kind::Usage);
    }
    let options = ImageOptions { config_file: Some(b"[]".to_vec()), ..amd64() };
    assert_eq!(pack(&place.to, "v1", &missing, &options).unwrap_err().kind(), Kind::Invalid);
    assert!(matches!(pack(&place.to, "v1", &[], &amd64()), Err(Error::Nothing(_))), "IMG-56");
    assert_eq!(snapshot(place.to.path()), before);
}

#[test]
fn an_input_that_fails_leaves_the_index_as_it_was_and_a_new_layout_away() {
    let place = Place::new();
    let out = place.folder.path().join("new");
    let layout = Layout::options().build(&out).unwrap();
    let inputs = [place.tree("x"), place.folder.path().join("missing")];
    let error = pack(&layout, "v1", &inputs, &amd64()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    drop(layout);
    assert!(!out.exists());
    let names: Vec<_> =
        fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{names:?}");
}

#[test]
fn img_166_annotations_in_the_oci_s_name_that_it_does_not_define_are_warned_of() {
    let place = Place::new();
    let key = "org.opencontainers.image.mood".to_owned();
    let annotations = Annotations::from([(key.clone(), "good".to_owned())]);
    let options = ImageOptions { annotations, ..amd64() };
    let image = pack(&place.to, "v1", &[place.tree("x")], &options).unwrap();
    assert_eq!(image.warnings, [Warning::ReservedAnnotation(key)]);
}

#[test]
fn a_name_moves_to_the_new_image() {
    let place = Place::new();
    let one = pack(&place.to, "v1", &[place.tree("x")], &amd64()).unwrap();
    let two = pack(&place.to, "v1", &[place.tree("y")], &amd64()).unwrap();
    assert_ne!(one.descriptor.digest, two.descriptor.digest);
    let entries = place.to.entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].descriptor.digest, two.descriptor.digest);
}
