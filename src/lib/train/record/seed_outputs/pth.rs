//! Weights as PyTorch's `torch.save` writes a plain state dict: a ZIP archive of stored entries, with a small pickle that
//! names each tensor's type, shape and storage. `torch.load(..., weights_only=True)` reads it.
//!
//! (Format: `torch/serialization.py`, `_save`; opcodes: Python's `pickletools`.)

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use flate2::Crc;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use crate::artifact;
use crate::train::TrainError;

/// The folder in the archive that every entry stands in.
const ROOT: &str = "archive";
/// Version of the archive's layout, as `torch.save` states it.
const VERSION: &[u8] = b"3\n";

/// Publishes all variables of `store` under their names.
///
/// # Errors
/// When a tensor cannot be read, or the disk refuses.
pub fn write_state_dict(path: &Path, store: &VarStore) -> Result<(), TrainError> {
    let tensors: BTreeMap<String, Tensor> = store.variables().into_iter().collect();
    let mut pickle = Pickle::default();
    let mut storages = Vec::new();
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
        pickle.tensor(name, key, &tensor);
        storages.push(bytes_of(&tensor)?);
    }
    let pickle = pickle.finish();
    let publish = |w: &mut dyn Write| {
        let mut archive = Archive::new(w);
        archive.entry("data.pkl", &pickle)?;
        archive.entry("byteorder", b"little")?;
        for (key, bytes) in storages.iter().enumerate() {
            archive.entry(&format!("data/{key}"), bytes)?;
        }
        archive.entry("version", VERSION)?;
        archive.finish()
    };
    Ok(artifact::publish(path, publish)?)
}

/// A tensor's elements, little-endian, in C order.
fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>, TrainError> {
    let flat = tensor.reshape([-1]);
    Ok(if tensor.kind() == Kind::Int64 {
        Vec::<i64>::try_from(flat)?
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect()
    } else {
        Vec::<f32>::try_from(flat.to_kind(Kind::Float))?
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect()
    })
}

/// The pickle of an ordered dictionary from names to tensors, protocol 2.
struct Pickle(Vec<u8>);

impl Default for Pickle {
    fn default() -> Self {
        let mut pickle = Self(b"\x80\x02".to_vec());
        pickle.empty_dictionary();
        pickle.0.push(b'(');
        pickle
    }
}

impl Pickle {
    /// An empty `OrderedDict`: a global, no arguments, called.
    fn empty_dictionary(&mut self) {
        self.0.extend(b"ccollections\nOrderedDict\n)R");
    }

    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0
            .extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    /// A whole number: four bytes signed, or eight as a long.
    fn integer(&mut self, value: i64) {
        if let Ok(value) = i32::try_from(value) {
            self.0.push(b'J');
            self.0.extend(value.to_le_bytes());
        } else {
            self.0.extend(b"\x8a\x08");
            self.0.extend(value.to_le_bytes());
        }
    }

    fn integers(&mut self, values: &[i64]) {
        self.0.push(b'(');
        for value in values {
            self.integer(*value);
        }
        self.0.push(b't');
    }

    /// `name: torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())`.
    fn tensor(&mut self, name: &str, key: usize, tensor: &Tensor) {
        self.text(name);
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        let storage: &[u8] = if tensor.kind() == Kind::Int64 {
            b"ctorch\nLongStorage\n"
        } else {
            b"ctorch\nFloatStorage\n"
        };
        self.0.extend(storage);
        self.text(&key.to_string());
        self.text("cpu");
        self.integer(i64::try_from(tensor.numel()).unwrap_or(i64::MAX));
        // The tuple is a persistent id, which the reader turns into the storage.
        self.0.extend(b"tQ");
        self.integer(0);
        self.integers(&tensor.size());
        self.integers(&tensor.stride());
        self.0.push(0x89);
        self.empty_dictionary();
        self.0.extend(b"tR");
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend(b"u.");
        self.0
    }
}

/// A ZIP archive of stored entries, written in one pass. Dates are fixed, so equal contents give equal bytes.
struct Archive<'a> {
    out: &'a mut dyn Write,
    position: u32,
    directory: Vec<u8>,
    entries: u16,
}

/// 1 January 1980, the first day that ZIP can tell.
const DOS_DATE: u16 = 0x0021;

impl<'a> Archive<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            position: 0,
            directory: Vec::new(),
            entries: 0,
        }
    }

    fn entry(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let too_large = |_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "weights beyond 4 GiB need another format",
            )
        };
        let name = format!("{ROOT}/{name}");
        let size = u32::try_from(bytes.len()).map_err(too_large)?;
        let name_size = u16::try_from(name.len()).map_err(too_large)?;
        let mut crc = Crc::new();
        crc.update(bytes);
        // What local header and directory share: version 2.0, no flags, stored, date, checksum, sizes, no extra field.
        let mut shared = Vec::with_capacity(26);
        for short in [20, 0, 0, 0, DOS_DATE] {
            shared.extend(u16::to_le_bytes(short));
        }
        for long in [crc.sum(), size, size] {
            shared.extend(long.to_le_bytes());
        }
        shared.extend(name_size.to_le_bytes());
        shared.extend([0, 0]);
        self.directory.extend(b"PK\x01\x02\x14\x00");
        self.directory.extend(&shared);
        // No comment, first disk, no attributes.
        self.directory.extend([0; 10]);
        self.directory.extend(self.position.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.entries += 1;
        let mut header = b"PK\x03\x04".to_vec();
        header.extend(&shared);
        header.extend(name.as_bytes());
        self.out.write_all(&header)?;
        self.out.write_all(bytes)?;
        let written = u32::try_from(header.len())
            .map_err(too_large)?
            .checked_add(size);
        self.position = written
            .and_then(|written| self.position.checked_add(written))
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "weights beyond 4 GiB need another format",
                )
            })?;
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        self.out.write_all(&self.directory)?;
        let mut end = b"PK\x05\x06\x00\x00\x00\x00".to_vec();
        end.extend(self.entries.to_le_bytes());
        end.extend(self.entries.to_le_bytes());
        end.extend(
            u32::try_from(self.directory.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        end.extend(self.position.to_le_bytes());
        end.extend([0, 0]);
        self.out.write_all(&end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state_dict;
    use tch::nn::Init;

    #[test]
    fn what_is_written_is_read_back_by_name() {
        let store = VarStore::new(Device::Cpu);
        let weight =
            (store.root() / "backbone").var("weight", &[2, 3], Init::Uniform { lo: -1.0, up: 1.0 });
        let scalar = store.root().var("alpha", &[], Init::Const(0.25));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pth");
        write_state_dict(&path, &store).unwrap();
        let read = state_dict::read(&path).unwrap().tensors;
        assert_eq!(
            read.keys().collect::<Vec<_>>(),
            ["alpha", "backbone.weight"]
        );
        assert_eq!(read["backbone.weight"], weight.detach());
        assert_eq!(read["alpha"].size(), [0i64; 0]);
        assert!((read["alpha"].double_value(&[]) - scalar.double_value(&[])).abs() < 1e-9);
    }
}
