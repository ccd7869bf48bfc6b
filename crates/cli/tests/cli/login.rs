//! `transship login` and `logout`: against the CNCF registry with passwords, in a home of its own.

use std::io::Write as _;
use std::process::Stdio;

use crate::real::{guarded, registry};
use crate::support::{PROGRAM, Run, Sandbox};

const PASSWORD: &str = "marked-secret";

fn login(sandbox: &Sandbox, arguments: &[&str], password: &str) -> Run {
    let mut command = sandbox.command(PROGRAM);
    command.args(["login"]).args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who refuses without reading closes the pipe.
    let _ = writeln!(child.stdin.take().unwrap(), "{password}");
    Run::of(child.wait_with_output().unwrap())
}

#[test]
fn credentials_are_tried_kept_used_and_forgotten() {
    let (sandbox, registry) = (Sandbox::new(), guarded("alice", PASSWORD));
    sandbox.write("rootfs/file", "hello");
    let there = format!("docker://{}/app:v1", registry.address());
    sandbox.fails_saying(5, &["pack", "image", "rootfs", "--to", &there], "transship login");
    let name = ["--username", "alice", "--password-stdin", registry.address()];
    let wrong = login(&sandbox, &name, "wrong");
    assert_eq!(wrong.code, 5, "{wrong:?}");
    assert!(!sandbox.home(".docker").exists(), "what was refused is not kept");
    let right = login(&sandbox, &name, PASSWORD);
    assert_eq!((right.code, right.stdout.as_str()), (0, ""), "{right:?}");
    assert!(
        right.stderr.contains("unencrypted in") && right.stderr.contains(".docker/config.json"),
        "{right:?}"
    );
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--to", &there]);
    assert_eq!(sandbox.ok(&["copy", &there, "oci:back"]), digest);
    for run in [&wrong, &right] {
        assert!(!format!("{run:?}").contains(PASSWORD));
    }
    sandbox.ok(&["logout", registry.address()]);
    sandbox.fails(5, &["resolve", &there]);
    let again = sandbox.run(&["logout", registry.address()]);
    assert!(again.code == 0 && again.stderr.contains("holds no credentials"), "{again:?}");
}

#[test]
fn another_file_can_be_named() {
    let (sandbox, registry) = (Sandbox::new(), guarded("alice", PASSWORD));
    let arguments =
        ["--username", "alice", "--password-stdin", "--authfile", "auth.json", registry.address()];
    assert_eq!(login(&sandbox, &arguments, PASSWORD).code, 0);
    assert!(!sandbox.home(".docker").exists());
    let there = format!("docker://{}/app:v1", registry.address());
    sandbox.write("rootfs/file", "hello");
    sandbox.ok(&["pack", "image", "rootfs", "--to", &there, "--authfile", "auth.json"]);
    let mut command = sandbox.command(PROGRAM);
    let run =
        Run::of(command.args(["resolve", &there]).env("REGISTRY_AUTH_FILE", "auth.json").output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    let inline = sandbox.read("auth.json");
    let mut command = sandbox.command(PROGRAM);
    let run = Run::of(command.args(["resolve", &there]).env("DOCKER_AUTH_CONFIG", inline).output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn the_password_is_asked_for_on_the_terminal_without_echo() {
    let (sandbox, registry) = (Sandbox::new(), guarded("alice", PASSWORD));
    // util-linux's script gives the program a terminal, and types there what comes on its own standard input.
    let line = format!("{PROGRAM} login {}", registry.address());
    let mut command = sandbox.command("script");
    command.args(["-q", "-e", "-E", "never", "-c", &line, "/dev/null"]).env("TERM", "xterm");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut shown = String::new();
    for (question, answer) in [("Username: ", "alice"), ("Password: ", PASSWORD)] {
        read_until(&mut stdout, &mut shown, question);
        writeln!(stdin, "{answer}").unwrap();
    }
    read_until(&mut stdout, &mut shown, "logged in to");
    assert!(child.wait().unwrap().success(), "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert!(sandbox.home(".docker/config.json").exists());
}

fn read_until(stream: &mut impl std::io::Read, shown: &mut String, words: &str) {
    let mut byte = [0];
    while !shown.contains(words) {
        stream.read_exact(&mut byte).unwrap();
        shown.push(char::from(byte[0]));
    }
}

#[test]
fn a_registry_that_lets_in_anybody_is_told_of() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    let run = login(&sandbox, &["--username", "alice", "--password-stdin", registry.address()], PASSWORD);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("lets in anybody"), "{run:?}");
}

#[test]
fn what_is_missing_is_asked_for_by_name() {
    let sandbox = Sandbox::new();
    let run = login(&sandbox, &["localhost:1", "--password-stdin"], "x");
    assert!(run.code == 2 && run.stderr.contains("--username"), "{run:?}");
    let run = login(&sandbox, &["localhost:1", "--password-stdin", "--username", "a"], "");
    assert!(run.code == 2 && run.stderr.contains("must not be empty"), "{run:?}");
    let run = login(&sandbox, &["localhost:1", "--password-stdin", "--username", "a", "--offline"], "x");
    assert_eq!(run.code, 2, "{run:?}");
}

#[test]
fn case_r10_a_broken_file_of_credentials_is_named_and_not_shown() {
    let (sandbox, registry) = (Sandbox::new(), guarded("alice", PASSWORD));
    let there = format!("docker://{}/app:v1", registry.address());
    for text in [format!("{{\"auths\": {PASSWORD}"), format!("\"{PASSWORD}\""), "[]".to_owned()] {
        sandbox.write("auth.json", &text);
        let said = sandbox.fails(4, &["resolve", &there, "--authfile", "auth.json"]);
        assert!(said.contains("auth.json") && !said.contains(PASSWORD), "{said}");
        let arguments =
            ["--username", "alice", "--password-stdin", "--authfile", "auth.json", registry.address()];
        let run = login(&sandbox, &arguments, PASSWORD);
        assert_eq!(run.code, 4, "{run:?}");
        assert_eq!(sandbox.read("auth.json"), text);
    }
}
