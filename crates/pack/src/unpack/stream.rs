//! The layers of an image as one stream of plain bytes, verified on the way.
//!
//! One thread reads, verifies and decodes, one hashes what came out, and the caller takes it: a fixed number of buffers
//! goes round between them, so memory does not grow with the layers, and the next layer is decoded while the last of one
//! is still written. What is hashed is all that a layer decodes to, whatever follows the end of its tar (IMG-95).

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use transship_codec::{Compression, Decoder, Limits};
use transship_layout::Source;
use transship_spec::Hasher;

use super::image::PlannedLayer;
use super::{UnpackLimits, UnpackProgress};
use crate::Error;

/// Bytes of one buffer: large enough to make passing it on cheap, small enough to stay in a cache.
const BUFFER: usize = 256 << 10;
const BUFFERS: usize = 16;

struct Piece {
    room: Box<[u8]>,
    used: usize,
}

enum Message {
    /// What follows of the layer is stored plain, and was hashed when it was read.
    Hashed,
    Piece(Piece),
    /// A layer is over, well or not. After an error nothing follows.
    End(Result<(), Error>),
}

/// What the threads need to know.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) layers: &'a [PlannedLayer],
    pub(crate) limits: &'a UnpackLimits,
    pub(crate) progress: &'a dyn UnpackProgress,
}

/// The caller's end: what is at hand of the layer at hand.
pub(crate) struct Plain {
    ready: Receiver<Message>,
    back: Sender<Piece>,
    piece: Option<Piece>,
    taken: usize,
    end: Option<Result<(), Error>>,
}

/// Starts the threads. They stop when what is returned is dropped.
pub(super) fn start<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    work: Work<'env>,
) -> Result<(Plain, [ScopedJoinHandle<'scope, ()>; 2]), Error> {
    let (back, free) = channel();
    let (full, filled) = sync_channel(BUFFERS);
    let (on, ready) = sync_channel(BUFFERS);
    let reader = Builder::new()
        .name("transship-read".to_owned())
        .spawn_scoped(scope, move || Decoding { work, free, full, made: 0, left: work.limits.max_size }.run())
        .map_err(Error::Write)?;
    let hasher = Builder::new()
        .name("transship-hash".to_owned())
        .spawn_scoped(scope, move || hash(work.layers, &filled, &on))
        .map_err(Error::Write)?;
    Ok((Plain { ready, back, piece: None, taken: 0, end: None }, [reader, hasher]))
}

impl Plain {
    /// Takes what is left of the layer, and tells whether it was what it should be.
    pub(super) fn finish_layer(&mut self) -> Result<(), Error> {
        loop {
            let count = self.fill_buf().map_err(Error::Write)?.len();
            if count == 0 {
                return self.end.take().unwrap_or(Err(Error::Thread));
            }
            self.consume(count);
        }
    }
}

impl Read for Plain {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(room)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Plain {
    /// Empty at the end of a layer, and where it breaks off: [`Plain::finish_layer`] tells which it was.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.end.is_none() {
            if self.piece.as_ref().is_some_and(|piece| self.taken < piece.used) {
                break;
            }
            if let Some(piece) = self.piece.take() {
                // Whoever reads may have finished.
                let _ = self.back.send(piece);
            }
            self.taken = 0;
            match self.ready.recv() {
                Ok(Message::Hashed) => {}
                Ok(Message::Piece(piece)) => self.piece = Some(piece),
                Ok(Message::End(end)) => self.end = Some(end),
                Err(_) => self.end = Some(Err(Error::Thread)),
            }
        }
        Ok(self.piece.as_ref().map_or(&[], |piece| &piece.room[self.taken..piece.used]))
    }

    fn consume(&mut self, count: usize) {
        self.taken += count;
    }
}

/// The thread that reads.
struct Decoding<'a> {
    work: Work<'a>,
    free: Receiver<Piece>,
    full: SyncSender<Message>,
    made: usize,
    /// Plain bytes that may still come.
    left: u64,
}

/// The caller has failed and will say why.
struct Stopped;

impl Decoding<'_> {
    fn run(mut self) {
        for layer in self.work.layers {
            let Ok(end) = self.layer(layer) else { return };
            let failed = end.is_err();
            if self.full.send(Message::End(end)).is_err() || failed {
                return;
            }
        }
    }

    fn layer(&mut self, layer: &PlannedLayer) -> Result<Result<(), Error>, Stopped> {
        let progress = self.work.progress;
        progress.layer_started(&layer.descriptor);
        let stored = match self.work.source.open(&layer.descriptor) {
            Ok(stored) => Counted { stored, progress },
            Err(error) => return Ok(Err(error.into())),
        };
        let UnpackLimits { max_ratio, max_size, .. } = *self.work.limits;
        let limits = Limits { max_output: self.left, max_ratio, ..Limits::default() };
        let at_limit = |error| match error {
            transship_codec::Error::Limit { what, limit } if limit == limits.max_output => {
                transship_codec::Error::Limit { what, limit: max_size }
            }
            error => error,
        };
        let failed =
            |source| Error::Stored { digest: layer.descriptor.digest.clone(), source: at_limit(source) };
        let mut decoder = match Decoder::sniff(stored, limits) {
            Ok(decoder) => decoder,
            Err(error) => return Ok(Err(unread(error, layer).unwrap_or_else(failed))),
        };
        if decoder.compression() == Compression::None && layer.is_hashed_alike() {
            self.full.send(Message::Hashed).map_err(|_| Stopped)?;
        }
        loop {
            let mut piece = self.piece()?;
            let filled = fill(&mut decoder, &mut piece);
            let is_last = piece.used < piece.room.len();
            if piece.used > 0 {
                self.left -= piece.used as u64;
                self.full.send(Message::Piece(piece)).map_err(|_| Stopped)?;
            }
            if let Err(error) = filled {
                let error = transship_codec::Error::from(error);
                return Ok(Err(unread(error, layer).unwrap_or_else(|error| {
                    // Bytes that are not those of the digest are the cause of whatever else is wrong with them.
                    wrong_bytes(decoder.into_inner(), layer).unwrap_or_else(|| failed(error))
                })));
            }
            if is_last {
                progress.layer_finished(&layer.descriptor);
                return Ok(Ok(()));
            }
        }
    }

    /// A buffer to fill: new ones until there are enough, then those that came back.
    fn piece(&mut self) -> Result<Piece, Stopped> {
        let piece = match self.free.try_recv() {
            Ok(piece) => piece,
            Err(_) if self.made < BUFFERS => {
                self.made += 1;
                Piece { room: vec![0; BUFFER].into_boxed_slice(), used: 0 }
            }
            Err(_) => self.free.recv().map_err(|_| Stopped)?,
        };
        Ok(Piece { used: 0, ..piece })
    }
}

/// Fills a buffer; it is not full only at the end, or on an error.
fn fill(reader: &mut impl Read, piece: &mut Piece) -> io::Result<()> {
    while piece.used < piece.room.len() {
        match reader.read(&mut piece.room[piece.used..]) {
            Ok(0) => break,
            Ok(count) => piece.used += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// An error of what lies beneath the decoder; the decoder's own is given back.
fn unread(error: transship_codec::Error, layer: &PlannedLayer) -> Result<Error, transship_codec::Error> {
    match error {
        error @ transship_codec::Error::Io(_) => {
            let digest = layer.descriptor.digest.to_string();
            Ok(transship_layout::Error::from_io(error.into(), "reading", digest).into())
        }
        error => Err(error),
    }
}

/// Whether the rest of what is stored shows that it is not what its digest says.
fn wrong_bytes(mut stored: impl Read, layer: &PlannedLayer) -> Option<Error> {
    let error = io::copy(&mut stored, &mut io::sink()).err()?;
    unread(transship_codec::Error::from(error), layer).ok()
}

/// Tells of stored bytes as they are read.
struct Counted<'a, R> {
    stored: R,
    progress: &'a dyn UnpackProgress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.stored.read(room)?;
        self.progress.advanced(count as u64);
        Ok(count)
    }
}

/// The thread that hashes.
fn hash(layers: &[PlannedLayer], filled: &Receiver<Message>, on: &SyncSender<Message>) {
    for layer in layers {
        let mut hasher = layer.diff_id.hasher();
        loop {
            let message = match filled.recv() {
                Ok(Message::Hashed) => {
                    hasher = None;
                    continue;
                }
                Ok(Message::Piece(piece)) => {
                    if let Some(hasher) = &mut hasher {
                        hasher.update(&piece.room[..piece.used]);
                    }
                    Message::Piece(piece)
                }
                Ok(Message::End(end)) => {
                    let end = end.and_then(|()| verdict(layer, hasher));
                    let failed = end.is_err();
                    if on.send(Message::End(end)).is_err() || failed {
                        return;
                    }
                    break;
                }
                Err(_) => return,
            };
            if on.send(message).is_err() {
                return;
            }
        }
    }
}

fn verdict(layer: &PlannedLayer, hasher: Option<Hasher>) -> Result<(), Error> {
    if !layer.diff_id.is_verifiable() {
        return Ok(());
    }
    let found = hasher.map_or_else(|| layer.descriptor.digest.clone(), Hasher::finish);
    match found == layer.diff_id {
        true => Ok(()),
        false => Err(Error::DiffId {
            layer: layer.descriptor.digest.clone(),
            expected: Box::new(layer.diff_id.clone()),
            found: Box::new(found),
        }),
    }
}
