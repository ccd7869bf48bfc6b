//! A saved plan becomes a plan again, if what it speaks of is still what it was.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use transship_spec::{Descriptor, Digest, Kind};

use super::{SavedPlan, SavedRoot};
use crate::endpoint::{Endpoint, Listed, QUESTIONS};
use crate::graph::State;
use crate::names::Called;
use crate::plan::{Options, Plan};
use crate::report::Why;
use crate::select::Request;
use crate::survey::{Fixed, Root, Survey};
use crate::{Error, Result};

/// Roots that are named in an error, at most.
const NAMED: usize = 10;

/// The endpoints of a saved plan, in the order of its lists.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Those of [`SavedPlan::sources`].
    pub sources: Vec<Arc<dyn Endpoint>>,
    /// Those of [`SavedPlan::destinations`].
    pub destinations: Vec<Arc<dyn Endpoint>>,
}

/// Something that is not what it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Move {
    /// What, as one would type it.
    pub what: String,
    /// What it stood for; nothing if it was not there.
    pub planned: Option<Digest>,
    /// What it stands for; nothing if it is gone.
    pub found: Option<Digest>,
}

impl Move {
    /// All that moved, or as much of it as one can read.
    pub(crate) fn told(moved: &[Self], whose: &str) -> String {
        let one = |Self { what, planned, found }: &Self| {
            let was = planned.as_ref().map_or("not there".to_owned(), Digest::to_string);
            let is = found.as_ref().map_or("gone".to_owned(), Digest::to_string);
            format!("{what} was {was} and is {is}")
        };
        let mut told: Vec<String> = moved.iter().take(NAMED).map(one).collect();
        if moved.len() > NAMED {
            told.push(format!("and {} more", moved.len() - NAMED));
        }
        format!("{whose} moved since the plan was made: {}", told.join("; "))
    }

    /// What can be done about a source that has moved.
    pub(crate) fn remedy(moved: &[Self]) -> String {
        let by_digest = moved.iter().find_map(|moved| {
            let (place, _) = moved.what.rsplit_once(':')?;
            moved.found.as_ref()?;
            Some(format!("{place}@{}", moved.planned.as_ref()?))
        });
        match by_digest {
            Some(by_digest) => format!("make a new plan; what it was may still be there as {by_digest}"),
            None => "make a new plan".to_owned(),
        }
    }
}

/// What was found of a root at its source: none where it is gone.
type Found = Result<Option<Descriptor>>;

/// Makes a plan of a saved one, for the roots that it names and nothing else. Nothing is changed.
///
/// What decides what is copied comes from the saved plan; how it is copied, and who is told, from `options`. A root whose
/// source cannot be asked fails alone. With `force` a name at the destination is moved whatever it has come to stand for.
///
/// # Errors
/// [`Error::SourceMoved`] when a name at a source does not stand for what it did, or is gone;
/// [`Error::DestinationMoved`] when a name at a destination stands neither for what it did nor for what it is to;
/// [`Error::Saved`] when the endpoints are not those of the plan.
pub async fn apply(saved: &SavedPlan, ends: &Ends, options: &Options, force: bool) -> Result<Plan> {
    saved.check()?;
    if ends.sources.len() != saved.sources.len() || ends.destinations.len() != saved.destinations.len() {
        return Err(Error::Saved { reason: "its places and the endpoints are not the same".to_owned() });
    }
    let options = Options {
        concurrency: options.concurrency,
        link: options.link,
        fail_fast: options.fail_fast,
        events: Arc::clone(&options.events),
        ..saved.choices.options()?
    };
    let found = ask_again(saved, &ends.sources).await;
    refuse_moved(saved, &found)?;
    let roots = saved.roots.iter().zip(found).map(|(root, found)| fixed(root, found, ends));
    let mut survey = Survey::of_fixed(roots.collect::<Result<_>>()?, &options).await;
    let (moved, replaced) = moved(saved, &survey);
    if !moved.is_empty() {
        return Err(Error::SourceMoved { moved });
    }
    if !replaced.is_empty() && !force {
        return Err(Error::DestinationMoved { moved: replaced });
    }
    let old = saved.warnings.iter().filter(|warning| !survey.warnings.contains(warning)).cloned();
    survey.warnings = old.chain(survey.warnings.iter().cloned()).collect();
    Ok(Plan { survey, options })
}

/// What the names of the plan mean at their sources now.
async fn ask_again(saved: &SavedPlan, sources: &[Arc<dyn Endpoint>]) -> Vec<Found> {
    let mut listed: HashMap<usize, Result<Vec<Listed>, Arc<Error>>> = HashMap::new();
    for (at, source) in sources.iter().enumerate().filter(|(_, source)| source.is_local()) {
        if saved.roots.iter().any(|root| root.source == at) {
            listed.insert(at, source.named().await.map_err(Arc::new));
        }
    }
    let listed = &listed;
    let ask = |root| async move { one_again(root, sources, listed).await };
    stream::iter(&saved.roots).map(ask).buffered(QUESTIONS).collect().await
}

async fn one_again(
    root: &SavedRoot,
    sources: &[Arc<dyn Endpoint>],
    listed: &HashMap<usize, Result<Vec<Listed>, Arc<Error>>>,
) -> Found {
    // A referrer was found by its digest, and is read by it.
    if matches!(root.why()?, Why::Referrer(_)) {
        return Ok(Some(root.descriptor()));
    }
    let gone = Error::Saved { reason: "its sources are not all there".to_owned() };
    let source = sources.get(root.source).ok_or(gone)?;
    let (called, was) = (root.called()?, root.named.as_ref().unwrap_or(&root.digest));
    let found = match listed.get(&root.source) {
        Some(listed) if called.is_named() && !root.by_digest => {
            let listed = listed.as_ref().map_err(|error| Error::Shared(Arc::clone(error)))?;
            return Ok(of_name(listed, &called, was));
        }
        Some(_) => source.call(Some(&was.to_string())).await.map(|listed| listed.descriptor),
        None => {
            let digest = Some(was.clone()).filter(|_| root.by_digest);
            source.resolve(&Listed { called, digest, descriptor: None }).await.map(Some)
        }
    };
    match found {
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        found => found,
    }
}

/// What a name stands for; where it stands for several things, what it stood for.
fn of_name(listed: &[Listed], called: &Called, was: &Digest) -> Option<Descriptor> {
    let named = listed.iter().filter(|listed| listed.called == *called);
    let named: Vec<&Descriptor> = named.filter_map(|listed| listed.descriptor.as_ref()).collect();
    let same = named.iter().find(|descriptor| descriptor.digest == *was);
    same.or(named.first()).map(|descriptor| (*descriptor).clone())
}

fn refuse_moved(saved: &SavedPlan, found: &[Found]) -> Result<()> {
    let mut moved = Vec::new();
    for (root, found) in saved.roots.iter().zip(found) {
        let Ok(found) = found else { continue };
        let was = root.named.as_ref().unwrap_or(&root.digest);
        let is = found.as_ref().map(|descriptor| &descriptor.digest);
        if is != Some(was) {
            let (planned, found) = (Some(was.clone()), is.cloned());
            moved.push(Move { what: at_source(saved, root), planned, found });
        }
    }
    if moved.is_empty() { Ok(()) } else { Err(Error::SourceMoved { moved }) }
}

fn fixed(root: &SavedRoot, found: Found, ends: &Ends) -> Result<Fixed> {
    let other = || Error::Saved { reason: "its places and the endpoints are not the same".to_owned() };
    let from = Arc::clone(ends.sources.get(root.source).ok_or_else(other)?);
    let to = Arc::clone(ends.destinations.get(root.destination).ok_or_else(other)?);
    let (descriptor, failure) = match found {
        Ok(found) => (found, None),
        Err(error) => (None, Some(Arc::new(error))),
    };
    let why = root.why()?;
    let digest = Some(root.digest.clone()).filter(|_| root.by_digest || matches!(why, Why::Referrer(_)));
    let listed = Listed { called: root.called()?, digest, descriptor };
    let name = root.name_at(to.place())?;
    let request = Request { from, listed, to, name, digest: None };
    Ok(Fixed { request, why, parent: root.parent, failure })
}

/// What else has moved: at the sources, and at the destinations.
fn moved(saved: &SavedPlan, survey: &Survey) -> (Vec<Move>, Vec<Move>) {
    let (mut moved, mut replaced) = (Vec::new(), Vec::new());
    for (root, now) in saved.roots.iter().zip(&survey.roots) {
        let planned = Some(root.digest.clone());
        match &now.descriptor {
            // A part that is not the same part any more, though the whole is.
            Some(descriptor) if descriptor.digest != root.digest => {
                let found = Some(descriptor.digest.clone());
                moved.push(Move { what: at_source(saved, root), planned, found });
            }
            _ if is_gone(survey, now) => {
                moved.push(Move { what: at_source(saved, root), planned, found: None });
            }
            _ => {}
        }
        let there = now.replaced();
        if there.is_some() && there != root.replaces.as_ref() {
            let what = format!("{}:{}", survey.destination(now.to).place(), now.name);
            // What it stood for, or what it was to stand for, if that was there.
            let planned = root.replaces.clone().or(Some(root.digest.clone()).filter(|_| root.present));
            replaced.push(Move { what, planned, found: there.cloned() });
        }
    }
    (moved, replaced)
}

/// Whether the source does not have the manifest of a root any more.
fn is_gone(survey: &Survey, root: &Root) -> bool {
    let node = root.node.map(|node| &survey.spots[root.to].graph.nodes[node]);
    let Some(State::Broken(error)) = node.map(|node| &node.state) else { return false };
    let Error::Source { cause, .. } = &**error else { return false };
    cause.kind() == Kind::NotFound
        || matches!(&**cause, Error::Layout(transship_layout::Error::MissingBlob { .. }))
}

/// A root as one would type it.
fn at_source(saved: &SavedPlan, root: &SavedRoot) -> String {
    let place = saved.sources.get(root.source).map_or("", String::as_str);
    let called = root.called().unwrap_or_default();
    let is_repository = place.starts_with("docker://");
    match (&called.full, &called.short) {
        _ if root.by_digest || !called.is_named() => format!("{place}@{}", root.digest),
        (Some(full), _) if !is_repository => format!("{place}:{full}"),
        (_, Some(short)) => format!("{place}:{short}"),
        (_, None) => place.to_owned(),
    }
}
