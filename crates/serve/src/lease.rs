//! What was uploaded is not yet named by a manifest, and must not be collected as garbage meanwhile (design law 4).
//!
//! Every upload is a session of the layout, which ends with it. Before that, what it brought is leased by a session that
//! lives longer: one of them takes the uploads of ten minutes and is held for ten more, so that whoever pushes a blob has
//! at least that long to push the manifest.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use transship_layout::{Layout, Session};
use transship_spec::Digest;

/// For how long one session takes uploads.
const TURN: Duration = Duration::from_secs(600);

/// What was uploaded to one layout in the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<Turns>);

#[derive(Debug, Default)]
struct Turns {
    current: Option<(Instant, Session)>,
    previous: Option<(Instant, Session)>,
}

impl Turns {
    fn turn(&mut self) {
        let is_over = |held: &Option<(Instant, Session)>, after| {
            held.as_ref().is_some_and(|(since, _)| since.elapsed() >= after)
        };
        if is_over(&self.current, TURN) {
            self.previous = self.current.take();
        }
        if is_over(&self.previous, TURN * 2) {
            self.previous = None;
        }
    }
}

impl Leases {
    /// Keeps a blob from now on, whether it is there already or not. Blocking.
    pub(crate) fn keep(&self, layout: &Layout, digest: &Digest) -> Result<(), transship_layout::Error> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.turn();
        let session = match turns.current.take() {
            Some((since, session)) => (since, session),
            None => (Instant::now(), layout.begin()?),
        };
        turns.current.insert(session).1.lease(digest)
    }

    /// Lets go of what was kept for long enough. Blocking.
    pub(crate) fn turn(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).turn();
    }

    /// Lets go of everything: the layout is another one now.
    pub(crate) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Turns::default();
    }
}
