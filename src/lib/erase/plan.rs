//! What is held of the clips and what would be done about it. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;

use super::EraseError;
use super::census::Census;
use super::config::{Places, Selector};
use super::held::{Action, HeldRow, Place};
use super::ids::Ids;
use super::near::{Near, near};
use super::runs::{Taints, rows_under_way};
use super::search::{Depth, Erased, Search};
use super::stores::Stores;
use crate::parquet_file::{self, Provenance};
use crate::progress::counted;

/// Things held that the text lists one by one; the rest is counted.
const LISTED: usize = 40;

/// What is beyond the reach of a program that unlinks and rewrites files.
const BEYOND: &str = "Files are unlinked and rewritten. Blocks of a disk, snapshots, backups and copies elsewhere are beyond a program's reach: \
keep such data on an encrypted volume whose key can be destroyed.";

/// What is held of some clips.
#[derive(Clone, Debug)]
pub struct ErasePlan {
    /// The clips.
    pub clips: BTreeSet<String>,
    /// Those of them that are in the list already.
    pub listed: usize,
    /// What is held, sorted.
    pub held: Vec<HeldRow>,
    /// Other clips that show the same.
    pub near: Vec<Near>,
    /// What could not be searched, each with the reason.
    pub unsearched: Vec<(PathBuf, String)>,
    /// What no setting brings into reach, each with the reason.
    pub beyond: Vec<(PathBuf, String)>,
    /// Runs whose weights come from a file of which no run has a record, in words.
    pub unrecorded: Vec<String>,
}

/// Looks for the clips everywhere and writes nothing.
///
/// # Errors
/// When a selector, the label tables, the index or a shard cannot be read.
pub fn plan(places: &Places, selectors: &[Selector]) -> Result<ErasePlan, EraseError> {
    let places = &places.absolute()?;
    let stores = Stores::open(places);
    let census = Census::take(places, &stores)?;
    let clips = census.select(selectors)?;
    plan_of(places, &stores, clips, &census)
}

pub(super) fn plan_of(
    places: &Places,
    stores: &Stores,
    clips: BTreeSet<String>,
    census: &Census,
) -> Result<ErasePlan, EraseError> {
    let ids = Ids::new(clips);
    let found = Search::everywhere(places, stores, &ids, Depth::Names, &Erased::new())?;
    let near = near(places, &ids, census)?;
    let mut held = found.held;
    let taints = Taints::of(places, &ids)?;
    held.extend(taints.rows(places));
    held.extend(rows_under_way(places, &ids)?);
    held.sort_by(HeldRow::order);
    let listed = ids
        .sorted()
        .iter()
        .filter(|id| census.withdrawn.contains(id));
    Ok(ErasePlan {
        listed: listed.count(),
        clips: ids.sorted().clone(),
        held,
        near,
        unsearched: found.unsearched,
        beyond: found.beyond,
        unrecorded: taints.unrecorded(places),
    })
}

/// Refuses to go on where a place could not be searched.
///
/// # Errors
/// The first such place.
pub(super) fn insist_on_search(unsearched: &[(PathBuf, String)]) -> Result<(), EraseError> {
    match unsearched.first().cloned() {
        Some((path, reason)) => Err(EraseError::Unsearched { path, reason }),
        None => Ok(()),
    }
}

impl ErasePlan {
    /// Whether nothing at all is known of any of the clips.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether apply would have nothing to do but to note the request.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let lasts =
            |row: &HeldRow| matches!(row.action, Action::Keep | Action::Taint | Action::ByHand);
        self.listed == self.clips.len() && self.held.iter().all(lasts)
    }

    /// What is held in kept archives.
    pub fn in_archives(&self) -> impl Iterator<Item = &HeldRow> {
        self.held.iter().filter(|row| row.place == Place::Archives)
    }

    /// Keeps the checkpoints that saw a clip, and nothing else.
    pub fn keep_taints(&mut self) {
        self.held.retain(|row| row.action == Action::Taint);
        self.near.clear();
    }

    /// Writes what is held as Parquet.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, path: &Path) -> Result<(), EraseError> {
        Ok(parquet_file::write(
            path,
            &self.held,
            &Provenance::default(),
        )?)
    }

    /// Things and bytes by place and action.
    pub(super) fn sums(&self) -> BTreeMap<(Place, Action), (usize, i64)> {
        let mut sums = BTreeMap::new();
        for row in &self.held {
            let sum: &mut (usize, i64) = sums.entry((row.place, row.action)).or_default();
            sum.0 += 1;
            sum.1 = sum.1.saturating_add(row.bytes);
        }
        sums
    }
}

impl fmt::Display for ErasePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clips, listed) = (self.clips.len(), self.listed);
        writeln!(
            f,
            "{}, {listed} of them in the list of withdrawn clips\n",
            counted(clips, "clip")
        )?;
        writeln!(
            f,
            "{:<14} {:<9} {:>7} {:>12}",
            "place", "action", "things", "bytes"
        )?;
        for ((place, action), (things, bytes)) in self.sums() {
            let bytes = HumanBytes(u64::try_from(bytes).unwrap_or(0)).to_string();
            writeln!(
                f,
                "{:<14} {:<9} {things:>7} {bytes:>12}",
                place.name(),
                action.name()
            )?;
        }
        if !self.held.is_empty() {
            writeln!(f)?;
        }
        for row in self.held.iter().take(LISTED) {
            let note = row
                .note
                .as_ref()
                .map_or(String::new(), |note| format!(" ({note})"));
            let (action, what, file) = (row.action.name(), row.what.name(), &row.file);
            writeln!(f, "  {action:<9} {what} of {} in {file}{note}", row.clip_id)?;
        }
        if self.held.len() > LISTED {
            let more = self.held.len() - LISTED;
            writeln!(
                f,
                "  and {more} more: --out FILE writes them all as Parquet"
            )?;
        }
        if !self.near.is_empty() {
            writeln!(f, "\nnot asked for, but alike:")?;
            for near in self.near.iter().take(LISTED) {
                writeln!(f, "  {near}")?;
            }
            if self.near.len() > LISTED {
                writeln!(f, "  and {} more", self.near.len() - LISTED)?;
            }
        }
        for run in self.unrecorded.iter().take(LISTED) {
            writeln!(f, "not known: {run}")?;
        }
        for (path, reason) in self.unsearched.iter().chain(&self.beyond) {
            writeln!(f, "not searched: {}: {reason}", path.display())?;
        }
        writeln!(f, "\n{BEYOND}")
    }
}
