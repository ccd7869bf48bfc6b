//! Credentials found: given ones, text, files and helpers, in the order of the settings (DIST-121, DIST-123).
//!
//! Files are read when a registry first asks for credentials, once a client. A file that cannot be read as credentials
//! is an error; a helper that is missing or fails is a warning, since what is public can be had without it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

use super::credential::Credential;
use super::docker_config::{DockerConfig, Form};
use super::helper::Helper;
use crate::error::Error;
use crate::events::Events;
use crate::settings::{CredentialFile, Environment};

/// Files larger than this are refused (case R10).
const MOST: u64 = 4 << 20;

/// Everywhere that credentials may lie.
#[derive(Debug)]
pub(crate) struct Keychain {
    environment: Environment,
    events: Arc<dyn Events>,
    configs: OnceCell<Vec<DockerConfig>>,
    helped: Mutex<HashMap<(String, String), Option<Credential>>>,
}

impl Keychain {
    pub(crate) fn new(environment: Environment, events: Arc<dyn Events>) -> Self {
        Self { environment, events, configs: OnceCell::new(), helped: Mutex::default() }
    }

    /// The credential for a repository of the registry that the user calls `host`; without one we are anonymous.
    pub(crate) async fn find(&self, host: &str, repository: &str) -> Result<Option<Credential>, Error> {
        if let Some(given) = self.environment.given.get(host) {
            return Ok(Some(given.clone()));
        }
        for config in self.configs.get_or_try_init(|| self.read()).await? {
            if let Some(suffix) = config.helper(host)
                && let Some(credential) = self.ask_helper(suffix, host).await
            {
                return Ok(Some(credential));
            }
            let wrong = |reason| Error::Settings(format!("the credentials of {host}: {reason}"));
            if let Some(credential) = config.credential(host, repository).map_err(wrong)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    async fn ask_helper(&self, suffix: &str, host: &str) -> Option<Credential> {
        let key = (suffix.to_owned(), host.to_owned());
        let mut helped = self.helped.lock().await;
        if let Some(known) = helped.get(&key) {
            return known.clone();
        }
        let answer = match Helper::find(suffix, &self.environment.helper_folders) {
            Ok(helper) => helper.get(host).await,
            Err(error) => Err(error),
        };
        let credential = answer.unwrap_or_else(|error| {
            self.events.warning(host, &format!("{error}; going on without it"));
            None
        });
        helped.insert(key, credential.clone());
        credential
    }

    async fn read(&self) -> Result<Vec<DockerConfig>, Error> {
        let mut configs = Vec::new();
        if let Some(text) = &self.environment.inline {
            let wrong = |reason| Error::Settings(format!("the credentials given as text: {reason}"));
            configs.push(DockerConfig::parse(text.reveal().as_bytes(), Form::Docker).map_err(wrong)?);
        }
        for file in &self.environment.credential_files {
            let (path, form) = match file {
                CredentialFile::Docker(path) => (path, Form::Docker),
                CredentialFile::Containers(path) => (path, Form::Containers),
                CredentialFile::Legacy(path) => (path, Form::Legacy),
            };
            if let Some(text) = read_file(path.clone()).await? {
                configs.push(DockerConfig::parse(&text, form).map_err(|reason| unusable(path, reason))?);
            }
        }
        Ok(configs)
    }
}

/// The content of a file, nothing if there is none. Reading happens beside the runtime.
async fn read_file(path: PathBuf) -> Result<Option<Vec<u8>>, Error> {
    let task = tokio::task::spawn_blocking({
        let path = path.clone();
        move || read_now(&path)
    });
    task.await.unwrap_or_else(|error| Err(unusable(&path, error.to_string())))
}

pub(super) fn read_now(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    use std::io::{ErrorKind, Read as _};

    let wrong = |error: std::io::Error| unusable(path, error.to_string());
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_file() => return Err(unusable(path, "not a regular file".to_owned())),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(wrong(error)),
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(wrong)?;
    file.take(MOST + 1).read_to_end(&mut text).map_err(wrong)?;
    if text.len() as u64 > MOST {
        return Err(unusable(path, "larger than 4 MiB".to_owned()));
    }
    Ok(Some(text))
}

fn unusable(path: &Path, reason: String) -> Error {
    Error::CredentialFile { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Quiet;
    use crate::redact::Secret;

    fn keychain(environment: Environment) -> Keychain {
        Keychain::new(environment, Arc::new(Quiet))
    }

    fn config(user: &str) -> String {
        format!(r#"{{"auths":{{"r.example":{{"username":"{user}","password":"pw"}}}}}}"#)
    }

    async fn user(keychain: &Keychain) -> Option<Credential> {
        keychain.find("r.example", "a").await.unwrap()
    }

    #[tokio::test]
    async fn dist_123_the_first_file_with_a_credential_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("empty.json"), "{}").unwrap();
        std::fs::write(path("one.json"), config("one")).unwrap();
        std::fs::write(path("two.json"), config("two")).unwrap();
        let credential_files = ["absent.json", "empty.json", "one.json", "two.json"]
            .map(|name| CredentialFile::Containers(path(name)))
            .to_vec();
        let mut environment = Environment { credential_files, ..Environment::default() };
        assert_eq!(user(&keychain(environment.clone())).await, Some(Credential::password("one", "pw")));
        environment.inline = Some(Secret::new(config("inline")));
        assert_eq!(user(&keychain(environment.clone())).await, Some(Credential::password("inline", "pw")));
        environment.given.insert("r.example".to_owned(), Credential::password("given", "pw"));
        assert_eq!(user(&keychain(environment)).await, Some(Credential::password("given", "pw")));
    }

    #[tokio::test]
    async fn r10_a_broken_or_huge_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for text in ["{".to_owned(), " ".repeat(5 << 20)] {
            std::fs::write(&path, text).unwrap();
            let credential_files = vec![CredentialFile::Docker(path.clone())];
            let keychain = keychain(Environment { credential_files, ..Environment::default() });
            let error = keychain.find("r.example", "a").await.unwrap_err();
            assert!(error.to_string().contains("config.json"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_missing_helper_leaves_us_anonymous() {
        let inline = Some(Secret::new(r#"{"credsStore":"desktop"}"#));
        assert_eq!(user(&keychain(Environment { inline, ..Environment::default() })).await, None);
    }
}
