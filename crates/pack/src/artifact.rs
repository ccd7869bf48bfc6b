//! An artifact: anything that is no image, as a manifest of the OCI (IMG-65…69).
//!
//! Three forms, by what there is: nothing but what the manifest says; files; files with a config of their own. Where there
//! is no config, or no file, the empty descriptor stands for it, and its blob `{}` is written, for registries want it.

use std::path::PathBuf;

use transship_layout::{IndexEdit, Name, Session};
use transship_spec::{Annotations, Descriptor, Manifest, MediaType, annotations, referrers};

use crate::epoch::created;
use crate::image::check_annotations;
use crate::kinds::Made;
use crate::kinds::files::store;
use crate::layer::Progress;
use crate::{Error, Warning};

/// ORAS's word for a config whose type nobody told.
pub(crate) const UNKNOWN_CONFIG: &str = "application/vnd.unknown.config.v1+json";

/// What an artifact says beside its files.
#[derive(Debug, Clone, Default)]
pub struct ArtifactOptions {
    /// What it is. An artifact with a config of its own may go without: then the config's type says it (IMG-69).
    pub artifact_type: Option<MediaType>,
    /// A config of its own.
    pub config: Option<ArtifactConfig>,
    /// The manifest that it refers to, which need not be in the layout. It is named by type, digest and size alone, so that
    /// the artifact is the same wherever its subject was found.
    pub subject: Option<Descriptor>,
    /// Annotations of the manifest.
    pub annotations: Annotations,
    /// When it was made: a date with time and offset (RFC 3339). Else it is `source_date_epoch`, else nothing is said.
    pub created: Option<String>,
    /// The value of `SOURCE_DATE_EPOCH`, which this library does not look for.
    pub source_date_epoch: Option<i64>,
}

/// A config of an artifact's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactConfig {
    /// Where it is.
    pub path: PathBuf,
    /// What it is; without a type it goes by ORAS's word for the unknown.
    pub media_type: Option<MediaType>,
}

/// An artifact in a layout.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Artifact {
    /// The manifest, with the artifact's type; for a referrer with its annotations, as lists of referrers show them.
    pub descriptor: Descriptor,
    /// Its layers as the manifest names them.
    pub layers: Vec<Descriptor>,
    /// What could not be kept, or is doubtful.
    pub warnings: Vec<Warning>,
    /// The repository's last name and the tag by which the tool of its kind would push it.
    pub called: Option<(String, String)>,
    refers: bool,
}

impl Artifact {
    /// What a kind made, once it is stored.
    pub(crate) fn of(made: Made, warnings: Vec<Warning>) -> Self {
        let Made { document, called } = made;
        let refers = document.subject().is_some();
        // IMG-38: what lists it tells what it is; of referrers their annotations are told, too (DIST-71).
        let descriptor = match refers {
            true => referrers::descriptor(&document),
            false => Descriptor { artifact_type: document.artifact_type().cloned(), ..document.descriptor() },
        };
        let layers = document.as_manifest().map(|manifest| manifest.layers.clone()).unwrap_or_default();
        Self { descriptor, layers, warnings, called, refers }
    }

    /// Lists the artifact: under its name, else as a referrer of its subject, else as content that was asked for.
    pub(crate) fn list(
        &self,
        index: &mut IndexEdit<'_>,
        name: Option<&Name>,
    ) -> transship_layout::Result<()> {
        match name {
            Some(name) => index.set(name, &self.descriptor).map(drop),
            None if self.refers => index.add(&self.descriptor).map(drop),
            None => index.pin(&self.descriptor).map(drop),
        }
    }
}

/// An artifact whose files are still to be stored; whatever can be wrong with options is found before.
pub(crate) struct Draft<'a> {
    options: &'a ArtifactOptions,
    artifact_type: Option<MediaType>,
    annotations: Annotations,
    warnings: Vec<Warning>,
}

impl ArtifactOptions {
    /// Begins an artifact; `default_type` says what it is when nobody does.
    pub(crate) fn draft(&self, default_type: Option<&str>) -> Result<Draft<'_>, Error> {
        let mut annotations = self.annotations.clone();
        if let Some(time) = created(self.created.as_deref(), self.source_date_epoch)? {
            annotations.entry(annotations::CREATED.to_owned()).or_insert(time);
        }
        let mut artifact_type = self.artifact_type.clone();
        let config_type = self.config.as_ref().map(ArtifactConfig::media_type).transpose()?;
        // IMG-60: a config of the empty type says nothing of what the artifact is.
        if artifact_type.is_none() && config_type.as_ref().is_none_or(|kind| *kind == MediaType::OCI_EMPTY) {
            artifact_type = default_type.map(MediaType::parse).transpose()?;
        }
        let mut warnings = check_annotations(&self.annotations)?;
        if config_type.is_some_and(|kind| kind.is_image_config()) {
            warnings.push(Warning::ImageConfigType);
        }
        Ok(Draft { options: self, artifact_type, annotations, warnings })
    }
}

impl ArtifactConfig {
    fn media_type(&self) -> Result<MediaType, Error> {
        self.media_type.clone().map_or_else(|| Ok(MediaType::parse(UNKNOWN_CONFIG)?), Ok)
    }
}

impl Draft<'_> {
    /// Writes config and manifest.
    pub(crate) fn write(
        self,
        session: &Session,
        mut layers: Vec<Descriptor>,
        listener: &dyn Progress,
    ) -> Result<Artifact, Error> {
        let config = match &self.options.config {
            Some(config) => {
                Descriptor { media_type: config.media_type()?, ..store(session, &config.path, listener)? }
            }
            None => Descriptor::empty(),
        };
        if layers.is_empty() {
            layers.push(Descriptor::empty());
        }
        if layers.iter().chain([&config]).any(|part| part.media_type == MediaType::OCI_EMPTY) {
            session.put_bytes(MediaType::OCI_EMPTY, b"{}")?;
        }
        let mut manifest = Manifest::new(config, layers);
        manifest.artifact_type = self.artifact_type;
        let named = |it: &Descriptor| Descriptor::new(it.media_type.clone(), it.digest.clone(), it.size);
        manifest.subject = self.options.subject.as_ref().map(named);
        manifest.annotations = self.annotations;
        let document = manifest.to_document()?;
        session.put_document(&document)?;
        Ok(Artifact::of(Made::of(document), self.warnings))
    }
}
