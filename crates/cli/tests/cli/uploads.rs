//! A large blob on its way to a registry when the program ends: the next run sends only what is missing (rows 1 and 58).

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use transship_testkit::{DockerRegistry, Fault, Seen, TestRegistry};

use crate::support::{PROGRAM, Run, Sandbox};

/// A little more than what is streamed, so that it is remembered.
const LARGE: u64 = (32 << 20) + 1000;
/// What must have come before the program is ended.
const ENOUGH: u64 = 16 << 20;
/// What may be under way when it is.
const UNDER_WAY: u64 = 8 << 20;

/// A layout with an artifact of one large file.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let content: Vec<u8> = (0..LARGE).map(|at| (at * 31 + at / 251) as u8).collect();
    sandbox.write("large", content);
    sandbox.ok(&["pack", "files", "large:text/x-test", "--durability", "none", "--to", "oci:out:v1"]);
    sandbox
}

/// Starts a copy that takes its time, and waits until enough has come.
fn begun(sandbox: &Sandbox, arguments: &[&str], received: impl Fn() -> u64) -> Child {
    let mut command = sandbox.command(PROGRAM);
    command.args(arguments).args(["--limit-rate", "12MiB"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while received() < ENOUGH {
        assert_eq!(child.try_wait().unwrap(), None, "it ended too soon");
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not come to that");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// Bytes of the large blob that came.
fn streamed(registry: &TestRegistry) -> u64 {
    registry.requests().iter().filter(|seen| seen.method == "PATCH").map(Seen::received).sum()
}

/// Waits until all that was on its way to the registry has come.
fn settled(registry: &TestRegistry) -> u64 {
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = streamed(registry);
        if now == before {
            return now;
        }
        before = now;
    }
}

fn remembered(sandbox: &Sandbox) -> Vec<PathBuf> {
    let folder = sandbox.home(".local/state/transship/uploads").read_dir();
    folder.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// The rest goes up, and no more than that; the report tells what had come before.
fn assert_resumes(sandbox: &Sandbox, arguments: &[&str], registry: &TestRegistry) {
    assert_eq!(remembered(sandbox).len(), 1);
    let held = settled(registry);
    assert!(held <= ENOUGH + UNDER_WAY, "{held}");
    registry.forget();
    sandbox.ok(&[arguments, &["--report", "report.json"]].concat());
    let counts = registry.counts();
    assert_eq!((counts.upload_patch, counts.upload_other), (1, 1), "the session is asked, and gets the rest");
    assert_eq!(streamed(registry), LARGE - held);
    let report: serde_json::Value = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    assert_eq!(report["content"]["resumed"], serde_json::json!({"count": 1, "bytes": held}));
    assert!(remembered(sandbox).is_empty());
    let reference = format!("docker://{}", registry.reference("app:v1"));
    assert_eq!(
        sandbox.ok(&["resolve", &reference]),
        sandbox.ok(&["resolve", "oci:out:v1"]),
        "what is there is what was sent"
    );
}

#[test]
fn row_1_u3_the_run_after_kill_9_sends_only_the_rest_of_a_large_blob() {
    let sandbox = sandbox();
    let registry = TestRegistry::builder().start_blocking();
    let destination = format!("docker://{}", registry.reference("app:v1"));
    let arguments = ["copy", "oci:out:v1", &destination];
    let mut child = begun(&sandbox, &arguments, || streamed(&registry));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_resumes(&sandbox, &arguments, &registry);
}

#[test]
fn row_58_after_ctrl_c_the_next_run_sends_only_the_rest_of_a_large_blob() {
    let sandbox = sandbox();
    let registry = TestRegistry::builder().start_blocking();
    let destination = format!("docker://{}", registry.reference("app:v1"));
    let arguments = ["copy", "oci:out:v1", &destination];
    let child = begun(&sandbox, &arguments, || streamed(&registry));
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130, "{run:?}");
    assert!(run.stderr.contains("the same command goes on from there"), "{run:?}");
    assert_eq!(registry.requests().iter().filter(|seen| seen.method == "DELETE").count(), 0);
    assert_resumes(&sandbox, &arguments, &registry);
}

#[test]
fn row_1_from_registry_to_registry_only_the_rest_is_read_and_sent() {
    let sandbox = sandbox();
    let (from, to) = (TestRegistry::builder().start_blocking(), TestRegistry::builder().start_blocking());
    let source = format!("docker://{}", from.reference("app:v1"));
    let destination = format!("docker://{}", to.reference("app:v1"));
    sandbox.ok(&["copy", "oci:out:v1", &source]);
    let arguments = ["copy", &source, &destination];
    let mut child = begun(&sandbox, &arguments, || streamed(&to));
    child.kill().unwrap();
    child.wait().unwrap();
    from.forget();
    assert_resumes(&sandbox, &arguments, &to);
    let counts = from.counts();
    assert!(counts.sent < LARGE - ENOUGH + 10_000, "{}", counts.sent);
    let ranges: Vec<_> =
        from.requests().iter().filter_map(|seen| seen.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges.len(), 1, "{ranges:?}");
}

#[test]
fn row_37_a_registry_that_forgot_the_upload_gets_the_blob_again() {
    let sandbox = sandbox();
    let registry = TestRegistry::builder().start_blocking();
    let destination = format!("docker://{}", registry.reference("app:v1"));
    let arguments = ["copy", "oci:out:v1", &destination];
    let mut child = begun(&sandbox, &arguments, || streamed(&registry));
    child.kill().unwrap();
    child.wait().unwrap();
    settled(&registry);
    registry.forget().fault(Fault::on("GET", "/uploads/").status(404));
    sandbox.ok(&[&arguments[..], &["--report", "report.json"]].concat());
    assert_eq!(streamed(&registry), LARGE);
    let report: serde_json::Value = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    assert_eq!(report["content"]["resumed"]["count"], 0);
    assert!(remembered(&sandbox).is_empty());
}

#[test]
fn row_37_debian_s_registry_forgets_what_was_cut_and_gets_the_blob_again() {
    let sandbox = sandbox();
    let registry = DockerRegistry::start_blocking();
    let destination = format!("docker://{}", registry.reference("app:v1"));
    let arguments = ["copy", "oci:out:v1", &destination];
    let mut child = begun(&sandbox, &arguments, || u64::from(!remembered(&sandbox).is_empty()) * ENOUGH);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(remembered(&sandbox).len(), 1);
    sandbox.ok(&arguments);
    assert!(remembered(&sandbox).is_empty());
    assert_eq!(sandbox.ok(&["resolve", &destination]), sandbox.ok(&["resolve", "oci:out:v1"]));
}
