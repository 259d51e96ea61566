//! What the readers of a run share: the source, the meter of its bytes, and how failures are
//! retried.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::pace::{Meter, Patience, RetryConfig};
use super::remote::{Remote, RemoteError};

/// Waits from this length on are shown.
const SHOWN_WAIT: Duration = Duration::from_secs(2);
/// How often a wait looks whether the run was cancelled.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// A source, as the readers of a run share it.
pub struct Client {
    /// Where the files are.
    pub remote: Box<dyn Remote>,
    /// What that is called: a URL or a folder, without secrets.
    pub source: String,
    /// Counts and limits bytes.
    pub meter: Meter,
    /// How often and when a failure is retried.
    pub retry: RetryConfig,
    /// The stall time.
    pub stall: Duration,
    cancelled: AtomicBool,
}

impl Client {
    /// A client of `remote`, which is called `source`, with an optional limit on the bytes a second of all its readers.
    #[must_use]
    pub fn new(
        remote: Box<dyn Remote>,
        source: String,
        stall: Duration,
        retry: RetryConfig,
        bytes_per_second: Option<u64>,
    ) -> Self {
        Self {
            remote,
            source,
            meter: Meter::new(bytes_per_second),
            retry,
            stall,
            cancelled: AtomicBool::new(false),
        }
    }

    /// Has every reader end in an error: the whole run is cancelled.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the run is cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Waits, unless the run is cancelled; says whether to go on.
    pub(crate) fn wait(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        while !self.is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(CANCEL_CHECK));
        }
        false
    }

    /// Logs a failure that will be retried, and waits; one that makes the user wait is shown, too.
    pub(crate) fn wait_after(&self, error: &RemoteError, wait: Duration) -> bool {
        let seconds = wait.as_secs_f64();
        if wait < SHOWN_WAIT {
            tracing::debug!("{error}; trying again in {seconds:.1} s");
        } else {
            tracing::warn!("{error}; trying again in {seconds:.0} s");
        }
        self.wait(wait)
    }

    /// Runs `attempt` until it works or patience ends.
    ///
    /// # Errors
    /// The last failure.
    pub fn patiently<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let mut patience = Patience::new(self.retry);
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match patience.after(&error.kind) {
                Some(wait) if self.wait_after(&error, wait) => {}
                _ => return Err(error),
            }
        }
    }
}
