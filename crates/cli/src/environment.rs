//! The process's surroundings as values: read once, here, and nowhere else.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use transship_registry::{CredentialFile, Proxy, Secret};

use crate::routes;

/// What the environment holds that concerns us. Reading it opens no file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder of Docker's `config.json`.
    docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: the file of credentials of podman and skopeo.
    registry_auth_file: Option<PathBuf>,
    /// `DOCKER_AUTH_CONFIG`: the text of a `config.json`.
    docker_auth_config: Option<Secret>,
    /// `CONTAINERS_REGISTRIES_CONF`: the file of registries of podman and skopeo.
    registries_conf: Option<PathBuf>,
    xdg_runtime_dir: Option<PathBuf>,
    xdg_config_home: Option<PathBuf>,
    /// Where programs keep what is worth keeping and no setting: `XDG_STATE_HOME` or its like.
    state: Option<PathBuf>,
    /// `PATH`, in which credential helpers are looked for.
    pub(crate) path: Vec<PathBuf>,
    https_proxy: Option<Secret>,
    http_proxy: Option<Secret>,
    no_proxy: String,
    /// `TRANSSHIP_OFFLINE` is set to something other than nothing and `0`.
    pub(crate) offline: bool,
    /// `SOURCE_DATE_EPOCH`, as it was written.
    pub(crate) source_date_epoch: Option<String>,
    /// `NO_COLOR` is set to something.
    pub(crate) no_color: bool,
    /// Standard error is a terminal that can move its cursor.
    pub(crate) terminal: bool,
}

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        let mut environment = Self::from(|name| std::env::var_os(name));
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        environment.terminal = std::io::stderr().is_terminal() && !dumb;
        environment
    }

    fn from(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        // Curl and most others read the lower-case names first.
        let either = |lower: &str, upper: &str| text(lower).or_else(|| text(upper));
        let proxy = |lower: &str, upper: &str| either(lower, upper).map(Secret::new);
        let all = proxy("all_proxy", "ALL_PROXY");
        // The folders that each system has for it; a relative path means nothing (XDG).
        let state = match (cfg!(windows), cfg!(target_os = "macos")) {
            (true, _) => path("LOCALAPPDATA"),
            (_, true) => path("HOME").map(|home| home.join("Library/Application Support")),
            _ => path("XDG_STATE_HOME")
                .filter(|folder| folder.is_absolute())
                .or_else(|| path("HOME").map(|home| home.join(".local/state"))),
        };
        Self {
            state,
            home: path("HOME"),
            docker_config: path("DOCKER_CONFIG"),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            docker_auth_config: text("DOCKER_AUTH_CONFIG").map(Secret::new),
            registries_conf: path("CONTAINERS_REGISTRIES_CONF"),
            xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
            xdg_config_home: path("XDG_CONFIG_HOME"),
            path: set("PATH").map(|value| std::env::split_paths(&value).collect()).unwrap_or_default(),
            https_proxy: proxy("https_proxy", "HTTPS_PROXY").or_else(|| all.clone()),
            http_proxy: proxy("http_proxy", "HTTP_PROXY").or(all),
            no_proxy: either("no_proxy", "NO_PROXY").unwrap_or_default(),
            offline: set("TRANSSHIP_OFFLINE").is_some_and(|value| value != "0"),
            source_date_epoch: text("SOURCE_DATE_EPOCH"),
            no_color: set("NO_COLOR").is_some(),
            terminal: false,
        }
    }

    /// A variable that a file of settings names.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Where credentials are looked for, in order (DIST-123). A file named by the user stands for all others.
    pub(crate) fn credentials(&self, authfile: Option<&Path>) -> transship_registry::Environment {
        let named = authfile.or(self.registry_auth_file.as_deref());
        let credential_files = match named {
            Some(file) => vec![form_of(file)],
            None => self.usual_files(),
        };
        transship_registry::Environment {
            credential_files,
            inline: self.docker_auth_config.clone().filter(|_| named.is_none()),
            helper_folders: self.path.clone(),
            ..transship_registry::Environment::default()
        }
    }

    fn usual_files(&self) -> Vec<CredentialFile> {
        let config_home = self.xdg_config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")));
        let containers = [self.xdg_runtime_dir.clone(), config_home];
        let containers = containers.into_iter().flatten().map(|folder| folder.join("containers/auth.json"));
        let legacy = self.home.as_ref().map(|home| CredentialFile::Legacy(home.join(".dockercfg")));
        let docker = self.docker_file().map(CredentialFile::Docker);
        containers.map(CredentialFile::Containers).chain(docker).chain(legacy).collect()
    }

    fn docker_file(&self) -> Option<PathBuf> {
        let folder = self.docker_config.clone().or_else(|| Some(self.home.as_ref()?.join(".docker")))?;
        Some(folder.join("config.json"))
    }

    /// Where `login` keeps credentials: the file that the user names, else Docker's, which every tool reads.
    pub(crate) fn login_file(&self, authfile: Option<&Path>) -> Option<(PathBuf, CredentialFile)> {
        if let Some(file) = authfile.or(self.registry_auth_file.as_deref()) {
            return Some((file.to_owned(), form_of(file)));
        }
        let file = self.docker_file()?;
        Some((file.clone(), CredentialFile::Docker(file)))
    }

    /// The user's folder of podman's and skopeo's settings.
    fn containers(&self) -> Option<PathBuf> {
        let config = self.xdg_config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")))?;
        Some(config.join("containers"))
    }

    /// The files that say where namespaces are read from.
    pub(crate) fn registries_files(&self) -> Vec<PathBuf> {
        let (named, user) = (self.registries_conf.as_deref(), self.containers());
        routes::files(named, user.as_deref(), Path::new("/etc/containers"))
    }

    /// The folders that have one folder of certificates for each registry (DIST-127).
    pub(crate) fn certificate_folders(&self) -> Vec<PathBuf> {
        let user = self.containers().map(|folder| folder.join("certs.d"));
        user.into_iter()
            .chain(["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from))
            .collect()
    }

    /// The folder in which uploads that were cut off are remembered.
    pub(crate) fn uploads(&self) -> Option<PathBuf> {
        self.state.as_ref().map(|folder| folder.join("transship").join("uploads"))
    }

    /// The proxy to send requests through: that for plain HTTP if all that is spoken is plain.
    pub(crate) fn proxy(&self, plain: bool) -> Option<Proxy> {
        let url = if plain { &self.http_proxy } else { &self.https_proxy };
        let url = url.clone()?;
        // No proxy can reach what listens on our own loopback.
        let except = format!("localhost,127.0.0.0/8,::1,{}", self.no_proxy);
        Some(Proxy { url, except })
    }
}

/// Docker's file has its own name; all others are in the form of podman and skopeo.
fn form_of(file: &Path) -> CredentialFile {
    match file.file_name().is_some_and(|name| name == "config.json") {
        true => CredentialFile::Docker(file.to_owned()),
        false => CredentialFile::Containers(file.to_owned()),
    }
}

/// Files that a transfer may have open: its source and its destination, each with a folder or a connection that is idle.
const FILES_A_TRANSFER: u64 = 4;
/// Files that this process has open besides.
const FILES_BESIDES: u64 = 24;

/// How many of so many transfers may be under way, given how many files this process may have open.
pub(crate) fn transfers(wanted: usize) -> usize {
    #[cfg(unix)]
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let files = None;
    files.map_or(wanted, |files| transfers_within(files, wanted))
}

fn transfers_within(files: u64, wanted: usize) -> usize {
    let most = files.saturating_sub(FILES_BESIDES) / FILES_A_TRANSFER;
    wanted.min(usize::try_from(most).unwrap_or(usize::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Environment {
        Environment::from(|name| {
            pairs.iter().find(|(have, _)| *have == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn dist_123_files_are_searched_in_the_order_of_podman() {
        let environment = with(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/u")]);
        let files = environment.credentials(None).credential_files;
        assert_eq!(
            files,
            [
                CredentialFile::Containers("/run/u/containers/auth.json".into()),
                CredentialFile::Containers("/h/.config/containers/auth.json".into()),
                CredentialFile::Docker("/h/.docker/config.json".into()),
                CredentialFile::Legacy("/h/.dockercfg".into()),
            ]
        );
        let elsewhere = with(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d"), ("XDG_CONFIG_HOME", "/c")]);
        let files = elsewhere.credentials(None).credential_files;
        assert_eq!(files[0], CredentialFile::Containers("/c/containers/auth.json".into()));
        assert_eq!(files[1], CredentialFile::Docker("/d/config.json".into()));
    }

    #[test]
    fn a_file_named_by_the_user_stands_for_all_others() {
        let environment =
            with(&[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "/a.json"), ("DOCKER_AUTH_CONFIG", "{}")]);
        let found = environment.credentials(None);
        assert_eq!(found.credential_files, [CredentialFile::Containers("/a.json".into())]);
        assert!(found.inline.is_none());
        let found = environment.credentials(Some(Path::new("/x/config.json")));
        assert_eq!(found.credential_files, [CredentialFile::Docker("/x/config.json".into())]);
    }

    #[cfg(not(any(windows, target_os = "macos")))]
    #[test]
    fn uploads_are_remembered_in_the_folder_for_states() {
        let uploads = |pairs: &[_]| with(pairs).uploads();
        assert_eq!(uploads(&[("HOME", "/h")]), Some("/h/.local/state/transship/uploads".into()));
        let both = [("HOME", "/h"), ("XDG_STATE_HOME", "/s")];
        assert_eq!(uploads(&both), Some("/s/transship/uploads".into()));
        let relative = [("HOME", "/h"), ("XDG_STATE_HOME", "s")];
        assert_eq!(uploads(&relative), Some("/h/.local/state/transship/uploads".into()));
        assert_eq!(uploads(&[]), None);
    }

    #[test]
    fn an_empty_variable_is_none() {
        let environment =
            with(&[("HOME", ""), ("NO_COLOR", ""), ("TRANSSHIP_OFFLINE", "0"), ("https_proxy", "")]);
        assert!(environment.home.is_none() && !environment.no_color && !environment.offline);
        assert!(environment.proxy(false).is_none() && environment.login_file(None).is_none());
        assert!(with(&[("TRANSSHIP_OFFLINE", "1")]).offline);
    }

    #[test]
    fn loopback_is_never_behind_a_proxy() {
        let environment =
            with(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", "r.example"), ("http_proxy", "http://q:2")]);
        let proxy = environment.proxy(false).unwrap();
        assert_eq!(proxy.url.reveal(), "http://p:1");
        assert_eq!(proxy.except, "localhost,127.0.0.0/8,::1,r.example");
        assert_eq!(environment.proxy(true).unwrap().url.reveal(), "http://q:2");
    }

    #[test]
    fn row_56_few_files_make_few_transfers_and_never_none() {
        for (files, wanted, possible) in [(1024, 6, 6), (64, 6, 6), (64, 64, 10), (24, 6, 1), (0, 6, 1)] {
            assert_eq!(transfers_within(files, wanted), possible, "{files} {wanted}");
        }
    }
}
