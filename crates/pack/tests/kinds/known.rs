//! Kinds that are known and not packed.

use transship_pack::kinds::{Facts, Held, Kinds, Sight};
use transship_spec::{Annotations, Descriptor, Document, Manifest, MediaType};

use crate::support::{Place, fact};

struct Artifact<'a> {
    place: &'a Place,
    manifest: Manifest,
}

impl<'a> Artifact<'a> {
    fn new(place: &'a Place, config: (&str, &str)) -> Self {
        let mut made = Self { place, manifest: Manifest::new(Descriptor::empty(), Vec::new()) };
        made.manifest.config = made.store(config.0, config.1);
        made
    }

    fn store(&self, media_type: &str, content: &str) -> Descriptor {
        let session = self.place.layout.begin().unwrap();
        let stored = session.put_bytes(MediaType::parse(media_type).unwrap(), content.as_bytes()).unwrap();
        session.commit(|_| Ok(())).unwrap();
        stored
    }

    fn layer(mut self, media_type: &str, content: &str, annotation: Option<(&str, &str)>) -> Self {
        let annotations = annotation.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let annotations: Annotations = annotations.into_iter().collect();
        let stored = self.store(media_type, content);
        self.manifest.layers.push(Descriptor { annotations, ..stored });
        self
    }

    fn seen(&self) -> (String, Result<Facts, String>, Vec<String>) {
        let document: Document = self.manifest.to_document().unwrap();
        let held = Held::new(Sight::of(&document), &self.place.layout);
        let kinds = Kinds::built_in();
        let kind = kinds.of(&held).unwrap();
        let files = kind.files(&held).unwrap().into_iter().map(|file| file.path).collect();
        (kind.name().to_owned(), kind.describe(&held).map_err(|error| error.to_string()), files)
    }
}

#[test]
fn a_module_of_timoni_tells_its_parts() {
    let place = Place::new();
    const CONTENT: &str = "application/vnd.timoni.content.v1.tar+gzip";
    let (kind, facts, files) = Artifact::new(&place, ("application/vnd.timoni.config.v1+json", "{}"))
        .layer(CONTENT, "vendored", Some(("sh.timoni.content.type", "cue.mod/gen")))
        .layer(CONTENT, "module", Some(("sh.timoni.content.type", "module")))
        .seen();
    let roles: Vec<String> = facts.unwrap().parts.into_iter().map(|part| part.role).collect();
    assert_eq!(
        (kind.as_str(), roles),
        ("timoni", vec!["config".to_owned(), "cue.mod/gen".to_owned(), "module".to_owned()])
    );
    assert_eq!(files, ["cue.mod-gen.tar.gz", "module.tar.gz"]);
    assert!(place.layout.entries().unwrap().is_empty());
}

#[test]
fn a_feature_of_development_containers_tells_its_metadata() {
    let place = Place::new();
    let title = Some(("org.opencontainers.image.title", "devcontainer-feature-go.tgz"));
    let mut feature = Artifact::new(&place, ("application/vnd.devcontainers", "{}")).layer(
        "application/vnd.devcontainers.layer.v1+tar",
        "tar",
        title,
    );
    let metadata = r#"{"id":"go","version":"1.3.2","name":"Go","options":{}}"#.to_owned();
    feature.manifest.annotations.insert("dev.containers.metadata".to_owned(), metadata);
    let (kind, facts, files) = feature.seen();
    let facts = facts.unwrap();
    assert_eq!((kind.as_str(), fact(&facts, "id")), ("devcontainer", ["go".to_owned()].as_slice()));
    assert_eq!((facts.title.as_deref(), facts.version.as_deref()), (Some("Go"), Some("1.3.2")));
    assert_eq!(files, ["devcontainer-feature-go.tgz"]);

    feature.manifest.annotations.insert("dev.containers.metadata".to_owned(), "{".to_owned());
    assert!(feature.seen().1.unwrap_err().contains("development containers"));
}

#[test]
fn a_model_tells_its_config_and_its_files_go_where_it_says() {
    let place = Place::new();
    let config = r#"{"descriptor":{"name":"tiny","version":"1.0","family":"t"},"modelfs":{"type":"layers","diffIds":[]},"config":{"format":"safetensors","paramSize":"8b"}}"#;
    let path = Some(("org.cncf.model.filepath", "weights/model.safetensors"));
    let mut model = Artifact::new(&place, ("application/vnd.cncf.model.config.v1+json", config))
        .layer("application/vnd.cncf.model.weight.v1.raw", "weights", path)
        .layer("application/vnd.cncf.model.doc.v1.raw", "read me", None);
    model.manifest.artifact_type =
        Some(MediaType::parse("application/vnd.cncf.model.manifest.v1+json").unwrap());
    let (kind, facts, files) = model.seen();
    let facts = facts.unwrap();
    assert_eq!((kind.as_str(), fact(&facts, "parameters")), ("model", ["8b".to_owned()].as_slice()));
    assert_eq!(
        (facts.title.as_deref(), fact(&facts, "format")),
        (Some("tiny"), ["safetensors".to_owned()].as_slice())
    );
    assert_eq!(files[0], "weights/model.safetensors");
    assert!(files[1].starts_with("sha256-"));
}

#[test]
fn a_file_of_hauler_is_known_by_its_config() {
    let place = Place::new();
    let title = Some(("org.opencontainers.image.title", "install.sh"));
    let (kind, _, files) =
        Artifact::new(&place, ("application/vnd.content.hauler.file.http.config.v1+json", "{}"))
            .layer("application/vnd.content.hauler.file.layer.v1", "#!/bin/sh", title)
            .seen();
    assert_eq!((kind.as_str(), files), ("hauler", vec!["install.sh".to_owned()]));
}
