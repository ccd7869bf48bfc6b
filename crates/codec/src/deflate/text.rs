//! A piece of text to deflate, after the text that is its dictionary.

/// Plain bytes of a text at the most. Another size would give other bytes.
pub(crate) const BLOCK: usize = 1 << 20;

/// How far back a match may reach.
pub(crate) const WINDOW: usize = 32 << 10;

/// Bytes that can be looked at from each position on: those of the longest match, in whole words.
pub(super) const LOOK: usize = 264;

/// Every position is less. A power of two, so that a mask spares a comparison wherever a position is used.
const POSITIONS: usize = (WINDOW + BLOCK).next_power_of_two();

/// Dictionary and text, and zeros after them. What of it is never used takes no memory.
pub(crate) struct Text {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// A text to work with, in which every look from a position is one at so many bytes.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) bytes: &'a [u8; POSITIONS + LOOK],
    /// Where the dictionary ends.
    pub(super) start: usize,
    /// Where the text ends; beyond there are zeros, as far as a look can reach.
    pub(super) end: usize,
}

impl Text {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; POSITIONS + LOOK].into_boxed_slice(), start: 0, end: 0 }
    }

    /// How many bytes can be added.
    pub(crate) fn room(&self) -> usize {
        self.start + BLOCK - self.end
    }

    /// Adds as many bytes as there is room for, and gives the others back.
    pub(crate) fn add<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(self.room()));
        self.bytes[self.end..self.end + now.len()].copy_from_slice(now);
        self.end += now.len();
        later
    }

    /// The text, without its dictionary.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Makes it an empty text that follows `previous`.
    pub(crate) fn follow(&mut self, previous: &Self) {
        let window = &previous.bytes[previous.end.saturating_sub(WINDOW)..previous.end];
        self.bytes[..window.len()].copy_from_slice(window);
        self.start = window.len();
        self.end = self.start;
    }

    pub(super) fn view(&mut self) -> Option<View<'_>> {
        // A longer text may have been here before.
        self.bytes[self.end..self.end + LOOK].fill(0);
        Some(View { bytes: self.bytes.first_chunk()?, start: self.start, end: self.end })
    }
}

impl<'a> View<'a> {
    /// What stands at a position and after it.
    #[inline]
    pub(super) fn look(self, at: usize) -> &'a [u8; LOOK] {
        self.bytes[at % POSITIONS..].first_chunk().unwrap_or(&[0; LOOK])
    }
}
