//! Kinds of artifacts: packed by their own commands, told by `inspect`, and extracted.

use serde_json::Value;
use transship_testkit::TestRegistry;

use crate::support::Sandbox;

/// The first bytes of an image of Singularity, and some content.
fn sif() -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[..31].copy_from_slice(b"#!/usr/bin/env run-singularity\n");
    bytes[32..45].copy_from_slice(b"SIF_MAGIC\x0001\0");
    bytes[45..48].copy_from_slice(b"02\0");
    bytes[64..72].copy_from_slice(&1_600_000_000_i64.to_le_bytes());
    bytes
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn an_artifact_of_a_kind_is_packed_told_and_extracted_from_a_layout_an_archive_and_a_registry() {
    let registry = TestRegistry::builder().start_blocking();
    let sandbox = Sandbox::new();
    sandbox.write("images/busybox.sif", sif());
    let remote = format!("docker://{}", registry.reference("team/busybox:v1"));
    let locations = ["oci:out:v1", "oci-archive:out.tar:v1", &remote];
    let packed = locations.map(|to| sandbox.ok(&["pack", "sif", "images/busybox.sif", "--to", to]));
    assert_eq!(packed[0], packed[1]);
    assert_eq!(packed[0], packed[2]);
    for (number, location) in locations.iter().enumerate() {
        let told = json(&sandbox.ok(&["inspect", location, "--format", "json"]));
        assert_eq!((&told["kind"], &told["title"]), (&"sif".into(), &"busybox.sif".into()), "{told}");
        let facts = told["facts"].as_array().unwrap();
        let architecture = facts.iter().find(|fact| fact["name"] == "architecture").unwrap();
        assert_eq!(architecture["values"][0], "amd64");
        assert_eq!(told["parts"][1]["role"], "image");
        assert_eq!(told["annotations"]["org.opencontainers.image.created"], "2020-09-13T12:26:40Z");

        let place = format!("got-{number}");
        assert_eq!(sandbox.ok(&["extract", location, &place]), format!("{place}/busybox.sif"));
        assert_eq!(std::fs::read(sandbox.path(&place).join("busybox.sif")).unwrap(), sif());
    }
    let text = sandbox.ok(&["inspect", "oci:out:v1"]);
    assert!(text.contains("kind") && text.contains("sif") && text.contains("amd64"), "{text}");
}

#[test]
fn the_flags_of_a_kind_are_its_own_and_its_help_tells_them() {
    let sandbox = Sandbox::new();
    sandbox.write("x.sif", sif());
    let help = sandbox.ok(&["pack", "sif", "--help"]);
    assert!(help.contains("--singularity") && help.contains("IMAGE.sif") && help.contains("--to"), "{help}");
    assert!(sandbox.ok(&["pack", "--help"]).contains("sif"), "kinds are listed beside image and files");
    let apptainer = sandbox.ok(&["pack", "sif", "x.sif", "--to", "oci:out:a"]);
    let singularity = sandbox.ok(&["pack", "sif", "x.sif", "--singularity", "--to", "oci:out:s"]);
    assert_ne!(apptainer, singularity);
    assert!(
        sandbox
            .fails(2, &["pack", "files", "x.sif", "--singularity", "--to", "oci:out:b"])
            .contains("--singularity")
    );
    assert!(sandbox.ok(&["completions", "bash"]).contains("--singularity"));
}

#[test]
fn what_is_not_of_the_kind_is_refused_by_name_and_the_known_kinds_are_listed() {
    let sandbox = Sandbox::new();
    sandbox.write("x.sif", "no image");
    let error = sandbox.fails(4, &["pack", "sif", "x.sif", "--to", "oci:out:v1"]);
    assert!(error.contains("x.sif") && error.contains("is no SIF"), "{error}");
    let kinds = json(&sandbox.ok(&["kinds", "--format", "json"]));
    let names: Vec<&str> =
        kinds["kinds"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"files") && names.contains(&"sif"), "{names:?}");
    assert!(sandbox.ok(&["kinds"]).contains("IMAGE.sif"));
}

#[test]
fn an_artifact_that_no_kind_knows_is_shown_and_extracted_by_digest() {
    let sandbox = Sandbox::new();
    sandbox.write("blob", "content");
    let digest = sandbox.ok(&["blob", "put", "blob", "oci:out"]);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.example.strange","config":{{"mediaType":"application/vnd.example.strange.config","digest":"{digest}","size":7}},"layers":[{{"mediaType":"application/vnd.example.strange.layer","digest":"{digest}","size":7}}]}}"#
    );
    sandbox.write("manifest.json", manifest);
    sandbox.ok(&["manifest", "put", "manifest.json", "oci:out:v1"]);
    let told = json(&sandbox.ok(&["inspect", "oci:out:v1", "--format", "json"]));
    assert_eq!((&told["kind"], &told["parts"][1]["role"]), (&"artifact".into(), &"layer".into()));
    let plan = sandbox.ok(&["extract", "oci:out:v1", "got", "--dry-run"]);
    let name = digest.replace(':', "-");
    assert!(plan.contains(&name) && !sandbox.path("got").exists(), "{plan}");
    sandbox.ok(&["extract", "oci:out:v1", "got"]);
    assert_eq!(sandbox.read(&format!("got/{name}")), "content");
    // Its name is taken now.
    let error = sandbox.fails(2, &["extract", "oci:out:v1", "got"]);
    assert!(error.contains(&name) && error.contains("is there already"), "{error}");
}

#[test]
fn an_index_has_no_files_and_the_way_on_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/x", "x");
    sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    sandbox.ok(&["index", "create", "oci:out:v1", "--to", "oci:out:all"]);
    let error = sandbox.fails(12, &["extract", "oci:out:all", "got"]);
    assert!(error.contains("inspect"), "{error}");
}

#[test]
fn a_chart_in_dockers_registry_is_the_one_that_helm_pushes_as_skopeo_sees_it() {
    let registry = crate::real::registry();
    let sandbox = Sandbox::new();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/kinds/helm");
    let chart = format!("{data}/whole-1.2.3-rc.1+build.5.tgz");
    let place = format!("docker://{}/charts/whole:1.2.3-rc.1_build.5", registry.address());
    let created = ["--created", "2023-11-14T22:13:20Z"];
    sandbox.ok(&[&["pack", "helm", &chart, "--to", &place], created.as_slice()].concat());
    let run =
        sandbox.command("skopeo").args(["inspect", "--raw", "--tls-verify=false", &place]).output().unwrap();
    let golden = std::fs::read(format!("{data}/whole.manifest.json")).unwrap();
    assert_eq!(String::from_utf8(run.stdout).unwrap(), String::from_utf8(golden).unwrap());

    let told = json(&sandbox.ok(&["inspect", &place, "--format", "json"]));
    assert_eq!((&told["kind"], &told["version"]), (&"helm".into(), &"1.2.3-rc.1+build.5".into()), "{told}");
    sandbox.ok(&["extract", &place, "got"]);
    let got = sandbox.path("got").join("whole-1.2.3-rc.1+build.5.tgz");
    assert_eq!(std::fs::read(got).unwrap(), std::fs::read(chart).unwrap());
}
