//! `transship copy` of some platforms.

use serde_json::Value;
use transship_testkit::{DockerRegistry, TestRegistry};

use crate::support::Sandbox;

/// `oci:out:v1`, an index for three platforms.
fn three() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    for architecture in ["amd64", "arm64", "s390x"] {
        sandbox.write("rootfs/file", architecture);
        let (platform, to) = (format!("linux/{architecture}"), format!("oci:out:{architecture}"));
        sandbox.ok(&["pack", "image", "rootfs", "--platform", &platform, "--to", &to]);
    }
    let digest = sandbox.ok(&[
        "index",
        "create",
        "oci:out:amd64",
        "oci:out:arm64",
        "oci:out:s390x",
        "--to",
        "oci:out:v1",
    ]);
    (sandbox, digest)
}

const TWO: &str = "linux/amd64,linux/arm64";

#[test]
fn img_85_a_sparse_copy_checks_clean_and_is_filled_later() {
    let (sandbox, digest) = three();
    for to in ["oci:dest:v1", "oci-archive:dest.tar:v1"] {
        let copy = ["copy", "oci:out:v1", to, "--subset", "sparse", "--platform"];
        let run = sandbox.run(&[&copy[..], &[TWO, "--format", "json"]].concat());
        let json: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(json["roots"][0]["digest"], digest, "{run:?}");
        let part = serde_json::json!({ "platforms": ["linux/amd64", "linux/arm64"], "leftOut": 1 });
        assert_eq!((&json["roots"][0]["part"], &json["leftOut"]["members"]), (&part, &1.into()));
        assert!(run.stderr.contains("linux/amd64, linux/arm64 of "), "{run:?}");
        let place = to.trim_end_matches(":v1");
        sandbox.ok(&["check", place]);
        let plan = sandbox.ok(&[&copy[..], &["linux/s390x", "--dry-run"]].concat());
        assert!(plan.contains("(linux/s390x)"), "{plan}");
        assert_eq!(sandbox.ok(&[&copy[..], &["linux/s390x"]].concat()), digest);
        sandbox.ok(&["check", place]);
        assert_eq!(sandbox.ok(&["copy", to, "oci:back:v1"]), digest);
    }
    assert!(!sandbox.read("dest/index.json").contains("platforms"));
    sandbox.ok(&["check", "oci:back"]);
    sandbox.ok(&["gc", "dest", "--grace", "0s"]);
}

#[test]
fn a_rewritten_index_is_told_with_what_it_was() {
    let (sandbox, digest) = three();
    sandbox.write("sig.json", "{}");
    sandbox.ok(&["pack", "files", "sig.json", "--subject", "oci:out:v1", "--to", "oci:out"]);
    let run = sandbox.run(&[
        "copy",
        "oci:out:v1",
        "oci:dest:v1",
        "--platform",
        TWO,
        "--subset",
        "rewrite",
        "--report",
        "report",
        "--descriptor-file",
        "descriptor",
    ]);
    let new = run.stdout.trim();
    assert!(run.code == 0 && new != digest, "{run:?}");
    assert!(run.stderr.contains(&format!("{digest} became {new}: linux/amd64, linux/arm64 of ")), "{run:?}");
    assert!(run.stderr.contains("1 signatures and the like stay behind, of the index"), "{run:?}");
    let report: Value = serde_json::from_str(&sandbox.read("report")).unwrap();
    assert_eq!(report["roots"][0]["part"]["original"], digest);
    let descriptor: Value = serde_json::from_str(&sandbox.read("descriptor")).unwrap();
    assert_eq!(descriptor["digest"], new);
    sandbox.ok(&["check", "oci:dest"]);
}

#[test]
fn img_85_registries_that_refuse_a_sparse_index_make_exit_12_with_the_remedy() {
    let (sandbox, digest) = three();
    let (docker, test) = (DockerRegistry::start_blocking(), TestRegistry::builder().start_blocking());
    for registry in [docker.reference("app:v1"), test.reference("app:v1")] {
        let copy = ["copy", "oci:out:v1", &registry, "--platform", TWO, "--subset"];
        sandbox.fails_saying(12, &[&copy[..], &["sparse"]].concat(), "--subset rewrite");
        let new = sandbox.ok(&[&copy[..], &["rewrite"]].concat());
        assert_ne!(new, digest);
        assert_eq!(sandbox.ok(&["resolve", &registry]), new);
    }
}

#[test]
fn platforms_that_make_no_sense_are_refused_with_what_would() {
    let (sandbox, _) = three();
    let fails = |code, flags: &[&str], words| {
        sandbox.fails_saying(code, &[&["copy", "oci:out:v1", "oci:dest:v1"], flags].concat(), words);
        assert!(!sandbox.path("dest").exists());
    };
    fails(2, &["--platform", TWO], "--subset sparse keeps it");
    fails(2, &["--subset", "sparse"], "--platform");
    fails(2, &["--platform", "linux", "--subset", "sparse"], "linux");
    fails(2, &["--platform", TWO, "--subset", "some"], "rewrite");
    let there = "has no image for linux/mips; it has linux/amd64, linux/arm64, linux/s390x";
    fails(3, &["--platform", "linux/mips"], there);
    fails(3, &["--platform", "linux/amd64,linux/mips", "--subset", "sparse"], there);
    fails(3, &["--platform", "linux/mips", "--subset", "rewrite"], there);
}
