//! The files of an artifact, and what must not become of hostile ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use transship_layout::{Durability, Layout, read_document};
use transship_pack::kinds::{Held, Kinds, Sight};
use transship_pack::{Error, ExtractOptions, Extracted, File, Files, UnpackLimits, extract, pack_files};
use transship_spec::{Annotations, Descriptor, Digest, Kind, Manifest, MediaType, annotations};

use crate::support::Tar;

/// A layout with one artifact, and a place beside it.
struct Stage {
    folder: TempDir,
    layout: Layout,
    layers: Vec<Descriptor>,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Layout::options().durability(Durability::None);
        let layout = options.create(folder.path().join("layout")).unwrap();
        Self { folder, layout, layers: Vec::new() }
    }

    /// One more layer: its bytes, and what its descriptor says.
    fn layer(mut self, bytes: &[u8], said: &[(&str, &str)]) -> Self {
        let session = self.layout.begin().unwrap();
        let stored = session.put_bytes(MediaType::OCI_LAYER_TAR, bytes).unwrap();
        session.commit(|_| Ok(())).unwrap();
        let annotations: Annotations = said.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.layers.push(Descriptor { annotations, ..stored });
        self
    }

    fn file(self, title: &str, bytes: &[u8]) -> Self {
        self.layer(bytes, &[(annotations::TITLE, title)])
    }

    fn folder(self, title: &str, tar: Tar) -> Self {
        let tar = tar.end();
        let plain = Digest::sha256(&tar).to_string();
        let said = [
            (annotations::TITLE, title),
            (annotations::ORAS_CONTENT_UNPACK, "true"),
            (annotations::ORAS_CONTENT_DIGEST, &plain),
        ];
        self.layer(&tar, &said)
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn extract(&self) -> Result<Extracted, Error> {
        self.extract_within(UnpackLimits::default())
    }

    fn extract_within(&self, limits: UnpackLimits) -> Result<Extracted, Error> {
        let mut manifest = Manifest::new(Descriptor::empty(), self.layers.clone());
        manifest.artifact_type = Some(MediaType::parse("application/vnd.example.v1").unwrap());
        let document = manifest.to_document().unwrap();
        let held = Held::new(Sight::of(&document), &self.layout);
        let kinds = Kinds::built_in();
        let options = ExtractOptions { durability: Durability::None, limits, ..ExtractOptions::default() };
        extract(&held, kinds.of(&held).unwrap(), &self.out(), &options)
    }

    /// The error, after which nothing is there.
    fn refused(&self) -> Error {
        let error = self.extract().unwrap_err();
        assert!(!self.out().exists(), "{error}");
        let beside: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(beside, ["layout"], "{error}");
        error
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.out().join(path)).unwrap()
    }
}

#[test]
fn files_get_their_titles_and_those_without_one_their_digests() {
    let stage = Stage::new().file("a/b/notes.md", b"notes").layer(b"bare", &[]).file("c", b"");
    let made = stage.extract().unwrap();
    let bare = Digest::sha256(b"bare").to_string().replace(':', "-");
    assert_eq!(made.paths, ["a/b/notes.md", &bare, "c"]);
    assert_eq!((made.entries, made.bytes), (3, 9));
    assert_eq!(
        (stage.read("a/b/notes.md"), stage.read(&bare), stage.read("c")),
        ("notes".into(), "bare".into(), String::new())
    );
}

#[test]
fn a_folder_packed_as_oras_packs_it_comes_out_as_it_was() {
    let stage = Stage::new();
    let tree = stage.folder.path().join("tree");
    fs::create_dir_all(tree.join("deep/er")).unwrap();
    fs::write(tree.join("deep/er/run.sh"), "#!/bin/sh").unwrap();
    fs::set_permissions(tree.join("deep/er/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("er/run.sh", tree.join("deep/link")).unwrap();
    for (title, below) in [("tree", "tree/"), (".", ""), ("x/y", "x/y/")] {
        let file = File { title: title.to_owned(), path: tree.clone(), media_type: None };
        let packed =
            pack_files(&stage.layout, None, &Files { files: vec![file], ..Files::default() }).unwrap();
        let document = read_document(&stage.layout, &packed.descriptor).unwrap();
        let held = Held::new(Sight::of(&document), &stage.layout);
        let kinds = Kinds::built_in();
        extract(&held, kinds.of(&held).unwrap(), &stage.out(), &ExtractOptions::default()).unwrap();
        assert_eq!(stage.read(&format!("{below}deep/link")), "#!/bin/sh", "{title}");
        let mode =
            stage.out().join(format!("{below}deep/er/run.sh")).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o700, "{title}");
        fs::remove_dir_all(stage.out()).unwrap();
    }
}

#[test]
fn what_is_in_the_folder_stays_and_a_taken_name_ends_it_before_anything_appears() {
    let stage = Stage::new().file("a", b"new").file("b/c", b"new");
    fs::create_dir(stage.out()).unwrap();
    fs::write(stage.out().join("mine"), "old").unwrap();
    stage.extract().unwrap();
    assert_eq!(
        (stage.read("mine"), stage.read("a"), stage.read("b/c")),
        ("old".into(), "new".into(), "new".into())
    );
    fs::remove_file(stage.out().join("a")).unwrap();
    let error = stage.extract().unwrap_err();
    assert!(matches!(&error, Error::InTheWay(path) if path.ends_with("b")), "{error}");
    assert!(!stage.out().join("a").exists());
    assert_eq!(error.kind(), Kind::Usage);
}

#[test]
fn titles_that_lead_out_or_are_there_twice_are_refused_by_name() {
    for title in ["../x", "/etc/x", "a/../../x", "..", "", "a//b", "a\\b", "a/./b"] {
        let error = Stage::new().file("good", b"1").file(title, b"2").refused();
        assert!(matches!(error, Error::NotOfKind { .. }), "{title}: {error}");
        assert_eq!(error.kind(), Kind::Invalid);
    }
    let error = Stage::new().file("same", b"1").file("same", b"2").refused();
    assert!(matches!(&error, Error::Title(title) if title == "same"), "{error}");
}

#[test]
fn one_title_as_a_file_and_as_a_folder_is_refused() {
    for (first, second) in [("a", "a/b"), ("a/b", "a")] {
        Stage::new().file(first, b"1").file(second, b"2").refused();
    }
}

#[test]
fn cases_t_1_to_t_6_tars_that_lead_out_of_their_folder_are_refused() {
    let tars = [
        Tar::new().file("d/../../x", b"x"),
        Tar::new().file("../x", b"x"),
        Tar::new().file("other/x", b"x"),
        Tar::new().file("d", b"x"),
        Tar::new().symlink("d/etc", "/etc").file("d/etc/x", b"x"),
        Tar::new().symlink("d/up", "../.."),
        Tar::new().symlink("d/a/up", "../../x"),
        Tar::new().symlink("d/a", "b/../../c"),
        Tar::new().hard_link("d/h", "../layout/oci-layout"),
        Tar::new().hard_link("d/h", "/etc/passwd"),
        Tar::new().hard_link("d/h", "d/none"),
        Tar::new().file("d/x", b"1").file("d/x", b"2"),
        Tar::new().entry(b"d/null", b'3', (b"", b""), |header| {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }),
        Tar::new().entry(b"d/fifo", b'6', (b"", b""), |_| {}),
    ];
    for (number, tar) in tars.into_iter().enumerate() {
        let error = Stage::new().folder("d", tar).refused();
        assert!(matches!(error, Error::Entry { .. }), "{number}: {error}");
        assert_eq!(error.kind(), Kind::Invalid, "{number}");
    }
}

#[test]
fn a_chain_of_links_that_are_lexically_inside_leads_nowhere_outside() {
    // GHSA-m37j: each link looks harmless, and together they climb.
    let tar = Tar::new()
        .folder("d/a/b")
        .symlink("d/a/b/up", "..")
        .symlink("d/l", "a/b/up/..")
        .file("d/l/../../x", b"x");
    Stage::new().folder("d", tar).refused();
    let tar = Tar::new().folder("d/a/b").symlink("d/a/b/up", "..").file("d/a/b/up/x", b"inside");
    let stage = Stage::new().folder("d", tar);
    stage.extract().unwrap();
    assert_eq!(stage.read("d/a/x"), "inside");
}

#[test]
fn names_of_whiteouts_are_names_like_others_and_owners_and_setuid_do_not_come_along() {
    let tar = Tar::new()
        .file("d/.wh.x", b"no whiteout")
        .entry(b"d/sudo", b'0', (b"", b"x"), |header| {
            header.set_mode(0o6755);
            header.set_uid(12345);
        })
        .hard_link("d/again", "d/sudo");
    let stage = Stage::new().folder("d", tar);
    stage.extract().unwrap();
    assert_eq!((stage.read("d/.wh.x"), stage.read("d/again")), ("no whiteout".into(), "x".into()));
    let made = stage.out().join("d/sudo").metadata().unwrap();
    assert_eq!(made.permissions().mode() & 0o7700, 0o700);
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(made.uid(), rustix::process::geteuid().as_raw());
}

#[test]
fn a_tar_that_is_not_what_was_told_and_a_blob_that_is_not_its_digest_leave_nothing() {
    let tar = Tar::new().file("d/x", b"x").end();
    let plain = Digest::sha256(b"another").to_string();
    let said = [
        (annotations::TITLE, "d"),
        (annotations::ORAS_CONTENT_UNPACK, "true"),
        (annotations::ORAS_CONTENT_DIGEST, &plain),
    ];
    let error = Stage::new().layer(&tar, &said).refused();
    assert!(matches!(error, Error::DiffId { .. }), "{error}");

    let stage = Stage::new().file("first", b"good").file("second", b"right");
    let digest = Digest::sha256(b"right");
    let blob = stage.folder.path().join("layout/blobs/sha256").join(&*digest.encoded());
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, b"wrong").unwrap();
    assert_eq!(stage.refused().kind(), Kind::Invalid);
}

#[test]
fn a_tar_without_entries_is_a_folder_and_limits_hold() {
    let stage = Stage::new().folder("d", Tar::new());
    stage.extract().unwrap();
    assert!(stage.out().join("d").is_dir());

    let limits = UnpackLimits { max_size: 4, ..UnpackLimits::default() };
    let error = Stage::new().file("x", b"12345").extract_within(limits).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    let limits = UnpackLimits { max_entries: 1, ..UnpackLimits::default() };
    let tar = Tar::new().file("d/1", b"").file("d/2", b"");
    assert_eq!(Stage::new().folder("d", tar).extract_within(limits).unwrap_err().kind(), Kind::Limit);
}
