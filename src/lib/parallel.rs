//! Work on several items at once, with the results in the order of the items.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Runs `work` on every item, on at most `threads` threads. The calling thread is one of them, so
/// where the system refuses further threads the work goes on with those there are. A panic in one
/// ends them all.
#[must_use]
pub fn each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    each_by(items, threads, work, |scope, worker| {
        Builder::new().spawn_scoped(scope, worker)
    })
}

/// As [`each`], for work that can fail: after a failure no further item is begun.
///
/// # Errors
/// Of the items that failed, the first one's error.
pub fn try_each<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let failed = AtomicBool::new(false);
    let results = each(items, threads, |item| {
        if failed.load(Ordering::Relaxed) {
            return None;
        }
        let result = work(item);
        failed.fetch_or(result.is_err(), Ordering::Relaxed);
        Some(result)
    });
    results.into_iter().flatten().collect()
}

/// What a thread does until no item is left.
type Worker<'a> = &'a (dyn Fn() + Sync);

/// How a thread is started.
type Spawn = for<'scope, 'env> fn(
    &'scope Scope<'scope, 'env>,
    Worker<'scope>,
) -> io::Result<ScopedJoinHandle<'scope, ()>>;

/// As [`each`], with threads that `spawn` starts.
fn each_by<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    spawn: Spawn,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while let Some((index, item)) = next_of(&next, items) {
            let result = work(item);
            // A poisoned lock means a panic elsewhere, which the scope passes on.
            if let Ok(mut results) = results.lock() {
                results.push((index, result));
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = threads.clamp(1, items.len().max(1));
        for others in 1..threads {
            if let Err(error) = spawn(scope, &worker) {
                tracing::warn!("no more than {others} of {threads} threads: {error}");
                break;
            }
        }
        worker();
    });
    let mut results = results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn next_of<'a, T>(next: &AtomicUsize, items: &'a [T]) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, items.get(index)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        let squares = each(&items, 7, |n| n * n);
        assert_eq!(squares, items.iter().map(|n| n * n).collect::<Vec<_>>());
        assert!(each(&[] as &[u8], 3, |n| *n).is_empty());
    }

    #[test]
    fn after_a_failure_nothing_new_is_begun_and_its_error_is_given() {
        let begun = AtomicUsize::new(0);
        let result = try_each(&[1, 2, 3, 4], 1, |n| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *n == 2 { Err("two") } else { Ok(*n) }
        });
        assert_eq!(result, Err("two"));
        assert_eq!(begun.into_inner(), 2);
        assert_eq!(try_each(&[1, 2], 3, |n| Ok::<_, ()>(n * 2)), Ok(vec![2, 4]));
    }

    #[test]
    fn refused_threads_cost_nothing_but_time() {
        let items: Vec<u64> = (0..100).collect();
        let doubled = each_by(
            &items,
            7,
            |n| n * 2,
            |_, _| Err(io::ErrorKind::WouldBlock.into()),
        );
        assert_eq!(doubled, items.iter().map(|n| n * 2).collect::<Vec<_>>());
    }
}
