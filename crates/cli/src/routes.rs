//! `registries.conf`: where namespaces are read from, as containers-registries.conf(5) says, and `--mirror`.
//!
//! Of the files only `[[registry]]` is heeded: a name without a registry is Docker Hub's here, whatever
//! `unqualified-search-registries` and `[aliases]` say. `insecure` leaves certificates unchecked, and never means
//! plain HTTP, which takes `--plain-http`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use transship_registry::{Mirror, Pulls, Route};
use transship_spec::quote;

use crate::exit::Failure;

/// A file of settings as far as it concerns us; unknown keys are for other programs.
#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    registry: Vec<Registry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<MirrorOf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorOf {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: String,
}

/// Files of settings in the order in which they are read: a later one replaces the same prefix of an earlier one.
pub(crate) fn files(named: Option<&Path>, user: Option<&Path>, system: &Path) -> Vec<PathBuf> {
    if let Some(named) = named {
        return vec![named.to_owned()];
    }
    let main = |folder: &Path| folder.join("registries.conf");
    let user_main = user.map(main).filter(|file| file.exists());
    let mut files = Vec::new();
    if user_main.is_none() {
        files.push(main(system));
        files.extend(dropped_in(system));
    }
    files.extend(user_main);
    files.extend(user.into_iter().flat_map(dropped_in));
    files
}

/// The files of `registries.conf.d`, by name.
fn dropped_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.join("registries.conf.d").read_dir() else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|name| name == "conf")).collect();
    files.sort();
    files
}

/// The routes that these files say, then those of `--mirror`, which come before the mirrors of files.
pub(crate) fn read(files: &[PathBuf], flags: &[(String, String)]) -> Result<Vec<Route>, Failure> {
    let mut routes: BTreeMap<String, Route> = BTreeMap::new();
    for file in files {
        let wrong = |reason: String| Failure::usage(format!("{}: {reason}", file.display()));
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(wrong(error.to_string())),
        };
        let read: File = toml::from_str(&text).map_err(|error| wrong(error.to_string().trim().to_owned()))?;
        for registry in read.registry {
            let route = route(registry, file).map_err(wrong)?;
            routes.insert(route.prefix.clone(), route);
        }
    }
    for (prefix, location) in flags.iter().rev() {
        let route = routes.entry(prefix.clone()).or_insert_with(|| Route::new(prefix, "--mirror"));
        let mirror = Mirror { location: location.clone(), insecure: false, pulls: Pulls::All };
        route.mirrors.insert(0, mirror);
    }
    Ok(routes.into_values().collect())
}

/// Adds mirrors of a whole registry that give content and say nothing else, each a host and what stands before the
/// repositories' names there. They are asked after those of `flags` and before those of files, whatever prefix below the
/// registry these are for.
pub(crate) fn add(
    routes: &mut Vec<Route>,
    registry: &str,
    mirrors: &[(String, String)],
    flags: &[(String, String)],
) {
    if mirrors.is_empty() {
        return;
    }
    if !routes.iter().any(|route| route.prefix == registry) {
        let new = match Route::find(routes, registry) {
            // What holds for the domain goes on to hold.
            Some((wide, length)) => narrowed(wide, registry, &registry[length..]),
            None => Route::new(registry, "registries of the file"),
        };
        routes.push(new);
    }
    for route in routes {
        let rest = route.prefix.strip_prefix(registry).map(str::to_owned);
        let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else { continue };
        let more = mirrors.iter().map(|(host, path)| {
            let slash = if path.is_empty() { "" } else { "/" };
            Mirror { location: format!("{host}{slash}{path}{rest}"), insecure: false, pulls: Pulls::Content }
        });
        let at = flags.iter().filter(|(prefix, _)| *prefix == route.prefix).count();
        route.mirrors.splice(at..at, more);
    }
}

/// A route as it is for one registry below its domain.
fn narrowed(wide: &Route, registry: &str, rest: &str) -> Route {
    let mut narrow = Route { prefix: registry.to_owned(), ..wide.clone() };
    let mirrors = narrow.mirrors.iter_mut().map(|mirror| &mut mirror.location);
    mirrors.chain(&mut narrow.location).for_each(|location| location.push_str(rest));
    narrow
}

fn route(registry: Registry, file: &Path) -> Result<Route, String> {
    let location = (!registry.location.is_empty()).then(|| registry.location.clone());
    let prefix = match (&*registry.prefix, &location) {
        ("", Some(location)) => location.clone(),
        ("", None) => return Err("a [[registry]] has neither a prefix nor a location".to_owned()),
        (prefix, None) if !prefix.starts_with("*.") => {
            return Err(format!("the prefix {} has no location", quote(prefix)));
        }
        (prefix, _) => prefix.to_owned(),
    };
    let by_digest = registry.mirror_by_digest_only;
    let mirror = |mirror: MirrorOf| {
        let pulls = match &*mirror.pull_from_mirror {
            "" if by_digest => Pulls::DigestOnly,
            "" | "all" if !by_digest => Pulls::All,
            "digest-only" if !by_digest => Pulls::DigestOnly,
            "tag-only" if !by_digest => Pulls::TagOnly,
            _ if by_digest => {
                return Err("mirror-by-digest-only and pull-from-mirror exclude each other".to_owned());
            }
            other => return Err(format!("pull-from-mirror is {}", quote(other))),
        };
        Ok(Mirror { location: mirror.location, insecure: mirror.insecure, pulls })
    };
    Ok(Route {
        prefix,
        location,
        insecure: registry.insecure,
        blocked: registry.blocked,
        mirrors: registry.mirror.into_iter().map(mirror).collect::<Result<_, _>>()?,
        said_by: file.display().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Route>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registries.conf");
        std::fs::write(&file, text).unwrap();
        read(&[file], &[])
    }

    #[test]
    fn the_example_of_the_manual_is_read_as_it_says() {
        let routes = parse(
            r#"
            unqualified-search-registries = ["example.com"]
            [[registry]]
            prefix = "example.com/foo"
            location = "internal-registry-for-example.net/bar"
            [[registry.mirror]]
            location = "example-mirror-0.local/mirror-for-foo"
            [[registry.mirror]]
            location = "example-mirror-1.local/mirrors/foo"
            insecure = true
            pull-from-mirror = "digest-only"
            [[registry]]
            prefix = "*.example.com"
            blocked = true
            [[registry]]
            location = "registry.example.org"
            insecure = true
            mirror-by-digest-only = true
            [[registry.mirror]]
            location = "m.example.org"
            [aliases]
            alpine = "docker.io/library/alpine"
            "#,
        )
        .unwrap();
        let by_prefix = |prefix: &str| routes.iter().find(|route| route.prefix == prefix).unwrap();
        let foo = by_prefix("example.com/foo");
        assert_eq!(foo.location.as_deref(), Some("internal-registry-for-example.net/bar"));
        let mirrors: Vec<_> = foo.mirrors.iter().map(|m| (&*m.location, m.insecure, m.pulls)).collect();
        assert_eq!(
            mirrors,
            [
                ("example-mirror-0.local/mirror-for-foo", false, Pulls::All),
                ("example-mirror-1.local/mirrors/foo", true, Pulls::DigestOnly)
            ]
        );
        assert!(by_prefix("*.example.com").blocked && !foo.blocked && !foo.insecure);
        let org = by_prefix("registry.example.org");
        assert!(org.insecure && org.mirrors[0].pulls == Pulls::DigestOnly);
    }

    #[test]
    fn what_contradicts_itself_is_refused_and_the_file_is_named() {
        for text in [
            "[[registry]]",
            "[[registry]]\nprefix = \"a\"",
            "[[registry]]\nlocation = 5",
            "[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\nlocation = \"b\"\npull-from-mirror = \"no\"",
            "[[registry]]\nlocation = \"a\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"b\"\n\
             pull-from-mirror = \"all\"",
            "not TOML",
        ] {
            let failure = parse(text).unwrap_err();
            assert_eq!(failure.code(), 2);
            assert!(failure.to_string().contains("registries.conf: "), "{failure}");
        }
    }

    #[test]
    fn files_of_the_user_stand_for_those_of_the_system_and_what_is_dropped_in_replaces_a_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let (user, system) = (folder.path().join("user"), folder.path().join("etc"));
        let write = |file: PathBuf, location: &str| {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let text = format!("[[registry]]\nprefix = \"r.example\"\nlocation = \"{location}\"\n");
            std::fs::write(file, text).unwrap();
        };
        let location = |named: Option<&Path>| {
            let routes = read(&files(named, Some(&user), &system), &[]).unwrap();
            routes.first().and_then(|route| route.location.clone())
        };
        assert_eq!(location(None), None);
        write(system.join("registries.conf"), "system");
        assert_eq!(location(None).as_deref(), Some("system"));
        write(system.join("registries.conf.d/2.conf"), "second");
        write(system.join("registries.conf.d/1.conf"), "first");
        write(system.join("registries.conf.d/3.text"), "other");
        assert_eq!(location(None).as_deref(), Some("second"));
        write(user.join("registries.conf.d/0.conf"), "mine");
        assert_eq!(location(None).as_deref(), Some("mine"));
        std::fs::remove_file(user.join("registries.conf.d/0.conf")).unwrap();
        write(user.join("registries.conf"), "all mine");
        assert_eq!(location(None).as_deref(), Some("all mine"));
        assert_eq!(location(Some(&system.join("registries.conf"))).as_deref(), Some("system"));
    }

    #[test]
    fn mirrors_of_a_sync_come_after_flags_and_before_files_for_every_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registries.conf");
        let text = "[[registry]]\nprefix = \"r.example/team\"\nlocation = \"r.example/team\"\n\
                    [[registry.mirror]]\nlocation = \"file.example/team\"\n\
                    [[registry]]\nprefix = \"*.wide.example\"\n[[registry.mirror]]\nlocation = \"wide.mirror\"\n";
        std::fs::write(&file, text).unwrap();
        let flags = [("r.example/team".to_owned(), "flag.example".to_owned())];
        let mut routes = read(&[file], &flags).unwrap();
        let own = [("m.example".to_owned(), String::new()), ("n.example".to_owned(), "a/b".to_owned())];
        add(&mut routes, "r.example", &own, &flags);
        add(&mut routes, "x.wide.example:5000", &own[..1], &flags);
        let found = |full: &str| -> Vec<String> {
            let (route, _) = Route::find(&routes, full).unwrap();
            route.mirrors.iter().map(|mirror| mirror.location.clone()).collect()
        };
        let team = ["flag.example", "m.example/team", "n.example/a/b/team", "file.example/team"];
        assert_eq!(found("r.example/team/app"), team);
        assert_eq!(found("r.example/other"), ["m.example", "n.example/a/b"]);
        assert_eq!(found("x.wide.example:5000/app"), ["m.example", "wide.mirror:5000"]);
        assert_eq!(found("y.wide.example/app"), ["wide.mirror"]);
    }

    #[test]
    fn mirrors_of_flags_come_first_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registries.conf");
        let text = "[[registry]]\nlocation = \"r.example\"\n[[registry.mirror]]\nlocation = \"of-file\"\n";
        std::fs::write(&file, text).unwrap();
        let flag = |prefix: &str, location: &str| (prefix.to_owned(), location.to_owned());
        let flags = [flag("r.example", "one"), flag("other.example", "x/y"), flag("r.example", "two")];
        let routes = read(&[file], &flags).unwrap();
        let mirrors =
            |at: usize| -> Vec<_> { routes[at].mirrors.iter().map(|m| m.location.clone()).collect() };
        assert_eq!(
            (mirrors(0), mirrors(1)),
            (vec!["x/y".to_owned()], vec!["one".into(), "two".into(), "of-file".into()])
        );
    }
}
