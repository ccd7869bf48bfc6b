//! `transship diff`: in what two images differ.

mod json;
mod text;

use std::sync::Arc;

use transship_pack::{Compared, Diff, DiffOptions, DiffSide, Excludes, Status};
use transship_spec::{Kind, Platform};

use super::layers::{Opened, Watched, limited, limits};
use crate::args;
use crate::content::Content;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::network::Network;
use crate::place::{Made, Place};
use crate::show;

pub(crate) fn run(args: &args::Diff, context: &Context) -> Result<(), Failure> {
    let (left, right) = (show::plain(&args.left), show::plain(&args.right));
    let (places, diff) = compare(args, context).cannot(format!("compare {left} with {right}"))?;
    for warning in &diff.warnings {
        context.progress.warning(&warning.to_string());
    }
    for note in notes(args, &diff) {
        context.progress.note(&note);
    }
    match context.output.is_json() {
        true => context.output.json("transship.diff/v1", &json::Report::new(&places, &diff))?,
        false => context.output.raw(text::text(&diff).as_bytes())?,
    }
    if diff.is_empty() {
        return Ok(());
    }
    summary(&diff, context);
    match args.exit_code {
        true => Err(Failure::told(Kind::Partial)),
        false => Ok(()),
    }
}

fn compare(args: &args::Diff, context: &Context) -> Result<([Place; 2], Diff), Failure> {
    let paths = (!args.path.is_empty()).then(|| Excludes::new(&args.path)).transpose()?;
    let find = |text: &str| Place::find(text, Made::Before).cannot(format!("find {}", show::plain(text)));
    let (left, right) = (find(&args.left)?, find(&args.right)?);
    let registries: Vec<&str> = [&left, &right].into_iter().filter_map(Place::registry).collect();
    if !registries.is_empty() {
        Network::check(&args.layers.network, &registries)?;
    }
    let open = |place: &Place| {
        let content = Content::open(place, context, &args.layers.reading, &args.layers.network)?;
        let image = content.resolve(args.platform.as_ref())?;
        Ok::<_, Failure>((content, image))
    };
    let (a, first) = open(&left).cannot(format!("read {}", show::plain(&args.left)))?;
    let (b, second) = open(&right).cannot(format!("read {}", show::plain(&args.right)))?;
    let (one, two) = (Opened::of(&a)?, Opened::of(&b)?);
    let options = DiffOptions {
        platform: args.platform.clone(),
        files: !args.no_files,
        mtime: args.mtime,
        paths,
        shared_from_right: left.registry().is_some() && right.registry().is_none(),
        limits: limits(&args.layers.limits),
        progress: Some(Arc::new(Watched::new(&context.progress, None))),
    };
    let sides =
        (DiffSide { source: one.source(), image: &first }, DiffSide { source: two.source(), image: &second });
    let diff = transship_pack::diff(sides.0, sides.1, &options).map_err(limited)?;
    Ok(([left, right], diff))
}

/// What was chosen, and what was left out (law 11).
fn notes(args: &args::Diff, diff: &Diff) -> Vec<String> {
    let mut notes = Vec::new();
    let sides = [(&args.left, &diff.left), (&args.right, &diff.right)];
    for (location, side) in sides {
        if let Compared { index: Some(_), platform: Some(platform), .. } = side {
            notes.push(format!(
                "of {} the member for {} is compared",
                show::plain(location),
                show::plain(&platform.to_string())
            ));
        }
    }
    if !diff.others.is_empty() {
        let others: Vec<String> = diff.others.iter().map(Platform::to_string).collect();
        notes.push(format!(
            "the members for {} differ, too, and were not compared; --platform compares them",
            show::plain(&others.join(", "))
        ));
    }
    let is_image = |side: &Compared| side.platform.is_some();
    if diff.files.is_none() && !args.no_files && is_image(&diff.left) != is_image(&diff.right) {
        notes.push("files are not compared, since one of them is no image".to_owned());
    }
    notes
}

fn summary(diff: &Diff, context: &Context) {
    let fields = diff.index.len() + diff.manifest.len() + diff.config.len();
    let mut parts = Vec::new();
    if fields > 0 {
        parts.push(show::count(fields, "field", "fields"));
    }
    if !diff.layers.is_empty() {
        let (one, many) = if diff.files.is_some() { ("layer", "layers") } else { ("blob", "blobs") };
        parts.push(show::count(diff.layers.len(), one, many));
    }
    let files = diff.files.as_deref().unwrap_or_default();
    let count = |status| files.iter().filter(|file| file.status() == status).count();
    let counts = [count(Status::Added), count(Status::Removed), count(Status::Changed)];
    if !files.is_empty() {
        let [added, removed, changed] = counts;
        parts.push(format!(
            "{} ({added} added, {removed} removed, {changed} changed)",
            show::count(files.len(), "path", "paths")
        ));
    }
    let numbers = serde_json::json!({
        "fields": fields, "layers": diff.layers.len(),
        "added": counts[0], "removed": counts[1], "changed": counts[2],
    });
    context.progress.summary(&format!("they differ in {}", parts.join(", ")), &numbers);
}
