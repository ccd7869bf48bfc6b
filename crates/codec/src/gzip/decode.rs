//! Reading gzip: members one after another, each with its own header and checksum.

use std::io::{self, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::input::Input;
use crate::{Compression, Error};

/// The most bytes of a name or a comment in a header. RFC 1952 gives no limit; nobody needs more.
const MAX_TEXT: usize = 64 << 10;

const FLAG_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const FLAGS_RESERVED: u8 = 0b1110_0000;

/// The state of reading one gzip file.
pub(crate) struct Decoder {
    stage: Stage,
    inflate: Decompress,
    crc: Crc,
    first: bool,
}

#[derive(Clone, Copy)]
enum Stage {
    /// A member begins, or the file is over.
    Start,
    /// Within deflated data.
    Body,
    /// Checksum and size follow.
    Trailer,
    /// The file is over.
    End,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { stage: Stage::Start, inflate: Decompress::new(false), crc: Crc::new(), first: true }
    }
}

impl Decoder {
    /// Decodes into `out`, which is not empty; zero is the end.
    pub(crate) fn read<R: Read>(&mut self, input: &mut Input<R>, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stage {
                Stage::Start => self.start(input)?,
                Stage::Body => {
                    let count = self.body(input, out)?;
                    if count > 0 {
                        return Ok(count);
                    }
                }
                Stage::Trailer => self.trailer(input)?,
                Stage::End => return Ok(0),
            }
        }
    }

    fn start<R: Read>(&mut self, input: &mut Input<R>) -> io::Result<()> {
        match input.chunk()?.first() {
            None if !self.first => self.stage = Stage::End,
            Some(0) if !self.first => {
                skip_padding(input)?;
                self.stage = Stage::End;
            }
            Some(0x1f) | None => {
                read_header(input)?;
                self.inflate.reset(false);
                self.crc.reset();
                self.first = false;
                self.stage = Stage::Body;
            }
            Some(_) if self.first => return Err(corrupt(input, "not a gzip header")),
            Some(_) => return Err(corrupt(input, "garbage after the last member")),
        }
        Ok(())
    }

    fn body<R: Read>(&mut self, input: &mut Input<R>, out: &mut [u8]) -> io::Result<usize> {
        let chunk = input.chunk()?;
        let (at_end, before_in, before_out) =
            (chunk.is_empty(), self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(chunk, out, FlushDecompress::None);
        let taken = (self.inflate.total_in() - before_in) as usize;
        let given = (self.inflate.total_out() - before_out) as usize;
        input.consume(taken);
        self.crc.update(&out[..given]);
        match status {
            Ok(Status::StreamEnd) => self.stage = Stage::Trailer,
            Ok(_) if given > 0 || taken > 0 => {}
            Ok(_) if at_end => return Err(truncated(input)),
            Ok(_) => return Err(corrupt(input, "deflated data makes no progress")),
            Err(_) => return Err(corrupt(input, "invalid deflated data")),
        }
        Ok(given)
    }

    fn trailer<R: Read>(&mut self, input: &mut Input<R>) -> io::Result<()> {
        let sum = u32::from_le_bytes(array(input)?);
        let size = u32::from_le_bytes(array(input)?);
        if sum != self.crc.sum() {
            return Err(corrupt(input, "the checksum does not match"));
        }
        if size != self.crc.amount() {
            return Err(corrupt(input, "the size does not match"));
        }
        self.stage = Stage::Start;
        Ok(())
    }
}

/// Reads the header of a member; what it says beside the method is of no use here.
fn read_header<R: Read>(input: &mut Input<R>) -> io::Result<()> {
    let [magic0, magic1, method, flags] = array(input)?;
    if [magic0, magic1] != [0x1f, 0x8b] {
        return Err(corrupt(input, "not a gzip header"));
    }
    if method != 8 {
        return Err(corrupt(input, "a compression method other than deflate"));
    }
    if flags & FLAGS_RESERVED != 0 {
        return Err(corrupt(input, "reserved flags in a header"));
    }
    let _time_and_system: [u8; 6] = array(input)?;
    if flags & FLAG_EXTRA != 0 {
        for _ in 0..u16::from_le_bytes(array(input)?) {
            required(input)?;
        }
    }
    for text in [FLAG_NAME, FLAG_COMMENT] {
        if flags & text != 0 {
            skip_text(input)?;
        }
    }
    if flags & FLAG_CRC != 0 {
        // Nobody writes it and few check it; the data has a checksum of its own.
        let _: [u8; 2] = array(input)?;
    }
    Ok(())
}

fn skip_text<R: Read>(input: &mut Input<R>) -> io::Result<()> {
    for _ in 0..=MAX_TEXT {
        if required(input)? == 0 {
            return Ok(());
        }
    }
    Err(Error::Limit { what: "name or comment of a gzip header in bytes", limit: MAX_TEXT as u64 }.into())
}

fn skip_padding<R: Read>(input: &mut Input<R>) -> io::Result<()> {
    loop {
        let chunk = input.chunk()?;
        if chunk.is_empty() {
            return Ok(());
        }
        if chunk.iter().any(|&byte| byte != 0) {
            return Err(corrupt(input, "garbage after the last member"));
        }
        let count = chunk.len();
        input.consume(count);
    }
}

fn required<R: Read>(input: &mut Input<R>) -> io::Result<u8> {
    match input.byte()? {
        Some(byte) => Ok(byte),
        None => Err(truncated(input)),
    }
}

fn array<R: Read, const N: usize>(input: &mut Input<R>) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    for byte in &mut bytes {
        *byte = required(input)?;
    }
    Ok(bytes)
}

fn truncated<R: Read>(input: &Input<R>) -> io::Error {
    Error::Truncated { format: Compression::Gzip, offset: input.consumed() }.into()
}

fn corrupt<R: Read>(input: &Input<R>, reason: &'static str) -> io::Error {
    Error::Corrupt { format: Compression::Gzip, offset: input.consumed(), reason }.into()
}
