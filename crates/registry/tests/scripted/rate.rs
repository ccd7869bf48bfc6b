//! A limit of bytes a second holds in both directions, and nobody takes our own waiting for a stall.
//!
//! What is asserted of time is only that it cannot have been less.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use transship_registry::{Client, Settings, Timeouts};

use crate::support::{Reply, Request, Server, content, layer, quick};

fn limited(bytes: u64) -> Settings {
    let mut settings = quick();
    settings.rate = NonZeroU64::new(bytes);
    // A stall would be noticed, and not be passed over.
    settings.retry.tries = 1;
    settings.timeouts = Timeouts { idle: Duration::from_secs(1), ..Timeouts::default() };
    settings
}

fn registry(content: Vec<u8>) -> impl FnMut(&Request) -> Reply + Send + 'static {
    move |request| match &*request.method {
        "GET" => Reply::new(200).body(&content),
        "POST" => Reply::new(202).header("Location", "/upload"),
        "PUT" => Reply::new(201),
        _ => Reply::new(404),
    }
}

#[tokio::test]
async fn a_download_is_no_faster_than_the_limit_and_its_waits_are_no_stalls() {
    let content = content(512 << 10);
    let server = Server::start(registry(content.clone())).await;
    let repository = server.repository_with(limited(1 << 20));
    let start = Instant::now();
    let pieces: Vec<_> = repository.blob_get(&layer(&content)).try_collect().await.unwrap();
    // The last piece and the credit are not waited for.
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert!(pieces.concat() == content);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_upload_is_no_faster_than_the_limit_and_its_waits_are_no_stalls() {
    let content = content(64 << 10);
    let server = Server::start(registry(content.clone())).await;
    // The second piece is not sent before the first is paid for, which takes longer than a stall may.
    let repository = server.repository_with(limited(24 << 10));
    let start = Instant::now();
    let source = bytes::Bytes::from(content.clone());
    repository.blob_put(&layer(&content), &source, None).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(1100), "{:?}", start.elapsed());
    assert_eq!(server.lines().len(), 2);
    assert!(server.requests()[1].body == content);
}

#[tokio::test]
async fn two_transfers_share_the_limit() {
    let content = content(256 << 10);
    let server = Server::start(registry(content.clone())).await;
    let client = Client::new(limited(1 << 20)).unwrap();
    let repository = client.repository(&server.address, "team/app").unwrap();
    let get = || async {
        let mut stream = repository.blob_get(&layer(&content));
        let mut bytes = 0;
        while let Some(piece) = stream.try_next().await.unwrap() {
            bytes += piece.len();
        }
        bytes
    };
    let start = Instant::now();
    assert_eq!(tokio::join!(get(), get()), (content.len(), content.len()));
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
}
