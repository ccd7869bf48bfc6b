//! Readers that nobody here wrote: what we pack, skopeo and Python read, and umoci unpacks to the same tree.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use transship_codec::Compression;
use transship_layout::{Layout, Name};
use transship_pack::{
    Base, ConfigChanges, File, Files, ImageOptions, LayerOptions, MtimeRule, Owner, TarOptions, pack_files,
    pack_image,
};
use transship_spec::{Digest, Platform};

use crate::trees::{all_paths, chmod, make, nasty};

/// Runs a program and gives what it prints. One that is missing fails the test: skipped, it would look like one passed.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run ({error}): `cargo xtask test` installs it"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// All that a layer keeps of a tree: path, type and mode, owner, device, time, content or target, number of names.
fn tree(at: &Path) -> Vec<String> {
    let describe = |path: PathBuf| {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = match () {
            () if metadata.is_file() => Digest::sha256(&fs::read(&path).unwrap()).to_string(),
            () if metadata.is_symlink() => format!("{:?}", fs::read_link(&path).unwrap()),
            () => String::new(),
        };
        let names = if metadata.is_file() { metadata.nlink() } else { 1 };
        format!(
            "{:?} {:o} {}:{} {} {} {names} {content}",
            path.strip_prefix(at).unwrap(),
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.rdev(),
            metadata.mtime(),
        )
    };
    all_paths(at).into_iter().map(describe).collect()
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 100];
    let len = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(len);
    Some(value)
}

fn kept() -> TarOptions {
    TarOptions { owner: Owner::Keep, mtime: MtimeRule::Keep, ..TarOptions::default() }
}

#[test]
fn umoci_unpacks_what_we_pack_to_the_same_tree() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let source = at.join("tree");
    make(&source, &nasty());
    std::os::unix::fs::chown(source.join("a.b"), Some(3_000_000), Some(1234)).unwrap();
    // An empty value is written too, but Go's reader takes it for none.
    for path in ["a/b", "links/a-first-in-order"] {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(source.join(path), "user.mime", b"text\n\0plain", flags).unwrap();
    }
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let out = at.join(compression.name());
        let layout = Layout::options().build(&out).unwrap();
        let layer = LayerOptions { compression, tar: kept(), ..LayerOptions::default() };
        let options = ImageOptions { layer, ..ImageOptions::default() };
        pack_image(&layout, Some(&Name::short("v1").unwrap()), &[&source], &options).unwrap();
        layout.finish().unwrap();
        let mut image = format!("{}:v1", out.display());
        if compression == Compression::Zstd {
            // This umoci reads no zstd; skopeo does, and compresses the layer again.
            let again = format!("{}:v1", at.join("again").display());
            let (from, to) = (format!("oci:{image}"), format!("oci:{again}"));
            run("skopeo", &["copy", "--dest-compress-format", "gzip", &from, &to]);
            image = again;
        }
        let bundle = at.join(format!("bundle-{compression}"));
        run("umoci", &["unpack", "--image", &image, bundle.to_str().unwrap()]);
        let rootfs = bundle.join("rootfs");
        assert_eq!(tree(&rootfs), tree(&source), "{compression}");
        for path in ["a/b", "links/z-first-made"] {
            assert_eq!(
                xattr(&rootfs.join(path), "user.mime").as_deref(),
                Some(&b"text\n\0plain"[..]),
                "{path}"
            );
        }
    }
}

/// Reads a tar as a stream, and prints of every path what it is; of a hard link what it leads to.
const STREAMED: &str = r#"
import hashlib, sys, tarfile
found = {}
with tarfile.open(sys.argv[1], "r|*", encoding="utf-8", errors="surrogateescape") as tar:
    for entry in tar:
        content = tar.extractfile(entry).read() if entry.isreg() else b""
        content = found[entry.linkname][3] if entry.islnk() else hashlib.sha256(content).hexdigest()
        found[entry.name] = (entry.mode, entry.uid, entry.mtime, content)
for name, (mode, uid, time, content) in found.items():
    print(name.encode("utf-8", "surrogateescape").hex(), oct(mode)[2:], uid, int(time), content)
"#;

#[test]
fn python_reads_a_layer_as_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let source = at.join("tree");
    make(&source, &nasty());
    std::os::unix::fs::chown(source.join("a.b"), Some(3_000_000), Some(1234)).unwrap();
    let describe = |path: PathBuf| {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let name = path.strip_prefix(&source).unwrap().as_os_str().as_encoded_bytes();
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let (mode, uid, time) = (metadata.mode() & 0o7777, metadata.uid(), metadata.mtime());
        format!("{name} {mode:o} {uid} {time} {}", Digest::sha256(&content).encoded())
    };
    let mut expected: Vec<_> = all_paths(&source).into_iter().map(describe).collect();
    expected.sort();
    // Debian's Python knows no zstd.
    for compression in [Compression::None, Compression::Gzip] {
        let layout = Layout::options().create(at.join(compression.name())).unwrap();
        let layer = LayerOptions { compression, tar: kept(), ..LayerOptions::default() };
        let options = ImageOptions { layer, ..ImageOptions::default() };
        let image = pack_image(&layout, None, &[&source], &options).unwrap();
        let blob = layout.path().join("blobs/sha256").join(&*image.layers[0].descriptor.digest.encoded());
        let printed = run("python3", &["-c", STREAMED, blob.to_str().unwrap()]);
        let mut found: Vec<_> = printed.lines().collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{compression}");
    }
}

#[test]
fn skopeo_inspects_and_copies_what_we_pack() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let source = at.join("tree");
    make(&source, &nasty());
    let out = at.join("layout");
    let layout = Layout::options().create(&out).unwrap();
    let platform = Some(Platform::new("linux", "amd64"));
    let base = ImageOptions { platform: platform.clone(), ..ImageOptions::default() };
    pack_image(&layout, Some(&Name::short("base").unwrap()), &[&source], &base).unwrap();
    let entry = layout.resolve(Some("base")).unwrap();
    let options = ImageOptions {
        platform,
        base: Some(Base::new(&layout, &entry)),
        layer: LayerOptions { compression: Compression::Zstd, ..LayerOptions::default() },
        changes: ConfigChanges {
            env: vec!["LANG=C.UTF-8".to_owned()],
            labels: vec!["of=us".to_owned()],
            exposed_ports: vec!["80".to_owned()],
            ..ConfigChanges::default()
        },
        source_date_epoch: Some(1_700_000_000),
        ..ImageOptions::default()
    };
    let image = pack_image(&layout, Some(&Name::short("v1").unwrap()), &[&source], &options).unwrap();

    let place = format!("oci:{}:v1", out.display());
    let seen = run("skopeo", &["inspect", &place]);
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["Digest"], image.descriptor.digest.to_string());
    assert_eq!(seen["Created"], "2023-11-14T22:13:20Z");
    assert_eq!((&seen["Architecture"], &seen["Os"]), (&"amd64".into(), &"linux".into()));
    assert_eq!(seen["Labels"]["of"], "us");
    assert_eq!(seen["Env"][0], "LANG=C.UTF-8");
    assert_eq!(seen["Layers"].as_array().unwrap().len(), 2);

    let copy = at.join("copy");
    run("skopeo", &["copy", "--preserve-digests", &place, &format!("oci:{}:v1", copy.display())]);
    let copied = Layout::options().open_read_only(&copy).unwrap().resolve(Some("v1")).unwrap();
    assert_eq!(copied.descriptor.digest, image.descriptor.digest);
    let archive = format!("docker-archive:{}:x:v1", at.join("docker.tar").display());
    run("skopeo", &["copy", &format!("oci:{}:base", out.display()), &archive]);
}

#[test]
fn skopeo_copies_an_artifact_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("d")).unwrap();
    fs::write(at.join("d/x"), "x").unwrap();
    chmod(&at.join("d/x"), 0o644);
    let out = at.join("layout");
    let layout = Layout::options().create(&out).unwrap();
    let file =
        |title: &str, path: &str| File { title: title.to_owned(), path: at.join(path), media_type: None };
    let files = Files { files: vec![file("x", "d/x"), file("d", "d")], ..Files::default() };
    let artifact = pack_files(&layout, Some(&Name::short("v1").unwrap()), &files).unwrap();
    let copy = at.join("copy");
    let to = format!("oci:{}:v1", copy.display());
    run("skopeo", &["copy", "--preserve-digests", &format!("oci:{}:v1", out.display()), &to]);
    let copied = Layout::options().open_read_only(&copy).unwrap().resolve(Some("v1")).unwrap();
    assert_eq!(copied.descriptor.digest, artifact.descriptor.digest);
}
