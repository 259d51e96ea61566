//! Python's pickles, as far as state dicts go.

mod input;
mod machine;
mod value;
mod writer;

pub(super) use machine::read;
#[cfg(test)]
pub(super) use value::StorageRef;
pub(super) use value::{Pickle, TensorRef, Value};
pub(super) use writer::PickleWriter;
