//! Bodies of answers: small ones from memory, files piece by piece.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::BoxError;

/// The body of an answer, and of a request once it has come in.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// How much of a file is read at once; twice as much is in memory for one client.
const PIECE: u64 = 128 << 10;

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer without content.
pub(crate) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    response
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, text: String) -> Response<Body> {
    let length = text.len();
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// A part of a file, read on the blocking pool: one piece while the one before is being sent. No thread waits for a slow
/// client.
pub(crate) fn file(file: File, start: u64, length: u64) -> Body {
    let reading = (length > 0).then(|| read(file, Some(start), length));
    FileBody { reading, left: length }.boxed_unsync()
}

type Reading = JoinHandle<io::Result<(File, Bytes)>>;

struct FileBody {
    /// The next piece; none at the end.
    reading: Option<Reading>,
    /// Bytes that were not given yet.
    left: u64,
}

fn read(file: File, start: Option<u64>, left: u64) -> Reading {
    spawn_blocking(move || piece(file, start, left.min(PIECE)))
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read_piece = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        Poll::Ready(Some(match read_piece {
            Ok(Ok((file, bytes))) => {
                self.left -= bytes.len() as u64;
                if self.left > 0 {
                    self.reading = Some(read(file, None, self.left));
                }
                Ok(Frame::data(bytes))
            }
            Ok(Err(error)) => {
                tracing::error!("reading a blob that is being sent: {error}");
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The next piece: exactly so many bytes, since the length was promised to the client.
fn piece(mut file: File, start: Option<u64>, length: u64) -> io::Result<(File, Bytes)> {
    if let Some(start) = start {
        file.seek(SeekFrom::Start(start))?;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let read = (&mut file).take(length).read_to_end(&mut bytes)?;
    if (read as u64) < length {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file became shorter while it was sent",
        ));
    }
    Ok((file, bytes.into()))
}
