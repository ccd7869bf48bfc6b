//! File systems made for the purpose: read-only, full, and from somebody who is not to be trusted. They need root or user
//! namespaces, and fail without.

use crate::support::{PROGRAM, Run, Sandbox};

/// What the scripts have in common: `stick` is a file system in memory, `try` runs the program and tells how it ended.
const PRELUDE: &str = r#"
plug() { mkdir stick; mount -t tmpfs -o "$1" tmpfs stick; cp -r made/. stick; }
fill() { cat /dev/zero > stick/filler 2>/dev/null || true; }
try() { code=0; "$TRANSSHIP" "$@" || code=$?; echo "exit $code"; }
tree() { find stick -type f ! -name filler -exec sha256sum {} + | sort; find stick -type d | sort; }
"#;

/// Runs a script in a mount namespace of its own, so that nothing of it is left.
fn in_a_namespace(sandbox: &Sandbox, script: &str) -> Run {
    let mut command = sandbox.command("unshare");
    command.arg("--mount").env("TRANSSHIP", PROGRAM);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let run = Run::of(command.args(["sh", "-euc", &format!("{PRELUDE}{script}")]).output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    run
}

/// How the runs of the program ended.
fn exits(run: &Run) -> Vec<&str> {
    run.stdout.lines().filter_map(|line| line.strip_prefix("exit ")).collect()
}

/// A layout with an image and a signature that are garbage once the signature's entry goes, and one image that stays.
fn with_garbage() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("tree/file", vec![b'x'; 200 << 10]);
    sandbox.artifact("made", "kept", "from the beginning");
    sandbox.artifact("made", "old", "goes");
    sandbox.write("signature", "signed");
    sandbox.ok(&["pack", "files", "signature:text/plain", "--subject", "oci:made:old", "--to", "oci:made"]);
    sandbox.ok(&["untag", "oci:made", "old"]);
    sandbox.artifact("other", "v1", &"y".repeat(100 << 10));
    sandbox
}

/// What is run on a stick, in vain and then with success.
const COMMANDS: &str = r#"
each() {
    try gc stick --grace 0
    try pack image tree --compression none --platform linux/amd64 --to oci:stick:packed
    try copy oci:other:v1 oci:stick:copied
    try tag oci:stick:kept again
}
"#;

#[test]
fn row_10_19_on_read_only_media_nothing_is_done_and_the_same_commands_complete_when_they_are_not() {
    let sandbox = with_garbage();
    let script = r#"
        plug mode=0755
        mount -o remount,ro stick
        tree > before; each; tree > after; cmp before after
        mount -o remount,rw stick
        each
        try check oci:stick --strict
        "$TRANSSHIP" ls oci:stick
    "#;
    let run = in_a_namespace(&sandbox, &format!("{COMMANDS}{script}"));
    assert_eq!(exits(&run), ["7", "7", "7", "7", "0", "0", "0", "0", "0"], "{run:?}");
    assert_eq!(run.stderr.matches("Read-only file system").count(), 4, "{}", run.stderr);
    assert!(run.stdout.contains("closure sha256:"), "{}", run.stdout);
    assert!(run.stdout.ends_with("kept\npacked\ncopied\nagain\n"), "{}", run.stdout);
}

#[test]
fn row_6_19_a_full_disk_is_said_nothing_is_lost_and_the_same_commands_complete_when_there_is_room() {
    let sandbox = with_garbage();
    let script = r#"
        plug size=1m,mode=0755
        fill
        tree > before; each; tree > after; cmp before after
        rm stick/filler
        each
        try check oci:stick --strict
        "$TRANSSHIP" ls oci:stick
    "#;
    let run = in_a_namespace(&sandbox, &format!("{COMMANDS}{script}"));
    assert_eq!(exits(&run), ["7", "7", "7", "7", "0", "0", "0", "0", "0"], "{run:?}");
    assert_eq!(run.stderr.matches("no space left for").count(), 4, "{}", run.stderr);
    assert!(run.stdout.contains("closure sha256:"), "{}", run.stdout);
    assert!(run.stdout.ends_with("kept\npacked\ncopied\nagain\n"), "{}", run.stdout);
}

/// Whoever makes a whole file system knows inodes and times beforehand, and can write stamps for what was never hashed.
#[test]
fn a_stamp_that_was_forged_lets_no_byte_pass_that_was_not_hashed() {
    let sandbox = Sandbox::new();
    sandbox.write("tree/file", "hello");
    let pack = ["pack", "image", "tree", "--platform", "linux/amd64", "--compression", "none"];
    sandbox.ok(&[&pack[..], &["--to", "oci:made:v1"]].concat());
    let script = r#"
        plug mode=0755
        blob=$(grep -rl hello stick/blobs)
        sed -i s/hello/jello/ "$blob"
        mkdir stick/.transship
        state=$(stat -c '%s %.9Y %.9Z %i %d' "$blob" | tr -d .)
        echo "sha256:$(basename "$blob") $state" > stick/.transship/verified
        try check oci:stick --trust-stamps
        try check oci:stick
        try copy oci:stick:v1 oci:to:v1
        try copy oci:stick:v1 oci:to:v1 --link copy
        try copy oci:stick:v1 oci-archive:to.tar:v1
        try pack image tree --platform linux/amd64 --from oci:stick:v1 --to oci:built:v1
        try pack image tree --platform linux/amd64 --from oci:stick:v1 --to oci-archive:built.tar:v1
    "#;
    let run = in_a_namespace(&sandbox, script);
    assert_eq!(exits(&run), ["0", "4", "4", "4", "4", "4", "4"], "{run:?}");
    for left in ["to/index.json", "built/index.json"] {
        let index = std::fs::read_to_string(sandbox.path(left)).unwrap_or_default();
        assert!(!index.contains("v1"), "{left}: {index}");
    }
    assert!(!sandbox.path("to.tar").exists() && !sandbox.path("built.tar").exists());
}
