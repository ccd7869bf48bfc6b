//! Deleting.

use transship_spec::Digest;

use crate::support::{Registry, write_image};

#[tokio::test]
async fn dist_95_a_tag_goes_and_its_manifest_stays() {
    let registry = Registry::new();
    let image = registry.put_image("app", "v1", "image").await;
    registry.put_image("app", "v2", "image").await;
    registry.delete("/v2/app/manifests/v1").await.is(202);
    registry.get("/v2/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    registry.delete("/v2/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    registry.delete("/v2/app/manifests/-bad").await.refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(registry.entries(), ["v2"]);
    registry.delete("/v2/app/manifests/v2").await.is(202);
    registry.get(&format!("/v2/app/manifests/{}", image.digest())).await.is(200);
}

#[tokio::test]
async fn dist_95_a_tag_that_several_names_say_is_gone_at_once() {
    let registry = Registry::new();
    write_image(&registry.layout, "one", &["v1", "registry.example/app:v1"]);
    write_image(&registry.layout, "two", &["registry.example/other:v1"]);
    registry.delete("/v2/app/manifests/v1").await.is(202);
    registry.get("/v2/app/manifests/v1").await.is(404);
    assert!(registry.entries().is_empty());
}

#[tokio::test]
async fn dist_96_a_manifest_goes_with_all_its_tags() {
    let registry = Registry::new();
    let image = registry.put_image("app", "v1", "image").await;
    registry.put_manifest("/v2/app/manifests/v2", &image).await.is(201);
    registry.put_image("app", "other", "other").await;
    let target = format!("/v2/app/manifests/{}", image.digest());
    registry.delete(&target).await.is(202);
    for gone in ["/v2/app/manifests/v1", "/v2/app/manifests/v2", &target] {
        registry.get(gone).await.refused(404, "MANIFEST_UNKNOWN");
    }
    registry.delete(&target).await.refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(registry.entries(), ["other"]);
    registry.put_manifest(&target, &image).await.is(201);
    registry.get(&target).await.is(200);
}

#[tokio::test]
async fn dist_96_in_another_repository_of_the_layout_a_manifest_stays() {
    let registry = Registry::of_references();
    let image = registry.put_image("one", "v1", "image").await;
    registry.put_image("two", "v1", "image").await;
    registry.delete(&format!("/v2/one/manifests/{}", image.digest())).await.is(202);
    registry.get("/v2/one/manifests/v1").await.is(404);
    registry.get("/v2/two/manifests/v1").await.is(200);
}

#[tokio::test]
async fn dist_98_a_blob_goes_and_can_come_back() {
    let registry = Registry::new();
    let blob = registry.put_blob("app", b"content").await;
    let target = format!("/v2/app/blobs/{}", blob.digest);
    registry.delete(&target).await.is(202);
    registry.get(&target).await.refused(404, "BLOB_UNKNOWN");
    registry.delete(&target).await.refused(404, "BLOB_UNKNOWN");
    let mount = format!("/v2/app/blobs/uploads/?mount={}&from=app", blob.digest);
    registry.post(&mount).await.is(202);
    registry.put_blob("app", b"content").await;
    assert_eq!(registry.get(&target).await.is(200).body, "content");
    let absent = Digest::sha256(b"absent");
    registry.delete(&format!("/v2/app/blobs/{absent}")).await.refused(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn dist_62_a_manifest_that_needs_a_deleted_blob_is_refused() {
    let registry = Registry::new();
    let image = registry.image("app", "image", None).await;
    let layer = &image.as_manifest().unwrap().layers[0].digest;
    registry.delete(&format!("/v2/app/blobs/{layer}")).await.is(202);
    registry.put_manifest("/v2/app/manifests/v1", &image).await.refused(404, "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn dist_95_98_without_leave_nothing_is_deleted() {
    let registry = Registry::with(|builder, layout| builder.mount("app", layout).writable(true));
    let image = registry.put_image("app", "v1", "image").await;
    let layer = &image.as_manifest().unwrap().layers[0].digest;
    for target in [
        "/v2/app/manifests/v1".to_owned(),
        format!("/v2/app/manifests/{}", image.digest()),
        format!("/v2/app/blobs/{layer}"),
    ] {
        registry.delete(&target).await.refused(405, "UNSUPPORTED");
        registry.get(&target).await.is(200);
    }
}
