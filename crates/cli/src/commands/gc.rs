//! `transship gc`: blobs that nothing reaches.

use serde::Serialize;
use transship_layout::{GcOptions, GcPlan, GcReason, Tally};
use transship_spec::{Digest, Location};

use crate::args;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::place::{Made, Place};
use crate::show;

/// `transship.gc/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Collected<'a> {
    location: String,
    dry_run: bool,
    entries: Vec<Entry<'a>>,
    blobs: Vec<Blob<'a>>,
    partials: Count,
    temporaries: Count,
    bytes: u64,
    kept: Kept,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    digest: &'a Digest,
    name: Option<&'a str>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a Digest>,
}

#[derive(Debug, Serialize)]
struct Blob<'a> {
    digest: &'a Digest,
    size: u64,
}

#[derive(Debug, Serialize)]
struct Kept {
    reachable: Count,
    leased: Count,
    young: Count,
    partials: Count,
    strays: u64,
    holes: u64,
}

#[derive(Debug, Serialize)]
struct Count {
    count: u64,
    bytes: u64,
}

impl From<Tally> for Count {
    fn from(Tally { count, bytes, .. }: Tally) -> Self {
        Self { count, bytes }
    }
}

pub(crate) fn run(args: &args::Gc, context: &Context) -> Result<(), Failure> {
    let what = format!("collect the garbage of {}", show::plain(&args.folder));
    let (location, plan) = collect(args).cannot(what)?;
    if context.output.is_json() {
        return context.output.json("transship.gc/v1", &collected(location.to_string(), args.dry_run, &plan));
    }
    context.output.raw(list(&plan).as_bytes())?;
    tell(args, &plan, context);
    Ok(())
}

fn collect(args: &args::Gc) -> Result<(Location, GcPlan), Failure> {
    let path = folder(&args.folder)?;
    let options =
        GcOptions { untagged: args.untagged, sparse: args.sparse, grace: args.grace, ..GcOptions::default() };
    let opening = crate::local::options(&args.reading, &args.writing);
    let plan = match args.dry_run {
        true => opening.open_read_only(&path)?.plan_gc(&options)?,
        false => opening.open(&path)?.gc(&options)?,
    };
    Ok((Location::Layout { path, reference: None }, plan))
}

/// A bare word is a folder here: nothing else could be meant.
fn folder(text: &str) -> Result<std::path::PathBuf, Failure> {
    if !text.contains(':') {
        return Ok(text.into());
    }
    match Place::find(text, Made::Before)? {
        Place::Layout { path, reference: None } => Ok(path),
        Place::Layout { path, .. } => {
            let location = Location::Layout { path, reference: None };
            Err(Failure::usage("garbage is collected of a whole layout").hint(format!("type {location}")))
        }
        Place::Archive { .. } => {
            Err(Failure::usage("an archive holds no garbage: it was made of what was asked for"))
        }
        Place::Registry(_) => Err(Failure::usage("a registry collects its garbage by itself")),
    }
}

/// What goes, a line each.
fn list(plan: &GcPlan) -> String {
    let mut text = String::new();
    for entry in &plan.entries {
        let why = match &entry.why {
            GcReason::SubjectGoes(subject) => format!("refers to {subject}"),
            _ => "has no name".to_owned(),
        };
        text.push_str(&format!("entry\t{}\t{why}\n", entry.digest));
    }
    for (digest, size) in &plan.blobs {
        text.push_str(&format!("blob\t{digest}\t{size}\n"));
    }
    text
}

fn tell(args: &args::Gc, plan: &GcPlan, context: &Context) {
    let number = |count: u64, one: &str, many: &str| {
        show::count(usize::try_from(count).unwrap_or(usize::MAX), one, many)
    };
    let mut parts = Vec::new();
    for (count, one, many) in [
        (plan.entries.len() as u64, "entry", "entries"),
        (plan.blobs.len() as u64, "blob", "blobs"),
        (plan.partials.count, "partial download", "partial downloads"),
        (plan.temporaries.count, "temporary file", "temporary files"),
    ] {
        if count > 0 {
            parts.push(number(count, one, many));
        }
    }
    let went = if args.dry_run { "would go" } else { "removed" };
    let gone = match parts.as_slice() {
        [] => "there is no garbage".to_owned(),
        parts => format!("{went}: {} ({})", parts.join(", "), show::bytes(plan.bytes())),
    };
    let mut stays = vec![format!("{} reachable", plan.reachable.count)];
    for (tally, why) in [(plan.leased, "needed by running commands".to_owned()), (plan.young, young(args))] {
        if tally.count > 0 {
            stays.push(format!("{} {why}", tally.count));
        }
    }
    let kept = plan.reachable.count + plan.leased.count + plan.young.count;
    context.progress.note(&format!(
        "{gone}; {}: {}",
        number(kept, "blob stays", "blobs stay"),
        stays.join(", ")
    ));
    if plan.strays > 0 {
        context.progress.warning(&format!(
            "{} in the folders of blobs, left alone",
            number(plan.strays, "thing is no blob", "things are no blobs")
        ));
    }
}

fn young(args: &args::Gc) -> String {
    // In the words in which it is given.
    let seconds = args.grace.as_secs();
    let units = [(24 * 3600, "d"), (3600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, letter) = unit.unwrap_or((1, "s"));
    format!("younger than {}{letter} (--grace)", seconds / unit)
}

fn collected(location: String, dry_run: bool, plan: &GcPlan) -> Collected<'_> {
    let entries = plan.entries.iter().map(|entry| {
        let (reason, subject) = match &entry.why {
            GcReason::SubjectGoes(subject) => ("subject", Some(subject)),
            _ => ("untagged", None),
        };
        Entry { digest: &entry.digest, name: entry.name.as_deref(), reason, subject }
    });
    Collected {
        location,
        dry_run,
        entries: entries.collect(),
        blobs: plan.blobs.iter().map(|(digest, size)| Blob { digest, size: *size }).collect(),
        partials: plan.partials.into(),
        temporaries: plan.temporaries.into(),
        bytes: plan.bytes(),
        kept: Kept {
            reachable: plan.reachable.into(),
            leased: plan.leased.into(),
            young: plan.young.into(),
            partials: plan.resumable.into(),
            strays: plan.strays,
            holes: plan.holes,
        },
    }
}
