//! Tensors by name, the kinds of numbers that files hold, and a tensor's bytes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use tch::{Device, Kind, TchError, Tensor};

use super::error::StateDictError;

/// Tensors by name.
pub type StateDict = BTreeMap<String, Tensor>;

/// A kind of numbers and what the formats call it.
pub(super) struct StoredKind {
    pub(super) kind: Kind,
    /// Its name in safetensors.
    pub(super) dtype: &'static str,
    /// The class of its storages in PyTorch.
    pub(super) storage: &'static str,
}

const fn stored(kind: Kind, dtype: &'static str, storage: &'static str) -> StoredKind {
    StoredKind {
        kind,
        dtype,
        storage,
    }
}

/// The kinds of numbers that files hold.
pub(super) const STORED_KINDS: [StoredKind; 10] = [
    stored(Kind::Float, "F32", "FloatStorage"),
    stored(Kind::Double, "F64", "DoubleStorage"),
    stored(Kind::Half, "F16", "HalfStorage"),
    stored(Kind::BFloat16, "BF16", "BFloat16Storage"),
    stored(Kind::Int64, "I64", "LongStorage"),
    stored(Kind::Int, "I32", "IntStorage"),
    stored(Kind::Int16, "I16", "ShortStorage"),
    stored(Kind::Int8, "I8", "CharStorage"),
    stored(Kind::Uint8, "U8", "ByteStorage"),
    stored(Kind::Bool, "BOOL", "BoolStorage"),
];

/// A tensor as files hold it: in host memory, contiguous, of a kind that they know.
pub(super) struct Body {
    pub(super) tensor: Tensor,
    pub(super) stored: &'static StoredKind,
}

impl Body {
    /// The tensor called `name`, ready to be written.
    pub(super) fn of(name: &str, tensor: &Tensor) -> Result<Self, StateDictError> {
        let body = tensor
            .detach()
            .f_to_device(Device::Cpu)
            .and_then(|t| t.f_contiguous())
            .map_err(StateDictError::at(name))?;
        let stored = STORED_KINDS.iter().find(|s| s.kind == body.kind());
        let unknown = || TchError::Kind(format!("{:?} cannot be stored", body.kind()));
        Ok(Self {
            stored: stored.ok_or_else(|| StateDictError::at(name)(unknown()))?,
            tensor: body,
        })
    }

    /// How many bytes it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.tensor.numel() * self.stored.kind.elt_size_in_bytes()
    }

    /// Writes its numbers (little-endian, as every machine that libtorch's wheel runs on).
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut bytes = vec![0_u8; self.size_bytes()];
        self.tensor
            .f_copy_data_u8(&mut bytes, self.tensor.numel())
            .map_err(io::Error::other)?;
        out.write_all(&bytes)
    }
}
