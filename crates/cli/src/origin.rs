//! Something that is there and of which something new is made: in a layout, an archive or a registry.

use transship_copy::Select;
use transship_copy::endpoint::{self, Ask, Blocking};
use transship_layout::{Entry, Source as _};
use transship_pack::{Member, Origin, Take};
use transship_spec::{Descriptor, Digest, Kind, Location};

use crate::args::PackOutput;
use crate::content::{Content, which};
use crate::context::Context;
use crate::exit::Failure;
use crate::local::Stock;
use crate::place::{Made, Place};

/// What a location names, with what is needed to read it.
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) entry: Entry,
    // Dropped before the network that it asks, which is the content's.
    remote: Option<Blocking>,
    content: Content,
}

impl Found {
    /// Finds a location, and what it names.
    pub(crate) fn at(text: &str, out: &PackOutput, context: &Context) -> Result<Self, Failure> {
        let place = Place::find(text, Made::Before)?;
        let content = Content::open(&place, context, &out.reading, &out.network)?;
        let (entry, remote) = match &content {
            Content::Local { stock, reference } => (stock.resolve(reference.as_deref())?, None),
            Content::Registry { network, repository, reference } => {
                let endpoint = endpoint::registry(repository.clone());
                let select = Select::One(Some(which(reference).to_string()));
                let remote = endpoint::blocking(endpoint, network.runtime.handle()?, select, Ask::default());
                let entry = remote.entries()?.into_iter().next();
                let none = || Failure::new(Kind::NotFound, format!("there is no {}", which(reference)));
                (entry.ok_or_else(none)?, Some(remote))
            }
        };
        Ok(Self { place, entry, remote, content })
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.entry.descriptor
    }

    pub(crate) fn origin(&self) -> Result<Origin<'_>, Failure> {
        match (&self.content, &self.remote) {
            (Content::Local { stock: Stock::Layout(layout), .. }, _) => Ok(Origin::Layout(layout)),
            (Content::Local { stock: Stock::Archive(archive, _), .. }, _) => Ok(Origin::Source(archive)),
            (Content::Registry { .. }, Some(remote)) => Ok(Origin::Source(remote)),
            (Content::Registry { .. }, None) => {
                Err(Failure::new(Kind::Unexpected, format!("{} was not opened", self.place)))
            }
        }
    }

    /// As something of which another thing is made, that goes to `to`. What lies there already stays there.
    pub(crate) fn member(&self, take: Take, to: &str) -> Result<Member<'_>, Failure> {
        let there = match (&self.place, Place::find(to, Made::Now)?) {
            (Place::Registry(from), Place::Registry(to)) => {
                (from.registry(), from.repository()) == (to.registry(), to.repository())
            }
            _ => false,
        };
        Ok(Member { origin: self.origin()?, descriptor: self.descriptor().clone(), take, there })
    }

    /// How many things refer to some of these: they speak of the old content, and stay with it.
    pub(crate) fn referrers<'a>(
        &self,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) -> Result<usize, Failure> {
        let digests: Vec<&Digest> = digests.into_iter().collect();
        match &self.content {
            Content::Local { stock, .. } => {
                let all = transship_layout::graph::referrers_of(stock.source())?;
                Ok(digests.into_iter().map(|digest| all.of(digest).len()).sum())
            }
            Content::Registry { .. } => {
                let count = |digest| Ok(self.content.referrers(digest)?.len());
                digests.into_iter().map(count).sum()
            }
        }
    }

    /// Something else at the same place, by its digest.
    pub(crate) fn beside(&self, digest: &Digest) -> Location {
        let reference = Some(format!("@{digest}"));
        match self.place.location() {
            Location::Layout { path, .. } => Location::Layout { path, reference },
            Location::Archive { path, .. } => Location::Archive { path, reference },
            Location::DockerArchive { path, .. } => Location::DockerArchive { path, reference },
            Location::Registry(other) => {
                Location::Registry(other.without_version().with_digest(digest.clone()))
            }
            other @ Location::Path(_) => other,
        }
    }

    /// Where what is made of it goes when no other place is named: to the same place, under the same name.
    pub(crate) fn home(&self) -> Result<String, Failure> {
        let name = || self.entry.full_name().or(self.entry.name()).map(str::to_owned);
        let location = match self.place.location() {
            Location::Layout { path, .. } => Location::Layout { path, reference: name() },
            Location::Archive { path, .. } => Location::Archive { path, reference: name() },
            Location::DockerArchive { path, .. } => Location::DockerArchive { path, reference: name() },
            Location::Registry(reference) if reference.digest().is_some() => {
                return Err(Failure::usage(format!("{} is named by its digest", self.place))
                    .hint("--to LOCATION says where the new one goes"));
            }
            Location::Registry(reference) => Location::Registry(reference.or_latest()),
            other @ Location::Path(_) => other,
        };
        Ok(location.to_string())
    }
}
