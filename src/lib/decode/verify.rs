//! Re-reading everything that is stored.

use std::path::Path;

use super::DecodeError;
use crate::progress::{Progress, Unit};
use crate::shard::{ShardError, Shards};

/// A stored clip that is not what the index says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedClip {
    /// The clip.
    pub clip_id: String,
    /// Its shard.
    pub shard: String,
    /// Its row there.
    pub shard_row: i64,
    /// What is wrong.
    pub reason: String,
}

/// What verifying found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifySummary {
    /// Clips with frames that were read.
    pub clips: usize,
    /// Their frames.
    pub frames: usize,
    /// Bytes of frames.
    pub bytes: usize,
    /// The damaged ones.
    pub damaged: Vec<DamagedClip>,
}

/// Reads every stored clip and compares it with its own hash and with the index.
///
/// # Errors
/// When the index cannot be read. Damaged clips are in the summary.
pub fn verify(shards: &Path) -> Result<VerifySummary, DecodeError> {
    let shards = Shards::open(shards)?;
    let stored: Vec<_> = shards
        .index()
        .iter()
        .filter_map(|row| Some((row, row.shard.as_deref()?, row.shard_row?)))
        .collect();
    let progress = Progress::new("verifying", Some(stored.len() as u64), Unit::Count("clips"));
    let mut summary = VerifySummary::default();
    for (row, shard, shard_row) in stored {
        summary.clips += 1;
        match shards.checked_clip(shard, shard_row) {
            Ok(clip) => {
                summary.frames += clip.len();
                summary.bytes += clip.frames().iter().map(|f| f.len()).sum::<usize>();
            }
            Err(e) => summary.damaged.push(DamagedClip {
                clip_id: row.clip_id.clone(),
                shard: shard.to_owned(),
                shard_row,
                reason: match e {
                    ShardError::DamagedRow { reason, .. } => reason,
                    other => other.to_string(),
                },
            }),
        }
        progress.inc(1);
    }
    progress.finish();
    Ok(summary)
}
