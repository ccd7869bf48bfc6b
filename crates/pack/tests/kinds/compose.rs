//! Projects of Docker Compose.

use transship_pack::kinds::Request;

use crate::support::{Place, fact};

/// By the rules of docker/compose `internal/oci/push.go` at 2b45439; the digests are those of `sha256sum`.
const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.docker.compose.project","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},"layers":[{"mediaType":"application/vnd.docker.compose.file+yaml","digest":"sha256:5f6fad3dce5125e4e5595e34672d6d2bbe6149ab65095b42d9f77d66e3f8202c","size":34,"annotations":{"com.docker.compose.file":"compose.yaml","com.docker.compose.version":"v5.0.0"},"data":"c2VydmljZXM6CiAgd2ViOgogICAgaW1hZ2U6IG5naW54Cg=="},{"mediaType":"application/vnd.docker.compose.envfile","digest":"sha256:91d6a3d55e9fea7911c537afae6607c77fa8bc0f3a76c375e104ac5a8cfa84db","size":4,"annotations":{"com.docker.compose.envfile":"web.env","com.docker.compose.version":"v5.0.0"},"data":"QT0xCg=="}],"annotations":{"org.opencontainers.image.created":"2024-09-25T12:34:56Z"}}"#;

fn request(place: &Place) -> Request {
    let file = place.write("project/compose.yaml", "services:\n  web:\n    image: nginx\n");
    let environment = place.write("project/web.env", "A=1\n");
    let settings = [
        ("env-file".to_owned(), vec![environment.to_str().unwrap().to_owned()]),
        ("compose-version".to_owned(), vec!["v5.0.0".to_owned()]),
    ];
    let created = Some("2024-09-25T12:34:56Z".to_owned());
    Request { settings: settings.into(), created, ..Request::of([file]).unwrap() }
}

#[test]
fn a_project_is_the_manifest_that_compose_publishes_and_its_files_come_back_by_their_names() {
    let place = Place::new();
    let packed = place.pack("compose", &request(&place)).unwrap();
    assert_eq!(String::from_utf8(place.blob(&packed.descriptor)).unwrap(), MANIFEST);
    let (kind, facts) = place.described(&packed.descriptor);
    assert_eq!(
        (kind.as_str(), fact(&facts, "compose version")),
        ("compose", ["v5.0.0".to_owned()].as_slice())
    );
    let told: Vec<_> =
        facts.parts.iter().map(|part| (part.role.as_str(), part.name.as_deref().unwrap())).collect();
    assert_eq!(told, [("compose file", "compose.yaml"), ("environment", "web.env")]);
    let out = place.folder.path().join("out");
    assert_eq!(place.extracted(&packed.descriptor, &out).unwrap(), ["compose.yaml", "web.env"]);
    assert_eq!(std::fs::read_to_string(out.join("web.env")).unwrap(), "A=1\n");
}

#[test]
fn what_the_manifest_cannot_embed_is_refused_by_name() {
    let place = Place::new();
    for (name, content) in [("text.yaml", vec![0xff]), ("large.yaml", vec![b'#'; (1 << 20) + 1])] {
        let path = place.write(name, content);
        let error = place.pack("compose", &Request::of([path]).unwrap()).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}
