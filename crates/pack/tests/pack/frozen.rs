//! The digests of the nasty tree, from wherever it comes and by whatever it lies on.

use std::fs;
use std::path::Path;
use std::process::Command;

use transship_codec::{Compression, Encoder, EncoderOptions};
use transship_layout::Layout;
use transship_pack::{
    Excludes, Ignore, ImageOptions, LayerOptions, Metadata, Rootfs, TarOptions, UnpackOptions, UnpackPlan,
    pack_image, unpack, write_tar,
};
use transship_spec::Digest;

use crate::described::{described, make_poor, text};
use crate::layer::{GOLDEN_GZIP, GOLDEN_ZSTD, pack};
use crate::tar::{GOLDEN, kept};
use crate::trees::{all_paths, chmod, make, nasty};

fn run(program: &str, arguments: &[&str], at: &Path) {
    let status = Command::new(program).args(arguments).arg(at).status().unwrap();
    assert!(
        status.success(),
        "{program} {arguments:?}; this test mounts file systems and must be run by root"
    );
}

#[test]
fn law_8_every_way_to_say_a_tree_gives_the_same_layer_however_many_threads_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    make(&at.join("tree"), &nasty());
    make_poor(&at.join("poor"));
    let mut entries = described(&at.join("tree"));
    entries.iter_mut().for_each(|entry| entry.time = None);
    fs::write(at.join("tree.mtree"), text(&entries)).unwrap();
    let tar = Command::new("tar").args(["--format=pax", "-c", "-C"]).arg(at.join("tree")).arg(".").output();
    let gzip = EncoderOptions { compression: Compression::Gzip, level: Some(1), threads: 2 };
    let mut encoder = Encoder::new(Vec::new(), gzip).unwrap();
    std::io::Write::write_all(&mut encoder, &tar.unwrap().stdout).unwrap();
    fs::write(at.join("tree.tgz"), encoder.finish().unwrap()).unwrap();

    let metadata = Some(Metadata::read(&at.join("tree.mtree")).unwrap());
    let poor = TarOptions { metadata, ..TarOptions::default() };
    let tgz = TarOptions { normalize: true, ..TarOptions::default() };
    // Everything is left out, and taken in again.
    let again = Excludes::default().and(Ignore::parse(b"**\n!*").unwrap());
    let again = TarOptions { excludes: again, ..TarOptions::default() };
    let layout = Layout::options().create(at.join("layout")).unwrap();
    let mut reused = 0;
    for (input, tar) in [
        ("tree", TarOptions::default()),
        ("tree.mtree", TarOptions::default()),
        ("poor", poor),
        ("tree.tgz", tgz),
        ("tree", again),
    ] {
        for (compression, golden) in
            [(Compression::None, GOLDEN), (Compression::Gzip, GOLDEN_GZIP), (Compression::Zstd, GOLDEN_ZSTD)]
        {
            for threads in 1..=8 {
                let options =
                    LayerOptions { compression, threads, tar: tar.clone(), ..LayerOptions::default() };
                let layer = pack(&layout, &at.join(input), &options).unwrap();
                assert_eq!(layer.diff_id.to_string(), GOLDEN, "{input}");
                assert_eq!(layer.descriptor.digest.to_string(), golden, "{input} {compression} {threads}");
                assert_eq!(layer.warnings, []);
                assert!(layer.recipe.is_some());
                reused += u32::from(layer.reused);
            }
        }
    }
    assert_eq!(reused, 5 * 3 * 8 - 3, "each of the three is written once");
}

#[test]
fn img_130_what_is_unpacked_by_anybody_is_packed_to_the_same_layer() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    make(&at.join("tree"), &nasty());
    chmod(&at.join("tree"), 0o755);
    let mut options = ImageOptions::default();
    options.layer.tar = kept();
    let layout = Layout::options().create(at.join("layout")).unwrap();
    let image = pack_image(&layout, None, &[at.join("tree")], &options).unwrap();
    for path in all_paths(layout.path()).iter().chain([&layout.path().to_owned()]) {
        chmod(path, 0o755);
    }
    for user in [0, 65534] {
        let home = at.join(user.to_string());
        fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(user), Some(user)).unwrap();
        chmod(at, 0o755);
        let (metadata, again) = (home.join("metadata"), home.join("again"));
        let work = || {
            let user = rustix::fs::Uid::from_raw(user);
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
            let plan = UnpackPlan::read(&layout, &image.descriptor, None).unwrap();
            let unpacked = UnpackOptions { metadata: Some(metadata.clone()), ..UnpackOptions::default() };
            unpack(&layout, &plan, Rootfs::begin(home.join("root")).unwrap(), &unpacked).unwrap();
            // What it says is taken as it says it.
            let tar =
                TarOptions { metadata: Some(Metadata::read(&metadata).unwrap()), ..TarOptions::default() };
            let layout = Layout::options().create(&again).unwrap();
            let compression = Compression::Gzip;
            pack(&layout, &home.join("root"), &LayerOptions { tar, compression, ..LayerOptions::default() })
                .unwrap()
        };
        let layer = std::thread::scope(|scope| scope.spawn(work).join().unwrap());
        assert_eq!(layer.descriptor, image.layers[0].descriptor, "user {user}");
    }
}

#[test]
fn law_8_file_systems_do_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path().join("mount");
    fs::create_dir(&mount).unwrap();
    // XFS has 18 bits for the minor number, so that what it cannot hold is said beside it.
    let disk = folder.path().join("metadata");
    fs::write(&disk, "#mtree\n./special/disk type=block mode=0620 device=native,259,1048575\n").unwrap();
    for kind in ["tmpfs", "ext4", "xfs", "btrfs"] {
        if kind == "tmpfs" {
            run("mount", &["-t", "tmpfs", "-o", "size=64m", "tmpfs"], &mount);
        } else {
            let image = folder.path().join(kind);
            fs::File::create(&image).unwrap().set_len(320 << 20).unwrap();
            run(&format!("mkfs.{kind}"), &["-q"], &image);
            run("mount", &["-o", "loop", image.to_str().unwrap()], &mount);
        }
        let result = std::panic::catch_unwind(|| {
            let tree = mount.join("tree");
            let mut nodes = nasty();
            nodes.reverse();
            nodes.retain(|(path, _)| kind != "xfs" || path != b"special/disk");
            make(&tree, &nodes);
            let mut tar = Vec::new();
            let metadata = Some(Metadata::read(&disk).unwrap());
            write_tar(&tree, &TarOptions { metadata, ..TarOptions::default() }, &mut tar).unwrap();
            assert_eq!(Digest::sha256(&tar).to_string(), GOLDEN, "{kind}");
        });
        run("umount", &[], &mount);
        result.unwrap();
    }
}
