//! JSON documents that notice when they are changed: the last field, `blake3`, is the hash of
//! everything before it.

use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::RunRecordError;
use crate::artifact::{self, ArtifactError};

/// A document with its hash behind its own fields.
#[derive(Serialize)]
struct Sealed<'a, T> {
    #[serde(flatten)]
    value: &'a T,
    blake3: &'a str,
}

/// The one field that every document has.
#[derive(Deserialize)]
struct Seal {
    blake3: Option<String>,
}

/// How a document with this hash ends.
fn ending(hash: &str) -> String {
    format!("\"blake3\": \"{hash}\"\n}}\n")
}

/// What was read.
pub(super) struct Document<T> {
    pub(super) value: T,
    /// Whether it had a hash, which fits; documents of a version before have none.
    pub(super) hashed: bool,
}

/// Reads the document at `path`; `None` where there is none.
pub(super) fn read<T: DeserializeOwned>(
    path: &Path,
) -> Result<Option<Document<T>>, RunRecordError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ArtifactError::at("read", path)(e).into()),
    };
    let refused = |source| RunRecordError::Json {
        path: path.to_owned(),
        source,
    };
    let Seal { blake3: written } = serde_json::from_slice(&bytes).map_err(refused)?;
    if let Some(written) = &written {
        let body = bytes.strip_suffix(ending(written).as_bytes());
        if body.is_none_or(|body| blake3::hash(body).to_hex().as_str() != written) {
            return Err(RunRecordError::changed(path, "its content"));
        }
    }
    Ok(Some(Document {
        value: serde_json::from_slice(&bytes).map_err(refused)?,
        hashed: written.is_some(),
    }))
}

/// The document at `path`, where it has a hash that fits.
pub(super) fn sealed<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ArtifactError> {
    match read(path) {
        Ok(document) => Ok(document.filter(|d| d.hashed).map(|d| d.value)),
        Err(RunRecordError::Artifact(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Publishes `value`, which serialises to an object, with its hash.
pub(super) fn write(path: &Path, value: &impl Serialize) -> Result<(), RunRecordError> {
    let blake3 = "";
    let mut text = serde_json::to_string_pretty(&Sealed { value, blake3 }).map_err(|source| {
        RunRecordError::Json {
            path: path.to_owned(),
            source,
        }
    })?;
    text.push('\n');
    // The field is the last, so the text ends with it.
    text.truncate(text.len() - ending(blake3).len());
    text += &ending(blake3::hash(text.as_bytes()).to_hex().as_str());
    Ok(artifact::publish(path, |w| w.write_all(text.as_bytes()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_changed_byte_is_noticed_or_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let value = json!({"seed": 1, "lr": 0.1, "nested": {"names": ["a", "b"]}});
        write(&path, &value).unwrap();
        let bytes = fs::read(&path).unwrap();
        let read_back = read::<Value>(&path).unwrap().unwrap();
        assert!(read_back.hashed);
        assert_eq!(read_back.value["nested"], value["nested"]);
        let mut unnoticed = 0;
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, 1u8 << bit))) {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            fs::write(&path, &flipped).unwrap();
            match read::<Value>(&path) {
                // The name of the hash itself: then it is taken for a document of a version before.
                Ok(document) => {
                    let document = document.unwrap();
                    assert!(!document.hashed, "byte {at}");
                    assert_eq!(document.value["nested"], value["nested"]);
                    unnoticed += 1;
                }
                Err(e) => assert!(e.to_string().contains("settings.json"), "{e}"),
            }
        }
        assert!(unnoticed <= 8 * "blake3".len(), "{unnoticed}");
    }

    #[test]
    fn what_has_no_hash_is_read_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        assert!(read::<Value>(&path).unwrap().is_none());
        fs::write(&path, "{\"seed\": 1}").unwrap();
        let document = read::<Value>(&path).unwrap().unwrap();
        assert!(!document.hashed);
        fs::write(&path, "{").unwrap();
        assert!(matches!(
            read::<Value>(&path),
            Err(RunRecordError::Json { .. })
        ));
    }
}
