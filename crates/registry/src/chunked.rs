//! Uploads by `PATCH`: the whole in one stream, the rest of it, or chunks (DIST-34, DIST-40…45).
//!
//! A large blob is streamed in one request without `Content-Range`, so that after a cut there is a session to ask how much
//! it has; only the rest is sent then. Chunks are for registries and proxies that refuse large requests, or on which long
//! ones break without anything being kept.
//!
//! After each request the server says how much it has. What it says is believed when it lies within what was just sent;
//! a figure that does not move is not, because some registries leave it standing (DIST-172), and what was acknowledged
//! counts. Where what was put together does not have the digest, or the session is lost, the blob begins anew in another
//! session. Only bytes beyond all that a session ever had are progress, so that this ends. A session that an earlier process
//! left is taken up in the same way.

use std::ops::Range;

use http::{HeaderValue, Method, header};
use transship_spec::Descriptor;

use crate::auth::Purpose;
use crate::error::Error;
use crate::limit::Backoff;
use crate::repository::Repository;
use crate::request::{Call, Payload};
use crate::sessions::Slot;
use crate::source::BlobSource;
use crate::upload::{Session, octets};
use crate::wire::Answer;

/// Chunks are never made smaller than this.
const SMALLEST: u64 = 64 << 10;
/// After so many streams of which nothing was kept, chunks are sent.
const LOST_STREAMS: u32 = 2;

/// An upload by `PATCH` under way.
pub(crate) struct Parts<'a> {
    repository: &'a Repository,
    blob: &'a Descriptor,
    source: &'a dyn BlobSource,
    purpose: &'a Purpose,
    session: Session,
    /// How many bytes the server has.
    held: u64,
    /// The most that it ever had.
    most: u64,
    /// Bytes of a chunk; none where all that is left goes in one request.
    chunk: Option<u64>,
    /// Streams that were cut, and of which nothing was kept.
    lost: u32,
    /// Whether the last failure was a cut.
    was_cut: bool,
    /// Whether the session went on after something failed, so that what it has may not be what it says.
    patched: bool,
    backoff: Backoff,
    /// Where the session is remembered for the next process.
    slot: Option<Slot>,
    /// Whether the session is one that an earlier process left.
    is_old: bool,
    /// How many bytes of the blob came in an earlier process.
    resumed: u64,
}

/// What became of a step.
enum Step {
    More,
    Done,
}

/// How the server came to be asked where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Something broke, or failed.
    Failure,
    /// It says that we are not where it is.
    Order,
    /// It is remembered from an earlier process.
    Memory,
}

impl<'a> Parts<'a> {
    /// An upload in this session, of which nothing is sent yet: in one stream or in chunks.
    pub(crate) fn new(
        repository: &'a Repository,
        blob: &'a Descriptor,
        source: &'a dyn BlobSource,
        purpose: &'a Purpose,
        session: Session,
    ) -> Self {
        Self {
            backoff: Backoff::new(&repository.host.shared.settings.retry),
            repository,
            blob,
            source,
            purpose,
            session,
            held: 0,
            most: 0,
            chunk: None,
            lost: 0,
            was_cut: false,
            patched: false,
            slot: None,
            is_old: false,
            resumed: 0,
        }
    }

    /// Remembers the session in this place; it is one that was remembered there already, or not.
    pub(crate) fn remembered(self, slot: Option<Slot>, is_old: bool) -> Self {
        Self { slot, is_old, ..self }
    }

    /// Sends chunks, not a stream.
    pub(crate) fn in_chunks(self) -> Self {
        Self { chunk: Some(self.usual_chunk()), ..self }
    }

    /// Sends the blob and closes the session; how many of its bytes came in an earlier process. On an error the session is
    /// given up, unless it is remembered and another process may go on with it.
    pub(crate) async fn send(mut self) -> Result<u64, Error> {
        let done = self.run().await;
        let slot = self.slot.take();
        if let Err(error) = &done {
            if slot.is_some() && (error.is_transient() || matches!(error, Error::Source(_))) {
                return done.map(|()| 0);
            }
            self.repository.cancel(&self.session, self.purpose).await;
        }
        if let Some(slot) = slot {
            slot.forget();
        }
        done.map(|()| self.resumed)
    }

    fn usual_chunk(&self) -> u64 {
        self.repository.host.features.chunk(self.repository.host.shared.settings.upload.chunk).max(1)
    }

    async fn run(&mut self) -> Result<(), Error> {
        if self.is_old {
            self.find(Doubt::Memory).await?;
            self.resumed = self.held;
        } else {
            self.note().await;
        }
        loop {
            let step = if self.held < self.blob.size { self.send_part().await } else { self.close().await };
            match step {
                Ok(Step::More) => {}
                Ok(Step::Done) => return Ok(()),
                Err(error) if self.is_first_stream() && refuses_streams(&error) => return Err(error),
                Err(error) => match self.recover(error).await? {
                    Step::More => {}
                    Step::Done => return Ok(()),
                },
            }
        }
    }

    /// Whether nothing was sent yet but one stream.
    fn is_first_stream(&self) -> bool {
        self.chunk.is_none() && self.most == 0
    }

    /// Sends the next chunk, or all that is left.
    async fn send_part(&mut self) -> Result<Step, Error> {
        let start = self.held;
        let chunk = self.chunk.map_or(u64::MAX, |chunk| chunk.max(self.session.least));
        let end = self.blob.size.min(start.saturating_add(chunk));
        let mut call = Call::new(Method::PATCH, self.session.location.clone(), self.purpose)
            .header(header::CONTENT_TYPE, octets())
            .payload(Payload::Part { source: self.source, range: start..end, size: self.blob.size });
        // A stream has no place; a rest has one, so that the server sees whether it fits, unless it takes none (DIST-173).
        let takes_places = self.repository.host.features.chunks.get() != Some(false);
        if (start > 0 && takes_places || self.chunk.is_some())
            && let Ok(range) = HeaderValue::try_from(format!("{start}-{}", end - 1))
        {
            call = call.header(header::CONTENT_RANGE, range);
        }
        let answer = self.repository.host.attempt(&call).await?;
        let said = answer.header("range").and_then(held_bytes);
        self.holds(acknowledged(start..end, said));
        self.go_on(answer).await?;
        Ok(Step::More)
    }

    /// Notes how much the server has, and what of it is progress.
    fn holds(&mut self, bytes: u64) {
        self.held = bytes;
        self.backoff.progressed(bytes.saturating_sub(self.most));
        self.most = self.most.max(bytes);
    }

    async fn close(&mut self) -> Result<Step, Error> {
        self.repository.close(&self.session, &self.blob.digest, Payload::Nothing, self.purpose).await?;
        Ok(Step::Done)
    }

    /// Takes over the location for the next request; an answer without one leaves it as it is.
    async fn go_on(&mut self, answer: Answer) -> Result<(), Error> {
        if answer.headers.contains_key(header::LOCATION) {
            let least = self.session.least;
            self.session = self.repository.session(answer, &Method::PATCH).await?;
            self.session.least = self.session.least.max(least);
            self.note().await;
        } else {
            answer.body.drain().await;
        }
        Ok(())
    }

    /// Remembers where the session is.
    async fn note(&mut self) {
        if let Some(slot) = &mut self.slot {
            slot.note(&self.session.location).await;
        }
    }

    /// After a failure: smaller requests, the server's own figure, or a new session.
    async fn recover(&mut self, error: Error) -> Result<Step, Error> {
        let status = error.status();
        self.was_cut = matches!(error, Error::Transport { connected: true, .. });
        let doubt = if status == Some(416) { Doubt::Order } else { Doubt::Failure };
        let lowered = matches!(status, Some(413 | 416)) && self.lower(doubt);
        match status {
            Some(400 | 405 | 411 | 415 | 422) if self.patched => return self.begin_anew_after(error).await,
            Some(413 | 416) if lowered => {}
            // Not a matter of waiting, but of asking; and not without end.
            Some(404 | 409 | 410 | 416) => {
                if self.backoff.failed().is_none() {
                    return Err(error.after(self.backoff.tries()));
                }
            }
            _ => self.repository.host.again(&mut self.backoff, error).await?,
        }
        if self.held == self.blob.size && self.is_there().await {
            // The answer to the last request was lost, and nothing else.
            return Ok(Step::Done);
        }
        let before = self.held;
        self.find(doubt).await?;
        if status == Some(416) && !lowered && self.held == before {
            // It is where we are, so that it is the size that it does not take (DIST-171).
            self.lower(Doubt::Failure);
        }
        Ok(Step::More)
    }

    /// Sends less at once, where that is possible and may be what is wrong.
    fn lower(&mut self, doubt: Doubt) -> bool {
        let features = &self.repository.host.features;
        let floor = SMALLEST.max(self.session.least);
        match self.chunk {
            // One chunk and no more would be the same again.
            None if self.blob.size - self.held > self.usual_chunk() => {
                if self.held == 0 {
                    features.whole_uploads.set(false);
                }
                self.chunk = Some(self.usual_chunk());
                true
            }
            Some(chunk) if doubt == Doubt::Failure && chunk.min(self.blob.size) > floor => {
                let smaller = (chunk.min(self.blob.size) / 2).max(floor);
                features.lower_chunk(smaller);
                self.chunk = Some(smaller);
                true
            }
            _ => false,
        }
    }

    async fn is_there(&self) -> bool {
        let head = self.repository.blob_head(&self.blob.digest).await;
        matches!(head, Ok(Some(head)) if head.size == Some(self.blob.size))
    }

    /// Asks until it is known from where to go on.
    async fn find(&mut self, doubt: Doubt) -> Result<(), Error> {
        while let Err(error) = self.locate(doubt).await {
            self.repository.host.again(&mut self.backoff, error).await?;
        }
        Ok(())
    }

    /// Asks the session where it stands; where there is none any more, begins another. An error is one that may pass.
    async fn locate(&mut self, doubt: Doubt) -> Result<(), Error> {
        let call = Call::new(Method::GET, self.session.location.clone(), self.purpose);
        let answer = match self.repository.host.attempt(&call).await {
            Ok(answer) => answer,
            Err(error) if is_worth_waiting(&error) => return Err(error),
            Err(error) if error.is_transient() || is_about_session(&error) || doubt == Doubt::Memory => {
                return self.begin_anew().await;
            }
            Err(error) => return Err(error),
        };
        // `0-0` is both nothing and one byte, and what those say who do not tell.
        let said = answer.header("range").and_then(held_bytes).filter(|held| *held > 1);
        let held = match said {
            Some(said) if said > self.blob.size => None,
            Some(said) if doubt != Doubt::Failure => Some(said),
            // What was acknowledged is there, whatever figure stands still.
            Some(said) => Some(said.max(self.held)),
            None if doubt == Doubt::Order && self.held > 0 || doubt == Doubt::Memory => None,
            None => Some(self.held),
        };
        let Some(held) = held.filter(|_| answer.status == 204 || said.is_some()) else {
            answer.body.drain().await;
            return self.begin_anew().await;
        };
        self.note_stream(held);
        self.patched = true;
        self.holds(held);
        self.go_on(answer).await
    }

    /// Begins another session, with nothing sent.
    async fn begin_anew(&mut self) -> Result<(), Error> {
        let least = self.session.least;
        self.session = self.repository.begin(&self.blob.digest, self.purpose).await?;
        self.session.least = self.session.least.max(least);
        self.note_stream(0);
        self.note().await;
        (self.held, self.patched, self.resumed) = (0, false, 0);
        Ok(())
    }

    /// The same, where what was put together from parts is not the blob.
    async fn begin_anew_after(&mut self, error: Error) -> Result<Step, Error> {
        tracing::debug!(%error, "an upload that went on is wrong, and begins anew");
        if self.backoff.failed().is_none() {
            return Err(error.after(self.backoff.tries()));
        }
        while let Err(error) = self.begin_anew().await {
            self.repository.host.again(&mut self.backoff, error).await?;
        }
        Ok(Step::More)
    }

    /// Long requests of which nothing is kept are not sent for ever.
    fn note_stream(&mut self, held: u64) {
        if self.chunk.is_none() && self.was_cut && held == 0 {
            self.lost += 1;
            self.chunk = (self.lost >= LOST_STREAMS).then(|| self.usual_chunk());
        }
    }
}

/// Whether a registry seems not to take a blob by `PATCH` at all.
pub(crate) fn refuses_streams(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 405 | 406 | 411 | 415 | 501))
}

/// Whether the server did not get to say anything of the session.
fn is_worth_waiting(error: &Error) -> bool {
    matches!(error, Error::Transport { .. }) || matches!(error.status(), Some(429 | 502..=504))
}

/// Whether the session may be what is wrong.
fn is_about_session(error: &Error) -> bool {
    matches!(error, Error::NotFound(_) | Error::Refused(_) | Error::Protocol { .. })
}

/// How many bytes the server has after a part was acknowledged.
fn acknowledged(part: Range<u64>, said: Option<u64>) -> u64 {
    match said {
        // `0-0` says nothing.
        Some(held) if part.start < held && 1 < held && held < part.end => held,
        _ => part.end,
    }
}

/// Reads `0-LAST`, with or without the unit, as a number of bytes.
pub(crate) fn held_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let (start, last) = text.strip_prefix("bytes=").unwrap_or(text).split_once('-')?;
    let last: u64 = last.parse().ok()?;
    (start == "0").then(|| last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_43_the_range_of_a_session_is_a_number_of_bytes() {
        assert_eq!(held_bytes("0-1023"), Some(1024));
        assert_eq!(held_bytes("bytes=0-9"), Some(10));
        assert_eq!(held_bytes("0-0"), Some(1));
        for text in ["", "5-9", "0-", "-1", "0-x", "0--1"] {
            assert_eq!(held_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn row_38_a_part_of_a_chunk_is_believed_and_a_figure_that_stands_still_is_not() {
        assert_eq!(acknowledged(100..200, Some(150)), 150);
        assert_eq!(acknowledged(100..200, Some(200)), 200);
        assert_eq!(acknowledged(100..200, None), 200);
        assert_eq!(acknowledged(100..200, Some(100)), 200);
        assert_eq!(acknowledged(100..200, Some(1)), 200);
        assert_eq!(acknowledged(0..200, Some(1)), 200);
        assert_eq!(acknowledged(100..200, Some(9999)), 200);
    }
}
