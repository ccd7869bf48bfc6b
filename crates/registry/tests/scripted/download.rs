//! Blobs come whole and verified, or not at all: cuts, stalls, lies and servers that ignore `Range`.

use std::time::Duration;

use crate::support::{Reply, Request, Server, content, layer, quick};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use transship_registry::{Error, Repository, Retry, Timeouts};
use transship_spec::{Descriptor, Kind, Verifier};

async fn get(repository: &Repository, blob: &Descriptor) -> Result<Vec<u8>, Error> {
    let pieces: Vec<Bytes> = repository.blob_get(blob).try_collect().await?;
    Ok(pieces.concat())
}

/// Where a request wants the content to begin.
fn start(request: &Request) -> usize {
    let range = request.header("range").map_or("bytes=0-", |range| range);
    range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
}

/// The content from where the request wants it.
fn part(request: &Request, all: &[u8]) -> Reply {
    let start = start(request);
    if request.header("range").is_none() {
        return Reply::new(200).body(all);
    }
    let range = format!("bytes {start}-{}/{}", all.len() - 1, all.len());
    Reply::new(206).header("Content-Range", range).body(&all[start..])
}

#[tokio::test]
async fn dist_20_a_blob_comes_whole_and_the_stream_ends() {
    let all = content(100_000);
    let body = all.clone();
    let server = Server::start(move |request| part(request, &body)).await;
    assert_eq!(get(&server.repository(), &layer(&all)).await.unwrap(), all);
    let request = &server.requests()[0];
    assert_eq!(request.target, format!("/v2/team/app/blobs/{}", layer(&all).digest));
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert_eq!(request.header("range"), None);
}

#[tokio::test]
async fn a_blob_for_who_hashes_by_itself_is_resumed_and_its_size_is_checked() {
    let all = content(100_000);
    let mut other = all.clone();
    other[99_999] ^= 1;
    let body = other.clone();
    let server = Server::start(move |request| match request.number {
        0 => part(request, &body).cut(70_000),
        1 => part(request, &body),
        _ => Reply::new(200).body(&body[1..]),
    })
    .await;
    let rest: Vec<Bytes> =
        server.repository().blob_unhashed(&layer(&all), 10_000).try_collect().await.unwrap();
    assert_eq!(rest.concat(), other[10_000..], "the receiver finds out");
    let short: Result<Vec<Bytes>, Error> =
        server.repository().blob_unhashed(&layer(&all), 0).try_collect().await;
    assert_eq!(short.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn dist_22_row_24_a_cut_body_resumes_by_range() {
    let all = content(300_000);
    let body = all.clone();
    let server = Server::start(move |request| match request.number {
        0..3 => part(request, &body).cut(70_000),
        _ => part(request, &body),
    })
    .await;
    assert_eq!(get(&server.repository(), &layer(&all)).await.unwrap(), all);
    let starts: Vec<usize> = server.requests().iter().map(start).collect();
    assert_eq!(starts, [0, 70_000, 140_000, 210_000]);
}

#[tokio::test]
async fn row_25_a_body_that_is_always_cut_goes_on_while_there_is_progress() {
    let all = content(200_000);
    let body = all.clone();
    let server = Server::start(move |request| part(request, &body).cut(10_000)).await;
    let mut settings = quick();
    settings.retry = Retry { tries: 3, progress: 15_000, ..settings.retry };
    let got = get(&server.repository_with(settings.clone()), &layer(&all)).await.unwrap();
    assert_eq!(got, all);
    assert_eq!(server.requests().len(), 20);

    let server = Server::start(|_| Reply::new(200).header("Content-Length", 200_000).body("x").cut(0)).await;
    let error = get(&server.repository_with(settings), &layer(&all)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.to_string().contains("(after 3 tries): "), "{error}");
}

#[tokio::test]
async fn row_26_where_range_is_ignored_what_is_held_is_passed_over_twice() {
    let all = content(100_000);
    let body = all.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::new(200).body(&body).cut(30_000),
        1 => Reply::new(200).body(&body).cut(60_000),
        _ => Reply::new(200).body(&body),
    })
    .await;
    assert_eq!(get(&server.repository(), &layer(&all)).await.unwrap(), all);

    let body = all.clone();
    let server =
        Server::start(move |request| Reply::new(200).body(&body).cut(10_000 * (request.number + 1))).await;
    let error = get(&server.repository(), &layer(&all)).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (Kind::Limit, 4));
}

#[tokio::test]
async fn row_27_a_wrong_part_is_not_taken() {
    let all = content(50_000);
    for wrong in ["bytes 0-49999/50000", "bytes 20001-49999/50000", "bytes 20000-49999/49999", "nonsense"] {
        let body = all.clone();
        let server = Server::start(move |request| match (request.number, request.header("range")) {
            (0, _) => Reply::new(200).body(&body).cut(20_000),
            (_, Some(_)) => Reply::new(206).header("Content-Range", wrong).body(&body[20_000..]),
            (_, None) => Reply::new(200).body(&body),
        })
        .await;
        assert_eq!(get(&server.repository(), &layer(&all)).await.unwrap(), all, "{wrong}");
    }
}

#[tokio::test]
async fn row_28_416_means_from_the_start() {
    let all = content(50_000);
    let body = all.clone();
    let server = Server::start(move |request| match (request.number, request.header("range")) {
        (0, _) => Reply::new(200).body(&body).cut(20_000),
        (_, Some(_)) => Reply::new(416),
        (_, None) => Reply::new(200).body(&body),
    })
    .await;
    assert_eq!(get(&server.repository(), &layer(&all)).await.unwrap(), all);
}

#[tokio::test]
async fn row_29_a_flipped_byte_never_ends_well() {
    let all = content(50_000);
    let mut body = all.clone();
    body[12_345] ^= 1;
    let server = Server::start(move |request| part(request, &body)).await;
    let error = get(&server.repository(), &layer(&all)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains(&layer(&all).digest.to_string()), "{error}");
    assert!(error.to_string().contains("content has digest"), "{error}");
}

#[tokio::test]
async fn row_30_a_short_body_is_told_by_its_length() {
    let all = content(50_000);
    let body = all[..20_000].to_vec();
    let server = Server::start(move |_| Reply::new(200).body(&body)).await;
    let error = get(&server.repository(), &layer(&all)).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (Kind::Invalid, 1));
    assert!(error.to_string().ends_with("has 20000 bytes, not 50000"), "{error}");
}

#[tokio::test]
async fn row_31_row_32_reading_stops_at_the_first_byte_too_many() {
    let all = content(50_000);
    let body = content(1_000_000);
    let server = Server::start(move |_| Reply::new(200).body(&body).chunked()).await;
    let mut stream = server.repository().blob_get(&layer(&all));
    let (mut given, mut failure) = (0, None);
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => given += piece.len(),
            Err(error) => failure = Some(error),
        }
    }
    assert!(given <= 50_000);
    assert_eq!(failure.unwrap().kind(), Kind::Invalid);

    let body = content(60_000);
    let server = Server::start(move |_| Reply::new(200).body(&body)).await;
    assert_eq!(get(&server.repository(), &layer(&all)).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn row_33_a_stall_is_found_and_the_download_goes_on() {
    let all = content(100_000);
    let body = all.clone();
    let server = Server::start(move |request| match request.number {
        0 => part(request, &body).stall(40_000),
        _ => part(request, &body),
    })
    .await;
    assert_eq!(get(&server.repository(), &layer(&all)).await.unwrap(), all);
    assert_eq!(start(&server.requests()[1]), 40_000);
}

#[tokio::test]
async fn row_34_a_trickle_is_given_up() {
    let all = content(10_000);
    let body = all.clone();
    let server = Server::start(move |request| part(request, &body).trickle(Duration::from_millis(5))).await;
    let mut settings = quick();
    settings.retry.tries = 2;
    settings.timeouts =
        Timeouts { low_speed_window: Duration::from_millis(100), low_speed: 100_000, ..settings.timeouts };
    let error = get(&server.repository_with(settings), &layer(&all)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.to_string().contains("bytes a second"), "{error}");
}

#[tokio::test]
async fn row_35_silence_before_the_head_is_found() {
    let all = content(1000);
    let body = all.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::silence(),
        _ => part(request, &body),
    })
    .await;
    assert_eq!(get(&server.repository(), &layer(&all)).await.unwrap(), all);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_reader_that_takes_its_time_is_no_stall() {
    let all = content(400_000);
    let body = all.clone();
    let server = Server::start(move |request| part(request, &body)).await;
    let mut settings = quick();
    settings.timeouts.idle = Duration::from_millis(30);
    let mut stream = server.repository_with(settings).blob_get(&layer(&all));
    let mut got = Vec::new();
    while let Some(piece) = stream.next().await {
        if got.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        got.extend_from_slice(&piece.unwrap());
    }
    assert_eq!((got, server.requests().len()), (all, 1));
}

#[tokio::test]
async fn a_download_goes_on_from_what_an_earlier_one_left() {
    let all = content(80_000);
    let body = all.clone();
    let server = Server::start(move |request| part(request, &body)).await;
    let blob = layer(&all);
    let mut verifier = Verifier::new(&blob.digest, Some(blob.size));
    verifier.update(&all[..33_333]).unwrap();
    let rest: Vec<Bytes> = server.repository().blob_resume(&blob, verifier).try_collect().await.unwrap();
    assert_eq!(rest.concat(), &all[33_333..]);
    assert_eq!(start(&server.requests()[0]), 33_333);

    let mut wrong = Verifier::new(&blob.digest, Some(blob.size));
    wrong.update(&[0; 33_333]).unwrap();
    let result: Result<Vec<Bytes>, Error> = server.repository().blob_resume(&blob, wrong).try_collect().await;
    assert_eq!(result.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn what_is_held_whole_is_verified_without_a_request() {
    let all = content(1000);
    let server = Server::start(|_| Reply::new(500)).await;
    let blob = layer(&all);
    let mut verifier = Verifier::new(&blob.digest, Some(blob.size));
    verifier.update(&all).unwrap();
    assert_eq!(server.repository().blob_resume(&blob, verifier).count().await, 0);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn dist_20_an_absent_blob_is_not_found_after_one_request() {
    let server = Server::start(|_| {
        Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#)
    })
    .await;
    let error = get(&server.repository(), &layer(b"x")).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (Kind::NotFound, 1));
    assert!(error.to_string().ends_with("BLOB_UNKNOWN: blob unknown"), "{error}");
    assert!(error.exchange().unwrap().has_code("BLOB_UNKNOWN"));
}

#[tokio::test]
async fn dist_22_an_encoded_blob_is_refused() {
    let all = content(1000);
    let body = all.clone();
    let server = Server::start(move |_| Reply::new(200).header("Content-Encoding", "gzip").body(&body)).await;
    let error = get(&server.repository(), &layer(&all)).await.unwrap_err();
    assert!(error.to_string().contains("encoded as gzip"), "{error}");
}
