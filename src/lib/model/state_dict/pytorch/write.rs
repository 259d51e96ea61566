//! Tensors as `torch.save` writes a plain state dict. `torch.load(..., weights_only=True)` reads
//! it.

use std::io;
use std::path::Path;

use super::archive::Archive;
use super::pickle::PickleWriter;
use crate::artifact::{self, ArtifactError};
use crate::model::state_dict::error::StateDictError;
use crate::model::state_dict::tensors::{Body, StateDict};

/// The folder in the archive that every entry stands in.
const ROOT: &str = "archive";
/// Version of the archive's layout, as `torch.save` states it.
const VERSION: &[u8] = b"3\n";

/// Publishes tensors as an archive of PyTorch's at `path`. The same values give the same bytes.
///
/// # Errors
/// When a tensor cannot be copied, is of a kind that no file holds, or the disk refuses.
pub fn write(path: &Path, tensors: &StateDict) -> Result<(), StateDictError> {
    let bodies = tensors.iter().map(|(name, tensor)| Body::of(name, tensor));
    let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
    let mut pickle = PickleWriter::new();
    for (key, (name, body)) in tensors.keys().zip(&bodies).enumerate() {
        pickle.tensor(name, key, body.stored.storage, &body.tensor);
    }
    let archive = archive(&pickle.finish(), &bodies).map_err(ArtifactError::at("write", path))?;
    artifact::publish(path, |out| out.write_all(&archive))?;
    Ok(())
}

fn archive(pickle: &[u8], bodies: &[Body]) -> io::Result<Vec<u8>> {
    let mut archive = Archive::new();
    let at = |name: &str| format!("{ROOT}/{name}");
    archive.entry(at("data.pkl"))?.write_all(pickle)?;
    archive.entry(at("byteorder"))?.write_all(b"little")?;
    for (key, body) in bodies.iter().enumerate() {
        body.write(archive.entry(at(&format!("data/{key}")))?)?;
    }
    archive.entry(at("version"))?.write_all(VERSION)?;
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state_dict;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn what_is_written_is_read_back_by_name() {
        let weight = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]) / 7;
        let tensors = StateDict::from([
            ("alpha".to_owned(), Tensor::from(0.25_f32)),
            ("backbone.weight".to_owned(), weight.shallow_clone()),
            ("count".to_owned(), Tensor::from(7_i64)),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pth");
        write(&path, &tensors).unwrap();
        let read = state_dict::read(&path).unwrap().tensors;
        let names: Vec<&String> = read.keys().collect();
        assert_eq!(names, ["alpha", "backbone.weight", "count"]);
        assert_eq!(read["backbone.weight"], weight);
        assert_eq!(read["alpha"].size(), [0i64; 0]);
        assert!((read["alpha"].double_value(&[]) - 0.25).abs() < 1e-9);
        assert_eq!(
            (read["count"].kind(), read["count"].int64_value(&[])),
            (Kind::Int64, 7)
        );
    }
}
