//! What there is to say of an artifact.

use serde::Serialize;
use transship_spec::{Descriptor, MediaType, annotations};

use super::Sight;

/// What there is to say of an artifact, in the order in which it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Facts {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Which version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Facts from inside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// What it consists of, the empty blob aside.
    pub parts: Vec<Piece>,
}

/// Something that an artifact says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What is told: lower-case words.
    pub name: String,
    /// One value or several, of any text: whoever shows it takes care of control characters.
    pub values: Vec<String>,
}

/// A blob or a manifest that an artifact consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// What it is to the artifact: `chart`, `provenance`; else `config`, `layer` or `member`.
    pub role: String,
    /// What it is called, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The blob or manifest, with the annotations that its document gives it.
    pub descriptor: Descriptor,
}

impl Facts {
    /// What the manifest or index alone says: title and version by the OCI's annotations, and its parts.
    #[must_use]
    pub fn of(sight: &Sight<'_>) -> Self {
        let config = sight.config().map(|config| Piece::new("config", config));
        let layers = sight.layers().into_iter().map(|layer| Piece::new("layer", layer));
        let members = sight.members().iter().map(|member| Piece::new("member", member));
        let parts = config.into_iter().chain(layers).chain(members);
        Self {
            title: sight.annotation(annotations::TITLE).map(str::to_owned),
            version: sight.annotation(annotations::VERSION).map(str::to_owned),
            facts: Vec::new(),
            parts: parts.filter(|part| part.descriptor.media_type != MediaType::OCI_EMPTY).collect(),
        }
    }

    /// Adds a fact. One without a value is not said.
    pub fn add(&mut self, name: &str, values: impl IntoIterator<Item = impl Into<String>>) {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.facts.push(Fact { name: name.to_owned(), values });
        }
    }

    /// Says what the parts of a media type are to the artifact.
    pub fn call(&mut self, media_type: &str, role: &str) {
        for part in self.parts.iter_mut().filter(|part| part.descriptor.media_type.as_str() == media_type) {
            role.clone_into(&mut part.role);
        }
    }
}

impl Piece {
    /// A part, with the title that its descriptor bears.
    #[must_use]
    pub fn new(role: &str, descriptor: &Descriptor) -> Self {
        let name = descriptor.annotations.get(annotations::TITLE).cloned();
        Self { role: role.to_owned(), name, descriptor: descriptor.clone() }
    }
}
