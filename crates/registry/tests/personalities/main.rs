//! One repository at a time against registries that play well-known ones: uploads, tokens, lists (DIST-170…182).

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod tokens;
mod uploads;

use std::collections::BTreeMap;
use std::time::Duration;

use transship_registry::{
    Client, Credential, Environment, HostSettings, Repository, Retry, Settings, Upload,
};
use transship_testkit::{Personality, TestRegistry};

/// By so much the sizes of the registries are divided, and those of our uploads.
pub(crate) const SCALE: u64 = 64;

pub(crate) const NAME: &str = "project/repository/image";

/// A registry that plays this, with a password and one repository.
pub(crate) async fn play(personality: Personality) -> TestRegistry {
    let builder = TestRegistry::builder().personality(personality.scaled(SCALE)).login("me", "hunter2");
    builder.repository(NAME).start().await
}

pub(crate) fn settings(registry: &TestRegistry, credential: Credential) -> Settings {
    let environment =
        Environment { given: BTreeMap::from([(registry.address(), credential)]), ..Environment::default() };
    let host = HostSettings { realms: vec![registry.side_address()], ..HostSettings::default() };
    let retry = Retry { base: Duration::from_millis(1), ..Retry::default() };
    let hosts = BTreeMap::from([(registry.address(), host)]);
    Settings { environment, retry, hosts, ..Settings::default() }
}

pub(crate) fn repository(registry: &TestRegistry, settings: Settings) -> Repository {
    Client::new(settings).unwrap().repository(&registry.address(), NAME).unwrap()
}

pub(crate) fn password() -> Credential {
    Credential::password("me", "hunter2")
}

/// A repository to which blobs go in this way.
pub(crate) fn uploading(registry: &TestRegistry, upload: Upload) -> Repository {
    repository(registry, Settings { upload, ..settings(registry, password()) })
}
