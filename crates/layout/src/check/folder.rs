//! What only a layout in a folder has: marker, folders, and what lies among the blobs (IMG-01…09).

use std::collections::HashSet;
use std::io::Read as _;

use transship_spec::{Digest, json, quote};

use super::{Code, Place, Sink};
use crate::dir::{Dir, Refusal};
use crate::layout::{BLOBS, INDEX, Inner, MARKER, MAX_MARKER, is_absence};
use crate::scratch::{FOLDER as SCRATCH, Scratch};
use crate::{Error, Layout, Result};

/// The folder of corrupt blobs that were moved away, in the scratch folder.
pub(super) const QUARANTINE: &str = "quarantine";

/// Looks at the marker, the folders, and what else lies in the root.
pub(super) fn parts(layout: &Layout, sink: &mut Sink<'_>) -> Result<()> {
    let inner = &*layout.0;
    marker(inner, sink);
    let names = inner.root.names().map_err(Error::storage("reading", &inner.path))?;
    let mut unknown = Vec::new();
    for name in names {
        let name = name.map_err(Error::storage("reading", &inner.path))?;
        if ![MARKER, INDEX, BLOBS, SCRATCH].iter().any(|known| name == *known) {
            unknown.push(name.to_string_lossy().into_owned());
        }
    }
    unknown.sort_unstable();
    for name in unknown {
        sink.find(Code::RootFileUnknown, Place::path(name), "the specification does not name it");
    }
    scratch(inner, sink);
    Ok(())
}

/// The file `oci-layout` (IMG-02, IMG-03).
fn marker(inner: &Inner, sink: &mut Sink<'_>) {
    let place = Place::path(MARKER);
    let opened = match inner.read(MARKER) {
        Ok(Some(opened)) => opened,
        Ok(None) => {
            sink.find(Code::MarkerMissing, place, "it is not there");
            return;
        }
        Err(error @ Error::Unsafe { .. }) => {
            sink.find(Code::FileUnsafe, place, error.to_string());
            return;
        }
        Err(error) => {
            sink.find(Code::FileUnreadable, place, error.to_string());
            return;
        }
    };
    let mut content = Vec::new();
    let reading = std::fs::File::from(opened.fd).take(MAX_MARKER + 1).read_to_end(&mut content);
    if let Err(error) = reading.map_err(Error::storage("reading", inner.at(MARKER))) {
        sink.find(Code::FileUnreadable, place, error.to_string());
        return;
    }
    if content.len() as u64 > MAX_MARKER {
        sink.find(Code::LimitExceeded, place, format!("it has more than {MAX_MARKER} bytes"));
        return;
    }
    match version(&content) {
        Ok(version) if version == "1.0.0" => {}
        Ok(version) => sink.find(Code::VersionUnknown, place, quote(&version)),
        Err(reason) => sink.find(Code::MarkerMalformed, place, reason),
    }
}

/// The version that a marker names, or what is wrong with it.
fn version(content: &[u8]) -> Result<String, String> {
    json::validate(content).map_err(|error| error.to_string())?;
    let members =
        json::members(content, 0..content.len()).map_err(|_| "it is not a JSON object".to_owned())?;
    let version = members.into_iter().find(|member| member.name == "imageLayoutVersion");
    let version = version.ok_or("it has no imageLayoutVersion")?;
    let version = content.get(version.value).unwrap_or_default();
    serde_json::from_slice(version).map_err(|_| "its imageLayoutVersion is not a text".to_owned())
}

/// What other runs have left in the scratch folder.
fn scratch(inner: &Inner, sink: &mut Sink<'_>) {
    let scratch = Scratch::new(inner);
    let list = |kind| {
        let names = scratch.existing(kind).and_then(|folder| folder.names().ok());
        names.into_iter().flatten().flatten().map(|name| name.to_string_lossy().into_owned()).collect()
    };
    let kinds: [(&str, Vec<String>, Code, &str); 3] = [
        ("partial", list("partial"), Code::PartialLeft, "a download may go on from here"),
        ("tmp", scratch.abandoned(), Code::TemporaryLeft, "its writer is not alive"),
        (QUARANTINE, list(QUARANTINE), Code::Quarantined, "a corrupt blob was moved here"),
    ];
    for (kind, mut names, code, message) in kinds {
        names.sort_unstable();
        for name in names {
            sink.find(code, Place::path(format!("{SCRATCH}/{kind}/{name}")), message);
        }
    }
}

/// The blobs that lie in a folder.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) digests: Vec<Digest>,
    /// Whether some folder could not be read, so that there may be more.
    pub(super) is_part: bool,
}

impl Listed {
    fn is_unsafe(&mut self, path: &str, what: &str, sink: &mut Sink<'_>) {
        self.is_part = true;
        sink.find(Code::FileUnsafe, Place::path(path), format!("it is {what}"));
    }

    fn unreadable(&mut self, path: &str, error: &Error, sink: &mut Sink<'_>) {
        self.is_part = true;
        sink.find(Code::FileUnreadable, Place::path(path), error.to_string());
    }
}

/// Lists the blobs that lie there by their digests, and reports all else that does.
pub(super) fn blobs(layout: &Layout, sink: &mut Sink<'_>) -> Listed {
    let inner = &*layout.0;
    let mut listed = Listed::default();
    let names = match inner.root.folder(BLOBS, inner.options.links) {
        Ok(blobs) => sorted(inner, &blobs, BLOBS),
        Err(Refusal::Io(error)) if is_absence(&error) => {
            sink.find(Code::BlobsMissing, Place::path(BLOBS), "there is no such folder");
            return listed;
        }
        Err(Refusal::Unsafe(what)) => {
            listed.is_unsafe(BLOBS, what, sink);
            return listed;
        }
        Err(refusal) => Err(inner.refused(BLOBS, refusal)),
    };
    let names = match names {
        Ok(names) => names,
        Err(error) => {
            listed.unreadable(BLOBS, &error, sink);
            return listed;
        }
    };
    let upper: Vec<String> = names.iter().filter(|name| is_upper(name)).cloned().collect();
    clashes(BLOBS, &upper, |lower| names.binary_search(lower).is_ok(), sink);
    for name in names {
        let path = format!("{BLOBS}/{name}");
        match inner.root.folder(&path, inner.options.links) {
            Ok(folder) if is_algorithm(&name) => match algorithm(inner, &folder, &name, sink) {
                Ok(digests) => listed.digests.extend(digests),
                Err(error) => listed.unreadable(&path, &error, sink),
            },
            Ok(_) => {
                sink.find(Code::StrayFile, Place::path(path), "a folder that is named after no algorithm");
            }
            Err(Refusal::Unsafe(what)) => listed.is_unsafe(&path, what, sink),
            Err(Refusal::Io(error)) if is_absence(&error) => {
                sink.find(Code::StrayFile, Place::path(path), "no folder of blobs");
            }
            Err(refusal) => listed.unreadable(&path, &inner.refused(&path, refusal), sink),
        }
    }
    listed
}

fn is_algorithm(name: &str) -> bool {
    // Those that are registered are no algorithms with just any text.
    matches!(name, "sha256" | "sha512" | "blake3") || Digest::parse(&format!("{name}:a")).is_ok()
}

/// The blobs of one algorithm. A million of them are kept as digests, and not by their names.
fn algorithm(inner: &Inner, folder: &Dir, algorithm: &str, sink: &mut Sink<'_>) -> Result<Vec<Digest>> {
    let path = format!("{BLOBS}/{algorithm}");
    let digest = |name: &str| Digest::parse(&format!("{algorithm}:{name}")).ok();
    let (mut listed, mut odd, mut upper) = (Vec::new(), Vec::new(), Vec::new());
    for name in folder.names().map_err(Error::storage("reading", inner.at(&path)))? {
        let name = name.map_err(Error::storage("reading", inner.at(&path)))?;
        let name = name.to_string_lossy();
        let digest = digest(&name);
        if is_upper(&name) {
            upper.push(name.clone().into_owned());
        }
        match digest {
            Some(digest) => listed.push(digest),
            None => odd.push(name.into_owned()),
        }
    }
    listed.sort_unstable();
    odd.sort_unstable();
    upper.sort_unstable();
    let is_taken = |lower: &String| {
        let blob = digest(lower).is_some_and(|digest| listed.binary_search(&digest).is_ok());
        blob || odd.binary_search(lower).is_ok()
    };
    clashes(&path, &upper, is_taken, sink);
    for name in odd {
        let place = Place::path(format!("{path}/{name}"));
        match digest(&name.to_lowercase()) {
            Some(digest) => sink.find(Code::BlobNameCase, place, format!("{digest} is in lower case")),
            None => sink.find(Code::StrayFile, place, "its name is not that of a blob"),
        }
    }
    Ok(listed)
}

/// The names in a folder, in order.
fn sorted(inner: &Inner, folder: &Dir, path: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for name in folder.names().map_err(Error::storage("reading", inner.at(path)))? {
        let name = name.map_err(Error::storage("reading", inner.at(path)))?;
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Names in upper case that are one name with another where case does not count (case L24).
fn clashes(path: &str, upper: &[String], is_taken: impl Fn(&String) -> bool, sink: &mut Sink<'_>) {
    let mut seen = HashSet::new();
    for name in upper {
        let lower = name.to_ascii_lowercase();
        if is_taken(&lower) || !seen.insert(lower) {
            let message = "another name here differs in case alone";
            sink.find(Code::BlobNameClash, Place::path(format!("{path}/{name}")), message);
        }
    }
}

fn is_upper(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_uppercase())
}
