//! Folders and tars become layers in a layout.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use transship_codec::{Compression, Encoder, EncoderOptions};
use transship_layout::Layout;
use transship_pack::{Error, Layer, LayerOptions, Progress, TarOptions, Warning, pack_layer, write_tar};
use transship_spec::{Descriptor, Digest, Kind, MediaType};

use crate::trees::{all_paths, content, make, nasty};

/// The layer of the nasty tree in gzip and zstd at their default levels. A new version of an encoder may change them:
/// that is a new recipe, and a major release.
pub(crate) const GOLDEN_GZIP: &str =
    "sha256:f492db0e74ee9de3db4878dd4ed34ec02b8eef7c28b70c0e3d0b559fd37a52d7";
pub(crate) const GOLDEN_ZSTD: &str =
    "sha256:25817ce143c38c72916e81917728dfea2222d78d2ab684ac21b1ea493e76257b";

fn compressed(compression: Compression) -> LayerOptions {
    LayerOptions { compression, ..LayerOptions::default() }
}

fn layout(at: &Path) -> Layout {
    Layout::options().open_or_create(at.join("layout")).unwrap()
}

pub(crate) fn pack(layout: &Layout, input: &Path, options: &LayerOptions) -> Result<Layer, Error> {
    let session = layout.begin().unwrap();
    let layer = pack_layer(&session, input, options)?;
    session.commit(|_| Ok(())).unwrap();
    Ok(layer)
}

fn encoded(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let options = EncoderOptions { compression, level: Some(1), threads: 1 };
    let mut encoder = Encoder::new(Vec::new(), options).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The nasty tree, and its tar.
fn nasty_tree() -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    make(&folder.path().join("tree"), &nasty());
    let mut tar = Vec::new();
    write_tar(&folder.path().join("tree"), &TarOptions::default(), &mut tar).unwrap();
    (folder, tar)
}

#[test]
fn law_8_layers_are_frozen_and_do_not_depend_on_threads() {
    let (folder, tar) = nasty_tree();
    let layout = layout(folder.path());
    for (compression, golden) in [
        (Compression::None, Digest::sha256(&tar).to_string()),
        (Compression::Gzip, GOLDEN_GZIP.to_owned()),
        (Compression::Zstd, GOLDEN_ZSTD.to_owned()),
    ] {
        for threads in 0..=8 {
            let options = LayerOptions { threads, ..compressed(compression) };
            let layer = pack(&layout, &folder.path().join("tree"), &options).unwrap();
            assert_eq!(layer.diff_id, Digest::sha256(&tar));
            assert_eq!(layer.descriptor.digest.to_string(), golden, "{compression} {threads}");
            assert_eq!(layer.descriptor.media_type, compression.layer_media_type());
            assert_eq!(layer.reused, threads > 0, "the second time it is there");
        }
    }
}

#[test]
fn img_110_plain_tars_are_compressed_and_all_encodings_share_a_diff_id() {
    let (folder, tar) = nasty_tree();
    let layout = layout(folder.path());
    let file = folder.path().join("layer.tar");
    // As GNU tar would pad it: no byte of it is ours to drop.
    let tar = [tar, vec![0; 8192]].concat();
    fs::write(&file, &tar).unwrap();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let layer = pack(&layout, &file, &compressed(compression)).unwrap();
        assert_eq!(layer.diff_id, Digest::sha256(&tar));
        assert_eq!(layer.descriptor.media_type, compression.layer_media_type());
        let mut plain = Vec::new();
        let stored = content(&layout, &layer.descriptor);
        let limits = transship_codec::Limits::default();
        let mut decoder = transship_codec::Decoder::new(&stored[..], compression, limits).unwrap();
        decoder.read_to_end(&mut plain).unwrap();
        assert!(plain == tar);
        assert_eq!(layer.warnings, []);
    }
}

#[test]
fn a_compressed_tar_is_stored_as_it_is_whatever_is_wanted() {
    let (folder, tar) = nasty_tree();
    let layout = layout(folder.path());
    for has in [Compression::Gzip, Compression::Zstd] {
        let file = folder.path().join("layer");
        let bytes = encoded(&tar, has);
        fs::write(&file, &bytes).unwrap();
        for wanted in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let layer = pack(&layout, &file, &compressed(wanted)).unwrap();
            assert_eq!(layer.descriptor, Descriptor::of(has.layer_media_type(), &bytes));
            assert_eq!(layer.diff_id, Digest::sha256(&tar));
        }
    }
}

#[test]
fn img_95_several_members_and_padding_belong_to_the_diff_id() {
    let (folder, tar) = nasty_tree();
    let layout = layout(folder.path());
    let file = folder.path().join("layer.tar.gz");
    let padded = [&tar[..], &[0; 3000]].concat();
    let (one, two) = padded.split_at(70_000);
    fs::write(&file, [encoded(one, Compression::Gzip), encoded(two, Compression::Gzip)].concat()).unwrap();
    assert_eq!(pack(&layout, &file, &LayerOptions::default()).unwrap().diff_id, Digest::sha256(&padded));
}

#[test]
fn case_t16_a_tar_that_ends_early_is_refused_and_leaves_nothing() {
    let (folder, tar) = nasty_tree();
    let layout = layout(folder.path());
    let before = all_paths(layout.path());
    let file = folder.path().join("cut");
    let gzip = encoded(&tar, Compression::Gzip);
    let zstd = encoded(&tar, Compression::Zstd);
    for cut in [
        vec![],
        tar[..300].to_vec(),
        tar[..tar.len() / 2].to_vec(),
        tar[..tar.len() - 1024].to_vec(),
        gzip[..gzip.len() / 2].to_vec(),
        gzip[..gzip.len() - 1].to_vec(),
        zstd[..zstd.len() / 2].to_vec(),
        encoded(&tar[..tar.len() / 2], Compression::Gzip),
        encoded(&tar[..tar.len() - 1024], Compression::Zstd),
    ] {
        fs::write(&file, &cut).unwrap();
        let error = pack(&layout, &file, &LayerOptions::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().contains("cut\"") && error.to_string().contains("ends early"), "{error}");
    }
    assert_eq!(all_paths(layout.path()), before);
}

#[test]
fn a_file_that_is_no_tar_is_refused_by_name() {
    let (folder, tar) = nasty_tree();
    let layout = layout(folder.path());
    let before = all_paths(layout.path());
    let file = folder.path().join("photo.jpeg");
    let mut flipped = tar.clone();
    flipped[600] ^= 1;
    for (bytes, kind) in [
        (vec![b'x'; 4096], Kind::Invalid),
        (encoded(&[b'x'; 4096], Compression::Gzip), Kind::Invalid),
        (tar[1..].to_vec(), Kind::Invalid),
        (b"\xfd7zXZ\0and more".to_vec(), Kind::Unsupported),
        (b"BZh91AY&SYxxx".to_vec(), Kind::Unsupported),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = pack(&layout, &file, &LayerOptions::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("photo.jpeg"), "{error}");
    }
    assert_eq!(all_paths(layout.path()), before);
}

#[test]
fn case_t16_garbage_after_the_end_mark_is_kept_and_warned_of() {
    let (folder, tar) = nasty_tree();
    let layout = layout(folder.path());
    let file = folder.path().join("layer.tar");
    fs::write(&file, [&tar[..], b"garbage"].concat()).unwrap();
    let layer = pack(&layout, &file, &LayerOptions::default()).unwrap();
    assert!(matches!(&layer.warnings[..], [Warning::AfterEnd { bytes: 7.., .. }]), "{:?}", layer.warnings);
}

#[test]
fn case_t19_a_bomb_is_refused_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(folder.path());
    let file = folder.path().join("bomb");
    let options = EncoderOptions { compression: Compression::Zstd, level: Some(19), threads: 1 };
    let mut encoder = Encoder::new(fs::File::create(&file).unwrap(), options).unwrap();
    for _ in 0..100 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap();
    let error = pack(&layout, &file, &LayerOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit, "{error}");
}

#[test]
fn an_input_that_is_a_fifo_or_missing_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(folder.path());
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let error = pack(&layout, &fifo, &LayerOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Input(_)));
    assert_eq!(error.kind(), Kind::Usage);
    let error = pack(&layout, &folder.path().join("no"), &LayerOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn a_folder_that_cannot_be_packed_leaves_nothing() {
    let (folder, _) = nasty_tree();
    let layout = layout(folder.path());
    let before = all_paths(layout.path());
    fs::write(folder.path().join("tree/special/.wh.x"), "").unwrap();
    let error = pack(&layout, &folder.path().join("tree"), &LayerOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Reserved(_)));
    assert_eq!(all_paths(layout.path()), before);
}

#[test]
fn row_6_a_full_disk_is_told_as_such_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let mount = |arguments: &[&str]| {
        let status = std::process::Command::new(arguments[0]).args(&arguments[1..]).arg(&small).status();
        assert!(status.unwrap().success(), "this test mounts a small tmpfs and must be run by root");
    };
    mount(&["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
    let result = std::panic::catch_unwind(|| {
        let layout = layout(&small);
        let before = all_paths(layout.path());
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("large"), vec![7; 4 << 20]).unwrap();
        let error = pack(&layout, &tree, &compressed(Compression::None)).unwrap_err();
        assert_eq!(error.kind(), Kind::Storage, "{error}");
        assert!(error.to_string().contains("space"), "{error}");
        assert_eq!(all_paths(layout.path()), before);
    });
    mount(&["umount"]);
    result.unwrap();
}

#[test]
fn a_level_that_there_is_not_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(folder.path());
    let options = LayerOptions { level: Some(40), ..LayerOptions::default() };
    assert_eq!(pack(&layout, folder.path(), &options).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn the_recipe_names_tar_rules_encoder_and_level() {
    let recipe = |compression, level| LayerOptions { level, ..compressed(compression) }.recipe().unwrap();
    assert_eq!(recipe(Compression::None, None), "transship-tar-1+none");
    assert_ne!(recipe(Compression::Gzip, Some(1)), recipe(Compression::Gzip, Some(9)));
    assert!(recipe(Compression::Zstd, None).ends_with("level-3"));
    assert_eq!(MediaType::OCI_LAYER_TAR, Compression::None.layer_media_type());
}

#[test]
fn whoever_listens_is_told_of_every_plain_byte() {
    #[derive(Debug, Default)]
    struct Heard(Mutex<(u64, Vec<String>)>);
    impl Progress for Heard {
        fn started(&self, input: &Path) {
            self.0.lock().unwrap().1.push(format!("{:?}", input.file_name().unwrap()));
        }
        fn advanced(&self, bytes: u64) {
            self.0.lock().unwrap().0 += bytes;
        }
        fn finished(&self, _: &Descriptor, reused: bool) {
            self.0.lock().unwrap().1.push(reused.to_string());
        }
    }
    let (folder, tar) = nasty_tree();
    fs::write(folder.path().join("t"), encoded(&tar, Compression::Gzip)).unwrap();
    let layout = layout(folder.path());
    let heard = Arc::new(Heard::default());
    let options = LayerOptions { progress: Some(heard.clone()), ..LayerOptions::default() };
    for input in ["tree", "tree", "t"] {
        pack(&layout, &folder.path().join(input), &options).unwrap();
    }
    let (bytes, told) = &*heard.0.lock().unwrap();
    assert_eq!(*bytes, 3 * tar.len() as u64);
    assert_eq!(told.join(" "), r#""tree" false "tree" true "t" false"#);
}
