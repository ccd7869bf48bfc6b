//! `transship tree`: from indexes to manifests to blobs, and to what refers to them.
//!
//! It shows what there is, and does not judge: what is missing or broken is a line like others, and a warning counts
//! them. Only what keeps it from looking at all is a failure.

mod draw;
mod ground;
mod grow;
mod node;

use serde::Serialize;

use self::draw::{Style, draw};
use self::ground::Ground;
use self::grow::Growing;
use self::node::Node;
use crate::args;
use crate::content::Content;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::show;

/// `transship.tree/v1`
#[derive(Debug, Serialize)]
struct Report {
    location: String,
    roots: Vec<Node>,
    /// How many of the nodes are missing or broken.
    faults: usize,
}

pub(crate) fn run(args: &args::ShowTree, context: &Context) -> Result<(), Failure> {
    let report = look(args, context).cannot(format!("look at {}", show::plain(&args.location)))?;
    if context.output.is_json() {
        return context.output.json("transship.tree/v1", &report);
    }
    let style = Style { ascii: args.ascii, long: args.long, annotations: args.annotations };
    context.output.raw(draw(&report.roots, style).as_bytes())
}

fn look(args: &args::ShowTree, context: &Context) -> Result<Report, Failure> {
    let (place, content) = Content::at(&args.location, context, &args.read.reading, &args.read.network)?;
    let ground = Ground::of(&content)?;
    ground.doubts().iter().for_each(|doubt| context.progress.warning(&show::plain(doubt)));
    let mut growing = Growing::new(ground, &context.kinds, !args.no_blobs, args.depth);
    let roots = growing.roots()?;
    if growing.faults > 0 {
        let count = show::count(growing.faults, "thing is", "things are");
        context.progress.warning(&format!("{count} missing or broken; transship check tells what and why"));
    }
    if growing.is_too_deep {
        context.progress.warning("what lies more than 32 documents deep was not followed");
    }
    Ok(Report { location: place.location().to_string(), roots, faults: growing.faults })
}
