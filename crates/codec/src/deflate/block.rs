//! One block: literals and matches, counted, and written in the shortest of the three ways there are.

use super::bits::Bits;
use super::code::Code;
use super::finder::Match;
use super::header::Header;
use super::split::Split;
use super::symbols::{
    DISTANCES, DYNAMIC, END, FIXED, LENGTHS, SYMBOLS, extra_bits, extra_bits_of_distance, of_distance,
    of_length,
};

/// Bits of the longest word of a literal or length: so four literals fit between two flushes.
const LONGEST_WORD: usize = 14;

/// Matches after which a block ends.
const MATCHES: usize = 50_000;

/// Literals, and the match after them.
#[derive(Clone, Copy)]
struct Sequence {
    literals: u32,
    length: u16,
    distance: u16,
}

/// Literals and matches, and how often each symbol occurs.
pub(super) struct Block {
    sequences: Vec<Sequence>,
    /// Literals since the last match.
    literals: u32,
    symbols: [u32; SYMBOLS],
    distances: [u32; DISTANCES],
    pub(super) split: Split,
}

impl Block {
    pub(super) fn new() -> Self {
        Self {
            sequences: Vec::with_capacity(MATCHES),
            literals: 0,
            symbols: [0; SYMBOLS],
            distances: [0; DISTANCES],
            split: Split::default(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.sequences.clear();
        self.literals = 0;
        self.symbols.fill(0);
        self.symbols[END] = 1;
        self.distances.fill(0);
        self.split = Split::default();
    }

    pub(super) fn is_full(&self) -> bool {
        self.sequences.len() >= MATCHES
    }

    #[inline]
    pub(super) fn literal(&mut self, byte: u8) {
        self.literals += 1;
        self.symbols[usize::from(byte)] += 1;
        self.split.literal(byte);
    }

    #[inline]
    pub(super) fn matched(&mut self, found: Match) {
        let Match { length, distance } = found;
        self.symbols[of_length(length).number] += 1;
        self.distances[of_distance(distance).number] += 1;
        self.split.matched(length);
        let literals = std::mem::take(&mut self.literals);
        self.sequences.push(Sequence { literals, length: length as u16, distance: distance as u16 });
    }

    /// Writes the block, which stands for `plain`.
    pub(super) fn write(&self, plain: &[u8], last: bool, bits: &mut Bits<'_>) {
        let own = Codes {
            symbols: Code::shortest(&self.symbols, LONGEST_WORD),
            distances: Code::shortest(&self.distances, 15),
        };
        let header = Header::new(&own.symbols.lengths, &own.distances.lengths);
        let fixed = Codes::fixed();
        let dynamic_bits = header.bits() + self.bits(&own);
        let fixed_bits = self.bits(&fixed);
        if Bits::stored(plain.len()) <= dynamic_bits.min(fixed_bits) {
            bits.store(plain, last);
        } else if fixed_bits <= dynamic_bits {
            bits.put(u32::from(last) | FIXED << 1, 3);
            self.write_symbols(plain, &fixed, bits);
        } else {
            bits.put(u32::from(last) | DYNAMIC << 1, 3);
            header.write(bits);
            self.write_symbols(plain, &own, bits);
        }
    }

    /// How many bits the symbols take in these codes.
    fn bits(&self, codes: &Codes) -> u64 {
        let symbols = self.symbols.iter().zip(&codes.symbols.lengths).enumerate();
        let symbols =
            symbols.map(|(symbol, (&count, &length))| (count, u32::from(length) + extra_bits(symbol)));
        let distances = self.distances.iter().zip(&codes.distances.lengths).enumerate();
        let distances = distances
            .map(|(symbol, (&count, &length))| (count, u32::from(length) + extra_bits_of_distance(symbol)));
        symbols.chain(distances).map(|(count, bits)| u64::from(count) * u64::from(bits)).sum()
    }

    fn write_symbols(&self, mut plain: &[u8], codes: &Codes, bits: &mut Bits<'_>) {
        let literals: [(u32, u32); 256] = std::array::from_fn(|byte| codes.symbols.word(byte));
        let lengths: [(u32, u32); 256] = std::array::from_fn(|at| {
            let (word, length) = codes.symbols.word(LENGTHS[at].number);
            (word | LENGTHS[at].extra << length, length + LENGTHS[at].extra_bits)
        });
        for sequence in &self.sequences {
            let Some((run, rest)) = plain.split_at_checked(sequence.literals as usize) else { return };
            write_literals(run, &literals, bits);
            let (word, length) = lengths[usize::from(sequence.length - 3) & 255];
            bits.add(word, length);
            let distance = of_distance(usize::from(sequence.distance));
            let (word, length) = codes.distances.word(distance.number);
            bits.add(word, length);
            bits.add(distance.extra, distance.extra_bits);
            bits.flush();
            plain = rest.get(usize::from(sequence.length)..).unwrap_or_default();
        }
        write_literals(plain, &literals, bits);
        let (word, length) = codes.symbols.word(END);
        bits.put(word, length);
    }
}

#[inline]
fn write_literals(run: &[u8], words: &[(u32, u32); 256], bits: &mut Bits<'_>) {
    for four in run.chunks(4) {
        for &byte in four {
            let (word, length) = words[usize::from(byte)];
            bits.add(word, length);
        }
        bits.flush();
    }
}

/// The two codes of a block.
struct Codes {
    symbols: Code<SYMBOLS>,
    distances: Code<DISTANCES>,
}

impl Codes {
    /// Those that need no header (RFC 1951, 3.2.6).
    fn fixed() -> Self {
        let mut lengths = [8; SYMBOLS];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        Self { symbols: Code::of(lengths), distances: Code::of([5; DISTANCES]) }
    }
}
