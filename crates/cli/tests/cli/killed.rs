//! `kill -9` at random moments (rows 1 to 4, 21): whatever is killed, the layout is whole, nothing that was reported done is
//! lost, and the same command then completes.
//!
//! Every run of the tests kills 200 times and more; `TRANSSHIP_KILLS=N` kills each command N times instead.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use transship_layout::{Layout, check};

use crate::support::{PROGRAM, Run, Sandbox};

fn kills(usual: usize) -> usize {
    std::env::var("TRANSSHIP_KILLS").ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

/// A number below `limit`, another one each time.
fn random(limit: u64) -> u64 {
    RandomState::new().build_hasher().finish() % limit.max(1)
}

/// A check finds no error.
fn assert_sound(sandbox: &Sandbox, layout: &str) {
    let mut errors = Vec::new();
    let path = sandbox.path(layout);
    let report = check::directory(&path, &Layout::options(), &check::Options::default(), &mut |finding| {
        if finding.severity() == check::Severity::Error {
            errors.push(format!("{finding:?}"));
        }
    });
    assert_eq!((report.unwrap().errors, &errors), (0, &Vec::new()));
}

/// Runs a command, killed somewhere between its begin and the end that it would have come to. Tells whether it was.
fn killed(sandbox: &Sandbox, arguments: &[&str], takes: Duration) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    let mut command = sandbox.command(PROGRAM);
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let takes = u64::try_from(takes.as_micros()).unwrap();
    std::thread::sleep(Duration::from_micros(random(takes)));
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let was_killed = output.status.signal() == Some(9);
    let run = Run::of(output);
    assert!(was_killed || run.code == 0, "{arguments:?}: {run:?}");
    was_killed
}

/// Kills a command as often as asked, and sees each time that it completes afterwards. `begin` makes the state in which it
/// is to run, `end` looks at what it has come to.
fn kill_again_and_again(
    sandbox: &Sandbox,
    layout: &str,
    times: usize,
    command: &dyn Fn(usize) -> Vec<String>,
    begin: &dyn Fn(usize),
) {
    begin(0);
    let words = command(0);
    let arguments: Vec<_> = words.iter().map(String::as_str).collect();
    let start = Instant::now();
    sandbox.ok(&arguments);
    let mut takes = start.elapsed();
    let (mut count, mut round) = (0, 0);
    while count < times {
        round += 1;
        assert!(round < times * 20, "{arguments:?} ends before it can be killed");
        begin(round);
        let words = command(round);
        let arguments: Vec<_> = words.iter().map(String::as_str).collect();
        // Not too early and not too late, however busy the machine is by now.
        if killed(sandbox, &arguments, takes) {
            count += 1;
            takes = takes * 21 / 20;
        } else {
            takes = takes * 3 / 4;
        }
        if sandbox.path(layout).join("index.json").exists() {
            assert_sound(sandbox, layout);
        }
        sandbox.ok(&arguments);
        assert_sound(sandbox, layout);
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn row_1_2_3_pack_is_killed_and_completes() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "kept", "from the beginning");
    sandbox.write("tree/large", vec![b'x'; 300 << 10]);
    let pack = |_| words("pack image tree --platform linux/amd64 --to oci:out:packed");
    let begin = |round: usize| drop(sandbox.write("tree/file", format!("round {round}")));
    kill_again_and_again(&sandbox, "out", kills(100), &pack, &begin);
    sandbox.ok(&["gc", "out", "--grace", "0"]);
    assert_sound(&sandbox, "out");
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), "kept\npacked");
    assert!(!sandbox.path("out/.transship").exists());
}

#[test]
fn row_1_2_3_pack_into_a_new_layout_is_killed_and_completes() {
    let sandbox = Sandbox::new();
    sandbox.write("tree/file", vec![b'x'; 100 << 10]);
    let pack = |round| words(&format!("pack image tree --platform linux/amd64 --to oci:new-{round}:v1"));
    for round in 0..kills(20) {
        let packed = pack(round);
        let arguments: Vec<_> = packed.iter().map(String::as_str).collect();
        killed(&sandbox, &arguments, Duration::from_millis(40));
        let layout = format!("new-{round}");
        if sandbox.path(&layout).exists() {
            assert_sound(&sandbox, &layout);
            assert_eq!(sandbox.ok(&["ls", &format!("oci:{layout}")]), "v1", "it appears whole or not at all");
        }
        sandbox.ok(&arguments);
        assert_sound(&sandbox, &layout);
    }
}

#[test]
fn row_1_2_3_copy_is_killed_and_completes() {
    let sandbox = Sandbox::new();
    sandbox.artifact("target", "kept", "from the beginning");
    for file in 0..12 {
        sandbox.write(&format!("files/{file}"), format!("{file} ").repeat(2000));
    }
    let files: Vec<_> = (0..12).map(|file| format!("files/{file}:text/plain")).collect();
    let begin = |round: usize| {
        sandbox.write("files/0", format!("round {round}"));
        let mut arguments = vec!["pack", "files", "--durability", "none", "--to", "oci:source:v1"];
        arguments.extend(files.iter().map(String::as_str));
        sandbox.ok(&arguments);
    };
    let copy = |_| words("copy oci:source:v1 oci:target:copied");
    kill_again_and_again(&sandbox, "target", kills(40), &copy, &begin);
    assert_eq!(sandbox.ok(&["ls", "oci:target"]), "kept\ncopied");
}

#[test]
fn row_4_19_gc_is_killed_and_completes() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "kept", "from the beginning");
    for file in 0..40 {
        sandbox.write(&format!("files/{file}"), format!("{file} ").repeat(10));
    }
    let files: Vec<_> = (0..40).map(|file| format!("files/{file}:text/plain")).collect();
    let begin = |round: usize| {
        // An image with a signature becomes garbage; half of its blobs are those of the round before.
        for file in 0..20 {
            sandbox.write(&format!("files/{file}"), format!("{file} in round {round}"));
        }
        let mut arguments = vec!["pack", "files", "--durability", "none", "--to", "oci:out:image"];
        arguments.extend(files.iter().map(String::as_str));
        sandbox.ok(&arguments);
        sandbox.ok(&["pack", "files", "files/0:text/plain", "--subject", "oci:out:image", "--to", "oci:out"]);
        sandbox.ok(&["untag", "oci:out", "image"]);
    };
    kill_again_and_again(&sandbox, "out", kills(60), &|_| words("gc out --grace 0"), &begin);
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), "kept");
    assert!(!sandbox.path("out/.transship").exists());
    assert_eq!(sandbox.path("out/blobs/sha256").read_dir().unwrap().count(), 3);
}
