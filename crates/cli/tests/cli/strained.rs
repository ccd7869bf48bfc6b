//! Copies where the system gives little: few open files, no large ones, no right to read; and several at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;

use transship_testkit::{TestRegistry, fixtures};

use crate::support::{PROGRAM, Run, Sandbox};

fn layout(sandbox: &Sandbox, name: &str) -> transship_layout::Layout {
    let options = transship_layout::Layout::options().durability(transship_layout::Durability::None);
    options.create(sandbox.path(name)).unwrap()
}

/// Runs the program by a shell, after something was done to limit it.
fn limited(sandbox: &Sandbox, limit: &str, arguments: &[&str]) -> Run {
    let mut command = sandbox.command("sh");
    command.args(["-c", &format!("{limit}; exec \"$0\" \"$@\""), PROGRAM]).args(arguments);
    Run::of(command.output().unwrap())
}

#[test]
fn row_56_sixty_four_open_files_are_enough() {
    let sandbox = Sandbox::new();
    let from = layout(&sandbox, "from");
    let layers = vec![200; 40];
    for seed in 0..4 {
        let shape = fixtures::Shape { seed, layers: layers.clone(), ..Default::default() };
        fixtures::image_like(&from, &format!("v{seed}"), &shape);
    }
    let registry = TestRegistry::builder().start_blocking();
    let there = format!("docker://{}", registry.reference("app"));
    for arguments in
        [["oci:from", &there], [&there, "oci:to"], [&there, "oci-archive:to.tar"], ["oci:from", "oci:beside"]]
    {
        let all = ["copy", "--all-tags", "--concurrency", "64", arguments[0], arguments[1]];
        let run = limited(&sandbox, "ulimit -n 64", &all);
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
    }
    for layout in ["oci:to", "oci-archive:to.tar", "oci:beside"] {
        sandbox.ok(&["check", layout]);
    }
}

#[test]
fn row_68_a_file_that_may_not_be_so_large_is_said_and_nothing_half_is_left() {
    let sandbox = Sandbox::new();
    let shape = fixtures::Shape { layers: vec![400 << 10], ..Default::default() };
    fixtures::image_like(&layout(&sandbox, "from"), "v1", &shape);
    // As on a stick whose file system has no files so large: the call fails, and no signal comes.
    let limit = "trap '' XFSZ; ulimit -f 200";
    for to in ["oci-archive:to.tar", "oci:to"] {
        let run = limited(&sandbox, limit, &["copy", "oci:from:v1", to]);
        assert_eq!(run.code, 7, "{to}: {run:?}");
        assert!(run.stderr.contains("too large"), "{to}: {run:?}");
        assert!(!sandbox.path("to.tar").exists());
    }
    let left: Vec<_> = sandbox.path("").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "from" || name == "to"), "{left:?}");
}

#[test]
fn row_13_a_blob_that_may_not_be_read_is_named_and_fails_alone() {
    let sandbox = Sandbox::new();
    let from = layout(&sandbox, "from");
    let images = [1, 2, 3].map(|seed| fixtures::image(&from, &format!("v{seed}"), seed));
    let layer = &images[1].children()[1].digest;
    let path = sandbox.blob("from", &layer.to_string());
    fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    // Who runs the tests may be root, who may read everything.
    let everybody = || PermissionsExt::from_mode(0o777);
    for folder in [sandbox.path(""), sandbox.path("").parent().unwrap().to_owned(), sandbox.home("")] {
        fs::set_permissions(folder, everybody()).unwrap();
    }
    fs::copy(PROGRAM, sandbox.path("program")).unwrap();
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = sandbox.command("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "./program"]);
            command
        }
        false => sandbox.command("./program"),
    };
    let run = Run::of(command.args(["copy", "--all-tags", "oci:from", "oci:to"]).output().unwrap());
    assert_eq!(run.code, 10, "{run:?}");
    assert!(run.stderr.contains(&*layer.encoded()) && run.stderr.contains("oci:from:v2"), "{run:?}");
    assert!(run.stderr.contains("Permission denied"), "{run:?}");
    let names = sandbox.ok(&["ls", "oci:to", "--links", "follow"]);
    assert!(names.contains("v1") && names.contains("v3") && !names.contains("v2"), "{names}");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
}

#[test]
fn u1_u2_row_17_copies_into_one_layout_at_once_lose_no_name() {
    let sandbox = Sandbox::new();
    let from = layout(&sandbox, "from");
    (0..12).for_each(|seed| drop(fixtures::image(&from, &format!("v{seed}"), seed)));
    let copies: Vec<Child> = (0..12)
        .map(|seed| {
            let mut command = sandbox.command(PROGRAM);
            command.args(["copy", &format!("oci:from:v{seed}"), "oci:to"]).spawn().unwrap()
        })
        .collect();
    for mut copy in copies {
        assert!(copy.wait().unwrap().success());
    }
    for seed in 0..12 {
        let name = format!("oci:to:v{seed}");
        assert_eq!(sandbox.ok(&["resolve", &name]), sandbox.ok(&["resolve", &format!("oci:from:v{seed}")]));
    }
    sandbox.ok(&["check", "oci:to"]);
}
