//! How far a transfer has come: it never goes back, and never beyond its end.

/// The bytes of one transfer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    /// Those of this try.
    now: u64,
    /// The most that any try came to.
    most: u64,
}

impl Moved {
    /// It begins anew: what comes again does not count again.
    pub(super) fn again(&mut self) {
        self.now = 0;
    }

    /// More bytes have moved; gives by how many it got further than ever.
    pub(super) fn advance(&mut self, bytes: u64, size: Option<u64>) -> u64 {
        self.now = self.now.saturating_add(bytes).min(size.unwrap_or(u64::MAX));
        let further = self.now.saturating_sub(self.most);
        self.most += further;
        further
    }

    /// It is done; gives how much of it did not have to move.
    pub(super) fn finish(&mut self, size: Option<u64>) -> u64 {
        let rest = size.unwrap_or(self.most).saturating_sub(self.most);
        self.most += rest;
        rest
    }

    /// How far it has come.
    pub(super) fn done(&self) -> u64 {
        self.most
    }
}
