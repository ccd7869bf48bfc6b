//! Bytes made on one thread, hashed on another, used on ours.
//!
//! A fixed number of buffers goes round: the producer fills one, the hasher reads it, the consumer uses it and sends it
//! back. So each byte is written once and hashed once, no buffer is copied, and memory does not grow with the content.
//! Whoever fails closes its end; the others notice at their next buffer and stop.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, scope};

use transship_spec::{Digest, Hasher};

use crate::Error;
use crate::tarball::Sink;

/// Bytes of one buffer: large enough to make passing it on cheap, small enough to stay in a cache.
pub(crate) const BUFFER: usize = 256 << 10;
const BUFFERS: usize = 12;

/// A buffer on its way.
struct Piece {
    room: Box<[u8]>,
    used: usize,
}

/// The producer's end.
pub(crate) struct Pieces {
    current: Option<Piece>,
    made: usize,
    free: Receiver<Piece>,
    full: SyncSender<Piece>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        match self.current.take() {
            Some(piece) if piece.used > 0 => self.full.send(piece).map_err(|_| stopped()),
            _ => Ok(()),
        }
    }

    /// A buffer to fill: new ones until there are enough, then those that came back.
    fn take(&mut self) -> io::Result<Piece> {
        if let Ok(piece) = self.free.try_recv() {
            return Ok(piece);
        }
        if self.made < BUFFERS {
            self.made += 1;
            return Ok(Piece { room: vec![0; BUFFER].into_boxed_slice(), used: 0 });
        }
        self.free.recv().map_err(|_| stopped())
    }
}

/// The consumer has failed and will say why.
fn stopped() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

impl Sink for Pieces {
    fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.current.as_ref().is_some_and(|piece| piece.used == piece.room.len()) {
            self.send()?;
        }
        if self.current.is_none() {
            self.current = Some(self.take()?);
        }
        // There is one now, with room left.
        let piece = self.current.as_mut().ok_or_else(stopped)?;
        Ok(&mut piece.room[piece.used..])
    }

    fn fill(&mut self, count: usize) {
        if let Some(piece) = &mut self.current {
            piece.used = piece.room.len().min(piece.used + count);
        }
    }
}

/// Runs `produce` and `consume` at the same time, and gives what `produce` made with the digest of all its bytes; the
/// digest is left out, and no thread spent on it, unless `hash` is set.
///
/// # Errors
/// Those of `consume`, else those of `produce`; [`Error::Thread`] when a thread died.
pub(crate) fn run<T: Send>(
    hash: bool,
    produce: impl FnOnce(&mut Pieces) -> Result<T, Error> + Send,
    mut consume: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(T, Option<Digest>), Error> {
    let (back, free) = channel();
    let (full, filled) = sync_channel(BUFFERS);
    scope(|scope| {
        let mut pieces = Pieces { current: None, made: 0, free, full };
        let producer = Builder::new()
            .name("transship-read".to_owned())
            .spawn_scoped(scope, move || -> Result<T, Error> {
                let made = produce(&mut pieces)?;
                pieces.send().map_err(Error::Write)?;
                Ok(made)
            })
            .map_err(Error::Write)?;
        let (ready, hasher) = if hash {
            let (on, ready) = sync_channel(BUFFERS);
            let hasher = Builder::new()
                .name("transship-hash".to_owned())
                .spawn_scoped(scope, move || hash_all(&filled, &on))
                .map_err(Error::Write)?;
            (ready, Some(hasher))
        } else {
            (filled, None)
        };
        let consumed = consume_all(ready, back, &mut consume);
        let made = producer.join().map_err(|_| Error::Thread)?;
        let digest = hasher.map(|hasher| hasher.join().map_err(|_| Error::Thread)).transpose()?;
        consumed?;
        Ok((made?, digest))
    })
}

fn hash_all(filled: &Receiver<Piece>, on: &SyncSender<Piece>) -> Digest {
    let mut hasher = Hasher::sha256();
    for piece in filled {
        hasher.update(&piece.room[..piece.used]);
        if on.send(piece).is_err() {
            break;
        }
    }
    hasher.finish()
}

/// Takes both ends, so that they are closed when it returns.
#[expect(
    clippy::needless_pass_by_value,
    reason = "dropping the channels is how the other threads are stopped"
)]
fn consume_all(
    ready: Receiver<Piece>,
    back: Sender<Piece>,
    consume: &mut impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    for mut piece in &ready {
        consume(&piece.room[..piece.used])?;
        piece.used = 0;
        // The producer may have finished.
        let _ = back.send(piece);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = BUFFER * BUFFERS * 2 + 17;

    fn content() -> Vec<u8> {
        (0..LEN).map(|n| (n / 7 % 251) as u8).collect()
    }

    #[test]
    fn all_bytes_arrive_in_order_and_are_hashed_once() {
        for hash in [true, false] {
            let mut seen = Vec::new();
            let produce = |pieces: &mut Pieces| {
                for part in content().chunks(1000) {
                    pieces.put(part).map_err(Error::Write)?;
                }
                Ok(7)
            };
            let (made, digest) = run(hash, produce, |bytes| {
                seen.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
            assert_eq!(made, 7);
            assert_eq!(digest, hash.then(|| Digest::sha256(&content())));
            assert!(seen == content());
        }
    }

    #[test]
    fn an_error_of_the_consumer_stops_the_producer_and_is_the_one_reported() {
        let produce = |pieces: &mut Pieces| loop {
            pieces.put(&[1; 1000]).map_err(Error::Write)?;
        };
        let result = run::<()>(true, produce, |_| Err(Error::Nothing("enough")));
        assert!(matches!(result, Err(Error::Nothing("enough"))));
    }

    #[test]
    fn an_error_of_the_producer_is_reported_after_what_it_made() {
        let produce = |pieces: &mut Pieces| {
            pieces.put(&content()).map_err(Error::Write)?;
            Err(Error::Nothing("no more"))
        };
        assert!(matches!(run::<()>(true, produce, |_| Ok(())), Err(Error::Nothing("no more"))));
    }

    #[test]
    fn a_thread_that_dies_is_an_error_and_not_a_hang() {
        let produce = |_: &mut Pieces| -> Result<(), Error> { panic!("a fault made by the test") };
        assert!(matches!(run(true, produce, |_| Ok(())), Err(Error::Thread)));
    }
}
