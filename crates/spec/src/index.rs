//! Indexes: lists of manifests (IMG-75…85).

use crate::fields::{Fields, Writer};
use crate::{Annotations, Descriptor, Document, Error, MediaType};

/// What an index says: a list of manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// [`MediaType::OCI_INDEX`] or its Docker twin.
    pub media_type: MediaType,
    /// The type of the artifact, where the index is one (IMG-84).
    pub artifact_type: Option<MediaType>,
    /// The members.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this index refers to; it need not be there.
    pub subject: Option<Descriptor>,
    /// Annotations of the index.
    pub annotations: Annotations,
}

impl Index {
    /// An index of the OCI with these members.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            media_type: MediaType::OCI_INDEX,
            artifact_type: None,
            manifests,
            subject: None,
            annotations: Annotations::new(),
        }
    }

    pub(crate) fn read(fields: &mut Fields, media_type: &MediaType) -> Result<Self, Error> {
        fields.schema_version()?;
        Ok(Self {
            media_type: media_type.clone(),
            artifact_type: fields.artifact_type()?,
            manifests: fields.array("manifests")?,
            subject: fields.take("subject")?,
            annotations: fields.take("annotations")?.unwrap_or_default(),
        })
    }

    /// The index as bytes. Fields that are not part of this view are not written: this is for new documents.
    ///
    /// # Errors
    /// [`Error::Limit`] past [`Document::MAX_SIZE`].
    pub fn to_document(&self) -> Result<Document, Error> {
        let text = Writer::default()
            .field("schemaVersion", &2)
            .field("mediaType", &self.media_type)
            .optional("artifactType", self.artifact_type.as_ref())
            .field("manifests", &self.manifests)
            .optional("subject", self.subject.as_ref())
            .filled("annotations", &self.annotations)
            .finish();
        Document::parse(text, Some(&self.media_type))
    }
}
