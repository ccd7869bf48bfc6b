//! Reading zstd: frames one after another, skippable ones passed over.

use std::io::{self, Read};

use ::zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use crate::input::Input;
use crate::{Compression, Error};

/// What the library calls a window larger than allowed; its codes are negated error numbers.
const WINDOW_TOO_LARGE: usize = 16_usize.wrapping_neg();

/// The state of reading one zstd file.
pub(crate) struct Decoder {
    context: DCtx<'static>,
    window_log: u32,
    /// Nothing of a frame is under way.
    between: bool,
    first: bool,
}

impl Decoder {
    pub(crate) fn new(max_window_log: u32) -> Result<Self, Error> {
        let window_log = max_window_log.clamp(10, 31);
        let failed = |_| Error::Limit { what: "logarithm of the zstd window", limit: u64::from(window_log) };
        let memory = || Error::Io(io::Error::from(io::ErrorKind::OutOfMemory).into());
        let mut context = DCtx::try_create().ok_or_else(memory)?;
        context.set_parameter(DParameter::WindowLogMax(window_log)).map_err(failed)?;
        Ok(Self { context, window_log, between: true, first: true })
    }

    /// Decodes into `out`, which is not empty; zero is the end.
    pub(crate) fn read<R: Read>(&mut self, input: &mut Input<R>, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let chunk = input.chunk()?;
            let at_end = chunk.is_empty();
            if at_end && self.between && !self.first {
                return Ok(0);
            }
            let mut source = InBuffer::around(chunk);
            let mut target = OutBuffer::around(&mut *out);
            let result = self.context.decompress_stream(&mut target, &mut source);
            let (taken, given) = (source.pos(), target.pos());
            input.consume(taken);
            let hint = result.map_err(|code| self.explain(code, input.consumed()))?;
            self.between = hint == 0;
            self.first = false;
            if given > 0 {
                return Ok(given);
            }
            if at_end && !self.between {
                return Err(Error::Truncated { format: Compression::Zstd, offset: input.consumed() }.into());
            }
        }
    }

    fn explain(&self, code: usize, offset: u64) -> Error {
        if code == WINDOW_TOO_LARGE {
            Error::Limit { what: "zstd window in bytes", limit: 1 << self.window_log }
        } else {
            Error::Corrupt { format: Compression::Zstd, offset, reason: get_error_name(code) }
        }
    }
}
