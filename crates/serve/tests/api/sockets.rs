//! Over a socket: limits on connections, and the end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use transship_serve::{Connections, Running, Server};

use crate::support::{Registry, content};

async fn start(registry: &Registry, change: impl FnOnce(&mut Connections)) -> Running {
    let mut connections = Connections::default();
    change(&mut connections);
    let server = Server::new(registry.service.clone()).connections(connections);
    server.bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
}

/// Sends this text, and reads until the server closes the connection.
async fn exchange(server: &Running, text: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(60), read)
        .await
        .expect("the server ends it")
        .unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_is_answered_over_a_socket() {
    let registry = Registry::new();
    let server = start(&registry, |_| {}).await;
    let answer = exchange(&server, "GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
    let head = exchange(&server, "HEAD /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(head.ends_with("\r\n\r\n") && head.contains("content-length: 2"), "{head}");
    server.shutdown().await;
}

#[tokio::test]
async fn row_64_who_sends_no_head_in_time_is_let_go() {
    let registry = Registry::new();
    let server = start(&registry, |limits| limits.head = Duration::from_millis(50)).await;
    assert_eq!(exchange(&server, "GET /v2/ HTTP/1.1\r\nhos").await, "");
    assert_eq!(exchange(&server, "").await, "");
}

#[tokio::test]
async fn row_64_who_takes_nothing_of_the_answer_is_let_go_and_others_are_served() {
    let registry = Registry::new();
    let blob = registry.put_blob("app", &content(32 << 20)).await;
    let server = start(&registry, |limits| {
        limits.most = 2;
        limits.stall = Duration::from_millis(200);
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let request = format!("GET /v2/app/blobs/{} HTTP/1.1\r\nhost: x\r\n\r\n", blob.digest);
        stream.write_all(request.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let answer = exchange(&server, "GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn case_r17_heads_that_are_too_large_or_contradict_themselves_are_refused() {
    let registry = Registry::new();
    let server = start(&registry, |_| {}).await;
    let long = format!("GET /v2/ HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("GET /v2/ HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(1000));
    for bad in [
        long.as_str(),
        many.as_str(),
        "nonsense\r\n\r\n",
        "PUT /v2/app/manifests/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        "PUT /v2/app/manifests/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    ] {
        let answer = exchange(&server, bad).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let huge = "PUT /v2/app/manifests/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 1099511627776\r\n\r\n{}";
    assert!(exchange(&server, huge).await.starts_with("HTTP/1.1 413"));
    let answer = exchange(&server, "GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_shutdown_waits_for_the_requests_under_way_and_no_longer() {
    let registry = Registry::new();
    let blob = registry.put_blob("app", &content(16 << 20)).await;
    let server = start(&registry, |_| {}).await;
    let address = server.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /v2/app/blobs/{} HTTP/1.1\r\nhost: x\r\n\r\n", blob.digest);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    let end = tokio::spawn(server.shutdown());
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > 16 << 20);
    end.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());

    let server = start(&registry, |limits| limits.grace = Duration::from_millis(50)).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_exact(&mut first).await.unwrap();
    server.shutdown().await;
}

#[tokio::test]
async fn an_address_in_use_is_busy() {
    let registry = Registry::new();
    let server = start(&registry, |_| {}).await;
    let error = Server::new(registry.service.clone()).bind(server.address()).await.unwrap_err();
    assert_eq!(error.kind(), transship_spec::Kind::Busy);
    assert!(error.to_string().contains(&server.address().to_string()), "{error}");
}
