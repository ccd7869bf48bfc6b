//! Bodies that are counted, and spoiled on their way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use transship_serve::{Body, BoxError};

use crate::fault::Effect;
use crate::seen::Progress;
use crate::wire::Flushed;

/// The body of a request: counted, and broken off where it is to be.
pub(crate) fn incoming(body: Body, progress: Arc<Progress>, cut: Option<u64>) -> Body {
    let spoiled = Spoiled { body, progress, direction: Direction::In, ..Spoiled::plain(cut) };
    spoiled.boxed_unsync()
}

/// The body of an answer: counted, and spoiled as the effect says.
pub(crate) fn outgoing(body: Body, progress: Arc<Progress>, flushed: Arc<Flushed>, effect: &Effect) -> Body {
    let has_length = !effect.without.contains(&http::header::CONTENT_LENGTH);
    let spoiled = Spoiled {
        body,
        progress,
        flushed: Some(flushed),
        stall: effect.stall,
        flip: effect.flip,
        has_length,
        ..Spoiled::plain(effect.cut)
    };
    spoiled.boxed_unsync()
}

#[derive(PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

struct Spoiled {
    body: Body,
    progress: Arc<Progress>,
    direction: Direction,
    /// Tells when all that passed is on its way: a connection that is closed before would take it along.
    flushed: Option<Arc<Flushed>>,
    waits_for: Option<u64>,
    at: u64,
    cut: Option<u64>,
    stall: Option<u64>,
    flip: Option<u64>,
    has_length: bool,
}

impl Spoiled {
    fn plain(cut: Option<u64>) -> Self {
        let nothing = http_body_util::Empty::new().map_err(|never| match never {});
        Self {
            body: nothing.boxed_unsync(),
            progress: Arc::default(),
            direction: Direction::Out,
            flushed: None,
            waits_for: None,
            at: 0,
            cut,
            stall: None,
            flip: None,
            has_length: true,
        }
    }

    /// How many bytes may still pass.
    fn left(&self) -> Option<u64> {
        let end = self.cut.into_iter().chain(self.stall).min()?;
        Some(end.saturating_sub(self.at))
    }

    fn pass(&mut self, mut data: Bytes) -> Bytes {
        if let Some(left) = self.left() {
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        let end = self.at + data.len() as u64;
        if let Some(flip) = self.flip.filter(|flip| (self.at..end).contains(flip)) {
            let mut changed = data.to_vec();
            changed[usize::try_from(flip - self.at).unwrap()] ^= 1;
            data = changed.into();
        }
        self.at = end;
        match self.direction {
            Direction::In => self.progress.receive(data.len()),
            Direction::Out => self.progress.send(data.len()),
        }
        data
    }
}

impl hyper::body::Body for Spoiled {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left() == Some(0) {
            if self.cut.is_some_and(|cut| cut <= self.at) {
                if let Some(flushed) = self.flushed.clone() {
                    let after = *self.waits_for.get_or_insert_with(|| flushed.times());
                    ready!(flushed.poll_after(after, context));
                }
                return Poll::Ready(Some(Err("cut by the test".into())));
            }
            // Nobody wakes us: this body stands still until its connection ends.
            return Poll::Pending;
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(data) => Frame::data(self.pass(data)),
            Err(other) => other,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left() != Some(0) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.has_length { self.body.size_hint() } else { SizeHint::default() }
    }
}
