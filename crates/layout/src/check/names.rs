//! The entries of `index.json`, and what they are called (IMG-05, IMG-13…19, IMG-170).

use std::collections::{HashMap, HashSet};

use transship_spec::annotations::is_ref_name;
use transship_spec::{Digest, MediaType, json, quote};

use super::{Code, Place, Sink, descriptor};
use crate::dir::FileState;
use crate::index::{Entry, Index};
use crate::layout::INDEX;
use crate::names::Names;
use crate::{Error, Layout, Result};

/// The entries that could be read.
pub(super) struct Listed {
    pub(super) entries: Vec<Entry>,
    /// Whether that is all of them.
    pub(super) whole: bool,
    /// The state of the file that was read.
    pub(super) state: Option<FileState>,
}

/// Reads the index of a layout, entry by entry.
pub(super) fn read(layout: &Layout, sink: &mut Sink<'_>) -> Result<Listed> {
    let none = Listed { entries: Vec::new(), whole: false, state: None };
    let place = Place::path(INDEX);
    let (index, state) = match Index::load(&layout.0) {
        Ok(loaded) => loaded,
        Err(error) => {
            let code = match &error {
                Error::NotALayout { .. } => Code::IndexMissing,
                Error::Malformed { source: transship_spec::Error::Limit { .. }, .. }
                | Error::Limit { .. } => Code::LimitExceeded,
                Error::Malformed { .. } => Code::IndexMalformed,
                Error::Unsafe { .. } => Code::FileUnsafe,
                Error::Storage { .. } => Code::FileUnreadable,
                _ => return Err(error),
            };
            sink.find(code, place, error.to_string());
            return Ok(none);
        }
    };
    Ok(list(&index, Some(state), sink))
}

/// Goes through an index, entry by entry.
pub(super) fn list(index: &Index, state: Option<FileState>, sink: &mut Sink<'_>) -> Listed {
    let whole = head(index, &Place::path(INDEX), sink);
    let mut listed = Listed { entries: Vec::with_capacity(index.len()), whole, state };
    for position in 0..index.len() {
        match index.entry(position) {
            Ok(entry) => listed.entries.push(entry),
            Err(error) => {
                sink.find(Code::EntryMalformed, Place::entry(position), error.to_string());
                listed.whole = false;
            }
        }
    }
    listed
}

/// Looks at what the index says beside its entries; tells whether it is an index at all.
fn head(index: &Index, place: &Place, sink: &mut Sink<'_>) -> bool {
    let text = index.text.as_bytes();
    let outline = json::outline(text).unwrap_or_default();
    let value = |name: &str| {
        let member = outline.iter().find(|outlined| outlined.member.name == name)?;
        text.get(member.member.value.clone())
    };
    if value("manifests") == Some(b"null") {
        sink.find(Code::ListNull, place.part("manifests"), "it is null");
    }
    match value("annotations").map(serde_json::from_slice::<Option<transship_spec::Annotations>>) {
        Some(Ok(annotations)) => descriptor::annotations(&annotations.unwrap_or_default(), place, sink),
        Some(Err(error)) => {
            sink.find(Code::IndexMalformed, place.part("annotations"), error.to_string());
        }
        None => {}
    }
    if value("config").is_some() || value("layers").is_some() {
        let message = "it has the members of an index and those of a manifest (CVE-2021-41190)";
        sink.find(Code::IndexMalformed, place.clone(), message);
        return false;
    }
    match value("mediaType").map(serde_json::from_slice::<Option<String>>) {
        None | Some(Ok(None)) => {
            sink.find(Code::MediaTypeMissing, place.clone(), "it has no mediaType of its own");
        }
        Some(Ok(Some(own))) if own == MediaType::OCI_INDEX.as_str() => {}
        Some(Ok(Some(own))) => {
            sink.find(Code::MediaTypeMismatch, place.clone(), format!("it calls itself {}", quote(&own)));
        }
        Some(Err(_)) => {
            sink.find(Code::IndexMalformed, place.part("mediaType"), "it is not a text");
        }
    }
    true
}

/// Looks at what entries are called, each by itself and all together.
pub(super) fn check(entries: &[Entry], sink: &mut Sink<'_>) {
    let mut bearers: HashMap<String, usize> = HashMap::new();
    let mut folded: HashMap<String, String> = HashMap::new();
    let mut same: HashSet<(&Digest, &MediaType, Vec<String>)> = HashSet::new();
    for (at, entry) in entries.iter().enumerate() {
        let place = Place::entry(entry.position);
        if let Some(name) = entry.name().filter(|name| !is_ref_name(name)) {
            sink.find(Code::NameGrammar, place.clone(), quote(name));
        }
        let claims = Names::of(&entry.descriptor).claims();
        for claim in &claims {
            match folded.get(&claim.to_lowercase()) {
                Some(other) if other != claim => {
                    let message = format!("{} and {}", quote(claim), quote(other));
                    sink.find(Code::NameCase, place.clone(), message);
                }
                Some(_) => {}
                None => drop(folded.insert(claim.to_lowercase(), claim.clone())),
            }
            let first = *bearers.entry(claim.clone()).or_insert(at);
            if entries.get(first).is_some_and(|first| is_ambiguous(first, entry)) {
                let first = entries.get(first).map_or(0, |first| first.position);
                let message = format!("{} is also the name of entry {first}", quote(claim));
                sink.find(Code::NameAmbiguous, place.clone(), message);
            }
        }
        if !same.insert((&entry.descriptor.digest, &entry.descriptor.media_type, claims)) {
            sink.find(Code::EntryDuplicate, place, format!("{} is listed before", entry.descriptor.digest));
        }
    }
}

/// Whether two entries of one name are different things, and no platform tells them apart (case L13).
fn is_ambiguous(first: &Entry, other: &Entry) -> bool {
    let (first, other) = (&first.descriptor, &other.descriptor);
    let apart = match (&first.platform, &other.platform) {
        (Some(one), Some(other)) => one.normalized() != other.normalized(),
        _ => false,
    };
    first.digest != other.digest && !apart
}
