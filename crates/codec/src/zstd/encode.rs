//! Writing zstd: one frame, by the library's own workers.
//!
//! The bytes do not depend on the number of workers, as long as there is one: with none the library takes another
//! road. They do not depend on the size of writes, as long as nothing is flushed and the size is not told beforehand.
//! There is no checksum in the frame: a layer has its digest.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use ::zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use ::zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, get_error_name, version_string};

use crate::{Compression, Error};

const BUFFER: usize = 128 << 10;

/// The version of the library, as it says itself.
#[expect(clippy::unnecessary_wraps, reason = "a build without zstd has none")]
pub(crate) fn version() -> Result<&'static str, Error> {
    Ok(version_string())
}

/// Writes one zstd frame.
pub(crate) struct Encoder<W> {
    sink: W,
    context: CCtx<'static>,
    buffer: Box<[u8]>,
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(sink: W, level: i32, threads: NonZeroUsize) -> Result<Self, Error> {
        let memory = || Error::Io(io::Error::from(io::ErrorKind::OutOfMemory).into());
        let mut context = CCtx::try_create().ok_or_else(memory)?;
        let workers = u32::try_from(threads.get()).unwrap_or(u32::MAX);
        for parameter in [CParameter::CompressionLevel(level), CParameter::NbWorkers(workers)] {
            context.set_parameter(parameter).map_err(failed)?;
        }
        Ok(Self { sink, context, buffer: vec![0; BUFFER].into_boxed_slice() })
    }

    pub(crate) fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        let mut source = InBuffer::around(data);
        while source.pos() < data.len() {
            self.step(&mut source, ZSTD_EndDirective::ZSTD_e_continue)?;
        }
        Ok(())
    }

    pub(crate) fn flush_sink(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        let mut nothing = InBuffer::around(&[]);
        while self.step(&mut nothing, ZSTD_EndDirective::ZSTD_e_end)? > 0 {}
        Ok(self.sink)
    }

    fn step(&mut self, source: &mut InBuffer<'_>, directive: ZSTD_EndDirective) -> io::Result<usize> {
        let mut target = OutBuffer::around(&mut self.buffer[..]);
        let left = self.context.compress_stream2(&mut target, source, directive).map_err(failed)?;
        self.sink.write_all(target.as_slice())?;
        Ok(left)
    }
}

fn failed(code: usize) -> Error {
    Error::Encoder { format: Compression::Zstd, reason: get_error_name(code) }
}
