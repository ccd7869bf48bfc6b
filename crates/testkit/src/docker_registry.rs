//! The CNCF registry as Debian ships it (package `docker-registry`, version 2.8).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PROGRAM: &str = "/usr/bin/docker-registry";
/// How often another port is tried, when somebody else was faster to take it.
const TRIES: usize = 5;

/// A registry on a free loopback port, with its configuration and storage in a temporary folder; all of it ends when it is
/// dropped.
///
/// It deletes manifests and blobs when asked, unless told not to. It has no API for referrers.
#[derive(Debug)]
pub struct DockerRegistry {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl DockerRegistry {
    /// One that lets everybody in.
    pub async fn start() -> Self {
        Self::with("", true).await
    }

    /// One that lets everybody in and deletes nothing, as it is when nobody says otherwise.
    pub async fn start_without_delete() -> Self {
        Self::with("", false).await
    }

    /// One that asks for this password.
    pub async fn start_with_login(user: &str, password: &str) -> Self {
        let hash = bcrypt::hash(password, 4).unwrap();
        Self::with(&format!("{user}:{hash}\n"), true).await
    }

    /// As [`start`](Self::start), for tests that are not async.
    #[must_use]
    pub fn start_blocking() -> Self {
        tokio::runtime::Runtime::new().unwrap().block_on(Self::start())
    }

    async fn with(passwords: &str, delete: bool) -> Self {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing: `cargo xtask test` installs it");
        for _ in 0..TRIES {
            let mut registry = Self::spawn(passwords, delete);
            if registry.answers().await {
                return registry;
            }
        }
        panic!("docker-registry does not start");
    }

    fn spawn(passwords: &str, delete: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let file = folder.path().join("htpasswd");
        std::fs::write(&file, passwords).unwrap();
        let mut auth = String::new();
        if !passwords.is_empty() {
            auth = format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file.display());
        }
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
             enabled: {delete}\nhttp:\n  addr: {address}\n{auth}",
            folder.path().join("storage").display()
        );
        let config = folder.path().join("config.yml");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Whoever runs the tests may have set what the registry would take for its own configuration.
        command.env_clear();
        Self { process: command.spawn().unwrap(), address, folder }
    }

    /// Waits until it answers; `false` when it ends instead.
    async fn answers(&mut self) -> bool {
        for _ in 0..3000 {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if self.ping().await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    async fn ping(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.write_all(b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        stream.read_u8().await.map(drop)
    }

    /// Host and port, as they stand in a reference.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A reference to something in it: `team/app:v1` becomes `127.0.0.1:PORT/team/app:v1`.
    #[must_use]
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// The folder that goes with it: for files of the test, too.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it keeps what is pushed.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }
}
