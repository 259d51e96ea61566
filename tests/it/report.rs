//! The report says what the runs say, in one page that needs nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use incdec::clip::Split;
use incdec::hint::Hint;
use incdec::metrics::{
    Criterion, Figures, Metrics, Names, Predictions, evaluate, flatten, forgetting_of_figures,
};
use incdec::random;
use incdec::report::{ReportConfig, ReportError, SummaryRow, run};
use incdec::run_tables::{HistoryRow, MetricRow, PredictionRow, TimingRow, write_predictions};
use incdec::stage_tables::AvailabilityRow;
use incdec::table::{self, Provenance};
use incdec::tasks::{self, ClipSource, DealSettings, Scenario, TasksConfig};
use incdec::taxonomy::Taxonomy;
use rand::RngExt;

use crate::support;

/// A run that might have been trained: its predictions are drawn, everything else follows from them.
struct FakeRun<'a> {
    scenario: Scenario,
    approach: &'a str,
    seed: u64,
    criterion: Criterion,
    /// How much the true class's probability is raised; 0 is chance.
    skill: f64,
    pretrained: bool,
}

const DECREMENTAL: FakeRun<'_> = FakeRun {
    scenario: Scenario::Decremental,
    approach: "finetune",
    seed: 0,
    criterion: Criterion::Multilabel,
    skill: 0.45,
    pretrained: false,
};

/// Writes a run under `root` and returns its folder, `decremental-finetune-0`.
pub(crate) fn fake_run(root: &Path) -> PathBuf {
    DECREMENTAL.write(root)
}

impl FakeRun<'_> {
    /// Writes the run directory under `root` and returns it.
    fn write(&self, root: &Path) -> PathBuf {
        let taxonomy = Taxonomy::read(&support::root().join("Kinetics/Info/classes.csv")).unwrap();
        let folder = root.join(format!("{}-{}-{}", self.scenario, self.approach, self.seed));
        self.deal(root, &folder, &taxonomy);
        let rows: Vec<AvailabilityRow> = table::read(&folder.join("availability.parquet")).unwrap();
        let categories: Vec<String> = taxonomy
            .categories()
            .iter()
            .map(|c| c.name.clone())
            .collect();
        let subcategories: Vec<(usize, String)> = taxonomy
            .subcategories()
            .map(|(class, name)| (class, name.to_owned()))
            .collect();
        let names = Names {
            categories: &categories,
            subcategories: &subcategories,
        };
        let (mut metrics, mut predictions, mut history) = (Vec::new(), Vec::new(), Vec::new());
        let mut earlier: Vec<Figures> = Vec::new();
        for task in 0..6 {
            for split in [Split::Validation, Split::Test] {
                let listed: Vec<&AvailabilityRow> = rows
                    .iter()
                    .filter(|r| r.task == task && r.split == split && r.position.is_some())
                    .collect();
                let drawn = self.predictions(task, &listed, &categories);
                let judged = self.judge(&drawn, &subcategories, categories.len());
                let forgotten = (split == Split::Test).then(|| {
                    earlier.push(judged.figures.clone());
                    forgetting_of_figures(&earlier.iter().collect::<Vec<_>>())
                });
                for row in flatten(&judged, forgotten.as_ref(), names) {
                    metrics.push(MetricRow {
                        task,
                        split,
                        metric: row.metric,
                        class: row.class,
                        subcategory: row.subcategory,
                        value: row.value,
                        forgetting: row.forgetting,
                    });
                }
                predictions.extend(drawn.into_iter().zip(judged.predicted).map(
                    |(mut row, predicted)| {
                        row.prediction = i32::try_from(predicted).unwrap();
                        row
                    },
                ));
            }
            history.extend(history_of(task));
        }
        let write_rows = |name: &str| folder.join(name);
        let none = Provenance::default();
        table::write(&write_rows("metrics.parquet"), &metrics, &none).unwrap();
        table::write(&write_rows("history.parquet"), &history, &none).unwrap();
        let timing = [TimingRow {
            task: 0,
            epoch: Some(0),
            phase: "train".into(),
            seconds: 12.5,
            clips: 1850,
        }];
        table::write(&write_rows("timing.parquet"), &timing, &none).unwrap();
        write_predictions(
            &write_rows("predictions.parquet"),
            &categories,
            &predictions,
            &none,
        )
        .unwrap();
        fs::write(write_rows("run.json"), "{}").unwrap();
        folder
    }

    /// Deals clips as the tasks stage does, and writes the settings.
    fn deal(&self, root: &Path, folder: &Path, taxonomy: &Taxonomy) {
        let labels = root.join("labels");
        fs::create_dir_all(&labels).unwrap();
        let info = support::root().join("Kinetics/Info");
        fs::copy(info.join("classes.csv"), labels.join("classes.csv")).unwrap();
        for (split, clips) in Split::ALL.into_iter().zip([12, 2, 4]) {
            let mut text = String::from("label,youtube_id,time_start,time_end\n");
            for (k, (_, name)) in taxonomy.subcategories().enumerate() {
                for i in 0..clips {
                    text += &format!("{name},{split}{k}-{i},0,10\n");
                }
            }
            fs::write(labels.join(format!("{split}.csv")), text).unwrap();
        }
        let schedule = match self.scenario {
            Scenario::Decremental => Some(info.join("subcategories_to_remove.csv")),
            Scenario::IncrementalDecremental => Some(info.join("subcategories_to_substitute.csv")),
            _ => None,
        };
        let seed = u32::try_from(self.seed).unwrap();
        tasks::run(&TasksConfig {
            clips: ClipSource::Labels(labels),
            deal: DealSettings::published(self.scenario, seed),
            schedule,
            tasks: None,
            out: folder.to_owned(),
        })
        .unwrap();
        let listed = taxonomy.subcategories().map(|(class, name)| {
            serde_json::json!({"category": taxonomy.categories()[class].name, "subcategory": name})
        });
        let inputs = if self.pretrained {
            serde_json::json!({"pretrained": "ab12"})
        } else {
            serde_json::json!({})
        };
        let settings = serde_json::json!({
            "scenario": self.scenario.name(),
            "subcategories": listed.collect::<Vec<_>>(),
            "settings": {
                "approach": self.approach, "criterion": self.criterion.name(), "seed": self.seed, "epochs": 5,
                "variant": "A0", "compat": {"augment_per_frame": false},
            },
            "inputs": inputs,
        });
        fs::write(folder.join("settings.json"), settings.to_string()).unwrap();
    }

    #[allow(clippy::cast_possible_truncation)] // Made-up probabilities.
    fn predictions(
        &self,
        task: i32,
        listed: &[&AvailabilityRow],
        categories: &[String],
    ) -> Vec<PredictionRow> {
        let key = u64::try_from(task).unwrap();
        let mut rng = random::stream(self.seed, "fake predictions", &[key]);
        // A little is forgotten in every task.
        let skill = self.skill * (1.0 - 0.08 * f64::from(task));
        listed
            .iter()
            .map(|row| PredictionRow {
                task,
                split: row.split,
                position: row.position.unwrap(),
                clip_id: row.clip_id.clone(),
                label: row.label,
                subcategory: row.subcategory.clone(),
                prediction: 0,
                probabilities: (0..categories.len())
                    .map(|class| {
                        let raised = if i32::try_from(class) == Ok(row.label) {
                            skill
                        } else {
                            0.0
                        };
                        (rng.random::<f32>() * 0.55) + raised as f32
                    })
                    .collect(),
            })
            .collect()
    }

    fn judge(
        &self,
        rows: &[PredictionRow],
        subcategories: &[(usize, String)],
        classes: usize,
    ) -> Metrics {
        let probabilities: Vec<f32> = rows
            .iter()
            .flat_map(|r| r.probabilities.iter().copied())
            .collect();
        let index = |r: &PredictionRow| {
            subcategories
                .iter()
                .position(|(_, n)| *n == r.subcategory)
                .unwrap()
        };
        evaluate(&Predictions {
            probabilities: &probabilities,
            labels: &rows
                .iter()
                .map(|r| usize::try_from(r.label).unwrap())
                .collect::<Vec<_>>(),
            subcategories: &rows.iter().map(index).collect::<Vec<_>>(),
            class_of_subcategory: &subcategories.iter().map(|(c, _)| *c).collect::<Vec<_>>(),
            classes,
            criterion: self.criterion,
        })
        .unwrap()
    }
}

fn history_of(task: i32) -> Vec<HistoryRow> {
    let mut rows = Vec::new();
    for epoch in 0..5 {
        let progress = f64::from(epoch) / 5.0;
        for (split, metric, value) in [
            (Split::Train, "loss", 0.6 - 0.3 * progress),
            (Split::Validation, "loss", 0.65 - 0.2 * progress),
            (Split::Validation, "mean_ap", 0.3 + 0.4 * progress),
        ] {
            rows.push(HistoryRow {
                task,
                epoch,
                split,
                metric: metric.into(),
                value: Some(value),
            });
        }
    }
    rows
}

fn config(root: &Path, runs: Vec<PathBuf>) -> ReportConfig {
    ReportConfig {
        runs,
        out: root.join("report.html"),
        table: Some(root.join("report.parquet")),
        permutations: 200,
    }
}

/// Every element that is opened is closed, in order; and nothing of the page lies elsewhere.
fn assert_self_contained_and_well_formed(page: &str) {
    const VOID: [&str; 5] = ["meta", "br", "hr", "img", "input"];
    assert!(page.starts_with("<!DOCTYPE html>"));
    for outside in [
        "http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link",
    ] {
        let found = page
            .find(outside)
            .map(|at| &page[at.saturating_sub(60)..at + 60]);
        assert_eq!(found, None, "{outside}");
    }
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
    // Charts: mAP, forgetting, availability, six tasks' curves, loss, validation mAP.
    assert_eq!(page.matches("<svg").count(), 11);
    // The figures of the tables stand in the page as they are.
    let rows: Vec<MetricRow> = table::read(&folder.join("metrics.parquet")).unwrap();
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
    let rows: Vec<SummaryRow> = table::read(config.table.as_ref().unwrap()).unwrap();
    let per_run = |metric: &str, forgetting: bool, subcategory: Option<&str>| -> Vec<f64> {
        runs.iter()
            .filter(|r| {
                r.ends_with("decremental-ewc-0")
                    || r.ends_with("decremental-ewc-1")
                    || r.ends_with("decremental-ewc-2")
            })
            .map(|run| {
                let rows: Vec<MetricRow> = table::read(&run.join("metrics.parquet")).unwrap();
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
        assert!(page.contains(&format!(
            "{:.3} ± {:.3}",
            row.mean.unwrap(),
            row.deviation.unwrap()
        )));
    }
    let single = rows.iter().find(|r| r.scenario == "substitution").unwrap();
    assert_eq!((single.seeds, single.deviation), (1, None));
    let key = |r: &SummaryRow| {
        (
            r.scenario.clone(),
            r.approach.clone(),
            r.metric.clone(),
            r.class.clone(),
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
        ..DECREMENTAL
    };
    let second = second.write(root.path());
    let settings = fs::read_to_string(second.join("settings.json")).unwrap();
    fs::write(
        second.join("settings.json"),
        settings.replace("\"epochs\":5", "\"epochs\":9"),
    )
    .unwrap();
    let text = run(&config(root.path(), vec![first, second]))
        .unwrap()
        .to_string();
    assert!(text.contains("decremental finetune (epochs 5)"), "{text}");
    assert!(text.contains("decremental finetune (epochs 9)"), "{text}");
}

#[test]
fn clips_without_frames_are_told() {
    let root = tempfile::tempdir().unwrap();
    let folder = DECREMENTAL.write(root.path());
    let file = folder.join("availability.parquet");
    let mut rows: Vec<AvailabilityRow> = table::read(&file).unwrap();
    let clip = rows[0].clip_id.clone();
    for row in rows
        .iter_mut()
        .filter(|r| r.split == Split::Test || r.clip_id == clip)
    {
        row.usable = false;
    }
    table::write(&file, &rows, &Provenance::default()).unwrap();
    fs::remove_file(folder.join("run.json")).unwrap();
    let config = config(root.path(), vec![folder]);
    run(&config).unwrap();
    let page = fs::read_to_string(&config.out).unwrap();
    // 148 test clips in every task, and one training clip in task 0.
    assert!(page.contains("At most 149 clips"));
    assert!(page.contains("is not finished"));
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
        ReportError::Json { .. }
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
    table::write::<MetricRow>(&empty.join("metrics.parquet"), &[], &Provenance::default()).unwrap();
    assert!(matches!(refused(vec![empty]), ReportError::Empty { .. }));

    let strange = DECREMENTAL.write(root.path());
    let file = strange.join("predictions.parquet");
    let (categories, mut rows) = incdec::run_tables::read_predictions(&file).unwrap();
    let last = rows.len() - 1;
    rows[last].probabilities[0] = f32::NAN;
    write_predictions(&file, &categories, &rows, &Provenance::default()).unwrap();
    assert!(matches!(
        refused(vec![strange.clone()]),
        ReportError::Metrics { task: 5, .. }
    ));
    rows[last].subcategory = "juggling".into();
    write_predictions(&file, &categories, &rows, &Provenance::default()).unwrap();
    assert!(refused(vec![strange]).to_string().contains("juggling"));
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
