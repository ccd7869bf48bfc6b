//! Tells of a check while it goes on: one bar for all blobs, since thousands of them come and go.

use transship_layout::check;

use super::show::number;
use crate::progress::{Item, Progress};

/// What all blobs together are called among transfers.
const KEY: &str = "blobs";

#[derive(Debug)]
pub(super) struct Watched(Progress);

impl Watched {
    pub(super) fn new(progress: &Progress) -> Self {
        Self(progress.clone())
    }
}

impl check::Progress for Watched {
    fn started(&self, blobs: usize, bytes: u64) {
        let name = number(blobs as u64, "blob", "blobs");
        self.0.begin(Some(bytes));
        self.0.started(Item { key: KEY, name: &name, size: Some(bytes) });
    }

    fn advanced(&self, bytes: u64) {
        self.0.advanced(KEY, bytes);
    }

    fn finished(&self) {
        self.0.finished(KEY);
        self.0.end();
    }
}
