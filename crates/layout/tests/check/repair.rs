//! Repair: what is broken is put right from elsewhere, or moved out of the way, and nothing else changes.

use serde_json::json;
use transship_layout::check::{Options, RepairPlan, Repaired};
use transship_layout::{Layout, Source};
use transship_spec::{Digest, MediaType};

use crate::bench::{Bench, Recipe, blob, codes};

fn bench() -> Bench {
    Bench::new(&Recipe {
        index: |b, index| index["manifests"].as_array_mut().unwrap().push(b.put_artifact(&json!({}))),
        ..Recipe::default()
    })
}

fn open(bench: &Bench) -> Layout {
    Layout::options().open(bench.folder.path()).unwrap()
}

fn repair(bench: &Bench, from: Option<&dyn Source>, drop_entries: bool) -> (RepairPlan, Repaired) {
    let layout = open(bench);
    let (_, report) = bench.check(&Options::default());
    let plan = RepairPlan::new(&layout, &report, from, drop_entries).unwrap();
    let repaired = plan.run(&layout, from).unwrap();
    (plan, repaired)
}

#[test]
fn a_corrupt_blob_moves_to_quarantine_and_is_missing_from_then_on() {
    let bench = bench();
    let layer = bench.layer();
    std::fs::write(&layer, "corrupt").unwrap();
    let (plan, repaired) = repair(&bench, None, false);
    assert_eq!((plan.quarantine.len(), plan.lost.len(), repaired.quarantined.len()), (1, 1, 1));
    assert!(!layer.exists());
    let name = format!("sha256-{}", layer.file_name().unwrap().to_str().unwrap());
    assert_eq!(std::fs::read(bench.path(".transship/quarantine").join(name)).unwrap(), b"corrupt");
    assert_eq!(codes(&bench.check(&Options::default()).0), ["blob-missing", "quarantined"]);
}

#[test]
fn everything_that_is_missing_or_corrupt_comes_from_another_place() {
    let (broken, good) = (bench(), bench());
    let closure = good.check(&Options::default()).1.closure;
    std::fs::write(broken.layer(), "corrupt").unwrap();
    // Without its manifest nobody knows that the config is missing, too.
    let artifact = b"text/x-test";
    for path in broken.blobs() {
        let content = std::fs::read(&path).unwrap();
        if content.windows(artifact.len()).any(|window| window == artifact) || content == b"text" {
            std::fs::remove_file(path).unwrap();
        }
    }
    let from = open(&good);
    let (plan, repaired) = repair(&broken, Some(&from), false);
    assert!(plan.lost.is_empty(), "{plan}");
    assert_eq!((plan.refill.len(), repaired.refilled.len(), repaired.failed.len()), (3, 3, 0));
    let (found, report) = broken.check(&Options::default());
    assert_eq!(codes(&found), ["quarantined"]);
    assert_eq!(report.closure, closure);
    assert_eq!(repair(&broken, Some(&from), false).1.refilled, [], "a second time there is nothing to do");
}

#[test]
fn a_place_that_is_broken_too_gives_nothing_unverified() {
    let (broken, other) = (bench(), bench());
    std::fs::remove_file(broken.layer()).unwrap();
    std::fs::write(other.layer(), vec![b'x'; 2048]).unwrap();
    let from = open(&other);
    let (_, repaired) = repair(&broken, Some(&from), false);
    assert_eq!(repaired.refilled, []);
    assert_eq!(codes(&broken.check(&Options::default()).0), ["blob-missing"]);
}

#[test]
fn entries_that_point_nowhere_go_only_when_that_is_asked_for() {
    let bench = bench();
    std::fs::remove_file(bench.manifest()).unwrap();
    let before = std::fs::read(bench.path("index.json")).unwrap();
    let (plan, repaired) = repair(&bench, None, false);
    assert_eq!((plan.dangling.len(), plan.drop.len(), repaired.dropped.len()), (1, 0, 0));
    assert_eq!(std::fs::read(bench.path("index.json")).unwrap(), before);
    let (plan, repaired) = repair(&bench, None, true);
    assert_eq!((plan.drop.len(), repaired.dropped), (1, vec!["v1".to_owned()]));
    let (found, report) = bench.check(&Options::default());
    assert_eq!((codes(&found), report.errors), (vec!["blob-orphan"], 0));
}

#[test]
fn row_19_a_blob_that_a_writer_relies_on_is_left_to_that_writer() {
    let bench = bench();
    let layer = bench.layer();
    let digest = format!("sha256:{}", layer.file_name().unwrap().to_str().unwrap());
    let digest = Digest::parse(&digest).unwrap();
    std::fs::write(&layer, "corrupt").unwrap();
    let layout = open(&bench);
    let writer = layout.begin().unwrap();
    writer.lease(&digest).unwrap();
    let (_, repaired) = repair(&bench, None, false);
    assert_eq!((repaired.quarantined, repaired.leased), (vec![], vec![digest]));
    assert!(layer.exists());
}

#[test]
fn a_blob_that_was_put_right_since_the_check_stays() {
    let bench = bench();
    let layer = bench.layer();
    let content = std::fs::read(&layer).unwrap();
    std::fs::write(&layer, "corrupt").unwrap();
    let layout = open(&bench);
    let (_, report) = bench.check(&Options::default());
    let plan = RepairPlan::new(&layout, &report, None, false).unwrap();
    std::fs::write(&layer, &content).unwrap();
    assert_eq!(plan.run(&layout, None).unwrap().quarantined, []);
    assert_eq!(std::fs::read(&layer).unwrap(), content);
}

#[test]
fn a_plan_says_what_it_would_do_and_does_nothing() {
    let (broken, good) = (bench(), bench());
    std::fs::write(broken.layer(), "corrupt").unwrap();
    let orphan = Digest::sha256(b"an orphan");
    broken.write(&blob(&orphan.to_string()), "corrupt, too");
    let (_, report) = broken.check(&Options::default());
    let from = open(&good);
    let plan = RepairPlan::new(&open(&broken), &report, Some(&from), true).unwrap();
    let text = plan.to_string();
    for words in [&format!("quarantine {orphan}"), "fetch      sha256:", &format!("lost       {orphan}")] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(plan.bytes() > 1000 && plan.refill[0].media_type == MediaType::OCI_LAYER_TAR);
    assert!(!broken.path(".transship").exists());
}
