//! Writing gzip: blocks compressed side by side, joined into one member.
//!
//! The input is cut every [`BLOCK`] bytes, however it came. Each block is deflated on its own, with the 32 KiB before
//! it as dictionary, and ends with a sync flush, so that the results can simply follow each other; the last one ends
//! the stream. So the bytes depend on the input and the level, and on nothing else.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use flate2::{Compress, Crc, FlushCompress, Status};

use crate::pool::Pool;
use crate::{Compression, Error};

/// Plain bytes in a block. Part of the recipe: another size gives other bytes.
pub(crate) const BLOCK: usize = 1 << 20;

/// How far deflate can look back.
const WINDOW: usize = 32 << 10;

/// No name, no time, no hint on the level, system unknown: nothing that could differ.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Room for a deflated block at any level, with its flush (`deflateBound` of zlib, and some). It is the same for every
/// block, full or not: the compressor's bytes can depend on the room it is given.
const BOUND: usize = {
    let source = BLOCK + 64;
    source + source / 8 + source / 64 + 64
};

/// A block on its way to a worker and back, with the buffers it travels in.
struct Block {
    /// The window before the block, then the block.
    input: Vec<u8>,
    /// Where the block begins in `input`.
    start: usize,
    last: bool,
    output: Box<[u8]>,
    written: usize,
    crc: Crc,
}

impl Block {
    fn new() -> Self {
        Self {
            input: Vec::with_capacity(WINDOW + BLOCK),
            start: 0,
            last: false,
            output: vec![0; BOUND].into_boxed_slice(),
            written: 0,
            crc: Crc::new(),
        }
    }

    fn room(&self) -> usize {
        self.start + BLOCK - self.input.len()
    }

    /// Makes it an empty block that follows `previous`.
    fn follow(&mut self, previous: &Self) {
        let window = previous.input.len().saturating_sub(WINDOW);
        self.input.clear();
        self.input.extend_from_slice(&previous.input[window..]);
        self.start = self.input.len();
    }
}

/// Deflates one block: one call, on one slice, into a buffer that holds the whole result.
fn encode_block(block: &mut Block, level: u32) -> Result<(), Error> {
    let failed = |reason| Error::Encoder { format: Compression::Gzip, reason };
    let (window, data) = block.input.split_at(block.start);
    // A new compressor each time costs little, and nothing of an earlier block can show in the bytes of this one.
    let mut compress = Compress::new(flate2::Compression::new(level), false);
    if !window.is_empty() {
        compress.set_dictionary(window).map_err(|_| failed("the compressor refuses its dictionary"))?;
    }
    let (flush, expected) = if block.last {
        (FlushCompress::Finish, Status::StreamEnd)
    } else {
        (FlushCompress::Sync, Status::Ok)
    };
    let status =
        compress.compress(data, &mut block.output, flush).map_err(|_| failed("the compressor gave up"))?;
    block.written = compress.total_out() as usize;
    if status != expected || compress.total_in() != data.len() as u64 || block.written >= block.output.len() {
        return Err(failed("a block does not fit its bound"));
    }
    block.crc.reset();
    block.crc.update(data);
    Ok(())
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
        let pool =
            Pool::start(threads, Compression::Gzip, move |block: &mut Block| encode_block(block, level))?;
        Ok(Self { sink, pool, current: Block::new(), spare: Vec::new(), crc: Crc::new(), begun: false })
    }

    pub(crate) fn write_all(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            // A full block waits until more comes: only then is it known not to be the last.
            if self.current.room() == 0 {
                self.submit(false)?;
            }
            let (now, later) = data.split_at(data.len().min(self.current.room()));
            self.current.input.extend_from_slice(now);
            data = later;
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
        next.follow(&self.current);
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

/// The compressor's bytes for `data` as a whole stream of one block, for [`recipe`](crate::recipe).
pub(crate) fn probe(data: &[u8], level: i32) -> Result<Vec<u8>, Error> {
    let mut block = Block::new();
    block.input.extend_from_slice(&data[..data.len().min(BLOCK)]);
    block.last = true;
    encode_block(&mut block, level.unsigned_abs())?;
    Ok(block.output[..block.written].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_not_grow_with_the_input() {
        let threads = NonZeroUsize::MIN.saturating_add(1);
        let mut encoder = Encoder::new(io::sink(), 1, threads).unwrap();
        for _ in 0..64 {
            encoder.write_all(&vec![7; BLOCK]).unwrap();
        }
        // What is not under way is spare: blocks were used again, not made anew.
        assert!(encoder.spare.len() <= 1, "{} spare blocks", encoder.spare.len());
        assert_eq!(encoder.current.input.capacity(), WINDOW + BLOCK);
        encoder.finish().unwrap();
    }

    #[test]
    fn a_block_that_fails_is_an_error_of_the_encoder_and_not_a_hang() {
        let threads = NonZeroUsize::MIN.saturating_add(1);
        let mut encoder = Encoder::new(Vec::new(), 5, threads).unwrap();
        encoder.pool =
            Pool::start(threads, Compression::Gzip, |_: &mut Block| panic!("a fault made by the test"))
                .unwrap();
        let error = encoder.write_all(&vec![7; 32 * BLOCK]).unwrap_err();
        assert!(matches!(Error::from_io(&error), Some(Error::Encoder { reason: "a worker died", .. })));
        let error = encoder.finish().unwrap_err();
        assert!(matches!(Error::from_io(&error), Some(Error::Encoder { .. })));
    }
}
