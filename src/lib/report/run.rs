//! The stage itself: reads the runs, publishes the table over seeds and, last, the page.

use std::num::NonZero;
use std::path::Path;
use std::thread;

use super::analyse::Analysis;
use super::copies::without_copies;
use super::examples::Showable;
use super::groups::group;
use super::load::load;
use super::seal::publish;
use super::summary_row::SummaryRow;
use super::withdrawals::Withdrawals;
use super::{
    CHANCE_QUANTILE, MAX_DETAILED_RUNS, ReportConfig, ReportError, ReportSummary, examples, page,
    run_pages,
};
use crate::artifact::{self, ArtifactError};
use crate::parallel;
use crate::parquet_file::{self, Provenance};
use crate::run_record::SETTINGS_FILE;
use crate::shard::Shards;
use crate::tables::MetricRow;
use crate::withdrawn::Withdrawn;

/// Writes the page of the given runs, and the table where one is wanted. More runs than
/// [`MAX_DETAILED_RUNS`] get pages of their own, in a folder beside the page.
///
/// # Errors
/// When a run cannot be read or makes no sense, or the disk refuses.
pub fn run(config: &ReportConfig) -> Result<ReportSummary, ReportError> {
    if config.runs.is_empty() && config.withdrawals.is_none() {
        return Err(ReportError::NoRuns);
    }
    sweep(config)?;
    let withdrawn = config.withdrawn.as_deref().map(Withdrawn::read);
    let withdrawn = withdrawn.transpose()?.unwrap_or_default();
    let ledger = config.withdrawals.as_deref();
    let ledger = ledger.map(|path| Withdrawals::read(path, &withdrawn));
    let ledger = ledger.transpose()?;
    let runs = config.runs.iter().map(|folder| load(folder, &withdrawn));
    let runs = without_copies(runs.collect::<Result<_, _>>()?);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let analyses = parallel::each(&runs, threads, |run| {
        Analysis::new(run.clone(), config.permutations)
    });
    let mut analyses = analyses.into_iter().collect::<Result<Vec<_>, _>>()?;
    if let Some(frames) = &config.frames {
        let shards = Shards::at(frames)?;
        let showable = Showable::of(&shards, &withdrawn);
        for analysis in &mut analyses {
            analysis.examples = examples::of_run(analysis, &showable)?;
        }
    }
    let groups = group(&analyses);
    if let Some(path) = &config.table {
        let rows: Vec<SummaryRow> = groups.iter().flat_map(super::groups::Group::rows).collect();
        let mut provenance = Provenance::default();
        for (k, Analysis { run, .. }) in analyses.iter().enumerate() {
            let metrics = run.folder.join(MetricRow::FILE);
            // A run whose first task is under way has none.
            if metrics.exists() {
                let name = format!("run {k}: {}", run.name);
                provenance
                    .inputs
                    .insert(name, artifact::hash_file(&metrics)?);
            }
        }
        parquet_file::write(path, &rows, &provenance)?;
    }
    let pages = if analyses.len() > MAX_DETAILED_RUNS {
        Some(run_pages::write(config, &analyses)?)
    } else {
        None
    };
    let links = pages.as_ref();
    let links = links.map(|pages| pages.iter().map(|page| &page.link[..]).collect::<Vec<_>>());
    let page = page::page(
        &analyses,
        &groups,
        links.as_deref(),
        ledger.as_ref(),
        None,
        config.permutations,
        CHANCE_QUANTILE,
    )?;
    publish(&config.out, &page)?;
    // Last, so that no page that still stands leads to one that is gone.
    run_pages::remove_others(&config.out, pages.as_deref().unwrap_or_default())?;
    Ok(ReportSummary::new(
        &config.out,
        &analyses,
        &groups,
        ledger.as_ref(),
    ))
}

/// Removes what a killed report left beside the page and the table; never in a run directory,
/// unless the page is there. The folder of the runs' own pages is swept too.
fn sweep(config: &ReportConfig) -> Result<(), ArtifactError> {
    let page = config.out.parent();
    let table = config.table.as_deref().and_then(Path::parent);
    let table = table.filter(|folder| !folder.join(SETTINGS_FILE).exists());
    let pages = run_pages::folder(&config.out);
    let folders = page.into_iter().chain(table);
    folders
        .chain(pages.is_dir().then_some(pages.as_path()))
        .try_for_each(artifact::sweep)
}
