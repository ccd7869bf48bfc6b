//! Whole images: compressions, digests, places.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use transship_codec::{Compression, Encoder, EncoderOptions};
use transship_layout::{Layout, Name};
use transship_pack::{
    Error, ImageOptions, LayerOptions, MtimeRule, Owner, Rootfs, TarOptions, UnpackLimits, UnpackOptions,
    UnpackPlan, pack_image, unpack,
};
use transship_spec::{Digest, Kind, MediaType, Platform};

use crate::support::{Stored, Tar, image, listing, quick, unpack_stored, unpack_tars};
use crate::trees::{make, nasty};

pub(crate) fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut encoder =
        Encoder::new(Vec::new(), EncoderOptions { compression, ..EncoderOptions::default() }).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzip(tar: &[u8]) -> Vec<u8> {
    compressed(tar, Compression::Gzip)
}

#[test]
fn img_95_all_that_a_layer_decodes_to_is_hashed() {
    let tar = Tar::new().file("a", b"a").end();
    let padded = [&tar[..], &[0; 9000], b"and more"].concat();
    let members = [gzip(&padded[..700]), gzip(&padded[700..])].concat();
    let frames = [&padded[..700], &padded[700..]].map(|part| compressed(part, Compression::Zstd));
    let skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec();
    for (media_type, stored) in [
        (MediaType::OCI_LAYER_TAR, padded.clone()),
        (MediaType::OCI_LAYER_GZIP, members),
        (MediaType::OCI_LAYER_ZSTD, [skippable, frames.concat()].concat()),
        (MediaType::DOCKER_LAYER_GZIP, gzip(&padded)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let layer = Stored::compressed(media_type, stored, &padded);
        let done = unpack_stored(folder.path(), &[layer], &quick()).unwrap();
        assert_eq!((done.entries, done.warnings.len()), (1, 1));
        assert!(done.warnings[0].to_string().contains("bytes after its end mark"));
        assert_eq!(fs::read(folder.path().join("rootfs/a")).unwrap(), b"a");
    }
}

#[test]
fn img_94_a_layer_with_another_diff_id_is_named_and_leaves_nothing() {
    for stored in [Tar::new().file("a", b"a").end(), gzip(&Tar::new().file("a", b"a").end())] {
        let folder = tempfile::tempdir().unwrap();
        let digest = Digest::sha256(&stored);
        let layer =
            Stored { media_type: MediaType::OCI_LAYER_TAR, stored, diff_id: Digest::sha256(b"other") };
        let good = Stored::plain(&Tar::new().file("b", b"").end());
        let error = unpack_stored(folder.path(), &[good, layer], &quick()).unwrap_err();
        assert!(matches!(&error, Error::DiffId { layer, .. } if *layer == digest), "{error}");
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_blob_that_was_spoiled_is_told_as_such_whatever_else_is_wrong_with_it() {
    let tar = Tar::new().file("a", &[7; 5000]).end();
    for (media_type, stored) in
        [(MediaType::OCI_LAYER_TAR, tar.clone()), (MediaType::OCI_LAYER_GZIP, gzip(&tar))]
    {
        for spoiled in [20, stored.len() / 2, stored.len() - 3] {
            let folder = tempfile::tempdir().unwrap();
            let layer = Stored::compressed(media_type.clone(), stored.clone(), &tar);
            let (layout, descriptor) = image(&folder.path().join("layout"), &[layer]);
            let plan = UnpackPlan::read(&layout, &descriptor, None).unwrap();
            let digest = &plan.layers[0].descriptor.digest;
            let blob = folder.path().join(format!("layout/blobs/sha256/{}", digest.encoded()));
            let mut bytes = stored.clone();
            bytes[spoiled] ^= 0x55;
            fs::remove_file(&blob).unwrap();
            fs::write(&blob, bytes).unwrap();
            let rootfs = Rootfs::begin(folder.path().join("rootfs")).unwrap();
            let error = unpack(&layout, &plan, rootfs, &quick()).unwrap_err();
            assert!(matches!(error, Error::Layout(_)), "{spoiled}: {error:?}");
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(!folder.path().join("rootfs").exists());
        }
    }
}

#[test]
fn img_93_case_m12_what_is_no_image_or_not_whole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, descriptor) = image(&folder.path().join("layout"), &[Stored::plain(&Tar::new().end())]);
    let other = Platform::new("linux", "riscv64");
    let error = UnpackPlan::read(&layout, &descriptor, Some(&other)).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let layer = Stored { media_type: MediaType::OCTET_STREAM, ..Stored::plain(&Tar::new().end()) };
    let (layout, descriptor) = image(&folder.path().join("odd"), &[layer]);
    let error = UnpackPlan::read(&layout, &descriptor, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
}

#[test]
fn limits_of_size_and_ratio_can_be_set() {
    let tar = Tar::new().file("a", &[0; 100_000]).end();
    let with = |limits| UnpackOptions { limits, ..quick() };
    let layer = || Stored::compressed(MediaType::OCI_LAYER_GZIP, gzip(&tar), &tar);
    let folder = tempfile::tempdir().unwrap();
    let small = UnpackLimits { max_size: 50_000, ..UnpackLimits::default() };
    let error = unpack_stored(folder.path(), &[layer()], &with(small)).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.to_string().contains("50000"), "{error}");
    let twice = UnpackLimits { max_size: 150_000, ..UnpackLimits::default() };
    let error = unpack_stored(folder.path(), &[layer(), layer()], &with(twice)).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit, "it is the sum that counts");
    assert!(error.to_string().contains("150000"), "{error}");
}

#[test]
fn a_place_must_be_free_or_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir_all(at.join("full/x")).unwrap();
    fs::write(at.join("file"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", at.join("dangling")).unwrap();
    for name in ["full", "file", "dangling"] {
        let error = Rootfs::begin(at.join(name)).unwrap_err();
        assert!(matches!(error, Error::Occupied(_)), "{name}: {error}");
        assert_eq!(error.kind(), Kind::Usage);
    }
    assert!(matches!(Rootfs::begin("/").unwrap_err(), Error::Occupied(_)));
    assert_eq!(Rootfs::begin(at.join("none/x")).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(fs::read_dir(at).unwrap().count(), 3);
    fs::create_dir(at.join("rootfs")).unwrap();
    unpack_tars(at, &[Tar::new().file("a", b"").end()]).unwrap();
    assert_eq!(fs::read_dir(at.join("rootfs")).unwrap().count(), 1);
}

#[test]
fn what_appears_at_the_place_meanwhile_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, descriptor) =
        image(&folder.path().join("layout"), &[Stored::plain(&Tar::new().file("a", b"").end())]);
    let plan = UnpackPlan::read(&layout, &descriptor, None).unwrap();
    let place = folder.path().join("rootfs");
    let rootfs = Rootfs::begin(&place).unwrap();
    fs::create_dir_all(place.join("of-others")).unwrap();
    let error = unpack(&layout, &plan, rootfs, &quick()).unwrap_err();
    assert!(matches!(error, Error::Occupied(_)), "{error}");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing of ours is left");
}

#[test]
fn row_22_one_process_at_a_time_and_what_a_dead_one_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("rootfs");
    let left = folder.path().join(".rootfs.transship-unpack");
    fs::create_dir_all(left.join("half/done")).unwrap();
    std::os::unix::fs::symlink(folder.path(), left.join("out")).unwrap();
    let first = Rootfs::begin(&place).unwrap();
    assert_eq!(first.path(), left);
    assert_eq!(fs::read_dir(&left).unwrap().count(), 0);
    let error = Rootfs::begin(&place).unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error}");
    assert!(left.exists());
    drop(first);
    assert!(!left.exists());
    drop(Rootfs::begin(&place).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_mount_is_filled_from_within() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("rootfs");
    fs::create_dir(&place).unwrap();
    transship_testkit::peers::run("mount", &["-t", "tmpfs", "tmpfs", place.to_str().unwrap()]);
    let root = Tar::new().entry(b"./", b'5', (b"", b""), |header| header.set_mode(0o711));
    let done = unpack_tars(folder.path(), &[root.file("a/b", b"").folder("c").end()]);
    let found = listing(&place);
    transship_testkit::peers::run("umount", &[place.to_str().unwrap()]);
    done.unwrap();
    assert_eq!(found.len(), 4);
    assert!(found[Path::new("")].starts_with("40711 0:0 0 1000000000.0 "), "{found:#?}");
}

pub(crate) fn kept(compression: Compression) -> ImageOptions {
    let tar = TarOptions { owner: Owner::Keep, mtime: MtimeRule::Keep, ..TarOptions::default() };
    ImageOptions {
        layer: LayerOptions { compression, tar, ..LayerOptions::default() },
        ..ImageOptions::default()
    }
}

#[test]
fn pack_after_unpack_gives_the_same_layer() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    make(&at.join("tree"), &nasty());
    std::os::unix::fs::chown(at.join("tree/a.b"), Some(3_000_000), Some(1234)).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(at.join("tree/a/b"), "user.mime", b"text\n\0plain", flags).unwrap();
    let layout = Layout::options().create(at.join("layout")).unwrap();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let options = kept(compression);
        let first =
            pack_image(&layout, Some(&Name::short("1").unwrap()), &[&at.join("tree")], &options).unwrap();
        let plan = UnpackPlan::read(&layout, &first.descriptor, None).unwrap();
        let again = at.join(format!("again-{compression}"));
        let done = unpack(&layout, &plan, Rootfs::begin(&again).unwrap(), &UnpackOptions::default()).unwrap();
        assert!(done.not_set.is_empty() && done.warnings.is_empty());
        let second = pack_image(&layout, Some(&Name::short("2").unwrap()), &[&again], &options).unwrap();
        assert_eq!(first.descriptor.digest, second.descriptor.digest, "{compression}");
    }
}
