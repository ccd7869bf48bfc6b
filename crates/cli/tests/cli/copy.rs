//! `transship copy` between layouts.

use serde_json::Value;

use crate::support::Sandbox;

/// A layout with two images, one of which has a referrer.
fn two() -> (Sandbox, String, String) {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/file", "hello");
    let one = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    sandbox.write("rootfs/file", "bye");
    let two = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v2"]);
    sandbox.write("sbom.json", "{}");
    sandbox.ok(&["pack", "files", "sbom.json", "--subject", "oci:out:v1", "--to", "oci:out"]);
    (sandbox, one, two)
}

#[test]
fn the_second_time_nothing_moves() {
    let (sandbox, digest, _) = two();
    let first = sandbox.run(&["copy", "oci:out:v1", "oci:dest"]);
    assert_eq!((first.code, first.stdout.trim()), (0, &*digest));
    assert!(first.stderr.contains("2 manifests"), "{first:?}");
    assert!(first.stderr.contains("with 1 referrer"), "{first:?}");
    let before = sandbox.tree();
    let second = sandbox.run(&["cp", "oci:out:v1", "oci:dest"]);
    assert_eq!((second.code, second.stdout.trim()), (0, &*digest));
    assert!(second.stderr.starts_with("nothing moved: everything was there already"), "{second:?}");
    assert_eq!(sandbox.tree(), before);
    assert_eq!(sandbox.path("dest").read_dir().unwrap().count(), 3);
}

#[test]
fn a_layout_may_be_copied_into_itself() {
    let (sandbox, digest, _) = two();
    for to in ["oci:out:v3", "oci:./out:v4"] {
        let run = sandbox.run(&["copy", "oci:out:v1", to]);
        assert_eq!((run.code, run.stdout.trim()), (0, &*digest), "{run:?}");
        assert_eq!(sandbox.ok(&["resolve", to]), digest);
    }
    let text = sandbox.ok(&["copy", "oci:out:v1", "oci:out:v5", "--dry-run"]);
    assert!(text.contains("as v5"), "{text}");
}

#[test]
fn several_things_are_printed_line_by_line_with_where_they_are() {
    let (sandbox, one, two) = two();
    let lines = format!("{one}\toci:dest:v1\n{two}\toci:dest:v2");
    assert_eq!(sandbox.ok(&["copy", "--all-tags", "oci:out", "oci:dest"]), lines);
    assert_eq!(sandbox.ok(&["copy", "oci:out:v1", "oci:out:v2", "oci:dest"]), lines);
    sandbox.write("images", "# both\noci:out:v1\noci:out:v2\n");
    assert_eq!(sandbox.ok(&["copy", "--images", "images", "oci:dest", "--digest-file", "digests"]), lines);
    assert_eq!(sandbox.read("digests"), lines + "\n");
    for line in sandbox.read("digests").lines() {
        let (digest, location) = line.split_once('\t').unwrap();
        assert_eq!(sandbox.ok(&["resolve", location]), digest);
    }
}

#[test]
fn globs_choose_among_tags() {
    let (sandbox, one, two) = two();
    sandbox.ok(&["tag", "oci:out:v1", "latest"]);
    let chosen = sandbox.ok(&["copy", "--tags", "v*", "--exclude", "*2", "oci:out", "oci:dest"]);
    assert!(chosen.contains(&one) && !chosen.contains(&two), "{chosen}");
    assert_eq!(sandbox.ok(&["ls", "oci:dest"]).lines().next(), Some("v1"));
    sandbox.fails_saying(3, &["copy", "--tags", "w*", "oci:out", "oci:none"], "oci:out");
    sandbox.fails_saying(2, &["copy", "--all-tags", "oci:out:v1", "oci:none"], "is one thing");
}

#[test]
fn versions_expressions_and_age_choose_among_tags() {
    let sandbox = Sandbox::new();
    for (tag, created) in [("v1.2", "2022"), ("v1.10", "2021"), ("v2.0", "2023"), ("edge", "2024")] {
        sandbox.write("rootfs/file", tag);
        let (created, to) = (format!("{created}-01-01T00:00:00Z"), format!("oci:out:{tag}"));
        sandbox.ok(&["pack", "image", "rootfs", "--created", &created, "--to", &to]);
    }
    let chosen = |flags: &[&str]| {
        let text = sandbox.ok(&[&["copy", "oci:out", "oci:dest", "--dry-run"], flags].concat());
        let tags = text.lines().filter_map(|line| Some(line.strip_prefix("copy ")?.rsplit_once(" as ")?.1));
        tags.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&["--tags", "semver:>=1.2, <2"]), ["v1.2", "v1.10"]);
    assert_eq!(chosen(&["--tags", "regex:[a-z]+"]), ["edge"]);
    assert_eq!(chosen(&["--newest", "2"]), ["v2.0", "v1.10"]);
    assert_eq!(chosen(&["--newest", "2", "--newest-by", "created"]), ["edge", "v2.0"]);
    assert_eq!(chosen(&["--tags", "semver:<2", "--newest", "1", "--exclude", "*.10"]), ["v1.2"]);
    let refused: [(&[&str], &str); 6] = [
        (&["--tags", "semver:new"], "does not tell which tags are meant"),
        (&["--exclude", "regex:("], "unclosed group"),
        (&["--newest", "0"], "0"),
        (&["--newest", "some"], "some"),
        (&["--newest-by", "created"], "--newest"),
        (&["--newest", "1", "--newest-by", "name"], "created"),
    ];
    for (flags, words) in refused {
        sandbox.fails_saying(2, &[&["copy", "oci:out", "oci:dest"], flags].concat(), words);
    }
    sandbox.fails_saying(2, &["copy", "oci:out:edge", "oci:dest", "--newest", "1"], "is one thing");
    sandbox.fails_saying(3, &["copy", "oci:out", "oci:dest", "--newest", "1", "--tags", "edge"], "oci:out");
    assert!(!sandbox.path("dest").exists());
}

#[test]
fn a_dry_run_tells_the_bytes_and_changes_nothing() {
    let (sandbox, _, _) = two();
    let before = sandbox.tree();
    let text = sandbox.ok(&["copy", "oci:out:v1", "oci:dest:there", "--dry-run"]);
    assert!(text.starts_with("copy oci:out:v1 to oci:dest as there\n"), "{text}");
    assert!(text.contains("missing: "), "{text}");
    let json = sandbox.ok(&["copy", "oci:out:v1", "oci:dest:there", "--dry-run", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["schema"], &json["roots"][0]["destination"]),
        (&"transship.plan/v1".into(), &"oci:dest".into())
    );
    assert_eq!(sandbox.tree(), before);
    sandbox.ok(&["copy", "oci:out:v1", "oci:dest:there"]);
    let before = sandbox.tree();
    let text = sandbox.ok(&["copy", "oci:out:v1", "oci:dest:there", "--dry-run"]);
    assert!(text.starts_with("keep oci:out:v1"), "{text}");
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn referrers_come_along_unless_told() {
    let (sandbox, digest, _) = two();
    let referrers = |location: &str| {
        let json: Value =
            serde_json::from_str(&sandbox.ok(&["inspect", location, "--format", "json"])).unwrap();
        json["referrers"].as_array().unwrap().len()
    };
    sandbox.ok(&["copy", "oci:out:v1", "oci:all:v1"]);
    sandbox.ok(&["copy", "oci:out:v1", "oci:none:v1", "--referrers", "none"]);
    sandbox.ok(&["copy", "oci:out:v1", "oci:other:v1", "--referrers", "text/plain,application/other"]);
    assert_eq!((referrers("oci:all:v1"), referrers("oci:none:v1"), referrers("oci:other:v1")), (1, 0, 0));
    assert_eq!(sandbox.ok(&["resolve", "oci:none"]), digest);
    sandbox.fails_saying(2, &["copy", "oci:out:v1", "oci:x", "--referrers", "some"], "artifact types");
}

#[test]
fn the_report_tells_all_also_when_something_failed() {
    let (sandbox, one, two) = two();
    let manifest = sandbox.blob("out", &two);
    std::fs::write(manifest, "spoilt").unwrap();
    let arguments =
        ["copy", "--all-tags", "oci:out", "oci:dest", "--report", "report.json", "--digest-file", "digest"];
    let run = sandbox.run(&arguments);
    assert_eq!(run.code, 10, "{run:?}");
    assert_eq!(run.stdout, format!("{one}\toci:dest:v1\n"));
    assert!(run.stderr.contains("error: cannot copy oci:out:v2"), "{run:?}");
    assert!(run.stderr.contains("1 of 3 failed"), "{run:?}");
    let report: Value = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    assert_eq!(report["schema"], "transship.copy/v1");
    let status: Vec<_> =
        report["roots"].as_array().unwrap().iter().map(|root| root["status"].clone()).collect();
    assert!(status.contains(&"failed".into()) && status.contains(&"copied".into()), "{report}");
    assert!(!sandbox.path("digest").exists());
    assert_eq!(sandbox.ok(&["resolve", "oci:dest:v1"]), one);
    assert_eq!(sandbox.run(&["copy", "oci:out:v9", "oci:dest", "--report", "report.json"]).code, 3);
    let report: Value = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    assert_eq!(
        (&report["schema"], &report["error"]["kind"]),
        (&"transship.copy/v1".into(), &"not-found".into())
    );
}

#[test]
fn more_and_less_can_be_said() {
    let (sandbox, digest, _) = two();
    let loud = sandbox.run(&["copy", "oci:out:v1", "oci:loud", "-v"]);
    assert!(loud.stderr.contains("layer ") && loud.stderr.contains(" done, "), "{loud:?}");
    assert!(loud.stderr.contains(&format!("oci:out:v1: copied, {digest}")), "{loud:?}");
    let usual = sandbox.run(&["copy", "oci:out:v1", "oci:usual"]);
    assert_eq!(usual.stderr.lines().count(), 1, "{usual:?}");
    let quiet = sandbox.run(&["copy", "oci:out:v1", "oci:quiet", "-q"]);
    assert_eq!((quiet.stdout.trim(), quiet.stderr.as_str()), (&*digest, ""));
}

#[test]
fn json_is_one_document_and_json_progress_one_event_a_line() {
    let (sandbox, digest, _) = two();
    let run = sandbox.run(&["copy", "oci:out:v1", "oci:dest", "--format", "json", "--progress", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["roots"][0]["digest"], digest);
    let events: Vec<Value> = run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.last().unwrap()["event"], "summary");
    assert!(events.iter().any(|event| event["event"] == "finished"), "{events:?}");
    let run = sandbox.run(&["copy", "oci:out:v9", "oci:dest", "--progress", "json"]);
    let error: Value = serde_json::from_str(run.stderr.trim()).unwrap();
    assert_eq!(
        (&error["event"], &error["kind"], &error["code"]),
        (&"error".into(), &"not-found".into(), &3.into())
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_moves() {
    let (sandbox, _, _) = two();
    sandbox.fails_saying(2, &["copy", "oci:out:v1"], "give both");
    sandbox.write("images", "# nothing\n");
    sandbox.fails_saying(2, &["copy", "--images", "images", "oci:dest"], "lists nothing");
    sandbox.fails_saying(2, &["copy", "oci:out:v1", "oci:out:v2", "oci:dest:v3"], "--map");
    sandbox.fails_saying(2, &["copy", "--map", "x", "oci:out:v1", "oci:dest"], "is not a map");
    sandbox.fails_saying(
        2,
        &["copy", "--short-names", "oci:out:v1", "docker://localhost:1/app"],
        "--short-names",
    );
    assert!(!sandbox.path("dest").exists());
}
