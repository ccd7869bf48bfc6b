//! A socket, and connections that cannot take more than their share.
//!
//! Every connection has a limit on how long it may take for the head of a request, on how large that is, and on how long it
//! may stand still while an answer is sent. One that is slow but alive holds little memory and no thread.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Sleep;

use crate::body::Body;
use crate::{BoxError, Error};

/// Who answers requests: a [`Service`](crate::Service), or something around one.
pub trait Answer: Send + Sync + 'static {
    /// Answers one request. An error closes the connection without an answer.
    fn answer(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, BoxError>>;

    /// Called now and then, to let go of what is no longer needed.
    fn tidy(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// What one connection may take, and how many there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Connections at the same time: 4,096. More wait to be accepted.
    pub most: usize,
    /// How long the head of a request may take, and how long a connection may wait for one: 30 s.
    pub head: Duration,
    /// Bytes of the head of a request: 64 KiB.
    pub head_bytes: usize,
    /// How long a client may take not a byte of its answer: 60 s.
    pub stall: Duration,
    /// How long requests under way are waited for when the server is shut down: 10 s.
    pub grace: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            most: 4096,
            head: Duration::from_secs(30),
            head_bytes: 64 << 10,
            stall: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// A server that does not listen yet.
///
/// ```
/// use transship_layout::Layout;
/// use transship_serve::{Server, Service};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("layout");
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let service = Service::builder().layout(Layout::options().create(&path)?).writable(true).build()?;
/// let server = Server::new(service).bind(([127, 0, 0, 1], 0).into()).await?;
/// println!("docker://{}/layout", server.address());
/// server.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is served before bind"]
pub struct Server<A> {
    answer: Arc<A>,
    connections: Connections,
}

impl<A: Answer> Server<A> {
    /// A server of these answers.
    pub fn new(answer: A) -> Self {
        Self { answer: Arc::new(answer), connections: Connections::default() }
    }

    /// What one connection may take.
    pub fn connections(mut self, connections: Connections) -> Self {
        self.connections = connections;
        self
    }

    /// Listens, on a free port where that is 0, and serves until it is shut down or dropped.
    ///
    /// # Errors
    /// [`Error::Listen`] when the address cannot be listened on.
    pub async fn bind(self, address: SocketAddr) -> Result<Running, Error> {
        let fail = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let bound = listener.local_addr().map_err(fail)?;
        let (stop, stopped) = watch::channel(false);
        let serving = Serving { answer: self.answer, connections: self.connections, stopped };
        Ok(Running { address: bound, stop, task: Some(tokio::spawn(serving.run(listener))) })
    }
}

/// A server that serves. Dropped, it ends at once, and its connections break.
#[derive(Debug)]
#[must_use = "dropping it ends the server"]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, waits for those under way, and ends.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // It can only fail by a panic, of which the runtime has told.
            let _ = task.await;
        }
    }

    /// Serves until the process ends.
    pub async fn wait(mut self) {
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct Serving<A> {
    answer: Arc<A>,
    connections: Connections,
    stopped: watch::Receiver<bool>,
}

impl<A: Answer> Serving<A> {
    async fn run(mut self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(self.connections.most));
        let mut open = JoinSet::new();
        let mut tidying = tokio::time::interval(Duration::from_secs(60));
        tidying.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped(&mut self.stopped) => break,
                Some(_) = open.join_next() => {}
                _ = tidying.tick() => self.answer.tidy().await,
                (stream, permit) = accept(&listener, &room) => {
                    open.spawn(self.connection(stream, permit));
                }
            }
        }
        drop(listener);
        let all = async { while open.join_next().await.is_some() {} };
        if tokio::time::timeout(self.connections.grace, all).await.is_err() {
            tracing::warn!("some requests were not done in time, and are broken off");
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + use<A> {
        let (answer, limits, mut stop) =
            (Arc::clone(&self.answer), self.connections.clone(), self.stopped.clone());
        async move {
            let _permit = permit;
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = Arc::clone(&answer);
                async move { answer.answer(request.map(incoming)).await.map_err(Abrupt) }
            });
            // Small answers are not to wait for more; what fails here shows in the connection itself.
            let _ = stream.set_nodelay(true);
            let io = TokioIo::new(Patient { stream, stall: limits.stall, waiting: None });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head)
                .max_buf_size(limits.head_bytes.max(8192))
                .serve_connection(io, service);
            let mut connection = pin!(connection);
            let done = tokio::select! {
                done = connection.as_mut() => done,
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = done {
                tracing::debug!("a connection ended: {error}");
            }
        }
    }
}

fn incoming(body: Incoming) -> Body {
    body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync()
}

/// The end of a connection that is to have no answer.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Abrupt(BoxError);

async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stopped| *stopped).await.is_err() {
        // Whoever could stop us is gone, and ends this task by itself.
        pending::<()>().await;
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = Arc::clone(room).acquire_owned().await else { return pending().await };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            // No more files, or a client that went at once: neither ends the server.
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// A connection that breaks when its client takes nothing for too long.
struct Patient {
    stream: TcpStream,
    stall: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn after<T>(&mut self, poll: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = None;
            return poll;
        }
        let stall = self.stall;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.after(poll, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.after(poll, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(context);
        self.after(poll, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
