//! A tar read entry by entry, as it streams by: what an unpacker or a rewriter needs to know of each.
//!
//! Reads ustar, PAX, GNU (long names, base-256 numbers, sparse files in all four forms) and v7. Where readers have been
//! fooled by disagreeing with each other, this one agrees with Go's `archive/tar`, by which the container world reads, or
//! refuses:
//! - A size in PAX records is that of the entry itself and counts before the header's; never that of a long name between.
//! - A long name in GNU's way counts before a PAX path.
//! - Malformed records, negative sizes, and numbers that are none are refused, not skipped.
//! - Records for all entries (`g`) may hold comments; one that would change entries is refused, since some readers apply it
//!   and others do not.
//! - After a block of zeros comes another or the end; anything else is refused.
//!
//! Memory: one set of extended headers (1 MiB each) and one list of extents. Nothing is allocated from a declared size.
//! Names are the bytes of the tar: whether they lead anywhere is for the caller to judge.

mod pax;
mod sparse;

use std::io::{self, BufRead};

use super::check::has_checksum;
use super::header::BLOCK;
use pax::Extended;
pub(crate) use sparse::Extent;

/// The most that one extended header may hold, in bytes.
const MAX_EXTENDED: u64 = 1 << 20;

/// Why a tar cannot be read on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The source failed.
    Read(io::Error),
    /// It breaks the format.
    Invalid(String),
    /// It ends within an entry.
    Truncated { offset: u64, missing: &'static str },
    /// Something in it is larger than is read.
    Limit { what: &'static str, limit: u64 },
    /// Well-formed, but not of a kind that is read.
    Unsupported(String),
}

/// One entry, its content apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As the tar has it: it may be absolute, end in a slash, or hold `..`.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// The twelve bits of permission.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    /// Bytes of a regular file, its holes included; else zero.
    pub(crate) size: u64,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
    /// Sorted by name, each once.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where a sparse file has content, in order; what lies between is zeros. [`Reader::chunk`] gives these parts only.
    pub(crate) extents: Option<Vec<Extent>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    CharDevice,
    BlockDevice,
    Folder,
    Fifo,
}

/// Seconds since 1970, and billionths of a second after that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

/// Reads entries from a stream.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    source: R,
    seen: u64,
    /// Content of the entry at hand that was not taken yet, and the padding behind it.
    left: u64,
    padding: u64,
    /// Whether the end was met, and with a mark.
    ended: Option<bool>,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, seen: 0, left: 0, padding: 0, ended: None }
    }

    /// The next entry; nothing at the end. What was not taken of the content before is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Fault> {
        let mut extended = Extended::default();
        while self.ended.is_none() {
            self.skip_content()?;
            let Some(block) = self.header()? else { break };
            let size = self.size_of(&block)?;
            match block[156] {
                b'x' => extended.records = Some(self.extension(size, &pax::entry_records)?),
                b'g' => self.extension(size, &pax::check_global)?,
                b'L' => extended.long_name = Some(self.extension(size, &pax::long_name)?),
                b'K' => extended.long_link = Some(self.extension(size, &pax::long_name)?),
                _ => return self.entry(&block, size, extended).map(Some),
            }
        }
        Ok(None)
    }

    /// What is at hand of the content; empty at its end.
    pub(crate) fn chunk(&mut self) -> Result<&[u8], Fault> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let offset = self.seen;
        let chunk = filled(&mut self.source)?;
        if chunk.is_empty() {
            return Err(Fault::Truncated { offset, missing: "the content of an entry is cut" });
        }
        Ok(&chunk[..at_most(chunk, self.left)])
    }

    /// Takes so many bytes of what [`chunk`](Self::chunk) gave.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= count as u64;
        self.take(count);
    }

    /// Bytes of the tar before what was not taken yet.
    pub(crate) fn offset(&self) -> u64 {
        self.seen
    }

    /// Reads the source to its end, and says how many bytes followed the end of the tar, from the first that is not zero.
    pub(crate) fn drain(&mut self) -> Result<u64, Fault> {
        let mut after = 0;
        loop {
            let chunk = filled(&mut self.source)?;
            if chunk.is_empty() {
                return Ok(after);
            }
            if after > 0 || chunk.iter().any(|byte| *byte != 0) {
                after += chunk.len() as u64;
            }
            let count = chunk.len();
            self.take(count);
        }
    }

    /// Whether the tar ended without a mark that it does: all of it may be there, or not.
    pub(crate) fn lacks_end_mark(&self) -> bool {
        self.ended == Some(false)
    }

    /// A fault of the content at hand, with its place.
    fn invalid(&self, reason: impl std::fmt::Display) -> Fault {
        Fault::Invalid(format!("{reason}, near byte {}", self.seen))
    }

    fn take(&mut self, count: usize) {
        self.source.consume(count);
        self.seen += count as u64;
    }

    fn skip_content(&mut self) -> Result<(), Fault> {
        while self.left > 0 {
            let count = self.chunk()?.len();
            self.consume(count);
        }
        while self.padding > 0 {
            let chunk = filled(&mut self.source)?;
            if chunk.is_empty() {
                // All content is there: umoci has made such tars.
                self.padding = 0;
                self.ended = Some(false);
                return Ok(());
            }
            let count = at_most(chunk, self.padding);
            self.padding -= count as u64;
            self.take(count);
        }
        Ok(())
    }

    /// A block; nothing where the source ends before it.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            let chunk = filled(&mut self.source)?;
            if chunk.is_empty() && have == 0 {
                return Ok(None);
            }
            if chunk.is_empty() {
                return Err(Fault::Truncated { offset: self.seen, missing: "a header is cut" });
            }
            let count = chunk.len().min(BLOCK - have);
            block[have..have + count].copy_from_slice(&chunk[..count]);
            have += count;
            self.take(count);
        }
        Ok(Some(block))
    }

    /// The next header; nothing at the end of the tar.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        if self.ended.is_some() {
            return Ok(None);
        }
        let Some(block) = self.block()? else {
            self.ended = Some(false);
            return Ok(None);
        };
        if block != [0; BLOCK] {
            return if has_checksum(&block) {
                Ok(Some(block))
            } else {
                Err(self.invalid("a header has a wrong checksum"))
            };
        }
        if self.block()?.is_some_and(|block| block != [0; BLOCK]) {
            return Err(self.invalid("a block of zeros stands before a header"));
        }
        self.ended = Some(true);
        Ok(None)
    }

    fn size_of(&self, block: &[u8; BLOCK]) -> Result<u64, Fault> {
        let size = number(&block[124..136]).and_then(|size| u64::try_from(size).ok());
        size.ok_or_else(|| self.invalid("a header has a size that is no number"))
    }

    /// An extended header, whole, as `parse` reads it.
    fn extension<T>(&mut self, size: u64, parse: &dyn Fn(&[u8]) -> Result<T, pax::Flaw>) -> Result<T, Fault> {
        if size > MAX_EXTENDED {
            return Err(Fault::Limit {
                what: "the size of an extended header in bytes",
                limit: MAX_EXTENDED,
            });
        }
        self.content(size);
        let mut bytes = Vec::new();
        while self.left > 0 {
            let chunk = self.chunk()?;
            let count = chunk.len();
            bytes.extend_from_slice(chunk);
            self.consume(count);
        }
        parse(&bytes).map_err(|flaw| match flaw {
            pax::Flaw::Invalid(reason) => self.invalid(reason),
            pax::Flaw::Unsupported(what) => Fault::Unsupported(what),
        })
    }

    /// So many bytes of content follow.
    fn content(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn entry(&mut self, block: &[u8; BLOCK], size: u64, extended: Extended) -> Result<Entry, Fault> {
        let Extended { records, long_name, long_link } = extended;
        let records = records.unwrap_or_default();
        let path = long_name.or(records.path).unwrap_or_else(|| header_path(block));
        let target = long_link.or(records.link).unwrap_or_else(|| until_nul(&block[157..257]).to_vec());
        let kind = kind(block[156], &path, target)?;
        let field = |field: std::ops::Range<usize>, what: &str| {
            number(&block[field])
                .ok_or_else(|| self.invalid(format!("a header has {what} that is no number")))
        };
        let id = |said: Option<u64>, place: std::ops::Range<usize>, what: &str| {
            let id =
                said.map_or_else(|| field(place, what), |said| Ok(i64::try_from(said).unwrap_or(i64::MAX)));
            // The highest is what chown(2) takes for none.
            let fits = |id: i64| u32::try_from(id).ok().filter(|id| *id != u32::MAX);
            id.and_then(|id| fits(id).ok_or_else(|| self.invalid(format!("a header has {what} of {id}"))))
        };
        let (uid, gid) = (id(records.uid, 108..116, "a user ID")?, id(records.gid, 116..124, "a group ID")?);
        let device = match kind {
            EntryKind::CharDevice | EntryKind::BlockDevice => {
                let part = |place: std::ops::Range<usize>| {
                    let number = field(place, "a device number")?;
                    u32::try_from(number)
                        .map_err(|_| self.invalid(format!("a device has the number {number}")))
                };
                (part(329..337)?, part(337..345)?)
            }
            _ => (0, 0),
        };
        let mtime = match records.mtime {
            Some(mtime) => mtime,
            None => Time { seconds: field(136..148, "a time")?, nanos: 0 },
        };
        let mode = (field(100..108, "a mode")? & 0o7777) as u32;
        let is_file = kind == EntryKind::File;
        let stored = if is_file { records.size.unwrap_or(size) } else { 0 };
        self.content(stored);
        let mut entry = Entry {
            path,
            kind,
            mode,
            uid,
            gid,
            mtime,
            size: stored,
            device,
            xattrs: records.xattrs,
            extents: None,
        };
        if let Some(sparse) = records.sparse {
            self.sparse(&mut entry, block, Some(sparse))?;
        } else if block[156] == b'S' {
            self.sparse(&mut entry, block, None)?;
        }
        Ok(entry)
    }

    /// Finds out where a sparse file has its content.
    fn sparse(
        &mut self,
        entry: &mut Entry,
        block: &[u8; BLOCK],
        records: Option<sparse::Records>,
    ) -> Result<(), Fault> {
        if entry.kind != EntryKind::File {
            return Err(self.invalid("what is no file has holes"));
        }
        let mut map = sparse::Map::default();
        let real_size = match records {
            None => {
                let stored = self.left;
                let mut more = map.old_header(block).map_err(|reason| self.invalid(reason))?;
                while more {
                    let Some(block) = self.block()? else {
                        return Err(Fault::Truncated { offset: self.seen, missing: "a header is cut" });
                    };
                    more = map.old_extension(&block).map_err(|reason| self.invalid(reason))?;
                    self.limit(&map)?;
                }
                self.content(stored);
                number(&block[483..495]).and_then(|size| u64::try_from(size).ok())
            }
            Some(records) => {
                entry.path = records.name.unwrap_or_else(|| std::mem::take(&mut entry.path));
                match records.extents {
                    Some(extents) => map.extents = extents,
                    None => self.map_in_content(&mut map)?,
                }
                records.size
            }
        };
        self.limit(&map)?;
        let real_size = real_size.ok_or_else(|| self.invalid("a sparse file has no size"))?;
        if !map.is_sound(self.left, real_size) {
            return Err(self.invalid("a sparse file has its content in places that cannot be"));
        }
        entry.size = real_size;
        entry.extents = Some(map.extents);
        Ok(())
    }

    /// The list of extents that form 1.0 has in whole blocks before the content.
    fn map_in_content(&mut self, map: &mut sparse::Map) -> Result<(), Fault> {
        let mut numbers = sparse::Numbers::default();
        loop {
            if self.left < BLOCK as u64 {
                return Err(self.invalid("the list of a sparse file is cut"));
            }
            let Some(block) = self.block()? else {
                return Err(Fault::Truncated {
                    offset: self.seen,
                    missing: "the list of a sparse file is cut",
                });
            };
            self.left -= BLOCK as u64;
            let done = numbers.feed(&block, map).map_err(|reason| self.invalid(reason))?;
            self.limit(map)?;
            if done {
                return Ok(());
            }
        }
    }

    fn limit(&self, map: &sparse::Map) -> Result<(), Fault> {
        match map.extents.len() > sparse::MAX_EXTENTS {
            true => Err(Fault::Limit {
                what: "the number of extents of a sparse file",
                limit: sparse::MAX_EXTENTS as u64,
            }),
            false => Ok(()),
        }
    }
}

/// What the source has at hand; empty at its end.
fn filled(source: &mut impl BufRead) -> Result<&[u8], Fault> {
    // Borrowed twice, since a borrow that is returned lives on in the arm that is not.
    loop {
        match source.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::Read(error)),
        }
    }
    source.fill_buf().map_err(Fault::Read)
}

fn at_most(chunk: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()))
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn kind(flag: u8, path: &[u8], target: Vec<u8>) -> Result<EntryKind, Fault> {
    Ok(match flag {
        // Before there was a flag for folders, they had a slash at their end.
        0 if path.ends_with(b"/") => EntryKind::Folder,
        0 | b'0' | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::HardLink(target),
        b'2' => EntryKind::Symlink(target),
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Folder,
        b'6' => EntryKind::Fifo,
        other => {
            let shown = char::from(other).escape_default();
            return Err(Fault::Unsupported(format!("an entry of type '{shown}'")));
        }
    })
}

/// The path that a header holds by itself.
fn header_path(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_nul(&block[..100]);
    let is_star = &block[508..512] == b"tar\0";
    // GNU's headers keep other things where the prefix is, and star's at its end.
    let prefix = match &block[257..263] {
        b"ustar\0" if is_star => until_nul(&block[345..476]),
        b"ustar\0" => until_nul(&block[345..500]),
        _ => b"",
    };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// A number in octal, with blanks or NULs around it, or in GNU's base 256, which may be negative.
fn number(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 == 0 {
        let blank = |byte: &u8| matches!(byte, b' ' | 0);
        let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
        let text = until_nul(&field[start..]).trim_ascii_end();
        return text.iter().try_fold(0_i64, |number, byte| match byte {
            b'0'..=b'7' => number.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
            _ => None,
        });
    }
    let is_negative = field[0] & 0x40 != 0;
    let fill = if is_negative { 0xff } else { 0 };
    let mut bytes = field.to_vec();
    bytes[0] = bytes[0] & 0x7f | if is_negative { 0x80 } else { 0 };
    let (high, low) = bytes.split_at(bytes.len().saturating_sub(8));
    let mut eight = [fill; 8];
    eight[8 - low.len()..].copy_from_slice(low);
    let number = i64::from_be_bytes(eight);
    (high.iter().all(|byte| *byte == fill) && (number < 0) == is_negative).then_some(number)
}

#[cfg(test)]
mod tests;
