//! Manifests: exact bytes, right digests, honest media types.

use bytes::Bytes;
use transship_registry::{Error, TagOrDigest};
use transship_spec::{Descriptor, Digest, Kind, MediaType, Tag};

use crate::support::{Reply, Server, quick};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn tag() -> TagOrDigest {
    TagOrDigest::Tag(Tag::parse("v1").unwrap())
}

fn digest(body: &[u8]) -> TagOrDigest {
    TagOrDigest::Digest(Digest::sha256(body))
}

/// A server with one answer.
async fn serving(content_type: &'static str, claim: Option<String>, body: &'static str) -> Server {
    Server::start(move |_| {
        let reply = Reply::new(200).header("Content-Type", content_type).body(body);
        match &claim {
            Some(claim) => reply.header("Docker-Content-Digest", claim),
            None => reply,
        }
    })
    .await
}

#[tokio::test]
async fn dist_15_dist_16_a_manifest_comes_as_it_is_and_is_asked_for_with_accept() {
    let body = "{ \"manifests\" : [],\n\"x\":1.50 }";
    let server = serving("application/vnd.oci.image.index.v1+json; charset=utf-8", None, body).await;
    let manifest = server.repository().manifest_get(&tag()).await.unwrap();
    assert_eq!(manifest.bytes, body);
    assert_eq!(
        (manifest.media_type, manifest.digest),
        (MediaType::OCI_INDEX, Digest::sha256(body.as_bytes()))
    );
    let accept = server.requests()[0].header("accept").unwrap().to_owned();
    for wanted in [INDEX, MANIFEST, "application/vnd.docker.distribution.manifest.list.v2+json", "*/*"] {
        assert!(accept.contains(wanted), "{accept}");
    }
}

#[tokio::test]
async fn dist_179_only_requests_for_manifests_say_what_they_accept() {
    let server = Server::start(|_| Reply::new(404)).await;
    let repository = server.repository();
    let _ = repository.tags().await;
    let _ = repository.blob_head(&Digest::sha256(b"x")).await;
    let _ = repository.referrers(&Digest::sha256(b"x"), None).await;
    for request in server.requests().iter().filter(|request| !request.target.contains("/manifests/")) {
        assert_eq!(request.header("accept"), Some("*/*"), "{}", request.target);
    }
}

#[tokio::test]
async fn dist_19_row_48_a_digest_that_lies_is_found() {
    let body = r#"{"manifests":[]}"#;
    let wrong = Digest::sha256(b"other").to_string();
    for which in [tag(), digest(body.as_bytes())] {
        let server = serving(INDEX, Some(wrong.clone()), body).await;
        let error = server.repository().manifest_get(&which).await.unwrap_err();
        assert_eq!((error.kind(), server.requests().len()), (Kind::Invalid, 2));
    }
    let server = serving(INDEX, None, body).await;
    assert_eq!(server.repository().manifest_get(&digest(b"other")).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn dist_19_the_claim_may_be_of_another_algorithm_and_is_checked_with_it() {
    let body = r#"{"manifests":[]}"#;
    let sha512 = Digest::sha512(body.as_bytes());
    let server = serving(INDEX, Some(sha512.to_string()), body).await;
    let own = server.repository().manifest_get(&digest(body.as_bytes())).await.unwrap();
    assert_eq!(own.digest, Digest::sha256(body.as_bytes()));
    assert_eq!(server.repository().manifest_get(&tag()).await.unwrap().digest, sha512);
    let lie = Digest::sha512(b"other").to_string();
    let server = serving(INDEX, Some(lie), body).await;
    assert_eq!(
        server.repository().manifest_get(&digest(body.as_bytes())).await.unwrap_err().kind(),
        Kind::Invalid
    );
}

#[tokio::test]
async fn row_29_a_manifest_that_came_broken_is_asked_for_once_more() {
    let body = r#"{"manifests":[]}"#;
    let server = Server::start(move |request| {
        let body = if request.number == 0 { r#"{"manifests":[!}"# } else { body };
        Reply::new(200).header("Content-Type", INDEX).body(body)
    })
    .await;
    server.repository().manifest_get(&digest(body.as_bytes())).await.unwrap();
}

#[tokio::test]
async fn dist_18_by_tag_header_and_body_must_agree_and_by_digest_the_body_is_believed() {
    let body = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let server = serving(MANIFEST, None, body).await;
    let error = server.repository().manifest_get(&tag()).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    let manifest = server.repository().manifest_get(&digest(body.as_bytes())).await.unwrap();
    assert_eq!(manifest.media_type, MediaType::OCI_INDEX);
}

#[tokio::test]
async fn dist_18_a_static_host_that_calls_it_text_is_understood() {
    let body = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let server = serving("text/plain", None, body).await;
    assert_eq!(server.repository().manifest_get(&tag()).await.unwrap().media_type, MediaType::OCI_INDEX);
    let bare = serving("text/plain", None, r#"{"config":{},"layers":[]}"#).await;
    assert_eq!(bare.repository().manifest_get(&tag()).await.unwrap().media_type, MediaType::OCI_MANIFEST);
}

#[tokio::test]
async fn img_156_the_type_of_the_descriptor_is_kept_where_the_bytes_are_right() {
    let body = r#"{"manifests":[]}"#;
    let server = serving("text/plain", None, body).await;
    let expected = Descriptor::of(MediaType::DOCKER_LIST, body.as_bytes());
    let manifest = server.repository().manifest_get_exact(&expected).await.unwrap();
    assert_eq!(manifest.media_type, MediaType::DOCKER_LIST);
    assert_eq!(manifest.descriptor(), expected);
    let mut wrong = expected.clone();
    wrong.size += 1;
    assert_eq!(server.repository().manifest_get_exact(&wrong).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn dist_25_a_manifest_beyond_the_limit_is_refused_early() {
    let announced =
        Server::start(|_| Reply::new(200).header("Content-Length", 64 << 20).body("{}").stall(2)).await;
    let endless = Server::start(|_| Reply::new(200).body(vec![b' '; 5 << 20]).chunked()).await;
    for server in [announced, endless] {
        let error = server.repository().manifest_get(&tag()).await.unwrap_err();
        assert_eq!((error.kind(), server.requests().len()), (Kind::Limit, 1), "{error}");
    }
    let server = Server::start(|_| Reply::new(500)).await;
    let mut huge = Descriptor::of(MediaType::OCI_INDEX, b"x");
    huge.size = 1 << 62;
    assert_eq!(server.repository().manifest_get_exact(&huge).await.unwrap_err().kind(), Kind::Limit);
    let put = server
        .repository()
        .manifest_put(&tag(), &MediaType::OCI_INDEX, Bytes::from(vec![b' '; 5 << 20]))
        .await;
    assert_eq!(put.unwrap_err().kind(), Kind::Limit);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn dist_23_a_head_that_tells_all_costs_one_request_and_another_is_a_get() {
    let body = r#"{"manifests":[]}"#;
    let server = serving(INDEX, Some(Digest::sha256(body.as_bytes()).to_string()), body).await;
    let descriptor = server.repository().manifest_head(&tag()).await.unwrap().unwrap();
    assert_eq!(descriptor, Descriptor::of(MediaType::OCI_INDEX, body.as_bytes()));
    assert_eq!(server.requests().len(), 1);

    let server = serving(INDEX, None, body).await;
    assert_eq!(server.repository().manifest_head(&tag()).await.unwrap(), Some(descriptor.clone()));
    assert_eq!(server.requests().len(), 2);

    for status in [403, 405] {
        let server = Server::start(move |request| match &*request.method {
            "HEAD" => Reply::new(status),
            _ => Reply::new(200).header("Content-Type", INDEX).body(body),
        })
        .await;
        assert_eq!(
            server.repository().manifest_head(&tag()).await.unwrap(),
            Some(descriptor.clone()),
            "{status}"
        );
    }
    let server = Server::start(|_| Reply::new(404)).await;
    assert_eq!(server.repository().manifest_head(&tag()).await.unwrap(), None);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn dist_60_a_manifest_is_put_as_it_is_and_the_answer_is_checked() {
    let body = Bytes::from("{ \"manifests\": [] }");
    let right = Digest::sha256(&body);
    let subject = Digest::sha256(b"subject");
    let (claim, seen) = (right.to_string(), subject.to_string());
    let server = Server::start(move |_| {
        Reply::new(201).header("Docker-Content-Digest", &claim).header("OCI-Subject", &seen)
    })
    .await;
    let pushed = server.repository().manifest_put(&tag(), &MediaType::OCI_INDEX, body.clone()).await.unwrap();
    assert_eq!((pushed.digest, pushed.subject), (right, Some(subject)));
    let request = &server.requests()[0];
    assert_eq!((&*request.method, &*request.target), ("PUT", "/v2/team/app/manifests/v1"));
    assert_eq!((request.header("content-type"), &request.body[..]), (Some(INDEX), &body[..]));

    let lie = Digest::sha256(b"other").to_string();
    let server = Server::start(move |_| Reply::new(201).header("Docker-Content-Digest", &lie)).await;
    let error = server.repository().manifest_put(&tag(), &MediaType::OCI_INDEX, body).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn dist_62_missing_content_is_told_by_its_code() {
    let server = Server::start(|_| {
        Reply::new(404)
            .body(r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#)
    })
    .await;
    let error =
        server.repository().manifest_put(&tag(), &MediaType::OCI_INDEX, Bytes::from("{}")).await.unwrap_err();
    assert!(error.exchange().unwrap().has_code("MANIFEST_BLOB_UNKNOWN"));
}

#[tokio::test]
async fn what_was_just_pushed_may_take_a_moment_to_be_there() {
    let body = r#"{"manifests":[]}"#;
    let server = Server::start(move |request| match (&*request.method, request.number) {
        ("PUT", _) => Reply::new(201),
        (_, 0..3) => Reply::new(404),
        _ => Reply::new(200).header("Content-Type", INDEX).body(body),
    })
    .await;
    let repository = server.repository();
    let pushed = repository.manifest_put(&tag(), &MediaType::OCI_INDEX, Bytes::from(body)).await.unwrap();
    repository.manifest_get(&TagOrDigest::Digest(pushed.digest)).await.unwrap();
    let error = repository.manifest_get(&digest(b"never pushed")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn dist_172_the_same_manifest_twice_is_no_failure() {
    let body = r#"{"manifests":[]}"#;
    let own = Digest::sha256(body.as_bytes()).to_string();
    let server = Server::start(move |request| match &*request.method {
        "PUT" => Reply::new(400).body(r#"{"errors":[{"code":"ImageAlreadyExistsException"}]}"#),
        _ => Reply::new(200).header("Content-Type", INDEX).header("Docker-Content-Digest", &own).body(body),
    })
    .await;
    let repository = server.repository();
    repository.manifest_put(&tag(), &MediaType::OCI_INDEX, Bytes::from(body)).await.unwrap();
    let other = repository.manifest_put(&tag(), &MediaType::OCI_INDEX, Bytes::from("{}")).await;
    assert!(matches!(other, Err(Error::Refused(_))), "{other:?}");
}

#[tokio::test]
async fn dist_95_a_tag_that_cannot_be_deleted_is_unsupported_and_the_manifest_is_left_alone() {
    let server = Server::start(|_| Reply::new(405).body(r#"{"errors":[{"code":"UNSUPPORTED"}]}"#)).await;
    let error = server.repository_with(quick()).tag_delete(&Tag::parse("v1").unwrap()).await.unwrap_err();
    assert_eq!(
        (error.kind(), server.lines()),
        (Kind::Unsupported, vec!["DELETE /v2/team/app/manifests/v1".to_owned()])
    );
}
