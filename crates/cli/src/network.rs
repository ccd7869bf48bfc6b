//! Registries, reached only when a command names one: settings from flags and environment, and the runtime they need.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Runtime;
use transship_registry::{Client, Credential, HostSettings, Repository, Route, Settings};
use transship_spec::{Kind, Reference, is_registry, quote};

use crate::args::{ForHost, NetworkFlags};
use crate::certificates;
use crate::context::Context;
use crate::exit::Failure;
use crate::interrupt::Interrupts;
use crate::progress::Progress;
use crate::routes;

/// A runtime, and the client that lives on it.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) runtime: Async,
    pub(crate) client: Client,
}

impl Network {
    /// Sets up for these registries. Nothing is connected yet.
    pub(crate) fn open(
        context: &Context,
        flags: &NetworkFlags,
        registries: &[&str],
    ) -> Result<Self, Failure> {
        Self::with(context, settings(context, flags, registries)?, registries)
    }

    /// Refuses flags without a host, where several registries are named and each is opened by itself.
    pub(crate) fn check(flags: &NetworkFlags, registries: &[&str]) -> Result<(), Failure> {
        let mut registries = registries.to_vec();
        registries.sort_unstable();
        registries.dedup();
        hosts(flags, &registries).map(drop)
    }

    /// The same, for so many transfers at once.
    pub(crate) fn open_for(
        context: &Context,
        flags: &NetworkFlags,
        registries: &[&str],
        concurrency: usize,
    ) -> Result<Self, Failure> {
        let settings = Settings { concurrency, ..settings(context, flags, registries)? };
        Self::with(context, settings, registries)
    }

    /// The same, with settings that a file completes.
    pub(crate) fn open_with(
        context: &Context,
        flags: &NetworkFlags,
        registries: &[&str],
        complete: impl FnOnce(&mut Settings) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let mut settings = settings(context, flags, registries)?;
        complete(&mut settings)?;
        Self::with(context, settings, registries)
    }

    /// The same with a credential of the user, for one registry.
    pub(crate) fn try_credential(
        context: &Context,
        flags: &NetworkFlags,
        registry: &str,
        credential: Credential,
    ) -> Result<Self, Failure> {
        let mut settings = settings(context, flags, &[registry])?;
        // What is stored already must not stand in for what is tried.
        settings.environment.credential_files.clear();
        settings.environment.inline = None;
        settings.environment.given.insert(registry.to_owned(), credential);
        Self::with(context, settings, &[registry])
    }

    fn with(context: &Context, settings: Settings, registries: &[&str]) -> Result<Self, Failure> {
        let named = registries.first().copied().unwrap_or("a registry");
        context.allow_network(false, named)?;
        let runtime = Async::new(context, true)?;
        let client = runtime.within(|| Client::new(settings))?;
        Ok(Self { runtime, client })
    }

    /// The repository of a reference.
    pub(crate) fn repository(&self, reference: &Reference) -> Result<Repository, Failure> {
        let found = || self.client.repository(reference.registry(), reference.repository());
        Ok(self.runtime.within(found)?)
    }

    /// Carries out `future`, until a signal comes.
    pub(crate) fn block_on<T, E: Into<Failure>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        self.runtime.block_on(future)
    }
}

/// How often progress is told that time has passed.
const TICK: std::time::Duration = std::time::Duration::from_millis(500);

/// A runtime for what is not blocking; a signal ends what it waits for.
#[derive(Debug)]
pub(crate) struct Async {
    runtime: Option<Runtime>,
    interrupts: Interrupts,
    progress: Progress,
}

impl Async {
    /// A runtime, with network or without. Without it no socket is opened.
    pub(crate) fn new(context: &Context, network: bool) -> Result<Self, Failure> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.enable_time();
        if network {
            builder.enable_all();
        }
        let failed = |error| Failure::new(Kind::Unexpected, format!("cannot start: {error}"));
        Ok(Self {
            runtime: Some(builder.build().map_err(failed)?),
            interrupts: context.interrupts.clone(),
            progress: context.progress.clone(),
        })
    }

    pub(crate) fn block_on<T, E: Into<Failure>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let _grace = self.interrupts.grace();
        let Some(runtime) = &self.runtime else {
            return Err(Failure::new(Kind::Unexpected, "the runtime is gone"));
        };
        runtime.block_on(async {
            let watched = self.watched(future);
            let future = std::pin::pin!(watched);
            let signal = std::pin::pin!(self.interrupts.wait());
            match futures_util::future::select(future, signal).await {
                futures_util::future::Either::Left((result, _)) => result.map_err(Into::into),
                futures_util::future::Either::Right((failure, _)) => Err(failure),
            }
        })
    }

    /// The same, while progress is told of time that passes.
    async fn watched<T>(&self, future: impl Future<Output = T>) -> T {
        let ticking = async {
            loop {
                tokio::time::sleep(TICK).await;
                self.progress.tick();
            }
        };
        let (future, ticking) = (std::pin::pin!(future), std::pin::pin!(ticking));
        match futures_util::future::select(future, ticking).await {
            futures_util::future::Either::Left((done, _)) => done,
            futures_util::future::Either::Right((never, _)) => never,
        }
    }

    /// The runtime, for code that blocks and lets it work.
    pub(crate) fn handle(&self) -> Result<tokio::runtime::Handle, Failure> {
        let runtime = self.runtime.as_ref().map(|runtime| runtime.handle().clone());
        runtime.ok_or_else(|| Failure::new(Kind::Unexpected, "the runtime is gone"))
    }

    /// Carries out `future` to its end, after a signal, too.
    pub(crate) fn finish(&self, future: impl Future<Output = ()>) {
        let _grace = self.interrupts.grace();
        if let Some(runtime) = &self.runtime {
            runtime.block_on(future);
        }
    }

    fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        let _guard = self.runtime.as_ref().map(Runtime::enter);
        make()
    }
}

impl Drop for Async {
    /// What a signal left behind on blocking threads is not waited for.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the flags and the environment say about these registries.
fn settings(context: &Context, flags: &NetworkFlags, registries: &[&str]) -> Result<Settings, Failure> {
    let named = registries.first().copied().unwrap_or("a registry");
    context.allow_network(flags.offline, named)?;
    if let Some(file) = &flags.authfile
        && !file.exists()
    {
        return Err(Failure::new(Kind::NotFound, format!("there is no {} (--authfile)", file.display())));
    }
    let mut registries = registries.to_vec();
    registries.sort_unstable();
    registries.dedup();
    let routes = routes::read(&context.environment.registries_files(), &flags.mirror)?;
    let mut settings = Settings {
        environment: context.environment.credentials(flags.authfile.as_deref()),
        hosts: with_certificates(context, hosts(flags, &registries)?, &registries, &routes)?,
        routes,
        rate: flags.limit_rate,
        events: Arc::new(context.progress.clone()),
        ..Settings::default()
    };
    settings.upload.sessions = context.environment.uploads();
    settings.retry.tries = flags.retries.saturating_add(1);
    let plain = |name: &&str| {
        let told = settings.hosts.get(*name).and_then(|host| host.plain_http);
        told.unwrap_or(false)
    };
    settings.proxy = context.environment.proxy(!registries.is_empty() && registries.iter().all(plain));
    Ok(settings)
}

/// Adds what the folders of certificates say of these registries, and of all that may stand for them.
fn with_certificates(
    context: &Context,
    mut hosts: BTreeMap<String, HostSettings>,
    registries: &[&str],
    routes: &[Route],
) -> Result<BTreeMap<String, HostSettings>, Failure> {
    let folders = context.environment.certificate_folders();
    let others = routes.iter().flat_map(|route| {
        let mirrors = route.mirrors.iter().map(|mirror| mirror.location.as_str());
        mirrors.chain(route.location.as_deref())
    });
    let host = |place: &str| place.split('/').next().unwrap_or_default().to_owned();
    let names: BTreeSet<_> = registries.iter().copied().chain(others).map(host).collect();
    for name in names.into_iter().filter(|name| is_registry(name)) {
        let bare = name.rsplit_once(':').map_or(&*name, |(bare, _)| bare);
        let have = hosts.get(&name).or_else(|| hosts.get(bare)).cloned().unwrap_or_default();
        let mut more = have.clone();
        certificates::add(&folders, &name, &mut more)?;
        if more != have {
            hosts.insert(name, more);
        }
    }
    Ok(hosts)
}

/// The flags that hold for one registry. Those without a host are for the registry of the command, which must be one then.
fn hosts(flags: &NetworkFlags, registries: &[&str]) -> Result<BTreeMap<String, HostSettings>, Failure> {
    let mut hosts: BTreeMap<String, HostSettings> = BTreeMap::new();
    let only = |flag: &str| match registries {
        [only] => Ok((*only).to_owned()),
        _ => Err(Failure::usage(format!(
            "{flag} without HOST: the command names {} registries",
            registries.len()
        ))
        .hint(format!("say which is meant: {flag}=HOST, or {flag} HOST=FILE for files"))),
    };
    let host_of = |flag: &str, host: Option<&str>| match host {
        None | Some("") => only(flag),
        Some(host) if is_registry(host) => Ok(host.to_owned()),
        Some(host) => {
            Err(Failure::usage(format!("{flag}={}: it is not the name of a registry", quote(host))))
        }
    };
    for host in &flags.insecure {
        hosts.entry(host_of("--insecure", Some(host))?).or_default().insecure = true;
    }
    for host in &flags.plain_http {
        hosts.entry(host_of("--plain-http", Some(host))?).or_default().plain_http = Some(true);
    }
    for ForHost { host, value } in &flags.ca_file {
        // An authority that is trusted does no harm to a registry that it did not certify.
        let trusting = match host {
            Some(host) => {
                // Whoever names a registry's authority means TLS, on this machine's own addresses, too.
                hosts.entry(host.clone()).or_default().plain_http.get_or_insert(false);
                vec![host.clone()]
            }
            None => registries.iter().map(|name| (*name).to_owned()).collect(),
        };
        for host in trusting {
            hosts.entry(host).or_default().ca_files.push(PathBuf::from(value));
        }
    }
    for cert in &flags.cert {
        let key = flags.key.iter().find(|key| key.host == cert.host);
        let key = key.ok_or_else(|| {
            Failure::usage(format!("--cert {}: there is no --key for the same host", cert.value))
        })?;
        let host = host_of("--cert", cert.host.as_deref())?;
        hosts.entry(host).or_default().identity = Some((cert.value.clone().into(), key.value.clone().into()));
    }
    Ok(hosts)
}

impl transship_registry::Events for Progress {
    fn retry(&self, host: &str, reason: &str, wait: std::time::Duration) {
        self.note(&format!("{host}: {reason}; trying again in {}", crate::show::duration(wait)));
    }

    fn warning(&self, host: &str, text: &str) {
        let text = format!("{host}: {text}");
        self.warning(&text);
        self.keep_warning(text);
    }

    fn request(&self, host: &str, method: &str) {
        self.count_request(host);
        self.detail(&format!("{method} {host}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(change: impl FnOnce(&mut NetworkFlags)) -> NetworkFlags {
        let mut flags = NetworkFlags::default();
        change(&mut flags);
        flags
    }

    #[test]
    fn a_flag_without_a_host_is_for_the_only_registry() {
        let insecure = flags(|flags| flags.insecure.push(String::new()));
        assert!(hosts(&insecure, &["r.example"]).unwrap()["r.example"].insecure);
        let failure = hosts(&insecure, &["a.example", "b.example"]).unwrap_err();
        assert_eq!(failure.code(), 2);
        let plain = flags(|flags| flags.plain_http.push("b.example".into()));
        assert_eq!(hosts(&plain, &["a.example", "b.example"]).unwrap()["b.example"].plain_http, Some(true));
        let wrong = flags(|flags| flags.plain_http.push("http://b".into()));
        assert_eq!(hosts(&wrong, &["b"]).unwrap_err().code(), 2);
    }

    #[test]
    fn a_registry_whose_authority_is_named_speaks_tls_on_a_loopback_address_too() {
        let trust = |text: &str| flags(|flags| flags.ca_file = vec![text.parse::<ForHost>().unwrap()]);
        let here = "127.0.0.1:5000";
        let named = hosts(&trust("127.0.0.1:5000=ca.crt"), &[here]).unwrap();
        assert_eq!((named[here].plain_http, named[here].ca_files.len()), (Some(false), 1));
        let all = hosts(&trust("ca.crt"), &[here]).unwrap();
        assert_eq!(all[here].plain_http, None, "it may be for another registry of the same command");
    }

    #[test]
    fn a_certificate_goes_with_the_key_of_the_same_host() {
        let parse = |text: &str| text.parse::<ForHost>().unwrap();
        let both = flags(|flags| {
            flags.cert = vec![parse("a.example=a.crt"), parse("b.example=b.crt")];
            flags.key = vec![parse("b.example=b.key"), parse("a.example=a.key")];
        });
        let found = hosts(&both, &["a.example", "b.example"]).unwrap();
        assert_eq!(found["b.example"].identity, Some(("b.crt".into(), "b.key".into())));
        let lone = flags(|flags| {
            flags.cert = vec![parse("a.example=a.crt")];
            flags.key = vec![parse("a.key")];
        });
        assert_eq!(hosts(&lone, &["a.example"]).unwrap_err().code(), 2);
    }
}
