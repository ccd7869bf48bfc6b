//! A large blob by several requests at once, where one alone is slow.
//!
//! Far from a registry, and where a server is slow on each connection, one answer brings much less than the network has.
//! So when a large blob has come slowly for a while, and the host has places that nobody else wants, the segments that
//! come later are asked for by `Range` while the first answer goes on up to them.
//!
//! *Order is kept*: pieces are given on in the order of the blob, so that hashing and partial files go on as ever, and
//! after any failure one request asks for the rest from the last byte that was given. *Memory is bounded*: so many
//! segments, and only for one blob of a host at a time. *Nothing is lost by trying*: the first answer is given up only
//! when the segment that follows has begun to come.
//!
//! What we wait for ourselves, such as a reader or a rate, is not slowness, and a host that answers within no time is so
//! near that one connection is enough. There is no `If-Range`: the URL names the content by its digest, which is checked
//! at the end; the total of each `Content-Range` is checked at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use url::Url;

use crate::auth::Purpose;
use crate::blob::content_range;
use crate::client::Host;
use crate::error::Error;
use crate::places::{Lane, Place};
use crate::request::{self, Call};
use crate::settings::Segments;

/// How quickly an answer comes.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// Notes a piece, and how long the network took for it; whether the answer has been slow for a while.
    pub(crate) fn is_slow(&mut self, bytes: u64, waited: Duration, segments: &Segments) -> bool {
        self.bytes += bytes;
        self.waited += waited;
        if self.waited < segments.probe {
            return false;
        }
        let slow = u128::from(self.bytes) * 1000 < u128::from(segments.slower_than) * self.waited.as_millis();
        *self = Self::default();
        slow
    }
}

/// What segments are of.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) host: Arc<Host>,
    pub(crate) purpose: Purpose,
    pub(crate) url: Url,
    pub(crate) size: u64,
}

/// The segments that are asked for, in the order of the blob.
#[derive(Debug)]
pub(crate) struct Ahead {
    whole: Arc<Whole>,
    segments: VecDeque<Segment>,
    /// Where the next segment begins.
    next: u64,
    _turn: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    /// Bytes that are still to be given.
    left: u64,
    /// No more of them than the segment has, so that the channel is bounded in bytes.
    pieces: UnboundedReceiver<Result<Bytes, Error>>,
    has_begun: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ahead {
    /// Asks for segments from byte `at` on, where it is this blob's turn and there is a place for one at least.
    pub(crate) fn start(whole: Whole, at: u64) -> Option<Self> {
        let turn = whole.host.features.segments.take()?;
        let (whole, segments) = (Arc::new(whole), VecDeque::new());
        let mut ahead = Self { whole, segments, next: at, _turn: turn };
        ahead.fill();
        (!ahead.segments.is_empty()).then_some(ahead)
    }

    /// Asks for more segments, as many as are allowed and there are free places for.
    pub(crate) fn fill(&mut self) {
        while self.segments.len() < self.settings().most && self.next < self.whole.size {
            let Some(place) = self.whole.host.throttle.try_enter(Lane::Reading) else { return };
            self.ask(place);
        }
    }

    /// Where the segments begin, when the first of them has begun to come.
    pub(crate) fn ready_at(&self) -> (u64, bool) {
        let first = self.segments.front();
        first.map_or((self.next, false), |first| (first.start, first.has_begun.load(Ordering::Acquire)))
    }

    /// The next piece; nothing at the end of the blob.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            self.fill();
            let Some(segment) = self.segments.front_mut() else {
                if self.next >= self.whole.size {
                    return Ok(None);
                }
                let place = self.whole.host.throttle.enter(Lane::Reading).await;
                self.ask(place);
                continue;
            };
            match segment.pieces.recv().await {
                Some(piece) => {
                    let piece = piece?;
                    segment.left = segment.left.saturating_sub(piece.len() as u64);
                    return Ok(Some(piece));
                }
                None if segment.left == 0 => drop(self.segments.pop_front()),
                None => return Err(self.whole.cut("a part of it ended early")),
            }
        }
    }

    fn ask(&mut self, place: Place) {
        let range = self.next..self.whole.size.min(self.next + self.settings().bytes.max(1));
        self.next = range.end;
        let (send, pieces) = mpsc::unbounded_channel();
        let has_begun = Arc::new(AtomicBool::new(false));
        let (start, left) = (range.start, range.end - range.start);
        let (whole, begun) = (Arc::clone(&self.whole), Arc::clone(&has_begun));
        let task = tokio::spawn(async move {
            if let Err(error) = whole.fetch(range, place, &begun, &send).await {
                let _ = send.send(Err(error));
            }
        });
        self.segments.push_back(Segment { start, left, pieces, has_begun, task });
    }

    fn settings(&self) -> &Segments {
        &self.whole.host.shared.settings.segments
    }
}

impl Whole {
    /// One segment, to its last byte or an error. There is no second try: who reads asks for the rest.
    async fn fetch(
        &self,
        range: Range<u64>,
        place: Place,
        has_begun: &AtomicBool,
        pieces: &UnboundedSender<Result<Bytes, Error>>,
    ) -> Result<(), Error> {
        let value = HeaderValue::try_from(format!("bytes={}-{}", range.start, range.end - 1));
        let value = value.map_err(|_| self.cut("a range that cannot be written"))?;
        let call = Call::new(Method::GET, self.url.clone(), &self.purpose).header(header::RANGE, value);
        let answer = self.host.attempt_at(&call, place).await?;
        let part = answer.header("content-range").and_then(content_range);
        let is_right = part.is_some_and(|(start, total)| {
            start == range.start && total.is_none_or(|total| total == self.size)
        });
        if answer.status != 206 || !is_right {
            self.host.features.parts.set(false);
            return Err(self.cut("the server gave another part than was asked for"));
        }
        has_begun.store(true, Ordering::Release);
        let (mut body, mut left) = (answer.body, range.end - range.start);
        let broken = |broken| request::failure(broken, &request::exchange(&Method::GET, &self.url), &[]);
        while let Some(piece) = body.next().await.map_err(broken)? {
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or_else(|| self.cut("the server gave more than was asked for"))?;
            if pieces.send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
        if left > 0 { Err(self.cut("a part of it ended early")) } else { Ok(()) }
    }

    fn cut(&self, reason: &str) -> Error {
        let exchange = Box::new(request::exchange(&Method::GET, &self.url));
        Error::Transport { exchange, reason: reason.to_owned(), connected: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_slow_over_a_while_of_waiting_and_not_before() {
        let segments =
            Segments { probe: Duration::from_secs(2), slower_than: 16 << 20, ..Segments::default() };
        let second = Duration::from_secs(1);
        let mut pace = Pace::default();
        assert!(!pace.is_slow(1 << 20, second, &segments));
        assert!(pace.is_slow(1 << 20, second, &segments));
        assert!(!pace.is_slow(1 << 20, second, &segments), "it begins anew");
        assert!(!pace.is_slow(64 << 20, second, &segments));
        // However much time goes by: what is not waited for does not count.
        assert!(!(0..10_000).any(|_| pace.is_slow(64 << 10, Duration::ZERO, &segments)));
    }
}
