//! Bundles of the Open Policy Agent.

use transship_pack::kinds::{Request, Sight};
use transship_pack::{ArtifactOptions, File, Files, pack_files};
use transship_spec::annotations;

use crate::support::{Place, data, fact};

#[test]
fn a_folder_becomes_the_bundle_that_opa_takes_the_same_every_time_and_comes_back_by_its_title() {
    let request = Request::of([data("opa").join("policy")]).unwrap();
    let (one, other) = (Place::new(), Place::new());
    let packed = one.pack("opa", &request).unwrap();
    assert_eq!(packed.descriptor, other.pack("opa", &request).unwrap().descriptor);
    let [layer] = packed.layers.as_slice() else { panic!("{:?}", packed.layers) };
    assert_eq!(layer.media_type.as_str(), "application/vnd.oci.image.layer.v1.tar+gzip");

    let (kind, facts) = one.described(&packed.descriptor);
    assert_eq!(kind, "opa");
    assert_eq!(fact(&facts, "packages"), ["example"]);
    assert_eq!(
        (fact(&facts, "policies"), fact(&facts, "data files")),
        (["1".to_owned()].as_slice(), ["1".to_owned()].as_slice())
    );

    let out = one.folder.path().join("out");
    assert_eq!(one.extracted(&packed.descriptor, &out).unwrap(), ["bundle.tar.gz"]);
    assert_eq!(std::fs::read(out.join("bundle.tar.gz")).unwrap(), one.blob(layer));
    // And the archive is a bundle as it is, byte for byte.
    let again = one.pack("opa", &Request::of([out.join("bundle.tar.gz")]).unwrap()).unwrap();
    assert_eq!(again.descriptor, packed.descriptor);
}

#[test]
fn what_opa_would_not_load_is_refused_by_name_and_nothing_is_listed() {
    for (path, content, words) in [
        ("b/README.md", "x", "no policy"),
        ("b/x.rego", "deny { true }", "x.rego"),
        ("b/.manifest", r#"{"roots": ["a", "a/b"]}"#, "overlap"),
        ("b/.manifest", r#"{"roots": ["c"]}"#, "none of its roots"),
        ("b.tar.gz", "no archive", "b.tar.gz"),
    ] {
        let place = Place::new();
        if words == "overlap" || words.starts_with("none") {
            place.write("b/x.rego", "package a.b");
        }
        let written = place.write(path, content);
        let input = if path.starts_with("b/") { written.parent().unwrap() } else { &written };
        let error = place.pack("opa", &Request::of([input]).unwrap()).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(place.layout.entries().unwrap().is_empty(), "{words}");
    }
}

#[test]
fn a_bundle_of_the_policy_program_is_known_by_its_annotation_and_gets_the_name_that_it_would_give() {
    let place = Place::new();
    let packed = place.pack("opa", &Request::of([data("opa").join("policy")]).unwrap()).unwrap();
    // The form of `policy build`: no title at the layer, and its own annotation at the manifest.
    let mut manifest = transship_layout::read_document(&place.layout, &packed.descriptor)
        .unwrap()
        .as_manifest()
        .unwrap()
        .clone();
    manifest.layers[0].annotations.clear();
    let key = "org.openpolicyregistry.type".to_owned();
    manifest.annotations.insert(key, "policy".to_owned());
    manifest.annotations.insert(annotations::TITLE.to_owned(), "example/policy".to_owned());
    let document = manifest.to_document().unwrap();
    let session = place.layout.begin().unwrap();
    session.put_document(&document).unwrap();
    session.commit(|index| index.pin(&document.descriptor()).map(drop)).unwrap();
    let (kind, facts) = place.described(&document.descriptor());
    assert_eq!((kind.as_str(), facts.title.as_deref()), ("opa", Some("example/policy")));
    let out = place.folder.path().join("out");
    assert_eq!(place.extracted(&document.descriptor(), &out).unwrap(), ["bundle.tar.gz"]);
}

#[test]
fn an_archive_by_another_title_is_a_file_and_no_bundle() {
    let place = Place::new();
    let path = place.write("x.tar.gz", "x");
    let media_type = Some("application/vnd.oci.image.layer.v1.tar+gzip".parse().unwrap());
    let file = File { title: "x.tar.gz".to_owned(), path, media_type };
    let files = Files { files: vec![file], artifact: ArtifactOptions::default(), ..Files::default() };
    let packed = pack_files(&place.layout, None, &files).unwrap();
    let document = transship_layout::read_document(&place.layout, &packed.descriptor).unwrap();
    let kinds = transship_pack::kinds::Kinds::built_in();
    assert_eq!(kinds.recognise(&Sight::of(&document)).unwrap().name(), "files");
}
