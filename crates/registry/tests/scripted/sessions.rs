//! What a process that ends in the middle of a large blob leaves to the next one.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use transship_registry::{BlobSource, BoxError, Client, Credential, Error, Placed, Repository, Settings};
use transship_spec::Kind;
use transship_testkit::{Fault, TestRegistry};

use crate::support::{Reply, Request, Server, content, layer, quick};

/// Large enough to be streamed, here.
const LARGE: usize = 1 << 20;

/// What a process has that tries once and remembers in this folder.
fn process(folder: &Path) -> Settings {
    let mut settings = quick();
    settings.upload.stream = LARGE as u64;
    settings.upload.sessions = Some(folder.join("state/uploads"));
    settings.retry.tries = 1;
    settings
}

fn repository(registry: &TestRegistry, settings: Settings) -> Repository {
    Client::new(settings).unwrap().repository(&registry.address(), "team/app").unwrap()
}

async fn put(repository: &Repository, all: &[u8]) -> Result<Placed, Error> {
    repository.blob_put(&layer(all), &Bytes::from(all.to_vec()), None).await
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("state/uploads"));
    entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// A source that never gives the second half.
struct Stuck(Bytes);

impl BlobSource for Stuck {
    fn open(&self, _offset: u64) -> BoxStream<'static, Result<Bytes, BoxError>> {
        stream::iter([Ok(self.0.slice(..self.0.len() / 2))]).chain(stream::pending()).boxed()
    }
}

#[tokio::test]
async fn u3_dist_45_the_next_process_sends_only_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let all = content(LARGE);
    let registry = TestRegistry::start().await;
    registry.fault(Fault::on("PATCH", "/uploads/").nth(1).cut_request_after(LARGE as u64 * 9 / 10));
    let error = put(&repository(&registry, process(folder.path())), &all).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Network, "{error}");
    assert_eq!(files(folder.path()).len(), 1);
    assert!(registry.requests().iter().all(|seen| seen.method != "DELETE"), "it is kept");

    let before = registry.counts().received;
    registry.forget();
    let placed = put(&repository(&registry, process(folder.path())), &all).await.unwrap();
    assert_eq!(placed, Placed::Resumed(before));
    assert!(before >= LARGE as u64 * 8 / 10, "{before}");
    let counts = registry.counts();
    assert_eq!((counts.upload_other, counts.upload_patch, counts.upload_put), (1, 1, 1));
    assert_eq!((counts.requests, counts.received), (3, LARGE as u64 - before));
    assert!(files(folder.path()).is_empty(), "it is used up");
    let there = registry.layout().open_blob(&layer(&all));
    assert!(there.is_ok(), "{there:?}");
}

#[tokio::test]
async fn row_58_an_upload_that_is_dropped_in_the_middle_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let all = content(LARGE);
    let registry = TestRegistry::start().await;
    let stuck = repository(&registry, process(folder.path()));
    let (blob, source) = (layer(&all), Stuck(Bytes::from(all.clone())));
    let received = async {
        while registry.counts().received < LARGE as u64 / 2 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        done = stuck.blob_put(&blob, &source, None) => panic!("{done:?}"),
        () = received => {}
    }
    registry.forget();
    let placed = put(&repository(&registry, process(folder.path())), &all).await.unwrap();
    assert_eq!(placed, Placed::Resumed(LARGE as u64 / 2));
    assert_eq!(registry.counts().received, LARGE as u64 / 2);
}

#[tokio::test]
async fn row_37_a_session_that_the_registry_forgot_meanwhile_is_begun_anew() {
    for status in [404, 403, 400, 500] {
        let folder = tempfile::tempdir().unwrap();
        let all = content(LARGE);
        let registry = TestRegistry::start().await;
        registry.fault(Fault::on("PATCH", "/uploads/").nth(1).cut_request_after(900_000));
        put(&repository(&registry, process(folder.path())), &all).await.unwrap_err();
        registry.forget().fault(Fault::on("GET", "/uploads/").status(status));
        let placed = put(&repository(&registry, process(folder.path())), &all).await.unwrap();
        assert_eq!(placed, Placed::Uploaded, "{status}");
        assert_eq!(registry.counts().upload_post, 1, "{status}");
        assert!(files(folder.path()).is_empty(), "{status}");
    }
}

#[tokio::test]
async fn row_38_what_a_session_says_that_cannot_be_is_not_believed() {
    for said in ["0-0", "0-9999999", "5-9", ""] {
        let folder = tempfile::tempdir().unwrap();
        let all = content(LARGE);
        let registry = TestRegistry::start().await;
        registry.fault(Fault::on("PATCH", "/uploads/").nth(1).cut_request_after(900_000));
        put(&repository(&registry, process(folder.path())), &all).await.unwrap_err();
        registry.fault(Fault::on("GET", "/uploads/").header("range", said));
        let placed = put(&repository(&registry, process(folder.path())), &all).await.unwrap();
        assert_eq!(placed, Placed::Uploaded, "{said:?}");
    }
}

#[tokio::test]
async fn row_38_a_session_that_holds_something_else_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let all = content(LARGE);
    let registry = TestRegistry::start().await;
    // The body of the first is wrong, and the source ends early, so that the session stays.
    let wrong = Bytes::from(vec![7; LARGE / 2]);
    let error = repository(&registry, process(folder.path())).blob_put(&layer(&all), &wrong, None).await;
    assert!(matches!(error, Err(Error::Source(_))), "{error:?}");
    let mut settings = process(folder.path());
    settings.retry.tries = 3;
    let placed = put(&repository(&registry, settings), &all).await.unwrap();
    assert_eq!(placed, Placed::Uploaded);
    assert_eq!(registry.counts().upload_post, 2);
}

#[tokio::test]
async fn two_processes_that_send_the_same_blob_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let all = content(LARGE);
    let registry = TestRegistry::start().await;
    let one = repository(&registry, process(folder.path()));
    let other = repository(&registry, process(folder.path()));
    let (first, second) = tokio::join!(put(&one, &all), put(&other, &all));
    assert_eq!((first.unwrap(), second.unwrap()), (Placed::Uploaded, Placed::Uploaded));
    assert_eq!(registry.counts().upload_post, 2);
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_small_blob_and_a_refused_one_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let all = content(LARGE);
    let registry = TestRegistry::start().await;
    registry.fault(Fault::on("PUT", "/uploads/").nth(1).status(503));
    put(&repository(&registry, process(folder.path())), &all[..1000]).await.unwrap_err();
    assert!(!folder.path().join("state").exists(), "nothing is made before it is needed");
    registry.fault(Fault::on("PATCH", "/uploads/").nth(1).status(403));
    let error = put(&repository(&registry, process(folder.path())), &all).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(files(folder.path()).is_empty());
}

/// A registry that asks for a password, keeps sessions at `elsewhere`, and fails in the middle.
async fn failing(elsewhere: String) -> Server {
    Server::start(move |request: &Request| match request.header("authorization") {
        None => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
        Some(_) => Reply::new(202).header("Location", &elsewhere),
    })
    .await
}

#[tokio::test]
async fn dist_32_a_remembered_location_elsewhere_gets_no_credentials_and_they_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let all = content(LARGE);
    let storage = Server::start(|request| match (&*request.method, request.number) {
        ("PATCH", 0) => Reply::new(503),
        ("GET", _) => Reply::new(204).header("Range", "0-999999"),
        _ => Reply::new(201),
    })
    .await;
    let server = failing(storage.url("/storage?_state=sesame")).await;
    let mut settings = process(folder.path());
    let credential = Credential::password("me", "hunter2");
    settings.environment.given.insert(server.address.clone(), credential);
    let error = put(&server.repository_with(settings.clone()), &all).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
    let files = files(folder.path());
    let text = std::fs::read_to_string(&files[0]).unwrap();
    assert!(text.contains("sesame") && !text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
    let placed = put(&server.repository_with(settings), &all).await.unwrap();
    assert_eq!(placed, Placed::Resumed(1_000_000));
    assert!(storage.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn row_44_a_remembered_location_that_is_more_private_than_the_registry_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let all = content(LARGE);
    let registry = TestRegistry::start().await;
    registry.fault(Fault::on("PATCH", "/uploads/").nth(1).cut_request_after(900_000));
    put(&repository(&registry, process(folder.path())), &all).await.unwrap_err();
    let file = &files(folder.path())[0];
    let text = std::fs::read_to_string(file).unwrap();
    let start = text.find("\"location\":\"").unwrap() + 12;
    let end = start + text[start..].find('"').unwrap();
    for location in ["http://169.254.169.254/latest", "file:///etc/passwd", "", "::::"] {
        std::fs::write(file, [&text[..start], location, &text[end..]].concat()).unwrap();
        registry.forget();
        let placed = put(&repository(&registry, process(folder.path())), &all).await.unwrap();
        assert_eq!(placed, Placed::Uploaded, "{location}");
    }
}
