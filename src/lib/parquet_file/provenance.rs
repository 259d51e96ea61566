//! Where a file's content comes from, as the file itself tells it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Format, TableError};
use crate::artifact::{ArtifactError, hash_file};

/// What all our keys begin with.
pub(super) const KEY_PREFIX: &str = "incdec.";
pub(super) const FORMAT_KEY: &str = "incdec.format";
const VERSION_KEY: &str = "incdec.format_version";
const CRATE_KEY: &str = "incdec.crate_version";
const SETTINGS_KEY: &str = "incdec.settings";
const INPUTS_KEY: &str = "incdec.inputs";
/// The hash over the rows, which only tables have.
pub(super) const ROWS_KEY: &str = "incdec.rows";
/// The hash over the five keys above, which Parquet's footer does not protect either.
const METADATA_KEY: &str = "incdec.metadata";

/// Where a file's content comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The settings that can change the content: no paths, workers, threads or devices.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The BLAKE3 hash of each input file, by its role (`train.csv`, `index.parquet`, ...).
    pub inputs: BTreeMap<String, String>,
}

impl Provenance {
    /// The provenance under `settings`, which must serialise to a JSON object; anything else is kept under `value`.
    #[must_use]
    pub fn of(settings: &impl Serialize) -> Self {
        let settings = match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(map)) => map,
            Ok(other) => serde_json::Map::from_iter([("value".to_owned(), other)]),
            Err(_) => serde_json::Map::new(),
        };
        Self {
            settings,
            inputs: BTreeMap::new(),
        }
    }

    /// Adds an input file under its own name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn with_input(mut self, path: &Path) -> Result<Self, ArtifactError> {
        let name = path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        self.inputs.insert(name, hash_file(path)?);
        Ok(self)
    }

    /// The key-value metadata of a file in `format`, sorted by key.
    #[must_use]
    pub fn metadata(&self, format: &Format) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::from([
            (FORMAT_KEY.to_owned(), format.name.to_owned()),
            (VERSION_KEY.to_owned(), format.version.to_string()),
            (CRATE_KEY.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            (
                SETTINGS_KEY.to_owned(),
                serde_json::Value::Object(self.settings.clone()).to_string(),
            ),
            (
                INPUTS_KEY.to_owned(),
                serde_json::json!(self.inputs).to_string(),
            ),
        ]);
        let hash = hash_of(|key| metadata.get(key).map(String::as_str));
        metadata.insert(METADATA_KEY.to_owned(), hash);
        metadata
    }

    /// Reads the provenance back from a file's key-value metadata, after checking that the file is in `format`.
    ///
    /// # Errors
    /// When the metadata name another format or another version of it, or are not as they were written.
    pub fn from_metadata(
        path: &Path,
        metadata: &HashMap<String, String>,
        format: &Format,
    ) -> Result<Self, TableError> {
        let found = metadata.get(FORMAT_KEY).cloned().unwrap_or_default();
        if found != format.name {
            return Err(TableError::Format {
                path: path.to_owned(),
                expected: *format,
                found,
            });
        }
        let version = metadata
            .get(VERSION_KEY)
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        if version != format.version {
            return Err(TableError::Version {
                path: path.to_owned(),
                expected: *format,
                found: version,
            });
        }
        let hash = hash_of(|key| metadata.get(key).map(String::as_str));
        if metadata
            .get(METADATA_KEY)
            .is_some_and(|written| *written != hash)
        {
            return Err(TableError::Changed {
                path: path.to_owned(),
                what: "metadata",
                expected: *format,
            });
        }
        let json = |key: &str| metadata.get(key).map_or("{}", String::as_str);
        let malformed = |source| TableError::Metadata {
            path: path.to_owned(),
            source,
        };
        Ok(Self {
            settings: serde_json::from_str(json(SETTINGS_KEY)).map_err(malformed)?,
            inputs: serde_json::from_str(json(INPUTS_KEY)).map_err(malformed)?,
        })
    }
}

/// The BLAKE3 over what says where a file comes from.
fn hash_of<'a>(value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for key in [FORMAT_KEY, VERSION_KEY, CRATE_KEY, SETTINGS_KEY, INPUTS_KEY] {
        let text = value(key).unwrap_or_default();
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
