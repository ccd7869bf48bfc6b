//! Docker's `config.json`, the containers `auth.json` and the old `.dockercfg`, for reading (DIST-120…125).
//!
//! Reading is lenient where files of old tools are odd (keys with scheme and path, trailing NULs) and strict where
//! guessing could send a password to the wrong place.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use serde::Deserialize;

use super::credential::Credential;
use crate::redact::Secret;

/// The form of a file's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Hosts and URLs.
    Docker,
    /// Hosts and namespaces.
    Containers,
    /// Hosts and URLs at the top level.
    Legacy,
}

/// A file of credentials as it was read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct DockerConfig {
    auths: BTreeMap<String, Option<Entry>>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
    #[serde(skip)]
    namespaces: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl DockerConfig {
    /// Reads the text of a file. The error tells what is wrong and shows nothing of the content.
    pub(crate) fn parse(text: &[u8], form: Form) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| {
            format!(
                "not the JSON of a file of credentials, at line {} column {}",
                error.line(),
                error.column()
            )
        };
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err("not the JSON of a file of credentials: it is no object".to_owned());
        }
        if form == Form::Legacy {
            let auths = serde_json::from_slice(text).map_err(wrong)?;
            return Ok(Self { auths, ..Self::default() });
        }
        let config: Self = serde_json::from_slice(text).map_err(wrong)?;
        Ok(Self { namespaces: form == Form::Containers, ..config })
    }

    /// The suffix of the helper that keeps the credentials of `host`: its own first, then the common one (DIST-121).
    pub(crate) fn helper(&self, host: &str) -> Option<&str> {
        let aliases = aliases(host);
        let own = self.cred_helpers.iter().find(|(key, _)| aliases.contains(&normal_host(key)));
        own.map(|(_, suffix)| suffix.as_str())
            .or(self.creds_store.as_deref())
            .filter(|suffix| !suffix.is_empty())
    }

    /// The credential that the file itself holds for a repository of `host`, where an entry is one.
    pub(crate) fn credential(&self, host: &str, repository: &str) -> Result<Option<Credential>, String> {
        let Some((key, entry)) = self.entry(host, repository) else { return Ok(None) };
        entry.credential().map_err(|reason| format!("the entry of {}: {reason}", transship_spec::quote(key)))
    }

    fn entry(&self, host: &str, repository: &str) -> Option<(&str, &Entry)> {
        let aliases = aliases(host);
        if self.namespaces {
            let found =
                namespaces(&aliases, repository).find_map(|name| self.auths.get_key_value(name.as_str()));
            if let Some((key, entry)) = found {
                return entry.as_ref().map(|entry| (key.as_str(), entry));
            }
        }
        let exact = aliases.iter().find_map(|alias| self.auths.get_key_value(alias.as_str()));
        let spelled = || {
            self.auths.iter().find(|(key, _)| self.is_host_key(key) && aliases.contains(&normal_host(key)))
        };
        let (key, entry) = exact.or_else(spelled)?;
        entry.as_ref().map(|entry| (key.as_str(), entry))
    }

    fn is_host_key(&self, key: &str) -> bool {
        names_host(key, self.namespaces)
    }
}

/// Whether a key names a whole host. A path counts as nothing but decoration in Docker's files, and as a namespace in
/// those of containers.
fn names_host(key: &str, namespaces: bool) -> bool {
    !namespaces || key.contains("://") || !key.contains('/')
}

/// Whether a key of a file of this form is read as the credential of the registry that `other` names.
pub(super) fn is_same_host(key: &str, other: &str, form: Form) -> bool {
    let host = normal_host(other);
    names_host(key, form == Form::Containers) && aliases(&host).contains(&normal_host(key))
}

/// `host/a/b`, `host/a`, for every alias, the longest first (DIST-124).
fn namespaces(aliases: &[String], repository: &str) -> impl Iterator<Item = String> {
    let paths =
        std::iter::successors(Some(repository), |path| path.rsplit_once('/').map(|(parent, _)| parent));
    paths.flat_map(|path| aliases.iter().map(move |alias| format!("{alias}/{path}")))
}

impl Entry {
    fn credential(&self) -> Result<Option<Credential>, String> {
        if let Some(token) = filled(self.registrytoken.as_deref()) {
            return Ok(Some(Credential::RegistryToken(Secret::new(token))));
        }
        let (username, password) = match filled(self.auth.as_deref()) {
            Some(auth) => decode(auth)?,
            None => (self.username.clone().unwrap_or_default(), self.password.clone().unwrap_or_default()),
        };
        if let Some(token) = filled(self.identitytoken.as_deref()) {
            return Ok(Some(Credential::IdentityToken { username, token: Secret::new(token) }));
        }
        if username.is_empty() && password.is_empty() {
            return Ok(None);
        }
        Ok(Some(Credential::password(username, password)))
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Reads `auth`: base64 of `user:password`; only the first colon parts them, and NULs at the end are no part of it.
fn decode(auth: &str) -> Result<(String, String), String> {
    const LENIENT: GeneralPurposeConfig =
        general_purpose::NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    let bytes = ENGINE.decode(auth.trim()).map_err(|_| "\"auth\" is not base64".to_owned())?;
    let text = String::from_utf8(bytes).map_err(|_| "\"auth\" is not UTF-8".to_owned())?;
    let (username, password) = text.split_once(':').ok_or("\"auth\" has no colon after the user")?;
    Ok((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// All spellings of one registry as the key of a credential: Docker Hub has four (DIST-124).
fn aliases(host: &str) -> Vec<String> {
    if crate::known::is_docker_hub(host) {
        return ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"]
            .map(str::to_owned)
            .to_vec();
    }
    vec![host.to_ascii_lowercase()]
}

/// A key without scheme and path, in lower case.
pub(crate) fn normal_host(key: &str) -> String {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    rest.split('/').next().unwrap_or(rest).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn docker(text: &str) -> DockerConfig {
        DockerConfig::parse(text.as_bytes(), Form::Docker).unwrap()
    }

    fn containers(text: &str) -> DockerConfig {
        DockerConfig::parse(text.as_bytes(), Form::Containers).unwrap()
    }

    fn user(config: &DockerConfig, host: &str, repository: &str) -> Option<String> {
        match config.credential(host, repository).unwrap()? {
            Credential::Password { username, .. } => Some(username),
            other => Some(format!("{other:?}")),
        }
    }

    fn auth(user: &str) -> String {
        STANDARD.encode(format!("{user}:a:b\0\0"))
    }

    #[test]
    fn dist_120_auth_is_parted_at_the_first_colon_and_beats_username() {
        let config =
            docker(&format!(r#"{{"auths":{{"r.example":{{"auth":"{}","username":"no"}}}}}}"#, auth("me")));
        assert_eq!(config.credential("r.example", "x").unwrap(), Some(Credential::password("me", "a:b")));
        let plain = docker(r#"{"auths":{"r.example":{"username":"me","password":"pw","email":"x"}}}"#);
        assert_eq!(plain.credential("r.example", "x").unwrap(), Some(Credential::password("me", "pw")));
    }

    #[test]
    fn dist_120_docker_hub_and_old_keys_are_found_by_host() {
        let config = docker(&format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}},"http://Old.example:5000/v2/":{{"auth":"{}"}}}}}}"#,
            auth("hub"),
            auth("old")
        ));
        assert_eq!(user(&config, "docker.io", "library/alpine").as_deref(), Some("hub"));
        assert_eq!(user(&config, "registry-1.docker.io", "library/alpine").as_deref(), Some("hub"));
        assert_eq!(user(&config, "old.example:5000", "x").as_deref(), Some("old"));
        assert_eq!(user(&config, "old.example", "x"), None);
        assert_eq!(user(&config, "index.docker.io.evil.example", "x"), None);
    }

    #[test]
    fn dist_120_an_empty_entry_lies_in_the_store() {
        let config = docker(r#"{"auths":{"r.example":{}},"credsStore":"pass"}"#);
        assert_eq!(user(&config, "r.example", "x"), None);
        assert_eq!(config.helper("r.example"), Some("pass"));
    }

    #[test]
    fn dist_121_a_helper_of_the_host_beats_the_common_store() {
        let config = docker(
            r#"{"credsStore":"desktop","credHelpers":{"https://index.docker.io/v1/":"hub","x.example":"ecr-login"}}"#,
        );
        assert_eq!(config.helper("x.example"), Some("ecr-login"));
        assert_eq!(config.helper("docker.io"), Some("hub"));
        assert_eq!(config.helper("y.example"), Some("desktop"));
        assert_eq!(docker("{}").helper("y.example"), None);
    }

    #[test]
    fn dist_124_the_longest_namespace_wins() {
        let config = containers(&format!(
            r#"{{"auths":{{"r.example/a/b":{{"auth":"{}"}},"r.example/a":{{"auth":"{}"}},"r.example":{{"auth":"{}"}},"docker.io/me":{{"auth":"{}"}}}}}}"#,
            auth("ab"),
            auth("a"),
            auth("host"),
            auth("me")
        ));
        for (host, repository, expected) in [
            ("r.example", "a/b/c", Some("ab")),
            ("r.example", "a/b", Some("ab")),
            ("r.example", "a/bc", Some("a")),
            ("r.example", "ab", Some("host")),
            ("docker.io", "me/app", Some("me")),
            ("docker.io", "you/app", None),
        ] {
            assert_eq!(user(&config, host, repository).as_deref(), expected, "{host}/{repository}");
        }
    }

    #[test]
    fn dist_125_tokens_are_told_apart() {
        let config = docker(&format!(
            r#"{{"auths":{{"a":{{"registrytoken":"t"}},"b":{{"identitytoken":"i","auth":"{}"}}}}}}"#,
            STANDARD.encode("00000000-0000-0000-0000-000000000000:")
        ));
        assert_eq!(config.credential("a", "x").unwrap(), Some(Credential::RegistryToken(Secret::new("t"))));
        let username = "00000000-0000-0000-0000-000000000000".to_owned();
        let expected = Credential::IdentityToken { username, token: Secret::new("i") };
        assert_eq!(config.credential("b", "x").unwrap(), Some(expected));
    }

    #[test]
    fn dist_123_the_old_dockercfg_has_no_auths() {
        let text = format!(r#"{{"https://index.docker.io/v1/":{{"auth":"{}","email":"x"}}}}"#, auth("me"));
        let config = DockerConfig::parse(text.as_bytes(), Form::Legacy).unwrap();
        assert_eq!(user(&config, "docker.io", "x").as_deref(), Some("me"));
    }

    #[test]
    fn r10_broken_files_are_refused_without_showing_them() {
        for text in ["{", "[]", "\"x\"", r#"{"auths":"pw-marked"}"#, r#"{"auths":{"a":{"auth":5}}}"#] {
            let reason = DockerConfig::parse(text.as_bytes(), Form::Docker).unwrap_err();
            assert!(!reason.contains("marked"), "{reason}");
        }
        for auth in ["%%%", "bm9jb2xvbg==", "/w=="] {
            let config = docker(&format!(r#"{{"auths":{{"a":{{"auth":"{auth}"}}}}}}"#));
            assert!(config.credential("a", "x").is_err(), "{auth}");
        }
        assert!(DockerConfig::parse(b" \n", Form::Docker).is_ok());
    }

    proptest! {
        #[test]
        fn no_file_makes_the_parser_panic(text in r#"[{}\[\]":,a-z0-9 \\]{0,60}"#) {
            for form in [Form::Docker, Form::Containers, Form::Legacy] {
                if let Ok(config) = DockerConfig::parse(text.as_bytes(), form) {
                    let _ = config.credential("a", "b/c");
                }
            }
        }
    }
}
