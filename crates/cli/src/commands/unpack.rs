//! `transship unpack`: the layers of an image become a tree of files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use transship_pack::{NotSet, PlannedLayer, Rootfs, UnpackOptions, UnpackPlan, Unpacked};
use transship_spec::{Digest, MediaType};

use super::layers::{Opened, Watched, limited, limits};
use crate::args::{self, Durability};
use crate::content::Content;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::place::Place;
use crate::{local, show};

/// `transship.unpack/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    location: String,
    directory: PathBuf,
    dry_run: bool,
    digest: Digest,
    platform: String,
    layers: Vec<Layer>,
    /// Bytes of the layers as they are stored.
    stored: u64,
    #[serde(flatten)]
    done: Option<Done>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    digest: Digest,
    media_type: MediaType,
    size: u64,
    diff_id: Digest,
}

/// What is known once it is unpacked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    entries: u64,
    bytes: u64,
    whiteouts: u64,
    not_set: Missing,
    metadata: Option<PathBuf>,
    warnings: Vec<String>,
}

/// What could not be set, as counts.
#[derive(Debug, Serialize)]
struct Missing {
    owners: u64,
    modes: u64,
    devices: u64,
    xattrs: u64,
}

pub(crate) fn run(args: &args::Unpack, context: &Context) -> Result<(), Failure> {
    unpack(args, context).cannot(format!("unpack {}", show::plain(&args.location)))
}

fn unpack(args: &args::Unpack, context: &Context) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    let (place, content) = Content::at(&args.location, context, &args.layers.reading, &args.layers.network)?;
    let image = content.resolve(args.platform.as_ref())?;
    let opened = Opened::of(&content)?;
    let plan = UnpackPlan::read(opened.source(), &image, args.platform.as_ref())?;
    let mut report = planned(args, &place, &plan);
    if args.dry_run {
        return tell(&report, context);
    }
    let grace = context.interrupts.grace();
    let rootfs = Rootfs::begin(&args.directory)?;
    let beside = rootfs.path();
    let rootfs = context.interrupts.guard(rootfs, move || local::remove(&beside));
    drop(grace);
    context.interrupts.check()?;
    let metadata = metadata_file(args, rootfs.value.target());
    let options = UnpackOptions {
        limits: limits(&args.layers.limits),
        durability: match args.durability {
            Durability::Full => transship_layout::Durability::Full,
            Durability::None => transship_layout::Durability::None,
        },
        metadata: metadata.clone(),
        progress: Some(Arc::new(Watched::new(&context.progress, Some(plan.stored_size())))),
    };
    let done = transship_pack::unpack(opened.source(), &plan, rootfs.value, &options).map_err(limited)?;
    let text = format!(
        "unpacked {} of {} ({}) in {}",
        counted(done.entries, "entry", "entries"),
        show::count(done.layers, "layer", "layers"),
        show::bytes(done.bytes),
        show::duration(begun.elapsed())
    );
    let warnings = warnings(&done, &args.directory, metadata.as_deref());
    for warning in &warnings {
        context.progress.warning(warning);
    }
    let numbers = serde_json::json!({
        "layers": done.layers, "entries": done.entries, "bytes": done.bytes,
        "seconds": begun.elapsed().as_secs_f64()
    });
    context.progress.summary(&text, &numbers);
    let NotSet { owners, modes, devices, xattrs, .. } = done.not_set;
    report.done = Some(Done {
        entries: done.entries,
        bytes: done.bytes,
        whiteouts: done.whiteouts,
        not_set: Missing { owners, modes, devices, xattrs },
        metadata,
        warnings,
    });
    tell(&report, context)
}

fn planned(args: &args::Unpack, place: &Place, plan: &UnpackPlan) -> Report {
    let layer = |PlannedLayer { descriptor, diff_id, .. }: &PlannedLayer| Layer {
        digest: descriptor.digest.clone(),
        media_type: descriptor.media_type.clone(),
        size: descriptor.size,
        diff_id: diff_id.clone(),
    };
    Report {
        location: place.location().to_string(),
        directory: args.directory.clone(),
        dry_run: args.dry_run,
        digest: plan.manifest.clone(),
        platform: plan.platform.to_string(),
        layers: plan.layers.iter().map(layer).collect(),
        stored: plan.stored_size(),
        done: None,
    }
}

/// The digest of the image; of a plan its layers, too.
fn tell(report: &Report, context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.json("transship.unpack/v1", report);
    }
    if !report.dry_run {
        return context.output.line(&report.digest);
    }
    let layers = show::count(report.layers.len(), "layer", "layers");
    let mut text = format!(
        "would unpack {} for {}: {layers} of {}\n",
        report.digest,
        show::plain(&report.platform),
        show::bytes(report.stored)
    );
    let row = |layer: &Layer| vec![String::new(), layer.digest.to_string(), show::bytes(layer.size)];
    text.push_str(&show::table(&report.layers.iter().map(row).collect::<Vec<_>>()));
    context.output.raw(text.as_bytes())
}

/// Where to keep what cannot be set: who is not root always needs that.
fn metadata_file(args: &args::Unpack, target: &Path) -> Option<PathBuf> {
    if args.metadata.is_some() || is_root() {
        return args.metadata.clone();
    }
    let whole = target.file_name().map_or_else(|| target.canonicalize().ok(), |_| Some(target.to_owned()))?;
    let mut name = whole.file_name()?.to_owned();
    name.push(".mtree");
    Some(whole.with_file_name(name))
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

fn counted(number: u64, one: &str, many: &str) -> String {
    show::count(usize::try_from(number).unwrap_or(usize::MAX), one, many)
}

/// All that is to be known of what was left out or not set.
fn warnings(done: &Unpacked, directory: &Path, metadata: Option<&Path>) -> Vec<String> {
    let mut warnings: Vec<String> = done.warnings.iter().map(ToString::to_string).collect();
    let Some(first) = &done.not_set.first else { return warnings };
    let sorts = [
        (done.not_set.owners, "owner", "owners"),
        (done.not_set.modes, "mode", "modes"),
        (done.not_set.devices, "device", "devices"),
        (done.not_set.xattrs, "extended attribute", "extended attributes"),
    ];
    let sorts = sorts.iter().filter(|(count, _, _)| *count > 0);
    let sorts: Vec<String> = sorts.map(|(count, one, many)| counted(*count, one, many)).collect();
    let first = show::plain(&first.display().to_string());
    let remedy = match metadata {
        Some(file) => format!(
            "they are in {}, for transship pack image {} --metadata",
            show::plain(&file.display().to_string()),
            show::plain(&directory.display().to_string())
        ),
        None => "--metadata FILE records them".to_owned(),
    };
    warnings.push(format!("{} could not be set, first of {first}; {remedy}", sorts.join(", ")));
    warnings
}
