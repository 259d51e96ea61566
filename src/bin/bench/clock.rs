//! The processor time that benchmarks state.

use rustix::time::{ClockId, clock_gettime};

/// Processor seconds of this process so far, user and system, all threads.
pub(crate) fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}
