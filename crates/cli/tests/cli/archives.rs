//! Archives, wherever a location is typed.

use std::fs::File;
use std::process::Stdio;

use serde_json::Value;

use crate::real::peer;
use crate::support::{PROGRAM, Run, Sandbox};

/// A layout with two images, one of which has a referrer.
fn two() -> (Sandbox, String, String) {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/file", "hello");
    let one = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:h.example/app:v1"]);
    sandbox.write("rootfs/file", "bye");
    let two = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:h.example/app:v2"]);
    sandbox.write("sbom.json", "{}");
    sandbox.ok(&["pack", "files", "sbom.json", "--subject", "oci:out:h.example/app:v1", "--to", "oci:out"]);
    (sandbox, one, two)
}

fn blobs(sandbox: &Sandbox, layout: &str) -> Vec<std::ffi::OsString> {
    let blobs = sandbox.path(layout).join("blobs/sha256").read_dir().unwrap();
    let mut names: Vec<_> = blobs.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn a_layout_becomes_an_archive_and_a_layout_again() {
    let (sandbox, one, two) = two();
    let said = sandbox.ok(&["copy", "--all-tags", "oci:out", "oci-archive:a.tar"]);
    assert_eq!(
        said,
        format!("{one}\toci-archive:a.tar:h.example/app:v1\n{two}\toci-archive:a.tar:h.example/app:v2")
    );
    let names = "h.example/app:v1\nh.example/app:v2";
    assert!(sandbox.ok(&["ls", "oci-archive:a.tar"]).starts_with(names));
    assert_eq!(sandbox.ok(&["resolve", "oci-archive:a.tar:v2"]), two);
    assert_eq!(sandbox.ok(&["resolve", &format!("oci-archive:a.tar@{one}")]), one);
    let inspected = sandbox.ok(&["inspect", "oci-archive:a.tar:v1"]);
    assert_eq!(inspected, sandbox.ok(&["inspect", "oci:out:v1"]).replace("oci:out", "oci-archive:a.tar"));
    let manifest = sandbox.ok(&["manifest", "get", "oci-archive:a.tar:v1"]);
    assert_eq!(manifest, sandbox.ok(&["manifest", "get", "oci:out:v1"]));
    assert_eq!(sandbox.ok(&["blob", "get", &format!("oci-archive:a.tar@{one}")]), manifest);

    sandbox.ok(&["copy", "--all-tags", "./a.tar", "oci:back"]);
    assert_eq!(blobs(&sandbox, "back"), blobs(&sandbox, "out"));
    assert_eq!(sandbox.ok(&["ls", "--long", "oci:back"]), sandbox.ok(&["ls", "--long", "oci:out"]));
    sandbox.ok(&["copy", "--all-tags", "oci:back", "oci-archive:b.tar"]);
    assert_eq!(std::fs::read(sandbox.path("a.tar")).unwrap(), std::fs::read(sandbox.path("b.tar")).unwrap());
    assert_eq!(
        peer(&sandbox, "tar", &["-tf", "a.tar"]).lines().take(2).collect::<Vec<_>>(),
        ["oci-layout", "index.json"]
    );
}

#[test]
fn what_is_copied_to_an_archive_joins_what_it_holds() {
    let (sandbox, one, two) = two();
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:a.tar"]);
    sandbox.ok(&["copy", "oci:out:v2", "oci-archive:a.tar"]);
    assert_eq!(sandbox.ok(&["resolve", "oci-archive:a.tar:v1"]), one);
    assert_eq!(sandbox.ok(&["resolve", "oci-archive:a.tar:v2"]), two);
    sandbox.ok(&["copy", "--all-tags", "oci-archive:a.tar", "oci:back"]);
    assert_eq!(blobs(&sandbox, "back"), blobs(&sandbox, "out"));
    let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&sandbox.path(name).metadata().unwrap());
    let before = inode("a.tar");
    let run = sandbox.run(&["copy", "oci:out:v2", "oci-archive:a.tar"]);
    assert_eq!((run.code, run.stdout.trim()), (0, &*two), "{run:?}");
    assert!(run.stderr.contains("nothing moved"), "{run:?}");
    assert_eq!(inode("a.tar"), before, "it was written anew");
    sandbox.ok(&["copy", "oci-archive:a.tar:v2", "oci-archive:a.tar:h.example/app:latest"]);
    assert_eq!(sandbox.ok(&["resolve", "oci-archive:a.tar:latest"]), two);
}

#[test]
fn a_copy_that_fails_leaves_the_archive_as_it_was() {
    let (sandbox, one, two) = two();
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:a.tar"]);
    let manifest: Value = serde_json::from_str(&sandbox.ok(&["manifest", "get", "oci:out:v2"])).unwrap();
    let layer = sandbox.blob("out", manifest["layers"][0]["digest"].as_str().unwrap());
    std::fs::write(&layer, "broken").unwrap();
    let before = sandbox.tree();
    let run = sandbox.run(&["copy", "oci:out:v2", "oci-archive:a.tar"]);
    assert_eq!(run.code, 4, "{run:?}");
    assert_eq!(sandbox.tree(), before);
    // Of several things, those that are whole go on.
    let run = sandbox.run(&["copy", "--all-tags", "oci:out", "oci-archive:b.tar"]);
    assert_eq!(run.code, 10, "{run:?}");
    assert_eq!(sandbox.ok(&["resolve", "oci-archive:b.tar:v1"]), one);
    let missing = sandbox.run(&["resolve", &format!("oci-archive:b.tar@{two}")]);
    assert_eq!(missing.code, 3, "{missing:?}");
    sandbox.ok(&["copy", "--all-tags", "oci-archive:b.tar", "oci:back"]);
}

#[test]
fn img_14_what_tar_makes_of_a_layout_is_read_plain_and_compressed() {
    let (sandbox, one, _) = two();
    for (name, flag) in [("a.tar", "-cf"), ("a.tar.gz", "-czf"), ("a.tar.zst", "--zstd")] {
        let create = if flag == "--zstd" { vec![flag, "-cf"] } else { vec![flag] };
        peer(&sandbox, "tar", &[&create[..], &[name, "-C", "out", "."]].concat());
        assert_eq!(sandbox.ok(&["resolve", &format!("oci-archive:{name}:v1")]), one, "{name}");
        assert_eq!(sandbox.ok(&["copy", &format!("oci-archive:{name}:v1"), &format!("oci:of-{name}")]), one);
        // Cut short it is invalid (row 67), and nothing comes of it.
        let whole = std::fs::read(sandbox.path(name)).unwrap();
        sandbox.write("cut.tar", &whole[..whole.len() / 2]);
        sandbox.fails_saying(4, &["copy", "oci-archive:cut.tar:v1", "oci:cut"], "");
    }
}

#[test]
fn archives_go_through_pipes() {
    let (sandbox, one, _) = two();
    let written = sandbox.command(PROGRAM).args(["copy", "oci:out:v1", "oci-archive:-"]).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    assert!(String::from_utf8_lossy(&written.stderr).contains(&one), "{written:?}");
    sandbox.write("piped.tar", &written.stdout);
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:a.tar"]);
    assert_eq!(std::fs::read(sandbox.path("a.tar")).unwrap(), written.stdout);
    for arguments in [&["resolve", "oci-archive:-"][..], &["copy", "oci-archive:-", "oci:back"]] {
        let input = File::open(sandbox.path("piped.tar")).unwrap();
        let read = sandbox.command(PROGRAM).args(arguments).stdin(Stdio::from(input)).output().unwrap();
        let read = Run::of(read);
        assert_eq!((read.code, read.stdout.trim()), (0, &*one), "{read:?}");
    }
    sandbox.write("rootfs/file", "hello");
    let packed = ["pack", "image", "rootfs", "--to", "oci-archive:-:h.example/app:v1"];
    let packed = sandbox.command(PROGRAM).args(packed).output().unwrap();
    sandbox.write("packed.tar", &packed.stdout);
    assert_eq!(sandbox.ok(&["resolve", "oci-archive:packed.tar"]), one);
    sandbox.fails_saying(2, &["copy", "--format", "json", "oci:out:v1", "oci-archive:-"], "standard output");
}

#[test]
fn images_are_packed_into_archives() {
    let (sandbox, _, two) = two();
    for (location, name) in [
        ("oci-archive:a.tar:v1", "v1"),
        ("oci-archive:b.tar", ""),
        ("./c.tar", ""),
        ("docker-archive:d.tar:app:v1", "docker.io/library/app:v1"),
    ] {
        assert_eq!(sandbox.ok(&["pack", "image", "rootfs", "--to", location]), two, "{location}");
        assert_eq!(sandbox.ok(&["resolve", location]), two, "{location}");
        let listed = sandbox
            .ok(&["ls", location.split(".tar").next().map(|path| format!("{path}.tar")).unwrap().as_str()]);
        let expected = if name.is_empty() { format!("@{two}") } else { name.to_owned() };
        assert_eq!(listed, expected, "{location}");
    }
}

#[test]
fn img_10_an_image_is_built_upon_one_in_an_archive() {
    let (sandbox, ..) = two();
    sandbox.write("more/file", "more");
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:a.tar"]);
    sandbox.ok(&["copy", "--referrers", "none", "oci:out:v1", "docker-archive:d.tar"]);
    let pack = |from: &str, to: &str| sandbox.run(&["pack", "image", "more", "--from", from, "--to", to]);
    let expected = pack("oci:out:v1", "oci:a:v1").stdout;
    for (from, to) in [("oci-archive:a.tar:v1", "oci:b:v1"), ("docker-archive:d.tar", "oci-archive:b.tar:v1")]
    {
        let run = pack(from, to);
        assert_eq!((run.code, &run.stdout), (0, &expected), "{run:?}");
        sandbox.ok(&["check", to.trim_end_matches(":v1")]);
    }
    assert_eq!(blobs(&sandbox, "b"), blobs(&sandbox, "a"));
    // What is wrong with the archive does not become part of an image.
    let manifest: Value = serde_json::from_str(&sandbox.ok(&["manifest", "get", "oci:out:v1"])).unwrap();
    let layer =
        std::fs::read(sandbox.blob("out", manifest["layers"][0]["digest"].as_str().unwrap())).unwrap();
    let mut broken = std::fs::read(sandbox.path("a.tar")).unwrap();
    let at = broken.windows(layer.len()).position(|window| window == layer).unwrap();
    broken[at + 20] ^= 1;
    sandbox.write("broken.tar", &broken);
    let run = pack("oci-archive:broken.tar:v1", "oci:c:v1");
    assert_eq!(run.code, 4, "{run:?}");
    assert!(!sandbox.path("c").exists());
    assert_eq!(pack("oci-archive:a.tar:v3", "oci:c:v1").code, 3);
    assert_eq!(pack("oci-archive:no.tar", "oci:c:v1").code, 3);
}

#[test]
fn skopeo_reads_our_archives() {
    let (sandbox, digest, _) = two();
    sandbox.ok(&["copy", "--referrers", "none", "oci:out:v1", "oci-archive:a.tar"]);
    let inspected: Value =
        serde_json::from_str(&peer(&sandbox, "skopeo", &["inspect", "oci-archive:a.tar"])).unwrap();
    assert_eq!(inspected["Digest"], digest);
    sandbox.ok(&["copy", "--all-tags", "oci:out", "docker-archive:d.tar"]);
    let listed: Value =
        serde_json::from_str(&peer(&sandbox, "skopeo", &["list-tags", "docker-archive:d.tar"])).unwrap();
    assert_eq!(listed["Tags"], serde_json::json!(["h.example/app:v1", "h.example/app:v2"]));
    let config = ["inspect", "--config", "docker-archive:d.tar:h.example/app:v1"];
    let config: Value = serde_json::from_str(&peer(&sandbox, "skopeo", &config)).unwrap();
    assert_eq!(config["os"], "linux");
    let image = "docker-archive:d.tar:h.example/app:v2";
    peer(&sandbox, "skopeo", &["--insecure-policy", "copy", image, "oci:theirs:v2"]);
    assert_eq!(sandbox.ok(&["resolve", "docker-archive:d.tar:v1"]), digest);
}

#[test]
fn img_159_what_docker_loads_from_is_still_loaded_from_when_something_is_added() {
    let (sandbox, ..) = two();
    let (one, two) = ("h.example/app:v1", "h.example/app:v2");
    let name = |at: &str, name: &str| format!("{at}:{name}");
    sandbox.ok(&["copy", "--referrers", "none", &name("oci:out", one), "docker-archive:ours.tar"]);
    let saved = name("docker-archive:theirs.tar", one);
    peer(&sandbox, "skopeo", &["--insecure-policy", "copy", &name("oci:out", one), &saved]);
    for file in ["ours.tar", "theirs.tar"] {
        let added = ["copy", &name("oci:out", two), &format!("oci-archive:{file}")];
        sandbox.ok(&added);
        let archive = format!("docker-archive:{file}");
        let listed: Value =
            serde_json::from_str(&peer(&sandbox, "skopeo", &["list-tags", &archive])).unwrap();
        assert_eq!(listed["Tags"], serde_json::json!([one, two]), "{file}");
        for image in [one, two] {
            let ours: Value =
                serde_json::from_str(&sandbox.ok(&["manifest", "get", &name("oci:out", image)])).unwrap();
            let raw = ["inspect", "--raw", &name(&archive, image)];
            let theirs: Value = serde_json::from_str(&peer(&sandbox, "skopeo", &raw)).unwrap();
            assert_eq!(theirs["config"]["digest"], ours["config"]["digest"], "{file} {image}");
            let to = format!("oci:{file}-{}:x", &image[image.len() - 2..]);
            peer(&sandbox, "skopeo", &["--insecure-policy", "copy", &name(&archive, image), &to]);
        }
        let before = sandbox.tree();
        sandbox.ok(&added);
        assert_eq!(sandbox.tree(), before);
        // What cannot be loaded is not added in silence.
        let sbom = ["pack", "files", "sbom.json", "--artifact-type", "a/b", "--to"];
        sandbox.ok(&[&sbom[..], &["oci:sboms:sbom"]].concat());
        let into = format!("oci-archive:{file}:sbom");
        sandbox.fails_saying(12, &["copy", "oci:sboms:sbom", &into], "oci-archive:OTHER");
        assert!(sandbox.path(file).exists());
    }
}

#[test]
fn we_read_the_archives_of_skopeo() {
    let (sandbox, digest, _) = two();
    let name = "oci:out:h.example/app:v1";
    peer(&sandbox, "skopeo", &["--insecure-policy", "copy", name, "oci-archive:a.tar:v1"]);
    assert_eq!(sandbox.ok(&["resolve", "oci-archive:a.tar:v1"]), digest);
    sandbox.ok(&["copy", "oci-archive:a.tar:v1", "oci:back:v1"]);
    assert_eq!(sandbox.ok(&["resolve", "oci:back:v1"]), digest);
    let saved = "docker-archive:d.tar:h.example/app:v1";
    peer(&sandbox, "skopeo", &["--insecure-policy", "copy", name, saved]);
    assert_eq!(sandbox.ok(&["ls", "docker-archive:d.tar"]), "h.example/app:v1");
    let copied = sandbox.ok(&["copy", "docker-archive:d.tar", "oci:saved"]);
    assert_eq!(sandbox.ok(&["resolve", "oci:saved:v1"]), copied);
    let ours: Value = serde_json::from_str(&sandbox.ok(&["manifest", "get", "oci:saved:v1"])).unwrap();
    let theirs = peer(&sandbox, "skopeo", &["inspect", "--raw", saved]);
    let theirs: Value = serde_json::from_str(&theirs).unwrap();
    assert_eq!(ours["config"]["digest"], theirs["config"]["digest"]);
    assert_eq!(ours["layers"][0]["digest"], theirs["layers"][0]["digest"]);
}

#[test]
fn what_archives_cannot_do_is_said() {
    let (sandbox, ..) = two();
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:a.tar"]);
    sandbox.fails_saying(12, &["tag", "oci-archive:a.tar:v1", "v2"], "written as a whole");
    sandbox.fails_saying(12, &["serve", "oci-archive:a.tar"], "only layouts are served");
    sandbox.fails_saying(12, &["blob", "put", "sbom.json", "oci-archive:a.tar"], "written as a whole");
    sandbox.fails_saying(2, &["init", "oci-archive:new.tar"], "empty archive");
    sandbox.fails_saying(4, &["ls", "oci-archive:sbom.json"], "not a tar");
    sandbox.fails_saying(4, &["copy", "oci:out:v1", "./sbom.json"], "not a tar");
    sandbox.fails_saying(
        3,
        &["copy", "--referrers", "none", "oci:out:v1", "oci-archive:no/a.tar"],
        "does not exist",
    );
    sandbox.fails_saying(3, &["resolve", "oci-archive:no.tar"], "does not exist");
}
