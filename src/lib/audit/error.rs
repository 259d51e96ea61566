//! Why something cannot be measured.

use crate::hint::Hint;

/// Why an input is none. An empty set is no error: its figures are undefined.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AuditError {
    /// Two things that belong together differ in number.
    #[error("{what}: {expected} belong here, there are {found}")]
    Length {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A value that must be a number is none, or is infinite where it must not be.
    #[error("{what}: value {at} is {value}")]
    NotANumber {
        /// What holds the value.
        what: &'static str,
        /// Its place, in row order.
        at: usize,
        /// The value.
        value: f64,
    },
    /// A value is outside its range.
    #[error("{what}: {value} is not within {low} to {high}")]
    Range {
        /// What the value is.
        what: &'static str,
        /// The value.
        value: f64,
        /// The least that is allowed.
        low: f64,
        /// The most that is allowed.
        high: f64,
    },
    /// An index points past the end.
    #[error("{what} {index} at place {at}: there are {count}")]
    Index {
        /// What the index is of.
        what: &'static str,
        /// Its value.
        index: usize,
        /// Where it stands.
        at: usize,
        /// How many there are.
        count: usize,
    },
    /// A confidence among several classes was asked of fewer than two.
    #[error(
        "the confidence in one of several classes needs at least 2 classes; there are {classes}"
    )]
    Classes {
        /// How many there are.
        classes: usize,
    },
    /// Two models do not have the same tensors.
    #[error("tensor {name} is not in both models with the same number of values")]
    Tensor {
        /// The tensor's name.
        name: String,
    },
}

impl Hint for AuditError {}

/// Refuses slices of different lengths.
pub(super) fn same_length(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), AuditError> {
    if expected == found {
        Ok(())
    } else {
        Err(AuditError::Length {
            what,
            expected,
            found,
        })
    }
}

/// Refuses values that are no numbers; infinite ones pass.
pub(super) fn numbers(what: &'static str, values: &[f64]) -> Result<(), AuditError> {
    refuse(what, values, f64::is_nan)
}

/// Refuses values that are no finite numbers.
pub(super) fn finite(what: &'static str, values: &[f64]) -> Result<(), AuditError> {
    refuse(what, values, |v| !v.is_finite())
}

/// Refuses values that are no probabilities.
pub(super) fn probabilities(what: &'static str, values: &[f64]) -> Result<(), AuditError> {
    numbers(what, values)?;
    match values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        None => Ok(()),
        Some(&value) => Err(AuditError::Range {
            what,
            value,
            low: 0.0,
            high: 1.0,
        }),
    }
}

fn refuse(
    what: &'static str,
    values: &[f64],
    wrong: impl Fn(f64) -> bool,
) -> Result<(), AuditError> {
    match values.iter().position(|&v| wrong(v)) {
        None => Ok(()),
        Some(at) => Err(AuditError::NotANumber {
            what,
            at,
            value: values[at],
        }),
    }
}
