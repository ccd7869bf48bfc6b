//! Policies and data in the form of `conftest push`.

use std::path::PathBuf;

use transship_pack::File;
use transship_pack::kinds::Request;
use transship_spec::{Descriptor, Manifest, MediaType, annotations};

use crate::support::{Place, data, fact};

fn at(title: &str, path: PathBuf) -> File {
    File { title: title.to_owned(), path, media_type: None }
}

/// What conftest's rules make of real policies (see SOURCES.md); the digests are those of `sha256sum`.
#[test]
fn a_folder_of_policies_is_the_manifest_that_follows_from_the_rules_of_conftest() {
    let place = Place::new();
    let folder = data("opa").join("policy");
    let request = Request { inputs: vec![at("policy", folder)], ..Request::default() };
    let packed = place.pack("conftest", &request).unwrap();
    let manifest = std::fs::read_to_string(data("conftest").join("manifest.json")).unwrap();
    assert_eq!(String::from_utf8(place.blob(&packed.descriptor)).unwrap(), manifest.trim_end());
    let (kind, facts) = place.described(&packed.descriptor);
    assert_eq!((kind.as_str(), fact(&facts, "packages")), ("conftest", ["example".to_owned()].as_slice()));
    assert_eq!(
        (fact(&facts, "policies"), fact(&facts, "data files")),
        (["1".to_owned()].as_slice(), ["1".to_owned()].as_slice())
    );

    let out = place.folder.path().join("out");
    let paths = place.extracted(&packed.descriptor, &out).unwrap();
    assert_eq!(paths, ["policy/allowed_server.rego", "policy/data.json"]);
    let read = |path: PathBuf| std::fs::read(path).unwrap();
    assert_eq!(read(out.join("policy/data.json")), read(data("opa").join("policy/data.json")));
}

#[test]
fn policies_come_before_data_each_by_the_bytes_of_its_path_and_nothing_else_is_taken() {
    let place = Place::new();
    for (path, content) in [
        ("p/z.rego", "package z"),
        ("p/a/b.rego", "package b"),
        ("p/a-b.rego", "package c"),
        ("p/README.md", "no"),
        ("d/one.yaml", "x: 1"),
        ("d/a/two.JSON", "{}"),
    ] {
        place.write(path, content);
    }
    let folder = place.folder.path();
    let settings = [("data".to_owned(), vec![folder.join("d").to_str().unwrap().to_owned()])].into();
    let request = Request { inputs: vec![at(".", folder.join("p"))], settings, ..Request::default() };
    let packed = place.pack("conftest", &request).unwrap();
    let titles: Vec<&str> =
        packed.layers.iter().map(|layer| layer.annotations[annotations::TITLE].as_str()).collect();
    assert_eq!(titles, ["a-b.rego", "a/b.rego", "z.rego", "d/a/two.JSON", "d/one.yaml"]);
}

#[test]
fn what_conftest_would_not_load_is_refused_by_name() {
    let place = Place::new();
    for (path, content, words) in [
        ("none/README.md", "x", "no .rego file"),
        ("nameless/x.rego", "deny[msg] { true }", "package"),
        ("broken/x.rego", "package x", "broken/data.json"),
    ] {
        let written = place.write(path, content);
        if path.starts_with("broken") {
            place.write("broken/data.json", "{");
        }
        let request = Request::of([written.parent().unwrap()]).unwrap();
        let error = place.pack("conftest", &request).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    let linked = place.write("linked/x.rego", "package x");
    std::os::unix::fs::symlink("/etc/hostname", linked.with_file_name("data.json")).unwrap();
    let request = Request::of([linked.parent().unwrap()]).unwrap();
    assert!(place.pack("conftest", &request).unwrap_err().to_string().contains("data.json"));
    // One file by two ways.
    let one = place.write("one/x.rego", "package x");
    let request =
        Request { inputs: vec![at("x.rego", one.clone()), at("x.rego", one)], ..Request::default() };
    assert!(place.pack("conftest", &request).unwrap_err().to_string().contains("x.rego"));
}

#[test]
fn older_forms_are_known_by_their_types() {
    let place = Place::new();
    let store = |media_type: &str, bytes: &[u8]| -> Descriptor {
        let session = place.layout.begin().unwrap();
        let stored = session.put_bytes(MediaType::parse(media_type).unwrap(), bytes).unwrap();
        session.commit(|_| Ok(())).unwrap();
        stored
    };
    let prefix = "application/vnd.cncf.openpolicyagent";
    let own = format!("{prefix}.config.v1+json");
    for (config, layer) in [
        (own.as_str(), format!("{prefix}.layer.v1.tar+gzip")),
        (own.as_str(), format!("{prefix}.manifest.layer.v1+json")),
        ("application/vnd.unknown.config.v1+json", format!("{prefix}.data.layer.v1+json")),
        ("application/vnd.oci.image.config.v1+json", format!("{prefix}.rego.layer.v1+rego")),
    ] {
        let manifest = Manifest::new(store(config, b"{}"), vec![store(&layer, b"package x")]);
        let document = manifest.to_document().unwrap();
        let session = place.layout.begin().unwrap();
        session.put_document(&document).unwrap();
        session.commit(|index| index.pin(&document.descriptor()).map(drop)).unwrap();
        assert_eq!(place.described(&document.descriptor()).0, "conftest", "{config} {layer}");
    }
}
