//! `transship serve`: a layout as a registry, until a signal comes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::real::peer;
use crate::support::{PROGRAM, Run, Sandbox};

/// A server under way.
struct Serving {
    process: Child,
    address: String,
}

impl Serving {
    /// Starts one on a free port, and reads from its standard error where it listens.
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let mut command = sandbox.command(PROGRAM);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("http://")).unwrap();
        let address = line.split("http://").nth(1).unwrap().split(';').next().unwrap().to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Asks it to end; gives how it did.
    fn end(mut self, signal: &str) -> Run {
        let kill = std::process::Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let status = self.process.wait().unwrap();
        let mut stdout = String::new();
        std::io::Read::read_to_string(&mut self.process.stdout.take().unwrap(), &mut stdout).unwrap();
        Run { code: status.code().unwrap_or(-1), stdout, stderr: String::new() }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_is_served_is_pulled_by_others_and_by_ourselves() {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/file", "hello");
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    let serving = Serving::start(&sandbox, &["team/app=oci:out"]);
    let location = format!("docker://{}/team/app:v1", serving.address);
    assert_eq!(sandbox.ok(&["resolve", &location]), digest);
    assert_eq!(sandbox.ok(&["ls", &format!("docker://{}/team/app", serving.address)]), "v1");
    assert_eq!(sandbox.ok(&["copy", &location, "oci:back:v1"]), digest);
    let inspected = peer(&sandbox, "skopeo", &["inspect", "--tls-verify=false", &location]);
    assert!(inspected.contains(&digest), "{inspected}");
    let there = format!("docker://{}/team/app:v2", serving.address);
    sandbox.fails_saying(12, &["copy", "oci:back:v1", &there], "was not started as writable");
    let run = serving.end("-TERM");
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
}

#[test]
fn pushing_needs_the_switch_and_a_password_where_there_are_some() {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/file", "hello");
    sandbox.ok(&["init", "store"]);
    let made =
        sandbox.command("htpasswd").args(["-cbB", "-C", "5", "users", "alice", "wonder"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let serving = Serving::start(&sandbox, &["--writable", "--htpasswd", "users", "app=store"]);
    let to = format!("docker://{}/app:v1", serving.address);
    sandbox.fails_saying(5, &["pack", "image", "rootfs", "--to", &to], "transship login");
    let mut command = sandbox.command("sh");
    let line = format!("echo wonder | {PROGRAM} login {} --username alice --password-stdin", serving.address);
    assert!(command.args(["-c", &line]).status().unwrap().success());
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--to", &to]);
    assert_eq!(serving.end("-INT").code, 0);
    assert_eq!(sandbox.ok(&["resolve", "oci:store:v1"]), digest);
}

#[test]
fn what_cannot_be_served_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    sandbox.fails_saying(2, &["serve", "oci:out:v1"], "as a whole");
    sandbox.fails_saying(12, &["serve", "docker://registry.example/app"], "only layouts are served");
    sandbox.fails_saying(3, &["serve", "oci:nowhere"], "does not exist");
    sandbox.write("users", "alice:plain\n");
    sandbox.fails_saying(2, &["serve", "oci:out", "--htpasswd", "users"], "htpasswd -B");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = sandbox.fails(11, &["serve", "oci:out", "--listen", &address]);
    assert!(said.contains(&address), "{said}");
    let run = sandbox.run(&["serve", "oci:out", "--allow-delete"]);
    assert!(run.code == 2 && run.stderr.contains("--writable"), "{run:?}");
}
