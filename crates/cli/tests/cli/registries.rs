//! Commands on the CNCF registry: there and back, tags, manifests and blobs.

use serde_json::Value;
use transship_testkit::{Fault, TestRegistry};

use crate::real::registry;
use crate::support::{EMPTY, Sandbox};

#[test]
fn there_and_back_everything_is_as_it_was() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    sandbox.write("rootfs/file", "hello");
    sandbox.write("sbom.json", "{}");
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    sandbox.ok(&["pack", "files", "sbom.json", "--subject", "oci:out:v1", "--to", "oci:out"]);
    let there = format!("docker://{}/team/app:v1", registry.address());
    let first = sandbox.run(&["copy", "oci:out:v1", &there]);
    assert_eq!((first.code, first.stdout.trim()), (0, &*digest), "{first:?}");
    let second = sandbox.run(&["copy", "oci:out:v1", &there]);
    assert!(second.stderr.starts_with("nothing moved: everything was there already"), "{second:?}");
    assert_eq!(sandbox.ok(&["copy", &there, "oci:back:v1"]), digest);
    let blobs = |layout: &str| {
        let mut names: Vec<_> = sandbox
            .path(layout)
            .join("blobs/sha256")
            .read_dir()
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(blobs("out"), blobs("back"));
    let json = |location: &str| -> Value {
        let mut json: Value =
            serde_json::from_str(&sandbox.ok(&["inspect", location, "--format", "json"])).unwrap();
        json["location"] = Value::Null;
        json
    };
    assert_eq!(json("oci:out:v1"), json(&there));
    assert_eq!(json("oci:out:v1"), json("oci:back:v1"));
}

#[test]
fn the_report_tells_what_the_copy_cost_and_what_registries_say_once() {
    let (sandbox, registry) = (Sandbox::new(), TestRegistry::builder().start_blocking());
    sandbox.write("rootfs/file", "hello");
    sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    registry.fault(Fault::on("*", "").header("warning", "299 - \"moving house\""));
    let there = format!("docker://{}/team/app:v1", registry.address());
    let run = sandbox.run(&["copy", "oci:out:v1", &there, "--report", "report.json", "--progress", "plain"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stderr.matches("moving house").count(), 1, "{run:?}");
    let report: Value = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    let requests = registry.requests().len();
    assert_eq!(report["requests"], requests);
    assert_eq!(report["hosts"], serde_json::json!({ registry.address(): requests }));
    assert_eq!(report["warnings"], serde_json::json!([format!("{}: moving house", registry.address())]));
    let content = &report["content"];
    let tally = |name: &str| content[name]["bytes"].as_u64().unwrap();
    assert_eq!(report["bytes"], tally("copied") + tally("manifests"));
    assert_eq!((&content["mounted"]["count"], &content["resumed"]["count"]), (&0.into(), &0.into()));
    assert!(report["seconds"].as_f64().is_some(), "{report}");
    assert!(run.stderr.contains(&format!(", {requests} requests, ")), "{run:?}");
}

#[test]
fn a_copy_keeps_to_the_rate_it_was_given() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    let mut seed = 1_u32;
    let noise: String = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + u8::try_from(seed >> 26).unwrap())
    })
    .take(400 << 10)
    .collect();
    sandbox.write("rootfs/file", &noise);
    sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1", "--compression", "none"]);
    let there = format!("docker://{}/team/app:v1", registry.address());
    let start = std::time::Instant::now();
    sandbox.ok(&["copy", "oci:out:v1", &there, "--limit-rate", "1MiB/s"]);
    assert!(start.elapsed().as_millis() >= 250, "{:?}", start.elapsed());
    for bad in ["0", "fast", "1MX/s"] {
        sandbox.fails(2, &["copy", "oci:out:v1", &there, "--limit-rate", bad]);
    }
}

#[test]
fn img_10_an_image_is_built_upon_one_in_a_registry_and_needs_no_layer_of_it_to_go_back_there() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    sandbox.write("rootfs/file", "hello");
    sandbox.write("more/file", "more");
    let there = format!("docker://{}/team/base:v1", registry.address());
    sandbox.ok(&["pack", "image", "rootfs", "--to", &there]);
    sandbox.ok(&["copy", &there, "oci:base"]);
    let pack = ["pack", "image", "more", "--from", &there, "--to"];
    let digest = sandbox.ok(&["pack", "image", "more", "--from", "oci:base", "--to", "oci:expected:v1"]);
    assert_eq!(sandbox.ok(&[&pack[..], &["oci:whole:v1"]].concat()), digest);
    sandbox.ok(&["check", "oci:whole"]);
    let manifest: Value = serde_json::from_str(&sandbox.ok(&["manifest", "get", "oci:whole:v1"])).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();

    let thin = sandbox.run(&[&pack[..], &["oci:thin:v1", "--sparse"]].concat());
    assert_eq!((thin.code, thin.stdout.trim()), (0, &*digest), "{thin:?}");
    assert!(sandbox.blob("whole", layer).exists() && !sandbox.blob("thin", layer).exists());
    let beside = format!("docker://{}/team/base:v2", registry.address());
    assert_eq!(sandbox.ok(&[&pack[..], &[&beside, "--sparse"]].concat()), digest);
    assert_eq!(sandbox.ok(&["copy", &beside, "oci:back"]), digest);

    let absent = format!("docker://{}/team/base:no", registry.address());
    let run = sandbox.run(&["pack", "image", "more", "--from", &absent, "--to", "oci:x:v1"]);
    assert_eq!(run.code, 3, "{run:?}");
    sandbox.fails(2, &[&pack[..], &["oci:x:v1", "--offline"]].concat());
    assert!(!sandbox.path("x").exists());
}

#[test]
fn names_in_transit_follow_the_rules() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    sandbox.write("rootfs/file", "hello");
    let repository = format!("{}/team/app", registry.address());
    sandbox.ok(&["pack", "image", "rootfs", "--to", &format!("docker://{repository}:v1")]);
    sandbox.ok(&["tag", &format!("docker://{repository}:v1"), "v2"]);
    sandbox.ok(&["copy", "--all-tags", &repository, "oci:full"]);
    assert_eq!(sandbox.ok(&["ls", "oci:full"]), format!("{repository}:v1\n{repository}:v2"));
    sandbox.ok(&["copy", "--all-tags", &repository, "oci:short", "--short-names"]);
    assert_eq!(sandbox.ok(&["ls", "oci:short"]), "v1\nv2");
    let mirror = format!("docker://{}/mirror", registry.address());
    let lines = sandbox.ok(&["copy", "--all-tags", "oci:full", &mirror]);
    assert_eq!(lines.lines().count(), 2);
    for tag in ["v1", "v2"] {
        let location = format!("{mirror}/team/app:{tag}");
        let digest = sandbox.ok(&["resolve", &location]);
        assert!(lines.contains(&format!("{digest}\t{location}")), "{lines}");
    }
    sandbox.ok(&[
        "copy",
        &format!("{repository}:v1"),
        &format!("{}/mapped", registry.address()),
        "--map",
        "*/team/app=other/name",
    ]);
}

#[test]
fn the_same_copy_makes_the_same_index() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    let repository = format!("docker://{}/app", registry.address());
    for number in 0..8 {
        sandbox.write("rootfs/file", number.to_string());
        sandbox.ok(&["pack", "image", "rootfs", "--to", &format!("{repository}:v{number}")]);
    }
    sandbox.ok(&["copy", "--all-tags", &repository, "oci:first"]);
    for _ in 0..3 {
        sandbox.ok(&["copy", "--all-tags", &repository, "oci:again"]);
        assert_eq!(sandbox.read("again/index.json"), sandbox.read("first/index.json"));
        std::fs::remove_dir_all(sandbox.path("again")).unwrap();
    }
}

#[test]
fn tags_are_listed_in_text_long_and_json() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    sandbox.write("rootfs/file", "hello");
    let repository = format!("docker://{}/app", registry.address());
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--to", &format!("{repository}:v1")]);
    sandbox.ok(&["tag", &format!("{repository}:v1"), "v2", "v3"]);
    assert_eq!(sandbox.ok(&["ls", &repository]), "v1\nv2\nv3");
    let long = sandbox.ok(&["ls", &repository, "--long"]);
    assert_eq!(long.matches(&digest).count(), 3, "{long}");
    let json: Value =
        serde_json::from_str(&sandbox.ok(&["ls", &repository, "--format", "json", "--long"])).unwrap();
    assert_eq!(json["references"][2]["location"], format!("{repository}:v3"));
    assert_eq!(json["references"][2]["digest"], digest);
    sandbox.fails_saying(2, &["ls", &format!("{repository}:v1")], "is one manifest");
    sandbox.fails(3, &["ls", &format!("docker://{}/nothing", registry.address())]);
    sandbox.fails(3, &["resolve", &format!("{repository}:v9")]);
}

#[test]
fn plumbing_puts_and_gets_raw_bytes() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    let digest = sandbox.artifact("out", "v1", "hello");
    let manifest = sandbox.ok(&["manifest", "get", "oci:out:v1"]);
    sandbox.write("manifest.json", &manifest);
    sandbox.write("config", "{}");
    sandbox.write("content", "hello");
    let repository = format!("docker://{}/plumbing", registry.address());
    let there = format!("{repository}:v1");
    sandbox.fails(4, &["manifest", "put", "manifest.json", &there]);
    assert_eq!(sandbox.ok(&["blob", "put", "config", &repository]), EMPTY);
    let again = sandbox.run(&["blob", "put", "config", &repository]);
    assert!(again.stderr.contains("was there already"), "{again:?}");
    let blob = sandbox.ok(&["blob", "put", "content", &repository]);
    assert_eq!(sandbox.ok(&["manifest", "put", "manifest.json", &there]), digest);
    assert_eq!(sandbox.ok(&["manifest", "get", &there]), manifest);
    assert_eq!(sandbox.ok(&["blob", "get", &format!("{repository}@{blob}")]), "hello");
    sandbox.fails_saying(
        3,
        &[
            "blob",
            "get",
            &format!("{repository}@{digest}x")
                .replace(&format!("{digest}x"), &transship_spec::Digest::sha256(b"no").to_string()),
        ],
        "there is no blob",
    );
    sandbox.fails_saying(2, &["blob", "put", "content", &there], "a blob has no name");
}

#[test]
fn a_platform_is_chosen_from_an_index() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    sandbox.write("rootfs/file", "hello");
    let mut members = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let platform = format!("linux/{architecture}");
        sandbox.ok(&[
            "pack",
            "image",
            "rootfs",
            "--platform",
            &platform,
            "--to",
            "oci:out",
            "--descriptor-file",
            "d.json",
        ]);
        members.push(sandbox.read("d.json").trim().to_owned());
    }
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        members.join(",")
    );
    sandbox.write("index.json", index);
    let digest = sandbox.ok(&["manifest", "put", "index.json", "oci:out:multi"]);
    let there = format!("docker://{}/multi:v1", registry.address());
    assert_eq!(sandbox.ok(&["copy", "oci:out:multi", &there]), digest);
    let member = |number: usize| -> String {
        let json: Value = serde_json::from_str(&members[number]).unwrap();
        json["digest"].as_str().unwrap().to_owned()
    };
    for location in ["oci:out:multi", &*there] {
        assert_eq!(sandbox.ok(&["resolve", location, "--platform", "linux/arm64"]), member(1));
        let text = sandbox.ok(&["inspect", location]);
        assert!(text.contains("kind        index") && text.contains("linux/arm64"), "{text}");
        sandbox.fails_saying(
            3,
            &["resolve", location, "--platform", "windows/amd64"],
            "linux/amd64, linux/arm64",
        );
        let one = member(0);
        assert_eq!(sandbox.ok(&["copy", location, "oci:one:v1", "--platform", "linux/amd64"]), one);
    }
    sandbox.fails_saying(3, &["resolve", "oci:one:v1", "--platform", "linux/s390x"], "it is for linux/amd64");
}
