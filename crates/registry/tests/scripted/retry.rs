//! What passes is tried again, what does not is not, and a server that asks for patience gets it.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use transship_registry::{Client, Error, Exchange, Repository, Settings, TagOrDigest};
use transship_spec::Kind;

use crate::support::{Reply, Request, Server, layer, quick};

fn manifest(_: &Request) -> Reply {
    Reply::new(200).header("Content-Type", "application/vnd.oci.image.index.v1+json").body("abc")
}

async fn get(repository: &Repository) -> Result<(), Error> {
    repository.manifest_get(&TagOrDigest::Digest(layer(b"abc").digest)).await.map(|_| ())
}

#[tokio::test]
async fn row_41_passing_failures_are_tried_again() {
    for status in [408, 425, 429, 499, 500, 502, 503, 504, 520, 522, 524, 598, 599] {
        let server = Server::start(move |request| match request.number {
            0..2 => Reply::new(status),
            _ => manifest(request),
        })
        .await;
        get(&server.repository()).await.unwrap();
        assert_eq!(server.requests().len(), 3, "{status}");
    }
}

#[tokio::test]
async fn row_41_a_server_that_always_fails_is_given_up_after_eight_tries() {
    let server = Server::start(|_| Reply::new(503).body("overloaded")).await;
    let error = get(&server.repository()).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (Kind::Network, 8));
    assert!(error.to_string().ends_with("503 Service Unavailable: overloaded (after 8 tries)"), "{error}");
    assert_eq!(error.exchange().map(|exchange: &Exchange| exchange.tries), Some(8));
}

#[tokio::test]
async fn u20_what_does_not_pass_is_asked_once() {
    for (status, kind) in [
        (400, Kind::Invalid),
        (403, Kind::Denied),
        (404, Kind::NotFound),
        (405, Kind::Unsupported),
        (410, Kind::NotFound),
        (413, Kind::Limit),
        (501, Kind::Network),
    ] {
        let server = Server::start(move |_| Reply::new(status)).await;
        let mut settings = quick();
        settings.retry.tries = if status == 501 { 1 } else { 8 };
        let error = get(&server.repository_with(settings)).await.unwrap_err();
        assert_eq!((error.kind(), server.requests().len()), (kind, 1), "{status}");
    }
}

#[tokio::test]
async fn too_many_requests_by_its_code_is_tried_again_whatever_the_status() {
    let server = Server::start(|request| match request.number {
        0 => Reply::new(403).body(r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#),
        _ => manifest(request),
    })
    .await;
    get(&server.repository()).await.unwrap();
}

#[tokio::test]
async fn row_40_retry_after_holds_every_request_to_the_host() {
    let server = Server::start(|request| match request.number {
        0 => Reply::new(429).header("Retry-After", 1),
        _ => manifest(request),
    })
    .await;
    let client = Client::new(quick()).unwrap();
    let repository = |name| client.repository(&server.address, name).unwrap();
    let start = Instant::now();
    get(&repository("a")).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn row_40_a_wish_beyond_the_limit_ends_at_once_and_is_told() {
    for wish in ["601", "1000000000", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let server = Server::start(move |_| Reply::new(429).header("Retry-After", wish)).await;
        let error = get(&server.repository()).await.unwrap_err();
        assert!(matches!(error, Error::Throttled { .. }), "{error}");
        assert_eq!((error.kind(), server.requests().len()), (Kind::Network, 1));
        assert!(error.to_string().ends_with("and the limit is 600 s"), "{error}");
    }
}

#[tokio::test]
async fn row_40_nonsense_is_not_obeyed() {
    for wish in ["-5", "soon", "", "1e9"] {
        let server = Server::start(move |request| match request.number {
            0 => Reply::new(503).header("Retry-After", wish),
            _ => manifest(request),
        })
        .await;
        get(&server.repository()).await.unwrap();
    }
}

#[tokio::test]
async fn row_60_where_nobody_listens_it_ends_soon() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let repository = Client::new(quick()).unwrap().repository(&address, "a").unwrap();
    let error = get(&repository).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(matches!(error, Error::Transport { connected: false, .. }), "{error}");
    assert!(error.to_string().contains("after 5 tries"), "{error}");
}

#[tokio::test]
async fn row_62_a_server_without_tls_is_told_apart_and_not_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let mut connections = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            connections += 1;
            assert_eq!(connections, 1, "it is tried again");
            let mut hello = [0; 2048];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let mut settings = quick();
    let host = transship_registry::HostSettings { plain_http: Some(false), ..Default::default() };
    settings.hosts.insert(address.clone(), host);
    let repository = Client::new(settings).unwrap().repository(&address, "a").unwrap();
    let error = get(&repository).await.unwrap_err();
    assert!(!task.is_finished());
    assert!(matches!(error, Error::Tls { certificate: false, .. }), "{error:?}");
    assert!(error.remedy().unwrap().contains("--plain-http="));
}

#[tokio::test]
async fn concurrency_to_a_host_is_bounded() {
    let server = Server::start(|request| match request.number {
        0..2 => manifest(request).body("abc").stall(1),
        _ => manifest(request),
    })
    .await;
    let settings = Settings { concurrency: 2, ..quick() };
    let repository = server.repository_with(settings);
    let work = futures_util::future::join_all((0..6).map(|_| get(&repository)));
    let first = tokio::time::timeout(Duration::from_millis(100), work).await;
    assert!(first.is_err());
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_proxy_is_used_where_it_is_given_and_resolves_names_itself() {
    let proxy = Server::start(manifest).await;
    let mut settings = quick();
    settings.proxy = Some(transship_registry::Proxy {
        url: transship_registry::Secret::new(proxy.url("")),
        except: "direct.invalid".to_owned(),
    });
    let plain = transship_registry::HostSettings { plain_http: Some(true), ..Default::default() };
    settings.hosts.insert("registry.invalid".to_owned(), plain.clone());
    settings.hosts.insert("direct.invalid".to_owned(), plain);
    let client = Client::new(settings).unwrap();
    get(&client.repository("registry.invalid", "a").unwrap()).await.unwrap();
    assert!(proxy.requests()[0].target.starts_with("http://registry.invalid/v2/a/manifests/"));
    get(&client.repository("direct.invalid", "a").unwrap()).await.unwrap_err();
    assert_eq!(proxy.requests().len(), 1);
}

#[tokio::test]
async fn row_61_a_proxy_that_refuses_is_named() {
    let proxy = Server::start(|_| Reply::new(407)).await;
    let mut settings = quick();
    settings.retry.tries = 1;
    settings.proxy = Some(transship_registry::Proxy {
        url: transship_registry::Secret::new(proxy.url("")),
        except: String::new(),
    });
    let repository = Client::new(settings.clone()).unwrap().repository("registry.invalid", "a").unwrap();
    let error = get(&repository).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.to_string().contains(&format!("through the proxy {}", proxy.address)), "{error}");

    let plain = transship_registry::HostSettings { plain_http: Some(true), ..Default::default() };
    settings.hosts.insert("registry.invalid".to_owned(), plain);
    let error =
        get(&Client::new(settings).unwrap().repository("registry.invalid", "a").unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
}
