//! `transship untag`: names go, what they named stays.

use serde::Serialize;
use transship_layout::{Error, Name};
use transship_spec::Location;

use crate::args;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::network::Network;
use crate::place::{Made, Place};

/// `transship.untag/v1`
#[derive(Debug, Serialize)]
struct Untagged {
    locations: Vec<String>,
}

pub(crate) fn run(args: &args::Untag, context: &Context) -> Result<(), Failure> {
    let locations = untag(args, context).cannot(format!("untag {}", crate::show::plain(&args.location)))?;
    if context.output.is_json() {
        let locations = locations.iter().map(Location::to_string).collect();
        return context.output.json("transship.untag/v1", &Untagged { locations });
    }
    for location in &locations {
        context.progress.note(&format!("{} is gone", crate::show::plain(&location.to_string())));
    }
    Ok(())
}

fn untag(args: &args::Untag, context: &Context) -> Result<Vec<Location>, Failure> {
    match Place::find(&args.location, Made::Before)? {
        Place::Layout { reference: Some(_), .. } => Err(named()),
        Place::Layout { path, reference: None } => {
            let names = args.names.iter().map(|name| Name::parse(name)).collect::<Result<Vec<_>, _>>()?;
            let layout = crate::local::options(&args.change.reading, &args.change.writing).open(&path)?;
            layout.edit(|index| {
                for name in &names {
                    if !index.remove(name)? {
                        let (path, reference) = (path.clone(), name.to_string());
                        return Err(Error::NoSuchReference { path, reference, candidates: Vec::new() });
                    }
                }
                Ok(())
            })?;
            let location =
                |name: &Name| Location::Layout { path: path.clone(), reference: Some(name.to_string()) };
            Ok(names.iter().map(location).collect())
        }
        place @ Place::Archive { .. } => Err(place.unchanged("has the names that it was made with")),
        Place::Registry(reference) => {
            if reference.tag().is_some() || reference.digest().is_some() {
                return Err(named());
            }
            let tags =
                args.names.iter().map(|name| crate::content::tag(name)).collect::<Result<Vec<_>, _>>()?;
            let network = Network::open(context, &args.change.network, &[reference.registry()])?;
            let repository = network.repository(&reference)?.for_writing();
            for tag in &tags {
                network.block_on(repository.tag_delete(tag))?;
            }
            Ok(tags.into_iter().map(|tag| Location::Registry(reference.with_tag(tag))).collect())
        }
    }
}

fn named() -> Failure {
    Failure::usage("the names that go stand after the location, and none in it")
}
