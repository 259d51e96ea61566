//! `availability.parquet`: which clips each task has, and what its metadata say of the deal.

mod check;
mod deal;
mod read;
mod row;

pub use check::{Nonsense, RowFault, check_availability};
#[cfg(feature = "torch")]
pub(crate) use deal::class_counts;
pub use deal::{ClassCountsOver, Deal};
pub use read::{AvailabilityError, read_availability};
pub use row::{AvailabilityRow, Change};
