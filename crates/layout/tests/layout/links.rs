//! Links and things that are no files (design law 7).

use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use transship_layout::{Error, Layout, Links};
use transship_spec::{Descriptor, Kind};

use crate::support::{blob, layout, put, short, text};

fn with(path: &Path, links: Links) -> transship_layout::Result<Layout> {
    Layout::options().links(links).open(path)
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
}

#[test]
fn case_l18_a_link_within_is_read_one_that_leads_out_only_on_request() {
    let (folder, layout) = layout();
    let image = put(&layout, "v1");
    let path = blob(&layout, &image);
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("blob");
    std::fs::copy(&path, &outside).unwrap();
    std::fs::rename(&path, folder.path().join("moved")).unwrap();

    symlink("../../moved", &path).unwrap();
    with(folder.path(), Links::Inside).unwrap().read_document(&image).unwrap();
    with(folder.path(), Links::Follow).unwrap().read_document(&image).unwrap();
    let error = with(folder.path(), Links::Refuse).unwrap().read_document(&image).unwrap_err();
    assert!(matches!(error, Error::Unsafe { .. }) && error.to_string().contains("--links inside"), "{error}");

    std::fs::remove_file(&path).unwrap();
    symlink(&outside, &path).unwrap();
    let error = with(folder.path(), Links::Inside).unwrap().read_document(&image).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("--links follow"), "{error}");
    let follow = with(folder.path(), Links::Follow).unwrap();
    follow.read_document(&image).unwrap();
    let mut content = String::new();
    follow.open_file(&image).unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, std::fs::read_to_string(&outside).unwrap());

    let wrong = content.replace("schemaVersion", "schemaversion");
    std::fs::write(&outside, wrong).unwrap();
    let error = follow.open_file(&image).unwrap_err();
    assert!(matches!(error, Error::Content { .. }), "hashed before its first byte is given: {error}");
}

#[test]
fn case_l12_l18_a_sandbox_whose_files_are_all_links_is_read_on_request() {
    let (folder, layout) = layout();
    let image = put(&layout, "v1");
    let sandbox = tempfile::tempdir().unwrap();
    for part in ["oci-layout", "index.json", "blobs"] {
        symlink(folder.path().join(part), sandbox.path().join(part)).unwrap();
    }
    let error = with(sandbox.path(), Links::Inside).unwrap_err();
    assert!(matches!(error, Error::Unsafe { .. }), "{error}");
    let follow = with(sandbox.path(), Links::Follow).unwrap();
    assert_eq!(follow.resolve(Some("v1")).unwrap().descriptor.digest, image.digest);
    follow.read_document(&image).unwrap();

    let before = std::fs::read(folder.path().join("index.json")).unwrap();
    let session = follow.begin().unwrap();
    let error = session.put_bytes(text(), b"new").and_then(|_| session.flush()).unwrap_err();
    assert!(matches!(error, Error::Unsafe { .. }), "blobs is a link: {error}");
    drop(session);
    let error = follow.edit(|index| index.set(&short("v2"), &image)).unwrap_err();
    assert!(matches!(error, Error::Unsafe { .. }), "index.json is a link: {error}");
    assert_eq!(std::fs::read(folder.path().join("index.json")).unwrap(), before);
    assert!(std::fs::symlink_metadata(sandbox.path().join("index.json")).unwrap().is_symlink());
    assert_eq!(layout.blobs().unwrap().count(), 3);
}

#[test]
fn a_link_in_the_path_that_was_typed_is_followed() {
    let (folder, layout) = layout();
    put(&layout, "v1");
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(folder.path(), &link).unwrap();
    put(&with(&link, Links::Refuse).unwrap(), "v2");
    assert_eq!(layout.entries().unwrap().len(), 2);
}

#[test]
fn row_53_case_l19_what_is_no_file_is_refused_at_once() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    let path = blob(&layout, &image);
    let elsewhere = tempfile::tempdir().unwrap();
    let pipe = elsewhere.path().join("pipe");
    fifo(&pipe);
    let refused = |links, words: &str| {
        let layout = with(layout.path(), links).unwrap();
        for error in [
            layout.open_blob(&image).unwrap_err(),
            layout.open_file(&image).unwrap_err(),
            layout.read_document(&image).unwrap_err(),
            layout.has(&image).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Unsafe { .. }) && error.kind() == Kind::Invalid, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    };
    std::fs::remove_file(&path).unwrap();
    fifo(&path);
    refused(Links::Inside, "a FIFO");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused(Links::Inside, "a folder");
    std::fs::remove_dir(&path).unwrap();
    let socket = UnixListener::bind(&path);
    // The path of a socket may be too long to bind; a link to a short one serves too.
    match socket {
        Ok(_) => refused(Links::Inside, "a socket"),
        Err(_) => {
            let short = elsewhere.path().join("s");
            let _listener = UnixListener::bind(&short).unwrap();
            symlink(&short, &path).unwrap();
            refused(Links::Follow, "a socket");
        }
    }
    std::fs::remove_file(&path).unwrap();
    for (target, words) in [("/dev/zero", "a device"), (pipe.to_str().unwrap(), "a FIFO")] {
        symlink(target, &path).unwrap();
        refused(Links::Follow, words);
        refused(Links::Inside, "--links follow");
        std::fs::remove_file(&path).unwrap();
    }
    symlink(path.file_name().unwrap(), &path).unwrap();
    refused(Links::Inside, "in circles");
}

#[test]
fn row_53_a_fifo_in_the_place_of_a_blob_is_healed_by_writing() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    let path = blob(&layout, &image);
    let right = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    fifo(&path);
    let session = layout.begin().unwrap();
    assert!(!session.reuse(&image).unwrap());
    let mut writer = session.writer(Some(&image)).unwrap();
    writer.push(&right).unwrap();
    writer.commit().unwrap();
    session.commit(|_| Ok(())).unwrap();
    layout.read_document(&image).unwrap();
}

#[test]
fn case_l12_an_index_that_is_no_file_is_unsafe() {
    let (folder, layout) = layout();
    let index = folder.path().join("index.json");
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    assert!(matches!(layout.entries().unwrap_err(), Error::Unsafe { .. }));
    std::fs::remove_dir(&index).unwrap();
    fifo(&index);
    assert!(matches!(layout.entries().unwrap_err(), Error::Unsafe { .. }));
    assert!(matches!(Layout::options().open(folder.path()).unwrap_err(), Error::Unsafe { .. }));
}

#[test]
fn a_scratch_folder_or_folder_of_blobs_that_is_a_link_is_not_written_through() {
    for name in [".transship", "blobs/sha256"] {
        let (folder, layout) = layout();
        let elsewhere = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let _ = std::fs::remove_dir_all(&path);
        symlink(elsewhere.path(), &path).unwrap();
        let written = layout.begin().and_then(|session| {
            session.put_bytes(text(), b"x")?;
            session.commit(|_| Ok(()))
        });
        assert!(matches!(written.unwrap_err(), Error::Unsafe { .. }));
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}

#[test]
fn row_54_a_blob_swapped_for_a_link_while_it_is_read_never_leads_outside() {
    let (folder, layout) = layout();
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("secret");
    std::fs::write(&secret, "outside").unwrap();
    let odd = Descriptor::new(text(), "foo:swapped".parse().unwrap(), 7);
    let blobs = folder.path().join("blobs/foo");
    std::fs::create_dir(&blobs).unwrap();
    let (path, other) = (blobs.join("swapped"), folder.path().join("other"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                std::fs::write(&other, "within!").unwrap();
                std::fs::rename(&other, &path).unwrap();
                symlink(&secret, &other).unwrap();
                std::fs::rename(&other, &path).unwrap();
            }
        });
        let (mut met, mut refused) = (0, 0);
        while met < 100 || refused < 100 {
            match layout.open_file(&odd) {
                Ok(mut file) => {
                    let mut content = String::new();
                    file.read_to_string(&mut content).unwrap();
                    assert_ne!(content, "outside");
                    met += 1;
                }
                Err(_) => refused += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
