//! `transship index`: images from anywhere under one name.

use serde_json::Value;

use crate::real::registry;
use crate::support::Sandbox;

/// A layout with an image for each of two platforms.
fn images() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/hello", "hello");
    for (platform, name) in [("linux/amd64", "amd"), ("linux/arm64/v8", "arm")] {
        let to = format!("oci:out:{name}");
        sandbox.ok(&["pack", "image", "rootfs", "--platform", platform, "--to", &to]);
    }
    sandbox
}

fn json(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    serde_json::from_str(&sandbox.ok(&[arguments, &["--format", "json"]].concat())).unwrap()
}

fn platforms(sandbox: &Sandbox, location: &str) -> Value {
    json(sandbox, &["inspect", location])["platforms"].clone()
}

#[test]
fn images_from_everywhere_become_one_index_anywhere() {
    let (sandbox, registry) = (images(), registry());
    let there = |name: &str| format!("docker://{}/team/{name}", registry.address());
    sandbox.ok(&["copy", "oci:out:amd", &there("amd:v1")]);
    sandbox.ok(&["copy", "oci:out:arm", "oci-archive:arm.tar:v1"]);
    let local = sandbox.ok(&["index", "create", "oci:out:amd", "oci:out:arm", "--to", "oci:out:multi"]);
    let sources = [&there("amd:v1"), "oci-archive:arm.tar:v1"];
    for to in [&there("multi:v1"), "oci:new:multi", "oci-archive:new.tar:multi"] {
        let made = sandbox.ok(&["index", "create", sources[0], sources[1], "--to", to]);
        assert_eq!(made, local, "{to}");
        assert_eq!(sandbox.ok(&["resolve", to]), local);
        assert_eq!(platforms(&sandbox, to), serde_json::json!(["linux/amd64", "linux/arm64"]), "{to}");
    }
    let raw = sandbox.ok(&["check", "oci:new"]);
    assert!(raw.contains("0 errors, 0 warnings"), "{raw}");
    let less = sandbox.ok(&["index", "remove", &there("multi:v1"), "--platform", "linux/arm64"]);
    assert_eq!(sandbox.ok(&["resolve", &there("multi:v1")]), less);
    let more = sandbox.ok(&["index", "add", &there("multi:v1"), "oci:out:arm"]);
    assert_eq!(more, local, "taken out and put in again, it is what it was");
}

#[test]
fn the_name_moves_unless_the_index_goes_elsewhere() {
    let sandbox = images();
    let one = sandbox.ok(&["index", "create", "oci:out:amd", "--to", "oci:out:multi"]);
    let two = sandbox.ok(&["index", "add", "oci:out:multi", "oci:out:arm", "--to", "oci:out:both"]);
    assert_eq!(sandbox.ok(&["resolve", "oci:out:multi"]), one);
    assert_eq!(sandbox.ok(&["resolve", "oci:out:both"]), two);
    let at = format!("oci:out@{one}");
    let moved = json(&sandbox, &["index", "add", &at, "oci:out:arm"]);
    assert_eq!(moved["schema"], "transship.index/v1");
    assert_eq!(moved["location"], "oci:out:multi");
    assert_eq!(moved["digest"].as_str(), Some(&*two));
    assert_eq!(moved["added"][0], moved["manifests"][1]["digest"]);
    assert_eq!(moved["manifests"][1]["platform"], "linux/arm64");
}

#[test]
fn what_refers_to_the_old_index_is_told_of() {
    let sandbox = images();
    sandbox.ok(&["index", "create", "oci:out:amd", "--to", "oci:out:multi"]);
    sandbox.write("sig", "sig");
    sandbox.ok(&[
        "pack",
        "files",
        "sig",
        "--subject",
        "oci:out:multi",
        "--artifact-type",
        "a/b",
        "--to",
        "oci:out",
    ]);
    let run = sandbox.run(&["index", "add", "oci:out:multi", "oci:out:arm"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("1 signature or referrer speaks of the old digest"), "{run:?}");
}

#[test]
fn what_cannot_be_done_is_told_with_what_can() {
    let sandbox = images();
    sandbox.ok(&["index", "create", "oci:out:amd", "--to", "oci:out:multi"]);
    let create = ["index", "create", "oci:out:amd", "oci:out:amd", "oci:out:arm"];
    sandbox.ok(&[&create, &["--to", "oci:out:x"][..]].concat());
    sandbox.write("rootfs/more", "more");
    sandbox.ok(&["pack", "image", "rootfs", "--platform", "linux/amd64", "--to", "oci:out:again"]);
    sandbox.fails_saying(2, &["index", "add", "oci:out:multi", "oci:out:again"], "--replace");
    sandbox.fails_saying(4, &["index", "add", "oci:out:amd", "oci:out:arm"], "is an image, and no index");
    sandbox.fails_saying(3, &["index", "add", "oci:out:none", "oci:out:arm"], "none");
    sandbox.fails_saying(
        3,
        &["index", "remove", "oci:out:multi", "--platform", "linux/s390x"],
        "no member for linux/s390x; there are sha256:",
    );
    sandbox.fails_saying(2, &["index", "remove", "oci:out:multi"], "says what is to be taken out");
    sandbox.fails_saying(
        3,
        &["index", "create", "oci:out:amd", "--platform", "linux/arm64", "--to", "oci:out:x"],
        "is for linux/amd64, not for linux/arm64",
    );
    sandbox.fails_saying(
        2,
        &["index", "create", "oci:out:amd", "--to", &format!("oci:out@{}", crate::support::EMPTY)],
        "is not known before",
    );
}

#[test]
fn skopeo_and_umoci_choose_from_an_index_that_was_made_here() {
    let sandbox = images();
    sandbox.ok(&["index", "create", "oci:out:arm", "oci:out:amd", "--to", "oci:out:multi"]);
    let arguments = ["--override-arch", "arm64", "inspect", "oci:out:multi"];
    let told: Value = serde_json::from_str(&crate::real::peer(&sandbox, "skopeo", &arguments)).unwrap();
    assert_eq!(told["Architecture"], "arm64");
    crate::real::peer(
        &sandbox,
        "skopeo",
        &["--insecure-policy", "copy", "--all", "oci:out:multi", "oci:theirs:multi"],
    );
    assert_eq!(sandbox.ok(&["resolve", "oci:theirs:multi"]), sandbox.ok(&["resolve", "oci:out:multi"]));
}
