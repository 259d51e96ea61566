//! The published tables: one file for each, with its file name, its row and the words that its
//! cells may hold.
//!
//! A row's fields are the table's columns, by name, type and order. `downloads` is written by the
//! download stage, `index` by decode, `clips` by manifest, `availability` and `schedule` by tasks,
//! `erasures` by erase, `features` by features, three tables by audit, and the others by train into a
//! run directory.

mod audit;
mod availability;
mod clips;
mod downloads;
mod erasures;
mod features;
mod history;
mod index;
mod metrics;
mod predictions;
mod schedule;
mod seen;
mod timing;

pub use audit::{AuditRow, AuditTimingRow, CurveRow};
#[cfg(feature = "torch")]
pub(crate) use availability::class_counts;
pub use availability::{
    Availability, AvailabilityError, AvailabilityRow, Change, ClassCountsOver, Deal, Nonsense,
    RowFault, check_availability,
};
pub use clips::{ClipRow, ClipStatus};
pub use downloads::{Kind, LedgerRow};
pub use erasures::ErasureRow;
pub use features::{
    CHECKPOINT, FEATURES, FEATURES_INPUT, FeatureRow, backbone_of, read_features, write_features,
};
pub use history::HistoryRow;
pub use index::{Cause, IndexRow, SourceFacts};
pub use metrics::MetricRow;
pub use predictions::{
    PREDICTIONS, PredictionRow, predictions_hash, read_predictions, write_predictions,
};
pub use schedule::{ScheduleEvent, ScheduleRow};
pub use seen::{SeenRow, Use};
pub use timing::TimingRow;
