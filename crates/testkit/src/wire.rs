//! The socket of a test registry: connections that can be closed exactly where a test wants it.
//!
//! It is not that of `transship-serve`: whatever waits to be sent there goes with the connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use transship_serve::{Body, BoxError};

use crate::registry::Faulty;

/// A listening socket and its connections, until it is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listening {
    pub(crate) async fn start(host: &str, faulty: Faulty) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (faulty, count) = (Arc::new(faulty), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            // Dropped with this task, it ends them all.
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(serve(stream, Arc::clone(&faulty)));
                while open.try_join_next().is_some() {}
            }
        });
        Self { address, connections, task }
    }
}

async fn serve(stream: TcpStream, faulty: Arc<Faulty>) {
    // What fails here shows in the connection itself.
    let _ = stream.set_nodelay(true);
    let flushed = Arc::new(Flushed::default());
    let io = TokioIo::new(Wire { stream, flushed: Arc::clone(&flushed) });
    let service = service_fn(move |request: Request<Incoming>| {
        let (faulty, flushed) = (Arc::clone(&faulty), Arc::clone(&flushed));
        async move { faulty.respond(request.map(incoming), flushed).await.map_err(Closed) }
    });
    // An error is how a test closes a connection.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
}

fn incoming(body: Incoming) -> Body {
    body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync()
}

/// Why a connection is closed without an answer.
#[derive(Debug)]
struct Closed(BoxError);

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Closed {}

/// How often all that was to be sent over a connection was handed to the system.
#[derive(Debug, Default)]
pub(crate) struct Flushed(Mutex<(u64, Option<Waker>)>);

impl Flushed {
    fn state(&self) -> MutexGuard<'_, (u64, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn times(&self) -> u64 {
        self.state().0
    }

    /// Ready once it happened again after it had happened so often.
    pub(crate) fn poll_after(&self, times: u64, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.0 > times {
            return Poll::Ready(());
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }

    fn note(&self) {
        let mut state = self.state();
        state.0 += 1;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}

struct Wire {
    stream: TcpStream,
    flushed: Arc<Flushed>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.flushed.note();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
