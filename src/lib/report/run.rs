//! The stage itself: reads the runs, publishes the table over seeds and, last, the page.

use std::path::Path;

use super::analyse::Analysis;
use super::copies::without_copies;
use super::groups::{SummaryRow, group};
use super::load::load;
use super::seal::seal;
use super::{CHANCE_QUANTILE, ReportConfig, ReportError, ReportSummary, page};
use crate::artifact::{self, ArtifactError};
use crate::parquet_file::{self, Provenance};
use crate::run_record::SETTINGS_FILE;
use crate::tables::MetricRow;

/// Writes the page of the given runs, and the table where one is wanted.
///
/// # Errors
/// When a run cannot be read or makes no sense, or the disk refuses.
pub fn run(config: &ReportConfig) -> Result<ReportSummary, ReportError> {
    if config.runs.is_empty() {
        return Err(ReportError::NoRuns);
    }
    sweep(config)?;
    let runs = config.runs.iter().map(|folder| load(folder));
    let analyses = without_copies(runs.collect::<Result<_, _>>()?)
        .into_iter()
        .map(|run| Analysis::new(run, config.permutations))
        .collect::<Result<Vec<_>, _>>()?;
    let groups = group(&analyses);
    if let Some(path) = &config.table {
        let rows: Vec<SummaryRow> = groups.iter().flat_map(super::groups::Group::rows).collect();
        let mut provenance = Provenance::default();
        for (k, Analysis { run, .. }) in analyses.iter().enumerate() {
            let hash = artifact::hash_file(&run.folder.join(MetricRow::FILE))?;
            let name = format!("run {k}: {}", run.name);
            provenance.inputs.insert(name, hash);
        }
        parquet_file::write(path, &rows, &provenance)?;
    }
    let page = page::page(&analyses, &groups, config.permutations, CHANCE_QUANTILE)?;
    let page = seal(&page);
    artifact::publish(&config.out, |file| file.write_all(page.as_bytes()))?;
    Ok(ReportSummary::new(&config.out, &analyses, &groups))
}

/// Removes what a killed report left beside the page and the table; never in a run directory,
/// unless the page is there.
fn sweep(config: &ReportConfig) -> Result<(), ArtifactError> {
    let page = config.out.parent();
    let table = config.table.as_deref().and_then(Path::parent);
    let table = table.filter(|folder| !folder.join(SETTINGS_FILE).exists());
    page.into_iter().chain(table).try_for_each(artifact::sweep)
}
