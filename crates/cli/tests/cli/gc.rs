//! `gc` and `untag`, alone and beside commands that write and check.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use transship_testkit::TestRegistry;

use crate::support::{PROGRAM, Run, Sandbox};

#[test]
fn what_goes_is_printed_and_gone() {
    let sandbox = Sandbox::new();
    let old = sandbox.artifact("out", "v1", "old");
    let new = sandbox.artifact("out", "v1", "new");
    let layer = transship_spec::Digest::sha256(b"old").to_string();
    let size = sandbox.blob("out", &old).metadata().unwrap().len();
    let mut lines = [format!("blob\t{old}\t{size}"), format!("blob\t{layer}\t3")];
    lines.sort();

    let before = sandbox.tree();
    let planned = sandbox.run(&["gc", "out", "--dry-run", "--grace", "0s"]);
    assert_eq!((planned.code, planned.stdout.trim_end()), (0, lines.join("\n").as_str()), "{planned:?}");
    assert!(planned.stderr.contains("would go: 2 blobs"), "{}", planned.stderr);
    assert!(planned.stderr.contains("3 blobs stay: 3 reachable"), "{}", planned.stderr);
    let graceful = sandbox.run(&["gc", "oci:out"]);
    assert_eq!((graceful.code, graceful.stdout.as_str()), (0, ""));
    assert!(graceful.stderr.contains("there is no garbage"), "{}", graceful.stderr);
    assert!(graceful.stderr.contains("2 younger than 1h (--grace)"), "{}", graceful.stderr);
    assert_eq!(sandbox.tree(), before);

    let done: Value =
        serde_json::from_str(&sandbox.ok(&["gc", "./out", "--grace", "0", "--format", "json"])).unwrap();
    assert_eq!(done["schema"], "transship.gc/v1");
    assert_eq!((&done["bytes"], &done["dryRun"]), (&Value::from(size + 3), &Value::from(false)));
    assert_eq!(done["kept"]["reachable"]["count"], 3);
    assert!(!sandbox.blob("out", &old).exists() && sandbox.blob("out", &new).exists());
    assert_eq!(sandbox.ok(&["gc", "out", "--grace", "0"]), "");
}

#[test]
fn names_go_together_or_not_at_all() {
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "v1", "hello");
    sandbox.ok(&["tag", "oci:out:v1", "v2", "v3"]);
    sandbox.fails_saying(3, &["untag", "oci:out", "v2", "v4"], "v4");
    assert_eq!(sandbox.ok(&["untag", "oci:out", "v1", "v2"]), "");
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), "v3");
    let json = sandbox.ok(&["untag", "oci:out", "v3", "--format", "json"]);
    assert!(json.contains("transship.untag/v1") && json.contains("oci:out:v3"), "{json}");
    assert_eq!(sandbox.ok(&["gc", "out", "--grace", "0"]).lines().count(), 3);
    assert!(!sandbox.blob("out", &digest).exists());
}

#[test]
fn a_manifest_goes_with_all_its_names_and_with_what_refers_to_it_on_request() {
    let (sandbox, registry) = (Sandbox::new(), TestRegistry::builder().start_blocking());
    sandbox.write("sbom.json", "{}");
    let repository = format!("docker://{}/team/app", registry.address());
    for place in ["oci:out".to_owned(), repository] {
        let other = sandbox.artifact("made", "other", "other");
        let digest = sandbox.artifact("made", "v1", "hello");
        sandbox.ok(&["pack", "files", "sbom.json", "--subject", "oci:made:v1", "--to", "oci:made"]);
        for name in ["v1", "v2", "other"] {
            let from = if name == "other" { "oci:made:other" } else { "oci:made:v1" };
            sandbox.ok(&["copy", from, &format!("{place}:{name}")]);
        }
        sandbox.ok(&["untag", &place, "v1"]);
        assert_eq!(sandbox.ok(&["resolve", &format!("{place}:v2")]), digest);
        let removed = sandbox.ok(&["rm", &format!("{place}:v2"), "--referrers"]);
        let digests: Vec<_> = removed.lines().collect();
        assert_eq!((digests.len(), digests[0]), (2, digest.as_str()), "{place}: {removed}");
        assert_eq!(sandbox.ok(&["ls", &place]), "other", "{place}");
        sandbox.fails(3, &["resolve", &format!("{place}@{}", digests[1])]);
        sandbox.fails(3, &["rm", &format!("{place}:v1")]);
        assert_eq!(sandbox.ok(&["rm", &format!("{place}:other")]), other);
        std::fs::remove_dir_all(sandbox.path("made")).unwrap();
    }
    sandbox.ok(&["gc", "out", "--grace", "0"]);
    assert_eq!(sandbox.path("out/blobs/sha256").read_dir().unwrap().count(), 0);
}

#[test]
fn a_broken_manifest_stops_it_with_advice() {
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "v1", "hello");
    std::fs::write(sandbox.blob("out", &digest), "{}").unwrap();
    let said = sandbox.fails(4, &["gc", "out", "--grace", "0"]);
    assert!(said.contains(&digest) && said.contains("copy it again"), "{said}");
    std::fs::remove_file(sandbox.blob("out", &digest)).unwrap();
    let said = sandbox.fails(4, &["gc", "out", "--grace", "0"]);
    assert!(said.contains("is missing") && said.contains("--sparse"), "{said}");
}

fn start(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    let mut command = sandbox.command(PROGRAM);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn succeeded(child: Child) -> Run {
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    run
}

/// Runs the program again and again until it is told to stop, and gives what it said each time.
fn repeat(sandbox: &Sandbox, stop: &AtomicBool, arguments: &[&str]) -> Vec<String> {
    let mut said = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        said.push(sandbox.ok(arguments));
    }
    said
}

#[test]
fn row_17_19_20_eight_processes_tag_while_a_ninth_collects_and_a_tenth_checks() {
    const WRITERS: usize = 8;
    const TURNS: usize = 10;
    const NAMES: usize = 10;
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "base", "shared by all");
    let stop = AtomicBool::new(false);
    let pack = |tree: &str, image: &str| {
        let to = format!("oci:out:{image}");
        succeeded(start(&sandbox, &["pack", "image", tree, "--platform", "linux/amd64", "--to", &to]));
    };
    let (collections, checks) = std::thread::scope(|scope| {
        let gc = scope.spawn(|| repeat(&sandbox, &stop, &["gc", "out", "--grace", "0"]));
        let check = scope.spawn(|| repeat(&sandbox, &stop, &["check", "oci:out"]));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (sandbox, pack) = (&sandbox, &pack);
                scope.spawn(move || {
                    for turn in 0..TURNS {
                        let (tree, image) = (format!("tree-{writer}"), format!("image-{writer}"));
                        sandbox.write(&format!("{tree}/file"), format!("content {}", (turn + writer) % 3));
                        pack(&tree, &image);
                        let names: Vec<_> = (0..NAMES).map(|n| format!("w{writer}-{turn}-{n}")).collect();
                        let mut tag = vec!["tag".to_owned(), format!("oci:out:{image}")];
                        tag.extend(names);
                        succeeded(start(sandbox, &tag.iter().map(String::as_str).collect::<Vec<_>>()));
                        // This is garbage soon, while another writer packs the same again.
                        sandbox.write(&format!("{tree}/file"), format!("garbage {}", (turn + writer) % 3));
                        pack(&tree, &image);
                        succeeded(start(sandbox, &["untag", "oci:out", &image]));
                    }
                })
            })
            .collect();
        let ended: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        let others = (gc.join(), check.join());
        ended.into_iter().for_each(|ended| ended.unwrap());
        (others.0.unwrap(), others.1.unwrap())
    });
    assert!(collections.iter().any(|said| said.contains("blob\t")), "{collections:?}");
    let wrong: Vec<_> = checks.iter().filter(|said| !said.contains(": 0 errors, 0 warnings, ")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(checks.len() > 1);
    assert!(sandbox.ok(&["check", "oci:out", "--strict"]).contains("closure sha256:"));
    let names: BTreeSet<_> = sandbox.ok(&["ls", "oci:out"]).lines().map(str::to_owned).collect();
    assert_eq!(names.len(), WRITERS * TURNS * NAMES + 1);
    assert_eq!(sandbox.ok(&["resolve", "oci:out:base"]), digest);
    sandbox.ok(&["gc", "out", "--grace", "0"]);
    assert!(!sandbox.path("out/.transship").exists());
}
