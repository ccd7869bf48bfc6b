//! Images that are run: Debian's static busybox, packed by us, and read, unpacked and started by others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::real::peer;
use crate::support::{Run, Sandbox};

const SAYS: &str = "hello from /srv to world\n";

/// A root file system with nothing in it but busybox and what it is to print.
fn rootfs() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/srv/greeting", "hello from ");
    fs::create_dir_all(sandbox.path("rootfs/bin")).unwrap();
    let copied = fs::copy("/bin/busybox", sandbox.path("rootfs/bin/busybox"));
    assert!(copied.is_ok(), "there is no busybox ({copied:?}): `cargo xtask test` installs it");
    for name in ["sh", "cat", "pwd"] {
        symlink("busybox", sandbox.path("rootfs/bin").join(name)).unwrap();
    }
    sandbox
}

fn pack(sandbox: &Sandbox, compression: &str, to: &str) -> String {
    let script = "cat greeting; echo \"$(pwd) to $WHOM\"";
    let program = ["--entrypoint", "/bin/sh", "--cmd", "-c", "--cmd", script];
    let surroundings = ["--env", "PATH=/bin", "--env", "WHOM=world", "--workdir", "/srv"];
    let image = ["pack", "image", "rootfs", "--compression", compression, "--to", to];
    sandbox.ok(&[&image[..], &program, &surroundings].concat())
}

/// Starts what a runtime's configuration says in a root file system.
fn start(sandbox: &Sandbox, process: &Value, rootfs: &Path) -> Run {
    let texts = |name: &str| -> Vec<String> { serde_json::from_value(process[name].clone()).unwrap() };
    let mut command = sandbox.command("/usr/sbin/chroot");
    command
        .arg(rootfs)
        .args(["/bin/sh", "-c", "cd \"$0\" && exec \"$@\""])
        .arg(process["cwd"].as_str().unwrap());
    command.args(texts("args")).env_clear();
    command.envs(texts("env").iter().filter_map(|variable| variable.split_once('=')));
    Run::of(command.output().unwrap())
}

#[test]
fn umoci_unpacks_an_image_that_runs_as_its_config_says_and_so_do_we() {
    for compression in ["gzip", "none"] {
        let sandbox = rootfs();
        pack(&sandbox, compression, "oci:out:v1");
        peer(&sandbox, "umoci", &["unpack", "--image", "out:v1", "bundle"]);
        let runtime: Value = serde_json::from_str(&sandbox.read("bundle/config.json")).unwrap();
        sandbox.ok(&["unpack", "oci:out:v1", "ours"]);
        for rootfs in ["bundle/rootfs", "ours"] {
            let run = start(&sandbox, &runtime["process"], &sandbox.path(rootfs));
            assert_eq!((run.code, run.stdout.as_str()), (0, SAYS), "{rootfs}: {run:?}");
        }
        let differences =
            sandbox.command("diff").args(["-r", "--no-dereference", "ours", "bundle/rootfs"]).output();
        assert_eq!(Run::of(differences.unwrap()).stdout, "", "{compression}");
    }
}

#[test]
fn podman_takes_an_image_of_each_compression_and_runs_it_where_the_machine_lets_it() {
    let sandbox = rootfs();
    let store = ["--root", "store", "--runroot", "run", "--tmpdir", "tmp", "--storage-driver", "vfs"];
    for compression in ["gzip", "zstd", "none"] {
        let image = format!("oci:out:{compression}");
        pack(&sandbox, compression, &image);
        let manifest: Value = serde_json::from_str(&sandbox.ok(&["manifest", "get", &image])).unwrap();
        let id = peer(&sandbox, "podman", &[&store[..], &["pull", "-q", &image]].concat());
        let inspected = peer(&sandbox, "podman", &[&store[..], &["image", "inspect", id.trim()]].concat());
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        assert_eq!(format!("sha256:{}", id.trim()), manifest["config"]["digest"], "podman's name for it");
        assert_eq!(inspected[0]["Config"]["WorkingDir"], "/srv");
        assert_eq!(inspected[0]["Config"]["Entrypoint"], json!(["/bin/sh"]));
        let flags = ["run", "--rm", "--network", "none", "--cgroups", "disabled", id.trim()];
        let run = Run::of(sandbox.command("podman").args(store).args(flags).output().unwrap());
        // A machine that is a container itself may forbid it: then it is the runtime that says so, not the image.
        let is_forbidden = run.code != 0 && run.stderr.contains("crun: ");
        assert!(is_forbidden || (run.code, run.stdout.as_str()) == (0, SAYS), "{run:?}");
    }
    peer(&sandbox, "podman", &[&store[..], &["rmi", "--all", "--force"]].concat());
}
