//! What the entries of an index are called over the API: repositories and their tags (IMG-16…19, cli.md section 3).
//!
//! Of several entries that claim one tag the first decides, as with other readers (IMG-16), and the log tells. A name that
//! is no tag is not served by tag; its content is served by digest.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};

use transship_layout::{Entry, Name};
use transship_spec::{Descriptor, Digest, MediaType, Reference, Tag, is_repository, quote};

/// How the entries of a layout become repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Naming {
    /// The layout is one repository of this name; every tag is in it.
    One(String),
    /// Full references name their repositories; entries with no more than a tag are in the one named here.
    References(Option<String>),
}

impl Naming {
    /// The repository of entries with no more than a tag.
    fn own(&self) -> Option<&str> {
        match self {
            Self::One(name) => Some(name),
            Self::References(own) => own.as_deref(),
        }
    }
}

/// What is needed to send the content of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) media_type: MediaType,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Item {
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.size)
    }
}

/// One repository.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    tags: BTreeMap<Tag, Claim>,
    /// The registry that its references name.
    registry: Option<String>,
    has_short_names: bool,
}

#[derive(Debug)]
struct Claim {
    item: usize,
    name: Name,
}

/// One state of an index, by names and by digests.
#[derive(Debug, Default)]
pub(crate) struct View {
    items: Vec<Item>,
    repositories: BTreeMap<String, Repository>,
    by_digest: HashMap<Digest, usize>,
}

/// One name of an entry: what it is called in the API, and how the layout has it.
struct Called {
    repository: Option<String>,
    tag: Tag,
    name: Name,
    registry: Option<String>,
}

impl View {
    pub(crate) fn of(entries: &[Entry], naming: &Naming) -> Self {
        let mut view = Self::default();
        for (position, entry) in entries.iter().enumerate() {
            view.note(position, &entry.descriptor);
        }
        let all: Vec<(usize, Called)> = entries
            .iter()
            .enumerate()
            .flat_map(|(at, entry)| names(entry).map(move |name| (at, name)))
            .collect();
        // What says clearly which repository it means comes first where both can be; a mount by name wants tags.
        let wants_short = matches!(naming, Naming::One(_));
        let (first, second): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, called)| called.registry.is_none() == wants_short);
        for (position, called) in first.into_iter().chain(second) {
            view.claim(position, called, naming);
        }
        if let Some(own) = naming.own()
            && (wants_short || view.repositories.is_empty())
        {
            view.repositories.entry(own.to_owned()).or_default();
        }
        view
    }

    fn note(&mut self, position: usize, descriptor: &Descriptor) {
        let Descriptor { media_type, digest, size, .. } = descriptor.clone();
        match self.by_digest.entry(digest.clone()) {
            Slot::Vacant(slot) => {
                slot.insert(position);
            }
            Slot::Occupied(mut slot) => {
                let known = self.items.get(*slot.get()).is_some_and(|item| item.media_type.is_document());
                if !known && media_type.is_document() {
                    slot.insert(position);
                }
            }
        }
        self.items.push(Item { media_type, digest, size });
    }

    fn claim(&mut self, position: usize, called: Called, naming: &Naming) {
        let repository = match naming {
            Naming::One(name) => name.clone(),
            Naming::References(own) => match called.repository.or_else(|| own.clone()) {
                Some(repository) => repository,
                None => return,
            },
        };
        let repository_of = self.repositories.entry(repository).or_default();
        repository_of.has_short_names |= called.registry.is_none();
        if repository_of.registry.is_none() {
            repository_of.registry = called.registry;
        }
        let claim = Claim { item: position, name: called.name };
        match repository_of.tags.entry(called.tag) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(claim);
            }
            std::collections::btree_map::Entry::Occupied(slot) => {
                let digest = |at: usize| self.items.get(at).map(|item| &item.digest);
                if digest(slot.get().item) != digest(position) {
                    let (name, other) = (claim.name.as_str(), slot.get().name.as_str());
                    tracing::warn!("{} is not served: {} comes first", quote(name), quote(other));
                }
            }
        }
    }

    /// The names of all repositories, sorted.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = &str> {
        self.repositories.keys().map(String::as_str)
    }

    pub(crate) fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.get(name)
    }

    /// What a tag stands for.
    pub(crate) fn tagged(&self, repository: &str, tag: &Tag) -> Option<&Item> {
        self.items.get(self.repository(repository)?.tags.get(tag)?.item)
    }

    /// The content of an entry, by its digest.
    pub(crate) fn listed(&self, digest: &Digest) -> Option<&Item> {
        self.items.get(*self.by_digest.get(digest)?)
    }

    /// Everything that the index points at.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// The name that an entry has, or is to have, to be found as this tag. `host` is for a repository that is new.
    pub(crate) fn name(&self, naming: &Naming, repository: &str, tag: &Tag, host: &str) -> Option<Name> {
        let known = self.repository(repository);
        if let Some(claim) = known.and_then(|known| known.tags.get(tag)) {
            return Some(claim.name.clone());
        }
        let is_short = match naming {
            Naming::One(_) => true,
            Naming::References(own) => {
                own.as_deref() == Some(repository) && known.is_some_and(|known| known.has_short_names)
            }
        };
        if is_short {
            return Name::short(tag.as_str()).ok();
        }
        let host = known.and_then(|known| known.registry.as_deref()).unwrap_or(host);
        Some(Name::full(&Reference::new(host, repository).ok()?.with_tag(tag.clone())))
    }

    /// The names of a repository's entries that point at a digest.
    pub(crate) fn names_of(&self, repository: &str, digest: &Digest) -> Vec<Name> {
        let Some(repository) = self.repository(repository) else { return Vec::new() };
        let points = |claim: &&Claim| self.items.get(claim.item).is_some_and(|item| item.digest == *digest);
        repository.tags.values().filter(points).map(|claim| claim.name.clone()).collect()
    }
}

impl Repository {
    /// Tags after this one, sorted by their bytes.
    pub(crate) fn tags_after(&self, last: Option<&str>) -> impl Iterator<Item = &Tag> {
        let is_after = move |tag: &&Tag| last.is_none_or(|last| tag.as_str() > last);
        self.tags.keys().skip_while(move |tag| !is_after(tag))
    }
}

/// The names of an entry. A short name that is but the tag of the full one is no name of its own.
fn names(entry: &Entry) -> impl Iterator<Item = Called> {
    let reference = entry.full_name().and_then(|full| Reference::parse(full).ok());
    let full = reference.as_ref().and_then(|reference| {
        Some(Called {
            repository: Some(reference.repository().to_owned()),
            tag: reference.tag()?.clone(),
            name: Name::full(reference),
            registry: Some(reference.registry().to_owned()),
        })
    });
    let tag_of_full = full.as_ref().map(|full| full.tag.clone());
    let short = entry
        .name()
        .and_then(short)
        .filter(|short| short.repository.is_some() || tag_of_full.as_ref() != Some(&short.tag));
    // A full name is read where it is written, too: that is no short one.
    let short = short.filter(|short| full.as_ref().is_none_or(|full| full.name != short.name));
    full.into_iter().chain(short)
}

/// A name without a registry: a tag, or `repository:tag`.
fn short(written: &str) -> Option<Called> {
    let (repository, tag) = match written.rsplit_once(':') {
        None => (None, written),
        Some((repository, tag)) if is_repository(repository) => (Some(repository.to_owned()), tag),
        Some(_) => return None,
    };
    let names_a_registry = repository
        .as_deref()
        .and_then(|name| name.split_once('/'))
        .is_some_and(|(first, _)| first == "localhost" || first.contains('.'));
    if names_a_registry {
        return None;
    }
    Some(Called { repository, tag: Tag::parse(tag).ok()?, name: Name::short(written).ok()?, registry: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use transship_spec::annotations::{CONTAINERD_NAME, REF_NAME};

    fn entry(content: &str, names: &[(&str, &str)]) -> Entry {
        let mut descriptor = Descriptor::of(MediaType::OCI_MANIFEST, content.as_bytes());
        for (key, value) in names {
            descriptor.annotations.insert((*key).to_owned(), (*value).to_owned());
        }
        Entry::new(0, descriptor)
    }

    fn tags(view: &View, repository: &str) -> Vec<String> {
        view.repository(repository).unwrap().tags_after(None).map(ToString::to_string).collect()
    }

    fn references(own: &str) -> Naming {
        Naming::References(Some(own.to_owned()))
    }

    #[test]
    fn img_17_every_dialect_has_its_repository_and_tag() {
        let view = View::of(
            &[
                entry("1", &[(REF_NAME, "v1")]),
                entry("2", &[(REF_NAME, "index.docker.io/library/x:v2")]),
                entry("3", &[(REF_NAME, "v3"), (CONTAINERD_NAME, "r.example/team/app:v3")]),
                entry("4", &[(REF_NAME, "stable"), (CONTAINERD_NAME, "r.example/team/app:v4")]),
                entry("5", &[(REF_NAME, "team/app:v5")]),
                entry("6", &[(REF_NAME, "no tag")]),
                entry("7", &[]),
            ],
            &references("folder"),
        );
        assert_eq!(view.repositories().collect::<Vec<_>>(), ["folder", "library/x", "team/app"]);
        assert_eq!(tags(&view, "folder"), ["stable", "v1"]);
        assert_eq!(tags(&view, "library/x"), ["v2"]);
        assert_eq!(tags(&view, "team/app"), ["v3", "v4", "v5"]);
        for content in ["6", "7"] {
            assert!(view.listed(&Digest::sha256(content.as_bytes())).is_some(), "{content}");
        }
    }

    #[test]
    fn a_layout_mounted_by_name_is_one_repository_and_short_names_come_first() {
        let view = View::of(
            &[
                entry("full", &[(REF_NAME, "r.example/team/app:v1")]),
                entry("short", &[(REF_NAME, "v1")]),
                entry("other", &[(REF_NAME, "r.example/team/app:v2")]),
            ],
            &Naming::One("mine".to_owned()),
        );
        assert_eq!(view.repositories().collect::<Vec<_>>(), ["mine"]);
        assert_eq!(tags(&view, "mine"), ["v1", "v2"]);
        let v1 = view.tagged("mine", &Tag::parse("v1").unwrap()).unwrap();
        assert_eq!(v1.digest, Digest::sha256(b"short"));
    }

    #[test]
    fn img_16_of_two_entries_with_one_name_the_first_is_served() {
        let entries = [entry("1", &[(REF_NAME, "v1")]), entry("2", &[(REF_NAME, "v1")])];
        let view = View::of(&entries, &references("x"));
        assert_eq!(view.tagged("x", &Tag::parse("v1").unwrap()).unwrap().digest, Digest::sha256(b"1"));
    }

    #[test]
    fn a_push_keeps_the_form_of_names_that_is_there() {
        let entries = [
            entry("1", &[(REF_NAME, "v1")]),
            entry("2", &[(REF_NAME, "r.example/team/app:v1")]),
            entry("3", &[(REF_NAME, "app:v1")]),
        ];
        let naming = references("folder");
        let view = View::of(&entries, &naming);
        let name = |repository, tag| {
            let tag = Tag::parse(tag).unwrap();
            view.name(&naming, repository, &tag, "localhost").unwrap().to_string()
        };
        assert_eq!(name("folder", "v2"), "v2");
        assert_eq!(name("team/app", "v2"), "r.example/team/app:v2");
        assert_eq!(name("app", "v1"), "app:v1");
        assert_eq!(name("new", "v1"), "localhost/new:v1");
        let one = Naming::One("mine".to_owned());
        let tag = Tag::parse("v9").unwrap();
        assert_eq!(View::of(&[], &one).name(&one, "mine", &tag, "h").unwrap().to_string(), "v9");
    }

    #[test]
    fn an_empty_layout_is_a_repository_called_as_its_folder() {
        let view = View::of(&[], &references("folder"));
        assert_eq!(tags(&view, "folder"), Vec::<String>::new());
    }
}
