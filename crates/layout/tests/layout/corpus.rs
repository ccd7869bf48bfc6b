//! Malformed and hostile layouts: what is refused, how, and what is not.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::TempDir;
use transship_layout::{Entry, Error, Layout, Result};
use transship_spec::{Descriptor, Kind, MediaType};

use crate::support::{blob, layout, put, text};

/// A layout with these bytes as `index.json`.
fn with_index(content: impl AsRef<[u8]>) -> (TempDir, Layout) {
    let (folder, layout) = layout();
    std::fs::write(folder.path().join("index.json"), content).unwrap();
    (folder, layout)
}

fn entries(content: impl AsRef<[u8]>) -> Result<Vec<Entry>> {
    with_index(content).1.entries()
}

/// An index with one entry that has these fields.
fn one(fields: &str) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[{{{fields}}}]}}"#)
}

fn opened(change: impl FnOnce(&Path)) -> Result<Layout> {
    let (folder, _) = layout();
    change(folder.path());
    Layout::options().open_read_only(folder.path())
}

fn marker(content: &str) -> Result<Layout> {
    opened(|path| std::fs::write(path.join("oci-layout"), content).unwrap())
}

#[test]
fn case_l1_l15_what_is_missing_is_said() {
    for (part, words) in [
        ("oci-layout", "it has no file oci-layout"),
        ("index.json", "it has no index.json"),
        ("blobs", "it has no folder blobs"),
    ] {
        let error = opened(|path| {
            let part = path.join(part);
            std::fs::remove_file(&part).or_else(|_| std::fs::remove_dir_all(&part)).unwrap();
        })
        .unwrap_err();
        assert!(matches!(error, Error::NotALayout { .. }) && error.kind() == Kind::Invalid, "{error}");
        assert!(error.to_string().ends_with(words), "{error}");
    }
    let error = Layout::options().open("/no/such/layout").unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::NotFound, "/no/such/layout does not exist")
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Layout::options().open(file.path()).unwrap_err();
    assert!(error.to_string().ends_with("is not an image layout: it is not a folder"), "{error}");
}

#[test]
fn case_l2_img_03_other_versions_are_unsupported() {
    for version in ["9.9.9", "1.1.0", "1.0", ""] {
        let error = marker(&format!(r#"{{"imageLayoutVersion":"{version}"}}"#)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    }
    marker(r#"{"imageLayoutVersion":"1.0.0","x":[1]}"#).unwrap();
}

#[test]
fn case_l3_img_02_a_marker_that_is_none_is_malformed() {
    for content in
        ["", "not JSON", "[]", "{}", r#"{"imageLayoutVersion":1}"#, r#"{"imageLayoutVersion":"1.0.0"} x"#]
    {
        let error = marker(content).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{content}: {error}");
    }
    assert_eq!(marker(&" ".repeat(70_000)).unwrap_err().kind(), Kind::Limit);
}

#[test]
fn case_l4_to_l8_l10_l23_an_index_that_is_none_is_malformed() {
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let twice = one(&format!(r#""mediaType":"a/b","size":2,"digest":"{digest}","digest":"{digest}""#));
    for content in [
        "",
        r#"{"schemaVersion":2,"manifests":["#,
        r#"{"schemaVersion":2,"manifests":[]} x"#,
        "\u{feff}{\"schemaVersion\":2,\"manifests\":[]}",
        "[]",
        "null",
        r#""text""#,
        r#"{"schemaVersion":2}"#,
        r#"{"schemaVersion":2,"manifests":{}}"#,
        r#"{"schemaVersion":1,"manifests":[]}"#,
        r#"{"schemaVersion":3,"manifests":[]}"#,
        r#"{"schemaVersion":"2","manifests":[]}"#,
        r#"{"manifests":[]}"#,
        r#"{"schemaVersion":2,"schemaVersion":2,"manifests":[]}"#,
        r#"{"schemaVersion":2,"manifests":[1]}"#,
        &twice,
    ] {
        let error = entries(content).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{content}: {error}");
        assert!(error.to_string().contains("index.json is malformed"), "{error}");
        let edit = with_index(content).1.edit(|index| index.add(&Descriptor::empty()));
        if !content.ends_with("[1]}") {
            edit.unwrap_err();
        }
    }
    assert!(entries(b"{\"schemaVersion\":2,\"manifests\":[],\"x\":\"\xff\"}").is_err());
    assert!(entries(" {\"manifests\":null,\"schemaVersion\":2}\n").unwrap().is_empty(), "case L9");
}

#[test]
fn case_l11_l22_depth_and_size_are_limits() {
    let deep =
        format!(r#"{{"schemaVersion":2,"x":{}{},"manifests":[]}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(entries(deep).unwrap_err().kind(), Kind::Limit);
    let (folder, layout) = layout();
    let mut file = std::fs::File::options().write(true).open(folder.path().join("index.json")).unwrap();
    file.seek(SeekFrom::Start((2 << 30) - 1)).unwrap();
    file.write_all(b"}").unwrap();
    assert_eq!(layout.entries().unwrap_err().kind(), Kind::Limit);
    assert_eq!(layout.resolve(Some("v1")).unwrap_err().kind(), Kind::Limit);
}

#[test]
fn an_index_of_nothing_but_names_or_numbers_costs_neither_hours_nor_gigabytes() {
    let names: String = (0..300_000).map(|n| format!(",\"{n}\":0")).collect();
    let names = format!(r#"{{"schemaVersion":2,"manifests":[]{names}}}"#);
    assert_eq!(entries(names).unwrap_err().kind(), Kind::Limit);
    let numbers = format!(r#"{{"schemaVersion":2,"manifests":[0{}]}}"#, ",0".repeat(5_000_000));
    assert_eq!(entries(numbers).unwrap_err().kind(), Kind::Limit);
}

#[test]
fn case_l16_l17_missing_and_wrong_blobs_are_found_when_they_are_read() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    let path = blob(&layout, &image);
    let right = std::fs::read(&path).unwrap();
    let mut flipped = right.clone();
    flipped[10] ^= 1;
    for wrong in [&right[1..], &[&right[..], b"x"].concat(), &flipped] {
        std::fs::write(&path, wrong).unwrap();
        let error = layout.read_document(&image).unwrap_err();
        assert!(matches!(error, Error::Content { .. }) && error.kind() == Kind::Invalid, "{error}");
        assert!(error.to_string().contains(&image.digest.to_string()), "{error}");
        let mut reader = match layout.open_blob(&image) {
            Ok(reader) => reader,
            Err(error) => {
                assert!(matches!(error, Error::Content { .. }), "{error}");
                continue;
            }
        };
        let mut sink = Vec::new();
        for _ in 0..2 {
            let error = Error::from_io(reader.read_to_end(&mut sink).unwrap_err(), "reading", "x");
            assert!(matches!(error, Error::Content { .. }), "once wrong, always wrong: {error}");
        }
    }
    std::fs::remove_file(&path).unwrap();
    let error = layout.open_blob(&image).unwrap_err();
    assert!(matches!(error, Error::MissingBlob { .. }) && error.kind() == Kind::Invalid, "{error}");
    assert!(!layout.has(&image).unwrap());
    assert_eq!(layout.size(&image.digest).unwrap(), None);
}

#[test]
fn case_l20_l21_stray_files_are_listed_as_such_and_hard_links_are_files() {
    let (folder, layout) = layout();
    let image = put(&layout, "v1");
    let blobs = folder.path().join("blobs");
    for stray in ["sha256/x.tmp", "sha256/.nfs0001", "file", &format!("sha256/{}", "A".repeat(64))] {
        std::fs::write(blobs.join(stray), "").unwrap();
    }
    std::fs::create_dir(blobs.join("SHA256")).unwrap();
    std::fs::hard_link(blob(&layout, &image), folder.path().join("elsewhere")).unwrap();
    let found: Vec<_> = layout.blobs().unwrap().collect::<Result<_>>().unwrap();
    assert_eq!(found.iter().filter(|file| file.digest.is_some()).count(), 3);
    assert_eq!(found.iter().filter(|file| file.digest.is_none()).count(), 4);
    let listed = found.iter().find(|file| file.digest.as_ref() == Some(&image.digest)).unwrap();
    assert!(listed.is_file && listed.size == image.size);
    layout.read_document(&image).unwrap();
}

#[test]
fn case_d1_to_d3_d7_to_d9_d11_d15_d16_bad_descriptors_are_refused_and_others_still_resolve() {
    let hex = "a".repeat(64);
    let digest = |text: &str| format!(r#""mediaType":"a/b","size":2,"digest":"{text}""#);
    let size = |text: &str| format!(r#""mediaType":"a/b","digest":"sha256:{hex}","size":{text}"#);
    let kind = |text: &str| format!(r#""mediaType":"{text}","digest":"sha256:{hex}","size":1"#);
    for fields in [
        digest("sha256:../../x"),
        digest(&format!("sha256:{}", hex.to_uppercase())),
        digest(&format!("sha256:{}", &hex[1..])),
        digest(&format!("sha256:{hex}a")),
        digest(""),
        digest(":"),
        digest("sha256:"),
        digest("foo:a\\u0000b"),
        digest("foo:a/b"),
        digest("foo:%2e"),
        size("-1"),
        size("1e3"),
        size("\"12\""),
        size("18446744073709551616"),
        kind(""),
        kind("a/b\\r\\nX-Header: 1"),
        kind(&format!("a/{}", "x".repeat(10_000))),
        format!(r#"{},"annotations":{{"a":1}}"#, size("1")),
    ] {
        let error = entries(one(&fields)).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{fields}: {error}");
        assert!(error.to_string().contains("entry 0"), "{error}");
        let good = r#""annotations":{"org.opencontainers.image.ref.name":"good"}"#;
        let both = format!(r#"{{"schemaVersion":2,"manifests":[{{{fields}}},{{{},{good}}}]}}"#, size("1"));
        let (_folder, layout) = with_index(&both);
        assert_eq!(layout.resolve(Some("good")).unwrap().position, 1);
        layout.edit(|index| index.remove(&crate::support::short("good"))).unwrap();
        assert_eq!(crate::support::index(&layout), one(&fields), "what is not understood is kept");
    }
}

#[test]
fn case_d4_d6_unknown_algorithms_are_carried_but_never_read_as_documents() {
    let (folder, layout) = layout();
    for algorithm in ["md5", "foo+bar"] {
        let path = folder.path().join("blobs").join(algorithm);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("abc"), "{}").unwrap();
        let digest = format!("{algorithm}:abc").parse().unwrap();
        let odd = Descriptor::new(MediaType::OCI_MANIFEST, digest, 2);
        assert!(layout.has(&odd).unwrap());
        let mut content = String::new();
        layout.open_blob(&odd).unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "{}");
        assert_eq!(layout.read_document(&odd).unwrap_err().kind(), Kind::Unsupported);
        let long = Descriptor { size: 3, ..odd };
        assert_eq!(layout.open_blob(&long).unwrap_err().kind(), Kind::Invalid);
    }
}

#[test]
fn case_d5_sha512_is_verified() {
    let (_folder, layout) = layout();
    let digest = transship_spec::Digest::sha512(b"content");
    let blob = Descriptor::new(text(), digest, 7);
    let session = layout.begin().unwrap();
    let mut writer = session.writer(Some(&blob)).unwrap();
    writer.push(b"CONTENT").unwrap();
    writer.commit().unwrap_err();
    let mut writer = session.writer(Some(&blob)).unwrap();
    writer.push(b"content").unwrap();
    writer.commit().unwrap();
    session.commit(|index| index.add(&blob)).unwrap();
    assert!(layout.has(&blob).unwrap());
}

#[test]
fn case_d10_d12_d13_d19_sizes_and_embedded_data_that_lie_are_found_without_allocation() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    for size in [1 << 62, image.size + 1, image.size - 1] {
        let liar = Descriptor { size, ..image.clone() };
        assert_eq!(layout.open_blob(&liar).unwrap_err().kind(), Kind::Invalid);
        assert!(layout.read_document(&liar).is_err());
        assert!(!layout.has(&liar).unwrap());
        let session = layout.begin().unwrap();
        assert!(!session.reuse(&liar).unwrap());
    }
    let embedded = Descriptor { data: Some(b"{ }".to_vec()), ..image.clone() };
    assert_eq!(layout.read_document(&embedded).unwrap_err().kind(), Kind::Invalid);
    let empty = Descriptor { size: 3, ..Descriptor::empty() };
    assert_eq!(layout.open_blob(&empty).unwrap_err().kind(), Kind::Invalid);
}
