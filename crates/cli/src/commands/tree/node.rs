//! What a tree is made of.

use std::collections::BTreeMap;

use serde::Serialize;
use transship_spec::{Descriptor, Digest, MediaType, annotations};

/// Some content, where it stands in a tree.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node {
    pub(super) role: Role,
    /// The name of an entry, or the tag of a digest tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// What a document is; nothing for other blobs, and for what could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    pub(super) digest: Digest,
    pub(super) media_type: MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<MediaType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<String>,
    /// Bytes of itself.
    pub(super) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    /// What it speaks of, where that stands nowhere in the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Digest>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    /// Why it is not shown as what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Whether what belongs to it stands elsewhere, before.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) seen: bool,
    /// Whether what belongs to it is not shown, for it lies too deep.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) cut: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) children: Vec<Node>,
}

/// What a node is to the one above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    /// It stands at the top.
    Root,
    /// It is listed by an index.
    Member,
    Config,
    Layer,
    /// It refers to it.
    Referrer,
    /// It has a tag that speaks of it.
    DigestTag,
}

/// What is wrong with content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// It is not there.
    Missing,
    /// It is not there, as something says.
    LeftOut,
    /// It is there, and not what it should be.
    Broken,
}

impl Node {
    /// What a descriptor alone says.
    pub(super) fn new(role: Role, descriptor: &Descriptor) -> Self {
        Self {
            role,
            name: None,
            kind: None,
            digest: descriptor.digest.clone(),
            media_type: descriptor.media_type.clone(),
            artifact_type: descriptor.artifact_type.clone(),
            platform: descriptor.platform.as_ref().map(ToString::to_string),
            size: descriptor.size,
            title: descriptor.annotations.get(annotations::TITLE).cloned(),
            subject: None,
            annotations: descriptor.annotations.clone(),
            state: None,
            error: None,
            seen: false,
            cut: false,
            children: Vec::new(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
fn is_false(value: &bool) -> bool {
    !value
}
