//! The places of a sync: each is opened once, however many copies name it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use transship_copy::endpoint::{self, ArchiveTarget};
use transship_copy::sync::Copy;
use transship_copy::{Destination, Endpoint, Ends, Report, SavedPlan, Select, Source};
use transship_layout::{LayoutOptions, Link};
use transship_spec::{Kind, Location};

use crate::args;
use crate::commands::archive::docker_name;
use crate::commands::transfer::{Made, Runner};
use crate::exit::Failure;
use crate::local;
use crate::place::{self, Form, Place};

/// What is open.
pub(super) struct Places<'a> {
    args: &'a args::Sync,
    runner: &'a Runner,
    layouts: HashMap<PathBuf, Made>,
    archives: HashMap<PathBuf, ArchiveTarget>,
    sources: HashMap<String, Arc<dyn Endpoint>>,
    /// Destinations by what the engine calls them, and as they were named.
    named: HashMap<String, Place>,
}

impl<'a> Places<'a> {
    pub(super) fn new(args: &'a args::Sync, runner: &'a Runner) -> Self {
        let (layouts, archives, sources) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { args, runner, layouts, archives, sources, named: HashMap::new() }
    }

    fn options(&self, copy: &Copy) -> LayoutOptions {
        let options = local::options(&self.args.reading, &self.args.writing);
        match copy.how.link {
            // Who asks for links out of a layout lets them be read there.
            Link::Symbolic => options.links(transship_layout::Links::Follow),
            _ => options,
        }
    }

    /// Where a copy comes from.
    pub(super) fn sources(&mut self, copy: &Copy) -> Result<Vec<Source>, Failure> {
        copy.from.iter().map(|location| self.source(location, copy)).collect()
    }

    fn source(&mut self, location: &Location, copy: &Copy) -> Result<Source, Failure> {
        let place = Place::find(&location.to_string(), place::Made::Before)?;
        let reference = match &place {
            Place::Registry(reference) => match (reference.digest(), reference.tag()) {
                (Some(digest), Some(tag)) => Some(format!("{tag}@{digest}")),
                (Some(digest), None) => Some(digest.to_string()),
                (None, tag) => tag.map(ToString::to_string),
            },
            place => place.reference().map(str::to_owned),
        };
        let select = if copy.all { Select::All } else { Select::One(reference) };
        let key = key(&place);
        if let Some(endpoint) = self.sources.get(&key) {
            return Ok(Source { endpoint: Arc::clone(endpoint), select });
        }
        let endpoint = match &place {
            // A layout that is copied into itself is one place, and is written to.
            Place::Layout { path, .. } => match self.layouts.get(path) {
                Some(made) => endpoint::layout(made.layout().clone()),
                None => endpoint::layout(
                    local::options(&self.args.reading, &self.args.writing).open_read_only(path)?,
                ),
            },
            Place::Archive { path, .. } => endpoint::archive(local::open_archive(path)?),
            Place::Registry(reference) => {
                endpoint::shared(endpoint::registry(self.runner.repository(reference)?))
            }
        };
        self.sources.insert(key, Arc::clone(&endpoint));
        Ok(Source { endpoint, select })
    }

    /// Where a copy goes.
    pub(super) fn destination(&mut self, location: &Location, copy: &Copy) -> Result<Destination, Failure> {
        let place = Place::find(&location.to_string(), place::Made::Now)?;
        if copy.selection.naming.short_names && place.registry().is_some() {
            return Err(Failure::usage("short-names is for layouts; names in a registry are always short"));
        }
        match &place {
            Place::Layout { path, reference } => {
                let options = self.options(copy);
                let made = match self.layouts.remove(path) {
                    Some(made) => made,
                    None if self.args.dry_run => Made::pretend(path, &options)?,
                    None => Made::open(path, &options)?,
                };
                let layout = made.layout().clone();
                self.note(endpoint::layout(layout.clone()).as_ref(), &place);
                self.layouts.insert(path.clone(), made);
                Ok(Destination::Layout { layout, name: reference.clone() })
            }
            Place::Archive { path, reference, form } => {
                let target = self.archive(path, *form)?;
                self.note(endpoint::archive_target(target.clone()).as_ref(), &place);
                let name = match form {
                    Form::Docker => docker_name(reference.as_deref())?,
                    Form::Oci => reference.clone(),
                };
                Ok(Destination::Archive { target, name })
            }
            Place::Registry(reference) => {
                let client = self.runner.client()?.clone();
                Ok(Destination::Registry { client, reference: reference.clone() })
            }
        }
    }

    /// The endpoints of a saved plan.
    pub(super) fn ends(&mut self, saved: &SavedPlan) -> Result<Ends, Failure> {
        let plain = Copy::default();
        let parse = |text: &String| Location::parse(text);
        let mut ends = Ends { sources: Vec::new(), destinations: Vec::new() };
        for location in saved.destinations.iter().map(|saved| parse(&saved.location)) {
            ends.destinations.push(match self.destination(&location?, &plain)? {
                Destination::Layout { layout, .. } => endpoint::layout(layout),
                Destination::Archive { target, .. } => endpoint::archive_target(target),
                Destination::Registry { reference, .. } => {
                    endpoint::registry(self.runner.repository(&reference)?)
                }
                _ => return Err(Failure::new(Kind::Unexpected, "a destination of an unknown sort")),
            });
        }
        for location in saved.sources.iter().map(parse) {
            ends.sources.push(self.source(&location?, &plain)?.endpoint);
        }
        Ok(ends)
    }

    /// A plan that names places as they were named.
    pub(super) fn portable(&self, mut saved: SavedPlan) -> SavedPlan {
        saved.destinations.iter_mut().for_each(|saved| self.rename(&mut saved.location));
        saved
    }

    fn archive(&mut self, path: &Path, form: Form) -> Result<ArchiveTarget, Failure> {
        if let Some(target) = self.archives.get(path) {
            return Ok(target.clone());
        }
        let target = ArchiveTarget::open(path, local::archives(&self.args.writing))?;
        let target = if form == Form::Docker { target.docker() } else { target };
        self.archives.insert(path.to_owned(), target.clone());
        Ok(target)
    }

    fn note(&mut self, endpoint: &dyn Endpoint, place: &Place) {
        let place = match place.clone() {
            Place::Layout { path, .. } => Place::Layout { path, reference: None },
            Place::Archive { path, form, .. } => Place::Archive { path, reference: None, form },
            registry => registry,
        };
        self.named.insert(endpoint.place().to_string(), place);
    }

    /// A destination as it was named: a layout that is not there yet was planned for elsewhere.
    pub(super) fn rename(&self, destination: &mut String) {
        if let Some(place) = self.named.get(destination) {
            *destination = place.to_string();
        }
    }

    /// The place of a destination that the engine speaks of.
    pub(super) fn of(&self, destination: &str) -> Option<Place> {
        self.named.get(destination).cloned().or_else(|| Place::find(destination, place::Made::Now).ok())
    }

    /// How the copies ended, for layouts that were made for them.
    pub(super) fn ended(&mut self, report: &Report) {
        for made in self.layouts.values_mut() {
            let called = endpoint::layout(made.layout().clone()).place().to_string();
            made.ended(report, |root| root.destination == called);
        }
    }
}

/// What tells a place from all others, whatever of it is meant.
fn key(place: &Place) -> String {
    match place {
        Place::Layout { path, .. } => format!("layout {}", path.display()),
        Place::Archive { path, .. } => format!("archive {}", path.display()),
        Place::Registry(reference) => reference.without_version().to_string(),
    }
}
