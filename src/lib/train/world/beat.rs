//! Who is still there. A collective cannot tell a slow rank from a lost one, so each rank counts up a number of its own in the
//! store, and watches those of the others.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::c10d::Store;
use super::error::LostRank;

/// Beats within the time after which silence means lost.
const BEATS_A_TIMEOUT: u32 = 10;

/// What the watching thread and the rank's own one share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ended: bool,
    lost: Vec<LostRank>,
}

/// The thread that beats and watches.
#[derive(Debug)]
pub(super) struct Beat {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A rank's number in the store, and when it last moved.
struct Pulse {
    count: i64,
    moved: Instant,
}

impl Beat {
    /// Beats for `rank` over a connection of its own, and watches the others. `hosts` are those of all ranks; the store is rank
    /// 0's, so where it cannot be reached any more, that one is lost.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        store: Store,
        rank: usize,
        hosts: Vec<String>,
        timeout: Duration,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let watch = Watch {
            store,
            rank,
            hosts,
            timeout,
            shared: Arc::clone(&shared),
        };
        let thread = thread::Builder::new()
            .name("beat".into())
            .spawn(move || watch.run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// The ranks that are lost so far.
    pub(super) fn lost(&self) -> Vec<LostRank> {
        self.shared.lock().lost.clone()
    }

    /// The ranks that are lost, waited for at most so long.
    pub(super) fn wait_for_lost(&self, time: Duration) -> Vec<LostRank> {
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, time, |state| state.lost.is_empty());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.lost.clone()
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say: what it saw is shared.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is two plain values: a panic in between leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Watch {
    store: Store,
    rank: usize,
    hosts: Vec<String>,
    timeout: Duration,
    shared: Arc<Shared>,
}

impl Watch {
    fn run(self) {
        let now = Instant::now();
        let mut pulses: Vec<Pulse> = self
            .hosts
            .iter()
            .map(|_| Pulse {
                count: 0,
                moved: now,
            })
            .collect();
        loop {
            let lost = self.look(&mut pulses);
            let mut state = self.shared.lock();
            if !lost.is_empty() {
                state.lost = lost;
                self.shared.changed.notify_all();
                return;
            }
            if !state.ended {
                let pause = self.timeout / BEATS_A_TIMEOUT;
                let waited = self.shared.changed.wait_timeout(state, pause);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            }
            if state.ended {
                return;
            }
        }
    }

    /// Beats once and gives the ranks that have been silent for too long.
    fn look(&self, pulses: &mut [Pulse]) -> Vec<LostRank> {
        let now = Instant::now();
        let mut lost = Vec::new();
        for (rank, pulse) in pulses.iter_mut().enumerate() {
            let own = i64::from(rank == self.rank);
            match self.store.add(&beat_key(rank), own) {
                Ok(count) if count != pulse.count => {
                    *pulse = Pulse { count, moved: now };
                }
                Ok(_) if now - pulse.moved < self.timeout => {}
                Ok(_) => lost.push(self.named(rank)),
                // The store is gone, and with it the rank that serves it.
                Err(_) => return vec![self.named(0)],
            }
        }
        lost
    }

    fn named(&self, rank: usize) -> LostRank {
        LostRank {
            rank,
            host: self.hosts[rank].clone(),
        }
    }
}

fn beat_key(rank: usize) -> String {
    format!("beat/{rank}")
}
