//! The published weights that are known by a name.

use std::path::Path;

use super::{WeightsError, blob_id};

/// A published file of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedWeights {
    /// The name that it is asked for by.
    pub name: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// What the path below is relative to: a commit of a public repository.
    pub base: &'static str,
    /// The file's path.
    pub path: &'static str,
    /// The id that git gives the file's content, in hexadecimal.
    pub blob: &'static str,
    /// The file's name here.
    pub file: &'static str,
    /// The variant that it is of, as incdec-train spells it.
    pub variant: &'static str,
    /// The geometry that it was trained with, as incdec-train spells it.
    pub geometry: &'static str,
    /// The terms of use.
    pub licence: &'static str,
}

const SEED: &str = "https://raw.githubusercontent.com/LoreCase073/incremental_decremental_CL/f0e4d75929df5df52ba0e0989298765fdfa13ed2";
const PORT: &str = "https://raw.githubusercontent.com/Atze00/MoViNet-pytorch/c2d1edf48fc6c5259707f9d833f22171b4f63493";
const SEED_LICENCE: &str = "none is stated in the repository: ask its authors before passing it on";
const PORT_LICENCE: &str = "MIT (the port); the weights are TensorFlow Model Garden's, Apache-2.0, trained on Kinetics-600";

/// Every published file that is known by a name.
///
/// The seed's experiments build their model with the seed's geometry and start from its checkpoint;
/// the public Kinetics-600 weights were trained with TensorFlow's.
pub const PUBLISHED: [PublishedWeights; 4] = [
    PublishedWeights {
        name: "seed",
        what: "the checkpoint that the published experiments start from",
        base: SEED,
        path: "cleaned_checkpoint_sgd.pt",
        blob: "fd3c3e1afac927e38de33e213c0dcbe11368bded",
        file: "cleaned_checkpoint_sgd.pt",
        variant: "A0",
        geometry: "seed",
        licence: SEED_LICENCE,
    },
    PublishedWeights {
        name: "kinetics-600-a0",
        what: "MoViNet-A0 trained on Kinetics-600",
        base: PORT,
        path: "weights/modelA0_statedict_v3",
        blob: "8c3bf9376a49d9db72709d5fb60bd0a635069044",
        file: "modelA0_statedict_v3.pt",
        variant: "A0",
        geometry: "tf",
        licence: PORT_LICENCE,
    },
    PublishedWeights {
        name: "kinetics-600-a1",
        what: "MoViNet-A1 trained on Kinetics-600",
        base: PORT,
        path: "weights/modelA1_statedict_v3",
        blob: "b0cd3abd2ea411382e8e999c7d2cdf2992728d2a",
        file: "modelA1_statedict_v3.pt",
        variant: "A1",
        geometry: "tf",
        licence: PORT_LICENCE,
    },
    PublishedWeights {
        name: "kinetics-600-a2",
        what: "MoViNet-A2 trained on Kinetics-600",
        base: PORT,
        path: "weights/modelA2_statedict_v3",
        blob: "999f187b11ee6d477c5f3c8141119d8183c0e072",
        file: "modelA2_statedict_v3.pt",
        variant: "A2",
        geometry: "tf",
        licence: PORT_LICENCE,
    },
];

/// The entry of a name.
///
/// # Errors
/// When there is none, with the names that there are.
pub fn named(name: &str) -> Result<&'static PublishedWeights, WeightsError> {
    let found = PUBLISHED.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| WeightsError::Name {
        name: name.to_owned(),
    })
}

/// The published weights among `entries` that a file holds, by the id that git gives its content.
/// None for another file, and for one that cannot be read: whoever loads it says why.
#[must_use]
pub fn held_in<'a>(
    path: &Path,
    entries: impl IntoIterator<Item = &'a PublishedWeights>,
) -> Option<&'a PublishedWeights> {
    let found = blob_id(path).ok()?;
    entries.into_iter().find(|entry| entry.blob == found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_pinned_and_names_its_geometry() {
        for entry in &PUBLISHED {
            assert_eq!(entry.blob.len(), 40, "{}", entry.name);
            assert!(entry.blob.bytes().all(|b| b.is_ascii_hexdigit()));
            // A commit in full, so that the address can never mean anything else.
            let commit = entry.base.rsplit('/').next().unwrap();
            assert_eq!(commit.len(), 40, "{}", entry.name);
            assert_eq!(named(entry.name).unwrap(), entry);
            // Only the seed's own checkpoint has the seed's geometry.
            assert_eq!(entry.geometry == "seed", entry.name == "seed");
        }
        assert!(
            named("a0")
                .unwrap_err()
                .to_string()
                .contains("kinetics-600-a0")
        );
    }
}
