//! Reads `availability.parquet`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::check::{RowFault, check_availability};
use super::deal::Deal;
use super::row::AvailabilityRow;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::parquet_file::{self, Table, TableError};
use crate::taxonomy::{Taxonomy, TaxonomyError};

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
    /// The categories of the table are no taxonomy.
    #[error(transparent)]
    Taxonomy(#[from] TaxonomyError),
    /// The class indices are not 0, 1, 2, ...
    #[error("{path}: the classes are {labels:?}, not 0, 1, 2, ...")]
    Classes {
        /// The table.
        path: PathBuf,
        /// The class indices found.
        labels: Vec<i32>,
    },
}

impl Hint for AvailabilityError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Table(e) => e.hint(),
            Self::Row { .. } | Self::Taxonomy(_) | Self::Classes { .. } => Some(format!(
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

/// Reads the table at `path` with what its metadata say of the deal, and checks its rows.
///
/// # Errors
/// When it cannot be read, a row makes no sense ([`check_availability`]), or the categories of its
/// rows have no class each.
pub fn read_availability(path: &Path) -> Result<(Vec<AvailabilityRow>, Deal), AvailabilityError> {
    let provenance = parquet_file::provenance(path, &AvailabilityRow::FORMAT)?;
    let rows: Vec<AvailabilityRow> = parquet_file::read(path)?;
    let recorded = provenance.settings.get("taxonomy");
    let recorded = recorded
        .map(|json| Taxonomy::from_json(path, json))
        .transpose()?;
    check_availability(&rows, recorded.as_ref()).map_err(|fault| AvailabilityError::Row {
        path: path.to_owned(),
        fault,
    })?;
    let taxonomy = match recorded {
        Some(taxonomy) => taxonomy,
        None => found(path, &rows)?,
    };
    let deal = Deal::of(&provenance, taxonomy, &rows);
    Ok((rows, deal))
}

/// The taxonomy of `rows`, whose labels must be 0, 1, 2, ...: subcategories of a class in the order
/// of their names.
fn found(path: &Path, rows: &[AvailabilityRow]) -> Result<Taxonomy, AvailabilityError> {
    let names: BTreeSet<(i32, &str, &str)> = rows
        .iter()
        .map(|row| (row.label, row.category.as_str(), row.subcategory.as_str()))
        .collect();
    let labels: BTreeSet<i32> = names.iter().map(|(label, ..)| *label).collect();
    let pairs = names
        .iter()
        .map(|(_, category, name)| ((*category).to_owned(), (*name).to_owned()));
    let refused = || AvailabilityError::Classes {
        path: path.to_owned(),
        labels: labels.iter().copied().collect(),
    };
    if labels.is_empty() || (0..).zip(&labels).any(|(class, label)| class != *label) {
        return Err(refused());
    }
    let taxonomy = Taxonomy::from_pairs(path, pairs)?;
    if taxonomy.classes() == labels.len() {
        Ok(taxonomy)
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::Split;
    use crate::parquet_file::Provenance;
    use crate::tables::{Change, ClassCountsOver};

    fn read(labels: &[i32], settings: &serde_json::Value) -> Result<Deal, AvailabilityError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(AvailabilityRow::FILE);
        let rows: Vec<AvailabilityRow> = (0..)
            .zip(labels)
            .map(|(position, &label)| AvailabilityRow {
                task: 0,
                split: Split::Train,
                position: Some(position),
                row: position,
                clip_id: format!("clip{position}"),
                category: format!("category {label}"),
                label,
                subcategory: format!("subcategory {}", 9 - position),
                change: Change::Initial,
                usable: true,
            })
            .collect();
        parquet_file::write(&path, &rows, &Provenance::of(settings)).unwrap();
        read_availability(&path).map(|(_, deal)| deal)
    }

    #[test]
    fn a_table_of_a_version_before_is_read_by_its_rows_and_the_name_of_its_scenario() {
        let over = |scenario: &str| {
            let settings = serde_json::json!({"scenario": scenario});
            let deal = read(&[0, 0, 1], &settings).unwrap();
            let names: Vec<_> = deal
                .taxonomy
                .subcategories()
                .map(|(class, name)| (class, name.to_owned()))
                .collect();
            let wanted = [
                (0, "subcategory 8"),
                (0, "subcategory 9"),
                (1, "subcategory 7"),
            ];
            assert_eq!(names, wanted.map(|(class, name)| (class, name.to_owned())));
            assert_eq!(deal.train_class_counts, [2, 1]);
            (deal.class_counts_over, deal.pipeline, deal.schedule_file)
        };
        let removed = Some("subcategories_to_remove.csv".to_owned());
        assert_eq!(
            over("substitution"),
            (ClassCountsOver::Table, "baseline".into(), None)
        );
        assert_eq!(
            over("decremental"),
            (ClassCountsOver::List, "decremental".into(), removed)
        );
        assert_eq!(
            over("joint-incremental"),
            (ClassCountsOver::Table, "joint_incremental".into(), None)
        );
    }

    #[test]
    fn what_the_metadata_say_counts_whatever_the_scenario_is_called() {
        let settings = serde_json::json!({
            "scenario": "substitution", "class_counts_over": "list", "pipeline": "another",
            "schedule_file": "mine.csv", "train_class_counts": [7, 8], "seed": 3, "randomize": false,
        });
        let deal = read(&[0, 1], &settings).unwrap();
        assert_eq!(deal.class_counts_over, ClassCountsOver::List);
        assert_eq!(
            (deal.pipeline.as_str(), deal.schedule_file.as_deref()),
            ("another", Some("mine.csv"))
        );
        assert_eq!((deal.seed, deal.randomized), (Some(3), false));
        assert_eq!(deal.train_class_counts, [7, 8]);
    }

    #[test]
    fn classes_without_a_gap_are_asked_for() {
        let error = read(&[0, 2], &serde_json::json!({})).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("the classes are [0, 2], not 0, 1, 2, ..."),
            "{error}"
        );
        assert_eq!(error.exit(), Exit::Hopeless);
    }
}
