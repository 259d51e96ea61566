//! What a pickle is made of. All values live in one arena and refer to each other by number, so
//! that neither cycles nor deep nesting in a hostile file cost more than their bytes.

/// Most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 8;

/// A value; containers by their number in the arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Global(&'a str, &'a str),
    Tuple(usize),
    List(usize),
    /// Keys and values in turn.
    Dict(usize),
    Storage(usize),
    Tensor(usize),
    /// Something that this reader has no use for.
    Opaque,
    /// The start of a group on the stack.
    Mark,
}

/// A stretch of numbers in an entry of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct StorageRef<'a> {
    /// The class that stands for the type: `FloatStorage`, ...
    pub(in super::super) class: &'a str,
    /// The entry's name below `data/`.
    pub(in super::super) key: &'a str,
}

/// A tensor: a view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct TensorRef<'a> {
    pub(in super::super) storage: StorageRef<'a>,
    pub(in super::super) offset: i64,
    pub(in super::super) size: Vec<i64>,
    pub(in super::super) stride: Vec<i64>,
}

/// What a pickle holds.
#[derive(Debug, Default)]
pub(in super::super) struct Pickle<'a> {
    pub(super) groups: Vec<Vec<Value<'a>>>,
    pub(super) storages: Vec<StorageRef<'a>>,
    pub(super) tensors: Vec<TensorRef<'a>>,
}

impl<'a> Pickle<'a> {
    /// The values of a tuple or list; keys and values in turn of a dict.
    pub(in super::super) fn group(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Tuple(i) | Value::List(i) | Value::Dict(i) => {
                self.groups.get(i).map(Vec::as_slice)
            }
            _ => None,
        }
    }

    /// The tensor that a value stands for.
    pub(in super::super) fn tensor(&self, value: Value<'a>) -> Option<&TensorRef<'a>> {
        match value {
            Value::Tensor(i) => self.tensors.get(i),
            _ => None,
        }
    }

    /// A tuple or list of whole numbers, as a shape is.
    pub(super) fn numbers(&self, value: Value<'a>) -> Option<Vec<i64>> {
        let group = self.group(value)?;
        let number = |v: &Value| match v {
            Value::Int(i) => Some(*i),
            _ => None,
        };
        (group.len() <= MAX_DIMENSIONS).then(|| group.iter().map(number).collect())?
    }
}
