//! Large blobs are streamed by `PATCH`, and after a cut only what is missing is sent.

use crate::support::{Appetite, Reply, Request, Server, content, layer, quick};
use bytes::Bytes;
use transship_registry::{Client, Error, Repository, Settings};
use transship_spec::Kind;
use transship_testkit::{Fault, TestRegistry};

/// Large enough to be streamed, here.
const LARGE: usize = 1 << 20;

fn streaming() -> Settings {
    let mut settings = quick();
    settings.upload.stream = LARGE as u64;
    settings.upload.chunk = 100_000;
    settings
}

fn repository(registry: &TestRegistry, settings: Settings) -> Repository {
    Client::new(settings).unwrap().repository(&registry.address(), "team/app").unwrap()
}

fn taking(request: &Request) -> Reply {
    match &*request.method {
        "POST" => Reply::new(202).header("Location", format!("/upload/{}", request.number)),
        "PUT" => Reply::new(201),
        "PATCH" => Reply::new(202),
        "HEAD" => Reply::new(404),
        _ => Reply::new(204),
    }
}

async fn put(repository: &Repository, all: &[u8]) -> Result<(), Error> {
    repository.blob_put(&layer(all), &Bytes::from(all.to_vec()), None).await.map(drop)
}

fn methods(server: &Server) -> Vec<String> {
    server.requests().into_iter().map(|request| request.method).collect()
}

/// What a request sends, as `START-END`, where it says so.
fn ranges(server: &Server) -> Vec<(Option<String>, usize)> {
    let patches = server.requests().into_iter().filter(|request| request.method == "PATCH");
    patches.map(|patch| (patch.header("content-range").map(str::to_owned), patch.body.len())).collect()
}

#[tokio::test]
async fn dist_34_a_large_blob_goes_up_by_post_one_patch_without_a_range_and_an_empty_put() {
    let all = content(LARGE);
    let server = Server::start(taking).await;
    put(&server.repository_with(streaming()), &all).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PATCH", "PUT"]);
    let requests = server.requests();
    assert_eq!(requests[1].header("content-range"), None);
    assert_eq!(requests[1].header("content-length"), Some("1048576"));
    assert_eq!(requests[1].body, all);
    assert_eq!(requests[2].header("content-length"), Some("0"));

    let server = Server::start(taking).await;
    put(&server.repository_with(streaming()), &all[1..]).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PUT"], "a smaller one is not worth a request more");
}

#[tokio::test]
async fn u3_row_36_dist_45_a_stream_cut_at_nine_tenths_sends_one_tenth_more() {
    let all = content(LARGE);
    let registry = TestRegistry::start().await;
    registry.fault(Fault::on("PATCH", "/uploads/").nth(1).cut_request_after(LARGE as u64 * 9 / 10));
    put(&repository(&registry, streaming()), &all).await.unwrap();
    let counts = registry.counts();
    assert_eq!((counts.upload_post, counts.upload_patch, counts.upload_put), (1, 2, 1));
    assert_eq!(counts.upload_other, 1, "the session is asked once");
    // The last piece before the cut may be there whole.
    assert!(counts.received <= LARGE as u64 + (64 << 10), "{}", counts.received);
}

#[tokio::test]
async fn row_25_a_stream_that_is_cut_always_goes_on_as_long_as_there_is_progress() {
    let all = content(4 * LARGE);
    let registry = TestRegistry::start().await;
    let mut settings = streaming();
    settings.retry.tries = 3;
    settings.retry.progress = 128 << 10;
    // The body of every request ends after a part of what it should have.
    registry.fault(Fault::on("PATCH", "/uploads/").times(20).cut_request_after(200_000));
    put(&repository(&registry, settings), &all).await.unwrap();
    let counts = registry.counts();
    assert_eq!((counts.upload_post, counts.upload_patch), (1, 21));
    assert!(counts.received <= 4 * LARGE as u64 + 20 * (64 << 10), "{}", counts.received);
}

#[tokio::test]
async fn row_25_a_stream_that_is_cut_always_without_progress_is_given_up() {
    let all = content(LARGE);
    let registry = TestRegistry::start().await;
    let mut settings = streaming();
    settings.retry.tries = 4;
    registry.fault(Fault::on("PATCH", "/uploads/").hang_up());
    let error = put(&repository(&registry, settings), &all).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Network, "{error}");
    assert_eq!(registry.counts().upload_patch, 4);
}

#[tokio::test]
async fn row_36_a_stream_that_is_never_answered_is_asked_for() {
    let all = content(LARGE);
    let server = Server::start(|request| match (&*request.method, request.number) {
        ("PATCH", 1) => Reply::silence(),
        ("GET", _) => Reply::new(204).header("Range", format!("0-{}", LARGE - 1)),
        _ => taking(request),
    })
    .await;
    put(&server.repository_with(streaming()), &all).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PATCH", "GET", "PUT"], "all of it was there");
}

#[tokio::test]
async fn row_37_a_session_that_is_lost_is_begun_anew_and_the_whole_is_sent_again() {
    let all = content(LARGE);
    let hungry = |request: &Request| match (&*request.method, request.number_of_upload()) {
        ("PATCH", Some(0)) => Appetite::Cut(900_000),
        _ => Appetite::All,
    };
    let server = Server::start_hungry(hungry, |request| match &*request.method {
        "GET" => Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#),
        _ => taking(request),
    })
    .await;
    put(&server.repository_with(streaming()), &all).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PATCH", "GET", "POST", "PATCH", "PUT"]);
    assert_eq!(ranges(&server), [(None, 900_000), (None, LARGE)]);
    assert!(server.requests()[5].target.starts_with("/upload/3?"));
}

#[tokio::test]
async fn row_37_streams_of_which_nothing_is_kept_become_chunks() {
    let all = content(LARGE);
    let hungry = |request: &Request| match (&*request.method, request.header("content-range")) {
        ("PATCH", None) => Appetite::Cut(900_000),
        _ => Appetite::All,
    };
    let server = Server::start_hungry(hungry, |request| match &*request.method {
        "GET" => Reply::new(404),
        _ => taking(request),
    })
    .await;
    put(&server.repository_with(streaming()), &all).await.unwrap();
    assert_eq!(ranges(&server)[..2], [(None, 900_000), (None, 900_000)]);
    assert_eq!(ranges(&server)[2], (Some("0-99999".to_owned()), 100_000));
}

#[tokio::test]
async fn row_38_a_server_that_took_a_part_of_a_stream_gets_the_rest_with_its_place() {
    let all = content(LARGE);
    let server = Server::start(|request| match (&*request.method, request.number) {
        ("PATCH", 1) => Reply::new(202).header("Range", "0-599999").header("Location", "/upload/9"),
        _ => taking(request),
    })
    .await;
    put(&server.repository_with(streaming()), &all).await.unwrap();
    assert_eq!(ranges(&server), [(None, LARGE), (Some("600000-1048575".to_owned()), LARGE - 600_000)]);
    assert_eq!(server.requests()[2].target, "/upload/9");
    assert_eq!(server.requests()[2].body, all[600_000..]);
}

#[tokio::test]
async fn row_39_a_stream_that_is_too_large_goes_in_chunks_and_the_next_blob_at_once() {
    for status in [413, 416] {
        let all = content(LARGE);
        let server = Server::start(move |request| match request.body.len() {
            100_001.. => Reply::new(status),
            _ => taking(request),
        })
        .await;
        let repository = server.repository_with(streaming());
        put(&repository, &all).await.unwrap();
        assert_eq!(ranges(&server)[..2], [(None, LARGE), (Some("0-99999".to_owned()), 100_000)], "{status}");
        let before = ranges(&server).len();
        put(&repository, &all).await.unwrap();
        assert_eq!(ranges(&server)[before].1, 100_000, "{status}");
    }
}

#[tokio::test]
async fn dist_171_a_rest_that_is_too_large_for_a_chunk_goes_in_chunks_from_there() {
    let all = content(LARGE);
    let hungry = |request: &Request| match (&*request.method, request.number_of_upload()) {
        ("PATCH", Some(0)) if request.header("content-range").is_none() => Appetite::Cut(300_000),
        _ => Appetite::All,
    };
    let mut held = 300_000;
    let server = Server::start_hungry(hungry, move |request| match &*request.method {
        "PATCH" if request.body.len() > 100_000 => Reply::new(416),
        "PATCH" => {
            held += request.body.len();
            Reply::new(202).header("Range", format!("0-{}", held - 1))
        }
        "GET" => Reply::new(204).header("Range", format!("0-{}", held - 1)),
        _ => taking(request),
    })
    .await;
    put(&server.repository_with(streaming()), &all).await.unwrap();
    let ranges = ranges(&server);
    assert_eq!(ranges[1], (Some("300000-1048575".to_owned()), LARGE - 300_000));
    assert_eq!(ranges[2], (Some("300000-399999".to_owned()), 100_000));
    assert_eq!(ranges.len(), 2 + 8);
    assert_eq!(methods(&server).iter().filter(|method| *method == "POST").count(), 1);
}

#[tokio::test]
async fn dist_172_what_was_acknowledged_counts_when_the_status_does_not_move() {
    let all = content(400_000);
    let mut settings = streaming();
    settings.upload.chunking = transship_registry::Chunking::Always;
    for said in ["0-99999", "0-0"] {
        let server = Server::start(move |request| match (&*request.method, request.number) {
            ("PATCH", 3) => Reply::new(502),
            ("GET", _) => Reply::new(204).header("Range", said),
            _ => taking(request),
        })
        .await;
        put(&server.repository_with(settings.clone()), &all).await.unwrap();
        let starts: Vec<_> = ranges(&server).into_iter().map(|(range, _)| range.unwrap()).collect();
        assert_eq!(starts[2..4], ["200000-299999", "200000-299999"], "{said}");
        assert_eq!(methods(&server).iter().filter(|method| *method == "POST").count(), 1, "{said}");
    }
}

#[tokio::test]
async fn row_38_what_was_put_together_wrongly_is_sent_again_whole() {
    let all = content(LARGE);
    let hungry = |request: &Request| match (&*request.method, request.number_of_upload()) {
        ("PATCH", Some(0)) if request.header("content-range").is_none() => Appetite::Cut(300_000),
        _ => Appetite::All,
    };
    // The session lies about what it has.
    let server =
        Server::start_hungry(hungry, |request| match (&*request.method, request.number_of_upload()) {
            ("GET", _) => Reply::new(204).header("Range", "0-499999"),
            ("PUT", Some(0)) => Reply::new(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#),
            _ => taking(request),
        })
        .await;
    put(&server.repository_with(streaming()), &all).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PATCH", "GET", "PATCH", "PUT", "POST", "PATCH", "PUT"]);
    assert_eq!(ranges(&server)[2], (None, LARGE));
}

#[tokio::test]
async fn a_registry_that_takes_no_patch_gets_a_put_and_is_not_asked_again() {
    for status in [400, 405, 415, 501] {
        let all = content(LARGE);
        let server = Server::start(move |request| match &*request.method {
            "PATCH" => Reply::new(status),
            _ => taking(request),
        })
        .await;
        let repository = server.repository_with(streaming());
        put(&repository, &all).await.unwrap();
        put(&repository, &all).await.unwrap();
        let methods: Vec<_> = methods(&server).into_iter().filter(|method| method != "DELETE").collect();
        assert_eq!(methods, ["POST", "PATCH", "POST", "PUT", "POST", "PUT"], "{status}");
    }
}

#[tokio::test]
async fn a_blob_of_which_only_the_last_answer_was_lost_is_not_sent_again() {
    let all = content(LARGE);
    let mut is_there = false;
    let server = Server::start(move |request| match &*request.method {
        "PUT" => {
            is_there = true;
            Reply::new(502)
        }
        "HEAD" if is_there => Reply::new(200).header("Content-Length", LARGE),
        _ => taking(request),
    })
    .await;
    put(&server.repository_with(streaming()), &all).await.unwrap();
    assert_eq!(methods(&server), ["POST", "PATCH", "PUT", "HEAD"]);
}

#[tokio::test]
async fn a_registry_that_is_away_for_a_while_finds_the_session_again() {
    let all = content(LARGE);
    let registry = TestRegistry::start().await;
    registry.fault(Fault::on("PATCH", "/uploads/").nth(1).cut_request_after(900_000));
    registry.fault(Fault::on("GET", "/uploads/").times(2).status(503));
    registry.fault(Fault::on("GET", "/uploads/").nth(3).hang_up());
    put(&repository(&registry, streaming()), &all).await.unwrap();
    let counts = registry.counts();
    assert_eq!((counts.upload_post, counts.upload_patch, counts.upload_other), (1, 2, 4));
    assert!(counts.received < 1_200_000, "{}", counts.received);
}
