//! The ways in which tools mark what belongs to an image: all are read as one, and changed into one another (IMG-180).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use transship_layout::check::{self, Options};
use transship_layout::{Dialect, Error, GcOptions, Layout, Name, graph};
use transship_spec::{Digest, referrers};

const IMAGE: &str = "sha256:42a7f82b046f65ec6c934ad68eb7c9567e1ec853e5d6ebb3d2fda84ed4d8bce1";
const SBOM: &str = "sha256:7b1c272e4f53be5767362594b12828042e2031dc00b0938c3e3a2795c9d91b8a";

const DIALECTS: [Dialect; 4] = [Dialect::Untagged, Dialect::Fallback, Dialect::Cosign, Dialect::Hauler];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/layouts").join(name)
}

/// A copy of a layout in `testdata`, to be written to.
fn copy(name: &str, to: &Path) -> Layout {
    fn all(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let place = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => all(&entry.path(), &place),
                false => drop(fs::copy(entry.path(), place).unwrap()),
            }
        }
    }
    all(&folder(name), to);
    Layout::options().open(to).unwrap()
}

/// What belongs to the image: what refers to it, and what is under digest tags that speak of it.
fn belongings(layout: &Layout) -> (BTreeSet<String>, BTreeSet<(String, String)>) {
    let image = Digest::parse(IMAGE).unwrap();
    let found = graph::referrers_of(layout).unwrap();
    let referrers = found.of(&image).iter().map(|referrer| referrer.digest.to_string()).collect();
    let tagged = layout.entries().unwrap().into_iter().filter_map(|entry| {
        let (subject, end) = referrers::digest_tag(entry.tag()?)?;
        assert_eq!(subject, image);
        Some((end.to_owned(), entry.descriptor.digest.to_string()))
    });
    (referrers, tagged.collect())
}

/// The manifest of the signature in `layouts/cosign`.
fn signature() -> String {
    let layout = Layout::options().open_read_only(folder("zot")).unwrap();
    layout.resolve(Some("@2")).unwrap().descriptor.digest.to_string()
}

fn index(layout: &Layout) -> String {
    fs::read_to_string(layout.path().join("index.json")).unwrap()
}

#[test]
fn img_180_every_dialect_is_read_to_the_same_referrers_and_signatures() {
    let both = (BTreeSet::from([SBOM.to_owned()]), BTreeSet::from([("sig".to_owned(), signature())]));
    for name in ["zot", "cosign", "hauler", "singularity"] {
        let layout = Layout::options().open_read_only(folder(name)).unwrap();
        assert_eq!(belongings(&layout), both, "{name}");
        // What belongs to it does not stand in the way of what it is called, nor of what the layout is about.
        assert_eq!(layout.resolve(None).unwrap().descriptor.digest.to_string(), IMAGE, "{name}");
    }
    for name in ["oras", "regctl"] {
        let layout = Layout::options().open_read_only(folder(name)).unwrap();
        assert_eq!(belongings(&layout), (both.0.clone(), BTreeSet::new()), "{name}");
    }
    let hauler = Layout::options().open_read_only(folder("hauler")).unwrap();
    assert_eq!(
        hauler.resolve(Some("registry.example/team/app:v1")).unwrap().descriptor.digest.to_string(),
        IMAGE
    );
    let tag = referrers::fallback_tag(&Digest::parse(IMAGE).unwrap());
    let signed = hauler.resolve(Some(&format!("registry.example/team/app:{tag}.sig"))).unwrap();
    assert_eq!(signed.descriptor.digest.to_string(), signature());
}

#[test]
fn img_180_any_dialect_becomes_any_other_and_nothing_is_lost() {
    for from in ["zot", "cosign", "hauler", "singularity", "oras", "regctl"] {
        for first in DIALECTS {
            for second in DIALECTS {
                let place = tempfile::tempdir().unwrap();
                let layout = copy(from, &place.path().join("layout"));
                let before = belongings(&layout);
                for dialect in [first, second, first] {
                    let marked = layout.mark_referrers(dialect).unwrap();
                    let context = format!("{from}: {first}, {second}; {dialect}: {}", index(&layout));
                    assert_eq!(belongings(&layout), before, "{context}");
                    assert_eq!((marked.referrers, marked.digest_tags), (1, before.1.len()), "{context}");
                    // Doing it again changes nothing, and a plan knows it.
                    let text = index(&layout);
                    assert_eq!(layout.plan_marks(dialect).unwrap().changed, 0, "{context}");
                    assert_eq!(layout.mark_referrers(dialect).unwrap().changed, 0, "{context}");
                    assert_eq!(index(&layout), text, "{context}");
                }
            }
        }
    }
}

#[test]
fn img_180_check_and_gc_find_a_layout_whole_in_every_dialect() {
    for dialect in DIALECTS {
        let place = tempfile::tempdir().unwrap();
        let layout = copy("zot", &place.path().join("layout"));
        let before = belongings(&layout);
        // A list that is not used any more may go; nothing else may.
        layout.mark_referrers(Dialect::Fallback).unwrap();
        layout.mark_referrers(dialect).unwrap();
        let at_once = GcOptions { grace: std::time::Duration::ZERO, ..GcOptions::default() };
        let gone = layout.gc(&at_once).unwrap();
        assert_eq!((gone.entries.len(), gone.blobs.len()), (0, usize::from(dialect != Dialect::Fallback)));
        let mut findings = Vec::new();
        let report =
            check::directory(layout.path(), &Layout::options(), &Options::default(), &mut |finding| {
                findings.push(finding.clone());
            })
            .unwrap();
        assert_eq!((report.errors, report.warnings), (0, 0), "{dialect}: {findings:?}");
        assert_eq!((report.orphans, belongings(&layout)), (Some(0), before), "{dialect}");
    }
}

#[test]
fn img_180_what_belongs_to_an_image_goes_with_it_and_not_before() {
    for dialect in DIALECTS {
        let place = tempfile::tempdir().unwrap();
        let layout = copy("zot", &place.path().join("layout"));
        layout.mark_referrers(dialect).unwrap();
        let image = layout.resolve(Some("v1")).unwrap().descriptor;
        // Another name comes, the first one goes: what belongs to the image stays with it.
        layout.edit(|index| index.set(&Name::short("other")?, &image)).unwrap();
        layout.edit(|index| index.remove(&Name::short("v1")?)).unwrap();
        let at_once = GcOptions { grace: std::time::Duration::ZERO, ..GcOptions::default() };
        layout.gc(&at_once).unwrap();
        let (referrers, tags) = belongings(&layout);
        assert_eq!((referrers.len(), tags.len()), (1, 1), "{dialect}: {}", index(&layout));
        layout.edit(|index| index.remove(&Name::short("other")?)).unwrap();
        layout.gc(&at_once).unwrap();
        layout.gc(&at_once).unwrap();
        assert_eq!(layout.entries().unwrap().len(), 0, "{dialect}: {}", index(&layout));
    }
}

#[test]
fn img_180_what_a_dialect_cannot_say_is_refused_or_counted() {
    let place = tempfile::tempdir().unwrap();
    let layout = copy("singularity", &place.path().join("layout"));
    // hauler knows images by their names.
    let marked = layout.mark_referrers(Dialect::Hauler).unwrap();
    assert_eq!((marked.unsaid.len(), marked.changed), (2, 0), "{marked:?}");
    // cosign knows one image.
    let sbom = layout.resolve(Some(SBOM)).unwrap().descriptor;
    layout.edit(|index| index.set(&Name::short("second")?, &sbom)).unwrap();
    let before = index(&layout);
    let refused = layout.mark_referrers(Dialect::Cosign);
    assert!(matches!(refused, Err(Error::Dialect { .. })), "{refused:?}");
    assert_eq!(index(&layout), before);
}
