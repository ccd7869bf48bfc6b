//! The CNCF registry as Debian ships it, on a free port of the loopback interface, which counts what it is asked.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::bench::{empty, remove};
use crate::process::{output, program};

/// A certificate, its key, and the authority that signed it.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    pub(super) authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Tls {
    /// One that an authority made for this vouches for: what is both is taken by no strict client.
    ///
    /// # Errors
    ///
    /// If openssl does not make it.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        empty(folder)?;
        let (authority, authority_key) = (folder.join("ca.crt"), folder.join("ca.key"));
        let tls = Self { authority, certificate: folder.join("tls.crt"), key: folder.join("tls.key") };
        let mut command = request("/CN=bench authority", &authority_key, &tls.authority);
        output(command.stderr(Stdio::null()))?;
        let mut command = request("/CN=bench", &tls.key, &tls.certificate);
        command.arg("-CA").arg(&tls.authority).arg("-CAkey").arg(&authority_key);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
        output(command.stderr(Stdio::null()))?;
        Ok(tls)
    }
}

/// What makes a key and a certificate.
fn request(subject: &str, key: &Path, certificate: &Path) -> Command {
    let mut command = program("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    command.args(["-days", "2", "-subj", subject]);
    command.arg("-keyout").arg(key).arg("-out").arg(certificate);
    command
}

/// A registry that ends, and whose storage goes, when this is dropped.
pub(super) struct Registry {
    child: Child,
    folder: PathBuf,
    pub(super) host: String,
}

impl Registry {
    pub(super) fn start(folder: &Path, tls: Option<&Tls>) -> Result<Self> {
        empty(folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let host = format!("127.0.0.1:{port}");
        let storage = folder.join("storage");
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            storage.display()
        );
        if let Some(Tls { certificate, key, .. }) = tls {
            let (certificate, key) = (certificate.display(), key.display());
            config += &format!("  tls:\n    certificate: {certificate}\n    key: {key}\n");
        }
        let file = folder.join("config.yml");
        fs::write(&file, config)?;
        let mut command = program("docker-registry");
        // Its standard output is the log of what it was asked.
        command.arg("serve").arg(&file).stdout(File::create(folder.join("access"))?).stderr(Stdio::null());
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

    /// How many requests there were so far.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub(super) fn requests(&self) -> Result<u64> {
        // A request is logged just after it was answered.
        std::thread::sleep(Duration::from_millis(50));
        let log = fs::read(self.folder.join("access"))?;
        Ok(log.iter().filter(|byte| **byte == b'\n').count() as u64)
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
