//! Saved plans: what `--plan` writes, and the places that `--apply` opens for one.

use std::path::Path;
use std::sync::Arc;

use transship_copy::{Endpoint, Ends, Plan, SavedPlan, Shard, endpoint};
use transship_spec::Kind;

use crate::args::NetworkFlags;
use crate::commands::archive::Tar;
use crate::commands::targets::{Target, Targets};
use crate::commands::transfer::{Made, Runner};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::place::{self, Place, is_pipe};
use crate::{files, local, show};

/// Writes a plan to a file. `dest` is where everything goes, if the plan was made for elsewhere because nothing is there.
pub(super) fn save(plan: &Plan, path: &Path, dest: Option<&Place>, context: &Context) -> Result<(), Failure> {
    let mut saved = plan.saved().cannot("save the plan")?;
    if let (Some(dest), [only]) = (dest, saved.destinations.as_mut_slice()) {
        only.location = whole(dest).location().to_string();
    }
    files::replace(path, &saved.to_json()?)?;
    let roots = show::count(saved.roots.len(), "root", "roots");
    let bytes = saved.destinations.iter().map(|destination| destination.missing.bytes()).sum();
    let path = show::plain(&path.display().to_string());
    context.progress.note(&format!("{path} has the plan: {roots}, {} to move", show::bytes(bytes)));
    Ok(())
}

/// The place without what in it is meant; a repository stays as it is.
fn whole(place: &Place) -> Place {
    match place.clone() {
        Place::Layout { path, .. } => Place::Layout { path, reference: None },
        Place::Archive { path, form, .. } => Place::Archive { path, reference: None, form },
        Place::Registry(reference) => Place::Registry(reference),
    }
}

/// What a pipe brings can be read only once, so that no plan can name it.
pub(super) fn refuse_pipes(sources: &[Place]) -> Result<(), Failure> {
    let piped = |place: &&Place| matches!(place, Place::Archive { path, .. } if is_pipe(path));
    match sources.iter().find(piped) {
        Some(place) => Err(Failure::usage(format!("{place} is gone when the plan is applied"))
            .hint("put the archive into a file")),
        None => Ok(()),
    }
}

/// Reads a saved plan, or the part of it that is this shard.
pub(super) fn read(path: &Path, shard: Option<Shard>) -> Result<SavedPlan, Failure> {
    let saved = SavedPlan::parse(&files::read(path, SavedPlan::MAX_SIZE)?);
    let saved = saved.cannot(format!("read {}", show::plain(&path.display().to_string())))?;
    Ok(shard.map_or_else(|| saved.clone(), |shard| saved.shard(shard)))
}

/// How the places of a plan are opened.
pub(super) struct Opening<'a> {
    /// How layouts are read.
    pub(super) reading: transship_layout::LayoutOptions,
    /// How layouts are written.
    pub(super) target: transship_layout::LayoutOptions,
    pub(super) writing: &'a crate::args::Writing,
    pub(super) network: &'a NetworkFlags,
    pub(super) concurrency: usize,
    /// Nothing is made or changed.
    pub(super) pretend: bool,
}

/// The places of a saved plan, open.
pub(super) struct Opened {
    pub(super) runner: Runner,
    pub(super) ends: Ends,
    pub(super) targets: Targets,
}

/// The places that a saved plan names.
pub(super) fn places(saved: &SavedPlan) -> Result<(Vec<Place>, Vec<Place>), Failure> {
    let sources = saved.sources.iter().map(|text| Place::find(text, place::Made::Before));
    let sources = sources.collect::<Result<_, _>>()?;
    let targets = saved.destinations.iter().map(|to| Place::find(&to.location, place::Made::Now));
    Ok((sources, targets.collect::<Result<_, _>>()?))
}

impl Opening<'_> {
    /// Opens the places of a saved plan, in its order.
    pub(super) fn open(
        &self,
        sources: &[Place],
        targets: &[Place],
        context: &Context,
    ) -> Result<Opened, Failure> {
        let all: Vec<&Place> = sources.iter().chain(targets).collect();
        let runner = Runner::new(context, self.network, &all, self.concurrency)?;
        let source = |place| self.source(place, targets, &runner);
        let from = sources.iter().map(source).collect::<Result<Vec<_>, _>>()?;
        let (mut to, mut opened) = (Vec::new(), Vec::new());
        for place in targets.iter().cloned() {
            let (endpoint, target) = self.target(place, &runner)?;
            to.push(endpoint);
            opened.push(target);
        }
        Ok(Opened { runner, ends: Ends { sources: from, destinations: to }, targets: Targets(opened) })
    }

    fn source(
        &self,
        place: &Place,
        targets: &[Place],
        runner: &Runner,
    ) -> Result<Arc<dyn Endpoint>, Failure> {
        match place {
            Place::Layout { path, .. } => {
                // A layout that is copied into itself is one place, and is written to.
                let is_written = targets.iter().any(|target| place::is_same_folder(path, target));
                let layout = match is_written && !self.pretend {
                    true => self.reading.open(path)?,
                    false => self.reading.open_read_only(path)?,
                };
                Ok(endpoint::layout(layout))
            }
            Place::Archive { path, .. } => Ok(endpoint::archive(local::open_archive(path)?)),
            Place::Registry(reference) => Ok(endpoint::registry(runner.repository(reference)?)),
        }
    }

    fn target(&self, place: Place, runner: &Runner) -> Result<(Arc<dyn Endpoint>, Target), Failure> {
        let (endpoint, made, tar) = match &place {
            Place::Layout { path, .. } => {
                let made = match self.pretend {
                    true => Made::pretend(path, &self.target)?,
                    false => Made::open(path, &self.target)?,
                };
                (endpoint::layout(made.layout().clone()), Some(made), None)
            }
            Place::Archive { .. } => {
                let not_opened = || Failure::new(Kind::Unexpected, format!("{place} was not opened"));
                let tar = Tar::open(&place, self.writing)?.ok_or_else(not_opened)?;
                (endpoint::archive_target(tar.target().clone()), None, Some(tar))
            }
            Place::Registry(reference) => (endpoint::registry(runner.repository(reference)?), None, None),
        };
        let called = endpoint.place().to_string();
        Ok((endpoint, Target { called: Some(called), place, made, tar }))
    }
}
