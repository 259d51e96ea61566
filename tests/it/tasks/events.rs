//! The scenario in which a table says who comes and goes: what it publishes, and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};

use incdec::clip::Split;
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::parquet_file::{self, Table};
use incdec::tables::{Availability, AvailabilityRow, Change, ScheduleEvent, ScheduleRow};
use incdec::tasks::{EventFiles, EventsError, Scenario, TasksConfig, TasksError, run};

use super::LabelFolder;

/// The published tables and a table of events.
struct Told {
    labels: LabelFolder,
    out: tempfile::TempDir,
}

impl Told {
    fn new(events: &str) -> Self {
        let told = Self {
            labels: LabelFolder::published(),
            out: tempfile::tempdir().unwrap(),
        };
        fs::write(told.events(), events).unwrap();
        told
    }

    fn events(&self) -> PathBuf {
        self.labels.path().join("events.csv")
    }

    fn config(&self, out: &Path) -> TasksConfig {
        TasksConfig {
            events: Some(EventFiles {
                events: self.events(),
                start: None,
            }),
            ..super::config(self.labels.path(), Scenario::Events, out)
        }
    }

    fn rows(&self) -> Vec<AvailabilityRow> {
        Availability::read(&self.out.path().join(AvailabilityRow::FILE))
            .unwrap()
            .rows
    }
}

const LEAVE_AND_COME: &str =
    "task,change,subcategory,category\n1,arrives,yawning,\n2,leaves,,phone\n3,leaves,sleeping,\n";

#[test]
fn a_table_of_events_becomes_the_two_tables_that_every_stage_reads() {
    let told = Told::new(LEAVE_AND_COME);
    let summary = run(&told.config(told.out.path())).unwrap();
    let train: Vec<usize> = summary
        .tasks
        .iter()
        .map(|task| task.of(Split::Train).listed)
        .collect();
    assert_eq!(train, [3600, 3700, 3400, 3300]);
    let test: Vec<usize> = summary
        .tasks
        .iter()
        .map(|task| task.of(Split::Test).listed)
        .collect();
    assert_eq!(test, [360, 370, 340, 330]);
    assert!(
        summary.to_string().contains("--seed changes nothing"),
        "{summary}"
    );
    let rows = told.rows();
    let list = |task| {
        let of_list = move |row: &&AvailabilityRow| {
            row.task == task && row.split == Split::Train && row.position.is_some()
        };
        rows.iter()
            .filter(of_list)
            .map(|row| row.row)
            .collect::<Vec<_>>()
    };
    assert!(list(0).is_sorted());
    // Who arrives comes behind, in the order of the labels.
    let (before, after) = (list(0), list(1));
    assert_eq!(after[..before.len()], before);
    assert!(after[before.len()..].is_sorted());
    let arrived = rows.iter().filter(|row| row.change == Change::Arrived);
    assert!(
        arrived
            .clone()
            .all(|row| row.task == 1 && row.subcategory == "yawning")
    );
    assert_eq!(arrived.count(), 120);
    // Who leaves is closed up.
    let expected: Vec<i32> = after
        .iter()
        .copied()
        .filter(|row| list(2).contains(row))
        .collect();
    assert_eq!(list(2), expected);
    let schedule: Vec<ScheduleRow> =
        parquet_file::read(&told.out.path().join(ScheduleRow::FILE)).unwrap();
    let event = |task, subcategory: &str| {
        let mut rows = schedule.iter();
        rows.find(|row| row.task == task && row.subcategory == subcategory)
            .map(|row| row.event)
    };
    assert_eq!(event(0, "yawning"), None);
    assert_eq!(event(1, "yawning"), Some(ScheduleEvent::Arrived));
    assert_eq!(event(2, "texting"), Some(ScheduleEvent::Removed));
    assert_eq!(event(3, "sleeping"), Some(ScheduleEvent::Removed));
}

#[test]
fn the_seed_changes_no_byte_and_tasks_are_at_most_those_asked_for() {
    let told = Told::new(LEAVE_AND_COME);
    let bytes = |seed, tasks| {
        let out = tempfile::tempdir().unwrap();
        let mut config = told.config(out.path());
        config.deal.seed = seed;
        config.tasks = tasks;
        let summary = run(&config).unwrap();
        let files = [AvailabilityRow::FILE, ScheduleRow::FILE];
        (
            summary.tasks.len(),
            files.map(|file| fs::read(out.path().join(file)).unwrap()),
        )
    };
    let first = bytes(0, None);
    assert_eq!(first.0, 4);
    assert!(bytes(77, None) == first);
    assert!(bytes(0, Some(9)) == first);
    assert_eq!(bytes(0, Some(2)).0, 2);
}

#[test]
fn both_tables_are_inputs_and_the_taxonomy_is_recorded() {
    let told = Told::new(LEAVE_AND_COME);
    let start = told.labels.path().join("start.csv");
    fs::write(
        &start,
        "category\nfood\nphone\nsmoking\nselfcare\nfatigue\n",
    )
    .unwrap();
    fs::write(told.events(), "task,change,category\n1,leaves,phone\n").unwrap();
    let mut config = told.config(told.out.path());
    config.events.as_mut().unwrap().start = Some(start);
    run(&config).unwrap();
    let table = told.out.path().join(AvailabilityRow::FILE);
    let provenance = parquet_file::provenance(&table, &AvailabilityRow::FORMAT).unwrap();
    for input in ["events.csv", "start.csv", "train.csv"] {
        assert!(provenance.inputs.contains_key(input), "{input}");
    }
    assert_eq!(provenance.settings["scenario"], "events");
    assert!(!provenance.settings.contains_key("seed"));
    assert_eq!(provenance.settings["taxonomy"].as_array().unwrap().len(), 5);
}

#[test]
fn events_that_contradict_the_labels_can_never_succeed_and_name_their_line() {
    let told = Told::new("task,change,subcategory\n1,leaves,yawning\n2,leaves,juggling\n");
    let error = run(&told.config(told.out.path())).unwrap_err();
    assert!(
        matches!(error, TasksError::Events(EventsError::Row { line: 3, .. })),
        "{error}"
    );
    assert_eq!(error.exit(), Exit::Hopeless);
    assert!(
        error
            .to_string()
            .ends_with("events.csv, line 3: the labels have no subcategory \"juggling\""),
        "{error}"
    );
    assert!(!told.out.path().join(AvailabilityRow::FILE).exists());

    let mut config = told.config(told.out.path());
    config.events = None;
    assert!(matches!(run(&config), Err(TasksError::EventsMissing)));
    let mut config = told.config(told.out.path());
    config.deal.scenario = Scenario::Substitution;
    assert!(matches!(run(&config), Err(TasksError::EventsUnused { .. })));
}
