//! A hash over the rows of a table: Parquet's pages carry no checksum of their own.

use arrow::array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;

/// Hashes rows as they come. Only the columns' names, types and values count, in their order: not how they are encoded,
/// compressed or cut into batches.
///
/// Each column has a BLAKE3 of its own over its values (a 0 byte for null, else a 1 byte and the value in little-endian bytes, text
/// behind its length, a list of fixed size as its items); the rows' hash is the BLAKE3 over the columns' names, types and hashes and the number of rows.
#[derive(Clone, Debug)]
pub struct RowsHash {
    columns: Vec<(String, blake3::Hasher)>,
    rows: u64,
    buffer: Vec<u8>,
}

impl RowsHash {
    /// The hash of no rows yet, of a table with these columns.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let columns = schema.fields().iter();
        Self {
            columns: columns
                .map(|f| {
                    (
                        format!("{} {:?}", f.name(), f.data_type()),
                        blake3::Hasher::new(),
                    )
                })
                .collect(),
            rows: 0,
            buffer: Vec::new(),
        }
    }

    /// Takes in the rows of `batch`, which has the columns that this was made for.
    ///
    /// # Errors
    /// When a column is of a type that our tables do not have.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        for ((_, hasher), column) in self.columns.iter_mut().zip(batch.columns()) {
            self.buffer.clear();
            append(&mut self.buffer, column)?;
            hasher.update(&self.buffer);
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// The hash in hexadecimal.
    #[must_use]
    pub fn finish(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (column, hash) in &self.columns {
            hasher.update(&(column.len() as u64).to_le_bytes());
            hasher.update(column.as_bytes());
            hasher.update(hash.finalize().as_bytes());
        }
        hasher.update(&self.rows.to_le_bytes());
        hasher.finalize().to_hex().to_string()
    }
}

/// Appends the values of a column to `bytes`.
fn append(bytes: &mut Vec<u8>, column: &ArrayRef) -> Result<(), ArrowError> {
    macro_rules! values {
        ($array:ty, $append:expr) => {{
            let array = column.as_any().downcast_ref::<$array>().ok_or_else(|| {
                ArrowError::CastError(format!("a column of {} is none", column.data_type()))
            })?;
            for value in array {
                bytes.push(u8::from(value.is_some()));
                if let Some(value) = value {
                    $append(bytes, value);
                }
            }
        }};
    }
    match column.data_type() {
        DataType::Utf8 => values!(StringArray, |bytes: &mut Vec<u8>, value: &str| {
            bytes.extend((value.len() as u64).to_le_bytes());
            bytes.extend(value.as_bytes());
        }),
        DataType::Int32 => {
            values!(Int32Array, |b: &mut Vec<u8>, v: i32| b
                .extend(v.to_le_bytes()));
        }
        DataType::Int64 => {
            values!(Int64Array, |b: &mut Vec<u8>, v: i64| b
                .extend(v.to_le_bytes()));
        }
        DataType::Float32 => {
            values!(Float32Array, |b: &mut Vec<u8>, v: f32| b
                .extend(v.to_le_bytes()));
        }
        DataType::Float64 => {
            values!(Float64Array, |b: &mut Vec<u8>, v: f64| b
                .extend(v.to_le_bytes()));
        }
        DataType::Boolean => {
            values!(BooleanArray, |b: &mut Vec<u8>, v: bool| b.push(u8::from(v)));
        }
        DataType::FixedSizeList(_, _) => {
            values!(FixedSizeListArray, |_: &mut Vec<u8>, _| ());
            let lists = column.as_any().downcast_ref::<FixedSizeListArray>();
            // Items of null lists count, too: nothing that is stored is passed over.
            if let Some(lists) = lists {
                append(bytes, lists.values())?;
            }
        }
        other => {
            return Err(ArrowError::NotYetImplemented(format!(
                "a hash over a column of {other}"
            )));
        }
    }
    Ok(())
}
