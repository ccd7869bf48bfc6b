//! A host that has too much to do is asked less, and what it says of its limits is heeded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use futures_util::stream::{self, StreamExt as _};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use transship_registry::{Client, Events, Repository, Settings};
use transship_spec::Descriptor;

use crate::support::{Reply, Server, Stream, content, layer, patient, read_head};

/// What a server with a firm limit saw.
#[derive(Debug, Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
    answered: AtomicUsize,
    refused: AtomicUsize,
}

/// Answers `most` requests at once with `content`, and 429 to every other.
async fn firm(most: usize, content: Vec<u8>) -> (String, Arc<Load>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let load = Arc::new(Load::default());
    let (shared, content) = (Arc::clone(&load), Arc::new(content));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (load, content) = (Arc::clone(&shared), Arc::clone(&content));
            tokio::spawn(async move {
                let mut stream: Stream = BufReader::new(Box::new(stream));
                while read_head(&mut stream).await.is_some() {
                    let now = load.now.fetch_add(1, Ordering::SeqCst) + 1;
                    let fits = now <= most;
                    load.most.fetch_max(now, Ordering::SeqCst);
                    // Long enough for others to come meanwhile.
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    load.now.fetch_sub(1, Ordering::SeqCst);
                    let (status, body) = if fits { (200, &content[..]) } else { (429, &b""[..]) };
                    let counter = if fits { &load.answered } else { &load.refused };
                    counter.fetch_add(1, Ordering::SeqCst);
                    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
                    if stream.write_all(&[head.as_bytes(), body].concat()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, load)
}

async fn get(repository: &Repository, blob: &Descriptor) {
    repository.blob_get(blob).try_collect::<Vec<_>>().await.unwrap();
}

#[tokio::test]
async fn dist_101_a_host_with_a_firm_limit_is_settled_with_and_everything_succeeds() {
    let content = content(100);
    let (address, load) = firm(2, content.clone()).await;
    let mut settings = Settings { concurrency: 16, ..patient() };
    settings.retry.tries = 64;
    let repository = Client::new(settings).unwrap().repository(&address, "a").unwrap();
    let blob = layer(&content);
    stream::iter(0..150).for_each_concurrent(16, |_| get(&repository, &blob)).await;
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    assert_eq!((count(&load.answered), count(&load.most)), (150, 16));
    // 14 + 6 + 2 while it settles from 16, and few from then on: not one for every answer.
    assert!(count(&load.refused) < 75, "{load:?}");
}

/// What the user is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Events for Told {
    fn warning(&self, _host: &str, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }

    fn retry(&self, _host: &str, reason: &str, wait: Duration) {
        self.0.lock().unwrap().push(format!("{reason}: {wait:?}"));
    }
}

/// Gets a blob three times from a server whose first answer has this header, others have them, too; what is told.
async fn told_by(headers: &'static [(&'static str, &'static str)]) -> (Vec<String>, Duration) {
    let content = content(100);
    let body = content.clone();
    let server = Server::start(move |_| {
        headers.iter().fold(Reply::new(200).body(&body), |reply, (name, value)| reply.header(name, value))
    })
    .await;
    let told = Arc::new(Told::default());
    let settings = Settings { events: Arc::<Told>::clone(&told), ..patient() };
    let repository = server.repository_with(settings);
    let start = Instant::now();
    for _ in 0..3 {
        get(&repository, &layer(&content)).await;
    }
    (told.0.lock().unwrap().clone(), start.elapsed())
}

#[tokio::test]
async fn dist_102_each_warning_is_told_once() {
    let headers = &[
        ("Warning", "299 - \"soon gone\""),
        ("Warning", "299 - \"really\""),
        ("Warning", "199 - \"nothing\""),
    ];
    assert_eq!(told_by(headers).await.0, ["soon gone", "really"]);
}

#[tokio::test]
async fn a_quota_that_runs_out_is_told_once() {
    let headers = &[("RateLimit-Limit", "100;w=21600"), ("RateLimit-Remaining", "7;w=21600")];
    assert_eq!(told_by(headers).await.0, ["only 7 of 100 requests are left within 6 h"]);
}

#[tokio::test]
async fn a_host_that_takes_no_more_requests_for_a_second_is_not_asked_before() {
    let (told, time) = told_by(&[("RateLimit-Remaining", "0"), ("RateLimit-Reset", "1")]).await;
    assert_eq!(told, ["it takes no more requests for now: 1s"; 3]);
    assert!(time >= Duration::from_secs(2), "{time:?}");
}

#[tokio::test]
async fn a_quota_that_is_full_again_only_in_hours_is_not_waited_for() {
    let headers = &[("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "7200")];
    assert_eq!(told_by(headers).await.0, [""; 0]);
}
