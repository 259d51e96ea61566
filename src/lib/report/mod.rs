//! Stage `report`: one self-contained HTML page from one or more run directories, and a table of
//! the figures over seeds.
//!
//! ```text
//! run directories --load, copies--> Run --analyse--> Analysis --groups--> Group (mean and deviation over seeds)
//!                                                  \--page, charts, parts--> report.html
//! ```
//!
//! Only finished files are read, without a lock, and each is compared with what its run says that
//! it wrote ([`RunRecord`](crate::run_record::RunRecord)). Everything that the page shows lies in
//! the page: styles, figures (SVG), no script, no address of anything else. The level that chance
//! reaches is measured on each test set itself, by permuting its labels.

mod analyse;
mod charts;
mod compare;
mod config;
mod copies;
mod detail;
mod error;
mod groups;
mod load;
mod page;
mod parts;
mod run;
mod seal;
mod summary;
mod tables;

pub use config::{
    CHANCE_QUANTILE, MAX_DETAILED_RUNS, MAX_PERMUTATIONS, PERMUTATIONS, ReportConfig,
};
pub use error::ReportError;
pub use groups::SummaryRow;
pub use run::run;
pub use seal::is_sealed;
pub use summary::ReportSummary;
