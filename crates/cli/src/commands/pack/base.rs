//! `--from`: the image that another one is put on top of, wherever it is.

use std::io::Read;
use std::sync::Arc;

use transship_copy::endpoint::{self, Ask, Blocking};
use transship_copy::{Endpoint, Select};
use transship_layout::{Entry, Source};
use transship_pack::Base;
use transship_spec::{Descriptor, Digest, Kind, Reference};

use crate::args::PackImage;
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::local::Stock;
use crate::network::Network;
use crate::place::{Made, Place};

/// Requests of a base at the same time.
const CONCURRENCY: usize = 6;

/// Opens the place of an image to build upon, and finds the image.
pub(super) fn find(text: &str, args: &PackImage, context: &Context) -> Result<Base, Failure> {
    open(text, args, context).cannot(format!("build upon {}", crate::show::plain(text)))
}

fn open(text: &str, args: &PackImage, context: &Context) -> Result<Base, Failure> {
    let place = Place::find(text, Made::Before)?;
    let base = match (Stock::open(&place, &args.out.reading)?, &place) {
        (Some(stock), _) => {
            let entry = stock.resolve(place.reference())?;
            match stock {
                Stock::Layout(layout) => Base::new(&layout, &entry),
                Stock::Archive(archive, _) => Base::of(Arc::new(archive), &entry),
            }
        }
        (None, Place::Registry(reference)) => remote(reference, args.inputs.sparse, args, context)?,
        (None, _) => return Err(Failure::new(Kind::Unexpected, format!("{place} was not opened"))),
    };
    Ok(Base { sparse: args.inputs.sparse, ..base })
}

/// A base in a registry: its manifest and config come now, layers when they are needed, if they are not said to be absent.
pub(super) fn remote(
    reference: &Reference,
    is_thin: bool,
    args: &PackImage,
    context: &Context,
) -> Result<Base, Failure> {
    let to = Place::find(&args.inputs.to, Made::Now)?;
    let registries: Vec<&str> = [reference.registry()].into_iter().chain(to.registry()).collect();
    let network = Network::open_for(context, &args.out.network, &registries, CONCURRENCY)?;
    let endpoint: Arc<dyn Endpoint> = endpoint::registry(network.repository(reference)?);
    let named = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => Some(digest.to_string()),
        (None, tag) => tag.map(ToString::to_string),
    };
    let source = endpoint::blocking(endpoint, network.runtime.handle()?, Select::One(named), Ask::default());
    let entry = source.entries()?.into_iter().next();
    let entry = entry.ok_or_else(|| Failure::new(Kind::NotFound, format!("there is no {reference}")))?;
    let name = reference.tag().map(|_| reference.to_string());
    Ok(Base { name, ..Base::of(Arc::new(Remote { source, is_thin, _network: network }), &entry) })
}

/// A repository, with what it needs to live.
struct Remote {
    // Dropped before the network that it asks.
    source: Blocking,
    /// Whether nothing is to be fetched that the new image can do without.
    is_thin: bool,
    _network: Network,
}

impl Source for Remote {
    fn entries(&self) -> transship_layout::Result<Vec<Entry>> {
        self.source.entries()
    }

    fn open(&self, descriptor: &Descriptor) -> transship_layout::Result<Box<dyn Read + Send>> {
        self.source.open(descriptor)
    }

    fn size(&self, digest: &Digest) -> transship_layout::Result<Option<u64>> {
        if self.is_thin { Ok(None) } else { self.source.size(digest) }
    }
}
