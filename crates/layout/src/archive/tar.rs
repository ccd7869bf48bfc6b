//! The tar format, as far as layouts need it: a bounded scan of headers, and the headers that we write.
//!
//! The scan reads ustar, GNU long names and PAX names and sizes. It never allocates from a size that a header claims, and
//! every member must lie within the file. It is stricter than `tar -x`: a tar without an end mark was cut short.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use transship_spec::quote;

use crate::{Error, Result};

/// The most members of an archive.
pub const MAX_MEMBERS: u64 = 4_000_000;

/// The size of headers, and what content is padded to.
pub(super) const BLOCK: u64 = 512;
/// The largest name or set of PAX records, in bytes.
const MAX_EXTENSION: u64 = 1 << 20;
/// Bytes of headers that are read in one go.
const WINDOW: usize = 16 << 10;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    File,
    Folder,
    Link,
    /// A device, a FIFO, or something that only its maker knows.
    Other,
}

/// One member, by its header.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    pub(super) what: What,
    /// Where its content begins.
    pub(super) at: u64,
    pub(super) size: u64,
}

/// Names and sizes that headers before the member's own give it.
#[derive(Default)]
struct Pending {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Visits every member of a tar, in order.
pub(super) fn scan(file: &File, path: &Path, visit: &mut dyn FnMut(Member<'_>) -> Result<()>) -> Result<()> {
    let length = file.metadata().map_err(Error::storage("reading", path))?.len();
    let mut scan = Scan { file, path, length, window: Vec::new(), window_at: 0 };
    let mut at = 0;
    let mut pending = Pending::default();
    for _ in 0..=MAX_MEMBERS {
        let Some(header) = scan.header(at)? else { return Ok(()) };
        let kind = header.as_old().linkflag[0];
        let stored = header.entry_size().map_err(|_| scan.malformed(at, "a size that is no number"))?;
        let is_extension = matches!(kind, b'L' | b'K' | b'x' | b'g');
        let size = match kind {
            // Links, devices, folders and FIFOs have no content, whatever their header claims.
            b'1'..=b'6' => 0,
            _ if is_extension => stored,
            _ => pending.size.take().unwrap_or(stored),
        };
        let content = at + BLOCK;
        let end = size.checked_next_multiple_of(BLOCK).and_then(|size| content.checked_add(size));
        let Some(end) = end.filter(|end| *end <= scan.length) else {
            return Err(
                scan.malformed(at, "a member that is larger than what is left of the file: it was cut short")
            );
        };
        if is_extension {
            scan.extend(&mut pending, kind, content, size)?;
        } else {
            let Pending { name, size: _ } = std::mem::take(&mut pending);
            let own = header.path_bytes();
            let name = name.as_deref().unwrap_or(&own);
            let what = match kind {
                b'S' => return Err(scan.malformed(at, "a sparse member, which is not read")),
                b'0' | 0 | b'7' if name.ends_with(b"/") => What::Folder,
                b'0' | 0 | b'7' => What::File,
                b'1' | b'2' => What::Link,
                b'5' => What::Folder,
                _ => What::Other,
            };
            visit(Member { name, what, at: content, size })?;
        }
        at = end;
    }
    Err(Error::Limit { what: "the number of members of an archive", limit: MAX_MEMBERS })
}

struct Scan<'a> {
    file: &'a File,
    path: &'a Path,
    length: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl Scan<'_> {
    /// The header at an offset; none where the end mark is.
    fn header(&mut self, at: u64) -> Result<Option<::tar::Header>> {
        let cut = "no end mark: it was cut short";
        if at + BLOCK > self.length {
            return Err(match at {
                0 => self.no_tar(),
                _ => self.malformed(at, cut),
            });
        }
        let is_inside = at >= self.window_at && at + BLOCK <= self.window_at + self.window.len() as u64;
        if !is_inside {
            let left = usize::try_from(self.length - at).unwrap_or(WINDOW);
            self.window = self.bytes(at, left.min(WINDOW))?;
            self.window_at = at;
        }
        let from = usize::try_from(at - self.window_at).unwrap_or(0);
        let Some(block) = self.window.get(from..from + BLOCK as usize) else {
            return Err(self.malformed(at, cut));
        };
        if block.iter().all(|byte| *byte == 0) {
            return match at {
                0 => Err(self.no_tar()),
                _ => Ok(None),
            };
        }
        let mut header = ::tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        match header.cksum() {
            Ok(sum) if is_sum(block, sum) => Ok(Some(header)),
            _ if at == 0 => Err(self.no_tar()),
            _ => Err(self.malformed(at, "a header whose checksum is wrong")),
        }
    }

    /// Takes what a header that extends the next one says.
    fn extend(&self, pending: &mut Pending, kind: u8, at: u64, size: u64) -> Result<()> {
        if size > MAX_EXTENSION {
            return Err(Error::Limit {
                what: "the size of a name in an archive in bytes",
                limit: MAX_EXTENSION,
            });
        }
        let content = self.bytes(at, usize::try_from(size).unwrap_or(0))?;
        match kind {
            b'L' => {
                let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
                pending.name = Some(content[..end].to_vec());
            }
            b'x' => {
                let wrong = || self.malformed(at, "PAX records that are not well-formed");
                let mut rest = &content[..];
                while !rest.is_empty() {
                    let (key, value, after) = record(rest).ok_or_else(wrong)?;
                    match key {
                        b"path" => pending.name = Some(value.to_vec()),
                        b"size" => {
                            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                            pending.size = Some(number.ok_or_else(wrong)?);
                        }
                        _ => {}
                    }
                    rest = after;
                }
            }
            // The target of a link, and what all members have in common, say nothing about content.
            _ => {}
        }
        Ok(())
    }

    fn bytes(&self, at: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.malformed(at, "no end mark: it was cut short"),
            _ => Error::storage("reading", self.path)(error),
        })?;
        Ok(bytes)
    }

    fn malformed(&self, at: u64, what: &str) -> Error {
        malformed(self.path, format!("at byte {at} there is {what}"))
    }

    fn no_tar(&self) -> Error {
        Error::NotALayout { path: self.path.to_owned(), reason: "it is not a tar".to_owned() }
    }
}

/// An archive that breaks a rule.
pub(super) fn malformed(path: &Path, reason: String) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        source: transship_spec::Error::Document { what: "archive", reason },
    }
}

/// The sum's own field counts as spaces. Some programs of old summed signed bytes.
fn is_sum(block: &[u8], sum: u32) -> bool {
    let (before, after) = (&block[..148], &block[156..]);
    let spaces = 8 * u32::from(b' ');
    let unsigned: u32 = before.iter().chain(after).map(|byte| u32::from(*byte)).sum();
    if unsigned + spaces == sum {
        return true;
    }
    let signed: i64 = before.iter().chain(after).map(|byte| i64::from(byte.cast_signed())).sum();
    signed + i64::from(spaces) == i64::from(sum)
}

/// The first PAX record: key, value, and what follows.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let text = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=')?;
    Some((&text[..equals], &text[equals + 1..], &bytes[length..]))
}

/// What a name means below the root: without `.` and empty parts. None where it leads elsewhere or is not UTF-8.
pub(super) fn normal(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return None;
    }
    let parts = name.split('/').filter(|part| !part.is_empty() && *part != ".");
    Some(parts.collect::<Vec<_>>().join("/"))
}

/// A name for people, also where it is not UTF-8.
pub(super) fn shown(name: &[u8]) -> String {
    quote(&String::from_utf8_lossy(name))
}

/// Writes the header of a file: mode 0644, no owner, no time. A name that is too long for it (a blob named by SHA-512) is
/// written as a PAX record before it; a size of 8 GiB and more in base 256, as GNU tar does and everybody reads.
pub(super) fn write_header(out: &mut Vec<u8>, name: &str, size: u64) -> std::io::Result<()> {
    let mut header = ::tar::Header::new_ustar();
    if header.set_path(name).is_err() {
        let record = pax_path(name);
        let mut extension = ::tar::Header::new_ustar();
        extension.set_path("PaxHeaders/name")?;
        extension.set_entry_type(::tar::EntryType::XHeader);
        fill(&mut extension, record.len() as u64);
        out.extend_from_slice(extension.as_bytes());
        out.extend_from_slice(record.as_bytes());
        out.resize(out.len().next_multiple_of(BLOCK as usize), 0);
        // What a reader that knows no PAX sees is not the blob's name, and so no blob.
        header.set_path(name.get(..100).unwrap_or("name"))?;
    }
    header.set_entry_type(::tar::EntryType::Regular);
    fill(&mut header, size);
    out.extend_from_slice(header.as_bytes());
    Ok(())
}

fn fill(header: &mut ::tar::Header, size: u64) {
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
}

/// A PAX record of a name; its length counts the digits of the length.
fn pax_path(name: &str) -> String {
    let rest = format!(" path={name}\n");
    let mut length = rest.len();
    while rest.len() + length.to_string().len() != length {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}
