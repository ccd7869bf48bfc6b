//! The registries of a sync: how the file says that they are reached, and the secrets from where it says they are.

use std::path::Path;

use serde_json::json;
use transship_copy::SavedPlan;
use transship_copy::sync::{Config, SecretPlace, Secrets};
use transship_registry::{Credential, HostSettings, Secret, Settings};
use transship_spec::{Kind, Location};

use crate::args;
use crate::commands::transfer::Runner;
use crate::context::Context;
use crate::exit::Failure;
use crate::files;
use crate::network::{Async, Network};
use crate::routes;

/// The longest secret in a file, in bytes.
const LONGEST: u64 = 64 << 10;

/// The registries that the file and a saved plan name.
pub(super) fn named(config: &Config, saved: Option<&SavedPlan>) -> Result<Vec<String>, Failure> {
    let mut locations: Vec<Location> = Vec::new();
    match saved {
        None => {
            let named = config.copies.iter().flat_map(|copy| copy.from.iter().chain(&copy.to));
            locations.extend(named.cloned());
        }
        Some(saved) => {
            let to = saved.destinations.iter().map(|saved| &saved.location);
            for text in saved.sources.iter().chain(to) {
                locations.push(Location::parse(text)?);
            }
        }
    }
    let named = locations.iter().filter_map(|location| match location {
        Location::Registry(reference) => Some(reference.registry().to_owned()),
        _ => None,
    });
    let mut named: Vec<String> = named.collect();
    let mirrors = named.iter().filter_map(|name| config.registries.get(name));
    let mirrors: Vec<String> =
        mirrors.flat_map(|registry| &registry.mirrors).map(|(host, _)| host.clone()).collect();
    named.extend(mirrors);
    named.sort_unstable();
    named.dedup();
    Ok(named)
}

/// One runtime and one client for everything that the file names; no socket where all of it is local.
pub(super) fn runner(
    args: &args::Sync,
    (config, named): (&Config, &[String]),
    concurrency: usize,
    context: &Context,
) -> Result<Runner, Failure> {
    let registries: Vec<&str> = named.iter().map(String::as_str).collect();
    if registries.is_empty() {
        return Ok(Runner::Local(Async::new(context, false)?));
    }
    let network = Network::open_with(context, &args.network, &registries, |settings| {
        settings.concurrency = concurrency;
        for (name, registry) in &config.registries {
            routes::add(&mut settings.routes, name, &registry.mirrors, &args.network.mirror);
        }
        fill(settings, config, &registries, context)
    })?;
    Ok(Runner::Network(network))
}

/// Puts what the file says beside what flags say, which come first.
fn fill(
    settings: &mut Settings,
    config: &Config,
    registries: &[&str],
    context: &Context,
) -> Result<(), Failure> {
    let mut helpers = serde_json::Map::new();
    for (name, registry) in &config.registries {
        let host: &mut HostSettings = settings.hosts.entry(name.clone()).or_default();
        host.plain_http = host.plain_http.or(registry.plain_http);
        host.insecure |= registry.insecure;
        host.ca_files.extend(registry.ca_files.iter().cloned());
        if host.identity.is_none() {
            host.identity.clone_from(&registry.identity);
        }
        // A secret that nobody needs is not looked for.
        if !registries.contains(&name.as_str()) {
            continue;
        }
        let secrets =
            registry.credentials.as_ref().and_then(|name| Some((name, config.credentials.get(name)?)));
        match secrets {
            None => {}
            Some((of, Secrets::Password { user, password })) => {
                let user = secret(of, user, context)?;
                let password = secret(of, password, context)?;
                settings.environment.given.insert(name.clone(), Credential::password(user, password));
            }
            Some((of, Secrets::Token(token))) => {
                let token = Credential::RegistryToken(Secret::new(secret(of, token, context)?));
                settings.environment.given.insert(name.clone(), token);
            }
            Some((_, Secrets::Helper(helper))) => {
                helpers.insert(name.clone(), json!(helper));
            }
            Some((of, _)) => {
                return Err(Failure::new(
                    Kind::Unsupported,
                    format!("the credentials {of} are of an unknown sort"),
                ));
            }
        }
    }
    if !helpers.is_empty() {
        let before = settings.environment.inline.as_ref().map_or("{}", |inline| inline.reveal());
        let mut inline: serde_json::Value = serde_json::from_str(before)
            .map_err(|_| Failure::usage("DOCKER_AUTH_CONFIG is not JSON, and holds credentials"))?;
        inline["credHelpers"] = helpers.into();
        settings.environment.inline = Some(Secret::new(inline.to_string()));
    }
    Ok(())
}

/// A secret from where it is.
fn secret(of: &str, place: &SecretPlace, context: &Context) -> Result<String, Failure> {
    match place {
        SecretPlace::Written(text) => Ok(text.clone()),
        SecretPlace::Variable(name) => context.environment.variable(name).ok_or_else(|| {
            Failure::usage(format!("the credentials {of} are in the variable {name}, which is not set"))
        }),
        SecretPlace::File(path) => of_file(path),
        _ => Err(Failure::new(Kind::Unsupported, format!("the credentials {of} are in an unknown place"))),
    }
}

fn of_file(path: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(files::read(path, LONGEST)?)
        .map_err(|_| Failure::usage(format!("{} is not text", path.display())))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
