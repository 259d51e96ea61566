//! Where a run's seconds go.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tch::Device;

use super::device::synchronize;

/// A part of the work that is timed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The loop stands still because no batch is ready.
    Waiting,
    /// Bytes become normalised floats on the device.
    Transfer,
    /// The model's and the teacher's forward pass, and the losses.
    Forward,
    /// Gradients.
    Backward,
    /// What all ranks have computed is put together.
    Gathering,
    /// The parameters' update.
    Optimizer,
    /// Forward passes over validation and test sets, with their metrics.
    Evaluation,
    /// What an approach does between tasks (Fisher information, teachers).
    Approach,
    /// A withdrawal is unlearned.
    Unlearning,
    /// Weights, tables and logs are published.
    Checkpoint,
}

impl Phase {
    /// All phases in the order in which they are listed.
    pub const ALL: [Self; 10] = [
        Self::Waiting,
        Self::Transfer,
        Self::Forward,
        Self::Backward,
        Self::Gathering,
        Self::Optimizer,
        Self::Evaluation,
        Self::Approach,
        Self::Unlearning,
        Self::Checkpoint,
    ];

    /// The phase's name in tables and on paper.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting for data",
            Self::Transfer => "host to device",
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Gathering => "gathering",
            Self::Optimizer => "optimizer",
            Self::Evaluation => "evaluation",
            Self::Approach => "between tasks",
            Self::Unlearning => "unlearning",
            Self::Checkpoint => "checkpoint",
        }
    }
}

/// A share of all seconds spent waiting above which loading is what bounds a run.
const WAITING_MUCH: f64 = 0.10;
/// A share of all seconds outside computing above which the loop itself is worth a look.
const ELSEWHERE_MUCH: f64 = 0.10;

/// Seconds by phase.
#[derive(Clone, Debug)]
pub struct Clock {
    device: Device,
    /// Whether the device is waited for at the end of each phase, so that its work counts where it
    /// was asked for.
    exact: bool,
    started: Instant,
    seconds: [f64; Phase::ALL.len()],
    last_lap: [f64; Phase::ALL.len()],
    lap_started: Instant,
}

impl Clock {
    /// A clock at zero. Work on a GPU runs on after the call that asks for it; `exact` waits for
    /// it, which costs speed.
    #[must_use]
    pub fn new(device: Device, exact: bool) -> Self {
        Self {
            device,
            exact,
            started: Instant::now(),
            seconds: [0.0; Phase::ALL.len()],
            last_lap: [0.0; Phase::ALL.len()],
            lap_started: Instant::now(),
        }
    }

    /// Does `work` and counts its time under `phase`.
    pub fn time<T>(&mut self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = work();
        if self.exact {
            synchronize(self.device);
        }
        self.seconds[phase as usize] += begun.elapsed().as_secs_f64();
        result
    }

    /// Counts time that was measured elsewhere.
    pub fn add(&mut self, phase: Phase, elapsed: Duration) {
        self.seconds[phase as usize] += elapsed.as_secs_f64();
    }

    /// Seconds of each phase since the last lap.
    pub fn lap(&mut self) -> [f64; Phase::ALL.len()] {
        let lap = self.since_last_lap();
        self.last_lap = self.seconds;
        self.lap_started = Instant::now();
        lap
    }

    fn since_last_lap(&self) -> [f64; Phase::ALL.len()] {
        std::array::from_fn(|i| self.seconds[i] - self.last_lap[i])
    }

    /// [`Clock::report`] of the time since the last lap.
    #[must_use]
    pub fn report_lap(&self) -> String {
        let total = self.lap_started.elapsed().as_secs_f64();
        report(&self.since_last_lap(), total)
    }

    /// A table of the phases, the rest, and in words what bounds the run.
    #[must_use]
    pub fn report(&self) -> String {
        report(&self.seconds, self.started.elapsed().as_secs_f64())
    }
}

fn report(seconds: &[f64; Phase::ALL.len()], total: f64) -> String {
    let share = |s: f64| s / total.max(1e-9);
    let mut text = format!("where {total:.1} s went:\n");
    let elsewhere = (total - seconds.iter().sum::<f64>()).max(0.0);
    let rows = Phase::ALL
        .iter()
        .map(|phase| (phase.name(), seconds[*phase as usize]));
    for (name, s) in rows.chain([("everything else", elsewhere)]) {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "  {name:<18} {s:>9.2} s {:>5.1} %", 100.0 * share(s));
    }
    let waiting = seconds[Phase::Waiting as usize];
    let computing: f64 = [
        Phase::Forward,
        Phase::Backward,
        Phase::Optimizer,
        Phase::Evaluation,
        Phase::Approach,
        Phase::Unlearning,
    ]
    .iter()
    .map(|phase| seconds[*phase as usize])
    .sum();
    let gathering = seconds[Phase::Gathering as usize];
    let outside = total - computing - waiting - gathering;
    text += &if share(waiting) > WAITING_MUCH {
        format!(
            "Loading bounds this run: {:.0} % of the time no batch was ready. More --workers help while there are idle cores.",
            100.0 * share(waiting)
        )
    } else if share(gathering) > ELSEWHERE_MUCH {
        format!(
            "The other processes bound this run: {:.0} % of the time goes to gathering what all have computed, waiting for the slowest included. Larger batches exchange less for each clip.",
            100.0 * share(gathering)
        )
    } else if share(outside) > ELSEWHERE_MUCH {
        format!(
            "Neither loading nor computing bounds this run: {:.0} % of the time goes to copies, checkpoints and the loop, as in very short epochs.",
            100.0 * share(outside)
        )
    } else {
        format!(
            "Computing bounds this run: {:.0} % of the time is the model's. Loading keeps up.",
            100.0 * share(computing)
        )
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_counted_under_their_phase() {
        let mut clock = Clock::new(Device::Cpu, false);
        assert_eq!(clock.time(Phase::Forward, || 7), 7);
        assert!(clock.seconds[Phase::Forward as usize] > 0.0);
        assert!(clock.seconds[Phase::Waiting as usize].abs() < 1e-12);
    }

    #[test]
    fn the_report_says_in_words_what_bounds_the_run() {
        let seconds = |waiting, backward| {
            let mut all = [0.0; Phase::ALL.len()];
            all[Phase::Waiting as usize] = waiting;
            all[Phase::Forward as usize] = 1.0;
            all[Phase::Backward as usize] = backward;
            all
        };
        assert!(report(&seconds(5.0, 4.0), 10.0).contains("Loading bounds this run: 50 %"));
        assert!(report(&seconds(0.1, 8.9), 10.0).contains("Computing bounds this run: 99 %"));
        let mut gathered = seconds(0.1, 5.0);
        gathered[Phase::Gathering as usize] = 3.0;
        assert!(report(&gathered, 10.0).contains("The other processes bound this run: 30 %"));
        let idle = report(&seconds(0.0, 1.0), 10.0);
        assert!(idle.contains("Neither loading nor computing"));
        assert!(
            idle.contains("everything else         8.00 s  80.0 %"),
            "{idle}"
        );
    }
}
