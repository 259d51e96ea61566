//! Erasing: the request is written down, then every place is written anew without the clips, then
//! the request is closed.
//!
//! Each step looks for itself what is left to do, and every file is published whole, so that the
//! same command goes on wherever it was stopped.

mod applied;
mod before;
mod begin;
mod derived;
mod files;
mod locks;
mod runs;
mod shards;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use walkdir::WalkDir;

use super::EraseError;
use super::config::{Archives, EraseConfig, said};
use super::held::{Action, HeldRow, Place};
use super::ids::Ids;
use super::ledger::{FileHashes, KnownByRun, Ledger};
use super::plan::insist_on_search;
use super::runs::run_folders;
use super::search::{Depth, Erased, Search};
use super::stores::Stores;
use crate::artifact::{self, hash_file};
use crate::clip::ClipId;
use crate::tables::ErasureRow;
use crate::withdrawn::{self, Withdrawal};

pub use applied::Applied;
use before::Asked;
use locks::Locks;

/// Erases the clips that the request means, or goes on where the same request was stopped.
///
/// # Errors
/// When nothing is known of the clips, another request was begun and not finished, a kept archive
/// holds one and is not to be deleted, another program works in one of the places, a file cannot be
/// read, or the disk refuses.
pub fn apply(config: &EraseConfig) -> Result<Applied, EraseError> {
    let config = &EraseConfig {
        places: config.places.absolute()?,
        ..config.clone()
    };
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
        None => match before::ask(config, &ledger, &stores)? {
            Asked::Done(done) => return Ok(done),
            Asked::ToDo(plan, census) => {
                begin::refuse(config, &plan, &stores)?;
                ledger.begin(begin::row(config, &plan, &census, &stores)?)?
            }
        },
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
        self.parts()?;
        self.shards()?;
        self.stores(stores)?;
        self.manifest()?;
        self.tasks()?;
        let places = &self.config.places;
        // What lies there is another now.
        let stores = Stores::open(places).insist()?;
        let found = Search::everywhere(places, &stores, &self.ids, Depth::Names, &Erased::new())?;
        self.derived(&found.held)?;
        self.elsewhere(&found.held)?;
        self.runs()?;
        self.downloads()?;
        self.files(&found.held)?;
        // Nobody could say that nothing is left in a place that was not searched.
        insist_on_search(&found.unsearched)?;
        let again = Search::again(places, &self.ids, &found.held)?;
        insist_on_search(&again.unsearched)?;
        let all = found.held.iter().chain(&again.held);
        let by_hand: Vec<&HeldRow> = all.filter(|row| self.is_left(row)).collect();
        self.close(ledger, &stores, &by_hand)
    }

    /// Whether a person must do what is to be done about this.
    fn is_left(&self, row: &HeldRow) -> bool {
        let is_kept = row.place == Place::Archives && !self.archives_go();
        row.action == Action::ByHand || (is_kept && row.action == Action::Erase)
    }

    /// Whether kept archives that hold a clip are deleted: where the request was begun so, or says so
    /// now. A row of a version before does not tell.
    fn archives_go(&self) -> bool {
        let begun = self.row.archives.as_deref();
        begun == Some(Archives::Delete.name()) || self.config.archives == Archives::Delete
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
            by_hand: applied::left(by_hand),
        })
    }
}
