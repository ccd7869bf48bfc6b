//! Places as sources: archives, parts of layouts, and repositories of registries.

use std::io::Read;

use transship_copy::Select;
use transship_copy::endpoint::{self, Ask};
use transship_layout::{Entry, Source};
use transship_spec::{Descriptor, Digest};

use super::part_of;
use crate::args;
use crate::context::Context;
use crate::exit::Failure;
use crate::local::{Stock, open_archive, options};
use crate::network::Network;
use crate::place::Place;

/// A source, with what it needs to live.
pub(super) struct Opened {
    // Dropped before the network that it asks.
    pub(super) source: Box<dyn Source>,
    _network: Option<Network>,
}

impl Opened {
    /// What a location names.
    pub(super) fn part(place: &Place, args: &args::Check, context: &Context) -> Result<Self, Failure> {
        match (Stock::open(place, &args.reading)?, place.reference()) {
            (Some(stock), Some(reference)) => {
                let entries = stock.resolve_all(Some(reference))?;
                Ok(Self { source: Box::new(Part { stock, entries }), _network: None })
            }
            _ => Self::whole(place, args, context),
        }
    }

    /// All of the layout, archive or repository; of a repository with a tag or a digest, what that leads to.
    pub(super) fn whole(place: &Place, args: &args::Check, context: &Context) -> Result<Self, Failure> {
        let local = |source: Box<dyn Source>| Ok(Self { source, _network: None });
        match place {
            Place::Layout { path, .. } => {
                local(Box::new(options(&args.reading, &args.writing).open_read_only(path)?))
            }
            Place::Archive { path, .. } => local(Box::new(open_archive(path)?)),
            Place::Registry(reference) => {
                let network = Network::open(context, &args.network, &[reference.registry()])?;
                let endpoint = endpoint::registry(network.repository(reference)?);
                let select = match part_of(reference) {
                    Some(part) => Select::One(Some(part)),
                    None => Select::All,
                };
                let ask = Ask { referrers: true, digest_tags: true, many: false };
                let source = endpoint::blocking(endpoint, network.runtime.handle()?, select, ask);
                Ok(Self { source: Box::new(source), _network: Some(network) })
            }
        }
    }
}

/// Some entries of a layout or an archive, and what they lead to.
struct Part {
    stock: Stock,
    entries: Vec<Entry>,
}

impl Source for Part {
    fn entries(&self) -> transship_layout::Result<Vec<Entry>> {
        Ok(self.entries.clone())
    }

    fn open(&self, descriptor: &Descriptor) -> transship_layout::Result<Box<dyn Read + Send>> {
        self.stock.source().open(descriptor)
    }

    fn size(&self, digest: &Digest) -> transship_layout::Result<Option<u64>> {
        self.stock.source().size(digest)
    }
}
