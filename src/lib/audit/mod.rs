//! How an unlearned model is judged against references that never saw what was withdrawn. Every
//! measure is a pure function over plain slices; the stage applies them to run directories.
//!
//! | file | what it is for |
//! |---|---|
//! | [`rows`], `error` | matrices as slices; refusals of what is no input |
//! | [`scores`] | what a model says of one clip: scaled confidence, loss, probability; how two models' outputs differ |
//! | [`gap`] | accuracy, loss and confidence of a set beside the reference's; ToW, AUS, NoMUS |
//! | [`membership`] | how well one score tells members from others |
//! | [`rmia`], [`lira`] | scores of attacks on single clips |
//! | [`klom`], [`epsilon`] | how far the outputs of many models are from those of many references |
//! | [`probe`], [`cka`], [`weight_distance`], [`relearn`] | what is left inside the model |
//! | [`sequence`] | several requests: erosion, reversal, relapse |
//! | [`interval`], [`verdict`] | bootstrap and t intervals; what may be said |
//! | `stage` | candidate runs beside their references, measured and published |
//!
//! Everywhere `None` is undefined: the figure of an empty set, a mean of nothing, a ratio to 0. It
//! is written as a null and never replaced by a number. All sums are 64-bit. *u* is the unlearned
//! model, *r* the reference, *F* what was withdrawn. No single figure here says that a model has
//! forgotten: each is read as a difference to the reference, with its interval.

pub mod cka;
pub mod epsilon;
mod error;
pub mod gap;
pub mod interval;
pub mod klom;
pub mod lira;
pub mod membership;
pub mod probe;
pub mod relearn;
pub mod rmia;
pub mod rows;
pub mod scores;
pub mod sequence;
#[cfg(feature = "torch")]
mod stage;
pub mod verdict;
pub mod weight_distance;

pub use error::AuditError;
pub use rows::Rows;
#[cfg(feature = "torch")]
pub use stage::{
    AuditConfig, AuditStageError, AuditSummary, MemorisedConfig, MemorisedSummary, ReferenceTasks,
    TrainReferences, most_memorised, run,
};

/// The mean of `values`; `None` for none of them.
fn mean(values: &[f64]) -> Option<f64> {
    crate::metrics::mean_and_deviation(values).0
}

/// What stands at the place ceil(q n), at least 1, of n sorted values, q in thousandths; `None` for
/// no value.
///
/// Integers find the place, so that no rounding of q n can move it.
fn nearest_rank(sorted: &[f64], thousandths: usize) -> Option<f64> {
    let place = (sorted.len() * thousandths).div_ceil(1000).max(1);
    sorted.get(place - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank_is_an_observed_value() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(nearest_rank(&sorted, 500), Some(2.0));
        assert_eq!(nearest_rank(&sorted, 501), Some(3.0));
        assert_eq!(nearest_rank(&sorted, 25), Some(1.0));
        assert_eq!(nearest_rank(&sorted, 1000), Some(4.0));
        assert_eq!(nearest_rank(&[], 500), None);
    }
}
