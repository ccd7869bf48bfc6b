//! Where a sparse file has its content: GNU's four ways to say it.
//!
//! The old header has a list of its own (`S`). In PAX records, form 0.0 has a pair of records an extent, 0.1 one record with
//! all of them, and 1.0 puts the list before the content.

use super::pax::decimal;
use super::{BLOCK, number};

/// The most extents that a file may have: each is a few bytes in the tar and two numbers here.
pub(super) const MAX_EXTENTS: usize = 1 << 16;

/// A part of a sparse file that is no hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// What PAX records say of a sparse file.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Nothing in form 1.0.
    pub(super) extents: Option<Vec<Extent>>,
    /// An offset whose length did not come yet (form 0.0).
    offset: Option<u64>,
}

impl Records {
    /// Takes the record `GNU.sparse.WORD=VALUE`.
    pub(super) fn take(&mut self, word: &[u8], value: &[u8]) -> Result<(), &'static str> {
        const BROKEN: &str = "the list of a sparse file is malformed";
        let number = || decimal(value).ok_or(BROKEN);
        match word {
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"numblocks" => self.extents = Some(Vec::new()),
            b"offset" if self.offset.is_none() => self.offset = Some(number()?),
            b"numbytes" => {
                let extent = Extent { offset: self.offset.take().ok_or(BROKEN)?, len: number()? };
                self.extents.get_or_insert_default().push(extent);
            }
            b"map" => {
                let parts: Option<Vec<u64>> = match value {
                    b"" => Some(Vec::new()),
                    value => value.split(|byte| *byte == b',').map(decimal).collect(),
                };
                let parts = parts.filter(|parts| parts.len() % 2 == 0).ok_or(BROKEN)?;
                let pairs = parts.chunks_exact(2).map(|pair| Extent { offset: pair[0], len: pair[1] });
                self.extents = Some(pairs.collect());
            }
            b"major" | b"minor" => {
                number()?;
            }
            _ => return Err(BROKEN),
        }
        Ok(())
    }
}

/// The extents of one file.
#[derive(Debug, Default)]
pub(super) struct Map {
    pub(super) extents: Vec<Extent>,
}

impl Map {
    /// Takes those in an old header; tells whether a block with more follows.
    pub(super) fn old_header(&mut self, block: &[u8; BLOCK]) -> Result<bool, &'static str> {
        self.old(&block[386..482])?;
        Ok(block[482] != 0)
    }

    pub(super) fn old_extension(&mut self, block: &[u8; BLOCK]) -> Result<bool, &'static str> {
        self.old(&block[..504])?;
        Ok(block[504] != 0)
    }

    fn old(&mut self, pairs: &[u8]) -> Result<(), &'static str> {
        for pair in pairs.chunks_exact(24).take_while(|pair| pair[0] != 0) {
            let part = |field: &[u8]| number(field).and_then(|part| u64::try_from(part).ok());
            let (offset, len) =
                part(&pair[..12]).zip(part(&pair[12..])).ok_or("the list of a sparse file is malformed")?;
            self.extents.push(Extent { offset, len });
        }
        Ok(())
    }

    /// Whether the extents follow each other, end within the file, and take all that is stored.
    pub(super) fn is_sound(&self, stored: u64, size: u64) -> bool {
        let mut end = 0_u64;
        let mut sum = 0_u64;
        let follow = self.extents.iter().all(|extent| {
            let next = extent.offset.checked_add(extent.len);
            let fits = extent.offset >= end && next.is_some_and(|next| next <= size);
            end = next.unwrap_or(u64::MAX);
            sum = sum.saturating_add(extent.len);
            fits
        });
        follow && sum == stored && i64::try_from(size).is_ok()
    }
}

/// The list of form 1.0: decimal numbers, each with a newline behind it; the first tells how many extents follow.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    digits: Vec<u8>,
    /// Numbers that are still to come.
    expected: Option<u64>,
    offset: Option<u64>,
}

impl Numbers {
    /// Takes a block; tells whether the list is complete.
    pub(super) fn feed(&mut self, block: &[u8; BLOCK], map: &mut Map) -> Result<bool, &'static str> {
        for byte in block {
            match byte {
                b'\n' => self.number(map)?,
                byte if self.digits.len() < 20 => self.digits.push(*byte),
                _ => return Err("the list of a sparse file is malformed"),
            }
            if self.expected == Some(0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn number(&mut self, map: &mut Map) -> Result<(), &'static str> {
        const BROKEN: &str = "the list of a sparse file is malformed";
        let number = decimal(&self.digits).ok_or(BROKEN)?;
        self.digits.clear();
        let Some(expected) = self.expected else {
            self.expected = Some(number.checked_mul(2).ok_or(BROKEN)?);
            return Ok(());
        };
        self.expected = Some(expected - 1);
        match self.offset.take() {
            None => self.offset = Some(number),
            Some(offset) => map.extents.push(Extent { offset, len: number }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_that_overlap_leave_the_file_or_do_not_add_up_are_not_sound() {
        let sound = |extents: &[(u64, u64)], stored, size| {
            let extents = extents.iter().map(|&(offset, len)| Extent { offset, len }).collect();
            Map { extents }.is_sound(stored, size)
        };
        assert!(sound(&[(0, 5), (10, 5)], 10, 100) && sound(&[], 0, 7) && sound(&[(5, 0)], 0, 5));
        assert!(!sound(&[(0, 5), (4, 5)], 10, 100), "they overlap");
        assert!(!sound(&[(10, 5), (0, 5)], 10, 100), "not in order");
        assert!(!sound(&[(96, 5)], 5, 100), "beyond the end");
        assert!(!sound(&[(0, 5)], 6, 100), "more is stored");
        assert!(!sound(&[(u64::MAX, 5)], 5, u64::MAX), "no such place");
        assert!(!sound(&[], 0, u64::MAX), "no such size");
    }

    #[test]
    fn the_list_of_form_1_0_may_cross_blocks() {
        let mut text = String::from("100\n");
        (0..100).for_each(|n| text.push_str(&format!("{}\n1\n", n * 1000)));
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        let (mut numbers, mut map) = (Numbers::default(), Map::default());
        let blocks: Vec<&[u8; BLOCK]> = bytes.chunks(BLOCK).map(|block| block.try_into().unwrap()).collect();
        let (last, first) = blocks.split_last().unwrap();
        assert!(first.iter().all(|block| !numbers.feed(block, &mut map).unwrap()));
        assert!(numbers.feed(last, &mut map).unwrap());
        assert_eq!((map.extents.len(), map.extents[99]), (100, Extent { offset: 99_000, len: 1 }));
    }
}
