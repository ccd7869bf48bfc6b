//! Everything that can be set: times, tries, limits, hosts, and where credentials lie.
//!
//! Nothing here is read from the process: a program fills these values. Every time is a setting, so that tests can
//! shorten it; a time of zero means that there is no such limit.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::Credential;
use crate::events::{Events, Quiet};
use crate::mirror::Route;
use crate::redact::Secret;

/// What a [`Client`](crate::Client) is made from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What we call ourselves in `User-Agent`.
    pub user_agent: String,
    /// Where credentials are looked for.
    pub environment: Environment,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How often to try again.
    pub retry: Retry,
    /// How much to take from a server.
    pub limits: Limits,
    /// Transfers under way at the same time to one host, in each direction; at least 1.
    pub concurrency: usize,
    /// Bytes a second that all transfers together may move, up and down; none is as many as come. Heads of requests and
    /// answers do not count, and time that is spent waiting for it does not count as slowness of the server.
    pub rate: Option<NonZeroU64>,
    /// When a blob is downloaded by several requests at once.
    pub segments: Segments,
    /// How blobs are uploaded.
    pub upload: Upload,
    /// Files of certificates (PEM) of authorities to trust beside those of the system.
    pub ca_files: Vec<PathBuf>,
    /// What holds for one registry, by `host` or `host:port` as the user names it.
    pub hosts: BTreeMap<String, HostSettings>,
    /// Where namespaces are read from, other than the registry that is named.
    pub routes: Vec<Route>,
    /// A proxy to send requests through.
    pub proxy: Option<Proxy>,
    /// Who is told what goes on.
    pub events: Arc<dyn Events>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: concat!("transship/", env!("CARGO_PKG_VERSION")).to_owned(),
            environment: Environment::default(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            limits: Limits::default(),
            concurrency: 6,
            rate: None,
            segments: Segments::default(),
            upload: Upload::default(),
            ca_files: Vec::new(),
            hosts: BTreeMap::new(),
            routes: Vec::new(),
            proxy: None,
            events: Arc::new(Quiet),
        }
    }
}

impl Settings {
    /// The settings of one host, by `host:port` first and then by `host`.
    pub(crate) fn host(&self, name: &str) -> HostSettings {
        let bare = name.rsplit_once(':').map_or(name, |(bare, _)| bare);
        self.hosts.get(name).or_else(|| self.hosts.get(bare)).cloned().unwrap_or_default()
    }
}

/// What the process knows about credentials, given as values (DIST-120…125).
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Files of credentials in the order in which they are searched; those that do not exist are passed over, and the
    /// first that holds credentials for the repository decides (DIST-123).
    pub credential_files: Vec<CredentialFile>,
    /// The text of a `config.json`, as `DOCKER_AUTH_CONFIG` holds it; searched before all files.
    pub inline: Option<Secret>,
    /// Folders in which credential helpers are looked for, usually those of `PATH`.
    pub helper_folders: Vec<PathBuf>,
    /// Credentials given for one host, as the user names it; they come before everything else.
    pub given: BTreeMap<String, Credential>,
}

/// A file of credentials and the form of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialFile {
    /// Docker's `config.json`: keys are hosts or URLs (DIST-120).
    Docker(PathBuf),
    /// The `auth.json` of podman, skopeo and others: keys may be namespaces (DIST-124).
    Containers(PathBuf),
    /// The old `.dockercfg`: a map of hosts without `auths` (DIST-123).
    Legacy(PathBuf),
}

/// How long to wait; zero is for ever (reliability, section 1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection: 10 s.
    pub connect: Duration,
    /// For the TLS handshake: 10 s. It is counted together with `connect`.
    pub tls: Duration,
    /// For the first byte of an answer after the request is sent: 60 s.
    pub first_byte: Duration,
    /// The same after the request that closes an upload, when servers hash: 300 s.
    pub closing: Duration,
    /// Without a byte in either direction while we are ready for it: 30 s.
    pub idle: Duration,
    /// Over which `low_speed` is averaged: 60 s.
    pub low_speed_window: Duration,
    /// Fewer bytes a second than this over the window end a transfer: 1,024; 0 is any speed.
    pub low_speed: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            closing: Duration::from_secs(300),
            idle: Duration::from_secs(30),
            low_speed_window: Duration::from_secs(60),
            low_speed: 1024,
        }
    }
}

/// How often and after which waits to try again (reliability, section 1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How many times a request is sent without progress between: 8; 1 is never again.
    pub tries: u32,
    /// The first wait, doubled each time, of which a random part is taken: 0.5 s.
    pub base: Duration,
    /// The longest wait of our own: 30 s.
    pub cap: Duration,
    /// The longest `Retry-After` that is obeyed: 10 min. A longer one ends the request at once.
    pub longest_pause: Duration,
    /// How long a mirror is not asked after it could not be reached or refused us: 5 min; zero is not at all.
    pub mirror_pause: Duration,
    /// So many bytes count as progress and reset the tries: 1 MiB.
    pub progress: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 8,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            longest_pause: Duration::from_secs(600),
            mirror_pause: Duration::from_secs(300),
            progress: 1 << 20,
        }
    }
}

/// How much is taken from a server before it is refused (reliability, section 1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a manifest or index: 4 MiB.
    pub manifest: usize,
    /// Bytes of one page of tags, since some registries send all at once: 32 MiB.
    pub tag_page: usize,
    /// Bytes of an answer of a token server: 64 KiB.
    pub token: usize,
    /// Bytes of the body of an error: 64 KiB.
    pub error_body: usize,
    /// Pages of one listing: 10,000.
    pub pages: usize,
    /// Entries of one listing: 1,000,000.
    pub entries: usize,
    /// Redirects of one request: 5.
    pub redirects: usize,
    /// How often a blob is read from its start again, because the server ignores `Range`: 2.
    pub rereads: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest: 4 << 20,
            tag_page: 32 << 20,
            token: 64 << 10,
            error_body: 64 << 10,
            pages: 10_000,
            entries: 1_000_000,
            redirects: 5,
            rereads: 2,
        }
    }
}

/// When a blob is downloaded by several requests at once: when it comes slowly from a host that is not near, is large, and
/// there are places that no other transfer wants. Its parts are given on in order, and at most `most` times `bytes` of them
/// are held in memory, for one blob of a host at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// How many requests there are beside the first: 4; none of them with 0.
    pub most: usize,
    /// Bytes of each: 8 MiB.
    pub bytes: u64,
    /// Bytes that must be missing for it to be worth while: 64 MiB.
    pub least: u64,
    /// How long the network is waited for before it is judged: 2 s.
    pub probe: Duration,
    /// So many bytes a second are quick enough: 16 MiB.
    pub slower_than: u64,
    /// A registry that has answered within this time is so near that one connection is enough: 5 ms.
    pub latency: Duration,
}

impl Default for Segments {
    fn default() -> Self {
        Self {
            most: 4,
            bytes: 8 << 20,
            least: 64 << 20,
            probe: Duration::from_secs(2),
            slower_than: 16 << 20,
            latency: Duration::from_millis(5),
        }
    }
}

/// How blobs are uploaded (DIST-182).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// When a blob is sent in several requests.
    pub chunking: Chunking,
    /// Bytes of one of them: a little less than 4 MiB, the limit of the strictest registry (DIST-171). The server's
    /// `OCI-Chunk-Min-Length` raises it, and 413 lowers it.
    pub chunk: u64,
    /// Blobs of so many bytes and more are streamed by `PATCH`, so that after a cut there is a session to go on with; it
    /// costs one request more than sending them by `PUT`: 32 MiB.
    pub stream: u64,
    /// The folder in which uploads of such blobs are remembered, so that the next process goes on with what a killed one
    /// left; without one, nothing is. It is made when it is needed, for its user only. It holds no credentials, but
    /// locations of uploads, which may be secrets of their own; what is older than a week goes, and 256 are kept.
    pub sessions: Option<PathBuf>,
}

impl Default for Upload {
    fn default() -> Self {
        Self { chunking: Chunking::WhenNeeded, chunk: (4 << 20) - 1024, stream: 32 << 20, sessions: None }
    }
}

/// When a blob is sent in several requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chunking {
    /// After the registry refused the whole (413, 416), or when long uploads broke twice on the way.
    WhenNeeded,
    /// Always.
    Always,
}

/// What holds for one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Speak plain HTTP; unless told, only `localhost` and loopback addresses do.
    pub plain_http: Option<bool>,
    /// Do not check the server's certificate.
    pub insecure: bool,
    /// Files of certificates (PEM) of authorities to trust for this host.
    pub ca_files: Vec<PathBuf>,
    /// The files of our own certificate and its key (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Hosts of token servers that may have this registry's credentials though they are of another domain.
    pub realms: Vec<String>,
}

/// A proxy for HTTP and HTTPS, and the hosts that are reached without it.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `http://host:port`, with user and password where it needs them.
    pub url: Secret,
    /// Hosts, domains and networks in the form of `NO_PROXY`.
    pub except: String,
}
