//! Blobs go up whole, by mount or in chunks, and come through what registries and proxies do on the way.

use crate::support::{Appetite, Reply, Request, Server, content, layer, quick};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use transship_registry::{BlobSource, BoxError, Chunking, Error, Placed, Settings};
use transship_spec::Kind;

const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

fn session(number: usize) -> Reply {
    Reply::new(202).header("Location", format!("/upload/{number}?_state=a%3Db"))
}

/// A registry that takes everything.
fn taking(request: &Request) -> Reply {
    match &*request.method {
        "POST" => session(request.number),
        "PUT" => Reply::new(201),
        "PATCH" => Reply::new(202),
        _ => Reply::new(204),
    }
}

fn chunking(chunk: u64) -> Settings {
    let mut settings = quick();
    settings.upload.chunking = Chunking::Always;
    settings.upload.chunk = chunk;
    settings
}

/// All bytes that chunks carried, put where they belong.
fn assembled(requests: &[Request]) -> Vec<u8> {
    let mut all = Vec::new();
    for request in requests.iter().filter(|request| request.method == "PATCH") {
        let start: usize =
            request.header("content-range").unwrap().split('-').next().unwrap().parse().unwrap();
        all.truncate(start);
        assert_eq!(all.len(), start, "a hole before {start}");
        all.extend_from_slice(&request.body);
    }
    all
}

#[tokio::test]
async fn dist_33_a_blob_goes_up_by_post_and_one_put() {
    let all = content(200_000);
    let server = Server::start(taking).await;
    let placed = server.repository().blob_put(&layer(&all), &Bytes::from(all.clone()), None).await.unwrap();
    assert_eq!(placed, Placed::Uploaded);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((&*requests[0].target, requests[0].header("content-length")), (UPLOADS, Some("0")));
    let digest = layer(&all).digest.to_string().replace(':', "%3A");
    assert_eq!(requests[1].target, format!("/upload/0?_state=a%3Db&digest={digest}"));
    assert_eq!(requests[1].header("content-length"), Some("200000"));
    assert_eq!(requests[1].header("content-type"), Some("application/octet-stream"));
    assert_eq!(requests[1].body, all);
}

#[tokio::test]
async fn dist_38_an_empty_blob_goes_up() {
    let server = Server::start(taking).await;
    server.repository().blob_put(&layer(b""), &Bytes::new(), None).await.unwrap();
    assert_eq!(server.requests()[1].header("content-length"), Some("0"));
}

#[tokio::test]
async fn a_broken_upload_is_sent_again_whole_in_a_new_session() {
    let all = content(500_000);
    let hungry = |request: &Request| match request.target.starts_with("/upload/0") {
        true => Appetite::Cut(100_000),
        false => Appetite::All,
    };
    let server = Server::start_hungry(hungry, taking).await;
    server.repository().blob_put(&layer(&all), &Bytes::from(all.clone()), None).await.unwrap();
    let requests = server.requests();
    let puts: Vec<&Request> = requests.iter().filter(|request| request.method == "PUT").collect();
    assert_eq!(puts.len(), 2);
    assert_eq!(puts[1].body, all);
    assert!(!puts[1].target.starts_with("/upload/0"));
}

#[tokio::test]
async fn row_41_a_server_that_fails_once_gets_the_blob_again() {
    for status in [500, 502, 503, 504, 522] {
        let all = content(10_000);
        let server = Server::start(move |request| match request.number {
            1 => Reply::new(status),
            _ => taking(request),
        })
        .await;
        server.repository().blob_put(&layer(&all), &Bytes::from(all.clone()), None).await.unwrap();
        assert_eq!(server.requests().iter().filter(|request| request.method == "PUT").count(), 2, "{status}");
    }
}

#[tokio::test]
async fn row_36_an_upload_that_is_never_answered_is_given_up_and_sent_again() {
    let all = content(10_000);
    let server = Server::start(|request| match request.number {
        1 => Reply::silence(),
        _ => taking(request),
    })
    .await;
    server.repository().blob_put(&layer(&all), &Bytes::from(all.clone()), None).await.unwrap();
    assert_eq!(server.requests().iter().filter(|request| request.method == "PUT").count(), 2);
}

#[tokio::test]
async fn row_37_a_lost_session_is_begun_anew() {
    let all = content(10_000);
    let server = Server::start(|request| match request.number {
        1 => Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#),
        _ => taking(request),
    })
    .await;
    server.repository().blob_put(&layer(&all), &Bytes::from(all.clone()), None).await.unwrap();
}

#[tokio::test]
async fn dist_36_a_refused_digest_is_invalid_after_one_put_and_the_session_is_given_up() {
    let server = Server::start(|request| match &*request.method {
        "PUT" => Reply::new(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#),
        _ => taking(request),
    })
    .await;
    let error = server.repository().blob_put(&layer(b"abc"), &Bytes::from("abX"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let methods: Vec<String> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "PUT", "DELETE"]);
}

#[tokio::test]
async fn dist_45_an_upload_that_breaks_twice_on_the_way_goes_on_in_chunks() {
    let all = content(600_000);
    let hungry = |request: &Request| match (&*request.method, request.header("content-length")) {
        ("PUT", Some("0")) => Appetite::All,
        ("PUT", _) => Appetite::Cut(50_000),
        _ => Appetite::All,
    };
    let server = Server::start_hungry(hungry, taking).await;
    let mut settings = quick();
    settings.upload.chunk = 100_000;
    server.repository_with(settings).blob_put(&layer(&all), &Bytes::from(all.clone()), None).await.unwrap();
    assert_eq!(assembled(&server.requests()), all);
}

#[tokio::test]
async fn dist_41_chunks_are_numbered_and_follow_the_location() {
    let all = content(25);
    let server = Server::start(|request| match &*request.method {
        "PATCH" => {
            let end = request.header("content-range").unwrap().split('-').nth(1).unwrap().to_owned();
            Reply::new(202)
                .header("Location", format!("/upload/{}", request.number))
                .header("Range", format!("0-{end}"))
        }
        _ => taking(request),
    })
    .await;
    server
        .repository_with(chunking(10))
        .blob_put(&layer(&all), &Bytes::from(all.clone()), None)
        .await
        .unwrap();
    let requests = server.requests();
    let ranges: Vec<&str> = requests.iter().filter_map(|request| request.header("content-range")).collect();
    assert_eq!(ranges, ["0-9", "10-19", "20-24"]);
    assert_eq!(assembled(&requests), all);
    assert_eq!(requests[2].target, "/upload/1");
    assert!(requests[4].is("PUT", "/upload/3?digest=sha256%3A"));
}

#[tokio::test]
async fn row_39_chunks_are_as_large_as_the_registry_wants_and_smaller_when_it_says_413() {
    let all = content(3000);
    let server = Server::start(|request| match &*request.method {
        "POST" => session(0).header("OCI-Chunk-Min-Length", 1024),
        _ => taking(request),
    })
    .await;
    server
        .repository_with(chunking(10))
        .blob_put(&layer(&all), &Bytes::from(all.clone()), None)
        .await
        .unwrap();
    let requests = server.requests();
    let ranges: Vec<&str> = requests.iter().filter_map(|request| request.header("content-range")).collect();
    assert_eq!(ranges, ["0-1023", "1024-2047", "2048-2999"]);

    let all = content(600_000);
    let server = Server::start(|request| match request.body.len() {
        200_001.. => Reply::new(413),
        _ if request.method == "GET" => Reply::new(204).header("Range", "0-0"),
        _ => taking(request),
    })
    .await;
    let mut settings = quick();
    settings.upload.chunk = 300_000;
    server.repository_with(settings).blob_put(&layer(&all), &Bytes::from(all.clone()), None).await.unwrap();
    let requests: Vec<Request> =
        server.requests().into_iter().filter(|request| request.body.len() <= 200_000).collect();
    assert_eq!(assembled(&requests), all);
}

#[tokio::test]
async fn u12_a_proxy_that_refuses_large_requests_before_it_has_read_them_gets_chunks() {
    let all = content(3_000_000);
    let is_large = |request: &Request| request.header("content-length").unwrap_or("0").len() > 6;
    let hungry = move |request: &Request| if is_large(request) { Appetite::Early(0) } else { Appetite::All };
    let server = Server::start_hungry(hungry, move |request| match &*request.method {
        _ if is_large(request) => Reply::new(413).header("Connection", "close"),
        "GET" => Reply::new(204).header("Range", "0-0"),
        _ => taking(request),
    })
    .await;
    let repository = server.repository();
    for times_refused in [3, 0] {
        let before = server.requests().len();
        repository.blob_put(&layer(&all), &Bytes::from(all.clone()), None).await.unwrap();
        let (refused, taken): (Vec<Request>, Vec<Request>) =
            server.requests().split_off(before).into_iter().partition(is_large);
        assert_eq!(refused.len(), times_refused);
        assert_eq!(assembled(&taken), all);
    }
}

#[tokio::test]
async fn row_38_dist_45_after_a_failure_the_upload_goes_on_from_what_the_server_has() {
    let all = content(100);
    let server = Server::start(|request| match (&*request.method, request.number) {
        ("PATCH", 2) => Reply::new(502),
        ("GET", _) => Reply::new(204).header("Location", "/upload/9").header("Range", "0-54"),
        ("PATCH", 1) => Reply::new(202).header("Range", "0-39"),
        _ => taking(request),
    })
    .await;
    server
        .repository_with(chunking(50))
        .blob_put(&layer(&all), &Bytes::from(all.clone()), None)
        .await
        .unwrap();
    let requests = server.requests();
    let ranges: Vec<&str> = requests.iter().filter_map(|request| request.header("content-range")).collect();
    assert_eq!(ranges, ["0-49", "40-89", "55-99"]);
    assert_eq!(assembled(&requests), all);
}

#[tokio::test]
async fn dist_172_a_range_that_stands_still_is_not_believed() {
    let all = content(100);
    let server = Server::start(|request| match &*request.method {
        "PATCH" => Reply::new(201).header("Range", "0-49"),
        _ => taking(request),
    })
    .await;
    server
        .repository_with(chunking(50))
        .blob_put(&layer(&all), &Bytes::from(all.clone()), None)
        .await
        .unwrap();
    assert_eq!(assembled(&server.requests()), all);
}

#[tokio::test]
async fn dist_50_a_mount_is_one_request() {
    let server = Server::start(|_| Reply::new(201).header("Location", "/v2/team/app/blobs/x")).await;
    let blob = layer(b"abc");
    let placed = server.repository().blob_put(&blob, &Bytes::from("abc"), Some("other/app")).await.unwrap();
    assert_eq!(placed, Placed::Mounted);
    let digest = blob.digest.to_string().replace(':', "%3A");
    assert_eq!(server.lines(), [format!("POST {UPLOADS}?mount={digest}&from=other%2Fapp")]);
}

#[tokio::test]
async fn dist_50_a_mount_that_becomes_a_session_is_used_for_the_upload() {
    let server = Server::start(taking).await;
    let placed =
        server.repository().blob_put(&layer(b"abc"), &Bytes::from("abc"), Some("other/app")).await.unwrap();
    assert_eq!((placed, server.requests().len()), (Placed::Uploaded, 2));
    assert!(!server.repository().mount(&layer(b"abc").digest, "other/app").await.unwrap());
    assert_eq!(server.requests().last().unwrap().method, "DELETE");
}

#[tokio::test]
async fn dist_52_a_refused_mount_is_an_upload() {
    for status in [400, 401, 403, 404, 405, 500] {
        let server = Server::start(move |request| match request.target.contains("mount=") {
            true => Reply::new(status),
            false => taking(request),
        })
        .await;
        let placed =
            server.repository().blob_put(&layer(b"abc"), &Bytes::from("abc"), Some("other")).await.unwrap();
        assert_eq!(placed, Placed::Uploaded, "{status}");
    }
}

#[tokio::test]
async fn dist_32_row_45_an_upload_location_elsewhere_gets_no_credentials() {
    let storage = Server::start(|_| Reply::new(201)).await;
    let elsewhere = storage.url("/storage?sig=abc");
    let server = Server::start(move |request| match request.header("authorization") {
        None => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
        Some(_) => Reply::new(202).header("Location", &elsewhere),
    })
    .await;
    let mut settings = quick();
    let credential = transship_registry::Credential::password("me", "hunter2");
    settings.environment.given.insert(server.address.clone(), credential);
    server.repository_with(settings).blob_put(&layer(b"abc"), &Bytes::from("abc"), None).await.unwrap();
    assert_eq!(storage.requests().len(), 1);
    assert_eq!(storage.requests()[0].header("authorization"), None);
    assert_eq!(storage.requests()[0].body, b"abc");
}

#[tokio::test]
async fn dist_32_a_location_in_the_cloud_s_own_network_is_refused() {
    let server = Server::start(|_| Reply::new(202).header("Location", "http://169.254.169.254/latest")).await;
    let error = server.repository().blob_put(&layer(b"abc"), &Bytes::from("abc"), None).await.unwrap_err();
    assert!(matches!(error, Error::Target { what: "upload location", .. }), "{error}");
}

/// A source that gives other content than it should.
struct Wrong(&'static str);

impl BlobSource for Wrong {
    fn open(&self, _offset: u64) -> BoxStream<'static, Result<Bytes, BoxError>> {
        match self.0 {
            "fails" => stream::iter([Ok(Bytes::from("ab")), Err("the disk is gone".into())]).boxed(),
            text => stream::iter([Ok(Bytes::from(text))]).boxed(),
        }
    }
}

#[tokio::test]
async fn a_source_that_fails_or_has_another_size_ends_the_upload() {
    for (source, words) in
        [("fails", "the disk is gone"), ("abc", "ends 7 bytes early"), ("0123456789!", "more than the 10")]
    {
        let server = Server::start(taking).await;
        let error =
            server.repository().blob_put(&layer(b"0123456789"), &Wrong(source), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Storage, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(server.requests().iter().filter(|request| request.method == "POST").count() == 1);
    }
}
