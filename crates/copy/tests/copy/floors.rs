//! The fewest requests that the protocol lets a copy make, row by row of `docs/bench.md`, at small size.
//!
//! A list of tags is one request here. Referrers are not asked for: they cost what the tests of law 10 say.

use std::path::Path;

use transship_copy::{Destination, Endpoint, Options, Referrers, Report, endpoint};
use transship_layout::{Layout, Name};
use transship_registry::Client;
use transship_spec::{Descriptor, Manifest, MediaType, Reference};
use transship_testkit::{Counts, DockerRegistry, Fault, TestRegistry};

use crate::support::*;

/// Artifacts, or images.
const N: usize = 20;
/// Layers that images share, and that are worth a question before they are sent.
const LARGE: usize = 3;

/// Artifacts of one small blob each; all have the empty config.
fn artifacts(path: &Path) -> Layout {
    let layout = layout(path);
    let session = layout.begin().unwrap();
    let artifact = |at: usize| {
        let blob = session.put_bytes(MediaType::parse("x/blob").unwrap(), &content(500, at as u8)).unwrap();
        let empty = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
        let artifact_type = Some(MediaType::parse("application/vnd.example.small").unwrap());
        put(&session, &Manifest { artifact_type, ..Manifest::new(empty, vec![blob]) })
    };
    let roots: Vec<Descriptor> = (0..N).map(artifact).collect();
    session.commit(|index| name(index, &roots)).unwrap();
    layout
}

/// Images that share large layers; each has a config and a small layer of its own.
fn images(path: &Path) -> Layout {
    let layout = layout(path);
    let session = layout.begin().unwrap();
    let large = |seed| session.put_bytes(MediaType::OCI_LAYER_TAR, &content(70_000, seed)).unwrap();
    let shared: Vec<Descriptor> = (100..100 + LARGE as u8).map(large).collect();
    let roots: Vec<Descriptor> =
        (0..N).map(|at| put(&session, &image(&session, at as u8, &shared[..=at % LARGE]))).collect();
    session.commit(|index| name(index, &roots)).unwrap();
    layout
}

fn name(index: &mut transship_layout::IndexEdit<'_>, roots: &[Descriptor]) -> transship_layout::Result<()> {
    for (at, root) in roots.iter().enumerate() {
        index.set(&Name::short(&format!("v{at}"))?, root)?;
    }
    Ok(())
}

/// Blobs of the images.
const BLOBS: usize = 2 * N + LARGE;

struct Place {
    registry: TestRegistry,
    client: Client,
}

impl Place {
    /// A registry whose repositories share nothing.
    async fn start() -> Self {
        Self { registry: TestRegistry::builder().separate().start().await, client: client().0 }
    }

    fn to(&self, name: &str) -> Destination {
        let reference = Reference::parse(&self.registry.reference(name)).unwrap();
        Destination::Registry { client: self.client.clone(), reference }
    }

    fn from(&self, name: &str) -> std::sync::Arc<dyn Endpoint> {
        endpoint::registry(self.client.repository(&self.registry.address(), name).unwrap())
    }

    /// What a copy of everything asks of the registry.
    async fn counts(&self, from: std::sync::Arc<dyn Endpoint>, to: &Destination) -> (Counts, Report) {
        self.registry.forget();
        let options = Options { referrers: Referrers::None, digest_tags: false, ..Options::default() };
        let report = copy_with(&[all(from)], to, &options).await;
        assert_done(&report);
        (self.registry.counts(), report)
    }
}

#[tokio::test]
async fn floor_n_small_artifacts_are_pulled_by_2n_and_2_requests_and_again_by_n_and_1() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (artifacts(&folder.path().join("from")), layout(&folder.path().join("to")));
    let place = Place::start().await;
    place.counts(endpoint::layout(from.clone()), &place.to("small")).await;

    let (counts, _) = place.counts(place.from("small"), &into_layout(&to, "")).await;
    assert_eq!((counts.tags, counts.manifest_get, counts.blob_get), (1, N, N + 1), "{counts:?}");
    assert_eq!(counts.requests, 2 * N + 2);
    assert_eq!(blobs(&to), blobs(&from));

    let (counts, report) = place.counts(place.from("small"), &into_layout(&to, "")).await;
    assert_eq!((counts.tags, counts.manifest_head), (1, N), "what is known is only asked for its digest");
    assert_eq!(counts.requests, N + 1);
    assert_eq!(report.content.manifests.count, 0);
}

#[tokio::test]
async fn floor_n_small_artifacts_are_pushed_to_an_empty_repository_by_3n_and_3_requests_and_again_by_n_and_1()
{
    let folder = tempfile::tempdir().unwrap();
    let from = artifacts(&folder.path().join("from"));
    let place = Place::start().await;
    let (counts, _) = place.counts(endpoint::layout(from.clone()), &place.to("small")).await;
    let uploads = (counts.upload_post + counts.mount, counts.upload_put);
    assert_eq!((counts.tags, uploads, counts.manifest_put), (1, (N + 1, N + 1), N), "{counts:?}");
    assert_eq!(counts.requests, 3 * N + 3);

    let (counts, _) = place.counts(endpoint::layout(from), &place.to("small")).await;
    assert_eq!((counts.tags, counts.manifest_head, counts.requests), (1, N, N + 1), "{counts:?}");
}

#[tokio::test]
async fn floor_n_small_artifacts_are_pushed_beside_others_by_4n_and_2_requests() {
    let folder = tempfile::tempdir().unwrap();
    let from = artifacts(&folder.path().join("from"));
    let other = layout(&folder.path().join("other"));
    let session = other.begin().unwrap();
    let subject = put(&session, &image(&session, 200, &[]));
    let root = referrer(&session, &subject, 201);
    session.commit(|index| index.set(&Name::short("other")?, &root)).unwrap();
    let place = Place::start().await;
    place.counts(endpoint::layout(other), &place.to("small")).await;

    let (counts, report) = place.counts(endpoint::layout(from), &place.to("small")).await;
    assert_eq!((counts.tags, counts.manifest_head), (1, N), "none has its name, but any may be there");
    assert_eq!((counts.blob_head, report.content.present.count), (1, 1), "the empty config is likely there");
    assert_eq!((counts.upload_put, counts.manifest_put, counts.requests), (N, N, 4 * N + 2), "{counts:?}");
}

#[tokio::test]
async fn floor_images_are_pulled_by_one_request_each_for_manifests_and_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (images(&folder.path().join("from")), layout(&folder.path().join("to")));
    let place = Place::start().await;
    place.counts(endpoint::layout(from.clone()), &place.to("images")).await;
    let (counts, _) = place.counts(place.from("images"), &into_layout(&to, "")).await;
    assert_eq!(counts.requests, 1 + N + BLOBS, "{counts:?}");
    assert_eq!(blobs(&to), blobs(&from));
}

#[tokio::test]
async fn floor_images_are_pushed_by_two_requests_a_blob() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"));
    let place = Place::start().await;
    let (counts, _) = place.counts(endpoint::layout(from), &place.to("images")).await;
    assert_eq!((counts.manifest_head, counts.blob_head), (0, 0), "an upload asks for what is large");
    assert_eq!(counts.requests, 1 + N + 2 * BLOBS, "{counts:?}");
}

/// One image of four layers, each worth a question.
fn large_image(path: &Path) -> Layout {
    let layout = layout(path);
    let session = layout.begin().unwrap();
    let large = |seed| session.put_bytes(MediaType::OCI_LAYER_TAR, &content(70_000, seed)).unwrap();
    let layers: Vec<Descriptor> = (100..104).map(large).collect();
    let config =
        session.put_bytes(MediaType::OCI_CONFIG, br#"{"architecture":"amd64","os":"linux"}"#).unwrap();
    let root = put(&session, &Manifest::new(config, layers));
    session.commit(|index| name(index, std::slice::from_ref(&root))).unwrap();
    layout
}

#[tokio::test]
async fn dist_182_an_image_is_pushed_to_a_new_repository_without_a_question_for_each_layer() {
    let folder = tempfile::tempdir().unwrap();
    let from = large_image(&folder.path().join("from"));
    let place = Place::start().await;
    let (counts, _) = place.counts(endpoint::layout(from), &place.to("new")).await;
    // Tag, digest, tags; two requests a blob (and one more where it is streamed, which takes 32 MiB); the manifest.
    assert_eq!((counts.manifest_head, counts.tags, counts.blob_head), (2, 1, 0), "{counts:?}");
    assert_eq!(counts.requests, 3 + 2 * 5 + 1, "with four streams this is 18: {counts:?}");
}

#[tokio::test]
async fn dist_182_what_a_broken_push_left_in_a_new_repository_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let from = large_image(&folder.path().join("from"));
    let place = Place::start().await;
    place.registry.fault(Fault::on("PUT", "/manifests/").times(1).status(400));
    let options = Options { referrers: Referrers::None, digest_tags: false, ..Options::default() };
    let report = copy_with(&[all(endpoint::layout(from.clone()))], &place.to("new"), &options).await;
    assert_eq!(report.failures().count(), 1);

    let (counts, report) = place.counts(endpoint::layout(from.clone()), &place.to("new")).await;
    assert_eq!((counts.mount, counts.upload_put, report.content.present.count), (5, 0, 5), "{counts:?}");

    // Who refuses to be asked so is asked by HEAD.
    let place = Place::start().await;
    place.registry.fault(Fault::on("PUT", "/manifests/").times(1).status(400));
    copy_with(&[all(endpoint::layout(from.clone()))], &place.to("new"), &options).await;
    let place = Place { client: client().0, ..place };
    place.registry.fault(Fault::on("POST", "mount=").status(400));
    let (counts, report) = place.counts(endpoint::layout(from), &place.to("new")).await;
    assert_eq!((counts.upload_put, report.content.present.count), (1, 4), "{counts:?}");
}

#[tokio::test]
async fn floor_images_are_mounted_by_one_request_a_blob_and_two_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"));
    let place = Place::start().await;
    place.counts(endpoint::layout(from), &place.to("images")).await;
    let (counts, report) = place.counts(place.from("images"), &place.to("mounted")).await;
    assert_eq!(
        (counts.tags, counts.mount, report.content.mounted.count),
        (2, BLOBS, BLOBS as u64),
        "{counts:?}"
    );
    assert_eq!((counts.manifest_get, counts.manifest_put), (N, N));
    assert_eq!(counts.requests, 2 + 2 * N + BLOBS);
}

#[tokio::test]
async fn dist_182_the_cncf_registry_tells_by_a_mount_what_a_broken_push_left() {
    let folder = tempfile::tempdir().unwrap();
    let from = large_image(&folder.path().join("from"));
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    let there = destination(&registry, &client, "app");
    let plain = Options { referrers: Referrers::None, digest_tags: false, ..Options::default() };
    let repository = repository(&registry, &client, "app");
    for seed in 100..103 {
        let content = bytes::Bytes::from(content(70_000, seed));
        let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
        repository.blob_put(&blob, &content, None).await.unwrap();
    }
    requests.take();
    let report = copy_with(&[all(endpoint::layout(from))], &there, &plain).await;
    assert_done(&report);
    assert_eq!((report.content.present.count, report.content.copied.count), (3, 2));
    // A list of tags; tag and digest; an upload is begun for each blob, and ended for what is missing; the manifest.
    assert_eq!(requests.take(), [1, 2, 5, 2 + 1]);
}
