//! What is copied to where: from what a user names to one request a root, with every name decided.

use std::collections::HashMap;
use std::sync::Arc;

use transship_layout::Layout;
use transship_registry::Client;
use transship_spec::{Digest, Reference, referrers};

use crate::endpoint::{self, ArchiveTarget, Endpoint, Listed};
use crate::names::{self, Assigned, Called, Choice, Name, Naming, Target};
use crate::newest::Newest;
use crate::{Error, Result};

/// Where something comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The place.
    pub endpoint: Arc<dyn Endpoint>,
    /// What of it.
    pub select: Select,
}

/// What of a source is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Select {
    /// What a reference means: a tag, a name, a digest, `@N`. Without one the only thing in a layout, `latest` in a
    /// repository.
    One(Option<String>),
    /// Everything that has a name.
    All,
}

/// Where things go.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Destination {
    /// Into a layout, under this name if one is given.
    Layout {
        /// The layout, open for writing.
        layout: Layout,
        /// The name.
        name: Option<String>,
    },
    /// Into an archive, under this name if one is given.
    Archive {
        /// The archive.
        target: ArchiveTarget,
        /// The name.
        name: Option<String>,
    },
    /// Into a repository, or below it where several things are copied.
    Registry {
        /// The client.
        client: Client,
        /// The repository; with a tag or a digest where one thing goes there.
        reference: Reference,
    },
}

/// One root to copy, with its place and name at the destination.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it comes from.
    pub from: Arc<dyn Endpoint>,
    /// What it is there.
    pub listed: Listed,
    /// Where it goes.
    pub to: Arc<dyn Endpoint>,
    /// What it is called there.
    pub name: Name,
    /// The digest that it must have, where the destination names one.
    pub digest: Option<Digest>,
}

/// How requests are made.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// How names are found.
    pub naming: Naming,
    /// Of everything that has a name, only what has a tag or short name that one of these fits; everything if none is
    /// given.
    pub tags: Vec<Choice>,
    /// And of that, not what one of these fits.
    pub exclude: Vec<Choice>,
    /// And of what is left of each source, only the newest.
    pub newest: Option<Newest>,
    /// Move names also to images of other repositories.
    pub force: bool,
}

impl Selection {
    fn takes(&self, called: &Called) -> bool {
        let name = called.short.as_deref().unwrap_or_default();
        let fits = |choices: &[Choice]| choices.iter().any(|choice| choice.fits(name));
        (self.tags.is_empty() || fits(&self.tags)) && !fits(&self.exclude)
    }
}

/// Names everything that is to be copied. Nothing moves yet; sources are listed where they must be.
///
/// # Errors
/// Those of [`names::assign`], [`Error::Nothing`], [`Error::NameMoves`], and those of listing a source or of finding a name in a layout.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use transship_copy::{Destination, Select, Selection, Source, endpoint, requests};
/// use transship_layout::Layout;
/// use transship_registry::{Client, Settings};
/// use transship_spec::Reference;
///
/// let layout = endpoint::layout(Layout::options().open_read_only("bundle")?);
/// let source = Source { endpoint: layout, select: Select::One(Some("v1".to_owned())) };
/// let client = Client::new(Settings::default())?;
/// let reference = Reference::parse("registry.example/team/app")?;
/// let destination = Destination::Registry { client, reference };
/// let requests = requests(&[source], &destination, &Selection::default()).await?;
/// assert_eq!(requests[0].name.to_string(), "v1");
/// # Ok(())
/// # }
/// ```
pub async fn requests(
    sources: &[Source],
    destination: &Destination,
    selection: &Selection,
) -> Result<Vec<Request>> {
    let mut things: Vec<(Arc<dyn Endpoint>, Listed)> = Vec::new();
    for source in sources {
        match &source.select {
            Select::One(reference) => {
                let listed = source.endpoint.call(reference.as_deref()).await?;
                things.push((Arc::clone(&source.endpoint), listed));
            }
            Select::All => {
                let mut named = source.endpoint.named().await?;
                named.retain(|listed| selection.takes(&listed.called));
                if let Some(newest) = selection.newest {
                    named = newest.of(&source.endpoint, named).await?;
                }
                if named.is_empty() {
                    return Err(Error::Nothing { place: source.endpoint.place().to_string() });
                }
                things.extend(named.into_iter().map(|listed| (Arc::clone(&source.endpoint), listed)));
            }
        }
    }
    let into = match destination {
        Destination::Layout { name, .. } | Destination::Archive { name, .. } => {
            Target::Layout { name: name.clone(), short: selection.naming.short_names }
        }
        Destination::Registry { reference, .. } => Target::Registry(reference.clone()),
    };
    let called: Vec<_> = things.iter().map(|(_, listed)| listed.called.clone()).collect();
    let assigned = names::assign(&called, &into, &selection.naming, is_several(sources, &things))?;
    let places = places(&assigned, destination)?;
    let requests = things.into_iter().zip(places).zip(&assigned).map(|(((from, listed), to), assigned)| {
        let digest = names::wanted_digest(&into).cloned();
        Request { from, listed, to, name: assigned.name.clone(), digest }
    });
    let requests: Vec<Request> = requests.collect();
    if !selection.force && !matches!(into, Target::Layout { name: Some(_), .. }) {
        refuse_moves(&requests).await?;
    }
    Ok(requests)
}

/// Whether the destination takes many things: several sources, or all names of one that holds many repositories. All
/// tags of one repository go into one repository.
fn is_several(sources: &[Source], things: &[(Arc<dyn Endpoint>, Listed)]) -> bool {
    let of_many = |source: &Source| {
        source.select == Select::All
            && source.endpoint.is_local()
            && things.iter().any(|(_, listed)| listed.called.full.is_some())
    };
    match sources {
        [source] => of_many(source),
        several => several.len() > 1,
    }
}

/// The endpoints of the destination: one for the layout, or one for each repository.
fn places(assigned: &[Assigned], destination: &Destination) -> Result<Vec<Arc<dyn Endpoint>>> {
    match destination {
        Destination::Layout { layout, .. } => {
            let one = endpoint::layout(layout.clone());
            Ok(assigned.iter().map(|_| Arc::clone(&one)).collect())
        }
        Destination::Archive { target, .. } => {
            let one = endpoint::archive_target(target.clone());
            Ok(assigned.iter().map(|_| Arc::clone(&one)).collect())
        }
        Destination::Registry { client, reference } => {
            let mut known: HashMap<Reference, Arc<dyn Endpoint>> = HashMap::new();
            let mut place = |assigned: &Assigned| {
                let repository = assigned.repository.clone().unwrap_or_else(|| reference.without_version());
                if let Some(known) = known.get(&repository) {
                    return Ok(Arc::clone(known));
                }
                let made = client.repository(repository.registry(), repository.repository())?;
                let made = endpoint::registry(made);
                known.insert(repository, Arc::clone(&made));
                Ok(made)
            };
            assigned.iter().map(&mut place).collect()
        }
    }
}

/// A short name in a layout may belong to an image of another repository, which must not lose it by accident.
async fn refuse_moves(requests: &[Request]) -> Result<()> {
    let Some(layout) = requests.first().map(|request| &request.to).filter(|to| to.is_local()) else {
        return Ok(());
    };
    let named = layout.named().await?;
    let mut bearers: HashMap<&str, Vec<&Reference>> = HashMap::new();
    for called in named.iter().map(|listed| &listed.called) {
        if let (Some(short), Some(full)) = (&called.short, &called.full) {
            bearers.entry(short).or_default().push(full);
        }
    }
    for request in requests {
        let (Name::Short(name), Some(new)) = (&request.name, &request.listed.called.full) else { continue };
        if referrers::digest_tag(name).is_some() {
            continue;
        }
        let mut there = bearers.get(name.as_str()).into_iter().flatten();
        if let Some(there) = there.find(|there| !names::same_repository(there, new)) {
            return Err(Error::NameMoves {
                name: name.clone(),
                place: layout.place().to_string(),
                there: there.without_version().to_string(),
                new: new.without_version().to_string(),
            });
        }
    }
    Ok(())
}
