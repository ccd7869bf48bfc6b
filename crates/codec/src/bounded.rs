//! The limits of decoding: how much may come out of how little (law 6 of ARCHITECTURE.md).

use crate::Error;

/// How much a [`Decoder`](crate::Decoder) may give, and at what ratio.
///
/// The ratio is that of all output to all input so far, and counts only once the output is larger than `ratio_grace`:
/// a small file of zeros is no attack. Deflate cannot pass 1032 to 1; zstd can reach 30,000 to 1.
///
/// ```
/// use transship_codec::Limits;
/// let limits = Limits { max_output: 1 << 20, ..Limits::default() };
/// assert!(limits.max_ratio > 100);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most decoded bytes; more is an error, seen one byte past it.
    pub max_output: u64,
    /// The most decoded bytes for one encoded byte.
    pub max_ratio: u64,
    /// Decoded bytes below which the ratio does not matter.
    pub ratio_grace: u64,
    /// The binary logarithm of the largest window of zstd, in bytes: what a stream may ask of our memory. Clamped
    /// to 10–31.
    pub max_window_log: u32,
}

impl Limits {
    /// No limit on output or ratio, for content that was verified or is our own; the window stays bounded.
    pub const TRUSTED: Self =
        Self { max_output: u64::MAX, max_ratio: u64::MAX, ratio_grace: u64::MAX, max_window_log: 27 };
}

impl Default for Limits {
    /// 256 GiB, 200 to 1 beyond 64 MiB, and windows of 128 MiB (what `zstd --long` writes).
    fn default() -> Self {
        Self { max_output: 256 << 30, max_ratio: 200, ratio_grace: 64 << 20, max_window_log: 27 }
    }
}

/// Counts what came out, and says when it is too much.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    produced: u64,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, produced: 0 }
    }

    pub(crate) fn produced(&self) -> u64 {
        self.produced
    }

    /// How much of a buffer of `len` bytes may be filled: up to one byte past the limit, which is how we notice.
    pub(crate) fn room(&self, len: usize) -> usize {
        let left = self.limits.max_output.saturating_sub(self.produced).saturating_add(1);
        usize::try_from(left).map_or(len, |left| left.min(len))
    }

    /// Counts `count` more bytes out, with `consumed` bytes taken in so far.
    pub(crate) fn add(&mut self, count: usize, consumed: u64) -> Result<(), Error> {
        self.produced = self.produced.saturating_add(count as u64);
        let Limits { max_output, max_ratio, ratio_grace, .. } = self.limits;
        if self.produced > max_output {
            return Err(Error::Limit { what: "decompressed size in bytes", limit: max_output });
        }
        if self.produced > ratio_grace && self.produced > consumed.saturating_mul(max_ratio) {
            return Err(Error::Limit { what: "ratio of decompressed to compressed size", limit: max_ratio });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_reaches_one_byte_past_the_limit_and_no_further() {
        let mut meter = Meter::new(Limits { max_output: 10, ..Limits::default() });
        assert_eq!(meter.room(100), 11);
        meter.add(10, 10).unwrap();
        assert_eq!(meter.room(100), 1);
        assert!(matches!(meter.add(1, 10), Err(Error::Limit { limit: 10, .. })));
        assert_eq!(Meter::new(Limits::TRUSTED).room(100), 100);
    }

    #[test]
    fn the_ratio_counts_only_beyond_its_grace() {
        let limits = Limits { max_ratio: 10, ratio_grace: 1000, ..Limits::default() };
        let mut meter = Meter::new(limits);
        meter.add(1000, 1).unwrap();
        meter.add(1, 101).unwrap();
        assert!(meter.add(500, 101).is_err());
    }
}
