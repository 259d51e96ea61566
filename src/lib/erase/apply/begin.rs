//! The beginning of a request: what is refused, and the row of the ledger that everything after it
//! goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::artifact::hash_file;
use crate::erase::EraseError;
use crate::erase::census::Census;
use crate::erase::config::{Archives, EraseConfig, said};
use crate::erase::held::{Action, HeldRow, Place, What};
use crate::erase::ids::Ids;
use crate::erase::ledger::{FileHashes, HeldAt, KnownByRun};
use crate::erase::now;
use crate::erase::plan::{ErasePlan, insist_on_search};
use crate::erase::runs::{Taints, files_of_run};
use crate::erase::search::{folder_hash, frames_hash};
use crate::erase::stores::Stores;
use crate::shard::Shard;
use crate::tables::{ErasureRow, IndexRow, LedgerRow};
use crate::withdrawn::WITHDRAWN_FILE;

use super::derived::feature_tables;
use super::shards::{has_index, store_has_index};
use super::tables::task_tables;

/// Refuses a request that means nothing, that a kept archive stands against, or that shards without
/// an index do.
pub(super) fn refuse(
    config: &EraseConfig,
    plan: &ErasePlan,
    stores: &Stores,
) -> Result<(), EraseError> {
    if plan.is_empty() {
        return Err(EraseError::Nothing {
            clips: plan.clips.len(),
        });
    }
    insist_on_search(&plan.unsearched)?;
    has_index(&config.places.shards)?;
    for store in stores.reached() {
        store_has_index(store)?;
    }
    let archives: BTreeSet<&String> = plan.in_archives().map(|row| &row.file).collect();
    if config.archives == Archives::Refuse
        && let Some(first) = archives.first()
    {
        return Err(EraseError::InArchives {
            archives: archives.len(),
            first: (*first).clone(),
        });
    }
    Ok(())
}

/// The row of the ledger as the work begins: everything that cannot be found out later stands in
/// it.
pub(super) fn row(
    config: &EraseConfig,
    plan: &ErasePlan,
    census: &Census,
    stores: &Stores,
) -> Result<ErasureRow, EraseError> {
    let mut sums: BTreeMap<&str, HeldAt> = BTreeMap::new();
    for row in plan.held.iter().filter(|row| row.action != Action::Keep) {
        let sum = sums.entry(row.place.name()).or_default();
        sum.things += 1;
        sum.bytes = sum.bytes.saturating_add(row.bytes);
    }
    let ids = Ids::new(plan.clips.clone());
    let mut erased = hashes_of(config, plan, &ids, stores)?;
    // A file that is gone may come back.
    for (clip, hashes) in census.sources.iter().filter(|(id, _)| ids.contains(id)) {
        let of_clip = erased.entry(clip.clone()).or_default();
        of_clip.extend(hashes.iter().cloned());
    }
    Ok(ErasureRow {
        number: 0,
        request: config.request.clone(),
        selector: said(&config.selectors),
        clips: serde_json::json!(plan.clips).to_string(),
        begun: now(),
        finished: None,
        places: serde_json::json!(sums).to_string(),
        files: serde_json::json!(files_before(config, plan, stores)?).to_string(),
        erased: serde_json::json!(erased).to_string(),
        runs: serde_json::json!(known_by_runs(config, plan, &ids)?).to_string(),
        left: "[]".to_owned(),
        archives: Some(config.archives.name().to_owned()),
        crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        previous: None,
        chain: None,
    })
}

/// What each run knows of the clips.
fn known_by_runs(
    config: &EraseConfig,
    plan: &ErasePlan,
    ids: &Ids,
) -> Result<BTreeMap<String, KnownByRun>, EraseError> {
    let places = &config.places;
    let mut runs = Taints::of(places, ids)?.by_run(places);
    for row in plan.held.iter().filter(|row| row.what == What::Prediction) {
        if let Some(run) = places.path_of(&row.file).parent() {
            runs.entry(places.name_of(run)).or_default().judged += 1;
        }
    }
    Ok(runs)
}

/// The hashes of all files that hold something, and of those that are written anew with them.
fn files_before(
    config: &EraseConfig,
    plan: &ErasePlan,
    stores: &Stores,
) -> Result<BTreeMap<String, FileHashes>, EraseError> {
    let places = &config.places;
    let held = plan.held.iter();
    let held = held.filter(|row| !matches!(row.action, Action::Keep | Action::Taint));
    let (in_stores, held): (Vec<&HeldRow>, Vec<&HeldRow>) =
        held.partition(|row| row.place == Place::Store);
    let held = held.into_iter();
    let mut names: BTreeSet<PathBuf> = held.map(|row| places.path_of(&row.file)).collect();
    names.extend([
        places.labels.join(WITHDRAWN_FILE),
        places.shards.join(IndexRow::FILE),
        places.manifest.clone(),
        places.data.join(LedgerRow::FILE),
    ]);
    names.extend(task_tables(places));
    names.extend(feature_tables(places));
    for run in crate::erase::runs::run_folders(places) {
        names.extend(files_of_run(&run));
    }
    let mut files = BTreeMap::new();
    let indexes = stores
        .reached()
        .map(|store| store.address_of(IndexRow::FILE));
    let in_stores = in_stores.into_iter().map(|row| row.file.clone());
    for address in in_stores.chain(indexes).collect::<BTreeSet<String>>() {
        let found = stores.of(&address);
        let before = found.map_or(Ok(None), |(store, file)| store.hash(file))?;
        let after = None;
        files.insert(address, FileHashes { before, after });
    }
    for path in names {
        let before = if path.is_file() {
            Some(hash_file(&path)?)
        } else if path.is_dir() {
            Some(folder_hash(&path)?)
        } else {
            None
        };
        let after = None;
        files.insert(places.name_of(&path), FileHashes { before, after });
    }
    Ok(files)
}

/// The hashes of what is to be erased, by clip: of files, of folders of frames, of stored frames.
fn hashes_of(
    config: &EraseConfig,
    plan: &ErasePlan,
    ids: &Ids,
    stores: &Stores,
) -> Result<BTreeMap<String, BTreeSet<String>>, EraseError> {
    let places = &config.places;
    let mut hashes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut shards: BTreeSet<PathBuf> = BTreeSet::new();
    let mut in_stores: BTreeSet<&String> = BTreeSet::new();
    for HeldRow {
        place,
        file,
        clip_id,
        what,
        ..
    } in &plan.held
    {
        if *place == Place::Store {
            if *what == What::StoredFrames {
                in_stores.insert(file);
            }
            continue;
        }
        let path = places.path_of(file);
        let hash = match what {
            // A link that leads nowhere.
            What::Video | What::Frames if !path.exists() => continue,
            What::Video if *place != Place::Archives => hash_file(&path)?,
            What::Frames => folder_hash(&path)?,
            What::StoredFrames => {
                shards.insert(path);
                continue;
            }
            _ => continue,
        };
        hashes.entry(clip_id.clone()).or_default().insert(hash);
    }
    for address in in_stores {
        for clip in stores.clips(address, |id| ids.contains(id))? {
            let hash = frames_hash(&clip);
            hashes.entry(clip.clip_id).or_default().insert(hash);
        }
    }
    for path in shards {
        let shard = Shard::open(&path)?;
        for row in 0..i64::try_from(shard.len()).unwrap_or(i64::MAX) {
            let clip = shard.clip(row)?;
            if ids.contains(&clip.clip_id) {
                let of_clip = hashes.entry(clip.clip_id.clone()).or_default();
                of_clip.insert(frames_hash(&clip));
            }
        }
    }
    Ok(hashes)
}
