//! Layers that images have already are taken from there, and nobody can tell it by the digest.

use std::fs;
use std::path::{Path, PathBuf};

use transship_codec::Compression;
use transship_layout::{Layout, Name};
use transship_pack::{Holder, Image, ImageOptions, LayerOptions, Reuse, TarOptions, pack_image, write_tar};
use transship_spec::{Digest, Kind, Platform};

use crate::trees::{content, make, manifest, nasty, snapshot};

/// A folder with the nasty tree, and a layout that has an image of it in gzip and in zstd.
struct Place {
    folder: tempfile::TempDir,
    cache: Layout,
}

fn options(compression: Compression) -> ImageOptions {
    ImageOptions {
        platform: Some(Platform::new("linux", "amd64")),
        layer: LayerOptions { compression, ..LayerOptions::default() },
        ..ImageOptions::default()
    }
}

fn name() -> Name {
    Name::short("v1").unwrap()
}

impl Place {
    fn new(annotate_recipe: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("tree"), &nasty());
        let cache = Layout::options().create(folder.path().join("cache")).unwrap();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let options = ImageOptions { annotate_recipe, ..options(compression) };
            let name = Name::short(compression.name()).unwrap();
            pack_image(&cache, Some(&name), &[folder.path().join("tree")], &options).unwrap();
        }
        Self { folder, cache }
    }

    fn reuse(&self) -> Reuse {
        let roots: Vec<_> = self.cache.entries().unwrap().into_iter().map(|entry| entry.descriptor).collect();
        let mut reuse = Reuse::default();
        reuse.add(Holder::Layout(self.cache.clone()), &roots).unwrap();
        reuse
    }

    fn layout(&self, name: &str) -> Layout {
        Layout::options().open_or_create(self.folder.path().join(name)).unwrap()
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    /// Packs into a new layout what may be taken from the cache.
    fn pack(&self, input: &Path, options: ImageOptions) -> Image {
        let out = self.layout("out");
        let image =
            pack_image(&out, Some(&name()), &[input], &ImageOptions { reuse: self.reuse(), ..options });
        fs::remove_dir_all(out.path()).unwrap();
        image.unwrap()
    }

    /// The file of the first layer of the cache's image.
    fn layer(&self, reference: &str) -> PathBuf {
        let layer = &manifest(&self.cache, reference).layers[0];
        self.cache.path().join("blobs/sha256").join(&*layer.digest.encoded())
    }
}

#[test]
fn law_8_an_image_with_reused_layers_is_the_one_that_is_packed_anew() {
    let place = Place::new(true);
    for compression in [Compression::Gzip, Compression::Zstd] {
        for (annotate_recipe, verify) in [(false, false), (true, true)] {
            let options = ImageOptions { annotate_recipe, verify, ..options(compression) };
            let (fresh, out) = (place.layout("fresh"), place.layout("reused"));
            let wanted = pack_image(&fresh, Some(&name()), &[place.tree()], &options).unwrap();
            let options = ImageOptions { reuse: place.reuse(), ..options };
            let image = pack_image(&out, Some(&name()), &[place.tree()], &options).unwrap();
            assert_eq!(image.descriptor, wanted.descriptor);
            assert!(image.layers[0].reused && !wanted.layers[0].reused);
            assert_eq!(image.layers[0].recipe, wanted.layers[0].recipe);
            let blobs = |layout: &Layout| snapshot(&layout.path().join("blobs"));
            assert!(blobs(&out) == blobs(&fresh), "{compression}");
            for layout in [fresh, out] {
                fs::remove_dir_all(layout.path()).unwrap();
            }
        }
    }
}

#[test]
fn nothing_is_reused_that_could_be_other_bytes() {
    let place = Place::new(true);
    let is_reused = |input: &Path, options: ImageOptions| place.pack(input, options).layers[0].reused;
    assert!(is_reused(&place.tree(), options(Compression::Gzip)));
    let mut other_level = options(Compression::Gzip);
    other_level.layer.level = Some(1);
    assert!(!is_reused(&place.tree(), other_level), "another recipe");
    assert!(!is_reused(&place.tree(), options(Compression::None)), "there is nothing to save");
    let tar = place.folder.path().join("tar");
    write_tar(&place.tree(), &TarOptions::default(), fs::File::create(&tar).unwrap()).unwrap();
    assert!(!is_reused(&tar, options(Compression::Gzip)), "nobody knows how its tar was made");
    fs::remove_file(place.layer("gzip")).unwrap();
    assert!(!is_reused(&place.tree(), options(Compression::Gzip)), "it is not there");
    fs::write(place.tree().join("a.b"), "changed").unwrap();
    assert!(!is_reused(&place.tree(), options(Compression::Zstd)), "another tree");

    let silent = Place::new(false);
    let image = silent.pack(&silent.tree(), options(Compression::Gzip));
    assert!(!image.layers[0].reused, "nobody said how it was made");
}

#[test]
fn law_5_a_broken_layer_is_not_reused() {
    let place = Place::new(true);
    let path = place.layer("gzip");
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half] ^= 1;
    fs::write(&path, bytes).unwrap();
    let options = ImageOptions { reuse: place.reuse(), ..options(Compression::Gzip) };
    let out = place.layout("out");
    let error = pack_image(&out, Some(&name()), &[place.tree()], &options).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(out.entries().unwrap().is_empty());
}

#[test]
fn a_lie_about_a_diff_id_is_found_out_on_request() {
    let place = Place::new(true);
    let other = place.folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("file"), "other").unwrap();
    let honest =
        pack_image(&place.layout("other-layout"), None, &[&other], &options(Compression::Gzip)).unwrap();
    // An image that says of the nasty tree's layer that it is the other tree's.
    let manifest = manifest(&place.cache, "gzip");
    let config = String::from_utf8(content(&place.cache, &manifest.config)).unwrap();
    let diff_id = Digest::sha256(&{
        let mut tar = Vec::new();
        write_tar(&place.tree(), &TarOptions::default(), &mut tar).unwrap();
        tar
    });
    let lying = config.replace(&diff_id.to_string(), &honest.layers[0].diff_id.to_string());
    assert_ne!(lying, config);
    let session = place.cache.begin().unwrap();
    let config = session.put_bytes(manifest.config.media_type.clone(), lying.as_bytes()).unwrap();
    let lie = transship_spec::Manifest { config, ..manifest };
    let lie = session.put_document(&lie.to_document().unwrap()).unwrap();
    session.commit(|index| index.set(&Name::short("lie").unwrap(), &lie)).unwrap();
    let options = ImageOptions { reuse: place.reuse(), verify: true, ..options(Compression::Gzip) };
    let error = pack_image(&place.layout("out"), Some(&name()), &[&other], &options).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains(&format!("has the diff ID {diff_id}, and ")), "{error}");
}
