//! `transship extract`: the files of an artifact, by the rules of its kind.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use transship_pack::ExtractOptions;
use transship_pack::kinds::{Extract, Held, Sight, Taken, unknown};
use transship_spec::{Digest, Kind};

use super::layers::{Opened, Watched, limited, limits};
use crate::args::{self, Durability};
use crate::content::Content;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::place::Place;
use crate::show;

/// `transship.extract/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    location: String,
    directory: PathBuf,
    dry_run: bool,
    digest: Digest,
    kind: String,
    files: Vec<File>,
    #[serde(flatten)]
    done: Option<Done>,
}

#[derive(Debug, Serialize)]
struct File {
    path: String,
    /// The blob that it is made of; nothing where the kind makes it of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    size: u64,
    /// Whether it is a tar that is unpacked.
    unpacked: bool,
}

/// What is known once it is extracted.
#[derive(Debug, Serialize)]
struct Done {
    entries: u64,
    bytes: u64,
    warnings: Vec<String>,
}

pub(crate) fn run(args: &args::Extract, context: &Context) -> Result<(), Failure> {
    extract(args, context).cannot(format!("extract {}", show::plain(&args.location)))
}

fn extract(args: &args::Extract, context: &Context) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    let (place, content) = Content::at(&args.location, context, &args.layers.reading, &args.layers.network)?;
    let descriptor = content.resolve(None)?;
    let document = content.document(&descriptor)?;
    let opened = Opened::of(&content)?;
    let sight = Sight::of(&document).listed(&descriptor).named(place.reference());
    let held = Held::new(sight, opened.source());
    let kind = match args.kind.as_deref() {
        Some(name) if name == unknown().name() => unknown(),
        Some(name) => context.kinds.named(name)?,
        None => context.kinds.of(&held)?,
    };
    let files = kind.files(&held)?;
    if files.is_empty() {
        return Err(empty(&document, &args.location));
    }
    let mut report = planned(args, &place, kind.name(), &files, &descriptor.digest);
    if args.dry_run {
        return tell(&report, context);
    }
    let stored = report.files.iter().map(|file| file.size).sum();
    let options = ExtractOptions {
        limits: limits(&args.layers.limits),
        durability: match args.durability {
            Durability::Full => transship_layout::Durability::Full,
            Durability::None => transship_layout::Durability::None,
        },
        progress: Some(Arc::new(Watched::new(&context.progress, Some(stored)))),
    };
    // What is under way is removed when this unwinds, and by the next run when it is killed.
    let _grace = context.interrupts.grace();
    let done = transship_pack::extract(&held, kind, &args.directory, &options).map_err(limited)?;
    let warnings: Vec<String> = done.warnings.iter().map(ToString::to_string).collect();
    for warning in &warnings {
        context.progress.warning(warning);
    }
    let text = format!(
        "extracted {} ({}) to {} in {}",
        show::count(done.paths.len(), "file", "files"),
        show::bytes(done.bytes),
        show::plain(&args.directory.display().to_string()),
        show::duration(begun.elapsed())
    );
    let numbers = serde_json::json!({
        "files": done.paths.len(), "bytes": done.bytes, "seconds": begun.elapsed().as_secs_f64()
    });
    context.progress.summary(&text, &numbers);
    report.done = Some(Done { entries: done.entries, bytes: done.bytes, warnings });
    tell(&report, context)
}

/// Why there is nothing to extract, and what there is instead.
fn empty(document: &transship_spec::Document, location: &str) -> Failure {
    let location = show::plain(location);
    match crate::content::kind_of(document) {
        "index" => Failure::new(Kind::Unsupported, "it is an index, and has no files of its own").hint(
            format!("transship inspect {location} lists its members, which are named by LOCATION@DIGEST"),
        ),
        _ => Failure::new(Kind::NotFound, "it has no files")
            .hint(format!("transship inspect {location} tells what it is")),
    }
}

fn planned(args: &args::Extract, place: &Place, kind: &str, files: &[Extract], digest: &Digest) -> Report {
    let file = |file: &Extract| {
        let (blob, size, unpacked) = match &file.taken {
            Taken::Blob(blob) => (Some(blob), blob.size, false),
            Taken::Tar { layer, .. } => (Some(layer), layer.size, true),
            Taken::Bytes(bytes) => (None, bytes.len() as u64, false),
            _ => (None, 0, false),
        };
        File { path: file.path.clone(), digest: blob.map(|blob| blob.digest.clone()), size, unpacked }
    };
    Report {
        location: place.location().to_string(),
        directory: args.directory.clone(),
        dry_run: args.dry_run,
        digest: digest.clone(),
        kind: kind.to_owned(),
        files: files.iter().map(file).collect(),
        done: None,
    }
}

/// The paths of the files, a line each.
fn tell(report: &Report, context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.json("transship.extract/v1", report);
    }
    let row = |file: &File| {
        let path = show::plain(&report.directory.join(&file.path).display().to_string());
        match report.dry_run {
            true => vec![path, show::bytes(file.size)],
            false => vec![path],
        }
    };
    context.output.raw(show::table(&report.files.iter().map(row).collect::<Vec<_>>()).as_bytes())
}
