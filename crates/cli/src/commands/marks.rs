//! `transship edit --referrers`: what belongs to images, marked in the way of another tool.

use std::collections::BTreeMap;

use serde::Serialize;
use transship_layout::{Dialect, Marked};
use transship_spec::Digest;

use crate::args;
use crate::context::Context;
use crate::exit::Failure;
use crate::place::{Made, Place};
use crate::show;

/// `transship.marks/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    location: String,
    dry_run: bool,
    dialect: String,
    referrers: usize,
    digest_tags: usize,
    changed: usize,
    unsaid: Vec<Unsaid>,
}

/// What stays marked as it was.
#[derive(Debug, Serialize)]
struct Unsaid {
    digest: Digest,
    reason: &'static str,
}

pub(super) fn run(args: &args::Edit, dialect: Dialect, context: &Context) -> Result<(), Failure> {
    let place = Place::find(&args.location, Made::Before)?;
    let path = match &place {
        Place::Layout { path, reference: None } => path,
        Place::Layout { .. } => {
            return Err(Failure::usage("--referrers is about a whole layout").hint("leave the reference out"));
        }
        Place::Archive { .. } => return Err(place.unchanged("keeps its marks")),
        Place::Registry(_) => {
            return Err(Failure::usage("a registry lists referrers by itself: --referrers is for layouts"));
        }
    };
    let layout = crate::local::options(&args.out.reading, &args.out.writing);
    let marked = match args.dry_run {
        true => layout.open_read_only(path)?.plan_marks(dialect)?,
        false => layout.open(path)?.mark_referrers(dialect)?,
    };
    for (why, count) in reasons(&marked) {
        let count = show::count(count, "manifest stays", "manifests stay");
        context.progress.warning(&format!("{count} marked as before: {why}"));
    }
    if context.output.is_json() {
        let location = place.location().to_string();
        return context.output.json("transship.marks/v1", &report(location, args.dry_run, dialect, marked));
    }
    let referrers = show::count(marked.referrers, "referrer", "referrers");
    let tags = show::count(marked.digest_tags, "digest tag", "digest tags");
    let entries = show::count(marked.changed, "entry", "entries");
    let doing = if args.dry_run { "would change" } else { "changed" };
    let told = format!("{referrers}, {tags}: {entries} of index.json {doing}");
    if args.dry_run {
        return context.output.line(told);
    }
    context.progress.note(&told);
    Ok(())
}

/// How often each reason was given.
fn reasons(marked: &Marked) -> BTreeMap<&'static str, usize> {
    let mut reasons = BTreeMap::new();
    for unsaid in &marked.unsaid {
        *reasons.entry(unsaid.why).or_default() += 1;
    }
    reasons
}

fn report(location: String, dry_run: bool, dialect: Dialect, marked: Marked) -> Report {
    let unsaid = marked.unsaid.into_iter().map(|one| Unsaid { digest: one.digest, reason: one.why });
    Report {
        location,
        dry_run,
        dialect: dialect.to_string(),
        referrers: marked.referrers,
        digest_tags: marked.digest_tags,
        changed: marked.changed,
        unsaid: unsaid.collect(),
    }
}
