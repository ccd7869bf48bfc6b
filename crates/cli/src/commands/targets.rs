//! The destinations of a copy: what was opened or made for each, and what becomes of that in the end.

use transship_copy::{Report, RootReport, Summary};

use crate::commands::archive::{Tar, is_stdout};
use crate::commands::transfer::Made;
use crate::exit::Failure;
use crate::place::Place;

/// A destination.
pub(super) struct Target {
    /// What the engine calls it; nothing where everything goes there, or below it.
    pub(super) called: Option<String>,
    pub(super) place: Place,
    pub(super) made: Option<Made>,
    pub(super) tar: Option<Tar>,
}

impl Target {
    fn takes(&self, destination: &str) -> bool {
        self.called.as_ref().is_none_or(|called| called == destination)
    }

    /// Where things are, in words that can be typed, whatever was opened for it.
    fn shown(&self) -> Option<String> {
        match self.place.clone() {
            Place::Layout { path, .. } => Some(Place::Layout { path, reference: None }.to_string()),
            Place::Archive { path, form, .. } => {
                Some(Place::Archive { path, reference: None, form }.to_string())
            }
            Place::Registry(_) => None,
        }
    }
}

/// All destinations.
pub(super) struct Targets(pub(super) Vec<Target>);

impl Targets {
    /// The one destination that everything goes to.
    pub(super) fn one(place: Place, made: Option<Made>, tar: Option<Tar>) -> Self {
        Self(vec![Target { called: None, place, made, tar }])
    }

    /// The place, where everything goes to one on this machine.
    pub(super) fn only_local(&self) -> Option<&Place> {
        match self.0.as_slice() {
            [only] if only.place.registry().is_none() => Some(&only.place),
            _ => None,
        }
    }

    /// Where a root went.
    pub(super) fn of(&self, root: &RootReport) -> Option<&Place> {
        self.0.iter().find(|target| target.takes(&root.destination)).map(|target| &target.place)
    }

    /// Whether one of them is standard output.
    pub(super) fn to_stdout(&self) -> bool {
        self.0.iter().any(|target| is_stdout(&target.place))
    }

    /// The copy has ended: what was made for it and got nothing goes again.
    pub(super) fn ended(&mut self, report: &Report) {
        for target in &mut self.0 {
            let called = target.called.clone();
            let ours = |root: &RootReport| called.as_ref().is_none_or(|called| *called == root.destination);
            if let Some(made) = &mut target.made {
                made.ended(report, ours);
            }
        }
    }

    /// Calls what goes through a pipe by what was typed.
    pub(super) fn rename(&self, report: &mut Report) {
        for target in self.0.iter().filter(|target| is_stdout(&target.place)) {
            let shown = target.place.location().to_string();
            let ours = report.roots.iter_mut().filter(|root| target.takes(&root.destination));
            ours.for_each(|root| root.destination.clone_from(&shown));
        }
    }

    /// Calls by what was typed what was planned for elsewhere: a layout that is not there yet, or a pipe.
    pub(super) fn rename_plan(&self, summary: &mut Summary) {
        let shown = |destination: &mut String| {
            let target = self.0.iter().find(|target| target.takes(destination));
            if let Some(shown) = target.and_then(Target::shown) {
                *destination = shown;
            }
        };
        summary.roots.iter_mut().for_each(|root| shown(&mut root.destination));
        summary.destinations.iter_mut().for_each(|to| shown(&mut to.destination));
    }

    /// Sends what is to go through a pipe.
    pub(super) fn send(&self) -> Result<(), Failure> {
        for tar in self.0.iter().filter_map(|target| target.tar.as_ref()) {
            tar.send()?;
        }
        Ok(())
    }
}
