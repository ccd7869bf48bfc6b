//! Credential helpers: programs that keep passwords (DIST-122).
//!
//! A helper is run without a shell, found only in the folders that the settings name, by a name that cannot hold a
//! path, for a host that cannot hold a line break; it gets 10 seconds and may say 1 MiB (reliability, section 1.7).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::credential::Credential;
use crate::error::Error;
use crate::redact::{self, Secret};

/// How long a helper may take.
const TIME: Duration = Duration::from_secs(10);
/// How many bytes a helper may say.
const MOST: u64 = 1 << 20;
/// The user that says: the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// What helpers say when they have nothing; part of the protocol.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// A helper that was found.
#[derive(Debug, Clone)]
pub(crate) struct Helper {
    name: String,
    program: PathBuf,
    time: Duration,
}

/// What `get` answers and `store` takes; the names are the protocol's.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Helper {
    /// Finds `docker-credential-<suffix>` in `folders`.
    pub(crate) fn find(suffix: &str, folders: &[PathBuf]) -> Result<Self, Error> {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let name = format!("docker-credential-{}", redact::tidy(suffix, 64));
        if suffix.is_empty() || suffix.contains("..") || !suffix.chars().all(valid) {
            return Err(failure(&name, "the name may hold only letters, digits and one of _ . -"));
        }
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        let found = folders.iter().filter(|folder| folder.is_absolute()).map(|folder| folder.join(&file));
        match found.into_iter().find(|program| is_program(program)) {
            Some(program) => Ok(Self { name, program, time: TIME }),
            None => Err(failure(&name, "not found in any folder of PATH")),
        }
    }

    /// The credential that the helper keeps for `host`, if it keeps one.
    pub(crate) async fn get(&self, host: &str) -> Result<Option<Credential>, Error> {
        let key = server_key(host)?;
        let (succeeded, said) = self.run("get", key.into_bytes()).await?;
        if !succeeded {
            let text = String::from_utf8_lossy(&said);
            if text.trim() == NOT_FOUND || text.trim().is_empty() {
                return Ok(None);
            }
            return Err(failure(&self.name, &redact::tidy(&text, 256)));
        }
        let kept: Kept = serde_json::from_slice(&said)
            .map_err(|_| failure(&self.name, "its answer is not the JSON of a credential"))?;
        Ok(match (&*kept.username, kept.secret.is_empty()) {
            ("", true) => None,
            (TOKEN_USER, _) => {
                Some(Credential::IdentityToken { username: String::new(), token: Secret::new(kept.secret) })
            }
            _ => Some(Credential::password(kept.username, kept.secret)),
        })
    }

    /// Gives the credential for `host` to the helper to keep.
    pub(crate) async fn store(&self, host: &str, credential: &Credential) -> Result<(), Error> {
        let username = match credential {
            Credential::Password { username, .. } => username.clone(),
            Credential::IdentityToken { .. } => TOKEN_USER.to_owned(),
            Credential::RegistryToken(_) => {
                return Err(failure(&self.name, "it cannot keep a registry token"));
            }
        };
        let kept = Kept { server_url: server_key(host)?, username, secret: credential.secret().to_owned() };
        let text =
            serde_json::to_vec(&kept).map_err(|_| failure(&self.name, "the credential is not text"))?;
        self.change("store", text).await
    }

    /// Makes the helper forget the credential for `host`.
    pub(crate) async fn erase(&self, host: &str) -> Result<(), Error> {
        self.change("erase", server_key(host)?.into_bytes()).await
    }

    async fn change(&self, verb: &str, input: Vec<u8>) -> Result<(), Error> {
        match self.run(verb, input).await? {
            (true, _) => Ok(()),
            (false, said) => Err(failure(&self.name, &redact::tidy(&String::from_utf8_lossy(&said), 256))),
        }
    }

    /// Runs the helper: whether it succeeded, and what it said.
    async fn run(&self, verb: &str, input: Vec<u8>) -> Result<(bool, Vec<u8>), Error> {
        let work = self.run_unbounded(verb, input);
        tokio::time::timeout(self.time, work)
            .await
            .map_err(|_| failure(&self.name, &format!("no answer in {} s", self.time.as_secs())))?
    }

    async fn run_unbounded(&self, verb: &str, input: Vec<u8>) -> Result<(bool, Vec<u8>), Error> {
        let cannot = |error: std::io::Error| failure(&self.name, &error.to_string());
        let mut command = Command::new(&self.program);
        command
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(cannot)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read closes its end, and may still answer.
            let _ = stdin.write_all(&input).await;
        }
        let mut said = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MOST + 1).read_to_end(&mut said).await.map_err(cannot)?;
        }
        if said.len() as u64 > MOST {
            return Err(failure(&self.name, "its answer is longer than 1 MiB"));
        }
        let status = child.wait().await.map_err(cannot)?;
        Ok((status.success(), said))
    }
}

/// The key of a registry in a helper: the host, and for Docker Hub the address of its first version.
fn server_key(host: &str) -> Result<String, Error> {
    if crate::known::is_docker_hub(host) {
        return Ok(crate::known::DOCKER_HUB_KEY.to_owned());
    }
    crate::host::check_name(host)?;
    Ok(host.to_owned())
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

fn failure(name: &str, reason: &str) -> Error {
    Error::Helper { name: name.to_owned(), reason: reason.to_owned() }
}

/// Writes a program. Another process does the writing: a file that this one has open for writing, and so every child
/// that another test starts at the same time, could not be run.
#[cfg(unix)]
#[cfg(test)]
pub(super) fn write_script(path: &Path, body: &str) {
    let mut writer = std::process::Command::new("sh");
    writer.args(["-c", "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(path).arg(body);
    assert!(writer.status().is_ok_and(|status| status.success()), "cannot write {}", path.display());
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    /// A helper that is a script.
    fn script(body: &str) -> (tempfile::TempDir, Helper) {
        let folder = tempfile::tempdir().unwrap();
        write_script(&folder.path().join("docker-credential-fake"), body);
        let helper = Helper::find("fake", &[folder.path().to_owned()]).unwrap();
        (folder, helper)
    }

    #[tokio::test]
    async fn dist_122_a_helper_is_asked_over_its_standard_input() {
        let (_folder, helper) = script(
            r#"read -r host; test "$1" = get && echo "{\"ServerURL\":\"$host\",\"Username\":\"$host\",\"Secret\":\"pw\"}""#,
        );
        let found = helper.get("r.example:5000").await.unwrap();
        assert_eq!(found, Some(Credential::password("r.example:5000", "pw")));
        let hub = helper.get("docker.io").await.unwrap();
        assert_eq!(hub, Some(Credential::password("https://index.docker.io/v1/", "pw")));
    }

    #[tokio::test]
    async fn dist_122_the_user_token_means_an_identity_token() {
        let (_folder, helper) = script(r#"echo '{"Username":"<token>","Secret":"t"}'"#);
        let token = Credential::IdentityToken { username: String::new(), token: Secret::new("t") };
        assert_eq!(helper.get("r.example").await.unwrap(), Some(token));
    }

    #[tokio::test]
    async fn dist_122_not_found_is_anonymous_and_other_failures_are_errors() {
        let (_folder, helper) = script("echo 'credentials not found in native keychain'; exit 1");
        assert_eq!(helper.get("r.example").await.unwrap(), None);
        let (_folder, helper) = script("echo 'the vault is locked'; exit 1");
        assert!(helper.get("r.example").await.unwrap_err().to_string().contains("the vault is locked"));
        let (_folder, helper) = script("echo 'no json'");
        assert!(helper.get("r.example").await.is_err());
    }

    #[tokio::test]
    async fn r12_a_helper_that_hangs_or_floods_is_ended() {
        let (_folder, mut helper) = script("sleep 600");
        helper.time = Duration::from_millis(50);
        assert!(helper.get("r.example").await.unwrap_err().to_string().contains("no answer"));
        let (_folder, helper) = script("yes 0123456789");
        assert!(helper.get("r.example").await.unwrap_err().to_string().contains("1 MiB"));
    }

    #[tokio::test]
    async fn a_host_with_a_line_break_never_reaches_a_helper() {
        let (folder, helper) = script("touch \"$0.ran\"");
        assert!(helper.get("r.example\nhost=evil").await.is_err());
        assert!(!folder.path().join("docker-credential-fake.ran").exists());
    }

    #[test]
    fn r11_names_that_could_leave_the_folder_are_refused() {
        for suffix in ["../x", "a/b", "", "..", "a b", "x;y", "é"] {
            assert!(Helper::find(suffix, &[PathBuf::from("/bin")]).is_err(), "{suffix}");
        }
    }
}
