//! `attach`: artifacts that refer to something, in layouts, archives and registries.

use serde_json::Value;
use transship_spec::{Digest, referrers};
use transship_testkit::{DockerRegistry, TestRegistry};

use crate::real::peer;
use crate::support::Sandbox;

const SPDX: &str = r#"{"spdxVersion":"SPDX-2.3","name":"app","packages":[]}"#;
const TIME: &str = "2026-01-01T00:00:00Z";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn sandbox() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/app", "app");
    sandbox.write("sbom.json", SPDX);
    let image = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    (sandbox, image)
}

/// What refers to something, as `inspect` lists it: digest and type.
fn attached(sandbox: &Sandbox, location: &str) -> Vec<(String, String)> {
    let told = json(&sandbox.ok(&["inspect", location, "--format", "json"]));
    let list = told["referrers"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.map(|referrer| (text(&referrer["digest"]), text(&referrer["artifactType"]))).collect()
}

#[test]
fn what_is_attached_is_listed_with_its_subject_in_a_layout_an_archive_and_registries_of_either_sort() {
    let with_api = TestRegistry::builder().start_blocking();
    let without = TestRegistry::builder().no_referrers().start_blocking();
    let (sandbox, image) = sandbox();
    let remotes = [&with_api, &without].map(|it| format!("docker://{}", it.reference("team/app:v1")));
    let places = ["oci:out:v1", "oci-archive:out.tar:v1", &remotes[0], &remotes[1]];
    for place in &places[1..] {
        sandbox.ok(&["copy", "oci:out:v1", place]);
    }
    let made = places.map(|place| sandbox.ok(&["attach", place, "sbom.json", "--created", TIME]));
    for (place, digest) in places.iter().zip(&made) {
        assert_eq!(*digest, made[0], "the same wherever it is made");
        assert_eq!(sandbox.ok(&["resolve", place]), image, "{place}");
        let listed = [(digest.clone(), "application/spdx+json".to_owned())];
        assert_eq!(attached(&sandbox, place), listed, "{place}");
        // Once more is the same.
        sandbox.ok(&["attach", place, "sbom.json", "--created", TIME]);
        assert_eq!(attached(&sandbox, place), listed, "{place}");
        if !place.starts_with("docker:") {
            sandbox.ok(&["check", place]);
        }
    }
    // It comes along, in every direction.
    for (number, place) in places.iter().enumerate() {
        let to = format!("oci:copy-{number}:v1");
        sandbox.ok(&["copy", place, &to]);
        assert_eq!(attached(&sandbox, &to).len(), 1, "{place}");
    }
}

#[test]
fn docker_registry_keeps_it_under_the_fallback_tag() {
    let registry = DockerRegistry::start_blocking();
    let (sandbox, image) = sandbox();
    let place = format!("docker://{}", registry.reference("team/app"));
    sandbox.ok(&["copy", "oci:out:v1", &format!("{place}:v1")]);
    let one = sandbox.ok(&["attach", &format!("{place}:v1"), "sbom.json"]);
    sandbox.write("notes.txt", "notes");
    let by_digest = format!("{place}@{image}");
    let type_flag = "--artifact-type=application/vnd.example.notes";
    let two = sandbox.ok(&["attach", &by_digest, "notes.txt", type_flag]);
    let tag = referrers::fallback_tag(&Digest::parse(&image).unwrap());
    let list = json(&sandbox.ok(&["manifest", "get", &format!("{place}:{tag}")]));
    let digests: Vec<&str> =
        list["manifests"].as_array().unwrap().iter().map(|it| it["digest"].as_str().unwrap()).collect();
    assert_eq!(digests, [one, two]);
    let first = format!("{place}@{}", digests[0]);
    // Containers' tools read it, byte for byte.
    let raw = peer(&sandbox, "skopeo", &["inspect", "--raw", "--tls-verify=false", &first]);
    assert_eq!(Digest::sha256(raw.as_bytes()).to_string(), digests[0]);
    sandbox.ok(&["extract", &format!("{place}@{}", digests[1]), "got"]);
    assert_eq!(sandbox.read("got/notes.txt"), "notes");
}

#[test]
fn it_is_byte_for_byte_what_oras_attach_writes() {
    let (sandbox, image) = sandbox();
    let size = std::fs::metadata(sandbox.blob("out", &image)).unwrap().len();
    let flags =
        ["--artifact-type", "application/vnd.example.sbom", "--annotation", "b=<1>", "--created", TIME];
    let line = [["attach", "oci:out:v1", "sbom.json"].as_slice(), &flags].concat();
    let digest = sandbox.ok(&line);
    // Derived: oras-go, pack.go (PackManifest, version 1.1) and oras, cmd/oras/root/attach.go: the order of the fields, the
    // embedded config, the type of files, the title, `created` among the annotations; Go escapes < and >.
    let layer = Digest::sha256(SPDX.as_bytes());
    let expected = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.example.sbom","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":{},"annotations":{{"org.opencontainers.image.title":"sbom.json"}}}}],"subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{image}","size":{size}}},"annotations":{{"b":"\u003c1\u003e","org.opencontainers.image.created":"{TIME}"}}}}"#,
        SPDX.len()
    );
    assert_eq!(std::fs::read_to_string(sandbox.blob("out", &digest)).unwrap(), expected);
    // ORAS lists it in index.json without a name, with type and annotations.
    let index = json(&sandbox.read("out/index.json"));
    let entry = &index["manifests"][1];
    assert_eq!(entry["artifactType"], "application/vnd.example.sbom");
    assert_eq!(entry["annotations"].get("org.opencontainers.image.ref.name"), None);
}

#[test]
fn files_say_by_their_content_what_they_are_and_flags_say_otherwise() {
    let (sandbox, _) = sandbox();
    sandbox.write("bom.xml", "<bom xmlns=\"http://cyclonedx.org/schema/bom/1.5\"></bom>");
    sandbox.write("other.spdx.json", r#"{"spdxVersion":"SPDX-2.2"}"#);
    sandbox.write("notes.txt", "notes");
    let manifest = |arguments: &[&str]| {
        let digest = sandbox.ok(&[&["attach", "oci:out:v1"], arguments].concat());
        json(&sandbox.ok(&["manifest", "get", &format!("oci:out@{digest}")]))
    };
    let two = manifest(&["sbom.json", "other.spdx.json"]);
    assert_eq!(two["artifactType"], "application/spdx+json");
    assert_eq!(two["layers"][1]["mediaType"], "application/spdx+json");
    assert_eq!(manifest(&["bom.xml"])["layers"][0]["mediaType"], "application/vnd.cyclonedx+xml");
    let typed = manifest(&["notes.txt:text/plain", "--artifact-type", "application/vnd.example.notes"]);
    assert_eq!(typed["layers"][0]["mediaType"], "text/plain");
    let nothing =
        manifest(&["--annotation", "reviewed=yes", "--artifact-type", "application/vnd.example.review"]);
    assert_eq!(
        (&nothing["layers"][0]["size"], &nothing["annotations"]["reviewed"]),
        (&2.into(), &"yes".into())
    );

    sandbox.fails_saying(2, &["attach", "oci:out:v1", "notes.txt"], "--artifact-type");
    sandbox.fails_saying(2, &["attach", "oci:out:v1", "rootfs"], "--artifact-type");
    sandbox.fails_saying(2, &["attach", "oci:out:v1", "sbom.json", "bom.xml"], "one at a time");
    sandbox.fails_saying(2, &["attach", "oci:out:v1", "--annotation", "a=b"], "--artifact-type");
    sandbox.fails_saying(3, &["attach", "oci:out:v2", "sbom.json"], "v2");
    sandbox.fails_saying(3, &["attach", "oci:out:v1", "missing.json"], "missing.json");
    sandbox.fails_saying(2, &["attach", "oci:out:v1", "../sbom.json"], "TITLE=");
    sandbox.fails_saying(2, &["attach", "oci:out:v1", "sbom.json", "--created", "today"], "today");
}

#[test]
fn a_fallback_tag_is_written_into_a_layout_on_request_and_grows() {
    let (sandbox, image) = sandbox();
    let tag = referrers::fallback_tag(&Digest::parse(&image).unwrap());
    let one = sandbox.ok(&["attach", "oci:out:v1", "sbom.json", "--fallback-tag", "--created", TIME]);
    let two = sandbox.ok(&["attach", "oci:out:v1", "sbom.json", "--fallback-tag"]);
    sandbox.ok(&["attach", "oci:out:v1", "sbom.json", "--fallback-tag"]);
    let list = json(&sandbox.ok(&["manifest", "get", &format!("oci:out:{tag}")]));
    let digests: Vec<&str> =
        list["manifests"].as_array().unwrap().iter().map(|it| it["digest"].as_str().unwrap()).collect();
    assert_eq!(digests, [one, two]);
    assert_eq!(list["manifests"][0]["artifactType"], "application/spdx+json");
    sandbox.ok(&["check", "oci:out"]);
    let remote = TestRegistry::builder().start_blocking();
    let to = format!("docker://{}", remote.reference("team/app:v1"));
    sandbox.ok(&["copy", "oci:out:v1", &to]);
    sandbox.fails_saying(2, &["attach", &to, "sbom.json", "--fallback-tag"], "for layouts");
}

#[test]
fn it_goes_elsewhere_on_request_and_never_through_a_pipe_or_into_an_archive_for_docker() {
    let (sandbox, image) = sandbox();
    sandbox.ok(&["attach", "oci:out:v1", "sbom.json", "--to", "oci:signatures:sbom"]);
    let told = json(&sandbox.ok(&["inspect", "oci:signatures:sbom", "--format", "json"]));
    assert_eq!(told["subject"], image.as_str());
    assert_eq!(attached(&sandbox, "oci:out:v1"), []);
    sandbox.ok(&["copy", "oci:out:v1", "docker-archive:docker.tar:app:v1"]);
    sandbox.fails_saying(12, &["attach", "docker-archive:docker.tar:app:v1", "sbom.json"], "--to");
}

#[test]
fn inspect_tells_the_kinds_of_what_is_attached_and_what_signatures_claim() {
    let (sandbox, _) = sandbox();
    sandbox.ok(&["attach", "oci:out:v1", "sbom.json"]);
    let told = json(&sandbox.ok(&["inspect", "oci:out:v1", "--format", "json"]));
    assert_eq!(told["referrers"][0]["kind"], "spdx");
    let text = sandbox.ok(&["inspect", "oci:out:v1"]);
    assert!(
        text.lines().any(|line| line.contains(" spdx ") && line.contains("application/spdx+json")),
        "{text}"
    );

    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/kinds/attached/cosign");
    let tag = "_cosign:sha256-00e1ee7c898a2c393ea2fe7680938f8dcbe55e51fbf08032cf37326a677f92ed.sig";
    let signature = format!("oci:{golden}:{tag}");
    let text = sandbox.ok(&["inspect", &signature]);
    for words in ["cosign-signature", "no: no signature was checked", "claims digest", "agrees with the tag"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(sandbox.ok(&["extract", &signature, "got"]), "got/payload.json\ngot/signature.sig");
}
