//! `transship pack`: files become an image or an artifact, in a layout, or by way of one in an archive or a registry; or a
//! layer by itself.

mod base;
mod config;
mod files;
mod image;
mod kind;
mod layer;
mod making;
mod reuse;
mod watch;

pub(super) use config::{MAX_CONFIG, changes};
pub(super) use files::{Said, files, packed, subject};
pub(super) use making::{check_folders, excludes, tar};

use std::path::{Path, PathBuf};

use serde::Serialize;
use transship_layout::{Layout, Name};
use transship_pack::Warning;
use transship_spec::{Annotations, Descriptor, Digest, Kind, MediaType, quote};

use super::deliver::{Delivered, deliver, tell};
use crate::args::{AnnotationFlags, PackCommand, PackOutput};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure, Meaning};
use crate::place::{Made, Place};
use crate::show;

impl Meaning for transship_pack::Error {
    fn meaning(&self) -> Kind {
        match self {
            // What cannot be read here is an input, and not the storage that is written to.
            Self::Read { source, .. } => Kind::of_io(source),
            _ => self.kind(),
        }
    }
}

/// Bytes of a file with a descriptor.
const MAX_DESCRIPTOR: u64 = 1 << 20;

/// Bytes of a file of annotations; no manifest may be larger.
const MAX_ANNOTATIONS: u64 = 4 << 20;

/// What was packed.
pub(super) struct Packed {
    descriptor: Descriptor,
    platform: Option<String>,
    layers: Vec<LayerReport>,
    warnings: Vec<Warning>,
}

/// `transship.pack/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    location: String,
    digest: Digest,
    media_type: MediaType,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    layers: Vec<LayerReport>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerReport {
    digest: Digest,
    media_type: MediaType,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff_id: Option<Digest>,
    /// How its bytes came to be, where they were made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reused: Option<bool>,
}

pub(crate) fn run(command: &PackCommand, context: &Context) -> Result<(), Failure> {
    match command {
        PackCommand::Image(args) => image::run(args, context).cannot("pack the image"),
        PackCommand::Layer(args) => layer::run(args, context).cannot("pack the layer"),
        PackCommand::Files(args) => files::run(args, context).cannot("pack the artifact"),
        PackCommand::Kind(args) => kind::run(args, context).cannot(format!("pack it as {}", args.kind)),
    }
}

/// Packs to where it is to go, and tells of it.
fn into(
    to: &str,
    out: &PackOutput,
    context: &Context,
    pack: impl FnOnce(&Layout, Option<&Name>) -> Result<Packed, Failure>,
) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    let (place, packed) = deliver(to, out, context, pack)?;
    announce((&place, packed), ("packed", begun), out, context)
}

/// Tells of what was packed, or attached, since it began.
pub(super) fn announce(
    (place, packed): (&Place, Packed),
    (done, begun): (&str, std::time::Instant),
    out: &PackOutput,
    context: &Context,
) -> Result<(), Failure> {
    for warning in &packed.warnings {
        context.progress.warning(&warning.to_string());
    }
    let bytes = packed.layers.iter().map(|layer| layer.size).sum();
    let parts = match packed.platform {
        Some(_) => show::count(packed.layers.len(), "layer", "layers"),
        None => show::count(packed.layers.len(), "file", "files"),
    };
    let text = format!("{done} {parts} ({}) in {}", show::bytes(bytes), show::duration(begun.elapsed()));
    let numbers = serde_json::json!({
        "layers": packed.layers.len(), "bytes": bytes, "seconds": begun.elapsed().as_secs_f64()
    });
    context.progress.summary(&text, &numbers);
    let Some(location) = tell(place, &packed.descriptor, out, context)? else { return Ok(()) };
    let report = Report {
        location,
        digest: packed.descriptor.digest,
        media_type: packed.descriptor.media_type,
        size: packed.descriptor.size,
        platform: packed.platform,
        layers: packed.layers,
        warnings: packed.warnings.iter().map(ToString::to_string).collect(),
    };
    context.output.json("transship.pack/v1", &report)
}

impl Delivered for Packed {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }
}

/// Refuses to pack a layout into itself: it would hold another half of itself each time. Where it is left out already, the
/// glob that leaves out what it is called while it is made is given.
pub(super) fn apart(inputs: &[&Path], to: &str, excludes: &[String]) -> Result<Vec<String>, Failure> {
    let Place::Layout { path, .. } = Place::find(to, Made::Now)? else { return Ok(Vec::new()) };
    let mut globs = Vec::new();
    for input in inputs.iter().filter(|input| input.is_dir()) {
        let Some(inner) = beneath(input, &path) else { continue };
        let (inner, shown) = (inner.to_string_lossy().into_owned(), show::plain(&path.to_string_lossy()));
        let told = |glob: &String| glob.trim_matches('/') == inner;
        if inner.is_empty() || !excludes.iter().any(told) {
            let input = show::plain(&input.to_string_lossy());
            let failure = Failure::usage(format!("{shown} lies in {input}, and would be packed into itself"));
            return Err(match inner.as_str() {
                "" => failure.hint("put it elsewhere"),
                inner => failure.hint(format!("put it elsewhere, or leave it out: --exclude /{inner}")),
            });
        }
        let (folder, name) = inner.rsplit_once('/').map_or(("", &*inner), |(folder, name)| (folder, name));
        globs.push(format!("{folder}/.{name}.transship-*"));
    }
    Ok(globs)
}

/// Where a path, that need not be there yet, is below a folder.
fn beneath(folder: &Path, path: &Path) -> Option<PathBuf> {
    let whole = match path.canonicalize() {
        Ok(whole) => whole,
        Err(_) => crate::files::folder_of(path).canonicalize().ok()?.join(path.file_name()?),
    };
    Some(whole.strip_prefix(folder.canonicalize().ok()?).ok()?.to_owned())
}

/// What a file says of content elsewhere.
fn descriptor(path: &Path) -> Result<Descriptor, Failure> {
    let text = crate::files::read(path, MAX_DESCRIPTOR)?;
    serde_json::from_slice(&text).map_err(|error| {
        let path = show::plain(&path.to_string_lossy());
        Failure::new(Kind::Invalid, format!("{path} is not a descriptor: {error}"))
    })
}

/// The value of `SOURCE_DATE_EPOCH`.
pub(super) fn epoch(context: &Context) -> Result<Option<i64>, Failure> {
    let text = context.environment.source_date_epoch.as_deref();
    Ok(text.map(transship_pack::source_date_epoch).transpose()?)
}

/// What files say, then flags, which win.
fn annotations(flags: &AnnotationFlags) -> Result<Annotations, Failure> {
    let mut all = Annotations::new();
    for path in &flags.annotation_file {
        let told = format!("take annotations from {}", show::plain(&path.to_string_lossy()));
        all.extend(read_annotations(path).cannot(told)?);
    }
    all.extend(flags.annotation.iter().cloned());
    Ok(all)
}

/// A JSON object of texts, or lines.
fn read_annotations(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let content = crate::files::read(path, MAX_ANNOTATIONS)?;
    if content.trim_ascii_start().starts_with(b"{") {
        transship_spec::json::validate(&content)?;
        let object: Result<Annotations, _> = serde_json::from_slice(&content);
        let wrong = |error| Failure::new(Kind::Invalid, format!("it is not an object of texts: {error}"));
        return Ok(object.map_err(wrong)?.into_iter().collect());
    }
    let pairs = crate::files::lines_of(path, content)?.into_iter().map(|line| {
        crate::args::pair(&line)
            .map_err(|reason| Failure::new(Kind::Invalid, format!("{}: {reason}", quote(&line))))
    });
    pairs.collect()
}
