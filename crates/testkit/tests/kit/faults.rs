//! Every way to fail, seen by a client that copes with it.

use std::time::Duration;

use bytes::Bytes;
use transship_registry::{Error, Placed};
use transship_spec::{Descriptor, Document, Kind, MediaType};
use transship_testkit::{Fault, TestRegistry, fixtures};

use crate::{get, layer, repository, tag};

async fn with_image() -> (TestRegistry, Document) {
    let registry = TestRegistry::start().await;
    let shape = fixtures::Shape { layers: vec![10, 200_000], ..fixtures::Shape::default() };
    let image = fixtures::image_like(registry.layout(), "localhost/app:v1", &shape);
    (registry, image)
}

#[tokio::test]
async fn a_cut_answer_is_gone_on_with_from_where_it_was_cut() {
    let (registry, image) = with_image().await;
    registry.fault(Fault::on("GET", "/blobs/").nth(1).cut_after(1000));
    let app = repository(&registry.address(), "app");
    let blob = layer(&image);
    assert_eq!(get(&app, &blob).await.unwrap().len() as u64, blob.size);
    let requests = registry.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].header("range"), requests[0].sent()), (None, 1000));
    assert_eq!(requests[1].header("range"), Some("bytes=1000-"));
    assert_eq!((requests[0].status(), requests[1].status()), (Some(200), Some(206)));
    let counts = registry.counts();
    assert_eq!((counts.blob_get, counts.requests, counts.sent), (2, 2, blob.size));
}

#[tokio::test]
async fn a_range_that_is_ignored_begins_anew() {
    let (registry, image) = with_image().await;
    registry.fault(Fault::on("GET", "/blobs/").nth(1).cut_after(1000));
    registry.fault(Fault::on("GET", "/blobs/").nth(2).ignore_range());
    let app = repository(&registry.address(), "app");
    let blob = layer(&image);
    assert_eq!(get(&app, &blob).await.unwrap().len() as u64, blob.size);
    assert_eq!(registry.requests()[1].status(), Some(200));
    assert_eq!(registry.counts().sent, blob.size + 1000);
}

#[tokio::test]
async fn what_stands_still_or_says_nothing_is_asked_again() {
    let (registry, image) = with_image().await;
    registry.fault(Fault::on("GET", "/blobs/").nth(1).stall_after(1000));
    registry.fault(Fault::on("HEAD", "/manifests/").nth(1).silence());
    registry.fault(Fault::on("HEAD", "/manifests/").nth(2).hang_up());
    registry.fault(Fault::on("HEAD", "/manifests/").nth(3).delay(Duration::from_millis(1)));
    let app = repository(&registry.address(), "app");
    assert!(get(&app, &layer(&image)).await.is_ok());
    assert_eq!(app.manifest_head(&tag("v1")).await.unwrap(), Some(image.descriptor()));
    let counts = registry.counts();
    assert_eq!((counts.blob_get, counts.manifest_head), (2, 3));
    let heads: Vec<_> =
        registry.requests().iter().filter(|seen| seen.is("HEAD", "/manifests/")).cloned().collect();
    assert_eq!(
        heads.iter().map(transship_testkit::Seen::status).collect::<Vec<_>>(),
        [None, None, Some(200)]
    );
}

#[tokio::test]
async fn statuses_come_with_headers_and_bodies_and_as_often_as_told() {
    let (registry, image) = with_image().await;
    registry.fault(Fault::on("GET", "/manifests/").times(2).status(429).header("retry-after", "0"));
    let app = repository(&registry.address(), "app");
    assert_eq!(&app.manifest_get(&tag("v1")).await.unwrap().bytes, image.bytes());
    assert_eq!(registry.counts().manifest_get, 3);
    registry.heal().forget();
    assert_eq!(registry.counts().requests, 0);
    registry.fault(Fault::on("*", "/v2/app").after(1).status(403).body("<html>no</html>"));
    app.manifest_get(&tag("v1")).await.unwrap();
    let error = app.manifest_get(&tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().ends_with(": no"), "{error}");
}

#[tokio::test]
async fn wrong_bytes_are_noticed() {
    let (registry, image) = with_image().await;
    registry.fault(Fault::on("GET", "/blobs/").flip_byte(150_000));
    registry.fault(Fault::on("GET", "/manifests/").flip_byte(3));
    let app = repository(&registry.address(), "app");
    assert_eq!(get(&app, &layer(&image)).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(app.manifest_get_exact(&image.descriptor()).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn headers_can_be_missing() {
    let (registry, image) = with_image().await;
    registry.fault(Fault::on("*", "/v2/").without("docker-content-digest").without("content-length"));
    let app = repository(&registry.address(), "app");
    assert_eq!(&app.manifest_get(&tag("v1")).await.unwrap().bytes, image.bytes());
    assert_eq!(app.manifest_head(&tag("v1")).await.unwrap(), Some(image.descriptor()));
    assert_eq!(get(&app, &layer(&image)).await.unwrap().len() as u64, layer(&image).size);
}

#[tokio::test]
async fn a_request_can_be_cut() {
    let registry = TestRegistry::start().await;
    registry.fault(Fault::on("PUT", "/blobs/uploads/").nth(1).cut_request_after(300_000));
    let app = repository(&registry.address(), "app");
    let content = Bytes::from(fixtures::bytes(3, 1_000_000));
    let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    assert_eq!(app.blob_put(&blob, &content, None).await.unwrap(), Placed::Uploaded);
    assert_eq!(get(&app, &blob).await.unwrap(), content);
    let first = registry.requests().into_iter().find(|seen| seen.is("PUT", "")).unwrap();
    assert_eq!((first.received(), first.status()), (300_000, None));
}

#[tokio::test]
async fn dist_88_registries_of_old_have_no_referrers() {
    let registry = TestRegistry::builder().no_referrers().start().await;
    let image = fixtures::image(registry.layout(), "localhost/app:v1", 1);
    let signature = fixtures::signature(registry.layout(), &image, 2);
    let app = repository(&registry.address(), "app");
    assert!(app.referrers(image.digest(), None).await.unwrap().is_empty());
    let name = transship_registry::TagOrDigest::Digest(signature.digest().clone());
    let pushed = app.manifest_put(&name, signature.media_type(), signature.bytes().clone()).await.unwrap();
    app.list_referrer(&signature, &pushed).await.unwrap();
    assert_eq!(app.referrers(image.digest(), None).await.unwrap().len(), 1);
    assert!(app.tags().await.unwrap().len() == 2);
}

#[tokio::test]
async fn dist_23_a_registry_without_head_is_asked_by_get() {
    let registry = TestRegistry::builder().no_head().start().await;
    let image = fixtures::image(registry.layout(), "localhost/app:v1", 1);
    let app = repository(&registry.address(), "app");
    assert_eq!(app.manifest_head(&tag("v1")).await.unwrap(), Some(image.descriptor()));
    assert!(registry.counts().manifest_get > 0);
}

#[tokio::test]
async fn dist_52_mounts_can_be_refused_and_repositories_kept_apart() {
    let content = Bytes::from_static(b"content");
    let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    let registry = TestRegistry::builder().no_mount().start().await;
    let put = async |registry: &TestRegistry, name: &str, from: Option<&str>| {
        repository(&registry.address(), name).blob_put(&blob, &content, from).await.unwrap()
    };
    put(&registry, "src", None).await;
    assert_eq!(put(&registry, "dst", Some("src")).await, Placed::Uploaded);

    let registry = TestRegistry::builder().separate().start().await;
    put(&registry, "src", None).await;
    let head =
        async |name: &str| repository(&registry.address(), name).blob_head(&blob.digest).await.unwrap();
    assert!(head("src").await.is_some());
    assert!(head("dst").await.is_none());
    assert_eq!(put(&registry, "third", Some("dst")).await, Placed::Uploaded);
    assert_eq!(put(&registry, "dst", Some("src")).await, Placed::Mounted);
    assert!(head("dst").await.is_some());
    assert_eq!(registry.counts().mount, 2);
}

#[tokio::test]
async fn a_registry_that_asks_for_a_password_or_takes_nothing() {
    let registry = TestRegistry::builder().login("me", "hunter2").start().await;
    let error = repository(&registry.address(), "app").tags().await.unwrap_err();
    assert!(matches!(error, Error::NoCredentials { .. }), "{error}");
    assert!(registry.requests().iter().all(|seen| seen.header("authorization").is_none()));

    let registry = TestRegistry::builder().read_only().start().await;
    let content = Bytes::from_static(b"content");
    let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    let error = repository(&registry.address(), "app").blob_put(&blob, &content, None).await.unwrap_err();
    assert!(error.to_string().contains("UNSUPPORTED") || error.kind() != Kind::Unexpected, "{error}");
}
