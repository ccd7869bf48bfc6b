//! Where a tar is written to: room that a file can be read into without another copy.

use std::io::{self, Write};

/// Takes bytes in order. The writer of a tar asks for room, fills some of it, and says how much.
pub(crate) trait Sink {
    /// Room for at least one byte. Its content is arbitrary.
    fn room(&mut self) -> io::Result<&mut [u8]>;

    /// Takes the first `count` bytes of the room that was given last.
    fn fill(&mut self, count: usize);

    /// Takes all of these bytes.
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.room()?;
            let count = bytes.len().min(room.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.fill(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }
}

/// A sink that hands full buffers to a writer.
pub(crate) struct Buffered<W> {
    buffer: Box<[u8]>,
    used: usize,
    writer: W,
}

impl<W: Write> Buffered<W> {
    pub(crate) fn new(writer: W, size: usize) -> Self {
        Self { buffer: vec![0; size.max(1)].into_boxed_slice(), used: 0, writer }
    }

    /// Writes what is left, and gives the writer back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.writer.write_all(&self.buffer[..self.used])?;
        Ok(self.writer)
    }
}

impl<W: Write> Sink for Buffered<W> {
    fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.used == self.buffer.len() {
            self.writer.write_all(&self.buffer)?;
            self.used = 0;
        }
        Ok(&mut self.buffer[self.used..])
    }

    fn fill(&mut self, count: usize) {
        self.used = self.buffer.len().min(self.used + count);
    }
}
