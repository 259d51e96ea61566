//! What the demo has to come to: what it shows is learnt, clips arrive where they should, and the
//! README's figures are those that were measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use incdec::clip::Split;
use incdec::parquet_file;
use incdec::tables::{Availability, AvailabilityRow, Change, MetricRow};

use super::{read, section};
use crate::support::binary;

/// The least test mAP of the last task under substitution.
const LEAST_MEAN_AP: f64 = 0.8;
/// How far the README's figures may be from the measured ones: machines differ in their last bits,
/// and training makes more of that.
const TOLERANCE: f64 = 0.02;

/// Training clips that arrive in each task but the first.
fn arrivals(tasks: &Path) -> Vec<usize> {
    let rows = Availability::read(&tasks.join(AvailabilityRow::FILE))
        .unwrap()
        .rows;
    let last = rows.iter().map(|row| row.task).max().unwrap();
    let arrived = |task: i32| {
        let new = |row: &&AvailabilityRow| {
            row.task == task && row.split == Split::Train && row.change == Change::Arrived
        };
        rows.iter().filter(new).count()
    };
    (1..=last).map(arrived).collect()
}

/// The test mAP of each task of a run, and how much of it was forgotten.
fn test_maps(run: &Path) -> Vec<(f64, f64)> {
    let rows = parquet_file::read::<MetricRow>(&run.join(MetricRow::FILE)).unwrap();
    let of_all = rows
        .into_iter()
        .filter(|row| row.metric == "mean_ap" && row.split == Split::Test);
    of_all
        .map(|row| (row.value.unwrap(), row.forgetting.unwrap()))
        .collect()
}

/// The README's row of a scenario: mAP of task 0 and of the last task, and mean forgetting.
fn published(scenario: &str) -> [f64; 3] {
    let section = section("## Results");
    let begin = format!("| {scenario} |");
    let row = section
        .iter()
        .find(|line| line.starts_with(&begin))
        .unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    [2, 3, 5].map(|column| cells[column].parse().unwrap())
}

/// Holds the folder of a whole demo against what is promised of it.
pub(super) fn hold(demo: &Path) {
    let scenarios = ["substitution", "decremental"];
    let measured: BTreeMap<&str, Vec<(f64, f64)>> = scenarios
        .map(|scenario| {
            let run = demo.join(format!("runs/{scenario}-finetune-seed-0"));
            (scenario, test_maps(&run))
        })
        .into();
    let (last, _) = measured["substitution"].last().unwrap();
    assert!(*last >= LEAST_MEAN_AP, "test mAP {last}");
    let arrivals = arrivals(&demo.join("tasks/decremental/seed-0"));
    assert_eq!(arrivals.len() + 1, measured["decremental"].len());
    assert!(arrivals.iter().all(|&clips| clips > 0), "{arrivals:?}");
    for (scenario, maps) in measured {
        let later = &maps[1..];
        let forgotten: f64 = later.iter().map(|(_, forgotten)| forgotten).sum();
        let found = [
            maps[0].0,
            maps[maps.len() - 1].0,
            forgotten / later.len() as f64,
        ];
        for (said, found) in published(scenario).iter().zip(found) {
            let what = format!("{scenario}: the README says {said}, but {found:.3} was measured");
            assert!((said - found).abs() <= TOLERANCE, "{what}");
        }
    }
}

#[test]
fn clips_arrive_in_every_later_decremental_task_of_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let makefile = read("Makefile");
    let (_, clips) = makefile.split_once("\nDEMO_TOY ?= ").unwrap();
    let clips = clips.lines().next().unwrap();
    // As many clips, but small ones: the tables are all that is looked at.
    let small = "--seconds 0.2 --size 16 --fps 5";
    let run = |name: &str, words: &str, out: &str| {
        let mut program = Command::new(binary(name));
        program
            .args(words.split_whitespace())
            .arg("--out")
            .arg(at(out));
        let output = program.current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    };
    run("incdec-toy", &format!("write {clips} {small}"), "source");
    let deal = "--labels source/Info --scenario decremental --seed 0 --schedule source/Info/subcategories_to_remove.csv";
    run("incdec-tasks", deal, "tasks");
    let arrivals = arrivals(&at("tasks"));
    assert!(arrivals.len() >= 5, "{arrivals:?}");
    assert!(arrivals.iter().all(|&clips| clips > 0), "{arrivals:?}");
}

#[test]
fn the_readmes_table_has_the_rows_that_are_held_against_the_demo() {
    for scenario in ["substitution", "decremental"] {
        let [first, last, forgotten] = published(scenario);
        assert!((0.0..=1.0).contains(&first) && (0.0..=1.0).contains(&last));
        assert!((-1.0..=1.0).contains(&forgotten));
    }
    assert!(published("substitution")[1] >= LEAST_MEAN_AP);
}
