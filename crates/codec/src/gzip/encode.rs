//! Writing gzip: texts deflated side by side, joined into one member.
//!
//! The input is cut every [`BLOCK`] bytes, however it came. Each text is deflated on its own, with the 32 KiB before it as
//! dictionary, so that the results can simply follow each other; the last one ends the stream. So the bytes depend on the
//! input and the level, and on nothing else.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use flate2::Crc;

use crate::deflate::{Deflate, ROOM, Text};
use crate::pool::Pool;
use crate::{Compression, Error};

/// No name, no time, no hint on the level, system unknown: nothing that could differ.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A text on its way to a worker and back, with the buffers it travels in.
struct Block {
    text: Text,
    last: bool,
    output: Box<[u8]>,
    written: usize,
    crc: Crc,
}

impl Block {
    fn new() -> Self {
        Self {
            text: Text::new(),
            last: false,
            output: vec![0; ROOM].into_boxed_slice(),
            written: 0,
            crc: Crc::new(),
        }
    }

    fn encode(&mut self, deflate: &mut Deflate) -> Result<(), Error> {
        self.crc.reset();
        self.crc.update(self.text.plain());
        let written = deflate.deflate(&mut self.text, self.last, &mut self.output);
        self.written = written
            .ok_or(Error::Encoder { format: Compression::Gzip, reason: "a block does not fit its bound" })?;
        Ok(())
    }
}

/// Writes one gzip member.
pub(crate) struct Encoder<W> {
    sink: W,
    pool: Pool<Block>,
    current: Block,
    spare: Vec<Block>,
    crc: Crc,
    begun: bool,
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(sink: W, level: i32, threads: NonZeroUsize) -> Result<Self, Error> {
        let level = level.unsigned_abs();
        let pool = Pool::start(threads, Compression::Gzip, move || {
            let mut deflate = Deflate::new(level);
            move |block: &mut Block| block.encode(&mut deflate)
        })?;
        Ok(Self { sink, pool, current: Block::new(), spare: Vec::new(), crc: Crc::new(), begun: false })
    }

    pub(crate) fn write_all(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            // A full block waits until more comes: only then is it known not to be the last.
            if self.current.text.room() == 0 {
                self.submit(false)?;
            }
            data = self.current.text.add(data);
        }
        Ok(())
    }

    pub(crate) fn flush_sink(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.submit(true)?;
        while let Some(block) = self.pool.oldest()? {
            self.write_block(block)?;
        }
        self.sink.write_all(&self.crc.sum().to_le_bytes())?;
        self.sink.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.sink)
    }

    /// Gives the current block to the workers, and begins the next one.
    fn submit(&mut self, last: bool) -> io::Result<()> {
        if self.pool.is_full()
            && let Some(done) = self.pool.oldest()?
        {
            self.write_block(done)?;
        }
        let mut next = self.spare.pop().unwrap_or_else(Block::new);
        next.text.follow(&self.current.text);
        let mut full = std::mem::replace(&mut self.current, next);
        full.last = last;
        Ok(self.pool.submit(full)?)
    }

    fn write_block(&mut self, block: Block) -> io::Result<()> {
        if !self.begun {
            self.sink.write_all(&HEADER)?;
            self.begun = true;
        }
        self.sink.write_all(&block.output[..block.written])?;
        self.crc.combine(&block.crc);
        self.spare.push(block);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::BLOCK;

    #[test]
    fn memory_does_not_grow_with_the_input() {
        let threads = NonZeroUsize::MIN.saturating_add(1);
        let mut encoder = Encoder::new(io::sink(), 1, threads).unwrap();
        for _ in 0..64 {
            encoder.write_all(&vec![7; BLOCK]).unwrap();
        }
        // What is not under way is spare: blocks were used again, not made anew.
        assert!(encoder.spare.len() <= 1, "{} spare blocks", encoder.spare.len());
        encoder.finish().unwrap();
    }

    #[test]
    fn a_block_that_fails_is_an_error_of_the_encoder_and_not_a_hang() {
        let threads = NonZeroUsize::MIN.saturating_add(1);
        let mut encoder = Encoder::new(Vec::new(), 5, threads).unwrap();
        encoder.pool =
            Pool::start(threads, Compression::Gzip, || |_: &mut Block| panic!("a fault made by the test"))
                .unwrap();
        let error = encoder.write_all(&vec![7; 32 * BLOCK]).unwrap_err();
        assert!(matches!(Error::from_io(&error), Some(Error::Encoder { reason: "a worker died", .. })));
        let error = encoder.finish().unwrap_err();
        assert!(matches!(Error::from_io(&error), Some(Error::Encoder { .. })));
    }
}
