//! Re-reading everything that is stored.

use std::path::Path;

use super::DecodeError;
use crate::progress::{Progress, Unit};
use crate::shard::{IndexRow, Shards};

/// A stored clip that is not what the index says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
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
    pub damaged: Vec<Damage>,
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
        if let Err(reason) = check(&shards, row, shard, shard_row, &mut summary) {
            summary.damaged.push(Damage {
                clip_id: row.clip_id.clone(),
                shard: shard.to_owned(),
                shard_row,
                reason,
            });
        }
        progress.inc(1);
    }
    progress.finish();
    Ok(summary)
}

fn check(
    shards: &Shards,
    row: &IndexRow,
    shard: &str,
    shard_row: i64,
    summary: &mut VerifySummary,
) -> Result<(), String> {
    let clip = shards.clip(shard, shard_row).map_err(|e| e.to_string())?;
    if clip.clip_id != row.clip_id {
        return Err(format!("clip {} is stored in its place", clip.clip_id));
    }
    if Some(clip.blake3) != row.content.as_deref() {
        return Err("its hash is not the one that the index has".into());
    }
    if !clip.intact() {
        return Err("its bytes do not have their hash".into());
    }
    summary.frames += clip.len();
    summary.bytes += clip.frames().iter().map(|f| f.len()).sum::<usize>();
    Ok(())
}
