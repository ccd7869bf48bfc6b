//! `transship copy`: what is missing moves, and only that.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use transship_copy::names::{Choice, Map, Naming};
use transship_copy::{
    Age, Destination, Endpoint, Newest, Options, Plan, Referrers, Report, Select, Selection, Source, Status,
    Subset, Why, endpoint,
};
use transship_spec::{Kind, MediaType};

use crate::args::{self, Link, NewestBy, Way};
use crate::commands::archive::{Tar, is_stdout};
use crate::commands::saved::{self, Opened, Opening};
use crate::commands::targets::Targets;
use crate::commands::transfer::{self, Effort, Full, Made, Runner, Watched};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::place::{self, Place, is_same_folder};
use crate::{environment, files, local, output, show};

pub(crate) fn run(args: &args::Copy, context: &Context) -> Result<(), Failure> {
    let mut reported = false;
    let result = match &args.apply {
        Some(path) => {
            let what = format!("apply {}", show::plain(&path.display().to_string()));
            apply(args, path, context, &mut reported).cannot(what)
        }
        None => {
            let (sources, dest) = locations(args)?;
            let what = match sources.as_slice() {
                [one] => format!("copy {}", show::plain(one)),
                several => format!("copy {} things to {}", several.len(), show::plain(&dest)),
            };
            copy(args, (&sources, &dest), context, &mut reported).cannot(what)
        }
    };
    if let (Err(failure), Some(path), false) = (&result, &args.report, reported) {
        files::replace(path, &output::document("transship.copy/v1", &Unplanned::of(failure))?)?;
    }
    result
}

/// The report of a copy that failed before anything was planned.
#[derive(Debug, Serialize)]
pub(super) struct Unplanned<'a> {
    roots: [(); 0],
    error: Told<'a>,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    kind: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
}

impl<'a> Unplanned<'a> {
    pub(super) fn of(failure: &'a Failure) -> Self {
        let (kind, message) = (failure.kind().name(), failure.to_string());
        Self { roots: [], error: Told { kind, message, remedy: failure.remedy() } }
    }
}

/// The sources, from the command line and from `--images`, and the destination.
fn locations(args: &args::Copy) -> Result<(Vec<String>, String), Failure> {
    let mut sources = args.locations.clone();
    let dest = sources.pop().unwrap_or_default();
    if let Some(list) = &args.images {
        sources.extend(files::lines(list)?);
    }
    if sources.is_empty() {
        return Err(match &args.images {
            Some(list) => Failure::usage(format!("{} lists nothing to copy", list.display())),
            None => {
                Failure::usage(format!("{} could be what to copy or where to", transship_spec::quote(&dest)))
                    .hint("give both: transship copy SOURCE DEST")
            }
        });
    }
    Ok((sources, dest))
}

/// Copies, and says whether the report that was asked for is written.
fn copy(
    args: &args::Copy,
    (sources, dest): (&[String], &str),
    context: &Context,
    reported: &mut bool,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let _grace = context.interrupts.grace();
    let options = options(args, context)?;
    let selection = selection(args)?;
    let sources =
        sources.iter().map(|text| Place::find(text, place::Made::Before)).collect::<Result<Vec<_>, _>>()?;
    let dest = Place::find(dest, place::Made::Now)?;
    check(args, &sources, &dest, context)?;
    let places: Vec<&Place> = sources.iter().chain([&dest]).collect();
    let runner = Runner::new(context, &args.network, &places, options.concurrency)?;
    let sources =
        sources.iter().map(|place| source(place, &dest, args, &runner)).collect::<Result<Vec<_>, _>>()?;
    let made = match &dest {
        Place::Layout { path, .. } if args.only_plans() => Some(Made::pretend(path, &args.target_options())?),
        Place::Layout { path, .. } => Some(Made::open(path, &args.target_options())?),
        Place::Archive { .. } | Place::Registry(_) => None,
    };
    let tar = Tar::open(&dest, &args.writing)?;
    let destination = match &tar {
        Some(tar) => tar.destination(),
        None => destination(&dest, made.as_ref(), &runner)?,
    };
    let plan = runner.block_on(async {
        let mut requests = transship_copy::requests(&sources, &destination, &selection).await?;
        if let Some(shard) = args.shard {
            requests = shard.of(requests);
        }
        Ok::<_, transship_copy::Error>(transship_copy::plan(requests, &options).await)
    })?;
    let targets = Targets::one(dest, made, tar);
    if args.only_plans() {
        if let Some(path) = &args.plan {
            saved::save(&plan, path, targets.only_local(), context)?;
        }
        return show_plan(args, &plan, &targets, context);
    }
    carry_out(Work { plan, targets, runner, begun }, args, context, reported)
}

/// Carries out a saved plan, and says whether the report that was asked for is written.
fn apply(args: &args::Copy, path: &Path, context: &Context, reported: &mut bool) -> Result<(), Failure> {
    let begun = Instant::now();
    let _grace = context.interrupts.grace();
    let saved = saved::read(path, args.shard)?;
    let (sources, targets) = saved::places(&saved)?;
    for target in &targets {
        check_link(args, &sources, target)?;
        check_stdout(args, target, context)?;
    }
    let opening = Opening {
        reading: args.layout_options(),
        target: args.target_options(),
        writing: &args.writing,
        network: &args.network,
        concurrency: args.concurrency.concurrency,
        pretend: args.dry_run,
    };
    let options = options(args, context)?;
    let Opened { runner, ends, targets } = opening.open(&sources, &targets, context)?;
    let plan = runner.block_on(async { transship_copy::apply(&saved, &ends, &options, args.force).await })?;
    if args.dry_run {
        return show_plan(args, &plan, &targets, context);
    }
    carry_out(Work { plan, targets, runner, begun }, args, context, reported)
}

/// A plan, and all that is needed to carry it out.
struct Work {
    plan: Plan,
    targets: Targets,
    runner: Runner,
    begun: Instant,
}

fn carry_out(work: Work, args: &args::Copy, context: &Context, reported: &mut bool) -> Result<(), Failure> {
    let Work { plan, mut targets, runner, begun } = work;
    let report = runner.block_on(async { Ok::<_, Failure>(plan.run().await) });
    context.progress.end();
    let mut report = report
        .map_err(|failure| failure.hint("what arrived is kept: the same command goes on from there"))?;
    report.schema = "transship.copy/v1";
    report.warnings.extend(context.progress.warnings());
    targets.ended(&report);
    targets.rename(&mut report);
    if let Some(path) = &args.report {
        let effort = Effort::of(&report, begun.elapsed(), context);
        files::replace(path, &output::plain_json(&effort.with(&report))?)?;
        *reported = true;
    }
    targets.send()?;
    let effort = Effort::of(&report, begun.elapsed(), context);
    finish(args, &targets, &effort.with(&report), context)?;
    if let (true, Some(shard)) = (report.roots.is_empty(), args.shard) {
        context.progress.note(&format!("nothing of this falls to shard {shard}"));
        return Ok(());
    }
    transfer::summarize(&report, begun.elapsed(), context);
    if args.link == Link::Symlink && report.content.linked.count > 0 {
        let text = "the copy holds links to blobs of the source: read it with --links follow, and leave the source where \
            it is";
        context.progress.note(text);
    }
    ended(&report, context)
}

impl args::Copy {
    /// Whether nothing is to move.
    fn only_plans(&self) -> bool {
        self.dry_run || self.plan.is_some()
    }

    fn layout_options(&self) -> transship_layout::LayoutOptions {
        local::options(&self.reading, &self.writing)
    }

    /// Who asks for links out of a layout lets them be read there.
    fn target_options(&self) -> transship_layout::LayoutOptions {
        match self.link {
            Link::Symlink => self.layout_options().links(transship_layout::Links::Follow),
            _ => self.layout_options(),
        }
    }
}

/// What cannot be meant.
fn check(args: &args::Copy, sources: &[Place], dest: &Place, context: &Context) -> Result<(), Failure> {
    for place in sources {
        let named = match place {
            Place::Layout { reference, .. } | Place::Archive { reference, .. } => reference.is_some(),
            Place::Registry(reference) => reference.tag().is_some() || reference.digest().is_some(),
        };
        if named && args.takes_all() {
            return Err(Failure::usage(format!(
                "{place} is one thing, and --all-tags, --tags, --exclude and --newest choose among all"
            )));
        }
    }
    check_link(args, sources, dest)?;
    if args.short_names && dest.registry().is_some() {
        return Err(Failure::usage("--short-names is for layouts; names in a registry are always short"));
    }
    check_stdout(args, dest, context)?;
    if args.plan.is_some() {
        saved::refuse_pipes(sources)?;
    }
    if args.files.descriptor_file.is_some() && (sources.len() > 1 || args.takes_all()) {
        return Err(Failure::usage("--descriptor-file is for one thing").hint("--report tells of several"));
    }
    Ok(())
}

fn check_stdout(args: &args::Copy, dest: &Place, context: &Context) -> Result<(), Failure> {
    if is_stdout(dest) && context.output.is_json() && !args.only_plans() {
        return Err(
            Failure::usage("standard output is for the archive").hint("--report FILE has the same JSON")
        );
    }
    Ok(())
}

/// A link needs a layout at either end, and is not kept from anybody who asked for it.
fn check_link(args: &args::Copy, sources: &[Place], dest: &Place) -> Result<(), Failure> {
    let is_layout = |place: &Place| matches!(place, Place::Layout { .. });
    match args.link {
        Link::Reflink | Link::Copy => Ok(()),
        Link::Hard | Link::Symlink => match sources.iter().chain([dest]).find(|place| !is_layout(place)) {
            None => Ok(()),
            Some(place) => {
                let way = if args.link == Link::Hard { "hard" } else { "symlink" };
                Err(Failure::usage(format!("--link {way} is for layouts, and {} is none", place.location())))
            }
        },
    }
}

impl args::Copy {
    fn takes_all(&self) -> bool {
        self.all_tags || !self.tags.is_empty() || !self.exclude.is_empty() || self.newest.is_some()
    }
}

fn options(args: &args::Copy, context: &Context) -> Result<Options, Failure> {
    Ok(Options {
        concurrency: environment::transfers(args.concurrency.concurrency),
        referrers: referrers(&args.referrers)?,
        digest_tags: args.digest_tags,
        subset: subset(args)?,
        convert: args.convert.map(Into::into),
        nondistributable: args.nondistributable,
        members: args.check_members,
        link: match args.link {
            Link::Hard => transship_layout::Link::Hard,
            Link::Copy => transship_layout::Link::Copy,
            Link::Symlink => transship_layout::Link::Symbolic,
            Link::Reflink => transship_layout::Link::Reflink,
        },
        fail_fast: args.fail_fast,
        events: Arc::new(Watched(context.progress.clone())),
    })
}

/// What `--referrers` says.
pub(super) fn referrers(text: &str) -> Result<Referrers, Failure> {
    match text {
        "all" => Ok(Referrers::All),
        "none" => Ok(Referrers::None),
        types => {
            let types = types.split(',').map(MediaType::parse).collect::<Result<Vec<_>, _>>();
            let types = types.cannot("read --referrers").map_err(|failure| {
                Failure::usage(failure.to_string())
                    .hint("it is all, none, or artifact types with commas between them")
            })?;
            Ok(Referrers::Types(types))
        }
    }
}

/// Which platforms of an index are copied, and as what.
fn subset(args: &args::Copy) -> Result<Option<Subset>, Failure> {
    if args.convert.is_some() && args.subset == Some(Way::Sparse) {
        let text = "--subset sparse keeps an index with its digest, and --convert makes another one";
        return Err(Failure::usage(text).hint("--subset rewrite makes one index of both"));
    }
    match (args.subset, args.platform.as_slice()) {
        (_, []) => Ok(None),
        (None, [one]) => Ok(Some(Subset::One(one.clone()))),
        (Some(Way::Sparse), several) => Ok(Some(Subset::Sparse(several.to_vec()))),
        (Some(Way::Rewrite), several) => Ok(Some(Subset::Rewrite(several.to_vec()))),
        (None, _) => {
            let remedy = "--subset sparse keeps it, with its digest and its signatures; --subset rewrite makes a new one, \
                which every registry takes";
            let text = "several platforms are an index, and it must be told what becomes of it";
            Err(Failure::usage(text).hint(remedy))
        }
    }
}

fn selection(args: &args::Copy) -> Result<Selection, Failure> {
    let maps = args.map.iter().map(|text| Map::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let choices = |texts: &[String]| texts.iter().map(|text| Choice::parse(text)).collect::<Result<_, _>>();
    let naming = Naming { short_names: args.short_names, maps };
    let (tags, exclude) = (choices(&args.tags)?, choices(&args.exclude)?);
    let by = match args.newest_by {
        NewestBy::Version => Age::Version,
        NewestBy::Created => Age::Created,
    };
    let newest = args.newest.map(|count| Newest { count: count as usize, by });
    Ok(Selection { naming, tags, exclude, newest, force: args.force })
}

fn source(place: &Place, dest: &Place, args: &args::Copy, runner: &Runner) -> Result<Source, Failure> {
    let (endpoint, reference): (Arc<dyn Endpoint>, Option<String>) = match place {
        Place::Layout { path, reference } => {
            let options = args.layout_options();
            // A layout that is copied into itself is one place, and is written to.
            let layout = match is_same_folder(path, dest) && !args.only_plans() {
                true => options.open(path)?,
                false => options.open_read_only(path)?,
            };
            (endpoint::layout(layout), reference.clone())
        }
        Place::Archive { path, reference, .. } => {
            (endpoint::archive(local::open_archive(path)?), reference.clone())
        }
        Place::Registry(reference) => {
            let named = match (reference.digest(), reference.tag()) {
                (Some(digest), Some(tag)) => Some(format!("{tag}@{digest}")),
                (Some(digest), None) => Some(digest.to_string()),
                (None, tag) => tag.map(ToString::to_string),
            };
            (endpoint::registry(runner.repository(reference)?), named)
        }
    };
    let select = if args.takes_all() { Select::All } else { Select::One(reference) };
    Ok(Source { endpoint, select })
}

fn destination(place: &Place, made: Option<&Made>, runner: &Runner) -> Result<Destination, Failure> {
    match (place, made) {
        (Place::Layout { reference, .. }, Some(made)) => {
            Ok(Destination::Layout { layout: made.layout().clone(), name: reference.clone() })
        }
        (Place::Registry(reference), _) => {
            Ok(Destination::Registry { client: runner.client()?.clone(), reference: reference.clone() })
        }
        (Place::Layout { .. } | Place::Archive { .. }, _) => {
            Err(Failure::new(Kind::Unexpected, format!("{place} was not opened")))
        }
    }
}

/// Prints what would move; a plan that is saved only if that is asked for.
fn show_plan(args: &args::Copy, plan: &Plan, targets: &Targets, context: &Context) -> Result<(), Failure> {
    let mut summary = plan.summary();
    summary.schema = "transship.plan/v1";
    targets.rename_plan(&mut summary);
    if context.output.is_json() {
        return context.output.raw(&output::plain_json(&summary)?);
    }
    if args.dry_run {
        context.output.raw(transfer::plan_text(&summary).as_bytes())?;
    }
    let failed = summary.roots.iter().find_map(|root| root.failure.as_ref());
    failed.map_or(Ok(()), |failure| Err(transfer::failure(failure)))
}

/// Prints the result, and writes the files that were asked for.
fn finish(args: &args::Copy, targets: &Targets, full: &Full<'_>, context: &Context) -> Result<(), Failure> {
    let report = full.report;
    let asked: Vec<_> =
        report.roots.iter().filter(|root| root.why == Why::Asked && root.status != Status::Failed).collect();
    let lines: String = match asked.as_slice() {
        [only]
            if args.shard.is_none()
                && report.roots.iter().filter(|root| root.why == Why::Asked).count() == 1 =>
        {
            only.digest.iter().map(|digest| format!("{digest}\n")).collect()
        }
        several => several
            .iter()
            .filter_map(|root| {
                let location = transfer::location(targets.of(root)?, root);
                Some(format!("{}\t{location}\n", root.digest.as_ref()?))
            })
            .collect(),
    };
    if report.kind().is_none() {
        if let Some(path) = &args.files.digest_file {
            files::replace(path, lines.as_bytes())?;
        }
        if let Some(path) = &args.files.descriptor_file {
            let descriptor = asked.first().and_then(|root| root.descriptor.as_ref());
            files::replace(path, &output::plain_json(&descriptor)?)?;
        }
    }
    if targets.to_stdout() {
        lines.lines().for_each(|line| context.progress.note(line));
        return Ok(());
    }
    if context.output.is_json() {
        return context.output.raw(&output::plain_json(full)?);
    }
    context.output.raw(lines.as_bytes())
}

/// What the report means: failures are told one by one, and as a whole.
pub(super) fn ended(report: &Report, context: &Context) -> Result<(), Failure> {
    let Some(kind) = report.kind() else { return Ok(()) };
    let failed: Vec<_> = report.failures().collect();
    if let ([root], [_]) = (failed.as_slice(), report.roots.as_slice())
        && let Some(failure) = &root.failure
    {
        return Err(transfer::failure(failure));
    }
    for root in &failed {
        if let Some(failure) = &root.failure {
            context.progress.failed(&root.source, &transfer::failure(failure));
        }
    }
    let total = report.roots.len();
    Err(Failure::new(kind, format!("{} of {total} failed", failed.len()))
        .hint("the same command tries again what is missing"))
}
