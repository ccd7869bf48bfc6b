//! The client of a process: settings, connections, and the registries it has met.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use crate::address::Resolver;
use crate::auth::Authenticator;
use crate::auth::keychain::Keychain;
use crate::error::Error;
use crate::features::Features;
use crate::host;
use crate::limit::Throttle;
use crate::rate::Rate;
use crate::repository::Repository;
use crate::sessions::Sessions;
use crate::settings::{HostSettings, Settings};
use crate::tls;

/// So many bytes of an answer come over HTTP/2 before they are read: 20 MiB/s where an answer takes 100 ms.
const STREAM_WINDOW: u32 = 2 << 20;

/// The same for all answers on a connection: enough for each that is read at a time, and two more, so that one which
/// nobody reads does not hold up the others. That is also the most memory that they take.
fn connection_window(places: usize) -> u32 {
    const MOST: u32 = 1 << 30;
    let answers = u32::try_from(places).unwrap_or(u32::MAX).saturating_add(2);
    STREAM_WINDOW.saturating_mul(answers).min(MOST)
}

/// A client for any number of registries: one for a process. Clones share everything.
///
/// Connections, tokens, pauses that a host asked for, and what is known of its features belong to the client. It must
/// be used within a tokio runtime with time and I/O enabled.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What all registries of a client share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) resolver: Resolver,
    pub(crate) keychain: Keychain,
    pub(crate) rate: Arc<Rate>,
    pub(crate) sessions: Option<Sessions>,
    /// Connections by TLS settings: hosts of the same settings share a pool.
    pools: Mutex<Vec<(HostSettings, reqwest::Client)>>,
    /// By name, and by whether the certificate goes unchecked.
    hosts: Mutex<HashMap<(String, bool), Arc<Host>>>,
}

/// One registry.
#[derive(Debug)]
pub(crate) struct Host {
    /// As the user names it.
    pub(crate) name: Arc<str>,
    /// Where it answers.
    pub(crate) base: Url,
    pub(crate) settings: HostSettings,
    pub(crate) shared: Arc<Shared>,
    pub(crate) throttle: Throttle,
    pub(crate) auth: Authenticator,
    pub(crate) features: Features,
    /// What was warned of.
    pub(crate) told: Mutex<HashSet<String>>,
}

impl Client {
    /// A client. Nothing is read or connected yet, except files of certificates that hold for all hosts.
    ///
    /// # Errors
    /// [`Error::Settings`] when a file of certificates or the proxy cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let keychain = Keychain::new(settings.environment.clone(), Arc::clone(&settings.events));
        let rate = Arc::new(Rate::new(settings.rate));
        let shared = Shared {
            rate,
            sessions: settings.upload.sessions.clone().map(Sessions::new),
            settings,
            resolver: Resolver::default(),
            keychain,
            pools: Mutex::default(),
            hosts: Mutex::default(),
        };
        shared.pool(&HostSettings::default())?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The repository `name` of the registry `registry`, such as `registry.example:5000` and `team/app`.
    ///
    /// # Errors
    /// [`Error::Settings`] when `registry` is not a host with an optional port, when `name` is not the name of a
    /// repository (DIST-01), or when the registry's certificates cannot be read; [`Error::Blocked`] when the settings
    /// forbid it.
    pub fn repository(&self, registry: &str, name: &str) -> Result<Repository, Error> {
        host::check_repository(name)?;
        self.routed(registry, name)
    }

    /// Asks whether `registry` is one, and whether it takes our credentials (DIST-10).
    ///
    /// # Errors
    /// [`Error::Denied`] or [`Error::NoCredentials`] when it does not take them; [`Error::NotFound`] when it is no registry.
    pub async fn ping(&self, registry: &str) -> Result<(), Error> {
        self.host(registry)?.ping().await
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn host(&self, name: &str) -> Result<Arc<Host>, Error> {
        self.host_with(name, false)
    }

    /// A host whose certificate goes unchecked, or is checked as its settings say.
    pub(crate) fn host_with(&self, name: &str, insecure: bool) -> Result<Arc<Host>, Error> {
        let key = (name.to_owned(), insecure);
        let mut hosts = self.shared.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(&key) {
            return Ok(Arc::clone(host));
        }
        let mut settings = self.shared.settings.host(name);
        settings.insecure |= insecure;
        let host = Arc::new(Host {
            name: name.into(),
            base: host::base_url(name, settings.plain_http)?,
            throttle: Throttle::new(self.shared.settings.concurrency),
            auth: Authenticator::default(),
            features: Features::of(name),
            told: Mutex::default(),
            shared: Arc::clone(&self.shared),
            settings,
        });
        self.shared.pool(&host.settings)?;
        hosts.insert(key, Arc::clone(&host));
        Ok(host)
    }
}

impl Shared {
    /// The connections for a URL, which need not be one of a registry.
    pub(crate) fn connections(&self, url: &Url) -> Result<reqwest::Client, Error> {
        self.pool(&self.settings.host(&host::authority(url)))
    }

    /// The connections for hosts of the same TLS settings.
    pub(crate) fn pool(&self, settings: &HostSettings) -> Result<reqwest::Client, Error> {
        let key = HostSettings { plain_http: None, realms: Vec::new(), ..settings.clone() };
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(have, _)| *have == key) {
            return Ok(pool.clone());
        }
        let pool = self.build(&key)?;
        pools.push((key, pool.clone()));
        Ok(pool)
    }

    fn build(&self, settings: &HostSettings) -> Result<reqwest::Client, Error> {
        let timeouts = &self.settings.timeouts;
        let mut builder = reqwest::Client::builder()
            .user_agent(&self.settings.user_agent)
            .tls_backend_preconfigured(tls::config(&self.settings, settings)?)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .dns_resolver(self.resolver.clone())
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(60))
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(connection_window(self.settings.concurrency))
            .http2_max_header_list_size(64 << 10);
        if !timeouts.connect.is_zero() {
            builder = builder.connect_timeout(timeouts.connect + timeouts.tls);
        }
        builder = match &self.settings.proxy {
            None => builder.no_proxy(),
            Some(proxy) => {
                let wrong = |_| Error::Settings("the address of the proxy is not a URL".to_owned());
                let except = reqwest::NoProxy::from_string(&proxy.except);
                builder.proxy(reqwest::Proxy::all(proxy.url.reveal()).map_err(wrong)?.no_proxy(except))
            }
        };
        builder
            .build()
            .map_err(|error| Error::Settings(format!("cannot set up connections: {}", error.without_url())))
    }
}
