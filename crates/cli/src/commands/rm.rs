//! `transship rm`: a manifest goes, with all its names.

use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;
use transship_layout::{Error, Layout, graph};
use transship_registry::Repository;
use transship_spec::{Digest, Reference};

use crate::args;
use crate::content::which;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::network::Network;
use crate::place::{Made, Place};

/// `transship.rm/v1`
#[derive(Debug, Serialize)]
struct Removed {
    digests: Vec<Digest>,
}

pub(crate) fn run(args: &args::Rm, context: &Context) -> Result<(), Failure> {
    let digests = remove(args, context).cannot(format!("remove {}", crate::show::plain(&args.location)))?;
    if context.output.is_json() {
        return context.output.json("transship.rm/v1", &Removed { digests });
    }
    digests.iter().try_for_each(|digest| context.output.line(digest))
}

fn remove(args: &args::Rm, context: &Context) -> Result<Vec<Digest>, Failure> {
    match Place::find(&args.location, Made::Before)? {
        Place::Layout { path, reference } => of_layout(args, &path, reference.as_deref(), context),
        place @ Place::Archive { .. } => Err(place.unchanged("loses nothing")),
        Place::Registry(reference) => of_registry(args, &reference, context),
    }
}

fn of_layout(
    args: &args::Rm,
    path: &Path,
    reference: Option<&str>,
    context: &Context,
) -> Result<Vec<Digest>, Failure> {
    let layout = crate::local::options(&args.change.reading, &args.change.writing).open(path)?;
    let entry = layout.resolve(reference)?;
    if !layout.entries()?.iter().any(|other| other.descriptor.digest == entry.descriptor.digest) {
        return Err(Failure::usage(format!("{} is part of another entry", entry.descriptor.digest))
            .hint(format!("{} has it: take that away", crate::show::plain(&path.display().to_string()))));
    }
    let mut digests = vec![entry.descriptor.digest];
    if args.referrers {
        add_referrers(&layout, &mut digests, context)?;
    }
    layout.edit(|index| {
        let removed: usize = digests.iter().map(|digest| index.remove_digest(digest)).sum();
        match removed {
            0 => Err(Error::NoSuchReference {
                path: path.to_owned(),
                reference: digests.first().map(Digest::to_string).unwrap_or_default(),
                candidates: Vec::new(),
            }),
            _ => Ok(()),
        }
    })?;
    Ok(digests)
}

/// What refers to the first of these, and to what refers to it.
fn add_referrers(layout: &Layout, digests: &mut Vec<Digest>, context: &Context) -> Result<(), Failure> {
    let referrers = graph::referrers_of(layout)?;
    for (digest, error) in &referrers.unreadable {
        context.progress.warning(&format!("{digest} may refer to it, and cannot be read: {error}"));
    }
    let mut seen: HashSet<Digest> = digests.iter().cloned().collect();
    let mut next = 0;
    while let Some(subject) = digests.get(next).cloned() {
        next += 1;
        for referrer in referrers.of(&subject) {
            if seen.insert(referrer.digest.clone()) {
                digests.push(referrer.digest.clone());
            }
        }
    }
    Ok(())
}

fn of_registry(args: &args::Rm, reference: &Reference, context: &Context) -> Result<Vec<Digest>, Failure> {
    let network = Network::open(context, &args.change.network, &[reference.registry()])?;
    let repository = network.repository(reference)?.for_writing();
    let manifest = network.block_on(repository.manifest_get(&which(reference)))?;
    let mut digests = vec![manifest.digest];
    if args.referrers {
        network.block_on(referrers_of(&repository, &mut digests))?;
    }
    // What refers to something goes before it, so that a failure on the way leaves nothing that refers to nothing.
    for digest in digests.iter().rev() {
        network.block_on(repository.manifest_delete(digest))?;
    }
    Ok(digests)
}

async fn referrers_of(
    repository: &Repository,
    digests: &mut Vec<Digest>,
) -> Result<(), transship_registry::Error> {
    let mut seen: HashSet<Digest> = digests.iter().cloned().collect();
    let mut next = 0;
    while let Some(subject) = digests.get(next).cloned() {
        next += 1;
        for referrer in repository.referrers(&subject, None).await? {
            if seen.insert(referrer.digest.clone()) {
                digests.push(referrer.digest);
            }
        }
    }
    Ok(())
}
