//! `transship check --repair`: check, plan, carry out, and check again.

use serde::Serialize;
use transship_layout::check::{Finding, RepairPlan, Repaired, Report};
use transship_layout::{Entry, Source};
use transship_spec::{Descriptor, Digest};

use super::look;
use super::show::Shown;
use super::source::Opened;
use crate::args;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::local;
use crate::place::{Made, Place};

/// A repair as JSON tells it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    plan: Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Repaired>,
}

#[derive(Debug, Serialize)]
struct Plan {
    quarantine: Vec<Digest>,
    fetch: Vec<Item>,
    drop: Vec<String>,
    dangling: Vec<String>,
    lost: Vec<Item>,
}

#[derive(Debug, Serialize)]
struct Item {
    digest: Digest,
    size: u64,
}

pub(super) fn run(args: &args::Check, place: &Place, context: &Context) -> Result<Report, Failure> {
    let Place::Layout { path, reference: None } = place else {
        return Err(Failure::usage("only a whole layout can be repaired")
            .hint("name it without REF: transship check oci:DIR --repair"));
    };
    let from = args.from.as_deref().map(|text| open(text, args, context)).transpose()?;
    let from: Option<&dyn Source> = from.as_ref().map(|from| &*from.source);
    let mut found: Vec<Finding> = Vec::new();
    let report = look(args, place, context, &mut |finding| found.push(finding.clone()))?;
    let options = local::options(&args.reading, &args.writing);
    let layout = match args.dry_run {
        true => options.open_read_only(path),
        false => options.open(path),
    };
    let mut shown = Shown::new(context);
    let layout = match layout.cannot("repair it") {
        Ok(layout) => layout,
        Err(failure) => return Err(give_up(shown, &found, args, &report, failure)),
    };
    let plan = RepairPlan::new(&layout, &report, from, args.drop_entries)?;
    if args.dry_run || plan.is_empty() {
        found.iter().for_each(|finding| shown.take(finding));
        lines(&plan, None, context)?;
        shown.finish(args, &report, Some(&told(&plan, None)))?;
        return Ok(report);
    }
    let repaired = match plan.run(&layout, from).cannot("repair it") {
        Ok(repaired) => repaired,
        Err(failure) => return Err(give_up(shown, &found, args, &report, failure)),
    };
    lines(&plan, Some(&repaired), context)?;
    let report = look(args, place, context, &mut |finding| shown.take(finding))?;
    shown.finish(args, &report, Some(&told(&plan, Some(repaired))))?;
    Ok(report)
}

/// Says what was found, which is also why it cannot be repaired.
fn give_up(
    mut shown: Shown<'_>,
    found: &[Finding],
    args: &args::Check,
    report: &Report,
    failure: Failure,
) -> Failure {
    found.iter().for_each(|finding| shown.take(finding));
    shown.finish(args, report, None).err().unwrap_or(failure)
}

fn open(text: &str, args: &args::Check, context: &Context) -> Result<Opened, Failure> {
    let opened = Place::find(text, Made::Before).and_then(|place| Opened::whole(&place, args, context));
    opened.cannot(format!("read {} (--from)", crate::show::plain(text)))
}

fn told(plan: &RepairPlan, done: Option<Repaired>) -> Told {
    let items = |blobs: &[Descriptor]| {
        blobs.iter().map(|blob| Item { digest: blob.digest.clone(), size: blob.size }).collect()
    };
    let labels = |entries: &[Entry]| entries.iter().map(Entry::label).collect();
    let plan = Plan {
        quarantine: plan.quarantine.clone(),
        fetch: items(&plan.refill),
        drop: labels(&plan.drop),
        dangling: labels(&plan.dangling),
        lost: items(&plan.lost),
    };
    Told { plan, done }
}

/// What would be done, or was, as lines.
fn lines(plan: &RepairPlan, done: Option<&Repaired>, context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        return Ok(());
    }
    let Some(done) = done else { return context.output.raw(plan.to_string().as_bytes()) };
    let digests = [
        ("quarantined", &done.quarantined),
        ("left to a writer", &done.leased),
        ("fetched", &done.refilled),
        ("could not fetch", &done.failed),
    ];
    for (what, digests) in digests {
        for digest in digests {
            context.output.line(format!("{what} {digest}"))?;
        }
    }
    for name in &done.dropped {
        context.output.line(format!("dropped {}", crate::show::plain(name)))?;
    }
    Ok(())
}
