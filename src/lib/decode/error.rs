//! Why the decode stage failed.

use std::io;
use std::path::PathBuf;

use super::pool::PoolError;
use super::summary::FailureCounts;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::labels::LabelsError;
use crate::lock::LockError;
use crate::part::PartsError;
use crate::shard::ShardError;

/// Why the decode stage failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The label tables are unusable.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// Shards cannot be written or read.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// Another program writes into the folder of shards.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A part cannot begin, or the parts cannot be merged.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// A setting makes no sense.
    #[error("{setting}: {reason}")]
    Setting {
        /// The flag.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder of clips cannot be listed.
    #[error("{path}: {source}")]
    Clips {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: walkdir::Error,
    },
    /// There is no folder of clips.
    #[error("{path}: there is no such folder of clips")]
    NoClips {
        /// The folder.
        path: PathBuf,
    },
    /// More clips failed than allowed. The index says of each why.
    #[error(
        "of {clips} labelled clips {} are missing, {} are damaged and {} were not decoded for reasons of this machine, which is more than the share {max_failed} that is allowed",
        failures.missing, failures.damaged, failures.not_decoded
    )]
    TooManyFailed {
        /// Labelled clips.
        clips: usize,
        /// Those without frames.
        failures: FailureCounts,
        /// The allowed share.
        max_failed: f64,
    },
    /// A shard that was written is no longer there.
    #[error("{path} is gone: it was removed while clips were decoded")]
    ShardGone {
        /// The shard's file.
        path: PathBuf,
    },
    /// The system gave no thread for a worker.
    #[error("a decoder thread cannot be started: {source}")]
    Thread {
        /// What it said.
        source: io::Error,
    },
    /// The system started no process for a worker.
    #[error("the decoder process {program} cannot be started: {source}")]
    Process {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A worker's process cannot go on.
    #[error("decode worker: {reason}")]
    Worker {
        /// What happened.
        reason: String,
    },
    /// Stored rows are damaged.
    #[error("{damaged} of {clips} stored clips are damaged")]
    Damaged {
        /// Damaged clips.
        damaged: usize,
        /// Clips that should have frames.
        clips: usize,
    },
    /// Files given to probe that cannot be decoded.
    #[error("{refused} of {files} files cannot be decoded")]
    Refused {
        /// Files without a frame.
        refused: usize,
        /// Files given.
        files: usize,
    },
}

impl From<PoolError<Self>> for DecodeError {
    fn from(error: PoolError<Self>) -> Self {
        match error {
            PoolError::Thread(source) => Self::Thread { source },
            PoolError::Sink(error) => error,
        }
    }
}

impl Hint for DecodeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Labels(e) => e.hint(),
            Self::Shard(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Parts(e) => e.hint(),
            Self::NoClips { .. } => Some(
                "name the folder of downloaded clips with --clips, or run `make download`".into(),
            ),
            Self::TooManyFailed {
                clips, failures, ..
            } => {
                let way = match self.exit() {
                    Exit::TryAgain => {
                        "run the same command again, with --retry (make decode RETRY=1) also for clips that took too long or too much, or raise --clip-seconds"
                    }
                    Exit::Hopeless => "get the damaged clips anew",
                    _ => "fetch the missing ones (make download)",
                };
                Some(format!(
                    "index.parquet says why of each clip; {way}, or accept the loss with --max-failed {} (make MAX_FAILED=...); what was decoded is kept",
                    share_above(failures.all(), *clips)
                ))
            }
            Self::ShardGone { .. } => {
                Some("run the same command again: it decodes what is missing".into())
            }
            Self::Thread { .. } | Self::Process { .. } => {
                Some("what was decoded is kept; run the same command with fewer --jobs".into())
            }
            Self::Damaged { .. } => {
                Some("remove the damaged shards and run the same decode command as before".into())
            }
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Labels(e) => e.exit(),
            Self::Shard(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Parts(e) => e.exit(),
            Self::TooManyFailed {
                clips,
                failures,
                max_failed,
            } => failures.exit(*clips, *max_failed),
            Self::Thread { source } | Self::Process { source, .. } => match source.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => Exit::TryAgain,
                _ => Exit::Failed,
            },
            _ => Exit::Failed,
        }
    }
}

/// A share with three digits that is not below `part / whole`.
#[allow(clippy::cast_precision_loss)] // Clip counts, far below 2^52.
fn share_above(part: usize, whole: usize) -> String {
    format!(
        "{:.3}",
        (part as f64 / whole.max(1) as f64 * 1000.0).ceil() / 1000.0
    )
}
