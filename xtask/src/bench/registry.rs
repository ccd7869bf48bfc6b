//! The CNCF registry as Debian ships it, on a free port of the loopback interface, with empty storage.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{empty, remove};
use crate::Result;
use crate::process::program;

/// A registry that ends, and whose storage goes, when this is dropped.
pub(super) struct Registry {
    child: Child,
    folder: PathBuf,
    pub(super) host: String,
}

impl Registry {
    pub(super) fn start(folder: &Path) -> Result<Self> {
        empty(folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let host = format!("127.0.0.1:{port}");
        let storage = folder.join("storage");
        let config = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            storage.display()
        );
        let file = folder.join("config.yml");
        fs::write(&file, config)?;
        let mut command = program("docker-registry");
        command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("cannot run docker-registry: {error}"))?;
        let registry = Self { child, folder: folder.to_owned(), host };
        registry.wait()?;
        Ok(registry)
    }

    fn wait(&self) -> Result {
        let begin = Instant::now();
        while TcpStream::connect(&self.host).is_err() {
            if begin.elapsed() > Duration::from_secs(30) {
                return Err("docker-registry did not start within 30 s".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is ended either way, and there is nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Err(error) = remove(&self.folder) {
            eprintln!("bench: {error}");
        }
    }
}
