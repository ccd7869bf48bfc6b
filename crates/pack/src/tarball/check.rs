//! Whether bytes that stream by are a whole tar.
//!
//! A tar that is given as a layer is stored as it is, so all that must be known is that it is one and that nothing of it
//! is missing: every header has its checksum, every body its length, and an end mark stands behind them. Names, types and
//! what else an unpacker must be wary of are not looked at. Nothing is kept but one block, or one set of PAX records.

use super::header::BLOCK;

/// The most of PAX records that are kept; more is no error, but its `size` would not be seen.
const MAX_RECORDS: usize = 1 << 20;

/// Looks at a tar while it streams by.
#[derive(Debug)]
pub(crate) struct Check {
    state: State,
    block: Vec<u8>,
    seen: u64,
    /// The size that PAX records gave to the next entry, and to all that follow.
    next_size: Option<u64>,
    every_size: Option<u64>,
    after_end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A header, or the end mark.
    Header,
    /// So many bytes of content and padding.
    Body(u64),
    /// So many bytes of PAX records, and so many of padding; for every entry that follows, or for the next.
    Records { left: u64, padding: u64, every: bool },
    /// A block that goes on with GNU's list of holes.
    Holes,
    /// Behind the end mark.
    End,
}

/// What is wrong with a tar.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It breaks the format.
    Invalid(String),
    /// It ends before its end mark.
    Truncated { offset: u64, missing: &'static str },
}

impl Check {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Header,
            block: Vec::with_capacity(BLOCK),
            seen: 0,
            next_size: None,
            every_size: None,
            after_end: 0,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) -> Result<(), Flaw> {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Header | State::Holes => self.collect(bytes)?,
                State::Body(left) => {
                    let taken = part(bytes, left);
                    self.body(left - taken as u64);
                    taken
                }
                State::Records { left, padding, every } => self.records(bytes, (left, padding), every)?,
                State::End => {
                    if self.after_end > 0 || bytes.iter().any(|byte| *byte != 0) {
                        self.after_end += bytes.len() as u64;
                    }
                    bytes.len()
                }
            };
            self.seen += taken as u64;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Says whether the tar was whole, and how many bytes followed its end that are not zeros.
    pub(crate) fn finish(self) -> Result<u64, Flaw> {
        let missing = match self.state {
            State::End => return Ok(self.after_end),
            State::Body(_) => "the content of an entry is cut",
            State::Header if self.block.is_empty() => "there is no end mark",
            State::Header | State::Holes | State::Records { .. } => "a header is cut",
        };
        Err(Flaw::Truncated { offset: self.seen, missing })
    }

    fn collect(&mut self, bytes: &[u8]) -> Result<usize, Flaw> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
            match self.state {
                State::Holes if block[504] != 0 => {}
                State::Holes => {
                    let size = self.next_size.take().unwrap_or(0);
                    self.body(size);
                }
                _ => self.header(&block)?,
            }
        }
        Ok(taken)
    }

    fn header(&mut self, block: &[u8]) -> Result<(), Flaw> {
        if block.iter().all(|byte| *byte == 0) {
            self.state = State::End;
            return Ok(());
        }
        if !has_checksum(block) {
            return Err(self.invalid("a header has a wrong checksum"));
        }
        let size =
            number(&block[124..136]).ok_or_else(|| self.invalid("a header has a size that is no number"))?;
        let padded = |size: u64| size.checked_next_multiple_of(BLOCK as u64);
        let too_large = || self.invalid("a header has a size that nothing can have");
        match block[156] {
            flag @ (b'x' | b'g') => {
                let padding = padded(size).ok_or_else(too_large)? - size;
                self.state = State::Records { left: size, padding, every: flag == b'g' };
                if size == 0 {
                    self.state = State::Header;
                }
            }
            // Names that GNU tar writes before an entry: what PAX records say is of the entry itself.
            b'L' | b'K' => self.body(padded(size).ok_or_else(too_large)?),
            flag => {
                let size = self.next_size.or(self.every_size).unwrap_or(size);
                let size = padded(size).ok_or_else(too_large)?;
                self.next_size = None;
                match flag {
                    // These have no content, whatever their size says.
                    b'1'..=b'6' => self.state = State::Header,
                    b'S' if block[482] != 0 => {
                        self.next_size = Some(size);
                        self.state = State::Holes;
                    }
                    _ => self.body(size),
                }
            }
        }
        Ok(())
    }

    fn body(&mut self, left: u64) {
        self.state = if left == 0 { State::Header } else { State::Body(left) };
    }

    fn records(&mut self, bytes: &[u8], (left, padding): (u64, u64), every: bool) -> Result<usize, Flaw> {
        let taken = part(bytes, left);
        let kept = taken.min(MAX_RECORDS - self.block.len().min(MAX_RECORDS));
        self.block.extend_from_slice(&bytes[..kept]);
        let left = left - taken as u64;
        self.state = State::Records { left, padding, every };
        if left == 0 {
            let records = std::mem::take(&mut self.block);
            let size = size_record(&records).map_err(|reason| self.invalid(reason))?;
            let place = if every { &mut self.every_size } else { &mut self.next_size };
            *place = size.or(*place);
            self.body(padding);
        }
        Ok(taken)
    }

    fn invalid(&self, reason: &str) -> Flaw {
        Flaw::Invalid(format!("{reason}, near byte {}", self.seen))
    }
}

fn part(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

/// The checksum is the sum of all bytes, with its own field as spaces; some old writers took the bytes as signed.
pub(super) fn has_checksum(block: &[u8]) -> bool {
    let outside = |index: usize| !(148..156).contains(&index);
    let bytes =
        || block.iter().enumerate().map(move |(index, byte)| if outside(index) { *byte } else { b' ' });
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte as i8)).sum();
    let said = number(&block[148..156]).and_then(|said| i64::try_from(said).ok());
    said.is_some_and(|said| said == unsigned || said == signed)
}

/// A number in octal, with spaces or NULs around it, or in GNU's base 256.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let digits = std::iter::once(field[0] & 0x7f).chain(field[1..].iter().copied());
        return digits
            .into_iter()
            .try_fold(0_u64, |number, byte| number.checked_mul(256)?.checked_add(byte.into()));
    }
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    text.iter().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// The size that PAX records give; the last one counts.
fn size_record(mut records: &[u8]) -> Result<Option<u64>, &'static str> {
    const BROKEN: &str = "a PAX record is malformed";
    let mut size = None;
    while !records.is_empty() {
        let space = records.iter().take(20).position(|byte| *byte == b' ').ok_or(BROKEN)?;
        let len: usize = decimal(&records[..space]).and_then(|len| len.try_into().ok()).ok_or(BROKEN)?;
        if len <= space + 2 || len > records.len() || records[len - 1] != b'\n' {
            return Err(BROKEN);
        }
        let record = &records[space + 1..len - 1];
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(BROKEN)?;
        if &record[..equals] == b"size" {
            size = Some(decimal(&record[equals + 1..]).ok_or("a PAX size is no number")?);
        }
        records = &records[len..];
    }
    Ok(size)
}

fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], step: usize) -> Result<u64, Flaw> {
        let mut check = Check::new();
        bytes.chunks(step).try_for_each(|bytes| check.update(bytes))?;
        check.finish()
    }

    /// A tar by another's writer, with a long name (GNU's way) and a large number.
    fn another() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in [("a", &b"content"[..]), (&"long/".repeat(60), &[0; 512]), ("empty", b"")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_uid(u64::from(u32::MAX));
            builder.append_data(&mut header, path, content).unwrap();
        }
        builder.append_pax_extensions([("comment", &b"size=3"[..])]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_path("b").unwrap();
        header.set_size(5);
        header.set_cksum();
        builder.append(&header, &b"12345"[..]).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_whole_tar_passes_however_it_comes() {
        for step in [1, 7, 511, 512, 513, 100_000] {
            assert_eq!(check(&another(), step), Ok(0), "{step}");
        }
        assert_eq!(check(&[0; 1024], 512), Ok(0));
        assert_eq!(check(&[0; 10240], 512), Ok(0));
    }

    #[test]
    fn case_t16_a_tar_cut_anywhere_before_its_end_mark_is_noticed() {
        let whole = another();
        for len in 0..=whole.len() - 1024 {
            assert!(
                matches!(check(&whole[..len], 4096), Err(Flaw::Truncated { offset, .. }) if offset == len as u64),
                "{len}"
            );
        }
    }

    #[test]
    fn case_t16_what_follows_the_end_mark_is_counted_unless_it_is_zeros() {
        let tail = [another(), vec![0; 5000], b"garbage".to_vec()].concat();
        assert!(check(&tail, 4096).unwrap() >= 7);
    }

    #[test]
    fn case_t12_t15_the_size_that_counts_is_the_one_of_pax() {
        let header = |flag: u8, size: u64| {
            let mut header = tar::Header::new_ustar();
            header.set_path("x").unwrap();
            header.set_entry_type(tar::EntryType::new(flag));
            header.set_size(size);
            header.set_cksum();
            header.as_bytes().to_vec()
        };
        let with = |records: &[u8], flag: u8| {
            let mut tar = header(flag, records.len() as u64);
            tar.extend_from_slice(records);
            tar.resize(1024, 0);
            tar
        };
        let body = vec![b'x'; 1024];
        for flag in [b'x', b'g'] {
            let tar = [with(b"13 size=1024\n", flag), header(b'0', 0), body.clone(), vec![0; 1024]].concat();
            assert_eq!(check(&tar, 100), Ok(0));
        }
        for bad in
            [&b"13 size=102\n"[..], b"9 size=x\n", b"x", b"0 \n", b"99999999999999999999999 a=b\n", b"\0\0"]
        {
            assert!(matches!(check(&with(bad, b'x'), 100), Err(Flaw::Invalid(_))), "{bad:?}");
        }
        let link = [header(b'1', 5), vec![0; 1024]].concat();
        assert_eq!(check(&link, 100), Ok(0), "a hard link has no content");
        let mut huge = header(b'0', 0);
        huge[124..136].copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
        assert!(matches!(check(&huge, 100), Err(Flaw::Invalid(_))));
    }

    #[test]
    fn a_file_that_is_no_tar_is_told_from_one_that_is_cut() {
        assert!(matches!(check(&[b'x'; 600], 100), Err(Flaw::Invalid(_))));
        assert!(matches!(check(b"short", 100), Err(Flaw::Truncated { .. })));
        assert!(matches!(check(b"", 100), Err(Flaw::Truncated { offset: 0, .. })));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..3000), flip in 0_usize..2000, bit in 0_u8..8,
        ) {
            let _ = check(&bytes, 333);
            let mut tar = another();
            let flip = flip.min(tar.len() - 1);
            tar[flip] ^= 1 << bit;
            let _ = check(&tar, 333);
        }

        #[test]
        fn the_length_of_pieces_does_not_matter(step in 1_usize..2000) {
            prop_assert_eq!(check(&another(), step), check(&another(), 4096));
        }
    }
}
