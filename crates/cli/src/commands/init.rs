//! `transship init`: an empty layout.

use transship_layout::Layout;
use transship_spec::Location;

use crate::args::{self, Reading};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::place::{Made, Place};

pub(crate) fn run(args: &args::Init, context: &Context) -> Result<(), Failure> {
    let what = format!("make the layout {}", crate::show::plain(&args.folder));
    let made = make(args).cannot(what)?;
    context
        .progress
        .note(&format!("{} is an empty layout", crate::show::plain(&made.path().display().to_string())));
    Ok(())
}

fn make(args: &args::Init) -> Result<Layout, Failure> {
    // A bare word is a folder here: nothing else could be meant.
    let path = match args.folder.split_once(':') {
        Some(("oci" | "docker" | "oci-archive" | "docker-archive", _)) => {
            match Place::find(&args.folder, Made::Now)? {
                Place::Layout { path, reference: None } => path,
                Place::Layout { path, .. } => {
                    let location = Location::Layout { path, reference: None };
                    return Err(
                        Failure::usage("an empty layout holds no names").hint(format!("type {location}"))
                    );
                }
                Place::Archive { .. } => {
                    return Err(Failure::usage("an empty archive is of no use")
                        .hint("an archive is made by what is copied or packed into it"));
                }
                Place::Registry(_) => return Err(Failure::usage("a registry makes repositories by itself")),
            }
        }
        _ => args.folder.clone().into(),
    };
    Ok(crate::local::options(&Reading::default(), &args.writing).create(path)?)
}
