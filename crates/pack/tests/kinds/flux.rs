//! Artifacts of Flux.

use transship_pack::kinds::Request;

use crate::support::{Place, fact};

fn settings(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, Vec<String>> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect()
}

#[test]
fn a_folder_is_packed_in_the_form_of_flux_and_comes_back_as_the_folder() {
    let place = Place::new();
    place.write("deploy/apps/web.yaml", "kind: Deployment");
    place.write("deploy/repo.yaml", "kind: GitRepository");
    let folder = place.folder.path().join("deploy");
    let request = Request {
        settings: settings(&[("source", "https://example.com/a?b&c"), ("revision", "main@sha1:0f")]),
        created: Some("2024-09-25T12:34:56Z".to_owned()),
        ..Request::of([folder]).unwrap()
    };
    let packed = place.pack("flux", &request).unwrap();
    let layer = &packed.layers[0];
    let document = transship_layout::read_document(&place.layout, &packed.descriptor).unwrap();
    let config = &document.as_manifest().unwrap().config;
    // By the rules of fluxcd/pkg `oci/push.go` at 3ba849f, and of go-containerregistry's JSON.
    let wanted = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.cncf.flux.config.v1+json","size":233,"digest":"{}"}},"layers":[{{"mediaType":"application/vnd.cncf.flux.content.v1.tar+gzip","size":{},"digest":"{}"}}],"annotations":{{"org.opencontainers.image.created":"2024-09-25T12:34:56Z","org.opencontainers.image.revision":"main@sha1:0f","org.opencontainers.image.source":"https://example.com/a?b\u0026c"}}}}"#,
        config.digest, layer.size, layer.digest
    );
    assert_eq!(String::from_utf8(document.bytes().to_vec()).unwrap(), wanted);

    let (kind, facts) = place.described(&packed.descriptor);
    assert_eq!((kind.as_str(), fact(&facts, "revision")), ("flux", ["main@sha1:0f".to_owned()].as_slice()));
    assert_eq!(facts.parts[1].role, "content");
    let out = place.folder.path().join("out");
    place.extracted(&packed.descriptor, &out).unwrap();
    assert_eq!(std::fs::read_to_string(out.join("apps/web.yaml")).unwrap(), "kind: Deployment");
    assert_eq!(std::fs::read_to_string(out.join("repo.yaml")).unwrap(), "kind: GitRepository");
}

#[test]
fn one_file_is_packed_as_it_is_and_known_by_its_extension() {
    let place = Place::new();
    let path = place.write("x.yaml", "a: 1");
    let request = Request { settings: settings(&[("static", "yaml")]), ..Request::of([&path]).unwrap() };
    let packed = place.pack("flux", &request).unwrap();
    assert_eq!(packed.layers[0].media_type.as_str(), "application/vnd.cncf.flux.content.v1.yaml");
    let out = place.folder.path().join("out");
    assert_eq!(place.extracted(&packed.descriptor, &out).unwrap(), ["content.yaml"]);
    assert_eq!(std::fs::read_to_string(out.join("content.yaml")).unwrap(), "a: 1");

    let error = place.pack("flux", &Request::of([&path]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("x.yaml"), "{error}");
    let request = Request { settings: settings(&[("static", "a b")]), ..Request::of([&path]).unwrap() };
    assert!(place.pack("flux", &request).is_err());
}
