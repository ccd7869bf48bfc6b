//! Bits into bytes, the least significant first.

/// Writes bits into a buffer; what does not fit is counted and lost.
pub(super) struct Bits<'a> {
    room: &'a mut [u8],
    at: usize,
    word: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(room: &'a mut [u8]) -> Self {
        Self { room, at: 0, word: 0, count: 0 }
    }

    /// Adds bits to those that wait; with [`flush`](Self::flush) before, there is place for 56.
    #[inline]
    pub(super) fn add(&mut self, bits: u32, count: u32) {
        self.word |= u64::from(bits) << self.count;
        self.count += count;
    }

    /// Writes whole bytes, so that at most seven bits wait.
    #[inline]
    pub(super) fn flush(&mut self) {
        if let Some(room) = self.room.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut) {
            *room = self.word.to_le_bytes();
        }
        let bytes = self.count / 8;
        self.at += bytes as usize;
        self.word >>= 8 * bytes;
        self.count %= 8;
    }

    /// Adds at most 32 bits, and flushes.
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        self.add(bits, count);
        self.flush();
    }

    /// Fills the last byte with zeros.
    fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Writes stored blocks; one, if there is nothing to store.
    pub(super) fn store(&mut self, mut bytes: &[u8], last: bool) {
        loop {
            let (now, later) = bytes.split_at(bytes.len().min(0xffff));
            self.put(u32::from(last && later.is_empty()), 3);
            self.align();
            let length = now.len() as u32;
            self.put(length | !length << 16, 32);
            if let Some(room) = self.room.get_mut(self.at..self.at + now.len()) {
                room.copy_from_slice(now);
            }
            self.at += now.len();
            bytes = later;
            if bytes.is_empty() {
                return;
            }
        }
    }

    /// How many bits stored blocks take at the most.
    pub(super) fn stored(length: usize) -> u64 {
        8 * (length as u64 + 5 * (length as u64 / 0xffff + 1))
    }

    /// The bytes that were written, if all of them found room, with eight to spare.
    pub(super) fn finish(mut self) -> Option<usize> {
        self.align();
        (self.at + 8 <= self.room.len()).then_some(self.at)
    }
}
