//! The page of an audit: methods beside their references, best first, and what may be said.
//!
//! `figures` reads the audit's tables, `table` makes the rows of methods and writes them for LaTeX
//! and as CSV, `page` and `charts` draw, `definitions` says what every measure is.

mod charts;
mod definitions;
mod figures;
mod page;
mod table;

use std::fmt;
use std::path::PathBuf;

use super::ReportError;
use super::seal::publish;
use crate::artifact;
use crate::erase::Ledger;

use figures::Figures;
use table::MethodRow;

/// The settings of the page of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReportConfig {
    /// The audit's folder.
    pub audit: PathBuf,
    /// The page to write.
    pub out: PathBuf,
    /// The table of methods for LaTeX, where wanted.
    pub latex: Option<PathBuf>,
    /// The same as CSV, where wanted.
    pub csv: Option<PathBuf>,
    /// The ledger of withdrawals, whose chain's value the page then carries.
    pub withdrawals: Option<PathBuf>,
}

/// What the page says, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReportSummary {
    lines: Vec<String>,
    page: PathBuf,
}

impl fmt::Display for AuditReportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        write!(f, "report: {}", self.page.display())
    }
}

/// Writes the page of an audit, and its tables for LaTeX and as CSV where they are wanted.
///
/// # Errors
/// When the audit or the ledger cannot be read, or the disk refuses.
pub fn run_audit(config: &AuditReportConfig) -> Result<AuditReportSummary, ReportError> {
    if let Some(folder) = config.out.parent() {
        artifact::sweep(folder)?;
    }
    let figures = Figures::read(&config.audit)?;
    let methods = MethodRow::all(&figures);
    for (path, text) in [
        (&config.latex, table::latex(&methods)),
        (&config.csv, table::csv(&methods)),
    ] {
        if let Some(path) = path {
            artifact::publish(path, |file| file.write_all(text.as_bytes()))?;
        }
    }
    let ledger = config.withdrawals.as_deref().map(Ledger::open);
    let ledger = ledger.transpose()?;
    let chain = ledger.as_ref().and_then(Ledger::chain);
    publish(&config.out, &page::page(&figures, &methods, chain)?)?;
    Ok(AuditReportSummary {
        lines: methods.iter().map(MethodRow::line).collect(),
        page: config.out.clone(),
    })
}
