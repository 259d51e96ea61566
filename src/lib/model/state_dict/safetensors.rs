//! The format of safetensors: a header in JSON, then the tensors' bytes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

use super::error::StateDictError;
use super::tensors::{Body, STORED_KINDS, StateDict};
use crate::artifact::{self, ArtifactError};
use crate::run_record::{SEAL, blank_seal, seal_at};

/// The tensors and the metadata of a file.
pub(super) fn read(bytes: &[u8]) -> Result<(StateDict, BTreeMap<String, String>), String> {
    let says = |e: safetensors::SafeTensorError| e.to_string();
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(says)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let views = SafeTensors::deserialize(bytes).map_err(says)?;
    let mut tensors = StateDict::new();
    for (name, view) in views.iter() {
        let kind =
            kind_of(view.dtype()).ok_or_else(|| format!("{name} is of type {:?}", view.dtype()))?;
        let sizes = view.shape().iter().map(|&d| i64::try_from(d).ok());
        let shape: Option<Vec<i64>> = sizes.collect();
        let shape = shape.ok_or_else(|| format!("{name} is of shape {:?}", view.shape()))?;
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
            .map_err(|e| format!("{name}: {e}"))?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok((tensors, metadata.into_iter().collect()))
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    let name = format!("{dtype:?}");
    let stored = STORED_KINDS.iter().find(|stored| stored.dtype == name);
    stored.map(|stored| stored.kind)
}

/// Publishes tensors as safetensors at `path`, with `metadata` in the header. The same values and
/// metadata give the same bytes.
///
/// # Errors
/// When the file cannot be written, or a tensor has a type that is neither float nor integer.
pub fn write(
    path: &Path,
    tensors: &StateDict,
    metadata: &BTreeMap<String, String>,
) -> Result<(), StateDictError> {
    let (header, bodies) = encode(tensors, metadata)?;
    artifact::publish(path, |out| write_parts(out, &header, &bodies))?;
    Ok(())
}

/// Tensors as the bytes of a file without metadata.
///
/// # Errors
/// When a tensor has a type that is neither float nor integer.
pub fn to_bytes(tensors: &StateDict) -> Result<Vec<u8>, StateDictError> {
    let (header, bodies) = encode(tensors, &BTreeMap::new())?;
    let mut bytes = Vec::new();
    write_parts(&mut bytes, &header, &bodies)
        .map_err(ArtifactError::at("write", Path::new("memory")))?;
    Ok(bytes)
}

/// What [`to_bytes`] gave; messages call the bytes `path`.
///
/// # Errors
/// When they are not such bytes.
pub fn of_bytes(bytes: &[u8], path: &Path) -> Result<StateDict, StateDictError> {
    let (tensors, _) = read(bytes).map_err(|reason| StateDictError::Format {
        path: path.to_owned(),
        reason,
    })?;
    Ok(tensors)
}

/// A file that is ready to be published, with its own hash in its header: [`SEAL`].
pub struct Sealed {
    header: String,
    bodies: Vec<Body>,
}

impl Sealed {
    /// Tensors as safetensors with `metadata` in the header, copied to host memory and hashed. The
    /// same values and metadata give the same bytes.
    ///
    /// # Errors
    /// When a tensor has a type that is neither float nor integer.
    pub fn new(
        tensors: &StateDict,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, StateDictError> {
        let mut metadata = metadata.clone();
        metadata.insert(SEAL.to_owned(), blank_seal());
        let (header, bodies) = encode(tensors, &metadata)?;
        let mut sealed = Self { header, bodies };
        let mut hasher = blake3::Hasher::new();
        sealed
            .write(&mut hasher)
            .map_err(ArtifactError::at("hash", Path::new(SEAL)))?;
        if let Some(at) = seal_at(sealed.header.as_bytes()) {
            let hash = hasher.finalize().to_hex();
            sealed.header.replace_range(at, hash.as_str());
        }
        Ok(sealed)
    }

    /// Publishes it at `path`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn publish(&self, path: &Path) -> Result<(), ArtifactError> {
        artifact::publish(path, |out| self.write(out))
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write_parts(out, &self.header, &self.bodies)
    }
}

fn write_parts(out: &mut dyn Write, header: &str, bodies: &[Body]) -> io::Result<()> {
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    bodies.iter().try_for_each(|body| body.write(out))
}

/// The header, names sorted and padded to 8 bytes with spaces, and the tensors in the order of
/// their bytes. (The `safetensors` crate keeps metadata in a hash map, whose order differs from run
/// to run.)
fn encode(
    tensors: &StateDict,
    metadata: &BTreeMap<String, String>,
) -> Result<(String, Vec<Body>), StateDictError> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut bodies = Vec::with_capacity(tensors.len());
    let mut offset = 0;
    // The widest types first, so that each tensor is aligned to its own width, as the format's
    // other writers do.
    let mut order: Vec<(&String, &Tensor)> = tensors.iter().collect();
    order.sort_by_key(|(name, tensor)| {
        (std::cmp::Reverse(tensor.kind().elt_size_in_bytes()), *name)
    });
    for (name, tensor) in order {
        let body = Body::of(name, tensor)?;
        let end = offset + body.size_bytes();
        header.insert(
            name.clone(),
            serde_json::json!({
                "dtype": body.stored.dtype,
                "shape": body.tensor.size(),
                "data_offsets": [offset, end],
            }),
        );
        offset = end;
        bodies.push(body);
    }
    let mut text = serde_json::Value::Object(header).to_string();
    let padding = text.len().next_multiple_of(8) - text.len();
    text.extend(std::iter::repeat_n(' ', padding));
    Ok((text, bodies))
}
