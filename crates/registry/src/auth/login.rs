//! Writing credentials down and striking them out again (DIST-126).
//!
//! Only the entry of the registry concerned changes; everything else in the file stays byte for byte, unknown fields and
//! the order included. The file is replaced by renaming, is readable by its owner only, and a link in its place is
//! followed. Where the file names a helper for the registry, the helper keeps the secret.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::credential::Credential;
use super::docker_config::{self, DockerConfig, Form};
use super::helper::Helper;
use super::keychain::read_now;
use crate::error::Error;
use crate::settings::CredentialFile;

/// A file of credentials, for `login` and `logout`.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use transship_registry::{Credential, CredentialFile, CredentialStore};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("config.json");
/// let store = CredentialStore::new(CredentialFile::Docker(path.clone()), Vec::new());
/// store.save("registry.example", &Credential::password("me", "hunter2")).await?;
/// assert!(std::fs::read_to_string(&path)?.contains("\"registry.example\""));
/// assert!(store.erase("registry.example").await?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CredentialStore {
    file: CredentialFile,
    helper_folders: Vec<PathBuf>,
}

impl CredentialStore {
    /// The store in `file`, which need not exist, with its helpers in `helper_folders`.
    #[must_use]
    pub fn new(file: CredentialFile, helper_folders: Vec<PathBuf>) -> Self {
        Self { file, helper_folders }
    }

    /// Keeps `credential` for `host`.
    ///
    /// # Errors
    /// [`Error::CredentialFile`] when the file is broken or cannot be written, [`Error::Helper`] when its helper fails.
    pub async fn save(&self, host: &str, credential: &Credential) -> Result<(), Error> {
        crate::host::check_name(host)?;
        if let Some(helper) = self.helper(host)? {
            helper.store(host, credential).await?;
            return self.edit(host, Some("{}")).map(|_| ());
        }
        self.edit(host, Some(&entry(credential))).map(|_| ())
    }

    /// Forgets the credential for `host`; whether there was one in the file.
    ///
    /// # Errors
    /// As [`CredentialStore::save`].
    pub async fn erase(&self, host: &str) -> Result<bool, Error> {
        crate::host::check_name(host)?;
        if let Some(helper) = self.helper(host)? {
            helper.erase(host).await?;
        }
        self.edit(host, None)
    }

    fn path(&self) -> (&Path, Form) {
        match &self.file {
            CredentialFile::Docker(path) => (path, Form::Docker),
            CredentialFile::Containers(path) => (path, Form::Containers),
            CredentialFile::Legacy(path) => (path, Form::Legacy),
        }
    }

    fn helper(&self, host: &str) -> Result<Option<Helper>, Error> {
        let (path, form) = self.path();
        let Some(text) = read_now(path)? else { return Ok(None) };
        let config = DockerConfig::parse(&text, form).map_err(|reason| self.unusable(reason))?;
        config.helper(host).map(|suffix| Helper::find(suffix, &self.helper_folders)).transpose()
    }

    /// Sets or removes the entry of `host`; whether there was one.
    fn edit(&self, host: &str, entry: Option<&str>) -> Result<bool, Error> {
        let (path, form) = self.path();
        let text = read_now(path)?.unwrap_or_default();
        let (text, had) =
            edited(&text, form, &key(host, form), entry).map_err(|reason| self.unusable(reason))?;
        if let Some(text) = text {
            replace(path, &text).map_err(|error| self.unusable(error.to_string()))?;
        }
        Ok(had)
    }

    fn unusable(&self, reason: String) -> Error {
        Error::CredentialFile { path: self.path().0.to_owned(), reason }
    }
}

/// The key under which a registry's credentials are written.
pub(crate) fn key(host: &str, form: Form) -> String {
    match form {
        _ if !crate::known::is_docker_hub(host) => host.to_owned(),
        Form::Containers => "docker.io".to_owned(),
        Form::Docker | Form::Legacy => crate::known::DOCKER_HUB_KEY.to_owned(),
    }
}

pub(crate) fn entry(credential: &Credential) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match credential {
        Credential::Password { username, password } => {
            format!(
                "{{\n\t\t\t\"auth\": \"{}\"\n\t\t}}",
                STANDARD.encode(format!("{username}:{}", password.reveal()))
            )
        }
        Credential::IdentityToken { username, token } => format!(
            "{{\n\t\t\t\"auth\": \"{}\",\n\t\t\t\"identitytoken\": {}\n\t\t}}",
            STANDARD.encode(format!("{username}:")),
            quoted(token.reveal())
        ),
        Credential::RegistryToken(token) => {
            format!("{{\n\t\t\t\"registrytoken\": {}\n\t\t}}", quoted(token.reveal()))
        }
    }
}

/// The text of a file with one entry set or removed, or nothing where that changes nothing; and whether it was there.
pub(crate) fn edited(
    text: &[u8],
    form: Form,
    key: &str,
    entry: Option<&str>,
) -> Result<(Option<String>, bool), String> {
    let wrong =
        |error: serde_json::Error| format!("not the JSON of a file of credentials, at line {}", error.line());
    let text = if text.iter().all(u8::is_ascii_whitespace) { b"{}" } else { text };
    let mut top: Members = serde_json::from_slice(text).map_err(wrong)?;
    if form == Form::Legacy {
        let had = top.set_host(key, form, entry.map(str::to_owned));
        return Ok(((had || entry.is_some()).then(|| top.text("")), had));
    }
    let auths = top.get("auths").filter(|text| *text != "null").unwrap_or("{}");
    let mut auths: Members = serde_json::from_str(auths).map_err(wrong)?;
    let had = auths.set_host(key, form, entry.map(str::to_owned));
    if !had && entry.is_none() {
        return Ok((None, false));
    }
    top.set("auths", auths.text("\t"));
    Ok((Some(top.text("")), had))
}

/// The members of an object in their order, their values as they are written.
struct Members(Vec<(String, String)>);

impl Members {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Sets or removes the members that mean the registry of `key`, whatever their spelling: after a login one is left, and
    /// after a logout none. Tells whether there was one.
    fn set_host(&mut self, key: &str, form: Form, value: Option<String>) -> bool {
        let means_it = |(have, _): &(String, String)| docker_config::is_same_host(have, key, form);
        let first = self.0.iter().position(means_it);
        let mut at = 0;
        self.0.retain(|member| {
            at += 1;
            !means_it(member) || (first == Some(at - 1) && value.is_some())
        });
        if let Some(value) = value {
            self.set_at(first, key, value);
        }
        first.is_some()
    }

    /// Sets the member of this name.
    fn set(&mut self, name: &str, value: String) {
        let at = self.0.iter().position(|(have, _)| have == name);
        self.set_at(at, name, value);
    }

    fn set_at(&mut self, at: Option<usize>, name: &str, value: String) {
        match at.and_then(|at| self.0.get_mut(at)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn text(&self, indent: &str) -> String {
        if self.0.is_empty() {
            return "{}".to_owned();
        }
        let line = |(name, value): &(String, String)| {
            format!("\n{indent}\t{}: {value}", serde_json::Value::from(name.as_str()))
        };
        let lines: Vec<String> = self.0.iter().map(line).collect();
        format!("{{{}\n{indent}}}", lines.join(","))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push((name, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// Puts `text` in the place of the file, at once or not at all, for its owner's eyes only.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let temporary = folder.join(format!(".{name}.{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, key: &str, entry: Option<&str>) -> Option<String> {
        edited(text.as_bytes(), Form::Docker, key, entry).unwrap().0
    }

    #[test]
    fn dist_126_only_the_own_entry_changes() {
        let before = "{\n\t\"z\": 1.50,\n\t\"auths\": {\n\t\t\"b\": {\"auth\": \"eDp5\"},\n\t\t\"a\": {}\n\t},\n\t\"HttpHeaders\": {\"X\": \"y\"}\n}";
        let after = edit(before, "a", Some("{\"auth\": \"new\"}")).unwrap();
        assert_eq!(after, before.replace("\"a\": {}", "\"a\": {\"auth\": \"new\"}"));
        let gone = edit(before, "a", None).unwrap();
        assert_eq!(gone, before.replace(",\n\t\t\"a\": {}", ""));
        assert_eq!(edit(before, "absent", None), None);
    }

    #[test]
    fn dist_126_another_spelling_of_the_host_is_replaced() {
        let after = edit(r#"{"auths":{"https://r.example/v2/":{}}}"#, "r.example", None).unwrap();
        assert!(!after.contains("r.example"), "{after}");
    }

    #[test]
    fn dist_126_every_spelling_that_is_read_is_replaced_and_struck_out() {
        let hub = r#"{"auths":{"docker.io":{},"https://index.docker.io/v1/":{},"x":{}}}"#;
        assert_eq!(
            edit(hub, crate::known::DOCKER_HUB_KEY, None).unwrap(),
            edit(r#"{"auths":{"x":{}}}"#, "x", Some("{}")).unwrap()
        );
        for spelled in ["r.example/v1/", "R.example", "http://r.example"] {
            let before = format!(r#"{{"auths":{{"{spelled}":{{}},"r.example":{{}}}}}}"#);
            assert_eq!(edit(&before, "r.example", None).unwrap(), "{\n\t\"auths\": {}\n}", "{spelled}");
            let saved = edit(&before, "r.example", Some(r#"{"auth":"bWU6cHc="}"#)).unwrap();
            let config = DockerConfig::parse(saved.as_bytes(), Form::Docker).unwrap();
            assert_eq!(config.credential("r.example", "x").unwrap(), Some(Credential::password("me", "pw")));
        }
    }

    #[test]
    fn dist_126_the_credential_of_a_namespace_is_left_alone() {
        let before = br#"{"auths":{"r.example/team":{}}}"#;
        assert_eq!(edited(before, Form::Containers, "r.example", None), Ok((None, false)));
    }

    #[test]
    fn dist_126_a_new_file_is_begun() {
        assert_eq!(edit("", "r", Some("{}")).unwrap(), "{\n\t\"auths\": {\n\t\t\"r\": {}\n\t}\n}");
        assert!(edited(b"[]", Form::Docker, "r", None).is_err());
    }

    #[tokio::test]
    async fn dist_126_what_was_saved_is_found_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.json");
        let store = CredentialStore::new(CredentialFile::Docker(path.clone()), Vec::new());
        for host in ["docker.io", "r.example:5000"] {
            store.save(host, &Credential::password("me", "p:w\"ö")).await.unwrap();
            let config = DockerConfig::parse(&std::fs::read(&path).unwrap(), Form::Docker).unwrap();
            assert_eq!(config.credential(host, "x").unwrap(), Some(Credential::password("me", "p:w\"ö")));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(store.erase("docker.io").await.unwrap());
        assert!(!store.erase("docker.io").await.unwrap());
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn dist_126_where_a_helper_keeps_the_secret_the_file_does_not() {
        let folder = tempfile::tempdir().unwrap();
        crate::auth::helper::write_script(&folder.path().join("docker-credential-fake"), "cat >> \"$0.$1\"");
        let path = folder.path().join("config.json");
        std::fs::write(&path, r#"{"credHelpers":{"r.example":"fake"}}"#).unwrap();
        let store =
            CredentialStore::new(CredentialFile::Docker(path.clone()), vec![folder.path().to_owned()]);
        store.save("r.example", &Credential::password("me", "hunter2")).await.unwrap();
        let kept = std::fs::read_to_string(folder.path().join("docker-credential-fake.store")).unwrap();
        assert_eq!(kept, r#"{"ServerURL":"r.example","Username":"me","Secret":"hunter2"}"#);
        assert!(!std::fs::read_to_string(&path).unwrap().contains("auth\""));
        assert!(store.erase("r.example").await.unwrap());
        let erased = std::fs::read_to_string(folder.path().join("docker-credential-fake.erase")).unwrap();
        assert_eq!(erased, "r.example");
    }
}
