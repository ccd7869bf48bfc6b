//! No more bytes a second than the user allows: one bucket for all that a client sends and receives.
//!
//! A piece moves as soon as all before it are paid for, and is then paid for itself, at so many bytes a second. So the
//! limit holds over any time but for one piece a transfer, small answers do not wait for themselves, and there is
//! nothing to give back when a transfer is dropped. Only the content of requests and answers counts, not their heads.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So much time that was not used is made up for, since timers wake up late.
const CREDIT: Duration = Duration::from_millis(100);

/// The bucket; without a limit it never holds anything up.
#[derive(Debug)]
pub(crate) struct Rate {
    limit: Option<NonZeroU64>,
    /// When all that has moved is paid for.
    paid: Mutex<Instant>,
}

impl Rate {
    /// So many bytes a second, or as many as come.
    pub(crate) fn new(limit: Option<NonZeroU64>) -> Self {
        Self { limit, paid: Mutex::new(Instant::now()) }
    }

    /// Waits until all that has moved is paid for.
    pub(crate) async fn ready(&self) {
        while let Some(until) = self.debt() {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Notes that so many bytes moved.
    pub(crate) fn moved(&self, bytes: usize) {
        let Some(limit) = self.limit else { return };
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(limit.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let start = now.checked_sub(CREDIT).map_or(*paid, |earliest| earliest.max(*paid));
        // A wait beyond all reckoning is one for ever; a day is as good.
        *paid = start.checked_add(cost).unwrap_or(now + Duration::from_secs(86_400));
    }

    fn debt(&self) -> Option<Instant> {
        self.limit?;
        let paid = *self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        (paid > Instant::now()).then_some(paid)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn rate(limit: u64) -> Arc<Rate> {
        Arc::new(Rate::new(NonZeroU64::new(limit)))
    }

    async fn transfer(rate: Arc<Rate>, pieces: usize, bytes: usize) {
        for _ in 0..pieces {
            rate.ready().await;
            rate.moved(bytes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_take_the_time_that_the_limit_says() {
        let (start, rate) = (Instant::now(), rate(1000));
        transfer(Arc::clone(&rate), 100, 100).await;
        rate.ready().await;
        let taken = start.elapsed();
        assert!(taken <= Duration::from_millis(10_010) && taken >= Duration::from_millis(9_900), "{taken:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn all_transfers_share_one_limit() {
        let (start, rate) = (Instant::now(), rate(1 << 20));
        let all: Vec<_> = (0..7).map(|_| tokio::spawn(transfer(Arc::clone(&rate), 32, 32 << 10))).collect();
        for one in all {
            one.await.unwrap();
        }
        rate.ready().await;
        let taken = start.elapsed().as_millis();
        assert!((6_900..=7_100).contains(&taken), "{taken} ms for 7 MiB");
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_moved_is_not_made_up_for() {
        let rate = rate(1000);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        transfer(Arc::clone(&rate), 2, 1000).await;
        rate.ready().await;
        assert!(start.elapsed() >= Duration::from_millis(1_900), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits_and_a_strange_one_does_no_harm() {
        let start = Instant::now();
        transfer(Arc::new(Rate::new(None)), 1000, usize::MAX).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        rate(u64::MAX).moved(usize::MAX);
        rate(1).moved(usize::MAX);
    }
}
