//! Layers that are packed into files, and put into images later on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use transship_codec::Compression;
use transship_layout::{Layout, Name};
use transship_pack::{
    Error, Image, ImageOptions, LayerOptions, PackedLayer, Part, assemble_image, pack_image, write_layer,
};
use transship_spec::{Descriptor, Digest, Kind, MediaType, Platform};

use crate::trees::{all_paths, content, make, manifest, nasty, snapshot};

const DIFF_ID: &str = "containerd.io/uncompressed";
const RECIPE: &str = "io.github.transship.recipe";

fn options(compression: Compression) -> ImageOptions {
    ImageOptions {
        platform: Some(Platform::new("linux", "amd64")),
        layer: LayerOptions { compression, ..LayerOptions::default() },
        ..ImageOptions::default()
    }
}

fn tree(at: &Path, name: &str) -> PathBuf {
    let tree = at.join(name);
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join(name), name).unwrap();
    tree
}

/// A folder with a layer of the nasty tree in a file.
struct Place {
    folder: tempfile::TempDir,
    described: Descriptor,
}

impl Place {
    fn new(compression: Compression) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("tree"), &nasty());
        let options = LayerOptions { compression, ..LayerOptions::default() };
        let file = File::create(folder.path().join("layer")).unwrap();
        let layer = write_layer(&folder.path().join("tree"), &options, file).unwrap();
        Self { described: layer.described(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn layout(&self, name: &str) -> Layout {
        Layout::options().open_or_create(self.path(name)).unwrap()
    }

    fn layer(&self, change: impl FnOnce(&mut Descriptor)) -> Result<Part, Error> {
        let mut described = self.described.clone();
        change(&mut described);
        PackedLayer::new(self.path("layer"), described).map(|packed| Part::Packed(Box::new(packed)))
    }

    /// Packs the layer into an image, and sees to it that nothing is listed when that fails.
    fn image(&self, change: impl FnOnce(&mut Descriptor), verify: bool) -> Result<Image, Error> {
        let layout = self.layout("out");
        let part = self.layer(change)?;
        let options = ImageOptions { verify, ..options(Compression::Gzip) };
        let image = assemble_image(&layout, None, &[part], &options);
        if image.is_err() {
            assert!(layout.entries().unwrap().is_empty() && layout.blobs().unwrap().count() == 0);
        }
        image
    }
}

#[test]
fn law_8_an_image_of_layers_that_were_packed_before_is_the_image_of_their_inputs() {
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        let place = Place::new(compression);
        let (one, two) = (tree(place.folder.path(), "one"), tree(place.folder.path(), "two"));
        let (options, name) = (options(compression), Name::short("v1").unwrap());
        let fresh = place.layout("fresh");
        let inputs = [one.clone(), place.path("tree"), two.clone()];
        let wanted = pack_image(&fresh, Some(&name), &inputs, &options).unwrap();
        for verify in [false, true] {
            let out = place.layout(if verify { "verified" } else { "trusted" });
            let parts = [Part::Input(one.clone()), place.layer(|_| ()).unwrap(), Part::Input(two.clone())];
            let options = ImageOptions { verify, ..options.clone() };
            let image = assemble_image(&out, Some(&name), &parts, &options).unwrap();
            assert_eq!(image.descriptor, wanted.descriptor, "{compression}");
            assert_eq!(image.layers[1].recipe, wanted.layers[1].recipe);
            let blobs = |layout: &Layout| snapshot(&layout.path().join("blobs"));
            assert!(blobs(&out) == blobs(&fresh), "{compression}");
        }
    }
}

#[test]
fn a_layer_by_itself_is_the_one_that_an_image_would_have() {
    let place = Place::new(Compression::Gzip);
    let bytes = fs::read(place.path("layer")).unwrap();
    assert_eq!(place.described.digest, Digest::sha256(&bytes));
    assert_eq!(place.described.annotations.keys().collect::<Vec<_>>(), [DIFF_ID, RECIPE]);
    let recipe = LayerOptions::default().recipe().unwrap();
    assert_eq!(place.described.annotations[RECIPE], recipe);
    // A tar is nobody's recipe, and a compressed one stays what it is.
    let mut copied = Vec::new();
    let layer = write_layer(&place.path("layer"), &LayerOptions::default(), &mut copied).unwrap();
    assert!(copied == bytes && layer.recipe.is_none());
    assert_eq!(layer.described().annotations[DIFF_ID], place.described.annotations[DIFF_ID]);
}

#[test]
fn a_layer_that_the_layout_has_is_not_written_again() {
    let place = Place::new(Compression::Gzip);
    let first = place.image(|_| (), false).unwrap();
    let before = snapshot(&place.path("out"));
    for verify in [false, true] {
        let again = place.image(|_| (), verify).unwrap();
        assert_eq!((first.layers[0].reused, again.layers[0].reused), (false, true), "{verify}");
    }
    assert!(snapshot(&place.path("out")) == before);
}

#[test]
fn what_others_say_of_a_layer_is_kept_and_what_we_say_only_on_request() {
    let place = Place::new(Compression::Gzip);
    let layout = place.layout("out");
    let part = place.layer(|described| {
        described.annotations.insert("com.example.toc".to_owned(), "there".to_owned());
        described.media_type = MediaType::DOCKER_LAYER_GZIP;
    });
    let parts = [part.unwrap(), Part::Input(place.path("layer"))];
    let name = Name::short("v1").unwrap();
    for annotate_recipe in [false, true] {
        let options = ImageOptions { annotate_recipe, ..options(Compression::Gzip) };
        assemble_image(&layout, Some(&name), &parts, &options).unwrap();
        let layers = manifest(&layout, "v1").layers;
        assert_eq!(layers[0].media_type, MediaType::OCI_LAYER_GZIP, "IMG-157");
        let mut keys: Vec<_> = layers[0].annotations.keys().map(String::as_str).collect();
        assert_eq!(keys.pop().filter(|_| annotate_recipe), annotate_recipe.then_some(RECIPE));
        assert_eq!(keys.len(), usize::from(annotate_recipe));
        assert!(layers[1].annotations.is_empty(), "a tar was not made by us");
    }
}

#[test]
fn a_descriptor_that_is_none_of_a_layer_is_refused() {
    let place = Place::new(Compression::None);
    let other = Digest::sha256(b"other").to_string();
    type Change<'a> = &'a dyn Fn(&mut Descriptor);
    let changes: [(Change<'_>, &str); 4] = [
        (&|it| it.media_type = MediaType::OCI_MANIFEST, "is not a media type of layers"),
        (&|it| drop(it.annotations.remove(DIFF_ID)), "its diff ID is missing, the annotation containerd.io/"),
        (
            &|it| drop(it.annotations.insert(DIFF_ID.to_owned(), "sha256:abc".to_owned())),
            "its diff ID is none",
        ),
        (
            &|it| drop(it.annotations.insert(DIFF_ID.to_owned(), other.clone())),
            "the diff ID of a plain tar is its digest, and these differ",
        ),
    ];
    for (change, words) in changes {
        let error = place.layer(change).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
}

#[test]
fn law_5_a_file_that_is_not_what_its_descriptor_says_gets_into_no_layout() {
    let place = Place::new(Compression::Gzip);
    let path = place.path("layer");
    let bytes = fs::read(&path).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for (content, words) in [
        (flipped, "content has digest sha256:"),
        (bytes[..bytes.len() - 1].to_vec(), "bytes"),
        ([&bytes[..], b"x"].concat(), "bytes"),
        (b"#mtree\n".to_vec(), "neither gzip nor zstd by its first bytes"),
        (
            b"\x28\xb5\x2f\xfd\0".to_vec(),
            "it is zstd by its first bytes, and application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        (b"\xfd7zXZ\0and more".to_vec(), "an unknown compression"),
    ] {
        fs::write(&path, content).unwrap();
        for verify in [false, true] {
            let error = place.image(|_| (), verify).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{error}");
            let said = error.to_string();
            assert!(
                said.contains("layer\" is not the layer") || said.contains("cannot be decoded"),
                "{said}"
            );
            assert!(verify || said.contains(words), "{said} does not say {words}");
        }
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(place.image(|_| (), false).unwrap_err().kind(), Kind::NotFound);
    fs::create_dir(&path).unwrap();
    let error = place.image(|_| (), false).unwrap_err();
    assert!(error.to_string().ends_with("it is no regular file"), "{error}");
}

#[test]
fn a_diff_id_is_trusted_unless_it_is_to_be_verified() {
    let place = Place::new(Compression::Zstd);
    let wrong = Digest::sha256(b"wrong").to_string();
    let lie =
        |described: &mut Descriptor| drop(described.annotations.insert(DIFF_ID.to_owned(), wrong.clone()));
    let error = place.image(lie, true).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains(&format!("and {wrong} by its descriptor")), "{error}");
    let image = place.image(lie, false).unwrap();
    let layout = place.layout("out");
    let config = String::from_utf8(content(&layout, &image.config)).unwrap();
    assert!(config.contains(&wrong), "{config}");
    assert!(all_paths(&place.path("out")).iter().all(|path| !path.ends_with("tmp")));
}
