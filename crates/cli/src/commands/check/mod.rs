//! `transship check`: everything that can be wrong, as findings; and what can be put right.

mod repair;
mod show;
mod source;
mod watch;

use std::sync::Arc;

use transship_layout::check::{self, Finding, Report};
use transship_spec::{Kind, Reference};

use crate::args;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::local;
use crate::place::{Made, Place};
use show::Shown;
use source::Opened;
use watch::Watched;

pub(crate) fn run(args: &args::Check, context: &Context) -> Result<(), Failure> {
    let what = crate::show::plain(&args.location);
    let report = checked(args, context).cannot(format!("check {what}"))?;
    let counted = report.errors + if args.strict { report.warnings } else { 0 };
    match (counted, report.errors) {
        (0, _) => Ok(()),
        (_, 0) => Err(Failure::new(
            Kind::Invalid,
            format!("{what} has {} (--strict)", show::number(report.warnings, "warning", "warnings")),
        )),
        _ => Err(Failure::new(
            Kind::Invalid,
            format!("{what} has {}", show::number(report.errors, "error", "errors")),
        )),
    }
}

fn checked(args: &args::Check, context: &Context) -> Result<Report, Failure> {
    let place = Place::find(&args.location, Made::Before)?;
    if args.repair {
        return repair::run(args, &place, context);
    }
    let mut shown = Shown::new(context);
    let report = look(args, &place, context, &mut |finding| shown.take(finding))?;
    shown.finish(args, &report, None)?;
    Ok(report)
}

/// One check of a place.
fn look(
    args: &args::Check,
    place: &Place,
    context: &Context,
    emit: &mut dyn FnMut(&Finding),
) -> Result<Report, Failure> {
    let options = options(args, context);
    match place {
        Place::Layout { path, reference: None } => {
            let open = local::options(&args.reading, &args.writing);
            Ok(check::directory(path, &open, &options, emit)?)
        }
        Place::Archive { path, reference: None, .. } => {
            Ok(check::archive(&local::open_archive(path)?, &options, emit)?)
        }
        _ => {
            let opened = Opened::part(place, args, context)?;
            Ok(check::content(&*opened.source, &options, emit)?)
        }
    }
}

fn options(args: &args::Check, context: &Context) -> check::Options {
    let mut options = check::Options::default();
    options.sparse = args.sparse;
    options.trust_stamps = args.trust_stamps;
    options.threads = args.threads.unwrap_or_default();
    options.progress = Some(Arc::new(Watched::new(&context.progress)));
    options
}

/// What of a repository is meant: a tag or a digest, or everything.
fn part_of(reference: &Reference) -> Option<String> {
    match (reference.tag(), reference.digest()) {
        (_, Some(digest)) => Some(digest.to_string()),
        (Some(tag), None) => Some(tag.to_string()),
        (None, None) => None,
    }
}
