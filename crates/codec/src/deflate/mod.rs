//! Deflating (RFC 1951), after a dictionary: an encoder of our own, since what it writes is a promise.
//!
//! A layer's digest is over its compressed bytes, so whoever wants to make a layer again needs the very same encoder, for
//! ever. The bytes of this one depend on the text, the dictionary and the level, and on nothing else: not on the machine,
//! its compilers, or the versions of libraries. Golden digests of every level hold that; other bytes need another
//! [`VERSION`].
//!
//! It works as encoders do since zlib: chains of positions with the same hash, one position of lookahead, blocks with codes
//! of their own; from libdeflate it has learned to end a block where the text changes. It finds no match of three bytes:
//! these take time and save next to nothing.

mod bits;
mod block;
mod code;
mod finder;
mod header;
mod parse;
mod split;
mod symbols;
mod text;

use self::bits::Bits;
use self::block::Block;
use self::finder::Finder;
use self::parse::{Effort, parse};
pub(crate) use self::text::{BLOCK, Text};

/// The name of what this encoder does to bytes.
pub(crate) const VERSION: &str = "transship-1";

/// Room for any text: what does not become smaller is stored, with a few bytes a block.
pub(crate) const ROOM: usize = BLOCK + BLOCK / 128;

/// A compressor: memory that every text needs anew.
pub(crate) struct Deflate {
    effort: Effort,
    finder: Box<Finder>,
    block: Block,
}

impl Deflate {
    /// One of a level from 1 to 9; any other is the nearest of them.
    pub(crate) fn new(level: u32) -> Self {
        Self { effort: Effort::of(level), finder: Box::new(Finder::new()), block: Block::new() }
    }

    /// Deflates a text into `room`, of which [`ROOM`] bytes are enough, and gives how many it took; nothing if they were not.
    ///
    /// A last text ends the stream. After any other one there is an empty stored block, so that the next text can simply follow.
    pub(crate) fn deflate(&mut self, text: &mut Text, last: bool, room: &mut [u8]) -> Option<usize> {
        let text = text.view()?;
        let mut bits = Bits::new(room);
        self.finder.clear();
        for at in 0..text.start {
            self.finder.insert(text, at);
        }
        let mut at = text.start;
        while at < text.end {
            let begin = at;
            at = parse(self.effort, text, at, &mut self.finder, &mut self.block);
            self.block.write(&text.bytes[begin..at], last && at == text.end, &mut bits);
        }
        if !last {
            bits.store(&[], false);
        } else if text.start == text.end {
            bits.put(1 | symbols::FIXED << 1, 10);
        }
        bits.finish()
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress, Status};
    use proptest::prelude::*;

    use super::text::WINDOW;
    use super::*;

    fn text(dictionary: &[u8], plain: &[u8]) -> Text {
        let mut before = Text::new();
        before.add(dictionary);
        let mut text = Text::new();
        text.follow(&before);
        text.add(plain);
        text
    }

    fn deflate(level: u32, dictionary: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut room = vec![0; ROOM];
        let used = Deflate::new(level).deflate(&mut text(dictionary, plain), true, &mut room).unwrap();
        room.truncate(used);
        room
    }

    fn inflate(deflated: &[u8], dictionary: &[u8]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(BLOCK + 1);
        let mut inflate = Decompress::new(false);
        if !dictionary.is_empty() {
            inflate.set_dictionary(&dictionary[dictionary.len().saturating_sub(WINDOW)..]).unwrap();
        }
        let status = inflate.decompress_vec(deflated, &mut plain, FlushDecompress::Finish).unwrap();
        assert_eq!((status, inflate.total_in()), (Status::StreamEnd, deflated.len() as u64));
        plain
    }

    /// Numbers that look random, and are the same everywhere.
    fn noise(length: usize, mut state: u64) -> Vec<u8> {
        state |= 1;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .take(length)
        .collect()
    }

    #[test]
    fn each_sort_of_block_is_written_where_it_is_the_shortest() {
        let sort = |plain: &[u8]| u32::from(deflate(5, b"", plain)[0] >> 1 & 3);
        assert_eq!(sort(&noise(100_000, 1)), 0, "stored");
        assert_eq!(sort(b"a few words"), symbols::FIXED);
        let genes: Vec<u8> = noise(5000, 2).iter().map(|&number| b"ACGT"[usize::from(number % 4)]).collect();
        assert_eq!(sort(&genes), symbols::DYNAMIC);
    }

    #[test]
    fn texts_of_every_length_come_back() {
        let many = noise(BLOCK, 3).iter().map(|number| number / 17).collect::<Vec<_>>();
        for length in [0, 1, 2, 3, 4, 5, 257, 258, 259, WINDOW - 1, WINDOW, WINDOW + 1, BLOCK - 1, BLOCK] {
            for plain in [&many[..length], &vec![7; length]] {
                assert!(inflate(&deflate(5, b"", plain), b"") == plain, "{length}");
            }
        }
    }

    #[test]
    fn what_does_not_compress_fits_its_room() {
        let noise = noise(BLOCK, 4);
        for level in 1..=9 {
            let deflated = deflate(level, &noise, &noise);
            assert!(deflated.len() <= BLOCK + 1000, "level {level}: {}", deflated.len());
            assert!(inflate(&deflated, &noise) == noise);
        }
    }

    #[test]
    fn too_little_room_is_noticed_and_nothing_else() {
        let plain = noise(1000, 5);
        for room in 0..1020 {
            let used = Deflate::new(5).deflate(&mut text(b"", &plain), true, &mut vec![0; room]);
            assert!(used.is_none_or(|used| used <= room));
        }
    }

    #[test]
    fn a_compressor_that_was_used_before_gives_the_same_bytes_as_a_new_one() {
        let mut used = Deflate::new(6);
        let mut room = vec![0; ROOM];
        let mut texts = Vec::new();
        for seed in 0..4 {
            let plain: Vec<u8> = noise(90_000, seed).iter().map(|number| number / 40).collect();
            texts.push(plain);
        }
        let mut again = Text::new();
        for plain in &texts {
            again.follow(&Text::new());
            again.add(&plain[..plain.len() - texts.len()]);
            let length = used.deflate(&mut again, true, &mut room).unwrap();
            assert!(room[..length] == deflate(6, b"", &plain[..plain.len() - texts.len()]));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn any_text_comes_back_at_every_level_with_any_dictionary(
            pieces in prop::collection::vec((any::<u64>(), 1..20_000_usize, 1..=255_u8, 1..8_usize), 0..12),
            dictionary in 0..40_000_usize,
            level in 0..=10_u32,
        ) {
            let mut plain = Vec::new();
            for (seed, length, sorts, times) in pieces {
                let piece: Vec<u8> = noise(length, seed).iter().map(|number| number % sorts).collect();
                (0..times).for_each(|_| plain.extend_from_slice(&piece));
            }
            plain.truncate(BLOCK);
            let dictionary = &plain[..dictionary.min(plain.len())];
            prop_assert!(inflate(&deflate(level, dictionary, &plain), dictionary) == plain);
        }
    }
}
