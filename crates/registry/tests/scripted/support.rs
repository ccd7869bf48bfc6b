//! A scripted server: every answer, and every way to fail, is written down by the test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use transship_registry::{Client, Repository, Retry, Settings, Timeouts};
use transship_spec::{Descriptor, MediaType};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// How many requests came before.
    pub(crate) number: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is(&self, method: &str, start: &str) -> bool {
        self.method == method && self.target.starts_with(start)
    }

    /// Which upload it is about, where the location is `/upload/NUMBER`.
    pub(crate) fn number_of_upload(&self) -> Option<usize> {
        self.target.strip_prefix("/upload/")?.split('?').next()?.parse().ok()
    }
}

/// What the server does.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
    stall: Option<usize>,
    pace: Option<(usize, Duration)>,
    chunked: bool,
    silent: bool,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cut: None,
            stall: None,
            pace: None,
            chunked: false,
            silent: false,
        }
    }

    /// No answer at all, with the connection held open.
    pub(crate) fn silence() -> Self {
        Self { silent: true, ..Self::new(200) }
    }

    pub(crate) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn body(self, body: impl AsRef<[u8]>) -> Self {
        Self { body: body.as_ref().to_vec(), ..self }
    }

    /// Closes the connection after so many bytes of the body.
    pub(crate) fn cut(self, after: usize) -> Self {
        Self { cut: Some(after), ..self }
    }

    /// Stands still after so many bytes of the body.
    pub(crate) fn stall(self, after: usize) -> Self {
        Self { stall: Some(after), ..self }
    }

    /// Sends one byte each `pause`.
    pub(crate) fn trickle(self, pause: Duration) -> Self {
        self.pace(1, pause)
    }

    /// Sends so many bytes each `pause`.
    pub(crate) fn pace(self, bytes: usize, pause: Duration) -> Self {
        Self { pace: Some((bytes, pause)), ..self }
    }

    /// Announces no length.
    pub(crate) fn chunked(self) -> Self {
        Self { chunked: true, ..self }
    }
}

/// A connection, with TLS or without.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

pub(crate) type Stream = BufReader<Box<dyn Connection>>;

type Handler = dyn FnMut(&Request) -> Reply + Send;

/// How much of the body of a request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appetite {
    /// All of it, and then the answer is given.
    All,
    /// So many bytes; then the connection is closed.
    Cut(usize),
    /// So many bytes; then the answer is given, and the connection is closed.
    Early(usize),
}

type Hunger = dyn FnMut(&Request) -> Appetite + Send;

/// A server on a loopback port, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(handler: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self::start_hungry(|_| Appetite::All, handler).await
    }

    /// As `start`, with a say in how much of a request's body is read.
    pub(crate) async fn start_hungry(
        appetite: impl FnMut(&Request) -> Appetite + Send + 'static,
        handler: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Self {
        Self::start_on(None, appetite, handler).await
    }

    /// With TLS; a handshake that fails ends the connection.
    pub(crate) async fn start_tls(
        acceptor: TlsAcceptor,
        handler: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Self {
        Self::start_on(Some(acceptor), |_| Appetite::All, handler).await
    }

    async fn start_on(
        acceptor: Option<TlsAcceptor>,
        appetite: impl FnMut(&Request) -> Appetite + Send + 'static,
        handler: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Mutex<Handler>> = Arc::new(Mutex::new(handler));
        let appetite: Arc<Mutex<Hunger>> = Arc::new(Mutex::new(appetite));
        let connections = Arc::new(AtomicUsize::new(0));
        let (all, count) = (Arc::clone(&requests), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (handler, appetite) = (Arc::clone(&handler), Arc::clone(&appetite));
                let (acceptor, all) = (acceptor.clone(), Arc::clone(&all));
                tokio::spawn(async move {
                    let stream: Box<dyn Connection> = match acceptor {
                        None => Box::new(stream),
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    serve(stream, handler, appetite, all).await;
                });
            }
        });
        Self { address, requests, connections, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Methods and targets of all requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    pub(crate) fn repository(&self) -> Repository {
        self.repository_with(quick())
    }

    pub(crate) fn repository_with(&self, settings: Settings) -> Repository {
        Client::new(settings).unwrap().repository(&self.address, "team/app").unwrap()
    }
}

async fn serve(
    stream: Box<dyn Connection>,
    handler: Arc<Mutex<Handler>>,
    appetite: Arc<Mutex<Hunger>>,
    all: Arc<Mutex<Vec<Request>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_head(&mut stream).await {
        let hunger = (appetite.lock().unwrap())(&request);
        let is_read = read_body(&mut stream, &mut request, hunger).await;
        {
            let mut all = all.lock().unwrap();
            request.number = all.len();
            all.push(request.clone());
        }
        if !is_read || matches!(hunger, Appetite::Cut(_)) {
            return;
        }
        let reply = (handler.lock().unwrap())(&request);
        if !answer(&mut stream, &request, reply).await {
            return;
        }
        if hunger != Appetite::All {
            // What is still on its way is taken, so that the answer is not lost with the connection.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            return;
        }
    }
}

pub(crate) async fn read_head(stream: &mut Stream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned()));
    Some(Request { method, target, headers: headers.collect(), body: Vec::new(), number: 0 })
}

/// Reads the body as far as wanted; false when it ends before.
async fn read_body(stream: &mut Stream, request: &mut Request, hunger: Appetite) -> bool {
    assert!(request.header("transfer-encoding").is_none(), "bodies are sent with their length");
    let length: usize = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    request.body = match hunger {
        Appetite::All => vec![0; length],
        Appetite::Cut(most) | Appetite::Early(most) => vec![0; length.min(most)],
    };
    stream.read_exact(&mut request.body).await.is_ok()
}

/// Answers; false when the connection is to be closed.
async fn answer(stream: &mut Stream, request: &Request, reply: Reply) -> bool {
    if reply.silent {
        std::future::pending::<()>().await;
    }
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let has_length = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if reply.chunked {
        head.push_str("Transfer-Encoding: chunked\r\n");
    } else if !has_length && reply.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    head.push_str("\r\n");
    if stream.write_all(head.as_bytes()).await.is_err() {
        return false;
    }
    if request.method == "HEAD" || reply.status == 204 {
        return true;
    }
    let end = reply.cut.or(reply.stall).unwrap_or(reply.body.len()).min(reply.body.len());
    let step = reply.pace.map_or(8 << 10, |(bytes, _)| bytes);
    for piece in reply.body[..end].chunks(step) {
        let framed = if reply.chunked {
            [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
        } else {
            piece.to_vec()
        };
        if stream.write_all(&framed).await.is_err() {
            return false;
        }
        if let Some((_, pause)) = reply.pace {
            tokio::time::sleep(pause).await;
        }
    }
    if reply.stall.is_some() {
        std::future::pending::<()>().await;
    }
    if reply.chunked && reply.cut.is_none() {
        return stream.write_all(b"0\r\n\r\n").await.is_ok();
    }
    reply.cut.is_none()
}

/// Settings with short waits.
pub(crate) fn quick() -> Settings {
    Settings {
        timeouts: Timeouts {
            first_byte: Duration::from_millis(300),
            closing: Duration::from_millis(300),
            idle: Duration::from_millis(200),
            connect: Duration::from_millis(200),
            tls: Duration::from_millis(100),
            ..Timeouts::default()
        },
        retry: Retry { base: Duration::from_millis(1), cap: Duration::from_millis(4), ..Retry::default() },
        ..Settings::default()
    }
}

/// The same for tests in which nothing stands still: a machine with much to do must not look like a dead server.
pub(crate) fn patient() -> Settings {
    Settings { timeouts: Timeouts::default(), ..quick() }
}

/// Content of so many bytes, none like its neighbour.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// The descriptor of a layer.
pub(crate) fn layer(content: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER_TAR, content)
}
