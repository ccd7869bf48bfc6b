//! Files become artifacts, in the forms of IMG-68 and of ORAS.

use std::fs;
use std::path::{Path, PathBuf};

use transship_layout::{Layout, Name};
use transship_pack::{
    Artifact, ArtifactConfig, ArtifactOptions, Error, File, Files, ImageOptions, Warning, pack_files,
    pack_image,
};
use transship_spec::{Annotations, Descriptor, Digest, Kind, MediaType};

use crate::trees::{chmod, content, listed, manifest, snapshot};

const EMPTY: &str = "{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\
                     \"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,\"data\":\"e30=\"}";

struct Place {
    folder: tempfile::TempDir,
    layout: Layout,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::options().create(folder.path().join("layout")).unwrap();
        Self { folder, layout }
    }

    fn file(&self, title: &str, content: &str, media_type: Option<&str>) -> File {
        let path = self.folder.path().join("files").join(title);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        chmod(&path, 0o644);
        let media_type = media_type.map(|kind| kind.parse().unwrap());
        File { title: title.to_owned(), path, media_type }
    }

    fn pack(&self, files: Vec<File>, artifact: ArtifactOptions) -> Result<Artifact, Error> {
        let name = Name::short("v1").unwrap();
        pack_files(&self.layout, Some(&name), &Files { files, artifact, ..Files::default() })
    }

    /// The manifest of `v1` as text.
    fn text(&self) -> String {
        let entry = self.layout.resolve(Some("v1")).unwrap();
        String::from_utf8(content(&self.layout, &entry.descriptor)).unwrap()
    }
}

fn kind(text: &str) -> Option<MediaType> {
    Some(text.parse().unwrap())
}

/// What a layer says, as text.
fn layer(media_type: &str, content: &str, title: &str) -> String {
    format!(
        "{{\"mediaType\":\"{media_type}\",\"digest\":\"{}\",\"size\":{},\"annotations\":\
         {{\"org.opencontainers.image.title\":\"{title}\"}}}}",
        Digest::sha256(content.as_bytes()),
        content.len()
    )
}

fn expected(artifact_type: &str, config: &str, layers: &str) -> String {
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"{artifact_type},\
         \"config\":{config},\"layers\":[{layers}]}}"
    )
}

#[test]
fn img_68_1_an_artifact_without_files_is_what_its_manifest_says() {
    let place = Place::new();
    let options =
        ArtifactOptions { artifact_type: kind("application/vnd.example+type"), ..ArtifactOptions::default() };
    let artifact = place.pack(vec![], options).unwrap();
    assert_eq!(place.text(), expected(",\"artifactType\":\"application/vnd.example+type\"", EMPTY, EMPTY));
    assert_eq!(content(&place.layout, &Descriptor::empty()), b"{}", "registries want the blob");
    assert_eq!(artifact.descriptor.artifact_type, kind("application/vnd.example+type"));
}

#[test]
fn img_68_2_files_without_a_config_have_the_empty_one() {
    let place = Place::new();
    let files = vec![place.file("b.md", "# B", Some("text/markdown")), place.file("docs/a.txt", "A", None)];
    place.pack(files, ArtifactOptions::default()).unwrap();
    let layers = [
        layer("text/markdown", "# B", "b.md"),
        layer("application/vnd.oci.image.layer.v1.tar", "A", "docs/a.txt"),
    ];
    let unknown = ",\"artifactType\":\"application/vnd.unknown.artifact.v1\"";
    assert_eq!(place.text(), expected(unknown, EMPTY, &layers.join(",")));
}

#[test]
fn img_68_3_files_with_a_config_need_no_other_type() {
    let place = Place::new();
    let path = place.file("config.json", "{\"a\":1}", None).path;
    let config = ArtifactConfig { path, media_type: kind("application/vnd.example.config.v1+json") };
    let options = ArtifactOptions { config: Some(config), ..ArtifactOptions::default() };
    let artifact = place.pack(vec![place.file("x", "X", Some("a/b"))], options).unwrap();
    let config = format!(
        "{{\"mediaType\":\"application/vnd.example.config.v1+json\",\"digest\":\"{}\",\"size\":7}}",
        Digest::sha256(b"{\"a\":1}")
    );
    assert_eq!(place.text(), expected("", &config, &layer("a/b", "X", "x")));
    let entry = place.layout.resolve(Some("v1")).unwrap();
    assert_eq!(
        entry.descriptor.artifact_type,
        kind("application/vnd.example.config.v1+json"),
        "IMG-38, IMG-69"
    );
    assert_eq!(artifact.warnings, []);
}

#[test]
fn img_60_65_66_configs_of_special_types() {
    let place = Place::new();
    let path = place.file("config", "{}", None).path;
    let with = |media_type: Option<MediaType>| ArtifactOptions {
        config: Some(ArtifactConfig { path: path.clone(), media_type }),
        ..ArtifactOptions::default()
    };
    place.pack(vec![], with(Some(MediaType::OCI_EMPTY))).unwrap();
    assert!(place.text().contains("artifactType"), "the empty type says nothing of what the artifact is");
    place.pack(vec![], with(None)).unwrap();
    assert!(
        place.text().contains("application/vnd.unknown.config.v1+json")
            && !place.text().contains("artifactType")
    );
    let artifact = place.pack(vec![], with(Some(MediaType::OCI_CONFIG))).unwrap();
    assert_eq!(artifact.warnings, [Warning::ImageConfigType]);
}

#[test]
fn oras_a_folder_is_a_tar_in_gzip_that_says_so() {
    let place = Place::new();
    let folder = place.folder.path().join("d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("one"), "1").unwrap();
    fs::hard_link(folder.join("one"), folder.join("two")).unwrap();
    let file = |title: &str| File { title: title.to_owned(), path: folder.clone(), media_type: None };
    let artifact = place.pack(vec![file("out/d"), file(".")], ArtifactOptions::default()).unwrap();
    for (layer, names) in
        artifact.layers.iter().zip([&["out/d/", "out/d/one", "out/d/two"][..], &["one", "two"][..]])
    {
        assert_eq!(layer.media_type, MediaType::OCI_LAYER_GZIP);
        assert_eq!(layer.annotations["io.deis.oras.content.unpack"], "true");
        let stored = content(&place.layout, layer);
        let limits = transship_codec::Limits::default();
        let mut plain = Vec::new();
        let mut decoder = transship_codec::Decoder::sniff(&stored[..], limits).unwrap();
        std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
        assert_eq!(layer.annotations["io.deis.oras.content.digest"], Digest::sha256(&plain).to_string());
        assert_eq!(listed(&plain), names);
        let mut archive = tar::Archive::new(&plain[..]);
        let links = archive
            .entries()
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().header().entry_type().is_hard_link());
        assert_eq!(links.count(), 0, "ORAS writes none");
    }
}

#[test]
fn two_files_of_one_title_are_refused_before_anything_is_read() {
    let place = Place::new();
    let before = snapshot(place.layout.path());
    let missing =
        |title: &str| File { title: title.to_owned(), path: PathBuf::from("/missing"), media_type: None };
    let error =
        place.pack(vec![missing("a"), missing("b"), missing("a")], ArtifactOptions::default()).unwrap_err();
    assert!(matches!(&error, Error::Title(title) if title == "a"));
    assert_eq!(error.kind(), Kind::Usage);
    let error = place.pack(vec![missing("../a")], ArtifactOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Option { .. }));
    let error = place.pack(vec![missing("a")], ArtifactOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(snapshot(place.layout.path()), before);
}

#[test]
fn an_empty_file_is_stored_with_a_warning() {
    let place = Place::new();
    let artifact = place.pack(vec![place.file("e", "", None)], ArtifactOptions::default()).unwrap();
    assert_eq!(artifact.warnings, [Warning::EmptyFile("e".to_owned())]);
    assert_eq!(artifact.layers[0].size, 0);
    assert_eq!(content(&place.layout, &artifact.layers[0]), b"");
}

#[test]
fn a_file_that_is_neither_file_nor_folder_is_refused() {
    let place = Place::new();
    let file = File { title: "n".to_owned(), path: Path::new("/dev/null").to_owned(), media_type: None };
    let error = place.pack(vec![file], ArtifactOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Input(_)), "{error}");
}

#[test]
fn when_it_was_made_is_said_only_when_it_is_known() {
    let place = Place::new();
    let created = |options: ArtifactOptions| {
        place.pack(vec![], options).unwrap();
        manifest(&place.layout, "v1").annotations.get("org.opencontainers.image.created").cloned()
    };
    let options = ArtifactOptions::default;
    assert_eq!(created(options()), None);
    let epoch = Some(1_700_000_000);
    assert_eq!(
        created(ArtifactOptions { source_date_epoch: epoch, ..options() }).as_deref(),
        Some("2023-11-14T22:13:20Z")
    );
    let asked = Some("2024-01-01T00:00:00Z".to_owned());
    assert_eq!(
        created(ArtifactOptions { source_date_epoch: epoch, created: asked.clone(), ..options() }),
        asked
    );
    let annotations = Annotations::from([(
        "org.opencontainers.image.created".to_owned(),
        "2001-02-03T04:05:06+01:00".to_owned(),
    )]);
    assert_eq!(
        created(ArtifactOptions { annotations, source_date_epoch: epoch, ..options() }).as_deref(),
        Some("2001-02-03T04:05:06+01:00"),
        "as ORAS has it"
    );
}

#[test]
fn a_referrer_without_a_name_is_listed_with_type_and_annotations() {
    let place = Place::new();
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"not here");
    let artifact = ArtifactOptions {
        artifact_type: kind("application/spdx+json"),
        subject: Some(subject.clone()),
        annotations: Annotations::from([("k".to_owned(), "v".to_owned())]),
        ..ArtifactOptions::default()
    };
    let files = Files { files: vec![place.file("s", "S", None)], artifact, ..Files::default() };
    pack_files(&place.layout, None, &files).unwrap();
    pack_files(&place.layout, None, &files).unwrap();
    let entries = place.layout.entries().unwrap();
    assert_eq!(entries.len(), 1, "the same referrer is listed once");
    let entry = &entries[0].descriptor;
    assert_eq!((entries[0].name(), &entry.artifact_type), (None, &kind("application/spdx+json")));
    assert_eq!(entry.annotations["k"], "v");
    assert_eq!(place.layout.read_document(entry).unwrap().subject(), Some(&subject));
}

#[test]
fn img_169_a_time_that_is_none_is_refused_also_in_an_annotation() {
    let place = Place::new();
    let key = "org.opencontainers.image.created";
    for (time, good) in [("2024-02-29T12:00:00+02:00", true), ("yesterday", false), ("", false)] {
        let annotations = Annotations::from([(key.to_owned(), time.to_owned())]);
        let artifact = ArtifactOptions { annotations: annotations.clone(), ..ArtifactOptions::default() };
        let files = vec![place.file("a", "A", None)];
        match place.pack(files, artifact) {
            Ok(_) => assert!(good && place.text().contains(time), "{time}"),
            Err(error) => assert!(!good && error.kind() == Kind::Usage, "{time}: {error}"),
        }
        let options = ImageOptions { annotations, ..ImageOptions::default() };
        let image = pack_image(&place.layout, None, &[place.folder.path().join("files")], &options);
        assert_eq!(image.is_ok(), good, "{time}");
    }
}

#[test]
fn law_8_a_referrer_is_the_same_whatever_the_list_says_that_its_subject_was_found_in() {
    let place = Place::new();
    let bare = Descriptor::of(MediaType::OCI_MANIFEST, b"not here");
    let listed = Descriptor {
        platform: Some(transship_spec::Platform::new("linux", "amd64")),
        annotations: Annotations::from([("org.opencontainers.image.ref.name".to_owned(), "v1".to_owned())]),
        artifact_type: kind("a/b"),
        ..bare.clone()
    };
    let mut digests = Vec::new();
    for subject in [bare, listed] {
        let artifact = ArtifactOptions {
            artifact_type: kind("application/spdx+json"),
            subject: Some(subject),
            ..ArtifactOptions::default()
        };
        digests.push(place.pack(vec![place.file("s", "S", None)], artifact).unwrap().descriptor.digest);
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn law_8_the_same_files_are_the_same_layout() {
    let mut snapshots = Vec::new();
    for _ in 0..2 {
        let place = Place::new();
        let out = place.folder.path().join("new");
        let layout = Layout::options().build(&out).unwrap();
        let files = vec![place.file("a", "A", None), place.file("d/b", "B", None)];
        let files = Files { files, ..Files::default() };
        pack_files(&layout, Some(&Name::short("v1").unwrap()), &files).unwrap();
        layout.finish().unwrap();
        snapshots.push(snapshot(&out));
    }
    assert_eq!(snapshots[0], snapshots[1]);
}
