//! Layers that are somewhere already, found again by diff ID and recipe, so that they need not be compressed again.
//!
//! What makes a layer findable is the recipe in the manifest of an image that has it ([`annotations::RECIPE`], which
//! [`ImageOptions::annotate_recipe`](crate::ImageOptions) writes). Two layers of one diff ID and one recipe are the same
//! bytes, so the image has the digest that it would have if all was packed anew.
//!
//! The price is a second pass: an input is first read and hashed for its diff ID, and read once more to be compressed if no
//! place has it. That is left out where it can gain nothing: for plain layers, for tars that are taken as they are, and
//! where no place has a layer by the recipe.
//!
//! The digest of a layer that is taken is checked, as always. That it has this diff ID is what its image says, and believed,
//! unless it is to be verified by decompressing it.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use transship_codec::{Compression, Decoder, Limits};
use transship_layout::{Session, graph};
use transship_spec::{Descriptor, Digest, Hasher, Manifest, annotations};

use crate::layer::is_made;
use crate::origin::reading;
use crate::{Error, Holder, Layer, LayerOptions, write_layer};

/// Bytes that are read in one go.
const PIECE: usize = 256 << 10;

/// Places with layers that may be taken instead of being packed again.
///
/// ```
/// use transship_layout::{Layout, Name};
/// use transship_pack::{Holder, ImageOptions, Reuse, pack_image};
/// # let folder = tempfile::tempdir()?;
/// # let rootfs = folder.path().join("rootfs");
/// # std::fs::create_dir(&rootfs)?;
///
/// let cache = Layout::options().create(folder.path().join("cache"))?;
/// let options = ImageOptions { annotate_recipe: true, ..ImageOptions::default() };
/// let first = pack_image(&cache, Some(&Name::short("v1")?), &[&rootfs], &options)?;
///
/// let mut reuse = Reuse::default();
/// reuse.add(Holder::Layout(cache), &[first.descriptor])?;
/// let out = Layout::options().create(folder.path().join("out"))?;
/// let options = ImageOptions { reuse, ..ImageOptions::default() };
/// let second = pack_image(&out, Some(&Name::short("v1")?), &[&rootfs], &options)?;
/// assert!(second.layers[0].reused);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Reuse {
    places: Vec<Holder>,
    /// By recipe, then by diff ID: the descriptor, and the number of the place.
    layers: HashMap<String, HashMap<Digest, (Descriptor, usize)>>,
}

impl Reuse {
    /// Adds the layers of all images that `roots` lead to. Those that are not there, or tell no recipe, do not count.
    ///
    /// # Errors
    /// [`Error::Layout`] and [`Error::Spec`] for what cannot be read.
    pub fn add(&mut self, place: Holder, roots: &[Descriptor]) -> Result<(), Error> {
        let mut manifests: Vec<Manifest> = Vec::new();
        graph::walk(place.source(), roots, &mut |node| {
            let manifest = node.document.and_then(|document| document.as_manifest());
            manifests.extend(manifest.filter(|manifest| tells_recipes(manifest)).cloned());
            Ok(())
        })?;
        for manifest in manifests {
            let config = place.origin().config(&manifest.config)?;
            for (layer, diff_id) in manifest.layers.into_iter().zip(config.diff_ids) {
                self.know(layer, diff_id);
            }
        }
        self.places.push(place);
        Ok(())
    }

    /// Of a place that is not among `places` yet.
    fn know(&mut self, layer: Descriptor, diff_id: Digest) {
        let Some(recipe) = layer.annotations.get(annotations::RECIPE).cloned() else { return };
        let media_type = layer.media_type.to_oci().unwrap_or_else(|| layer.media_type.clone());
        let bare = Descriptor::new(media_type, layer.digest, layer.size);
        self.layers.entry(recipe).or_default().entry(diff_id).or_insert((bare, self.places.len()));
    }

    /// The layer of an input, taken from where it is; nothing where it is to be packed.
    pub(crate) fn take(
        &self,
        session: &Session,
        input: &Path,
        options: &LayerOptions,
        verify: bool,
    ) -> Result<Option<Layer>, Error> {
        if self.layers.is_empty() || options.compression == Compression::None {
            return Ok(None);
        }
        let recipe = options.recipe()?;
        let Some(known) = self.layers.get(&recipe) else { return Ok(None) };
        if !is_made(input, options)? {
            return Ok(None);
        }
        let plain =
            LayerOptions { compression: Compression::None, level: None, progress: None, ..options.clone() };
        let plain = write_layer(input, &plain, io::sink())?;
        let Some((descriptor, number)) = known.get(&plain.diff_id) else { return Ok(None) };
        let place = &self.places[*number];
        if place.source().size(&descriptor.digest)?.is_none()
            || !place.origin().carry(session, descriptor, false)?
        {
            return Ok(None);
        }
        if verify {
            check_diff_id(place, descriptor, &plain.diff_id)?;
        }
        options.listener().started(input);
        options.listener().finished(descriptor, true);
        let (recipe, descriptor) = (Some(recipe), descriptor.clone());
        Ok(Some(Layer { descriptor, recipe, reused: true, ..plain }))
    }
}

fn tells_recipes(manifest: &Manifest) -> bool {
    manifest.config.media_type.is_image_config()
        && manifest.layers.iter().any(|layer| layer.annotations.contains_key(annotations::RECIPE))
}

/// Decompresses a layer to see that it is what its image says.
fn check_diff_id(place: &Holder, layer: &Descriptor, said: &Digest) -> Result<(), Error> {
    let reader = place.source().open(layer)?;
    let failed = |error: io::Error| Error::Layout(reading(error, layer));
    let mut decoder = Decoder::sniff(reader, Limits::default())?;
    let (mut hasher, mut piece) = (Hasher::sha256(), vec![0; PIECE]);
    loop {
        match io::Read::read(&mut decoder, &mut piece) {
            Ok(0) => break,
            Ok(count) => hasher.update(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let is = hasher.finish();
    if is == *said {
        return Ok(());
    }
    Err(Error::Image(format!("the layer {} has the diff ID {is}, and {said} by its image", layer.digest)))
}
