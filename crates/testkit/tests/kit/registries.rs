//! Registries start, answer, and are told apart.

use transship_testkit::{DockerRegistry, TestRegistry, fixtures, peers};

use crate::repository;

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_of_debian_takes_a_push_by_a_peer() {
    let registry = DockerRegistry::start().await;
    let layout = transship_layout::Layout::options().create(registry.folder().join("layout")).unwrap();
    let image = fixtures::image(&layout, "v1", 1);
    let here = format!("oci:{}:v1", layout.path().display());
    let there = format!("docker://{}", registry.reference("team/app:v1"));
    let push =
        move || peers::skopeo(&["copy", "--dest-tls-verify=false", "--preserve-digests", &here, &there]);
    tokio::task::spawn_blocking(push).await.unwrap();
    let found = repository(registry.address(), "team/app").manifest_head(&crate::tag("v1")).await.unwrap();
    assert_eq!(found, Some(image.descriptor()));
    assert!(registry.storage().is_dir());
}

#[tokio::test]
async fn the_registry_of_debian_asks_for_a_password() {
    let registry = DockerRegistry::start_with_login("me", "hunter2").await;
    let mut settings = crate::quick();
    let credential = transship_registry::Credential::password("me", "hunter2");
    settings.environment.given.insert(registry.address().to_owned(), credential);
    transship_registry::Client::new(settings).unwrap().ping(registry.address()).await.unwrap();
    assert!(repository(registry.address(), "app").tags().await.is_err());
}

#[test]
fn a_registry_serves_tests_that_are_not_async() {
    let registry = TestRegistry::builder().start_blocking();
    fixtures::image(registry.layout(), "localhost/app:v1", 1);
    let tags = peers::skopeo(&[
        "list-tags",
        "--tls-verify=false",
        &format!("docker://{}", registry.reference("app")),
    ]);
    assert!(tags.contains("\"v1\""), "{tags}");
    assert_eq!(registry.counts().tags, 1);
    assert!(registry.lines().contains(&"GET /v2/app/tags/list".to_owned()));
}
