//! An ordered, bounded queue of results that threads compute ahead.
//!
//! Job i belongs to worker i mod n, each worker has its own bounded channel, and the consumer takes job i from channel
//! i mod n. So results come in order without any sorting, and nobody runs further ahead than its channel allows.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use crossbeam::channel::{Receiver, bounded};

/// Why a job's result is not there.
#[derive(Debug)]
pub(super) enum Gone {
    /// The worker ended before it delivered.
    Worker,
    /// The system gave no thread for this worker.
    Spawn(usize, std::io::Error),
}

/// The consumer's end. Dropping it stops the workers at their next look at the stop flag and waits for them.
pub(super) struct Prefetch<T> {
    lanes: Vec<Receiver<Result<T, Gone>>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    jobs: Range<usize>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts `workers` threads (at least one) on the `jobs`, each at most `depth` finished results ahead (and one in hand).
    ///
    /// `worker` makes what a thread does for one job; it gets the flag that says to give up early.
    pub(super) fn start<W>(
        jobs: Range<usize>,
        workers: usize,
        depth: usize,
        worker: impl FnMut(Arc<AtomicBool>) -> W,
    ) -> Self
    where
        W: FnMut(usize) -> T + Send + 'static,
    {
        Self::start_in(Builder::new, jobs, workers, depth, worker)
    }

    /// The same in threads that `builder` makes.
    fn start_in<W>(
        builder: impl Fn() -> Builder,
        jobs: Range<usize>,
        workers: usize,
        depth: usize,
        mut worker: impl FnMut(Arc<AtomicBool>) -> W,
    ) -> Self
    where
        W: FnMut(usize) -> T + Send + 'static,
    {
        let workers = workers.clamp(1, jobs.len().max(1));
        let stop = Arc::new(AtomicBool::new(false));
        let mut prefetch = Self {
            lanes: Vec::with_capacity(workers),
            threads: Vec::with_capacity(workers),
            stop: Arc::clone(&stop),
            jobs: jobs.clone(),
        };
        for w in 0..workers {
            let (sender, receiver) = bounded(depth.max(1));
            prefetch.lanes.push(receiver);
            let failed = sender.clone();
            let mut work = worker(Arc::clone(&stop));
            let own = jobs.clone().filter(move |job| job % workers == w);
            let stopped = Arc::clone(&stop);
            let thread = builder().name(format!("load-{w}")).spawn(move || {
                for job in own {
                    // The consumer has gone away when sending fails: nobody wants the rest.
                    if stopped.load(Ordering::Relaxed) || sender.send(Ok(work(job))).is_err() {
                        return;
                    }
                }
            });
            match thread {
                Ok(thread) => prefetch.threads.push(thread),
                // The channel is new and takes at least one, so this neither blocks nor fails.
                Err(e) => drop(failed.try_send(Err(Gone::Spawn(w, e)))),
            }
        }
        prefetch
    }

    /// The next job's number and its result, or `None` after the last.
    pub(super) fn next(&mut self) -> Option<(usize, Result<T, Gone>)> {
        let job = self.jobs.next()?;
        let lane = &self.lanes[job % self.lanes.len()];
        Some((job, lane.recv().unwrap_or(Err(Gone::Worker))))
    }

    /// The jobs whose results have not been taken.
    pub(super) fn left(&self) -> Range<usize> {
        self.jobs.clone()
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Workers blocked on a full channel wake up when its receiver goes.
        self.lanes.clear();
        for thread in self.threads.drain(..) {
            // A panic has already been told: the worker's channel broke at its job.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn squares(jobs: Range<usize>, workers: usize, depth: usize) -> Prefetch<usize> {
        Prefetch::start(jobs, workers, depth, |_| |job| job * job)
    }

    #[test]
    fn results_come_in_order_for_any_number_of_workers_depth_and_start() {
        for workers in [1, 2, 5, 8, 50] {
            for depth in [1, 3] {
                for first in [0, 1, 7, 20] {
                    let mut queue = squares(first..20, workers, depth);
                    for job in first..20 {
                        assert_eq!(queue.left(), job..20);
                        let (number, value) = queue.next().unwrap();
                        assert_eq!((number, value.unwrap()), (job, job * job));
                    }
                    assert!(queue.next().is_none());
                }
            }
        }
    }

    #[test]
    fn a_worker_that_dies_is_told_at_its_own_jobs_and_the_others_go_on() {
        let mut queue = Prefetch::start(0..6, 2, 1, |_| {
            |job| {
                assert!(job != 3, "as the test wants it");
                job
            }
        });
        let mut told = Vec::new();
        while let Some((job, result)) = queue.next() {
            told.push((job, result.is_ok()));
        }
        assert_eq!(
            told,
            [
                (0, true),
                (1, true),
                (2, true),
                (3, false),
                (4, true),
                (5, false)
            ]
        );
    }

    #[test]
    fn a_system_that_gives_no_thread_is_told_at_once_and_nothing_hangs() {
        // More than any processor can address.
        let refused = || Builder::new().stack_size(1 << 60);
        let mut queue = Prefetch::start_in(refused, 0..6, 2, 1, |_| |job| job);
        for worker in 0..2 {
            let (job, result) = queue.next().unwrap();
            let Err(Gone::Spawn(who, _)) = result else {
                panic!("job {job}: {result:?}");
            };
            assert_eq!(who, worker);
        }
        // Who goes on all the same learns that nobody is there.
        assert!(matches!(queue.next(), Some((2, Err(Gone::Worker)))));
    }

    #[test]
    fn nobody_runs_further_ahead_than_the_queue_allows() {
        let done = Arc::new(AtomicUsize::new(0));
        let mut queue = Prefetch::start(0..1000, 2, 3, |_| {
            let done = Arc::clone(&done);
            move |job| {
                done.fetch_add(1, Ordering::SeqCst);
                job
            }
        });
        queue.next();
        for _ in 0..100 {
            std::thread::yield_now();
        }
        // Two workers with three results queued and one in hand each, and the one that was taken.
        assert!(done.load(Ordering::SeqCst) <= 2 * 4 + 1);
    }

    #[test]
    fn dropping_early_ends_workers_that_wait_on_a_full_queue() {
        for taken in 0..5 {
            let mut queue = squares(0..1000, 3, 1);
            for _ in 0..taken {
                queue.next();
            }
            drop(queue);
        }
    }
}
