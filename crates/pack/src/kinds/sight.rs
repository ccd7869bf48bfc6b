//! What is seen of content before any blob of it is read.

use transship_spec::{Annotations, Descriptor, Document, MediaType};

/// A manifest or index as it is seen: itself, and how the place where it is speaks of it.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    document: &'a Document,
    listed: Option<&'a Descriptor>,
    name: Option<&'a str>,
}

/// By what something shows of what kind it is. The first of them that any kind finds decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Its artifact type.
    ArtifactType,
    /// The media type of its config.
    ConfigType,
    /// The media types of its layers.
    LayerType,
    /// Its annotations, or those of the entry or member that lists it.
    Annotation,
    /// The form of its name, such as `sha256-….sig`.
    Name,
}

impl<'a> Sight<'a> {
    /// A document by itself.
    #[must_use]
    pub fn of(document: &'a Document) -> Self {
        Self { document, listed: None, name: None }
    }

    /// As an entry or a member of an index lists it: with annotations and a platform.
    #[must_use]
    pub fn listed(self, descriptor: &'a Descriptor) -> Self {
        Self { listed: Some(descriptor), ..self }
    }

    /// By the name, or the tag, that it has.
    #[must_use]
    pub fn named(self, name: Option<&'a str>) -> Self {
        Self { name, ..self }
    }

    /// The manifest or index itself.
    #[must_use]
    pub fn document(&self) -> &'a Document {
        self.document
    }

    /// The name that it has: a tag or a full reference.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// The type that the document gives itself: not that of its config.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&'a MediaType> {
        match self.document.as_manifest() {
            Some(manifest) => manifest.artifact_type.as_ref(),
            None => self.document.artifact_type(),
        }
    }

    /// The type of its config, if it has one.
    #[must_use]
    pub fn config_type(&self) -> Option<&'a MediaType> {
        self.config().map(|config| &config.media_type)
    }

    /// Its config, the empty one too.
    #[must_use]
    pub fn config(&self) -> Option<&'a Descriptor> {
        self.document.as_manifest().map(|manifest| &manifest.config)
    }

    /// Its layers, or, of a manifest of the release candidates, its blobs. None for an index.
    #[must_use]
    pub fn layers(&self) -> Vec<&'a Descriptor> {
        match (self.document.as_manifest(), self.document.as_index()) {
            (Some(manifest), _) => manifest.layers.iter().collect(),
            (None, None) => self.document.children(),
            (None, Some(_)) => Vec::new(),
        }
    }

    /// The members of an index.
    #[must_use]
    pub fn members(&self) -> &'a [Descriptor] {
        self.document.as_index().map(|index| index.manifests.as_slice()).unwrap_or_default()
    }

    /// Its own annotations.
    #[must_use]
    pub fn annotations(&self) -> &'a Annotations {
        self.document.annotations()
    }

    /// An annotation of its own, else of the entry or member that lists it.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        let listed = || self.listed.and_then(|listed| listed.annotations.get(key));
        self.annotations().get(key).or_else(listed).map(String::as_str)
    }

    /// Whether its artifact type is this one.
    #[must_use]
    pub fn is_type(&self, media_type: &str) -> bool {
        self.artifact_type().is_some_and(|found| found.as_str() == media_type)
    }

    /// Whether its config has this type.
    #[must_use]
    pub fn is_config(&self, media_type: &str) -> bool {
        self.config_type().is_some_and(|found| found.as_str() == media_type)
    }

    /// Its layers of this type.
    pub fn layers_of(&self, media_type: &str) -> impl Iterator<Item = &'a Descriptor> {
        self.layers().into_iter().filter(move |layer| layer.media_type.as_str() == media_type)
    }
}
