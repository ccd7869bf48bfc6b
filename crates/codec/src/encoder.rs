//! The encoder: one sink for every compression, whose bytes are a matter of input and options alone.

use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;

use crate::{Compression, Error, gzip, zstd};

/// More would only cost memory.
const MAX_THREADS: usize = 64;

/// How to encode. The default is gzip at its default level, with a worker for each core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncoderOptions {
    /// What to write.
    pub compression: Compression,
    /// How hard to try; nothing takes [`Compression::default_level`].
    pub level: Option<i32>,
    /// How many workers, at most 64; zero is one for each core. The bytes do not depend on it.
    pub threads: usize,
}

/// Compresses what is written to it, and writes the result to a sink.
///
/// The same input and options give the same bytes (law 8), whatever the threads, the size of the writes, and calls to
/// `flush`, which flushes the sink and nothing else. [`finish`](Encoder::finish) must be called: only it writes the
/// end. Dropping an unfinished encoder joins its threads and leaves a truncated stream.
///
/// Memory is bounded by the number of workers: about 8 MiB each for gzip; for zstd it is the library's choice, and
/// grows with the level. After an error the encoder is of no more use and says so.
#[must_use = "only `finish` completes the stream"]
pub struct Encoder<W> {
    format: Format<W>,
    compression: Compression,
    broken: bool,
}

enum Format<W> {
    Plain(W),
    Gzip(Box<gzip::Encoder<W>>),
    Zstd(Box<zstd::Encoder<W>>),
}

impl<W: Write> Encoder<W> {
    /// Starts the workers. Nothing is written yet.
    ///
    /// # Errors
    /// [`Error::Level`] for a level that there is not, [`Error::Unsupported`] for zstd in a build without it,
    /// [`Error::Io`] when the system gives no thread or memory.
    pub fn new(sink: W, options: EncoderOptions) -> Result<Self, Error> {
        let EncoderOptions { compression, level, threads } = options;
        let level = compression.checked_level(level)?;
        let threads = workers(threads);
        let format = match compression {
            Compression::None => Format::Plain(sink),
            Compression::Gzip => Format::Gzip(Box::new(gzip::Encoder::new(sink, level, threads)?)),
            Compression::Zstd => Format::Zstd(Box::new(zstd::Encoder::new(sink, level, threads)?)),
        };
        Ok(Self { format, compression, broken: false })
    }

    /// Writes what is left and the end of the stream, and gives the sink back. The sink is not flushed.
    ///
    /// # Errors
    /// [`Error::Io`] when the sink fails, [`Error::Encoder`] when a worker or an earlier write has failed.
    pub fn finish(self) -> Result<W, Error> {
        self.check()?;
        let sink = match self.format {
            Format::Plain(sink) => Ok(sink),
            Format::Gzip(encoder) => encoder.finish(),
            Format::Zstd(encoder) => encoder.finish(),
        };
        Ok(sink?)
    }

    fn check(&self) -> Result<(), Error> {
        if self.broken {
            return Err(Error::Encoder { format: self.compression, reason: "an earlier write failed" });
        }
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.check()?;
        let result = match &mut self.format {
            // A sink may refuse now and accept later (`Interrupted`): what it took is what it said, and nothing broke.
            Format::Plain(sink) => return sink.write(data),
            Format::Gzip(encoder) => encoder.write_all(data),
            Format::Zstd(encoder) => encoder.write_all(data),
        };
        self.broken = result.is_err();
        result.map(|()| data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.format {
            Format::Plain(sink) => sink.flush(),
            Format::Gzip(encoder) => encoder.flush_sink(),
            Format::Zstd(encoder) => encoder.flush_sink(),
        }
    }
}

impl<W> fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("compression", &self.compression)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

fn workers(asked: usize) -> NonZeroUsize {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let most = NonZeroUsize::MIN.saturating_add(MAX_THREADS - 1);
    NonZeroUsize::new(asked).unwrap_or_else(cores).min(most)
}
