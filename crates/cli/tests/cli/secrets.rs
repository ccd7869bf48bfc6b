//! No password and no token is told by a command that fails, however talkative it is: not on either stream, not in a report,
//! not in a file of a result, and not in what is remembered of uploads.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use transship_testkit::{Fault, TestRegistry};

use crate::support::{PROGRAM, Run, Sandbox};

/// The secret.
const MARK: &str = "marked-hunter2-secret";
/// The secret as it is sent, with the user's name before it.
const SENT: &str = "cm9ib3Q6bWFya2VkLWh1bnRlcjItc2VjcmV0";

/// Where the registry and its secret are.
struct Scene {
    sandbox: Sandbox,
    registry: TestRegistry,
}

impl Scene {
    /// A registry that wants a password, which is in the user's own file, and an image to move.
    fn new(password: &str) -> Self {
        let sandbox = Sandbox::new();
        let registry = TestRegistry::builder().login("robot", password).start_blocking();
        sandbox.write("rootfs/file", "hello");
        sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
        let address = registry.address();
        let config = format!("{{\"auths\":{{\"{address}\":{{\"auth\":\"{SENT}\"}}}}}}");
        std::fs::create_dir_all(sandbox.home(".docker")).unwrap();
        std::fs::write(sandbox.home(".docker/config.json"), config).unwrap();
        sandbox.write("secret.txt", MARK);
        sandbox.write(
            "sync.yaml",
            format!(
                "version: 1\ncredentials:\n  prod: {{user: robot, password-file: secret.txt}}\nregistries:\n  \
                 '{address}': {{credentials: prod}}\nsync:\n  - {{from: 'oci:out:v1', to: '{address}/synced:v1'}}\n"
            ),
        );
        Self { sandbox, registry }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.sandbox.command(PROGRAM);
        command.args(arguments).arg("--retries=0").stdin(Stdio::null()).env("RUST_LOG", "trace");
        Run::of(command.output().unwrap())
    }

    /// Runs it, sees it fail, and looks for the secret.
    fn fails(&self, arguments: &[&str]) {
        let run = self.run(arguments);
        assert!(run.code != 0 && run.code != 2, "{arguments:?} {run:?}");
        for mark in [MARK, SENT] {
            assert!(!format!("{run:?}").contains(mark), "{arguments:?} {run:?}");
        }
        self.look_for_it(arguments);
    }

    /// Looks for it in all files but those that hold it on purpose.
    fn look_for_it(&self, arguments: &[&str]) {
        let mut files = Vec::new();
        collect(&self.sandbox.path(""), &mut files);
        collect(&self.sandbox.home(""), &mut files);
        let is_its_place =
            |file: &Path| file.ends_with(".docker/config.json") || file.ends_with("secret.txt");
        for file in files.iter().filter(|file| !is_its_place(file)) {
            let content = std::fs::read(file).unwrap_or_default();
            for mark in [MARK, SENT] {
                let found = content.windows(mark.len()).any(|window| window == mark.as_bytes());
                assert!(!found, "{arguments:?} left it in {}", file.display());
            }
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => collect(&entry.path(), files),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

/// Everything that talks to a registry, as talkative as it can be.
fn everything(scene: &Scene) {
    let place = format!("docker://{}/app:v1", scene.registry.address());
    let other = format!("docker://{}/other:v1", scene.registry.address());
    let all = format!("docker://{}/app", scene.registry.address());
    let (place, all) = (place.as_str(), all.as_str());
    for arguments in [
        &["resolve", place, "--verbose"][..],
        &["inspect", place, "--verbose"],
        &["inspect", place, "--format", "json"],
        &["ls", all, "--verbose"],
        &["check", place, "--verbose"],
        &["manifest", "get", place],
        &["tag", place, "v2", "--verbose"],
        &["copy", "oci:out:v1", place, "--verbose", "--report", "up.json"],
        &["copy", "oci:out:v1", place, "--progress", "json", "--report", "json.json"],
        &["copy", place, "oci:back", "--verbose", "--report", "down.json"],
        &["copy", place, &other, "--verbose", "--report", "across.json"],
        &["pack", "image", "rootfs", "--to", place, "--verbose"],
        &["sync", "sync.yaml", "--verbose", "--report", "sync.json"],
        &["sync", "sync.yaml", "--progress", "json", "--format", "json"],
    ] {
        scene.fails(arguments);
    }
}

#[test]
fn a_password_that_is_refused_is_told_by_no_command() {
    everything(&Scene::new("another"));
}

#[test]
fn a_password_that_is_right_is_told_by_no_command_that_fails_later() {
    for status in [400, 403, 500] {
        let scene = Scene::new(MARK);
        scene.registry.fault(Fault::on("*", "/v2/app").status(status));
        scene.registry.fault(Fault::on("*", "/v2/other").status(status));
        scene.registry.fault(Fault::on("*", "/v2/synced").status(status));
        everything(&scene);
    }
}

#[test]
fn a_token_in_a_variable_is_told_by_no_command() {
    let scene = Scene::new("another");
    let address = scene.registry.address();
    scene.sandbox.write(
        "token.yaml",
        format!(
            "version: 1\ncredentials:\n  prod: {{token-env: PROD_TOKEN}}\nregistries:\n  '{address}': {{credentials: \
             prod}}\nsync:\n  - {{from: 'oci:out:v1', to: '{address}/synced:v1'}}\n"
        ),
    );
    let mut command = scene.sandbox.command(PROGRAM);
    let arguments = ["sync", "token.yaml", "--verbose", "--retries=0", "--report", "token.json"];
    command.args(arguments).env("PROD_TOKEN", MARK).stdin(Stdio::null());
    let run = Run::of(command.output().unwrap());
    assert!(run.code != 0 && run.code != 2 && !format!("{run:?}").contains(MARK), "{run:?}");
    scene.look_for_it(&arguments);
}

#[test]
fn files_and_variables_of_credentials_that_are_broken_are_not_repeated() {
    let scene = Scene::new("another");
    let place = format!("docker://{}/app:v1", scene.registry.address());
    let broken = format!("{{\"auths\": {{\"x\": {MARK}");
    scene.sandbox.write("secret.txt", &broken);
    for (file, variable) in [(Some("secret.txt"), None), (None, Some(&broken))] {
        let mut command = scene.sandbox.command(PROGRAM);
        command.args(["resolve", &place, "--verbose", "--retries=0"]).stdin(Stdio::null());
        if let Some(file) = file {
            command.args(["--authfile", file]);
        }
        if let Some(variable) = variable {
            command.env("DOCKER_AUTH_CONFIG", variable);
        }
        let run = Run::of(command.output().unwrap());
        assert!(run.code != 0 && !format!("{run:?}").contains(MARK), "{run:?}");
    }
}
