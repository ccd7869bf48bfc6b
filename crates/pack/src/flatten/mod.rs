//! Layers as a reader of images sees them: merged into one, or with other times.
//!
//! What is written follows the rules of [`TAR_RECIPE`](crate::TAR_RECIPE) for headers; entries keep their order, owners,
//! modes and extended attributes, times are whole seconds. Memory grows with the number of entries, never with their
//! content; every layer is read twice.

mod merge;

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

pub(crate) use merge::merge;

use crate::Error;
use crate::entry::Attributes;
use crate::error::shown;
use crate::tarball::read::{Entry, EntryKind, Fault, Reader};
use crate::tarball::{BLOCK, Header, Kind, Sink, Unsayable};

/// A layer that can be opened as often as needed, and what errors call it.
pub(crate) struct Plain<'a> {
    pub(crate) path: PathBuf,
    pub(crate) open: Box<dyn Fn() -> Result<Box<dyn BufRead + Send>, Error> + Send + Sync + 'a>,
}

impl Plain<'_> {
    fn reader(&self) -> Result<Reader<Box<dyn BufRead + Send>>, Error> {
        Ok(Reader::new((self.open)()?))
    }

    /// Calls `each` with every entry, and reads the layer to its end, so that all of it is verified.
    fn entries(
        &self,
        mut each: impl FnMut(Entry, &mut Reader<Box<dyn BufRead + Send>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut reader = self.reader()?;
        while let Some(entry) = reader.next().map_err(|fault| self.fault(fault))? {
            each(entry, &mut reader)?;
        }
        reader.drain().map_err(|fault| self.fault(fault))?;
        Ok(())
    }

    fn fault(&self, fault: Fault) -> Error {
        let path = self.path.clone();
        match fault {
            Fault::Read(error) => failed(error, &path),
            Fault::Invalid(reason) => Error::Tar { path, reason },
            Fault::Truncated { offset, missing } => Error::Truncated { path, offset, missing },
            Fault::Limit { what, limit } => Error::Limit { path, what, limit },
            Fault::Unsupported(what) => Error::Unsupported(format!("{what}, in {}", shown(&path))),
        }
    }
}

/// An error of a reader, which may be a decoder's or a layout's.
fn failed(error: io::Error, path: &Path) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(own) => return own,
        Err(error) => error,
    };
    match transship_codec::Error::from_io(&error) {
        Some(own) => Error::Decode { path: path.to_owned(), source: own.clone() },
        None => transship_layout::Error::from_io(error, "reading", path).into(),
    }
}

/// Writes a layer with all its entries, each with this time.
pub(crate) fn with_times(layer: &Plain<'_>, mtime: i64, sink: &mut impl Sink) -> Result<(), Error> {
    let mut scratch = Vec::new();
    layer.entries(|mut entry, reader| {
        entry.mtime.seconds = mtime;
        put_header(&entry, &entry.path, sink, &mut scratch)?;
        put_content(layer, &entry, reader, sink)
    })?;
    end(sink)
}

fn end(sink: &mut impl Sink) -> Result<(), Error> {
    sink.put(&[0; 2 * BLOCK]).map_err(Error::Write)
}

/// Writes the header of an entry, under this path.
fn put_header(entry: &Entry, path: &[u8], sink: &mut impl Sink, scratch: &mut Vec<u8>) -> Result<(), Error> {
    let kind = match &entry.kind {
        EntryKind::File => Kind::File,
        EntryKind::HardLink(target) => Kind::HardLink(target),
        EntryKind::Symlink(target) => Kind::Symlink(target),
        EntryKind::CharDevice => Kind::CharDevice,
        EntryKind::BlockDevice => Kind::BlockDevice,
        EntryKind::Folder => Kind::Folder,
        EntryKind::Fifo => Kind::Fifo,
    };
    let attributes = Attributes {
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        size: entry.size,
        mtime: entry.mtime.seconds,
        device: entry.device,
    };
    scratch.clear();
    Header { path, kind, attributes, xattrs: &entry.xattrs }.encode(scratch).map_err(|unsayable| {
        let named = PathBuf::from(String::from_utf8_lossy(path).into_owned());
        match unsayable {
            Unsayable::TooLarge => Error::Limit {
                path: named,
                what: "the size of its extended attributes and names in bytes",
                limit: 1 << 20,
            },
            Unsayable::Device => Error::Unsupported(format!("the numbers of the device {}", shown(&named))),
        }
    })?;
    sink.put(scratch).map_err(Error::Write)
}

/// Writes the content of the entry at hand, holes as zeros, and pads it to whole blocks.
fn put_content(
    layer: &Plain<'_>,
    entry: &Entry,
    reader: &mut Reader<impl BufRead>,
    sink: &mut impl Sink,
) -> Result<(), Error> {
    if entry.kind != EntryKind::File {
        return Ok(());
    }
    let mut at = 0;
    match &entry.extents {
        None => at = put_chunks(layer, entry.size, reader, sink)?,
        Some(extents) => {
            for extent in extents {
                put_zeros(extent.offset.saturating_sub(at), sink)?;
                at = extent.offset + put_chunks(layer, extent.len, reader, sink)?;
            }
        }
    }
    put_zeros(entry.size.saturating_sub(at), sink)?;
    put_zeros(entry.size.wrapping_neg() % BLOCK as u64, sink)
}

fn put_chunks(
    layer: &Plain<'_>,
    size: u64,
    reader: &mut Reader<impl BufRead>,
    sink: &mut impl Sink,
) -> Result<u64, Error> {
    let mut left = size;
    while left > 0 {
        let chunk = reader.chunk().map_err(|fault| layer.fault(fault))?;
        let count = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
        if count == 0 {
            let reason = "a file has less content than it says".to_owned();
            return Err(Error::Tar { path: layer.path.clone(), reason });
        }
        sink.put(&chunk[..count]).map_err(Error::Write)?;
        reader.consume(count);
        left -= count as u64;
    }
    Ok(size)
}

fn put_zeros(mut count: u64, sink: &mut impl Sink) -> Result<(), Error> {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let some = usize::try_from(count).map_or(ZEROS.len(), |count| count.min(ZEROS.len()));
        sink.put(&ZEROS[..some]).map_err(Error::Write)?;
        count -= some as u64;
    }
    Ok(())
}
