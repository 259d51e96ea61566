//! What the metadata of `availability.parquet` say of the deal, so that no reader needs to know a
//! scenario by its name.

use std::collections::BTreeSet;

use super::row::AvailabilityRow;
use crate::choice::{self, choice};
use crate::clip::Split;
use crate::parquet_file::Provenance;
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
    /// What `provenance` says, and `rows` where it is silent.
    pub(super) fn of(
        provenance: &Provenance,
        taxonomy: Taxonomy,
        rows: &[AvailabilityRow],
    ) -> Self {
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
            train_class_counts: recorded.unwrap_or_else(|| class_counts(&taxonomy, in_table())),
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
            taxonomy,
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
