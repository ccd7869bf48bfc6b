//! One header of a tar: ustar where it can say everything, PAX records before it for the rest.
//!
//! Frozen with the recipe [`TAR_RECIPE`](crate::TAR_RECIPE):
//! - Numbers are octal with a NUL behind them. One that does not fit is 0 there and a PAX record: `size` from 8 GiB on,
//!   `uid` and `gid` from 2,097,152 on, `mtime` where it is negative or past the year 2242.
//! - A path of ASCII goes into `name`, or is cut at a slash into `prefix` (as long as it can be, at most 155 bytes) and
//!   `name` (at most 100). Any other path is a PAX record `path`, its bytes as they are on disk, UTF-8 or not; `name`
//!   then holds its first 100 bytes with `_` for each that is not ASCII. Targets of links go the same way.
//! - PAX records are sorted by keyword. Their own header has the name `PaxHeaders.0`, mode 0644, owner 0:0, time 0.
//! - Never what only GNU tar knows: no base-256 numbers, no `././@LongLink`, no sparse files.

use crate::entry::Attributes;

pub(crate) const BLOCK: usize = 512;
/// What Go's `archive/tar`, and so most of the container world, reads at most.
const MAX_PAX: usize = 1 << 20;
const MAX_NAME: usize = 100;
const MAX_PREFIX: usize = 155;
const MAX_ID: u64 = 0o7_777_777;
const MAX_LONG: u64 = 0o77_777_777_777;

/// What a header says.
#[derive(Debug)]
pub(crate) struct Header<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) kind: Kind<'a>,
    /// As it is to be written: rules for owners, modes and times were applied.
    pub(crate) attributes: Attributes,
    pub(crate) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    File,
    HardLink(&'a [u8]),
    Symlink(&'a [u8]),
    CharDevice,
    BlockDevice,
    Folder,
    Fifo,
}

/// Why a header cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsayable {
    /// Its PAX records are larger than readers accept.
    TooLarge,
    /// A device has a number that ustar cannot say, and PAX has no word for it.
    Device,
}

impl Kind<'_> {
    fn flag(self) -> u8 {
        match self {
            Self::File => b'0',
            Self::HardLink(_) => b'1',
            Self::Symlink(_) => b'2',
            Self::CharDevice => b'3',
            Self::BlockDevice => b'4',
            Self::Folder => b'5',
            Self::Fifo => b'6',
        }
    }

    fn target(&self) -> &[u8] {
        match self {
            Self::HardLink(target) | Self::Symlink(target) => target,
            _ => b"",
        }
    }
}

impl Header<'_> {
    /// Adds the header's blocks to `out`. Nothing is added on an error.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unsayable> {
        let records = self.records();
        if records.len() > MAX_PAX {
            return Err(Unsayable::TooLarge);
        }
        let ustar = self.ustar()?;
        if !records.is_empty() {
            let mut block = Block::new(b"PaxHeaders.0", b'x');
            block.number(MODE, 0o644).number(SIZE, records.len() as u64);
            out.extend_from_slice(&block.sealed());
            out.extend_from_slice(&records);
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        }
        out.extend_from_slice(&ustar);
        Ok(())
    }

    fn size(&self) -> u64 {
        if self.kind == Kind::File { self.attributes.size } else { 0 }
    }

    fn records(&self) -> Vec<u8> {
        let Attributes { uid, gid, mtime, .. } = self.attributes;
        let target = self.kind.target();
        let mut records = Vec::new();
        for (name, value) in self.xattrs {
            record(&mut records, &[b"SCHILY.xattr.", name], value);
        }
        if u64::from(gid) > MAX_ID {
            record(&mut records, &[b"gid"], gid.to_string().as_bytes());
        }
        if target.len() > MAX_NAME || !target.is_ascii() {
            record(&mut records, &[b"linkpath"], target);
        }
        if long(mtime).is_none() {
            record(&mut records, &[b"mtime"], mtime.to_string().as_bytes());
        }
        if split(self.path).is_none() {
            record(&mut records, &[b"path"], self.path);
        }
        if self.size() > MAX_LONG {
            record(&mut records, &[b"size"], self.size().to_string().as_bytes());
        }
        if u64::from(uid) > MAX_ID {
            record(&mut records, &[b"uid"], uid.to_string().as_bytes());
        }
        records
    }

    fn ustar(&self) -> Result<[u8; BLOCK], Unsayable> {
        let Attributes { mode, uid, gid, mtime, device: (major, minor), .. } = self.attributes;
        let fits = |id: u32| Some(u64::from(id)).filter(|id| *id <= MAX_ID);
        let mut block = match split(self.path) {
            Some((prefix, name)) => {
                let mut block = Block::new(name, self.kind.flag());
                block.text(PREFIX, prefix);
                block
            }
            None => Block::new(&readable(self.path), self.kind.flag()),
        };
        block
            .text(LINK, &readable(self.kind.target()))
            .number(MODE, mode.into())
            .number(UID, fits(uid).unwrap_or(0))
            .number(GID, fits(gid).unwrap_or(0))
            .number(SIZE, Some(self.size()).filter(|size| *size <= MAX_LONG).unwrap_or(0))
            .number(MTIME, long(mtime).unwrap_or(0));
        if matches!(self.kind, Kind::CharDevice | Kind::BlockDevice) {
            block.number(MAJOR, fits(major).ok_or(Unsayable::Device)?);
            block.number(MINOR, fits(minor).ok_or(Unsayable::Device)?);
        }
        Ok(block.sealed())
    }
}

/// A number that fits into twelve bytes.
fn long(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number <= MAX_LONG)
}

/// Prefix and name that ustar joins by a slash to `path`; nothing when it cannot say it.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= MAX_NAME {
        return Some((b"", path));
    }
    // The slash at the end of a folder is no place to cut: it would leave no name.
    let places = path.len().min(MAX_PREFIX + 2) - 1;
    let cut = path[..places].iter().rposition(|byte| *byte == b'/').filter(|cut| *cut > 0)?;
    let (prefix, name) = (&path[..cut], &path[cut + 1..]);
    (name.len() <= MAX_NAME).then_some((prefix, name))
}

/// What a reader that knows no PAX sees of a text.
fn readable(text: &[u8]) -> Vec<u8> {
    text.iter().take(MAX_NAME).map(|byte| if byte.is_ascii() { *byte } else { b'_' }).collect()
}

/// `LENGTH KEYWORD=VALUE\n`, where the length counts itself.
fn record(out: &mut Vec<u8>, keyword: &[&[u8]], value: &[u8]) {
    let rest = keyword.iter().map(|part| part.len()).sum::<usize>() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + digits(len) {
        len = rest + digits(len);
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    keyword.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Where a field lies in the block.
type Field = std::ops::Range<usize>;

const NAME: Field = 0..100;
const MODE: Field = 100..108;
const UID: Field = 108..116;
const GID: Field = 116..124;
const SIZE: Field = 124..136;
const MTIME: Field = 136..148;
const CHECKSUM: Field = 148..156;
const FLAG: usize = 156;
const LINK: Field = 157..257;
const MAGIC: Field = 257..265;
const MAJOR: Field = 329..337;
const MINOR: Field = 337..345;
const PREFIX: Field = 345..500;

struct Block([u8; BLOCK]);

impl Block {
    fn new(name: &[u8], flag: u8) -> Self {
        let mut block = Self([0; BLOCK]);
        block.0[FLAG] = flag;
        block.text(NAME, name).text(MAGIC, b"ustar\x0000");
        for field in [MODE, UID, GID, SIZE, MTIME, MAJOR, MINOR] {
            block.number(field, 0);
        }
        block
    }

    /// Puts a text where there is room for it; what is longer was cut before.
    fn text(&mut self, field: Field, text: &[u8]) -> &mut Self {
        let len = text.len().min(field.len());
        self.0[field.start..field.start + len].copy_from_slice(&text[..len]);
        self
    }

    /// Puts a number in octal, with zeros before and a NUL behind it.
    fn number(&mut self, field: Field, mut number: u64) -> &mut Self {
        for byte in self.0[field.start..field.end - 1].iter_mut().rev() {
            *byte = b'0' + (number & 7) as u8;
            number >>= 3;
        }
        self
    }

    fn sealed(mut self) -> [u8; BLOCK] {
        self.0[CHECKSUM].fill(b' ');
        let sum: u64 = self.0.iter().map(|byte| u64::from(*byte)).sum();
        // Six digits, a NUL, and the space that is already there.
        self.number(CHECKSUM.start..CHECKSUM.end - 1, sum);
        self.0[CHECKSUM.end - 2] = 0;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn attributes() -> Attributes {
        Attributes { mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0, device: (0, 0) }
    }

    fn header<'a>(path: &'a [u8], kind: Kind<'a>) -> Header<'a> {
        Header { path, kind, attributes: attributes(), xattrs: &[] }
    }

    fn encoded(header: &Header<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        header.encode(&mut out).unwrap();
        out
    }

    type Records = Vec<(String, Vec<u8>)>;

    /// What another's reader makes of it: path, target, and PAX records.
    fn read_back(bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Records) {
        let mut archive = tar::Archive::new(bytes.chain(&[0; 1024][..]));
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let records = match entry.pax_extensions().unwrap() {
            Some(records) => records
                .map(|record| record.unwrap())
                .map(|record| (record.key().unwrap().to_owned(), record.value_bytes().to_vec()))
                .collect(),
            None => Vec::new(),
        };
        let target = entry.link_name_bytes().map(|target| target.to_vec()).unwrap_or_default();
        (entry.path_bytes().to_vec(), target, records)
    }

    #[test]
    fn a_plain_file_is_one_block_of_ustar() {
        let block = encoded(&header(b"etc/passwd", Kind::File));
        assert_eq!(block.len(), BLOCK);
        assert_eq!(&block[MAGIC], b"ustar\x0000");
        assert_eq!(&block[MODE], b"0000644\0");
        assert_eq!(&block[SIZE], b"00000000000\0");
        assert_eq!(&block[265..329], [0; 64], "no names of users and groups");
        assert_eq!(&block[CHECKSUM.end - 2..CHECKSUM.end], b"\0 ");
    }

    #[test]
    fn a_long_path_is_cut_at_the_last_slash_that_serves() {
        let name = "n".repeat(100);
        for (path, cut) in [
            (format!("{}/{name}", "p".repeat(155)), Some(155)),
            (format!("{}/{name}", "p".repeat(156)), None),
            (format!("a/{}/{name}", "p".repeat(153)), Some(155)),
            (format!("{}/{name}n", "p".repeat(10)), None),
            (format!("/{name}"), None),
            (format!("{}/", "p".repeat(100)), None),
            (format!("p/{}/", "n".repeat(99)), Some(1)),
            ("x".repeat(101), None),
        ] {
            let found = split(path.as_bytes());
            assert_eq!(found.map(|(prefix, _)| prefix.len()), cut, "{path}");
            let (read, _, records) = read_back(&encoded(&header(path.as_bytes(), Kind::File)));
            assert_eq!(read, path.as_bytes());
            assert_eq!(records.is_empty(), cut.is_some(), "{path}: PAX only where ustar cannot say it");
        }
    }

    #[test]
    fn case_t21_names_that_are_not_ascii_keep_their_bytes() {
        for path in ["grün".as_bytes(), b"\xff\xfe", "e\u{301}".as_bytes(), &[0xe4; 70_000]] {
            let (read, target, records) = read_back(&encoded(&header(path, Kind::Symlink(path))));
            assert_eq!((&*read, &*target), (path, path));
            assert_eq!(records[0].0, "linkpath");
            assert_eq!(records[1].0, "path");
        }
    }

    #[test]
    fn case_t15_t23_numbers_that_do_not_fit_become_records() {
        let attributes = Attributes {
            mode: 0o644,
            uid: 2_097_152,
            gid: u32::MAX,
            size: 8 << 30,
            mtime: -1,
            device: (0, 0),
        };
        let out = encoded(&Header { path: b"a", kind: Kind::File, attributes, xattrs: &[] });
        let text = b"18 gid=4294967295\n12 mtime=-1\n19 size=8589934592\n15 uid=2097152\n";
        assert_eq!(&out[BLOCK..BLOCK + text.len()], text);
        assert_eq!(&out[2 * BLOCK..][SIZE], b"00000000000\0");

        let most =
            Attributes { uid: 2_097_151, gid: 0, size: (8 << 30) - 1, mtime: (8 << 30) - 1, ..attributes };
        let out = encoded(&Header { path: b"a", kind: Kind::File, attributes: most, xattrs: &[] });
        assert_eq!(out.len(), BLOCK);
        assert_eq!(&out[SIZE], b"77777777777\0");
    }

    #[test]
    fn the_length_of_a_record_counts_itself() {
        for (len, text) in [(1, "6 k=v\n"), (93, "99 k="), (94, "101 k="), (95, "102 k=")] {
            let mut out = Vec::new();
            record(&mut out, &[b"k"], &vec![b'v'; len]);
            assert!(out.starts_with(text.as_bytes()), "{len}");
            let said: usize = std::str::from_utf8(&out).unwrap().split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, out.len());
        }
    }

    #[test]
    fn img_115_extended_attributes_keep_any_bytes() {
        let xattrs =
            [(b"security.capability".to_vec(), vec![1, 0, 0, 2, 255, 0]), (b"user.a".to_vec(), vec![])];
        let out = encoded(&Header { xattrs: &xattrs, ..header(b"a", Kind::File) });
        let (_, _, records) = read_back(&out);
        assert_eq!(records[0], ("SCHILY.xattr.security.capability".to_owned(), xattrs[0].1.clone()));
        assert_eq!(records[1], ("SCHILY.xattr.user.a".to_owned(), vec![]));
    }

    #[test]
    fn case_t24_more_attributes_than_readers_accept_are_refused() {
        let xattrs: Vec<_> =
            (0..20).map(|n| (format!("user.{n}").into_bytes(), vec![b'x'; 64 << 10])).collect();
        let mut out = Vec::new();
        let header = Header { xattrs: &xattrs, ..header(b"a", Kind::File) };
        assert_eq!(header.encode(&mut out), Err(Unsayable::TooLarge));
        assert!(out.is_empty());
    }

    #[test]
    fn devices_have_their_numbers() {
        let attributes = Attributes { device: (259, 1_048_575), size: 9, ..attributes() };
        let out = encoded(&Header { path: b"d", kind: Kind::BlockDevice, attributes, xattrs: &[] });
        assert_eq!((&out[MAJOR], &out[MINOR]), (&b"0000403\0"[..], &b"3777777\0"[..]));
        assert_eq!(&out[SIZE], b"00000000000\0", "only files have a size");
        let attributes = Attributes { device: (0, 2_097_152), ..attributes };
        let header = Header { path: b"d", kind: Kind::CharDevice, attributes, xattrs: &[] };
        assert_eq!(header.encode(&mut Vec::new()), Err(Unsayable::Device));
    }

    proptest! {
        #[test]
        fn any_path_and_target_come_back_from_anothers_reader(
            // That reader cuts records at newlines; Go's, which does not, is asked in tests/peers.rs.
            path in prop::collection::vec(prop_oneof![Just(b'/'), Just(b'a'), 11u8..=255], 1..400),
            target in prop::collection::vec(11u8..=255, 1..200),
        ) {
            let (read, link, _) = read_back(&encoded(&header(&path, Kind::Symlink(&target))));
            prop_assert_eq!(read, path);
            prop_assert_eq!(link, target);
        }
    }
}
