//! Workers that decode in any order and a consumer that sees the results in order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::panics::caught;

/// Results that may wait for an earlier one, beyond one per worker: while one works at a long clip
/// the others go on with short ones. Bounds the memory: a clip of raw frames takes 6 MB.
const SLACK: usize = 8;

/// Why not every piece of work was done.
#[derive(Debug)]
pub(super) enum PoolError<E> {
    /// The system gave no thread for a worker.
    Thread(io::Error),
    /// The consumer has ended it.
    Sink(E),
}

/// Runs a piece of work for each of `sizes` on `jobs` workers, each made by `start` in its own
/// thread, and hands the results to `sink` in the order of their numbers. At most `jobs` + 8
/// results exist at a time. Work begins in the order of the numbers; when the last pieces are at
/// hand the largest of them goes first, so that no worker ends with a long one while the others
/// have nothing left. A worker's panic gives `panicked`'s result and a new worker. Where `again`
/// says so of a result, the piece is worked at once more, and while that lasts at no other. The
/// first error of `sink` ends everything.
pub(super) fn in_order<T: Send, W: FnMut(usize) -> T, E>(
    sizes: &[i64],
    jobs: usize,
    start: impl Fn() -> W + Sync,
    panicked: impl Fn(String) -> T + Sync,
    again: impl Fn(&T) -> bool,
    mut sink: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), PoolError<E>> {
    let window = jobs + SLACK;
    // A token goes out for each number that is open.
    let (give, take) = bounded::<()>(window);
    let (put, get) = bounded::<(usize, T)>(window);
    let open = Open::default();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (take, put) = (take.clone(), put.clone());
            let (open, start, panicked) = (&open, &start, &panicked);
            thread::Builder::new()
                .spawn_scoped(scope, move || work(&take, &put, open, start, panicked))
                .map_err(PoolError::Thread)?;
        }
        drop((take, put));
        let mut desk = Desk {
            sizes,
            window,
            open: &open,
            give,
            get,
            waiting: BTreeMap::new(),
            given: 0,
            due: 0,
        };
        while let Some((number, mut result)) = desk.next() {
            if again(&result) {
                let Some(second) = desk.alone(number) else {
                    break;
                };
                result = second;
            }
            sink(number, result).map_err(PoolError::Sink)?;
        }
        Ok(())
    })
}

/// The numbers that workers may take.
#[derive(Default)]
struct Open(Mutex<VecDeque<usize>>);

impl Open {
    fn numbers(&self) -> MutexGuard<'_, VecDeque<usize>> {
        // Nothing panics under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's thread.
fn work<T, W: FnMut(usize) -> T>(
    take: &Receiver<()>,
    put: &Sender<(usize, T)>,
    open: &Open,
    start: &impl Fn() -> W,
    panicked: &impl Fn(String) -> T,
) {
    let mut worker = start();
    for () in take {
        let Some(number) = open.numbers().pop_front() else {
            return;
        };
        let result = caught(|| worker(number)).unwrap_or_else(|message| {
            worker = start();
            panicked(message)
        });
        if put.send((number, result)).is_err() {
            return;
        }
    }
}

/// The consumer's side: gives numbers out and puts the results in order.
struct Desk<'a, T> {
    sizes: &'a [i64],
    window: usize,
    open: &'a Open,
    give: Sender<()>,
    get: Receiver<(usize, T)>,
    /// Results whose turn has not come.
    waiting: BTreeMap<usize, T>,
    /// How many numbers are out or back.
    given: usize,
    /// The number whose result comes next.
    due: usize,
}

impl<T> Desk<'_, T> {
    /// The next result in order; none after the last, or where the workers are gone.
    fn next(&mut self) -> Option<(usize, T)> {
        while self.due < self.sizes.len() {
            if let Some(result) = self.waiting.remove(&self.due) {
                self.due += 1;
                return Some((self.due - 1, result));
            }
            self.give_more()?;
            self.receive()?;
        }
        None
    }

    /// The result of a second try at `number`, after all that is under way has come back.
    fn alone(&mut self, number: usize) -> Option<T> {
        while self.due + self.waiting.len() < self.given {
            self.receive()?;
        }
        self.open.numbers().push_back(number);
        self.give.send(()).ok()?;
        self.get.recv().ok().map(|(_, result)| result)
    }

    /// At most `window` numbers are out, so neither channel can block for ever.
    fn give_more(&mut self) -> Option<()> {
        let count = self.sizes.len();
        let more = count.min(self.due + self.window);
        if self.given < more {
            let mut open = self.open.numbers();
            open.extend(self.given..more);
            if more == count {
                open.make_contiguous()
                    .sort_by_key(|&n| Reverse(self.sizes[n]));
            }
        }
        for _ in self.given..more {
            self.give.send(()).ok()?;
        }
        self.given = more;
        Some(())
    }

    fn receive(&mut self) -> Option<()> {
        let (number, result) = self.get.recv().ok()?;
        self.waiting.insert(number, result);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_whatever_the_workers_do_and_panics_cost_one_piece() {
        for jobs in 1..5 {
            let mut seen = Vec::new();
            let start = || {
                |n: usize| {
                    if n % 7 == 3 {
                        thread::sleep(std::time::Duration::from_millis(2));
                    }
                    assert!(n != 11, "bad piece");
                    n.to_string()
                }
            };
            in_order(
                &[1; 30],
                jobs,
                start,
                |m| m,
                |_| false,
                |n, r| {
                    seen.push((n, r));
                    Ok::<_, Infallible>(())
                },
            )
            .unwrap();
            assert_eq!(seen.len(), 30);
            assert!(seen.iter().enumerate().all(|(i, (n, _))| i == *n));
            assert_eq!(seen[10].1, "10");
            assert_eq!(seen[11].1, "bad piece");
        }
    }

    #[test]
    fn no_more_than_the_window_is_in_the_air_and_an_error_ends_it() {
        let started = AtomicUsize::new(0);
        let start = || {
            |n: usize| {
                started.fetch_add(1, Ordering::SeqCst);
                n
            }
        };
        let failed = in_order(
            &[1; 1000],
            2,
            start,
            |_| 0,
            |_| false,
            |n, _| if n == 5 { Err("disk full") } else { Ok(()) },
        );
        assert!(matches!(failed, Err(PoolError::Sink("disk full"))));
        assert!(started.load(Ordering::SeqCst) <= 5 + 2 + SLACK + 1);
    }

    #[test]
    fn the_largest_of_the_last_pieces_goes_first_and_results_keep_their_order() {
        for (sizes, expected) in [
            (vec![1, 5, 3, 9], vec![3, 1, 2, 0]),
            // Nine are at hand at a time: the last is one of them when three are done.
            ((0..12).collect(), vec![0, 1, 2]),
        ] {
            let (taken, mut seen) = (Mutex::new(Vec::new()), Vec::new());
            let start = || {
                |n| {
                    taken.lock().unwrap().push(n);
                    n
                }
            };
            in_order(
                &sizes,
                1,
                start,
                |_| 0,
                |_| false,
                |n, r| {
                    seen.push((n, r));
                    Ok::<_, Infallible>(())
                },
            )
            .unwrap();
            assert!(taken.into_inner().unwrap().starts_with(&expected));
            assert!(seen.into_iter().eq((0..sizes.len()).map(|n| (n, n))));
        }
    }

    #[test]
    fn a_second_try_has_the_workers_to_itself_and_its_result_the_same_place() {
        let (busy, tries) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let start = || {
            |n: usize| {
                busy.fetch_add(1, Ordering::SeqCst);
                tries.fetch_add(1, Ordering::SeqCst);
                thread::sleep(std::time::Duration::from_millis(1));
                let alone = busy.load(Ordering::SeqCst) == 1;
                busy.fetch_sub(1, Ordering::SeqCst);
                (n, alone)
            }
        };
        let is_bad = |n: usize| n % 5 == 2;
        let mut seen = Vec::new();
        in_order(
            &[1; 30],
            4,
            start,
            |message| panic!("{message}"),
            |(n, _)| is_bad(*n),
            |n, result| {
                seen.push((n, result));
                Ok::<_, Infallible>(())
            },
        )
        .unwrap();
        assert!(
            seen.iter()
                .map(|(n, (m, _))| (*n, *m))
                .eq((0..30).map(|n| (n, n)))
        );
        assert!(
            seen.iter().all(|(n, (_, alone))| *alone || !is_bad(*n)),
            "{seen:?}"
        );
        assert_eq!(tries.into_inner(), 36);
    }
}
