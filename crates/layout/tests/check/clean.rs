//! Layouts that are right give no errors; what is told of them does not depend on what does not matter.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use serde_json::{Value, json};
use transship_layout::check::{self, Options, Report};
use transship_layout::{Entry, Error, Layout, Name, Source};
use transship_spec::{Descriptor, Digest, Kind, MediaType};

use crate::bench::{Bench, GZIP, IMAGE, INDEX, NAME, Recipe, blob, check as checked, codes, gzip};

fn report(bench: &Bench) -> Report {
    let (found, report) = bench.check(&Options::default());
    assert_eq!(codes(&found), [""; 0]);
    report
}

fn compressed() -> Recipe {
    Recipe {
        stored: |tar| gzip(&tar),
        layer: |_, layer| layer["mediaType"] = GZIP.into(),
        ..Recipe::default()
    }
}

/// An image, an index that lists it, and an artifact that refers to it.
fn rich() -> Bench {
    Bench::new(&Recipe {
        index: |b, index| {
            let mut image = index["manifests"][0].clone();
            image.as_object_mut().unwrap().remove("annotations");
            let subject = image.clone();
            image["platform"] = json!({"os": "linux", "architecture": "amd64"});
            let listed = &mut index["manifests"].as_array_mut().unwrap();
            listed.push(b.put_index(&[image]));
            listed.push(b.put_artifact(&json!({"subject": subject})));
        },
        ..compressed()
    })
}

#[test]
fn layouts_that_are_right_give_no_findings() {
    for bench in [Bench::new(&Recipe::default()), Bench::new(&compressed()), rich()] {
        let report = report(&bench);
        assert_eq!((report.errors, report.warnings, report.notes), (0, 0, 0));
        assert_eq!(report.blobs as usize, bench.blobs().len());
        assert_eq!(report.orphans, Some(0));
        assert!(report.closure.is_some() && report.missing.is_empty() && report.corrupt.is_empty());
    }
}

#[test]
fn the_layouts_of_skopeo_and_other_tools_give_no_errors() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/layouts");
    let mut seen = 0;
    for entry in std::fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        let (found, report) = checked(&path, &Options::default());
        assert_eq!(report.errors, 0, "{}: {found:?}", path.display());
        assert!(report.closure.is_some(), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

/// The lines of all that a document leads to, by the words of the definition and nothing of this library.
fn lines_of(bench: &Bench, document: &Value, lines: &mut std::collections::BTreeSet<String>) {
    let listed = ["manifests", "layers", "blobs"].iter().filter_map(|name| document[name].as_array());
    for descriptor in listed.flatten().chain(document.get("config")) {
        let text = |name: &str| descriptor[name].as_str().unwrap();
        let size = descriptor["size"].as_u64().unwrap();
        lines.insert(format!("{} {size} {}\n", text("digest"), text("mediaType")));
        if [INDEX, IMAGE].contains(&text("mediaType")) {
            let content = std::fs::read(bench.path(&blob(text("digest")))).unwrap();
            lines_of(bench, &serde_json::from_slice(&content).unwrap(), lines);
        }
    }
}

/// Counts what it is told.
#[derive(Debug, Default)]
struct Listener {
    blobs: AtomicU64,
    bytes: AtomicU64,
    read: AtomicU64,
    ends: AtomicU64,
}

impl check::Progress for Listener {
    fn started(&self, blobs: usize, bytes: u64) {
        self.blobs.store(blobs as u64, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    fn advanced(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    fn finished(&self) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn whoever_asks_is_told_of_every_byte_of_every_blob() {
    let bench = Bench::new(&Recipe::default());
    let listener = std::sync::Arc::new(Listener::default());
    let mut options = Options::default();
    options.progress = Some(listener.clone());
    let (found, _) = bench.check(&options);
    assert_eq!(codes(&found), [""; 0]);
    let layer = bench.layer().metadata().unwrap().len();
    let told = [&listener.blobs, &listener.bytes, &listener.read, &listener.ends];
    assert_eq!(told.map(|told| told.load(Ordering::Relaxed)), [1, layer, layer, 1]);
}

#[test]
fn the_closure_digest_is_the_hash_of_what_is_reachable_and_of_nothing_else() {
    let bench = rich();
    let whole = report(&bench);
    let mut lines = std::collections::BTreeSet::new();
    let index = std::fs::read(bench.path("index.json")).unwrap();
    lines_of(&bench, &serde_json::from_slice(&index).unwrap(), &mut lines);
    assert_eq!(lines.len(), bench.blobs().len());
    let text: String = lines.into_iter().collect();
    assert_eq!(whole.closure, Some(Digest::sha256(text.as_bytes())));

    // Names, order, spelling and orphans make no difference.
    let mut index: Value = serde_json::from_slice(&std::fs::read(bench.path("index.json")).unwrap()).unwrap();
    index["manifests"].as_array_mut().unwrap().reverse();
    index["manifests"][2]["annotations"] = json!({NAME: "registry.example/app:v2"});
    bench.write("index.json", serde_json::to_string_pretty(&index).unwrap());
    bench.put("text/plain", "an orphan");
    assert_eq!(bench.check(&Options::default()).1.closure, whole.closure);

    // Content does.
    let other = bench.put_artifact(&json!({"annotations": {"a": "b"}}));
    index["manifests"].as_array_mut().unwrap().push(other);
    bench.write("index.json", index.to_string());
    assert_ne!(report_any(&bench).closure, whole.closure);
    std::fs::remove_file(bench.manifest()).unwrap();
    assert_eq!(report_any(&bench).closure, None);
}

fn report_any(bench: &Bench) -> Report {
    bench.check(&Options::default()).1
}

#[test]
fn findings_come_in_one_order_whatever_the_threads() {
    let bench = rich();
    for number in 0..50 {
        bench.put("text/plain", format!("orphan {number}"));
        bench.write(&format!("blobs/sha256/stray-{number}"), "");
        bench.write(&crate::bench::blob(&Digest::sha256(&[number]).to_string()), "corrupt");
    }
    let mut options = Options::default();
    options.threads = 1;
    let (one, _) = bench.check(&options);
    assert!(one.len() >= 150, "{}", one.len());
    for threads in [2, 8, 0] {
        options.threads = threads;
        assert_eq!(bench.check(&options).0, one, "{threads}");
    }
}

#[test]
fn what_the_library_writes_is_clean_and_stamps_spare_it_a_second_hash() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::options().create(folder.path()).unwrap();
    let session = layout.begin().unwrap();
    let big = session.put_bytes(MediaType::OCTET_STREAM, &vec![7; 3 << 20]).unwrap();
    let config = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
    let mut manifest = transship_spec::Manifest::new(config, vec![big.clone()]);
    manifest.artifact_type = Some(MediaType::parse("text/x-test").unwrap());
    let manifest = session.put_document(&manifest.to_document().unwrap()).unwrap();
    session.commit(|index| index.set(&Name::short("v1").unwrap(), &manifest)).unwrap();

    let mut options = Options::default();
    let (found, report) = checked(folder.path(), &options);
    assert_eq!((found, report.trusted), (Vec::new(), 0));
    options.trust_stamps = true;
    assert!(checked(folder.path(), &options).1.trusted > 0);
    let blob = folder.path().join(crate::bench::blob(&big.digest.to_string()));
    std::fs::write(blob, vec![8; 3 << 20]).unwrap();
    assert_eq!(codes(&checked(folder.path(), &options).0), ["blob-corrupt"], "what was changed is read");
}

/// A source that is no folder, counts what is opened, and lies if it is asked to.
struct Counted {
    layout: Layout,
    opened: AtomicU64,
}

impl Source for Counted {
    fn entries(&self) -> transship_layout::Result<Vec<Entry>> {
        self.layout.entries()
    }

    fn open(&self, descriptor: &Descriptor) -> transship_layout::Result<Box<dyn std::io::Read + Send>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Source::open(&self.layout, descriptor)
    }

    fn size(&self, digest: &Digest) -> transship_layout::Result<Option<u64>> {
        Source::size(&self.layout, digest)
    }
}

#[test]
fn any_source_can_be_checked_and_each_blob_is_opened_once() {
    let bench = rich();
    bench.put("text/plain", "an orphan, which only a folder shows");
    let layout = Layout::options().open_read_only(bench.folder.path()).unwrap();
    let source = Counted { layout, opened: AtomicU64::new(0) };
    let mut found = Vec::new();
    let report =
        check::content(&source, &Options::default(), &mut |finding| found.push(finding.code)).unwrap();
    assert_eq!(found, []);
    assert_eq!((report.orphans, report.blobs), (None, bench.blobs().len() as u64 - 1));
    assert_eq!(source.opened.into_inner(), report.blobs);
    assert_eq!(report.closure, report_any(&bench).closure);
}

/// A source whose blobs cannot be opened, but for documents and configs.
struct Failing {
    layout: Layout,
    error: fn() -> Error,
}

impl Source for Failing {
    fn entries(&self) -> transship_layout::Result<Vec<Entry>> {
        self.layout.entries()
    }

    fn open(&self, descriptor: &Descriptor) -> transship_layout::Result<Box<dyn std::io::Read + Send>> {
        match descriptor.media_type == MediaType::OCTET_STREAM {
            true => Err((self.error)()),
            false => Source::open(&self.layout, descriptor),
        }
    }

    fn size(&self, digest: &Digest) -> transship_layout::Result<Option<u64>> {
        Source::size(&self.layout, digest)
    }
}

#[test]
fn a_disk_that_fails_is_a_finding_and_a_network_that_fails_ends_the_check() {
    let bench = Bench::new(&Recipe::default());
    let layout = Layout::options().open_read_only(bench.folder.path()).unwrap();
    let storage =
        || Error::Storage { doing: "reading", path: "blob".into(), source: std::io::Error::other("broken") };
    let network = || Error::Foreign { kind: Kind::Network, source: "no route".into() };
    let run = |error: fn() -> Error| {
        let mut found = Vec::new();
        let source = Failing { layout: layout.clone(), error };
        let report = check::content(&source, &Options::default(), &mut |finding| found.push(finding.code));
        (found, report.map_err(|error| error.kind()))
    };
    let (found, report) = run(storage);
    assert_eq!(found, [check::Code::BlobUnreadable]);
    assert_eq!(report.unwrap().closure, None);
    assert_eq!(run(network).1.unwrap_err(), Kind::Network);
}

#[test]
fn case_m7_a_doubling_graph_and_many_entries_take_linear_time() {
    let bench = Bench::new(&Recipe {
        entry: |b, entry| {
            entry.as_object_mut().unwrap().remove("annotations");
            for number in 0..24 {
                let mut twin = entry.clone();
                twin["annotations"] = json!({"test.twin": number.to_string()});
                *entry = b.put_index(&[entry.clone(), twin]);
            }
        },
        index: |_, index| {
            let entry = index["manifests"][0].clone();
            let named = |number| {
                let mut entry = entry.clone();
                entry["annotations"] = json!({NAME: format!("v{number}")});
                entry
            };
            *index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": (0..20_000).map(named).collect::<Vec<_>>()});
        },
        ..Recipe::default()
    });
    let (found, report) = bench.check(&Options::default());
    assert_eq!(codes(&found), ["index-nested", "platform-missing"]);
    assert_eq!(report.blobs as usize, bench.blobs().len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_in_any_blob_is_found(which: prop::sample::Index, byte: prop::sample::Index, bit in 0..8_u32) {
        let bench = rich();
        let blobs = bench.blobs();
        let path = which.get(&blobs);
        let mut content = std::fs::read(path).unwrap();
        let at = byte.index(content.len());
        content[at] ^= 1 << bit;
        std::fs::write(path, content).unwrap();
        let (found, report) = bench.check(&Options::default());
        prop_assert_eq!(codes(&found), ["blob-corrupt"]);
        prop_assert!(path.ends_with(&*report.corrupt[0].digest.encoded()));
        prop_assert_eq!(report.closure, None);
    }

    #[test]
    fn no_index_and_no_manifest_makes_check_fail(text in "[{}\\[\\]\":,a-z0-9]{0,64}", cut: prop::sample::Index) {
        let bench = rich();
        let index = std::fs::read(bench.path("index.json")).unwrap();
        let mut broken = index[..cut.index(index.len())].to_vec();
        broken.extend(text.as_bytes());
        bench.write("index.json", broken);
        bench.check(&Options::default());
    }
}
