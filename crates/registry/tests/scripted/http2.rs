//! HTTP/2 where it is offered: one connection with many streams, each of which may fail by itself; elsewhere a pool of
//! connections that are used again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::StreamExt as _;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Request;
use tokio_rustls::TlsAcceptor;
use transship_registry::{Client, Error, HostSettings, Repository};
use transship_spec::Descriptor;

use crate::support::{Reply, Server, content, layer, patient};
use crate::tls::configure;

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Answer,
    /// So many bytes of the answer, or of the content that is sent, and then the stream is reset.
    Reset(usize, Reason),
    /// The stream is reset before anything was done.
    Refuse,
    /// It is answered, and the connection takes no streams after it.
    Last,
    /// So many bytes of the answer, and then the connection is closed with an error.
    Break(usize),
}

/// A registry with one blob over HTTP/2, until it is dropped.
struct Http2 {
    address: String,
    authority: PathBuf,
    connections: Arc<AtomicUsize>,
    /// Method and range of every request.
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Script = dyn Fn(usize) -> Act + Send + Sync;

impl Http2 {
    /// Holds `blob`; the script says what is done with the n-th request.
    async fn start(blob: Bytes, script: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        let (mut config, folder, authority) = configure("127.0.0.1", 2020..2090);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, seen, script) = (Arc::clone(&connections), Arc::clone(&requests), Arc::new(script));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen, blob) = (acceptor.clone(), Arc::clone(&seen), blob.clone());
                let (count, script) = (Arc::clone(&count), Arc::<_>::clone(&script));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        count.fetch_add(1, Ordering::SeqCst);
                        serve(stream, blob, seen, script).await;
                    }
                });
            }
        });
        Self { address, authority, connections, requests, task, _folder: folder }
    }

    fn repository(&self) -> Repository {
        let mut settings = patient();
        settings.timeouts.idle = std::time::Duration::from_secs(10);
        let host = HostSettings {
            plain_http: Some(false),
            ca_files: vec![self.authority.clone()],
            ..HostSettings::default()
        };
        settings.hosts.insert(self.address.clone(), host);
        Client::new(settings).unwrap().repository(&self.address, "a").unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    blob: Bytes,
    seen: Arc<Mutex<Vec<String>>>,
    script: Arc<Script>,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let range = request.headers().get("range").map(|range| range.to_str().unwrap().to_owned());
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(format!("{} {}", request.method(), range.as_deref().unwrap_or("all")));
            seen.len()
        };
        let act = script(number);
        match act {
            Act::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
            Act::Break(_) => {
                answer(&request, respond, &blob, act);
                connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
            }
            Act::Last => {
                answer(&request, respond, &blob, act);
                connection.graceful_shutdown();
            }
            Act::Answer | Act::Reset(..) if request.method() == "PUT" => {
                tokio::spawn(take(request.into_body(), respond, act));
            }
            Act::Answer | Act::Reset(..) => answer(&request, respond, &blob, act),
        }
    }
}

/// Answers what has no content.
fn answer(request: &Request<RecvStream>, mut respond: SendResponse<Bytes>, blob: &Bytes, act: Act) {
    let reply = http::Response::builder();
    if request.method() == "POST" {
        respond.send_response(reply.status(202).header("location", "/u").body(()).unwrap(), true).unwrap();
        return;
    }
    let range = request.headers().get("range").map(|range| range.to_str().unwrap());
    let start: usize = range.map_or(0, |range| range["bytes=".len()..range.len() - 1].parse().unwrap());
    let reply = match start {
        0 => reply.status(200),
        _ => {
            let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
            reply.status(206).header("content-range", range)
        }
    };
    let (most, reason) = match act {
        Act::Reset(most, reason) => (most, Some(reason)),
        Act::Break(most) => (most, None),
        _ => (usize::MAX, None),
    };
    let body = blob.slice(start..);
    let mut stream = respond.send_response(reply.body(()).unwrap(), false).unwrap();
    let ends = most >= body.len();
    stream.send_data(body.slice(..most.min(body.len())), ends).unwrap();
    if let Some(reason) = reason {
        // How much has left by then is for the scheduler to say; it may be nothing.
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            stream.send_reset(reason);
        });
    }
}

/// Takes the content of an upload.
async fn take(mut body: RecvStream, mut respond: SendResponse<Bytes>, act: Act) {
    let mut taken = 0;
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        taken += piece.len();
        if let Act::Reset(most, reason) = act
            && taken >= most
        {
            return respond.send_reset(reason);
        }
    }
    let _ = respond.send_response(http::Response::builder().status(201).body(()).unwrap(), true);
}

async fn get(repository: &Repository, blob: &Descriptor) -> Result<Vec<u8>, Error> {
    let pieces: Vec<Bytes> = repository.blob_get(blob).try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn many_transfers_share_one_connection() {
    let all = Bytes::from(content(300_000));
    let server = Http2::start(all.clone(), |_| Act::Answer).await;
    let (repository, blob) = (server.repository(), layer(&all));
    // While nobody knows yet what the host speaks, there may be a connection for each.
    get(&repository, &blob).await.unwrap();
    let down = join_all((0..20).map(|_| get(&repository, &blob)));
    let up = join_all((0..5).map(|_| repository.blob_put(&blob, &all, None)));
    let (down, up) = tokio::join!(down, up);
    assert!(down.into_iter().all(|got| got.unwrap() == all) && up.into_iter().all(|put| put.is_ok()));
    assert_eq!((server.connections(), server.requests().len()), (1, 31));
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_up_no_other() {
    let all = Bytes::from(content(6 << 20));
    let server = Http2::start(all.clone(), |_| Act::Answer).await;
    let (repository, blob) = (server.repository(), layer(&all));
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut stream = repository.blob_get(&blob);
        assert!(stream.next().await.unwrap().is_ok());
        idle.push(stream);
    }
    assert!(get(&repository, &blob).await.unwrap() == all);
    assert_eq!(server.requests(), ["GET all"; 5]);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn row_25_a_stream_that_is_reset_goes_on_where_it_was() {
    let all = Bytes::from(content(300_000));
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::ENHANCE_YOUR_CALM, Reason::NO_ERROR] {
        let server = Http2::start(all.clone(), move |number| match number {
            1 => Act::Reset(100_000, reason),
            _ => Act::Answer,
        })
        .await;
        assert!(get(&server.repository(), &layer(&all)).await.unwrap() == all, "{reason:?}");
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{requests:?}");
        assert_eq!(server.connections(), 1, "{reason:?}");
    }
}

#[tokio::test]
async fn row_41_a_refused_stream_is_opened_again() {
    let all = Bytes::from(content(1000));
    let refuse = |number| if number <= 3 { Act::Refuse } else { Act::Answer };
    let server = Http2::start(all.clone(), refuse).await;
    assert!(get(&server.repository(), &layer(&all)).await.unwrap() == all);
    let server = Http2::start(all.clone(), refuse).await;
    server.repository().blob_put(&layer(&all), &all, None).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_takes_no_more_streams_is_replaced_and_ends_what_it_began() {
    let all = Bytes::from(content(300_000));
    let server = Http2::start(all.clone(), |number| if number == 2 { Act::Last } else { Act::Answer }).await;
    let (repository, blob) = (server.repository(), layer(&all));
    for _ in 0..4 {
        assert!(get(&repository, &blob).await.unwrap() == all);
    }
    assert_eq!((server.requests(), server.connections()), (vec!["GET all".to_owned(); 4], 2));
}

#[tokio::test]
async fn row_25_a_connection_that_breaks_breaks_no_transfer() {
    let all = Bytes::from(content(300_000));
    let server =
        Http2::start(all.clone(), |number| if number == 3 { Act::Break(50_000) } else { Act::Answer }).await;
    let (repository, blob) = (server.repository(), layer(&all));
    get(&repository, &blob).await.unwrap();
    let all_of_them = join_all((0..6).map(|_| get(&repository, &blob))).await;
    assert!(all_of_them.into_iter().all(|got| got.unwrap() == all));
}

#[tokio::test]
async fn an_upload_whose_stream_is_reset_is_sent_again() {
    let all = Bytes::from(content(600_000));
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::REFUSED_STREAM] {
        let server = Http2::start(all.clone(), move |number| match number {
            2 => Act::Reset(100_000, reason),
            _ => Act::Answer,
        })
        .await;
        server.repository().blob_put(&layer(&all), &all, None).await.unwrap();
        let puts = server.requests().iter().filter(|request| request.starts_with("PUT")).count();
        assert_eq!(puts, 2, "{reason:?}");
    }
}

#[tokio::test]
async fn where_http_1_is_spoken_connections_are_used_again() {
    let all = content(300_000);
    let body = all.clone();
    let server = Server::start(move |_| Reply::new(200).body(&body)).await;
    let (repository, blob) = (server.repository_with(patient()), layer(&all));
    for _ in 0..5 {
        let got = join_all((0..6).map(|_| get(&repository, &blob))).await;
        assert!(got.into_iter().all(|got| got.unwrap() == all));
    }
    assert_eq!(server.requests().len(), 30);
    assert!(server.connections() <= 6, "{}", server.connections());
}
