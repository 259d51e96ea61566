//! `settings.json`: which run it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Extension, Machine, RunRecordError, SETTINGS_FILE, differences, document};
use crate::parquet_file::Provenance;
use crate::taxonomy::Taxonomy;

/// Everything that can change a run's result, and what its classes are called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunHead {
    /// `incdec.run`.
    pub format: String,
    /// Version of the run directory's layout.
    pub version: u32,
    /// The id ([`run_id`]); empty in a directory of a version before.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run_id: String,
    /// How availability changes.
    pub scenario: String,
    /// The seed that the tasks were dealt with, where it is known.
    pub tasks_seed: Option<u64>,
    /// Tasks of the run.
    pub tasks: usize,
    /// Categories in class order.
    pub categories: Vec<String>,
    /// Subcategories in the taxonomy's order.
    pub subcategories: Vec<Subcategory>,
    /// The settings, as every table of the run has them.
    pub settings: Map<String, Value>,
    /// The BLAKE3 of each input, by its role.
    pub inputs: BTreeMap<String, String>,
    /// How much of the weights to start from was taken (`partly (71 of 383)`); absent where it was
    /// all, or there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<String>,
    /// By what the run goes beyond its settings; absent where it keeps to them.
    #[serde(skip_serializing_if = "Extension::is_none")]
    pub extension: Extension,
    /// What it computes on; absent in a directory of a version before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
}

/// A subcategory and the category that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subcategory {
    /// The category.
    pub category: String,
    /// The subcategory.
    pub subcategory: String,
}

/// What makes a run itself: the BLAKE3 over its settings and the hashes of its inputs. Neither
/// paths nor the machine count.
#[must_use]
pub fn run_id(provenance: &Provenance) -> String {
    let mut facts = json!({"settings": provenance.settings, "inputs": provenance.inputs});
    facts.sort_all_objects();
    blake3::hash(facts.to_string().as_bytes())
        .to_hex()
        .to_string()
}

impl RunHead {
    /// Reads the head of the run in `folder`; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub fn read(folder: &Path) -> Result<Option<Self>, RunRecordError> {
        let document = document::read(&folder.join(SETTINGS_FILE))?;
        Ok(document.map(|document| document.value))
    }

    /// Publishes it in `folder`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<(), RunRecordError> {
        document::write(&folder.join(SETTINGS_FILE), self)
    }

    /// Where the tables of the run come from.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        Provenance {
            settings: self.settings.clone(),
            inputs: self.inputs.clone(),
        }
    }

    /// The run's id, computed where a version before left none.
    #[must_use]
    pub fn id(&self) -> String {
        if self.run_id.is_empty() {
            run_id(&self.provenance())
        } else {
            self.run_id.clone()
        }
    }

    /// The settings, and behind them by what the run goes beyond them, under the names of the flags.
    #[must_use]
    pub fn extended_settings(&self) -> Map<String, Value> {
        let mut settings = self.settings.clone();
        let Extension { epochs, tasks } = self.extension;
        settings.extend(epochs.map(|epochs| ("extend_epochs".to_owned(), epochs.into())));
        settings.extend(tasks.then(|| ("extend_tasks".to_owned(), true.into())));
        settings
    }

    /// The taxonomy of the run; none in a directory that does not say.
    #[must_use]
    pub fn taxonomy(&self) -> Option<Taxonomy> {
        let pairs = self.subcategories.iter();
        let pairs = pairs.map(|entry| (entry.category.clone(), entry.subcategory.clone()));
        Taxonomy::from_pairs(Path::new(SETTINGS_FILE), pairs).ok()
    }

    /// In what this run differs from `ours`, machines and extensions apart.
    #[must_use]
    pub fn differences(&self, ours: &Self) -> Vec<String> {
        let facts = |head: &Self| Self {
            run_id: String::new(),
            machine: None,
            extension: Extension::default(),
            ..head.clone()
        };
        differences("", &facts(self), &facts(ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_stands_behind_the_settings_and_changes_no_id() {
        let mut head = RunHead {
            settings: Map::from_iter([("epochs".to_owned(), json!(2))]),
            ..RunHead::default()
        };
        let id = head.id();
        assert_eq!(head.extended_settings(), head.settings);
        head.extension = Extension {
            epochs: Some(5),
            tasks: true,
        };
        assert_eq!(head.id(), id);
        let shown = Value::Object(head.extended_settings());
        assert_eq!(
            shown,
            json!({"epochs": 2, "extend_epochs": 5, "extend_tasks": true})
        );
    }

    #[test]
    fn the_id_is_of_settings_and_inputs_alone() {
        let mut head = RunHead {
            settings: Map::from_iter([
                ("seed".to_owned(), json!(1)),
                ("lr".to_owned(), json!(0.1)),
            ]),
            ..RunHead::default()
        };
        let id = head.id();
        head.settings.swap_remove("seed");
        head.settings.insert("seed".to_owned(), json!(1));
        head.machine = Some(Machine::default());
        assert_eq!(head.id(), id, "neither order nor machine counts");
        head.inputs.insert("index.parquet".into(), "ab".into());
        assert_ne!(head.id(), id);
    }
}
