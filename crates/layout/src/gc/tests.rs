//! Writers that come at the worst moment: each test stops a collection at a step, and does something there.

use transship_spec::{Descriptor, Manifest, MediaType};

use super::*;
use crate::{Name, Session, check};

const AT_ONCE: GcOptions =
    GcOptions { untagged: false, sparse: false, grace: Duration::ZERO, partials: Duration::from_secs(3600) };

fn layout() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::options().create(folder.path()).unwrap();
    (folder, layout)
}

fn text() -> MediaType {
    MediaType::parse("text/plain").unwrap()
}

fn image(session: &Session, salt: &str) -> (Descriptor, Descriptor) {
    let config = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
    let layer = session.put_bytes(text(), salt.as_bytes()).unwrap();
    let manifest = Manifest::new(config, vec![layer.clone()]).to_document().unwrap();
    (session.put_document(&manifest).unwrap(), layer)
}

/// A layout with an image that nothing lists.
fn with_garbage() -> (tempfile::TempDir, Layout, Descriptor, Descriptor) {
    let (folder, layout) = layout();
    let session = layout.begin().unwrap();
    let (manifest, layer) = image(&session, "garbage");
    session.commit(|_| Ok(())).unwrap();
    (folder, layout, manifest, layer)
}

/// Collects, and does something at the first time that this step is reached.
fn collect_and(layout: &Layout, options: &GcOptions, when: Step, act: impl FnOnce()) -> GcPlan {
    let mut act = Some(act);
    let done = layout.gc_watched(options, &mut |step| {
        if step == when
            && let Some(act) = act.take()
        {
            act();
        }
        Ok(())
    });
    assert!(act.is_none(), "{when:?} was not reached");
    done.unwrap()
}

fn name(text: &str) -> Name {
    Name::short(text).unwrap()
}

#[test]
fn row_19_a_blob_that_a_writer_finds_just_before_it_would_go_stays() {
    for when in [Step::Planned, Step::IndexSaved] {
        let (_folder, layout, manifest, layer) = with_garbage();
        let session = layout.begin().unwrap();
        let done = collect_and(&layout, &AT_ONCE, when, || assert!(session.reuse(&layer).unwrap()));
        assert_eq!((done.leased.count, done.blobs.len()), (1, 2), "{when:?}");
        session.commit(|index| index.set(&name("layer"), &layer)).unwrap();
        assert!(layout.has(&layer).unwrap() && !layout.has(&manifest).unwrap());
    }
}

#[test]
fn row_19_a_blob_that_is_aside_is_not_found_and_written_again() {
    for when in [Step::DocumentsAside, Step::BlobsAside] {
        let (_folder, layout, manifest, layer) = with_garbage();
        let session = layout.begin().unwrap();
        collect_and(&layout, &AT_ONCE, when, || {
            let wanted = if when == Step::DocumentsAside { &manifest } else { &layer };
            assert!(!session.reuse(wanted).unwrap());
            image(&session, "garbage");
            session.flush().unwrap();
        });
        session.commit(|index| index.set(&name("v1"), &manifest)).unwrap();
        assert!(layout.has(&manifest).unwrap() && layout.has(&layer).unwrap());
        let done = layout.gc(&AT_ONCE).unwrap();
        assert!(done.is_empty(), "{done:?}");
    }
}

#[test]
fn row_19_a_manifest_that_a_writer_finds_keeps_what_it_needs() {
    let (_folder, layout, manifest, layer) = with_garbage();
    let session = layout.begin().unwrap();
    let done =
        collect_and(&layout, &AT_ONCE, Step::IndexSaved, || assert!(session.reuse(&manifest).unwrap()));
    assert_eq!((done.leased.count, done.blobs.len()), (3, 0));
    session.commit(|index| index.set(&name("v1"), &manifest)).unwrap();
    assert!(layout.has(&layer).unwrap());
}

#[test]
fn row_19_what_is_resolved_to_be_tagged_stays_though_its_entry_goes() {
    let (_folder, layout, manifest, layer) = with_garbage();
    layout.edit(|index| index.pin(&manifest)).unwrap();
    let session = layout.begin().unwrap();
    let untagged = GcOptions { untagged: true, ..AT_ONCE };
    let done = collect_and(&layout, &untagged, Step::Planned, || {
        assert_eq!(session.resolve(None).unwrap().descriptor.digest, manifest.digest);
    });
    assert_eq!((done.entries.len(), done.blobs.len()), (1, 0));
    session.commit(|index| index.set(&name("v1"), &manifest)).unwrap();
    assert!(layout.has(&manifest).unwrap() && layout.has(&layer).unwrap());
}

#[test]
fn row_23_a_tool_without_a_lock_that_lists_garbage_meanwhile_is_seen() {
    for when in [Step::IndexSaved, Step::DocumentsAside] {
        let (folder, layout, manifest, layer) = with_garbage();
        let index =
            format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, serde_json::to_string(&manifest).unwrap());
        let done = collect_and(&layout, &AT_ONCE, when, || {
            std::fs::write(folder.path().join("index.json"), &index).unwrap();
        });
        assert_eq!((done.reachable.count, done.blobs.len()), (3, 0), "{when:?}");
        assert!(layout.has(&manifest).unwrap() && layout.has(&layer).unwrap());
        assert!(!folder.path().join(".transship").exists());
    }
}

#[test]
fn row_19_a_writer_that_commits_meanwhile_waits_and_loses_nothing() {
    let (_folder, layout, manifest, _) = with_garbage();
    std::thread::scope(|scope| {
        let writer = layout.clone();
        let (written, is_written) = std::sync::mpsc::channel();
        collect_and(&layout, &AT_ONCE, Step::Planned, || {
            scope.spawn(move || {
                let session = writer.begin().unwrap();
                let (again, _) = image(&session, "garbage");
                session.flush().unwrap();
                written.send(()).unwrap();
                session.commit(|index| index.set(&name("v1"), &again)).unwrap();
            });
            is_written.recv().unwrap();
        });
    });
    assert_eq!(layout.resolve(Some("v1")).unwrap().descriptor.digest, manifest.digest);
    assert_eq!(layout.plan_gc(&AT_ONCE).unwrap().reachable.count, 3);
}

#[test]
fn row_5_19_an_error_of_the_disk_at_any_step_loses_nothing_and_the_next_collection_completes() {
    let untagged = GcOptions { untagged: true, ..AT_ONCE };
    for nth in 0.. {
        let (folder, layout, manifest, layer) = with_garbage();
        layout.edit(|index| index.pin(&manifest)).unwrap();
        let session = layout.begin().unwrap();
        let (kept, _) = image(&session, "kept");
        session.commit(|index| index.set(&name("kept"), &kept)).unwrap();
        let mut steps = 0;
        let collected = layout.gc_watched(&untagged, &mut |_| {
            steps += 1;
            if steps > nth { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
        });
        let is_done = collected.is_ok();
        if let Err(error) = collected {
            assert_eq!(error.kind(), transship_spec::Kind::Storage, "{error}");
            assert!(error.to_string().contains("Input/output error"), "{error}");
        }
        let options = check::Options::default();
        let report = check::directory(folder.path(), &Layout::options(), &options, &mut |_| {}).unwrap();
        // There is one only if everything that is named is there and right.
        assert!(report.closure.is_some(), "step {nth}");
        layout.gc(&untagged).unwrap();
        assert!(
            layout.has(&kept).unwrap() && !layout.has(&manifest).unwrap() && !layout.has(&layer).unwrap()
        );
        assert!(!folder.path().join(".transship").exists(), "step {nth}");
        if is_done {
            assert_eq!(nth, 8, "each of the steps has failed once");
            break;
        }
    }
}

#[test]
fn what_a_crash_left_aside_is_swept() {
    let (folder, layout, _, layer) = with_garbage();
    let tmp = folder.path().join(".transship/tmp");
    std::fs::create_dir_all(&tmp).unwrap();
    let encoded = layer.digest.encoded();
    std::fs::rename(
        folder.path().join(format!("blobs/sha256/{encoded}")),
        tmp.join(format!("gc-sha256-{encoded}")),
    )
    .unwrap();
    assert_eq!(layout.plan_gc(&AT_ONCE).unwrap().temporaries.count, 1);
    let done = layout.gc(&AT_ONCE).unwrap();
    assert_eq!((done.temporaries.count, done.temporaries.bytes, done.blobs.len()), (1, 7, 2));
    assert!(!folder.path().join(".transship").exists());
}

#[test]
fn a_time_from_the_future_is_young_and_no_grace_knows_none() {
    let second = 1_000_000_000;
    let hour = Duration::from_secs(3600);
    assert!(inventory::is_older(0, 3600 * second, hour));
    assert!(!inventory::is_older(1, 3600 * second, hour));
    assert!(!inventory::is_older(5 * second, 0, hour));
    assert!(inventory::is_older(5 * second, 0, Duration::ZERO));
}
