//! A comparison for programs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;
use transship_pack::{
    Aspect, Compared, Diff, FieldChange, FileChange, FileState, LayerChange, PlacedLayer, Status,
};
use transship_spec::{Digest, MediaType};

use super::text::kind;
use crate::place::Place;

/// `transship.diff/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a> {
    left: Side<'a>,
    right: Side<'a>,
    differ: bool,
    index: Vec<Field<'a>>,
    manifest: Vec<Field<'a>>,
    config: Vec<Field<'a>>,
    layers: Vec<Layer<'a>>,
    /// Null where files were not compared.
    files: Option<Vec<File<'a>>>,
    other_platforms: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Side<'a> {
    location: String,
    digest: &'a Digest,
    media_type: &'a MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a Digest>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Field<'a> {
    status: &'static str,
    pointer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<&'a RawValue>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Layer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Placed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<Placed<'a>>,
    moved: bool,
    fields: Vec<Field<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Placed<'a> {
    position: usize,
    digest: &'a Digest,
    media_type: &'a MediaType,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff_id: Option<&'a Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    status: &'static str,
    path: Cow<'a, str>,
    /// The bytes of a path that is not UTF-8, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<State<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<State<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    kind: &'static str,
    /// Four octal digits.
    mode: String,
    uid: u32,
    gid: u32,
    /// Seconds since 1970 and nine digits of them.
    mtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<(u32, u32)>,
    /// Values in hexadecimal digits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<Cow<'a, str>, String>,
}

impl<'a> Report<'a> {
    pub(super) fn new(places: &[Place; 2], diff: &'a Diff) -> Self {
        let [left, right] = places;
        Self {
            left: Side::of(left, &diff.left),
            right: Side::of(right, &diff.right),
            differ: !diff.is_empty(),
            index: fields(&diff.index),
            manifest: fields(&diff.manifest),
            config: fields(&diff.config),
            layers: diff.layers.iter().map(Layer::of).collect(),
            files: diff.files.as_ref().map(|files| files.iter().map(File::of).collect()),
            other_platforms: diff.others.iter().map(ToString::to_string).collect(),
            warnings: diff.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

impl<'a> Side<'a> {
    fn of(place: &Place, side: &'a Compared) -> Self {
        Self {
            location: place.location().to_string(),
            digest: &side.digest,
            media_type: &side.media_type,
            platform: side.platform.as_ref().map(ToString::to_string),
            index: side.index.as_ref(),
        }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Added => "added",
        Status::Removed => "removed",
        Status::Changed => "changed",
    }
}

fn fields(changes: &[FieldChange]) -> Vec<Field<'_>> {
    changes.iter().map(Field::of).collect()
}

impl<'a> Field<'a> {
    fn of(change: &'a FieldChange) -> Self {
        Self {
            status: word(change.status()),
            pointer: &change.pointer,
            left: change.left.as_deref(),
            right: change.right.as_deref(),
        }
    }
}

impl<'a> Layer<'a> {
    fn of(change: &'a LayerChange) -> Self {
        Self {
            status: word(change.status()),
            left: change.left.as_ref().map(Placed::of),
            right: change.right.as_ref().map(Placed::of),
            moved: change.moved,
            fields: fields(&change.fields),
        }
    }
}

impl<'a> Placed<'a> {
    fn of(layer: &'a PlacedLayer) -> Self {
        Self {
            position: layer.position,
            digest: &layer.descriptor.digest,
            media_type: &layer.descriptor.media_type,
            size: layer.descriptor.size,
            diff_id: layer.diff_id.as_ref(),
            title: layer.title(),
        }
    }
}

impl<'a> File<'a> {
    fn of(change: &'a FileChange) -> Self {
        Self {
            status: word(change.status()),
            path: change.path.to_string_lossy(),
            path_hex: change.path.to_str().is_none().then(|| hex(change.path.as_os_str().as_encoded_bytes())),
            changed: change.aspects.iter().map(|aspect| aspect_word(*aspect)).collect(),
            left: change.left.as_ref().map(State::of),
            right: change.right.as_ref().map(State::of),
        }
    }
}

impl<'a> State<'a> {
    fn of(state: &'a FileState) -> Self {
        let is_file = state.kind == transship_pack::FileKind::File;
        let xattrs = state.xattrs.iter();
        Self {
            kind: kind(state.kind),
            mode: format!("{:04o}", state.mode),
            uid: state.uid,
            gid: state.gid,
            mtime: format!("{}.{:09}", state.mtime.0, state.mtime.1),
            size: is_file.then_some(state.size),
            digest: state.content.as_ref(),
            target: state.target.as_deref().map(String::from_utf8_lossy),
            device: state.device,
            xattrs: xattrs.map(|(name, value)| (String::from_utf8_lossy(name), hex(value))).collect(),
        }
    }
}

fn aspect_word(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Kind => "kind",
        Aspect::Mode => "mode",
        Aspect::Owner => "owner",
        Aspect::Size => "size",
        Aspect::Content => "content",
        Aspect::Target => "target",
        Aspect::Device => "device",
        Aspect::Xattrs => "xattrs",
        Aspect::Mtime => "mtime",
        _ => "other",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
