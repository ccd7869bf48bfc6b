//! The symbols of deflate's blocks (RFC 1951, 3.2.5), and the extra bits after them.

/// Symbols of literals, the end and lengths; the last two have words in the fixed code only.
pub(super) const SYMBOLS: usize = 288;
/// The symbol that ends a block.
pub(super) const END: usize = 256;
/// Symbols of distances.
pub(super) const DISTANCES: usize = 30;

/// The sorts of blocks that have symbols, as their headers tell them.
pub(super) const FIXED: u32 = 1;
pub(super) const DYNAMIC: u32 = 2;

/// A symbol, and what follows it.
#[derive(Clone, Copy)]
pub(super) struct Symbol {
    pub(super) number: usize,
    pub(super) extra: u32,
    pub(super) extra_bits: u32,
}

/// The symbol of a distance from 1 on.
#[inline]
pub(super) const fn of_distance(distance: usize) -> Symbol {
    let rest = distance as u32 - 1;
    if rest < 4 {
        return Symbol { number: rest as usize, extra: 0, extra_bits: 0 };
    }
    let extra_bits = rest.ilog2() - 1;
    Symbol {
        number: (2 * extra_bits + (rest >> extra_bits)) as usize,
        extra: rest & ((1 << extra_bits) - 1),
        extra_bits,
    }
}

/// The symbol of a length from 3 to 258.
#[inline]
pub(super) fn of_length(length: usize) -> Symbol {
    LENGTHS[(length - 3) & 255]
}

/// The symbols of all lengths.
pub(super) const LENGTHS: [Symbol; 256] = {
    let mut table = [Symbol { number: 285, extra: 0, extra_bits: 0 }; 256];
    let mut rest = 0;
    // The longest is a symbol of its own.
    while rest < 255 {
        let extra_bits = if rest < 8 { 0 } else { (rest as u32).ilog2() - 2 };
        table[rest] = Symbol {
            number: 257 + 4 * extra_bits as usize + (rest >> extra_bits),
            extra: rest as u32 & ((1 << extra_bits) - 1),
            extra_bits,
        };
        rest += 1;
    }
    table
};

/// How many extra bits follow a symbol of a literal, the end or a length.
pub(super) fn extra_bits(symbol: usize) -> u32 {
    match symbol {
        265..285 => (symbol as u32 - 261) / 4,
        _ => 0,
    }
}

/// How many extra bits follow a symbol of a distance.
pub(super) fn extra_bits_of_distance(symbol: usize) -> u32 {
    (symbol as u32 / 2).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_tables_in_rfc_1951() {
        let length =
            |length| (of_length(length).number, of_length(length).extra, of_length(length).extra_bits);
        assert_eq!(length(3), (257, 0, 0));
        assert_eq!(length(10), (264, 0, 0));
        assert_eq!(length(12), (265, 1, 1));
        assert_eq!(length(31), (272, 0, 2));
        assert_eq!(length(257), (284, 30, 5));
        assert_eq!(length(258), (285, 0, 0));
        let distance = |at| (of_distance(at).number, of_distance(at).extra, of_distance(at).extra_bits);
        assert_eq!(distance(1), (0, 0, 0));
        assert_eq!(distance(6), (4, 1, 1));
        assert_eq!(distance(193), (15, 0, 6));
        assert_eq!(distance(32_768), (29, 8191, 13));
    }

    #[test]
    fn symbols_have_the_extra_bits_that_are_counted_for_them() {
        assert!((3..=258).all(|length| of_length(length).extra_bits == extra_bits(of_length(length).number)));
        assert!(
            (1..=32_768)
                .map(of_distance)
                .all(|symbol| symbol.extra_bits == extra_bits_of_distance(symbol.number))
        );
    }
}
