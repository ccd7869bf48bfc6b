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
    sandbox.fails_saying(2, &["sync", "sync.yaml"], "sync.yaml:3:1: ");
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
