//! The columns that tables use: short constructors, and the column of each type of a row's field.

use arrow::datatypes::{DataType, Field};

use crate::choice::Choice;

/// A type of a row's field, and the column that holds it.
pub trait Column {
    /// The column `name` of such values.
    fn field(name: &str) -> Field;
}

impl Column for String {
    fn field(name: &str) -> Field {
        text(name)
    }
}

impl Column for i32 {
    fn field(name: &str) -> Field {
        int32(name)
    }
}

impl Column for i64 {
    fn field(name: &str) -> Field {
        int64(name)
    }
}

impl Column for f64 {
    fn field(name: &str) -> Field {
        float64(name)
    }
}

impl Column for bool {
    fn field(name: &str) -> Field {
        boolean(name)
    }
}

/// A named choice is stored as its name.
impl<C: Choice> Column for C {
    fn field(name: &str) -> Field {
        text(name)
    }
}

/// What may be absent is null.
impl<T: Column> Column for Option<T> {
    fn field(name: &str) -> Field {
        nullable(T::field(name))
    }
}

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
