//! What we write, as the types of the crate `oci-spec` read it: a second opinion on every document.

use std::collections::BTreeMap;
use std::fs;

use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest, OciLayout};
use transship_layout::{Layout, Name};
use transship_pack::{
    ArtifactOptions, Base, ConfigChanges, File, Files, ImageOptions, pack_files, pack_image,
};
use transship_spec::{Descriptor, ImageConfig, Platform};
use transship_testkit::fixtures;

use crate::trees::{content, manifest};

fn sorted<V: Clone>(map: &std::collections::HashMap<String, V>) -> BTreeMap<String, V> {
    map.clone().into_iter().collect()
}

/// Theirs as ours, by the conversions of the feature `oci-spec`.
fn ours(theirs: &[oci_spec::image::Descriptor]) -> Vec<Descriptor> {
    theirs.iter().map(|descriptor| descriptor.try_into().unwrap()).collect()
}

/// An image upon one of the kit's, and an artifact that refers to it.
fn packed(folder: &std::path::Path) -> Layout {
    let layout = Layout::options().create(folder.join("layout")).unwrap();
    fixtures::image(&layout, "base", 1);
    let tree = folder.join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("app"), "#!/bin/sh").unwrap();
    let words = |words: &[&str]| words.iter().copied().map(str::to_owned).collect::<Vec<_>>();
    let options = ImageOptions {
        platform: Some(Platform::new("linux", "amd64")),
        base: Some(Base::new(&layout, &layout.resolve(Some("base")).unwrap())),
        changes: ConfigChanges {
            entrypoint: Some(words(&["/app"])),
            cmd: Some(words(&["--all"])),
            env: words(&["A=1"]),
            working_dir: Some("/w".to_owned()),
            user: Some("1:1".to_owned()),
            exposed_ports: words(&["80", "53/udp"]),
            volumes: words(&["/data"]),
            labels: words(&["k=v"]),
            stop_signal: Some("SIGTERM".to_owned()),
        },
        annotations: [("com.example.k".to_owned(), "v".to_owned())].into(),
        author: Some("me".to_owned()),
        ..ImageOptions::default()
    };
    let image = pack_image(&layout, Some(&Name::short("v1").unwrap()), &[&tree], &options).unwrap();
    let file =
        File { title: "app".to_owned(), path: tree.join("app"), media_type: Some("a/b".parse().unwrap()) };
    let artifact = ArtifactOptions {
        artifact_type: Some("x/y".parse().unwrap()),
        subject: Some(image.descriptor),
        created: Some("2024-02-29T12:00:00Z".to_owned()),
        ..ArtifactOptions::default()
    };
    let files = Files { files: vec![file], artifact, ..Files::default() };
    pack_files(&layout, Some(&Name::short("art").unwrap()), &files).unwrap();
    layout
}

#[test]
fn oci_spec_reads_the_same_facts_from_index_and_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let layout = packed(folder.path());
    let marker = OciLayout::from_file(layout.path().join("oci-layout")).unwrap();
    assert_eq!(marker.image_layout_version(), "1.0.0");
    let index = ImageIndex::from_file(layout.path().join("index.json")).unwrap();
    let entries: Vec<_> = layout.entries().unwrap().into_iter().map(|entry| entry.descriptor).collect();
    assert_eq!((ours(index.manifests()), index.schema_version()), (entries.clone(), 2));
    assert_eq!(index.media_type(), &Some(oci_spec::image::MediaType::ImageIndex));

    for (name, artifact_type) in [("v1", None), ("art", Some("x/y"))] {
        let descriptor = layout.resolve(Some(name)).unwrap().descriptor;
        let theirs = ImageManifest::from_reader(&content(&layout, &descriptor)[..]).unwrap();
        let mine = manifest(&layout, name);
        assert_eq!(theirs.schema_version(), 2);
        assert_eq!(theirs.media_type(), &Some(oci_spec::image::MediaType::ImageManifest));
        assert_eq!(theirs.artifact_type().as_ref().map(AsRef::as_ref), artifact_type);
        assert_eq!(ours(std::slice::from_ref(theirs.config())), [mine.config]);
        assert_eq!(ours(theirs.layers()), mine.layers);
        let subject = theirs.subject().iter().map(|subject| subject.try_into().unwrap());
        assert_eq!(subject.collect::<Vec<Descriptor>>(), mine.subject.into_iter().collect::<Vec<_>>());
        assert_eq!(theirs.annotations().as_ref().map(sorted).unwrap_or_default(), mine.annotations);
    }
}

#[test]
fn oci_spec_reads_the_same_facts_from_a_config() {
    let folder = tempfile::tempdir().unwrap();
    let layout = packed(folder.path());
    let bytes = content(&layout, &manifest(&layout, "v1").config);
    let (theirs, mine) =
        (ImageConfiguration::from_reader(&bytes[..]).unwrap(), ImageConfig::parse(&bytes).unwrap());
    assert_eq!((theirs.created(), theirs.author()), (&mine.created, &mine.author));
    let platform = (theirs.os().to_string(), theirs.architecture().to_string(), theirs.variant().clone());
    assert_eq!(platform, (mine.platform.os, mine.platform.architecture, mine.platform.variant));
    let diff_ids: Vec<String> = mine.diff_ids.iter().map(ToString::to_string).collect();
    assert_eq!((theirs.rootfs().typ(), theirs.rootfs().diff_ids()), (&"layers".to_owned(), &diff_ids));
    let entries = theirs.history().as_deref().unwrap_or_default();
    assert_eq!(entries.len(), mine.history.len());
    for (theirs, mine) in entries.iter().zip(&mine.history) {
        assert_eq!((theirs.created(), theirs.created_by()), (&mine.created, &mine.created_by));
        assert_eq!((theirs.author(), theirs.comment()), (&mine.author, &mine.comment));
        assert_eq!(theirs.empty_layer().unwrap_or_default(), mine.empty_layer);
    }
    let (theirs, mine) = (theirs.config().clone().unwrap(), mine.config.unwrap());
    assert_eq!((theirs.user(), theirs.working_dir()), (&mine.user, &mine.working_dir));
    assert_eq!((theirs.entrypoint(), theirs.cmd()), (&mine.entrypoint, &mine.cmd));
    assert_eq!((theirs.env(), theirs.stop_signal()), (&Some(mine.env), &mine.stop_signal));
    let sorted_list = |list: &Option<Vec<String>>| {
        let mut list = list.clone().unwrap_or_default();
        list.sort();
        list
    };
    assert_eq!(sorted_list(theirs.exposed_ports()), mine.exposed_ports);
    assert_eq!(sorted_list(theirs.volumes()), mine.volumes);
    assert_eq!(theirs.labels().as_ref().map(sorted).unwrap_or_default(), mine.labels);
}
