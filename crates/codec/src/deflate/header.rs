//! What stands before the symbols of a dynamic block: its codes, as lengths of their words (RFC 1951, 3.2.7).

use super::bits::Bits;
use super::code::Code;
use super::symbols::{DISTANCES, SYMBOLS};

/// The symbols of the code in which the lengths are, in the order in which the lengths of its own words stand.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The previous length, three times or more.
const AGAIN: u8 = 16;
/// Zero, three times or more.
const ZEROS: u8 = 17;
/// Zero, eleven times or more.
const MANY_ZEROS: u8 = 18;

/// A length, or a mark for a run of them with its extra bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    symbol: u8,
    extra: u8,
}

impl Item {
    fn extra_bits(self) -> u32 {
        match self.symbol {
            AGAIN => 2,
            ZEROS => 3,
            MANY_ZEROS => 7,
            _ => 0,
        }
    }
}

pub(super) struct Header {
    symbols: usize,
    distances: usize,
    items: Vec<Item>,
    code: Code<19>,
    /// How many of [`ORDER`] are told.
    told: usize,
}

impl Header {
    pub(super) fn new(symbols: &[u8; SYMBOLS], distances: &[u8; DISTANCES]) -> Self {
        let (symbols, distances) = (used(symbols, 257), used(distances, 1));
        let items = items(&[symbols, distances].concat());
        let mut counts = [0; 19];
        for item in &items {
            counts[usize::from(item.symbol)] += 1;
        }
        let code = Code::shortest(&counts, 7);
        let told = used(&ORDER.map(|symbol| code.lengths[symbol]), 4).len();
        Self { symbols: symbols.len(), distances: distances.len(), items, code, told }
    }

    /// How many bits it takes.
    pub(super) fn bits(&self) -> u64 {
        let bits = |item: &Item| self.code.word(usize::from(item.symbol)).1 + item.extra_bits();
        14 + 3 * self.told as u64 + u64::from(self.items.iter().map(bits).sum::<u32>())
    }

    pub(super) fn write(&self, bits: &mut Bits<'_>) {
        bits.put(self.symbols as u32 - 257, 5);
        bits.put(self.distances as u32 - 1, 5);
        bits.put(self.told as u32 - 4, 4);
        for &symbol in &ORDER[..self.told] {
            bits.put(u32::from(self.code.lengths[symbol]), 3);
        }
        for item in &self.items {
            let (word, length) = self.code.word(usize::from(item.symbol));
            bits.add(word, length);
            bits.put(u32::from(item.extra), item.extra_bits());
        }
    }
}

/// The lengths without the zeros at their end, but `least` of them.
fn used(lengths: &[u8], least: usize) -> &[u8] {
    let end = lengths.iter().rposition(|&length| length > 0).map_or(0, |at| at + 1);
    &lengths[..end.max(least)]
}

/// Lengths, with marks for runs wherever there is one.
fn items(lengths: &[u8]) -> Vec<Item> {
    let mut items = Vec::with_capacity(lengths.len());
    for run in lengths.chunk_by(|one, other| one == other) {
        let (length, mut count) = (run[0], run.len());
        let (marks, once): (&[(u8, usize, usize)], _) = match length {
            0 => (&[(MANY_ZEROS, 11, 138), (ZEROS, 3, 10)], false),
            _ => (&[(AGAIN, 3, 6)], true),
        };
        if once {
            items.push(Item { symbol: length, extra: 0 });
            count -= 1;
        }
        for &(symbol, least, most) in marks {
            while count >= least {
                let now = count.min(most);
                items.push(Item { symbol, extra: (now - least) as u8 });
                count -= now;
            }
        }
        items.extend(std::iter::repeat_n(Item { symbol: length, extra: 0 }, count));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_marked() {
        let marks = |lengths: &[u8]| {
            items(lengths).into_iter().map(|item| (item.symbol, item.extra)).collect::<Vec<_>>()
        };
        assert_eq!(marks(&[5, 5, 5]), [(5, 0), (5, 0), (5, 0)]);
        assert_eq!(marks(&[5; 8]), [(5, 0), (AGAIN, 3), (5, 0)]);
        assert_eq!(marks(&[0, 0, 7]), [(0, 0), (0, 0), (7, 0)]);
        assert_eq!(marks(&[0; 10]), [(ZEROS, 7)]);
        assert_eq!(marks(&[0; 150]), [(MANY_ZEROS, 127), (MANY_ZEROS, 1)]);
        assert_eq!(marks(&[]), []);
    }
}
