//! `transship diff`: what changed, for people, for programs and for scripts.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;
use transship_testkit::TestRegistry;

use crate::support::{Run, Sandbox};

/// Two images that differ in a bit of everything, `v1` and `v2`.
fn images() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/bin/app", "#!/bin/sh\necho hello\n");
    sandbox.write("rootfs/etc/app.conf", "colour = red\n");
    sandbox.write("rootfs/etc/old.conf", "");
    sandbox.write("rootfs/share/doc/read.me", "");
    let pack = |words: &[&str], to: &str| {
        let mut all = vec!["pack", "image", "rootfs", "--platform", "linux/amd64", "--compression", "none"];
        // Whatever the umask of whoever tests.
        all.extend(["--owner", "keep", "--mode", "normal"]);
        all.extend(words);
        all.extend(["--to", to]);
        sandbox.ok(&all);
    };
    pack(&["--entrypoint", "/bin/app", "--env", "A=1", "--env", "B=2", "--label", "old=yes"], "oci:out:v1");
    sandbox.write("rootfs/etc/app.conf", "colour = deep blue\n");
    fs::set_permissions(sandbox.path("rootfs/bin/app"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::lchown(sandbox.path("rootfs/share"), Some(7), Some(8)).unwrap();
    fs::remove_file(sandbox.path("rootfs/etc/old.conf")).unwrap();
    fs::remove_dir_all(sandbox.path("rootfs/share/doc")).unwrap();
    symlink("app", sandbox.path("rootfs/bin/link")).unwrap();
    sandbox.write("rootfs/new\u{1b}[31m/file", "");
    let changed =
        ["--entrypoint", "/bin/app", "--cmd", "serve", "--env", "A=2", "--env", "C=", "--annotation", "k=v"];
    pack(&changed, "oci:out:v2");
    sandbox
}

fn snapshot(name: &str, run: &Run) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let text = format!("{}(standard error)\n{}(exit code {})\n", run.stdout, run.stderr, run.code);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn what_changed_is_told_in_lines_and_counted_at_the_end() {
    let sandbox = images();
    snapshot("diff", &sandbox.run(&["diff", "oci:out:v1", "oci:out:v2"]));
    snapshot("diff-back", &sandbox.run(&["diff", "oci:out:v2", "oci:out:v1", "--path", "bin"]));
}

#[test]
fn two_that_do_not_differ_print_nothing_and_a_script_learns_it_from_the_exit_code() {
    let sandbox = images();
    let run = |words: &[&str]| {
        let run = sandbox.run(&[&["diff", "--exit-code"], words].concat());
        (run.code, run.stdout.is_empty(), run.stderr)
    };
    assert_eq!(run(&["oci:out:v1", "oci:out:v1"]), (0, true, String::new()));
    let (code, is_silent, said) = run(&["oci:out:v1", "oci:out:v2"]);
    assert_eq!((code, is_silent), (10, false));
    assert!(!said.contains("error"), "{said}");
    assert_eq!(run(&["oci:out:v1", "oci:out:v3"]).0, 3);
    assert_eq!(sandbox.run(&["diff", "oci:out:v1", "oci:out:v2"]).code, 0);
}

#[test]
fn both_sides_may_be_anywhere() {
    let (sandbox, registry) = (images(), TestRegistry::builder().start_blocking());
    let remote = format!("docker://{}/team/app:v2", registry.address());
    sandbox.ok(&["copy", "oci:out:v2", &remote]);
    sandbox.ok(&["copy", "oci:out:v2", "oci-archive:v2.tar:v2"]);
    sandbox.ok(&["copy", "oci:out:v1", "docker-archive:v1.tar:app:v1"]);
    let expected = sandbox.ok(&["diff", "oci:out:v1", "oci:out:v2"]);
    for right in [&*remote, "oci-archive:v2.tar:v2", "./v2.tar"] {
        assert_eq!(sandbox.ok(&["diff", "oci:out:v1", right]), expected, "{right}");
    }
    // What docker loads has other manifests, and the same files.
    let files = |text: String| text.split("files\n").nth(1).unwrap().to_owned();
    assert_eq!(files(sandbox.ok(&["diff", "docker-archive:v1.tar", &remote])), files(expected));
}

#[test]
fn of_a_registry_only_the_layers_in_which_they_differ_are_fetched() {
    let (sandbox, registry) = (images(), TestRegistry::builder().start_blocking());
    sandbox.write("more/etc/more.conf", "");
    sandbox.ok(&["pack", "image", "--from", "oci:out:v1", "more", "--to", "oci:out:more"]);
    let remote = format!("docker://{}/team/app:more", registry.address());
    sandbox.ok(&["copy", "oci:out:more", &remote]);
    let blobs = || {
        let lines = registry.lines();
        lines.iter().filter(|line| line.starts_with("GET") && line.contains("/blobs/")).count()
    };
    for (words, count) in [
        // The config and the one layer; the base comes from the layout, on whichever side that is.
        (&["oci:out:v1", &*remote][..], 2),
        (&[&*remote, "oci:out:v1"], 2),
        (&[&*remote, "oci:out:v1", "--no-files"], 1),
        (&[&*remote, "oci:out:more"], 1),
        // Both are there: a config and a layer more.
        (&[&*remote, &*remote], 2),
    ] {
        registry.forget();
        sandbox.ok(&[&["diff"], words].concat());
        assert_eq!(blobs(), count, "{words:?}: {:?}", registry.lines());
    }
}

#[test]
fn of_indexes_the_members_for_one_platform_are_compared_and_that_is_said() {
    let sandbox = Sandbox::new();
    for (name, content) in [("a", "one"), ("b", "two")] {
        sandbox.write("rootfs/hello", content);
        for platform in ["linux/amd64", "linux/arm64"] {
            let to = format!("oci:out:{name}-{}", &platform[6..]);
            sandbox.ok(&["pack", "image", "rootfs", "--platform", platform, "--to", &to]);
        }
        let members = [format!("oci:out:{name}-amd64"), format!("oci:out:{name}-arm64")];
        sandbox.ok(&["index", "create", &members[0], &members[1], "--to", &format!("oci:out:{name}")]);
    }
    let run = sandbox.run(&["diff", "oci:out:a", "oci:out:b-arm64"]);
    assert!(run.stderr.contains("of oci:out:a the member for linux/arm64 is compared"), "{run:?}");
    assert!(run.stdout.contains("  M hello  content\n"), "{run:?}");
    let run = sandbox.run(&["diff", "oci:out:a", "oci:out:b"]);
    assert!(run.stderr.contains("differ, too, and were not compared; --platform compares them"), "{run:?}");
    let run = sandbox.run(&["diff", "oci:out:a", "oci:out:a-amd64", "--platform", "linux/amd64"]);
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "", ""));
    sandbox.fails(3, &["diff", "oci:out:a", "oci:out:b", "--platform", "linux/riscv64"]);
}

#[test]
fn of_artifacts_fields_and_blobs_are_compared() {
    let sandbox = images();
    sandbox.write("a.txt", "a");
    sandbox.write("b.txt", "b");
    let pack = |name: &str, files: &[&str]| {
        let to = format!("oci:out:{name}");
        sandbox.ok(&[&["pack", "files"], files, &["--artifact-type", "text/x-test", "--to", &to]].concat());
    };
    pack("one", &["a.txt", "b.txt"]);
    sandbox.write("a.txt", "longer");
    pack("two", &["a.txt"]);
    snapshot("diff-artifacts", &sandbox.run(&["diff", "oci:out:one", "oci:out:two"]));
    let run = sandbox.run(&["diff", "oci:out:one", "oci:out:v1"]);
    assert!(run.stderr.contains("files are not compared, since one of them is no image"), "{run:?}");
}

#[test]
fn programs_get_all_of_it() {
    let sandbox = images();
    let json = |words: &[&str]| -> Value {
        serde_json::from_str(&sandbox.ok(&[&["diff", "--format", "json"], words].concat())).unwrap()
    };
    let found = json(&["oci:out:v1", "oci:out:v2"]);
    assert_eq!((&found["schema"], &found["differ"]), (&"transship.diff/v1".into(), &true.into()));
    assert_eq!(found["left"]["location"], "oci:out:v1");
    let files = found["files"].as_array().unwrap();
    let app = files.iter().find(|file| file["path"] == "bin/app").unwrap();
    assert_eq!((&app["status"], &app["changed"]), (&"changed".into(), &serde_json::json!(["mode"])));
    assert_eq!((&app["left"]["mode"], &app["right"]["mode"]), (&"0644".into(), &"0755".into()));
    assert!(app["left"]["digest"].as_str().unwrap().starts_with("sha256:"));
    let env = found["config"].as_array().unwrap().iter().find(|field| field["pointer"] == "/config/Env/A");
    assert_eq!(env.unwrap()["right"], "2");
    let same = json(&["oci:out:v1", "oci:out:v1"]);
    assert_eq!((&same["differ"], &same["files"]), (&false.into(), &serde_json::json!([])));
    assert_eq!(json(&["oci:out:v1", "oci:out:v2", "--no-files"])["files"], Value::Null);
}

#[test]
fn what_cannot_be_compared_has_its_exit_code() {
    let sandbox = images();
    sandbox.fails_saying(9, &["diff", "oci:out:v1", "oci:out:v2", "--max-entries", "2"], "limit of 2");
    sandbox.fails(2, &["diff", "oci:out:v1", "oci:out:v2", "--path", "["]);
    sandbox.fails(2, &["diff", "localhost:1/a:v1", "localhost:2/a:v1", "--plain-http"]);
    sandbox.fails(2, &["diff", "--offline", "oci:out:v1", "localhost:2/a:v1"]);
    let layers = sandbox.ok(&["inspect", "oci:out:v2", "--format", "json"]);
    let layers: Value = serde_json::from_str(&layers).unwrap();
    let layer = sandbox.blob("out", layers["layers"][0]["digest"].as_str().unwrap());
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&layer).unwrap();
    fs::write(&layer, bytes).unwrap();
    sandbox.fails(4, &["diff", "oci:out:v1", "oci:out:v2"]);
    assert_eq!(sandbox.run(&["diff", "oci:out:v1", "oci:out:v2", "--no-files"]).code, 0);
}
