//! The layers of two images, or the blobs of two artifacts, matched with each other.
//!
//! Layers are the same when their diff IDs are, in whatever compression; blobs of artifacts have a title, or else their
//! digest.

use std::collections::{HashMap, VecDeque};

use transship_spec::{Descriptor, Digest, Error, annotations};

use super::Status;
use super::fields::{self, FieldChange};

/// A layer or a blob that only one side has, or that both have in different forms.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LayerChange {
    /// What the left has.
    pub left: Option<PlacedLayer>,
    /// What the right has.
    pub right: Option<PlacedLayer>,
    /// What else their descriptors say differently, beside digest and size.
    pub fields: Vec<FieldChange>,
    /// Whether it has another place among those that both have.
    pub moved: bool,
}

/// A layer, and where it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlacedLayer {
    /// Its place, from zero, which is the base.
    pub position: usize,
    /// What is stored.
    pub descriptor: Descriptor,
    /// The digest of the plain tar; none for the blob of an artifact.
    pub diff_id: Option<Digest>,
}

impl LayerChange {
    /// Whether it was added, removed or changed.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(self.left.is_some(), self.right.is_some())
    }

    /// Whether it is stored as other bytes.
    #[must_use]
    pub fn is_stored_otherwise(&self) -> bool {
        let digest = |side: &Option<PlacedLayer>| side.as_ref().map(|layer| layer.descriptor.digest.clone());
        digest(&self.left) != digest(&self.right)
    }
}

impl PlacedLayer {
    /// The title of a file of an artifact.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.descriptor.annotations.get(annotations::TITLE).map(String::as_str)
    }

    /// By what it is known again.
    fn key(&self) -> Key {
        match (&self.diff_id, self.title()) {
            (Some(diff_id), _) => Key::Digest(diff_id.clone()),
            (None, Some(title)) => Key::Title(title.to_owned()),
            (None, None) => Key::Digest(self.descriptor.digest.clone()),
        }
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Digest(Digest),
    Title(String),
}

/// All that differs: what both have and what the left has, in the order of the left, then what only the right has.
///
/// # Errors
/// Those of [`fields::compare`].
pub(super) fn compare(left: Vec<PlacedLayer>, right: Vec<PlacedLayer>) -> Result<Vec<LayerChange>, Error> {
    let mut rest: HashMap<Key, VecDeque<PlacedLayer>> = HashMap::new();
    for layer in right {
        rest.entry(layer.key()).or_default().push_back(layer);
    }
    let pairs: Vec<(PlacedLayer, Option<PlacedLayer>)> = left
        .into_iter()
        .map(|layer| {
            let other = rest.get_mut(&layer.key()).and_then(VecDeque::pop_front);
            (layer, other)
        })
        .collect();
    let moved = moved(pairs.iter().filter_map(|(_, right)| Some(right.as_ref()?.position)).collect());
    let mut changes = Vec::new();
    for (left, right) in pairs {
        let fields = match &right {
            Some(right) => descriptors(&left.descriptor, &right.descriptor)?,
            None => Vec::new(),
        };
        let moved = right.as_ref().is_some_and(|right| moved.contains(&right.position));
        let change = LayerChange { left: Some(left), right, fields, moved };
        if change.status() != Status::Changed
            || change.moved
            || change.is_stored_otherwise()
            || !change.fields.is_empty()
        {
            changes.push(change);
        }
    }
    let mut added: Vec<PlacedLayer> = rest.into_values().flatten().collect();
    added.sort_unstable_by_key(|layer| layer.position);
    changes.extend(added.into_iter().map(|layer| LayerChange {
        left: None,
        right: Some(layer),
        fields: Vec::new(),
        moved: false,
    }));
    Ok(changes)
}

/// Positions on the right that are not in the order of the left.
fn moved(positions: Vec<usize>) -> Vec<usize> {
    let mut sorted = positions.clone();
    sorted.sort_unstable();
    positions.into_iter().zip(sorted).filter(|(is, would)| is != would).map(|(is, _)| is).collect()
}

/// What descriptors of one content say differently.
fn descriptors(left: &Descriptor, right: &Descriptor) -> Result<Vec<FieldChange>, Error> {
    let json = |descriptor: &Descriptor| serde_json::to_vec(descriptor).unwrap_or_default();
    fields::compare(&json(left), &json(right), &["/digest", "/size"])
}
