//! WebAssembly in the form of the CNCF, as `wkg oci push` writes it.

use transship_pack::File;
use transship_pack::kinds::Request;
use transship_spec::{Descriptor, Manifest, MediaType};

use crate::support::{Place, data, fact};

const MADE: &str = "2024-09-25T12:34:56Z";

fn request(name: &str) -> Request {
    let path = data("wasm").join(name);
    let input = File { title: name.to_owned(), path, media_type: None };
    Request { inputs: vec![input], created: Some(MADE.to_owned()), ..Request::default() }
}

/// What the library of `wkg` made of the same files, at the same time (see SOURCES.md).
#[test]
fn components_and_modules_are_the_bytes_of_wkg() {
    for name in GOLDEN {
        let place = Place::new();
        let packed = place.pack("wasm", &request(&format!("{name}.wasm"))).unwrap();
        let golden = |what: &str| {
            let path = data("wasm").join(format!("{name}.{what}.json"));
            std::fs::read_to_string(path).unwrap().trim_end().to_owned()
        };
        let document = transship_layout::read_document(&place.layout, &packed.descriptor).unwrap();
        let config = place.blob(&document.as_manifest().unwrap().config);
        assert_eq!(String::from_utf8(config).unwrap(), golden("config"), "{name}");
        assert_eq!(String::from_utf8(document.bytes().to_vec()).unwrap(), golden("manifest"), "{name}");
    }
}
const GOLDEN: [&str; 3] = ["component", "resources", "module"];

#[test]
fn a_component_tells_its_target_and_names_what_it_imports_and_exports() {
    let place = Place::new();
    let packed = place.pack("wasm", &request("component.wasm")).unwrap();
    let (kind, facts) = place.described(&packed.descriptor);
    assert_eq!((kind.as_str(), fact(&facts, "form")), ("wasm", ["component".to_owned()].as_slice()));
    assert_eq!(
        (fact(&facts, "target"), fact(&facts, "made")),
        (["wasip2".to_owned()].as_slice(), [MADE.to_owned()].as_slice())
    );
    assert!(!fact(&facts, "imports").is_empty());
    let out = place.folder.path().join("out");
    assert_eq!(place.extracted(&packed.descriptor, &out).unwrap(), ["component.wasm"]);
    let read = |path: std::path::PathBuf| std::fs::read(path).unwrap();
    assert_eq!(read(out.join("component.wasm")), read(data("wasm").join("component.wasm")));
}

#[test]
fn an_interface_of_wasi_that_a_crate_ships_is_read() {
    let place = Place::new();
    let packed = place.pack("wasm", &request("wasi-cli@0.2.0.wasm")).unwrap();
    let (_, facts) = place.described(&packed.descriptor);
    assert!(fact(&facts, "exports").iter().any(|name| name.contains("environment")), "{facts:?}");
}

#[test]
fn without_a_time_it_is_of_1970_and_the_author_is_told() {
    let place = Place::new();
    let settings = [("author".to_owned(), vec!["A < B".to_owned()])].into();
    let packed = place.pack("wasm", &Request { created: None, settings, ..request("module.wasm") }).unwrap();
    let (_, facts) = place.described(&packed.descriptor);
    assert_eq!(
        (fact(&facts, "made"), fact(&facts, "author")),
        (["1970-01-01T00:00:00Z".to_owned()].as_slice(), ["A < B".to_owned()].as_slice())
    );
    assert_eq!(fact(&facts, "target"), ["wasip1"]);
}

#[test]
fn what_is_no_webassembly_is_refused_by_name_and_the_form_of_2019_is_known() {
    let place = Place::new();
    let path = place.write("x.wasm", "(module)");
    let error = place.pack("wasm", &Request::of([path]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("x.wasm") && error.contains("magic"), "{error}");

    let session = place.layout.begin().unwrap();
    let store = |media_type: &str, bytes: &[u8]| -> Descriptor {
        session.put_bytes(MediaType::parse(media_type).unwrap(), bytes).unwrap()
    };
    let config = store("application/vnd.wasm.config.v1+json", b"{}");
    let layer = store("application/vnd.wasm.content.layer.v1+wasm", b"\0asm\x01\0\0\0");
    let document = Manifest::new(config, vec![layer]).to_document().unwrap();
    session.put_document(&document).unwrap();
    session.commit(|index| index.pin(&document.descriptor()).map(drop)).unwrap();
    let (kind, facts) = place.described(&document.descriptor());
    assert_eq!((kind.as_str(), fact(&facts, "form")), ("wasm", ["module".to_owned()].as_slice()));
    let out = place.folder.path().join("out");
    let paths = place.extracted(&document.descriptor(), &out).unwrap();
    assert!(paths[0].starts_with("sha256-") && paths[0].ends_with(".wasm"), "{paths:?}");
}
