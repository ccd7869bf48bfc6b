//! What was made here goes to where it is to be: into a layout at once, to an archive or a registry by way of a scratch
//! layout and the engine of copies.

use std::sync::Arc;

use transship_copy::endpoint::Endpoint;
use transship_copy::{Destination, Options, Request, Select, Selection, Source, endpoint};
use transship_layout::{Layout, Name};
use transship_spec::{Descriptor, Kind, Location, Reference};

use super::archive::{Tar, is_stdout};
use super::transfer::{self, Runner, Watched};
use crate::args::{Durability, PackOutput, Writing};
use crate::context::Context;
use crate::exit::Failure;
use crate::local::{self, Target};
use crate::output;
use crate::place::{Made, Place};

/// Something that was made.
pub(super) trait Delivered {
    /// What is to be found at the place.
    fn descriptor(&self) -> &Descriptor;
}

/// Lets something be made in a layout, under the name that the location gives, and sees to it that it gets there. Tells
/// where that is.
pub(super) fn deliver<T: Delivered>(
    to: &str,
    out: &PackOutput,
    context: &Context,
    make: impl FnOnce(&Layout, Option<&Name>) -> Result<T, Failure>,
) -> Result<(Place, T), Failure> {
    let place = Place::find(to, Made::Now)?;
    if let Place::Registry(reference) = &place
        && reference.tag().is_none()
        && reference.digest().is_none()
    {
        return Err(Failure::usage(format!("{place} has no tag")).hint(format!("give it one: {place}:TAG")));
    }
    deliver_to(place, out, context, make)
}

/// The same to a place that was found, which may be a repository without a tag: for what is found by its digest, or by what
/// it refers to.
pub(super) fn deliver_to<T: Delivered>(
    place: Place,
    out: &PackOutput,
    context: &Context,
    make: impl FnOnce(&Layout, Option<&Name>) -> Result<T, Failure>,
) -> Result<(Place, T), Failure> {
    let made = match &place {
        Place::Layout { path, reference } => {
            let name = name_of(reference.as_deref(), &place)?;
            let target = Target::open(path, &local::options(&out.reading, &out.writing), context)?;
            let made = make(&target, name.as_ref())?;
            target.finish()?;
            made
        }
        Place::Archive { .. } => into_archive(out, &place, context, make)?,
        Place::Registry(reference) => into_registry(out, &place, reference, context, make)?,
    };
    Ok((place, made))
}

/// Prints the digest of what was made, and writes the files that were asked for. Where the result is JSON, its location is
/// given back instead.
pub(super) fn tell(
    place: &Place,
    descriptor: &Descriptor,
    out: &PackOutput,
    context: &Context,
) -> Result<Option<String>, Failure> {
    let digest = &descriptor.digest;
    if let Some(path) = &out.files.digest_file {
        crate::files::replace(path, format!("{digest}\n").as_bytes())?;
    }
    if let Some(path) = &out.files.descriptor_file {
        crate::files::replace(path, &output::plain_json(descriptor)?)?;
    }
    if is_stdout(place) {
        context.progress.note(&digest.to_string());
        return Ok(None);
    }
    if !context.output.is_json() {
        return context.output.line(digest).map(|()| None);
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
    Ok(Some(location.to_string()))
}

/// The name of the entry; none is fine, a digest is not.
fn name_of(reference: Option<&str>, place: &Place) -> Result<Option<Name>, Failure> {
    match reference {
        Some(digest) if digest.starts_with('@') => Err(Failure::usage(format!(
            "the digest of what is made is not known before, so {place} cannot name it"
        ))),
        Some(name) => Ok(Some(Name::parse(name)?)),
        None => Ok(None),
    }
}

fn into_registry<T: Delivered>(
    out: &PackOutput,
    place: &Place,
    reference: &Reference,
    context: &Context,
    make: impl FnOnce(&Layout, Option<&Name>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if reference.digest().is_some() {
        return Err(Failure::usage(format!(
            "the digest of what is made is not known before, so {place} cannot name it"
        )));
    }
    let runner = Runner::new(context, &out.network, &[place], 6)?;
    let destination =
        Destination::Registry { client: runner.client()?.clone(), reference: reference.clone() };
    // Whoever may not push is told before the work, not after it.
    let repository = runner.repository(reference)?.for_writing();
    runner.block_on(repository.manifest_head(&crate::content::which(reference)))?;
    let by_way = |made: &T, layout: Layout| {
        if reference.tag().is_none() {
            return runner.block_on(by_digest(made, layout, endpoint::registry(repository.clone())));
        }
        let select = Select::One(Some(made.descriptor().digest.to_string()));
        let source = Source { endpoint: endpoint::layout(layout), select };
        runner.block_on(async {
            transship_copy::requests(&[source], &destination, &Selection::default()).await
        })
    };
    by_way_of_scratch(out, &runner, context, make, by_way)
}

fn into_archive<T: Delivered>(
    out: &PackOutput,
    place: &Place,
    context: &Context,
    make: impl FnOnce(&Layout, Option<&Name>) -> Result<T, Failure>,
) -> Result<T, Failure> {
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
    let to_archive = |made: &T, layout: Layout| {
        if !tar.is_named() {
            let to = endpoint::archive_target(tar.target().clone());
            return runner.block_on(by_digest(made, layout, to));
        }
        let select = Select::One(Some(made.descriptor().digest.to_string()));
        let (source, destination) =
            (Source { endpoint: endpoint::layout(layout), select }, tar.destination());
        runner.block_on(async {
            transship_copy::requests(&[source], &destination, &Selection::default()).await
        })
    };
    let made = by_way_of_scratch(out, &runner, context, make, to_archive)?;
    tar.send()?;
    Ok(made)
}

/// What was made goes there without a name.
async fn by_digest<T: Delivered>(
    made: &T,
    layout: Layout,
    to: Arc<dyn Endpoint>,
) -> transship_copy::Result<Vec<Request>> {
    let (from, digest) = (endpoint::layout(layout), made.descriptor().digest.to_string());
    let listed = from.call(Some(&digest)).await?;
    Ok(vec![Request { from, listed, to, name: transship_copy::names::Name::Digest, digest: None }])
}

/// Makes it in a scratch layout, and copies it from there.
fn by_way_of_scratch<T: Delivered>(
    out: &PackOutput,
    runner: &Runner,
    context: &Context,
    make: impl FnOnce(&Layout, Option<&Name>) -> Result<T, Failure>,
    requests: impl FnOnce(&T, Layout) -> Result<Vec<Request>, Failure>,
) -> Result<T, Failure> {
    let _grace = context.interrupts.grace();
    let scratch = tempfile::Builder::new().prefix("transship-").tempdir();
    let scratch = scratch.map_err(|error| Failure::io("making a temporary folder", &error))?;
    let writing = Writing { durability: Durability::None, ..Writing::default() };
    let layout = local::options(&out.reading, &writing).create(scratch.path().join("layout"))?;
    let made = make(&layout, None)?;
    context.interrupts.check()?;
    let requests = requests(&made, layout)?;
    let events = std::sync::Arc::new(Watched(context.progress.clone()));
    let options = Options { events, ..Options::default() };
    let report = runner
        .block_on(async { Ok::<_, Failure>(transship_copy::plan(requests, &options).await.run().await) })?;
    context.progress.end();
    let failure = report.failures().find_map(|root| root.failure.as_ref());
    failure.map_or(Ok(made), |failure| Err(transfer::failure(failure)))
}
