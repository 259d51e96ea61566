//! The deals of the published splits, beside the seed's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use incdec::clip::Split;
use incdec::parquet_file;
use incdec::tables::AvailabilityRow;
use incdec::tasks::availability::TaskLists;
use incdec::tasks::{DealSettings, LabelSource, Scenario, Source, run};
use incdec::taxonomy::Taxonomy;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{HEADER, LabelFolder, config, plan_of};
use crate::support;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Goldens {
    #[serde(rename = "note")]
    pub(super) _note: String,
    pub(super) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) pipeline: String,
    pub(super) seed: u32,
    pub(super) n_task: usize,
    pub(super) train_sizes: Vec<usize>,
    pub(super) validation_sizes: Vec<usize>,
    pub(super) train_sha256: Vec<String>,
    pub(super) validation_sha256: Vec<String>,
    pub(super) train_first10: Vec<Vec<u32>>,
    pub(super) subcategories: Option<Vec<BTreeMap<String, Vec<String>>>>,
    pub(super) train_rows: Option<Vec<Vec<u32>>>,
    pub(super) validation_rows: Option<Vec<Vec<u32>>>,
    pub(super) subcategories_randomize: Option<String>,
}

fn check_case(name: &str, case: &Case, source: &Source) {
    let mut settings = DealSettings::published(case.pipeline.parse().unwrap(), case.seed);
    settings.randomize = match case.subcategories_randomize.as_deref() {
        None | Some("yes") => true,
        Some("no") => false,
        Some(other) => panic!("{name}: subcategories_randomize {other:?} is not understood"),
    };
    let plan = plan_of(source, &settings, case.n_task);
    let lists =
        |split| -> Vec<Vec<u32>> { (0..case.n_task).map(|t| plan.list(split, t)).collect() };
    let (train, validation) = (lists(Split::Train), lists(Split::Validation));
    let sizes = |lists: &[Vec<u32>]| lists.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&train), case.train_sizes, "{name}");
    assert_eq!(sizes(&validation), case.validation_sizes, "{name}");
    let first: Vec<&[u32]> = train.iter().map(|l| &l[..l.len().min(10)]).collect();
    assert_eq!(first, case.train_first10, "{name}");
    let hashes = |lists: &[Vec<u32>]| lists.iter().map(|l| hash(l)).collect::<Vec<_>>();
    assert_eq!(hashes(&train), case.train_sha256, "{name}");
    assert_eq!(hashes(&validation), case.validation_sha256, "{name}");
    if let Some(rows) = &case.train_rows {
        assert_eq!(&train, rows, "{name}");
    }
    if let Some(rows) = &case.validation_rows {
        assert_eq!(&validation, rows, "{name}");
    }
    if let Some(subcategories) = &case.subcategories {
        assert_eq!(
            &current_names(&plan, &source.taxonomy),
            subcategories,
            "{name}"
        );
    }
}

/// The SHA-256 of the comma-joined rows.
fn hash(rows: &[u32]) -> String {
    let joined: Vec<String> = rows.iter().map(u32::to_string).collect();
    Sha256::digest(joined.join(","))
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

fn current_names(plan: &TaskLists, taxonomy: &Taxonomy) -> Vec<BTreeMap<String, Vec<String>>> {
    let tasks = plan.schedule().tasks.iter().take(plan.tasks());
    tasks
        .map(|task| {
            let categories = taxonomy.categories().iter().zip(&task.current);
            categories
                .map(|(category, current)| {
                    let names = current.iter().map(|&x| category.subcategories[x].clone());
                    (category.name.clone(), names.collect())
                })
                .collect()
        })
        .collect()
}

#[test]
fn every_published_split_is_dealt_exactly() {
    let labels = LabelFolder::published();
    let source = Source::read(&LabelSource::Labels(labels.path().to_owned())).unwrap();
    for file in support::goldens("splits_paper.json") {
        let goldens: Goldens = support::read_json(&file);
        assert!(!goldens.cases.is_empty());
        for case in goldens.cases {
            let name = format!("{} {} {}", file.display(), case.pipeline, case.seed);
            check_case(&name, &case, &source);
        }
    }
}

#[test]
fn interleaved_rows_and_uneven_counts_are_dealt_exactly_too() {
    for file in support::goldens("splits_shuffled.json") {
        let beside = |name: &str| std::fs::read_to_string(file.with_file_name(name)).unwrap();
        let labels = LabelFolder::new([
            &beside("labels_shuffled_train.csv"),
            &beside("labels_shuffled_validation.csv"),
            HEADER,
        ]);
        let source = Source::read(&LabelSource::Labels(labels.path().to_owned())).unwrap();
        let goldens: Goldens = support::read_json(&file);
        assert!(!goldens.cases.is_empty());
        for case in goldens.cases {
            let name = format!("{} {} {}", file.display(), case.pipeline, case.seed);
            check_case(&name, &case, &source);
        }
    }
}

/// The published tables themselves, where they are at hand: the clip ids of every list, not the rows alone.
#[test]
fn the_published_clip_ids_stand_in_the_tables_in_the_golden_order() {
    let labels = support::optional_data("labels");
    let generated = LabelFolder::published();
    let labels = labels.as_deref().unwrap_or(generated.path());
    let out = tempfile::tempdir().unwrap();
    let goldens: Goldens = support::read_json(&support::goldens("splits_paper.json")[0]);
    for case in goldens.cases.iter().filter(|c| c.train_rows.is_some()) {
        let scenario: Scenario = case.pipeline.parse().unwrap();
        let out = out.path().join(scenario.name());
        run(&config(labels, scenario, &out)).unwrap();
        let rows: Vec<AvailabilityRow> =
            parquet_file::read(&out.join("availability.parquet")).unwrap();
        let source = Source::read(&LabelSource::Labels(labels.to_owned())).unwrap();
        for (task, golden) in (0..).zip(case.train_rows.as_ref().unwrap()) {
            let ids = rows
                .iter()
                .filter(|r| r.task == task && r.split == Split::Train && r.position.is_some())
                .map(|r| &r.clip_id);
            let golden = golden
                .iter()
                .map(|&row| &source.clips[Split::Train as usize][row as usize].clip_id);
            assert!(ids.eq(golden), "{scenario}, task {task}");
        }
    }
}
