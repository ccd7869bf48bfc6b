//! Finding earlier text that is like the text at hand.
//!
//! Positions with the same hash of four bytes form a chain, the newest first. They are kept in sixteen bits, relative to
//! the window they are in, so that what is looked up all the time stays in the processor's nearest caches.

use super::text::{LOOK, View, WINDOW};

/// The longest match.
const LONGEST: usize = 258;

/// The shortest match is one longer.
pub(super) const NONE: usize = 3;

const HASH_BITS: u32 = 16;

/// A position that is too old to be of use.
const OLD: i16 = i16::MIN;

/// Earlier text that is the same; at distance zero there is none.
#[derive(Clone, Copy)]
pub(super) struct Match {
    pub(super) length: usize,
    pub(super) distance: usize,
}

/// How hard to look.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// Candidates that are looked at.
    pub(super) depth: u32,
    /// A match of that length is as good as any.
    pub(super) enough: usize,
}

/// Where each four bytes were seen.
pub(super) struct Finder {
    /// The last position, by hash.
    last: [i16; 1 << HASH_BITS],
    /// The position before it with the same hash, by position.
    before: [i16; WINDOW],
}

impl Finder {
    pub(super) fn new() -> Self {
        Self { last: [OLD; _], before: [OLD; _] }
    }

    pub(super) fn clear(&mut self) {
        self.last.fill(OLD);
        self.before.fill(OLD);
    }

    /// Remembers a position, and gives the last one before it with the same hash. Each is to be inserted once, in order.
    #[inline]
    pub(super) fn insert(&mut self, text: View<'_>, at: usize) -> i16 {
        if at.is_multiple_of(WINDOW) {
            self.age();
        }
        let hash = hash(four(text.look(at), 0));
        let candidate = self.last[hash];
        self.before[at % WINDOW] = candidate;
        self.last[hash] = (at % WINDOW) as i16;
        candidate
    }

    /// A new window begins. One loop for each table, since the compiler makes wide instructions of these only.
    #[cold]
    fn age(&mut self) {
        for position in &mut self.last {
            *position = position.saturating_add(OLD);
        }
        for position in &mut self.before {
            *position = position.saturating_add(OLD);
        }
    }

    /// Inserts a position, and finds the longest match for it that is longer than `least`.
    #[inline(always)]
    pub(super) fn find(&mut self, text: View<'_>, at: usize, least: usize, search: Search) -> Match {
        let mut candidate = self.insert(text, at);
        let here = text.look(at);
        // Loaded early, for nothing but to be in the cache when the next position asks for it.
        std::hint::black_box(self.last[hash(four(here, 1))]);
        let far = at.min(WINDOW - 1);
        let mut best = Match { length: least, distance: 0 };
        let (mut longest, word) = (least, four(here, 0));
        let mut tail = four(here, longest - 3);
        for _ in 0..search.depth {
            let distance = distance(at, candidate);
            if distance.wrapping_sub(1) >= far {
                break;
            }
            let there = text.look(at - distance);
            // Where the last of the bytes differ that would make it longer, the others need no look.
            if four(there, longest - 3) == tail && four(there, 0) == word {
                let length = common(here, there).min(LONGEST);
                if length > longest {
                    best = Match { length, distance };
                    if length >= search.enough {
                        break;
                    }
                    longest = length;
                    tail = four(here, longest - 3);
                }
            }
            candidate = self.before[(at - distance) % WINDOW];
        }
        within(best, least, text.end - at)
    }
}

/// A match of `most` bytes at the most, since the text ends there; none if it is not longer than `least` then.
#[inline]
fn within(found: Match, least: usize, most: usize) -> Match {
    if found.length <= most {
        found
    } else if least < most {
        Match { length: most, ..found }
    } else {
        Match { length: least, distance: 0 }
    }
}

/// How far back a candidate is; at least a window if it is too old.
#[inline]
fn distance(at: usize, candidate: i16) -> usize {
    ((at % WINDOW) as i32 - i32::from(candidate)) as usize
}

/// Four bytes as a number. The mask changes nothing for what is at most the longest match less three.
#[inline]
fn four(look: &[u8; LOOK], at: usize) -> u32 {
    look[at & 255..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[inline]
fn hash(four: u32) -> usize {
    (four.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// How many bytes are the same.
#[inline]
fn common(one: &[u8; LOOK], other: &[u8; LOOK]) -> usize {
    let (ones, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    let mut length = 0;
    for (one, other) in ones.iter().zip(others) {
        let difference = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length
}
