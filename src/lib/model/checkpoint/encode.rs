//! Tensors as the bytes of a safetensors file, the same for the same values.

use std::collections::BTreeMap;
use std::io::{self, Write};

use tch::{Device, Tensor};

use super::CheckpointError;
use crate::model::state_dict::{self, StateDict};

/// The header, names sorted and padded to 8 bytes with spaces, and the tensors in the order of their bytes. (The
/// `safetensors` crate keeps metadata in a hash map, whose order differs from run to run.)
pub(super) fn encode(
    tensors: &StateDict,
    metadata: &BTreeMap<String, String>,
) -> Result<(String, Vec<Tensor>), CheckpointError> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut bodies = Vec::with_capacity(tensors.len());
    let mut offset = 0;
    // The widest types first, so that each tensor is aligned to its own width, as the format's other writers do.
    let mut order: Vec<(&String, &Tensor)> = tensors.iter().collect();
    order.sort_by_key(|(name, tensor)| {
        (std::cmp::Reverse(tensor.kind().elt_size_in_bytes()), *name)
    });
    for (name, tensor) in order {
        let failed = |source| CheckpointError::Tensor {
            name: name.clone(),
            source,
        };
        let body = tensor
            .detach()
            .f_to_device(Device::Cpu)
            .and_then(|t| t.f_contiguous())
            .map_err(failed)?;
        let dtype = state_dict::dtype_name(body.kind()).ok_or_else(|| {
            failed(tch::TchError::Kind(format!(
                "{:?} cannot be stored",
                body.kind()
            )))
        })?;
        let end = offset + body.numel() * body.kind().elt_size_in_bytes();
        header.insert(
            name.clone(),
            serde_json::json!({ "dtype": dtype, "shape": body.size(), "data_offsets": [offset, end] }),
        );
        offset = end;
        bodies.push(body);
    }
    let mut text = serde_json::Value::Object(header).to_string();
    text.extend(std::iter::repeat_n(
        ' ',
        text.len().next_multiple_of(8) - text.len(),
    ));
    Ok((text, bodies))
}

/// Writes a contiguous tensor's bytes (little-endian, as every machine that libtorch's wheel runs on).
pub(super) fn write_body(out: &mut dyn Write, body: &Tensor) -> io::Result<()> {
    let mut bytes = vec![0_u8; body.numel() * body.kind().elt_size_in_bytes()];
    body.f_copy_data_u8(&mut bytes, body.numel())
        .map_err(io::Error::other)?;
    out.write_all(&bytes)
}
