//! `transship resolve`: the digest of something, alone on a line.

use serde::Serialize;
use transship_spec::{Digest, MediaType};

use crate::args;
use crate::content::Content;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};

/// `transship.resolve/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Resolved {
    location: String,
    digest: Digest,
    media_type: MediaType,
    size: u64,
}

pub(crate) fn run(args: &args::Resolve, context: &Context) -> Result<(), Failure> {
    let found = Content::at(&args.location, context, &args.read.reading, &args.read.network)
        .and_then(|(place, content)| Ok((place, content.resolve(args.platform.as_ref())?)));
    let (place, descriptor) = found.cannot(format!("resolve {}", crate::show::plain(&args.location)))?;
    if !context.output.is_json() {
        return context.output.line(&descriptor.digest);
    }
    let resolved = Resolved {
        location: place.location().to_string(),
        digest: descriptor.digest,
        media_type: descriptor.media_type,
        size: descriptor.size,
    };
    context.output.json("transship.resolve/v1", &resolved)
}
