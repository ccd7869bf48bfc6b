//! `transship sync`: many copies, from a file of settings.

mod import;
mod places;
mod registries;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use transship_copy::sync::{Config, Plans, Work};
use transship_copy::{Error, Options, SavedPlan, Status, Why};
use transship_spec::Kind;

use self::places::Places;
use crate::args;
use crate::commands::copy::Unplanned;
use crate::commands::transfer::{self, Effort, Full, Runner, Watched};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::{files, output};

/// The largest file of settings, in bytes; the parser has the same limit.
const LARGEST: u64 = 4 << 20;

pub(crate) fn run(args: &args::Sync, context: &Context) -> Result<(), Failure> {
    let name = args.file.display();
    if let Some(from) = args.import {
        return import::run(args, from, context).cannot(format!("import {name}"));
    }
    let mut reported = false;
    let result = sync(args, context, &mut reported).cannot(format!("sync {name}"));
    if let (Err(failure), Some(path), false) = (&result, &args.report, reported) {
        files::replace(path, &output::document("transship.sync/v1", &Unplanned::of(failure))?)?;
    }
    result
}

/// The file, read and checked.
fn load(args: &args::Sync) -> Result<Config, Failure> {
    let text = text(&args.file)?;
    let mut config = Config::parse(&text, args.file.parent().unwrap_or(Path::new("")))
        .map_err(|error| told(&args.file, error))?;
    if let Some(referrers) = &args.referrers {
        let referrers = super::copy::referrers(referrers)?;
        config.copies.iter_mut().for_each(|copy| copy.how.referrers = referrers.clone());
    }
    Ok(config)
}

fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(files::read(path, LARGEST)?)
        .map_err(|_| Failure::usage(format!("{} is not text", path.display())))
}

/// A mistake in a file, with its place as editors read it.
fn told(path: &Path, error: Error) -> Failure {
    let Error::Settings { at, reason, remedy } = error else { return error.into() };
    let failure = Failure::usage(format!("{}:{}:{}: {reason}", path.display(), at.line, at.column));
    remedy.into_iter().fold(failure, Failure::hint)
}

fn sync(args: &args::Sync, context: &Context, reported: &mut bool) -> Result<(), Failure> {
    let begun = Instant::now();
    let _grace = context.interrupts.grace();
    let config = load(args)?;
    let concurrency = args.concurrency.or(config.concurrency).unwrap_or(6);
    let saved = args.apply.as_deref().map(|path| saved(path, args)).transpose()?;
    let named = registries::named(&config, saved.as_ref())?;
    let runner = registries::runner(args, (&config, &named), concurrency, context)?;
    let options = Options {
        concurrency,
        fail_fast: args.fail_fast,
        events: Arc::new(Watched(context.progress.clone())),
        ..Options::default()
    };
    let mut places = Places::new(args, &runner);
    let plans = match &saved {
        Some(saved) => apply(saved, (&config, &options), &mut places, &runner)?,
        None => {
            let work = gather(&config, &mut places, &runner)?;
            let work = match args.shard {
                Some(shard) => work.shard(shard),
                None => work,
            };
            runner.block_on(async { Ok::<_, Failure>(work.plan(&options).await) })?
        }
    };
    if let Some(path) = &args.plan {
        files::replace(path, &places.portable(plans.saved()?).to_json()?)?;
        return dry_run(&plans, &places, context);
    }
    if args.dry_run {
        return dry_run(&plans, &places, context);
    }
    let report = runner.block_on(async { Ok::<_, Failure>(plans.run().await) });
    context.progress.end();
    let mut report = report
        .map_err(|failure| failure.hint("what arrived is kept: the same command goes on from there"))?;
    report.schema = "transship.sync/v1";
    report.warnings.extend(context.progress.warnings());
    places.ended(&report);
    let full = Effort::of(&report, begun.elapsed(), context).with(&report);
    if let Some(path) = &args.report {
        files::replace(path, &output::plain_json(&full)?)?;
        *reported = true;
    }
    finish(&full, &places, context)?;
    transfer::summarize(&report, begun.elapsed(), context);
    super::copy::ended(&report, context)
}

/// A saved plan, or the part of it that is asked for.
fn saved(path: &Path, args: &args::Sync) -> Result<SavedPlan, Failure> {
    let saved = SavedPlan::parse(&files::read(path, SavedPlan::MAX_SIZE)?)
        .cannot(format!("read {}", path.display()))?;
    Ok(args.shard.map_or_else(|| saved.clone(), |shard| saved.shard(shard)))
}

/// What a saved plan comes to, with the settings of the file for all that it does not say.
fn apply(
    saved: &SavedPlan,
    (config, options): (&Config, &Options),
    places: &mut Places<'_>,
    runner: &Runner,
) -> Result<Plans, Failure> {
    let ends = places.ends(saved)?;
    let link = config.copies.first().map(|copy| copy.how.link).unwrap_or_default();
    let options = Options { link, ..options.clone() };
    let force = config.copies.iter().any(|copy| copy.selection.force);
    let plan = runner.block_on(transship_copy::apply(saved, &ends, &options, force))?;
    Ok(plan.into())
}

/// What each copy comes to at each of its destinations.
fn gather(config: &Config, places: &mut Places<'_>, runner: &Runner) -> Result<Work, Failure> {
    let mut work = Work::default();
    for copy in &config.copies {
        let sources = places.sources(copy);
        for to in &copy.to {
            let ends = sources.as_ref().map_err(Clone::clone).and_then(|sources| {
                let destination = places.destination(to, copy)?;
                Ok((sources, destination))
            });
            match ends {
                Ok((sources, destination)) => runner.block_on(async {
                    work.add(copy, to, sources, &destination).await;
                    Ok::<_, Failure>(())
                })?,
                Err(failure) => work.fail(copy, to, unopened(&failure)),
            }
        }
    }
    Ok(work)
}

fn unopened(failure: &Failure) -> Error {
    let remedy = failure.remedy().map(str::to_owned);
    Error::Unopened { kind: failure.kind(), message: failure.to_string(), remedy }
}

fn dry_run(plans: &Plans, places: &Places<'_>, context: &Context) -> Result<(), Failure> {
    let mut summary = plans.summary();
    summary.schema = "transship.plan/v1";
    summary.roots.iter_mut().for_each(|root| places.rename(&mut root.destination));
    summary.destinations.iter_mut().for_each(|place| places.rename(&mut place.destination));
    let text = match context.output.is_json() {
        true => output::plain_json(&summary)?,
        false => transfer::plan_text(&summary).into_bytes(),
    };
    context.output.raw(&text)?;
    let failed = summary.roots.iter().filter(|root| root.failure.is_some()).count();
    match (failed, summary.roots.len()) {
        (0, _) => Ok(()),
        (failed, total) => Err(Failure::new(Kind::Partial, format!("{failed} of {total} would fail"))),
    }
}

/// Prints what was asked for and is there.
fn finish(full: &Full<'_>, places: &Places<'_>, context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.raw(&output::plain_json(full)?);
    }
    let asked =
        full.report.roots.iter().filter(|root| root.why == Why::Asked && root.status != Status::Failed);
    let lines = asked.filter_map(|root| {
        let place = places.of(&root.destination)?;
        Some(format!("{}\t{}\n", root.digest.as_ref()?, transfer::location(&place, root)))
    });
    context.output.raw(lines.collect::<String>().as_bytes())
}
