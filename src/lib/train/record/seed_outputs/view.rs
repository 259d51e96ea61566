//! A run as the seed's files need it: its settings, its tasks and its tables.

use std::path::PathBuf;

use crate::artifact;
use crate::taxonomy::Taxonomy;
use crate::train::TrainError;
use crate::train::record::folder::RunFolder;
use crate::train::settings::TrainConfig;
use crate::train::task_sequence::TaskSequence;

/// The run whose files are written; its directory takes the place of the seed's
/// `<approach>_<8 letters or digits>`.
pub(in crate::train::record) struct SeedOutputs<'a> {
    pub(in crate::train::record) config: &'a TrainConfig,
    pub(in crate::train::record) data: &'a TaskSequence,
    pub(in crate::train::record) folder: &'a RunFolder,
}

impl SeedOutputs<'_> {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The number of tasks that were dealt; after `--stop-after-first-task` most of them never
    /// come.
    pub(super) fn tasks(&self) -> usize {
        self.data.dealt
    }

    /// Categories and subcategories.
    pub(super) fn taxonomy(&self) -> &Taxonomy {
        &self.data.deal.taxonomy
    }

    /// The seed's data folder, in which `Videos/` and `Info/` lie: the one that holds the shards.
    pub(super) fn data_path(&self) -> String {
        let path = self.config.shards.parent();
        let path = path.filter(|p| !p.as_os_str().is_empty());
        path.map_or_else(|| ".".to_owned(), |p| p.display().to_string())
    }

    /// Publishes a file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        Ok(artifact::publish(&self.path(name), |w| w.write_all(bytes))?)
    }
}

/// The bytes of a CSV writer.
pub(super) fn finished(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, TrainError> {
    writer
        .into_inner()
        .map_err(|e| TrainError::Csv(e.into_error().into()))
}
