//! What stands in for zstd in a build without it: the same shape, and an error at the door.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use crate::Error;
use crate::input::Input;

fn unsupported() -> Error {
    Error::Unsupported("zstd (this build leaves it out)".to_owned())
}

pub(crate) fn version() -> Result<&'static str, Error> {
    Err(unsupported())
}

pub(crate) struct Decoder(Infallible);

impl Decoder {
    pub(crate) fn new(_max_window_log: u32) -> Result<Self, Error> {
        Err(unsupported())
    }

    pub(crate) fn read<R: Read>(&mut self, _input: &mut Input<R>, _out: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

pub(crate) struct Encoder<W>(Infallible, PhantomData<W>);

impl<W: Write> Encoder<W> {
    pub(crate) fn new(_sink: W, _level: i32, _threads: NonZeroUsize) -> Result<Self, Error> {
        Err(unsupported())
    }

    pub(crate) fn write_all(&mut self, _data: &[u8]) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn flush_sink(&mut self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn finish(self) -> io::Result<W> {
        match self.0 {}
    }
}
