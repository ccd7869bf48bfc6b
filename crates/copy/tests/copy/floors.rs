//! The fewest requests that the protocol lets a copy make, row by row of `docs/bench.md`, at small size.
//!
//! A list of tags is one request here. Referrers are not asked for: they cost what the tests of law 10 say.

use std::path::Path;

use transship_copy::{Destination, Endpoint, Options, Referrers, Report, endpoint};
use transship_layout::{Layout, Name};
use transship_registry::Client;
use transship_spec::{Descriptor, Manifest, MediaType, Reference};
use transship_testkit::{Counts, TestRegistry};

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
    let uploads = (counts.upload_post, counts.upload_put);
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
async fn floor_images_are_pushed_by_two_requests_a_blob_and_one_more_where_it_is_large() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"));
    let place = Place::start().await;
    let (counts, _) = place.counts(endpoint::layout(from), &place.to("images")).await;
    assert_eq!(
        (counts.manifest_head, counts.blob_head),
        (0, LARGE),
        "a push that broke left large ones there"
    );
    assert_eq!(counts.requests, 1 + N + 2 * BLOBS + LARGE, "{counts:?}");
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
