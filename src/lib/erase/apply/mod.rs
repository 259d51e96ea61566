//! Erasing: the request is written down, then every place is written anew without the clips, then
//! the request is closed.
//!
//! Each step looks for itself what is left to do, and every file is published whole, so that the
//! same command goes on wherever it was stopped.

mod begin;
mod derived;
mod files;
mod runs;
mod shards;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use walkdir::WalkDir;

use super::EraseError;
use super::census::Census;
use super::config::{EraseConfig, said};
use super::held::{Action, HeldRow};
use super::ids::Ids;
use super::ledger::{FileHashes, KnownByRun, Ledger};
use super::plan::ErasePlan;
use super::runs::run_folders;
use super::search::{Depth, Erased, Search};
use super::stores::Stores;
use crate::artifact::{self, hash_file};
use crate::clip::ClipId;
use crate::download::ledger::parts_folder;
use crate::lock::Lock;
use crate::part;
use crate::progress::counted;
use crate::shard;
use crate::tables::ErasureRow;
use crate::withdrawn::{self, Withdrawal};

/// What an error calls the holder of the locks.
const HOLDER: &str = "incdec-erase";

/// What was erased. Its text is the command's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The row of the ledger.
    pub number: i64,
    /// The request.
    pub request: String,
    /// Clips.
    pub clips: usize,
    /// Files that were changed or are gone.
    pub files: usize,
    /// Runs that saw one of the clips.
    pub runs: usize,
    /// The newest value of the ledger's chain.
    pub chain: String,
    /// Whether it had been done before, and nothing was left to do.
    pub already: bool,
    /// What a person must do, as plan lists it.
    pub by_hand: Vec<String>,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            request,
            clips,
            files,
            runs,
            chain,
            ..
        } = self;
        if self.already {
            writeln!(
                f,
                "{request}: was done before, as row {number} of the ledger; nothing is left to do"
            )?;
        } else {
            writeln!(
                f,
                "{request}: {} erased, {} rewritten or deleted, row {number} of the ledger",
                counted(*clips, "clip"),
                counted(*files, "file")
            )?;
        }
        if *runs > 0 {
            writeln!(
                f,
                "{} with checkpoints that saw them: `incdec-erase plan --runs` lists them",
                counted(*runs, "run")
            )?;
        }
        for thing in &self.by_hand {
            writeln!(f, "left for a person: {thing}")?;
        }
        writeln!(f, "chain of the ledger: {chain}")?;
        writeln!(f, "see that nothing is left with `incdec-erase verify`")
    }
}

/// The locks of every place that is written.
struct Locks {
    shards: Option<Lock>,
    _others: Vec<Lock>,
}

impl Locks {
    fn take(config: &EraseConfig) -> Result<Self, EraseError> {
        let places = &config.places;
        let lock = |folder: &Path| Lock::folder(folder, HOLDER, config.wait);
        // The data folder first: two erasures meet there, and a download.
        let mut others = vec![lock(&places.data)?];
        let mut folders = run_folders(places);
        folders.extend(tables::task_folders(places));
        folders.extend(derived::derived_folders(places));
        folders.push(places.raw.clone());
        let mut locked = BTreeSet::from([canonical(&places.data)]);
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            if locked.insert(canonical(folder)) {
                others.push(lock(folder)?);
            }
        }
        let has_shards = places.shards.is_dir();
        let shards = has_shards.then(|| lock(&places.shards)).transpose()?;
        // A part that runs would go on with what it has read; one that begins from now on sees the locks above.
        for parts in [
            parts_folder(&places.raw),
            shard::parts_folder(&places.shards),
        ] {
            for part in part::folders(&parts)?.0 {
                drop(lock(&parts.join(part.folder_name()))?);
            }
        }
        Ok(Self {
            shards,
            _others: others,
        })
    }
}

fn canonical(folder: &Path) -> PathBuf {
    std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Erases the clips that the request means, or goes on where the same request was stopped.
///
/// # Errors
/// When nothing is known of the clips, another request was begun and not finished, a kept archive
/// holds one and is not to be deleted, another program works in one of the places, a file cannot be
/// read, or the disk refuses.
pub fn apply(config: &EraseConfig) -> Result<Applied, EraseError> {
    let places = &config.places;
    let locks = Locks::take(config)?;
    artifact::sweep(&places.data)?;
    let mut ledger = Ledger::read(&places.data)?;
    if let Some(problem) = ledger.broken() {
        return Err(EraseError::Chain { problem });
    }
    let stores = Stores::open(places);
    let row = match ledger.unfinished().cloned() {
        Some(row) if row.request == config.request && row.selector == said(&config.selectors) => {
            tracing::info!("going on with request {}, begun {}", row.request, row.begun);
            row
        }
        Some(row) => {
            return Err(EraseError::Unfinished {
                request: row.request,
                selector: row.selector,
            });
        }
        None => {
            let census = Census::take(places, &stores)?;
            let clips = census.select(&config.selectors)?;
            let plan = super::plan::plan_of(places, &stores, clips, &census)?;
            if let Some(done) = done_before(config, &ledger, &plan)? {
                return Ok(done);
            }
            begin::refuse(config, &plan)?;
            ledger.begin(begin::row(config, &plan, &stores)?)?
        }
    };
    Work {
        config,
        ids: Ids::new(ledger.json(&row, &row.clips)?),
        before: ledger.json(&row, &row.files)?,
        known: ledger.json(&row, &row.runs)?,
        row,
        locks,
    }
    .run(&mut ledger, &stores.insist()?)
}

/// The row of the same request of the same clips, where nothing is left to do.
fn done_before(
    config: &EraseConfig,
    ledger: &Ledger,
    plan: &ErasePlan,
) -> Result<Option<Applied>, EraseError> {
    if !plan.is_done() {
        return Ok(None);
    }
    for row in ledger.rows() {
        let clips: BTreeSet<String> = ledger.json(row, &row.clips)?;
        // What chose the clips may choose none any more: they are no longer there.
        let same = clips == plan.clips
            || (plan.clips.is_empty() && row.selector == said(&config.selectors));
        if row.request == config.request && same {
            return Ok(Some(Applied {
                number: row.number,
                request: row.request.clone(),
                clips: clips.len(),
                files: 0,
                runs: 0,
                chain: ledger.chain().unwrap_or_default().to_owned(),
                already: true,
                by_hand: Vec::new(),
            }));
        }
    }
    Ok(None)
}

/// A request that is being carried out.
struct Work<'a> {
    config: &'a EraseConfig,
    ids: Ids,
    row: ErasureRow,
    /// The files as they were when the work began.
    before: BTreeMap<String, FileHashes>,
    /// What each run knew of the clips then.
    known: BTreeMap<String, KnownByRun>,
    locks: Locks,
}

impl Work<'_> {
    fn run(self, ledger: &mut Ledger, stores: &Stores) -> Result<Applied, EraseError> {
        self.sweep()?;
        self.list()?;
        self.shards()?;
        self.stores(stores)?;
        self.manifest()?;
        self.tasks()?;
        let places = &self.config.places;
        // What lies there is another now.
        let stores = Stores::open(places).insist()?;
        let found = Search::everywhere(places, &stores, &self.ids, Depth::Names, &Erased::new())?;
        self.derived(&found.held)?;
        self.runs()?;
        self.downloads()?;
        self.files(&found.held)?;
        let by_hand = found.held.iter().filter(|row| row.action == Action::ByHand);
        let by_hand: Vec<&HeldRow> = by_hand.collect();
        self.close(ledger, &stores, &by_hand)
    }

    /// Removes what was being written when this was stopped: it may hold what is to be erased. The
    /// shards and the manifest are swept by those who write them.
    fn sweep(&self) -> Result<(), EraseError> {
        let places = &self.config.places;
        artifact::sweep(&places.labels)?;
        for folder in tables::task_folders(places) {
            artifact::sweep(&folder)?;
        }
        for folder in derived::derived_folders(places) {
            artifact::sweep(&folder)?;
        }
        for run in run_folders(places) {
            let folders = WalkDir::new(&run).into_iter().filter_map(Result::ok);
            for folder in folders.filter(|entry| entry.file_type().is_dir()) {
                artifact::sweep(folder.path())?;
            }
        }
        Ok(())
    }

    /// The list of withdrawn clips.
    fn list(&self) -> Result<(), EraseError> {
        let begun: Timestamp = self.row.begun.parse().map_err(|_| EraseError::Chain {
            problem: format!("row {} does not say when it was begun", self.row.number),
        })?;
        let withdrawn_on = begun.to_zoned(TimeZone::UTC).date();
        let line = |id: &String| -> Result<Withdrawal, EraseError> {
            Ok(Withdrawal {
                clip: ClipId::of_either_kind(id)?,
                withdrawn_on,
                request: self.row.request.clone(),
                reason: self.config.reason.clone(),
            })
        };
        let lines: Vec<Withdrawal> = self
            .ids
            .sorted()
            .iter()
            .map(line)
            .collect::<Result<_, _>>()?;
        Ok(withdrawn::append(&self.config.places.labels, &lines)?)
    }

    /// The hash of the file as it was when the work began, and as it is now, where both are known.
    fn renewed(&self, path: &Path) -> Result<Option<(String, String)>, EraseError> {
        let name = self.config.places.name_of(path);
        let before = self
            .before
            .get(&name)
            .and_then(|hashes| hashes.before.clone());
        match before {
            Some(before) if path.exists() => Ok(Some((before, hash_file(path)?))),
            _ => Ok(None),
        }
    }

    /// Writes into the ledger that all is done.
    fn close(
        mut self,
        ledger: &mut Ledger,
        stores: &Stores,
        by_hand: &[&HeldRow],
    ) -> Result<Applied, EraseError> {
        let places = &self.config.places;
        for (name, hashes) in &mut self.before {
            if let Some((store, file)) = stores.of(name) {
                hashes.after = store.hash(file)?;
                continue;
            }
            let path = places.path_of(name);
            hashes.after = if path.is_file() {
                Some(hash_file(&path)?)
            } else {
                None
            };
        }
        let changed = self
            .before
            .values()
            .filter(|hashes| hashes.before != hashes.after);
        let files = changed.count();
        self.row.files = serde_json::json!(self.before).to_string();
        let left: BTreeSet<&String> = by_hand.iter().map(|row| &row.file).collect();
        self.row.left = serde_json::json!(left).to_string();
        let saw = self
            .known
            .values()
            .filter(|known| !known.checkpoints.is_empty());
        let runs = saw.count();
        let (number, request) = (self.row.number, self.row.request.clone());
        let chain = ledger.finish(self.row)?;
        Ok(Applied {
            number,
            request,
            clips: self.ids.sorted().len(),
            files,
            runs,
            chain,
            already: false,
            by_hand: by_hand
                .iter()
                .map(|row| format!("{} of {} in {}", row.what, row.clip_id, row.file))
                .collect(),
        })
    }
}
