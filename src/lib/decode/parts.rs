//! A part of a decoding: what it was made from, and what may not happen beside it.
//!
//! A part writes into a folder of its own and reads the folder of shards that it will be merged
//! into. Its index is published twice: without rows, when the work begins, and when it is done.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::stored::{Access, read_index};
use crate::artifact::ArtifactError;
use crate::parquet_file::{self, Provenance, Table};
use crate::shard::{IndexRow, ShardError, parts_place, shard_files, write_index};

/// What a part is made from: what one run would be, and the index of the folder that it will be
/// merged into, where that has one of the same settings.
pub(super) fn made_from(
    out: &Path,
    settings: &Provenance,
    whole: &Provenance,
) -> Result<Provenance, ShardError> {
    let provenance = whole.clone();
    match read_index(out, Access::Read, settings)? {
        Some(_) => Ok(provenance.with_input(&out.join(IndexRow::FILE))?),
        None => Ok(provenance),
    }
}

/// Makes the folder one of a part that is made from this. What it holds of a part that was made
/// from something else goes: its shards may have numbers that now belong to other parts.
pub(super) fn claim(folder: &Path, made_from: &Provenance) -> Result<(), ShardError> {
    let index = folder.join(IndexRow::FILE);
    let found = parquet_file::provenance(&index, &IndexRow::FORMAT);
    if found.is_ok_and(|found| found == *made_from) {
        return Ok(());
    }
    let shards = shard_files(folder)?.into_values();
    let shards: Vec<PathBuf> = shards.map(|name| folder.join(name)).collect();
    if !shards.is_empty() {
        tracing::info!(
            "{} shards of this part go: they were made from other labels, settings or shards",
            shards.len()
        );
    }
    for path in std::iter::once(index).chain(shards) {
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(ArtifactError::at("remove", &path)(e).into());
            }
            _ => {}
        }
    }
    write_index(folder, &[], made_from)
}

/// Says of parts that a run does not look at.
pub(super) fn warn_of_unmerged(out: &Path) -> Result<(), ShardError> {
    let parts = parts_place(out).folders().map_err(ShardError::from)?;
    if let Some(first) = parts.first() {
        tracing::warn!(
            "{} parts that were never merged lie in {}; this run decodes for itself, and where it stores something they have to be run again",
            parts.len(),
            first.parent().unwrap_or(out).display()
        );
    }
    Ok(())
}
