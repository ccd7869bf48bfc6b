//! Prefix codes: how long the word of each symbol is, and the words (RFC 1951, 3.2.2).

/// The longest word that deflate has.
const MOST_BITS: usize = 15;

/// A code for `N` symbols.
pub(super) struct Code<const N: usize> {
    /// How many bits the word of each symbol has; zero if it has none.
    pub(super) lengths: [u8; N],
    /// The words, as they stand in the stream.
    words: [u16; N],
}

impl<const N: usize> Code<N> {
    /// The code in which symbols that occur so often take the fewest bits, and none has more than `most`.
    ///
    /// It has two words at the least: some readers refuse a code of one.
    pub(super) fn shortest(counts: &[u32; N], most: usize) -> Self {
        let mut used: Vec<(u32, usize)> = counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(at, &count)| (count, at))
            .collect();
        for (symbol, &count) in counts.iter().enumerate().take(2) {
            if used.len() < 2 && count == 0 {
                used.push((1, symbol));
            }
        }
        used.sort_unstable();
        let weights = used.iter().map(|(count, _)| *count).collect();
        let counts = limit(&depths(weights), most);
        // The rarest symbols have the longest words.
        let longest_first = counts.iter().enumerate().rev();
        let longest_first =
            longest_first.flat_map(|(length, &count)| std::iter::repeat_n(length as u8, count));
        let mut lengths = [0; N];
        for ((_, symbol), length) in used.into_iter().zip(longest_first) {
            lengths[symbol] = length;
        }
        Self::of(lengths)
    }

    /// The code whose words have so many bits.
    pub(super) fn of(lengths: [u8; N]) -> Self {
        let mut counts = [0; MOST_BITS + 1];
        for &length in lengths.iter().filter(|length| **length > 0) {
            counts[usize::from(length)] += 1;
        }
        let mut next = [0_u16; MOST_BITS + 1];
        for length in 1..=MOST_BITS {
            next[length] = (next[length - 1] + counts[length - 1]) << 1;
        }
        let mut words = [0; N];
        for (word, &length) in words.iter_mut().zip(&lengths).filter(|(_, length)| **length > 0) {
            let next = &mut next[usize::from(length)];
            *word = next.reverse_bits() >> (16 - length);
            *next += 1;
        }
        Self { lengths, words }
    }

    /// The word of a symbol, and its bits.
    #[inline]
    pub(super) fn word(&self, symbol: usize) -> (u32, u32) {
        (u32::from(self.words[symbol]), u32::from(self.lengths[symbol]))
    }
}

/// How many leaves Huffman's tree has at each depth, for two weights or more, the least first.
fn depths(mut weights: Vec<u32>) -> Vec<usize> {
    let leaves = weights.len();
    let root = 2 * leaves - 2;
    // After the leaves come the nodes, in the order in which they are made, which is that of their weights.
    let mut parents = vec![0; root];
    let (mut leaf, mut node) = (0, leaves);
    while weights.len() <= root {
        let made = weights.len();
        let mut weight = 0;
        for _ in 0..2 {
            let is_leaf = leaf < leaves && (node == made || weights[leaf] <= weights[node]);
            let lightest = if is_leaf { &mut leaf } else { &mut node };
            weight += weights[*lightest];
            parents[*lightest] = made;
            *lightest += 1;
        }
        weights.push(weight);
    }
    let mut depth = vec![0; root + 1];
    let mut counts = vec![0; leaves];
    for item in (0..root).rev() {
        depth[item] = depth[parents[item]] + 1;
        if item < leaves {
            counts[depth[item]] += 1;
        }
    }
    counts
}

/// The same number of words for each length, when none may be longer than `most`.
fn limit(depths: &[usize], most: usize) -> Vec<usize> {
    let mut counts = vec![0; most + 1];
    for (depth, count) in depths.iter().enumerate() {
        counts[depth.min(most)] += count;
    }
    // What the words take of the room that there is, counted in longest words.
    let mut taken: usize = (1..=most).map(|length| counts[length] << (most - length)).sum();
    while taken > 1 << most {
        // A word becomes longer by a bit, and so has place beside it for one of the longest.
        let Some(length) = (1..most).rev().find(|&length| counts[length] > 0) else { break };
        counts[length] -= 1;
        counts[length + 1] += 2;
        counts[most] -= 1;
        taken -= 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What words of such lengths take of the room there is.
    fn taken(lengths: &[u8]) -> f64 {
        lengths.iter().filter(|length| **length > 0).map(|&length| 0.5_f64.powi(i32::from(length))).sum()
    }

    #[test]
    fn the_code_of_the_example_in_rfc_1951() {
        let code = Code::of([3, 3, 3, 3, 3, 2, 4, 4]);
        let words: Vec<u16> = code
            .words
            .iter()
            .zip(code.lengths)
            .map(|(word, length)| word.reverse_bits() >> (16 - length))
            .collect();
        assert_eq!(words, [0b010, 0b011, 0b100, 0b101, 0b110, 0b00, 0b1110, 0b1111]);
    }

    #[test]
    fn frequent_symbols_have_short_words_and_absent_ones_none() {
        assert_eq!(Code::shortest(&[1, 0, 8, 2, 0, 4], 15).lengths, [3, 0, 1, 3, 0, 2]);
        assert_eq!(Code::shortest(&[0, 0, 9], 15).lengths, [1, 0, 1]);
        assert_eq!(Code::shortest(&[0, 0, 0], 15).lengths, [1, 1, 0]);
        assert_eq!(Code::shortest(&[0, 7, 0], 15).lengths, [1, 1, 0]);
    }

    proptest! {
        #[test]
        fn a_code_is_complete_whatever_the_counts_and_the_limit(
            counts in prop::array::uniform32(prop_oneof![Just(0_u32), 1..4_u32, 1..1_000_000_u32]),
            most in 5..=15_usize,
        ) {
            let code = Code::shortest(&counts, most);
            prop_assert!((taken(&code.lengths) - 1.0).abs() < 1e-12);
            prop_assert!(code.lengths.iter().all(|&length| usize::from(length) <= most));
        }

        #[test]
        fn even_the_steepest_counts_keep_the_limit(most in 5..=15_usize) {
            let (mut a, mut b) = (1, 1);
            let fibonacci = std::array::from_fn::<u32, 30, _>(|_| { (a, b) = (b, a + b); a });
            let code = Code::shortest(&fibonacci, most);
            prop_assert!((taken(&code.lengths) - 1.0).abs() < 1e-12);
            prop_assert!(code.lengths.iter().all(|&length| usize::from(length) <= most));
        }
    }
}
