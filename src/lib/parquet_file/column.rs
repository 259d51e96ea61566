//! Short constructors of the columns that tables use.

use arrow::datatypes::{DataType, Field};

/// UTF-8 text, never null.
#[must_use]
pub fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

/// A 32-bit integer, never null.
#[must_use]
pub fn int32(name: &str) -> Field {
    Field::new(name, DataType::Int32, false)
}

/// A 64-bit integer, never null.
#[must_use]
pub fn int64(name: &str) -> Field {
    Field::new(name, DataType::Int64, false)
}

/// A 32-bit float, never null.
#[must_use]
pub fn float32(name: &str) -> Field {
    Field::new(name, DataType::Float32, false)
}

/// A 64-bit float, never null.
#[must_use]
pub fn float64(name: &str) -> Field {
    Field::new(name, DataType::Float64, false)
}

/// A truth value, never null.
#[must_use]
pub fn boolean(name: &str) -> Field {
    Field::new(name, DataType::Boolean, false)
}

/// The same column, null allowed.
#[must_use]
pub fn nullable(field: Field) -> Field {
    field.with_nullable(true)
}
