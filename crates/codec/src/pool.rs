//! Workers that take jobs and give them back in order.
//!
//! Job number `i` goes to worker `i mod n`, and is taken back from there: so order needs no sorting, and a slow job
//! holds up nothing but its own results. At most [`DEPTH`] jobs a worker are under way. A worker that fails or
//! panics is an error of the next call, never a wait without end; dropping the pool ends and joins its threads.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::{Compression, Error};

/// Jobs a worker holds: one in hand, the others waiting, so that it need not wait for us.
const DEPTH: usize = 3;

pub(crate) struct Pool<J> {
    workers: Vec<Worker<J>>,
    format: Compression,
    submitted: u64,
    taken: u64,
}

struct Worker<J> {
    /// Nothing once the pool is being dropped, which is how the thread knows.
    jobs: Option<SyncSender<J>>,
    results: Receiver<Result<J, Error>>,
    thread: Option<JoinHandle<()>>,
}

impl<J: Send + 'static> Pool<J> {
    /// Starts the workers, each of which makes what it works with, and uses it again for each job.
    ///
    /// # Errors
    /// [`Error::Io`] when the system gives no thread.
    pub(crate) fn start<F, W>(threads: NonZeroUsize, format: Compression, make: F) -> Result<Self, Error>
    where
        F: Fn() -> W + Send + Sync + 'static,
        W: FnMut(&mut J) -> Result<(), Error>,
    {
        let make = Arc::new(make);
        let mut pool = Self { workers: Vec::new(), format, submitted: 0, taken: 0 };
        for _ in 0..threads.get() {
            pool.workers.push(Worker::start(Arc::clone(&make))?);
        }
        Ok(pool)
    }

    /// Whether a job must be taken back before another can be submitted.
    pub(crate) fn is_full(&self) -> bool {
        self.submitted - self.taken >= (self.workers.len() * DEPTH) as u64
    }

    /// Hands a job over. The pool must not be full.
    pub(crate) fn submit(&mut self, job: J) -> Result<(), Error> {
        let dead = self.dead();
        let worker = self.submitted as usize % self.workers.len();
        let jobs = self.workers[worker].jobs.as_ref();
        jobs.and_then(|jobs| jobs.send(job).ok()).ok_or(dead)?;
        self.submitted += 1;
        Ok(())
    }

    /// Waits for the oldest job under way; nothing when there is none.
    pub(crate) fn oldest(&mut self) -> Result<Option<J>, Error> {
        if self.taken == self.submitted {
            return Ok(None);
        }
        let worker = self.taken as usize % self.workers.len();
        let job = self.workers[worker].results.recv().map_err(|_| self.dead())??;
        self.taken += 1;
        Ok(Some(job))
    }

    fn dead(&self) -> Error {
        Error::Encoder { format: self.format, reason: "a worker died" }
    }
}

impl<J: Send + 'static> Worker<J> {
    fn start<F, W>(make: Arc<F>) -> Result<Self, Error>
    where
        F: Fn() -> W + Send + Sync + 'static,
        W: FnMut(&mut J) -> Result<(), Error>,
    {
        let (jobs, todo) = sync_channel::<J>(DEPTH);
        // As much room as jobs under way, so that a worker never waits for its results to be fetched.
        let (done, results) = sync_channel(DEPTH);
        let thread = std::thread::Builder::new().name("transship-codec".to_owned()).spawn(move || {
            let mut work = make();
            while let Ok(mut job) = todo.recv() {
                if done.send(work(&mut job).map(|()| job)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), results, thread: Some(thread) })
    }
}

impl<J> Drop for Pool<J> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.jobs = None;
        }
        for worker in &mut self.workers {
            // A panic was reported where it mattered; here there is nobody left to tell.
            let _ = worker.thread.take().map(JoinHandle::join);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn threads(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    #[test]
    fn jobs_come_back_in_the_order_they_went() {
        let double = |job: &mut u64| {
            *job *= 2;
            Ok(())
        };
        let mut pool = Pool::start(threads(3), Compression::Gzip, move || double).unwrap();
        let mut back = Vec::new();
        for job in 0..100 {
            if pool.is_full() {
                back.extend(pool.oldest().unwrap());
            }
            pool.submit(job).unwrap();
        }
        while let Some(job) = pool.oldest().unwrap() {
            back.push(job);
        }
        assert_eq!(back, (0..100).map(|job| job * 2).collect::<Vec<u64>>());
    }

    #[test]
    fn a_worker_that_panics_is_an_error_and_not_a_hang() {
        let mut pool =
            Pool::start(threads(2), Compression::Gzip, || |_: &mut u8| panic!("a fault made by the test"))
                .unwrap();
        pool.submit(1).unwrap();
        assert!(matches!(pool.oldest(), Err(Error::Encoder { reason: "a worker died", .. })));
        assert!(pool.oldest().is_err());
    }

    #[test]
    fn an_error_of_a_worker_is_the_error_of_its_job() {
        let failing = |job: &mut u8| match *job {
            1 => Err(Error::Limit { what: "test", limit: 1 }),
            _ => Ok(()),
        };
        let mut pool = Pool::start(threads(2), Compression::Gzip, move || failing).unwrap();
        for job in 0..3 {
            pool.submit(job).unwrap();
        }
        assert_eq!(pool.oldest().unwrap(), Some(0));
        assert!(matches!(pool.oldest(), Err(Error::Limit { .. })));
    }

    #[test]
    fn dropping_a_pool_waits_for_the_jobs_under_way() {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let mut pool = Pool::start(threads(2), Compression::Gzip, move || {
            let counted = Arc::clone(&counted);
            move |_: &mut u8| {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        })
        .unwrap();
        for job in 0..6 {
            pool.submit(job).unwrap();
        }
        drop(pool);
        assert_eq!(count.load(Ordering::SeqCst), 6);
        assert_eq!(Arc::strong_count(&count), 1, "the threads have let go of what they shared");
    }
}
