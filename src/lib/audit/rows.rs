//! A matrix as one slice.

use super::AuditError;
use super::error::{finite, numbers, same_length};

/// Rows of equal width, row-major: a row for each clip (its logits or features) or for each model
/// (its scores of clips).
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f64],
    count: usize,
    width: usize,
}

impl<'a> Rows<'a> {
    /// `count` rows of `width` values.
    ///
    /// # Errors
    /// [`AuditError::Length`] where `values` are not that many.
    pub fn new(values: &'a [f64], count: usize, width: usize) -> Result<Self, AuditError> {
        same_length(
            "values of a matrix",
            count.saturating_mul(width),
            values.len(),
        )?;
        Ok(Self {
            values,
            count,
            width,
        })
    }

    /// How many rows there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many values a row has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, row by row.
    #[must_use]
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// Row `index`, below [`Rows::count`].
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, index: usize) -> &'a [f64] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// All rows in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f64]> + use<'a> {
        let rows = *self;
        (0..self.count).map(move |i| rows.row(i))
    }

    /// The values of one column.
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = f64> + use<'a> {
        self.iter().map(move |row| row[column])
    }

    /// Refuses values that are no numbers; infinite ones pass.
    pub(super) fn numbers(&self, what: &'static str) -> Result<(), AuditError> {
        numbers(what, self.values)
    }

    /// Refuses values that are no finite numbers.
    pub(super) fn finite(&self, what: &'static str) -> Result<(), AuditError> {
        finite(what, self.values)
    }

    /// Refuses another matrix of another shape.
    pub(super) fn same_shape(&self, other: &Self) -> Result<(), AuditError> {
        same_length("rows", self.count, other.count)?;
        same_length("columns", self.width, other.width)
    }
}
