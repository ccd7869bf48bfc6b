//! Blobs, downwards: asked for by digest, streamed, verified, and resumed (DIST-20…23).
//!
//! A stream ends without an error only when every byte was there and the digest agrees. After a cut it goes on by `Range`
//! where it stopped; where the server ignores that, it reads from the start again and passes over what it gave already.
//! What was given before an error must not be trusted. A large blob that comes slowly is fetched by several requests at
//! once; see `ahead`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderValue, Method, header};
use transship_spec::{Descriptor, Digest, Verifier};

use crate::ahead::{Ahead, Pace, Whole};
use crate::auth::Purpose;
use crate::error::{BoxError, Error};
use crate::limit::Backoff;
use crate::mirror::Source;
use crate::redact;
use crate::repository::Repository;
use crate::request::{self, Call};
use crate::source::BlobSource;
use crate::wire::{Answer, Body};

/// The content of a blob as it comes. Pieces have the size in which the network gave them, usually below 64 KiB.
pub type BlobStream = BoxStream<'static, Result<Bytes, Error>>;

impl Repository {
    /// Whether the blob is there: its size, which is nothing to rely on where the registry does not say (DIST-23).
    ///
    /// A registry that denies this request may still take the blob, so 401 and 403 count as absent (DIST-39).
    ///
    /// # Errors
    /// Only when the registry cannot be asked.
    pub async fn blob_head(&self, digest: &Digest) -> Result<Option<BlobHead>, Error> {
        for source in self.mirrors(true) {
            match source.repository().blob_head_here(digest).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => source.failed(&error),
            }
        }
        self.location().blob_head_here(digest).await
    }

    async fn blob_head_here(&self, digest: &Digest) -> Result<Option<BlobHead>, Error> {
        let purpose = self.pull();
        let call = Call::new(Method::HEAD, self.url(&format!("blobs/{digest}"))?, &purpose);
        match self.host.call(&call).await {
            Ok(answer) => {
                let size = answer.header("content-length").and_then(|text| text.parse().ok());
                Ok(Some(BlobHead { size }))
            }
            Err(Error::NotFound(_) | Error::Denied(_)) => Ok(None),
            Err(Error::Refused(exchange)) if exchange.status == Some(405) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The content of a blob from its start.
    ///
    /// Nothing is sent before the stream is polled. It takes one of the host's places while it runs.
    ///
    /// # Errors
    /// The stream gives [`Error::NotFound`], [`Error::Content`] when size or digest are not those of the descriptor (it
    /// stops at the first byte too many), and the errors of the connection after all tries.
    #[must_use]
    pub fn blob_get(&self, blob: &Descriptor) -> BlobStream {
        self.blob_resume(blob, Verifier::new(&blob.digest, Some(blob.size)))
    }

    /// The content of a blob from where `verifier` stands: it has seen what is held already, and goes on with it.
    ///
    /// When the digest does not agree in the end, what was held before may be the culprit; then drop it and begin anew.
    ///
    /// # Errors
    /// As [`Repository::blob_get`].
    #[must_use]
    pub fn blob_resume(&self, blob: &Descriptor, verifier: Verifier) -> BlobStream {
        let is_doubted = self.reading.as_ref().is_some_and(|reading| reading.is_doubted(&blob.digest));
        let mut mirrors: VecDeque<_> = self.mirrors(true).filter(|_| !is_doubted).map(Arc::clone).collect();
        let mirror = mirrors.pop_front();
        let location = self.location().clone();
        let repository = mirror.as_ref().map_or(&location, |mirror| mirror.repository()).clone();
        let download = Download {
            purpose: repository.pull(),
            backoff: Backoff::new(&self.host.shared.settings.retry),
            repository,
            mirror,
            mirrors,
            location,
            blob: blob.clone(),
            verifier: Some(verifier),
            body: None,
            skip: 0,
            rereads: 0,
            plain: false,
            pace: Pace::default(),
            ahead: None,
            chances: 3,
        };
        stream::try_unfold(download, |mut download| async move {
            let piece = download.next().await?;
            Ok(piece.map(|piece| (piece, download)))
        })
        .boxed()
    }

    /// The content of a blob from its byte `held` on, which **nobody has hashed**: for a receiver that hashes by itself, so
    /// that every byte is hashed once. Only the size is checked; cuts are resumed as ever.
    ///
    /// # Errors
    /// As [`Repository::blob_get`], save that the digest is the receiver's to check.
    #[must_use]
    pub fn blob_unhashed(&self, blob: &Descriptor, held: u64) -> BlobStream {
        self.blob_resume(blob, Verifier::of_size(&blob.digest, blob.size, held))
    }

    /// The blob as the source of an upload to another registry.
    #[must_use]
    pub fn blob_source(&self, blob: &Descriptor) -> RemoteBlob {
        RemoteBlob { repository: self.clone(), blob: blob.clone() }
    }
}

/// What a registry says of a blob that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobHead {
    /// The size in bytes, where the registry says it.
    pub size: Option<u64>,
}

/// A blob of a registry as a [`BlobSource`]. From an offset other than 0 it cannot be verified by itself; the registry
/// that receives it does that.
#[derive(Debug, Clone)]
pub struct RemoteBlob {
    repository: Repository,
    blob: Descriptor,
}

impl BlobSource for RemoteBlob {
    fn open(&self, offset: u64) -> BoxStream<'static, Result<Bytes, BoxError>> {
        let mut left = offset;
        let whole = self.repository.blob_get(&self.blob);
        let rest = whole.filter_map(move |piece| {
            let piece = piece.map(|mut piece| {
                let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                left -= skipped as u64;
                piece.split_off(skipped)
            });
            let kept = !matches!(&piece, Ok(piece) if piece.is_empty());
            std::future::ready(kept.then_some(piece.map_err(BoxError::from)))
        });
        rest.boxed()
    }
}

/// A download under way.
struct Download {
    repository: Repository,
    /// The mirror that this is, if it is one.
    mirror: Option<Arc<Source>>,
    /// Where else the blob may be, if not there; and where it is in the end.
    mirrors: VecDeque<Arc<Source>>,
    location: Repository,
    purpose: Purpose,
    blob: Descriptor,
    backoff: Backoff,
    /// Gone when the end was reached.
    verifier: Option<Verifier>,
    body: Option<Body>,
    /// Bytes of the body under way that were given before.
    skip: u64,
    rereads: u32,
    /// Whether the server has shown that it cannot give a part.
    plain: bool,
    /// How quickly the body under way comes.
    pace: Pace,
    /// What is asked for beside the body, and comes after it.
    ahead: Option<Ahead>,
    /// How often that may still be tried.
    chances: u32,
}

impl Download {
    /// The next piece; nothing after the last, when all is verified.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.verifier.is_none() {
                return Ok(None);
            }
            if self.seen() == self.blob.size && self.body.is_none() {
                return self.finish();
            }
            match self.step().await {
                Ok(Step::Piece(piece)) => return Ok(Some(piece)),
                Ok(Step::Nothing) => {}
                Ok(Step::End) => return self.finish(),
                Err(error) => {
                    (self.body, self.ahead) = (None, None);
                    if let Err(error) = self.repository.host.again(&mut self.backoff, error).await {
                        self.go_elsewhere(error)?;
                    }
                }
            }
        }
    }

    /// Goes on at the next place from the last byte that was given, if there is another.
    fn go_elsewhere(&mut self, error: Error) -> Result<(), Error> {
        let Some(mirror) = self.mirror.take() else { return Err(error) };
        mirror.failed(&error);
        self.mirror = self.mirrors.pop_front();
        let next = self.mirror.as_ref().map_or(&self.location, |mirror| mirror.repository()).clone();
        (self.purpose, self.repository, self.plain) = (next.pull(), next, false);
        (self.rereads, self.backoff) = (0, Backoff::new(&self.repository.host.shared.settings.retry));
        Ok(())
    }

    async fn step(&mut self) -> Result<Step, Error> {
        let Some(body) = &mut self.body else {
            if let Some(ahead) = &mut self.ahead {
                let piece = ahead.next().await;
                return self.take_ahead(piece);
            }
            self.connect().await?;
            return Ok(Step::Nothing);
        };
        let (seen, size) = (self.verifier.as_ref().map_or(0, Verifier::seen), self.blob.size);
        let piece = body.next().await;
        let waited = body.take_waited();
        match piece.map_err(|broken| request::failure(broken, &self.exchange(), &[]))? {
            Some(piece) => {
                let piece = self.until_ahead(piece);
                self.look_ahead(piece.len() as u64, waited);
                self.take(piece)
            }
            None if seen == size && self.skip == 0 => Ok(Step::End),
            None => Err(self.cut(format!("the answer ended after {seen} of {size} bytes"))),
        }
    }

    /// A piece of a segment. One that fails costs nothing: a request for the rest tells whether the blob can be had.
    fn take_ahead(&mut self, piece: Result<Option<Bytes>, Error>) -> Result<Step, Error> {
        match piece {
            Ok(Some(piece)) => return self.take(piece),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a segment failed"),
        }
        self.ahead = None;
        Ok(Step::Nothing)
    }

    /// A piece up to where the segments begin; there the body is left. If they have not begun to come, it goes on, and
    /// they are given up.
    fn until_ahead(&mut self, mut piece: Bytes) -> Bytes {
        let Some((start, is_ready)) = self.ahead.as_ref().map(Ahead::ready_at) else { return piece };
        let left = usize::try_from(start.saturating_sub(self.seen())).unwrap_or(usize::MAX);
        if piece.len() < left {
            return piece;
        }
        if is_ready {
            piece.truncate(left);
            self.body = None;
        } else {
            self.ahead = None;
        }
        piece
    }

    /// Asks for later segments, too, where the body comes slowly and that may help.
    fn look_ahead(&mut self, bytes: u64, waited: Duration) {
        let host = &self.repository.host;
        let segments = &host.shared.settings.segments;
        if let Some(ahead) = &mut self.ahead {
            return ahead.fill();
        }
        let is_slow = self.pace.is_slow(bytes, waited, segments);
        let (at, size) = (self.seen() + bytes + segments.bytes, self.blob.size);
        let may = segments.most > 0 && self.chances > 0 && self.skip == 0 && !self.plain;
        let far = || host.throttle.quickest().is_some_and(|time| time >= segments.latency);
        if !is_slow || !may || size.saturating_sub(self.seen()) < segments.least || at >= size {
            return;
        }
        if host.features.parts.get() == Some(true) && far() {
            let Ok(url) = self.url() else { return };
            let whole = Whole { host: Arc::clone(host), purpose: self.purpose.clone(), url, size };
            self.ahead = Ahead::start(whole, at);
            self.chances -= u32::from(self.ahead.is_some());
        }
    }

    /// Verifies a piece, less what was given before.
    fn take(&mut self, mut piece: Bytes) -> Result<Step, Error> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
        self.skip -= skipped as u64;
        let piece = piece.split_off(skipped);
        if piece.is_empty() {
            return Ok(Step::Nothing);
        }
        self.backoff.progressed(piece.len() as u64);
        let host = &self.repository.host;
        host.shared.settings.events.received(&host.name, piece.len() as u64);
        if let Some(verifier) = &mut self.verifier {
            verifier.update(&piece).map_err(|source| Error::Content { url: self.exchange().url, source })?;
        }
        Ok(Step::Piece(piece))
    }

    fn finish(&mut self) -> Result<Option<Bytes>, Error> {
        self.body = None;
        match self.verifier.take().map(Verifier::finish) {
            Some(Err(source)) => Err(Error::Content { url: self.exchange().url, source }),
            _ => Ok(None),
        }
    }

    /// Asks for what is missing.
    async fn connect(&mut self) -> Result<(), Error> {
        let seen = self.seen();
        let mut call = Call::new(Method::GET, self.url()?, &self.purpose);
        if seen > 0 && !self.plain {
            let range = HeaderValue::try_from(format!("bytes={seen}-"));
            call = call.header(header::RANGE, range.unwrap_or_else(|_| HeaderValue::from_static("bytes=0-")));
        }
        let answer = match self.repository.host.attempt(&call).await {
            Err(error) if error.status() == Some(416) => {
                self.plain = true;
                return Err(self.cut("the server cannot give the rest".to_owned()));
            }
            answer => answer?,
        };
        self.skip = match answer.status {
            206 => self.check_part(&answer, seen)?,
            _ => self.check_whole(&answer, seen)?,
        };
        let offered = answer.status == 206 || answer.header("accept-ranges") == Some("bytes");
        if offered && !self.plain && self.repository.host.features.parts.get().is_none() {
            self.repository.host.features.parts.set(true);
        }
        (self.body, self.pace) = (Some(answer.body), Pace::default());
        Ok(())
    }

    /// A part must begin where we stopped, and nowhere else (row 27).
    fn check_part(&mut self, answer: &Answer, seen: u64) -> Result<u64, Error> {
        let range = answer.header("content-range").and_then(content_range);
        let fits = range
            .is_some_and(|(start, total)| start == seen && total.is_none_or(|total| total == self.blob.size));
        if fits && !self.plain {
            return Ok(0);
        }
        self.plain = true;
        Err(self.cut("the server gave another part than was asked for".to_owned()))
    }

    /// The whole must have the right size; what we hold of it is passed over, but not for ever (row 26).
    fn check_whole(&mut self, answer: &Answer, seen: u64) -> Result<u64, Error> {
        if let Some(encoding) = answer.header("content-encoding").filter(|encoding| *encoding != "identity") {
            let reason = format!("the content is encoded as {}", redact::tidy(encoding, 32));
            return Err(request::unexpected(answer, &Method::GET, reason));
        }
        let announced = answer.header("content-length").and_then(|text| text.parse::<u64>().ok());
        if let Some(actual) = announced.filter(|announced| *announced != self.blob.size) {
            let (digest, expected) = (self.blob.digest.clone(), self.blob.size);
            let source = transship_spec::Error::SizeMismatch { digest, expected, actual };
            return Err(Error::Content { url: self.exchange().url, source });
        }
        if seen > 0 {
            self.rereads += 1;
            let limit = self.repository.host.shared.settings.limits.rereads;
            if self.rereads > limit {
                return Err(Error::Limit {
                    what: "reading again from the start",
                    url: self.exchange().url,
                    limit: limit.into(),
                });
            }
        }
        Ok(seen)
    }

    fn seen(&self) -> u64 {
        self.verifier.as_ref().map_or(self.blob.size, Verifier::seen)
    }

    fn url(&self) -> Result<url::Url, Error> {
        self.repository.url(&format!("blobs/{}", self.blob.digest))
    }

    fn exchange(&self) -> crate::error::Exchange {
        self.url().map(|url| request::exchange(&Method::GET, &url)).unwrap_or_default()
    }

    fn cut(&self, reason: String) -> Error {
        Error::Transport { exchange: Box::new(self.exchange()), reason, connected: true }
    }
}

enum Step {
    Piece(Bytes),
    Nothing,
    End,
}

/// Reads `bytes START-END/TOTAL`, where the total may be unknown.
pub(crate) fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.trim_start().split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
    let total = if total.trim() == "*" { None } else { Some(total.trim().parse().ok()?) };
    (start <= end && total.is_none_or(|total: u64| end < total)).then_some((start, total))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dist_21_a_content_range_is_read_exactly() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, None)));
        for text in [
            "",
            "bytes",
            "bytes 5-",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "items 0-1/2",
            "bytes -1-2/3",
        ] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_content_range_makes_the_parser_panic(text in "(bytes )?[-0-9/* ]{0,50}") {
            let _ = content_range(&text);
        }
    }
}
