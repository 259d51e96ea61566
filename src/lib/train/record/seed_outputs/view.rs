//! A run as the seed's files need it: its settings, its tasks and its tables.

use std::path::{Path, PathBuf};

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
        let shards = self.config.shards.shown();
        let path = shards.parent().filter(|p| !p.as_os_str().is_empty());
        path.map_or_else(|| ".".to_owned(), |p| p.display().to_string())
    }

    /// Publishes a file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        Ok(artifact::publish(&self.path(name), |w| w.write_all(bytes))?)
    }

    /// Publishes a table that `fill` writes.
    pub(super) fn write_table(
        &self,
        name: &str,
        fill: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>,
    ) -> Result<(), TrainError> {
        self.write(name, &table(&self.path(name), fill)?)
    }
}

/// The bytes of the table that is to lie at `path`, as `fill` writes them.
fn table(
    path: &Path,
    fill: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>,
) -> Result<Vec<u8>, TrainError> {
    let failed = |source| TrainError::Csv {
        path: path.to_owned(),
        source,
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    fill(&mut writer).map_err(failed)?;
    writer
        .into_inner()
        .map_err(|e| failed(e.into_error().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_cannot_be_written_is_named() {
        let path = Path::new("run/parameters.csv");
        let uneven = |writer: &mut csv::Writer<Vec<u8>>| {
            writer.write_record(["a", "b"])?;
            writer.write_record(["1"])
        };
        let said = table(path, uneven).unwrap_err().to_string();
        assert!(said.starts_with("run/parameters.csv: CSV: "), "{said}");
        let even = table(path, |writer| writer.write_record(["a", "b"])).unwrap();
        assert_eq!(even, b"a,b\n");
    }
}
