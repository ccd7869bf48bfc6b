//! Standard output and standard error that are closed, full, or no terminal (row 59).

use std::fs::{self, File};
use std::process::Stdio;

use crate::support::{PROGRAM, Run, Sandbox};

/// A layout with more names than a pipe holds.
fn crowded() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    let names: Vec<String> =
        (0..4000).map(|number| format!("a-rather-long-name-of-a-tag-{number:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    sandbox.ok(&[&["tag", "oci:out:v1"], names.as_slice()].concat());
    sandbox
}

#[test]
fn row_59_a_reader_that_has_seen_enough_is_no_failure() {
    let sandbox = crowded();
    let mut child = sandbox
        .command(PROGRAM)
        .args(["ls", "oci:out"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn row_59_a_full_disk_beneath_standard_output_is_one() {
    let sandbox = crowded();
    for arguments in
        [&["ls", "oci:out"][..], &["resolve", "oci:out:v1"], &["--help"], &["completions", "bash"]]
    {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = Run::of(sandbox.command(PROGRAM).args(arguments).stdout(full).output().unwrap());
        assert_eq!(run.code, 7, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains("standard output"), "{arguments:?}: {run:?}");
    }
}

#[test]
fn row_59_nothing_panics_when_standard_error_is_closed_or_full() {
    let sandbox = Sandbox::new();
    for arguments in [&["resolve", "oci:none"][..], &["frobnicate"], &["init", "made"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = sandbox.command(PROGRAM).args(arguments).stderr(full).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 2 | 3)), "{arguments:?}: {output:?}");
    }
    let shell = format!("exec 2>&-; {PROGRAM} resolve oci:none; echo $?");
    let output = sandbox.command("sh").args(["-c", &shell]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "3");
}

#[test]
fn what_is_printed_is_the_same_on_a_terminal_and_in_a_pipe() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    let piped = sandbox.run(&["inspect", "oci:out:v1"]).stdout;
    // util-linux's script runs a program on a terminal of its own.
    let line = format!("{PROGRAM} inspect oci:out:v1");
    let mut command = sandbox.command("script");
    command.args(["-q", "-e", "-c", &line, "/dev/null"]).env("TERM", "xterm-256color").env("COLUMNS", "60");
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n"), piped);
}

#[test]
fn errors_have_colour_on_terminals_only_and_never_with_no_color() {
    let sandbox = Sandbox::new();
    let line = format!("{PROGRAM} resolve oci:none");
    let on_terminal = |no_color: &str| {
        let mut command = sandbox.command("script");
        command.args(["-q", "-c", &line, "/dev/null"]).env("TERM", "xterm").env("NO_COLOR", no_color);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(on_terminal("").contains('\u{1b}'));
    assert!(!on_terminal("1").contains('\u{1b}'));
    assert!(!sandbox.run(&["resolve", "oci:none"]).stderr.contains('\u{1b}'));
}

#[test]
fn an_output_file_that_cannot_be_written_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    let digest = transship_spec::Digest::sha256(b"hello");
    let blob = format!("oci:out@{digest}");
    sandbox.fails_saying(3, &["blob", "get", &blob, "-o", "no/such/folder"], "no/such/folder");
    fs::write(sandbox.blob("out", &digest.to_string()), "jello").unwrap();
    sandbox.fails_saying(4, &["blob", "get", &blob, "-o", "file"], "content has digest");
    assert!(!sandbox.path("file").exists());
}
