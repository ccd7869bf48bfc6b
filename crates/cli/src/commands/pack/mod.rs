//! `transship pack`: files become an image or an artifact, in a layout, or by way of one in an archive or a registry.

mod files;
mod image;
mod watch;

use std::path::{Path, PathBuf};

use serde::Serialize;
use transship_copy::{Destination, Options, Request, Select, Selection, Source, endpoint};
use transship_layout::{Layout, Name};
use transship_pack::Warning;
use transship_spec::{Annotations, Descriptor, Digest, Kind, Location, MediaType, Reference};

use super::archive::{Tar, is_stdout};
use super::transfer::{self, Runner, Watched};
use crate::args::{Durability, PackCommand, PackOutput, Writing};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure, Meaning};
use crate::local::{self, Target};
use crate::place::{Made, Place};
use crate::{output, show};

impl Meaning for transship_pack::Error {
    fn meaning(&self) -> Kind {
        match self {
            // What cannot be read here is an input, and not the storage that is written to.
            Self::Read { source, .. } => Kind::of_io(source),
            _ => self.kind(),
        }
    }
}

/// What was packed.
struct Packed {
    descriptor: Descriptor,
    platform: Option<String>,
    layers: Vec<PackedLayer>,
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
    layers: Vec<PackedLayer>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PackedLayer {
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
        PackCommand::Files(args) => files::run(args, context).cannot("pack the artifact"),
    }
}

/// Packs into a layout, or into a scratch layout and from there to an archive or a registry; then tells of it.
fn into(
    to: &str,
    out: &PackOutput,
    context: &Context,
    pack: impl FnOnce(&Layout, Option<&Name>) -> Result<Packed, Failure>,
) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    let place = Place::find(to, Made::Now)?;
    let packed = match &place {
        Place::Layout { path, reference } => {
            let name = name_of(reference.as_deref(), &place)?;
            let target = Target::open(path, &local::options(&out.reading, &out.writing), context)?;
            let packed = pack(&target, name.as_ref())?;
            target.finish()?;
            packed
        }
        Place::Archive { .. } => into_archive(out, &place, context, pack)?,
        Place::Registry(reference) => into_registry(out, &place, reference, context, pack)?,
    };
    for warning in &packed.warnings {
        context.progress.warning(&warning.to_string());
    }
    let bytes = packed.layers.iter().map(|layer| layer.size).sum();
    let parts = match packed.platform {
        Some(_) => show::count(packed.layers.len(), "layer", "layers"),
        None => show::count(packed.layers.len(), "file", "files"),
    };
    let text = format!("packed {parts} ({}) in {}", show::bytes(bytes), show::duration(begun.elapsed()));
    let numbers = serde_json::json!({
        "layers": packed.layers.len(), "bytes": bytes, "seconds": begun.elapsed().as_secs_f64()
    });
    context.progress.summary(&text, &numbers);
    finish(out, &place, packed, context)
}

/// The name of the entry; none is fine, a digest is not.
fn name_of(reference: Option<&str>, place: &Place) -> Result<Option<Name>, Failure> {
    match reference {
        Some(digest) if digest.starts_with('@') => Err(Failure::usage(format!(
            "the digest of what is packed is not known before, so {place} cannot name it"
        ))),
        Some(name) => Ok(Some(Name::parse(name)?)),
        None => Ok(None),
    }
}

fn into_registry(
    out: &PackOutput,
    place: &Place,
    reference: &Reference,
    context: &Context,
    pack: impl FnOnce(&Layout, Option<&Name>) -> Result<Packed, Failure>,
) -> Result<Packed, Failure> {
    if reference.digest().is_some() {
        return Err(Failure::usage(format!(
            "the digest of what is packed is not known before, so {place} cannot name it"
        )));
    }
    if reference.tag().is_none() {
        return Err(Failure::usage(format!("{place} has no tag")).hint(format!("give it one: {place}:TAG")));
    }
    let runner = Runner::new(context, &out.network, &[place], 6)?;
    let destination =
        Destination::Registry { client: runner.client()?.clone(), reference: reference.clone() };
    // Whoever may not push is told before the work, not after it.
    let repository = runner.repository(reference)?.for_writing();
    runner.block_on(repository.manifest_head(&crate::content::which(reference)))?;
    let by_way = |packed: &Packed, layout: Layout| {
        let select = Select::One(Some(packed.descriptor.digest.to_string()));
        let source = Source { endpoint: endpoint::layout(layout), select };
        runner.block_on(async {
            transship_copy::requests(&[source], &destination, &Selection::default()).await
        })
    };
    by_way_of_scratch(out, &runner, context, pack, by_way)
}

fn into_archive(
    out: &PackOutput,
    place: &Place,
    context: &Context,
    pack: impl FnOnce(&Layout, Option<&Name>) -> Result<Packed, Failure>,
) -> Result<Packed, Failure> {
    name_of(place.reference(), place)?;
    if is_stdout(place) && context.output.is_json() {
        return Err(
            Failure::usage("standard output is for the archive").hint("--descriptor-file tells what it is")
        );
    }
    let Some(tar) = Tar::open(place, &out.writing)? else {
        return Err(Failure::new(Kind::Unexpected, format!("{place} is no archive")));
    };
    let runner = Runner::new(context, &out.network, &[place], 6)?;
    let to_archive = |packed: &Packed, layout: Layout| {
        let (from, digest) = (endpoint::layout(layout), packed.descriptor.digest.to_string());
        let destination = tar.destination();
        runner.block_on(async {
            if tar.is_named() {
                let source = Source { endpoint: from, select: Select::One(Some(digest)) };
                return transship_copy::requests(&[source], &destination, &Selection::default()).await;
            }
            let listed = from.call(Some(&digest)).await?;
            let to = endpoint::archive_target(tar.target().clone());
            Ok(vec![Request { from, listed, to, name: transship_copy::names::Name::Digest, digest: None }])
        })
    };
    let packed = by_way_of_scratch(out, &runner, context, pack, to_archive)?;
    tar.send()?;
    Ok(packed)
}

/// Packs into a scratch layout, and copies what was packed from there.
fn by_way_of_scratch(
    out: &PackOutput,
    runner: &Runner,
    context: &Context,
    pack: impl FnOnce(&Layout, Option<&Name>) -> Result<Packed, Failure>,
    requests: impl FnOnce(&Packed, Layout) -> Result<Vec<Request>, Failure>,
) -> Result<Packed, Failure> {
    let _grace = context.interrupts.grace();
    let scratch = tempfile::Builder::new().prefix("transship-").tempdir();
    let scratch = scratch.map_err(|error| Failure::io("making a temporary folder", &error))?;
    let writing = Writing { durability: Durability::None, ..Writing::default() };
    let layout = local::options(&out.reading, &writing).create(scratch.path().join("layout"))?;
    let packed = pack(&layout, None)?;
    context.interrupts.check()?;
    let requests = requests(&packed, layout)?;
    let events = std::sync::Arc::new(Watched(context.progress.clone()));
    let options = Options { events, ..Options::default() };
    let report = runner
        .block_on(async { Ok::<_, Failure>(transship_copy::plan(requests, &options).await.run().await) })?;
    context.progress.end();
    let failure = report.failures().find_map(|root| root.failure.as_ref());
    failure.map_or(Ok(packed), |failure| Err(transfer::failure(failure)))
}

/// Prints the result, and writes the files that were asked for.
fn finish(out: &PackOutput, place: &Place, packed: Packed, context: &Context) -> Result<(), Failure> {
    let digest = packed.descriptor.digest.clone();
    if let Some(path) = &out.files.digest_file {
        crate::files::replace(path, format!("{digest}\n").as_bytes())?;
    }
    if let Some(path) = &out.files.descriptor_file {
        crate::files::replace(path, &output::plain_json(&packed.descriptor)?)?;
    }
    if is_stdout(place) {
        context.progress.note(&digest.to_string());
        return Ok(());
    }
    if !context.output.is_json() {
        return context.output.line(digest);
    }
    let location = match place.location() {
        Location::Layout { path, reference: None } => {
            Location::Layout { path, reference: Some(format!("@{digest}")) }
        }
        Location::Archive { path, reference: None } => {
            Location::Archive { path, reference: Some(format!("@{digest}")) }
        }
        location => location,
    };
    let report = Report {
        location: location.to_string(),
        digest,
        media_type: packed.descriptor.media_type,
        size: packed.descriptor.size,
        platform: packed.platform,
        layers: packed.layers,
        warnings: packed.warnings.iter().map(ToString::to_string).collect(),
    };
    context.output.json("transship.pack/v1", &report)
}

/// Refuses to pack a layout into itself: it would hold another half of itself each time. Where it is left out already, the
/// glob that leaves out what it is called while it is made is given.
fn apart(inputs: &[&Path], to: &str, excludes: &[String]) -> Result<Vec<String>, Failure> {
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

/// The value of `SOURCE_DATE_EPOCH`.
fn epoch(context: &Context) -> Result<Option<i64>, Failure> {
    let text = context.environment.source_date_epoch.as_deref();
    Ok(text.map(transship_pack::source_date_epoch).transpose()?)
}

fn annotations(pairs: &[(String, String)]) -> Annotations {
    pairs.iter().cloned().collect()
}
