//! Merging: what all parts have found becomes the manifest that one run would have written.
//!
//! Labels and index are joined here; no shard is looked into. The manifest and what lies beside it
//! are published, then the parts are removed. The same command goes on wherever it was stopped.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::card::DATA_CARD_FILE;
use super::croissant::CROISSANT_FILE;
use super::parts::{Reading, StoredRow, parts_place};
use super::{ManifestConfig, ManifestError, ManifestSummary};
use crate::artifact;
use crate::foreign::printable;
use crate::lock::{Lock, Wait};
use crate::parquet_file::{self, Provenance, Table};
use crate::part::{self, Part, PartsError};
use crate::tables::ClipRow;

/// What an error calls the holder of a lock.
const HOLDER: &str = "incdec-manifest merge";

/// What merging came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergeSummary {
    /// How many parts were merged; none where that was done before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<u32>,
    /// Whether nothing was to be done.
    pub up_to_date: bool,
    /// What is in the manifest, where it was written now. The parts, which know what lies in the
    /// shards, are gone afterwards.
    #[serde(flatten)]
    pub manifest: Option<ManifestSummary>,
}

impl fmt::Display for MergeSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.manifest, self.merged) {
            (Some(manifest), Some(parts)) => write!(f, "{manifest}\n{parts} parts merged"),
            _ => f.write_str(
                "nothing to do: the manifest is of these labels and this index, and no part waits beside it",
            ),
        }
    }
}

/// Makes the manifest of all parts, as one run would have written it. Where that was done before,
/// nothing is changed.
///
/// # Errors
/// When a part is missing, not done, or made from something else than the others or than what is
/// there now, when another program works on a part or beside the manifest, and as
/// [`run`](super::run()).
pub fn merge(
    config: &ManifestConfig,
    parts: u32,
    wait: Wait,
) -> Result<MergeSummary, ManifestError> {
    let beside = artifact::parent(&config.out);
    let place = parts_place(&config.out);
    let nothing = || PartsError::NoParts {
        folder: place.folder().to_owned(),
        parts,
    };
    if !beside.is_dir() {
        return Err(nothing().into());
    }
    let _lock = Lock::folder(beside, HOLDER, wait)?;
    artifact::sweep(beside)?;
    place.remove_merged()?;
    let found = part::gather(place.folder(), parts)?;
    let done = found
        .into_iter()
        .map(|part| read_part(part, &place.of(part), wait))
        .collect::<Result<Vec<Done>, _>>()?;
    let all = done.iter().map(|done| (done.part, &done.made_from));
    let alike = part::alike(all)?;
    let reading = Reading::begin(config)?;
    let Some(made_from) = alike else {
        return if is_published(&config.out, &reading.joined.made_from) {
            Ok(MergeSummary {
                merged: None,
                up_to_date: true,
                manifest: None,
            })
        } else {
            Err(nothing().into())
        };
    };
    part::unchanged(made_from, &reading.made_from)?;
    let mut astray = BTreeSet::new();
    for StoredRow { shard, clip_id } in done.into_iter().flat_map(|done| done.rows) {
        if let Some(id) = clip_id {
            astray.insert(id);
        } else {
            tracing::warn!("{} was not looked into by its part", printable(&shard));
        }
    }
    let manifest = reading.joined.publish(config, astray)?;
    place.set_aside()?;
    Ok(MergeSummary {
        merged: Some(parts),
        up_to_date: false,
        manifest: Some(manifest),
    })
}

/// What a part has published.
struct Done {
    part: Part,
    rows: Vec<StoredRow>,
    made_from: Provenance,
}

fn read_part(part: Part, folder: &Path, wait: Wait) -> Result<Done, ManifestError> {
    // A part that begins from now on sees the lock of the folder of the manifest.
    drop(Lock::folder(folder, HOLDER, wait)?);
    let file = folder.join(StoredRow::FILE);
    if !file.exists() {
        return Err(PartsError::Unfinished { part }.into());
    }
    Ok(Done {
        part,
        made_from: parquet_file::provenance(&file, &StoredRow::FORMAT)?,
        rows: parquet_file::read(&file)?,
    })
}

/// Whether a manifest that was made from this lies there with what belongs beside it.
fn is_published(manifest: &Path, made_from: &Provenance) -> bool {
    let found = parquet_file::provenance(manifest, &ClipRow::FORMAT);
    let mut others = [CROISSANT_FILE, DATA_CARD_FILE].into_iter();
    found.is_ok_and(|found| found == *made_from)
        && others.all(|name| manifest.with_file_name(name).exists())
}
