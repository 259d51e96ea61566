//! The report says what the runs say, in one page that needs nothing else.

mod access;
mod audit;
mod browser;
mod comparison;
mod fake;
pub(crate) mod frames;
mod ledger;
mod many;
mod page;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use incdec::clip::Split;
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::metrics::Criterion;
use incdec::parquet_file::{self, Provenance};
use incdec::report::{ReportConfig, ReportError, SummaryRow, run};
use incdec::run_record::{RunHead, RunRecordError, TaskOutcome};
use incdec::tables::{MetricRow, write_predictions};
use incdec::tasks::Scenario;

use fake::{DECREMENTAL, FakeRun, write_progress};

/// Writes a run under `root` and returns its folder, `decremental-finetune-0`.
pub(crate) fn fake_run(root: &Path) -> PathBuf {
    DECREMENTAL.write(root)
}

fn config(root: &Path, runs: Vec<PathBuf>) -> ReportConfig {
    ReportConfig {
        runs,
        out: root.join("report.html"),
        table: Some(root.join("report.parquet")),
        withdrawn: None,
        withdrawals: None,
        frames: None,
        permutations: 200,
    }
}

/// Every element that is opened is closed, in order; and nothing of the page lies elsewhere but the
/// pages of single runs, beside it.
fn assert_self_contained_and_well_formed(page: &str) {
    const VOID: [&str; 5] = ["meta", "br", "hr", "img", "input"];
    assert!(page.starts_with("<!DOCTYPE html>"));
    for outside in [
        "http:", "https:", "//", " src=", "url(", "@import", "<link", "fetch(", "import(",
    ] {
        let found = page
            .find(outside)
            .map(|at| &page[at.saturating_sub(60)..at + 60]);
        assert_eq!(found, None, "{outside}");
    }
    for link in page.split("href=\"").skip(1) {
        let link = link.split('"').next().unwrap();
        match link.strip_prefix('#') {
            Some(id) => assert!(page.contains(&format!("id=\"{id}\"")), "{link}"),
            None => assert!(link.ends_with(".html") && !link.starts_with('/'), "{link}"),
        }
    }
    // The script holds signs that are no tags.
    let (before, rest) = page.split_once("<script>").unwrap();
    let (script, after) = rest.split_once("</script>").unwrap();
    assert!(!script.contains('<') || !script.contains("</"), "{script}");
    let page = before.to_owned() + after;
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("a tag ends");
        let (tag, after) = rest.split_at(end);
        rest = &after[1..];
        let name = tag
            .trim_start_matches('/')
            .split([' ', '\n', '/'])
            .next()
            .unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0], "never closed");
}

#[test]
fn the_page_of_one_run_is_complete_and_needs_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let config = config(root.path(), vec![folder.clone()]);
    let summary = run(&config).unwrap().to_string();
    let page = fs::read_to_string(&config.out).unwrap();
    assert_self_contained_and_well_formed(&page);
    for section in [
        "mAP over tasks",
        "Available, withdrawn, not yet arrived",
        "Availability",
        "By category",
        "By subcategory",
        "Confusion",
        "Precision and recall",
        "Training",
        "Settings",
        ">above<",
        "not comparable with the paper",
    ] {
        assert!(page.contains(section), "{section}");
    }
    // Charts: mAP, forgetting, populations, availability, six tasks' curves, loss, validation mAP.
    assert_eq!(page.matches("role=\"img\"").count(), 12);
    // The figures of the tables stand in the page as they are.
    let rows: Vec<MetricRow> = parquet_file::read(&folder.join("metrics.parquet")).unwrap();
    let test = rows.iter().filter(|r| r.split == Split::Test);
    for row in test.filter(|r| r.metric == "mean_ap" || r.metric == "ap_per_subcategory") {
        let value = format!(">{:.3}<", row.value.unwrap());
        assert!(page.contains(&value), "{value} of {row:?}");
    }
    let last = summary.lines().last().unwrap();
    assert!(
        last.starts_with("decremental finetune seed 0: last task's test mAP 0."),
        "{last}"
    );
    assert!(last.contains("(above chance, 99th percentile 0."), "{last}");
    assert!(!page.contains("is not finished"));
}

#[test]
fn the_same_runs_give_the_same_page_and_chance_is_told_from_skill() {
    let root = tempfile::tempdir().unwrap();
    let unskilled = FakeRun {
        skill: 0.0,
        pretrained: true,
        ..DECREMENTAL
    };
    let config = config(root.path(), vec![unskilled.write(root.path())]);
    let bytes = || {
        let summary = run(&config).unwrap().to_string();
        (
            summary,
            [&config.out, config.table.as_ref().unwrap()].map(|f| fs::read(f).unwrap()),
        )
    };
    let first = bytes();
    assert!(first == bytes());
    assert!(first.0.contains("NOT above chance"), "{}", first.0);
    let page = String::from_utf8(first.1[0].clone()).unwrap();
    assert!(!page.contains("not comparable with the paper"));
}

#[test]
fn several_runs_are_summed_up_over_seeds() {
    let root = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for seed in 0..3 {
        for (approach, skill) in [("finetune", 0.3), ("ewc", 0.45)] {
            let run = FakeRun {
                approach,
                seed,
                skill,
                ..DECREMENTAL
            };
            runs.push(run.write(root.path()));
        }
    }
    let multiclass = FakeRun {
        scenario: Scenario::Substitution,
        criterion: Criterion::Multiclass,
        ..DECREMENTAL
    };
    runs.push(multiclass.write(root.path()));
    let config = config(root.path(), runs.clone());
    let summary = run(&config).unwrap().to_string();
    let page = fs::read_to_string(&config.out).unwrap();
    assert_self_contained_and_well_formed(&page);
    assert!(
        summary
            .lines()
            .last()
            .unwrap()
            .starts_with("7 runs in 3 groups; highest mean test mAP 0.")
    );

    // The table's figures, by hand.
    let rows: Vec<SummaryRow> = parquet_file::read(config.table.as_ref().unwrap()).unwrap();
    let per_run = |metric: &str, forgetting: bool, subcategory: Option<&str>| -> Vec<f64> {
        runs.iter()
            .filter(|r| {
                r.ends_with("decremental-ewc-0")
                    || r.ends_with("decremental-ewc-1")
                    || r.ends_with("decremental-ewc-2")
            })
            .map(|run| {
                let rows: Vec<MetricRow> =
                    parquet_file::read(&run.join("metrics.parquet")).unwrap();
                let values: Vec<f64> = rows
                    .iter()
                    .filter(|r| r.split == Split::Test && r.metric == metric)
                    .filter(|r| r.subcategory.as_deref() == subcategory)
                    .filter(|r| !forgetting || r.task > 0)
                    .map(|r| if forgetting { r.forgetting } else { r.value }.unwrap())
                    .collect();
                values.iter().sum::<f64>() / values.len() as f64
            })
            .collect()
    };
    let mean_and_deviation = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        (mean, (squares / (n - 1.0)).sqrt())
    };
    for (metric, subcategory) in [("mean_ap", None), ("ap_per_subcategory", Some("yawning"))] {
        let row = rows
            .iter()
            .find(|r| {
                (r.scenario.as_str(), r.approach.as_str()) == ("decremental", "ewc")
                    && r.metric == metric
                    && r.subcategory.as_deref() == subcategory
                    && r.task.is_none()
            })
            .unwrap();
        assert_eq!(row.seeds, 3);
        let (mean, deviation) = mean_and_deviation(&per_run(metric, false, subcategory));
        assert!((row.mean.unwrap() - mean).abs() < 1e-12);
        assert!((row.deviation.unwrap() - deviation).abs() < 1e-12);
        let (mean, deviation) = mean_and_deviation(&per_run(metric, true, subcategory));
        assert!((row.forgetting_mean.unwrap() - mean).abs() < 1e-12);
        assert!((row.forgetting_deviation.unwrap() - deviation).abs() < 1e-12);
        // The page tells the tasks that have a subcategory from those that have it no longer.
        let shown = format!("{:.3} ± {:.3}", row.mean.unwrap(), row.deviation.unwrap());
        assert!(subcategory.is_some() || page.contains(&shown), "{shown}");
    }
    let single = rows.iter().find(|r| r.scenario == "substitution").unwrap();
    assert_eq!((single.seeds, single.deviation), (1, None));
    let key = |r: &SummaryRow| {
        (
            r.scenario.clone(),
            r.approach.clone(),
            r.metric.clone(),
            r.category.clone(),
            r.subcategory.clone(),
            r.task,
        )
    };
    assert!(rows.is_sorted_by(|a, b| key(a) < key(b)));
}

#[test]
fn runs_under_other_settings_are_not_thrown_together() {
    let root = tempfile::tempdir().unwrap();
    let first = DECREMENTAL.write(root.path());
    let second = FakeRun {
        seed: 1,
        epochs: 9,
        ..DECREMENTAL
    };
    let second = second.write(root.path());
    let text = run(&config(root.path(), vec![first, second]))
        .unwrap()
        .to_string();
    for line in [
        "decremental finetune A",
        "decremental finetune B",
        "finetune A: epochs 5",
        "finetune B: epochs 9",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn clips_without_frames_are_told() {
    let root = tempfile::tempdir().unwrap();
    let run_without = FakeRun {
        frames_are_missing: true,
        ..DECREMENTAL
    };
    let folder = run_without.write(root.path());
    fs::remove_file(folder.join("run.json")).unwrap();
    let config = config(root.path(), vec![folder]);
    run(&config).unwrap();
    let page = fs::read_to_string(&config.out).unwrap();
    // 148 test clips in every task, and one training clip in task 0.
    assert!(page.contains("At most 149 clips"));
    assert!(page.contains("is not finished"));
}

#[test]
fn an_unfinished_run_has_its_page_which_says_what_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    fs::remove_file(folder.join("run.json")).unwrap();
    let config = config(root.path(), vec![folder.clone()]);
    let page = || {
        let summary = run(&config).unwrap().to_string();
        let page = fs::read_to_string(&config.out).unwrap();
        assert_self_contained_and_well_formed(&page);
        (page, summary.lines().last().unwrap().to_owned())
    };
    write_progress(&folder, vec![TaskOutcome::default(); 2]);
    let (told, last) = page();
    let missing =
        "2 of 6 tasks are done; missing are tasks 2 to 5, the first of which has 5 epochs so far";
    assert!(told.contains(&format!("This run is not finished: {missing}.")));
    assert!(
        last.contains(&format!("seed 0 (unfinished: {missing}): last task's")),
        "{last}"
    );

    // In the midst of its first task there is nothing but epochs.
    write_progress(&folder, vec![]);
    for name in ["metrics.parquet", "predictions.parquet", "timing.parquet"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let (told, last) = page();
    assert!(
        told.contains("This run is not finished: 0 of 6 tasks are done; missing are tasks 0 to 5")
    );
    assert!(told.contains("Classification loss of each epoch"));
    assert!(last.contains("mean over 0 tasks"), "{last}");

    // Beside a finished one, too.
    let finished = FakeRun {
        seed: 1,
        ..DECREMENTAL
    }
    .write(root.path());
    run(&super::report::config(root.path(), vec![finished, folder])).unwrap();
    let told = fs::read_to_string(&config.out).unwrap();
    assert!(told.contains("decremental-finetune-0 is not finished"));
    assert!(told.contains("It is in no mean over seeds and in no pair of runs"));
}

#[test]
fn what_is_no_run_is_refused_with_a_hint() {
    let root = tempfile::tempdir().unwrap();
    let refused = |runs: Vec<PathBuf>| run(&config(root.path(), runs)).unwrap_err();
    assert!(matches!(refused(vec![]), ReportError::NoRuns));
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let error = refused(vec![empty.clone()]);
    assert!(matches!(
        error,
        ReportError::NotARun {
            file: "settings.json",
            ..
        }
    ));
    assert!(error.hint().unwrap().contains("make train"));
    fs::write(empty.join("settings.json"), "{").unwrap();
    assert!(matches!(
        refused(vec![empty.clone()]),
        ReportError::Record(RunRecordError::Json { .. })
    ));
    fs::write(empty.join("settings.json"), "{}").unwrap();
    let error = refused(vec![empty.clone()]);
    assert!(matches!(
        error,
        ReportError::NotARun {
            file: "metrics.parquet",
            ..
        }
    ));
    parquet_file::write::<MetricRow>(&empty.join("metrics.parquet"), &[], &Provenance::default())
        .unwrap();
    assert!(matches!(refused(vec![empty]), ReportError::Empty { .. }));

    let strange = DECREMENTAL.write(root.path());
    let file = strange.join("predictions.parquet");
    let (categories, mut rows) = incdec::tables::read_predictions(&file).unwrap();
    let last = rows.len() - 1;
    rows[last].probabilities[0] = f32::NAN;
    let provenance = RunHead::read(&strange).unwrap().unwrap().provenance();
    let rewrite = |rows: &[_]| {
        write_predictions(&file, &categories, rows, &provenance).unwrap();
        write_progress(&strange, vec![TaskOutcome::default(); 6]);
    };
    rewrite(&rows);
    let error = refused(vec![strange.clone()]);
    assert!(matches!(error, ReportError::Metrics { task: 5, .. }));
    assert_eq!(error.exit(), Exit::Hopeless);
    rows[last].subcategory = "juggling".into();
    rewrite(&rows);
    assert!(
        refused(vec![strange.clone()])
            .to_string()
            .contains("juggling")
    );
    assert!(!root.path().join("report.html").exists());
}

#[test]
fn the_command_prints_the_page_and_a_line_to_remember() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let page = root.path().join("out/report.html");
    let mut command = Command::cargo_bin("incdec-report").unwrap();
    command
        .arg("--permutations")
        .arg("50")
        .arg("--out")
        .arg(&page)
        .arg(&folder);
    let output = command.assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[lines.len() - 2],
        format!("report: {}", page.display())
    );
    assert!(lines[0].starts_with("task   train"), "{text}");
    assert!(page.exists());
    let mut command = Command::cargo_bin("incdec-report").unwrap();
    command.arg("--out").arg(&page).assert().code(2);
}

#[test]
fn what_the_page_of_an_audit_would_pass_over_is_refused_beside_it() {
    for (flag, value) in [
        ("--frames", "shards"),
        ("--withdrawn", "withdrawn.csv"),
        ("--permutations", "50"),
        ("--table", "report.parquet"),
    ] {
        let mut command = Command::cargo_bin("incdec-report").unwrap();
        command.args(["--out", "audit.html", "--audit", "audit", flag, value]);
        let output = command.assert().code(2).get_output().stderr.clone();
        let said = String::from_utf8(output).unwrap();
        assert!(
            said.contains(flag) && said.contains("cannot be used with"),
            "{said}"
        );
    }
}
