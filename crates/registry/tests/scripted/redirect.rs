//! Redirects are followed, without credentials, and not everywhere.

use bytes::Bytes;
use futures_util::TryStreamExt;
use transship_registry::{Credential, Error, TagOrDigest};
use transship_spec::Kind;

use crate::support::{Reply, Server, content, layer, quick};

#[tokio::test]
async fn dist_24_row_45_a_redirect_to_another_port_gets_no_authorization() {
    let all = content(1000);
    let body = all.clone();
    let storage = Server::start(move |_| Reply::new(200).body(&body)).await;
    for status in [301, 302, 303, 307, 308] {
        let url = storage.url("/data?X-Amz-Signature=abc");
        let server = Server::start(move |request| match request.header("authorization") {
            None => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
            Some(_) => Reply::new(status).header("Location", &url),
        })
        .await;
        let mut settings = quick();
        settings.environment.given.insert(server.address.clone(), Credential::password("me", "pw"));
        let repository = server.repository_with(settings);
        let pieces: Vec<Bytes> = repository.blob_get(&layer(&all)).try_collect().await.unwrap();
        assert_eq!(pieces.concat(), all);
        let last = storage.requests().pop().unwrap();
        assert_eq!(
            (last.header("authorization"), last.header("cookie"), last.header("referer")),
            (None, None, None)
        );
    }
}

#[tokio::test]
async fn dist_24_a_redirect_on_the_same_host_keeps_authorization() {
    let server = Server::start(|request| match (request.header("authorization"), &*request.target) {
        (None, _) => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
        (Some(_), "/moved") => {
            Reply::new(200).header("Content-Type", "application/vnd.oci.image.index.v1+json").body("{}")
        }
        (Some(_), _) => Reply::new(307).header("Location", "/moved"),
    })
    .await;
    let mut settings = quick();
    settings.environment.given.insert(server.address.clone(), Credential::password("me", "pw"));
    let which = TagOrDigest::Digest(layer(b"{}").digest);
    server.repository_with(settings).manifest_get(&which).await.unwrap();
}

#[tokio::test]
async fn row_46_a_redirect_loop_ends() {
    let server =
        Server::start(|request| Reply::new(302).header("Location", format!("{}x", request.target))).await;
    let mut settings = quick();
    settings.retry.tries = 2;
    let error = server.repository_with(settings).manifest_get(&TagOrDigest::Digest(layer(b"x").digest)).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (Kind::Network, 12));
    assert!(error.to_string().contains("more than 5 redirects"), "{error}");
}

#[tokio::test]
async fn row_46_a_redirect_to_a_file_or_to_the_cloud_s_own_network_is_refused() {
    for location in ["file:///etc/passwd", "http://169.254.169.254/latest/meta-data", "gopher://x", "http://"]
    {
        let server = Server::start(move |_| Reply::new(302).header("Location", location)).await;
        let error =
            server.repository().manifest_get(&TagOrDigest::Digest(layer(b"x").digest)).await.unwrap_err();
        assert!(matches!(error, Error::Target { what: "redirect", .. }), "{error}");
        assert_eq!((error.kind(), server.requests().len()), (Kind::Invalid, 1));
    }
}

#[tokio::test]
async fn dist_31_an_upload_location_is_relative_to_where_a_redirect_led() {
    let server = Server::start(|request| match (&*request.method, &*request.target) {
        ("POST", "/v2/team/app/blobs/uploads/") => Reply::new(307).header("Location", "/deep/er/uploads/"),
        ("POST", "/deep/er/uploads/") => Reply::new(202).header("Location", "session"),
        _ => Reply::new(201),
    })
    .await;
    server.repository().blob_put(&layer(b"abc"), &Bytes::from("abc"), None).await.unwrap();
    assert!(server.lines()[2].starts_with("PUT /deep/er/uploads/session?digest="), "{:?}", server.lines());
}

#[tokio::test]
async fn dist_33_an_upload_that_is_sent_elsewhere_is_sent_again_there() {
    let storage = Server::start(|_| Reply::new(201)).await;
    let url = storage.url("/bucket");
    let server = Server::start(move |request| match &*request.method {
        "POST" => Reply::new(202).header("Location", "/upload"),
        _ => Reply::new(307).header("Location", &url),
    })
    .await;
    server.repository().blob_put(&layer(b"abc"), &Bytes::from("abc"), None).await.unwrap();
    assert_eq!(storage.requests()[0].body, b"abc");
}

#[tokio::test]
async fn a_denial_of_the_storage_is_not_answered_with_our_credentials() {
    let storage = Server::start(|_| Reply::new(401).header("WWW-Authenticate", "Basic realm=evil")).await;
    let url = storage.url("/data");
    let server = Server::start(move |_| Reply::new(307).header("Location", &url)).await;
    let mut settings = quick();
    settings.environment.given.insert(server.address.clone(), Credential::password("me", "pw"));
    let result: Result<Vec<Bytes>, Error> =
        server.repository_with(settings).blob_get(&layer(b"x")).try_collect().await;
    assert_eq!(result.unwrap_err().kind(), Kind::Denied);
    assert_eq!(storage.requests().len(), 1);
}
