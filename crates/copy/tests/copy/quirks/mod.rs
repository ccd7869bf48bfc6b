//! The engine against registries that play well-known ones (DIST-170…182): what all of them must do, and what only one
//! of them does.

mod refusals;
mod round;

use std::collections::BTreeMap;
use std::sync::Arc;

use transship_copy::{Destination, Endpoint, endpoint};
use transship_registry::{
    Chunking, Client, Credential, Environment, HostSettings, Repository, Settings, Upload,
};
use transship_spec::Reference;
use transship_testkit::{Personality, Seen, TestRegistry};

use crate::support::quick;

/// By so much the sizes of the registries are divided, and that of our chunks.
const SCALE: u64 = 64;

/// The two repositories that there are in each registry.
const HERE: &str = "project/repository/image";
const THERE: &str = "project/repository/other";

/// A registry that plays this, with a password and two repositories.
async fn play(personality: &Personality) -> TestRegistry {
    let builder =
        TestRegistry::builder().personality(personality.clone().scaled(SCALE)).login("me", "hunter2");
    builder.repository(HERE).repository(THERE).start().await
}

/// A client with the password.
fn client(registry: &TestRegistry, chunking: Chunking) -> Client {
    let password = Credential::password("me", "hunter2");
    let environment =
        Environment { given: BTreeMap::from([(registry.address(), password)]), ..Environment::default() };
    // The token server of Docker Hub is known by its name, which this one does not have.
    let host = HostSettings { realms: vec![registry.side_address()], ..HostSettings::default() };
    let upload = Upload { chunking, chunk: Upload::default().chunk / SCALE, ..Upload::default() };
    let hosts = BTreeMap::from([(registry.address(), host)]);
    Client::new(Settings { environment, upload, hosts, ..quick() }).unwrap()
}

fn repository(registry: &TestRegistry, client: &Client, name: &str) -> Repository {
    client.repository(&registry.address(), name).unwrap()
}

fn source(registry: &TestRegistry, client: &Client, name: &str) -> Arc<dyn Endpoint> {
    endpoint::registry(repository(registry, client, name))
}

fn into_registry(registry: &TestRegistry, client: &Client, rest: &str) -> Destination {
    let reference = Reference::parse(&registry.reference(rest)).unwrap();
    Destination::Registry { client: client.clone(), reference }
}

/// What holds for every request to every registry.
#[track_caller]
fn assert_well_behaved(registry: &TestRegistry) {
    let requests = registry.requests();
    for seen in &requests {
        let is_manifest =
            seen.target.contains("/manifests/") && matches!(seen.method.as_str(), "GET" | "HEAD");
        let accept = seen.header("accept").filter(|accept| *accept != "*/*");
        assert_eq!(accept.is_some(), is_manifest, "DIST-16, DIST-179: {}: {accept:?}", seen.line());
        let is_elsewhere = seen.header("host") != Some(&registry.address());
        let is_token = !seen.target.starts_with("/v2/") || seen.target.contains("scope=");
        let authorization = seen.header("authorization").unwrap_or_default();
        assert!(!is_elsewhere || is_token || authorization.is_empty(), "DIST-24: {}", seen.line());
        assert!(!is_token || !authorization.starts_with("Bearer"), "{}", seen.line());
    }
    let begun = requests.iter().filter(|seen| seen.is("POST", "/uploads/") && seen.status() == Some(202));
    let ended = requests.iter().filter(|seen| {
        seen.is("PUT", "/uploads/") && seen.status() == Some(201) || seen.is("DELETE", "/uploads/")
    });
    assert_eq!(begun.count(), ended.count(), "every session is closed or given up: {:#?}", lines(&requests));
}

fn lines(requests: &[Seen]) -> Vec<String> {
    requests.iter().map(|seen| format!("{} -> {:?}", seen.line(), seen.status())).collect()
}
