//! A run directory looked at while another process writes it, or after: which task and epoch, how
//! good, how long still.
//!
//! Every file of a run is published whole, so what is read is whole, too. Nothing is written, and
//! nobody is kept waiting. Settings, progress and history are compared with their own hashes;
//! weights and predictions are not read (`incdec-report` compares those).

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::forecast::Pace;
use crate::artifact::ArtifactError;
use crate::clip::Split;
use crate::lock;
use crate::parquet_file;
use crate::run_record::{LOG_FILE, RunHead, RunProgress, RunRecordError, RunSummary};
use crate::tables::HistoryRow;

/// The end of the log that is looked at, in bytes: thousands of lines.
const LOG_TAIL_BYTES: u64 = 1 << 20;
/// The message of the log's lines about the pace.
const PACE: &str = "pace";

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All tasks are done.
    Complete,
    /// A process works in the directory.
    UnderWay,
    /// It is not complete and nobody works in it.
    Stopped,
}

/// What a run directory says of its run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The run directory.
    pub folder: PathBuf,
    /// What the run is doing.
    pub state: State,
    /// Who works in the directory, in its own words.
    pub holder: Option<String>,
    /// The run's id.
    pub run_id: String,
    /// How availability changes.
    pub scenario: String,
    /// How the model is updated.
    pub approach: String,
    /// Tasks of the run.
    pub tasks: usize,
    /// Tasks that are done.
    pub tasks_done: usize,
    /// The task that is under way or comes next; none in a complete run.
    pub task: Option<usize>,
    /// Epochs of that task that are over.
    pub epochs_done: u32,
    /// Most epochs of that task, or of each in a complete run.
    pub epochs: Option<u32>,
    /// The best epoch of that task so far, or of the last task of a complete run.
    pub best: Option<Best>,
    /// What is left, where the log tells.
    pub left: Option<Left>,
}

/// The best epoch of a task so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Best {
    /// The task.
    pub task: i32,
    /// The epoch.
    pub epoch: i32,
    /// Its mean average precision on the validation set.
    pub mean_ap: f64,
}

/// How fast a run was at its last epoch, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Left {
    /// Seconds left for the whole run, now or from the moment that it goes on.
    pub seconds: f64,
    /// Whether they are an upper bound, since tasks may end early.
    pub at_most: bool,
    /// Clips trained on in a second.
    pub clips_per_second: f64,
    /// The most memory of the host, in bytes.
    pub memory_bytes: Option<u64>,
}

impl Status {
    /// The status as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        // Its keys are texts and its values plain: nothing of it can be refused.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Looks at the run directory `folder`.
    ///
    /// # Errors
    /// When it holds no run, or a file that is read is not what the run wrote.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        let Some(head) = RunHead::read(folder)? else {
            return Err(TrainError::NoRun {
                folder: folder.to_owned(),
                holder: lock::holder(folder)?,
            });
        };
        let complete = RunSummary::read(folder)?.is_some();
        let done = RunProgress::read(folder)?.map_or(0, |progress| progress.tasks.len());
        let holder = lock::holder(folder)?;
        let state = match (complete, &holder) {
            (true, _) => State::Complete,
            (false, Some(_)) => State::UnderWay,
            (false, None) => State::Stopped,
        };
        let task = (!complete && done < head.tasks).then_some(done);
        let history = folder.join(HistoryRow::FILE);
        let history: Vec<HistoryRow> = if history.exists() {
            parquet_file::read(&history).map_err(RunRecordError::from)?
        } else {
            Vec::new()
        };
        let shown = task.unwrap_or(done.saturating_sub(1));
        let shown = i32::try_from(shown).unwrap_or(i32::MAX);
        Ok(Self {
            folder: folder.to_owned(),
            left: last_pace(folder, state)?.filter(|_| !complete),
            state,
            holder,
            run_id: head.id(),
            scenario: head.scenario.clone(),
            approach: setting(&head, "approach").unwrap_or_default(),
            tasks: head.tasks,
            tasks_done: done,
            task,
            epochs_done: task.map_or(0, |_| epochs(&history, shown)),
            epochs: most_epochs(&head, task),
            best: best(&history, shown),
        })
    }
}

fn setting(head: &RunHead, name: &str) -> Option<String> {
    let value = head.settings.get(name)?;
    value.as_str().map(str::to_owned)
}

/// Most epochs of `task`.
fn most_epochs(head: &RunHead, task: Option<usize>) -> Option<u32> {
    let setting = head.settings.get("epochs")?.as_u64()?;
    let setting = u32::try_from(setting).ok()?;
    Some(task.map_or(setting, |task| {
        head.extension.epochs_of(task, head.tasks, setting)
    }))
}

/// Epochs of `task` that are over.
fn epochs(history: &[HistoryRow], task: i32) -> u32 {
    let epochs = history.iter().filter(|row| row.task == task);
    let last = epochs.map(|row| row.epoch).max();
    last.map_or(0, |last| u32::try_from(last + 1).unwrap_or(0))
}

/// The epoch of `task` with the best figure; of equal ones the first.
fn best(history: &[HistoryRow], task: i32) -> Option<Best> {
    let figures = history
        .iter()
        .filter(|row| row.task == task && row.split == Split::Validation)
        .filter(|row| row.metric == "mean_ap");
    let figures = figures.filter_map(|row| Some((row.epoch, row.value?)));
    let best = figures.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(epoch, mean_ap)| Best {
        task,
        epoch,
        mean_ap,
    })
}

/// Writes the pace into the log, for [`Status::read`].
pub(super) fn log(task: usize, epoch: u32, pace: &Pace) {
    tracing::debug!(
        task,
        epoch,
        seconds_left = pace.seconds_left,
        at_most = pace.at_most,
        clips_per_second = pace.clips_per_second,
        memory_bytes = pace.memory_bytes,
        "{PACE}"
    );
}

/// A line of the log.
#[derive(Deserialize)]
struct Line {
    timestamp: String,
    fields: Fields,
}

/// What a line about the pace says.
#[derive(Deserialize)]
struct Fields {
    message: String,
    seconds_left: f64,
    at_most: bool,
    clips_per_second: f64,
    memory_bytes: Option<u64>,
}

/// The last pace in the log, as seen from now where the run goes on. What is no line about the pace
/// is passed over: other programs may write there, and the last line may be half written.
fn last_pace(folder: &Path, state: State) -> Result<Option<Left>, TrainError> {
    let path = folder.join(LOG_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let tail = tail(&path).map_err(ArtifactError::at("read", &path))?;
    let lines = tail.lines().rev();
    let mut lines = lines.filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let Some(line) = lines.find(|line| line.fields.message == PACE) else {
        return Ok(None);
    };
    let since = line.timestamp.parse::<Timestamp>().map_or(0.0, |then| {
        Timestamp::now().duration_since(then).as_secs_f64()
    });
    let passed = if state == State::UnderWay {
        since.max(0.0)
    } else {
        0.0
    };
    let fields = line.fields;
    Ok(Some(Left {
        seconds: (fields.seconds_left - passed).max(0.0),
        at_most: fields.at_most,
        clips_per_second: fields.clips_per_second,
        memory_bytes: fields.memory_bytes,
    }))
}

/// The end of a text file.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Complete => "complete",
            State::UnderWay => "under way",
            State::Stopped => "stopped; the same command goes on",
        };
        writeln!(
            f,
            "{}: {} {}, {state}",
            self.folder.display(),
            self.scenario,
            self.approach
        )?;
        if let Some(holder) = &self.holder {
            writeln!(f, "in use by {holder}")?;
        }
        writeln!(f, "tasks: {} of {} done", self.tasks_done, self.tasks)?;
        if let Some(task) = self.task {
            let most = self
                .epochs
                .map_or_else(|| "?".to_owned(), |n| n.to_string());
            writeln!(
                f,
                "task {task}: {} of at most {most} epochs done",
                self.epochs_done
            )?;
        }
        if let Some(best) = self.best {
            writeln!(
                f,
                "best of task {}: validation mAP {:.4} at epoch {}",
                best.task, best.mean_ap, best.epoch
            )?;
        }
        if let Some(left) = &self.left {
            let pace = Pace {
                seconds_left: left.seconds,
                at_most: left.at_most,
                clips_per_second: left.clips_per_second,
                memory_bytes: left.memory_bytes,
            };
            writeln!(f, "{pace}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn row(epoch: i32, value: f64) -> HistoryRow {
        HistoryRow {
            task: 1,
            epoch,
            split: Split::Validation,
            metric: "mean_ap".into(),
            value: Some(value),
        }
    }

    #[test]
    fn the_best_epoch_is_the_first_of_equals() {
        let history = [row(0, 0.5), row(1, 0.7), row(2, 0.7)];
        let found = best(&history, 1).unwrap();
        assert_eq!((found.epoch, found.mean_ap), (1, 0.7));
        assert_eq!(epochs(&history, 1), 3);
        assert_eq!((best(&history, 0), epochs(&history, 0)), (None, 0));
    }

    #[test]
    fn the_last_whole_line_about_the_pace_counts() {
        let folder = tempfile::tempdir().unwrap();
        let line = |seconds: f64| {
            format!(
                r#"{{"timestamp":"2026-01-01T00:00:00.123456Z","level":"DEBUG","fields":{{"message":"pace","seconds_left":{seconds},"at_most":true,"clips_per_second":2.5}}}}"#
            )
        };
        let text = format!("{}\n{}\nnoise\n{}", line(9.0), line(7.0), &line(5.0)[..40]);
        fs::write(folder.path().join(LOG_FILE), text).unwrap();
        let stopped = last_pace(folder.path(), State::Stopped).unwrap().unwrap();
        assert!((stopped.seconds - 7.0).abs() < 1e-9 && stopped.memory_bytes.is_none());
        // Long ago, for a run that goes on.
        let going = last_pace(folder.path(), State::UnderWay).unwrap().unwrap();
        assert!(going.seconds.abs() < 1e-9);
    }
}
