//! Writing: blobs, documents, names, and what is left behind.

use std::fs::File;
use std::io::{Read, Write};

use transship_layout::{Durability, Error, Layout};
use transship_spec::{Descriptor, Digest, Kind};

use crate::support::{blob, layout, manifest, put, short, text};

fn content(layout: &Layout, descriptor: &Descriptor) -> Vec<u8> {
    let mut content = Vec::new();
    layout.open_blob(descriptor).unwrap().read_to_end(&mut content).unwrap();
    content
}

#[test]
fn what_is_committed_is_read_back_and_nothing_else_is_left() {
    for durability in [Durability::Full, Durability::None] {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::options().durability(durability).create(folder.path()).unwrap();
        let session = layout.begin().unwrap();
        let pieces: Vec<_> =
            (0..20).map(|n| session.put_bytes(text(), format!("piece {n}").as_bytes()).unwrap()).collect();
        let image = manifest(&session, "image", None);
        session.commit(|index| index.set(&short("v1"), &image)).unwrap();
        for (n, piece) in pieces.iter().enumerate() {
            assert_eq!(content(&layout, piece), format!("piece {n}").as_bytes());
        }
        let document = layout.read_document(&layout.resolve(None).unwrap().descriptor).unwrap();
        assert_eq!(document.children().len(), 2);
        assert!(!folder.path().join(".transship").exists());
        assert_eq!(layout.blobs().unwrap().count(), 23);
    }
}

#[test]
fn a_session_that_is_dropped_lists_nothing_and_leaves_nothing() {
    let (folder, layout) = layout();
    let session = layout.begin().unwrap();
    session.put_bytes(text(), b"small").unwrap();
    let mut writer = session.writer(None).unwrap();
    writer.write_all(b"half").unwrap();
    drop(writer);
    drop(session);
    assert!(layout.entries().unwrap().is_empty());
    assert!(!folder.path().join(".transship").exists());
    assert_eq!(layout.blobs().unwrap().count(), 0);
}

#[test]
fn row_30_31_a_blob_of_wrong_size_or_digest_is_never_named() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let right = Descriptor::of(text(), b"0123456789");
    let mut long = session.writer(Some(&right)).unwrap();
    let error = long.write_all(b"0123456789!").unwrap_err();
    assert_eq!(Error::from_io(error, "writing", "x").kind(), Kind::Invalid);
    for wrong in [&b"012345678"[..], b"012345678X"] {
        let mut writer = session.writer(Some(&right)).unwrap();
        writer.push(wrong).unwrap();
        let error = writer.commit().unwrap_err();
        assert!(matches!(error, Error::Content { .. }), "{error}");
    }
    session.commit(|_| Ok(())).unwrap();
    assert_eq!(layout.blobs().unwrap().count(), 0);
}

#[test]
fn row_51_a_wrong_blob_under_the_right_name_is_found_and_healed() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    for wrong in ["", "x", &"y".repeat(usize::try_from(image.size).unwrap())] {
        let right = std::fs::read(blob(&layout, &image)).unwrap();
        std::fs::write(blob(&layout, &image), wrong).unwrap();
        let session = layout.begin().unwrap();
        assert!(!session.reuse(&image).unwrap());
        let mut writer = session.writer(Some(&image)).unwrap();
        writer.push(&right).unwrap();
        assert!(!writer.commit().unwrap().reused);
        session.commit(|_| Ok(())).unwrap();
        assert_eq!(content(&layout, &image), right);
    }
    let session = layout.begin().unwrap();
    assert!(session.reuse(&image).unwrap());
    assert!(!session.reuse(&Descriptor::of(text(), b"not there")).unwrap());
}

#[test]
fn blobs_that_vanish_before_the_commit_are_named() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    let before = crate::support::index(&layout);
    let session = layout.begin().unwrap();
    assert!(session.reuse(&image).unwrap());
    std::fs::remove_file(blob(&layout, &image)).unwrap();
    let error = session.commit(|index| index.set(&short("v2"), &image)).unwrap_err();
    assert!(matches!(&error, Error::Vanished { digests } if *digests == [image.digest.clone()]), "{error}");
    assert_eq!(crate::support::index(&layout), before);
}

#[test]
fn a_file_is_adopted_verified_and_stays_what_it_is() {
    let (_folder, layout) = layout();
    let data = vec![3; 2 << 20];
    let expected = Descriptor::of(text(), &data);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&data).unwrap();
    let session = layout.begin().unwrap();
    assert!(!session.adopt(&file, &expected).unwrap().reused);
    assert!(session.adopt(&file, &expected).unwrap().reused);
    let other = Descriptor::of(text(), b"other");
    assert!(matches!(session.adopt(&file, &other).unwrap_err(), Error::Content { .. }));
    session.commit(|_| Ok(())).unwrap();
    assert_eq!(content(&layout, &expected), data);
    assert_eq!(file.metadata().unwrap().len(), data.len() as u64);
}

#[test]
fn a_blob_is_adopted_from_another_layout_with_and_without_a_stamp() {
    let ((_one, source), (_two, target)) = (layout(), layout());
    let session = source.begin().unwrap();
    let large = session.put_bytes(text(), &vec![5; 2 << 20]).unwrap();
    session.commit(|_| Ok(())).unwrap();
    for reader in [source.clone(), Layout::options().open_read_only(source.path()).unwrap()] {
        let session = target.begin().unwrap();
        session.adopt_from(&reader, &large).unwrap();
        session.commit(|_| Ok(())).unwrap();
        assert_eq!(content(&target, &large), vec![5; 2 << 20]);
        std::fs::remove_file(blob(&target, &large)).unwrap();
    }
    std::fs::write(blob(&source, &large), vec![6; 2 << 20]).unwrap();
    let session = target.begin().unwrap();
    assert!(matches!(session.adopt_from(&source, &large).unwrap_err(), Error::Content { .. }));
}

#[test]
fn a_download_goes_on_where_it_ended() {
    let (folder, layout) = layout();
    let data: Vec<u8> = (0..100_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let expected = Descriptor::of(text(), &data);
    let session = layout.begin().unwrap();
    let mut partial = session.partial(&expected).unwrap().unwrap();
    partial.push(&data[..60_000]).unwrap();
    assert!(session.partial(&expected).unwrap().is_none(), "it is in hand");
    partial.keep();
    drop(session);
    assert!(folder.path().join(".transship/partial").exists());
    let session = layout.begin().unwrap();
    let mut partial = session.partial(&expected).unwrap().unwrap();
    assert_eq!(partial.held(), 60_000);
    partial.push(&data[60_000..]).unwrap();
    partial.commit().unwrap();
    session.commit(|_| Ok(())).unwrap();
    assert_eq!(content(&layout, &expected), data);
    assert!(!folder.path().join(".transship").exists());
}

#[test]
fn a_download_of_a_blob_that_came_in_another_way_is_removed_and_others_are_kept() {
    let (folder, layout) = layout();
    for content in [&b"came otherwise"[..], b"to go on with"] {
        let session = layout.begin().unwrap();
        let mut partial = session.partial(&Descriptor::of(text(), content)).unwrap().unwrap();
        partial.push(&content[..5]).unwrap();
        partial.keep();
    }
    let session = layout.begin().unwrap();
    session.put_bytes(text(), b"came otherwise").unwrap();
    session.commit(|_| Ok(())).unwrap();
    let kept = std::fs::read_dir(folder.path().join(".transship/partial")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(kept, [Digest::sha256(b"to go on with").to_string().replace(':', "-")]);
}

#[test]
fn a_download_with_wrong_bytes_is_removed_and_a_short_one_kept() {
    let (folder, layout) = layout();
    let expected = Descriptor::of(text(), b"0123456789");
    let file = folder.path().join(".transship/partial").join(format!("sha256-{}", expected.digest.encoded()));
    let session = layout.begin().unwrap();
    let mut short = session.partial(&expected).unwrap().unwrap();
    short.push(b"01234").unwrap();
    short.commit().unwrap_err();
    assert_eq!(std::fs::read(&file).unwrap(), b"01234");
    let mut wrong = session.partial(&expected).unwrap().unwrap();
    assert!(wrong.push(b"too many bytes").is_err());
    assert_eq!(wrong.held(), 5);
    wrong.push(b"xxxxx").unwrap();
    wrong.commit().unwrap_err();
    assert!(!file.exists());
    std::fs::write(&file, "much more than the whole blob").unwrap();
    let mut anew = session.partial(&expected).unwrap().unwrap();
    assert_eq!(anew.held(), 0);
    anew.push(b"0123456789").unwrap();
    anew.commit().unwrap();
    session.commit(|_| Ok(())).unwrap();
    assert!(layout.has(&expected).unwrap());
}

#[test]
fn a_layout_opened_for_reading_is_not_written() {
    let (folder, layout) = layout();
    put(&layout, "v1");
    let reader = Layout::options().open_read_only(folder.path()).unwrap();
    assert!(matches!(reader.begin().unwrap_err(), Error::ReadOnly { .. }));
    reader.resolve(Some("v1")).unwrap();
}

#[test]
fn stamps_spare_a_hash_and_never_vouch_for_a_changed_file() {
    let (folder, layout) = layout();
    let session = layout.begin().unwrap();
    let large = session.put_bytes(text(), &vec![1; 1 << 20]).unwrap();
    session.commit(|_| Ok(())).unwrap();
    let stamps = folder.path().join(".transship/verified");
    let line = std::fs::read_to_string(&stamps).unwrap();
    assert!(line.contains(&large.digest.to_string()), "{line}");
    std::fs::write(&stamps, format!("garbage\n\u{0}\n{line}sha256:torn 1 2")).unwrap();
    let again = Layout::options().open(folder.path()).unwrap();
    let session = again.begin().unwrap();
    assert!(session.reuse(&large).unwrap());
    drop(session);
    let mut changed = vec![1; 1 << 20];
    changed[5] = 2;
    std::fs::write(blob(&layout, &large), &changed).unwrap();
    let session = Layout::options().open(folder.path()).unwrap().begin().unwrap();
    assert!(!session.reuse(&large).unwrap());
}

#[test]
fn unknown_algorithms_are_written_and_checked_by_size() {
    let (_folder, layout) = layout();
    let digest: Digest = "foo+bar:abc".parse().unwrap();
    let odd = Descriptor::new(text(), digest, 3);
    let session = layout.begin().unwrap();
    let mut writer = session.writer(Some(&odd)).unwrap();
    writer.push(b"abc").unwrap();
    writer.commit().unwrap();
    session.commit(|index| index.add(&odd)).unwrap();
    assert!(layout.has(&odd).unwrap());
    let mut file = layout.open_file(&odd).unwrap();
    let mut text = String::new();
    File::read_to_string(&mut file, &mut text).unwrap();
    assert_eq!(text, "abc");
}

#[test]
fn dist_37_a_blob_whose_digest_is_learnt_last_is_checked_against_it() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let write = |content: &[u8]| {
        let mut writer = session.writer(None).unwrap();
        writer.push(content).unwrap();
        writer
    };
    for digest in [Digest::sha256(b"content"), Digest::sha512(b"content")] {
        let written = write(b"content").commit_as(&digest).unwrap();
        assert_eq!((&written.digest, written.size), (&digest, 7));
        let error = write(b"other").commit_as(&digest).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
    let unknown = Digest::parse("foo:abc").unwrap();
    assert_eq!(write(b"content").commit_as(&unknown).unwrap_err().kind(), Kind::Unsupported);

    let expected = Descriptor::of(text(), b"content");
    let mut writer = session.writer(Some(&expected)).unwrap();
    writer.push(b"content").unwrap();
    assert_eq!(writer.commit_as(&Digest::sha256(b"other")).unwrap_err().kind(), Kind::Invalid);
    session.flush().unwrap();
    assert_eq!(layout.blobs().unwrap().count(), 2);
}

#[test]
fn row_65_a_layout_is_opened_anew_where_another_one_took_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let old = Layout::options().create(&path).unwrap();
    put(&old, "old");
    std::fs::rename(&path, folder.path().join("moved")).unwrap();
    put(&Layout::options().create(&path).unwrap(), "new");
    assert!(old.resolve(Some("old")).is_ok());
    assert!(old.reopen().unwrap().resolve(Some("new")).is_ok());
}

#[test]
fn layouts_sessions_and_what_they_give_may_go_to_other_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Layout>();
    check::<transship_layout::Session>();
    check::<transship_layout::BlobWriter>();
    check::<transship_layout::BlobReader>();
    check::<transship_layout::Partial>();
    check::<transship_layout::NewLayout>();
    check::<Error>();
}

#[test]
fn one_session_takes_blobs_from_many_threads() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let session = &session;
            scope.spawn(move || {
                for n in 0..50 {
                    // Half of them are the same for all threads.
                    let content = if n % 2 == 0 { format!("{n}") } else { format!("{thread} {n}") };
                    session.put_bytes(text(), content.as_bytes()).unwrap();
                    if n % 10 == 0 {
                        session.flush().unwrap();
                    }
                }
            });
        }
    });
    session.commit(|_| Ok(())).unwrap();
    assert_eq!(layout.blobs().unwrap().count(), 25 + 4 * 25);
}

#[test]
fn a_blob_that_cannot_be_named_takes_no_other_with_it_and_is_never_relied_on() {
    let (folder, layout) = layout();
    let session = layout.begin().unwrap();
    let blobs = ["first", "stuck", "last"].map(|name| session.put_bytes(text(), name.as_bytes()).unwrap());
    std::fs::create_dir(folder.path().join("blobs/sha256").join(&*blobs[1].digest.encoded())).unwrap();
    // They wait together to be made durable, and one cannot take its place.
    assert!(matches!(session.flush().unwrap_err(), Error::Unsafe { .. }));
    for described in [&blobs[0], &blobs[2]] {
        assert!(layout.has(described).unwrap());
    }
    // Whoever wrote it was told that it was written, and so nothing may be listed now.
    let Error::Vanished { digests } = session.commit(|index| index.set(&short("v1"), &blobs[1])).unwrap_err()
    else {
        panic!("not vanished")
    };
    assert_eq!(digests, [blobs[1].digest.clone()]);
    assert!(layout.entries().unwrap().is_empty());
}

#[test]
fn a_writer_that_outlives_its_session_cannot_commit_and_leaves_nothing() {
    let (folder, layout) = layout();
    let session = layout.begin().unwrap();
    let mut writer = session.writer(None).unwrap();
    writer.push(b"late").unwrap();
    session.commit(|_| Ok(())).unwrap();
    assert!(matches!(writer.commit().unwrap_err(), Error::Ended));
    drop(layout.begin().unwrap());
    assert_eq!(layout.blobs().unwrap().count(), 0);
    assert!(!folder.path().join(".transship").exists());
}
