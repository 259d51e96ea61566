//! Why a run failed, and what can be done about it.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::clip::Split;
use crate::data::{DataError, first_clips};
use crate::exit::Exit;
use crate::hint::Hint;
use crate::lock::LockError;
use crate::metrics::MetricsError;
use crate::model::checkpoint::CheckpointError;
use crate::parquet_file::TableError;
use crate::run_record::{RunRecordError, listed};
use crate::shard::ShardError;
use crate::tables::AvailabilityError;

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
    /// There is no such device.
    #[error("there is no device cuda:{index}: libtorch sees {found} GPUs")]
    Device {
        /// The GPU that was asked for.
        index: usize,
        /// How many there are.
        found: i64,
    },
    /// bfloat16 on a processor that has no instructions for it.
    #[error(
        "bfloat16 would be slower than 32-bit floats here: this processor has neither avx512_bf16 nor amx_bf16"
    )]
    Bf16,
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
    #[error("CSV: {0}")]
    Csv(#[from] csv::Error),
    /// An image for `TensorBoard` could not be encoded.
    #[error("image: {0}")]
    Image(#[from] png::EncodingError),
    /// A method of unlearning needs clips that stay.
    #[error("task {task}: unlearning by {method} needs clips that stay, and none does")]
    NothingRetained {
        /// The method.
        method: &'static str,
        /// The task.
        task: usize,
    },
    /// There is no task.
    #[error("the availability table has no task")]
    NoTask,
    /// A task's list has no clip with frames.
    #[error("task {task}: no usable clip in the {split} list ({unusable} listed without frames)")]
    EmptyList {
        /// The task.
        task: i32,
        /// Whose list.
        split: Split,
        /// Clips that are listed.
        unusable: usize,
    },
    /// No clip of a list could be read.
    #[error("no clip of the list could be read")]
    NoReadableClip,
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
    /// The loss left the numbers.
    #[error("task {task}, epoch {epoch}: the loss is {loss}")]
    Diverged {
        /// The task.
        task: usize,
        /// The epoch within it.
        epoch: u32,
        /// What the loss was.
        loss: f64,
    },
    /// The run directory holds a run under other settings or data.
    #[error("{folder} holds another run: {}", listed(differences))]
    OtherRun {
        /// The run directory.
        folder: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// The run in the run directory began on another machine, or on other threads, instructions or
    /// libraries.
    #[error("{folder} was begun on another machine: {}", listed(differences))]
    OtherMachine {
        /// The run directory.
        folder: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// The run directory holds something that is no run.
    #[error("{folder} is not empty and holds no run")]
    NotARun {
        /// The folder.
        folder: PathBuf,
    },
}

/// The share of `clips` that `bad` ones are.
#[allow(clippy::cast_precision_loss)] // Numbers of clips.
pub(super) fn share(bad: usize, clips: usize) -> f64 {
    bad as f64 / clips.max(1) as f64
}

impl Hint for TrainError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Setting { .. } => Some("`incdec-train --help` lists every setting with its default".into()),
            Self::Device { .. } => Some("use --device cpu, or set up a GPU build: `make setup DEVICE=cuda`, then `make doctor`".into()),
            Self::Bf16 => Some("leave --precision bf16 out, or compute on a GPU with --device cuda:0".into()),
            Self::Artifact(e) => e.hint(),
            Self::Table(e) => e.hint(),
            Self::Availability(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Shard(e) => e.hint(),
            Self::Data(e) => e.hint(),
            Self::Checkpoint(e) => e.hint(),
            Self::Record(e) => e.hint(),
            Self::EmptyList { .. } => Some(
                "check that --shards is the folder these tasks were made for; `incdec-manifest` tells which clips have frames".into(),
            ),
            Self::TooManyBad { .. } | Self::NoReadableClip => Some(
                "`incdec-decode verify` lists damaged clips, `make decode` stores what is missing again".into(),
            ),
            Self::Vanished { .. } => Some("give the same command again: it begins with what is still there".into()),
            Self::Diverged { .. } => Some("lower the learning rates (--lr-first-task, --lr-backbone, --lr-head) or the penalty's weight".into()),
            Self::OtherRun { .. } => Some("choose another --out, or remove that folder to train it anew".into()),
            Self::OtherMachine { .. } => Some(
                "go on with that many --threads, that --device and those --instructions (avx2 is on every x86-64-v3 machine), or choose another --out to train it anew here".into(),
            ),
            Self::NotARun { .. } => Some("choose an empty or new folder for --out".into()),
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Setting { .. } => Exit::Usage,
            Self::Artifact(e) => e.exit(),
            Self::Table(e) => e.exit(),
            Self::Availability(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Shard(e) => e.exit(),
            Self::Data(e) => e.exit(),
            Self::Checkpoint(e) => e.exit(),
            Self::Record(e) => e.exit(),
            Self::NoTask
            | Self::EmptyList { .. }
            | Self::TooManyBad { .. }
            | Self::NoReadableClip => Exit::Hopeless,
            Self::Vanished { .. } => Exit::TryAgain,
            _ => Exit::Failed,
        }
    }
}
