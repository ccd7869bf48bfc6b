//! Reading manifests and blobs.

use http::Method;
use transship_layout::{Layout, Name};
use transship_serve::{Error, Service};
use transship_spec::{Descriptor, Digest, Index, MediaType};

use crate::support::{Registry, content, layout, write_image};

#[tokio::test]
async fn dist_10_the_base_answers_with_and_without_its_slash() {
    let registry = Registry::new();
    for path in ["/v2/", "/v2"] {
        let reply = registry.get(path).await.is(200);
        assert_eq!(reply.body, "{}");
        assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
        registry.head(path).await.is(200);
    }
    registry.get("/v1/").await.is(404);
    registry.get("/").await.is(404);
}

#[tokio::test]
async fn dist_15_23_a_manifest_comes_byte_for_byte_by_tag_and_by_digest() {
    let registry = Registry::new();
    let image = write_image(&registry.layout, "image", &["v1"]);
    for reference in
        ["v1".to_owned(), image.digest().to_string(), image.digest().to_string().replace(':', "%3A")]
    {
        let target = format!("/v2/app/manifests/{reference}");
        let reply = registry.get(&target).await.is(200);
        assert_eq!(&reply.body, image.bytes());
        let head = registry.head(&target).await.is(200);
        for reply in [&reply, &head] {
            assert_eq!(reply.header("content-type"), MediaType::OCI_MANIFEST.as_str());
            assert_eq!(reply.header("docker-content-digest"), image.digest().to_string());
            assert_eq!(reply.header("content-length"), image.bytes().len().to_string());
        }
    }
    for absent in ["v2", "-bad", &Digest::sha256(b"absent").to_string()] {
        let target = format!("/v2/app/manifests/{absent}");
        registry.get(&target).await.refused(404, "MANIFEST_UNKNOWN");
        registry.head(&target).await.is(404);
    }
    registry.get("/v2/other/manifests/v1").await.is(404);
    registry.get("/v2/app/manifests/sha256:baddigeststring").await.refused(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn a_manifest_is_found_within_an_index_and_after_its_name_moved_on() {
    let registry = Registry::new();
    let member = registry.image("app", "member", None).await;
    registry.put_manifest(&format!("/v2/app/manifests/{}", member.digest()), &member).await.is(201);
    let index = Index::new(vec![member.descriptor()]).to_document().unwrap();
    registry.put_manifest("/v2/app/manifests/v1", &index).await.is(201);
    assert_eq!(registry.entries(), ["v1"]);
    registry.put_image("app", "v1", "next").await;
    for document in [&member, &index] {
        let reply = registry.get(&format!("/v2/app/manifests/{}", document.digest())).await.is(200);
        assert_eq!(&reply.body, document.bytes());
        assert_eq!(reply.header("content-type"), document.media_type().as_str());
    }
    let layer = registry.put_blob("app", b"{\"schemaVersion\": 1}").await;
    registry.get(&format!("/v2/app/manifests/{}", layer.digest)).await.refused(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn dist_20_a_blob_comes_whole() {
    let registry = Registry::new();
    let all = content(1_000_003);
    let blob = registry.put_blob("app", &all).await;
    let target = format!("/v2/app/blobs/{}", blob.digest);
    let reply = registry.get(&target).await.is(200);
    assert_eq!(reply.body, all);
    let head = registry.head(&target).await.is(200);
    for reply in [&reply, &head] {
        assert_eq!(reply.header("content-length"), "1000003");
        assert_eq!(reply.header("docker-content-digest"), blob.digest.to_string());
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert_eq!(reply.header("accept-ranges"), "bytes");
    }
    let absent = format!("/v2/app/blobs/{}", Digest::sha256(b"absent"));
    registry.get(&absent).await.refused(404, "BLOB_UNKNOWN");
    registry.head(&absent).await.is(404);
}

#[tokio::test]
async fn dist_21_the_six_ranges() {
    let registry = Registry::new();
    let all = content(300_000);
    let blob = registry.put_blob("app", &all).await;
    let target = format!("/v2/app/blobs/{}", blob.digest);
    let ask = async |range: &str| registry.send(Method::GET, &target, &[("range", range)], "").await;
    for (range, start, end) in [
        ("bytes=0-9", 0, 10),
        ("bytes=140000-", 140_000, 300_000),
        ("bytes=-5", 299_995, 300_000),
        ("bytes=299999-999999", 299_999, 300_000),
    ] {
        let reply = ask(range).await.is(206);
        assert_eq!(reply.body, all[start..end], "{range}");
        assert_eq!(reply.header("content-range"), format!("bytes {start}-{}/300000", end - 1));
        assert_eq!(reply.header("content-length"), (end - start).to_string());
    }
    for range in ["bytes=300000-", "bytes=500-0"] {
        let reply = ask(range).await;
        reply.refused(416, "RANGE_INVALID");
        assert_eq!(reply.header("content-range"), "bytes */300000");
    }
    let other = [("range", "bytes=0-9"), ("if-range", "\"other\"")];
    assert_eq!(registry.send(Method::GET, &target, &other, "").await.is(200).body, all);
    let same = format!("\"{}\"", blob.digest);
    let same = [("range", "bytes=0-9"), ("if-range", same.as_str())];
    registry.send(Method::GET, &target, &same, "").await.is(206);
}

#[tokio::test]
async fn dist_38_an_empty_blob_is_a_blob() {
    let registry = Registry::new();
    let blob = registry.put_blob("app", b"").await;
    let reply = registry.get(&format!("/v2/app/blobs/{}", blob.digest)).await.is(200);
    assert_eq!((reply.header("content-length"), reply.body.len()), ("0", 0));
}

#[tokio::test]
async fn dist_191_repositories_are_named_by_full_references_or_by_the_folder() {
    let registry = Registry::of_references();
    let one = write_image(&registry.layout, "one", &["registry.example/team/app:v1"]);
    let two = write_image(&registry.layout, "two", &["index.docker.io/library/alpine:3", "v2"]);
    let digest =
        async |target: &str| registry.head(target).await.is(200).header("docker-content-digest").to_owned();
    assert_eq!(digest("/v2/team/app/manifests/v1").await, one.digest().to_string());
    assert_eq!(digest("/v2/library/alpine/manifests/3").await, two.digest().to_string());
    assert_eq!(digest("/v2/layout/manifests/v2").await, two.digest().to_string());
    registry.get("/v2/registry.example/team/app/manifests/v1").await.is(404);
}

#[tokio::test]
async fn several_layouts_are_served_each_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (layout(&folder, "one"), layout(&folder, "two"));
    let (first, second) = (write_image(&one, "one", &["v1"]), write_image(&two, "two", &["v1"]));
    let registry = Registry::with(|builder, _| builder.mount("one", one).mount("a/two", two));
    for (name, image) in [("one", first), ("a/two", second)] {
        let reply = registry.get(&format!("/v2/{name}/manifests/v1")).await.is(200);
        assert_eq!(&reply.body, image.bytes());
    }
}

#[test]
fn what_cannot_be_served_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let writable = layout(&folder, "layout");
    let reading = Layout::options().open_read_only(writable.path()).unwrap();
    let service = Service::builder;
    assert!(matches!(service().build(), Err(Error::NothingToServe)));
    assert!(matches!(service().mount("UPPER", writable.clone()).build(), Err(Error::Name { .. })));
    let twice = service().mount("a", writable.clone()).mount("a", writable.clone());
    assert!(matches!(twice.build(), Err(Error::Name { .. })));
    assert!(matches!(service().layout(writable).host("a b").build(), Err(Error::Name { .. })));
    assert!(service().layout(reading.clone()).build().is_ok());
    assert!(matches!(service().layout(reading).writable(true).build(), Err(Error::Layout(_))));
}

#[tokio::test]
async fn row_65_what_another_program_changes_is_seen() {
    let registry = Registry::new();
    write_image(&registry.layout, "one", &["v1"]);
    registry.get("/v2/app/manifests/v1").await.is(200);
    for round in 0..20 {
        let image = write_image(&registry.layout, &format!("image {round}"), &["v1"]);
        let reply = registry.get("/v2/app/manifests/v1").await.is(200);
        assert_eq!(&reply.body, image.bytes(), "{round}");
    }
}

#[tokio::test]
async fn row_65_another_layout_in_its_place_is_served_and_a_broken_index_is_passed_over() {
    let registry = Registry::new();
    let old = write_image(&registry.layout, "old", &["v1"]);
    registry.get("/v2/app/manifests/v1").await.is(200);
    let path = registry.layout.path().to_owned();
    std::fs::rename(&path, registry.folder.path().join("moved")).unwrap();
    let reply = registry.get("/v2/app/manifests/v1").await.is(200);
    assert_eq!(&reply.body, old.bytes());

    let new = Layout::options().create(&path).unwrap();
    let image = write_image(&new, "new", &["v1"]);
    assert_eq!(&registry.get("/v2/app/manifests/v1").await.is(200).body, image.bytes());
    std::fs::write(path.join("index.json"), "{").unwrap();
    assert_eq!(&registry.get("/v2/app/manifests/v1").await.is(200).body, image.bytes());
}

#[tokio::test]
async fn law_2_what_an_entry_points_at_is_served_as_the_type_that_it_says() {
    let registry = Registry::new();
    let session = registry.layout.begin().unwrap();
    let strange = session.put_bytes(MediaType::parse("application/x.strange").unwrap(), b"strange").unwrap();
    session.commit(|index| index.set(&Name::short("odd")?, &strange).map(drop)).unwrap();
    let reply = registry.get("/v2/app/manifests/odd").await.is(200);
    assert_eq!((reply.header("content-type"), &reply.body[..]), ("application/x.strange", &b"strange"[..]));
}

#[tokio::test]
async fn a_manifest_that_is_broken_or_missing_on_disk_is_not_sent() {
    let registry = Registry::new();
    let image = write_image(&registry.layout, "image", &["v1"]);
    let descriptor: Descriptor = image.descriptor();
    let path = registry.layout.path().join("blobs/sha256").join(&*descriptor.digest.encoded());
    let broken = vec![b' '; image.bytes().len()];
    std::fs::write(&path, broken).unwrap();
    registry.get("/v2/app/manifests/v1").await.refused(500, "UNKNOWN");
    std::fs::remove_file(&path).unwrap();
    registry.get("/v2/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
}
