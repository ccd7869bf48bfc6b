//! Bundles of CNAB, with images that are there.

use transship_layout::{Layout, Name};
use transship_pack::kinds::Request;
use transship_pack::{Error, ImageOptions, pack_image};
use transship_spec::Descriptor;

use crate::support::{Place, fact};

const INVOCATION: &str = "registry.example/team/installer:1.0";

/// An image of one file, under a name.
fn image(layout: &Layout, place: &Place, name: &str) -> Descriptor {
    place.write(&format!("{name}/file"), name);
    let named = Name::parse(name).unwrap();
    let rootfs = place.folder.path().join(name);
    pack_image(layout, Some(&named), &[&rootfs], &ImageOptions::default()).unwrap().descriptor
}

fn bundle(place: &Place, component: &str) -> Request {
    let text = format!(
        r#"{{"schemaVersion":"v1.0.0","name":"app","version":"1.0.0+b","description":"An app","x-own":1.0,
            "invocationImages":[{{"imageType":"oci","image":"{INVOCATION}"}}],
            "images":{{"web":{{"imageType":"oci","image":"{component}"}}}},"actions":{{"status":{{}}}},"parameters":null}}"#
    );
    Request::of([place.write("bundle.json", text)]).unwrap()
}

#[test]
fn a_bundle_is_packed_with_its_images_told_and_extracted() {
    let place = Place::new();
    let installer = image(&place.layout, &place, INVOCATION);
    // One is in another layout, and is carried along.
    let other = Layout::options().create(place.folder.path().join("other")).unwrap();
    let web = image(&other, &place, "registry.example/team/web:2.0");
    let mut request = bundle(&place, "registry.example/team/web:2.0");
    let error = place.pack("cnab", &request).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }) && error.to_string().contains("team/web:2.0"), "{error}");
    request.settings.insert("images".to_owned(), vec![other.path().to_string_lossy().into_owned()]);
    request.subject = Some(installer.clone());
    let error = place.pack("cnab", &request).unwrap_err();
    assert!(
        error.to_string().contains("cnab refers to nothing"),
        "a subject is never lost silently: {error}"
    );
    request.subject = None;
    let packed = place.pack("cnab", &request).unwrap();
    assert_eq!(packed.called, Some(("app".to_owned(), "1.0.0_b".to_owned())));
    assert!(!place.blob(&web).is_empty(), "it is in the layout now");

    let (kind, facts) = place.described(&packed.descriptor);
    assert_eq!(
        (kind.as_str(), facts.title.as_deref(), facts.version.as_deref()),
        ("cnab", Some("app"), Some("1.0.0+b"))
    );
    assert_eq!(fact(&facts, "invocation image"), [INVOCATION]);
    assert_eq!(fact(&facts, "components"), ["web registry.example/team/web:2.0"]);
    assert_eq!(fact(&facts, "actions"), ["status"]);
    let roles: Vec<&str> = facts.parts.iter().map(|part| part.role.as_str()).collect();
    assert_eq!(roles, ["config", "invocation", "component"]);

    let out = place.folder.path().join("out");
    let files = place.extracted(&packed.descriptor, &out).unwrap();
    assert_eq!(files, ["bundle.json", "relocation-mapping.json"]);
    let text = std::fs::read_to_string(out.join("bundle.json")).unwrap();
    let told = |image: &Descriptor| format!(r#""contentDigest":"{}""#, image.digest);
    assert!(text.contains(&told(&installer)) && text.contains(&told(&web)), "{text}");
    assert!(text.contains(r#""x-own":1"#) && !text.contains("parameters"), "{text}");
    let map: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("relocation-mapping.json")).unwrap()).unwrap();
    assert_eq!(map[INVOCATION], format!("@{}", installer.digest));
}
