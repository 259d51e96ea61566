//! Loading files into a model.

use std::collections::BTreeMap;
use std::path::Path;

use tch::nn::VarStore;

use super::error::CheckpointError;
use super::loaded::{LoadMode, Loaded};
use super::place::{fitting, place};
use crate::model::state_dict::{self, StateDict, StateDictError};

/// Prefix of the names that belong to the head.
pub const HEAD_PREFIX: &str = "heads.";

/// Loads the file at `path` into `store`. The file may be ours, or `PyTorch`'s with the seed's
/// names or the public port's.
///
/// # Errors
/// When the file cannot be read, or does not fit as `mode` demands; in the latter case what fits is
/// in place.
pub fn load(path: &Path, store: &VarStore, mode: LoadMode) -> Result<Loaded, CheckpointError> {
    let tensors = read_foreign(path, None)?;
    let loaded = match mode {
        LoadMode::Exact => place(store, &tensors, |_| true)?,
        LoadMode::Backbone | LoadMode::PartOfBackbone => {
            place(store, &tensors, |name| !name.starts_with(HEAD_PREFIX))?
        }
    };
    loaded.log(path, mode);
    let path = path.to_owned();
    match mode {
        LoadMode::Exact if !loaded.is_complete() => Err(CheckpointError::Unfit { path, loaded }),
        LoadMode::Backbone if !loaded.fills_the_model() => {
            Err(CheckpointError::Partial { path, loaded })
        }
        LoadMode::PartOfBackbone if loaded.matched == 0 => {
            Err(CheckpointError::Unfit { path, loaded })
        }
        _ => Ok(loaded),
    }
}

/// Reads the tensors of a file that may be another program's, under the seed's names; of several
/// state dicts that at `key`.
///
/// # Errors
/// When the file cannot be read, holds no tensor, or its names cannot be those of a MoViNet.
pub fn read_foreign(path: &Path, key: Option<&str>) -> Result<StateDict, CheckpointError> {
    let tensors = state_dict::read_named(path, key)?.tensors;
    let named = if tensors.is_empty() {
        Err("it holds no tensor".to_owned())
    } else {
        state_dict::seed_names(tensors)
    };
    let path = path.to_owned();
    Ok(named.map_err(|reason| StateDictError::Format { path, reason })?)
}

/// Reads the tensors of a file that [`super::write()`] wrote with the metadata `expected`. A field
/// that the file lacks is passed over: versions before wrote fewer.
///
/// # Errors
/// When the file cannot be read, or a field says something else.
pub fn read_own(
    path: &Path,
    expected: &BTreeMap<String, String>,
) -> Result<StateDict, CheckpointError> {
    read_own_whole(path, expected).map(|(tensors, _)| tensors)
}

/// [`read_own`] with the metadata of the header.
///
/// # Errors
/// As [`read_own`].
pub fn read_own_whole(
    path: &Path,
    expected: &BTreeMap<String, String>,
) -> Result<(StateDict, BTreeMap<String, String>), CheckpointError> {
    let file = state_dict::read(path)?;
    for (key, expected) in expected {
        if let Some(found) = file.metadata.get(key).filter(|found| *found != expected) {
            return Err(CheckpointError::OtherOrigin {
                path: path.to_owned(),
                key: key.clone(),
                found: found.clone(),
                expected: expected.clone(),
            });
        }
    }
    Ok((file.tensors, file.metadata))
}

/// Loads a file that [`super::save`] wrote with the metadata `expected` into `store`, whole.
///
/// # Errors
/// As [`read_own`], and when a name or shape is not the model's.
pub fn load_own(
    path: &Path,
    store: &VarStore,
    expected: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    let tensors = read_own(path, expected)?;
    fitting(path, place(store, &tensors, |_| true)?)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::super::{restore, save, snapshot, write};
    use super::*;
    use crate::hint::Hint;
    use crate::model::{ModelConfig, Movinet, fill};

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/checkpoints");

    fn model(classes: i64) -> VarStore {
        let store = VarStore::new(Device::Cpu);
        let config = ModelConfig {
            classes,
            ..ModelConfig::default()
        };
        let _ = Movinet::new(&store.root(), &config);
        store
    }

    #[test]
    fn what_is_saved_loads_exactly_with_the_same_bytes_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|name| folder.path().join(name));
        let metadata = BTreeMap::from([("one".into(), "1".into()), ("two".into(), "2".into())]);
        let store = model(3);
        fill::fill(&store, 0);
        for file in &files {
            save(file, &store, &metadata).unwrap();
        }
        let bytes = files.each_ref().map(|file| std::fs::read(file).unwrap());
        assert_eq!(bytes[0], bytes[1]);
        let read = state_dict::read(&files[0]).unwrap();
        assert_eq!(read.metadata, metadata);
        let other = model(3);
        let loaded = load(&files[0], &other, LoadMode::Exact).unwrap();
        assert_eq!((loaded.matched, loaded.is_complete()), (store.len(), true));
        let (ours, theirs) = (store.variables(), other.variables());
        assert!(ours.iter().all(|(name, tensor)| *tensor == theirs[name]));
        // Another head fits no exact load, but gives its backbone.
        let wider = model(4);
        let error = load(&files[0], &wider, LoadMode::Exact).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("2 misshapen: heads.0.0.0.conv_1.conv3d.bias [3] instead of [4]"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("incdec-weights inspect"));
        assert!(
            load(&files[0], &wider, LoadMode::Backbone)
                .unwrap()
                .is_complete()
        );
    }

    #[test]
    fn pytorchs_files_give_the_same_tensors_in_every_form() {
        // Made by PyTorch 2.11 from the stem and the first block of a filled A0.
        let path = |name: &str| Path::new(FIXTURES).join(name);
        let store = model(7);
        fill::fill(&store, 0);
        let expected = store.variables();
        for name in [
            "seed_model_key.pth",
            "plain.pt",
            "port.pth",
            "pytorch.safetensors",
        ] {
            let tensors = read_foreign(&path(name), None).unwrap();
            assert!(tensors.len() >= 30, "{name}: {}", tensors.len());
            for (tensor_name, tensor) in &tensors {
                assert_eq!(*tensor, expected[tensor_name], "{name}: {tensor_name}");
            }
            let target = model(7);
            let loaded = load(&path(name), &target, LoadMode::PartOfBackbone).unwrap();
            assert!(
                loaded.left_over.is_empty() && loaded.misshapen.is_empty(),
                "{name}: {loaded}"
            );
            assert!(
                loaded
                    .missing
                    .contains(&"backbone.conv7.conv_1.conv3d.weight".to_owned()),
                "{name}"
            );
        }
    }

    #[test]
    fn a_backbone_that_fits_in_part_is_refused_unless_a_part_is_allowed() {
        let file = Path::new(FIXTURES).join("plain.pt");
        let error = load(&file, &model(7), LoadMode::Backbone).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("plain.pt does not fill this model's backbone: "),
            "{said}"
        );
        assert!(said.contains(" tensors matched; "), "{said}");
        assert!(said.contains(" missing: backbone.blocks."), "{said}");
        let hint = error.hint().unwrap();
        for remedy in ["--variant", "--geometry", "--allow-partial"] {
            assert!(hint.contains(remedy), "{hint}");
        }
        let loaded = load(&file, &model(7), LoadMode::PartOfBackbone).unwrap();
        assert!(!loaded.fills_the_model());
        assert_eq!(
            loaded.share(),
            format!("partly ({} of {})", loaded.matched, loaded.wanted())
        );
        assert!(said.contains(&format!(
            "{} of {} tensors",
            loaded.matched,
            loaded.wanted()
        )));
    }

    #[test]
    fn names_of_a_hostile_file_steer_no_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hostile.safetensors");
        let hostile = "backbone.\u{1b}[2Jgone".to_owned();
        let one = Tensor::from_slice(&[1.0_f32]);
        write(&file, &StateDict::from([(hostile, one)]), &BTreeMap::new()).unwrap();
        let error = load(&file, &model(2), LoadMode::PartOfBackbone).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("1 left over: backbone.\\u{1b}[2Jgone"),
            "{said}"
        );
        assert!(!said.contains('\u{1b}'), "{said}");
    }

    #[test]
    fn views_and_types_of_a_pytorch_file_are_read_as_they_were() {
        let tensors = state_dict::read(&Path::new(FIXTURES).join("mixed.pth"))
            .unwrap()
            .tensors;
        let base = Tensor::arange(24, (Kind::Float, Device::Cpu)).view([2, 3, 4]);
        assert_eq!(tensors["transposed"], base.transpose(0, 2));
        assert_eq!(tensors["offset"], base.get(1).narrow(0, 1, 2));
        assert_eq!(tensors["bfloat"], base.to_kind(Kind::BFloat16));
        assert_eq!(tensors["double"].kind(), Kind::Double);
        assert_eq!(tensors["long"].int64_value(&[]), 7);
        assert_eq!(
            Vec::<bool>::try_from(&tensors["bool"]).unwrap(),
            [true, false]
        );
        assert_eq!(
            Vec::<f32>::try_from(&tensors["parameter"]).unwrap(),
            [1.5, -2.0]
        );
        assert_eq!(tensors["empty"].size(), [0, 3]);
    }

    #[test]
    fn a_snapshot_is_a_copy_and_goes_back_where_it_came_from() {
        let store = model(2);
        let before = snapshot(&store).unwrap();
        fill::fill(&store, 1);
        restore(&store, &before).unwrap();
        let variables = store.variables();
        assert!(
            before
                .0
                .iter()
                .all(|(name, tensor)| *tensor == variables[name])
        );
        assert!(restore(&model(3), &before).is_err());
    }

    #[test]
    fn what_holds_no_weights_is_an_error_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("text.pt");
        std::fs::write(&file, "no weights at all").unwrap();
        let error = load(&file, &model(2), LoadMode::Backbone).unwrap_err();
        assert!(
            error.to_string().contains("text.pt") && error.hint().unwrap().contains(".safetensors")
        );
        assert!(load(&folder.path().join("absent"), &model(2), LoadMode::Exact).is_err());
    }
}
