//! Who is still there. A collective cannot tell a slow rank from a lost one, so each rank counts up a number of its own in the
//! store, and watches those of the others. There, too, a rank that fails says why, and the first that does is believed.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::c10d::Store;
use super::error::{Failure, Member};

/// Beats within the time after which silence means lost.
const BEATS_A_TIMEOUT: u32 = 10;
/// How many ranks have failed, and why the first of them did.
const FAILURES: &str = "failures";
const CAUSE: &str = "cause";

/// What ends a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// These are silent.
    Lost(Vec<Member>),
    /// One has said that it failed.
    Failed(Failure),
}

/// What the watching thread and the rank's own one share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    ended: bool,
    trouble: Option<Trouble>,
    /// Since when the store has been asked something that it has not answered.
    asked: Option<Instant>,
}

/// The thread that beats and watches.
#[derive(Debug)]
pub(super) struct Beat {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    timeout: Duration,
    /// Who serves the store.
    first: Member,
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
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                ended: false,
                trouble: None,
                asked: None,
            }),
            changed: Condvar::new(),
        });
        let first = Member {
            rank: 0,
            host: hosts[0].clone(),
        };
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
            timeout,
            first,
        })
    }

    /// What has been noticed so far.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let trouble = self.shared.lock().trouble.clone();
        let silent = || Trouble::Lost(vec![self.first.clone()]);
        trouble.or_else(|| self.is_unanswered().then(silent))
    }

    /// Whether the store says nothing any more, though it is connected, so that asking it would wait without an end: the host
    /// of the rank that serves it is gone, or that rank stands still.
    pub(super) fn is_unanswered(&self) -> bool {
        let state = self.shared.lock();
        let waits = |asked: Instant| asked.elapsed() >= self.timeout;
        state.trouble.is_none() && state.asked.is_some_and(waits)
    }

    /// The same, waited for at most so long.
    pub(super) fn wait_for_trouble(&self, time: Duration) -> Option<Trouble> {
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, time, |state| state.trouble.is_none());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.trouble()
    }
}

/// Tells the others why this rank ends; only the first to do so is heard.
pub(super) fn tell(store: &Store, failure: &Failure) {
    // Where the store is gone there is nobody to tell.
    if store.add(FAILURES, 1) == Ok(1)
        && let Ok(text) = serde_json::to_string(failure)
    {
        let _ = store.set(CAUSE, &text);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        if self.is_unanswered() {
            // The thread waits for an answer; it ends with the process.
            return;
        }
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
            // A thread that gets no processor for a while has asked nothing, so nobody is missed for it.
            self.shared.lock().asked = Some(Instant::now());
            let trouble = self.look(&mut pulses);
            let mut state = self.shared.lock();
            state.asked = None;
            if trouble.is_some() {
                state.trouble = trouble;
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

    /// Beats once, and looks whether a rank has failed or been silent for too long.
    fn look(&self, pulses: &mut [Pulse]) -> Option<Trouble> {
        let now = Instant::now();
        if self
            .store
            .add(FAILURES, 0)
            .is_ok_and(|failures| failures > 0)
        {
            // Who has failed says why at once, or is gone, too.
            let cause = self.store.get(CAUSE, self.timeout / 2).ok();
            let failure = cause.and_then(|text| serde_json::from_str(&text).ok());
            return failure.map(Trouble::Failed);
        }
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
                Err(_) => return Some(Trouble::Lost(vec![self.named(0)])),
            }
        }
        (!lost.is_empty()).then_some(Trouble::Lost(lost))
    }

    fn named(&self, rank: usize) -> Member {
        Member {
            rank,
            host: self.hosts[rank].clone(),
        }
    }
}

fn beat_key(rank: usize) -> String {
    format!("beat/{rank}")
}
