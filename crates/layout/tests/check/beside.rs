//! Checks beside writers: what they do by right is no error, and what is wrong still is.

use std::time::Duration;

use transship_layout::check::{self, Code, Options, Report};
use transship_layout::{GcOptions, Layout, Name, Session};
use transship_spec::{Descriptor, Manifest, MediaType};

fn name(text: &str) -> Name {
    Name::short(text).unwrap()
}

fn image(session: &Session, salt: &str) -> (Descriptor, Descriptor) {
    let config = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
    let layer = session.put_bytes(MediaType::parse("text/plain").unwrap(), salt.as_bytes()).unwrap();
    let artifact_type = Some(MediaType::parse("application/x.test").unwrap());
    let manifest = Manifest { artifact_type, ..Manifest::new(config, vec![layer.clone()]) };
    (session.put_document(&manifest.to_document().unwrap()).unwrap(), layer)
}

/// A layout with two images, `kept` and `gone`, and the layer of the second.
fn layout() -> (tempfile::TempDir, Layout, Descriptor, Descriptor) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::options().create(folder.path()).unwrap();
    let session = layout.begin().unwrap();
    let (kept, (gone, layer)) = (image(&session, "kept").0, image(&session, "gone"));
    session
        .commit(|index| {
            index.set(&name("kept"), &kept)?;
            // Two names that differ in case are the first finding.
            index.set(&name("Gone"), &gone)?;
            index.set(&name("gone"), &gone)
        })
        .unwrap();
    (folder, layout, gone, layer)
}

/// What is found when somebody acts at the first finding, after the index was read.
fn check_and(layout: &Layout, act: impl Fn()) -> (Vec<Code>, Report) {
    let mut codes = Vec::new();
    let options = Options::default();
    let report = check::directory(layout.path(), &Layout::options(), &options, &mut |finding| {
        if codes.is_empty() {
            act();
        }
        codes.push(finding.code);
    });
    (codes, report.unwrap())
}

fn untag(layout: &Layout) {
    let both = |index: &mut transship_layout::IndexEdit<'_>| {
        index.remove(&name("Gone"))?;
        index.remove(&name("gone"))
    };
    layout.edit(both).unwrap();
}

fn collect(layout: &Layout) {
    let done = layout.gc(&GcOptions { grace: Duration::ZERO, ..GcOptions::default() }).unwrap();
    assert!(!done.is_empty());
}

#[test]
fn row_20_what_is_collected_while_a_check_is_on_its_way_is_a_note() {
    let (_folder, layout, ..) = layout();
    let (codes, report) = check_and(&layout, || {
        untag(&layout);
        collect(&layout);
    });
    assert_eq!(codes, [Code::NameCase, Code::BlobGone]);
    assert_eq!((report.errors, report.closure), (0, None));
    assert!(report.missing.is_empty(), "a repair has nothing to fetch");
    let (codes, report) = check_and(&layout, || {});
    assert!(codes.is_empty() && report.closure.is_some());
}

#[test]
fn row_20_what_is_still_named_is_missed_whatever_else_has_changed() {
    let (_folder, layout, gone, layer) = layout();
    let remove = || {
        let encoded = layer.digest.encoded();
        std::fs::remove_file(layout.path().join(format!("blobs/sha256/{encoded}"))).unwrap();
    };
    let (codes, report) = check_and(&layout, || {
        untag(&layout);
        layout.edit(|index| index.set(&name("again"), &gone)).unwrap();
        remove();
    });
    assert_eq!((codes.as_slice(), report.errors), (&[Code::NameCase, Code::BlobMissing][..], 1));
    assert_eq!(report.missing, [layer]);
}

#[test]
fn row_20_what_went_and_came_again_is_not_missed() {
    let (_folder, layout, gone, _) = layout();
    let (codes, report) = check_and(&layout, || {
        untag(&layout);
        collect(&layout);
        let session = layout.begin().unwrap();
        assert_eq!(image(&session, "gone").0, gone);
        session.commit(|index| index.set(&name("again"), &gone)).unwrap();
    });
    assert_eq!((codes.as_slice(), report.errors), (&[Code::NameCase][..], 0));
}

#[test]
fn row_20_temporary_files_of_a_living_writer_are_no_findings() {
    let (_folder, layout, ..) = layout();
    let session = layout.begin().unwrap();
    let mut writer = session.writer(None).unwrap();
    writer.push(b"half").unwrap();
    let dead = layout.path().join(".transship/tmp/0123456789abcdef-0");
    std::fs::write(dead, "half").unwrap();
    let (codes, _) = check_and(&layout, || {});
    assert_eq!(codes, [Code::TemporaryLeft, Code::NameCase]);
    drop((writer, session));

    // What is not named after a lease belongs to whoever holds the lock.
    let index = layout.path().join(".transship/tmp/index-0123456789abcdef");
    layout
        .edit(|_| {
            std::fs::write(&index, "half").unwrap();
            assert_eq!(check_and(&layout, || {}).0, [Code::NameCase]);
            Ok(())
        })
        .unwrap();
    assert_eq!(check_and(&layout, || {}).0, [Code::TemporaryLeft, Code::NameCase]);
}
