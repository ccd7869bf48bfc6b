//! `check`: findings, exit codes, repair; on layouts, archives and registries.

use serde_json::Value;

use crate::real::{peer, registry};
use crate::support::Sandbox;

/// A layout with an image `v1` and an artifact `sbom`, and the file of the image's layer.
fn packed(sandbox: &Sandbox, layout: &str) -> std::path::PathBuf {
    sandbox.write("rootfs/file", "hello");
    sandbox.write("sbom.json", r#"{"bomFormat":"CycloneDX"}"#);
    sandbox.ok(&["pack", "image", "rootfs", "--to", &format!("oci:{layout}:v1")]);
    sandbox.ok(&["pack", "files", "sbom.json", "--to", &format!("oci:{layout}:sbom")]);
    let manifest = sandbox.ok(&["manifest", "get", &format!("oci:{layout}:v1")]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    sandbox.blob(layout, manifest["layers"][0]["digest"].as_str().unwrap())
}

fn json(sandbox: &Sandbox, code: i32, arguments: &[&str]) -> Value {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--format", "json"]);
    let run = sandbox.run(&arguments);
    assert_eq!(run.code, code, "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

fn codes(document: &Value) -> Vec<&str> {
    document["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// The last line: the closure digest.
fn closure(text: &str) -> &str {
    text.lines().last().unwrap().strip_prefix("closure ").unwrap()
}

#[test]
fn what_was_packed_is_clean_and_has_one_closure_digest_in_every_place() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    packed(&sandbox, "out");
    let before = sandbox.tree();
    let text = sandbox.ok(&["check", "oci:out"]);
    assert_eq!(sandbox.tree(), before, "check writes nothing");
    assert!(text.starts_with("6 blobs, "), "{text}");
    assert!(text.contains(": 0 errors, 0 warnings, 0 notes\n"), "{text}");
    assert_eq!(sandbox.ok(&["validate", "./out"]), text);

    let there = format!("docker://{}/team/app:v1", registry.address());
    sandbox.ok(&["copy", "oci:out:v1", &there]);
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:out.tar:v1"]);
    let one = sandbox.ok(&["check", "oci:out:v1"]);
    assert!(closure(&one).starts_with("sha256:") && closure(&one) != closure(&text), "{one}");
    for place in
        ["oci-archive:out.tar", "oci-archive:out.tar:v1", there.as_str(), there.strip_suffix(":v1").unwrap()]
    {
        assert_eq!(closure(&sandbox.ok(&["check", place])), closure(&one), "{place}");
    }
}

#[test]
fn layouts_of_skopeo_have_warnings_and_no_errors() {
    let sandbox = Sandbox::new();
    packed(&sandbox, "out");
    peer(&sandbox, "skopeo", &["--insecure-policy", "copy", "oci:out:v1", "oci:copied:v1"]);
    let text = sandbox.ok(&["check", "oci:copied"]);
    assert!(text.starts_with("warning  media-type-missing"), "{text}");
    assert_eq!(closure(&text), closure(&sandbox.ok(&["check", "oci:out:v1"])));
    let run = sandbox.run(&["check", "oci:copied", "--strict"]);
    assert_eq!(run.code, 4);
    assert!(run.stderr.ends_with("error: oci:copied has 1 warning (--strict)\n"), "{}", run.stderr);
}

#[test]
fn errors_exit_4_with_the_place_the_message_and_the_remedy() {
    let sandbox = Sandbox::new();
    let layer = packed(&sandbox, "out");
    sandbox.write("out/blobs/sha256/.nfs0001", "");
    std::fs::write(&layer, "corrupt").unwrap();
    let run = sandbox.run(&["check", "oci:out"]);
    assert_eq!(run.code, 4);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("warning  stray-file"), "{lines:?}");
    assert!(lines[1].starts_with("error    blob-corrupt"), "{lines:?}");
    assert!(
        lines[1].contains("blobs/sha256/") && lines[1].contains("content has digest sha256:"),
        "{lines:?}"
    );
    assert_eq!(lines[3], "closure unknown: not everything is there and right");
    assert!(run.stderr.contains("blob-corrupt: transship check --repair"), "{}", run.stderr);
    assert!(run.stderr.ends_with("error: oci:out has 1 error\n"), "{}", run.stderr);

    let document = json(&sandbox, 4, &["check", "oci:out"]);
    assert_eq!(document["schema"], "transship.check/v1");
    assert_eq!(codes(&document), ["stray-file", "blob-corrupt"]);
    let finding = &document["findings"][1];
    assert_eq!(finding["severity"], "error");
    for member in ["path", "digest", "message", "remedy"] {
        assert!(finding[member].is_string(), "{member}: {finding}");
    }
    assert_eq!((&document["summary"]["errors"], &document["closure"]), (&1.into(), &Value::Null));
}

#[test]
fn what_is_no_layout_at_all_still_gives_findings() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    let document = json(&sandbox, 4, &["check", "./empty"]);
    assert_eq!(codes(&document), ["marker-missing", "index-missing", "blobs-missing"]);
    sandbox.fails_saying(3, &["check", "oci:nowhere"], "does not exist");
}

#[test]
fn repair_plans_quarantines_and_fetches() {
    let sandbox = Sandbox::new();
    let layer = packed(&sandbox, "out");
    sandbox.ok(&["copy", "oci:out:v1", "oci:good:v1"]);
    let clean = sandbox.ok(&["check", "oci:out"]);
    std::fs::write(&layer, "corrupt").unwrap();

    let before = sandbox.tree();
    let run = sandbox.run(&["check", "oci:out", "--repair", "--dry-run", "--from", "oci:good"]);
    assert_eq!(run.code, 4, "{run:?}");
    for words in ["blob-corrupt", "quarantine sha256:", "fetch      sha256:"] {
        assert!(run.stdout.contains(words), "{words}: {run:?}");
    }
    assert_eq!(sandbox.tree(), before);

    let text = sandbox.ok(&["check", "oci:out", "--repair", "--from", "oci:good"]);
    assert!(text.contains("quarantined sha256:") && text.contains("fetched sha256:"), "{text}");
    assert_eq!(closure(&text), closure(&clean));
    let document = json(&sandbox, 0, &["check", "oci:out", "--repair"]);
    assert_eq!(codes(&document), ["quarantined"]);
    assert_eq!(document["repair"]["plan"]["quarantine"], serde_json::json!([]));
}

#[test]
fn repair_fetches_from_a_registry() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    let layer = packed(&sandbox, "out");
    let there = format!("docker://{}/team/app:v1", registry.address());
    sandbox.ok(&["copy", "oci:out:v1", &there]);
    std::fs::remove_file(&layer).unwrap();
    let document = json(&sandbox, 0, &["check", "oci:out", "--repair", "--from", &there]);
    assert_eq!(document["repair"]["done"]["refilled"].as_array().unwrap().len(), 1, "{document}");
    assert!(layer.exists());
}

#[test]
fn what_cannot_be_repaired_is_told_all_the_same() {
    let sandbox = Sandbox::new();
    let layer = packed(&sandbox, "out");
    std::fs::write(&layer, "corrupt").unwrap();
    sandbox.write("out/index.json", "{");
    let run = sandbox.run(&["check", "oci:out", "--repair"]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.stdout.contains("index-malformed") && run.stdout.contains("blob-corrupt"), "{run:?}");
    assert!(run.stderr.contains("cannot repair it: "), "{run:?}");
    assert_eq!(std::fs::read_to_string(sandbox.path("out/index.json")).unwrap(), "{");
}

#[test]
fn entries_are_dropped_only_when_told_so() {
    let sandbox = Sandbox::new();
    packed(&sandbox, "out");
    let digest = sandbox.ok(&["resolve", "oci:out:sbom"]);
    std::fs::remove_file(sandbox.blob("out", &digest)).unwrap();
    assert_eq!(sandbox.run(&["check", "oci:out", "--repair"]).code, 4);
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), "v1\nsbom");
    let text = sandbox.ok(&["check", "oci:out", "--repair", "--drop-entries"]);
    assert!(text.starts_with("dropped sbom\n"), "{text}");
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), "v1");
    sandbox.fails_saying(2, &["check", "oci:out:v1", "--repair"], "only a whole layout");
    assert_eq!(sandbox.run(&["check", "oci:out", "--drop-entries"]).code, 2);
}

#[test]
fn how_far_it_is_goes_to_standard_error_and_findings_do_not() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    let run = sandbox.run(&["check", "oci:out", "--progress", "json"]);
    let events: Vec<serde_json::Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["begin", "started", "finished"], "{}", run.stderr);
    assert_eq!((&events[0]["bytes"], &events[1]["name"]), (&7.into(), &"2 blobs".into()), "{}", run.stderr);
    assert_eq!(events[2]["bytes"], 7);
    let plain = sandbox.run(&["check", "oci:out", "--progress", "plain"]);
    assert_eq!((plain.stdout, plain.stderr.as_str()), (run.stdout, ""));
}
