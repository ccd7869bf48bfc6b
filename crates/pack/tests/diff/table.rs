//! Pairs of images that differ in one thing, and what is said of it.

use std::path::Path;

use transship_layout::{Durability, Layout};
use transship_pack::{Diff, DiffOptions, DiffSide, Error, Excludes, FileChange, Status, diff};
use transship_spec::{Descriptor, Kind, MediaType};

use crate::support::{Stored, Tar, image};

fn compare(
    left: (&Layout, &Descriptor),
    right: (&Layout, &Descriptor),
    options: &DiffOptions,
) -> Result<Diff, Error> {
    let left = DiffSide { source: left.0, image: left.1 };
    let right = DiffSide { source: right.0, image: right.1 };
    diff(left, right, options)
}

fn of_layers(left: &[Stored], right: &[Stored], options: &DiffOptions) -> Result<Diff, Error> {
    let folder = tempfile::tempdir().unwrap();
    let left = image(&folder.path().join("left"), left);
    let right = image(&folder.path().join("right"), right);
    compare((&left.0, &left.1), (&right.0, &right.1), options)
}

fn plain(tars: &[Tar]) -> Vec<Stored> {
    tars.iter().map(|tar| Stored::plain(&tar.clone().end())).collect()
}

fn line(change: &FileChange) -> String {
    let status = match change.status() {
        Status::Added => 'A',
        Status::Removed => 'D',
        Status::Changed => 'M',
    };
    let aspects: Vec<String> =
        change.aspects.iter().map(|aspect| format!("{aspect:?}").to_lowercase()).collect();
    format!("{status} {} {}", change.path.display(), aspects.join(" ")).trim_end().to_owned()
}

fn lines(diff: &Diff) -> Vec<String> {
    diff.files.iter().flatten().map(line).collect()
}

/// A base that both have, and one layer upon it each.
fn upon_base(left: Tar, right: Tar) -> Vec<String> {
    let base = Tar::new()
        .folder("etc")
        .file("etc/passwd", b"root")
        .file("etc/group", b"root")
        .folder("var")
        .folder("var/cache")
        .file("var/cache/a", b"a")
        .file("var/cache/b", b"b")
        .symlink("lib", "usr/lib")
        .folder("usr")
        .folder("usr/lib")
        .file("usr/lib/so", b"library");
    let diff = of_layers(&plain(&[base.clone(), left]), &plain(&[base, right]), &DiffOptions::default());
    lines(&diff.unwrap())
}

#[test]
fn img_120_each_thing_in_which_a_path_can_differ_is_told_by_its_name() {
    let entry = |change: fn(&mut tar::Header)| Tar::new().entry(b"x", b'0', (b"", b"one"), change);
    let usual = || entry(|_| {});
    for (left, right, expected) in [
        (usual(), usual(), &[][..]),
        (usual(), entry(|header| header.set_mtime(7)), &[]),
        (usual(), entry(|header| header.set_mode(0o755)), &["M x mode"]),
        (usual(), entry(|header| header.set_uid(7)), &["M x owner"]),
        (usual(), entry(|header| header.set_gid(7)), &["M x owner"]),
        (usual(), Tar::new().file("x", b"two"), &["M x content"]),
        (usual(), Tar::new().file("x", b"four"), &["M x size content"]),
        (usual(), Tar::new().symlink("x", "y"), &["M x kind"]),
        (usual(), Tar::new().entry(b"x", b'6', (b"", b""), |_| {}), &["M x kind"]),
        (Tar::new().symlink("x", "y"), Tar::new().symlink("x", "z"), &["M x target"]),
        (usual(), Tar::new().pax(&[("SCHILY.xattr.user.a", b"b")]).file("x", b"one"), &["M x xattrs"]),
        (usual(), Tar::new(), &["D x"]),
        (Tar::new(), usual(), &["A x"]),
        (Tar::new().file("a/b/c", b""), Tar::new(), &["D a", "D a/b", "D a/b/c"]),
        (Tar::new().folder("x").file("x/y", b""), usual(), &["M x kind mode", "D x/y"]),
        (
            usual(),
            Tar::new()
                .folder(".")
                .entry(b".", b'5', (b"", b""), |header| header.set_mode(0o700))
                .file("x", b"one"),
            &["M  mode"],
        ),
    ] {
        let found = of_layers(&plain(&[left]), &plain(&[right]), &DiffOptions::default()).unwrap();
        assert_eq!(lines(&found), expected);
    }
    let device = |minor| {
        move |header: &mut tar::Header| {
            header.set_device_major(1).unwrap();
            header.set_device_minor(minor).unwrap();
        }
    };
    let null = Tar::new().entry(b"x", b'3', (b"", b""), device(3));
    let zero = Tar::new().entry(b"x", b'3', (b"", b""), device(5));
    let found = of_layers(&plain(&[null]), &plain(&[zero]), &DiffOptions::default()).unwrap();
    assert_eq!(lines(&found), ["M x device"]);
    let with_time = DiffOptions { mtime: true, ..DiffOptions::default() };
    let later = entry(|header| header.set_mtime(7));
    assert_eq!(lines(&of_layers(&plain(&[usual()]), &plain(&[later]), &with_time).unwrap()), ["M x mtime"]);
}

#[test]
fn img_135_img_143_what_a_layer_hides_and_replaces_is_found_beneath_it() {
    let new = Tar::new;
    for (left, right, expected) in [
        (new(), new().file("etc/.wh.passwd", b""), &["D etc/passwd"][..]),
        (new().file("etc/.wh.passwd", b""), new(), &["A etc/passwd"]),
        (new(), new().file("var/cache/.wh..wh..opq", b""), &["D var/cache/a", "D var/cache/b"]),
        (new(), new().file(".wh.var", b""), &["D var", "D var/cache", "D var/cache/a", "D var/cache/b"]),
        (new(), new().file(".wh.nothing", b""), &[]),
        // The same again is no change, wherever it comes from.
        (new(), new().file("etc/passwd", b"root"), &[]),
        (new(), new().file("etc/.wh.passwd", b"").file("etc/passwd", b"root"), &[]),
        (new(), new().hard_link("etc/group", "etc/passwd"), &[]),
        (new(), new().hard_link("var/cache/a", "var/cache/b"), &["M var/cache/a content"]),
        (new(), new().hard_link("new", "etc/passwd"), &["A new"]),
        // Of the same size, so that beneath it must be hashed.
        (new(), new().file("etc/passwd", b"toor"), &["M etc/passwd content"]),
        // Through a link among the parents.
        (new(), new().file("lib/so", b"LIBRARY"), &["M usr/lib/so content"]),
        (new(), new().file("lib/new", b""), &["A usr/lib/new"]),
        (
            new(),
            new().folder("etc").entry(b"etc", b'5', (b"", b""), |header| header.set_mode(0o700)),
            &["M etc mode"],
        ),
        (new().file("x", b"1"), new().file("x", b"2"), &["M x content"]),
        (new().file("x", b"1"), new().file("y", b"1"), &["D x", "A y"]),
    ] {
        assert_eq!(upon_base(left, right), expected);
    }
}

#[test]
fn only_the_paths_asked_for_are_told() {
    let (left, right) =
        (Tar::new(), Tar::new().file("etc/a.conf", b"").file("etc/b", b"").file("usr/c.conf", b""));
    let (left, right) = (plain(&[left]), plain(&[right]));
    for (glob, expected) in [
        ("*.conf", &["A etc/a.conf", "A usr/c.conf"][..]),
        ("/etc", &["A etc", "A etc/a.conf", "A etc/b"]),
        ("etc/*", &["A etc/a.conf", "A etc/b"]),
        ("nothing", &[]),
    ] {
        let paths = Some(Excludes::new([glob]).unwrap());
        let options = DiffOptions { paths, ..DiffOptions::default() };
        let found = of_layers(&left, &right, &options).unwrap();
        assert_eq!(lines(&found), expected, "{glob}");
    }
}

#[test]
fn layers_are_the_same_in_any_compression_and_none_of_these_is_read() {
    let (one, two) = (Tar::new().file("one", b"1").end(), Tar::new().file("two", b"2").end());
    let gzip = |tar: &[u8]| {
        let mut encoder =
            transship_codec::Encoder::new(Vec::new(), transship_codec::EncoderOptions::default()).unwrap();
        std::io::Write::write_all(&mut encoder, tar).unwrap();
        Stored::compressed(MediaType::OCI_LAYER_GZIP, encoder.finish().unwrap(), tar)
    };
    let left = [Stored::plain(&one), Stored::plain(&two)];
    let found = of_layers(&left, &[gzip(&one), Stored::plain(&two)], &DiffOptions::default()).unwrap();
    assert_eq!(found.layers.len(), 1);
    assert!(found.layers[0].is_stored_otherwise() && !found.layers[0].moved);
    assert_eq!(found.layers[0].fields[0].pointer, "/mediaType");
    assert_eq!((found.files.unwrap().len(), found.manifest.len(), found.config.len()), (0, 0, 0));
    // Garbage by the name of the right diff ID: nobody looks, where nothing can come of it.
    let broken = Stored::compressed(MediaType::OCI_LAYER_TAR, b"garbage".to_vec(), &one);
    assert!(of_layers(&left[..1], &[broken], &DiffOptions::default()).unwrap().files.unwrap().is_empty());
    let moved =
        of_layers(&left, &[Stored::plain(&two), Stored::plain(&one)], &DiffOptions::default()).unwrap();
    assert!(moved.layers.iter().all(|layer| layer.moved) && moved.layers.len() == 2);
    let statuses =
        |diff: &Diff| diff.layers.iter().map(transship_pack::LayerChange::status).collect::<Vec<_>>();
    let more = of_layers(&left[..1], &left, &DiffOptions::default()).unwrap();
    assert_eq!(statuses(&more), [Status::Added]);
    let less = of_layers(&left, &left[1..], &DiffOptions::default()).unwrap();
    assert_eq!(statuses(&less), [Status::Removed]);
}

#[test]
fn img_94_a_layer_that_is_not_what_its_diff_id_says_is_an_error() {
    let tar = Tar::new().file("one", b"1").end();
    let lying = Stored { diff_id: transship_spec::Digest::sha256(b"else"), ..Stored::plain(&tar) };
    let error = of_layers(&[], &[lying], &DiffOptions::default()).unwrap_err();
    assert!(matches!(error, Error::DiffId { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Invalid);
    let lying = Stored { diff_id: transship_spec::Digest::sha256(b"else"), ..Stored::plain(&tar) };
    let without = DiffOptions { files: false, ..DiffOptions::default() };
    let found = of_layers(&[], &[lying], &without).unwrap();
    assert!(found.files.is_none() && found.layers.len() == 1);
}

/// Stores what a pair of documents says, and compares it.
fn of_documents(at: &Path, left: (&str, &str), right: (&str, &str)) -> Vec<String> {
    let layout = Layout::options().durability(Durability::None).create(at).unwrap();
    let put = |(config, annotations): (&str, &str)| {
        let session = layout.begin().unwrap();
        let config = session.put_bytes(MediaType::OCI_CONFIG, config.as_bytes()).unwrap();
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[],"annotations":{annotations}}}"#,
            serde_json::to_string(&config).unwrap()
        );
        let document = transship_spec::Document::parse(manifest, None).unwrap();
        let descriptor = session.put_document(&document).unwrap();
        session.commit(|_| Ok(())).unwrap();
        descriptor
    };
    let (left, right) = (put(left), put(right));
    let found = compare((&layout, &left), (&layout, &right), &DiffOptions::default()).unwrap();
    let mirror = compare((&layout, &right), (&layout, &left), &DiffOptions::default()).unwrap();
    let back =
        mirror.manifest.iter().chain(&mirror.config).map(|field| (field.right.clone(), field.left.clone()));
    let text = |value: Option<Box<serde_json::value::RawValue>>| value.map(|value| value.get().to_owned());
    let forth =
        found.manifest.iter().chain(&found.config).map(|field| (field.left.clone(), field.right.clone()));
    let texts = |(left, right)| (text(left), text(right));
    assert!(forth.map(texts).eq(back.map(texts)));
    let show = |value: Option<&Box<serde_json::value::RawValue>>| {
        value.map_or("-".to_owned(), |value| value.get().to_owned())
    };
    let fields = found.manifest.iter().chain(&found.config);
    fields
        .map(|field| {
            format!("{} {} {}", field.pointer, show(field.left.as_ref()), show(field.right.as_ref()))
        })
        .collect()
}

#[test]
fn fields_of_manifest_and_config_are_told_by_their_pointers() {
    let config = |more: &str| {
        format!(r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":[]}}{more}}}"#)
    };
    for (left, right, expected) in [
        ("", "", &[][..]),
        ("", r#","created":"2026-01-01T00:00:00Z""#, &[r#"/created - "2026-01-01T00:00:00Z""#]),
        (
            r#","config":{"Env":["A=1","B=2"]}"#,
            r#","config":{"Env":["B=3","C="]}"#,
            &[r#"/config/Env/A "1" -"#, r#"/config/Env/B "2" "3""#, r#"/config/Env/C - """#],
        ),
        (
            r#","config":{"Env":["A=1","B=2"]}"#,
            r#","config":{"Env":["B=2","A=1"]}"#,
            &[r#"/config/Env ["A=1","B=2"] ["B=2","A=1"]"#],
        ),
        (r#","config":{"Env":["A=1"]}"#, r#","config":{}"#, &[r#"/config/Env/A "1" -"#]),
        (r#","config":{"Cmd":["a"]}"#, r#","config":{"Cmd":["a","b"]}"#, &[r#"/config/Cmd ["a"] ["a","b"]"#]),
        (
            r#","config":{"Labels":{"a/b":"1"}}"#,
            r#","config":{"Labels":{"a/b":"2"}}"#,
            &[r#"/config/Labels/a~1b "1" "2""#],
        ),
        ("", r#","config":{"ExposedPorts":{"80/tcp":{}}}"#, &["/config/ExposedPorts/80~1tcp - {}"]),
        (
            r#","history":[{"comment":"a"}]"#,
            r#","history":[{"comment":"a"},{"comment":"b"}]"#,
            &[r#"/history/1 - {"comment":"b"}"#],
        ),
        (
            r#","history":[{"comment":"a"}]"#,
            r#","history":[{"comment":"b"}]"#,
            &[r#"/history/0/comment "a" "b""#],
        ),
        (r#","mood":{"is":[1.0]}"#, r#","mood":{"is":[1.00]}"#, &["/mood/is [1.0] [1.00]"]),
        (r#","mood":null"#, r#","author":"\u0061""#, &[r#"/author - "\u0061""#]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let found = of_documents(&folder.path().join("x"), (&config(left), "{}"), (&config(right), "{}"));
        assert_eq!(found, expected);
    }
    let folder = tempfile::tempdir().unwrap();
    let found =
        of_documents(&folder.path().join("x"), (&config(""), r#"{"a":"1"}"#), (&config(""), r#"{"a":"2"}"#));
    assert_eq!(found, [r#"/annotations/a "1" "2""#]);
    // Nothing but the form is another: that is told, since the digests are others.
    let folder = tempfile::tempdir().unwrap();
    let found = of_documents(&folder.path().join("x"), (&config(""), "{}"), (&config(""), "{ }"));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with(" \"sha256:"), "{found:?}");
    let folder = tempfile::tempdir().unwrap();
    let found = of_documents(&folder.path().join("x"), (&config(""), "{}"), (&(config("") + "\n"), "{}"));
    assert!(found[0].starts_with("/config/digest"), "{found:?}");
}
