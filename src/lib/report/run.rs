//! The stage itself: reads the runs, publishes the table over seeds and, last, the page.

use super::analyse::Analysis;
use super::groups::{SummaryRow, group};
use super::load::load;
use super::{CHANCE_QUANTILE, ReportConfig, ReportError, ReportSummary, page};
use crate::artifact;
use crate::table::{self, Provenance};

/// Writes the page of the given runs, and the table where one is wanted.
///
/// # Errors
/// When a run cannot be read or makes no sense, or the disk refuses.
pub fn run(config: &ReportConfig) -> Result<ReportSummary, ReportError> {
    if config.runs.is_empty() {
        return Err(ReportError::NoRuns);
    }
    for target in [Some(&config.out), config.table.as_ref()]
        .into_iter()
        .flatten()
    {
        if let Some(folder) = target.parent() {
            artifact::sweep(folder)?;
        }
    }
    let analyses = config
        .runs
        .iter()
        .map(|folder| Analysis::new(load(folder)?, config.permutations))
        .collect::<Result<Vec<_>, _>>()?;
    let groups = group(&analyses);
    if let Some(path) = &config.table {
        let rows: Vec<SummaryRow> = groups.iter().flat_map(super::groups::Group::rows).collect();
        let mut provenance = Provenance::default();
        for (k, folder) in config.runs.iter().enumerate() {
            let hash = artifact::hash_file(&folder.join("metrics.parquet"))?;
            let name = format!("run {k}: {}", analyses[k].run.name);
            provenance.inputs.insert(name, hash);
        }
        table::write(path, &rows, &provenance)?;
    }
    let page = page::page(&analyses, &groups, config.permutations, CHANCE_QUANTILE)?;
    artifact::publish(&config.out, |file| file.write_all(page.as_bytes()))?;
    Ok(ReportSummary::new(&config.out, &analyses, &groups))
}
