//! Who is told how far a check has come: a trait, and one who does not listen.

use std::fmt;
use std::io::{self, Read};

/// Is told how far a check has come, from all threads that read. What it does not want to know it leaves out.
///
/// Documents are read before, and not told of.
pub trait Progress: fmt::Debug + Send + Sync {
    /// So many blobs are to be read. Their bytes are known of those that something leads to.
    fn started(&self, blobs: usize, bytes: u64) {
        let _ = (blobs, bytes);
    }

    /// So many more bytes were read.
    fn advanced(&self, bytes: u64) {
        let _ = bytes;
    }

    /// All were read.
    fn finished(&self) {}
}

/// One who does not listen.
#[derive(Debug)]
pub(super) struct Deaf;

impl Progress for Deaf {}

/// A reader of which every byte is told.
pub(super) struct Told<'a, R> {
    pub(super) reader: R,
    pub(super) progress: &'a dyn Progress,
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.progress.advanced(count as u64);
        Ok(count)
    }
}
