//! From a plan to a file, and the words of the file back to values.

use transship_spec::{Dialect, Location, MediaType, Platform};

use super::{Choices, SCHEMA, SavedDestination, SavedPlan, SavedRoot};
use crate::endpoint::Place;
use crate::graph::State;
use crate::names::Name;
use crate::plan::{Options, Plan, Referrers, Subset};
use crate::report::Why;
use crate::survey::Root;
use crate::{Error, Result};

impl Plan {
    /// The plan as a value that can be written to a file, and made a plan again by [`apply`](crate::apply).
    ///
    /// # Errors
    /// What is known to fail is not worth saving: the first of these failures. [`Error::NoLocation`] for a place that
    /// cannot be typed.
    ///
    /// ```
    /// use transship_copy::{Destination, Options, SavedPlan, Select, Selection, Source, endpoint, plan, requests};
    /// use transship_layout::{Layout, Name};
    /// use transship_spec::Index;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// # let from = Layout::options().create(folder.path().join("from"))?;
    /// # let session = from.begin()?;
    /// # let root = session.put_document(&Index::new(Vec::new()).to_document()?)?;
    /// # session.commit(|index| index.set(&Name::short("v1")?, &root))?;
    /// let source = Source { endpoint: endpoint::layout(from), select: Select::All };
    /// let layout = Layout::options().create(folder.path().join("to"))?;
    /// let to = Destination::Layout { layout, name: None };
    /// let requests = requests(&[source], &to, &Selection::default()).await?;
    /// let saved = plan(requests, &Options::default()).await.saved()?;
    /// assert_eq!(saved.roots[0].digest, root.digest);
    /// assert_eq!(SavedPlan::parse(&saved.to_json()?)?, saved);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn saved(&self) -> Result<SavedPlan> {
        let survey = &self.survey;
        if let Some(failure) = survey.roots.iter().find_map(|root| root.failure.as_ref()) {
            return Err(Error::Shared(failure.clone()));
        }
        for node in survey.spots.iter().flat_map(|spot| &spot.graph.nodes) {
            if let State::Broken(error) = &node.state {
                return Err(Error::Shared(error.clone()));
            }
        }
        let mut sources = Vec::new();
        let planned = self.roots();
        let mut roots = Vec::new();
        for (root, planned) in survey.roots.iter().zip(planned) {
            let location = location(survey.source(root.from).place())?;
            let known = sources.iter().position(|known| *known == location);
            let source = known.unwrap_or(sources.len());
            if known.is_none() {
                sources.push(location);
            }
            roots.push(SavedRoot { source, present: planned.present, ..saved_root(root)? });
        }
        let mut destinations = Vec::new();
        for (at, planned) in self.destinations().into_iter().enumerate() {
            let location = location(survey.destination(at).place())?;
            let (missing, present) = (planned.missing, planned.present);
            destinations.push(SavedDestination { location, missing, present });
        }
        Ok(SavedPlan {
            schema: SCHEMA.to_owned(),
            choices: Choices::of(&self.options),
            sources,
            destinations,
            roots,
            warnings: survey.warnings.clone(),
        })
    }
}

fn saved_root(root: &Root) -> Result<SavedRoot> {
    let unplanned = || Error::Worker("a root was not planned".to_owned());
    let descriptor = root.descriptor.as_ref().ok_or_else(unplanned)?;
    let (why, subject) = match &root.why {
        Why::Asked => ("asked", None),
        Why::Referrer(subject) => ("referrer", Some(subject.clone())),
        Why::DigestTag(subject) => ("digest-tag", Some(subject.clone())),
    };
    let called = &root.listed.called;
    let reference = called.full.as_ref().map(ToString::to_string);
    Ok(SavedRoot {
        source: 0,
        called: called.short.clone().filter(|_| reference.is_none()),
        reference,
        by_digest: root.listed.digest.is_some() && root.why == Why::Asked,
        named: root.named.clone(),
        digest: descriptor.digest.clone(),
        media_type: descriptor.media_type.clone(),
        size: descriptor.size,
        destination: root.to,
        name: Some(&root.name).filter(|name| **name != Name::Digest).map(ToString::to_string),
        replaces: root.replaced().cloned(),
        present: false,
        why: why.to_owned(),
        subject,
        parent: root.parent,
        part: root.part.clone(),
    })
}

/// A place as it can be typed.
fn location(place: &Place) -> Result<String> {
    let location = match place {
        Place::Layout(path) => Location::Layout { path: path.clone(), reference: None },
        Place::Archive(path) => Location::Archive { path: path.clone(), reference: None },
        Place::DockerArchive(path) => Location::DockerArchive { path: path.clone(), reference: None },
        Place::Repository { .. } => return Ok(place.to_string()),
    };
    let text = location.to_string();
    match self::place(&text) {
        Ok(read) if read == *place => Ok(text),
        _ => Err(Error::NoLocation { place: place.to_string() }),
    }
}

/// The place that a location without a reference means.
pub(super) fn place(text: &str) -> Result<Place> {
    let refuse = || Error::Saved { reason: format!("{} is not a place", transship_spec::quote(text)) };
    let location = Location::parse(text).map_err(|_| refuse())?;
    match location {
        Location::Layout { path, reference: None } => Ok(Place::Layout(path)),
        Location::Archive { path, reference: None } => Ok(Place::Archive(path)),
        Location::DockerArchive { path, reference: None } => Ok(Place::DockerArchive(path)),
        Location::Registry(reference) if reference.tag().is_none() && reference.digest().is_none() => {
            let (registry, repository) = (reference.registry().to_owned(), reference.repository().to_owned());
            Ok(Place::Repository { registry, repository })
        }
        _ => Err(refuse()),
    }
}

impl Choices {
    fn of(options: &Options) -> Self {
        let (subset, platforms) = match &options.subset {
            None => (None, &[][..]),
            Some(Subset::One(platform)) => (Some("one"), std::slice::from_ref(platform)),
            Some(Subset::Sparse(platforms)) => (Some("sparse"), platforms.as_slice()),
            Some(Subset::Rewrite(platforms)) => (Some("rewrite"), platforms.as_slice()),
        };
        let referrers = match &options.referrers {
            Referrers::All => "all".to_owned(),
            Referrers::None => "none".to_owned(),
            Referrers::Types(types) => types.iter().map(MediaType::to_string).collect::<Vec<_>>().join(","),
        };
        Self {
            platforms: platforms.iter().map(Platform::to_string).collect(),
            subset: subset.map(str::to_owned),
            convert: options.convert.map(|dialect| dialect.name().to_owned()),
            referrers,
            digest_tags: options.digest_tags,
            nondistributable: options.nondistributable,
            check_members: options.members,
        }
    }

    /// These choices, with the usual for everything else.
    pub(super) fn options(&self) -> Result<Options> {
        let refuse = |reason: &str| Error::Saved { reason: reason.to_owned() };
        let platforms = self.platforms.iter().map(|text| text.parse());
        let platforms: Vec<Platform> = platforms.collect::<Result<_, transship_spec::Error>>()?;
        let subset = match (self.subset.as_deref(), platforms.as_slice()) {
            (None, []) => None,
            (Some("one"), [one]) => Some(Subset::One(one.clone())),
            (Some("sparse"), [_, ..]) => Some(Subset::Sparse(platforms)),
            (Some("rewrite"), [_, ..]) => Some(Subset::Rewrite(platforms)),
            _ => return Err(refuse("its platforms do not fit what becomes of an index")),
        };
        let referrers = match &*self.referrers {
            "all" => Referrers::All,
            "none" => Referrers::None,
            types => {
                let types = types.split(',').map(MediaType::parse).collect::<Result<_, _>>();
                Referrers::Types(types?)
            }
        };
        let convert = match self.convert.as_deref() {
            None => None,
            Some(name) => {
                Some(Dialect::named(name).ok_or_else(|| refuse("it converts to nothing that is known"))?)
            }
        };
        Ok(Options {
            referrers,
            digest_tags: self.digest_tags,
            subset,
            convert,
            nondistributable: self.nondistributable,
            members: self.check_members,
            ..Options::default()
        })
    }
}
