//! A large blob that comes slowly is fetched by several requests, in order, in bounds, and without loss by any failure.

use std::time::Duration;

use futures_util::stream::StreamExt as _;
use futures_util::{TryStreamExt as _, future};
use transship_registry::{Client, Segments, Settings};

use crate::support::{Reply, Request, Server, content, layer, patient};

const SIZE: usize = 1 << 20;

/// Settings by which a megabyte is large, and everything is slow.
fn eager() -> Settings {
    let segments = Segments {
        most: 3,
        bytes: 64 << 10,
        least: 256 << 10,
        probe: Duration::from_millis(1),
        slower_than: u64::MAX,
        latency: Duration::ZERO,
    };
    Settings { segments, ..patient() }
}

/// The start of the range that is asked for, and the end behind its last byte, where it has one.
fn range(request: &Request) -> Option<(usize, Option<usize>)> {
    let (start, last) = request.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    Some((start.parse().unwrap(), last.parse::<usize>().ok().map(|last| last + 1)))
}

/// A server that can give parts, and gives each answer only a piece at a time.
fn give(content: &[u8], request: &Request) -> Reply {
    let reply = match range(request) {
        None => Reply::new(200).header("Accept-Ranges", "bytes").body(content),
        Some((start, end)) => {
            let end = end.unwrap_or(content.len());
            let range = format!("bytes {start}-{}/{}", end - 1, content.len());
            Reply::new(206).header("Content-Range", range).body(&content[start..end])
        }
    };
    reply.pace(8 << 10, Duration::from_millis(1))
}

fn ranges(server: &Server) -> Vec<Option<(usize, Option<usize>)>> {
    server.requests().iter().map(range).collect()
}

#[tokio::test]
async fn dist_21_a_slow_blob_comes_by_several_requests_and_in_order() {
    let all = content(SIZE);
    let body = all.clone();
    let server = Server::start(move |request| give(&body, request)).await;
    let got: Vec<_> = server.repository_with(eager()).blob_get(&layer(&all)).try_collect().await.unwrap();
    assert!(got.concat() == all);
    let ranges = ranges(&server);
    assert_eq!(ranges[0], None);
    let mut segments: Vec<_> = ranges[1..].iter().map(|range| range.unwrap()).collect();
    segments.sort_unstable();
    // They follow each other without gap or overlap from where the first answer was left to the end.
    let ends = segments.iter().map(|(start, end)| (*start, end.unwrap()));
    let mut next = segments[0].0;
    for (start, end) in ends {
        assert!(start == next && end - start <= 64 << 10, "{segments:?}");
        next = end;
    }
    assert_eq!(next, SIZE);
    assert!(segments[0].0 >= 64 << 10 && segments[0].0 < SIZE / 2, "{segments:?}");
}

#[tokio::test]
async fn no_more_segments_are_held_than_allowed_and_one_blob_at_a_time_has_them() {
    let all = content(SIZE);
    let body = all.clone();
    let server = Server::start(move |request| give(&body, request)).await;
    let client = Client::new(Settings { concurrency: 20, ..eager() }).unwrap();
    let repository = client.repository(&server.address, "a").unwrap();
    let mut streams = [repository.blob_get(&layer(&all)), repository.blob_get(&layer(&all))];
    let begun = || server.requests().len() > 2;
    while !begun() {
        for stream in &mut streams {
            stream.next().await.unwrap().unwrap();
        }
    }
    // Nobody reads any more, and all that may come has time to.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!((3..=5).contains(&server.requests().len()), "{:?}", ranges(&server));
    let [one, other] = streams;
    let (one, other) = tokio::join!(one.try_collect::<Vec<_>>(), other.try_collect::<Vec<_>>());
    assert!(one.is_ok() && other.is_ok());
}

#[tokio::test]
async fn segments_take_only_places_that_nobody_else_has() {
    let all = content(SIZE);
    let body = all.clone();
    let server = Server::start(move |request| give(&body, request)).await;
    let settings = Settings { concurrency: 1, ..eager() };
    let got: Vec<_> = server.repository_with(settings).blob_get(&layer(&all)).try_collect().await.unwrap();
    assert!(got.concat() == all);
    assert_eq!(ranges(&server), [None]);
}

#[tokio::test]
async fn row_25_after_a_segment_that_fails_the_rest_is_asked_for_from_the_last_byte() {
    let all = content(SIZE);
    for (status, cut) in [(206, Some(10_000)), (503, None), (429, None), (404, None), (403, None)] {
        let body = all.clone();
        let mut segments = 0;
        let server = Server::start(move |request| {
            let is_segment = range(request).is_some_and(|(_, end)| end.is_some());
            segments += usize::from(is_segment);
            match (is_segment && segments == 3, cut) {
                (true, Some(cut)) => give(&body, request).cut(cut),
                (true, None) => Reply::new(status),
                _ => give(&body, request),
            }
        })
        .await;
        let got = server.repository_with(eager()).blob_get(&layer(&all)).try_collect::<Vec<_>>().await;
        assert!(got.unwrap().concat() == all, "{status}");
        let ranges = ranges(&server);
        let rest = ranges.iter().flatten().find(|(_, end)| end.is_none()).unwrap();
        let failed = ranges.iter().flatten().filter(|(_, end)| end.is_some()).nth(2).unwrap();
        // What came of it is kept.
        assert!(rest.0 >= failed.0 && rest.0 <= failed.0 + cut.unwrap_or(0), "{status}: {ranges:?}");
    }
}

#[tokio::test]
async fn row_26_a_server_that_ignores_ranges_is_asked_for_them_only_once() {
    let all = content(SIZE);
    let body = all.clone();
    let server = Server::start(move |_| {
        let reply = Reply::new(200).header("Accept-Ranges", "bytes").body(&body);
        reply.pace(8 << 10, Duration::from_millis(1))
    })
    .await;
    let settings = Settings { segments: Segments { most: 1, ..eager().segments }, ..eager() };
    let repository = server.repository_with(settings);
    for _ in 0..3 {
        let got: Vec<_> = repository.blob_get(&layer(&all)).try_collect().await.unwrap();
        assert!(got.concat() == all);
    }
    let asked = ranges(&server);
    assert_eq!(
        (asked.len(), asked.iter().flatten().count()),
        (4, 1),
        "the answer under way went on: {asked:?}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_offer_ranges_is_not_asked_for_them() {
    let all = content(SIZE);
    let body = all.clone();
    let reply = move |_: &Request| Reply::new(200).body(&body).pace(8 << 10, Duration::from_millis(1));
    let server = Server::start(reply).await;
    let got = server.repository_with(eager()).blob_get(&layer(&all)).try_collect::<Vec<_>>().await;
    assert!(got.unwrap().concat() == all);
    assert_eq!(ranges(&server), [None]);
}

#[tokio::test]
async fn what_is_near_or_quick_or_small_is_fetched_by_one_request() {
    let all = content(SIZE / 2);
    let change: [fn(&mut Settings); 4] = [
        |settings| settings.segments.latency = Duration::from_secs(5),
        |settings| settings.segments.slower_than = 1,
        |settings| settings.segments.least = SIZE as u64,
        |settings| settings.segments.most = 0,
    ];
    future::join_all(change.map(async |change| {
        let body = all.clone();
        let mut settings = eager();
        change(&mut settings);
        let reply = move |request: &Request| give(&body, request);
        let server = Server::start(reply).await;
        let got = server.repository_with(settings).blob_get(&layer(&all)).try_collect::<Vec<_>>().await;
        assert!(got.unwrap().concat() == all);
        assert_eq!(ranges(&server), [None]);
    }))
    .await;
}
