//! Commands whose locations are all local: no network, no credentials, no settings of the user.

use crate::support::{PROGRAM, Run, Sandbox};

#[test]
fn local_commands_open_no_socket_and_read_nothing_of_the_user() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    std::fs::create_dir(sandbox.home(".docker")).unwrap();
    std::fs::write(sandbox.home(".docker/config.json"), "{}").unwrap();
    for line in [
        "ls oci:out --long",
        "inspect oci:out:v1",
        "resolve ./out",
        "manifest get oci:out:v1",
        "tag oci:out:v1 v2",
        "init new",
    ] {
        let mut command = sandbox.command("strace");
        command.args(["-f", "-qq", "-e", "trace=network,open,openat,openat2", "-o", "trace", PROGRAM]);
        let run = Run::of(command.args(line.split(' ')).output().unwrap());
        assert_eq!(run.code, 0, "{line}: {run:?}");
        let trace = sandbox.read("trace");
        for call in ["socket(", "socketpair(", "connect(", "bind("] {
            assert!(!trace.contains(call), "{line}: {trace}");
        }
        let home = sandbox.home("").display().to_string();
        assert!(!trace.contains(&home), "{line} looks into the home of the user: {trace}");
    }
}

#[test]
fn the_network_can_be_forbidden() {
    let sandbox = Sandbox::new();
    let location = "docker://registry.example/app:v1";
    for command in ["resolve", "inspect", "ls", "manifest get"] {
        let arguments =
            |extra: &'static str| command.split(' ').chain([location, extra]).filter(|word| !word.is_empty());
        let run = Run::of(sandbox.command(PROGRAM).args(arguments("--offline")).output().unwrap());
        assert_eq!(run.code, 2, "{command}: {run:?}");
        assert!(run.stderr.contains("--offline forbids"), "{run:?}");
        let run = Run::of(
            sandbox.command(PROGRAM).args(arguments("")).env("TRANSSHIP_OFFLINE", "1").output().unwrap(),
        );
        assert_eq!(run.code, 2, "{command}: {run:?}");
        assert!(run.stderr.contains("TRANSSHIP_OFFLINE forbids"), "{run:?}");
    }
    sandbox.artifact("out", "v1", "hello");
    sandbox.ok(&["resolve", "oci:out:v1", "--offline"]);
}
