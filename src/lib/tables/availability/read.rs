//! Reads `availability.parquet` and refuses rows that make no sense, before anybody counts on them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::fault::RowFault;
use super::{AvailabilityRow, check_availability};
use crate::exit::Exit;
use crate::hint::Hint;
use crate::parquet_file::{self, Provenance, Table, TableError};
use crate::taxonomy::{Category, Taxonomy, TaxonomyError};

/// What each task holds, checked.
#[derive(Clone, Debug)]
pub struct Availability {
    /// The rows in the table's order.
    pub rows: Vec<AvailabilityRow>,
    /// Categories and subcategories: as the table's settings have them or, where these are silent,
    /// as its rows have them, the subcategories of a category in the order of their names.
    pub taxonomy: Taxonomy,
    /// Settings and inputs that the rows were dealt from.
    pub provenance: Provenance,
}

/// Why an availability table could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AvailabilityError {
    /// The table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A row makes no sense.
    #[error("{path}: {fault}")]
    Row {
        /// The table.
        path: PathBuf,
        /// The row, and what is wrong with it.
        fault: RowFault,
    },
    /// The settings name no categories, and the rows no classes 0, 1, 2, ...
    #[error("{path}: the classes are {labels:?}, not 0, 1, 2, ...")]
    Classes {
        /// The table.
        path: PathBuf,
        /// The class indices found.
        labels: Vec<i32>,
    },
    /// The rows of a table without a taxonomy give a subcategory to two categories.
    #[error(transparent)]
    Taxonomy(#[from] TaxonomyError),
}

impl Hint for AvailabilityError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Table(e) => e.hint(),
            _ => Some(format!(
                "`{}` makes it anew",
                AvailabilityRow::FORMAT.rebuild
            )),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Table(e) => e.exit(),
            _ => Exit::Hopeless,
        }
    }
}

impl Availability {
    /// Reads the table at `path` and checks its rows. One that another program has written says
    /// nothing of itself: its columns and rows are all that is known.
    ///
    /// # Errors
    /// When it cannot be read, or a row makes no sense ([`check_availability`]).
    pub fn read(path: &Path) -> Result<Self, AvailabilityError> {
        let (provenance, rows) = if parquet_file::is_foreign(path)? {
            tracing::info!(
                "{}: another program has written it: its columns and rows are checked, and its hash stands for where it \
                 comes from",
                path.display()
            );
            (Provenance::default(), parquet_file::read_foreign(path)?)
        } else {
            let provenance = parquet_file::provenance(path, &AvailabilityRow::FORMAT)?;
            (provenance, parquet_file::read(path)?)
        };
        let recorded = Taxonomy::of_settings(path, &provenance.settings).ok();
        check_availability(&rows, recorded.as_ref()).map_err(|fault| AvailabilityError::Row {
            path: path.to_owned(),
            fault,
        })?;
        Ok(Self {
            taxonomy: recorded.map_or_else(|| taxonomy_of(path, &rows), Ok)?,
            rows,
            provenance,
        })
    }
}

/// The categories that stand in `rows`, whose labels must be 0, 1, 2, ...
fn taxonomy_of(path: &Path, rows: &[AvailabilityRow]) -> Result<Taxonomy, AvailabilityError> {
    let mut found: BTreeMap<i32, (&str, BTreeSet<&str>)> = BTreeMap::new();
    for row in rows {
        let (_, subcategories) = found
            .entry(row.label)
            .or_insert((&row.category, BTreeSet::new()));
        subcategories.insert(&row.subcategory);
    }
    let mut labels = found.keys().enumerate();
    if found.is_empty() || !labels.all(|(i, label)| usize::try_from(*label) == Ok(i)) {
        return Err(AvailabilityError::Classes {
            path: path.to_owned(),
            labels: found.into_keys().collect(),
        });
    }
    let categories = found.into_values().map(|(name, subcategories)| Category {
        name: name.to_owned(),
        subcategories: subcategories.into_iter().map(str::to_owned).collect(),
    });
    Ok(Taxonomy::new(path, categories.collect())?)
}
