//! One of the two that are compared: its manifest, its config, and what its layers are called.

use std::collections::BTreeMap;

use transship_layout::{Source, read_document};
use transship_spec::{Descriptor, Digest, Document, ImageConfig, Index, Platform, json, platform};

use super::fields::{self, FieldChange};
use super::{Compared, DiffSide, LayerChange, PlacedLayer};
use crate::Error;
use crate::base::choose;
use crate::unpack::{self, PlannedLayer};

pub(super) struct Side<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) compared: Compared,
    document: Document,
    /// The config of an image.
    config: Option<Vec<u8>>,
    /// Those of an image whose layers are all tars.
    pub(super) diff_ids: Option<Vec<Digest>>,
}

/// What there is to say of the indexes that both come from.
#[derive(Default)]
pub(super) struct Among {
    pub(super) fields: Vec<FieldChange>,
    pub(super) others: Vec<Platform>,
}

/// Finds what is to be compared, of indexes the members for one platform.
pub(super) fn both<'a>(
    left: DiffSide<'a>,
    right: DiffSide<'a>,
    wanted: Option<&Platform>,
) -> Result<(Side<'a>, Side<'a>, Among), Error> {
    let tops = (read_document(left.source, left.image)?, read_document(right.source, right.image)?);
    let known = match (has_choice(&tops.0), has_choice(&tops.1)) {
        _ if wanted.is_some() => None,
        (true, false) => only_platform(right.source, &tops.1)?,
        (false, true) => only_platform(left.source, &tops.0)?,
        _ => None,
    };
    let (a, b) = (
        Side::read(left, &tops.0, (wanted, known.as_ref()))?,
        Side::read(right, &tops.1, (wanted, known.as_ref()))?,
    );
    let among = match (tops.0.as_index(), tops.1.as_index()) {
        (Some(of_left), Some(of_right)) => Among {
            fields: fields::compare(tops.0.bytes(), tops.1.bytes(), &["/manifests"])?,
            others: others((of_left, &a), (of_right, &b)),
        },
        _ => Among::default(),
    };
    Ok((a, b, among))
}

/// The images of an index.
fn images(index: &Index) -> impl Iterator<Item = &Descriptor> {
    index.manifests.iter().filter(|member| !platform::is_attestation(member))
}

/// Whether it has several images to choose from.
fn has_choice(document: &Document) -> bool {
    document.as_index().is_some_and(|index| images(index).nth(1).is_some())
}

/// What the only image of a document runs on.
fn only_platform(source: &dyn Source, document: &Document) -> Result<Option<Platform>, Error> {
    if let Some(index) = document.as_index() {
        return Ok(images(index).next().and_then(|member| member.platform.clone()));
    }
    Ok(image_config(source, document)?.map(|(config, _)| config.platform))
}

/// The config of an image, and its bytes.
fn image_config(source: &dyn Source, document: &Document) -> Result<Option<(ImageConfig, Vec<u8>)>, Error> {
    match document.as_manifest() {
        Some(manifest) if manifest.config.media_type.is_image_config() => {
            let bytes = unpack::config(source, &manifest.config)?;
            Ok(Some((ImageConfig::parse(&bytes)?, bytes)))
        }
        _ => Ok(None),
    }
}

/// Platforms for which two indexes have different members, but for those that are compared.
fn others((of_left, left): (&Index, &Side<'_>), (of_right, right): (&Index, &Side<'_>)) -> Vec<Platform> {
    let mut found: BTreeMap<String, (&Platform, [Option<&Digest>; 2])> = BTreeMap::new();
    for (number, (index, side)) in [(of_left, left), (of_right, right)].into_iter().enumerate() {
        for member in images(index).filter(|member| member.digest != side.compared.digest) {
            let Some(platform) = &member.platform else { continue };
            let (_, digests) = found.entry(platform.to_string()).or_insert((platform, [None, None]));
            digests[number] = Some(&member.digest);
        }
    }
    let differ = found.into_values().filter(|(_, [left, right])| left != right);
    differ.map(|(platform, _)| platform.clone()).collect()
}

impl<'a> Side<'a> {
    /// Reads a document, or the member of an index: for the platform wanted, which an image by itself must be for, too; else
    /// the only one, or the one for a platform that is known to make sense.
    fn read(
        side: DiffSide<'a>,
        top: &Document,
        (wanted, known): (Option<&Platform>, Option<&Platform>),
    ) -> Result<Self, Error> {
        let source = side.source;
        let (document, index) = match top.as_index() {
            None => (top.clone(), None),
            Some(index) => {
                let platform = wanted.or(known);
                let member = choose(&index.manifests, platform)?;
                (unpack::document(source, member, platform)?, Some(top.digest().clone()))
            }
        };
        let config = image_config(source, &document)?;
        if let (Some(wanted), Some((config, _))) = (wanted, &config)
            && config.platform.fitness(wanted).is_none()
        {
            let (wanted, available) = (Box::new(wanted.clone()), vec![config.platform.clone()]);
            return Err(Error::Platform { wanted, available });
        }
        let compared = Compared {
            digest: document.digest().clone(),
            media_type: document.media_type().clone(),
            platform: config.as_ref().map(|(config, _)| config.platform.clone()),
            index,
        };
        let diff_ids = match &config {
            Some((config, _)) => diff_ids(&document, config)?,
            None => None,
        };
        Ok(Self { source, compared, document, config: config.map(|(_, bytes)| bytes), diff_ids })
    }

    fn layers(&self) -> Vec<&Descriptor> {
        match self.document.as_manifest() {
            Some(manifest) => manifest.layers.iter().collect(),
            None => self.document.children(),
        }
    }

    /// Layers or blobs with their places.
    pub(super) fn placed(&self) -> Vec<PlacedLayer> {
        let diff_id = |position: usize| self.diff_ids.as_ref()?.get(position).cloned();
        let layers = self.layers().into_iter().enumerate();
        let placed = layers.map(|(position, layer)| PlacedLayer {
            position,
            descriptor: layer.clone(),
            diff_id: diff_id(position),
        });
        placed.collect()
    }

    /// The layers of an image, to be read.
    pub(super) fn planned(&self) -> Result<Vec<PlannedLayer>, Error> {
        let layers = self.layers().into_iter().zip(self.diff_ids.iter().flatten());
        layers.map(|(layer, diff_id)| unpack::planned(layer.clone(), diff_id.clone())).collect()
    }

    /// The descriptor of the config.
    fn config(&self) -> Option<&Descriptor> {
        self.document.as_manifest().map(|manifest| &manifest.config)
    }

    /// The config as JSON, if it is.
    fn json(&self) -> Result<Option<Vec<u8>>, Error> {
        if self.config.is_some() {
            return Ok(self.config.clone());
        }
        match self.config() {
            Some(config) if config.media_type.as_str().ends_with("json") => {
                let bytes = unpack::config(self.source, config)?;
                Ok(json::validate(&bytes).is_ok().then_some(bytes))
            }
            _ => Ok(None),
        }
    }
}

/// The diff IDs of an image, one for each layer; nothing where there is a layer that is no tar, as attestations have it.
fn diff_ids(document: &Document, config: &ImageConfig) -> Result<Option<Vec<Digest>>, Error> {
    let layers = document.as_manifest().map_or(&[][..], |manifest| &manifest.layers);
    if !layers.iter().all(|layer| layer.media_type.is_layer()) {
        return Ok(None);
    }
    if config.diff_ids.len() != layers.len() {
        return Err(Error::Image(format!(
            "the config of {} has {} diff IDs for {} layers",
            document.digest(),
            config.diff_ids.len(),
            layers.len()
        )));
    }
    Ok(Some(config.diff_ids.clone()))
}

/// Fields of manifests and of configs.
///
/// Digest and size of a config tell nothing where its fields or its diff IDs do.
pub(super) fn fields(
    left: &Side<'_>,
    right: &Side<'_>,
    layers: &[LayerChange],
) -> Result<(Vec<FieldChange>, Vec<FieldChange>), Error> {
    const CONFIG: [&str; 3] = ["/config/digest", "/config/size", "/config/data"];
    let config =
        match left.config().map(|config| &config.digest) == right.config().map(|config| &config.digest) {
            true => Vec::new(),
            false => match (left.json()?, right.json()?) {
                (Some(left), Some(right)) => fields::compare(&left, &right, &["/rootfs/diff_ids"])?,
                _ => Vec::new(),
            },
        };
    let mut except = vec!["/layers", "/blobs"];
    if !config.is_empty() || left.diff_ids != right.diff_ids {
        except.extend(CONFIG);
    }
    let mut manifest = fields::compare(left.document.bytes(), right.document.bytes(), &except)?;
    let nothing = manifest.is_empty() && config.is_empty() && layers.is_empty();
    if nothing && left.compared.digest != right.compared.digest {
        manifest.push(FieldChange::whole(&left.compared.digest, &right.compared.digest));
    }
    Ok((manifest, config))
}
