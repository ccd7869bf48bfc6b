//! `transship edit`: what is named changes, in every place that can be written.

use serde_json::Value;

use crate::real::{peer, registry};
use crate::support::{Run, Sandbox};

/// A layout with an image of two layers.
fn image() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("one/a", "1");
    sandbox.write("one/d/b", "1");
    sandbox.write("two/c", "2");
    sandbox.ok(&[
        "pack",
        "image",
        "one",
        "two",
        "--platform",
        "linux/amd64",
        "--env",
        "A=1",
        "--cmd",
        "sh",
        "--to",
        "oci:out:v1",
    ]);
    sandbox
}

fn json(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    serde_json::from_str(&sandbox.ok(&[arguments, &["--format", "json"]].concat())).unwrap()
}

#[test]
fn an_image_is_changed_where_it_is_or_elsewhere() {
    let (sandbox, registry) = (image(), registry());
    let there = format!("docker://{}/team/app:v1", registry.address());
    let before = sandbox.ok(&["resolve", "oci:out:v1"]);
    sandbox.ok(&["copy", "oci:out:v1", &there]);
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:out.tar:v1"]);
    let change = ["--user", "1000", "--label", "a=b"];
    let new = sandbox.ok(&[&["edit", "oci:out:v1", "--to", "oci:out:v2"], &change[..]].concat());
    assert_eq!(sandbox.ok(&["resolve", "oci:out:v1"]), before);
    for at in ["oci:out:v1", "oci-archive:out.tar:v1", &there] {
        assert_eq!(sandbox.ok(&[&["edit", at], &change[..]].concat()), new, "{at}");
        assert_eq!(sandbox.ok(&["resolve", at]), new, "{at}");
        assert_eq!(json(&sandbox, &["inspect", at])["config"]["user"], "1000");
    }
    let by_digest = format!("{}@{new}", there.rsplit_once(':').unwrap().0);
    let said = sandbox.fails(2, &["edit", &by_digest, "--user", "1"]);
    assert!(said.contains("--to LOCATION"), "{said}");
    sandbox.ok(&["edit", &by_digest, "--user", "1", "--to", "oci:new:v1"]);
    assert!(sandbox.ok(&["check", "oci:new"]).contains("0 errors, 0 warnings"));
}

#[test]
fn law_10_what_the_repository_has_already_does_not_move() {
    let (sandbox, registry) = (image(), transship_testkit::TestRegistry::builder().start_blocking());
    let there = format!("docker://{}", registry.reference("app:v1"));
    sandbox.ok(&["copy", "oci:out:v1", &there]);
    let new = sandbox.ok(&["edit", "oci:out:v1", "--user", "1000", "--to", "oci:out:v2"]);
    registry.forget();
    assert_eq!(sandbox.ok(&["edit", &there, "--user", "1000"]), new);
    let counts = registry.counts();
    assert_eq!(
        (counts.blob_get, counts.upload_put, counts.manifest_put),
        (1, 1, 1),
        "the config: {counts:?}"
    );
    registry.forget();
    let multi = format!("docker://{}", registry.reference("app:multi"));
    let index = sandbox.ok(&["index", "create", &there, "--to", &multi]);
    let counts = registry.counts();
    assert_eq!((counts.blob_get, counts.upload_put, counts.manifest_put), (1, 0, 1), "{counts:?}");
    let edited = sandbox.ok(&["edit", &multi, "--user", "1001"]);
    assert_ne!(edited, index);
    sandbox.ok(&["copy", &multi, "oci:whole:v1"]);
    assert!(sandbox.ok(&["check", "oci:whole"]).contains("0 errors, 0 warnings"));
}

#[test]
fn an_edit_of_nothing_gives_the_same_digest() {
    let sandbox = image();
    let before = sandbox.tree();
    let digest = sandbox.ok(&["resolve", "oci:out:v1"]);
    for nothing in
        [&["edit", "oci:out:v1"][..], &["mutate", "oci:out:v1", "--env", "A=1", "--recompress", "gzip"]]
    {
        let run = sandbox.run(nothing);
        assert_eq!((run.code, run.stdout.trim()), (0, &*digest), "{run:?}");
        assert!(run.stderr.contains("nothing changed"), "{run:?}");
    }
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn what_would_change_is_told_and_not_done() {
    let sandbox = image();
    let before = sandbox.tree();
    let change = ["edit", "oci:out:v1", "--env", "A=2", "--drop-layer", "1"];
    let plan = sandbox.ok(&[&change[..], &["--dry-run"]].concat());
    assert_eq!(sandbox.tree(), before);
    let lines: Vec<&str> = plan.lines().collect();
    assert!(lines[0].starts_with("layer sha256:") && lines[0].ends_with(" dropped"), "{plan}");
    assert_eq!(lines[1], r#"Env: ["A=1"] -> ["A=2"]"#);
    assert!(lines[2].starts_with(&sandbox.ok(&["resolve", "oci:out:v1"])), "{plan}");
    assert_eq!(sandbox.ok(&["edit", "oci:out:v1", "--dry-run"]), "nothing would change");
    let planned = json(&sandbox, &[&change[..], &["--dry-run"]].concat());
    let done = json(&sandbox, &change);
    assert_eq!((&planned["dryRun"], &done["dryRun"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_eq!(planned["documents"], done["documents"]);
    assert_eq!(done["changes"].as_array().unwrap().len(), 2);
}

#[test]
fn signatures_of_the_old_image_are_counted() {
    let sandbox = image();
    sandbox.write("sig", "sig");
    sandbox.ok(&[
        "pack",
        "files",
        "sig",
        "--subject",
        "oci:out:v1",
        "--artifact-type",
        "a/b",
        "--to",
        "oci:out",
    ]);
    let run = sandbox.run(&["edit", "oci:out:v1", "--user", "1"]);
    assert!(run.stderr.contains("1 signature or referrer speaks of the old digest"), "{run:?}");
    let again = sandbox.run(&["edit", "oci:out:v1", "--user", "1"]);
    assert!(!again.stderr.contains("signature"), "{again:?}");
}

#[test]
fn an_image_is_put_upon_another_base_that_is_named_or_told() {
    let sandbox = image();
    sandbox.write("app/app", "app");
    sandbox.ok(&["pack", "image", "app", "--from", "oci:out:v1", "--to", "oci:out:app"]);
    sandbox.ok(&["pack", "image", "two", "--platform", "linux/amd64", "--to", "oci:out:new"]);
    let rebase = ["edit", "oci:out:app", "--rebase", "oci:out:v1", "oci:out:new", "--to", "oci:out:one"];
    let one = sandbox.ok(&rebase);
    assert_eq!(
        sandbox.ok(&["edit", "oci:out:app", "--rebase-to", "oci:out:new", "--to", "oci:out:two"]),
        one
    );
    assert_eq!(json(&sandbox, &["inspect", "oci:out:one"])["layers"].as_array().unwrap().len(), 2);
    sandbox.fails_saying(
        4,
        &rebase.map(|word| if word == "oci:out:app" { "oci:out:new" } else { word }),
        "is not built upon",
    );
    sandbox.fails_saying(2, &["edit", "oci:out:new", "--rebase-to", "oci:out:v1"], "--rebase OLD NEW");
}

#[test]
fn what_cannot_be_done_is_told_with_what_can() {
    let sandbox = image();
    sandbox.artifact("out", "thing", "hello");
    for (code, flags, words) in [
        (3, &["--drop-layer", "2"][..], "there is no layer 2; sha256:"),
        (2, &["--drop-layer", "first"], "its position, the first is 0, or its digest"),
        (2, &["--replace-layer", "0"], "it is not LAYER=INPUT"),
        (2, &["--env", "A"], "NAME=VALUE"),
        (2, &["--healthcheck", "NONE"], "it takes a JSON object"),
        (2, &["--created", "now"], "it takes a date"),
        (3, &["--platform", "linux/arm64", "--user", "1"], "is one image and no index"),
        (4, &["--index-annotation", "a=b"], "is no index"),
        (12, &["--convert", "docker", "--recompress", "zstd"], "--recompress gzip"),
        (12, &["--convert", "docker", "--annotation", "a=b"], "--clear annotation takes"),
        (2, &["--clear", "everything"], "possible values"),
    ] {
        let run = sandbox.run(&[&["edit", "oci:out:v1"], flags].concat());
        assert_eq!(run.code, code, "{flags:?}: {run:?}");
        assert!(run.stderr.contains(words), "{flags:?}: {run:?}");
    }
    sandbox.fails_saying(
        4,
        &["edit", "oci:out:thing", "--user", "1"],
        "no image, but an artifact of type text/x-test",
    );
    sandbox.fails_saying(3, &["edit", "oci:out:none", "--user", "1"], "none");
}

#[test]
fn umoci_makes_the_same_config_of_the_same_changes() {
    let sandbox = image();
    sandbox.ok(&["copy", "oci:out:v1", "oci:theirs:v1"]);
    let theirs = [
        "config",
        "--image",
        "theirs:v1",
        "--config.user=1000:1000",
        "--config.env=A=2",
        "--config.env=B=3",
        "--config.entrypoint=/app",
        "--config.cmd=-v",
        "--config.workingdir=/srv",
        "--config.label=a=b",
        "--config.exposedports=80/tcp",
        "--config.volume=/data",
        "--config.stopsignal=SIGINT",
        "--author=me",
        "--created=2024-01-01T00:00:00Z",
        "--architecture=arm64",
        "--no-history",
    ];
    peer(&sandbox, "umoci", &theirs);
    sandbox.ok(&[
        "edit",
        "oci:out:v1",
        "--user",
        "1000:1000",
        "--env",
        "A=2",
        "--env",
        "B=3",
        "--entrypoint",
        "/app",
        "--cmd",
        "-v",
        "--workdir",
        "/srv",
        "--label",
        "a=b",
        "--expose",
        "80/tcp",
        "--volume",
        "/data",
        "--stop-signal",
        "SIGINT",
        "--author",
        "me",
        "--created",
        "2024-01-01T00:00:00Z",
        "--set-platform",
        "linux/arm64",
    ]);
    let config = |image: &str| -> Value {
        serde_json::from_str(&peer(&sandbox, "skopeo", &["inspect", "--config", image])).unwrap()
    };
    assert_eq!(config("oci:out:v1"), config("oci:theirs:v1"));
}

#[test]
fn umoci_unpacks_merged_layers_to_the_tree_of_all_of_them() {
    let sandbox = image();
    sandbox.write("three/d/.wh.b", "");
    sandbox.write("three/e", "");
    peer(&sandbox, "tar", &["-cf", "three.tar", "-C", "three", "."]);
    sandbox.ok(&["edit", "oci:out:v1", "--append-layer", "three.tar", "--replace-layer", "1=two"]);
    sandbox.ok(&["edit", "oci:out:v1", "--squash", "--to", "oci:out:all"]);
    sandbox.ok(&["edit", "oci:out:v1", "--squash=1", "--time", "0", "--to", "oci:out:some"]);
    for image in ["v1", "all", "some"] {
        let (from, to) = (format!("out:{image}"), format!("bundle-{image}"));
        peer(&sandbox, "umoci", &["unpack", "--rootless", "--image", &from, &to]);
        let (one, other) = ("bundle-v1/rootfs", format!("{to}/rootfs"));
        let diff = Run::of(sandbox.command("diff").args(["-r", one, &other]).output().unwrap());
        assert_eq!((diff.code, &*diff.stdout), (0, ""), "{image}: {diff:?}");
    }
    assert!(!sandbox.path("bundle-all/rootfs/d/b").exists() && sandbox.path("bundle-all/rootfs/d").exists());
    for (image, layers) in [("all", 1), ("some", 2)] {
        let told: Value =
            serde_json::from_str(&peer(&sandbox, "skopeo", &["inspect", &format!("oci:out:{image}")]))
                .unwrap();
        assert_eq!(told["Layers"].as_array().unwrap().len(), layers);
    }
}
