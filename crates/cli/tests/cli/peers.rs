//! What other tools make of ours, and we of theirs: Debian's skopeo and umoci.

use serde_json::Value;

use crate::real::{peer, registry};
use crate::support::{Run, Sandbox};

/// A tree with modes, links and an empty folder.
fn tree() -> Sandbox {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    let app = sandbox.write("rootfs/bin/app", "#!/bin/sh\necho hello\n");
    std::fs::set_permissions(&app, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("app", sandbox.path("rootfs/bin/link")).unwrap();
    std::fs::hard_link(&app, sandbox.path("rootfs/bin/twin")).unwrap();
    sandbox.write("rootfs/etc/motd", "hello\n");
    std::fs::create_dir_all(sandbox.path("rootfs/var/empty")).unwrap();
    sandbox
}

#[test]
fn skopeo_reads_and_copies_what_we_packed() {
    let sandbox = tree();
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--entrypoint", "/bin/app", "--to", "oci:out:v1"]);
    let inspected: Value =
        serde_json::from_str(&peer(&sandbox, "skopeo", &["inspect", "oci:out:v1"])).unwrap();
    assert_eq!(inspected["Digest"], digest);
    let config: Value =
        serde_json::from_str(&peer(&sandbox, "skopeo", &["inspect", "--config", "oci:out:v1"])).unwrap();
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/bin/app"]));
    peer(&sandbox, "skopeo", &["--insecure-policy", "copy", "oci:out:v1", "oci:copied:v1"]);
    assert_eq!(sandbox.ok(&["resolve", "oci:copied:v1"]), digest);
}

#[test]
fn umoci_unpacks_the_tree_that_we_packed() {
    for compression in ["gzip", "zstd", "none"] {
        let sandbox = tree();
        let arguments = [
            "pack",
            "image",
            "rootfs",
            "--owner",
            "keep",
            "--compression",
            compression,
            "--to",
            "oci:out:v1",
        ];
        sandbox.ok(&arguments);
        let unpack = sandbox
            .command("umoci")
            .args(["unpack", "--rootless", "--image", "out:v1", "bundle"])
            .output()
            .unwrap();
        // Debian's umoci may be too old for zstd; skopeo then tells that it is well-formed.
        if compression == "zstd" && !unpack.status.success() {
            peer(&sandbox, "skopeo", &["--insecure-policy", "copy", "oci:out:v1", "dir:copied"]);
            continue;
        }
        assert!(unpack.status.success(), "{compression}: {unpack:?}");
        let diff = Run::of(
            sandbox
                .command("diff")
                .args(["-r", "--no-dereference", "rootfs", "bundle/rootfs"])
                .output()
                .unwrap(),
        );
        assert_eq!((diff.code, &*diff.stdout), (0, ""), "{compression}: {diff:?}");
    }
}

#[test]
fn what_skopeo_writes_we_read_and_copy() {
    let (sandbox, registry) = (tree(), registry());
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    let there = format!("docker://{}/team/app:v1", registry.address());
    peer(&sandbox, "skopeo", &["--insecure-policy", "copy", "--dest-tls-verify=false", "oci:out:v1", &there]);
    assert_eq!(sandbox.ok(&["resolve", &there]), digest);
    let name = "oci:theirs:registry.example/team/app:v1";
    peer(&sandbox, "skopeo", &["--insecure-policy", "copy", "--src-tls-verify=false", &there, name]);
    assert_eq!(sandbox.ok(&["ls", "oci:theirs"]), "registry.example/team/app:v1");
    assert_eq!(sandbox.ok(&["resolve", "oci:theirs:v1"]), digest);
    assert_eq!(sandbox.ok(&["copy", "oci:theirs", "oci:ours"]), digest);
    let docker = ["--insecure-policy", "copy", "--format", "v2s2", "--dest-tls-verify=false", "oci:out:v1"];
    let twin = format!("docker://{}/team/docker:v1", registry.address());
    peer(&sandbox, "skopeo", &[docker.as_slice(), &[&twin]].concat());
    let json: Value = serde_json::from_str(&sandbox.ok(&["inspect", &twin, "--format", "json"])).unwrap();
    assert_eq!(json["kind"], "image");
    sandbox.ok(&["copy", &twin, "oci:docker:v1"]);
    let raw = peer(&sandbox, "skopeo", &["inspect", "--raw", "--tls-verify=false", &twin]);
    assert_eq!(sandbox.run(&["manifest", "get", "oci:docker:v1"]).stdout, raw);
}

#[test]
fn what_umoci_writes_we_read_and_copy() {
    let sandbox = tree();
    peer(&sandbox, "umoci", &["init", "--layout", "theirs"]);
    peer(&sandbox, "umoci", &["new", "--image", "theirs:v1"]);
    peer(&sandbox, "umoci", &["insert", "--rootless", "--image", "theirs:v1", "rootfs", "/"]);
    assert_eq!(sandbox.ok(&["ls", "oci:theirs"]), "v1");
    let digest = sandbox.ok(&["copy", "oci:theirs:v1", "oci:ours"]);
    assert_eq!(sandbox.ok(&["resolve", "oci:ours:v1"]), digest);
    let json: Value =
        serde_json::from_str(&sandbox.ok(&["inspect", "oci:ours:v1", "--format", "json"])).unwrap();
    assert_eq!(json["layers"].as_array().unwrap().len(), 1);
}
