//! Who is still there. A collective cannot tell a slow rank from a lost one, so each rank counts up a number of its own in the
//! store, and watches those of the others. There, too, a rank that fails says why, and the first that does is believed.
//!
//! Silence is counted in looks, not in seconds: a process that stands still (suspended with its job, or with the whole
//! machine) does not look, so when all go on nobody is missed for the time between.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::c10d::Store;
use super::error::{Failure, Member};

/// Beats, and looks, within the time after which silence means lost.
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
    /// Since how many looks the store has been asked something that it has not answered; none where it has.
    asked: Option<u32>,
}

/// The thread that beats and watches, and the one that looks whether the store answers it.
#[derive(Debug)]
pub(super) struct Beat {
    shared: Arc<Shared>,
    watching: Option<JoinHandle<()>>,
    counting: Option<JoinHandle<()>>,
    /// Who serves the store.
    first: Member,
}

/// A rank's number in the store, and since how many looks it has not moved.
#[derive(Clone, Copy, Default)]
struct Pulse {
    count: i64,
    silent: u32,
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
        let named = |name: &str| thread::Builder::new().name(name.into());
        let mut beat = Self {
            shared: Arc::clone(&shared),
            watching: None,
            counting: None,
            first,
        };
        let count = move || shared.count_unanswered(timeout / BEATS_A_TIMEOUT);
        beat.counting = Some(named("beat-answers").spawn(count)?);
        beat.watching = Some(named("beat").spawn(move || watch.run())?);
        Ok(beat)
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
        state.trouble.is_none() && state.asked.is_some_and(|looks| looks >= BEATS_A_TIMEOUT)
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
            self.watching = None;
        }
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        for thread in [self.watching.take(), self.counting.take()] {
            // It has nothing to say: what it saw is shared.
            let _ = thread.map(JoinHandle::join);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is two plain values: a panic in between leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for news or until it is time to look again; says whether it is that.
    fn pause<'a>(
        &self,
        state: MutexGuard<'a, State>,
        time: Duration,
    ) -> (MutexGuard<'a, State>, bool) {
        let waited = self.changed.wait_timeout(state, time);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        (state, waited.timed_out())
    }

    /// Counts the looks at a store that does not answer, until the end.
    fn count_unanswered(&self, every: Duration) {
        let mut state = self.lock();
        while !state.ended {
            let is_time;
            (state, is_time) = self.pause(state, every);
            if let Some(looks) = state.asked.as_mut().filter(|_| is_time) {
                *looks += 1;
            }
        }
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
        let mut pulses = vec![Pulse::default(); self.hosts.len()];
        loop {
            // A thread that gets no processor for a while has asked nothing, so nobody is missed for it.
            self.shared.lock().asked = Some(0);
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
                (state, _) = self.shared.pause(state, pause);
            }
            if state.ended {
                return;
            }
        }
    }

    /// Beats once, and looks whether a rank has failed or been silent for too long.
    fn look(&self, pulses: &mut [Pulse]) -> Option<Trouble> {
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
                Ok(count) if count != pulse.count => *pulse = Pulse { count, silent: 0 },
                Ok(_) if pulse.silent < BEATS_A_TIMEOUT => pulse.silent += 1,
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
