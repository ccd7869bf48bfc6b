//! What only one registry refuses, and what is said of it then.

use transship_copy::{Options, Referrers, Report, RootReport, endpoint};
use transship_layout::{Layout, Name};
use transship_registry::Chunking;
use transship_spec::{Document, Kind, Manifest, MediaType};
use transship_testkit::{Fault, Personality, fixtures};

use super::*;
use crate::support::{all, assert_done, copy, copy_with, into_layout, layout, one};

/// A layout to push from, with an image called `v1`.
fn image(folder: &tempfile::TempDir) -> (Layout, Document) {
    let from = layout(&folder.path().join("from"));
    let image = fixtures::image(&from, "v1", 1);
    (from, image)
}

async fn push(registry: &TestRegistry, from: &Layout, to: &str) -> Report {
    let client = client(registry, Chunking::WhenNeeded);
    copy(&[one(endpoint::layout(from.clone()), "v1")], &into_registry(registry, &client, to)).await
}

/// The kind, the message and the remedy of the one root that failed.
#[track_caller]
fn failure(report: &Report) -> (Kind, &str, &str) {
    let failed: Vec<&RootReport> = report.failures().collect();
    assert_eq!(failed.len(), 1, "{:#?}", report.roots);
    let failure = failed[0].failure.as_ref().unwrap();
    (failure.kind, &failure.message, failure.remedy.as_deref().unwrap_or_default())
}

#[tokio::test]
async fn dist_178_an_artifact_that_gitlab_does_not_know_is_named_and_the_image_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (from, image) = image(&folder);
    fixtures::signature(&from, &image, 2);
    let registry = play(&Personality::gitlab()).await;
    let report = push(&registry, &from, HERE).await;
    let (kind, message, remedy) = failure(&report);
    assert_eq!(kind, Kind::Unsupported, "{message}");
    assert!(message.contains(&format!("unknown media type: {}", fixtures::SIGNATURE)), "{message}");
    assert!(remedy.contains("only the types of artifacts that it knows"), "{remedy}");
    assert_eq!(report.kind(), Some(Kind::Partial));
}

#[tokio::test]
async fn dist_177_a_config_that_quay_does_not_know_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    fixtures::artifact(&from, "v1", 1);
    let registry = play(&Personality::quay_with_known_types_only()).await;
    let report = push(&registry, &from, HERE).await;
    let (kind, message, _) = failure(&report);
    assert!(message.contains("application/vnd.oci.empty.v1+json"), "{message}");
    assert_eq!(kind, Kind::Unsupported);
}

#[tokio::test]
async fn dist_172_dist_176_a_repository_that_must_be_made_first_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (from, _) = image(&folder);
    for personality in [Personality::ecr(), Personality::harbor()] {
        let registry = play(&personality).await;
        let report = push(&registry, &from, "nobody/made/this").await;
        let (kind, message, remedy) = failure(&report);
        assert_eq!(kind, Kind::NotFound, "{message}");
        assert!(message.contains("nobody/made/this does not exist"), "{message}");
        assert!(remedy.contains("create the repository or its project there first"), "{remedy}");
        let counts = registry.counts();
        assert_eq!((counts.upload_put, counts.manifest_put), (0, 0), "nothing is sent in vain");
    }
}

#[tokio::test]
async fn dist_180_an_index_that_nexus_does_not_know_is_unsupported_and_one_image_of_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    fixtures::multi_platform(&from, "v1", 1);
    let registry = play(&Personality::nexus_without_index()).await;
    let report = push(&registry, &from, HERE).await;
    let (kind, message, remedy) = failure(&report);
    assert_eq!(kind, Kind::Unsupported, "{message}");
    assert!(remedy.contains("--platform"), "{remedy}");

    let client = client(&registry, Chunking::WhenNeeded);
    let platform = transship_spec::Platform::parse("linux/amd64").unwrap();
    let options = Options { subset: Some(transship_copy::Subset::One(platform)), ..Options::default() };
    let there = into_registry(&registry, &client, HERE);
    assert_done(&copy_with(&[one(endpoint::layout(from), "v1")], &there, &options).await);
}

#[tokio::test]
async fn dist_38_dist_172_what_ecr_does_not_take_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let registry = play(&Personality::ecr()).await;
    let from = layout(&folder.path().join("empty"));
    let session = from.begin().unwrap();
    let config = session.put_bytes(MediaType::OCI_CONFIG, b"{}").unwrap();
    let empty = session.put_bytes(MediaType::OCI_LAYER_TAR, b"").unwrap();
    let root =
        session.put_document(&Manifest::new(config.clone(), vec![empty]).to_document().unwrap()).unwrap();
    session.commit(|index| index.set(&Name::short("v1")?, &root)).unwrap();
    let report = push(&registry, &from, HERE).await;
    let (kind, message, remedy) = failure(&report);
    assert_eq!(kind, Kind::Invalid, "{message}");
    assert!(remedy.contains("the blob has no bytes"), "{remedy}");

    let from = layout(&folder.path().join("silent"));
    let session = from.begin().unwrap();
    session.put_bytes(MediaType::OCI_CONFIG, b"{}").unwrap();
    let config = serde_json::to_string(&config).unwrap();
    let text = format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[]}}");
    let silent = Document::parse(text.into_bytes(), Some(&MediaType::OCI_MANIFEST)).unwrap();
    session.put_document(&silent).unwrap();
    session.commit(|index| index.set(&Name::short("v1")?, &silent.descriptor())).unwrap();
    let report = push(&registry, &from, HERE).await;
    let (kind, message, remedy) = failure(&report);
    assert_eq!(kind, Kind::Unsupported, "{message}");
    assert!(remedy.contains("does not say its own mediaType"), "{remedy}");
}

#[tokio::test]
async fn dist_172_a_tag_that_cannot_move_stays_and_the_same_again_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (from, first) = image(&folder);
    let registry = play(&Personality::ecr()).await;
    assert_done(&push(&registry, &from, HERE).await);
    // Somebody else was faster: we did not know that it is there when we planned.
    registry.fault(Fault::on("HEAD", "/manifests/v1").times(1).status(404));
    registry.forget();
    assert_done(&push(&registry, &from, HERE).await);
    assert_eq!(registry.counts().manifest_put, 1, "{:#?}", lines(&registry.requests()));

    fixtures::image(&from, "v1", 2);
    let report = push(&registry, &from, HERE).await;
    let (kind, message, remedy) = failure(&report);
    assert_eq!(kind, Kind::Invalid, "{message}");
    assert!(message.contains("TAG_INVALID"), "{message}");
    assert!(remedy.contains("immutable"), "{remedy}");
    let client = client(&registry, Chunking::WhenNeeded);
    let tag = transship_spec::Tag::parse("v1").unwrap().into();
    let there = repository(&registry, &client, HERE).manifest_head(&tag).await.unwrap().unwrap();
    assert_eq!(there.digest, *first.digest());
}

#[tokio::test]
async fn dist_172_a_list_of_referrers_that_cannot_change_is_a_failure_of_the_referrer_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (from, image) = image(&folder);
    fixtures::signature(&from, &image, 2);
    let registry = play(&Personality::ecr()).await;
    assert_done(&push(&registry, &from, HERE).await);
    let late = fixtures::signature(&from, &image, 3);
    let report = push(&registry, &from, HERE).await;
    let (_, message, remedy) = failure(&report);
    assert!(message.contains("/manifests/sha256-"), "the fallback tag is named: {message}");
    assert!(remedy.contains("immutable"), "{remedy}");
    let failed: Vec<_> = report.failures().map(|root| root.digest.clone().unwrap()).collect();
    assert_eq!(failed, [late.digest().clone()]);
}

#[tokio::test]
async fn dist_179_a_page_in_place_of_json_is_told_in_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let registry = play(&Personality::artifactory()).await;
    let client = client(&registry, Chunking::WhenNeeded);
    let to = layout(&folder.path().join("to"));
    let source = source(&registry, &client, HERE);
    let report = copy(&[one(source, "absent")], &into_layout(&to, "")).await;
    let (kind, message, _) = failure(&report);
    assert_eq!(kind, Kind::NotFound, "403 for HEAD is not the last word: {message}");
    let (from, _) = image(&folder);
    registry
        .fault(Fault::on("PUT", "/manifests/").status(400).body("<html><h1>Bad <b>manifest</b></h1></html>"));
    let report = push(&registry, &from, HERE).await;
    let (_, message, _) = failure(&report);
    assert!(
        message.contains("400") && message.contains("Bad manifest") && !message.contains('<'),
        "{message}"
    );
}

#[tokio::test]
async fn dist_173_dist_176_nothing_to_do_costs_the_same_few_requests() {
    let folder = tempfile::tempdir().unwrap();
    let (from, _) = image(&folder);
    let plain = Options { referrers: Referrers::None, digest_tags: false, ..Options::default() };
    for personality in Personality::all() {
        let registry = play(&personality).await;
        let client = client(&registry, Chunking::WhenNeeded);
        let there = into_registry(&registry, &client, HERE);
        let source = [all(endpoint::layout(from.clone()))];
        assert_done(&copy_with(&source, &there, &plain).await);
        registry.forget();
        assert_done(&copy_with(&source, &there, &plain).await);
        assert_eq!(registry.lines(), [format!("HEAD /v2/{HERE}/manifests/v1")], "{}", personality.name);
    }
}

#[tokio::test]
async fn dist_170_dist_113_a_token_server_elsewhere_gets_the_password_only_when_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let (from, _) = image(&folder);
    let registry = play(&Personality::hub()).await;
    let password = Credential::password("me", "hunter2");
    let environment =
        Environment { given: BTreeMap::from([(registry.address(), password)]), ..Environment::default() };
    let client = Client::new(Settings { environment, ..quick() }).unwrap();
    let there = into_registry(&registry, &client, HERE);
    let report = copy(&[one(endpoint::layout(from), "v1")], &there).await;
    let (kind, message, remedy) = failure(&report);
    assert_eq!(kind, Kind::Denied, "{message}");
    assert!(message.contains("token realm") && remedy.contains("allow it as a realm"), "{message} {remedy}");
    assert!(registry.requests().iter().all(|seen| seen.header("authorization").is_none()));
}
