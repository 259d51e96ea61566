//! How good the predictions for a set of clips are: average precision, recall, precision and
//! accuracy, overall, per class and per latent subcategory; confusion; forgetting over tasks; the
//! level that chance alone reaches.
//!
//! Plain slices in, plain numbers out: no tensor, no file, nothing of the rest of this crate. All
//! sums are 64-bit; scores are compared as the 32-bit values that they are. `None` means undefined
//! (a class without a clip has no average precision) and becomes a null in tables; a quotient whose
//! divisor is 0 is 0, as in the seed's evaluator.
//!
//! ```
//! use incdec::metrics::{Criterion, Predictions, evaluate};
//!
//! // Three clips, two classes, one subcategory in each class.
//! let metrics = evaluate(&Predictions {
//!     probabilities: &[0.9, 0.2, 0.8, 0.3, 0.4, 0.7],
//!     labels: &[0, 0, 1],
//!     subcategories: &[0, 0, 1],
//!     class_of_subcategory: &[0, 1],
//!     classes: 2,
//!     criterion: Criterion::Multilabel,
//! })
//! .unwrap();
//! assert_eq!(metrics.figures.mean_ap, Some(1.0));
//! ```

// Counts of clips become floats here, far below the 2^52 from which on that would lose any.
#![allow(clippy::cast_precision_loss)]

mod average_precision;
mod chance;
mod confusion;
mod continual;
mod criterion;
mod error;
mod evaluate;
mod figures;
mod forgetting;
mod predictions;
mod ratio;
mod rows;

pub use average_precision::{PrCurve, Ranking, average_precision};
pub use chance::{ChanceLevel, chance_level};
pub use confusion::{argmax, one_vs_rest, true_by_predicted};
pub use continual::{Continual, Sequence, continual};
pub use criterion::Criterion;
pub use error::MetricsError;
pub use evaluate::{Judged, Metrics, evaluate, mean_average_precision};
pub use figures::Figures;
pub use forgetting::{
    forgetting, forgetting_of_figures, mean_and_deviation, mean_defined, mean_of_figures,
    quantile_of, quantile_of_figures,
};
pub use predictions::Predictions;
pub use rows::{FigureRow, Names, figures_of, flatten};
