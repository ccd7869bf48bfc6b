//! Where the content of an upload comes from.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use crate::error::BoxError;

/// Content that can be read from any offset, any number of times: an upload that fails is sent again.
///
/// `open` is cheap and does not block; the stream does the work when it is polled. An error of the stream ends the upload
/// as [`Error::Source`](crate::Error::Source) and is not tried again: a source that can fail for a while tries by itself.
/// Pieces of about 64 KiB to 1 MiB serve best; each is given on without being copied.
///
/// ```
/// use futures_util::StreamExt;
/// use transship_registry::BlobSource;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let content = bytes::Bytes::from_static(b"hello");
/// assert_eq!(content.open(2).next().await.unwrap().unwrap(), "llo");
/// # });
/// ```
pub trait BlobSource: Send + Sync {
    /// The content from `offset` on.
    fn open(&self, offset: u64) -> BoxStream<'static, Result<Bytes, BoxError>>;
}

impl BlobSource for Bytes {
    fn open(&self, offset: u64) -> BoxStream<'static, Result<Bytes, BoxError>> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let rest = self.slice(offset..);
        stream::iter((!rest.is_empty()).then_some(Ok(rest))).boxed()
    }
}
