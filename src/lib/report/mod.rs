//! Stage `report`: one self-contained HTML page from one or more run directories, and a table of
//! the figures over seeds.
//!
//! ```text
//! run directories --load, copies--> Run --analyse, populations--> Analysis --groups, paired--> Group (figures over seeds)
//!                                                               \--page, section, charts, parts--> report.html
//! ledger of withdrawals --withdrawals----------------------------------------------------------------/
//! ```
//!
//! Only finished files are read, without a lock, and each is compared with what its run says that
//! it wrote ([`RunRecord`](crate::run_record::RunRecord)). Everything that the page shows lies in
//! the page: styles, figures (SVG), where asked for frames of clips, a script that sorts and filters
//! and without which nothing is missing, no address of anything else but of the pages of single runs. The level that chance
//! reaches is measured on each test set itself, by permuting its labels; intervals come from draws
//! of its clips.

mod analyse;
mod audit;
mod charts;
mod colors;
mod compare;
mod config;
mod copies;
mod curves;
mod detail;
mod document;
mod error;
mod examples;
mod export;
mod groups;
mod judgement;
mod load;
mod looks;
mod numbers;
mod over_seeds;
mod page;
mod paired;
mod paired_section;
mod parts;
mod population_section;
mod populations;
mod run;
mod run_figures;
mod run_pages;
mod seal;
mod section;
mod series;
mod strokes;
mod subcategories_over_seeds;
mod summary;
mod summary_row;
mod tables;
mod ticked_axis;
mod withdrawals;

pub use audit::{AuditReportConfig, AuditReportSummary, run_audit};
pub use config::{
    CHANCE_QUANTILE, MAX_DETAILED_RUNS, MAX_PERMUTATIONS, PERMUTATIONS, ReportConfig,
};
pub use error::ReportError;
pub use run::run;
pub use run_pages::run_pages;
pub use seal::is_sealed;
pub use summary::ReportSummary;
pub use summary_row::SummaryRow;
