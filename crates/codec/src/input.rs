//! The compressed side of a decoder: a reader with a buffer, a look ahead and a count.

use std::io::{self, Read};

const CAPACITY: usize = 64 << 10;

/// A reader whose next bytes can be seen before they are taken.
///
/// Once the reader underneath has said that it ends, it is not asked again.
pub(crate) struct Input<R> {
    reader: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
    consumed: u64,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(reader: R) -> Self {
        let buffer = vec![0; CAPACITY].into_boxed_slice();
        Self { reader, buffer, start: 0, end: 0, ended: false, consumed: 0 }
    }

    /// The bytes at hand; reads some if there are none. Empty only at the end.
    pub(crate) fn chunk(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.peek(1)?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// At least `count` bytes, fewer only at the end. `count` is small.
    pub(crate) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.start + count > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        while self.end - self.start < count && !self.ended {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(more) => self.end += more.min(self.buffer.len() - self.end),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// Takes `count` of the bytes that were seen.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.consumed += count as u64;
    }

    /// Takes one byte; nothing at the end.
    pub(crate) fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.chunk()?.first().copied();
        self.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// Fills `out` from the buffer or, when that is empty, straight from the reader.
    pub(crate) fn copy_to(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start < self.end {
            let count = out.len().min(self.end - self.start);
            out[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
            self.consume(count);
            return Ok(count);
        }
        while !self.ended {
            match self.reader.read(out) {
                Ok(count) => {
                    self.ended = count == 0;
                    self.consumed += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }

    /// How many bytes were taken.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    pub(crate) fn reader(&self) -> &R {
        &self.reader
    }

    pub(crate) fn into_reader(self) -> R {
        self.reader
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_seen_are_still_there_to_take_across_the_end_of_the_buffer() {
        let data: Vec<u8> = (0..CAPACITY + 100).map(|i| (i % 251) as u8).collect();
        let mut input = Input::new(&data[..]);
        assert_eq!(input.chunk().unwrap().len(), CAPACITY);
        input.consume(CAPACITY - 3);
        assert_eq!(input.peek(10).unwrap()[..10], data[CAPACITY - 3..CAPACITY + 7]);
        assert_eq!(input.byte().unwrap(), Some(data[CAPACITY - 3]));
        let mut rest = vec![0; 200];
        let count = input.copy_to(&mut rest).unwrap();
        assert_eq!(rest[..count], data[CAPACITY - 2..]);
        assert_eq!(input.byte().unwrap(), None);
        assert_eq!(input.peek(4).unwrap(), b"");
        assert_eq!(input.consumed(), data.len() as u64);
    }
}
