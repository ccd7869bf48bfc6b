//! Uploads in chunks, for registries and proxies that refuse large requests (DIST-40…45).
//!
//! After each chunk the server says how much it has. What it says is believed when it lies within the chunk just sent;
//! a figure that does not move is not, because some registries leave it standing (DIST-172), and what was acknowledged
//! counts. After a failure the session is asked where it stands, and the upload goes on from there.

use std::ops::Range;

use http::{HeaderValue, Method, header};
use transship_spec::Descriptor;

use crate::auth::Purpose;
use crate::error::Error;
use crate::limit::Backoff;
use crate::repository::Repository;
use crate::request::{self, Call, Payload};
use crate::source::BlobSource;
use crate::upload::{Session, octets};
use crate::wire::Answer;

/// Chunks are never made smaller than this.
const SMALLEST: u64 = 64 << 10;

/// An upload in chunks under way.
struct Chunks<'a> {
    repository: &'a Repository,
    blob: &'a Descriptor,
    source: &'a dyn BlobSource,
    purpose: &'a Purpose,
    session: Session,
    /// How many bytes the server has.
    held: u64,
    size: u64,
    backoff: Backoff,
}

impl Repository {
    /// Sends a blob in chunks and closes the session.
    pub(crate) async fn upload_chunks(
        &self,
        blob: &Descriptor,
        source: &dyn BlobSource,
        session: Session,
        purpose: &Purpose,
    ) -> Result<(), Error> {
        let settings = &self.host.shared.settings;
        let size = self.host.features.chunk(settings.upload.chunk).max(1);
        let backoff = Backoff::new(&settings.retry);
        let mut chunks = Chunks { repository: self, blob, source, purpose, session, held: 0, size, backoff };
        let done = chunks.run().await;
        if done.is_err() {
            self.cancel(&chunks.session, purpose).await;
        }
        done
    }
}

impl Chunks<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            let step = if self.held < self.blob.size { self.send().await } else { self.close().await };
            match step {
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(error) => self.recover(error).await?,
            }
        }
    }

    /// Sends the next chunk.
    async fn send(&mut self) -> Result<bool, Error> {
        let start = self.held;
        let end = self.blob.size.min(start + self.size.max(self.session.least));
        let range = HeaderValue::try_from(format!("{start}-{}", end - 1));
        let call = Call::new(Method::PATCH, self.session.location.clone(), self.purpose)
            .header(header::CONTENT_TYPE, octets())
            .header(header::CONTENT_RANGE, range.unwrap_or_else(|_| HeaderValue::from_static("0-0")))
            .payload(Payload::Part { source: self.source, range: start..end, size: self.blob.size });
        let answer = self.repository.host.attempt(&call).await?;
        let said = answer.header("range").and_then(held_bytes);
        self.held = acknowledged(start..end, said);
        self.backoff.progressed(self.held - start);
        self.go_on(answer).await?;
        Ok(false)
    }

    async fn close(&mut self) -> Result<bool, Error> {
        self.repository.close(&self.session, &self.blob.digest, Payload::Nothing, self.purpose).await?;
        Ok(true)
    }

    /// Takes over the location for the next request; an answer without one leaves it as it is.
    async fn go_on(&mut self, answer: Answer) -> Result<(), Error> {
        if answer.headers.contains_key(header::LOCATION) {
            let least = self.session.least;
            self.session = self.repository.session(answer, &Method::PATCH).await?;
            self.session.least = self.session.least.max(least);
        } else {
            answer.body.drain().await;
        }
        Ok(())
    }

    /// After a failure: smaller chunks, the server's own figure, or a new session.
    async fn recover(&mut self, error: Error) -> Result<(), Error> {
        match error.status() {
            Some(413) if self.size.min(self.blob.size) > SMALLEST.max(self.session.least) => {
                self.size = (self.size.min(self.blob.size) / 2).max(SMALLEST).max(self.session.least);
                self.repository.host.features.lower_chunk(self.size);
            }
            Some(416 | 404) => {
                // Not a matter of waiting, but of asking; and not without end.
                if self.backoff.failed().is_none() {
                    return Err(error.after(self.backoff.tries()));
                }
            }
            _ => self.repository.host.again(&mut self.backoff, error).await?,
        }
        self.locate().await
    }

    /// Asks the session where it stands; where there is none any more, begins another.
    async fn locate(&mut self) -> Result<(), Error> {
        let call = Call::new(Method::GET, self.session.location.clone(), self.purpose);
        match self.repository.host.attempt(&call).await {
            Ok(answer) => {
                let said = answer.header("range").and_then(held_bytes);
                // `0-0` is both nothing and one byte: from nothing it is always right to begin.
                self.held = said.filter(|held| *held > 1).unwrap_or(0).min(self.blob.size);
                if said.is_none() && answer.status != 204 {
                    return Err(request::unexpected(
                        &answer,
                        &Method::GET,
                        "the answer does not say how much is held",
                    ));
                }
                self.go_on(answer).await
            }
            Err(error) if error.is_transient() || matches!(error, Error::NotFound(_) | Error::Refused(_)) => {
                let least = self.session.least;
                self.session = match self.repository.begin(&self.blob.digest, self.purpose).await {
                    Ok(session) => session,
                    // The next try finds out whether this passes.
                    Err(error) if error.is_transient() => return Ok(()),
                    Err(error) => return Err(error),
                };
                self.session.least = self.session.least.max(least);
                self.held = 0;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// How many bytes the server has after a chunk was acknowledged.
fn acknowledged(chunk: Range<u64>, said: Option<u64>) -> u64 {
    match said {
        Some(held) if chunk.start < held && held < chunk.end => held,
        _ => chunk.end,
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
        assert_eq!(acknowledged(100..200, Some(9999)), 200);
    }
}
