//! Workers that decode in any order and a consumer that sees the results in order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam::channel::bounded;

use crate::panics::caught;

/// Results that may wait for an earlier one, beyond one per worker: while one works at a long clip the others go on with short
/// ones. Bounds the memory: a clip of raw frames takes 6 MB.
const SLACK: usize = 8;

/// Runs a piece of work for each of `sizes` on `jobs` workers, each made by `start` in its own thread, and hands the results to
/// `sink` in the order of their numbers. At most `jobs` + 8 results exist at a time. Work begins in the order of the numbers;
/// when the last pieces are at hand the largest of them goes first, so that no worker ends with a long one while the others
/// have nothing left. A worker's panic gives `panicked`'s result and a new worker. The first error of `sink` ends everything.
pub(super) fn in_order<T: Send, W: FnMut(usize) -> T, E>(
    sizes: &[i64],
    jobs: usize,
    start: impl Fn() -> W + Sync,
    panicked: impl Fn(String) -> T + Sync,
    mut sink: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let count = sizes.len();
    let window = jobs + SLACK;
    // A token goes out for each number that is open. Nothing panics under the lock.
    let (give, take) = bounded::<()>(window);
    let (put, get) = bounded::<(usize, T)>(window);
    let open = Mutex::new(VecDeque::<usize>::new());
    let numbers = || open.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (take, put, numbers, start, panicked) =
                (take.clone(), put.clone(), &numbers, &start, &panicked);
            scope.spawn(move || {
                let mut worker = start();
                for () in take {
                    let Some(number) = numbers().pop_front() else {
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
            });
        }
        drop((take, put));
        let mut waiting = BTreeMap::new();
        let mut given = 0;
        let mut due = 0;
        while due < count {
            // At most `window` numbers are out, so neither channel can block for ever.
            let more = count.min(due + window);
            if given < more {
                let mut open = numbers();
                open.extend(given..more);
                if more == count {
                    open.make_contiguous().sort_by_key(|&n| Reverse(sizes[n]));
                }
            }
            for _ in given..more {
                if give.send(()).is_err() {
                    return Ok(());
                }
            }
            given = more;
            let Ok((number, result)) = get.recv() else {
                return Ok(());
            };
            waiting.insert(number, result);
            while let Some(result) = waiting.remove(&due) {
                sink(due, result)?;
                due += 1;
            }
        }
        drop(give);
        Ok(())
    })
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
            |n, _| if n == 5 { Err("disk full") } else { Ok(()) },
        );
        assert_eq!(failed, Err("disk full"));
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
}
