//! `transship unpack`: a tree that is whole or not there, from wherever images are.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::Value;

use crate::real::guarded;
use crate::support::{PROGRAM, Run, Sandbox};

/// An image of a small tree.
fn image() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/bin/app", "#!/bin/sh\necho hello\n");
    sandbox.write("rootfs/etc/motd", "hello\n");
    std::os::unix::fs::symlink("app", sandbox.path("rootfs/bin/link")).unwrap();
    fs::set_permissions(sandbox.path("rootfs/bin/app"), fs::Permissions::from_mode(0o4755)).unwrap();
    std::os::unix::fs::chown(sandbox.path("rootfs/etc/motd"), Some(1234), Some(99)).unwrap();
    sandbox.ok(&["pack", "image", "rootfs", "--owner", "keep", "--mtime", "keep", "--to", "oci:out:v1"]);
    sandbox
}

#[test]
fn an_image_is_unpacked_from_a_layout_an_archive_and_a_registry() {
    let sandbox = image();
    let registry = guarded("alice", "wonder");
    let login = format!("echo wonder | {PROGRAM} login {} -u alice --password-stdin", registry.address());
    assert_eq!(Run::of(sandbox.command("sh").args(["-c", &login]).output().unwrap()).code, 0);
    let remote = format!("docker://{}/team/app:v1", registry.address());
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:out.tar:v1"]);
    sandbox.ok(&["copy", "oci:out:v1", &remote]);
    let digest = sandbox.ok(&["resolve", "oci:out:v1"]);
    for (number, location) in ["oci:out:v1", "oci-archive:out.tar:v1", &remote].iter().enumerate() {
        let place = format!("tree-{number}");
        assert_eq!(sandbox.ok(&["unpack", location, &place]), digest);
        let diff = Run::of(sandbox.command("diff").args(["-r", "rootfs", &place]).output().unwrap());
        assert_eq!((diff.code, &*diff.stdout), (0, ""), "{diff:?}");
        let meta = |path: &str| fs::symlink_metadata(sandbox.path(&place).join(path)).unwrap();
        assert_eq!(meta("bin/app").mode(), 0o104_755);
        assert_eq!((meta("etc/motd").uid(), meta("etc/motd").gid()), (1234, 99));
        assert!(meta("bin/link").is_symlink());
    }
    let again = sandbox.run(&["unpack", "oci:out:v1", "tree-0"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("is there already and no empty folder"), "{again:?}");
}

#[test]
fn the_report_tells_what_was_unpacked_and_a_plan_changes_nothing() {
    let sandbox = image();
    let plan = sandbox.ok(&["unpack", "oci:out:v1", "tree", "--dry-run"]);
    assert!(plan.starts_with("would unpack sha256:") && plan.contains("1 layer of "), "{plan}");
    assert!(!sandbox.path("tree").exists());
    let json: Value =
        serde_json::from_str(&sandbox.ok(&["unpack", "oci:out:v1", "tree", "--format", "json"])).unwrap();
    assert_eq!((&json["schema"], &json["dryRun"]), (&"transship.unpack/v1".into(), &false.into()));
    assert_eq!((&json["entries"], &json["whiteouts"]), (&5.into(), &0.into()));
    assert_eq!(json["bytes"], 21 + 6);
    assert_eq!(json["notSet"]["owners"], 0);
    assert_eq!(json["metadata"], Value::Null);
    assert_eq!(json["layers"].as_array().unwrap().len(), 1);
}

#[test]
fn limits_and_other_platforms_have_their_exit_codes_and_leave_nothing() {
    let sandbox = image();
    for (flags, code) in [
        (&["--max-size", "1KiB"][..], 9),
        (&["--max-entries", "4"], 9),
        (&["--max-depth", "1"], 0),
        (&["--platform", "linux/riscv64"], 3),
        (&["--max-size", "much"], 2),
    ] {
        let mut words = vec!["unpack", "oci:out:v1", "tree", "--durability", "none"];
        words.extend(flags);
        let run = sandbox.run(&words);
        assert_eq!(run.code, code, "{flags:?}: {run:?}");
        assert_eq!(run.stderr.contains("--max-size, --max-ratio"), code == 9, "{flags:?}: {run:?}");
        assert_eq!(sandbox.path("tree").exists(), code == 0, "{flags:?}");
        assert!(!sandbox.path(".tree.transship-unpack").exists());
        let _ = fs::remove_dir_all(sandbox.path("tree"));
    }
    sandbox.write("note.txt", "a note");
    sandbox.ok(&["pack", "files", "note.txt", "--to", "oci:out:note"]);
    let run = sandbox.run(&["unpack", "oci:out:note", "tree"]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.stderr.contains("is an artifact of type"), "{run:?}");
}

#[test]
fn who_is_not_root_gets_a_metadata_file_and_packs_the_same_layer_by_it() {
    let sandbox = image();
    let program = sandbox.path("transship");
    fs::copy(PROGRAM, &program).unwrap();
    let work = sandbox.path("");
    for folder in [work.parent().unwrap(), &work] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let nobody = |words: &[&str]| {
        let mut command = sandbox.command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(&program);
        Run::of(command.args(words).env("HOME", &work).output().unwrap())
    };
    let run = nobody(&["unpack", "oci:out:v1", "tree"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("6 owners, 1 mode could not be set, first of"), "{run:?}");
    assert!(run.stderr.contains("tree.mtree"), "{run:?}");
    let mode = fs::metadata(sandbox.path("tree/bin/app")).unwrap().mode();
    assert_eq!(mode, 0o100_755, "nothing runs as whoever unpacked it");
    let packed = nobody(&[
        "pack",
        "image",
        "tree",
        "--metadata",
        "tree.mtree",
        "--owner",
        "keep",
        "--mtime",
        "keep",
        "--to",
        "oci:again:v1",
    ]);
    assert_eq!(packed.code, 0, "{packed:?}");
    assert_eq!(packed.stdout.trim(), sandbox.ok(&["resolve", "oci:out:v1"]));
    let refused = nobody(&["unpack", "oci:out:v1", "/proc/tree"]);
    assert!(matches!(refused.code, 3 | 7), "{refused:?}");
}
