//! `transship copy --convert`, beside what skopeo makes of the same images.

use serde_json::Value;

use crate::real::{peer, registry};
use crate::support::Sandbox;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn packed(compression: &str) -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/bin/app", "#!/bin/sh\n");
    let pack = ["pack", "image", "rootfs", "--compression", compression, "--to", "oci:out:v1"];
    let digest = sandbox.ok(&pack);
    (sandbox, digest)
}

fn manifest(sandbox: &Sandbox, location: &str) -> Value {
    serde_json::from_str(&sandbox.ok(&["manifest", "get", location])).unwrap()
}

/// What a manifest is and leads to.
fn said(manifest: &Value) -> Vec<(String, String, String)> {
    let layers = manifest["layers"].as_array().unwrap();
    let text = |value: &Value| value.to_string();
    let descriptor = |one: &Value| (text(&one["mediaType"]), text(&one["digest"]), text(&one["size"]));
    let own = (text(&manifest["mediaType"]), String::new(), String::new());
    [own, descriptor(&manifest["config"])].into_iter().chain(layers.iter().map(descriptor)).collect()
}

#[test]
fn img_157_skopeo_makes_the_same_of_an_image_and_reads_ours() {
    let (sandbox, digest) = packed("gzip");
    let skopeo = |arguments: &[&str]| peer(&sandbox, "skopeo", arguments);
    let new = sandbox.ok(&["copy", "--convert", "docker", "oci:out:v1", "oci:docker:v1"]);
    assert_ne!(new, digest);
    skopeo(&["--insecure-policy", "copy", "--format", "v2s2", "oci:out:v1", "dir:theirs"]);
    let theirs: Value = serde_json::from_str(&sandbox.read("theirs/manifest.json")).unwrap();
    assert_eq!(said(&manifest(&sandbox, "oci:docker:v1")), said(&theirs));
    assert_eq!(theirs["mediaType"], MANIFEST);
    // And the other way.
    skopeo(&["--insecure-policy", "copy", "--format", "oci", "dir:theirs", "oci:back:theirs"]);
    assert_eq!(sandbox.ok(&["copy", "--convert", "oci", "oci:docker:v1", "oci:back:ours"]), digest);
    let [mut ours, mut others] =
        ["oci:back:ours", "oci:back:theirs"].map(|location| said(&manifest(&sandbox, location)));
    // It writes the config anew, by which the image gets another ID; ours is the one that it was.
    for said in [&mut ours, &mut others] {
        (said[1].1, said[1].2) = Default::default();
    }
    assert_eq!(ours, others);
    let unpack = ["unpack", "--rootless", "--image", "back:ours", "bundle"];
    peer(&sandbox, "umoci", &unpack);
    assert_eq!(sandbox.read("bundle/rootfs/bin/app"), "#!/bin/sh\n");
    // What we made is read from a registry, and from the form of `docker save`; in layouts Debian's sees the OCI's alone.
    let registry = registry();
    let to = format!("docker://{}", registry.reference("app:v1"));
    assert_eq!(sandbox.ok(&["copy", "--convert", "docker", "oci:out:v1", &to]), new);
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &to]);
    assert_eq!(transship_spec::Digest::sha256(raw.as_bytes()).to_string(), new);
    skopeo(&["--insecure-policy", "copy", "--src-tls-verify=false", &to, "dir:copied"]);
    assert_eq!(sandbox.read("copied/manifest.json"), raw);
    sandbox.ok(&["copy", "oci:docker:v1", "docker-archive:d.tar:example.org/app:v1"]);
    let saved = ["inspect", "--raw", "docker-archive:d.tar:example.org/app:v1"];
    let saved: Value = serde_json::from_str(&skopeo(&saved)).unwrap();
    assert_eq!(saved["config"]["digest"], theirs["config"]["digest"]);
    sandbox.ok(&["check", "oci:docker"]);
}

#[test]
fn a_conversion_is_told_in_the_plan_in_the_report_and_at_the_end() {
    let (sandbox, digest) = packed("gzip");
    sandbox.write("sig.json", "{}");
    sandbox.ok(&["pack", "files", "sig.json", "--subject", "oci:out:v1", "--to", "oci:out"]);
    let copy = ["copy", "--convert", "docker", "oci:out:v1", "oci:dest:v1"];
    let plan = sandbox.ok(&[&copy[..], &["--dry-run"]].concat());
    assert!(!sandbox.path("dest").exists());
    let run = sandbox.run(&[&copy[..], &["--report", "report"]].concat());
    let new = run.stdout.trim();
    assert!(
        run.code == 0 && plan.contains(&format!(", which becomes {new} ({MANIFEST})")),
        "{plan}: {run:?}"
    );
    assert!(
        run.stderr.contains(&format!("{digest} became {new} ({MANIFEST}): 1 manifest converted")),
        "{run:?}"
    );
    assert!(run.stderr.contains("1 signatures and the like stay behind"), "{run:?}");
    let report: Value = serde_json::from_str(&sandbox.read("report")).unwrap();
    let converted = serde_json::json!([{ "from": digest, "to": new, "mediaType": MANIFEST }]);
    assert_eq!((&report["roots"][0]["converted"], &report["leftOut"]["signatures"]), (&converted, &1.into()));
    let before = sandbox.tree();
    let again = sandbox.run(&copy);
    assert!(again.stdout.trim() == new && again.stderr.contains("nothing moved"), "{again:?}");
    assert_eq!(sandbox.tree(), before);
    // In one layout, too, and into what docker load reads.
    assert_eq!(sandbox.ok(&["copy", "--convert", "docker", "oci:out:v1", "oci:out:docker"]), new);
    assert_eq!(
        sandbox.ok(&["copy", "--convert", "docker", "oci:out:v1", "docker-archive:d.tar:app:v1"]),
        new
    );
    assert_eq!(sandbox.ok(&["resolve", "oci:out:v1"]), digest);
}

#[test]
fn what_cannot_be_converted_is_refused_with_the_remedy() {
    let (sandbox, _) = packed("zstd");
    let copy = ["copy", "--convert", "docker", "oci:out:v1"];
    sandbox.fails_saying(12, &[&copy[..], &["oci:dest:v1"]].concat(), "--recompress gzip");
    assert!(!sandbox.path("dest").exists());
    // What is told to be done does it.
    sandbox.ok(&[
        "edit",
        "oci:out:v1",
        "--recompress",
        "gzip",
        "--convert",
        "docker",
        "--to",
        "oci:out:docker",
    ]);
    let new = sandbox.ok(&["resolve", "oci:out:docker"]);
    assert_eq!(sandbox.ok(&["copy", "--convert", "docker", "oci:out:docker", "oci:dest:v1"]), new);
    let sparse = ["--platform", "linux/amd64,linux/arm64", "--subset", "sparse", "oci:no:v1"];
    sandbox.fails_saying(2, &[&copy[..], &sparse].concat(), "--subset rewrite");
}
