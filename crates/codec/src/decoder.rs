//! The decoder: one reader for every compression, bounded.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use crate::bounded::Meter;
use crate::input::Input;
use crate::{Compression, Error, Limits, MAGIC_LEN, detect, gzip, zstd};

/// Reads the plain bytes of a compressed stream, never more than [`Limits`] allow.
///
/// All of the stream is read: every member of a gzip file, every frame of a zstd file, and the padding behind a tar's
/// end mark, since a diff ID covers it (IMG-95). When `read` has returned zero, the reader underneath has come to its
/// end too, and a hash taken beneath covers the whole blob. NUL bytes may follow the last gzip member; anything else
/// that follows, and a stream that stops early, is an error and not an end.
///
/// Memory is bounded by the window (32 KiB for gzip, `max_window_log` for zstd). An error is final: reading on returns
/// it again. Errors are explained in [`Error::from_io`].
#[must_use]
pub struct Decoder<R> {
    input: Input<R>,
    format: Format,
    meter: Meter,
    spent: Option<Error>,
}

enum Format {
    Plain,
    Gzip(Box<gzip::Decoder>),
    Zstd(Box<zstd::Decoder>),
}

impl<R: Read> Decoder<R> {
    /// A decoder for a stream whose compression is known.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for zstd in a build without it.
    pub fn new(reader: R, compression: Compression, limits: Limits) -> Result<Self, Error> {
        Self::over(Input::new(reader), compression, limits)
    }

    /// A decoder for a stream that tells its compression by its first bytes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a compression that is recognised but not read, [`Error::Io`] when the first bytes
    /// cannot be read.
    pub fn sniff(reader: R, limits: Limits) -> Result<Self, Error> {
        let mut input = Input::new(reader);
        let compression = detect(input.peek(MAGIC_LEN)?).compression()?;
        Self::over(input, compression, limits)
    }

    fn over(input: Input<R>, compression: Compression, limits: Limits) -> Result<Self, Error> {
        let format = match compression {
            Compression::None => Format::Plain,
            Compression::Gzip => Format::Gzip(Box::default()),
            Compression::Zstd => Format::Zstd(Box::new(zstd::Decoder::new(limits.max_window_log)?)),
        };
        Ok(Self { input, format, meter: Meter::new(limits), spent: None })
    }

    /// How the stream is compressed.
    #[must_use]
    pub fn compression(&self) -> Compression {
        match self.format {
            Format::Plain => Compression::None,
            Format::Gzip(_) => Compression::Gzip,
            Format::Zstd(_) => Compression::Zstd,
        }
    }

    /// Compressed bytes decoded so far.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.input.consumed()
    }

    /// Plain bytes given so far.
    #[must_use]
    pub fn produced(&self) -> u64 {
        self.meter.produced()
    }

    /// A look at the reader underneath. It may have been read further than was decoded.
    #[must_use]
    pub fn get_ref(&self) -> &R {
        self.input.reader()
    }

    /// The reader underneath. It may have been read further than was decoded.
    pub fn into_inner(self) -> R {
        self.input.into_reader()
    }

    fn step(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = self.meter.room(out.len());
        let out = &mut out[..room];
        let count = match &mut self.format {
            Format::Plain => self.input.copy_to(out)?,
            Format::Gzip(decoder) => decoder.read(&mut self.input, out)?,
            Format::Zstd(decoder) => decoder.read(&mut self.input, out)?,
        };
        self.meter.add(count, self.input.consumed())?;
        Ok(count)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if let Some(error) = &self.spent {
            return Err(error.clone().into());
        }
        self.step(out).inspect_err(|error| {
            // An error of the reader goes up as it is, and cannot be cloned: what stays is its kind.
            let lost = || Error::Io(Arc::new(error.kind().into()));
            self.spent = Some(Error::from_io(error).cloned().unwrap_or_else(lost));
        })
    }
}

impl<R> fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("meter", &self.meter)
            .field("spent", &self.spent)
            .finish_non_exhaustive()
    }
}
