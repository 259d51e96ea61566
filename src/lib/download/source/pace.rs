//! Patience and politeness: how long to wait before the next try, and how fast to read.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::remote::Fault;

/// The shortest wait before a second try; it doubles from try to try.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that doubling leads to.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// What a server can ask for in all, beyond our own waits, before a file is given up.
const MAX_ASKED_WAITS: Duration = Duration::from_secs(900);

/// How failures in a row are retried.
#[derive(Clone, Copy, Debug)]
pub struct RetryConfig {
    /// Tries in a row that gain less than a kilobyte, after which an archive is given up. Default
    /// 8.
    pub tries: usize,
    /// The first wait; doubles each time, with jitter, up to a minute. Default 0.5 s.
    pub first_wait: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            tries: 8,
            first_wait: FIRST_WAIT,
        }
    }
}

/// The waits of one file: they start anew when something was gained.
#[derive(Debug)]
pub(crate) struct Patience {
    config: RetryConfig,
    waits: ExponentialBackoff,
    /// What the server has asked for since then, beyond these waits.
    asked: Duration,
}

impl Patience {
    /// Nothing has failed yet.
    #[must_use]
    pub(crate) fn new(config: RetryConfig) -> Self {
        Self {
            config,
            waits: Self::waits(config),
            asked: Duration::ZERO,
        }
    }

    fn waits(config: RetryConfig) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(config.first_wait)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(config.tries.saturating_sub(1))
            .with_jitter()
            .build()
    }

    /// Something worked.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.config);
    }

    /// How long to wait after this failure; `None` where it is time to give up. What the server
    /// asks for is honoured, up to a limit on all that it asks for.
    pub(crate) fn after(&mut self, fault: &Fault) -> Option<Duration> {
        if !fault.is_transient() {
            return None;
        }
        let wait = self.waits.next()?;
        let Fault::Status {
            retry_after: Some(asked),
            ..
        } = fault
        else {
            return Some(wait);
        };
        self.asked += asked.saturating_sub(wait);
        (self.asked <= MAX_ASKED_WAITS).then(|| wait.max(*asked))
    }
}

/// What all readers of a run share: the bytes that came over the wire, and how many may come in a
/// second.
#[derive(Debug)]
pub struct Meter {
    wire_bytes: AtomicU64,
    bytes_per_second: Option<u64>,
    next_free: Mutex<Instant>,
}

impl Meter {
    /// A meter with an optional limit for all readers together.
    #[must_use]
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            wire_bytes: AtomicU64::new(0),
            bytes_per_second,
            next_free: Mutex::new(Instant::now()),
        }
    }

    /// Bytes that came over the wire.
    #[must_use]
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes.load(Ordering::Relaxed)
    }

    /// Counts `bytes` and waits until they fit into the limit.
    pub fn pass(&self, bytes: u64) {
        self.wire_bytes.fetch_add(bytes, Ordering::Relaxed);
        std::thread::sleep(self.wait(bytes, Instant::now()));
    }

    /// How long a reader that received `bytes` at `now` has to wait.
    #[allow(clippy::cast_precision_loss)] // Bytes of one read over a rate: seconds, to microseconds.
    fn wait(&self, bytes: u64, now: Instant) -> Duration {
        let Some(rate) = self.bytes_per_second else {
            return Duration::ZERO;
        };
        let cost = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        // A poisoned lock means that another reader panicked; then nothing depends on politeness
        // any more.
        let Ok(mut next_free) = self.next_free.lock() else {
            return Duration::ZERO;
        };
        // Time that nobody used is lost: a limit has no memory of idle hours.
        *next_free = (*next_free).max(now) + cost;
        next_free.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(seconds: Option<u64>) -> Fault {
        Fault::Status {
            code: 503,
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    #[test]
    fn patience_ends_after_the_tries_and_returns_with_progress() {
        let mut patience = Patience::new(RetryConfig {
            tries: 3,
            ..RetryConfig::default()
        });
        assert!(patience.after(&busy(None)).is_some());
        assert!(patience.after(&busy(None)).is_some());
        assert!(patience.after(&busy(None)).is_none());
        patience.reset();
        assert!(patience.after(&busy(None)).is_some());
    }

    #[test]
    fn the_server_is_heard_and_a_lost_cause_is_not_tried_again() {
        let mut patience = Patience::new(RetryConfig::default());
        assert!(patience.after(&busy(Some(200))).unwrap() >= Duration::from_secs(200));
        let gone = Fault::Status {
            code: 404,
            retry_after: None,
        };
        assert!(patience.after(&gone).is_none());
    }

    #[test]
    fn a_server_that_asks_for_hours_is_given_up() {
        let mut patience = Patience::new(RetryConfig {
            tries: 1000,
            ..RetryConfig::default()
        });
        let mut waited = Duration::ZERO;
        while let Some(wait) = patience.after(&busy(Some(300))) {
            waited += wait;
        }
        assert!(waited < 2 * MAX_ASKED_WAITS, "{waited:?}");
        patience.reset();
        assert!(patience.after(&busy(Some(300))).is_some());
    }

    #[test]
    fn all_readers_share_one_rate_and_idle_time_is_lost() {
        let meter = Meter::new(Some(1000));
        let now = Instant::now() + Duration::from_secs(5);
        let wait = |bytes, after_s| meter.wait(bytes, now + Duration::from_secs(after_s));
        assert_eq!(wait(500, 0), Duration::from_millis(500));
        assert_eq!(wait(1500, 0), Duration::from_secs(2));
        assert_eq!(wait(1000, 2), Duration::from_secs(1));
        assert_eq!(wait(1000, 60), Duration::from_secs(1));
        assert_eq!(Meter::new(None).wait(u64::MAX, now), Duration::ZERO);
    }

    #[test]
    fn all_bytes_are_counted() {
        let meter = Meter::new(Some(1_000_000_000));
        meter.pass(10);
        meter.pass(5);
        assert_eq!(meter.wire_bytes(), 15);
    }
}
