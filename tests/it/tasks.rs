//! The deal equals the seed's on every golden case, and keeps its promises on any other table.

mod events;
mod goldens;
mod peer;
mod properties;
mod stage;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use incdec::clip::Split;
use incdec::parquet_file;
use incdec::tables::{AvailabilityRow, Change, ScheduleEvent, ScheduleRow};
use incdec::tasks::availability::TaskLists;
use incdec::tasks::schedule::ScheduleCounts;
use incdec::tasks::{DealSettings, LabelSource, Scenario, Source, TasksConfig, run};
use incdec::taxonomy::Taxonomy;

use crate::support;
use goldens::Goldens;

/// Label tables in a folder of their own, with the published taxonomy and schedules.
pub(super) struct LabelFolder(tempfile::TempDir);

impl LabelFolder {
    fn new(tables: [&str; 3]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let info = support::root().join("Kinetics/Info");
        for name in [
            "classes.csv",
            "subcategories_to_remove.csv",
            "subcategories_to_substitute.csv",
        ] {
            std::fs::copy(info.join(name), folder.path().join(name)).unwrap();
        }
        for (split, text) in Split::ALL.into_iter().zip(tables) {
            std::fs::write(folder.path().join(format!("{split}.csv")), text).unwrap();
        }
        Self(folder)
    }

    /// 100 training, 10 validation and 10 test clips of each published subcategory, in the taxonomy's order: the rows of
    /// the published tables.
    fn published() -> Self {
        let table = |prefix: char, clips: usize| {
            let mut text = String::from("label,youtube_id,time_start,time_end,split\n");
            let taxonomy =
                Taxonomy::read(&support::root().join("Kinetics/Info/classes.csv")).unwrap();
            for (k, (_, subcategory)) in taxonomy.subcategories().enumerate() {
                for i in 0..clips {
                    writeln!(text, "{subcategory},{prefix}{k}-{i},0,10,train").unwrap();
                }
            }
            text
        };
        Self::new([&table('a', 100), &table('b', 10), &table('c', 10)])
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

pub(super) const HEADER: &str = "label,youtube_id,time_start,time_end,split\n";

pub(super) fn schedule_file(scenario: Scenario) -> PathBuf {
    let name = match scenario {
        Scenario::Decremental => "subcategories_to_remove.csv",
        _ => "subcategories_to_substitute.csv",
    };
    support::root().join("Kinetics/Info").join(name)
}

pub(super) fn plan_of(source: &Source, settings: &DealSettings, tasks: usize) -> TaskLists {
    let counts = settings.scenario.takes_schedule().then(|| {
        ScheduleCounts::read(&schedule_file(settings.scenario), &source.taxonomy).unwrap()
    });
    // With fewer tasks than rows the seed draws for every row all the same, and so does this.
    TaskLists::new(settings, &source.tables(), tasks, counts.as_ref())
}

pub(super) fn config(labels: &Path, scenario: Scenario, out: &Path) -> TasksConfig {
    TasksConfig {
        clips: LabelSource::Labels(labels.to_owned()),
        without: None,
        deal: DealSettings::published(scenario, 0),
        events: None,
        schedule: scenario.takes_schedule().then(|| schedule_file(scenario)),
        tasks: None,
        out: out.to_owned(),
    }
}

/// Everybody else keeps the place that the published draw gives, however many clips are withdrawn.
#[test]
fn withdrawn_clips_move_nobody() {
    let labels = LabelFolder::published();
    let out = tempfile::tempdir().unwrap();
    let rows_of = |name: &str, scenario, without: Option<&Path>| {
        let folder = out.path().join(name);
        let config = TasksConfig {
            without: without.map(Path::to_owned),
            ..config(labels.path(), scenario, &folder)
        };
        run(&config).unwrap();
        let rows: Vec<AvailabilityRow> =
            parquet_file::read(&folder.join(AvailabilityRow::FILE)).unwrap();
        rows
    };
    let goldens: Goldens = support::read_json(&support::goldens("splits_paper.json")[0]);
    let scenarios: BTreeSet<String> = goldens.cases.iter().map(|c| c.pipeline.clone()).collect();
    let list = labels.path().join("withdrawn.csv");
    for scenario in scenarios {
        let scenario: Scenario = scenario.parse().unwrap();
        let published = rows_of("published", scenario, None);
        let mut clips: Vec<&str> = published.iter().map(|r| r.clip_id.as_str()).collect();
        clips.sort_unstable();
        clips.dedup();
        for count in [1, 37, 500] {
            let gone: BTreeSet<&str> = clips
                .iter()
                .step_by(clips.len() / count)
                .take(count)
                .copied()
                .collect();
            assert_eq!(gone.len(), count);
            let mut text = String::from("clip_id,withdrawn_on,request\n");
            for clip in &gone {
                writeln!(text, "{clip},2026-03-31,R-1").unwrap();
            }
            let expected: Vec<AvailabilityRow> = published
                .iter()
                .map(|row| AvailabilityRow {
                    usable: !gone.contains(row.clip_id.as_str()),
                    ..row.clone()
                })
                .collect();
            std::fs::write(&list, &text).unwrap();
            let withdrawn = rows_of("withdrawn", scenario, None);
            assert!(withdrawn == expected, "{scenario}, {count}");
            // The path reference says the same of the same clips, with or without them in the list.
            let without = labels.path().join("without.csv");
            std::fs::write(&without, &text).unwrap();
            std::fs::remove_file(&list).unwrap();
            assert!(rows_of("without", scenario, Some(&without)) == expected);
        }
    }
}

#[test]
fn the_published_sizes_follow() {
    let labels = LabelFolder::published();
    let out = tempfile::tempdir().unwrap();
    let sizes = |scenario| {
        let summary = run(&config(labels.path(), scenario, out.path())).unwrap();
        let of = |split: Split| -> Vec<usize> {
            summary.tasks.iter().map(|t| t.of(split).listed).collect()
        };
        assert_eq!(of(Split::Test), [370; 6]);
        (of(Split::Train), of(Split::Validation))
    };
    assert_eq!(sizes(Scenario::Substitution), (vec![1850; 6], vec![370; 6]));
    assert_eq!(
        sizes(Scenario::JointIncremental),
        (vec![1850, 2220, 2590, 2960, 3330, 3700], vec![370; 6])
    );
    assert_eq!(
        sizes(Scenario::IncrementalDecremental),
        (vec![1000, 1200, 1400, 1600, 1800, 2000], vec![200; 6])
    );
    assert_eq!(
        sizes(Scenario::Decremental),
        (
            vec![1850, 1920, 1820, 1680, 1080, 500],
            vec![370, 320, 260, 210, 120, 50]
        )
    );
}

#[test]
fn rows_tell_what_changed_and_are_sorted() {
    let labels = LabelFolder::published();
    // The four that draw.
    for scenario in Scenario::ALL[..4].iter().copied() {
        let out = tempfile::tempdir().unwrap();
        run(&config(labels.path(), scenario, out.path())).unwrap();
        let rows: Vec<AvailabilityRow> =
            parquet_file::read(&out.path().join("availability.parquet")).unwrap();
        let key = |r: &AvailabilityRow| {
            let position = r.position.unwrap_or(i32::MAX);
            (r.task, r.split, position, r.position.map_or(r.row, |_| 0))
        };
        assert!(rows.is_sorted_by(|a, b| key(a) < key(b)), "{scenario}");
        let mut before: [BTreeSet<i32>; 3] = Default::default();
        for task in 0..6 {
            for split in Split::ALL {
                let rows = rows.iter().filter(|r| r.task == task && r.split == split);
                let (gone, listed): (Vec<_>, Vec<_>) =
                    rows.partition(|r| r.change == Change::Removed);
                let now: BTreeSet<i32> = listed.iter().map(|r| r.row).collect();
                let before = &mut before[split as usize];
                assert_eq!(now.len(), listed.len(), "no clip twice in a list");
                let left: Vec<i32> = before.difference(&now).copied().collect();
                let removed: Vec<i32> = gone.iter().map(|r| r.row).collect();
                assert_eq!(removed, left);
                assert!(gone.iter().all(|r| r.position.is_none()));
                for (position, row) in (0..).zip(&listed) {
                    assert_eq!(row.position, Some(position));
                    let change = match task {
                        0 => Change::Initial,
                        _ if before.contains(&row.row) => Change::Kept,
                        _ => Change::Arrived,
                    };
                    assert_eq!(row.change, change);
                }
                *before = now;
            }
        }
    }
}

#[test]
fn the_schedule_lists_each_tasks_subcategories_in_their_order() {
    let labels = LabelFolder::published();
    let goldens: Goldens = support::read_json(&support::goldens("splits_paper.json")[0]);
    for case in goldens.cases.iter().filter(|c| c.seed == 0) {
        let Some(golden) = &case.subcategories else {
            continue;
        };
        let scenario: Scenario = case.pipeline.parse().unwrap();
        let out = tempfile::tempdir().unwrap();
        run(&config(labels.path(), scenario, out.path())).unwrap();
        let rows: Vec<ScheduleRow> =
            parquet_file::read(&out.path().join("schedule.parquet")).unwrap();
        for (task, categories) in (0..).zip(golden) {
            for (category, names) in categories {
                let rows: Vec<_> = rows
                    .iter()
                    .filter(|r| r.task == task && r.category == *category)
                    .collect();
                let listed = rows.iter().filter(|r| r.position.is_some());
                assert!(listed.clone().map(|r| &r.subcategory).eq(names));
                assert!((0..).zip(listed).all(|(k, r)| r.position == Some(k)));
                let removed = rows.iter().filter(|r| r.event == ScheduleEvent::Removed);
                assert!(removed.clone().all(|r| r.position.is_none()));
            }
        }
    }
}
