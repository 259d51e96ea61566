//! Why there are no features.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::data::DataError;
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::lock::LockError;
use crate::model::checkpoint::CheckpointError;
use crate::model::device::DeviceError;
use crate::parquet_file::TableError;
use crate::shard::ShardError;
use crate::withdrawn::{ERASE_COMMAND, WithdrawnError};

/// Why there are no features.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeaturesError {
    /// A setting makes no sense.
    #[error("{flag}: {why}")]
    Setting {
        /// The flag.
        flag: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// What the checkpoint's header says cannot be understood.
    #[error("{path}: the settings in its header: {}", printable(reason))]
    Header {
        /// The file of weights.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// A clip's features are no numbers.
    #[error("clip {}: its features are no finite numbers", printable(clip))]
    NotFinite {
        /// The clip.
        clip: String,
    },
    /// No clip is stored.
    #[error("{shards}: no clip has frames")]
    NoClip {
        /// The folder of shards.
        shards: PathBuf,
    },
    /// The list of withdrawn clips is unusable.
    #[error(transparent)]
    Withdrawn(#[from] WithdrawnError),
    /// The shards still hold frames of withdrawn clips.
    #[error("{shards} still holds the frames of {clips} withdrawn clips")]
    WithdrawnStored {
        /// The folder of shards.
        shards: PathBuf,
        /// How many clips.
        clips: usize,
    },
    /// Another program writes beside the table.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The shards cannot be read.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// A clip cannot be loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The weights cannot be read, or do not fit.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There is no such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// libtorch refuses.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl Hint for FeaturesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Setting { .. } => {
                Some("`incdec-features --help` lists every flag with its default".into())
            }
            Self::Header { .. } => Some(
                "the weights were written by another version of this program, or are damaged: choose others".into(),
            ),
            Self::Torch(_) => None,
            Self::NotFinite { .. } => {
                Some("the weights are of a run that diverged, or damaged: choose others".into())
            }
            Self::NoClip { .. } => Some("`make decode` stores the clips' frames".into()),
            Self::Withdrawn(e) => e.hint(),
            Self::WithdrawnStored { .. } => {
                Some(format!("erase them first, with `{ERASE_COMMAND}`"))
            }
            Self::Lock(e) => e.hint(),
            Self::Shard(e) => e.hint(),
            Self::Data(e) => e.hint(),
            Self::Checkpoint(e) => e.hint(),
            Self::Device(e) => e.hint(),
            Self::Table(e) => e.hint(),
            Self::Artifact(e) => e.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Setting { .. } => Exit::Usage,
            Self::NoClip { .. } | Self::WithdrawnStored { .. } | Self::Torch(_) => Exit::Failed,
            Self::Header { .. } | Self::NotFinite { .. } => Exit::Hopeless,
            Self::Withdrawn(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Shard(e) => e.exit(),
            Self::Data(e) => e.exit(),
            Self::Checkpoint(e) => e.exit(),
            Self::Device(e) => e.exit(),
            Self::Table(e) => e.exit(),
            Self::Artifact(e) => e.exit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_and_a_header_that_make_no_sense_have_a_remedy() {
        let flag = FeaturesError::Setting {
            flag: "--workers",
            why: "9000, at most 64".into(),
        };
        assert!(flag.hint().unwrap().contains("--help"));
        let header = FeaturesError::Header {
            path: "weights.safetensors".into(),
            reason: "no JSON".into(),
        };
        assert!(header.hint().unwrap().contains("another version"));
    }
}
