//! Work on several things at once, results in the order of the things.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Runs `work` on every item, at most `lanes` at a time: the calling thread is one of them, so where the system refuses
/// further threads the work goes on with those there are. A panic in one ends them all.
#[must_use]
pub fn each<T: Sync, R: Send>(items: &[T], lanes: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    each_by(items, lanes, work, |scope, lane| {
        Builder::new().spawn_scoped(scope, lane)
    })
}

/// What a thread does until no item is left.
type Lane<'a> = &'a (dyn Fn() + Sync);

/// How a thread is started.
type Spawn = for<'scope, 'env> fn(
    &'scope Scope<'scope, 'env>,
    Lane<'scope>,
) -> io::Result<ScopedJoinHandle<'scope, ()>>;

/// As [`each`], with threads that `spawn` starts.
fn each_by<T: Sync, R: Send>(
    items: &[T],
    lanes: usize,
    work: impl Fn(&T) -> R + Sync,
    spawn: Spawn,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let lane = || {
        while let Some((index, item)) = next_of(&next, items) {
            let result = work(item);
            // A poisoned lock means a panic elsewhere, which the scope passes on.
            if let Ok(mut results) = results.lock() {
                results.push((index, result));
            }
        }
    };
    std::thread::scope(|scope| {
        let lanes = lanes.clamp(1, items.len().max(1));
        for others in 1..lanes {
            if let Err(error) = spawn(scope, &lane) {
                tracing::warn!("no more than {others} of {lanes} threads: {error}");
                break;
            }
        }
        lane();
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
