//! What stands side by side: finished runs alone, each figure with its n and chance, and what was
//! withdrawn apart from what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use incdec::clip::Split;
use incdec::parquet_file;
use incdec::report::{SummaryRow, run};
use incdec::run_record::TaskOutcome;
use incdec::tables::{AvailabilityRow, MetricRow};
use incdec::tasks::Scenario;

use super::config;
use super::fake::{DECREMENTAL, FakeRun, write_progress};
use super::page::{table, written};

fn of(approach: &str, seed: u64, skill: f64, root: &Path) -> PathBuf {
    let run = FakeRun {
        approach,
        seed,
        skill,
        ..DECREMENTAL
    };
    run.write(root)
}

/// The rows of the sheet below the table whose first column is `first`, by name of their column.
fn sheet(page: &str, first: &str) -> Vec<BTreeMap<String, String>> {
    let sheets = page.split("<pre class=\"copy\" tabindex=\"0\">").skip(1);
    let mut sheets = sheets.map(|text| text.split("</pre>").next().unwrap());
    let text = sheets.find(|text| text.starts_with(first)).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().unwrap().collect();
    lines
        .map(|cells| {
            let cells: Vec<String> = cells.collect();
            assert_eq!(cells.len(), names.len(), "{cells:?}");
            names.iter().cloned().zip(cells).collect()
        })
        .collect()
}

#[test]
fn an_unfinished_run_is_in_no_mean_and_in_no_pair() {
    let root = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for seed in 0..3 {
        runs.push(of("finetune", seed, 0.3, root.path()));
        runs.push(of("ewc", seed, 0.45, root.path()));
    }
    let half = &runs[1];
    fs::remove_file(half.join("run.json")).unwrap();
    write_progress(half, vec![TaskOutcome::default(); 1]);
    let config = config(root.path(), runs.clone());
    let text = run(&config).unwrap().to_string();
    let page = fs::read_to_string(&config.out).unwrap();
    let seeds = |name: &str, seeds: usize, approach: &str, at: usize| {
        let rows = table(&page, name);
        let row = rows.iter().find(|row| row[1] == approach).unwrap();
        assert_eq!(row[at], seeds.to_string(), "{name}: {row:?}");
    };
    seeds("Figures over seeds", 2, "ewc", 2);
    seeds("Figures over seeds", 3, "finetune", 2);
    seeds("Paired tests over seeds", 2, "ewc", 3);
    let rows: Vec<SummaryRow> = parquet_file::read(config.table.as_ref().unwrap()).unwrap();
    assert!(
        rows.iter()
            .all(|r| r.seeds == if r.approach == "ewc" { 2 } else { 3 })
    );
    let last = text.lines().last().unwrap();
    let said = "6 runs in 2 groups (1 unfinished, in none of them); highest";
    assert!(last.starts_with(said), "{last}");
    // It has its own row and its own part of the page.
    let rows = table(&page, "Each run");
    let row = rows
        .iter()
        .find(|row| row[0] == "decremental-ewc-0")
        .unwrap();
    assert!(row[4].ends_with(" of 6"), "{row:?}");
    // Where none is finished, nothing is compared.
    let alone = FakeRun {
        seed: 7,
        ..DECREMENTAL
    }
    .write(root.path());
    fs::remove_file(alone.join("run.json")).unwrap();
    write_progress(&alone, vec![TaskOutcome::default(); 1]);
    let page = written(&super::config(root.path(), vec![half.clone(), alone]));
    assert!(!page.contains("Figures over seeds") && page.contains("Each run"));
}

#[test]
fn every_mean_over_seeds_has_its_n_and_chance_and_a_sheet_has_a_number_a_column() {
    let root = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for seed in 0..6 {
        runs.push(of("finetune", seed, 0.1, root.path()));
        runs.push(of("ewc", seed, 0.45, root.path()));
    }
    let page = written(&config(root.path(), runs));
    let rows = table(&page, "Figures over seeds");
    let ewc = rows.iter().find(|row| row[1] == "ewc").unwrap();
    // Both means of the mAP, the accuracy, and the AP of what is there and of what is not.
    for at in [3, 4, 6, 7, 9] {
        let cell = &ewc[at];
        assert!(cell.contains(" n 6 · 0."), "{cell}");
        assert!(cell.contains(" test clips chance 0."), "{cell}");
    }
    assert!(ewc[3].contains(" 148 test clips "), "{ewc:?}");
    // What is forgotten has no level of chance.
    assert!(
        ewc[8].contains(" n 6 · ") && !ewc[8].contains("chance"),
        "{ewc:?}"
    );
    assert!(page.contains("chance, 99th percentile, highest of all runs"));
    assert!(page.contains("Test mAP over tasks, of 148 test clips"));

    let sheets = sheet(&page, "scenario,approach,");
    let of_ewc = sheets.iter().find(|row| row["approach"] == "ewc").unwrap();
    let number = |name: &str| of_ewc[name].parse::<f64>().unwrap();
    let (low, mean, high) = (number("mAP low"), number("mAP"), number("mAP high"));
    assert!(low < mean && mean < high && number("mAP deviation") > 0.0);
    assert_eq!(number("mAP n"), 6.0);
    assert!(number("mAP chance") < low);
    assert!(ewc[3].starts_with(&format!("{mean:.3} ± ")), "{ewc:?}");
    assert!(
        of_ewc.values().all(|cell| !cell.contains('±')),
        "{of_ewc:?}"
    );
    // With six seeds all of one sign, and one pair, the two are told apart.
    let pairs = sheet(&page, "scenario,first,second,");
    assert_eq!(pairs[0]["p after Holm"], "0.03125");
    assert_eq!(pairs[0]["verdict"], "first higher");
    assert_eq!(pairs[0]["first - second n"], "6");
    assert!(pairs[0]["first - second low"].parse::<f64>().unwrap() > 0.0);
    assert_eq!(
        table(&page, "Paired tests over seeds")[0][8],
        "first higher"
    );

    let each = table(&page, "Each run");
    for row in &each {
        for at in [7, 9, 11] {
            let chance: f64 = row[at].parse().unwrap();
            assert!(0.0 < chance && chance < 0.5, "{row:?}");
        }
    }
}

/// The mean over those tasks of a run in which its training list has a subcategory, or has it no
/// longer, of its average precision.
fn by_hand(folder: &Path, subcategory: &str, there: bool) -> Option<f64> {
    let lists: Vec<AvailabilityRow> =
        parquet_file::read(&folder.join("availability.parquet")).unwrap();
    let rows = lists
        .iter()
        .filter(|r| r.split == Split::Train && r.position.is_some());
    let rows = rows.filter(|r| r.subcategory == subcategory);
    let tasks: BTreeSet<i32> = rows.map(|r| r.task).collect();
    let metrics: Vec<MetricRow> = parquet_file::read(&folder.join("metrics.parquet")).unwrap();
    let rows = metrics.iter().filter(|r| r.split == Split::Test);
    let rows = rows.filter(|r| r.metric == "ap_per_subcategory");
    let rows = rows.filter(|r| r.subcategory.as_deref() == Some(subcategory));
    let rows = rows.filter(|r| tasks.contains(&r.task) == there);
    let values: Vec<f64> = rows.filter_map(|r| r.value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[test]
fn no_mean_is_over_tasks_before_and_after_a_withdrawal() {
    let root = tempfile::tempdir().unwrap();
    let runs: Vec<PathBuf> = (0..3)
        .map(|seed| of("ewc", seed, 0.45, root.path()))
        .collect();
    let other = of("lwf", 0, 0.3, root.path());
    let page = written(&config(root.path(), [&runs[..], &[other]].concat()));
    let rows = table(&page, "Subcategories, value, decremental");
    let names: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row[0].strip_suffix(" since withdrawn"))
        .collect();
    assert!(names.len() > 5, "{rows:?}");
    for name in names {
        for (phase, there) in [("while available", true), ("since withdrawn", false)] {
            let values: Vec<f64> = runs
                .iter()
                .filter_map(|run| by_hand(run, name, there))
                .collect();
            let row = rows.iter().find(|row| row[0] == format!("{name} {phase}"));
            let cell = &row.unwrap_or_else(|| panic!("{name} {phase}: {rows:?}"))[1];
            if values.is_empty() {
                assert_eq!(cell, "–");
                continue;
            }
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!(
                cell.starts_with(&format!("{mean:.3}")),
                "{name} {phase}: {cell}, {mean}"
            );
            assert!(cell.contains(&format!(" n {}", values.len())), "{cell}");
            assert!(cell.contains(" 4 test clips"), "{cell}");
            assert_eq!(cell.contains("left at task "), !there, "{cell}");
        }
    }
}

#[test]
fn wanted_loss_is_nowhere_called_forgetting_of_which_less_is_better() {
    let root = tempfile::tempdir().unwrap();
    let runs = [
        of("ewc", 0, 0.45, root.path()),
        of("ewc", 1, 0.45, root.path()),
    ];
    let staying = FakeRun {
        scenario: Scenario::Substitution,
        ..DECREMENTAL
    };
    let staying = staying.write(root.path());
    let of_all = [
        "Forgetting of the test mAP over tasks",
        "Forgetting on the whole test set",
    ];
    let mut one = config(root.path(), vec![runs[0].clone()]);
    let single = run(&one).unwrap().to_string();
    let page = fs::read_to_string(&one.out).unwrap();
    let head = page.split("aria-label=\"Figures by task\"").nth(1).unwrap();
    let head = head.split("</thead>").next().unwrap();
    assert!(
        head.contains("forgetting of available ↓") && head.contains("forgetting of withdrawn ↑")
    );
    assert!(!head.contains("forgetting of it") && !page.contains("mean forgetting"));
    assert!(page.contains("Forgetting of what is available, since its best task (↓ lower is better), and of what was withdrawn"));
    assert!(
        single.contains("forgotten of what is available "),
        "{single}"
    );
    assert!(
        single.contains(" (wanted)") && !single.contains("mean forgetting"),
        "{single}"
    );
    let compared = config(root.path(), runs.to_vec());
    let text = run(&compared).unwrap().to_string();
    assert!(
        text.contains("available ") && text.contains(" (wanted)"),
        "{text}"
    );
    let several = fs::read_to_string(&compared.out).unwrap();
    assert!(several.contains("Forgetting of what was withdrawn over tasks"));
    for caption in of_all {
        assert!(
            !page.contains(caption) && !several.contains(caption),
            "{caption}"
        );
    }
    // Where every subcategory stays there is one, and less of it is better.
    one.runs = vec![staying.clone()];
    let text = run(&one).unwrap().to_string();
    assert!(text.contains("mean forgetting "), "{text}");
    let page = fs::read_to_string(&one.out).unwrap();
    assert!(page.contains(of_all[1]) && page.contains("forgetting of it ↓"));
}
