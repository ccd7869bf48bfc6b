//! The seam between blocking and async (bytes on their way): bounded channels, so that about 2 MiB of a transfer are in
//! memory however slow the other side is, and so that hashing and files never sit on the reactor.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use transship_layout::Session;
use transship_registry::{BlobSource, BoxError};
use transship_spec::Descriptor;

use crate::endpoint::{Offer, Pieces};
use crate::{Error, Result};

/// Bytes read from a file at once.
const PIECE: usize = 512 << 10;
/// Pieces of files that wait to be sent; with the one being read and the one being sent it is 2 MiB.
const WAITING_OUT: usize = 2;
/// KiB from the network that wait to be written. The network's pieces have any size, from a few bytes to 400 KiB and more.
const WAITING_IN: u32 = 2 << 10;
/// Pieces of those at most.
const PIECES_IN: usize = 256;
/// Smaller blobs are not worth going on with after their download broke: they begin anew.
const RESUMABLE: u64 = 1 << 20;

/// The content of a file, read on a thread of its own. Nothing happens before the stream is polled.
pub(crate) fn pieces(open: impl FnOnce() -> Result<Box<dyn Read + Send>> + Send + 'static) -> Pieces {
    let begin = async move {
        let (sender, receiver) = mpsc::channel(WAITING_OUT);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = open().and_then(|file| read(file, &sender)) {
                // Whoever does not listen any more need not know.
                let _ = sender.blocking_send(Err(error));
            }
        });
        stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) })
    };
    stream::once(begin).flatten().boxed()
}

fn read(mut file: impl Read, sender: &mpsc::Sender<Result<Bytes>>) -> Result<()> {
    let broken = |error: io::Error| transship_layout::Error::from_io(error, "reading", "a blob");
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        (&mut file).take(PIECE as u64).read_to_end(&mut piece).map_err(broken)?;
        if piece.is_empty() || sender.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
}

/// What the writing thread asks for before the first byte, and what it then gets.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Told from which byte on the content is wanted; again where it is wanted anew.
    start: Option<tokio::sync::oneshot::Sender<u64>>,
    pieces: mpsc::Receiver<Incoming>,
}

#[derive(Debug)]
enum Incoming {
    /// With its share of what may wait.
    Piece(Bytes, OwnedSemaphorePermit),
    /// The stream ended as it should. Without this, a channel that ends means that the download was given up.
    End,
}

/// The reactor's side of a download.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    start: Option<tokio::sync::oneshot::Receiver<u64>>,
    pieces: Option<mpsc::Sender<Incoming>>,
}

impl Feed {
    /// The writing thread's side.
    pub(crate) fn intake(&mut self) -> Intake {
        let (sender, pieces) = mpsc::channel(PIECES_IN);
        let (start, wanted) = tokio::sync::oneshot::channel();
        (self.pieces, self.start) = (Some(sender), Some(wanted));
        Intake { start: Some(start), pieces }
    }

    /// Brings the content of a blob to the writing thread, from the byte that it asks for.
    pub(crate) async fn run(self, blob: &Descriptor, offer: &Offer) -> Result<()> {
        let (Some(start), Some(sender)) = (self.start, self.pieces) else { return Ok(()) };
        // A writer that does not ask has failed, and says why.
        let Ok(start) = start.await else { return Ok(()) };
        if start > 0 {
            offer.events.blob_progress(blob, start);
        }
        offer.resumed.store(start, Ordering::Relaxed);
        let mut content = offer.open(blob, start);
        let room = Arc::new(Semaphore::new(WAITING_IN as usize));
        while let Some(piece) = content.next().await {
            let piece = piece?;
            let length = piece.len() as u64;
            let share = u32::try_from(length >> 10).unwrap_or(u32::MAX).saturating_add(1).min(WAITING_IN);
            let Ok(share) = Arc::clone(&room).acquire_many_owned(share).await else { return Ok(()) };
            if sender.send(Incoming::Piece(piece, share)).await.is_err() {
                return Ok(());
            }
            offer.events.blob_progress(blob, length);
        }
        // As above.
        let _ = sender.send(Incoming::End).await;
        Ok(())
    }
}

/// Hashes and writes a blob on this thread. A large download that is given up stays, so that the next one goes on there.
pub(crate) fn write(session: &Session, blob: &Descriptor, intake: Intake) -> Result<()> {
    if blob.size >= RESUMABLE
        && let Some(mut partial) = session.partial(blob)?
    {
        intake.pour(partial.held(), |piece| Ok(partial.push(piece)?))?;
        partial.commit()?;
        return Ok(());
    }
    let mut writer = session.writer(Some(blob))?;
    intake.pour(0, |piece| Ok(writer.push(piece)?))?;
    writer.commit()?;
    Ok(())
}

impl Intake {
    /// Asks for the content from a byte on, and takes all of it.
    pub(crate) fn pour(mut self, from: u64, mut push: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Some(start) = self.start.take() {
            // Whoever gave up is noticed below.
            let _ = start.send(from);
        }
        while let Some(incoming) = self.pieces.blocking_recv() {
            match incoming {
                Incoming::Piece(piece, _share) => push(&piece)?,
                Incoming::End => return Ok(()),
            }
        }
        Err(Error::Worker("the download was given up".to_owned()))
    }
}

/// A blob of an endpoint as what an upload is sent from.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    pub(crate) blob: &'a Descriptor,
    pub(crate) offer: &'a Offer,
    was_opened: AtomicBool,
}

impl<'a> Upload<'a> {
    pub(crate) fn new(blob: &'a Descriptor, offer: &'a Offer) -> Self {
        Self { blob, offer, was_opened: AtomicBool::new(false) }
    }
}

impl BlobSource for Upload<'_> {
    fn open(&self, offset: u64) -> BoxStream<'static, Result<Bytes, BoxError>> {
        let (blob, events) = (self.blob.clone(), Arc::clone(&self.offer.events));
        let content = self.offer.open(self.blob, offset);
        // What an earlier run has sent counts as moved.
        if !self.was_opened.swap(true, Ordering::Relaxed) && offset > 0 {
            events.blob_progress(&blob, offset);
        }
        let told = content.map(move |piece| match piece {
            Ok(piece) => {
                events.blob_progress(&blob, piece.len() as u64);
                Ok(piece)
            }
            Err(error) => Err(BoxError::from(error)),
        });
        told.boxed()
    }
}
