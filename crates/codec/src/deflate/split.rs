//! Telling when the text has become so different that a new block, with new codes, is worth its header.

/// Sorts of symbols that are told apart: literals by three of their bits, and short and long matches.
const SORTS: usize = 10;
/// New symbols before the question is asked.
const ENOUGH: u32 = 512;
/// Plain bytes of a block at the least.
const LEAST: usize = 5000;
/// Plain bytes after which a block ends anyway.
pub(super) const MOST: usize = 300_000;

/// Counts of symbols since the block began, and those since the question was last asked.
#[derive(Default)]
pub(super) struct Split {
    old: [u32; SORTS],
    new: [u32; SORTS],
    old_count: u32,
    new_count: u32,
}

impl Split {
    #[inline]
    pub(super) fn literal(&mut self, byte: u8) {
        self.new[usize::from(byte >> 5 & 6 | byte & 1)] += 1;
        self.new_count += 1;
    }

    #[inline]
    pub(super) fn matched(&mut self, length: usize) {
        self.new[8 + usize::from(length >= 9)] += 1;
        self.new_count += 1;
    }

    /// Whether to end a block of `length` plain bytes, after which there are `rest` more.
    #[inline]
    pub(super) fn is_due(&mut self, length: usize, rest: usize) -> bool {
        self.new_count >= ENOUGH && length >= LEAST && rest >= LEAST && self.has_changed(length)
    }

    /// Whether the sorts of new symbols are spread unlike those before; a long block needs less of a reason.
    fn has_changed(&mut self, length: usize) -> bool {
        let (old, new) = (u64::from(self.old_count), u64::from(self.new_count));
        let sorts = self.old.iter().zip(&self.new);
        let change: u64 = sorts.map(|(&a, &b)| (u64::from(a) * new).abs_diff(u64::from(b) * old)).sum();
        let mut bar = new * 200 / 512 * old;
        if length < 10_000 && old + new < 8192 {
            bar += bar * (8192 - old - new) / 8192;
        }
        if old > 0 && change + length as u64 / 4096 * old >= bar {
            return true;
        }
        for (old, new) in self.old.iter_mut().zip(&mut self.new) {
            *old += std::mem::take(new);
        }
        self.old_count += std::mem::take(&mut self.new_count);
        false
    }
}
