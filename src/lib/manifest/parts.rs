//! A part of the manifest's reading: every n-th shard is looked into, and what should not be there
//! is written down for the merge.
//!
//! Labels and index are read by every part, since they say what should be there, and are small beside
//! the shards. What a part has found is published when it is done, so that a file is a finished part.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::joined::Joined;
use super::stored::{astray, stored_shards};
use super::{ManifestConfig, ManifestError};
use crate::artifact;
use crate::lock::Wait;
use crate::parquet_file::{self, Provenance, Table, table_row};
use crate::part::{self, Part, PartsPlace};
use crate::shard::Shards;

/// What an error calls the holder of a lock.
const HOLDER: &str = "incdec-manifest";
/// The input of a part beside those of the manifest: which shard falls to which part depends on it.
const SHARDS: &str = "the list of shards";

table_row! {
    /// A row of `stored.parquet`, which a part leaves: a clip that lies in a shard and should not, or
    /// a shard that could not be looked into. Sorted by shard. No other clip is named, and the file
    /// goes with the part when it is merged, or when the clip is erased.
    pub struct StoredRow in "stored.parquet": "incdec.stored" version 1 by "make manifest" {
        /// The shard's file name.
        pub shard: String,
        /// The clip; none where the shard could not be read.
        pub clip_id: Option<String>,
    }
}

/// The place of the parts of the manifest at `manifest`: beside it.
#[must_use]
pub fn parts_place(manifest: &Path) -> PartsPlace {
    let beside = artifact::parent(manifest);
    // The folder of a manifest may be that of shards or of other stages, which have parts, too.
    let folder = beside.join("manifest-parts");
    PartsPlace::new(folder, beside.join(".incdec-merged-manifest-parts"))
}

/// What a part has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartSummary {
    /// The part.
    pub part: Part,
    /// The shards that fall to it.
    pub shards: usize,
    /// Those of them that could not be looked into.
    pub passed_over: usize,
    /// Stored rows that should not be there.
    pub astray: usize,
    /// Whether nothing was to be done.
    pub up_to_date: bool,
}

impl fmt::Display for PartSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            shards,
            passed_over,
            astray,
            up_to_date,
        } = self;
        write!(
            f,
            "part {part}: {shards} shards, {passed_over} of them not readable; {astray} stored rows of clips that should not be there"
        )?;
        if *up_to_date {
            f.write_str("; nothing to do, it was done before")?;
        }
        Ok(())
    }
}

/// What all parts read, and divide.
pub(super) struct Reading {
    pub(super) joined: Joined,
    /// What a part is made from: what the manifest is, and the list of shards.
    pub(super) made_from: Provenance,
    shards: Shards,
    /// The shards that lie there, sorted.
    stored: Vec<String>,
}

impl Reading {
    /// Reads labels and index, and lists the shards.
    ///
    /// # Errors
    /// As [`run`](super::run()).
    pub(super) fn begin(config: &ManifestConfig) -> Result<Self, ManifestError> {
        let joined = Joined::read(config)?;
        let shards = Shards::at_without_sizes(&config.shards)?;
        let stored = stored_shards(&shards)?;
        let mut names = blake3::Hasher::new();
        for name in &stored {
            names.update(name.as_bytes()).update(b"\n");
        }
        let mut made_from = joined.made_from.clone();
        let names = names.finalize().to_hex().to_string();
        made_from.inputs.insert(SHARDS.to_owned(), names);
        Ok(Self {
            joined,
            made_from,
            shards,
            stored,
        })
    }

    /// Looks into the shards that fall to a part.
    fn look(&self, own: &[String]) -> Result<Vec<StoredRow>, ManifestError> {
        let strays = self.shards.strays_in(own)?;
        let found = astray(&self.joined.labels, strays.found).into_iter();
        let found = found.map(|stray| StoredRow {
            shard: stray.shard,
            clip_id: Some(stray.clip_id),
        });
        let passed_over = strays.passed_over.into_iter().map(|shard| StoredRow {
            shard,
            clip_id: None,
        });
        let mut rows: Vec<StoredRow> = found.chain(passed_over).collect();
        rows.sort_by(|a, b| a.shard.cmp(&b.shard));
        Ok(rows)
    }
}

/// Looks into every n-th shard, and leaves what should not be there in a folder of its own beside the
/// manifest, for [`merge`](super::merge()). Where that was done before nothing is done, unless a shard
/// could not be read then.
///
/// # Errors
/// When another program works on this part or beside the manifest, and as [`run`](super::run()).
pub fn run_part(
    config: &ManifestConfig,
    part: Part,
    wait: Wait,
) -> Result<PartSummary, ManifestError> {
    let folder = parts_place(&config.out).of(part);
    let beside = artifact::parent(&config.out);
    let _lock = part::enter(&folder, HOLDER, wait, &[beside])?;
    artifact::sweep(&folder)?;
    let reading = Reading::begin(config)?;
    let numbered = reading.stored.iter().enumerate();
    let own = numbered.filter(|(number, _)| part.owns(*number));
    let own: Vec<String> = own.map(|(_, shard)| shard.clone()).collect();
    let file = folder.join(StoredRow::FILE);
    let done = done_before(&file, &reading.made_from);
    let up_to_date = done.is_some();
    let rows = match done {
        Some(rows) => rows,
        None => reading.look(&own)?,
    };
    if !up_to_date {
        parquet_file::write(&file, &rows, &reading.made_from)?;
    }
    let passed_over = rows.iter().filter(|row| row.clip_id.is_none()).count();
    Ok(PartSummary {
        part,
        shards: own.len(),
        passed_over,
        astray: rows.len() - passed_over,
        up_to_date,
    })
}

/// What a part has found that was made from this, where every shard of it could be read. A file that
/// is unusable or was made from something else counts as none, and is replaced.
fn done_before(file: &Path, made_from: &Provenance) -> Option<Vec<StoredRow>> {
    let found = parquet_file::provenance(file, &StoredRow::FORMAT).ok()?;
    let rows: Vec<StoredRow> = parquet_file::read(file).ok()?;
    let is_whole = rows.iter().all(|row| row.clip_id.is_some());
    (found == *made_from && is_whole).then_some(rows)
}
