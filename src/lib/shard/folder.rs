//! What a folder of shards holds: the names of its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::ShardError;
use crate::artifact::ArtifactError;
use crate::clip::Split;

/// The file name of a shard: `train-00000.arrow`.
#[must_use]
pub fn shard_name(split: Split, number: u32) -> String {
    format!("{split}-{number:05}.arrow")
}

/// The split and number of a shard's file name; `None` for any other name.
#[must_use]
pub fn parse_shard_name(name: &str) -> Option<(Split, u32)> {
    let (split, number) = name.strip_suffix(".arrow")?.rsplit_once('-')?;
    let split = split.parse().ok()?;
    if number.len() < 5 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = number.parse().ok()?;
    (shard_name(split, number) == name).then_some((split, number))
}

/// The shards of a folder by split and number, whether its index names them or not.
///
/// # Errors
/// When the folder cannot be listed.
pub fn shard_files(folder: &Path) -> Result<BTreeMap<(Split, u32), String>, ShardError> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(ArtifactError::at("list", folder))? {
        let name = entry
            .map_err(ArtifactError::at("list", folder))?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if let Some(key) = parse_shard_name(&name) {
            files.insert(key, name);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_names_survive_and_others_are_refused() {
        for (split, number) in [
            (Split::Train, 0),
            (Split::Validation, 12),
            (Split::Test, 123_456),
        ] {
            assert_eq!(
                parse_shard_name(&shard_name(split, number)),
                Some((split, number))
            );
        }
        for name in [
            "train-0.arrow",
            "train-000000.arrow",
            "train-00000.parquet",
            "../train-00000.arrow",
            "all-00000.arrow",
            "train-+0001.arrow",
            "train-99999999999.arrow",
        ] {
            assert_eq!(parse_shard_name(name), None, "{name}");
        }
    }
}
