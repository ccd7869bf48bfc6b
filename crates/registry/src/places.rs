//! How many requests a host is sent at once: fewer when it is overloaded, more again as it keeps up.
//!
//! The number begins at the ceiling that the user allows. An answer that says "too many" halves it, once for all
//! requests that were under way at that time; answers that keep up raise it by one: after as many of them as there are
//! places while it is well below where the trouble was, and after eight times as many from there on, so that a host
//! with a firm limit is asked for more than that only now and then.
//!
//! A host that does not say so shows it by the time to its answers. When they take four times as long as the quickest
//! did, and half a second more, on the running average over eight, the number is halved, too. The half second is there
//! because manifests, blobs and stores behind redirects are not equally quick; what is regarded as the quickest rises
//! slowly, so that one lucky answer does not count for ever.
//!
//! Reading and writing have places of their own: an upload that is fed by a download from the same host would otherwise
//! wait for itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Which places a request takes one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Reading,
    Writing,
}

/// The places of one host.
#[derive(Debug)]
pub(crate) struct Places {
    ceiling: usize,
    lanes: [Arc<Semaphore>; 2],
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Places of each lane.
    limit: usize,
    /// Places of each lane that are taken and will not be given back.
    owed: [usize; 2],
    /// How often the limit was halved.
    round: u64,
    /// Answers that kept up since the limit changed.
    kept: usize,
    /// The limit at which the host was overloaded last.
    trouble: usize,
    latency: Option<Latency>,
}

impl Places {
    /// So many places for each lane, and at least one.
    pub(crate) fn new(ceiling: usize) -> Self {
        let ceiling = ceiling.clamp(1, Semaphore::MAX_PERMITS);
        let lane = || Arc::new(Semaphore::new(ceiling));
        let state =
            State { limit: ceiling, owed: [0; 2], round: 0, kept: 0, trouble: usize::MAX, latency: None };
        Self { ceiling, lanes: [lane(), lane()], state: Mutex::new(state) }
    }

    /// Waits for a free place.
    pub(crate) async fn take(self: &Arc<Self>, lane: Lane) -> Place {
        // The semaphore is never closed; without it there would only be no limit.
        let permit = Arc::clone(&self.lanes[lane as usize]).acquire_owned().await.ok();
        Place { round: self.state().round, places: Arc::clone(self), lane, permit }
    }

    /// A place, if there is one that nobody waits for.
    pub(crate) fn try_take(self: &Arc<Self>, lane: Lane) -> Option<Place> {
        let permit = Arc::clone(&self.lanes[lane as usize]).try_acquire_owned().ok()?;
        Some(Place { round: self.state().round, places: Arc::clone(self), lane, permit: Some(permit) })
    }

    /// The time to the quickest answers of late, where there were any.
    pub(crate) fn quickest(&self) -> Option<Duration> {
        self.state().latency.as_ref().map(|latency| latency.quickest)
    }

    /// Notes the time from a request to its answer.
    pub(crate) fn answered(&self, time: Duration) {
        let mut state = self.state();
        let limit = state.limit;
        let latency = state.latency.get_or_insert(Latency { quickest: time, average: time, grace: 0 });
        latency.add(time);
        if latency.is_far_up() {
            // What is under way was sent before there were fewer.
            (latency.average, latency.grace) = (latency.quickest, limit + 8);
            self.halve(&mut state);
        }
    }

    fn halve(&self, state: &mut State) {
        state.trouble = state.limit;
        state.round += 1;
        state.kept = 0;
        let fewer = state.limit - (state.limit / 2).max(1);
        state.limit -= fewer;
        for (lane, owed) in self.lanes.iter().zip(&mut state.owed) {
            *owed += fewer - lane.forget_permits(fewer);
        }
    }

    fn raise(&self, state: &mut State) {
        state.limit += 1;
        state.kept = 0;
        for (lane, owed) in self.lanes.iter().zip(&mut state.owed) {
            match owed.checked_sub(1) {
                Some(less) => *owed = less,
                None => lane.add_permits(1),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that a request has, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    lane: Lane,
    permit: Option<OwnedSemaphorePermit>,
    /// How often the limit had been halved when the request was sent.
    round: u64,
}

impl Place {
    /// Notes that the request is sent only now.
    pub(crate) fn starts(&mut self) {
        self.round = self.places.state().round;
    }

    /// Notes that the host answered as it should.
    pub(crate) fn kept_up(&self) {
        let mut state = self.places.state();
        if self.round != state.round || state.limit >= self.places.ceiling {
            return;
        }
        state.kept += 1;
        let enough = if state.limit + 1 < state.trouble { state.limit } else { state.limit * 8 };
        if state.kept >= enough {
            self.places.raise(&mut state);
        }
    }

    /// Notes that the host is overloaded; how many places it has from now on, where that changes.
    pub(crate) fn overloaded(&self) -> Option<usize> {
        let mut state = self.places.state();
        if self.round != state.round {
            return None;
        }
        self.places.halve(&mut state);
        Some(state.limit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        let owed = &mut state.owed[self.lane as usize];
        if let Some(less) = owed.checked_sub(1)
            && let Some(permit) = self.permit.take()
        {
            *owed = less;
            permit.forget();
        }
    }
}

/// How long answers take.
#[derive(Debug)]
struct Latency {
    quickest: Duration,
    average: Duration,
    /// So many answers more are no sign of anything.
    grace: usize,
}

impl Latency {
    fn add(&mut self, time: Duration) {
        self.average = (self.average * 7 + time) / 8;
        self.quickest = time.min(self.quickest + self.quickest / 64);
        self.grace = self.grace.saturating_sub(1);
    }

    fn is_far_up(&self) -> bool {
        self.grace == 0 && self.average > self.quickest * 4 + Duration::from_millis(500)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(places: &Places) -> usize {
        places.state().limit
    }

    /// Answers that keep up, one after the other.
    async fn keep_up(places: &Arc<Places>, answers: usize) {
        for _ in 0..answers {
            places.take(Lane::Reading).await.kept_up();
        }
    }

    #[tokio::test]
    async fn dist_101_overload_halves_the_places_once_for_all_that_was_under_way() {
        let places = Arc::new(Places::new(16));
        let mut taken = Vec::new();
        for _ in 0..16 {
            taken.push(places.take(Lane::Reading).await);
        }
        let told: Vec<_> = taken.iter().filter_map(Place::overloaded).collect();
        assert_eq!(told, [8]);
        drop(taken);
        assert_eq!(places.lanes.each_ref().map(|lane| lane.available_permits()), [8, 8]);
        for expected in [4, 2, 1, 1] {
            places.take(Lane::Writing).await.overloaded();
            assert_eq!(limit(&places), expected);
        }
    }

    #[tokio::test]
    async fn what_was_sent_before_tells_nothing_of_the_places_after() {
        let places = Arc::new(Places::new(4));
        let (mut early, late) = (places.take(Lane::Reading).await, places.take(Lane::Reading).await);
        assert_eq!(late.overloaded(), Some(2));
        for _ in 0..9 {
            early.kept_up();
        }
        assert_eq!((limit(&places), early.overloaded()), (2, None));
        early.starts();
        assert_eq!(early.overloaded(), Some(1));
    }

    #[tokio::test]
    async fn answers_raise_the_places_quickly_below_the_trouble_and_slowly_from_there_on() {
        let places = Arc::new(Places::new(6));
        places.take(Lane::Reading).await.overloaded();
        keep_up(&places, 3 + 4).await;
        assert_eq!(limit(&places), 5);
        keep_up(&places, 8 * 5 - 1).await;
        assert_eq!(limit(&places), 5);
        keep_up(&places, 1).await;
        assert_eq!(limit(&places), 6);
        keep_up(&places, 1000).await;
        assert_eq!(limit(&places), 6);
        assert_eq!(places.lanes.each_ref().map(|lane| lane.available_permits()), [6, 6]);
    }

    #[test]
    fn answers_that_take_far_longer_than_the_quickest_are_a_sign_of_overload() {
        let after = |times: &[(u64, usize)]| {
            let places = Places::new(16);
            for (millis, times) in times {
                (0..*times).for_each(|_| places.answered(Duration::from_millis(*millis)));
            }
            limit(&places)
        };
        assert_eq!(after(&[(20, 50), (60, 200)]), 16, "slower, but not slow");
        assert_eq!(after(&[(20, 50), (5000, 1), (20, 50)]), 8, "one that hung is a sign, and only one");
        assert_eq!(after(&[(20, 50), (1500, 20)]), 8, "one sign for all that was under way");
        assert_eq!(after(&[(20, 50), (1500, 40)]), 4);
        assert_eq!(after(&[(3000, 500)]), 16, "it was never quicker");
    }

    #[tokio::test]
    async fn reading_and_writing_have_places_of_their_own() {
        let places = Arc::new(Places::new(1));
        let _reading = places.take(Lane::Reading).await;
        let _writing = places.take(Lane::Writing).await;
        assert_eq!(places.lanes[0].available_permits(), 0);
    }

    proptest! {
        #[test]
        fn places_are_neither_lost_nor_made(steps in proptest::collection::vec(0..4u8, 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let places = Arc::new(Places::new(5));
            let mut taken = Vec::new();
            for step in steps {
                match (step, taken.last()) {
                    (0, _) if places.lanes[0].available_permits() > 0 => {
                        taken.push(runtime.block_on(places.take(Lane::Reading)));
                    }
                    (1, Some(_)) => drop(taken.swap_remove(0)),
                    (2, Some(place)) => place.kept_up(),
                    (3, Some(place)) => drop(place.overloaded()),
                    _ => {}
                }
                let state = places.state();
                prop_assert_eq!(places.lanes[0].available_permits() + taken.len(), state.limit + state.owed[0]);
                prop_assert!(state.limit >= 1 && state.limit <= 5);
            }
            taken.clear();
            prop_assert_eq!(places.lanes[0].available_permits(), limit(&places));
        }
    }
}
