//! Where a namespace is to be read from: other locations, and mirrors, in the sense of containers-registries.conf(5).
//!
//! A [`Route`] says it for all repositories below a prefix. The longest prefix counts, and only that one. Reads try the
//! mirrors in order, then the location; the first that can be reached and has what is asked for is taken. What it gives is
//! believed as far as its digest agrees, and no further. A mirror that cannot be reached or refuses us is not asked again
//! for a while ([`Retry::mirror_pause`](crate::Retry::mirror_pause)).
//! Credentials are looked up for each host by its own name, so that none is sent those of another.
//!
//! Pushes, deletions, and everything asked on behalf of them go to the registry that the user named. Lists of tags come from
//! the location. A prefix that ends with a tag or digest is never met.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use transship_spec::Digest;

use crate::client::Client;
use crate::error::Error;
use crate::repository::Repository;

/// Where the repositories below a prefix are.
///
/// ```
/// use transship_registry::{Mirror, Pulls, Route, Settings};
///
/// let mirror = Mirror { location: "mirror.example/hub".to_owned(), insecure: false, pulls: Pulls::All };
/// let route = Route { mirrors: vec![mirror], ..Route::new("docker.io", "the command line") };
/// // docker.io/library/alpine is read from mirror.example/hub/library/alpine, if that has it.
/// let settings = Settings { routes: vec![route], ..Settings::default() };
/// # drop(settings);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `host[:port]`, with a namespace or repository after it or not; or `*.domain` for all hosts below a domain.
    pub prefix: String,
    /// What stands in place of the prefix when something is read; the prefix itself if there is none.
    pub location: Option<String>,
    /// Whether the certificate of the location, and of the registry as it is named, goes unchecked.
    pub insecure: bool,
    /// Whether nothing below the prefix may be used.
    pub blocked: bool,
    /// Where to look first, in this order.
    pub mirrors: Vec<Mirror>,
    /// Who says so, for errors: a file, or a flag.
    pub said_by: String,
}

impl Route {
    /// A route that changes nothing yet.
    #[must_use]
    pub fn new(prefix: &str, said_by: &str) -> Self {
        let (prefix, said_by) = (prefix.to_owned(), said_by.to_owned());
        Self { prefix, location: None, insecure: false, blocked: false, mirrors: Vec::new(), said_by }
    }

    /// The route for what has this full name (`host/repository`, or a host alone), and how many bytes of the name it
    /// replaces.
    #[must_use]
    pub fn find<'a>(routes: &'a [Self], full: &str) -> Option<(&'a Self, usize)> {
        let matching = routes.iter().filter_map(|route| Some((route, route.matches(full)?)));
        // Of the same length, the one without a wildcard is meant.
        matching.max_by_key(|(route, length)| (*length, !route.prefix.starts_with('*')))
    }

    /// How much of a full name (`host/repository`) this route is for, if it is.
    fn matches(&self, full: &str) -> Option<usize> {
        let length = match self.prefix.strip_prefix('*') {
            Some(domain) => {
                let host = full.split([':', '/']).next().unwrap_or_default();
                let is_below = domain.starts_with('.') && host.len() > domain.len() && host.ends_with(domain);
                is_below.then_some(host.len())?
            }
            None => full.starts_with(&self.prefix).then_some(self.prefix.len())?,
        };
        matches!(full.as_bytes().get(length), None | Some(b'/' | b':')).then_some(length)
    }
}

/// A place that may have the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// What stands in place of the prefix: `host[:port]`, with a namespace after it or not.
    pub location: String,
    /// Whether its certificate goes unchecked.
    pub insecure: bool,
    /// What is looked for there.
    pub pulls: Pulls,
}

/// What is looked for at a mirror.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pulls {
    /// Everything.
    #[default]
    All,
    /// What is asked for by digest, blobs among it: a tag may be another image there.
    DigestOnly,
    /// What is asked for by tag, and what an image that came so consists of.
    TagOnly,
    /// Manifests and blobs, by digest. What a tag means and what refers to what is for the location to say, since a mirror
    /// may be late. A manifest that is asked for by tag comes from here, too, when the location has told its digest.
    Content,
}

/// Where a repository is read from, where that is not the registry that the user named alone.
#[derive(Debug)]
pub(crate) struct Reading {
    mirrors: Vec<Arc<Source>>,
    /// Asked when no mirror has it.
    location: Option<Repository>,
    /// The location could not be reached for a question that a mirror had answered.
    is_far: AtomicBool,
    /// Blobs that came wrong.
    wrong: Mutex<HashSet<Digest>>,
}

/// A mirror of one repository.
#[derive(Debug)]
pub(crate) struct Source {
    repository: Repository,
    pulls: Pulls,
    /// It gave a manifest.
    has_helped: AtomicBool,
    /// It could not be reached, or refused us, and is not asked before this time.
    rests: Mutex<Option<Instant>>,
    /// That was told.
    is_told: AtomicBool,
}

impl Source {
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Notes that it gave a manifest: what that needs may be there only, however it is asked for.
    pub(crate) fn helped(&self) {
        self.has_helped.store(true, Ordering::Relaxed);
    }

    /// Notes why it did not help. What it does not have, others may have.
    pub(crate) fn failed(&self, error: &Error) {
        if matches!(error, Error::NotFound(_)) {
            return;
        }
        let pause = self.repository.host.shared.settings.retry.mirror_pause;
        *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now().checked_add(pause);
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.repository.warn(&format!("the mirror is passed over: {error}"));
        }
    }

    /// Whether it says what refers to what.
    pub(crate) fn lists(&self) -> bool {
        self.pulls != Pulls::Content
    }

    fn is_resting(&self) -> bool {
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        rests.is_some_and(|until| Instant::now() < until)
    }
}

impl Reading {
    /// The mirrors to ask, by digest or by tag.
    pub(crate) fn mirrors(&self, by_digest: bool) -> impl Iterator<Item = &Arc<Source>> {
        self.mirrors.iter().filter(move |source| {
            let is_meant = match source.pulls {
                Pulls::All => true,
                Pulls::DigestOnly | Pulls::Content => by_digest,
                Pulls::TagOnly => !by_digest || source.has_helped.load(Ordering::Relaxed),
            };
            is_meant && !source.is_resting()
        })
    }

    /// Whether a manifest can come from a mirror when its tag was resolved elsewhere.
    pub(crate) fn gives_what_was_resolved(&self) -> bool {
        self.mirrors(true).any(|source| source.pulls == Pulls::Content)
    }

    /// Notes that a blob came wrong, whoever gave it.
    pub(crate) fn doubt(&self, blob: &Digest) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.clone());
    }

    /// Whether a blob is to come from the location alone.
    pub(crate) fn is_doubted(&self, blob: &Digest) -> bool {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).contains(blob)
    }

    /// Notes that the location cannot be reached, where that is no error; whether it is news.
    pub(crate) fn lost(&self) -> bool {
        !self.is_far.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_far.load(Ordering::Relaxed)
    }

    pub(crate) fn location(&self) -> Option<&Repository> {
        self.location.as_ref()
    }
}

impl Client {
    /// A repository, as the routes say how it is read.
    pub(crate) fn routed(&self, registry: &str, name: &str) -> Result<Repository, Error> {
        let full = format!("{registry}/{name}");
        let Some((route, length)) = Route::find(&self.settings().routes, &full) else {
            return Ok(Repository::new(self.host(registry)?, name));
        };
        if route.blocked {
            return Err(Error::Blocked { name: full, by: route.said_by.clone() });
        }
        let at = |location: &str, insecure: bool| {
            let place = format!("{location}{}", &full[length..]);
            let wrong = || {
                let (place, by) = (transship_spec::quote(&place), &route.said_by);
                Error::Settings(format!("{by}: {full} would be read from {place}, which is no repository"))
            };
            let (host, repository) = place.split_once('/').ok_or_else(wrong)?;
            crate::host::check_repository(repository).map_err(|_| wrong())?;
            Ok::<_, Error>(Repository::new(self.host_with(host, insecure)?, repository))
        };
        let mirrors = route.mirrors.iter().map(|mirror| {
            let repository = at(&mirror.location, mirror.insecure)?;
            let source = Source {
                repository,
                pulls: mirror.pulls,
                has_helped: AtomicBool::default(),
                rests: Mutex::default(),
                is_told: AtomicBool::default(),
            };
            Ok(Arc::new(source))
        });
        let mirrors = mirrors.collect::<Result<_, Error>>()?;
        let location = route.location.as_deref().filter(|location| **location != route.prefix);
        let location = location.map(|location| at(location, route.insecure)).transpose()?;
        let named = Repository::new(self.host_with(registry, route.insecure)?, name);
        Ok(named.reading(Reading {
            mirrors,
            location,
            is_far: AtomicBool::new(false),
            wrong: Mutex::default(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(prefixes: &[&str], full: &str) -> Option<String> {
        let routes: Vec<_> = prefixes.iter().map(|prefix| Route::new(prefix, "test")).collect();
        Route::find(&routes, full).map(|(route, length)| format!("{} {}", route.prefix, &full[length..]))
    }

    #[test]
    fn the_longest_prefix_that_ends_with_a_name_counts() {
        let prefixes = ["example.com", "example.com/foo", "*.example.com", "a.example.com"];
        for (full, expected) in [
            ("example.com/foo/app", Some("example.com/foo /app")),
            ("example.com/foo", Some("example.com/foo ")),
            ("example.com/food", Some("example.com /food")),
            ("example.com:5000/foo", Some("example.com :5000/foo")),
            ("example.community/foo", None),
            ("b.example.com/app", Some("*.example.com /app")),
            ("c.b.example.com:5000/app", Some("*.example.com :5000/app")),
            ("a.example.com/app", Some("a.example.com /app")),
            ("badexample.com/app", None),
            ("other/b.example.com/app", None),
        ] {
            assert_eq!(found(&prefixes, full).as_deref(), expected, "{full}");
        }
    }

    #[test]
    fn a_wildcard_stands_only_before_a_domain() {
        for prefix in ["*", "*example.com", "a.*.com", "*.example.com/foo", "*.example.com:5000"] {
            assert_eq!(found(&[prefix], "a.example.com:5000/foo"), None, "{prefix}");
        }
    }
}
