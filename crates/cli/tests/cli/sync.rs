//! `transship sync`: many copies from a file of settings.

use std::process::Stdio;

use serde_json::Value;
use transship_testkit::{TestRegistry, fixtures};

use crate::support::{PROGRAM, Run, Sandbox};

/// Two layouts with an image each.
fn two() -> (Sandbox, String, String) {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/file", "hello");
    let one = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    sandbox.write("rootfs/file", "bye");
    let two = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v2"]);
    (sandbox, one, two)
}

#[test]
fn a_file_of_settings_is_carried_out_and_paths_begin_where_it_lies() {
    let (sandbox, one, two) = two();
    sandbox.write("conf/sync.yaml", "version: 1\nsync:\n  - from: oci:../out\n    all-tags: true\n    to: [oci:a, 'oci-archive:../b.tar']\n");
    let plan = sandbox.ok(&["sync", "conf/sync.yaml", "--dry-run"]);
    assert!(plan.contains("copy oci:") && plan.contains("as v1") && plan.contains("b.tar as v2"), "{plan}");
    for place in ["oci:conf/a: ", "oci-archive:conf/../b.tar: "] {
        let line =
            plan.lines().find(|line| line.starts_with(place)).unwrap_or_else(|| panic!("{place}: {plan}"));
        assert!(line.ends_with(" missing, 0 B there"), "{line}");
    }
    assert!(!sandbox.path("conf/a").exists() && !sandbox.path("b.tar").exists());
    let lines = sandbox.ok(&["sync", "conf/sync.yaml", "--report", "report.json"]);
    assert_eq!(lines.lines().count(), 4, "{lines}");
    for line in lines.lines() {
        let (digest, location) = line.split_once('\t').unwrap();
        assert_eq!(sandbox.ok(&["resolve", location]), digest);
        assert!(digest == one || digest == two);
    }
    let report: Value = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    assert_eq!(report["schema"], "transship.sync/v1");
    assert_eq!(report["roots"].as_array().unwrap().len(), 4);
    let before = sandbox.tree();
    let again = sandbox.run(&["sync", "conf/sync.yaml"]);
    assert_eq!(again.code, 0);
    assert!(again.stderr.starts_with("nothing moved"), "{again:?}");
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn a_mistake_is_told_with_file_line_and_column() {
    let sandbox = Sandbox::new();
    sandbox.write("sync.yaml", "version: 1\nsync:\n  - from: oci:a\n    tag: v1\n    to: oci:b\n");
    let said = sandbox.fails(2, &["sync", "sync.yaml"]);
    assert!(said.contains("sync.yaml:4:5: there is no key \"tag\" here"), "{said}");
    assert!(said.contains("maybe tags was meant"), "{said}");
    sandbox.write("sync.yaml", "version: 1\nsync: [\n");
    sandbox.fails_saying(2, &["sync", "sync.yaml"], "sync.yaml:2:7: ");
    sandbox.fails(3, &["sync", "none.yaml"]);
    sandbox.write("sync.yaml", vec![b'a'; (4 << 20) + 1]);
    sandbox.fails(9, &["sync", "sync.yaml"]);
    sandbox.write("sync.yaml", [0xff, 0xfe]);
    sandbox.fails_saying(2, &["sync", "sync.yaml"], "is not text");
}

#[test]
fn what_fails_leaves_the_rest_alone_unless_the_first_failure_is_the_last() {
    let (sandbox, one, _) = two();
    let text = "version: 1\nsync:\n  - {from: 'oci:none:v1', to: 'oci:a'}\n  - {from: 'oci:out:v9', to: 'oci:a'}\n  - {from: 'oci:out:v1', to: 'oci:a'}\n";
    sandbox.write("sync.yaml", text);
    let plan = sandbox.run(&["sync", "sync.yaml", "--dry-run"]);
    assert_eq!((plan.code, plan.stdout.matches("fail oci:").count()), (10, 2), "{plan:?}");
    let run = sandbox.run(&["sync", "sync.yaml"]);
    assert_eq!((run.code, run.stdout.trim()), (10, &*format!("{one}\toci:a:v1")), "{run:?}");
    assert!(run.stderr.contains("2 of 3 failed"), "{run:?}");
    let fast = sandbox.run(&["sync", "sync.yaml", "--fail-fast"]);
    assert_ne!(fast.code, 0);
    assert_eq!(fast.stdout, "", "{fast:?}");
}

#[test]
fn credentials_come_from_where_the_file_says_and_the_network_only_if_it_is_needed() {
    let registry = TestRegistry::builder().login("robot", "hunter2").start_blocking();
    fixtures::image(registry.layout(), "localhost/team/app:v1", 1);
    let sandbox = Sandbox::new();
    let address = registry.address();
    let file = |secret: &str| {
        let text = format!(
            "version: 1\ncredentials:\n  prod: {{user: robot, {secret}}}\nregistries:\n  '{address}': {{credentials: prod}}\nsync:\n  - {{from: '{address}/team/app', all-tags: true, to: 'oci:mirror'}}\n"
        );
        sandbox.write("sync.yaml", text);
    };
    file("password-env: PROD_PASSWORD");
    sandbox.fails_saying(2, &["sync", "sync.yaml"], "the variable PROD_PASSWORD, which is not set");
    let mut command = sandbox.command(PROGRAM);
    let run = command.args(["sync", "sync.yaml"]).env("PROD_PASSWORD", "hunter2").stdin(Stdio::null());
    let run = Run::of(run.output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.stderr.contains("hunter2"), "{run:?}");
    file("password-file: secret");
    sandbox.write("secret", "hunter2\n");
    assert_eq!(sandbox.run(&["sync", "sync.yaml"]).code, 0);
    sandbox.write("secret", "wrong");
    assert_eq!(sandbox.run(&["sync", "sync.yaml"]).code, 5);
    sandbox.fails(2, &["sync", "sync.yaml", "--offline"]);
}

#[test]
fn shards_together_are_one_run_and_no_two_do_the_same() {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/file", "hello");
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v0"]);
    let tags: Vec<String> = (1..12).map(|at| format!("v{at}")).collect();
    let mut arguments = vec!["tag", "oci:out:v0"];
    arguments.extend(tags.iter().map(String::as_str));
    sandbox.ok(&arguments);
    sandbox.write(
        "one.yaml",
        "version: 1\nsync: [{from: 'oci:out', all-tags: true, to: ['oci:one', 'oci:other']}]\n",
    );
    let whole = sandbox.ok(&["sync", "one.yaml"]);
    sandbox.write(
        "many.yaml",
        sandbox.read("one.yaml").replace("oci:one", "oci:many").replace("oci:other", "oci:others"),
    );
    let mut parts: Vec<String> = Vec::new();
    for shard in ["0/3", "1/3", "2/3"] {
        let lines = sandbox.ok(&["sync", "many.yaml", "--shard", shard]);
        assert!(!lines.is_empty(), "{shard} has nothing to do");
        parts.extend(lines.lines().map(str::to_owned));
    }
    parts.sort();
    let mut whole: Vec<String> = whole
        .lines()
        .map(|line| line.replace("oci:one", "oci:many").replace("oci:other", "oci:others"))
        .collect();
    whole.sort();
    assert_eq!(parts, whole);
    assert_eq!(parts.len(), 24);
    for (one, many) in [("one", "many"), ("other", "others")] {
        let names = |layout: &str| {
            let mut names: Vec<String> =
                sandbox.ok(&["ls", &format!("oci:{layout}")]).lines().map(str::to_owned).collect();
            names.sort();
            names
        };
        assert_eq!(names(one), names(many));
    }
    assert!(whole[0].starts_with(&digest));
    sandbox.fails(2, &["sync", "one.yaml", "--shard", "3/3"]);
}

#[test]
fn a_saved_plan_is_carried_out_by_shards_and_refused_when_the_source_has_moved() {
    let (sandbox, one, two) = two();
    sandbox.write(
        "sync.yaml",
        "version: 1\nsync: [{from: 'oci:out', all-tags: true, to: ['oci:a', 'oci:b']}]\n",
    );
    sandbox.ok(&["sync", "sync.yaml", "--plan", "plan.json"]);
    assert!(!sandbox.path("a").exists());
    for shard in ["0/2", "1/2"] {
        sandbox.ok(&["sync", "sync.yaml", "--apply", "plan.json", "--shard", shard]);
    }
    for place in ["a", "b"] {
        assert_eq!(sandbox.ok(&["resolve", &format!("oci:{place}:v1")]), one);
        assert_eq!(sandbox.ok(&["resolve", &format!("oci:{place}:v2")]), two);
    }
    sandbox.ok(&["tag", "oci:out:v2", "v1"]);
    let run = sandbox.run(&["sync", "sync.yaml", "--apply", "plan.json"]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.stderr.contains("moved since the plan was made") && run.stderr.contains(&one), "{run:?}");
    assert_eq!(sandbox.ok(&["resolve", "oci:a:v1"]), one);
    sandbox.write("mixed.yaml", "version: 1\nsync:\n  - {from: 'oci:out:v1', to: 'oci:a'}\n  - {from: 'oci:out:v2', referrers: none, to: 'oci:a'}\n");
    sandbox.fails_saying(2, &["sync", "mixed.yaml", "--plan", "p.json"], "copies of one manner");
}

#[test]
fn files_of_other_programs_are_said_in_our_words_and_what_they_lose_is_told() {
    let sandbox = Sandbox::new();
    // Derived from the format that skopeo-sync(1) documents.
    sandbox.write("skopeo.yaml", "r.example:\n  images:\n    team/app: ['1.0']\n  cert-dir: /certs\n");
    let run = sandbox.run(&["sync", "--import", "skopeo", "skopeo.yaml", "--to", "m.example/all"]);
    assert_eq!(run.code, 10, "{run:?}");
    assert!(run.stdout.contains("from: 'docker://r.example/team/app:1.0'"), "{}", run.stdout);
    assert!(run.stdout.contains("to: 'docker://m.example/all/app:1.0'"), "{}", run.stdout);
    assert!(run.stderr.contains("skopeo.yaml:4:13: cert-dir"), "{}", run.stderr);
    sandbox.fails_saying(2, &["sync", "--import", "skopeo", "skopeo.yaml"], "--to LOCATION");
    sandbox
        .write("regsync.yaml", "sync:\n  - {source: 'r.example/a:1', target: 'ocidir://b:1', type: image}\n");
    let text = sandbox.ok(&["sync", "--import", "regsync", "regsync.yaml"]);
    assert!(text.contains("to: 'oci:b:1'"), "{text}");
}
