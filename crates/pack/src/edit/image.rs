//! One image, changed.

use transship_spec::dialect::retype;
use transship_spec::splice::{Object, array, elements, repointed};
use transship_spec::{Descriptor, Dialect, Digest, Document, ImageConfig, Manifest, MediaType};

use super::config::splice;
use super::convert;
use super::{AnnotationChanges, Setting, Work};
use crate::origin::Origin;
use crate::{Error, Warning};

/// An image while it is being changed.
pub(super) struct Draft<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    manifest_text: Object,
    pub(super) config: ImageConfig,
    config_text: Object,
    /// The config as it came.
    original: ImageConfig,
    original_text: String,
    pub(super) layers: Vec<Layer<'a>>,
    pub(super) history: Vec<Step>,
    /// What is to be said of a new base.
    pub(super) base: Option<AnnotationChanges>,
}

/// A layer of it.
#[derive(Clone)]
pub(super) struct Layer<'a> {
    /// As the manifest writes it, where that is to stay.
    pub(super) text: Option<String>,
    pub(super) descriptor: Descriptor,
    pub(super) diff_id: Digest,
    /// Where it is; nothing for one that was made here.
    pub(super) origin: Option<Origin<'a>>,
    /// Whether it need not be carried.
    pub(super) there: bool,
}

/// An entry of history.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) text: String,
    /// Whether it made no layer.
    pub(super) is_empty: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn load(origin: Origin<'a>, document: &Document, there: bool) -> Result<Self, Error> {
        let digest = document.digest().clone();
        let Some(manifest) = document.as_manifest() else {
            return Err(Error::Image(format!("{digest} is no image, but a {}", document.media_type())));
        };
        if !manifest.config.media_type.is_image_config() {
            let kind = document.artifact_type().unwrap_or(&manifest.config.media_type);
            return Err(Error::Image(format!("{digest} is no image, but an artifact of type {kind}")));
        }
        let bytes = origin.config_bytes(&manifest.config)?;
        let config = ImageConfig::parse(&bytes)?;
        let (ids, count) = (config.diff_ids.len(), manifest.layers.len());
        if ids != count {
            return Err(Error::Image(format!(
                "the config of {digest} has {ids} diff IDs for {count} layers"
            )));
        }
        let config_text = Object::new(String::from_utf8_lossy(&bytes))?;
        let manifest_text = Object::new(String::from_utf8_lossy(document.bytes()))?;
        let texts = elements(manifest_text.get("layers")?.unwrap_or("null"))?;
        let layer = |((descriptor, text), id): ((&Descriptor, &str), &Digest)| Layer {
            text: Some(text.to_owned()),
            descriptor: descriptor.clone(),
            diff_id: id.clone(),
            origin: Some(origin),
            there,
        };
        let layers = manifest.layers.iter().zip(texts).zip(&config.diff_ids).map(layer).collect();
        let texts = elements(config_text.get("history")?.unwrap_or("null"))?;
        let steps = texts.into_iter().zip(&config.history);
        let history =
            steps.map(|(text, step)| Step { text: text.to_owned(), is_empty: step.empty_layer }).collect();
        Ok(Self {
            origin,
            digest,
            manifest: manifest.clone(),
            manifest_text,
            original: config.clone(),
            original_text: config_text.text().to_owned(),
            config,
            config_text,
            layers,
            history,
            base: None,
        })
    }
}

impl<'a> Work<'a> {
    /// Changes an image; gives its descriptor, with its platform if that changed.
    pub(super) fn image(
        &mut self,
        origin: Origin<'a>,
        descriptor: &Descriptor,
        document: &Document,
    ) -> Result<Descriptor, Error> {
        let mut draft = Draft::load(origin, document, self.there)?;
        let before = self.edited.changes.len();
        self.rebase(&mut draft)?;
        self.layers(&mut draft)?;
        self.config(&mut draft)?;
        let config = self.put_config(&mut draft)?;
        self.carry_layers(&draft)?;
        let text = self.manifest_text(&mut draft, &config)?;
        let media_type = self.dialect(&draft.manifest.media_type)?;
        let new = Document::parse(text, Some(&media_type))?;
        if let Some(manifest) = new.as_manifest() {
            convert::check(Dialect::of(&media_type), manifest)?;
        }
        if new.bytes() != document.bytes() && self.edited.changes.len() == before {
            self.edited.changes.push(format!("{} is written anew", document.digest()));
        }
        let put = self.put(descriptor, document, &new)?;
        let Draft { config, original, .. } = draft;
        let platform = (config.platform != original.platform).then_some(config.platform);
        Ok(Descriptor { platform, ..put })
    }

    /// How the image is run, and what it says of itself.
    fn config(&mut self, draft: &mut Draft<'a>) -> Result<(), Error> {
        let mut new = draft.config.clone();
        self.edit.config.apply(&mut new)?;
        splice(&mut draft.config_text, &draft.config, &new, &mut self.edited.changes)?;
        draft.config = new;
        if self.edit.config.clear.contains(&Setting::History) && !draft.history.is_empty() {
            draft.history.clear();
            self.edited.changes.push("history: taken away".to_owned());
        }
        for entry in &self.edit.config.history {
            let text = self.edit.config.history_entry(entry)?;
            self.edited.changes.push(format!("history: {text} added"));
            draft.history.push(Step { text, is_empty: true });
        }
        Ok(())
    }

    fn put_config(&mut self, draft: &mut Draft<'a>) -> Result<Descriptor, Error> {
        let ids: Vec<&Digest> = draft.layers.iter().map(|layer| &layer.diff_id).collect();
        if ids != draft.original.diff_ids.iter().collect::<Vec<_>>() {
            let ids: Vec<String> = ids.into_iter().map(|id| format!("\"{id}\"")).collect();
            draft.config_text.within("rootfs", |rootfs| {
                let new = array(rootfs.get("diff_ids")?.unwrap_or("null"), &ids)?;
                rootfs.set_text("diff_ids", &new)?;
                Ok::<_, Error>(())
            })?;
        }
        let old = draft.config_text.get("history")?.unwrap_or("null").to_owned();
        let texts: Vec<&str> = draft.history.iter().map(|step| step.text.as_str()).collect();
        if texts != elements(&old)? {
            match texts.is_empty() {
                true => drop(draft.config_text.remove("history")?),
                false => draft.config_text.set_text("history", &array(&old, &texts)?)?,
            }
        }
        let was = &draft.manifest.config;
        let media_type = self.dialect(&was.media_type)?;
        if draft.config_text.text() == draft.original_text {
            if !draft.origin.carry(self.session, was, false)? {
                return Err(Error::Image(format!("its config {was} is not there")));
            }
            return Ok(Descriptor { media_type, ..was.clone() });
        }
        Ok(self.session.put_bytes(media_type, draft.config_text.text().as_bytes())?)
    }

    /// All layers that are to be in the image, from wherever they are.
    fn carry_layers(&mut self, draft: &Draft<'a>) -> Result<(), Error> {
        let mut absent = 0;
        for layer in draft.layers.iter().filter(|layer| !layer.there) {
            let Some(origin) = layer.origin else { continue };
            absent += u64::from(!origin.carry(self.session, &layer.descriptor, self.edit.sparse)?);
        }
        if absent > 0 {
            self.edited.warnings.push(Warning::BlobsAbsent(absent));
        }
        Ok(())
    }

    fn manifest_text(&mut self, draft: &mut Draft<'a>, config: &Descriptor) -> Result<String, Error> {
        let media_type = self.dialect(&draft.manifest.media_type)?;
        let text = &mut draft.manifest_text;
        let was = &draft.manifest.config;
        if !config.is_same_content(was) {
            let new = repointed(text.get("config")?.unwrap_or("{}"), was, config)?;
            text.set_text("config", &new)?;
        }
        let old = text.get("layers")?.unwrap_or("null").to_owned();
        let layers = draft.layers.iter().map(|layer| layer_text(layer, self.edit.convert, &media_type));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        if layers != elements(&old)? {
            text.set_text("layers", &array(&old, &layers)?)?;
        }
        let before = text.text().to_owned();
        if let Some(base) = draft.base.as_ref().filter(|_| Dialect::of(&media_type) == Dialect::Oci) {
            base.apply(text)?;
        }
        self.edit.annotations.apply(text)?;
        if *text.text() != before {
            self.edited.changes.push("annotations of the manifest changed".to_owned());
        }
        if media_type != draft.manifest.media_type {
            self.edited.changes.push(format!("{} -> {media_type}", draft.manifest.media_type));
        }
        retype(text, &draft.manifest.media_type, &media_type)?;
        Ok(text.text().to_owned())
    }

    /// A media type as this edit wants it.
    pub(super) fn dialect(&self, media_type: &MediaType) -> Result<MediaType, Error> {
        self.edit.convert.map_or(Ok(media_type.clone()), |dialect| convert::type_for(dialect, media_type))
    }
}

/// How a layer is written in a manifest of this type: Docker's hold only Docker's layers.
fn layer_text(layer: &Layer<'_>, wanted: Option<Dialect>, manifest: &MediaType) -> Result<String, Error> {
    let was = &layer.descriptor.media_type;
    let media_type = match (wanted, Dialect::of(manifest)) {
        (Some(dialect), _) | (None, dialect @ Dialect::Docker) => convert::type_for(dialect, was)?,
        (None, _) => was.clone(),
    };
    match &layer.text {
        Some(text) if media_type == *was => Ok(text.clone()),
        Some(text) => {
            let mut text = Object::new(text.clone())?;
            text.set("mediaType", &media_type)?;
            Ok(text.text().to_owned())
        }
        None => {
            let descriptor = Descriptor { media_type, ..layer.descriptor.clone() };
            serde_json::to_string(&descriptor).map_err(|error| {
                let reason = error.to_string();
                Error::Spec(transship_spec::Error::Document { what: "descriptor", reason })
            })
        }
    }
}
