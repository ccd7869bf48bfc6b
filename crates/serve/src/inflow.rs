//! From the body of a request into a blob that is being written.
//!
//! Two pieces are in memory: one is being gathered while the other is written on the blocking pool.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};
use transship_layout::{BlobWriter, Error as LayoutError, Session};
use transship_spec::{Descriptor, Digest};

use crate::body::Body;
use crate::mount::Mount;
use crate::push::next;
use crate::refusal::Refusal;

/// How much is gathered before it is written.
const PIECE: usize = 512 << 10;

/// A blob under way, and the session that it belongs to.
#[derive(Debug)]
pub(crate) struct Sink {
    writer: BlobWriter,
    session: Session,
    /// A write failed for good: what is in the file is not known.
    is_broken: bool,
}

impl Sink {
    /// Begins a blob. Blocking.
    pub(crate) fn new(mount: &Mount, expected: Option<&Descriptor>) -> Result<Self, Refusal> {
        let session = mount.now().layout.begin()?;
        let writer = session.writer(expected)?;
        Ok(Self { writer, session, is_broken: false })
    }

    pub(crate) fn received(&self) -> u64 {
        self.writer.size()
    }

    /// Whether the upload can go on.
    pub(crate) fn can_go_on(&self) -> bool {
        !self.is_broken
    }

    /// Checks that the whole is what the client calls it, makes it durable, and names it. Blocking.
    pub(crate) fn commit(self, mount: &Mount, digest: &Digest) -> Result<(), Refusal> {
        mount.leases.keep(self.session.layout(), digest)?;
        self.writer.commit_as(digest).map_err(wrong)?;
        Ok(self.session.flush()?)
    }

    fn write(&mut self, pieces: &[Bytes]) -> Result<(), Refusal> {
        for piece in pieces {
            match self.writer.push(piece) {
                Ok(()) => {}
                Err(error @ LayoutError::Full { .. }) => return Err(error.into()),
                Err(error) => {
                    self.is_broken = true;
                    return Err(wrong(error));
                }
            }
        }
        Ok(())
    }
}

/// Wrong content is the client's fault, all else is ours.
fn wrong(error: LayoutError) -> Refusal {
    match error {
        LayoutError::Content { source, .. } => Refusal::bad_digest(source.to_string()),
        error => error.into(),
    }
}

type Writing = JoinHandle<(Sink, Result<(), Refusal>)>;

/// Pours a body into the blob, as far as it comes. Gives the blob back unless it was lost.
pub(crate) async fn pour(
    mut body: Body,
    sink: Sink,
    limit: u64,
    silence: Duration,
) -> (Option<Sink>, Result<(), Refusal>) {
    let mut left = limit.saturating_sub(sink.received());
    let mut resting = Some(sink);
    let mut writing: Option<Writing> = None;
    loop {
        let (pieces, end) = gather(&mut body, left, silence).await;
        left -= pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        if let Some(task) = writing.take() {
            match task.await {
                Ok((sink, Ok(()))) => resting = Some(sink),
                Ok((sink, Err(refusal))) => return (Some(sink), Err(refusal)),
                Err(error) => return (None, Err(Refusal::internal(error))),
            }
        }
        let Some(mut sink) = resting.take() else { return (None, Err(Refusal::internal("a lost blob"))) };
        let task = spawn_blocking(move || {
            let written = sink.write(&pieces);
            (sink, written)
        });
        let Some(end) = end else {
            writing = Some(task);
            continue;
        };
        return match task.await {
            Ok((sink, written)) => (Some(sink), written.and(end)),
            Err(error) => (None, Err(Refusal::internal(error))),
        };
    }
}

/// The next pieces of the body, some 512 KiB of them, and how it ended if it did. What came before it failed is given, too.
async fn gather(body: &mut Body, most: u64, silence: Duration) -> (Vec<Bytes>, Option<Result<(), Refusal>>) {
    let mut pieces = Vec::new();
    let mut length = 0;
    while length < PIECE {
        match next(body, silence).await {
            Ok(Some(piece)) if (length + piece.len()) as u64 > most => {
                let refusal = Refusal::too_large("the blob is larger than this registry takes");
                return (pieces, Some(Err(refusal)));
            }
            Ok(Some(piece)) => {
                length += piece.len();
                pieces.push(piece);
            }
            Ok(None) => return (pieces, Some(Ok(()))),
            Err(refusal) => return (pieces, Some(Err(refusal))),
        }
    }
    (pieces, None)
}
