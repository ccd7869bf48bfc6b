//! The tar in a layer, as it streams by: names, kinds and links of its entries (IMG-110…119, IMG-128…141).
//!
//! Content is skipped. Memory: extended headers of at most [`MAX_EXTENDED`] bytes, and sixteen bytes for each of the
//! first [`MAX_PATHS`] paths; of later ones nobody knows whether they came twice. At most [`MAX_FINDINGS`] findings.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use transship_spec::{Digest, quote};

use super::{Code, Finding, Place};

const BLOCK: usize = 512;
/// The largest extended header (long names, PAX records) that is kept, in bytes.
const MAX_EXTENDED: u64 = 1 << 20;
const MAX_PATHS: usize = 4_000_000;
const MAX_FINDINGS: usize = 100;

/// A tar that is being read.
#[derive(Default)]
pub(super) struct Tar {
    /// The part of a header, or of an extended one, that came so far.
    held: Vec<u8>,
    state: State,
    /// What extended headers say of the entry that follows.
    next: Extended,
    paths: HashSet<(u64, u64)>,
    keys: (RandomState, RandomState),
    findings: Vec<(Code, String, String)>,
    seen: u64,
    /// How much of what is to be skipped is only padding.
    padding: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// A header comes next.
    #[default]
    Header,
    /// Content to skip, with its padding.
    Skip(u64),
    /// An extended header of this kind: its bytes, then padding.
    Extended { kind: u8, left: u64, padding: u64 },
    /// One block of zeros was seen.
    Ending,
    /// The end mark was seen; whether something other than zeros followed.
    Ended { trailing: bool },
    /// It is no tar.
    Broken,
}

#[derive(Debug, Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Tar {
    /// Takes the next piece.
    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        self.seen = self.seen.saturating_add(piece.len() as u64);
        while !piece.is_empty() {
            let used = match self.state {
                State::Broken => return,
                State::Ended { .. } => {
                    if piece.iter().any(|byte| *byte != 0) {
                        self.state = State::Ended { trailing: true };
                    }
                    return;
                }
                State::Skip(left) => {
                    let used = at_most(piece, left);
                    let left = left - used as u64;
                    self.state = if left == 0 { State::Header } else { State::Skip(left) };
                    used
                }
                State::Extended { kind, left, padding } => {
                    let used = at_most(piece, left);
                    self.held.extend_from_slice(&piece[..used]);
                    let left = left - used as u64;
                    self.state = State::Extended { kind, left, padding };
                    if left == 0 {
                        self.state = if padding == 0 { State::Header } else { State::Skip(padding) };
                        self.extended(kind);
                    }
                    used
                }
                State::Header | State::Ending => {
                    let used = piece.len().min(BLOCK - self.held.len());
                    self.held.extend_from_slice(&piece[..used]);
                    if self.held.len() == BLOCK {
                        let block = std::mem::take(&mut self.held);
                        self.block(&block);
                    }
                    used
                }
            };
            piece = piece.get(used..).unwrap_or_default();
        }
    }

    /// What was found, once all has come.
    pub(super) fn finish(mut self, layer: &Digest) -> Vec<Finding> {
        match self.state {
            State::Ended { trailing: false } | State::Broken => {}
            State::Ended { trailing: true } => {
                self.find(Code::LayerTrailing, b"", "bytes follow the end mark");
            }
            State::Header | State::Ending if self.held.is_empty() && self.seen > 0 => {
                self.find(Code::LayerEndMissing, b"", "two blocks of zeros are to end it");
            }
            // umoci has cut off the padding with the end mark; every file is whole all the same.
            State::Skip(left) if left <= self.padding => {
                self.find(Code::LayerEndMissing, b"", "two blocks of zeros are to end it");
            }
            // What follows one block of zeros is no entry, however short it is.
            State::Ending if self.held.iter().any(|byte| *byte != 0) => {
                self.find(Code::LayerTrailing, b"", "bytes follow the end mark");
            }
            State::Ending => self.find(Code::LayerEndMissing, b"", "two blocks of zeros are to end it"),
            _ if self.seen > 0 => self.find(Code::LayerNotTar, b"", "it ends in the middle of an entry"),
            _ => {}
        }
        let place = |part: String| Place { part: (!part.is_empty()).then_some(part), ..Place::digest(layer) };
        self.findings
            .into_iter()
            .map(|(code, part, message)| Finding::new(code, place(part), message))
            .collect()
    }

    fn find(&mut self, code: Code, path: &[u8], message: impl Into<String>) {
        if self.findings.len() < MAX_FINDINGS {
            let path: String = String::from_utf8_lossy(path).chars().take(1024).collect();
            self.findings.push((code, path, message.into()));
        }
    }

    fn broken(&mut self, reason: &str) {
        self.state = State::Broken;
        self.find(Code::LayerNotTar, b"", reason);
    }

    fn block(&mut self, block: &[u8]) {
        if block.iter().all(|byte| *byte == 0) {
            let ended = self.state == State::Ending;
            self.state = if ended { State::Ended { trailing: false } } else { State::Ending };
            return;
        }
        if self.state == State::Ending {
            self.state = State::Ended { trailing: true };
            return;
        }
        if !is_checksum_right(block) {
            self.broken("the checksum of a header is wrong");
            return;
        }
        let Some(size) = number(&block[124..136]) else {
            self.broken("the size in a header is no number");
            return;
        };
        let kind = block[156];
        if matches!(kind, b'x' | b'g' | b'L' | b'K') {
            if size > MAX_EXTENDED {
                self.broken("an extended header is too large");
                return;
            }
            self.padding = 0;
            self.state = match size {
                0 => State::Header,
                left => State::Extended { kind, left, padding: padding(size) },
            };
            return;
        }
        let next = std::mem::take(&mut self.next);
        let size = next.size.unwrap_or(size);
        // Only files have content; some tools write the size of a linked file into the link.
        let content = if matches!(kind, b'1'..=b'6') { 0 } else { size };
        self.padding = padding(content);
        let skipped = content.saturating_add(self.padding);
        self.state = if skipped == 0 { State::Header } else { State::Skip(skipped) };
        let path = next.path.unwrap_or_else(|| header_path(block));
        let link = next.link.unwrap_or_else(|| until_zero(&block[157..257]).to_vec());
        self.entry(kind, &path, &link, size);
        if next.sparse || kind == b'S' {
            self.find(Code::LayerSparseFile, &path, "it is kept without its holes");
        }
    }

    /// An extended header that has come whole.
    fn extended(&mut self, kind: u8) {
        let held = std::mem::take(&mut self.held);
        match kind {
            b'L' => self.next.path = Some(until_zero(&held).to_vec()),
            b'K' => self.next.link = Some(until_zero(&held).to_vec()),
            b'x' => match records(&held) {
                Some(records) => {
                    for (key, value) in records {
                        match key {
                            b"path" => self.next.path = Some(value.to_vec()),
                            b"linkpath" => self.next.link = Some(value.to_vec()),
                            b"size" => {
                                let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                                if size.is_none() {
                                    return self.broken("the size in a PAX header is no number");
                                }
                                self.next.size = size;
                            }
                            key if key.starts_with(b"GNU.sparse.") => self.next.sparse = true,
                            _ => {}
                        }
                    }
                }
                None => self.broken("a PAX header is malformed"),
            },
            _ => {}
        }
    }

    fn entry(&mut self, kind: u8, path: &[u8], link: &[u8], size: u64) {
        let Some(normal) = normal(path) else {
            self.find(Code::LayerPathUnsafe, path, "it leads out of the root");
            return;
        };
        if path.contains(&0) || path.is_empty() {
            self.find(Code::LayerPathUnsafe, path, "it is no path");
            return;
        }
        if !matches!(kind, 0 | b'0'..=b'7' | b'S') {
            self.find(
                Code::LayerEntryType,
                path,
                format!("its type is {}", quote(&char::from(kind).to_string())),
            );
        }
        if normal.is_empty() && kind != b'5' {
            self.find(Code::LayerRoot, path, "it is the root, and no folder");
        }
        self.whiteout(kind, path, &normal, size);
        let key = self.key(&normal);
        if kind == b'1' {
            match self::normal(link) {
                None => self.find(Code::LayerPathUnsafe, path, format!("it links to {}", shown(link))),
                Some(target) => {
                    let is_known = self.paths.contains(&self.key(&target));
                    if !is_known && self.paths.len() < MAX_PATHS {
                        self.find(Code::LayerLinkDangling, path, format!("it links to {}", shown(link)));
                    }
                }
            }
        }
        if self.paths.len() < MAX_PATHS && !self.paths.insert(key) {
            self.find(Code::LayerEntryDuplicate, path, "an entry for this path came before");
        }
    }

    /// Whiteouts name something, and are files of no bytes (IMG-135, IMG-136).
    fn whiteout(&mut self, kind: u8, path: &[u8], normal: &[u8], size: u64) {
        let name = normal.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let Some(hidden) = name.strip_prefix(b".wh.") else { return };
        // What AUFS keeps for itself is left out by whoever unpacks (IMG-141).
        if hidden.starts_with(b".wh.") && hidden != b".wh..opq" {
            return;
        }
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            self.find(Code::LayerWhiteout, path, "it names nothing");
        } else if !matches!(kind, 0 | b'0' | b'7') || size != 0 {
            self.find(Code::LayerWhiteout, path, "it is not a file of no bytes");
        }
    }

    fn key(&self, path: &[u8]) -> (u64, u64) {
        (self.keys.0.hash_one(path), self.keys.1.hash_one(path))
    }
}

fn at_most(piece: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()))
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn shown(path: &[u8]) -> String {
    quote(&String::from_utf8_lossy(path))
}

/// The path that a header holds by itself.
fn header_path(block: &[u8]) -> Vec<u8> {
    let name = until_zero(&block[..100]);
    let prefix = until_zero(&block[345..500]);
    // GNU's headers keep other things where the prefix is.
    match &block[257..263] == b"ustar\0" && !prefix.is_empty() {
        true => [prefix, b"/", name].concat(),
        false => name.to_vec(),
    }
}

/// A path with its parts joined by single slashes, as it lies below the root; `None` if it leads out of that.
fn normal(path: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            // Even one that comes back is what careless tools stumble over.
            b".." => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// An octal number, or a binary one as GNU writes large ones.
fn number(field: &[u8]) -> Option<u64> {
    match field.first()? {
        0x80 => {
            let (high, low) = field.split_at(field.len().checked_sub(8)?);
            let low = low.try_into().map(u64::from_be_bytes).ok()?;
            high[1..].iter().all(|byte| *byte == 0).then_some(low).filter(|size| i64::try_from(*size).is_ok())
        }
        _ => {
            let text = std::str::from_utf8(until_zero(field)).ok()?.trim_matches(' ');
            if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
        }
    }
}

fn is_checksum_right(block: &[u8]) -> bool {
    let Some(wanted) = number(&block[148..156]) else { return false };
    let byte = |at: usize| if (148..156).contains(&at) { b' ' } else { block[at] };
    let unsigned: u64 = (0..BLOCK).map(|at| u64::from(byte(at))).sum();
    let signed: i64 = (0..BLOCK).map(|at| i64::from(byte(at).cast_signed())).sum();
    // Old tools have summed signed characters.
    wanted == unsigned || i64::try_from(wanted) == Ok(signed)
}

/// The records of a PAX header: `LENGTH KEY=VALUE\n`.
fn records(mut bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
        let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
        bytes = bytes.get(length..)?;
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with its checksum.
    fn header(path: &str, kind: u8, size: u64, link: &str) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..path.len()].copy_from_slice(path.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[156] = kind;
        block[157..157 + link.len()].copy_from_slice(link.as_bytes());
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn codes(pieces: &[Vec<u8>]) -> Vec<Code> {
        let whole = pieces.concat();
        let all = |step: usize| {
            let mut tar = Tar::default();
            whole.chunks(step).for_each(|piece| tar.feed(piece));
            let findings = tar.finish(&Digest::sha256(b""));
            findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        let codes = all(whole.len().max(1));
        for step in [1, 7, 512, 513] {
            assert_eq!(all(step), codes, "in pieces of {step}");
        }
        codes
    }

    fn end() -> Vec<u8> {
        vec![0; 2 * BLOCK]
    }

    fn extended(kind: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = header("x", kind, content.len() as u64, "");
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    #[test]
    fn a_good_tar_gives_no_findings() {
        assert_eq!(codes(&[end()]), []);
        assert_eq!(
            codes(&[
                header("./", b'5', 0, ""),
                header("a", b'0', 3, ""),
                vec![b'a'; BLOCK],
                header("b", b'1', 3, "./a"),
                header("c", b'2', 0, "../../anywhere"),
                header(".wh.d", b'0', 0, ""),
                header("e/.wh..wh..opq", b'0', 0, ""),
                extended(b'x', b"14 path=f/../\n"),
                header("g", b'5', 0, ""),
                end(),
                end(),
            ])[..],
            [Code::LayerPathUnsafe]
        );
    }

    #[test]
    fn img_111_one_path_in_several_spellings_is_a_duplicate() {
        for other in ["a", "./a", "/a", "a/", "./a//"] {
            let pieces = [header("a", b'5', 0, ""), header(other, b'5', 0, ""), end()];
            assert_eq!(codes(&pieces), [Code::LayerEntryDuplicate], "{other}");
        }
    }

    #[test]
    fn case_t16_what_is_cut_off_or_no_tar_is_told() {
        assert_eq!(codes(&[header("a", b'0', 600, ""), vec![0; BLOCK]]), [Code::LayerNotTar]);
        assert_eq!(codes(&[header("a", b'0', 0, "")]), [Code::LayerEndMissing]);
        assert_eq!(codes(&[header("a", b'0', 6, ""), b"hello\n".to_vec()]), [Code::LayerEndMissing]);
        assert_eq!(codes(&[extended(b'x', b"10 path=a\n")[..600].to_vec()]), [Code::LayerNotTar]);
        assert_eq!(codes(&[vec![0; BLOCK]]), [Code::LayerEndMissing]);
        assert_eq!(codes(&[vec![0; BLOCK + 7]]), [Code::LayerEndMissing]);
        assert_eq!(codes(&[vec![0; BLOCK], b"more".to_vec()]), [Code::LayerTrailing]);
        assert_eq!(codes(&[b"not a tar".to_vec()]), [Code::LayerNotTar]);
        assert_eq!(codes(&[vec![b'x'; BLOCK]]), [Code::LayerNotTar]);
        assert_eq!(codes(&[end(), b"more".to_vec()]), [Code::LayerTrailing]);
        assert_eq!(codes(&[extended(b'x', b"99 path=a\n"), end()]), [Code::LayerNotTar]);
        assert_eq!(codes(&[extended(b'x', b"10 size=x\n"), end()]), [Code::LayerNotTar]);
    }

    #[test]
    fn case_t13_long_names_are_read_from_either_extension() {
        let long = format!("{}/..", "a".repeat(300));
        let record = |length: usize| format!("{length} path={long}\n");
        let pax = record(record(100).len());
        for extension in [extended(b'L', long.as_bytes()), extended(b'x', pax.as_bytes())] {
            assert_eq!(codes(&[extension, header("b", b'0', 0, ""), end()]), [Code::LayerPathUnsafe]);
        }
        let link = extended(b'K', b"../../etc/passwd");
        assert_eq!(codes(&[link, header("b", b'1', 0, ""), end()]), [Code::LayerPathUnsafe]);
    }

    #[test]
    fn case_t15_t18_sizes_that_are_none_and_sparse_files_are_told() {
        let mut negative = header("a", b'0', 0, "");
        negative[124..136].fill(0xff);
        negative[148..156].fill(b' ');
        let sum: u64 = negative.iter().map(|byte| u64::from(*byte)).sum();
        negative[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        assert_eq!(codes(&[negative, end()]), [Code::LayerNotTar]);
        assert_eq!(codes(&[header("a", b'S', 0, ""), end()]), [Code::LayerSparseFile]);
        let sparse = extended(b'x', b"22 GNU.sparse.major=1\n");
        assert_eq!(codes(&[sparse, header("a", b'0', 0, ""), end()]), [Code::LayerSparseFile]);
    }

    proptest::proptest! {
        #[test]
        fn no_tar_makes_it_fail_and_no_cut_makes_a_difference(
            flips in proptest::collection::vec((0..6000_usize, 0..=255_u8), 0..12),
            cuts in proptest::collection::vec(1..900_usize, 1..12),
        ) {
            let long = extended(b'x', b"14 path=f/a/b\n");
            let mut whole = [long, header("a", b'0', 3, ""), vec![1; BLOCK], header("b", b'1', 0, "a"), end()].concat();
            for (at, byte) in flips {
                let length = whole.len();
                whole[at % length] = byte;
            }
            let findings = |mut rest: &[u8], cuts: &[usize]| {
                let mut tar = Tar::default();
                for cut in cuts.iter().cycle().take(10_000) {
                    let (piece, after) = rest.split_at((*cut).min(rest.len()));
                    tar.feed(piece);
                    rest = after;
                }
                tar.finish(&Digest::sha256(b"")).into_iter().map(|found| found.code).collect::<Vec<_>>()
            };
            proptest::prop_assert_eq!(findings(&whole, &[whole.len()]), findings(&whole, &cuts));
        }
    }
}
