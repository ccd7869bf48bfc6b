//! `transship tag`: more names for what is there.

use serde::Serialize;
use transship_layout::Name;
use transship_registry::TagOrDigest;
use transship_spec::{Digest, Location};

use crate::args;
use crate::content::which;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::network::Network;
use crate::place::{Made, Place};

/// `transship.tag/v1`
#[derive(Debug, Serialize)]
struct Tagged {
    digest: Digest,
    locations: Vec<String>,
}

pub(crate) fn run(args: &args::Tag, context: &Context) -> Result<(), Failure> {
    let (digest, locations) =
        tag(args, context).cannot(format!("tag {}", crate::show::plain(&args.location)))?;
    if context.output.is_json() {
        let locations = locations.iter().map(Location::to_string).collect();
        return context.output.json("transship.tag/v1", &Tagged { digest, locations });
    }
    match locations.as_slice() {
        [_] => context.output.line(digest),
        several => {
            several.iter().try_for_each(|location| context.output.line(format!("{digest}\t{location}")))
        }
    }
}

fn tag(args: &args::Tag, context: &Context) -> Result<(Digest, Vec<Location>), Failure> {
    match Place::find(&args.location, Made::Before)? {
        Place::Layout { path, reference } => {
            let names = args.names.iter().map(|name| Name::parse(name)).collect::<Result<Vec<_>, _>>()?;
            let layout = crate::local::options(&args.change.reading, &args.change.writing).open(&path)?;
            let session = layout.begin()?;
            let descriptor = session.resolve(reference.as_deref())?.descriptor;
            session.commit(|index| {
                for name in &names {
                    index.set(name, &descriptor)?;
                }
                Ok(())
            })?;
            let location =
                |name: &Name| Location::Layout { path: path.clone(), reference: Some(name.to_string()) };
            Ok((descriptor.digest, names.iter().map(location).collect()))
        }
        place @ Place::Archive { .. } => Err(place.unchanged("gets its names when it is copied to")),
        Place::Registry(reference) => {
            let names =
                args.names.iter().map(|name| crate::content::tag(name)).collect::<Result<Vec<_>, _>>()?;
            let network = Network::open(context, &args.change.network, &[reference.registry()])?;
            let repository = network.repository(&reference)?.for_writing();
            let manifest = network.block_on(repository.manifest_get(&which(&reference)))?;
            for name in &names {
                let tag = TagOrDigest::Tag(name.clone());
                let bytes = manifest.bytes.clone();
                network.block_on(repository.manifest_put(&tag, &manifest.media_type, bytes))?;
            }
            let location = |tag| Location::Registry(reference.with_tag(tag));
            Ok((manifest.digest, names.into_iter().map(location).collect()))
        }
    }
}
