//! Making layouts: what lies on disk afterwards.

use std::path::Path;

use transship_layout::{Error, Layout};
use transship_spec::Kind;

use crate::support::{put, tree};

const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const EMPTY: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

fn names(path: &Path) -> Vec<String> {
    tree(path).into_keys().map(|path| path.display().to_string()).collect()
}

#[test]
fn a_created_layout_is_these_very_bytes_and_modes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let layout = Layout::options().create(&path).unwrap();
    let tree = tree(&path);
    assert_eq!(names(&path), ["blobs", "blobs/sha256", "index.json", "oci-layout"]);
    assert_eq!(tree[Path::new("oci-layout")], (0o100_644, MARKER.into()));
    assert_eq!(tree[Path::new("index.json")], (0o100_644, EMPTY.into()));
    assert_eq!(tree[Path::new("blobs/sha256")], (0o40_755, vec![]));
    assert!(layout.entries().unwrap().is_empty());
    assert_eq!(layout.resolve(None).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn create_takes_an_empty_folder_and_what_a_crash_left_but_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    Layout::options().create(make("empty")).unwrap();
    let cut = make("cut");
    std::fs::write(cut.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0","x":1}"#).unwrap();
    std::fs::create_dir_all(cut.join("blobs/sha256")).unwrap();
    std::fs::create_dir_all(cut.join(".transship/tmp")).unwrap();
    Layout::options().create(&cut).unwrap();
    assert!(std::fs::read_to_string(cut.join("oci-layout")).unwrap().contains("\"x\":1"), "IMG-04: kept");
    let used = make("used");
    std::fs::write(used.join("file"), "").unwrap();
    for path in [&used, &cut, &used.join("file"), &used.join("file/below")] {
        let error = Layout::options().create(path).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
    }
    assert_eq!(names(&used), ["file"]);
}

#[test]
fn open_or_create_makes_what_is_missing_and_opens_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    put(&Layout::options().open_or_create(&path).unwrap(), "v1");
    let again = Layout::options().open_or_create(&path).unwrap();
    assert_eq!(again.entries().unwrap().len(), 1);
    std::fs::remove_file(path.join("oci-layout")).unwrap();
    let error = Layout::options().open_or_create(&path).unwrap_err();
    assert!(error.to_string().contains("no file oci-layout"), "{error}");
}

#[test]
fn a_built_layout_holds_only_standard_names_and_is_the_same_on_every_run() {
    let folder = tempfile::tempdir().unwrap();
    let build = |name: &str| {
        let path = folder.path().join(name);
        let new = Layout::options().build(&path).unwrap();
        put(&new, "v1");
        let session = new.begin().unwrap();
        session.put_bytes(crate::support::text(), &vec![7; 3 << 20]).unwrap();
        session.commit(|_| Ok(())).unwrap();
        assert!(!path.exists());
        let layout = new.finish().unwrap();
        assert_eq!(layout.path(), path);
        tree(&path)
    };
    let first = build("one");
    assert_eq!(first, build("two"));
    assert!(first.keys().all(|path| !path.starts_with(".transship")));
    assert!(first.values().all(|(mode, _)| [0o100_644, 0o40_755].contains(mode)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    Layout::options().build(&empty).unwrap().finish().unwrap();
}

#[test]
fn a_build_never_harms_what_appeared_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let new = Layout::options().build(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("precious"), "x").unwrap();
    let error = new.finish().unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert_eq!(names(folder.path()), ["out", "out/precious"]);
    assert!(matches!(Layout::options().build(&path).unwrap_err(), Error::Exists { .. }));
    drop(Layout::options().build(folder.path().join("other")).unwrap());
    assert_eq!(names(folder.path()), ["out", "out/precious"], "an unfinished one is removed");
    let missing = folder.path().join("no/such");
    assert!(matches!(Layout::options().build(missing).unwrap_err(), Error::Absent { .. }));
}
