//! A file of settings as values: what is copied where, how, and how registries are reached.
//!
//! The words are those of the command `copy`, and mean the same. Paths that do not begin at the root begin where the file
//! lies. Nothing is opened, nothing is asked, and no secret is read: a credential says where its secret is, and whoever
//! carries the file out gets it from there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use transship_spec::{Location, Reference, is_registry, quote};

use super::fields::{self, Fields};
use super::how::{self, How, OPTIONS};
use super::yaml::{self, At, Node};
use crate::sync::yaml::Wrong as _;
use crate::{Result, Selection};

const TOP: [&str; 6] = ["version", "defaults", "credentials", "registries", "concurrency", "sync"];
const ENTRY: [&str; 3] = ["from", "to", "all-tags"];
const CREDENTIAL: [&str; 7] =
    ["user", "user-env", "password-env", "password-file", "token-env", "token-file", "helper"];
const REGISTRY: [&str; 7] = ["plain-http", "insecure", "ca-file", "cert", "key", "credentials", "mirrors"];

/// A file of settings.
///
/// ```
/// use std::path::Path;
/// use transship_copy::sync::Config;
///
/// let text = "
/// version: 1
/// sync:
///   - from: docker://registry.example/team/app
///     tags: ['semver:>=1.2']
///     to: [docker://mirror.example/app, oci:./mirror]
/// ";
/// let config = Config::parse(text, Path::new("/srv/sync"))?;
/// assert_eq!(config.copies[0].to[1].to_string(), "oci:/srv/sync/mirror");
/// # Ok::<(), transship_copy::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// Transfers under way at once, where the file says so.
    pub concurrency: Option<usize>,
    /// Where the secrets are, by the names that registries use.
    pub credentials: BTreeMap<String, Secrets>,
    /// How registries are reached, by their names.
    pub registries: BTreeMap<String, Registry>,
    /// What is copied, in the order of the file.
    pub copies: Vec<Copy>,
}

/// Who we are to a registry, and where the proof of it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secrets {
    /// A user and a password.
    Password {
        /// The user.
        user: SecretPlace,
        /// Where the password is.
        password: SecretPlace,
    },
    /// A token that the registry takes as it is.
    Token(SecretPlace),
    /// The credential helper `docker-credential-NAME`, by the last part of its name.
    Helper(String),
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretPlace {
    /// Here; of users only, who are no secret.
    Written(String),
    /// In this variable of the environment.
    Variable(String),
    /// In this file, whose last line end is none of it.
    File(PathBuf),
}

/// How a registry is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registry {
    /// Plain HTTP, where the file says so.
    pub plain_http: Option<bool>,
    /// Do not check its certificate.
    pub insecure: bool,
    /// Certificates of authorities to trust (PEM).
    pub ca_files: Vec<PathBuf>,
    /// Our certificate and its key (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name of its credential in [`Config::credentials`].
    pub credentials: Option<String>,
    /// Where its repositories are, too, each below one of these: a registry, and what stands before the repository's name.
    pub mirrors: Vec<(String, String)>,
}

/// Something that is copied from some places to others.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Copy {
    /// Where in the file it stands.
    pub at: At,
    /// Where from.
    pub from: Vec<Location>,
    /// Where to; each gets all of it.
    pub to: Vec<Location>,
    /// Whether everything that has a name is meant, or what the locations name.
    pub all: bool,
    /// What of it, and under which names.
    pub selection: Selection,
    /// How.
    pub how: How,
}

impl Config {
    /// Reads the text of a file that lies in `folder`.
    ///
    /// # Errors
    /// [`Error::Settings`](crate::Error::Settings) with the line and column of the first mistake, and
    /// [`Error::Limit`](crate::Error::Limit).
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let root = yaml::read(text)?;
        let top = Fields::of(&root, &TOP)?;
        let version = top.need("version")?;
        if fields::text(version)? != "1" {
            let version = fields::text(version).map(quote)?;
            return Err(top.at_of("version").wrong(format!("the version is 1, and {version} is not known")));
        }
        let reader = Reader { folder, defaults: top.get("defaults") };
        let config = Self {
            concurrency: top.number("concurrency")?,
            credentials: reader.credentials(top.get("credentials"))?,
            registries: reader.registries(top.get("registries"))?,
            copies: reader.copies(top.need("sync")?)?,
        };
        config.check_names(&top)?;
        Ok(config)
    }

    /// Credentials must be there by the names that registries use.
    fn check_names(&self, top: &Fields<'_>) -> Result<()> {
        let Some(node) = top.get("registries") else { return Ok(()) };
        for (name, _, node) in Fields::any(node)?.all() {
            let Some(wanted) = Fields::any(node)?.get("credentials") else { continue };
            let known = self.registries.get(name).and_then(|registry| registry.credentials.as_ref());
            if known.is_some_and(|known| !self.credentials.contains_key(known)) {
                let reason = format!("there are no credentials called {}", quote(fields::text(wanted)?));
                let known: Vec<&str> = self.credentials.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(wanted.at.wrong_but(reason, format!("below credentials: there are {known}")));
            }
        }
        Ok(())
    }
}

/// What reading needs to know beside the part that is read.
#[derive(Debug)]
struct Reader<'a> {
    folder: &'a Path,
    defaults: Option<&'a Node>,
}

impl Reader<'_> {
    fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    fn credentials(&self, node: Option<&Node>) -> Result<BTreeMap<String, Secrets>> {
        let Some(node) = node else { return Ok(BTreeMap::new()) };
        let all = Fields::any(node)?;
        all.all().map(|(name, _, node)| Ok((name.to_owned(), self.credential(node)?))).collect()
    }

    fn credential(&self, node: &Node) -> Result<Secrets> {
        let any = Fields::any(node)?;
        if let Some((_, at, _)) = any.all().find(|(key, ..)| matches!(*key, "password" | "token" | "pass")) {
            let remedy = "say where it is: password-env: VARIABLE, password-file: FILE, or helper: NAME";
            return Err(at.wrong_but("a secret does not belong into this file", remedy));
        }
        let fields = Fields::of(node, &CREDENTIAL)?;
        let place = |variable: &str, file: &str| -> Result<Option<SecretPlace>> {
            let variable = fields.text(variable)?.map(|name| SecretPlace::Variable(name.to_owned()));
            Ok(variable.or(fields.text(file)?.map(|file| SecretPlace::File(self.path(file)))))
        };
        let password = place("password-env", "password-file")?;
        let token = place("token-env", "token-file")?;
        let several = fields.all().filter(|(key, ..)| !matches!(*key, "user" | "user-env")).count() != 1;
        let user = match (fields.text("user")?, fields.text("user-env")?) {
            (Some(_), Some(_)) => return Err(node.at.wrong("there is one of user and user-env")),
            (Some(user), None) => Some(SecretPlace::Written(user.to_owned())),
            (None, variable) => variable.map(|name| SecretPlace::Variable(name.to_owned())),
        };
        match (user, password, token, fields.text("helper")?) {
            _ if several => Err(node.at.wrong(
                "credentials have one of password-env, password-file, token-env, token-file and helper",
            )),
            (Some(user), Some(password), ..) => Ok(Secrets::Password { user, password }),
            (None, Some(_), ..) => Err(node.at.wrong("a password needs a user")),
            (None, _, Some(token), _) => Ok(Secrets::Token(token)),
            (None, .., Some(helper)) => Ok(Secrets::Helper(helper.to_owned())),
            _ => Err(node.at.wrong("a user belongs to a password alone")),
        }
    }

    fn registries(&self, node: Option<&Node>) -> Result<BTreeMap<String, Registry>> {
        let Some(node) = node else { return Ok(BTreeMap::new()) };
        let mut registries = BTreeMap::new();
        for (name, at, node) in Fields::any(node)?.all() {
            if !is_registry(name) {
                return Err(at.wrong(format!("{} is not the name of a registry", quote(name))));
            }
            registries.insert(name.to_owned(), self.registry(node)?);
        }
        Ok(registries)
    }

    fn registry(&self, node: &Node) -> Result<Registry> {
        let fields = Fields::of(node, &REGISTRY)?;
        let ca_files = fields.texts("ca-file")?.unwrap_or_default();
        let identity = match (fields.text("cert")?, fields.text("key")?) {
            (Some(cert), Some(key)) => Some((self.path(cert), self.path(key))),
            (None, None) => None,
            _ => return Err(node.at.wrong("cert and key belong together")),
        };
        Ok(Registry {
            plain_http: fields.flag("plain-http")?,
            insecure: fields.flag("insecure")?.unwrap_or_default(),
            ca_files: ca_files.into_iter().map(|(_, file)| self.path(file)).collect(),
            identity,
            credentials: fields.text("credentials")?.map(str::to_owned),
            mirrors: fields
                .texts("mirrors")?
                .unwrap_or_default()
                .into_iter()
                .map(mirror)
                .collect::<Result<_>>()?,
        })
    }

    fn copies(&self, node: &Node) -> Result<Vec<Copy>> {
        // Mistakes in what nobody uses are mistakes, too.
        let empty = Node { at: node.at, value: yaml::Value::Mapping(Vec::new()) };
        let defaults = Fields::of(self.defaults.unwrap_or(&empty), &OPTIONS)?;
        how::read(&defaults, &defaults)?;
        let copies: Vec<Copy> =
            fields::items(node)?.iter().map(|node| self.copy(node, &defaults)).collect::<Result<_>>()?;
        match copies.is_empty() {
            true => Err(node.at.wrong("there is nothing to copy")),
            false => Ok(copies),
        }
    }

    fn copy(&self, node: &Node, defaults: &Fields<'_>) -> Result<Copy> {
        let known: Vec<&str> = ENTRY.iter().chain(&OPTIONS).copied().collect();
        let own = Fields::of(node, &known)?;
        let (selection, how) = how::read(&own, defaults)?;
        let chooses =
            !selection.tags.is_empty() || !selection.exclude.is_empty() || selection.newest.is_some();
        let says = |keys: &[&str]| keys.iter().find_map(|key| own.get(key));
        let all = own.flag("all-tags")?;
        let from = self.locations(own.need("from")?)?;
        let to = self.locations(own.need("to")?)?;
        if all == Some(false)
            && let Some(node) = says(&["tags", "exclude", "newest"])
        {
            return Err(node.at.wrong("all-tags is false, and this chooses among all"));
        }
        let mut wants_all = all.unwrap_or(chooses);
        for (at, location) in &from {
            let is_one = is_one(location);
            if is_one && (all == Some(true) || says(&["tags", "exclude", "newest"]).is_some()) {
                let reason = format!(
                    "{location} is one thing, and all-tags, tags, exclude and newest choose among all"
                );
                return Err(at.wrong(reason));
            }
            // What the defaults say of tags is not for what is named.
            wants_all &= !is_one;
        }
        let mut seen = std::collections::HashSet::new();
        if let Some((at, twice)) = to.iter().find(|(_, location)| !seen.insert(location.clone())) {
            return Err(at.wrong(format!("{twice} is here for the second time")));
        }
        let places = |found: Vec<(At, Location)>| found.into_iter().map(|(_, location)| location).collect();
        Ok(Copy { at: node.at, from: places(from), to: places(to), all: wants_all, selection, how })
    }

    fn locations(&self, node: &Node) -> Result<Vec<(At, Location)>> {
        let texts = fields::texts(node)?;
        if texts.is_empty() {
            return Err(node.at.wrong("the list is empty"));
        }
        texts.into_iter().map(|(at, text)| Ok((at, self.location(at, text)?))).collect()
    }

    fn location(&self, at: At, text: &str) -> Result<Location> {
        let mut location = Location::parse(text).map_err(|error| at.wrong(error.to_string()))?;
        match &mut location {
            Location::Archive { path, .. } | Location::DockerArchive { path, .. }
                if path.as_os_str() == "-" =>
            {
                return Err(at.wrong("a pipe is for one copy on the command line"));
            }
            Location::Layout { path, .. }
            | Location::Archive { path, .. }
            | Location::DockerArchive { path, .. }
            | Location::Path(path) => *path = self.folder.join(tidy(path)),
            Location::Registry(_) => {}
        }
        Ok(location)
    }
}

/// `HOST` or `HOST/PREFIX`.
fn mirror((at, text): (At, &str)) -> Result<(String, String)> {
    let place = text.strip_prefix("docker://").unwrap_or(text).trim_end_matches('/');
    let (host, prefix) = place.split_once('/').unwrap_or((place, ""));
    let is_prefix = prefix.is_empty() || Reference::new(host, prefix).is_ok();
    match is_registry(host) && is_prefix {
        true => Ok((host.to_owned(), prefix.to_owned())),
        false => Err(at.wrong(format!("{} is not a registry, maybe with the begin of a path", quote(text)))),
    }
}

/// A path without the `./` at its begin.
fn tidy(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

/// Whether a location names one thing, and not a place that may hold many.
fn is_one(location: &Location) -> bool {
    match location {
        Location::Layout { reference, .. }
        | Location::Archive { reference, .. }
        | Location::DockerArchive { reference, .. } => reference.is_some(),
        Location::Registry(reference) => reference.tag().is_some() || reference.digest().is_some(),
        Location::Path(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Newest, Referrers, Subset};

    const WHOLE: &str = "
version: 1
concurrency: 12
defaults: {referrers: none, tags: [v*], short-names: true}
credentials:
  prod: {user: robot, password-env: PROD_PASSWORD}
  other: {user: me, password-file: secrets/pw}
  cloud: {helper: ecr-login}
  token: {token-env: T}
registries:
  registry.example: {credentials: prod, ca-file: [ca.pem, /etc/ca.pem], mirrors: [m.example, 'n.example:5000/a/b']}
  localhost:5000: {plain-http: true}
  mirror.example: {cert: me.crt, key: me.key, insecure: true}
x-common: &common
  exclude: ['*-rc*']
sync:
  - from: docker://registry.example/team/app
    tags: [v1.*, 'semver:>=1.2']
    newest: 5
    <<: *common
    platform: [linux/amd64, linux/arm64]
    subset: sparse
    to: [docker://mirror.example/app, 'oci:./mirror', oci-archive:/srv/a.tar]
  - from: [alpine:3.20, 'oci:in:v1']
    referrers: [application/vnd.example.sig]
    digest-tags: false
    convert: docker
    check-members: true
    force: true
    map: ['docker.io/library/*=base/*']
    to: docker://mirror.example/base
  - {from: quay.io/a/b, to: 'oci:all'}
";

    fn refused(text: &str) -> String {
        let error = Config::parse(text, Path::new("/f")).map(|config| format!("{config:?}")).unwrap_err();
        format!("{error}; {}", error.remedy().unwrap_or_default())
    }

    #[test]
    fn everything_has_its_meaning() {
        let config = Config::parse(WHOLE, Path::new("/f")).unwrap();
        assert_eq!(config.concurrency, Some(12));
        let password = SecretPlace::Variable("PROD_PASSWORD".to_owned());
        let user = SecretPlace::Written("robot".to_owned());
        assert_eq!(config.credentials["prod"], Secrets::Password { user, password });
        assert!(
            matches!(&config.credentials["other"], Secrets::Password { password: SecretPlace::File(file), .. }
            if file == Path::new("/f/secrets/pw"))
        );
        let registry = &config.registries["registry.example"];
        assert_eq!(registry.ca_files, [PathBuf::from("/f/ca.pem"), PathBuf::from("/etc/ca.pem")]);
        let mirrors = [("m.example", ""), ("n.example:5000", "a/b")];
        assert_eq!(registry.mirrors, mirrors.map(|(host, prefix)| (host.to_owned(), prefix.to_owned())));
        assert_eq!(config.registries["localhost:5000"].plain_http, Some(true));
        let [first, second, third] = config.copies.as_slice() else { panic!("{:?}", config.copies) };
        assert_eq!((first.at.line, first.at.column), (17, 5));
        assert_eq!(first.to[1].to_string(), "oci:/f/mirror");
        assert!(first.all && !second.all && third.all);
        assert_eq!(first.selection.newest, Some(Newest { count: 5, by: crate::Age::Version }));
        assert_eq!((first.selection.tags.len(), first.selection.exclude.len()), (2, 1));
        assert!(matches!(&first.how.subset, Some(Subset::Sparse(two)) if two.len() == 2));
        assert_eq!((&first.how.referrers, first.how.digest_tags), (&Referrers::None, true));
        assert!(matches!(&second.how.referrers, Referrers::Types(types) if types.len() == 1));
        assert!(second.how.members && !first.how.members);
        assert!(second.selection.force && !second.how.digest_tags && second.selection.naming.short_names);
        assert_eq!((first.how.convert, second.how.convert), (None, Some(transship_spec::Dialect::Docker)));
        assert_eq!(second.from[1].to_string(), "oci:/f/in:v1");
        assert_eq!(third.selection.tags[0].to_string(), "v*");
    }

    #[test]
    fn mistakes_are_told_with_line_column_and_what_was_meant() {
        let sync = "version: 1\nsync:\n  - from: r.example/a\n    to: oci:a\n";
        for (text, words) in [
            ("sync: []\n", "line 1, column 1: the key version is missing here"),
            ("version: 2\nsync: []\n", "line 1, column 10: the version is 1"),
            ("version: 1\nsync: []\n", "line 2, column 7: there is nothing to copy"),
            ("version: 1\nsync: {}\n", "line 2, column 7: a list belongs here"),
            (
                "version: 1\nsink: []\n",
                "line 2, column 1: there is no key \"sink\" here; maybe sync was meant",
            ),
            (
                &format!("{sync}    tag: v1\n"),
                "line 5, column 5: there is no key \"tag\" here; maybe tags was meant",
            ),
            (
                &format!("{sync}    platform: [linux/amd64, linux/arm64]\n"),
                "line 5, column 15: several platforms",
            ),
            (&format!("{sync}    platform: linux\n"), "line 5, column 15"),
            (&format!("{sync}    subset: sparse\n"), "line 5, column 13: a subset needs platforms"),
            (
                &format!("{sync}    subset: some\n    platform: a/b\n"),
                "line 5, column 13: subset is one of sparse, rewrite",
            ),
            (
                &format!("{sync}    convert: oci\n    subset: sparse\n    platform: a/b\n"),
                "line 5, column 14: subset: sparse keeps an index",
            ),
            (&format!("{sync}    convert: zip\n"), "line 5, column 14: convert is one of oci, docker"),
            (&format!("{sync}    tags: ['semver:>=x']\n"), "line 5, column 12"),
            (&format!("{sync}    newest: none\n"), "line 5, column 13: newest is a whole number"),
            (&format!("{sync}    referrers: [all, none]\n"), "line 5, column 17"),
            (&format!("{sync}    all-tags: false\n    tags: a\n"), "line 6, column 11: all-tags is false"),
            (&format!("{sync}defaults: {{referrers: [' ']}}\n"), "line 5, column 24"),
            (&format!("{sync}defaults: {{from: a}}\n"), "line 5, column 12: there is no key \"from\" here"),
            (
                &format!("{sync}registries: {{'a b': {{}}}}\n"),
                "line 5, column 14: \"a b\" is not the name of a registry",
            ),
            (&format!("{sync}registries: {{a.example: {{cert: x}}}}\n"), "cert and key belong together"),
            (
                &format!("{sync}registries: {{a.example: {{credentials: no}}}}\n"),
                "line 5, column 39: there are no credentials called \"no\"",
            ),
            (
                &format!("{sync}credentials: {{a: {{user: u, password: p}}}}\n"),
                "line 5, column 28: a secret does not belong into this file; say where",
            ),
            (&format!("{sync}credentials: {{a: {{user: u}}}}\n"), "credentials have one of"),
            (&format!("{sync}credentials: {{a: {{helper: h, token-env: T}}}}\n"), "credentials have one of"),
            (&format!("{sync}credentials: {{a: {{password-env: P}}}}\n"), "a password needs a user"),
            (
                "version: 1\nsync: [{from: r.example/a:v1, tags: x, to: oci:a}]\n",
                "line 2, column 15: docker://r.example/a:v1 is one thing",
            ),
            (
                "version: 1\nsync: [{from: r.example/a, to: [oci:a, 'oci:./a']}]\n",
                "line 2, column 40: oci:/f/a is here for the second time",
            ),
            ("version: 1\nsync: [{from: 'oci://x', to: oci:a}]\n", "line 2, column 15"),
            ("version: 1\nsync: [{from: [], to: oci:a}]\n", "line 2, column 15: the list is empty"),
            ("version: 1\nsync: [{from: r.example/a, to: 'oci-archive:-'}]\n", "line 2, column 32: a pipe"),
        ] {
            let message = refused(text);
            assert!(message.contains(words), "{text}\n{message}\n{words}");
        }
    }

    #[test]
    fn a_secret_in_the_file_is_not_repeated_in_the_message() {
        let text = "version: 1\ncredentials: {a: {user: u, password: hunter2}}\nsync: []\n";
        assert!(!refused(text).contains("hunter2"));
    }
}
