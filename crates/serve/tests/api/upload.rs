//! Uploading blobs.

use http::Method;
use transship_spec::{Descriptor, Digest, MediaType};

use crate::support::{Registry, content, layout, write_image};

fn digest(content: &[u8]) -> Digest {
    Digest::sha256(content)
}

async fn there(registry: &Registry, content: &[u8]) -> bool {
    let reply = registry.get(&format!("/v2/app/blobs/{}", digest(content))).await;
    if reply.status == 200 {
        assert_eq!(reply.body, content);
    }
    reply.status == 200
}

#[tokio::test]
async fn dist_30_33_post_and_put() {
    let registry = Registry::new();
    let all = content(2_000_000);
    let reply = registry.post("/v2/app/blobs/uploads/").await.is(202);
    assert_eq!(reply.header("range"), "0-0");
    assert!(!reply.header("docker-upload-uuid").is_empty());
    let target = format!("{}?digest={}", reply.header("location"), digest(&all));
    let length = all.len().to_string();
    let headers = [("content-length", length.as_str()), ("content-type", "application/octet-stream")];
    let reply = registry.send(Method::PUT, &target, &headers, all.clone()).await.is(201);
    assert_eq!(reply.header("docker-content-digest"), digest(&all).to_string());
    let location = reply.header("location").to_owned();
    assert_eq!(registry.get(&location).await.is(200).body, all);
    assert!(!registry.layout.path().join(".transship/tmp").read_dir().is_ok_and(|dir| dir.count() > 0));
}

#[tokio::test]
async fn dist_34_one_patch_without_a_range_and_an_empty_put() {
    let registry = Registry::new();
    let all = content(700_001);
    let location = registry.upload().await;
    let reply = registry.send(Method::PATCH, &location, &[], all.clone()).await.is(202);
    assert_eq!(reply.header("range"), "0-700000");
    let target = format!("{}?digest={}", reply.header("location"), digest(&all));
    registry.send(Method::PUT, &target, &[("content-length", "0")], "").await.is(201);
    assert!(there(&registry, &all).await);
    registry.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn dist_35_a_blob_in_one_post() {
    let registry = Registry::new();
    let target = format!("/v2/app/blobs/uploads/?digest={}", digest(b"content"));
    let reply = registry.send(Method::POST, &target, &[], "content").await.is(201);
    assert_eq!(reply.header("location"), format!("/v2/app/blobs/{}", digest(b"content")));
    assert!(there(&registry, b"content").await);
}

#[tokio::test]
async fn dist_36_wrong_content_is_refused_five_ways_and_nothing_stays() {
    let registry = Registry::new();
    let (wrong, target) = (content(600_000), digest(b"right"));
    let with = |location: &str| format!("{location}?digest={target}");
    let refused = async |method: Method, location: &str, body: Vec<u8>| {
        registry.send(method, location, &[], body).await.refused(400, "DIGEST_INVALID");
    };
    refused(Method::POST, &with("/v2/app/blobs/uploads/"), wrong.clone()).await;
    let location = registry.upload().await;
    refused(Method::PUT, &with(&location), wrong.clone()).await;
    let length = wrong.len().to_string();
    let location = registry.upload().await;
    let headers = [("content-length", length.as_str())];
    registry
        .send(Method::PUT, &with(&location), &headers, wrong.clone())
        .await
        .refused(400, "DIGEST_INVALID");
    let location = registry.upload().await;
    registry.send(Method::PATCH, &location, &[("content-range", "0-599999")], wrong.clone()).await.is(202);
    refused(Method::PUT, &with(&location), Vec::new()).await;
    let location = registry.upload().await;
    registry.send(Method::PATCH, &location, &[], wrong.clone()).await.is(202);
    refused(Method::PUT, &with(&location), b"more".to_vec()).await;
    assert_eq!(registry.layout.blobs().unwrap().count(), 0);
    let location = registry.upload().await;
    for bad in ["", "?digest=", "?digest=sha256:abc", "?digest=md5:abc", "?digest=nonsense"] {
        let reply = registry.send(Method::PUT, &format!("{location}{bad}"), &[], "x").await;
        reply.refused(400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn dist_37_sha512_is_taken_with_and_without_a_word_beforehand() {
    let registry = Registry::new();
    let all = content(100_000);
    let digest = Digest::sha512(&all);
    let post = format!("/v2/app/blobs/uploads/?digest={digest}");
    registry.send(Method::POST, &post, &[("content-length", "100000")], all.clone()).await.is(201);
    let other = content(100_001);
    let reply = registry.post("/v2/app/blobs/uploads/?digest-algorithm=sha512").await.is(202);
    let location = reply.header("location");
    registry.send(Method::PATCH, location, &[], other.clone()).await.is(202);
    let put = format!("{location}?digest={}", Digest::sha512(&other));
    registry.send(Method::PUT, &put, &[], "").await.is(201);
    for (digest, all) in [(digest, all), (Digest::sha512(&other), other)] {
        assert_eq!(registry.get(&format!("/v2/app/blobs/{digest}")).await.is(200).body, all);
    }
}

#[tokio::test]
async fn dist_41_44_chunks_in_order_and_the_last_one_with_the_put() {
    let registry = Registry::new();
    let all = content(30);
    let mut location = registry.upload().await;
    for (range, part) in [("0-9", &all[..10]), ("10-19", &all[10..20])] {
        let headers = [("content-range", range), ("content-length", "10")];
        let reply = registry.send(Method::PATCH, &location, &headers, part.to_vec()).await.is(202);
        assert_eq!(reply.header("range"), format!("0-{}", &range[range.len() - 2..].trim_start_matches('-')));
        location = reply.header("location").to_owned();
    }
    let target = format!("{location}?digest={}", digest(&all));
    let headers = [("content-range", "20-29"), ("content-length", "10")];
    registry.send(Method::PUT, &target, &headers, all[20..].to_vec()).await.is(201);
    assert!(there(&registry, &all).await);
}

#[tokio::test]
async fn dist_42_what_is_out_of_order_is_refused_with_where_to_go_on() {
    let registry = Registry::new();
    let location = registry.upload().await;
    registry.send(Method::PATCH, &location, &[("content-range", "0-3")], "0123").await.is(202);
    let put = format!("{location}?digest={}", digest(b"01234567"));
    for (method, target) in [(Method::PATCH, &location), (Method::PUT, &put)] {
        for range in ["0-3", "8-11", "3-6"] {
            let reply = registry.send(method.clone(), target, &[("content-range", range)], "4567").await;
            reply.refused(416, "BLOB_UPLOAD_INVALID");
            assert_eq!((reply.header("location"), reply.header("range")), (location.as_str(), "0-3"));
        }
    }
    for bad in ["bytes 4-7", "4", "7-4", "4-7/8"] {
        let reply = registry.send(Method::PATCH, &location, &[("content-range", bad)], "4567").await;
        reply.refused(400, "BLOB_UPLOAD_INVALID");
    }
    let headers = [("content-range", "4-8"), ("content-length", "4")];
    registry.send(Method::PATCH, &location, &headers, "4567").await.refused(400, "SIZE_INVALID");
    registry.send(Method::PUT, &put, &[("content-range", "4-7")], "4567").await.is(201);
}

#[tokio::test]
async fn dist_43_an_upload_tells_how_far_it_came() {
    let registry = Registry::new();
    let location = registry.upload().await;
    assert_eq!(registry.get(&location).await.is(204).header("range"), "0-0");
    registry.send(Method::PATCH, &location, &[], "0123456789").await.is(202);
    let reply = registry.get(&location).await.is(204);
    assert_eq!((reply.header("range"), reply.header("location")), ("0-9", location.as_str()));
    let elsewhere = location.replace("/app/", "/other/");
    registry.get(&elsewhere).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    registry.get("/v2/app/blobs/uploads/none").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn dist_46_an_upload_that_is_given_up_leaves_nothing() {
    let registry = Registry::new();
    let location = registry.upload().await;
    registry.send(Method::PATCH, &location, &[], content(10_000)).await.is(202);
    registry.delete(&location).await.is(204);
    registry.get(&location).await.is(404);
    registry.delete(&location).await.is(404);
    assert!(!registry.layout.path().join(".transship").exists());
}

#[tokio::test]
async fn dist_46_uploads_are_bounded_and_idle_ones_make_room() {
    let registry = Registry::limited(|limits| {
        limits.uploads = 2;
        limits.upload_idle = std::time::Duration::from_secs(3600);
    });
    let first = registry.upload().await;
    registry.upload().await;
    let reply = registry.post("/v2/app/blobs/uploads/").await;
    reply.refused(429, "TOOMANYREQUESTS");
    assert!(!reply.header("retry-after").is_empty());
    registry.delete(&first).await.is(204);
    registry.upload().await;

    let registry = Registry::limited(|limits| {
        limits.uploads = 1;
        limits.upload_idle = std::time::Duration::ZERO;
    });
    let first = registry.upload().await;
    registry.upload().await;
    registry.get(&first).await.is(404);
}

#[tokio::test]
async fn dist_46_uploads_that_were_begun_and_left_make_room_when_there_is_none() {
    let registry = Registry::limited(|limits| {
        limits.uploads = 2;
        limits.upload_empty = std::time::Duration::ZERO;
    });
    let full = registry.upload().await;
    registry.send(Method::PATCH, &full, &[], content(10)).await.is(202);
    let empty = registry.upload().await;
    registry.upload().await;
    registry.get(&empty).await.is(404);
    registry.get(&full).await.is(204);
    let other = registry.upload().await;
    registry.send(Method::PATCH, &other, &[], content(10)).await.is(202);
    registry.post("/v2/app/blobs/uploads/").await.refused(429, "TOOMANYREQUESTS");
}

#[tokio::test]
async fn dist_50_53_a_blob_is_mounted_or_an_upload_begins() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (layout(&folder, "one"), layout(&folder, "two"));
    let image = write_image(&one, "layer", &["v1"]);
    let layer = image.as_manifest().unwrap().layers[0].digest.clone();
    let registry = Registry::with(|builder, app| {
        builder.mount("app", app).mount("one", one).mount("two", two).writable(true)
    });
    let mount = |query: String| format!("/v2/app/blobs/uploads/?mount={query}");
    let absent = digest(b"absent");
    for query in [
        format!("{absent}&from=one"),
        format!("{layer}&from=two"),
        format!("{layer}&from=none"),
        format!("{layer}&from=UPPER"),
        format!("{layer}"),
    ] {
        let reply = registry.post(&mount(query)).await.is(202);
        assert!(reply.header("location").contains("/app/blobs/uploads/"));
    }
    let reply = registry.post(&mount(format!("{layer}&from=one"))).await.is(201);
    assert_eq!(reply.header("location"), format!("/v2/app/blobs/{layer}"));
    assert_eq!(registry.get(reply.header("location")).await.is(200).body, "layer");
    registry.post(&mount(layer.to_string())).await.is(201);
    registry.post(&mount("nonsense&from=one".to_owned())).await.refused(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn a_blob_past_the_limit_is_refused_before_and_while_it_comes() {
    let registry = Registry::limited(|limits| limits.blob = 1000);
    let location = registry.upload().await;
    let put = format!("{location}?digest={}", digest(&content(1001)));
    let huge = [("content-length", "1099511627776")];
    registry.send(Method::PUT, &put, &huge, "").await.refused(413, "SIZE_INVALID");
    registry.send(Method::PATCH, &location, &[], content(1001)).await.refused(413, "SIZE_INVALID");
    registry.send(Method::PATCH, &location, &[], content(1000)).await.is(202);
    registry.send(Method::PATCH, &location, &[], "x").await.refused(413, "SIZE_INVALID");
}

#[tokio::test]
async fn row_66_what_came_before_a_body_broke_off_stays_and_the_upload_goes_on() {
    let registry = Registry::new();
    let all = content(900_000);
    let location = registry.upload().await;
    let pieces = vec![
        Ok(hyper::body::Frame::data(bytes::Bytes::from(all[..600_000].to_vec()))),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
    let request = http::Request::patch(&location).body(body).unwrap();
    assert_eq!(registry.service.handle(request).await.status(), 400);
    assert_eq!(registry.get(&location).await.is(204).header("range"), "0-599999");
    let rest = all[600_000..].to_vec();
    let put = format!("{location}?digest={}", digest(&all));
    registry.send(Method::PUT, &put, &[("content-range", "600000-899999")], rest).await.is(201);
    assert!(there(&registry, &all).await);
}

#[tokio::test]
async fn row_66_a_put_of_the_whole_that_broke_off_goes_on_too() {
    let registry = Registry::new();
    let all = content(900_000);
    let location = registry.upload().await;
    let put = format!("{location}?digest={}", digest(&all));
    let pieces = vec![
        Ok(hyper::body::Frame::data(bytes::Bytes::from(all[..600_000].to_vec()))),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
    let request = http::Request::put(&put).header("content-length", "900000").body(body).unwrap();
    assert_eq!(registry.service.handle(request).await.status(), 400);
    assert_eq!(registry.get(&location).await.is(204).header("range"), "0-599999");
    registry.send(Method::PATCH, &location, &[], all[600_000..].to_vec()).await.is(202);
    registry.send(Method::PUT, &put, &[("content-length", "0")], "").await.is(201);
    assert!(there(&registry, &all).await);
}

#[tokio::test]
async fn row_64_a_body_that_stands_still_is_ended() {
    let registry = Registry::limited(|limits| limits.silence = std::time::Duration::from_millis(1));
    let location = registry.upload().await;
    let body = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>,
    >());
    let request = http::Request::patch(&location).body(body).unwrap();
    assert_eq!(registry.service.handle(request).await.status(), 408);
    registry.send(Method::PATCH, &location, &[], "on").await.is(202);
}

#[tokio::test]
async fn dist_192_a_registry_that_only_reads_takes_nothing() {
    let registry = Registry::with(|builder, layout| {
        write_image(&layout, "image", &["v1"]);
        builder.mount("app", layout)
    });
    let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, b"image");
    for (method, target) in [
        (Method::POST, "/v2/app/blobs/uploads/".to_owned()),
        (Method::PUT, "/v2/app/manifests/v2".to_owned()),
        (Method::DELETE, "/v2/app/manifests/v1".to_owned()),
        (Method::DELETE, format!("/v2/app/blobs/{}", blob.digest)),
        (Method::PATCH, "/v2/app/blobs/uploads/x".to_owned()),
        (Method::POST, "/v2/app/tags/list".to_owned()),
        (Method::PUT, "/v2/".to_owned()),
        (Method::DELETE, "/v2/_catalog".to_owned()),
    ] {
        let reply = registry.send(method, &target, &[], "").await;
        reply.refused(405, "UNSUPPORTED");
        assert!(reply.header("allow").starts_with("GET"), "{target}");
    }
    registry.get("/v2/app/manifests/v1").await.is(200);
    assert!(!registry.layout.path().join(".transship").exists());
}
