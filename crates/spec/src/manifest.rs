//! Manifests: a config with layers, which is an image or an artifact (IMG-50…69).

use crate::fields::{Fields, Writer};
use crate::{Annotations, Descriptor, Document, Error, MediaType};

/// What a manifest says: a config and layers. Artifacts have this form, too (IMG-66).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// [`MediaType::OCI_MANIFEST`] or its Docker twin.
    pub media_type: MediaType,
    /// The type of the artifact, where it has one of its own (IMG-60).
    pub artifact_type: Option<MediaType>,
    /// The config, or the empty descriptor.
    pub config: Descriptor,
    /// The layers, base first (IMG-57).
    pub layers: Vec<Descriptor>,
    /// The manifest that this one refers to; it need not be there (IMG-59).
    pub subject: Option<Descriptor>,
    /// Annotations of the manifest.
    pub annotations: Annotations,
}

impl Manifest {
    /// A manifest of the OCI with this config and these layers.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            media_type: MediaType::OCI_MANIFEST,
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: Annotations::new(),
        }
    }

    pub(crate) fn read(fields: &mut Fields, media_type: &MediaType) -> Result<Self, Error> {
        fields.schema_version()?;
        Ok(Self {
            media_type: media_type.clone(),
            artifact_type: fields.artifact_type()?,
            config: fields.require("config")?,
            layers: fields.array("layers")?,
            subject: fields.take("subject")?,
            annotations: fields.take("annotations")?.unwrap_or_default(),
        })
    }

    /// The manifest as bytes. Fields that are not part of this view are not written: this is for new documents.
    ///
    /// # Errors
    /// [`Error::Limit`] past [`Document::MAX_SIZE`].
    pub fn to_document(&self) -> Result<Document, Error> {
        self.write(Writer::default().field("schemaVersion", &2).field("mediaType", &self.media_type))
    }

    /// The same without its `mediaType`, as Helm and conftest write manifests: only what lists it tells what it is.
    ///
    /// # Errors
    /// [`Error::Limit`] past [`Document::MAX_SIZE`].
    pub fn to_untyped_document(&self) -> Result<Document, Error> {
        self.write(Writer::default().field("schemaVersion", &2))
    }

    fn write(&self, head: Writer) -> Result<Document, Error> {
        let text = head
            .optional("artifactType", self.artifact_type.as_ref())
            .field("config", &self.config)
            .field("layers", &self.layers)
            .optional("subject", self.subject.as_ref())
            .filled("annotations", &self.annotations)
            .finish();
        Document::parse(text, Some(&self.media_type))
    }
}

/// What an artifact manifest of the release candidates says: read and carried, never written (IMG-155).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArtifactManifest {
    pub(crate) artifact_type: Option<MediaType>,
    pub(crate) blobs: Vec<Descriptor>,
    pub(crate) subject: Option<Descriptor>,
    pub(crate) annotations: Annotations,
}

impl ArtifactManifest {
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, Error> {
        Ok(Self {
            artifact_type: fields.artifact_type()?,
            blobs: fields.take("blobs")?.unwrap_or_default(),
            subject: fields.take("subject")?,
            annotations: fields.take("annotations")?.unwrap_or_default(),
        })
    }
}
