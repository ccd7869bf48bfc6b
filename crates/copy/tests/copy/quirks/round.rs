//! One round with every registry: an image goes there and comes back, with all that belongs to it.

use std::path::Path;

use transship_copy::{Status, endpoint};
use transship_layout::{Layout, Name};
use transship_registry::Chunking;
use transship_spec::Descriptor;
use transship_testkit::personality::Mounts;
use transship_testkit::{Personality, fixtures};

use super::*;
use crate::support::{all, assert_done, blobs, copy, into_layout, layout, one};

/// Bytes of a layer that is larger than any registry here takes in one chunk.
const LAYER: usize = 300_000;

/// The type of the referrers, which even GitLab knows.
const KNOWN: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// An index of two images, a referrer of it and one of an image, and a signature of the older kind.
struct Content {
    layout: Layout,
    root: Descriptor,
}

fn content(path: &Path) -> Content {
    let layout = layout(path);
    let member = |seed, platform: &str| {
        let shape = fixtures::Shape { seed, layers: vec![LAYER, 1000], platform: platform.to_owned() };
        let image = fixtures::image_like(&layout, &format!("only-{seed}"), &shape);
        let platform = Some(transship_spec::Platform::parse(platform).unwrap());
        (Descriptor { platform, ..image.descriptor() }, image)
    };
    let (amd, image) = member(1, "linux/amd64");
    let (arm, _) = member(2, "linux/arm64/v8");
    let index = transship_spec::Index::new(vec![amd, arm]).to_document().unwrap();
    let session = layout.begin().unwrap();
    session.put_document(&index).unwrap();
    session.commit(|edit| edit.set(&Name::short("v1")?, &index.descriptor())).unwrap();
    fixtures::referrer(&layout, &index, KNOWN, 3);
    fixtures::referrer(&layout, &image, KNOWN, 4);
    fixtures::digest_tag(&layout, "", &index, 5);
    Content { layout, root: index.descriptor() }
}

/// The round; what is special to one registry is in `refusals`.
async fn round(personality: Personality, chunking: Chunking) {
    let folder = tempfile::tempdir().unwrap();
    let registry = play(&personality).await;
    let client = client(&registry, chunking);
    let Content { layout: from, root } = content(&folder.path().join("from"));
    let there = into_registry(&registry, &client, HERE);

    let report = copy(&[all(endpoint::layout(from.clone()))], &there).await;
    assert_done(&report);
    assert_eq!(report.referrers, 2);

    let tags = repository(&registry, &client, HERE).tags().await.unwrap();
    let tags: Vec<&str> =
        tags.iter().map(transship_spec::Tag::as_str).filter(|tag| !tag.starts_with("sha256")).collect();
    assert_eq!(tags, ["only-1", "only-2", "v1"]);

    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[all(source(&registry, &client, HERE))], &into_layout(&to, "")).await);
    assert_eq!(blobs(&to), blobs(&from));

    // Nothing to do.
    registry.forget();
    let report = copy(&[one(endpoint::layout(from.clone()), "v1")], &there).await;
    let again = report.roots.iter().all(|root| root.status == Status::Present);
    assert!(again, "{:#?} {:#?}", report.roots, lines(&registry.requests()));
    assert_eq!(registry.counts().writes(), 0, "{:#?}", lines(&registry.requests()));

    // A referrer more, by the API or by the fallback tag.
    let index = from.read_document(&root).unwrap();
    let image = from.read_document(&index.as_index().unwrap().manifests[1]).unwrap();
    let late = fixtures::referrer(&from, &image, KNOWN, 6);
    assert_done(&copy(&[one(endpoint::layout(from.clone()), "v1")], &there).await);
    let listed = repository(&registry, &client, HERE).referrers(image.digest(), None).await.unwrap();
    assert_eq!(listed.iter().map(|listed| &listed.digest).collect::<Vec<_>>(), [late.digest()]);

    // To another repository of the same registry.
    let report =
        copy(&[one(source(&registry, &client, HERE), "v1")], &into_registry(&registry, &client, THERE)).await;
    assert_done(&report);
    let moved = report.content;
    assert_eq!(moved.copied.count, 0, "{moved:?} {:#?}", lines(&registry.requests()));
    assert!(moved.mounted.count > 0);
    let to = layout(&folder.path().join("other"));
    assert_done(&copy(&[one(source(&registry, &client, THERE), "v1")], &into_layout(&to, "v1")).await);
    assert_eq!(blobs(&to), blobs(&from));
    assert_well_behaved(&registry);
}

#[tokio::test]
async fn dist_170_a_round_with_docker_hub() {
    round(Personality::hub(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_171_a_round_with_ghcr() {
    round(Personality::ghcr(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_172_a_round_with_ecr() {
    round(Personality::ecr(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_173_a_round_with_google_artifact_registry() {
    round(Personality::gar(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_174_a_round_with_gcr() {
    round(Personality::gcr(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_175_a_round_with_acr() {
    round(Personality::acr(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_176_a_round_with_harbor() {
    round(Personality::harbor(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_177_a_round_with_quay() {
    round(Personality::quay(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_178_a_round_with_gitlab() {
    round(Personality::gitlab(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_179_a_round_with_artifactory() {
    round(Personality::artifactory(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_180_a_round_with_nexus() {
    round(Personality::nexus(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn dist_181_a_round_with_distribution() {
    round(Personality::distribution(), Chunking::WhenNeeded).await;
}

#[tokio::test]
async fn a_round_with_our_own() {
    let mounts = Mounts { is_separate: true, ..Mounts::default() };
    round(Personality { mounts, ..Personality::default() }, Chunking::WhenNeeded).await;
}
