//! How each registry wants to know who asks, and what it says of tags.

use transship_registry::{Credential, Listed, Settings, TagOrDigest};
use transship_spec::Tag;
use transship_testkit::{Personality, TestRegistry, fixtures};

use super::*;

fn image(registry: &TestRegistry) -> transship_spec::Document {
    fixtures::image(registry.layout(), &format!("localhost/{NAME}:v1"), 1)
}

fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

/// An identity token, as `docker-credential-acr` gives it.
fn identity(registry: &TestRegistry) -> Credential {
    let token = registry.refresh_token().into_boxed_str();
    Credential::IdentityToken { username: String::new(), token: transship_registry::Secret::new(token) }
}

#[tokio::test]
async fn dist_175_a_refresh_token_is_posted_or_is_the_password_of_nobody() {
    let registry = play(Personality::acr()).await;
    let image = image(&registry);
    let nobody = Credential::password("00000000-0000-0000-0000-000000000000", registry.refresh_token());
    for (credential, method) in [(identity(&registry), "POST"), (nobody, "GET"), (password(), "GET")] {
        registry.forget();
        let repository = repository(&registry, settings(&registry, credential));
        let which = TagOrDigest::Tag(tag("v1"));
        assert_eq!(repository.manifest_head(&which).await.unwrap(), Some(image.descriptor()));
        repository.manifest_put(&tag("v2").into(), image.media_type(), image.bytes().clone()).await.unwrap();
        let asked: Vec<String> = registry
            .requests()
            .iter()
            .filter(|seen| seen.is("*", "/oauth2/token"))
            .map(|seen| seen.method.to_string())
            .collect();
        assert_eq!(asked, [method, method], "one token to pull and one to push");
    }
}

#[tokio::test]
async fn dist_176_where_a_token_cannot_be_posted_it_is_a_password() {
    let builder = TestRegistry::builder().personality(Personality::harbor()).login("<token>", "secret");
    let registry = builder.repository(NAME).start().await;
    let image = image(&registry);
    let credential = Credential::IdentityToken {
        username: String::new(),
        token: transship_registry::Secret::new("secret"),
    };
    let repository = repository(&registry, settings(&registry, credential));
    repository.manifest_put(&tag("v2").into(), image.media_type(), image.bytes().clone()).await.unwrap();
    let asked: Vec<_> =
        registry.requests().into_iter().filter(|seen| seen.is("*", "/service/token")).collect();
    let statuses: Vec<_> =
        asked.iter().map(|seen| (seen.method.to_string(), seen.status().unwrap())).collect();
    assert_eq!(statuses, [("POST".to_owned(), 405), ("GET".to_owned(), 200)]);
}

#[tokio::test]
async fn dist_174_the_challenge_at_the_door_is_asked_for_once() {
    let registry = play(Personality::gcr()).await;
    image(&registry);
    let repository = repository(&registry, settings(&registry, password()));
    for _ in 0..3 {
        assert!(repository.manifest_head(&tag("v1").into()).await.unwrap().is_some());
    }
    repository.tags().await.unwrap();
    assert_eq!(registry.counts().base, 1, "{:#?}", registry.lines());
}

#[tokio::test]
async fn dist_171_dist_111_who_has_no_password_gets_a_token_to_read_and_cannot_write() {
    let registry = play(Personality::ghcr()).await;
    let image = image(&registry);
    let repository = repository(&registry, Settings::default());
    assert!(repository.manifest_head(&tag("v1").into()).await.unwrap().is_some());
    let put = repository.manifest_put(&tag("v2").into(), image.media_type(), image.bytes().clone()).await;
    let error = put.unwrap_err();
    assert_eq!(error.kind(), transship_spec::Kind::Denied, "{error}");
    assert!(error.remedy().unwrap().contains("login"), "{error}");
    let asked = registry.requests().iter().filter(|seen| seen.is("GET", "/token")).count();
    assert!(asked <= 3, "no token is asked for again and again: {:#?}", registry.lines());
}

#[tokio::test]
async fn dist_177_a_tag_is_deleted_where_no_scope_may_hold_delete() {
    let registry = play(Personality::quay()).await;
    image(&registry);
    let repository = repository(&registry, settings(&registry, password()));
    repository.tag_delete(&tag("v1")).await.unwrap();
    assert_eq!(repository.manifest_head(&tag("v1").into()).await.unwrap(), None);
}

#[tokio::test]
async fn dist_181_a_registry_that_does_not_delete_says_so() {
    let registry = play(Personality::distribution()).await;
    let image = image(&registry);
    let repository = repository(&registry, settings(&registry, password()));
    let error = repository.manifest_delete(image.digest()).await.unwrap_err();
    assert_eq!(error.kind(), transship_spec::Kind::Unsupported, "{error}");
}

#[tokio::test]
async fn dist_82_dist_83_tags_are_listed_whatever_stands_between_them() {
    for personality in Personality::all() {
        let registry = play(personality.clone()).await;
        let image = image(&registry);
        fixtures::tag(registry.layout(), &format!("localhost/{NAME}:v2"), &image);
        let repository = repository(&registry, settings(&registry, password()));
        let tags = repository.tags().await.unwrap();
        let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(tags, ["v1", "v2"], "{}", personality.name);
        assert!(registry.counts().tags <= 4, "{}: {:#?}", personality.name, registry.lines());
    }
}

#[tokio::test]
async fn dist_71_dist_72_a_referrer_is_found_in_every_registry() {
    for personality in Personality::all() {
        let registry = play(personality.clone()).await;
        let image = image(&registry);
        let from = transship_testkit::TestRegistry::start().await;
        let image_there = fixtures::image(from.layout(), "x:v1", 1);
        assert_eq!(image_there.digest(), image.digest());
        let known = "application/vnd.dev.cosign.artifact.sig.v1+json";
        let referrer = fixtures::referrer(from.layout(), &image_there, known, 2);
        let repository = repository(&registry, settings(&registry, password()));
        for child in referrer.children() {
            let bytes = std::fs::read(
                from.layout().path().join("blobs/sha256").join(child.digest.encoded().as_ref()),
            )
            .unwrap();
            let bytes = bytes::Bytes::from(bytes);
            repository.blob_put(child, &bytes, None).await.unwrap();
        }
        let name = TagOrDigest::Digest(referrer.digest().clone());
        let pushed =
            repository.manifest_put(&name, referrer.media_type(), referrer.bytes().clone()).await.unwrap();
        let listed = repository.list_referrer(&referrer, &pushed).await.unwrap();
        let by_registry = personality.referrers.missing.is_none();
        assert_eq!(listed == Listed::ByRegistry, by_registry, "{}: {listed:?}", personality.name);
        let found = repository.referrers(image.digest(), None).await.unwrap();
        let found: Vec<_> = found.iter().map(|found| &found.digest).collect();
        assert_eq!(found, [referrer.digest()], "{}", personality.name);
    }
}
