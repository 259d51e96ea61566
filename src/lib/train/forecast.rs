//! How long a run still takes at most, by what its epochs took so far.

use std::fmt;
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration};

use super::settings::{ApproachName, SchedulerName, Settings};
use super::task_sequence::TaskSequence;
use super::trouble::peak_bytes;

/// Seconds for clips.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    seconds: f64,
    clips: usize,
}

impl Rate {
    fn add(&mut self, seconds: f64, clips: usize) {
        self.seconds += seconds;
        self.clips += clips;
    }

    fn seconds_for(self, clips: usize) -> f64 {
        self.seconds * clips as f64 / self.clips.max(1) as f64
    }
}

/// Clips of a task: to train on, to validate, to test.
type Clips = [usize; 3];

/// Counts what epochs take and says what the others will.
#[derive(Clone, Debug)]
pub(super) struct Forecast {
    tasks: Vec<Clips>,
    /// Most epochs of each task.
    epochs: Vec<u32>,
    /// Whether a task may end before its last epoch.
    ends_early: bool,
    /// Whether the approach looks at the training list once more behind each task.
    looks_back: bool,
    trained: Rate,
    evaluated: Rate,
}

/// How fast a run is, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// Seconds left for the whole run.
    pub(super) seconds_left: f64,
    /// Whether they are an upper bound, since tasks may end early.
    pub(super) at_most: bool,
    /// Clips trained on in a second.
    pub(super) clips_per_second: f64,
    /// The most memory of the host so far, in bytes, where the system tells.
    pub(super) memory_bytes: Option<u64>,
}

impl Forecast {
    /// Nothing is known of the speed yet; `epochs` are the most of each task.
    pub(super) fn new(settings: &Settings, data: &TaskSequence, epochs: Vec<u32>) -> Self {
        let tasks = data.tasks.iter();
        let tasks = tasks.map(|task| [task.train.len(), task.validation.len(), task.test.len()]);
        Self {
            tasks: tasks.collect(),
            ends_early: settings.scheduler != SchedulerName::Fixed
                || epochs.iter().any(|&epochs| settings.early_stop < epochs),
            epochs,
            looks_back: settings.approach == ApproachName::Ewc,
            trained: Rate::default(),
            evaluated: Rate::default(),
        }
    }

    /// An epoch is over: `trained` and `evaluated` are its seconds and clips, `ends_task` says
    /// whether its task ends with it.
    pub(super) fn epoch_ended(
        &mut self,
        (task, epoch): (usize, u32),
        trained: (f64, usize),
        evaluated: (f64, usize),
        ends_task: bool,
    ) -> Pace {
        self.trained.add(trained.0, trained.1);
        self.evaluated.add(evaluated.0, evaluated.1);
        let epochs_left = if ends_task {
            0
        } else {
            self.epochs[task] - epoch - 1
        };
        let later = self.tasks.iter().zip(&self.epochs).skip(task + 1);
        let later: f64 = later
            .map(|(clips, epochs)| self.task(*clips, *epochs))
            .sum();
        Pace {
            seconds_left: self.task(self.tasks[task], epochs_left) + later,
            at_most: self.ends_early,
            clips_per_second: trained.1 as f64 / trained.0.max(1e-9),
            memory_bytes: peak_bytes(),
        }
    }

    /// Seconds of so many epochs of a task and of its end.
    fn task(&self, [train, validation, test]: Clips, epochs: u32) -> f64 {
        let epoch = self.trained.seconds_for(train) + self.evaluated.seconds_for(validation);
        let end = self.evaluated.seconds_for(validation + test);
        // Forward and backward through every clip once, as an epoch does.
        let look_back = if self.looks_back {
            self.trained.seconds_for(train)
        } else {
            0.0
        };
        f64::from(epochs) * epoch + end + look_back
    }
}

/// So many seconds for people, `at most 2 hours left`.
fn left(seconds: f64, at_most: bool) -> String {
    let bound = if at_most { "at most" } else { "about" };
    let duration = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    format!("{bound} {} left", HumanDuration(duration))
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} clips/s, ", self.clips_per_second)?;
        if let Some(bytes) = self.memory_bytes {
            write!(f, "{} of memory, ", HumanBytes(bytes))?;
        }
        f.write_str(&left(self.seconds_left, self.at_most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(ends_early: bool, looks_back: bool) -> Forecast {
        Forecast {
            tasks: vec![[100, 10, 10], [50, 10, 10]],
            epochs: vec![4, 4],
            ends_early,
            looks_back,
            trained: Rate::default(),
            evaluated: Rate::default(),
        }
    }

    #[test]
    fn all_epochs_of_all_tasks_are_counted_by_their_clips() {
        // A clip trained takes 0.1 s, one evaluated 0.05 s.
        let mut plain = forecast(false, false);
        let pace = plain.epoch_ended((0, 0), (10.0, 100), (0.5, 10), false);
        // Three epochs of 10.5 s and the end's 1 s, four of 5.5 s and its 1 s.
        assert!((pace.seconds_left - (31.5 + 1.0 + 22.0 + 1.0)).abs() < 1e-9);
        assert!((pace.clips_per_second - 10.0).abs() < 1e-9);
        assert!(
            pace.to_string().ends_with("about 56 seconds left"),
            "{pace}"
        );
        // A task that ends early leaves its other epochs out.
        let mut early = forecast(true, false);
        let pace = early.epoch_ended((0, 0), (10.0, 100), (0.5, 10), true);
        assert!((pace.seconds_left - (1.0 + 22.0 + 1.0)).abs() < 1e-9);
        assert!(pace.to_string().contains("at most 24 seconds left"));
        let mut back = forecast(false, true);
        let pace = back.epoch_ended((1, 3), (5.0, 50), (0.5, 10), true);
        assert!((pace.seconds_left - (1.0 + 5.0)).abs() < 1e-9);
    }
}
