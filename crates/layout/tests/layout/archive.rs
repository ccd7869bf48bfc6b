//! Archives: read in place, written in one pass.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use transship_codec::{Compression, Encoder, EncoderOptions};
use transship_layout::archive::{Carried, Head, Place, docker_manifest, edit_index};
use transship_layout::{Archive, Error, Layout, graph};
use transship_spec::{Descriptor, Digest, ImageConfig, Kind, Manifest, MediaType, Platform};

use crate::support::{layout, manifest, short, text};

/// One member of a tar that a test makes.
pub(crate) struct Member {
    name: Vec<u8>,
    kind: u8,
    content: Vec<u8>,
}

fn file(name: &str, content: &[u8]) -> Member {
    Member { name: name.into(), kind: b'0', content: content.to_vec() }
}

fn header(name: &[u8], kind: u8, size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn tar(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        bytes.extend(header(&member.name, member.kind, member.content.len() as u64));
        bytes.extend(&member.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// The members of a small layout, in the order of most tools: index last.
fn members(dot: &str) -> (Vec<Member>, Descriptor) {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let descriptor = manifest(&session, "one", None);
    session.commit(|index| index.set(&short("v1"), &descriptor)).unwrap();
    let mut members = vec![Member { name: format!("{dot}blobs/").into(), kind: b'5', content: Vec::new() }];
    for blob in layout.blobs().unwrap() {
        let blob = blob.unwrap();
        let content = std::fs::read(layout.path().join(&blob.path)).unwrap();
        members.push(file(&format!("{dot}{}", blob.path.display()), &content));
    }
    for name in ["oci-layout", "index.json"] {
        members.push(file(&format!("{dot}{name}"), &std::fs::read(layout.path().join(name)).unwrap()));
    }
    (members, descriptor)
}

fn written(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("image.tar");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn open(bytes: &[u8]) -> Result<Archive, Error> {
    let folder = tempfile::tempdir().unwrap();
    Archive::options().open(written(folder.path(), bytes))
}

/// Reads everything that an archive's roots lead to.
fn read_all(archive: &Archive) -> Result<u64, Error> {
    let roots: Vec<_> = archive.entries()?.into_iter().map(|entry| entry.descriptor).collect();
    let mut bytes = 0;
    for (blob, _) in graph::closure(archive, &roots)? {
        let mut reader = archive.open_blob(&blob)?;
        bytes += std::io::copy(&mut reader, &mut std::io::sink())
            .map_err(|error| Error::from_io(error, "reading", "an archive"))?;
    }
    Ok(bytes)
}

#[test]
fn img_14_a_tar_is_read_with_and_without_dots_and_with_the_index_first_or_last() {
    for dot in ["", "./", "././"] {
        let (mut members, descriptor) = members(dot);
        for _ in 0..2 {
            let archive = open(&tar(&members)).unwrap();
            assert_eq!(archive.resolve(Some("v1")).unwrap().descriptor.digest, descriptor.digest, "{dot:?}");
            assert_eq!(archive.resolve(None).unwrap().descriptor.digest, descriptor.digest);
            assert!(read_all(&archive).unwrap() > 0);
            members.reverse();
        }
    }
}

#[test]
fn img_14_a_compressed_tar_is_read_by_way_of_a_temporary_file() {
    let (members, descriptor) = members("./");
    for compression in [Compression::Gzip, Compression::Zstd] {
        let options = EncoderOptions { compression, ..EncoderOptions::default() };
        let mut encoder = Encoder::new(Vec::new(), options).unwrap();
        encoder.write_all(&tar(&members)).unwrap();
        let bytes = encoder.finish().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), &bytes);
        let archive = Archive::options().open(&path).unwrap();
        assert_eq!(archive.resolve(Some("v1")).unwrap().descriptor.digest, descriptor.digest);
        assert!(read_all(&archive).unwrap() > 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        let cut = &bytes[..bytes.len() - 9];
        assert_eq!(open(cut).unwrap_err().kind(), Kind::Invalid, "{compression:?}");
    }
}

#[test]
fn an_archive_from_a_stream_is_kept_in_a_temporary_file() {
    let (members, descriptor) = members("");
    let folder = tempfile::tempdir().unwrap();
    let options = Archive::options().spool(folder.path());
    let archive = options.read(&tar(&members)[..], "-").unwrap();
    assert_eq!(archive.resolve(None).unwrap().descriptor.digest, descriptor.digest);
    assert!(read_all(&archive).unwrap() > 0);
}

#[test]
fn row_67_an_archive_cut_short_anywhere_is_invalid() {
    let (members, _) = members("");
    let bytes = tar(&members);
    // From the first block of zeros on it is whole.
    for length in 0..bytes.len() - 512 {
        let result = open(&bytes[..length]);
        assert_eq!(result.unwrap_err().kind(), Kind::Invalid, "{length}");
    }
    open(&bytes[..bytes.len() - 512]).unwrap();
}

#[test]
fn what_is_hostile_in_a_tar_is_told_and_never_followed() {
    let link = |name: &str, kind| Member { name: name.into(), kind, content: Vec::new() };
    let only = |name: &str| vec![file(name, b"{}")];
    let (whole, descriptor) = members("");
    let blob = format!("blobs/sha256/{}", descriptor.digest.encoded());
    let with = |extra: Member, without: &str| {
        let (mut all, _) = members("");
        all.retain(|member| member.name != without.as_bytes());
        all.insert(0, extra);
        tar(&all)
    };
    for (what, bytes, said) in [
        ("nothing", Vec::new(), "not a tar"),
        ("no tar", vec![b'x'; 2048], "not a tar"),
        ("zeros", vec![0; 2048], "not a tar"),
        ("an absolute name", tar(&only("/oci-layout")), "leads out of the archive"),
        ("dots", tar(&only("../oci-layout")), "leads out of the archive"),
        ("dots within", tar(&only("a/../oci-layout")), "leads out of the archive"),
        ("no layout", tar(&only("some/file")), "it has no file oci-layout"),
        ("a linked index", with(link("index.json", b'2'), "index.json"), "never followed"),
        ("a hard-linked marker", with(link("oci-layout", b'1'), "oci-layout"), "never followed"),
        ("a device", with(link("index.json", b'3'), "index.json"), "no file"),
        ("two indexes", with(file("index.json", b"{}"), ""), "two different members"),
        ("two blobs", with(file(&format!("./{blob}"), b"{}"), ""), "two different members"),
        ("a sparse file", with(link("sparse", b'S'), ""), "sparse"),
        (
            "half a PAX record",
            with(Member { name: b"x".into(), kind: b'x', content: b"99 path=".into() }, ""),
            "PAX",
        ),
        ("an empty marker", with(file("oci-layout", b""), "oci-layout"), "malformed"),
    ] {
        let error = open(&bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{what}: {error}");
        assert!(error.to_string().contains(said), "{what}: {error}");
    }
    // Of what is not needed nothing is said, and a blob that is a link is told when it is asked for.
    for extra in [
        link("/etc/passwd", b'2'),
        file("../../x", b"x"),
        Member { name: b"\xff\xfe".into(), ..file("", b"x") },
    ] {
        let archive = open(&with(extra, "")).unwrap();
        assert!(read_all(&archive).is_ok());
    }
    let archive = open(&with(link(&blob, b'2'), &blob)).unwrap();
    let error = archive.read_document(&descriptor).unwrap_err();
    assert!(matches!(error, Error::Unsafe { .. }), "{error}");
    // The same member twice is no contradiction.
    let same = whole.iter().find(|member| member.name == blob.as_bytes()).unwrap();
    assert!(open(&with(file(&blob, &same.content), "")).is_ok());
}

#[test]
fn sizes_that_no_file_has_take_no_memory() {
    for size in [1 << 32, 0o77_777_777_777] {
        let mut bytes = header(b"index.json", b'0', size);
        bytes.resize(4096, 0);
        assert_eq!(open(&bytes).unwrap_err().kind(), Kind::Invalid, "{size}");
        let mut bytes = header(b"long", b'L', size);
        bytes.resize(4096, 0);
        assert_eq!(open(&bytes).unwrap_err().kind(), Kind::Invalid, "{size}");
    }
    // In base 256, up to 2^95.
    let mut block = header(b"index.json", b'0', 0);
    block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.resize(4096, 0);
    assert_eq!(open(&block).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn a_name_that_is_megabytes_long_is_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let mut out = std::fs::File::create(&path).unwrap();
    out.write_all(&header(b"long", b'L', 1 << 30)).unwrap();
    out.set_len((1 << 30) + 4096).unwrap();
    assert_eq!(Archive::options().open(&path).unwrap_err().kind(), Kind::Limit);
}

#[test]
fn a_flipped_byte_in_a_blob_is_found_when_it_is_read() {
    let (members, descriptor) = members("");
    let mut bytes = tar(&members);
    let wanted = format!("blobs/sha256/{}", descriptor.digest.encoded());
    let at = bytes.windows(wanted.len()).position(|window| window == wanted.as_bytes()).unwrap() + 512;
    bytes[at + 5] ^= 1;
    let archive = open(&bytes).unwrap();
    let error = read_all(&archive).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
}

#[test]
fn pipes_folders_and_nothing_are_no_archives() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    assert!(matches!(Archive::options().open(&fifo), Err(Error::Unsafe { .. })));
    assert!(matches!(Archive::options().open(folder.path()), Err(Error::NotALayout { .. })));
    assert!(matches!(Archive::options().open(folder.path().join("no")), Err(Error::Absent { .. })));
}

/// Writes all of a layout into an archive.
fn write(layout: &Layout, path: &Path) -> Result<(), Error> {
    let index = edit_index(None, |index| {
        for entry in layout.entries()? {
            index.set(&short(entry.name().unwrap()), &entry.descriptor)?;
        }
        Ok(())
    })?;
    let head = Head { index, docker: None };
    let roots: Vec<_> = layout.entries()?.into_iter().map(|entry| entry.descriptor).collect();
    let blobs: Vec<_> = graph::closure(layout, &roots)?.into_iter().map(|(blob, _)| blob).collect();
    let new = Archive::options().create(path, head.clone(), blobs.clone())?;
    // Backwards: the order in which blobs come does not matter.
    for blob in blobs.iter().rev() {
        let mut content = Vec::new();
        layout.open_blob(blob)?.read_to_end(&mut content).unwrap();
        let mut writer = new.writer(&blob.digest)?;
        for piece in content.chunks(7) {
            writer.push(piece)?;
        }
        writer.commit()?;
    }
    new.finish(head)
}

#[test]
fn an_archive_has_the_same_bytes_always() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let one = manifest(&session, "one", None);
    let two = manifest(&session, "two", None);
    session.commit(|index| index.set(&short("one"), &one).and(index.set(&short("two"), &two))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    write(&layout, &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len() % 10240, 0);
    assert_eq!(
        Digest::sha256(&bytes).to_string(),
        "sha256:bfdab046755d90898faf1ba6356a8b3497f679b287e2db6190abdb22a703e086"
    );
    let archive = Archive::options().open(&path).unwrap();
    for entry in layout.entries().unwrap() {
        assert_eq!(archive.resolve(entry.name()).unwrap().descriptor, entry.descriptor);
    }
    read_all(&archive).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_was_planned_and_did_not_come_leaves_no_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let blob =
        |content: &str| Descriptor::new(text(), Digest::sha256(content.as_bytes()), content.len() as u64);
    let (here, gone) = (blob("here"), blob("gone"));
    let head = |of: &[&Descriptor]| Head {
        index: edit_index(None, |index| of.iter().try_for_each(|blob| index.add(blob).map(drop))).unwrap(),
        docker: None,
    };
    let new = Archive::options().create(&path, head(&[&here, &gone]), [here.clone(), gone.clone()]).unwrap();
    let mut writer = new.writer(&here.digest).unwrap();
    writer.push(b"here").unwrap();
    writer.commit().unwrap();
    let mut writer = new.writer(&gone.digest).unwrap();
    writer.push(b"gane").unwrap();
    assert_eq!(writer.commit().unwrap_err().kind(), Kind::Invalid);
    assert!(new.holds(&here.digest) && !new.holds(&gone.digest));
    assert!(!path.exists(), "it is not there before it is whole");
    new.finish(head(&[&here])).unwrap();

    let direct = folder.path().join("b.tar");
    let new = Archive::options().create(&direct, head(&[&here]), [here.clone()]).unwrap();
    let mut writer = new.writer(&here.digest).unwrap();
    writer.push(b"here").unwrap();
    writer.commit().unwrap();
    new.finish(head(&[&here])).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&direct).unwrap());
}

#[test]
fn what_is_carried_over_is_moved_by_the_kernel_and_looked_at_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let content = vec![7; 3 << 20];
    let blobs: Vec<Descriptor> =
        [&content[..], b"", b"small"].into_iter().map(|bytes| Descriptor::of(text(), bytes)).collect();
    let head = Head { index: edit_index(None, |_| Ok(())).unwrap(), docker: None };
    let new = Archive::options().create(&path, head.clone(), blobs.clone()).unwrap();
    for (blob, bytes) in blobs.iter().zip([&content[..], b"", b"small"]) {
        let mut writer = new.writer(&blob.digest).unwrap();
        writer.push(bytes).unwrap();
        writer.commit().unwrap();
    }
    new.finish(head.clone()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.iter().position(|byte| *byte == 7).unwrap();
    bytes[at + 5000] ^= 1;
    let broken = written(folder.path(), &bytes);
    for (path, carried) in [(&path, "carried.tar"), (&broken, "broken.tar")] {
        let old = Archive::options().open(path).unwrap();
        let target = folder.path().join(carried);
        let new = Archive::options().create(&target, head.clone(), blobs.clone()).unwrap();
        for blob in &blobs {
            assert_eq!(new.carry_from(&old, blob).unwrap(), Carried::ByKernel);
            assert!(new.holds(&blob.digest));
        }
        new.finish(head.clone()).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), std::fs::read(path).unwrap());
    }
    let old = Archive::options().open(&broken).unwrap();
    let new = Archive::options().create(&path, head.clone(), blobs.clone()).unwrap();
    assert_eq!(new.copy_from(&old, &blobs[0]).unwrap_err().kind(), Kind::Invalid);
    let other = Descriptor::new(text(), blobs[0].digest.clone(), 5);
    assert_eq!(new.carry_from(&old, &other).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn an_archive_that_is_given_up_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), b"as it was");
    let new = Archive::options().create(&path, Head::default(), []).unwrap();
    drop(new);
    assert_eq!(std::fs::read(&path).unwrap(), b"as it was");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn of_two_programs_that_add_to_one_archive_the_second_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let head = Head { index: edit_index(None, |_| Ok(())).unwrap(), docker: None };
    let begin = || (Place::of(&path), Archive::options().create(&path, head.clone(), []).unwrap());
    let ((nothing, one), (still_nothing, other)) = (begin(), begin());
    one.finish_over(head.clone(), &nothing).unwrap();
    let error = other.finish_over(head.clone(), &still_nothing).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    let (something, third) = begin();
    third.finish_over(head.clone(), &something).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_link_in_the_place_of_an_archive_leads_to_where_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (written(folder.path(), b"old"), folder.path().join("link.tar"));
    std::os::unix::fs::symlink("image.tar", &link).unwrap();
    let head = Head { index: edit_index(None, |_| Ok(())).unwrap(), docker: None };
    Archive::options().create(&link, head.clone(), []).unwrap().finish(head).unwrap();
    assert!(link.is_symlink() && Archive::options().open(&path).is_ok());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_bytes_an_archive_has_it_is_read_or_refused(
        changes in proptest::collection::vec((0usize..8192, proptest::num::u8::ANY), 1..6),
        form in 0u8..2,
    ) {
        let mut bytes = if form == 0 { tar(&members("").0) } else { saved(true) };
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        if let Ok(archive) = open(&bytes) {
            let _ = read_all(&archive);
            let _ = archive.resolve(None);
        }
    }
}

#[test]
fn a_blob_named_by_sha_512_has_a_long_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let blob = Descriptor::new(text(), Digest::sha512(b"long"), 4);
    let index = edit_index(None, |index| index.add(&blob).map(drop)).unwrap();
    let head = Head { index, docker: None };
    let new = Archive::options().create(&path, head.clone(), [blob.clone()]).unwrap();
    let mut writer = new.writer(&blob.digest).unwrap();
    writer.push(b"long").unwrap();
    writer.commit().unwrap();
    new.finish(head).unwrap();
    let archive = Archive::options().open(&path).unwrap();
    assert_eq!(read_all(&archive).unwrap(), 4);
    let listed = std::process::Command::new("tar").arg("-tf").arg(&path).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(&*blob.digest.encoded()), "{listed}");
}

/// The old form of `docker save`, with a layer that two images share.
fn saved(links: bool) -> Vec<u8> {
    let layer = tar(&[file("etc/motd", b"hello\n")]);
    let config = |os: &str| {
        let mut config = ImageConfig { platform: Platform::new(os, "amd64"), ..ImageConfig::default() };
        config.diff_ids = vec![Digest::sha256(&layer)];
        config.to_bytes()
    };
    let second = match links {
        true => Member { name: b"b/layer.tar".into(), kind: b'2', content: Vec::new() },
        false => file("b/layer.tar", &layer),
    };
    let manifest =
        br#"[{"Config":"a.json","RepoTags":["app:v1","h.example/app:v2"],"Layers":["a/layer.tar"]},
        {"Config":"b.json","RepoTags":null,"Layers":["b/layer.tar"]}]"#;
    tar(&[
        file("a/layer.tar", &layer),
        second,
        file("a.json", &config("linux")),
        file("b.json", &config("windows")),
        file("manifest.json", manifest),
        file("repositories", b"{}"),
    ])
}

#[test]
fn img_159_what_docker_saved_is_seen_as_a_layout() {
    let archive = open(&saved(false)).unwrap();
    let entries = archive.entries().unwrap();
    assert_eq!(entries.len(), 3);
    let first = archive.resolve(Some("app:v1")).unwrap().descriptor;
    assert_eq!(first.digest, archive.resolve(Some("h.example/app:v2")).unwrap().descriptor.digest);
    let document = archive.read_document(&first).unwrap();
    let manifest = document.as_manifest().unwrap();
    assert_eq!(manifest.layers[0].media_type, MediaType::OCI_LAYER_TAR);
    assert!(read_all(&archive).unwrap() > 0);
    let again = open(&saved(true)).unwrap();
    assert_eq!(
        again.resolve(Some("app:v1")).unwrap().descriptor,
        first,
        "the digest follows from the content"
    );
    read_all(&again).unwrap();
}

#[test]
fn img_159_the_list_for_docker_load_names_configs_and_layers() {
    let archive = open(&saved(false)).unwrap();
    let index = edit_index(Some(&archive), |_| Ok(())).unwrap();
    let children = |image: &Descriptor| {
        Ok(archive.read_document(image)?.children().into_iter().cloned().collect::<Vec<_>>())
    };
    let list: serde_json::Value =
        serde_json::from_slice(&docker_manifest(&index, None, children).unwrap()).unwrap();
    assert_eq!(list[0]["RepoTags"], serde_json::json!(["docker.io/library/app:v1", "h.example/app:v2"]));
    assert!(list[0]["Config"].as_str().unwrap().starts_with("blobs/sha256/"));
    assert_eq!(list[1]["RepoTags"], serde_json::Value::Null);
    let nested = Manifest::new(Descriptor::empty(), vec![]).to_document().unwrap().descriptor();
    let nested = Descriptor { media_type: MediaType::OCI_INDEX, ..nested };
    let index = edit_index(None, |index| index.set(&short("all"), &nested).map(drop)).unwrap();
    assert_eq!(docker_manifest(&index, None, |_| Ok(Vec::new())).unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn img_159_lists_that_do_not_fit_are_refused() {
    for (list, said) in [
        (&br#"{}"#[..], "not a valid manifest.json"),
        (br#"[{"Config":"no.json","Layers":[]}]"#, "which is not there"),
        (br#"[{"Config":"../a.json","Layers":[]}]"#, "which is not there"),
        (br#"[{"Layers":[]}]"#, "not a valid manifest.json"),
    ] {
        let error = open(&tar(&[file("manifest.json", list)])).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}
