//! A request that is made anew: whether it was done before, and what is left to do.

use std::collections::BTreeSet;

use super::applied::{Applied, left};
use crate::erase::EraseError;
use crate::erase::census::Census;
use crate::erase::config::{EraseConfig, said};
use crate::erase::held::{Action, HeldRow};
use crate::erase::ids::Ids;
use crate::erase::ledger::Ledger;
use crate::erase::marks::unmarked;
use crate::erase::plan::{ErasePlan, plan_of};
use crate::erase::runs::Taints;
use crate::erase::stores::Stores;
use crate::tables::ErasureRow;

/// What a request that was not begun asks for.
pub(super) enum Asked {
    /// It was done before, and nothing is left that this program can do.
    Done(Applied),
    /// This is to be done, with what is known of all clips.
    ToDo(ErasePlan, Census),
}

/// Looks at what is held of the clips that the request means, and whether the ledger has it done.
///
/// # Errors
/// When a selector, a place or the ledger cannot be read.
pub(super) fn ask(
    config: &EraseConfig,
    ledger: &Ledger,
    stores: &Stores,
) -> Result<Asked, EraseError> {
    let places = &config.places;
    let rows = ledger.rows().iter();
    let mut same: Vec<(&ErasureRow, BTreeSet<String>)> = rows
        .filter(|row| row.request == config.request)
        .map(|row| Ok((row, ledger.json(row, &row.clips)?)))
        .collect::<Result<_, EraseError>>()?;
    let census = Census::take(places, stores)?;
    let mut clips = census.select(&config.selectors)?;
    if clips.is_empty() {
        // What chose the clips may choose none any more: they are no longer there.
        let selector = said(&config.selectors);
        same.retain(|(row, _)| row.selector == selector);
        clips = same.first().map_or(clips, |(_, chosen)| chosen.clone());
    }
    let plan = plan_of(places, stores, clips, &census)?;
    let same = same.into_iter().find(|(_, clips)| *clips == plan.clips);
    let Some((row, clips)) = same.filter(|_| plan.is_done()) else {
        return Ok(Asked::ToDo(plan, census));
    };
    let ids = Ids::new(clips);
    if !unmarked(places, &ids, ledger)?.is_empty() {
        // Another row of the ledger marks them.
        return Ok(Asked::ToDo(plan, census));
    }
    let by_hand = plan.held.iter().filter(|row| row.action == Action::ByHand);
    let by_hand: Vec<&HeldRow> = by_hand.collect();
    let saw = Taints::of(places, &ids)?.by_run(places);
    Ok(Asked::Done(Applied {
        number: row.number,
        request: row.request.clone(),
        clips: ids.sorted().len(),
        files: 0,
        runs: saw.len(),
        chain: ledger.chain().unwrap_or_default().to_owned(),
        already: true,
        by_hand: left(&by_hand),
    }))
}
