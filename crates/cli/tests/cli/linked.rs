//! Layouts whose files are links, as build sandboxes have them, and layouts that share files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::support::Sandbox;

/// Lays out `sandbox` as a build system does: folders of its own, and absolute links to inputs that may only be read.
fn links(inputs: &Path, folder: &Path) {
    fs::create_dir(folder).unwrap();
    for entry in fs::read_dir(inputs).unwrap() {
        let path = entry.unwrap().path();
        let link = folder.join(path.file_name().unwrap());
        if path.is_dir() {
            links(&path, &link);
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
            symlink(&path, &link).unwrap();
        }
    }
    for folder in [inputs, folder] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    }
}

fn writable(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_symlink() && path.is_dir() {
            writable(&path);
        }
    }
}

#[test]
fn a_sandbox_of_links_to_inputs_that_may_only_be_read_works_on_request_and_stays_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.artifact("inputs", "v1", "hello");
    links(&sandbox.path("inputs"), &sandbox.path("links"));
    let before = ["inputs", "links"].map(|name| state(&sandbox.path(name)));
    for words in [&["ls", "oci:links"][..], &["inspect", "oci:links:v1"], &["resolve", "oci:links:v1"]] {
        sandbox.fails_saying(4, words, "--links follow");
        let followed = sandbox.ok(&[words, &["--links", "follow"]].concat());
        let straight: Vec<_> = words.iter().map(|word| word.replace("links", "inputs")).collect();
        let straight = sandbox.ok(&straight.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(followed.replace("links", "inputs"), straight, "{words:?}");
    }
    sandbox.fails_saying(4, &["copy", "oci:links:v1", "oci:copied:v1"], "--links follow");
    for to in ["oci:copied:v1", "oci-archive:copied.tar:v1"] {
        sandbox.ok(&["copy", "oci:links:v1", to, "--links", "follow"]);
    }
    sandbox.ok(&["check", "oci:copied"]);
    assert_eq!(sandbox.ok(&["resolve", "oci:copied:v1"]), sandbox.ok(&["resolve", "oci:inputs:v1"]));
    for path in files(&sandbox.path("copied")) {
        assert!(path.symlink_metadata().unwrap().is_file(), "{}", path.display());
        assert_eq!(path.metadata().unwrap().nlink(), 1);
    }
    assert_eq!(["inputs", "links"].map(|name| state(&sandbox.path(name))), before, "no trace is left");
    for name in ["inputs", "links"] {
        writable(&sandbox.path(name));
    }
}

#[test]
fn a_hard_link_is_made_on_request_and_told() {
    let sandbox = Sandbox::new();
    sandbox.artifact("from", "v1", "hello");
    sandbox.ok(&["copy", "oci:from:v1", "oci:to:v1", "--link", "hard", "--report", "report"]);
    sandbox.ok(&["copy", "oci:from:v1", "oci:apart:v1", "--link", "copy"]);
    let report: serde_json::Value = serde_json::from_str(&sandbox.read("report")).unwrap();
    assert_eq!(report["content"]["linked"]["count"], 2, "{report}");
    assert_eq!(report["content"]["copied"]["count"], 0, "{report}");
    let hello = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let inode = |layout: &str| sandbox.blob(layout, hello).metadata().unwrap().ino();
    assert_eq!(inode("to"), inode("from"));
    assert_ne!(inode("apart"), inode("from"));
    for layout in ["oci:from", "oci:to", "oci:apart"] {
        sandbox.ok(&["check", layout]);
    }
    fs::write(sandbox.blob("from", hello), "jello").unwrap();
    let said = sandbox.run(&["copy", "oci:from:v1", "oci:broken:v1", "--link", "hard"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(!sandbox.blob("broken", hello).exists());
}

#[test]
fn a_link_that_cannot_be_is_refused_by_name() {
    let sandbox = Sandbox::new();
    sandbox.artifact("from", "v1", "hello");
    let copy = |to: &'static str, way: &'static str| ["copy", "oci:from:v1", to, "--link", way];
    for way in ["hard", "symlink"] {
        sandbox.fails_saying(2, &copy("oci-archive:to.tar:v1", way), &format!("--link {way} is for layouts"));
    }
    sandbox.fails_saying(2, &copy("oci:to:v1", "soft"), "[possible values: reflink, copy, hard, symlink]");
}

#[test]
fn symbolic_links_are_made_on_request_told_and_read_on_request() {
    let sandbox = Sandbox::new();
    sandbox.artifact("from", "v1", "hello");
    let copy = ["copy", "oci:from:v1", "oci:to:v1", "--link", "symlink"];
    let said = sandbox.run(&[&copy[..], &["--report", "report"]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("read it with --links follow"), "{said:?}");
    let report: serde_json::Value = serde_json::from_str(&sandbox.read("report")).unwrap();
    assert_eq!(report["content"]["linked"]["count"], 2, "{report}");
    let hello = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let target = sandbox.blob("from", hello).canonicalize().unwrap();
    assert_eq!(fs::read_link(sandbox.blob("to", hello)).unwrap(), target);

    // Manifests are files: names and digests are there without a flag.
    assert_eq!(sandbox.ok(&["resolve", "oci:to:v1"]), sandbox.ok(&["resolve", "oci:from:v1"]));
    let found = sandbox.run(&["check", "oci:to"]);
    assert_eq!(found.code, 4, "{found:?}");
    assert!(found.stdout.contains("file-unsafe") && found.stdout.contains("--links follow"), "{found:?}");
    sandbox.ok(&["check", "oci:to", "--links", "follow"]);
    sandbox.fails_saying(4, &["copy", "oci:to:v1", "oci:third:v1"], "--links follow");
    sandbox.ok(&["copy", "oci:to:v1", "oci:third:v1", "--links", "follow"]);

    let before = state(&sandbox.path("to/blobs"));
    let again = sandbox.run(&copy);
    assert!(again.stderr.contains("nothing moved") && !again.stderr.contains("note"), "{again:?}");
    assert_eq!(state(&sandbox.path("to/blobs")), before);

    fs::rename(sandbox.path("from"), sandbox.path("moved")).unwrap();
    let lost = sandbox.run(&["check", "oci:to", "--links", "follow"]);
    assert_eq!(lost.code, 4, "{lost:?}");
    sandbox.ok(&["copy", "oci:moved:v1", "oci:to:v1", "--link", "symlink"]);
    sandbox.ok(&["check", "oci:to", "--links", "follow"]);
    sandbox.ok(&["untag", "oci:to", "v1"]);
    sandbox.ok(&["gc", "oci:to", "--grace", "0s", "--untagged"]);
    assert!(sandbox.blob("to", hello).symlink_metadata().is_err());
    sandbox.ok(&["check", "oci:moved"]);
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.symlink_metadata().unwrap().is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// What a trace would show in: names, inodes, and the times of the last change.
fn state(folder: &Path) -> Vec<(std::path::PathBuf, u64, i64, i64)> {
    let paths = files(folder).into_iter().chain([folder.to_owned()]);
    paths
        .map(|path| {
            let data = path.symlink_metadata().unwrap();
            (path, data.ino(), data.ctime(), data.ctime_nsec())
        })
        .collect()
}
