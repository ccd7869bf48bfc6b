//! Which layers an image consists of, and of what image: all that is known before the first of them is read.

use std::io::Read as _;

use transship_layout::{Source, read_document};
use transship_spec::{Descriptor, Digest, Document, ImageConfig, Platform};

use crate::Error;
use crate::base::choose;

/// The largest config that is read, in bytes.
const MAX_CONFIG: u64 = 8 << 20;
/// How deep indexes may lie in indexes.
const MAX_DEPTH: usize = 32;

/// What unpacking will read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UnpackPlan {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// What the image runs on.
    pub platform: Platform,
    /// The layers, base first.
    pub layers: Vec<PlannedLayer>,
}

/// A layer, and what it must turn out to be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlannedLayer {
    /// What is stored.
    pub descriptor: Descriptor,
    /// The digest of the plain tar (IMG-95).
    pub diff_id: Digest,
}

impl UnpackPlan {
    /// Reads manifest and config of an image, or of the member of an index for a platform: the one wanted; without a wish,
    /// the only one, or the one for this machine.
    ///
    /// # Errors
    /// [`Error::Image`] for what is no image or not whole, [`Error::Platform`], [`Error::Unsupported`] for layers that are no
    /// tar and diff IDs that cannot be verified, [`Error::Layout`], [`Error::Spec`].
    pub fn read(source: &dyn Source, image: &Descriptor, platform: Option<&Platform>) -> Result<Self, Error> {
        let document = document(source, image, platform)?;
        let digest = document.digest().clone();
        let Some(manifest) = document.as_manifest().cloned() else {
            return Err(Error::Image(format!("{digest} is neither a manifest nor an index")));
        };
        if !manifest.config.media_type.is_image_config() {
            let kind = manifest.artifact_type.as_ref().unwrap_or(&manifest.config.media_type);
            return Err(Error::Image(format!("{digest} is an artifact of type {kind}")));
        }
        let config = ImageConfig::parse(&config(source, &manifest.config)?)?;
        if let Some(wanted) = platform
            && config.platform.fitness(wanted).is_none()
        {
            let (wanted, available) = (Box::new(wanted.clone()), vec![config.platform]);
            return Err(Error::Platform { wanted, available });
        }
        if config.diff_ids.len() != manifest.layers.len() {
            let (ids, layers) = (config.diff_ids.len(), manifest.layers.len());
            return Err(Error::Image(format!(
                "the config of {digest} has {ids} diff IDs for {layers} layers"
            )));
        }
        let layers = manifest.layers.into_iter().zip(config.diff_ids);
        let layers = layers.map(|(descriptor, diff_id)| planned(descriptor, diff_id));
        Ok(Self { manifest: digest, platform: config.platform, layers: layers.collect::<Result<_, _>>()? })
    }

    /// Bytes of the layers as they are stored.
    #[must_use]
    pub fn stored_size(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.descriptor.size))
    }
}

impl PlannedLayer {
    /// A tar of which nobody told the digest that it has when it is plain.
    pub(crate) fn untold(descriptor: Descriptor) -> Result<Self, Error> {
        // Nothing can be verified by it, so nothing is.
        Ok(Self { descriptor, diff_id: Digest::parse("untold:0")? })
    }

    /// Whether digest and diff ID are by one algorithm, so that of a plain tar they are the same.
    pub(super) fn is_hashed_alike(&self) -> bool {
        self.descriptor.digest.algorithm() == self.diff_id.algorithm()
    }
}

/// A layer that can be read.
///
/// # Errors
/// [`Error::Unsupported`] for what is no tar, and for what cannot be verified.
pub(crate) fn planned(descriptor: Descriptor, diff_id: Digest) -> Result<PlannedLayer, Error> {
    if !descriptor.media_type.is_layer() {
        return Err(Error::Unsupported(format!(
            "the layer {} of type {}",
            descriptor.digest, descriptor.media_type
        )));
    }
    for digest in [&descriptor.digest, &diff_id] {
        if !digest.is_verifiable() {
            return Err(Error::Unsupported(format!("a layer that cannot be verified: {digest}")));
        }
    }
    Ok(PlannedLayer { descriptor, diff_id })
}

/// What is no index: the document itself, or the member for a platform.
pub(crate) fn document(
    source: &dyn Source,
    image: &Descriptor,
    platform: Option<&Platform>,
) -> Result<Document, Error> {
    let mut descriptor = image.clone();
    for _ in 0..MAX_DEPTH {
        let document = read_document(source, &descriptor)?;
        let Some(index) = document.as_index() else { return Ok(document) };
        descriptor = choose(&index.manifests, platform)?.clone();
    }
    Err(Error::Image(format!("its indexes lie more than {MAX_DEPTH} deep in each other")))
}

/// The bytes of a config.
pub(crate) fn config(source: &dyn Source, config: &Descriptor) -> Result<Vec<u8>, Error> {
    if config.size > MAX_CONFIG {
        let what = "the size of a config in bytes";
        return Err(transship_spec::Error::Limit { what, limit: MAX_CONFIG }.into());
    }
    let mut bytes = Vec::new();
    let read = source.open(config)?.read_to_end(&mut bytes);
    read.map_err(|error| transship_layout::Error::from_io(error, "reading", config.digest.to_string()))?;
    Ok(bytes)
}
