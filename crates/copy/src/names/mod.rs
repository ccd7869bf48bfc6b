//! What things are called where they arrive: pure functions from names to names.
//!
//! A destination without a name of its own gives one by these rules: a layout takes the source's full reference, a
//! repository its tag. Several things that go below one prefix keep their path and lose their host, unless maps
//! (`FROM=TO`) say otherwise. [`assign`] refuses, before anything moves, to put two things under one name.

mod choice;
mod map;

use std::collections::HashMap;
use std::fmt;

use serde::{Serialize, Serializer};
use transship_spec::{Digest, Reference, Tag};

pub use self::choice::{Choice, version};
pub use self::map::{Map, Pattern};
use crate::{Error, Result};

/// What something is called where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Called {
    /// The full reference, with a tag if it has one.
    pub full: Option<Reference>,
    /// The short name: a tag, or any text that a layout holds.
    pub short: Option<String>,
}

impl Called {
    /// Something with a full reference; its tag is the short name.
    #[must_use]
    pub fn full(reference: &Reference) -> Self {
        let short = reference.tag().map(|tag| tag.as_str().to_owned());
        let full = Reference::new(reference.registry(), reference.repository()).ok();
        let full = full.map(|full| match reference.tag() {
            Some(tag) => full.with_tag(tag.clone()),
            None => full,
        });
        Self { full, short }
    }

    /// Something with a short name only.
    #[must_use]
    pub fn short(name: &str) -> Self {
        Self { full: None, short: Some(name.to_owned()) }
    }

    /// Whether it has a name at all, and not a digest only.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.short.is_some() || self.full.as_ref().is_some_and(|full| full.tag().is_some())
    }

    fn tagged(&self) -> Option<&Reference> {
        self.full.as_ref().filter(|full| full.tag().is_some())
    }

    fn tag(&self) -> Option<Tag> {
        let own = self.tagged().and_then(Reference::tag).cloned();
        own.or_else(|| Tag::parse(self.short.as_deref()?).ok())
    }
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.full, &self.short) {
            (Some(full), _) => full.fmt(f),
            (None, Some(short)) => f.write_str(&transship_spec::quote(short)),
            (None, None) => f.write_str("something without a name"),
        }
    }
}

/// What something is called where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// Nothing: it is found by its digest.
    Digest,
    /// A tag of a repository, or a short name in a layout.
    Short(String),
    /// A full reference in a layout.
    Full(Reference),
}

impl Name {
    /// The name of something that belongs to what bears this name, such as a digest tag: the same repository, another
    /// tag.
    #[must_use]
    pub fn beside(&self, tag: &Tag) -> Self {
        match self {
            Self::Full(reference) => Self::Full(reference.with_tag(tag.clone())),
            Self::Short(_) | Self::Digest => Self::Short(tag.as_str().to_owned()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest => f.write_str("its digest"),
            Self::Short(name) => f.write_str(name),
            Self::Full(reference) => reference.fmt(f),
        }
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Digest => serializer.serialize_none(),
            name => serializer.collect_str(name),
        }
    }
}

/// Where things go, as far as names are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Into a layout, under this name if one is given.
    Layout {
        /// The name that the user gave.
        name: Option<String>,
        /// Write bare tags where a full reference would be written.
        short: bool,
    },
    /// Into a repository, or below it as a prefix.
    Registry(Reference),
}

/// Where one thing goes: into which repository (none for a layout), under which name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assigned {
    /// Registry and repository, where the destination is a registry.
    pub repository: Option<Reference>,
    /// The name there.
    pub name: Name,
}

impl fmt::Display for Assigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.repository, &self.name) {
            (None, name) => name.fmt(f),
            (Some(repository), Name::Short(tag)) => write!(f, "{repository}:{tag}"),
            (Some(repository), _) => repository.fmt(f),
        }
    }
}

/// How names are found.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// Write bare tags into a layout.
    pub short_names: bool,
    /// Rules that come before all others; the first that fits decides.
    pub maps: Vec<Map>,
}

/// Gives each of `things` its name at the destination.
///
/// `several` says that the destination takes many things, so that a repository there is a prefix for those that have a
/// full reference.
///
/// # Errors
/// [`Error::NoName`] for something without a name, [`Error::OneName`] for one that was given to several,
/// [`Error::TwoOnOneName`], and the errors of the grammar and of names in layouts.
pub fn assign(things: &[Called], into: &Target, naming: &Naming, several: bool) -> Result<Vec<Assigned>> {
    let given = match into {
        Target::Layout { name, .. } => name.clone(),
        Target::Registry(reference) => reference.tag().map(|tag| tag.as_str().to_owned()),
    };
    if let Some(name) = given.filter(|_| several) {
        return Err(Error::OneName { name });
    }
    let assigned = things
        .iter()
        .map(|called| match naming.maps.iter().find_map(|map| map.apply(called)) {
            Some(text) => mapped(&text, called, into),
            None => one(called, into, several),
        })
        .collect::<Result<Vec<_>>>()?;
    let mut taken: HashMap<&Assigned, &Called> = HashMap::new();
    for (assigned, called) in
        assigned.iter().zip(things).filter(|(assigned, _)| assigned.name != Name::Digest)
    {
        if let Some(other) = taken.insert(assigned, called) {
            let (one, other) = (other.to_string(), called.to_string());
            return Err(Error::TwoOnOneName { name: assigned.to_string(), one, other });
        }
    }
    Ok(assigned)
}

fn one(called: &Called, into: &Target, several: bool) -> Result<Assigned> {
    match into {
        Target::Layout { name: Some(name), .. } => Ok(Assigned { repository: None, name: in_layout(name)? }),
        Target::Layout { name: None, short } => {
            let name = match (called.tagged(), called.tag(), &called.short) {
                (_, Some(tag), _) if *short => Name::Short(tag.as_str().to_owned()),
                (Some(full), ..) => Name::Full(full.clone()),
                (None, _, Some(short)) => in_layout(short)?,
                _ => return Err(no_name(called)),
            };
            Ok(Assigned { repository: None, name })
        }
        Target::Registry(reference) => in_registry(called, reference, several),
    }
}

fn in_registry(called: &Called, reference: &Reference, several: bool) -> Result<Assigned> {
    let repository = reference.without_version();
    if let Some(tag) = reference.tag() {
        return Ok(Assigned { repository: Some(repository), name: Name::Short(tag.as_str().to_owned()) });
    }
    if reference.digest().is_some() {
        return Ok(Assigned { repository: Some(repository), name: Name::Digest });
    }
    let tag = called.tag().ok_or_else(|| no_name(called))?;
    let repository = match called.full.as_ref().filter(|_| several) {
        Some(full) => below(&repository, full.repository())?,
        None => repository,
    };
    Ok(Assigned { repository: Some(repository), name: Name::Short(tag.as_str().to_owned()) })
}

fn below(prefix: &Reference, path: &str) -> Result<Reference> {
    Ok(Reference::new(prefix.registry(), &format!("{}/{path}", prefix.repository()))?)
}

/// What a map gave, completed by the source's tag where it names none.
fn mapped(text: &str, called: &Called, into: &Target) -> Result<Assigned> {
    match into {
        Target::Layout { short, .. } => match in_layout(text)? {
            Name::Full(full) if full.tag().is_none() => {
                let tag = called.tag().ok_or_else(|| no_name(called))?;
                Ok(Assigned { repository: None, name: Name::Full(full.with_tag(tag)) })
            }
            Name::Full(full) if *short => {
                let tag = full.tag().map_or("latest", Tag::as_str).to_owned();
                Ok(Assigned { repository: None, name: Name::Short(tag) })
            }
            name => Ok(Assigned { repository: None, name }),
        },
        Target::Registry(prefix) => {
            let target = match full_reference(text) {
                Some(target) => target,
                None => {
                    let (path, tag) =
                        text.rsplit_once(':').map_or((text, None), |(path, tag)| (path, Some(tag)));
                    let target = below(prefix, path)?;
                    tag.map_or(Ok(target.clone()), |tag| Tag::parse(tag).map(|tag| target.with_tag(tag)))?
                }
            };
            if target.registry() != prefix.registry() {
                let (map, registry) = (text.to_owned(), prefix.registry().to_owned());
                return Err(Error::MapLeaves { map, registry });
            }
            in_registry(called, &target, false)
        }
    }
}

fn no_name(called: &Called) -> Error {
    Error::NoName { called: called.to_string() }
}

/// The name that a text means in a layout: a full reference if it names a registry, else a short name.
///
/// # Errors
/// That of a layout for a text that can be no name.
pub(crate) fn in_layout(text: &str) -> Result<Name> {
    match full_reference(text) {
        Some(reference) if reference.digest().is_none() => Ok(Name::Full(reference)),
        _ => Ok(transship_layout::Name::short(text).map(|_| Name::Short(text.to_owned()))?),
    }
}

/// The text as a reference, if it names a registry.
pub(crate) fn full_reference(text: &str) -> Option<Reference> {
    let (registry, _) = text.split_once('/')?;
    let names_a_registry = registry == "localhost" || registry.contains(['.', ':']);
    names_a_registry.then(|| Reference::parse(text).ok()).flatten()
}

/// What of a reference decides whether it may be moved to something else: its repository.
pub(crate) fn same_repository(one: &Reference, other: &Reference) -> bool {
    (one.registry(), one.repository()) == (other.registry(), other.repository())
}

/// The digest that a destination names, which must be that of what is copied.
pub(crate) fn wanted_digest(into: &Target) -> Option<&Digest> {
    match into {
        Target::Registry(reference) => reference.digest(),
        Target::Layout { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: &str = "docker.io/library/alpine:3";

    fn full(text: &str) -> Called {
        Called::full(&Reference::parse(text).unwrap())
    }

    fn layout(name: Option<&str>, short: bool) -> Target {
        Target::Layout { name: name.map(str::to_owned), short }
    }

    fn registry(text: &str) -> Target {
        Target::Registry(Reference::parse(text).unwrap())
    }

    fn single(called: &Called, into: &Target) -> String {
        assign(std::slice::from_ref(called), into, &Naming::default(), false).unwrap()[0].to_string()
    }

    #[test]
    fn a_destination_without_a_name_takes_the_sources() {
        for (called, into, expected) in [
            (full("alpine:3"), layout(None, false), HUB),
            (full("alpine:3"), layout(None, true), "3"),
            (full("alpine:3"), layout(Some("mine"), false), "mine"),
            (full("alpine:3"), layout(Some("r.example/mine:1"), false), "r.example/mine:1"),
            (Called::short("v1"), layout(None, false), "v1"),
            (Called::short("any thing"), layout(None, true), "any thing"),
            (full("alpine:3"), registry("r.example/app"), "r.example/app:3"),
            (full("alpine:3"), registry("r.example/app:4"), "r.example/app:4"),
            (Called::short("v1"), registry("r.example/app"), "r.example/app:v1"),
        ] {
            assert_eq!(single(&called, &into), expected);
        }
    }

    #[test]
    fn an_untagged_source_needs_a_name() {
        for (called, into) in [
            (full("h.example/a"), layout(None, false)),
            (full("h.example/a"), registry("r.example/app")),
            (Called::default(), layout(None, true)),
            (Called::short("no tag"), registry("r.example/app")),
        ] {
            let error = assign(&[called], &into, &Naming::default(), false).unwrap_err();
            assert!(matches!(error, Error::NoName { .. }), "{error}");
        }
        assert_eq!(single(&full("h.example/a"), &layout(Some("v1"), false)), "v1");
        for no_name in ["", "es\u{1b}[31mcape", &"x".repeat(2000)] {
            let error = assign(&[Called::short(no_name)], &layout(None, false), &Naming::default(), true);
            assert_eq!(error.unwrap_err().kind(), transship_spec::Kind::Usage, "{no_name:?}");
        }
        let digest = format!("r.example/app@{}", Digest::sha256(b""));
        assert_eq!(single(&full("h.example/a"), &registry(&digest)), "r.example/app");
    }

    #[test]
    fn below_a_prefix_the_path_is_kept_and_the_host_dropped() {
        let things = [full("h.example/a/b:v"), full("alpine:3"), Called::short("v9")];
        let assigned = assign(&things, &registry("r.example/mirror"), &Naming::default(), true).unwrap();
        let texts: Vec<String> = assigned.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["r.example/mirror/a/b:v", "r.example/mirror/library/alpine:3", "r.example/mirror:v9"]
        );
    }

    #[test]
    fn maps_come_first_and_keep_the_tag() {
        let naming = Naming {
            maps: ["docker.io/library/*=base/*", "h.example/**:old=r.example/archive/**:kept", "v*=short:*"]
                .map(|map| Map::parse(map).unwrap())
                .to_vec(),
            ..Naming::default()
        };
        let things =
            [full("alpine:3"), full("h.example/a/b:old"), full("h.example/a/b:new"), Called::short("v9")];
        let assigned = assign(&things, &registry("r.example/m"), &naming, true).unwrap();
        let texts: Vec<String> = assigned.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "r.example/m/base/alpine:3",
                "r.example/archive/a/b:kept",
                "r.example/m/a/b:new",
                "r.example/m/short:9"
            ]
        );
        let elsewhere = Naming { maps: vec![Map::parse("**=other.example/x").unwrap()], ..Naming::default() };
        let error = assign(&things[..1], &registry("r.example/m"), &elsewhere, true).unwrap_err();
        assert!(matches!(error, Error::MapLeaves { .. }), "{error}");
        let named = assign(&things[..1], &layout(None, false), &elsewhere, true).unwrap();
        assert_eq!(named[0].to_string(), "other.example/x:3");
    }

    #[test]
    fn two_things_on_one_name_are_refused() {
        let things = [full("h.example/a:v1"), full("h.example/b:v1")];
        assert!(assign(&things, &layout(None, false), &Naming::default(), true).is_ok());
        let error = assign(&things, &layout(None, true), &Naming::default(), true).unwrap_err().to_string();
        assert!(error.contains("h.example/a:v1") && error.contains("h.example/b:v1"), "{error}");
        let error = assign(&things, &layout(Some("x"), false), &Naming::default(), true).unwrap_err();
        assert!(matches!(error, Error::OneName { .. }), "{error}");
    }
}
