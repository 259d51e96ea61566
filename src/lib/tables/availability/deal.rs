//! What the metadata of `availability.parquet` say of the deal, so that no reader needs to know a
//! scenario by its name.

use std::collections::BTreeSet;

use super::{Availability, AvailabilityRow};
use crate::choice::{self, choice};
use crate::clip::Split;
use crate::taxonomy::Taxonomy;

choice! {
    /// Which clips of a class the imbalanced sampler counts.
    pub enum ClassCountsOver: "set of clips" {
        /// Those of the whole training table.
        Table = "table",
        /// Those of the task's list.
        List = "list",
    }
}

/// How the tasks were dealt.
#[derive(Clone, Debug)]
pub struct Deal {
    /// How availability changes, as the tasks stage calls it; empty where the table does not say.
    pub scenario: String,
    /// The same as the seed calls it.
    pub pipeline: String,
    /// The seed of the deal, where the table says so.
    pub seed: Option<u64>,
    /// Whether the schedule's columns were permuted.
    pub randomized: bool,
    /// Categories and subcategories.
    pub taxonomy: Taxonomy,
    /// Which clips of a class the imbalanced sampler counts.
    pub class_counts_over: ClassCountsOver,
    /// Clips of each class in the whole training table.
    pub train_class_counts: Vec<u64>,
    /// The name of the schedule's file; none where all subcategories are there in every task.
    pub schedule_file: Option<String>,
}

impl Deal {
    /// What the metadata of `availability` say, and its rows where they are silent.
    #[must_use]
    pub fn of(availability: &Availability) -> Self {
        let Availability {
            rows,
            taxonomy,
            provenance,
        } = availability;
        let setting = |name: &str| provenance.settings.get(name).cloned().unwrap_or_default();
        let text = |name: &str| setting(name).as_str().map(str::to_owned);
        let scenario = text("scenario").unwrap_or_default();
        let (over, pipeline, schedule_file) = said_by_name(&scenario);
        let recorded = serde_json::from_value(setting("train_class_counts"));
        let recorded = recorded
            .ok()
            .filter(|counts: &Vec<u64>| counts.len() == taxonomy.classes());
        let in_table = || rows.iter().filter(|row| row.split == Split::Train);
        Self {
            train_class_counts: recorded.unwrap_or_else(|| class_counts(taxonomy, in_table())),
            class_counts_over: text("class_counts_over")
                .and_then(|text| choice::parse(&text).ok())
                .unwrap_or(over),
            pipeline: text("pipeline").unwrap_or(pipeline),
            schedule_file: match provenance.settings.get("schedule_file") {
                Some(name) => name.as_str().map(str::to_owned),
                None => schedule_file,
            },
            seed: setting("seed").as_u64(),
            randomized: setting("randomize").as_bool().unwrap_or(true),
            scenario,
            taxonomy: taxonomy.clone(),
        }
    }
}

/// What versions before, which wrote nothing but the scenario's name, meant by it.
fn said_by_name(scenario: &str) -> (ClassCountsOver, String, Option<String>) {
    let (over, pipeline, schedule) = match scenario {
        "substitution" => (ClassCountsOver::Table, "baseline", None),
        "joint-incremental" => (ClassCountsOver::Table, "joint_incremental", None),
        "incremental-decremental" => (
            ClassCountsOver::List,
            "incremental_decremental",
            Some("subcategories_to_substitute.csv"),
        ),
        "decremental" => (
            ClassCountsOver::List,
            scenario,
            Some("subcategories_to_remove.csv"),
        ),
        _ => (ClassCountsOver::List, scenario, None),
    };
    (over, pipeline.to_owned(), schedule.map(str::to_owned))
}

/// Different clips of each class among `rows`.
pub(crate) fn class_counts<'a>(
    taxonomy: &Taxonomy,
    rows: impl Iterator<Item = &'a AvailabilityRow>,
) -> Vec<u64> {
    let clips: BTreeSet<(usize, &str)> = rows
        .filter_map(|row| Some((usize::try_from(row.label).ok()?, row.clip_id.as_str())))
        .collect();
    let mut counts = vec![0; taxonomy.classes()];
    for (class, _) in clips {
        if let Some(count) = counts.get_mut(class) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::hint::Hint;
    use crate::parquet_file;
    use crate::parquet_file::Provenance;
    use crate::tables::AvailabilityError;
    use crate::tables::Change;

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
                group: None,
                category: format!("category {label}"),
                label,
                subcategory: format!("subcategory {}", 9 - position),
                change: Change::Initial,
                usable: true,
            })
            .collect();
        parquet_file::write(&path, &rows, &Provenance::of(settings)).unwrap();
        Availability::read(&path).map(|table| Deal::of(&table))
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
