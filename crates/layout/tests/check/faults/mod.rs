//! Layouts with one fault each, and the codes that check must give for them: no more, no less.

mod content;
mod layers;
mod meaning;

use serde_json::{Value, json};

use crate::bench::{Bench, IMAGE, INDEX, NAME, Recipe, blob};

/// What is wrong, how it is made, and what is to be found.
pub(crate) type Case = (&'static str, Recipe, &'static [&'static str]);

const ZEROS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

pub(super) fn after(after: fn(&Bench)) -> Recipe {
    Recipe { after, ..Recipe::default() }
}

pub(super) fn index(index: fn(&Bench, &mut Value)) -> Recipe {
    Recipe { index, ..Recipe::default() }
}

pub(super) fn index_text(index_text: fn(String) -> String) -> Recipe {
    Recipe { index_text, ..Recipe::default() }
}

pub(super) fn entry(entry: fn(&Bench, &mut Value)) -> Recipe {
    Recipe { entry, ..Recipe::default() }
}

pub(super) fn manifest(manifest: fn(&Bench, &mut Value)) -> Recipe {
    Recipe { manifest, ..Recipe::default() }
}

pub(super) fn manifest_text(manifest_text: fn(String) -> String) -> Recipe {
    Recipe { manifest_text, ..Recipe::default() }
}

pub(super) fn config(config: fn(&Bench, &mut Value)) -> Recipe {
    Recipe { config, ..Recipe::default() }
}

pub(super) fn layer(layer: fn(&Bench, &mut Value)) -> Recipe {
    Recipe { layer, ..Recipe::default() }
}

pub(super) fn tarred(tar: fn() -> Vec<u8>) -> Recipe {
    Recipe { tar, ..Recipe::default() }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = folder();
    cases.extend(lists());
    cases.extend(content::blobs());
    cases.extend(content::descriptors());
    cases.extend(meaning::documents());
    cases.extend(meaning::configs());
    cases.extend(layers::layers());
    cases
}

/// Moves a file away and puts something else in its place.
pub(crate) fn instead(path: &std::path::Path, put: impl FnOnce(&std::path::Path)) {
    std::fs::remove_file(path).unwrap();
    put(path);
}

pub(super) fn fifo(path: &std::path::Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

pub(super) fn flip(path: &std::path::Path) {
    let mut content = std::fs::read(path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(path, content).unwrap();
}

fn folder() -> Vec<Case> {
    vec![
        ("L1 no marker", after(|b| std::fs::remove_file(b.path("oci-layout")).unwrap()), &["marker-missing"]),
        (
            "L2 another version",
            after(|b| b.write("oci-layout", r#"{"imageLayoutVersion":"9.9.9"}"#)),
            &["version-unknown"],
        ),
        ("L3 a marker that is not JSON", after(|b| b.write("oci-layout", "1.0.0!")), &["marker-malformed"]),
        ("IMG-02 a marker that is an array", after(|b| b.write("oci-layout", "[]")), &["marker-malformed"]),
        ("IMG-02 a marker without a version", after(|b| b.write("oci-layout", "{}")), &["marker-malformed"]),
        (
            "IMG-02 a version that is a number",
            after(|b| b.write("oci-layout", r#"{"imageLayoutVersion":1}"#)),
            &["marker-malformed"],
        ),
        ("a marker without end", after(|b| b.write("oci-layout", " ".repeat(70_000))), &["limit-exceeded"]),
        ("a marker that is a FIFO", after(|b| instead(&b.path("oci-layout"), fifo)), &["file-unsafe"]),
        (
            "L15 no blobs",
            after(|b| std::fs::remove_dir_all(b.path("blobs")).unwrap()),
            &["blob-missing", "blobs-missing"],
        ),
        (
            "IMG-06 another file in the root",
            after(|b| b.write("manifest.json", "[]")),
            &["root-file-unknown"],
        ),
        ("L20 a stray file", after(|b| b.write("blobs/sha256/.nfs0001", "")), &["stray-file"]),
        ("IMG-08 a file among the algorithms", after(|b| b.write("blobs/stray", "")), &["stray-file"]),
        ("IMG-08 a folder of no algorithm", after(|b| b.write("blobs/SHA 256/x", "")), &["stray-file"]),
        (
            "L24 two names that differ in case",
            after(|b| b.write("blobs/SHA256/x", "")),
            &["blob-name-clash", "stray-file"],
        ),
        (
            "L20 a blob in upper case",
            after(|b| b.write(&blob(&format!("sha256:{}", "AB".repeat(32))), "")),
            &["blob-name-case"],
        ),
        (
            "a download that can go on",
            after(|b| b.write(".transship/partial/sha256-00", "half")),
            &["partial-left"],
        ),
        ("a file of a writer", after(|b| b.write(".transship/tmp/0123-0", "half")), &["temporary-left"]),
        (
            "a blob in quarantine",
            after(|b| b.write(".transship/quarantine/sha256-00", "bad")),
            &["quarantined"],
        ),
    ]
}

fn lists() -> Vec<Case> {
    vec![
        (
            "IMG-05 no index",
            after(|b| std::fs::remove_file(b.path("index.json")).unwrap()),
            &["index-missing"],
        ),
        ("L12 an index that is a FIFO", after(|b| instead(&b.path("index.json"), fifo)), &["file-unsafe"]),
        (
            "L12 an index that leads out",
            after(|b| {
                instead(&b.path("index.json"), |path| {
                    std::os::unix::fs::symlink("/etc/hostname", path).unwrap();
                });
            }),
            &["file-unsafe"],
        ),
        ("L4 an empty index", index_text(|_| String::new()), &["index-malformed"]),
        ("L5 an index cut off", index_text(|text| text[..text.len() - 2].to_owned()), &["index-malformed"]),
        ("L6 text after the index", index_text(|text| text + " x"), &["index-malformed"]),
        ("L7 a byte order mark", index_text(|text| format!("\u{feff}{text}")), &["index-malformed"]),
        ("L8 an index that is an array", index_text(|_| "[]".to_owned()), &["index-malformed"]),
        (
            "L9 manifests that are null",
            index_text(|_| format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":null}}"#)),
            &["blob-orphan", "list-null"],
        ),
        (
            "L10 a name twice",
            index_text(|text| text.replace("\"size\":", "\"size\":1,\"size\":")),
            &["index-malformed"],
        ),
        (
            "L11 an index nested without end",
            index_text(|text| {
                text.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(100), "]".repeat(100)), 1)
            }),
            &["limit-exceeded"],
        ),
        (
            "L23 no schemaVersion",
            index(|_, index| drop(index.as_object_mut().unwrap().remove("schemaVersion"))),
            &["index-malformed"],
        ),
        (
            "L23 schemaVersion as a text",
            index(|_, index| index["schemaVersion"] = "2".into()),
            &["index-malformed"],
        ),
        ("M1 an index with layers", index(|_, index| index["layers"] = json!([])), &["index-malformed"]),
        (
            "IMG-75 an index of another type",
            index(|_, index| index["mediaType"] = IMAGE.into()),
            &["media-type-mismatch"],
        ),
        (
            "IMG-75 an index without a type",
            index(|_, index| drop(index.as_object_mut().unwrap().remove("mediaType"))),
            &["media-type-missing"],
        ),
        (
            "D9 a negative size",
            index(|_, index| index["manifests"][0]["size"] = (-1).into()),
            &["entry-malformed"],
        ),
        (
            "D11 a size as a text",
            index(|_, index| index["manifests"][0]["size"] = "12".into()),
            &["entry-malformed"],
        ),
        (
            "D1 a digest that leads out",
            index(|_, index| index["manifests"][0]["digest"] = "sha256:../../x".into()),
            &["entry-malformed"],
        ),
        (
            "D2 a digest in upper case",
            index(|_, index| index["manifests"][0]["digest"] = ZEROS.to_uppercase().into()),
            &["entry-malformed"],
        ),
        (
            "D15 an empty media type",
            index(|_, index| index["manifests"][0]["mediaType"] = "".into()),
            &["entry-malformed"],
        ),
        (
            "D16 an annotation that is a number",
            index(|_, index| index["manifests"][0]["annotations"]["x"] = 1.into()),
            &["entry-malformed"],
        ),
        (
            "IMG-170 a name outside the grammar",
            entry(|_, entry| entry["annotations"][NAME] = "v1__x".into()),
            &["name-grammar"],
        ),
        (
            "L14 a name with an escape",
            entry(|_, entry| entry["annotations"][NAME] = "v1\u{1b}[31m".into()),
            &["name-grammar"],
        ),
        (
            "L13 a name of two things",
            index(|b, index| {
                let mut other = b.put_artifact(&json!({}));
                other["annotations"] = json!({NAME: "v1"});
                index["manifests"].as_array_mut().unwrap().push(other);
            }),
            &["name-ambiguous"],
        ),
        (
            "IMG-16 an entry twice",
            index(|_, index| {
                let again = index["manifests"][0].clone();
                index["manifests"].as_array_mut().unwrap().push(again);
            }),
            &["entry-duplicate"],
        ),
        (
            "two names that differ in case",
            index(|_, index| {
                let mut again = index["manifests"][0].clone();
                again["annotations"][NAME] = "V1".into();
                index["manifests"].as_array_mut().unwrap().push(again);
            }),
            &["name-case"],
        ),
        (
            "IMG-13 a name in a nested index",
            entry(|b, entry| {
                *entry = b.put_index(std::slice::from_ref(entry));
                entry["annotations"] = json!({NAME: "v2"});
            }),
            &["name-nested", "platform-missing"],
        ),
    ]
}
