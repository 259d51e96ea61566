//! Why a run failed; `hint`: what can be done about it.

mod hint;

use std::io;
use std::path::PathBuf;

use indicatif::HumanBytes;

use crate::artifact::ArtifactError;
use crate::clip::Split;
use crate::data::{DataError, first_clips};
use crate::foreign::printable;
use crate::lock::LockError;
use crate::metrics::MetricsError;
use crate::model::checkpoint::CheckpointError;
use crate::model::device::DeviceError;
use crate::parquet_file::TableError;
use crate::progress::counted;
use crate::run_record::{Position, RunRecordError, listed, with_flags};
use crate::shard::ShardError;
use crate::signals::Signal;
use crate::tables::AvailabilityError;
use crate::unlearning::exact_head::ExactHeadError;
use crate::withdrawn::WithdrawnError;

use super::settings::ApproachName;
use super::trouble::{Divergence, Shortage};
use super::world::{Failed, Member, WorldError};

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting makes no sense.
    #[error("{flag}: {why}")]
    Setting {
        /// The flag.
        flag: &'static str,
        /// What it may be.
        why: String,
    },
    /// The device cannot be computed on.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A file could not be published or read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The availability table makes no sense.
    #[error(transparent)]
    Availability(#[from] AvailabilityError),
    /// A table could not be written or read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The shards cannot be opened.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// A batch cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Weights cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The run directory cannot be trusted, or not be read.
    #[error(transparent)]
    Record(#[from] RunRecordError),
    /// The model's answers cannot be judged.
    #[error("the model's answers cannot be judged: {0}")]
    Metrics(#[from] MetricsError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A text table of the seed's could not be written.
    #[error("{path}: CSV: {source}")]
    Csv {
        /// The table.
        path: PathBuf,
        /// What its writer said.
        source: csv::Error,
    },
    /// An image for `TensorBoard` could not be encoded.
    #[error("{path}: image: {source}")]
    Image {
        /// The event file.
        path: PathBuf,
        /// What the encoder said.
        source: png::EncodingError,
    },
    /// A method of unlearning needs clips that stay.
    #[error("task {task}: unlearning by {method} needs clips that stay, and none does")]
    NothingRetained {
        /// The method.
        method: &'static str,
        /// The task.
        task: usize,
    },
    /// Several processes were started for what one does.
    #[error("{flag}: {why}; that is for one process, and {started} were started")]
    OneProcess {
        /// The flag.
        flag: &'static str,
        /// What it does.
        why: String,
        /// The processes.
        started: usize,
    },
    /// The processes that train together are not together.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A clip has no feature that it could be judged by.
    #[error("{path}: clip {} {what}", printable(clip))]
    Feature {
        /// The feature table.
        path: PathBuf,
        /// The clip.
        clip: String,
        /// What is wrong.
        what: &'static str,
    },
    /// An exact head cannot change.
    #[error(transparent)]
    ExactHead(#[from] ExactHeadError),
    /// The sums of an exact head are not positive definite under any ridge.
    #[error("task {task}: no ridge makes the head's equations solvable")]
    NoRidge {
        /// The task.
        task: usize,
    },
    /// There is no task.
    #[error("{path}: no task has anything to train on")]
    NoTask {
        /// The availability table, or the run directory that holds it.
        path: PathBuf,
    },
    /// A task's list has no clip with frames.
    #[error("task {task}: no usable clip in the {split} list ({unusable} listed without frames)")]
    EmptyList {
        /// The task.
        task: usize,
        /// Whose list.
        split: Split,
        /// Clips that are listed.
        unusable: usize,
    },
    /// No clip of a list could be read.
    #[error("task {task}: none of {} in the {split} list could be read", counted(*listed, "clip"))]
    NoReadableClip {
        /// The task.
        task: usize,
        /// Whose list.
        split: Split,
        /// Clips of the list.
        listed: usize,
    },
    /// None of the clips could be read that a Fisher information is estimated over.
    #[error("task {task}: no clip could be read that EWC's Fisher information is estimated over")]
    NothingObserved {
        /// The task.
        task: usize,
    },
    /// More clips of a list cannot be read than the settings allow.
    #[error(
        "{} of the {listed} clips of a list cannot be read, a share of {:.4}; --max-bad allows {max_bad}: {}",
        clips.len(),
        share(clips.len(), *listed),
        first_clips(clips)
    )]
    TooManyBad {
        /// The clips that cannot be read.
        clips: Vec<String>,
        /// Clips of the list.
        listed: usize,
        /// The share of them that may be bad.
        max_bad: f64,
    },
    /// Another program works in the run directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file of the run directory has gone while the run was writing to it.
    #[error("{path} has gone while this run was at work: somebody has removed it")]
    Vanished {
        /// The file or folder.
        path: PathBuf,
    },
    /// What lies beside the tensors of a checkpoint cannot be written.
    #[error("{path}: {source}")]
    Facts {
        /// The checkpoint.
        path: PathBuf,
        /// What the JSON writer said.
        source: serde_json::Error,
    },
    /// The system does not let signals be caught.
    #[error("signals cannot be caught: {0}")]
    Signals(#[source] io::Error),
    /// The run was asked to end.
    #[error("{}", stopped(*signal, position.as_ref(), *kept))]
    Stopped {
        /// By what.
        signal: Signal,
        /// In the midst of which task; none between tasks.
        position: Option<Position>,
        /// Whether everything so far is kept.
        kept: bool,
    },
    /// The loss left the numbers.
    #[error("task {task}, epoch {epoch}: {found}")]
    Diverged {
        /// The task.
        task: usize,
        /// The epoch within it.
        epoch: u32,
        /// What went before it.
        found: Box<Divergence>,
    },
    /// Memory is short.
    #[error("{0}")]
    Memory(Box<Shortage>),
    /// The disk has not the room that the run needs.
    #[error(
        "{folder}: this run needs about {} on the disk, {} of it weights, and {} are free",
        HumanBytes(*needed_bytes),
        HumanBytes(*weights_bytes),
        HumanBytes(*free_bytes)
    )]
    NoSpace {
        /// The run directory.
        folder: PathBuf,
        /// What the run is still to write.
        needed_bytes: u64,
        /// Of this, weights that stay.
        weights_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// A shard is no longer the file that it was when the run began.
    #[error(
        "{fault}; its shard {what} since this run began, and {} clips of the list lie in it: {}",
        clips.len(),
        first_clips(clips)
    )]
    ShardChanged {
        /// The clips of the list that lie in it.
        clips: Vec<String>,
        /// `has gone` or `has changed`.
        what: &'static str,
        /// How it was noticed; it names the shard.
        #[source]
        fault: Box<DataError>,
    },
    /// The run directory holds a run under other settings or data.
    #[error("{folder} holds another run: {}", listed(&with_flags(differences)))]
    OtherRun {
        /// The run directory.
        folder: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// The unfinished run in the run directory was begun by another version, whose results differ.
    #[error(
        "{folder} was begun under version {version} of run directories, this program trains under version {expected}: \
         the same settings draw other dropout there"
    )]
    OtherVersion {
        /// The run directory.
        folder: PathBuf,
        /// Its version.
        version: u32,
        /// The version that this program writes.
        expected: u32,
    },
    /// The run in the run directory began on another machine, or on other threads, instructions or
    /// libraries.
    #[error("{folder} was begun on another machine: {}", listed(&with_flags(differences)))]
    OtherMachine {
        /// The run directory.
        folder: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// The list of withdrawn clips is unusable.
    #[error(transparent)]
    Withdrawn(#[from] WithdrawnError),
    /// The shards still hold frames of withdrawn clips.
    #[error(
        "{folder} still holds the frames of {}{}",
        counted(*clips, "withdrawn clip"),
        first_of(first.as_ref())
    )]
    WithdrawnStored {
        /// The folder of shards.
        folder: PathBuf,
        /// How many clips.
        clips: usize,
        /// The first of them, where logs may name it.
        first: Option<String>,
    },
    /// The run saw clips that have been withdrawn since.
    #[error(
        "{folder} saw {} of those that have been withdrawn since, from task {task} on{}",
        counted(*clips, "clip"),
        first_of(first.as_ref())
    )]
    Tainted {
        /// The run directory.
        folder: PathBuf,
        /// How its model is updated.
        approach: ApproachName,
        /// How many clips.
        clips: usize,
        /// The clip that it saw first, where logs may name it.
        first: Option<String>,
        /// The task that saw it, from 0.
        task: usize,
    },
    /// The weights that a run begins with come from a run that saw clips that have been withdrawn since.
    #[error(
        "{path}: the weights come from a run that saw {} of those that have been withdrawn since{}",
        counted(*clips, "clip"),
        first_of(first.as_ref())
    )]
    TaintedStart {
        /// The file of weights, or of features.
        path: PathBuf,
        /// How many clips.
        clips: usize,
        /// The clip that it saw first, where logs may name it.
        first: Option<String>,
    },
    /// A run cannot be taken over: its lists are others, not only without the withdrawn clips.
    #[error("{folder} cannot be taken over: {why}")]
    NotTakenOver {
        /// The run directory.
        folder: PathBuf,
        /// Why not.
        why: String,
    },
    /// The run in the run directory cannot go beyond what it was begun for.
    #[error("{folder} cannot be extended by {flag}: {why}")]
    CannotExtend {
        /// The run directory.
        folder: PathBuf,
        /// The flag that asks for it.
        flag: &'static str,
        /// Why not.
        why: String,
    },
    /// There is no run in the folder.
    #[error("{folder} holds no run: it has no settings.json{}", in_use(holder.as_ref()))]
    NoRun {
        /// The folder.
        folder: PathBuf,
        /// Who works in it and may write one, in its own words.
        holder: Option<String>,
    },
    /// The run directory holds something that is no run.
    #[error("{folder} is not empty and holds no run")]
    NotARun {
        /// The folder.
        folder: PathBuf,
    },
}

/// Where a run has ended before its time, and what is kept of it.
fn stopped(signal: Signal, position: Option<&Position>, kept: bool) -> String {
    match position {
        None => format!("stopped by {signal} between tasks; everything so far is kept"),
        Some(position) if kept => {
            format!("stopped by {signal} in {position}; a checkpoint of it is kept")
        }
        Some(position) => format!(
            "stopped by {signal} in {position}; no checkpoint of it is kept, and task {} goes on from what was kept before",
            position.task
        ),
    }
}

/// `, the first of them a_000001_000011`; nothing where logs may not name it.
fn first_of(first: Option<&String>) -> String {
    first.map_or_else(String::new, |first| format!(", the first of them {first}"))
}

fn in_use(holder: Option<&String>) -> String {
    holder.map_or_else(String::new, |holder| {
        format!(" yet; it is in use by {holder}")
    })
}

/// The share of `clips` that `bad` ones are.
#[allow(clippy::cast_precision_loss)] // Numbers of clips.
pub(super) fn share(bad: usize, clips: usize) -> f64 {
    bad as f64 / clips.max(1) as f64
}

impl Failed for TrainError {
    fn lost(&self) -> Vec<Member> {
        match self {
            Self::World(error) => error.lost(),
            _ => Vec::new(),
        }
    }
}
