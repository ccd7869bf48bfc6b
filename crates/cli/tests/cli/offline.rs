//! Commands whose locations are all local: no network, no credentials, no settings of the user.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::support::{PROGRAM, Run, Sandbox};

#[test]
fn local_commands_need_no_network_and_read_nothing_of_the_user() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    sandbox.write("rootfs/file", "hello");
    // Whoever looks for credentials fails on these.
    for folder in [".docker", ".config/containers"] {
        fs::create_dir_all(sandbox.home(folder)).unwrap();
    }
    for file in [".docker/config.json", ".config/containers/auth.json", ".dockercfg"] {
        fs::write(sandbox.home(file), "no credentials").unwrap();
    }
    for line in [
        "init new",
        "pack image rootfs --to oci:packed:v1",
        "pack files rootfs --to oci:packed:v2",
        "copy oci:out:v1 oci:copied",
        "copy --all-tags oci:packed oci:copied",
        "ls oci:out --long",
        "inspect oci:out:v1",
        "resolve ./out",
        "tag oci:out:v1 v2",
        "manifest get oci:out:v1",
        "blob put rootfs/file oci:out",
        "completions bash",
    ] {
        // A name space with no network in it, not even loopback.
        let mut command = sandbox.command("unshare");
        command.args(["--net", "--map-root-user", PROGRAM]).args(line.split(' '));
        let run = Run::of(command.output().unwrap());
        assert_eq!(run.code, 0, "{line}: {run:?}");
    }
}

#[test]
fn a_local_command_has_no_socket_open() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(PROGRAM);
    command.args(["blob", "put", "-", "oci:out"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    // More than a pipe holds: when it is written, the program is in the middle of its work.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&vec![0; 1 << 20]).unwrap();
    let open = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    let open: Vec<_> = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
    assert!(open.len() > 3, "{open:?}");
    assert!(!open.iter().any(|file| file.to_string_lossy().starts_with("socket:")), "{open:?}");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_network_can_be_forbidden() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    let location = "docker://registry.example/app:v1";
    for line in
        ["resolve L", "inspect L", "manifest get L", "copy L oci:new", "copy oci:out:v1 L", "tag L v2"]
    {
        let line = line.replace('L', location);
        let words: Vec<&str> = line.split(' ').collect();
        sandbox.fails_saying(2, &[&words[..], &["--offline"]].concat(), "--offline forbids");
        let mut command = sandbox.command(PROGRAM);
        let run = Run::of(command.args(&words).env("TRANSSHIP_OFFLINE", "1").output().unwrap());
        assert_eq!(run.code, 2, "{line}: {run:?}");
        assert!(run.stderr.contains("TRANSSHIP_OFFLINE forbids"), "{run:?}");
    }
    sandbox.ok(&["resolve", "oci:out:v1", "--offline"]);
    assert!(!sandbox.path("new").exists());
}
